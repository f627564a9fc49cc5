"""Retries: finished jobs of one queue go back to its waiting side. An action for a campaign.

States: failed or completed. Wiped: what `SNAPSHOT_FIELDS` names. Script: `lua/retry.lua`.
Forecast: `plan`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from qtui.bullmq.codes import Code, QueueGone, Result
from qtui.bullmq.connection.client import Client
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import Kind
from qtui.bullmq.reads.places import Places
from qtui.bullmq.reads.reader import Reader
from qtui.bullmq.reads.status import read_status
from qtui.bullmq.writers.batch import Batch, Picked
from qtui.bullmq.writers.retry import RetryWriter
from qtui.operations.engine.action import Seen
from qtui.operations.following.follower import Follower
from qtui.operations.following.outcome import Outcome
from qtui.operations.journal.lines import Header, WrittenSelection
from qtui.operations.journal.texts import Texts
from qtui.operations.planning.plan import Plan, Resets
from qtui.operations.retry.ledger import Ledger
from qtui.operations.supply.selection import Chosen
from qtui.operations.supply.snapshots import SnapshotPage
from qtui.operations.supply.supply import Before, Supply, results_of_lost, stands


class Retry:
    """The retry of a plan's jobs.

    Args:
        client: where to read.
        writer: retries the jobs.
        plan: the jobs: chosen ones, each pinned to the finish at which it was seen, or a query.
        resets: which counters are deleted.
        before: what earlier processes have done already.
    """

    def __init__(
        self,
        client: Client,
        writer: RetryWriter,
        plan: Plan,
        resets: Resets,
        before: Before | None = None,
    ) -> None:
        self.client = client
        self.writer = writer
        self.plan = plan
        self.resets = resets
        self.before = Counter[Code]() if before is None else before.codes
        self.follower = Follower(client, plan.queue, plan.state)
        """Follows the outcomes of the jobs."""
        self.follower.leave_out(self.before[Code.DONE])
        self.supply = Supply(client, plan.selection, before, plan.kin)
        self.ledger = Ledger(None if before is None else before.retried)

    @property
    def queue(self) -> QueueKey:
        """The queue of its jobs."""
        return self.plan.queue

    @property
    def selected(self) -> int:
        """Number of jobs in the plan."""
        return self.plan.jobs

    def header(self) -> Header:
        """Returns the first line of the journal, without address, command and pace."""
        selection, plan = self.plan.selection, self.plan
        if isinstance(selection, Chosen):
            written = WrittenSelection(kind="ids", jobs=len(selection.jobs))
        else:
            # The canonical text matches the same jobs whenever it is parsed: its ages are moments.
            wanted = None if selection.filter is None else str(selection.filter)
            written = WrittenSelection(
                kind="query", jobs=plan.jobs, filter=wanted, until=selection.until
            )
        return Header(
            where="",
            queue=selection.queue.base,
            prefix=selection.queue.prefix,
            state=selection.state.value,
            selection=written,
            resets=asdict(self.resets),
        )

    def chosen(self) -> Sequence[Picked]:
        """Returns the chosen jobs; none for a query."""
        selection = self.plan.selection
        return selection.jobs if isinstance(selection, Chosen) else ()

    async def begin(self) -> None:
        """Notes the end of the queue's events, so that none of this retry's is missed."""
        await self.follower.begin()

    async def lost(self) -> Sequence[Picked]:
        """Returns the jobs with code 1 that are where they were before; none has run since.

        For when another server answers than the one that gave the codes. Reads only.

        Raises:
            QueueGone: that server has no key of the queue.
        """
        places = Places(self.client, self.plan.queue)
        if await places.is_empty():
            raise QueueGone
        return await self.ledger.lost(places, self.plan.state)

    def withdraw(self, lost: Sequence[Picked]) -> None:
        """Voids the codes 1 of these jobs: they are handed out again."""
        self.ledger.drop(lost)
        self.supply.doubt(lost)
        self.follower.withdraw(one.job_id for one in lost)

    async def judge_doubtful(self) -> Sequence[Result] | None:
        """Returns results of jobs that an earlier process may have sent (`Supply`); None: done."""
        known = await self.supply.judge_doubtful()
        if known is not None:
            self.follower.add(known)
        return known

    async def next(self) -> Retries | None:
        """Returns the next jobs, oldest first, with what their retry wipes; None at the end."""
        page = await self.supply.page()
        return None if page is None else Retries(self, page)

    async def vanished(self) -> bool:
        """Whether the queue is gone, or so many of its keys that it is no longer recognised."""
        [status] = await read_status(self.client, [self.plan.queue])
        if status.kind is not Kind.BULL:
            return status.kind is Kind.GONE
        return not (await Reader(self.client).evidence(self.plan.queue)).ran_modern

    async def conclude(self, seconds: float) -> None:
        """Reads the open jobs a last time, if they were followed."""
        if self.follower.looked:
            await self.follower.conclude(seconds)

    def outcomes(self) -> Mapping[str, Outcome] | None:
        """Returns the final outcomes by id; None if the jobs were not followed."""
        return self.follower.outcomes.final() if self.follower.looked else None

    def counts(self) -> Mapping[str, int] | None:
        """Returns the number of jobs per fate; None if they were not followed."""
        return self.follower.final().counts() if self.follower.looked else None

    async def close(self) -> None:
        """Stops reading."""
        await self.supply.close()


@dataclass(frozen=True, slots=True)
class Retries:
    """Jobs to be retried in one or more calls."""

    retry: Retry
    page: SnapshotPage

    def __len__(self) -> int:
        """The number of jobs."""
        return len(self.page)

    @property
    def ids(self) -> list[str]:
        """Their ids."""
        return [one.job_id for one in self.page.picks]

    def cut(self, jobs: int) -> tuple[Retries, Retries | None]:
        """Splits off the first ``jobs`` jobs; returns them and the rest."""
        if jobs >= len(self):
            return self, None
        return Retries(self.retry, self.page[:jobs]), Retries(self.retry, self.page[jobs:])

    def only(self, wanted: Sequence[bool]) -> Retries:
        """Returns the jobs at the positions that are true."""
        return Retries(self.retry, self.page.marked(wanted))

    def take(self) -> None:
        """Marks its jobs as being sent: the supply does not hand them out again."""
        self.retry.supply.take(self.page.picks)

    async def snapshot(self, texts: Texts | None) -> bytes:
        """Returns the journal lines of what their retry wipes; it was read with them."""
        return await self.page.lines(texts)

    async def send(self) -> Batch:
        """Retries them, in one atomic step."""
        retry = self.retry
        return await retry.writer.retry(
            retry.plan.queue,
            retry.plan.state,
            self.page.picks,
            reset_attempts_made=retry.resets.made,
            reset_attempts_started=retry.resets.started,
        )

    async def look(self) -> Seen:
        """Reads where the jobs are after a call whose reply was lost."""
        plan, picks = self.retry.plan, self.page.picks
        rows = await Reader(self.retry.client).rows(plan.queue, plan.state, self.ids)
        pairs = zip(picks, rows, strict=True)
        return Seen([stands(one, row) for one, row in pairs], results_of_lost(picks, rows))

    async def correct(self, seen: Seen, results: Sequence[Result]) -> list[Result]:
        """Returns the true results of a call that was sent again.

        If it found nothing to retry, the lost call was carried out: before, during or after the
        read. A job that was in its place during the read and is not any more was moved by the lost
        call. A job that Redis refuses to move, or whose child failed, is still in its place.
        """
        if any(result.done for result in results):
            return list(results)
        found = []
        for stood, known, result in zip(seen.stand, seen.results, results, strict=True):
            if result.code in (Code.REFUSED, Code.FAILED_CHILD):
                found.append(result)
            elif stood:
                gone = result.code is Code.NO_SUCH_JOB
                found.append(Result(result.job_id, Code.UNKNOWN if gone else Code.DONE))
            else:
                found.append(known)
        return found

    def settle(self, results: Sequence[Result]) -> Sequence[Result]:
        """Begins to follow the jobs, with the errors and scores that they had before."""
        self.retry.ledger.add(self.page.picks, results)
        pins = [one.score for one in self.page.picks]
        self.retry.follower.add(results, self.page.errors(), pins)
        return results

    def objection(self, results: Sequence[Result]) -> str:
        """Returns "": the jobs of a retry are independent."""
        return ""
