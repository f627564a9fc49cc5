"""`qtui flow --rerun`: shows the plan, asks, reruns the flow, and prints each job's result."""

from __future__ import annotations

import asyncio
import shlex
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from qtui.bullmq.codes import Code, Result, meaning
from qtui.bullmq.connection.client import Client
from qtui.bullmq.model import JobState
from qtui.bullmq.signature.headline import spoken
from qtui.bullmq.writers.rerun import RerunWriter
from qtui.commands.shared.asking import Manner, check_may_write, declined
from qtui.commands.shared.find import find_queue
from qtui.commands.shared.ndjson import result_object
from qtui.commands.shared.output import Cell, Column, Paper, ProgressLine, Table
from qtui.commands.shared.plans import tell_end, tell_warnings
from qtui.commands.shared.report import Report
from qtui.commands.shared.run import DONE, NOT_ALL, CommandError, Workplace
from qtui.commands.shared.sending import carry_out, recorder
from qtui.operations.engine.campaign import Campaign
from qtui.operations.flow_rerun.plan import Part, RerunPlan, RerunStep, Start
from qtui.operations.flow_rerun.planning import make_rerun_plan
from qtui.operations.flow_rerun.progress import RerunProgress
from qtui.operations.flow_rerun.rerun import Rerun
from qtui.operations.following.outcome import Fate
from qtui.operations.planning.plan import Resets
from qtui.text import count, first_line, plain, plural
from qtui.verbs import Verb
from qtui.views.tone import Tone

_MOST_STEPS: Final = 30
_LOOK: Final = 0.5
"""Least number of seconds between two looks at the jobs."""

_SHOWN: Final = (Part.RUNS, Part.FOLLOWS, Part.UNDER_WAY, Part.GONE, Part.LEFT)
_TONES: Final = {Part.RUNS: Tone.GOOD, Part.FOLLOWS: Tone.GOOD, Part.LEFT: Tone.BUSY}
_TITLES: Final = {Start.FAILURE: "failed jobs only", Start.START: "all jobs"}


@dataclass(frozen=True, slots=True, kw_only=True)
class RerunRequest(Manner):
    """Which flow, and what to do with it."""

    queue: str
    job_id: str
    rerun: Start | None
    resets: Resets
    follow: float = 0.0
    """Seconds to follow the jobs after all are sent."""
    drop_lost: bool = False
    """Whether parents may run without children that are gone."""

    @property
    def words(self) -> str:
        """The command line as the journal records it, without the options before the command."""
        words = ["qtui", "flow", self.queue, self.job_id]
        words += ["--rerun", self.rerun.value] if self.rerun is not None else []
        words += ["--reset-attempts-made"] if self.resets.made else []
        words += ["--reset-attempts-started"] if self.resets.started else []
        words += ["--drop-lost"] if self.drop_lost else []
        return shlex.join(words)


def rerun_flow(place: Workplace, request: RerunRequest, start: Start) -> int:
    """Reruns a job's flow, or shows what a rerun would do; returns the exit code."""
    check_may_write(place, Verb.RERUN, request)
    plan = place.ask(lambda client: _plan(client, place, request, start))
    if not request.json or request.asks:
        _print_plan(place.err, plan, request)
    if plan.refusal:
        raise CommandError(plan.refusal, NOT_ALL)
    report = RerunReport(place, plan, request)
    if request.dry_run:
        return report.forecast()
    question = f"Rerun {plural(plan.jobs, 'job')}"
    if (code := declined(place, report, question, request)) is not None:
        return code
    return place.ask(
        lambda client: _carry_out(client, place, request, plan, report), writes=Verb.RERUN
    )


async def _plan(client: Client, place: Workplace, request: RerunRequest, start: Start) -> RerunPlan:
    status = await find_queue(client, place.settings.prefixes, request.queue)
    progress = ProgressLine()
    try:
        return await make_rerun_plan(
            client,
            status.queue,
            request.job_id,
            start,
            known=[status.queue],
            progress=lambda seen: progress.say(f"reading the flow: {plural(seen, 'job')}"),
            drop_lost=request.drop_lost,
        )
    except LookupError as error:
        raise CommandError(str(error), NOT_ALL) from None
    finally:
        progress.clear()


def _print_plan(paper: Paper, plan: RerunPlan, request: RerunRequest) -> None:
    """Prints the plan for a person to read, with the options that were given."""
    title = f"Rerun the flow of {plain(plan.lineage.root.key)}: {_TITLES[plan.start]}"
    paper.line(paper.styled(title, bold=True))
    if not plan.refusal:
        paper.line(plan.headline)
    columns = Column("job"), Column("name"), Column("queue"), Column("fate"), Column("error")
    steps = [step for part in _SHOWN for step in plan.of(part)]
    rows = [_step_cells(step) for step in steps[:_MOST_STEPS]]
    if rows:
        Table(paper, columns).write(rows)
    if len(steps) > _MOST_STEPS:
        paper.line(f"and {count(len(steps) - _MOST_STEPS)} more")
    tell_warnings(paper, plan.warnings(request.resets))
    options = request.resets.words()
    if request.follow:
        options.append(f"follow for {request.follow:g} s")
    tell_end(paper, request.reason, options)


