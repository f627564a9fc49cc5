"""What an action on picked jobs of one queue needs: the engine's two protocols, written once.

A subclass of `PickedAction` brings its verb, what it wipes and its writer's call; where a job that
it is done with stays in its state, it also says how that is recognised (`PickedAction.look`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

from qtui.bullmq.codes import KEPT, Code, QueueGone, Result
from qtui.bullmq.connection.client import Client
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState, Kind, Row
from qtui.bullmq.reads.places import Places
from qtui.bullmq.reads.reader import Reader
from qtui.bullmq.reads.status import read_status
from qtui.bullmq.writers.batch import Batch, Picked
from qtui.operations.engine.action import Seen
from qtui.operations.following.follower import Follower
from qtui.operations.following.outcome import Outcome
from qtui.operations.journal.facts import Header, WrittenSelection
from qtui.operations.journal.texts import Texts
from qtui.operations.supply.kin import Kin
from qtui.operations.supply.ledger import Ledger
from qtui.operations.supply.pins import Pins
from qtui.operations.supply.selection import Chosen, Selection
from qtui.operations.supply.snapshots import SnapshotPage, Wiped
from qtui.operations.supply.supply import Before, Supply
from qtui.verbs import Verb


class PlannedJobs(Protocol):
    """What a plan fixes: which jobs of which state."""

    @property
    def selection(self) -> Selection:
        """The jobs, each pinned; or a query on finished ones."""

    @property
    def jobs(self) -> int:
        """Number of jobs in the selection."""


class PickedAction(ABC):
    """An action on jobs of one queue and state, each pinned to what it was when it was picked.

    Args:
        client: where to read.
        plan: the jobs.
        before: what earlier processes have done already.
        kin: which of the jobs are parents of others, and go after them; None if that is still to
            be read. By default no job waits for another.
    """

    verb: ClassVar[Verb]
    wiped: Wiped
    """What is written down of each job before it is sent; set before `__init__`."""

    def __init__(
        self,
        client: Client,
        plan: PlannedJobs,
        before: Before | None = None,
        *,
        in_line: bool = True,
        kin: Kin | None = None,
    ) -> None:
        selection = plan.selection
        self.client = client
        self.before = Counter[Code]() if before is None else before.codes
        self.pins = Pins(client, selection.queue, selection.state)
        self.ledger = Ledger(None if before is None else before.retried)
        self.supply = Supply(
            client,
            selection,
            before,
            Kin(selection.queue) if in_line else kin,
            wiped=self.wiped,
            look=self.look,
        )
        self._planned = plan

    @abstractmethod
    async def send(self, picks: Sequence[Picked]) -> Batch:
        """Calls the writer: one atomic step with a code for each job; see `Load.send`."""

    # What subclasses may say otherwise

    async def carry(self, page: SnapshotPage) -> Batch:
        """Calls the writer for jobs with what was read of them."""
        return await self.send(page.picks)

    def room(self, page: SnapshotPage, jobs: int) -> int:
        """Returns how many jobs of the page one call of about ``jobs`` jobs may have, 1 at least.

        For an action that changes others with each.
        """
        return jobs

    @property
    def follower(self) -> Follower | None:
        """Follows the jobs; none."""
        return None

    def options(self) -> Mapping[str, object]:
        """Returns what the user chose beside the jobs, for the journal's header; nothing."""
        return {}

    def is_untouched(self, pick: Picked, row: Row) -> bool:
        """Whether a job is as it was picked, so that the call would act on it."""
        return pick.pinned and row.score == pick.score and not row.missing

    def result_of_lost(self, pick: Picked, row: Row) -> Result:
        """Returns what a lost call did to a job, given its row read after the call."""
        if not pick.pinned or row.score == pick.score:
            return Result(pick.job_id, Code.NO_SUCH_JOB if row.missing else Code.NOT_IN_STATE)
        # Gone: it ran and was removed, or was removed before the call, or a restart lost it.
        return Result(pick.job_id, Code.UNKNOWN if row.missing else Code.DONE)

    async def look(self, picks: Sequence[Picked]) -> Seen:
        """Reads jobs that a lost call, or an earlier process, may have sent."""
        rows = await self.pins.rows([one.job_id for one in picks])
        pairs = list(zip(picks, rows, strict=True))
        return Seen(
            [self.is_untouched(one, row) for one, row in pairs],
            [self.result_of_lost(one, row) for one, row in pairs],
        )

    async def corrected(
        self, picks: Sequence[Picked], seen: Seen, results: Sequence[Result]
    ) -> list[Result]:
        """Returns the true results of a call that was sent again.

        If it found nothing to do, the lost call was carried out: before, during or after the read.
        A job that was as picked during the read and is not any more was acted on by the lost call.
        One that a code keeps in its place (refused, a failed child, a scheduler's iteration) is
        there still.
        """
        if any(result.done for result in results):
            return list(results)
        found = []
        for untouched, known, result in zip(seen.untouched, seen.results, results, strict=True):
            if result.code in KEPT:
                found.append(result)
            elif untouched:
                gone = result.code is Code.NO_SUCH_JOB
                found.append(Result(result.job_id, Code.UNKNOWN if gone else Code.DONE))
            else:
                found.append(known)
        return found

    def settled(self, page: SnapshotPage, results: Sequence[Result]) -> None:
        """Takes the final results of jobs, with what they were before."""
        self.ledger.add(page.picks, results)

    # What the engine asks, see `JobAction`

    @property
    def queue(self) -> QueueKey:
        """The queue of its jobs."""
        return self._planned.selection.queue

    @property
    def state(self) -> JobState:
        """The state in which its jobs were picked."""
        return self._planned.selection.state

    @property
    def selected(self) -> int:
        """Number of jobs in the plan."""
        return self._planned.jobs

    def header(self) -> Header:
        """Returns the first line of the journal, without address, command and pace."""
        selection = self._planned.selection
        if isinstance(selection, Chosen):
            written = WrittenSelection(kind="ids", jobs=len(selection.jobs))
        else:
            # The canonical text matches the same jobs whenever it is parsed: its ages are moments.
            wanted = None if selection.filter is None else str(selection.filter)
            written = WrittenSelection(
                kind="query", jobs=self._planned.jobs, filter=wanted, until=selection.until
            )
        return Header(
            where="",
            queue=self.queue.base,
            prefix=self.queue.prefix,
            state=self.state.value,
            selection=written,
            action=self.verb.value,
            options=self.options(),
        )

    def chosen(self) -> Sequence[Picked]:
        """Returns the chosen jobs; none for a query."""
        selection = self._planned.selection
        return selection.jobs if isinstance(selection, Chosen) else ()

    async def begin(self) -> None:
        """Notes the end of the queue's events, so that none about its jobs is missed."""
        if self.follower is not None:
            await self.follower.begin()

    async def lost(self) -> Sequence[Picked]:
        """Returns the jobs with code 1 that are as they were before; none has moved on since.

        For when another server answers than the one that gave the codes. Reads only.

        Raises:
            QueueGone: that server has no key of the queue.
        """
        if await Places(self.client, self.queue).is_empty():
            raise QueueGone
        return await self.ledger.lost(self.pins)

    def withdraw(self, lost: Sequence[Picked]) -> None:
        """Voids the codes 1 of these jobs: they are handed out again."""
        self.ledger.drop(lost)
        self.supply.doubt(lost)
        if self.follower is not None:
            self.follower.withdraw(one.job_id for one in lost)

    async def judge_doubtful(self) -> Sequence[Result] | None:
        """Returns results of jobs that an earlier process may have sent (`Supply`); None: done."""
        known = await self.supply.judge_doubtful()
        if known is not None and self.follower is not None:
            self.follower.add(known)
        return known

    async def next(self) -> PickedJobs | None:
        """Returns the next jobs with what the action wipes of them; None at the end."""
        page = await self.supply.page()
        return None if page is None else PickedJobs(self, page)

    async def vanished(self) -> bool:
        """Whether the queue is gone, or too many of its keys for it to be recognised."""
        [status] = await read_status(self.client, [self.queue])
        if status.kind is not Kind.BULL:
            return status.kind is Kind.GONE
        return not (await Reader(self.client).evidence(self.queue)).ran_modern

    async def conclude(self, seconds: float) -> None:
        """Reads the open jobs a last time, if they were followed."""
        if self.follower is not None and self.follower.looked:
            await self.follower.conclude(seconds)

    def outcomes(self) -> Mapping[str, Outcome] | None:
        """Returns the final outcomes by id; None if the jobs were not followed."""
        if self.follower is None or not self.follower.looked:
            return None
        return self.follower.outcomes.final()

    def counts(self) -> Mapping[str, int] | None:
        """Returns the number of jobs per fate; None if they were not followed."""
        if self.follower is None or not self.follower.looked:
            return None
        return self.follower.final().counts()

    async def close(self) -> None:
        """Stops reading."""
        await self.supply.close()


