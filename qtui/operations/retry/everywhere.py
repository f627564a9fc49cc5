"""Retries over several queues at once: one campaign, one journal. An action for a campaign.

Each queue has its own `Retry`, one after the other, so that each call is about one queue. A canary
takes jobs of all queues in turns: what is true of the first queue need not be of the next. So does
a limit of waiting jobs: what is left of a full queue waits until another one is full or done.
Results and journal name jobs by their full keys.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Final

from qtui.bullmq.codes import Code, Result
from qtui.bullmq.connection.client import Client
from qtui.bullmq.flow.fields import Values
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.writers.batch import Batch, Picked
from qtui.bullmq.writers.retry import RetryWriter
from qtui.operations.engine.action import Load, Seen
from qtui.operations.following.followers import Followers
from qtui.operations.following.outcome import Outcome
from qtui.operations.journal.facts import Header, Snapshot, WrittenSelection
from qtui.operations.journal.tally import Ids
from qtui.operations.journal.texts import Texts
from qtui.operations.planning.plan import Plan, Resets
from qtui.operations.retry.retry import Retry
from qtui.operations.supply.picked import PickedJobs
from qtui.operations.supply.selection import Query
from qtui.operations.supply.snapshots import RETRY_WIPES, JobReader, Wiped
from qtui.operations.supply.supply import Before
from qtui.verbs import Verb

QUEUES: Final = "queues"
"""The option in a journal's header: a list of base key, prefix and moment for each queue."""

KIND: Final = "queries"
"""The kind of selection in such a journal."""


@dataclass(frozen=True, slots=True)
class _Keyed(Wiped):
    """What a retry wipes, written down under the job's full key."""

    queue: QueueKey

    def reader(self, client: Client, queue: QueueKey) -> JobReader:
        """Returns what reads it, as for any retry."""
        return RETRY_WIPES.reader(client, queue)

    def snapshot(self, pick: Picked, values: Values) -> Snapshot:
        """Returns a job as the journal keeps it."""
        return RETRY_WIPES.snapshot(self._named(pick), values)

    def lines(
        self, picks: Sequence[Picked], values: Sequence[Values], texts: Texts | None
    ) -> bytes:
        """Returns the same for many jobs, side by side."""
        return RETRY_WIPES.lines(list(map(self._named, picks)), values, texts)

    def _named(self, pick: Picked) -> Picked:
        return pick._replace(job_id=self.queue.job(pick.job_id))


class QueueRetry(Retry):
    """The retry of one of the queues."""

    def __init__(
        self,
        client: Client,
        writer: RetryWriter,
        plan: Plan,
        resets: Resets,
        before: Before | None = None,
    ) -> None:
        self.wiped = _Keyed(plan.queue)
        super().__init__(client, writer, plan, resets, before)


