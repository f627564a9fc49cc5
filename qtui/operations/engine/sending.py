"""Sends calls, and establishes what each one did, whatever happens to the connection or the server.

A reply that does not come says nothing of what the call did. So the jobs are read before anything
else happens. A call is one atomic step: while any of its jobs is where it was, the lost call has
done nothing yet, and is sent again. That is safe even if the lost call is carried out late, because
each job is pinned to how it was picked. When the second call moves any of them, the lost one had
done nothing, and the codes tell the truth; when it finds none left, the lost one took them.

A server that takes no writes for now (`trouble.condition_of`: a replica, too few replicas, a disk
that is full, …) says so to a whole call or to each of its jobs, and means none of them. Those jobs
are sent again when it has healed. An ACL that forbids this user to move jobs means none of them
either, but does not heal by itself: it ends the sending at once.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from qtui.bullmq.codes import Code, Result
from qtui.bullmq.connection import Client
from qtui.bullmq.connection.trouble import LOST, Unable, denial_of, general_refusal
from qtui.bullmq.reads.ping import ping
from qtui.operations.engine.action import Load, Seen
from qtui.operations.engine.patience import LAST_CALL, LAST_LOOK, Patience, Stop

T = TypeVar("T")

LARGEST_CALL: Final = 200
SMALLEST_CALL: Final = 10
AIM: Final = 0.001
"""Seconds for which one call should keep Redis busy."""

CALLS: Final = 5
"""Calls that were slow before the next ones are smaller."""


class OutOfReach(Exception):
    """The server was in trouble for too long or while a stop was asked for, or denies this user."""

    def __init__(self, sent: Sent | None = None, *, condition: str = "") -> None:
        super().__init__(condition or "the connection was lost")
        self.sent = sent
        """What is known of the jobs that were on their way; None where nothing is."""
        self.condition = condition
        """Why it takes no writes of ours, where it answers: no job without a result was moved."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A call, or the part of it that was decided."""

    load: Load
    results: Sequence[Result]
    left: Load | None = None
    """Jobs that the server, not the call, was refused for: to be sent again."""


class Delivery:
    """The way of calls to one server, and how it fares on it.

    Args:
        client: the server.
        patience: seconds for which a trouble is waited for.
        stop: when set, nothing is sent again, and what was sent is waited for briefly.
        news: called when `reading` or `trouble` has changed.
    """

    def __init__(
        self, client: Client, *, patience: float, stop: Stop, news: Callable[[], None]
    ) -> None:
        self.size = LARGEST_CALL // 4
        """Jobs that the next call should have."""
        self.notes: list[str] = []
        """Redis's words where a side effect (event, marker) was refused; each once."""
        self.reading = False
        """Whether it finds out what a lost call did."""
        self._client = client
        self._stop = stop
        self._news = news
        # Two, as reads go on while writes are refused.
        self._calls = _Trouble(patience, stop, news)
        self._reads = _Trouble(patience, stop, news)
        self._round_trip = 0.0
        self._each: deque[float] = deque(maxlen=CALLS)
        """Seconds that each job of the last calls took."""

    @property
    def trouble(self) -> str:
        """What is waited for, in words; empty while all goes well."""
        return self._calls.words or self._reads.words

    async def measure(self) -> None:
        """Sees that the server answers, and how long that takes. Costs a PING."""
        async with self._stop.at_most(LAST_CALL):
            self._round_trip = await ping(self._client)

    async def send(self, load: Load) -> Sent:
        """Sends one call; the result of each job, in order.

        Raises:
            OutOfReach: what the call did could not be found out, at least not of every job.
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
                if not any(seen.stand):
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
        """Does some reading, again and again while the server is in trouble.

        Raises:
            OutOfReach: it is for too long, or while a stop was asked for.
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
        """The jobs as they are after a lost call.

        Raises:
            OutOfReach: they could not be read for too long: of none of them anything is known.
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
        """Parts what was decided from what was refused whichever job it is, and waits for that.

        Raises:
            OutOfReach: it was waited for long enough, or an ACL refused it.
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
        """Fits the next call to `AIM`, from the time that Redis needed for this one.

        Args:
            seconds: as the server tells, 0 where it can't.
            elapsed: as we saw it, with the round trip and waiting for others in it.
            jobs: in the call.
        """
        self._round_trip = min(self._round_trip, elapsed)
        self._each.append(max(1e-7, (seconds or elapsed - self._round_trip) / jobs))
        # One that took long may only have waited for its turn; if all did, Redis is slow.
        self.size = max(SMALLEST_CALL, min(LARGEST_CALL, int(AIM / min(self._each)), self.size * 2))


def _given_up(seen: Seen) -> list[Result]:
    """What is known of a call that is lost again and again: the last one may yet come."""
    return [
        Result(one.job_id, Code.UNKNOWN) if stands else one
        for stands, one in zip(seen.stand, seen.results, strict=True)
    ]


def _unknown(load: Load) -> Sent:
    return Sent(load, [Result(one, Code.UNKNOWN) for one in load.ids])


def _condition(why: BaseException | str) -> str:
    if isinstance(why, Unable):
        return why.condition
    return why if isinstance(why, str) else ""


class _Trouble:
    """What is the matter with the server, and how much patience is left for it."""

    def __init__(self, seconds: float, stop: Stop, news: Callable[[], None]) -> None:
        self.words = ""
        """What is waited for; empty while there is no trouble."""
        self._seconds = seconds
        self._stop = stop
        self._news = news
        self._patience: Patience | None = None

    def begin(self, why: BaseException | str) -> Patience:
        """Takes it in; it lasts until `heal`."""
        self.words = _condition(why) or "Redis does not answer"
        if self._patience is None:
            self._patience = Patience(self._seconds, self._stop)
        self._news()
        return self._patience

    async def bear(self, why: BaseException | str) -> bool:
        """Waits a moment for its end; False where it was waited for long enough."""
        return await self.begin(why).wait()

    def heal(self) -> None:
        """It is over."""
        if self._patience is not None:
            self._patience, self.words = None, ""
            self._news()
