"""Reads the states of many jobs, at a tenth of the price of `Reader.whereabouts`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from redis.exceptions import RedisError, ResponseError

from qtui.bullmq.ask import (
    Command,
    Reply,
    ask,
    ask_all,
    items,
    score,
    texts,
)
from qtui.bullmq.connection.client import Client
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState
from qtui.bullmq.reads.hashes import read_hashes
from qtui.bullmq.reads.lists import find_in_lists
from qtui.bullmq.reads.page import KEPT
from qtui.bullmq.reads.reader import Reader, Whereabouts

_SETS: Final = tuple(state for state in JobState if not state.is_list)


class Places:
    """Reads the states of jobs in one queue, about a thousand at a time.

    Args:
        client: where to read.
        queue: the queue of the jobs.
    """

    def __init__(self, client: Client, queue: QueueKey) -> None:
        self._client = client
        self._queue = queue
        self._many = True

    async def read(self, ids: Sequence[str]) -> dict[str, Whereabouts]:
        """Returns the state of each job by id. A job that waits in a list has no state.

        Costs three round trips: a ZMSCORE for each sorted-set state (a ZSCORE per state and job if
        the server is older than Redis 6.2 or refuses ZMSCORE), then an HGET for each failed job,
        and an EXISTS and an LPOS in ``active`` for each job that is in no sorted set.

        Raises:
            redis.exceptions.ResponseError: Redis refused to read the states.
            redis.exceptions.ConnectionError, TimeoutError: the server did not answer.
        """
        found = await self._in_sets(ids)
        failed = [one for one in ids if found[one].state is JobState.FAILED]
        listless = [one for one in ids if found[one].state is None]
        commands: list[Command] = [("EXISTS", self._queue.job(one)) for one in listless]
        replies = await ask_all(self._client, commands) if commands else []
        jobs = [self._queue.job(one) for one in failed]
        reasons = await read_hashes(self._client, jobs, ["failedReason"], _reason)
        for job_id, reason in zip(failed, reasons, strict=True):
            found[job_id] = Whereabouts(JobState.FAILED, True, found[job_id].score, reason)
        lists = await find_in_lists(self._client, self._queue, listless, [JobState.ACTIVE])
        for job_id, exists in zip(listless, replies, strict=True):
            found[job_id] = Whereabouts(None, exists != 0).in_list(lists[job_id])
        return found

    async def is_empty(self) -> bool:
        """Whether nothing is left of the queue: none of its own keys exists.

        Costs one round trip with an EXISTS for each of a dozen keys.
        """
        suffixes = ["meta", "id", "events", *(state.key for state in JobState)]
        commands: list[Command] = [("EXISTS", self._queue.key(one)) for one in suffixes]
        return not any(reply == 1 for reply in await ask_all(self._client, commands))

    async def scores(self, state: JobState, ids: Sequence[str]) -> list[float | None]:
        """Returns the score of each job in one sorted-set state, None if it is not in it.

        Costs one ZMSCORE, or a ZSCORE for each job in one round trip.

        Raises:
            redis.exceptions.NoPermissionError: the ACL forbids reading the state.
            redis.exceptions.ConnectionError, TimeoutError: the server did not answer.
        """
        [column] = await self._scores(ids, [self._queue.key(state.key)]) if ids else [[]]
        return [score(one) for one in column]

    async def _in_sets(self, ids: Sequence[str]) -> dict[str, Whereabouts]:
        keys = [self._queue.key(state.key) for state in _SETS]
        columns = await self._scores(ids, keys) if ids else []
        found = {}
        for at, job_id in enumerate(ids):
            found[job_id] = Whereabouts(None)
            for state, scores in zip(_SETS, columns, strict=True):
                if (place := score(scores[at])) is not None:
                    found[job_id] = Whereabouts(state, True, place)
                    break
        return found

    async def _scores(self, ids: Sequence[str], keys: Sequence[str]) -> list[list[Reply]]:
        """For each sorted set, the score of each job in it, or None."""
        if self._many:
            replies = await ask(self._client, [("ZMSCORE", key, *ids) for key in keys])
            if not any(isinstance(reply, RedisError) for reply in replies):
                return [items(reply) for reply in replies]
            # Unknown, renamed or forbidden; or one key has the wrong type, so no job is in it.
            self._many = any(not isinstance(reply, RedisError) for reply in replies)
        single = await ask_all(self._client, [("ZSCORE", key, one) for key in keys for one in ids])
        width = len(ids)
        columns = [single[at : at + width] for at in range(0, len(single), width)]
        return [[None if isinstance(one, RedisError) else one for one in some] for some in columns]


async def states_of(client: Client, queue: QueueKey, ids: Sequence[str]) -> dict[str, Whereabouts]:
    """Returns the state of each job, whether it has a hash or not.

    Costs what `Reader.whereabouts` costs, and an LPOS for each list and job in no sorted set, O(n).

    Raises:
        redis.exceptions.ResponseError: a state could not be read, so that it is not certain.
    """
    found = await Reader(client).whereabouts(queue, ids, (), reasons=False)
    listless = [one for one in ids if found[one].state is None]
    lists = [state for state in JobState if state.is_list]
    listed = await find_in_lists(client, queue, listless, lists)
    found |= {one: found[one].in_list(seen) for one, seen in listed.items()}
    if unknown := next((one.unknown for one in found.values() if one.unknown), ""):
        raise ResponseError(unknown)
    return found


def _reason(_: int, fields: Reply, __: Sequence[Reply]) -> str | None:
    """The beginning of a failedReason, None if there is none."""
    [reason] = texts(fields) or [None]
    return (reason or "")[:KEPT] or None
