"""Queues for tests that run on every kind of server: the same ones everywhere, in several slots."""

from __future__ import annotations

from tests.bullmq.topologies import Topology, Writer
from tests.seeds import Fields

NAMES = ("{a}", "{b}", "{c}", "{d}")
"""Of the queues; hash tags put them on all nodes of a cluster."""

FINISHED = 1_700_000_000_000
"""When the first job failed, in ms."""


def fill(topology: Topology) -> None:
    """Makes the queues as BullMQ 5.58 leaves them.

    Each has three failed jobs (``0`` to ``2``), two completed (``c0``, ``c1``), two that wait
    (``w0``, ``w1``) and one delayed; the last queue has a failed job more, ``only``.
    """
    with topology.writer() as writer:
        for name in NAMES:
            _fill(writer, f"bull:{name}")
        _add(writer, f"bull:{NAMES[-1]}", "only", "failed", 3)


def _fill(writer: Writer, base: str) -> None:
    writer.hset(f"{base}:meta", mapping={"opts.maxLenEvents": 10_000, "version": "bullmq:5.58.1"})
    writer.xadd(f"{base}:events", {"event": "added", "jobId": "0"})
    for at in range(3):
        _add(writer, base, str(at), "failed", at)
    for at in range(2):
        _add(writer, base, f"c{at}", "completed", at)
    for at in range(2):
        _add(writer, base, f"w{at}", "wait", at)
    _add(writer, base, "later", "delayed", 0)


def _add(writer: Writer, base: str, job_id: str, state: str, at: int) -> None:
    fields: Fields = {
        "name": "charge",
        "data": '{"n":1}',
        "opts": '{"attempts":1}',
        "timestamp": FINISHED,
    }
    end: Fields = {"finishedOn": FINISHED + at, "processedOn": FINISHED, "atm": 1, "ats": 1}
    if state == "failed":
        fields |= {"failedReason": "connect ECONNREFUSED 10.0.0.7:5432", **end}
    elif state == "completed":
        fields |= {"returnvalue": '{"ok":true}', **end}
    writer.hset(f"{base}:{job_id}", mapping=fields)
    if state == "wait":
        writer.lpush(f"{base}:wait", job_id)
    else:
        writer.zadd(f"{base}:{state}", {job_id: FINISHED + at})
