"""Counts and condition of many queues in one round trip. Reads only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from qtui.bullmq.ask import Command, Reply, ask, ask_all, number, text, texts
from qtui.bullmq.connection import Client
from qtui.bullmq.keys import QueueKey, is_marker
from qtui.bullmq.model import Garbage, JobState, Kind, QueueStatus

EDGE: Final = 4
"""Members looked at on both ends of a list for markers.

A marker enters an empty list at its head and leaves at its tail, and jobs may stand on either side
of it meanwhile; more than two of them were never seen in one list.
"""

_META: Final = ("paused", "version", "concurrency", "opts.maxLenEvents")


def ends(key: str) -> list[Command]:
    """What tells a list's length and its markers, see `markers`."""
    return [("LLEN", key), ("LRANGE", key, 0, EDGE - 1), ("LRANGE", key, -EDGE, -1)]


def _commands(queue: QueueKey) -> list[Command]:
    commands: list[Command] = []
    for state in JobState:
        key = queue.key(state.key)
        commands += ends(key) if state.is_list else [("ZCARD", key)]
    commands.append(("HMGET", queue.key("meta"), *_META))
    commands += (("TYPE", queue.key(suffix)) for suffix in ("events", "groups", "id"))
    return commands


_COMMANDS_A_QUEUE: Final = len(_commands(QueueKey("", "")))


def markers(length: Reply, head: Reply, tail: Reply) -> set[int]:
    """The places of the markers in a list, from the replies to `ends`; one between goes unseen."""
    first, last = texts(head), texts(tail)
    start = (number(length) or 0) - len(last)
    members = [*enumerate(first), *enumerate(last, start)]
    return {place for place, member in members if is_marker(member or "")}


def count_jobs(length: Reply, head: Reply, tail: Reply) -> int | None:
    """The jobs in a list, from the replies to `ends`; None where it could not be read."""
    members = number(length)
    return None if members is None else max(0, members - len(markers(length, head, tail)))


def _kind(meta: Sequence[str | None], counts: dict[JobState, int | None], types: list[str]) -> Kind:
    """Who runs a queue, by keyspace: Bull 3/4 has neither an event stream nor these meta fields."""
    _, version, _, max_events = meta
    events, groups, _ = types
    if (version or "").startswith("bullmq-pro:") or groups == "zset":
        return Kind.PRO
    newer = counts[JobState.PRIORITIZED] or counts[JobState.WAITING_CHILDREN]
    if version is not None or max_events is not None or events == "stream" or newer:
        return Kind.BULLMQ
    return Kind.BULL


def _status(queue: QueueKey, replies: list[Reply]) -> QueueStatus:
    answers = iter(replies)
    counts: dict[JobState, int | None] = {}
    for state in JobState:
        if state.is_list:
            counts[state] = count_jobs(next(answers), next(answers), next(answers))
        else:
            counts[state] = number(next(answers))
    meta = texts(next(answers)) or [None] * len(_META)
    types = [text(answer) or "" for answer in answers]
    paused, version, concurrency, max_events = meta
    kind = _kind(meta, counts, types)
    named = version is not None or max_events is not None
    lives = types[0] == "stream" or any(counts.values())
    return QueueStatus(
        queue=queue,
        counts=counts,
        kind=kind,
        paused=paused is not None,
        version=version or "",
        concurrency=Garbage().number("concurrency", concurrency),
        exists=named or (lives and (types[2] == "string" or paused is not None)),
    )


async def check_permission(client: Client, queues: Sequence[QueueKey]) -> None:
    """Sees whether we may look at queues. Costs one round trip.

    Many reads take a refused key for one that is not there, so that it does not cost the rest;
    where all is refused, that would look as if there was nothing.

    Raises:
        redis.exceptions.NoPermissionError: we may not look at one of them.
    """
    await ask_all(client, [("HMGET", queue.key("meta"), "version") for queue in queues])


async def read_status(client: Client, queues: Sequence[QueueKey]) -> list[QueueStatus]:
    """Counts of all eight states, the pause flag, version and kind of each queue, in order.

    Markers in lists are not counted. A count is None where Redis refused to tell (ACL, wrong type).

    Costs one round trip for any number of queues, 18 commands of O(1) each.
    """
    replies = await ask(client, [command for queue in queues for command in _commands(queue)])
    return [
        _status(queue, replies[start : start + _COMMANDS_A_QUEUE])
        for queue, start in zip(queues, range(0, len(replies), _COMMANDS_A_QUEUE), strict=True)
    ]
