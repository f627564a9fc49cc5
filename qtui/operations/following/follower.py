"""Follows exactly the jobs that a campaign retried, until each is decided. Reads only.

The queue's events tell at once what becomes of a job, and alone can tell how one ended that was
removed when it completed. But streams are trimmed, and not everything is on record. So the states
of the jobs that are still open are read as well: at once where events may have been missed, and
from time to time anyway. BullMQ puts ``failed`` on record only for a failure that is final; one
with attempts left is ``delayed``, or ``waiting`` again (moveToFinished, moveToDelayed and retryJob,
1.91.1 to 6.7.0).
"""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Sequence
from dataclasses import replace
from typing import Final

from qtui.bullmq.codes import Code, Result
from qtui.bullmq.connection import Client
from qtui.bullmq.connection.trouble import LOST, REFUSED
from qtui.bullmq.events.log import Event, EventLog
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState
from qtui.bullmq.reads.places import Places
from qtui.bullmq.reads.reader import Whereabouts
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
"""Jobs that are followed."""

EVENT_READS: Final = 20
"""Commands that read events, in one look."""

JOBS_A_READ: Final = 1000
READS_A_LOOK: Final = 5
"""Times that the states of `JOBS_A_READ` jobs are read in one look."""

_STRANGERS: Final = 10_000
_EVENTS_OF_ONE: Final = 20

_SOON, _SOON_AT_MOST = 0.5, 2.0
_SELDOM, _SELDOM_AT_MOST = 3.0, 30.0
"""Seconds between two readings of the open states: where events are missing, and else."""
_SHARE: Final = 5
"""What will take a while is not begun before so many times as long has passed."""
_EACH: Final = 0.00002
"""Seconds that it takes to read the state of a job, until it was measured."""

_SHORTEST, _LONGEST = 0.1, 1.0
_PAUSE_WHEN_LOST: Final = 2.0
"""Seconds between two looks."""
GRACE: Final = 2.0
"""Seconds beyond the deadline in which a look may end and open jobs are read once more."""

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


def never() -> bool:
    """Goes on until the time is up."""
    return False


class _Strangers:
    """Events of jobs that may yet turn out to be ours: they run before their result has come."""

    def __init__(self, state: JobState) -> None:
        self._state = state
        self._events: dict[str, list[Event]] = {}
        self.forgot = False

    def note(self, event: Event) -> None:
        """Keeps what befalls a job from the moment when it is retried from our state."""
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
        """What befell these jobs before they were known as ours, from the retry of each on."""
        known = [one for one in job_ids if one in self._events] if self._events else []
        return [event for one in known for event in self._events.pop(one)]


