"""Outcomes of retried jobs are exact, whichever release runs them and trims its events."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Final

import pytest

from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState
from qtui.bullmq.writers.batch import Picked
from qtui.bullmq.writers.retry import RetryWriter
from qtui.demo.server import EmbeddedServer
from qtui.operations.following.follower import Follower
from qtui.operations.following.outcome import Fate, OutcomeTally
from tests.oracle.stage import Side, Stage, job
from tests.servers import connect

QUEUE: Final = QueueKey.of("bull", "q")
SECONDS: Final = 20.0

_OK: Final = 5
_REMOVED: Final = 3
_SAME: Final = 2
_OTHER: Final = 4
_DELAYED: Final = 2
_AGAIN: Final = 2
_ENDS: Final = _OK + _REMOVED + _SAME + _OTHER + _DELAYED + 2 * _AGAIN


@pytest.fixture
def small_nodes(oracle_server: EmbeddedServer, stage: Stage) -> Iterator[None]:
    """Streams that are trimmed to exactly what is asked: the releases ask for about as many."""
    name = "stream-node-max-entries"
    before = stage.ours.client.config_get(name)[name] or "100"
    stage.ours.client.config_set(name, 1)
    yield
    stage.ours.client.config_set(name, before)


def _prepare(side: Side) -> dict[str, list[str]]:
    """Jobs that failed, by how they will end when they run once more with their counters reset."""
    sizes = {"ok": _OK, "removed": _REMOVED, "same": _SAME, "other": _OTHER, "delayed": _DELAYED}
    kinds = [kind for kind, size in {**sizes, "again": _AGAIN}.items() for _ in range(size)]
    ids = side.seed([job("charge") for _ in kinds])
    for kind, id in zip(kinds, ids, strict=True):
        hash_key = side.key(id)
        options = json.loads(side.client.hget(hash_key, "opts") or "{}")
        if kind in ("ok", "removed"):
            side.client.hset(hash_key, "data", '{"outcome": "ok"}')
        if kind == "removed":
            options["removeOnComplete"] = True
        if kind == "other":
            side.client.hset(hash_key, "name", "refund")
        if kind in ("delayed", "again"):
            options["attempts"] = 2
        if kind == "delayed":
            options["backoff"] = {"type": "fixed", "delay": 600_000}
        side.client.hset(hash_key, "opts", json.dumps(options))
    return {kind: [id for one, id in zip(kinds, ids, strict=True) if one == kind] for kind in kinds}


async def _follow(
    server: EmbeddedServer, side: Side, lose: Callable[[], object]
) -> tuple[Follower, dict[str, list[str]]]:
    """Retries the jobs in two batches, lets a worker run them, loses events, and looks."""
    by_kind = _prepare(side)
    # The last of each kind in the second batch.
    first = [id for ids in by_kind.values() for id in ids[:-1]]
    second = [ids[-1] for ids in by_kind.values()]
    async with connect(server, db=side.database) as client:
        follower = Follower(client, QUEUE, JobState.FAILED)
        await follower.begin()
        for batch in (first, second):
            picked = [Picked(one) for one in batch]
            done = await RetryWriter(client).retry(
                QUEUE, JobState.FAILED, picked, reset_attempts_made=True
            )
            follower.add(done.results, ["charge failed"] * len(batch))
            assert await follower.look() == set()
        assert follower.tally() == OutcomeTally(waiting=len(first) + len(second))
        with side.worker("data") as worker:
            worker.until(ends=_ENDS)
            side.await_idle()
        lose()
        # Those that are delayed stay open, so nothing ends it but what it waits for.
        await follower.settle(SECONDS, lambda: follower.undecided == follower.tally().delayed > 0)
    return follower, by_kind


def _assert_exact(follower: Follower, by_kind: dict[str, list[str]], gone: int) -> None:
    assert follower.tally() == OutcomeTally(
        delayed=_DELAYED,
        completed=_OK + _REMOVED - gone,
        failed_again=_SAME + _OTHER + _AGAIN,
        same_error=_SAME + _AGAIN,
        errors=(("charge failed", _SAME + _AGAIN), ("refund failed", _OTHER)),
        gone=gone,
    )
    fates = {kind: {follower.outcomes[id].fate for id in ids} for kind, ids in by_kind.items()}
    removed = fates.pop("removed")
    assert removed <= {Fate.COMPLETED, Fate.GONE}
    assert fates == {
        "ok": {Fate.COMPLETED},
        "same": {Fate.FAILED_AGAIN},
        "other": {Fate.FAILED_AGAIN},
        "delayed": {Fate.DELAYED},
        "again": {Fate.FAILED_AGAIN},
    }
    assert {follower.outcomes[id].error for id in by_kind["other"]} == {"refund failed"}


async def test_with_all_events_every_end_is_reported(
    oracle_server: EmbeddedServer, stage: Stage
) -> None:
    follower, by_kind = await _follow(oracle_server, stage.ours, lambda: None)
    _assert_exact(follower, by_kind, gone=0)


@pytest.mark.parametrize("loss", ["trimmed", "deleted"])
async def test_without_their_events_only_removed_jobs_keep_their_end_to_themselves(
    oracle_server: EmbeddedServer, stage: Stage, loss: str
) -> None:
    client, events = stage.ours.client, stage.ours.key("events")

    def lose() -> None:
        assert client.xlen(events) > 20
        if loss == "trimmed":
            client.xtrim(events, maxlen=0, approximate=False)
        else:
            client.delete(events)

    follower, by_kind = await _follow(oracle_server, stage.ours, lose)
    _assert_exact(follower, by_kind, gone=_REMOVED)


@pytest.mark.usefixtures("small_nodes")
@pytest.mark.parametrize("most", [5, 0])
async def test_with_next_to_no_events_the_tally_is_as_exact(
    oracle_server: EmbeddedServer, stage: Stage, most: int
) -> None:
    stage.ours.open()
    stage.ours.client.hset(stage.ours.key("meta"), "opts.maxLenEvents", most)

    def lose() -> None:
        assert stage.ours.client.hget(stage.ours.key("meta"), "opts.maxLenEvents") == str(most)
        # Not every release trims at every event.
        stage.ours.client.xtrim(stage.ours.key("events"), maxlen=most, approximate=False)

    follower, by_kind = await _follow(oracle_server, stage.ours, lose)
    _assert_exact(follower, by_kind, gone=follower.tally().gone)
    if most == 0:
        assert follower.tally().gone == _REMOVED
