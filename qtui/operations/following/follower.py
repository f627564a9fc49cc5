"""Follows exactly the jobs that a campaign retried, until each has a final outcome. Reads only.

The queue's events report outcomes at once, and are the only source for a job that was removed when
it completed. But streams are trimmed, and some changes have no event. So the states of jobs that
are still open are read too: at once if events may have been missed, and from time to time anyway.
BullMQ writes a ``failed`` event only for a final failure; a job with attempts left is ``delayed``,
or ``waiting`` again (moveToFinished, moveToDelayed and retryJob, 1.91.1 to 6.7.0).
"""

from __future__ import annotations

import asyncio
from array import array
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Sequence
from dataclasses import replace
from typing import Final

from qtui.bullmq.codes import Code, Result
from qtui.bullmq.connection.client import Client
from qtui.bullmq.connection.trouble import LOST, REFUSED
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState
from qtui.bullmq.reads.events.log import Event, EventLog
from qtui.bullmq.reads.places import Places
from qtui.bullmq.reads.reader import Whereabouts
from qtui.operations.following.looking import looks, never
from qtui.operations.following.outcome import (
    WAITING,
    Fate,
    Followed,
    Outcome,
    Outcomes,
    OutcomeTally,
    outcome,
)

MOST_FOLLOWED: Final = 200_000
"""Most jobs that are followed."""

EVENT_READS: Final = 20
"""Most commands that read events in one `Follower.look`."""

JOBS_A_READ: Final = 1000
READS_A_LOOK: Final = 5
"""Most reads of the states of `JOBS_A_READ` jobs in one `Follower.look`."""

_STRANGERS: Final = 10_000
_EVENTS_OF_ONE: Final = 20

_SOON, _SOON_AT_MOST = 0.5, 2.0
_SELDOM, _SELDOM_AT_MOST = 3.0, 30.0
"""Seconds between two reads of the open jobs' states: with events missing, and normally."""
_SHARE: Final = 5
"""A read of all open states waits until this many times its own duration has passed."""
_EACH: Final = 0.00002
"""Assumed seconds for reading the state of one job, until measured."""

_ANY: Final = float("nan")

_DELAYED: Final = Outcome(Fate.DELAYED)
_COMPLETED: Final = Outcome(Fate.COMPLETED)
_GONE: Final = Outcome(Fate.GONE)
_UNDER_WAY: Final = {
    "waiting": WAITING,
    "waiting-children": WAITING,
    "active": Outcome(Fate.ACTIVE),
    "delayed": _DELAYED,
}
_RETRIED: Final = ("waiting", "waiting-children")
_ENDS: Final = ("completed", "failed", "removed", "retries-exhausted")
_FINISHED: Final = (JobState.COMPLETED, JobState.FAILED)


class _Strangers:
    """Events of jobs that may be ours: a retried job may run before its call's result arrives."""

    def __init__(self, state: JobState) -> None:
        self._state = state
        self._events: dict[str, list[Event]] = {}
        self.forgot = False

    def note(self, event: Event) -> None:
        """Keeps a job's events from its retry out of our state on."""
        if event.name in _RETRIED and event.prev == self._state:
            self._events.pop(event.job_id, None)
            if len(self._events) >= _STRANGERS:
                del self._events[next(iter(self._events))]
                self.forgot = True
            self._events[event.job_id] = [event]
        elif seen := self._events.get(event.job_id):
            seen.append(event)
            del seen[1 : len(seen) - _EVENTS_OF_ONE]

    def take(self, job_ids: Sequence[str]) -> list[Event]:
        """Returns the events of these jobs so far, from the retry of each on, and forgets them."""
        known = [one for one in job_ids if one in self._events] if self._events else []
        return [event for one in known for event in self._events.pop(one)]