class Follower:
    """What has become of retried jobs.

    A job is decided once, by what came of this retry: one that failed again stays ``failed again``
    when somebody else retries it after that, and the tally says how many were.

    Args:
        client: where to read.
        queue: the queue of the jobs.
        state: the state from which they are retried.
        most: jobs that are followed, at some 200 bytes each; of more only their number is kept.
    """

    def __init__(
        self, client: Client, queue: QueueKey, state: JobState, *, most: int = MOST_FOLLOWED
    ) -> None:
        self.queue = queue
        self.state = state
        self.behind = False
        """Whether the last look left something to read, so that the next should come soon."""
        self.looked = False
        """Whether anything was read of what becomes of the jobs."""
        self.blind = ""
        """Redis's own words where it does not tell the states of jobs (an ACL)."""
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
        """By id, what has become of every job that is followed, as it is now."""
        return self._jobs

    @property
    def undecided(self) -> int:
        """Followed jobs of which more may come."""
        return self._jobs.undecided

    @property
    def settled(self) -> bool:
        """Whether the tally was true when `conclude` was last called: every open job was read."""
        return self._settled or not self.undecided

    @property
    def mute(self) -> bool:
        """Whether the queue's events tell nothing: there are none, or they can't be read."""
        return self._log.is_empty or bool(self._log.refusal)

    def tally(self, ids: Iterable[str] | None = None) -> OutcomeTally:
        """All jobs counted, or of ``ids`` those that are followed. Costs Redis nothing.

        With ``ids`` it is O(ids), which suits a canary. Where events were lost and the states may
        not be read, what the open jobs are now is unknown, and counted so.
        """
        found = self._jobs.tally(ids)
        return found.as_unknown() if self.blind and self._missed else found

    def final(self, ids: Sequence[str] | None = None) -> OutcomeTally:
        """As `tally`, for a verdict: what `conclude` has not read at the end is unknown.

        Those of ``ids`` that are not followed are counted as such.
        """
        found = self.tally(ids)
        if ids is not None:
            found = replace(found, beyond=len(set(ids)) - found.followed)
        return found if self.settled else found.as_unknown()

    async def begin(self) -> None:
        """Notes where the events end now. Call it before the first batch is sent.

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
        """Takes the jobs among ``results`` that were retried; the others are left out.

        They may have run already: what befell jobs that were retried lately is kept for this call.

        Args:
            results: what came of a batch.
            errors: for each the failedReason that was there before, None where there was none;
                nothing at all where they are not known.
            pins: for each the score at which it was retried, None for any; a job that is found
                there again has not run. Nothing at all where they are not known.
        """
        fresh = [at for at, one in enumerate(results) if one.code is Code.RETRIED]
        retried = [results[at].job_id for at in fresh]
        if self._jobs.known(retried):
            fresh = [at for at in fresh if results[at].job_id not in self._jobs]
            retried = [results[at].job_id for at in fresh]
        before = [errors[at] for at in fresh] if errors else [None] * len(fresh)
        scores = [pins[at] for at in fresh] if pins else [None] * len(fresh)
        room = max(0, self._most - len(self._jobs))
        self._jobs.beyond += max(0, len(retried) - room)
        self._jobs.add(retried[:room], before[:room])
        self._pins.extend(_ANY if one is None else one for one in scores[:room])
        self._settled = False
        for event in self._strangers.take(retried[:room]):
            if job := self._jobs.job(event.job_id):
                self._apply(job, event)
        if self._strangers.forgot:
            self._strangers.forgot = False
            self._hurry()

    def leave_out(self, jobs: int) -> None:
        """Counts retried jobs that are not followed: another process has retried them."""
        self._jobs.beyond += jobs

    def withdraw(self, ids: Iterable[str]) -> None:
        """These are back where they were before the retry: what was seen of them since is void."""
        for job_id in ids:
            self._jobs.undo(job_id)
        self._settled = False

    async def look(self) -> set[str]:
        """Reads what is new; the ids whose outcome has changed since the last look.

        Each change is handed out once, so one loop should drive it; two looks at a time take turns.

        Costs an XRANGE of up to 1,000 events for each 1,000 that are new, `EVENT_READS` at most
        (twice that where jobs are gone), be they of our jobs or not. When the open states are due,
        up to `READS_A_LOOK` times `Places.read` with `JOBS_A_READ` jobs each on top, which never
        searches long lists; several looks share a longer reading.

        Raises:
            LOST: the server did not answer; look again.
        """
        async with self._looking:
            await self._look()
            return self._jobs.changed()

    async def _look(self) -> None:
        at_end = await self._read()
        self.looked = True
        if self._is_due():
            await self._read_states()
            if self._missing:
                # How a job ended that is gone may stand in an event that came meanwhile.
                at_end = await self._read()
        self.behind = bool(self._left) or not at_end

    async def conclude(self, seconds: float) -> bool:
        """Reads all that is left to read, without a rest: whether the tally is true as of now.

        For the end of following: what is then still open is open, and no lost event hides an end.
        The next `look` hands the changes out. It does nothing where all are decided, and gives up
        where the connection is lost.

        Args:
            seconds: how long at most.

        Costs what is left of the events, and `Places.read` of all open jobs.
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
        """Looks until all are decided, or the time is up, and yields the changes as they come.

        It looks ten times a second while something changes, else more and more seldom down to once
        a second, and rests at least as long as a look takes, a small part of which is Redis's own
        time. A lost connection is waited for. At least one look is tried, and when the time is up
        all open jobs are read once more, so that what is said of them is as it is then.

        Args:
            seconds: how long at most.
            stop: asked between looks, every 0.1 s.
            ids: wait for these only (a canary); all by default.
        """
        async for _ in self._looks(seconds, stop, ids):
            if changed := self._jobs.changed():
                yield changed

    async def _looks(
        self, seconds: float, stop: Callable[[], bool], ids: Sequence[str] | None
    ) -> AsyncGenerator[None]:
        """As `watch`, but hands no change out."""
        time = asyncio.get_running_loop().time
        deadline, pause = time() + seconds, _SHORTEST
        while True:
            start, before = time(), self._jobs.moves
            try:
                async with asyncio.timeout_at(max(start, deadline) + GRACE), self._looking:
                    await self._look()
            except LOST:
                pause = min(pause * 2, _PAUSE_WHEN_LOST)
            else:
                busy = self.behind or self._jobs.moves > before
                pause = _SHORTEST if busy else min(pause * 1.5, _LONGEST)
                pause = max(pause, time() - start)
            yield
            rested = min(time() + pause, deadline)
            while True:
                if stop() or not self._any_open(ids):
                    return
                if time() >= deadline:
                    await self.conclude(deadline + GRACE - time())
                    yield
                    return
                if time() >= rested:
                    break
                await asyncio.sleep(min(_SHORTEST, pause))

    async def settle(
        self,
        seconds: float,
        stop: Callable[[], bool] = never,
        ids: Sequence[str] | None = None,
    ) -> OutcomeTally:
        """The tally, of ``ids`` where they are given, once all are decided or the time is up.

        As `watch`, but the changes are left to whoever watches at the same time.
        """
        async for _ in self._looks(seconds, stop, ids):
            pass
        return self.tally(ids)

    def _any_open(self, ids: Sequence[str] | None) -> bool:
        return self.undecided > 0 if ids is None else any(map(self._jobs.is_open, ids))

    # Events

    async def _read(self) -> bool:
        """Whether the end was reached; then jobs that were missing and told nothing are gone."""
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
            self._hurry()  # a failure went untold; or it is older than the retry
        elif name == "failed":
            job.armed = self._jobs.fail(job_id, event.error)
        else:
            job.armed = self._jobs.note(job_id, _COMPLETED if name == "completed" else _GONE)

    def _apply_late(self, job: Followed, event: Event) -> None:
        """What comes after the end; where a state has told that first, the end itself comes now."""
        if event.name in _FINISHED:
            job.armed = True
        elif job.armed and event.name == "waiting" and event.prev in _FINISHED:
            self._jobs.retried_since(event.job_id)

    # States

    def _hurry(self) -> None:
        """Something may have been missed: the states are due soon."""
        self._urgent = True
        self._next = min(self._next, self._swept + max(_SOON, self._price()))

    def _price(self) -> float:
        """Seconds for which nothing is read of the open states, as it would take long."""
        return _SHARE * self._each * self.undecided

    def _is_due(self) -> bool:
        if self.blind or not self.undecided:
            self._left.clear()
            return False
        now = asyncio.get_running_loop().time()
        if self._missed and self._began < self._stirred < now - _SOON:
            self._hurry()  # it has become quiet, and not all that was to hear was heard
        return bool(self._left) or now >= self._next

    async def _read_states(self) -> None:
        """Reads the states of open jobs, some a look, in the order in which they were retried."""
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
        """The next reading of states comes the later, the less this one found."""
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
            job.armed = False  # until the events have told it too
