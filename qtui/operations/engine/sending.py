"""Sends calls, and establishes what each one did, even if the connection or the server is lost.

If the reply is lost, it is unknown what the call did, so the jobs are read before anything else. A
call is one atomic step: while any of its jobs is where it was, the lost call has done nothing yet,
and is sent again. That is safe even if the lost call is carried out late, since each job is pinned
to the state it was picked in. If the second call moves any job, the lost one had done nothing, and
the codes are right; if it finds none left, the lost one moved them.

A server that takes no writes for now (`trouble.condition_of`: a replica, too few replicas, a full
disk, …) refuses the whole call or each of its jobs, for a reason that has nothing to do with them.
The jobs are sent again once it has recovered. An ACL that forbids this user to move jobs is such a
refusal too, but does not go away by itself: it ends the sending at once.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from qtui.bullmq.codes import Code, Result
from qtui.bullmq.connection.client import Client
from qtui.bullmq.connection.trouble import LOST, Unable, denial_of, general_refusal
from qtui.bullmq.reads.ping import ping
from qtui.operations.engine.action import Load, Seen
from qtui.operations.engine.call_size import CallSize
from qtui.operations.engine.patience import LAST_CALL, LAST_LOOK, Patience, Stop

T = TypeVar("T")


class OutOfReach(Exception):
    """The server was in trouble for too long or during a stop, or refuses this user."""

    def __init__(self, sent: Sent | None = None, *, condition: str = "") -> None:
        super().__init__(condition or "the connection was lost")
        self.sent = sent
        """What is known about the jobs of the call; None if nothing was sent."""
        self.condition = condition
        """Why the server takes no writes, if it answers: no job without a result was moved then."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A call, or the part of it whose results are known."""

    load: Load
    results: Sequence[Result]
    left: Load | None = None
    """Jobs that were refused because of the server's condition: to be sent again."""


