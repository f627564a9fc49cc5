"""Reruns flows: ancestors are parked first, the jobs that run first come last. An action.

A flow of up to `JOBS_A_CALL` jobs goes in one atomic step. A larger one goes in several, in this
order, so that whenever it is cut off the flow waits, and the same rerun, planned anew, does the
rest.

States: failed, completed, waiting-children, and parents that wait only to be failed. Wiped: what
`SNAPSHOT_FIELDS` names. Script: `lua/rerun.lua`. Forecast: `make_rerun_plan`. Parking twice does no
harm, and each job is pinned to the finish at which it was seen, so that no call can release it a
second time. A flow spans queues, so results and journal name jobs by their full keys.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import compress
from typing import Final

from qtui.bullmq.codes import Code, Result
from qtui.bullmq.connection.client import Client
from qtui.bullmq.connection.trouble import general_refusal
from qtui.bullmq.flow.lineage import NODES_AT_ONCE, Name, read_nodes
from qtui.bullmq.model import JobState
from qtui.bullmq.writers.batch import Batch, Picked
from qtui.bullmq.writers.rerun import Parked, Released, RerunWriter
from qtui.operations.engine.action import Seen
from qtui.operations.flow_rerun.plan import RerunPlan
from qtui.operations.flow_rerun.progress import RerunProgress, read_progress
from qtui.operations.flow_rerun.written import BASES, START, read_lines
from qtui.operations.following.outcome import Outcome
from qtui.operations.journal.facts import Header, WrittenSelection
from qtui.operations.journal.lines import snapshot_lines
from qtui.operations.journal.texts import Texts
from qtui.operations.planning.plan import Resets
from qtui.text import first_line
from qtui.verbs import Verb

JOBS_A_CALL: Final = 500
"""Jobs and children of which one call may keep Redis busy, for some 15 ms, so as to be atomic."""

PIECE: Final = 100
"""Jobs and children in one call of a larger flow: 3 ms."""

CHANGED: Final = "the flow had changed meanwhile"


@dataclass(frozen=True, slots=True)
class Call:
    """What one call carries."""

    parents: tuple[Parked, ...] = ()
    released: tuple[Released, ...] = ()

    def names(self) -> list[Name]:
        """Its jobs, in the order of the results."""
        names = [parent.name for parent in self.parents]
        return names + [
            Name(batch.queue, job.job_id) for batch in self.released for job in batch.jobs
        ]

    def pins(self) -> list[float | None]:
        """The score at which each was seen, None where it was in no finished state."""
        pins = [parent.score for parent in self.parents]
        return pins + [job.score for batch in self.released for job in batch.jobs]

    def more(self) -> list[bool]:
        """Of which more comes in a later call."""
        released = sum(len(batch.jobs) for batch in self.released)
        return [parent.more for parent in self.parents] + [False] * released


def calls(plan: RerunPlan, whole: int = JOBS_A_CALL, piece: int = PIECE) -> list[Call]:
    """The calls that carry a plan out, in order: one if it is small enough."""
    parents, released = plan.parents(), plan.released()
    size = sum(1 + len(parent.children) for parent in parents)
    size += sum(len(batch.jobs) for batch in released)
    if size <= whole:
        return [Call(tuple(parents), tuple(released))] if size else []
    return [*_park_calls(parents, piece), *_release_calls(released, piece)]


def _park_calls(parents: Sequence[Parked], piece: int) -> Iterator[Call]:
    some: list[Parked] = []
    size = 0
    for part in (part for parent in parents for part in _parts(parent, piece)):
        if some and size + 1 + len(part.children) > piece + 1:
            yield Call(tuple(some))
            some, size = [], 0
        some.append(part)
        size += 1 + len(part.children)
    if some:
        yield Call(tuple(some))


def _parts(parent: Parked, piece: int) -> Iterator[Parked]:
    """A parent with many children, several times over with some of them.

    Only the last part may release it. The first parks it, if it gives it a child to wait for.
    """
    pieces = range(0, max(1, len(parent.children)), piece)
    for start in pieces:
        more = start + piece < len(parent.children)
        yield replace(parent, children=parent.children[start : start + piece], more=more)


def _release_calls(released: Sequence[Released], piece: int) -> Iterator[Call]:
    for batch in released:
        for start in range(0, len(batch.jobs), piece):
            yield Call(released=(replace(batch, jobs=batch.jobs[start : start + piece]),))


class Rerun:
    """One rerun of a flow.

    Args:
        client: where to read.
        writer: writes.
        plan: what is to be done; not a refused one.
        resets: which attempt counters are deleted.
        whole: the most jobs and children that go in one step.
        piece: how many go in one step where all are too many.
    """

    def __init__(
        self,
        client: Client,
        writer: RerunWriter,
        plan: RerunPlan,
        resets: Resets,
        *,
        whole: int = JOBS_A_CALL,
        piece: int = PIECE,
    ) -> None:
        self.client = client
        self.writer = writer
        self.plan = plan
        self.resets = resets
        self.before = Counter[Code]()
        self.queue = None
        self.follower = None
        self.progress = RerunProgress(plan=plan)
        """What has become of the jobs, as of the last `look`."""
        self.done: dict[str, float] = {}
        """By full key, the finish at which each was parked or released."""
        self._all = calls(plan, whole, piece)
        self._calls = iter(self._all)
        self._written: set[str] = set()
        self._nodes = {step.node.key: step.node for step in plan.steps}
        self._again = {step.node.key for step in plan.steps if step.part.reruns}
        self._parents = {parent.name.key: parent for parent in plan.parents()}

    @property
    def selected(self) -> int:
        """Jobs that are to run again."""
        return self.plan.jobs

    def header(self) -> Header:
        """The first line of the journal, but for where, how and pace."""
        root = self.plan.lineage.root
        return Header(
            where="",
            queue=root.queue.base,
            prefix=root.queue.prefix,
            state=JobState.FAILED.value,
            selection=WrittenSelection(kind="flow", jobs=self.plan.jobs),
            resets=asdict(self.resets),
            action=Verb.RERUN.value,
            flow={"root": root.key, "start": self.plan.start.value},
            options={
                BASES: sorted({step.node.name.queue.base for step in self.plan.steps}),
                START: self.plan.start.value,
            },
        )

    def chosen(self) -> Sequence[Picked]:
        """None: the flow determines which they are."""
        return ()

    async def begin(self) -> None:
        """Nothing has to be known beside the plan."""

    async def lost(self) -> list[Picked]:
        """The jobs that were parked or released and are in their place all the same.

        Costs what `read_nodes` costs for all that had a finish.
        """
        names = [self._nodes[key].name for key in self.done if key in self._nodes]
        found: list[Picked] = []
        for start in range(0, len(names), NODES_AT_ONCE):
            for node in await read_nodes(self.client, names[start : start + NODES_AT_ONCE]):
                if node.row.score is not None and node.row.score == self.done[node.key]:
                    found.append(Picked(node.key, node.row.score))
        return found

    def withdraw(self, lost: Sequence[Picked]) -> None:
        """Hands the calls out again of which nothing is left; the same rerun again does others."""
        keys = {one.job_id for one in lost}
        for key in keys:
            self.done.pop(key, None)
        again = []
        for call in self._all:
            pins = zip(call.names(), call.pins(), strict=True)
            if all(name.key in keys for name, pin in pins if pin is not None):
                again.append(call)
        self._calls = iter(again)

    async def judge_doubtful(self) -> None:
        """None: a rerun is not gone on with, it is planned anew."""

    async def next(self) -> Reruns | None:
        """The next call, ancestors first."""
        call = next(self._calls, None)
        return None if call is None else Reruns(self, call)

    async def look(self) -> RerunProgress:
        """Reads what has become of the jobs by now; see `read_progress` for the price."""
        self.progress = await read_progress(self.client, self.plan, self.progress)
        return self.progress

    async def vanished(self) -> bool:
        """No: a call to a queue that is no more is refused."""
        return False

    async def conclude(self, seconds: float) -> None:
        """What the last `look` found is all that is known."""

    def outcomes(self) -> Mapping[str, Outcome] | None:
        """What has become of the jobs for good, by full key; None if none is decided."""
        known = self.progress.outcomes()
        return {key: one for key, one in known.items() if one.fate.is_final} or None

    def counts(self) -> None:
        """None: each job's outcome is written down, and no more."""

    async def close(self) -> None:
        """Nothing is being read."""

    async def snapshot_of(self, call: Call, shared: Texts | None) -> bytes:
        """What a call wipes; of a parent in several calls before the first of them.

        Costs what `read_lines` costs.
        """
        names = (name.key for name in call.names())
        fresh = [self._nodes[key] for key in names if key not in self._written]
        self._written |= {node.key for node in fresh}
        found = await read_lines(self.client, fresh, self._parents, self._again)
        return snapshot_lines(found, shared)


