"""`qtui flow --rerun`: tell what will run again, ask, do it, and say what became of every job."""

from __future__ import annotations

import asyncio
import contextlib
import shlex
import signal
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, cast

from redis.exceptions import RedisError

from qtui.bullmq.codes import Code, ForeignQueue, Result, meaning
from qtui.bullmq.connection import Client, explain
from qtui.bullmq.flow_writer import FlowWriter
from qtui.bullmq.headline import spoken
from qtui.bullmq.model import JobState
from qtui.commands.asking import agreed, check_may_write
from qtui.commands.find import find_queue
from qtui.commands.ndjson import result_object, summary_object
from qtui.commands.output import Cell, Column, Paper, Progress, Table
from qtui.commands.run import DONE, INTERRUPTED, NOT_ALL, REDIS, Place, Stop
from qtui.retry.journal_reading import JournalError
from qtui.retry.outcome import Fate
from qtui.retry.plan import Resets
from qtui.retry.rerun import JobResult, Rerun
from qtui.retry.rerun_plan import Part, RerunPlan, Start, Step
from qtui.retry.rerun_progress import RerunProgress, read_progress
from qtui.retry.rerun_reading import make_rerun_plan
from qtui.retry.rerun_record import RerunRecorder
from qtui.text import count, first_line, plain, plural
from qtui.views.columns import Tone

_MOST_STEPS: Final = 30
_LOOK: Final = 0.5
"""Seconds between two looks at what becomes of the jobs, at least."""

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
_TOLD: Final = (Part.RUNS, Part.FOLLOWS, Part.UNDER_WAY, Part.GONE, Part.LEFT)
_TONES: Final = {Part.RUNS: Tone.GOOD, Part.FOLLOWS: Tone.GOOD, Part.LEFT: Tone.BUSY}
_TITLES: Final = {Start.FAILURE: "from failure", Start.START: "from the start"}


@dataclass(frozen=True, slots=True)
class Request:
    """Which flow, and what is to be done with it."""

    queue: str
    job_id: str
    rerun: Start | None
    resets: Resets
    dry_run: bool
    yes: bool
    json: bool
    follow: float = 0.0
    """Seconds for which the jobs are followed when all are sent."""
    drop_lost: bool = False
    """Whether parents are to run without children that are gone."""

    @property
    def asks(self) -> bool:
        """Whether a person is to say yes."""
        return not (self.yes or self.dry_run)

    @property
    def words(self) -> str:
        """The command, as the journal remembers it: without what stood before it."""
        words = ["qtui", "flow", self.queue, self.job_id]
        words += ["--rerun", self.rerun.value] if self.rerun is not None else []
        words += ["--reset-attempts-made"] if self.resets.made else []
        words += ["--reset-attempts-started"] if self.resets.started else []
        words += ["--drop-lost"] if self.drop_lost else []
        return shlex.join(words)


def rerun_flow(place: Place, request: Request, start: Start) -> int:
    """Reruns the flow of a job, or tells what a rerun would do."""
    check_may_write(place, "rerun", dry_run=request.dry_run, asks=request.asks)
    plan = place.ask(lambda client: _plan(client, place, request, start))
    if not request.json or request.asks:
        _tell(place.err, plan, request.resets)
    if plan.refusal:
        raise Stop(plan.refusal, NOT_ALL)
    report = _Report(place, plan, request)
    if request.dry_run:
        return report.forecasts()
    if request.asks:
        try:
            said_yes = agreed(f"Rerun {plural(plan.jobs, 'job')}? [y/N] ")
        except KeyboardInterrupt:
            place.err.line()
            return report.end(INTERRUPTED, "interrupted: nothing was rerun")
        if not said_yes:
            return report.end(NOT_ALL, "nothing was rerun")
    return place.ask(lambda client: _carry_out(client, place, request, plan, report), writes=True)


async def _plan(client: Client, place: Place, request: Request, start: Start) -> RerunPlan:
    status = await find_queue(client, place.settings.prefixes, request.queue)
    progress = Progress()
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
        raise Stop(str(error), NOT_ALL) from None
    finally:
        progress.clear()