def _step_cells(step: RerunStep) -> tuple[Cell, ...]:
    node = step.node
    error = spoken(node.row.failed_reason or "") if node.state is JobState.FAILED else ""
    tone = _TONES.get(step.part, Tone.FAINT)
    fate = Cell(f"→ {step.fate}" if step.part.reruns else step.fate, tone)
    name, queue = Cell(plain(node.row.name)), Cell(plain(node.queue.base))
    return Cell(plain(node.id)), name, queue, fate, Cell(error)


class RerunReport(Report):
    """Prints what became of the jobs of a flow, with the full keys of their queues."""

    verb = "rerun"

    def __init__(self, place: Workplace, plan: RerunPlan, request: RerunRequest) -> None:
        super().__init__(
            place.out, place.err, JobState.FAILED, json=request.json, dry=request.dry_run
        )
        self.selected = plan.jobs
        self.warnings = list(plan.warnings(request.resets))
        self.progress: RerunProgress | None = None
        """Outcomes of the jobs, if they were followed."""
        self._nodes = {step.node.key: step.node for step in plan.steps}
        self._plan = plan

    @property
    def how_to_resume(self) -> str:
        """How to do what is left: with a new plan."""
        return "run the same command again to do the rest"

    def look(self, progress: RerunProgress) -> None:
        """Takes in the outcomes known so far."""
        self.progress = progress
        jobs = self.selected
        left = jobs - progress.completed - len(progress.failed) - progress.gone
        parts = ((left, "not finished yet"), (progress.gone, "removed (outcome unknown)"))
        words = ", ".join(f"{count(number)} {what}" for number, what in parts if number)
        self.remark = f"of {plural(jobs, 'job')}: {words}" if words else ""

    def forecast(self) -> int:
        """Prints what a rerun would do with each job; returns the exit code."""
        for step in self._plan.steps:
            if step.part.reruns:
                self.count({Code.DONE: 1})
            if self._json:
                where = {"id": step.node.id, "queue": step.node.queue.base}
                self._out.json({**where, "part": step.part.value})
        return self.end(DONE)

    @property
    def code(self) -> int:
        """The exit code, if nothing cut the rerun short."""
        if not self.complete:
            return NOT_ALL
        bad = self.progress is not None and (self.progress.failed or self.progress.gone)
        return NOT_ALL if bad else DONE

    @property
    def complete(self) -> bool:
        """Whether every selected job was sent."""
        return self._codes[Code.DONE] == self.selected

    @property
    def summary(self) -> str:
        """The counts as one line."""
        verb = "would run again" if self._dry_run else "run again"
        return f"{count(self._codes[Code.DONE])} of {plural(self.selected, 'job')} {verb}"

    def _columns(self) -> Sequence[Column]:
        return Column("job"), Column("queue"), Column("result")

    def _object(self, result: Result) -> dict[str, object]:
        node = self._nodes[result.job_id]
        members = result_object(result, node.state or JobState.FAILED)
        return {"id": node.id, "queue": node.queue.base} | members | {"id": node.id}

    def _cells(self, result: Result) -> Sequence[Cell]:
        node = self._nodes[result.job_id]
        said = _verdict(result, node.state or JobState.FAILED)
        return Cell(plain(node.id)), Cell(plain(node.queue.base)), said

    def _outcomes(self) -> Mapping[str, object] | None:
        return None if self.progress is None else _outcomes(self.progress)

    def _words(self) -> str:
        return "" if self.progress is None else self.progress.words


def _verdict(result: Result, state: JobState) -> Cell:
    if result.done:
        return Cell(f"✔ {'waiting' if result.target == 'wait' else result.target}", Tone.GOOD)
    words = meaning(result.code, state)
    sign = "?" if result.code is Code.UNKNOWN else f"✗ {result.code.value}"
    return Cell(f"{sign} {words}: {first_line(result.error)}".rstrip(": "), Tone.BAD)


def _outcomes(progress: RerunProgress) -> dict[str, object]:
    """Outcomes of the followed jobs, with the same names as for a retry."""
    fates = Counter(one.fate for one in progress.outcomes().values())
    named = {
        "recovered": Fate.COMPLETED,
        "failed_again": Fate.FAILED_AGAIN,
        "waiting": Fate.WAITING,
        "active": Fate.ACTIVE,
        "delayed": Fate.DELAYED,
        "gone": Fate.GONE,
    }
    fates[Fate.WAITING] += (
        progress.plan.jobs - fates.total()
    )  # of a large flow, those not yet decided
    return {name: fates[fate] for name, fate in named.items()}


async def _carry_out(
    client: Client, place: Workplace, request: RerunRequest, plan: RerunPlan, report: RerunReport
) -> int:
    rerun = Rerun(client, RerunWriter(client), plan, request.resets)
    campaign = Campaign(client, rerun, record=recorder(place, request, request.words))

    async def follow() -> AsyncIterator[str]:
        if report.complete:
            async for progress in _looks(rerun, request.follow):
                report.look(progress)
                yield progress.words

    return await carry_out(campaign, place, report, follow if request.follow else None)


async def _looks(rerun: Rerun, seconds: float) -> AsyncIterator[RerunProgress]:
    """Looks at the jobs until all are decided or the time is up."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while True:
        begun = loop.time()
        yield (progress := await rerun.look())
        left = deadline - loop.time()
        if progress.is_over or left <= 0:
            return
        # Slow looks are spaced out further, so that Redis can serve others.
        await asyncio.sleep(min(left, max(_LOOK, 3 * (loop.time() - begun))))