class RetryEverywhere:
    """The retry of queries on several queues, in the order of their plans.

    Args:
        client: where to read.
        writer: retries the jobs.
        plans: the plan of each queue, a query's.
        resets: which counters are deleted.
        before: by base key what earlier processes have done already.
        selected: jobs of all plans when the campaign began; None if that is now.
        canary: jobs that come first, taken from the queues in turns.
    """

    by_query = True

    def __init__(
        self,
        client: Client,
        writer: RetryWriter,
        plans: Sequence[Plan],
        resets: Resets,
        before: Mapping[str, Before] | None = None,
        selected: int | None = None,
        *,
        canary: int = 0,
    ) -> None:
        known = before or {}
        self.plans = plans
        self.resets = resets
        self.parts = [
            QueueRetry(client, writer, plan, resets, known.get(plan.queue.base)) for plan in plans
        ]
        self.before = sum((Counter(one.before) for one in self.parts), Counter[Code]())
        self._selected = selected
        self._follower = Followers([one.follower for one in self.parts])
        self._queue = plans[0].queue
        self._first = _shares(canary, [one.jobs for one in plans])
        self._rests: dict[int, deque[PickedJobs]] = defaultdict(deque)
        """By position of its queue, jobs that were read and are not sent yet."""
        self._over: set[int] = set()
        """The positions of the queues whose last jobs were handed out."""
        self._turn = 0
        """The position of the queue whose jobs come first."""

    @property
    def queue(self) -> QueueKey:
        """The queue of the jobs that were handed out last."""
        return self._queue

    @property
    def follower(self) -> Followers:
        """Follows the outcomes of the jobs, in all queues."""
        return self._follower

    @property
    def selected(self) -> int:
        """Number of jobs in the plans."""
        return sum(one.jobs for one in self.plans) if self._selected is None else self._selected

    def header(self) -> Header:
        """Returns the first line of the journal, without address, command and pace."""
        queues, wanted = list[list[object]](), None
        for plan in self.plans:
            selection = plan.selection
            assert isinstance(selection, Query)
            wanted = None if selection.filter is None else str(selection.filter)
            queues.append([plan.queue.base, plan.queue.prefix, selection.until])
        prefix = self.plans[0].queue.prefix
        return Header(
            where="",
            queue=f"{prefix}:*",
            prefix=prefix,
            state=self.plans[0].state.value,
            selection=WrittenSelection(kind=KIND, jobs=self.selected, filter=wanted),
            resets=asdict(self.resets),
            action=Verb.RETRY.value,
            options={QUEUES: queues},
        )

    def chosen(self) -> Sequence[Picked]:
        """Returns none: the header has the queries."""
        return ()

    async def begin(self) -> None:
        """Notes the end of each queue's events."""
        for one in self.parts:
            await one.begin()

    async def lost(self) -> Sequence[Picked]:
        """Returns the jobs with code 1 that are where they were before; see `Retry.lost`."""
        return [
            pick._replace(job_id=part.queue.job(pick.job_id))
            for part in self.parts
            for pick in (await part.lost() if len(part.ledger) else ())
        ]

    def withdraw(self, lost: Sequence[Picked]) -> None:
        """Voids the codes 1 of these jobs: they are handed out again."""
        by_queue = split_by_queue([part.queue for part in self.parts], lost)
        for part in self.parts:
            part.withdraw(by_queue[part.queue])
        self._over.clear()

    async def judge_doubtful(self) -> Sequence[Result] | None:
        """Returns results of jobs that an earlier process may have sent; None when all are done."""
        for part in self.parts:
            known = await part.judge_doubtful()
            if known is not None:
                return _keyed(part.queue, known)
        return None

    async def next(self) -> QueueJobs | None:
        """Returns the next jobs: a canary of all queues, then queue by queue; None at the end."""
        for at in self._in_turn():
            if not self._first[at]:
                continue
            found = await self._next_of(at)
            if found is None:
                self._first[at] = 0
                continue
            head, rest = found.cut(self._first[at])
            if rest is not None:
                self._rests[at].append(rest)
            self._first[at] -= len(head)
            return self._handed(at, head)
        for at in self._in_turn():
            found = await self._next_of(at)
            if found is not None:
                return self._handed(at, found)
        return None

    def _in_turn(self) -> list[int]:
        """The positions of the queues, beginning with the one whose turn it is."""
        return [*range(self._turn, len(self.parts)), *range(self._turn)]

    async def _next_of(self, at: int) -> PickedJobs | None:
        """The next jobs of one queue."""
        if self._rests[at]:
            return self._rests[at].popleft()
        found = await self.parts[at].next()
        if found is None:
            self._over.add(at)
        return found

    def _handed(self, at: int, jobs: PickedJobs) -> QueueJobs:
        part = self.parts[at]
        self._queue = part.queue
        return QueueJobs(part, jobs)

    def others(self) -> Sequence[QueueKey]:
        """Returns the queues that may have jobs left, after that of the jobs handed out last."""
        here = self._position(self._queue)
        after = [*range(here + 1, len(self.parts)), *range(here)]
        return [self.parts[at].queue for at in after if at not in self._over]

    def put_back(self, load: Load, turn: QueueKey) -> None:
        """Takes back what is left of the jobs handed out last; next come those of another queue."""
        assert isinstance(load, QueueJobs)
        at = self._position(load.part.queue)
        self._rests[at].appendleft(load.jobs)
        if any(self._first):  # they are of the canary still
            self._first[at] += len(load)
        self._turn = self._position(turn)

    def _position(self, queue: QueueKey) -> int:
        return next(at for at, part in enumerate(self.parts) if part.queue == queue)

    async def vanished(self) -> bool:
        """Whether one of the queues is gone, so that its jobs are missing."""
        return any([await part.vanished() for part in self.parts])

    async def conclude(self, seconds: float) -> None:
        """Reads the open jobs a last time, if they were followed."""
        if self._follower.looked:
            await self._follower.conclude(seconds)

    def outcomes(self) -> Mapping[str, Outcome] | None:
        """Returns the final outcomes by full key; None if the jobs were not followed."""
        if not self._follower.looked:
            return None
        return {
            part.queue.job(job_id): seen
            for part in self.parts
            for job_id, seen in part.follower.outcomes.final().items()
        }

    def counts(self) -> Mapping[str, int] | None:
        """Returns the number of jobs per fate; None if they were not followed."""
        return self._follower.final().counts() if self._follower.looked else None

    async def close(self) -> None:
        """Stops reading."""
        for part in self.parts:
            await part.close()


