"""Reads job counts, pause flag, version and kind of many queues in one round trip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from redis.exceptions import NoPermissionError

from qtui.bullmq.ask import Command, Reply, ask, ask_all, number, text, texts
from qtui.bullmq.connection.client import Client
from qtui.bullmq.dialect import NEWER_KEYS, Signs, kind_of
from qtui.bullmq.keys import QueueKey, is_marker
from qtui.bullmq.model import Garbage, JobState, Kind, QueueStatus
from qtui.bullmq.reads.last_runs import last_ran_modern, newest

EDGE: Final = 4
"""Members read at each end of a list to find markers.

A marker enters an empty list at its head and leaves at its tail, and jobs may have been added on
either side of it by then. No list was ever seen with more than two of them.
"""

_META: Final = ("paused", "version", "concurrency", "opts.maxLenEvents")
_STATES: Final = {state.key for state in JobState}
TYPES: Final = (
    "meta",
    "events",
    "groups",
    "id",
    *(key for key in NEWER_KEYS if key not in _STATES),
)
"""Suffixes of the keys whose types show what kind of queue it is."""

_HAVE_RUN: Final = (JobState.COMPLETED, JobState.FAILED, JobState.ACTIVE)


def ends(key: str) -> list[Command]:
    """Returns the commands that ask for a list's length and its markers, see `markers`."""
    return [("LLEN", key), ("LRANGE", key, 0, EDGE - 1), ("LRANGE", key, -EDGE, -1)]


def _commands(queue: QueueKey) -> list[Command]:
    commands: list[Command] = []
    for state in JobState:
        key = queue.key(state.key)
        commands += ends(key) if state.is_list else [("ZCARD", key)]
    commands.append(("HMGET", queue.key("meta"), *_META))
    commands += (("TYPE", queue.key(suffix)) for suffix in TYPES)
    return commands


_COMMANDS_A_QUEUE: Final = len(_commands(QueueKey("", "")))


def markers(length: Reply, head: Reply, tail: Reply) -> set[int]:
    """Returns the positions of a list's markers from the replies to `ends`; only near its ends."""
    first, last = texts(head), texts(tail)
    start = (number(length) or 0) - len(last)
    members = [*enumerate(first), *enumerate(last, start)]
    return {place for place, member in members if is_marker(member or "")}


def count_jobs(length: Reply, head: Reply, tail: Reply) -> int | None:
    """Returns the number of jobs in a list from the replies to `ends`; None if it was refused."""
    members = number(length)
    return None if members is None else max(0, members - len(markers(length, head, tail)))


def _signs(
    meta: Sequence[str | None], types: Mapping[str, str], lengths: Mapping[str, int | None]
) -> Signs:
    _, version, concurrency, max_events = meta
    return Signs(
        version=version or "",
        configured=any(one is not None for one in (version, concurrency, max_events)),
        events=types["events"] == "stream",
        groups=types["groups"] == "zset",
        # A state's sorted set exists, and has the right type, if it has a length.
        newer_keys=any(
            types[key] == kind if key in types else lengths[key] for key, kind in NEWER_KEYS.items()
        ),
        # A key that the ACL hides has an empty type here, and may exist.
        any_key=any(length != 0 for length in lengths.values())
        or any(kind != "none" for kind in types.values()),
    )


def _status(queue: QueueKey, replies: list[Reply]) -> tuple[QueueStatus, Signs]:
    """A queue's status from its keys alone, and the signs of its kind except for its jobs."""
    answers = iter(replies)
    counts: dict[JobState, int | None] = {}
    lengths: dict[str, int | None] = {}  # with the markers; None where a key can't be read as it is
    for state in JobState:
        length = next(answers)
        lengths[state.key] = number(length)
        if state.is_list:
            counts[state] = count_jobs(length, next(answers), next(answers))
        else:
            counts[state] = number(length)
    meta = texts(next(answers)) or [None] * len(_META)
    types = {suffix: text(answer) or "" for suffix, answer in zip(TYPES, answers, strict=True)}
    return judge_status(queue, counts, lengths, meta, types)


def judge_status(
    queue: QueueKey,
    counts: Mapping[JobState, int | None],
    lengths: Mapping[str, int | None],
    meta: Sequence[str | None],
    types: Mapping[str, str],
) -> tuple[QueueStatus, Signs]:
    """A queue's status from what was read of its keys, and the signs of its kind but for its jobs.

    Args:
        queue: the queue.
        counts: jobs in each state.
        lengths: members of each state's key, by its suffix, with the markers.
        meta: the values of ``paused``, ``version``, ``concurrency`` and ``opts.maxLenEvents``.
        types: of the keys `TYPES`, by suffix; empty where refused.
    """
    paused, version, concurrency, max_events = meta
    signs = _signs(meta, types, lengths)
    kind = kind_of(signs)
    named = version is not None or max_events is not None
    shown = types["id"] == "string" or paused is not None or kind is Kind.BULLMQ
    lives = types["events"] == "stream" or any(counts.values())
    status = QueueStatus(
        queue=queue,
        counts=counts,
        kind=kind,
        paused=paused is not None,
        version=version or "",
        concurrency=Garbage().number("concurrency", concurrency),
        exists=named or (lives and shown),
        hidden=not any(types.values()) and all(one is None for one in lengths.values()),
    )
    return status, signs


async def ask_the_jobs(
    client: Client, found: Sequence[tuple[QueueStatus, Signs]]
) -> list[QueueStatus]:
    """The statuses; where no key reveals a queue's kind, the jobs that ran last decide."""
    statuses = [status for status, _ in found]
    doubtful = [
        at
        for at, status in enumerate(statuses)
        if status.kind is Kind.BULL and any(status.count(state) for state in _HAVE_RUN)
    ]
    if not doubtful:
        return statuses
    queues = [statuses[at].queue for at in doubtful]
    newest_jobs = await ask(client, [command for queue in queues for command in newest(queue)])
    try:
        modern = await last_ran_modern(client, queues, newest_jobs)
    except NoPermissionError:
        return statuses
    for at, one in zip(doubtful, modern, strict=True):
        kind = kind_of(replace(found[at][1], ran_modern=one))
        exists = statuses[at].exists or kind is Kind.BULLMQ
        statuses[at] = replace(statuses[at], kind=kind, exists=exists)
    return statuses


async def check_permission(client: Client, queues: Sequence[QueueKey]) -> None:
    """Checks that the ACL lets us read the queues. Costs one round trip.

    Many reads treat a refused key as missing, so that one refusal does not cost the rest. If every
    key is refused, the server would look empty: call this first.

    Raises:
        redis.exceptions.NoPermissionError: the ACL forbids reading one of them.
    """
    await ask_all(client, [("HMGET", queue.key("meta"), "version") for queue in queues])


async def read_status(client: Client, queues: Sequence[QueueKey]) -> list[QueueStatus]:
    """Returns the counts of all eight states, pause flag, version and kind of each queue, in order.

    Markers in lists are not counted. A count is None if Redis refused it (ACL, wrong type).

    Costs one round trip for any number of queues, 21 commands of O(1) each; two more if the kind of
    some can only be found out from their jobs (Bull 3/4, ``meta`` deleted).
    """
    replies = await ask(client, [command for queue in queues for command in _commands(queue)])
    found = [
        _status(queue, replies[start : start + _COMMANDS_A_QUEUE])
        for queue, start in zip(queues, range(0, len(replies), _COMMANDS_A_QUEUE), strict=True)
    ]
    return await ask_the_jobs(client, found)
