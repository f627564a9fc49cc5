"""Faults that only a walk over all jobs of a queue, and over the keyspace, can find. Throttled.

A walk finds ids without jobs, and jobs in two states; the keyspace, of which one SCAN serves any
number of queues, jobs in no state, and dead deduplication ids.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Final

from qtui.bullmq.ask import Command, ask, number, text
from qtui.bullmq.connection.client import Client
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import NOT_JOBS, JobState
from qtui.bullmq.reads.places import states_of
from qtui.bullmq.reads.reader import Reader
from qtui.bullmq.search.walk import Walk
from qtui.bullmq.verdicts.finding import SAMPLE, Finding, Mend
from qtui.text import plural

MOST_NAMED: Final = 1_000
"""Candidates of one kind that are looked at again; more are counted as they were met."""

_MARK: Final = "timestamp"
"""A field that every job has."""


class Sweep:
    """What is found in a queue by meeting every job of its states, and then each of its keys.

    Args:
        client: where to read.
        queue: the queue.
        rate: jobs per second at most; 0 for no limit, None for the throttled pace.

    Costs what `Walk` costs for each of the eight states, and two commands of O(1) for each key that
    names no job of a state; here some 70 bytes for each job.
    """

    def __init__(self, client: Client, queue: QueueKey, *, rate: float | None = None) -> None:
        self._client = client
        self._queue = queue
        self._rate = rate
        self._met: set[int] = set()
        """Hashes of the ids that are in a state."""
        self._no_hash: list[str] = []
        self._twice: list[str] = []
        self._stateless: list[str] = []
        self._dedup: dict[str, str] = {}
        """Owners of deduplication ids."""

    async def walk(self) -> AsyncIterator[int]:
        """Meets the jobs of all states; yields how many there were in each step."""
        for state in JobState:
            walk = Walk(self._client, self._queue, state, fields=(_MARK,), rate=self._rate)
            async for step in walk.steps():
                for one in step:
                    self._meet(one.id, missing=one.fields[_MARK] is None)
                yield len(step)

    async def conclude(self, is_own: Callable[[str], bool] = bool) -> list[Finding]:
        """Returns what is wrong, after another look at each candidate: jobs move meanwhile.

        Args:
            is_own: whether a key is this queue's, by what is known once all keys were seen: names
                of other queues may begin with its own and a colon.
        """
        self._stateless = [one for one in self._stateless if is_own(self._queue.key(one))]
        self._dedup = {
            one: owner for one, owner in self._dedup.items() if is_own(self._queue.key(f"de:{one}"))
        }
        return [
            *await self._missing(),
            *await self._doubled(),
            *await self._in_no_state(),
            *await self._dead_dedup(),
        ]

    def _meet(self, job_id: str, *, missing: bool) -> None:
        mark = hash(job_id)
        if mark in self._met:
            self._twice.append(job_id)
        self._met.add(mark)
        if missing:
            self._no_hash.append(job_id)

    async def take(self, keys: Iterable[str]) -> None:
        """Sorts some keys of the queue, after the walk: jobs in no state, deduplication ids."""
        base = len(self._queue.base) + 1
        own = dict.fromkeys(key[base:] for key in keys)
        suspects = [one for one in own if self._may_be_lost(one)]
        owners = [one for one in own if one.startswith("de:")]
        commands: list[Command] = [("HEXISTS", self._queue.key(one), _MARK) for one in suspects]
        commands += [("GET", self._queue.key(one)) for one in owners]
        replies = await ask(self._client, commands) if commands else []
        kinds, held = replies[: len(suspects)], replies[len(suspects) :]
        self._stateless += [
            one for one, is_job in zip(suspects, kinds, strict=True) if number(is_job) == 1
        ]
        for one, reply in zip(owners, held, strict=True):
            if (owner := text(reply)) is not None:
                self._dedup[one.removeprefix("de:")] = owner

    def _may_be_lost(self, suffix: str) -> bool:
        # A hash with a timestamp is a job; others with a colon belong to jobs and to the queue.
        return suffix not in NOT_JOBS and hash(suffix) not in self._met

    async def _missing(self) -> list[Finding]:
        """Ids in a state whose job has no hash."""
        gone = await self._without_hash(self._no_hash[:MOST_NAMED])
        states = await states_of(self._client, self._queue, gone)
        where = {one: at.state for one, at in states.items() if at.state is not None}
        gone = [one for one in gone if one in where]
        if not gone:
            return []
        more = max(0, len(self._no_hash) - MOST_NAMED)
        key = self._queue.key(where[gone[0]].key)
        return [
            Finding(
                code="no-hash",
                words=f"{plural(len(gone) + more, 'id is', 'ids are')} in a state, but the job is"
                " gone",
                effect="a worker that takes one runs without data; lists and counts are wrong",
                remedy=f"remove them (qtui remove {self._queue.name} {gone[0]}"
                f" --state {where[gone[0]]})",
                queue=self._queue,
                jobs=len(gone) + more,
                mend=Mend.REMOVE,
                members={one: where[one].value for one in gone},
                sample=tuple(gone[:SAMPLE]),
                evidence=(f"{key}: holds {gone[0]}", f"{self._queue.job(gone[0])}: none"),
            )
        ]

    async def _doubled(self) -> list[Finding]:
        """Ids in two states, or twice in one."""
        found: dict[str, list[str]] = {}
        for job_id in dict.fromkeys(self._twice[:MOST_NAMED]):
            places = await self._places(job_id)
            if len(places) > 1:
                found[job_id] = places
        if not found:
            return []
        first, places = next(iter(found.items()))
        return [
            Finding(
                code="two-states",
                words=f"{plural(len(found), 'job is', 'jobs are')} in two states at once",
                effect="it may run twice; the run that ends last decides its result",
                remedy="find out which place is right, and remove the id from the other by hand",
                queue=self._queue,
                jobs=len(found),
                sample=tuple(list(found)[:SAMPLE]),
                evidence=tuple(f"{self._queue.key(one)}: holds {first}" for one in places),
            )
        ]

    async def _places(self, job_id: str) -> list[str]:
        """Every place that holds a job: the suffix of its key, once for each time."""
        commands: list[Command] = [
            ("LPOS", self._queue.key(state.key), job_id, "COUNT", 2)
            if state.is_list
            else ("ZSCORE", self._queue.key(state.key), job_id)
            for state in JobState
        ]
        found: list[str] = []
        for state, reply in zip(JobState, await ask(self._client, commands), strict=True):
            if state.is_list:
                found += [state.key] * (len(reply) if isinstance(reply, list) else 0)
            elif reply is not None and not isinstance(reply, Exception):
                found.append(state.key)
        return found

    async def _in_no_state(self) -> list[Finding]:
        """Jobs with a hash that no state holds."""
        some = self._stateless[:MOST_NAMED]
        where = await Reader(self._client).whereabouts(self._queue, some) if some else {}
        lost = [
            one
            for one in some
            if where[one].state is None and where[one].exists and not where[one].unknown
        ]
        if not lost:
            return []
        more = max(0, len(self._stateless) - MOST_NAMED)
        return [
            Finding(
                code="no-state",
                words=f"{plural(len(lost) + more, 'job is', 'jobs are')} in no state",
                effect="no worker ever takes them, no list shows them, and they take memory",
                remedy=f"look at one (qtui show {self._queue.name} {lost[0]}); if it must still"
                f" run, add a copy (qtui duplicate {self._queue.name} {lost[0]}); then remove it"
                f" (qtui remove {self._queue.name} {lost[0]})",
                queue=self._queue,
                jobs=len(lost) + more,
                mend=Mend.REMOVE,
                members=dict.fromkeys(lost, ""),
                sample=tuple(lost[:SAMPLE]),
                evidence=(f"{self._queue.job(lost[0])}: exists", "no state holds its id"),
            )
        ]

    async def _dead_dedup(self) -> list[Finding]:
        """Deduplication ids that no expiry ends, whose job is gone."""
        ids = list(self._dedup)
        commands: list[Command] = []
        for one in ids:
            commands += [
                ("EXISTS", self._queue.job(self._dedup[one])),
                ("PTTL", self._queue.key(f"de:{one}")),
                ("GET", self._queue.key(f"de:{one}")),
            ]
        replies = await ask(self._client, commands) if commands else []
        rows = zip(ids, replies[::3], replies[1::3], replies[2::3], strict=True)
        dead = [
            one
            for one, exists, left, owner in rows
            if number(exists) == 0 and number(left) == -1 and text(owner) == self._dedup[one]
        ]
        if not dead:
            return []
        return [
            Finding(
                code="dead-dedup",
                words=f"{plural(len(dead), 'deduplication id is', 'deduplication ids are')} held by"
                " a job that is gone, without an expiry",
                effect="every job added with such an id is dropped (BullMQ 5.11 to 6.3.5)",
                remedy=f"release it (qtui limits {self._queue.name})",
                queue=self._queue,
                jobs=len(dead),
                mend=Mend.RELEASE_KEYS,
                members=dict.fromkeys(dead, ""),
                sample=tuple(dead[:SAMPLE]),
                evidence=(f"{self._queue.key(f'de:{dead[0]}')}: {self._dedup[dead[0]]}",),
            )
        ]

    async def _without_hash(self, ids: Sequence[str]) -> list[str]:
        replies = await ask(self._client, [("EXISTS", self._queue.job(one)) for one in ids])
        return [one for one, there in zip(ids, replies, strict=True) if number(there) == 0]