def _tell(paper: Paper, plan: RerunPlan, resets: Resets) -> None:
    """The plan, for a person."""
    title = f"Rerun the flow of {plain(plan.lineage.root.key)} {_TITLES[plan.start]}"
    paper.line(paper.styled(title, bold=True))
    if not plan.refusal:
        paper.line(plan.headline)
    columns = Column("job"), Column("name"), Column("queue"), Column("fate"), Column("error")
    steps = [step for part in _TOLD for step in plan.of(part)]
    rows = [_step_cells(step) for step in steps[:_MOST_STEPS]]
    if rows:
        Table(paper, columns).write(rows)
    if len(steps) > _MOST_STEPS:
        paper.line(f"and {count(len(steps) - _MOST_STEPS)} more")
    for warning in plan.warnings(resets):
        paper.line(paper.styled(f"▲ {warning}", Tone.BUSY))
    if resets.made or resets.started:
        which = [word for word, on in (("made", resets.made), ("started", resets.started)) if on]
        paper.line(f"Reset: attempts {' and '.join(which)}.")
    paper.flush()


def _step_cells(step: Step) -> tuple[Cell, ...]:
    node = step.node
    error = spoken(node.row.failed_reason or "") if node.state is JobState.FAILED else ""
    tone = _TONES.get(step.part, Tone.FAINT)
    fate = Cell(f"→ {step.fate}" if step.part.reruns else step.fate, tone)
    name, queue = Cell(plain(node.row.name)), Cell(plain(node.queue.base))
    return Cell(plain(node.id)), name, queue, fate, Cell(error)


class _Report:
    """Says what became of the jobs, one by one and in the end."""

    def __init__(self, place: Place, plan: RerunPlan, request: Request) -> None:
        self._place = place
        self._plan = plan
        self._request = request
        self._states = {step.node.key: step.node.state or JobState.FAILED for step in plan.steps}
        self._table = Table(place.out, (Column("job"), Column("queue"), Column("result")))
        self._codes: dict[Code, int] = {}
        self.rerun: Rerun | None = None
        """What is told of."""
        self.followed: RerunProgress | None = None
        """What has become of the jobs, if they were followed."""

    def results(self, results: Iterable[JobResult]) -> None:
        """Prints results and sees to it that they can be read at once."""
        for one in results:
            result, state = one.result, self._states[one.name.key]
            self._codes[result.code] = self._codes.get(result.code, 0) + 1
            if self._request.json:
                members = result_object(result, state)
                self._place.out.json({"id": one.name.id, "queue": one.name.queue.base, **members})
            else:
                where = Cell(plain(one.name.id)), Cell(plain(one.name.queue.base))
                self._table.write([(*where, _verdict(result, state))])
        self._place.out.flush()

    def forecasts(self) -> int:
        """Prints what a rerun would do with each job."""
        for step in self._plan.steps:
            if step.part.reruns:
                self._codes[Code.RETRIED] = self._codes.get(Code.RETRIED, 0) + 1
            if self._request.json:
                where = {"id": step.node.id, "queue": step.node.queue.base}
                self._place.out.json({**where, "part": step.part.value})
        return self.end(DONE)

    @property
    def journal(self) -> str | None:
        """The journal's id."""
        journal = self.rerun.journal if self.rerun is not None else None
        return journal.id if journal is not None else None

    @property
    def complete(self) -> bool:
        """Whether every job that was to run again does."""
        return self._codes.get(Code.RETRIED, 0) == self._plan.jobs

    def end(self, code: int, message: str = "") -> int:
        """Prints the summary, then the message on stderr, and returns the code."""
        dry_run = self._request.dry_run
        if self._request.json:
            summary = summary_object(
                self._plan.jobs,
                self._codes,
                journal=self.journal,
                dry_run=dry_run,
                warnings=self._plan.warnings(self._request.resets),
            )
            if self.followed is not None:
                members = cast("dict[str, object]", summary["summary"])
                members["outcomes"] = _outcomes(self.followed)
            self._place.out.json(summary)
        else:
            done = count(self._codes.get(Code.RETRIED, 0))
            verb = "would run again" if dry_run else "run again"
            self._place.out.line(f"{done} of {plural(self._plan.jobs, 'job')} {verb}")
            if self.followed is not None:
                self._place.out.line(self.followed.words)
            if self.journal is not None:
                self._place.out.line(f"journal {self.journal}")
        self._place.out.flush()
        if message:
            self._place.err.line(f"qtui: {plain(message)}")
        return code