@dataclass(frozen=True, slots=True)
class PickedJobs:
    """Jobs of a `PickedAction`, to be sent in one or more calls."""

    action: PickedAction
    page: SnapshotPage

    def __len__(self) -> int:
        """The number of jobs."""
        return len(self.page)

    @property
    def ids(self) -> list[str]:
        """Their ids."""
        return self.page.ids

    def cut(self, jobs: int) -> tuple[PickedJobs, PickedJobs | None]:
        """Splits off the first ``jobs`` jobs; returns them and the rest."""
        jobs = self.action.room(self.page, jobs)
        if jobs >= len(self):
            return self, None
        return PickedJobs(self.action, self.page[:jobs]), PickedJobs(self.action, self.page[jobs:])

    def only(self, wanted: Sequence[bool]) -> PickedJobs:
        """Returns the jobs at the positions that are true."""
        return PickedJobs(self.action, self.page.marked(wanted))

    def take(self) -> None:
        """Marks its jobs as being sent: the supply does not hand them out again."""
        self.action.supply.take(self.page.picks)

    async def snapshot(self, texts: Texts | None) -> bytes:
        """Returns the journal lines of what is wiped; it was read with the jobs."""
        return await self.page.lines(texts)

    async def send(self) -> Batch:
        """Sends them, in one atomic step."""
        return await self.action.carry(self.page)

    async def look(self) -> Seen:
        """Reads the jobs after a call whose reply was lost."""
        return await self.action.look(self.page.picks)

    async def correct(self, seen: Seen, results: Sequence[Result]) -> list[Result]:
        """Returns the true results of a call that was sent again, see `PickedAction.corrected`."""
        return await self.action.corrected(self.page.picks, seen, results)

    def settle(self, results: Sequence[Result]) -> Sequence[Result]:
        """Gives the final results to the action."""
        self.action.settled(self.page, results)
        return results

    def objection(self, results: Sequence[Result]) -> str:
        """Returns "": the jobs are independent."""
        return ""