class Delivery:
    """Sends calls to one server, and waits for it when it is in trouble.

    Args:
        client: the server.
        patience: seconds to wait for a trouble to end.
        stop: when set, nothing is sent again, and replies are awaited only briefly.
        news: called when `reading` or `trouble` has changed.
    """

    def __init__(
        self, client: Client, *, patience: float, stop: Stop, news: Callable[[], None]
    ) -> None:
        self.size = CallSize()
        self.notes: list[str] = []
        """Redis's errors about refused side effects (event, marker), each once."""
        self.reading = False
        """Whether it is finding out what a lost call did."""
        self._client = client
        self._stop = stop
        self._news = news
        # Two, since reads may work while writes are refused.
        self._calls = _Trouble(patience, stop, news)
        self._reads = _Trouble(patience, stop, news)
        self._round_trip = 0.0

    @property
    def trouble(self) -> str:
        """What is wrong with the server; empty while it is well."""
        return self._calls.words or self._reads.words

    async def measure(self) -> None:
        """Checks that the server answers, and measures how long it takes. Costs a PING."""
        async with self._stop.at_most(LAST_CALL):
            self._round_trip = await ping(self._client)

    async def send(self, load: Load) -> Sent:
        """Sends one call; returns the result of each job, in order.

        Raises:
            OutOfReach: the effect of the call could not be found out, at least not for every job.
            ForeignQueue: the queue is not BullMQ's own; nothing was written.
            REFUSED: Redis refused the call; its jobs are where they were.
        """
        seen: Seen | None = None
        while True:
            start = time.perf_counter()
            try:
                async with self._stop.at_most(LAST_CALL):
                    answer = await load.send()
            except Unable as error:  # it did nothing
                if not await self._calls.bear(error):
                    known = None if seen is None else Sent(load, _given_up(seen))
                    raise OutOfReach(known, condition=error.condition) from None
                continue
            except LOST as error:
                seen = await self._look(load, error)
                if not any(seen.untouched):
                    self._calls.heal()
                    return Sent(load, seen.results)
                if not await self._calls.bear(error):
                    raise OutOfReach(Sent(load, _given_up(seen))) from None
                continue
            self._adapt(answer.seconds, time.perf_counter() - start, len(load))
            if answer.note and answer.note not in self.notes:
                self.notes.append(answer.note)
            results: Sequence[Result] = answer.results
            if seen is not None:
                results = await self._correct(load, seen, results)
            return await self._parted(load, results)

    async def insist(self, work: Callable[[], Awaitable[T]]) -> T:
        """Repeats a read until the server is out of trouble.

        Raises:
            OutOfReach: the trouble lasted too long, or a stop was requested.
        """
        return await self._read(work, self._reads)

    async def _read(self, work: Callable[[], Awaitable[T]], trouble: _Trouble) -> T:
        while True:
            try:
                async with self._stop.at_most(LAST_LOOK):
                    found = await work()
            except LOST as error:
                if not await trouble.bear(error):
                    raise OutOfReach(condition=_condition(error)) from None
            else:
                if trouble is self._reads:
                    trouble.heal()
                return found

    async def _look(self, load: Load, lost: BaseException) -> Seen:
        """Reads the jobs after a lost call.

        Raises:
            OutOfReach: they could not be read for too long: the results are unknown.
        """
        self.reading = True
        self._calls.begin(lost)
        try:
            return await self._read(load.look, self._calls)
        except OutOfReach:
            raise OutOfReach(_unknown(load)) from None
        finally:
            self.reading = False
            self._news()

    async def _correct(self, load: Load, seen: Seen, results: Sequence[Result]) -> list[Result]:
        try:
            return await self._read(lambda: load.correct(seen, results), self._calls)
        except OutOfReach:
            raise OutOfReach(_unknown(load)) from None

    async def _parted(self, load: Load, results: Sequence[Result]) -> Sent:
        """Separates results from refusals that are due to the server's condition, and waits for it.

        Raises:
            OutOfReach: the condition lasted too long, or an ACL refused the jobs.
        """
        general = [
            general_refusal(one.error) if one.code is Code.REFUSED else "" for one in results
        ]
        why = next(filter(None, general), "")
        if not why:
            self._calls.heal()
            return Sent(load, results)
        done = [not one for one in general]
        decided = load.only(done)
        kept = [one for one, is_done in zip(results, done, strict=True) if is_done]
        denied = any(denial_of(one.error) for one in results if one.code is Code.REFUSED)
        if denied or not await self._calls.bear(why):
            raise OutOfReach(Sent(decided, kept), condition=why)
        return Sent(decided, kept, load.only([not one for one in done]))

    def _adapt(self, seconds: float, elapsed: float, jobs: int) -> None:
        """Sizes the next call by the time that Redis took for this one.

        Args:
            seconds: Redis's time as the server measured it, 0 if it can't.
            elapsed: time measured here, including the round trip and waiting for other clients.
            jobs: jobs in the call.
        """
        self._round_trip = min(self._round_trip, elapsed)
        self.size.took(jobs, seconds or elapsed - self._round_trip)


def _given_up(seen: Seen) -> list[Result]:
    """The results of a call that is lost again and again: the last one may still be executed."""
    return [
        Result(one.job_id, Code.UNKNOWN) if untouched else one
        for untouched, one in zip(seen.untouched, seen.results, strict=True)
    ]


def _unknown(load: Load) -> Sent:
    return Sent(load, [Result(one, Code.UNKNOWN) for one in load.ids])


def _condition(why: BaseException | str) -> str:
    if isinstance(why, Unable):
        return why.condition
    return why if isinstance(why, str) else ""


class _Trouble:
    """A trouble with the server, and how much patience is left for it."""

    def __init__(self, seconds: float, stop: Stop, news: Callable[[], None]) -> None:
        self.words = ""
        """The trouble for people; empty while there is none."""
        self._seconds = seconds
        self._stop = stop
        self._news = news
        self._patience: Patience | None = None

    def begin(self, why: BaseException | str) -> Patience:
        """Begins a trouble, or continues it; it lasts until `heal`."""
        self.words = _condition(why) or "Redis does not answer"
        if self._patience is None:
            self._patience = Patience(self._seconds, self._stop)
        self._news()
        return self._patience

    async def bear(self, why: BaseException | str) -> bool:
        """Pauses for the trouble to end; returns False if it has lasted too long."""
        return await self.begin(why).wait()

    def heal(self) -> None:
        """Ends the trouble."""
        if self._patience is not None:
            self._patience, self.words = None, ""
            self._news()