def _verdict(result: Result, state: JobState) -> Cell:
    if result.retried:
        return Cell(f"✔ {'waiting' if result.target == 'wait' else result.target}", Tone.GOOD)
    words = meaning(result.code, state)
    sign = "?" if result.code is Code.UNKNOWN else f"✗ {result.code.value}"
    return Cell(f"{sign} {words}: {first_line(result.error)}".rstrip(": "), Tone.BAD)


def _outcomes(progress: RerunProgress) -> dict[str, object]:
    """What became of the jobs while they were followed; the names are those of a retry's."""
    fates = Counter(one.fate for one in progress.outcomes().values())
    told = {
        "recovered": Fate.COMPLETED,
        "failed_again": Fate.FAILED_AGAIN,
        "waiting": Fate.WAITING,
        "active": Fate.ACTIVE,
        "delayed": Fate.DELAYED,
        "gone": Fate.GONE,
    }
    fates[Fate.WAITING] += progress.plan.jobs - fates.total()  # of many, those not yet decided
    return {name: fates[fate] for name, fate in told.items()}


async def _carry_out(
    client: Client, place: Place, request: Request, plan: RerunPlan, report: _Report
) -> int:
    record = RerunRecorder(place.journal, place.target.shown, request.words)
    rerun = Rerun(client, FlowWriter(client), plan, request.resets, record=record)
    report.rerun, stopped = rerun, asyncio.Event()

    def stop() -> None:
        stopped.set()
        rerun.stop()

    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        loop.add_signal_handler(number, stop)
    try:
        async for results in rerun.run():
            report.results(results)
        if request.follow and report.complete:
            await _follow(client, request.follow, rerun, report, stopped)
    except JournalError as error:
        return report.end(NOT_ALL, _journal_words(rerun, error))
    except ForeignQueue as error:
        return report.end(NOT_ALL, f"stopped: a queue of the flow is {error}")
    except (RedisError, OSError) as error:
        return report.end(REDIS, str(explain(error, place.target)))
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)
        rerun.write_outcomes(report.followed.outcomes() if report.followed is not None else {})
    for note in rerun.notes:
        place.err.line(f"qtui: the jobs were rerun, but Redis refused an effect: {plain(note)}")
    return _ended(place, rerun, report, stopped=stopped.is_set())


def _journal_words(rerun: Rerun, error: JournalError) -> str:
    if not rerun.rerun:
        return f"nothing was rerun: {error}"
    return f"stopped: {error}: the same command does what is left"


def _fared(place: Place, followed: RerunProgress) -> int:
    """The exit code of a rerun that was followed; names the jobs of which the end is not known."""
    open_jobs = followed.plan.jobs - followed.completed - len(followed.failed) - followed.gone
    parts = ((open_jobs, "not finished yet"), (followed.gone, "removed, their end unknown"))
    if words := ", ".join(f"{count(number)} {what}" for number, what in parts if number):
        place.err.line(f"qtui: of {plural(followed.plan.jobs, 'job')}: {words}")
    return NOT_ALL if followed.failed or followed.gone else DONE


def _ended(place: Place, rerun: Rerun, report: _Report, *, stopped: bool) -> int:
    if rerun.lost:
        return report.end(REDIS, "the connection was lost: the same command does what is left")
    if report.complete:
        return report.end(DONE if report.followed is None else _fared(place, report.followed))
    if stopped:
        return report.end(INTERRUPTED, "interrupted: the same command does what is left")
    return report.end(NOT_ALL, "the flow has changed meanwhile: look again")


async def _follow(
    client: Client, seconds: float, rerun: Rerun, report: _Report, stopped: asyncio.Event
) -> None:
    """Looks at the jobs until all are decided, the time is up, or somebody stops it."""
    loop, progress = asyncio.get_running_loop(), Progress()
    deadline = loop.time() + seconds
    try:
        while True:
            begun = loop.time()
            report.followed = await read_progress(client, rerun.plan, report.followed)
            progress.say(report.followed.words)
            left = deadline - loop.time()
            if report.followed.is_over or left <= 0:
                return
            # The more seldom the longer a look takes: Redis has others to serve.
            pause = min(left, max(_LOOK, 3 * (loop.time() - begun)))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopped.wait(), pause)
                return
    finally:
        progress.clear()