@dataclass(frozen=True, slots=True)
class Reruns:
    """The jobs of one call on their way to run again."""

    rerun: Rerun
    call: Call

    def __len__(self) -> int:
        """How many jobs."""
        return len(self.ids)

    @property
    def ids(self) -> list[str]:
        """Their full keys."""
        return [name.key for name in self.call.names()]

    def cut(self, jobs: int) -> tuple[Reruns, None]:
        """All of it: the step is atomic."""
        return self, None

    def only(self, wanted: Sequence[bool]) -> Reruns:
        """Some of its jobs."""
        parents = tuple(compress(self.call.parents, wanted))
        at, released = len(self.call.parents), []
        for batch in self.call.released:
            jobs = tuple(compress(batch.jobs, wanted[at:]))
            at += len(batch.jobs)
            if jobs:
                released.append(replace(batch, jobs=jobs))
        return Reruns(self.rerun, Call(parents, tuple(released)))

    def take(self) -> None:
        """Each call is handed out once anyway."""

    async def snapshot(self, texts: Texts | None) -> bytes:
        """What the call wipes."""
        return await self.rerun.snapshot_of(self.call, texts)

    async def send(self) -> Batch:
        """Parks and releases them, in one atomic step."""
        rerun = self.rerun
        batch = await rerun.writer.rerun(
            self.call.parents,
            self.call.released,
            mode=rerun.plan.mode,
            reset_attempts_made=rerun.resets.made,
            reset_attempts_started=rerun.resets.started,
        )
        refused = next((one.error for one in batch.results if general_refusal(one.error)), "")
        results = [
            # What was left alone after a refusal was so for the same reason.
            one._replace(
                job_id=key, error=refused if one.code is Code.REFUSED and refused else one.error
            )
            for key, one in zip(self.ids, batch.results, strict=True)
        ]
        return replace(batch, results=results)

    async def look(self) -> Seen:
        """Whether the call was carried out: then none of the jobs that it releases is in its place.

        A call that only parks is always sent again: its parents may be in several calls.
        """
        done = bool(self.call.released) and await self._has_moved()
        return Seen([not done] * len(self), [Result(key, Code.DONE) for key in self.ids])

    async def correct(self, seen: Seen, results: Sequence[Result]) -> list[Result]:
        """The first call may have come late; then this one found its work done."""
        if not all(one.done for one in results) and await self._has_moved():
            return list(seen.results)
        return list(results)

    async def _has_moved(self) -> bool:
        """Whether none of the jobs is where it was seen; of those released, if there are any."""
        first = len(self.call.parents) if self.call.released else 0
        pairs = list(zip(self.call.names(), self.call.pins(), strict=True))[first:]
        pins = {name.key: pin for name, pin in pairs if pin is not None}
        nodes = await read_nodes(
            self.rerun.client, [name for name, pin in pairs if pin is not None]
        )
        return not any(node.row.score == pins[node.key] for node in nodes)

    def settle(self, results: Sequence[Result]) -> list[Result]:
        """Each job once: a parent of which more comes in a later call is reported then."""
        pins = zip(self.ids, self.call.pins(), results, strict=True)
        self.rerun.done |= {key: pin for key, pin, one in pins if pin is not None and one.done}
        return [
            one
            for one, more in zip(results, self.call.more(), strict=True)
            if not more or not one.done
        ]

    def objection(self, results: Sequence[Result]) -> str:
        """Why nothing more may be sent: a child must not run before its parent waits."""
        if all(one.done for one in results):
            return ""
        changed = any(one.code not in (Code.DONE, Code.REFUSED) for one in results)
        why = next((one.error for one in results if one.error), "")
        return CHANGED if changed or not why else f"Redis refused it: {first_line(why)}"