@dataclass(frozen=True, slots=True)
class QueueJobs:
    """Jobs of one of the queues, named by their full keys."""

    part: QueueRetry
    jobs: PickedJobs

    def __len__(self) -> int:
        """The number of jobs."""
        return len(self.jobs)

    @property
    def ids(self) -> list[str]:
        """Their full keys."""
        return [self.part.queue.job(one) for one in self.jobs.ids]

    def cut(self, jobs: int) -> tuple[QueueJobs, QueueJobs | None]:
        """Splits off the first ``jobs`` jobs; returns them and the rest."""
        head, rest = self.jobs.cut(jobs)
        return QueueJobs(self.part, head), None if rest is None else QueueJobs(self.part, rest)

    def only(self, wanted: Sequence[bool]) -> QueueJobs:
        """Returns the jobs at the positions that are true."""
        return QueueJobs(self.part, self.jobs.only(wanted))

    def take(self) -> None:
        """Marks its jobs as being sent."""
        self.jobs.take()

    async def snapshot(self, texts: Texts | None) -> bytes:
        """Returns the journal lines of what their retry wipes."""
        return await self.jobs.snapshot(texts)

    async def send(self) -> Batch:
        """Retries them, in one atomic step."""
        batch = await self.jobs.send()
        return replace(batch, results=_keyed(self.part.queue, batch.results))

    async def look(self) -> Seen:
        """Reads the jobs after a call whose reply was lost."""
        seen = await self.jobs.look()
        return Seen(seen.untouched, _keyed(self.part.queue, seen.results))

    async def correct(self, seen: Seen, results: Sequence[Result]) -> list[Result]:
        """Returns the true results of a call that was sent again."""
        return await self.jobs.correct(seen, results)

    def settle(self, results: Sequence[Result]) -> Sequence[Result]:
        """Gives the final results to the retry of the queue."""
        ids = self.jobs.ids
        self.jobs.settle(
            [one._replace(job_id=job_id) for one, job_id in zip(results, ids, strict=True)]
        )
        return results

    def objection(self, results: Sequence[Result]) -> str:
        """Returns "": the jobs are independent."""
        return ""


def _shares(jobs: int, most: Sequence[int]) -> list[int]:
    """Deals jobs to queues in turns, to none more than it has."""
    shares = [0] * len(most)
    while jobs > 0 and (open_ := [at for at, share in enumerate(shares) if share < most[at]]):
        each = max(1, min(jobs // len(open_), min(most[at] - shares[at] for at in open_)))
        for at in open_[:jobs]:
            shares[at] += each
        jobs -= each * min(jobs, len(open_))
    return shares


def _keyed(queue: QueueKey, results: Sequence[Result]) -> list[Result]:
    return [one._replace(job_id=queue.job(one.job_id)) for one in results]


# Resuming -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Within:
    """Those of some full keys that are jobs of one queue, as ids."""

    keys: Ids
    queue: QueueKey

    def __contains__(self, job_id: object) -> bool:
        """Whether the job is among them."""
        return self.queue.job(str(job_id)) in self.keys


def queues_of(header: Header) -> list[tuple[QueueKey, float]]:
    """Returns the queues in a journal's header, each with the moment of its query."""
    written = header.options.get(QUEUES)
    found = []
    for one in written if isinstance(written, list) else ():
        base, prefix, until = one if isinstance(one, list) and len(one) == 3 else (None, None, None)
        if isinstance(base, str) and isinstance(prefix, str) and isinstance(until, int | float):
            found.append((QueueKey(base, prefix), float(until)))
    return found


def split_by_queue(
    queues: Sequence[QueueKey], picked: Sequence[Picked]
) -> dict[QueueKey, list[Picked]]:
    """Returns jobs that are named by full keys by their queue, named by their ids."""
    found: dict[QueueKey, list[Picked]] = {queue: [] for queue in queues}
    longest_first = sorted(queues, key=lambda one: -len(one.base))
    for one in picked:
        for queue in longest_first:
            start = queue.key("")
            if one.job_id.startswith(start):
                found[queue].append(one._replace(job_id=one.job_id[len(start) :]))
                break
    return found
