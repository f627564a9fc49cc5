"""What an action on single jobs needs: each is one call, with one code. The engine's protocols.

A subclass of `SingleAction` says of each job what is written down before it is sent, how it is
sent, and how it is recognised where the reply was lost.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Generic, NamedTuple, TypeVar

from qtui.bullmq.codes import Code, Result
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.writers.batch import Batch, Picked
from qtui.operations.engine.action import Seen
from qtui.operations.journal.facts import Header, Snapshot
from qtui.operations.journal.lines import snapshot_lines
from qtui.operations.journal.texts import Texts
from qtui.verbs import Verb

T = TypeVar("T")


class Judged(NamedTuple):
    """A job that may have been sent, as it was read."""

    untouched: bool
    """Whether it is as it was before the call, which has then done nothing."""
    result: Result
    """Its result if it is not."""


class SingleAction(ABC, Generic[T]):
    """An action on jobs of one queue that are sent one by one.

    Args:
        queue: their queue.
        jobs: what is to be done, in order.
    """

    verb: ClassVar[Verb]
    follower = None

    def __init__(self, queue: QueueKey, jobs: Sequence[T]) -> None:
        self.queue = queue
        self.before = Counter[Code]()
        self._selected = len(jobs)
        self._left = deque(jobs)
        self._done: list[T] = []

    @abstractmethod
    def id_of(self, job: T) -> str:
        """Returns the id by which results and journal name a job."""

    @abstractmethod
    async def snapshot_of(self, job: T) -> Snapshot:
        """Returns what is written down before a job is sent. May read."""

    @abstractmethod
    async def send(self, job: T) -> Batch:
        """Calls the writer; see `Load.send`."""

    @abstractmethod
    async def judge(self, job: T) -> Judged:
        """Reads what became of a job whose reply was lost, or whose server was replaced."""

    @abstractmethod
    def header(self) -> Header:
        """Returns the first line of the journal, without address, command and pace."""

    async def prepared(self, job: T) -> T:
        """Returns a job ready to be sent; called before its snapshot."""
        return job

    # What the engine asks, see `JobAction`

    @property
    def selected(self) -> int:
        """Number of jobs in the plan."""
        return self._selected

    def chosen(self) -> Sequence[Picked]:
        """Returns none: the lines of the jobs say it all."""
        return ()

    async def begin(self) -> None:
        """Nothing has to be known beside the plan."""

    async def lost(self) -> Sequence[Picked]:
        """Returns the jobs with code 1 of whose change the server now knows nothing."""
        seen = [(self.id_of(job), await self.judge(job)) for job in self._done]
        return [Picked(job_id) for job_id, one in seen if one.untouched]

    def withdraw(self, lost: Sequence[Picked]) -> None:
        """Voids the codes 1 of these jobs: they are handed out again."""
        ids = {one.job_id for one in lost}
        self._left.extend(job for job in self._done if self.id_of(job) in ids)
        self._done = [job for job in self._done if self.id_of(job) not in ids]

    async def judge_doubtful(self) -> None:
        """None: such an action is not resumed; it is planned anew."""

    async def next(self) -> Single[T] | None:
        """Returns the next job; None when there are no more."""
        if not self._left:
            return None
        self._left[0] = await self.prepared(self._left[0])
        return Single(self, (self._left[0],))

    async def vanished(self) -> bool:
        """No: a call to a queue that is no more is refused."""
        return False

    async def conclude(self, seconds: float) -> None:
        """Nothing is followed."""

    def outcomes(self) -> None:
        """None: nothing is followed."""

    def counts(self) -> None:
        """None: nothing is followed."""

    async def close(self) -> None:
        """Nothing is being read."""

    def taken(self, job: T) -> None:
        """Marks a job as being sent."""
        if self._left and self._left[0] is job:
            self._left.popleft()

    def settled(self, job: T, result: Result) -> None:
        """Takes the final result of a job."""
        if result.done:
            self._done.append(job)


@dataclass(frozen=True, slots=True)
class Single(Generic[T]):
    """One job to be sent, or none."""

    action: SingleAction[T]
    jobs: tuple[T, ...]

    def __len__(self) -> int:
        """The number of jobs."""
        return len(self.jobs)

    @property
    def ids(self) -> list[str]:
        """Its id."""
        return [self.action.id_of(job) for job in self.jobs]

    def cut(self, jobs: int) -> tuple[Single[T], None]:
        """Returns it whole."""
        return self, None

    def only(self, wanted: Sequence[bool]) -> Single[T]:
        """Returns it if it is wanted."""
        pairs = zip(self.jobs, wanted, strict=True)
        return Single(self.action, tuple(job for job, on in pairs if on))

    def take(self) -> None:
        """Marks it as being sent."""
        for job in self.jobs:
            self.action.taken(job)

    async def snapshot(self, texts: Texts | None) -> bytes:
        """Returns its journal line."""
        return snapshot_lines([await self.action.snapshot_of(job) for job in self.jobs], texts)

    async def send(self) -> Batch:
        """Sends it."""
        [job] = self.jobs
        return await self.action.send(job)

    async def look(self) -> Seen:
        """Reads what became of it after a call whose reply was lost."""
        seen = [await self.action.judge(job) for job in self.jobs]
        return Seen([one.untouched for one in seen], [one.result for one in seen])

    async def correct(self, seen: Seen, results: Sequence[Result]) -> list[Result]:
        """Returns the true result of a call that was sent again.

        If it was not done, the lost call may have been carried out late: then its work is found.
        """
        [result] = results
        if result.done:
            return list(results)
        [now] = [await self.action.judge(job) for job in self.jobs]
        return [now.result if not now.untouched and now.result.done else result]

    def settle(self, results: Sequence[Result]) -> Sequence[Result]:
        """Gives its result to the action."""
        for job, result in zip(self.jobs, results, strict=True):
            self.action.settled(job, result)
        return results

    def objection(self, results: Sequence[Result]) -> str:
        """Returns "": jobs are independent."""
        return ""