class Follower:
    """Tracks the outcomes of retried jobs.

    An outcome becomes final once, by this retry: a job that failed again stays ``failed again``
    even if another process retries it later; the tally counts those.

    Args:
        client: where to read.
        queue: the queue of the jobs.
        state: the state from which they are retried.
        most: most jobs to follow, at some 200 bytes each; further jobs are only counted.
    """

    def __init__(
        self, client: Client, queue: QueueKey, state: JobState, *, most: int = MOST_FOLLOWED
    ) -> None:
        self.queue = queue
        self.state = state
        self.behind = False
        """Whether the last look left something to read, so that the next should come soon."""
        self.looked = False
        """Whether any events or states were read."""
        self.blind = ""
        """Redis's error if it refuses to read the jobs' states (an ACL), else empty."""
        self._most = most
        self._places = Places(client, queue)
        self._log = EventLog(client, queue, [*_UNDER_WAY, *_ENDS])
        self._strangers = _Strangers(state)
        self._jobs = Outcomes()
        self._missing: set[str] = set()
        self._looking = asyncio.Lock()
        self._pins = array("d")
        """The score at which each job was retried, in the order of `Outcomes`; NaN for any."""
        self._left: list[tuple[str, float]] = []  # states still to be read, the next one last
        self._swept = self._began = self._next = self._stirred = 0.0
        self._each = _EACH
        self._pause = _SELDOM
        self._lossy = self._found = self._urgent = self._missed = False
        self._settled = False

    @property
    def outcomes(self) -> Outcomes:
        """The outcomes so far of all followed jobs, by id."""
        return self._jobs

    @property
    def undecided(self) -> int:
        """Number of followed jobs whose outcome is not final."""
        return self._jobs.undecided

    @property
    def latest(self) -> deque[bool]:
        """For each of the latest final outcomes, whether it failed again or is unknown."""
        return self._jobs.latest

    def of(self, ids: Sequence[str]) -> dict[str, Outcome]:
        """Returns the outcomes so far of those of these jobs that are followed."""
        return {one: self._jobs[one] for one in ids if one in self._jobs}

    @property
    def settled(self) -> bool:
        """Whether the tally was complete at the last `conclude`: every open job was read."""
        return self._settled or not self.undecided

    @property
    def mute(self) -> bool:
        """Whether there are no events to follow: the queue has none, or they can't be read."""
        return self._log.is_empty or bool(self._log.refusal)

    def tally(self, ids: Iterable[str] | None = None) -> OutcomeTally:
        """Counts all jobs, or those of ``ids`` that are followed. Costs Redis nothing.

        O(ids) if these are given, for a canary. If events were lost and the states can't be read,
        open jobs count as unknown.
        """
        found = self._jobs.tally(ids)
        return found.as_unknown() if self.blind and self._missed else found

    def final(self, ids: Sequence[str] | None = None) -> OutcomeTally:
        """As `tally`, for a verdict: open jobs that `conclude` could not read count as unknown.

        Those of ``ids`` that are not followed count as ``beyond``.
        """
        found = self.tally(ids)
        if ids is not None:
            found = replace(found, beyond=len(set(ids)) - found.followed)
        return found if self.settled else found.as_unknown()

    async def begin(self) -> None:
        """Notes the current end of the events. Call it before the first batch is sent.

        Costs one command and one event.

        Raises:
            LOST: the server did not answer.
        """
        await self._log.begin()
        self._swept = asyncio.get_running_loop().time()
        self._next = self._swept + self._pause

    def add(
        self,
        results: Sequence[Result],
        errors: Sequence[str | None] = (),
        pins: Sequence[float | None] = (),
    ) -> None:
        """Begins to follow the jobs in ``results`` that were retried, and ignores the others.

        They may have run already: recent events of unknown jobs were kept for this call.

        Args:
            results: the results of a batch.
            errors: for each job its previous failedReason, or None; empty if they are unknown.
            pins: for each job the score at which it was retried, None for any; a job found at that
                score again has not run. Empty if they are unknown.
        """
        fresh = [at for at, one in enumerate(results) if one.code is Code.DONE]
        retried = [results[at].job_id for at in fresh]
        if self._jobs.known(retried):
            fresh = [at for at in fresh if results[at].job_id not in self._jobs]
            retried = [results[at].job_id for at in fresh]
        before = [errors[at] for at in fresh] if errors else [None] * len(fresh)
        scores = [pins[at] for at in fresh] if pins else [None] * len(fresh)
        room = max(0, self._most - len(self._jobs))
        self._jobs.beyond += max(0, len(retried) - room)
        self._jobs.add(retried[:room], before[:room])
        self._pins.extend([_ANY if one is None else one for one in scores[:room]])
        self._settled = False
        for event in self._strangers.take(retried[:room]):
            if job := self._jobs.job(event.job_id):
                self._apply(job, event)
        if self._strangers.forgot:
            self._strangers.forgot = False
            self._hurry()

    def leave_out(self, jobs: int) -> None:
        """Counts jobs that another process has retried, and that are not followed."""
        self._jobs.beyond += jobs

    def withdraw(self, ids: Iterable[str]) -> None:
        """Marks jobs as back where they were before the retry, and voids their outcomes."""
        for job_id in ids:
            self._jobs.undo(job_id)
        self._settled = False

    async def glance(self) -> None:
        """As `look`, for a second reader: the changes are left for the next `look`."""
        async with self._looking:
            await self._look()

    async def look(self) -> set[str]:
        """Reads what is new, and returns the ids whose outcome has changed since the last look.

        Each change is returned once, so call it from one loop; concurrent looks take turns.

        Costs an XRANGE for each 1,000 new events of any job, at most `EVENT_READS` (twice that if
        jobs are gone). When the open states are due, up to `READS_A_LOOK` times `Places.read` with
        `JOBS_A_READ` jobs on top, which never searches long lists; a longer read is spread over
        several looks.

        Raises:
            LOST: the server did not answer; look again.
        """
        await self.glance()
        return self._jobs.changed()

    async def _look(self) -> None:
        at_end = await self._read()
        self.looked = True
        if self._is_due():
            await self._read_states()
            if self._missing:
                # The outcome of a job that is gone may be in an event that arrived meanwhile.
                at_end = await self._read()
        self.behind = bool(self._left) or not at_end

    async def conclude(self, seconds: float) -> bool:
        """Reads all that is left without pausing; returns whether the tally is now complete.

        For the end of following: a job that is still open then really is, and no lost event hides
        its outcome. The next `look` returns the changes. Does nothing if all outcomes are final,
        and gives up if the connection is lost.

        Args:
            seconds: the longest time to take.

        Costs the rest of the events, and `Places.read` of all open jobs.
        """
        if not self.undecided or self.blind:
            self._settled = not (self.blind and self._missed)
            return self.settled
        try:
            async with asyncio.timeout(seconds), self._looking:
                self._left.clear()
                self._next = 0.0
                await self._look()
                while self.behind:
                    await self._look()
        except (*LOST, TimeoutError):
            self._settled = False
        else:
            self._settled = not (self.blind and self._missed)
        return self.settled

    async def watch(
        self,
        seconds: float,
        stop: Callable[[], bool] = never,
        ids: Sequence[str] | None = None,
    ) -> AsyncIterator[set[str]]:
        """Follows the jobs until all outcomes are final or the time is up; yields changed ids.

        Looks ten times a second while something changes, slowing down to once a second, and pauses
        at least as long as a look took (of which Redis's own time is a small part). Waits for a
        lost connection. Tries at least one look, and reads all open jobs once more when the time is
        up, so that their states are current.

        Args:
            seconds: the longest time to follow.
            stop: checked between looks, every 0.1 s.
            ids: the jobs to wait for (a canary); by default all.
        """
        async for _ in self._looks(seconds, stop, ids):
            if changed := self._jobs.changed():
                yield changed

    def _looks(
        self, seconds: float, stop: Callable[[], bool], ids: Sequence[str] | None
    ) -> AsyncGenerator[None]:
        """As `watch`, but does not yield the changes."""

        async def look() -> bool:
            before = self._jobs.moves
            await self.glance()
            return self.behind or self._jobs.moves > before

        return looks(
            seconds,
            look=look,
            any_open=lambda: self._any_open(ids),
            stop=stop,
            conclude=self.conclude,
        )

    async def settle(
        self,
        seconds: float,
        stop: Callable[[], bool] = never,
        ids: Sequence[str] | None = None,
    ) -> OutcomeTally:
        """Waits until all outcomes are final or the time is up; returns the tally (of ``ids``).

        As `watch`, but leaves the changes for a concurrent caller of `watch`.
        """
        async for _ in self._looks(seconds, stop, ids):
            pass
        return self.tally(ids)

    def _any_open(self, ids: Sequence[str] | None) -> bool:
        return self.undecided > 0 if ids is None else any(map(self._jobs.is_open, ids))

    # Events

    async def _read(self) -> bool:
        """Reads events; whether their end was reached. Then missing jobs without one are gone."""
        for _ in range(EVENT_READS):
            part = await self._log.read()
            for event in part.events:
                if job := self._jobs.job(event.job_id):
                    self._apply(job, event)
                else:
                    self._strangers.note(event)
            if not part.whole and (part.read or not self._lossy):
                self._hurry()
            self._lossy = not part.whole
            self._missed |= self._lossy
            if part.read:
                self._stirred = asyncio.get_running_loop().time()
            if part.at_end:
                missing, self._missing = self._missing, set()
                for job_id in missing:
                    self._jobs.note(job_id, _GONE)
                return True
        return False

    def _apply(self, job: Followed, event: Event) -> None:
        name, job_id = event.name, event.job_id
        if job.outcome.fate.is_final:
            self._apply_late(job, event)
        elif name in _UNDER_WAY:
            job.armed = True
            self._jobs.note(job_id, _UNDER_WAY[name])
        elif name == "retries-exhausted" or (not job.armed and name in (self.state, "removed")):
            self._hurry()  # a failure without an event; or the event is older than the retry
        elif name == "failed":
            job.armed = self._jobs.fail(job_id, event.error)
        else:
            job.armed = self._jobs.note(job_id, _COMPLETED if name == "completed" else _GONE)

    def _apply_late(self, job: Followed, event: Event) -> None:
        """Takes an event after the final outcome, or that of an outcome first read as a state."""
        if event.name in _FINISHED:
            job.armed = True
        elif job.armed and event.name == "waiting" and event.prev in _FINISHED:
            self._jobs.retried_since(event.job_id)

    # States

    def _hurry(self) -> None:
        """Makes the next read of states due soon, since events may have been missed."""
        self._urgent = True
        self._next = min(self._next, self._swept + max(_SOON, self._price()))

    def _price(self) -> float:
        """Seconds to wait before the open states are read again, in proportion to the read."""
        return _SHARE * self._each * self.undecided

    def _is_due(self) -> bool:
        if self.blind or not self.undecided:
            self._left.clear()
            return False
        now = asyncio.get_running_loop().time()
        if self._missed and self._began < self._stirred < now - _SOON:
            self._hurry()  # no more events arrive, and some were missed
        return bool(self._left) or now >= self._next

    async def _read_states(self) -> None:
        """Reads the states of open jobs, some in each look, in the order of their retry."""
        time = asyncio.get_running_loop().time
        if not self._left:
            self._began, self._found, self._urgent = time(), False, False
            self._next = self._began + _SELDOM_AT_MOST
            pinned = zip(self._jobs, self._pins, strict=True)
            self._left = [one for one in pinned if self._jobs.is_open(one[0])][::-1]
        for _ in range(READS_A_LOOK):
            chunk = {
                one: pin for one, pin in self._left[-JOBS_A_READ:][::-1] if self._jobs.is_open(one)
            }
            start = time()
            try:
                places = await self._places.read([*chunk])
            except REFUSED as error:
                self.blind = str(error)
                return
            if chunk:
                self._each = (time() - start) / len(chunk)
            del self._left[-JOBS_A_READ:]
            for job_id, where in places.items():
                self._place(job_id, where, chunk[job_id])
            if not self._left:
                return self._rest(time())

    def _rest(self, now: float) -> None:
        """Schedules the next read of states: the less this one found, the later."""
        self._swept = now
        first, longest = (_SOON, _SOON_AT_MOST) if self._lossy else (_SELDOM, _SELDOM_AT_MOST)
        self._pause = first if self._found else min(max(first, self._pause * 1.5), longest)
        pause = _SOON if self._urgent else self._pause
        self._next = now + max(pause, self._price())

    def _place(self, job_id: str, where: Whereabouts, pin: float) -> None:
        seen = outcome(where, pin)
        if seen.fate is Fate.GONE:
            self._missing.add(job_id)
        elif seen.fate is Fate.FAILED_AGAIN:
            found = self._jobs.fail(job_id, where.failed_reason or "")
            self._decided(job_id, found)
        else:
            found = self._jobs.note(job_id, _DELAYED if where.state is JobState.DELAYED else seen)
            self._decided(job_id, found)

    def _decided(self, job_id: str, found: bool) -> None:
        self._found |= found
        job = self._jobs.job(job_id)
        if found and job is not None and job.outcome.fate.is_final:
            job.armed = False  # until its event arrives, too
