"""Reads what of a queue is worth keeping when it is removed, and who else its removal concerns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from qtui.bullmq.ask import Command, ask, fields_of, number, present, text, texts
from qtui.bullmq.connection.client import Client
from qtui.bullmq.keys import QueueKey, is_marker
from qtui.bullmq.model import JobState

LOCKED: Final = 1000
"""Active jobs whose locks are looked at."""

SCHEDULERS: Final = 1000
"""Schedulers whose definitions are read."""

LOOKED_AT: Final = 250
"""Jobs of each state whose family is looked at."""


class Remains(NamedTuple):
    """What of a queue is worth keeping."""

    meta: Mapping[str, str]
    """All fields of ``meta``."""
    schedulers: int
    """Number of members of ``repeat``."""
    repeats: Mapping[str, Mapping[str, str]]
    """By member of ``repeat``, the definition (``repeat:<member>``), and as ``next`` the next time;
    up to `SCHEDULERS`."""
    locked: tuple[str, ...]
    """Active jobs whose lock a worker holds, of the first `LOCKED`."""


async def read_remains(client: Client, queue: QueueKey) -> Remains:
    """Reads them. Costs two round trips, and a command for each scheduler and active job."""
    meta, schedulers, members, active = await ask(
        client,
        [
            ("HGETALL", queue.key("meta")),
            ("ZCARD", queue.key("repeat")),
            ("ZRANGE", queue.key("repeat"), 0, SCHEDULERS - 1),
            ("LRANGE", queue.key("active"), 0, LOCKED - 1),
        ],
    )
    names = present(texts(members))
    ids = [one for one in present(texts(active)) if not is_marker(one)]
    commands: list[Command] = [("HGETALL", queue.key(f"repeat:{one}")) for one in names]
    commands += [("ZSCORE", queue.key("repeat"), one) for one in names]
    commands += [("EXISTS", queue.job(one, "lock")) for one in ids]
    replies = await ask(client, commands) if commands else []
    hashes, times = replies[: len(names)], replies[len(names) : 2 * len(names)]
    locks = replies[2 * len(names) :]
    repeats = {
        name: {**(fields_of(one) or {}), "next": str(at)}
        for name, one, at in zip(names, hashes, times, strict=True)
    }
    locked = tuple(one for one, found in zip(ids, locks, strict=True) if found == 1)
    return Remains(fields_of(meta) or {}, number(schedulers) or 0, repeats, locked)


class Family(NamedTuple):
    """Jobs in other queues that are parents or children of jobs in a queue; full keys."""

    parents: tuple[str, ...]
    children: tuple[str, ...]


async def read_family(client: Client, queue: QueueKey) -> Family:
    """Returns relatives in other queues of the first `LOOKED_AT` jobs of each unfinished state.

    Costs three round trips, one or two O(1) commands for each job.
    """
    states = [one for one in JobState if one is not JobState.COMPLETED]
    most = LOOKED_AT - 1
    replies = await ask(
        client,
        [("LRANGE" if one.is_list else "ZRANGE", queue.key(one.key), 0, most) for one in states],
    )
    ids = {state: present(texts(one)) for state, one in zip(states, replies, strict=True)}
    every = [one for some in ids.values() for one in some if not is_marker(one)]
    waiting = ids[JobState.WAITING_CHILDREN]
    keys: list[Command] = [("HGET", queue.job(one), "parentKey") for one in every]
    sets: list[Command] = [("SRANDMEMBER", queue.job(one, "dependencies"), 10) for one in waiting]
    found = await ask(client, [*keys, *sets]) if keys else []
    start = queue.key("")
    parents = [one for one in present([text(reply) for reply in found[: len(keys)]]) if one]
    children = [one for reply in found[len(keys) :] for one in present(texts(reply))]
    return Family(
        tuple(dict.fromkeys(one for one in parents if not one.startswith(start))),
        tuple(dict.fromkeys(one for one in children if not one.startswith(start))),
    )
