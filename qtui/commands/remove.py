"""`qtui remove`: shows the plan, asks, removes the jobs, and prints each job's result."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from qtui.bullmq.codes import Code, Result, meaning
from qtui.bullmq.connection.client import Client
from qtui.bullmq.connection.origin import read_origin
from qtui.bullmq.filter import Filter, FilterError
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState
from qtui.bullmq.writers.remove import RemoveWriter
from qtui.commands.shared.asking import agreed, check_may_write
from qtui.commands.shared.find import find_queue
from qtui.commands.shared.output import Cell, Column, Paper, ProgressLine, Table, is_terminal
from qtui.commands.shared.report import Report, tell_reason
from qtui.commands.shared.run import (
    DONE,
    INTERRUPTED,
    NOT_ALL,
    REDIS,
    USAGE,
    CommandError,
    Workplace,
)
from qtui.commands.shared.sending import carry_out
from qtui.operations.engine.campaign import Campaign
from qtui.operations.engine.pace import Pace
from qtui.operations.journal.reading import JournalError, find, read_header
from qtui.operations.planning.proposal import PlanOptions
from qtui.operations.remove.plan import (
    CHILDREN_TOO,
    WITHOUT_UNDO,
    Prediction,
    RemovalPlan,
    make_removal_plan,
)
from qtui.operations.remove.reasons import is_kept
from qtui.operations.remove.remove import Remove
from qtui.operations.remove.resuming import resume_removal
from qtui.operations.resuming.interrupted import AllDone, Interrupted
from qtui.operations.resuming.recorder import Recorder
from qtui.operations.resuming.same_server import OtherServer
from qtui.operations.supply.selection import Query, Selection, chosen, query
from qtui.text import count, first_line, plain, plural
from qtui.verbs import Verb
from qtui.views.columns import Tone, verdict

_MOST_GROUPS: Final = 30
_IN_WORDS: Final = 20
"""Ids that the journal records of a command line."""

_QUICK: Final = 0.5
"""Seconds of reading before progress is shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveRequest:
    """Which jobs to remove, and how."""

    queue: str
    ids: tuple[str, ...]
    filter: Filter | None
    """If there are no ids: which jobs of the state; None for all."""
    state: JobState
    children: bool
    """Whether the jobs below them go too."""
    without_undo: bool
    """Whether jobs go too that no undo could bring back."""
    pace: Pace
    dry_run: bool
    yes: bool
    json: bool
    reason: str = ""
    """Why, for the journal."""
    verbose: bool = False
    """Print a line for each job on a terminal too."""
    ids_on_stdin: bool = False
    """Whether ids came from standard input, so that answers are read from the terminal."""

    @property
    def asks(self) -> bool:
        """Whether the user has to confirm."""
        return not (self.yes or self.dry_run)

    @property
    def options(self) -> PlanOptions:
        """What was chosen, as the plan takes it."""
        on = {CHILDREN_TOO: self.children, WITHOUT_UNDO: self.without_undo}
        return PlanOptions(on=frozenset(name for name, is_on in on.items() if is_on))

    @property
    def words(self) -> str:
        """The command line as the journal records it, without the options before the command."""
        words = ["qtui", "remove", self.queue, *self.ids[:_IN_WORDS], "--state", self.state]
        words += ["…"] if len(self.ids) > _IN_WORDS else []
        if self.filter is not None:
            words += ["--filter", self.filter.source]
        elif not self.ids:
            words.append("--all")
        words += ["--with-children"] if self.children else []
        words += ["--without-undo"] if self.without_undo else []
        return shlex.join(words)


class RemovalReport(Report):
    """Prints what became of jobs that were to be removed."""

    verb: ClassVar[str] = "removed"
    _kept = 0
    """Jobs that stay for a reason of their own, not since Redis refused."""

    @property
    def goes_on(self) -> str:
        """How to do what is left; empty if nothing was begun."""
        return "" if self.journal is None else f"qtui remove --resume {self.journal} does the rest"

    @property
    def code(self) -> int:
        """The exit code, if nothing cut the campaign short."""
        if self._codes[Code.REFUSED] > self._kept:
            return REDIS
        return DONE if self._codes[Code.DONE] == self.selected else NOT_ALL

    def results(self, results: Iterable[Result]) -> None:
        """Prints results and flushes them."""
        results = list(results)
        self._kept += sum(map(is_kept, results))
        super().results(results)

    def predictions(self, predictions: Sequence[Prediction]) -> None:
        """Prints what a removal would do with these jobs."""
        self.results(map(_as_result, predictions))

    def _columns(self) -> Sequence[Column]:
        return Column("id"), Column("would be" if self._dry_run else "result")

    def _object(self, result: Result) -> dict[str, object]:
        members: dict[str, object] = {"id": result.job_id}
        if result.done:
            return members | {"code": 1, "target": result.target or None}
        code = None if result.code is Code.UNKNOWN else result.code.value
        return members | {"code": code, "error": self._why(result)}

    def _why(self, result: Result) -> str:
        error = first_line(result.error)
        if result.code is Code.REFUSED and error:
            return error
        words = meaning(result.code, self._state)
        return f"{words}: {error}" if error else words

    def _cells(self, result: Result) -> Sequence[Cell]:
        id_cell = Cell(plain(result.job_id))
        if result.done:
            said = verdict(result, None, self._state, Verb.REMOVE).text
            return id_cell, Cell(
                plain(said.replace("✔", "→") if self._dry_run else said), Tone.GOOD
            )
        sign = "?" if result.code is Code.UNKNOWN else f"✗ {result.code.value}"
        return id_cell, Cell(f"{sign} {plain(self._why(result))}", Tone.BAD)

    @property
    def summary(self) -> str:
        """The counts as one line."""
        return super().summary.replace("refused by Redis (0)", "kept (0)")

    def end(self, code: int, message: str = "") -> int:
        """Prints the summary, then the message on stderr; returns the code."""
        if not self._json:
            return super().end(code, message)
        counts = {
            "unknown" if one is Code.UNKNOWN else str(one.value): number
            for one, number in self._codes.items()
            if number
        }
        members: dict[str, object] = {
            "action": Verb.REMOVE.value,
            "selected": self.selected,
            "done": 0 if self._dry_run else self._codes[Code.DONE],
            "codes": counts,
            "journal": self.journal,
        }
        if self._left:
            members["left"] = self._left
        if self._dry_run:
            members |= {"dry_run": True, "warnings": list(self.warnings)}
        self._out.json({"summary": members})
        self._out.flush()
        if message:
            self._err.line(f"qtui: {plain(message)}")
        return code


def _as_result(one: Prediction) -> Result:
    return Result(one.row.id, one.code, one.target, "" if one.code is Code.DONE else one.why)


def remove_jobs(place: Workplace, request: RemoveRequest) -> int:
    """Removes jobs, or shows what a removal would do; returns the exit code."""
    check_may_write(
        place,
        Verb.REMOVE,
        dry_run=request.dry_run,
        asks=request.asks,
        stdin_is_used=request.ids_on_stdin,
    )
    report = RemovalReport(
        place.out,
        place.err,
        request.state,
        json=request.json,
        dry=request.dry_run,
        verbose=request.verbose,
    )
    try:
        plan = place.ask(lambda client: _plan(client, place, request, report))
    except FilterError as error:  # a regular expression ran away
        raise CommandError(f"--filter: {error}", USAGE) from None
    if plan.status.kind.refusal:
        raise CommandError(f"{plan.queue.base} is {plan.status.kind.refusal}", NOT_ALL)
    options = request.options
    report.selected, report.warnings = plan.jobs, list(plan.warnings(options))
    if not request.json or request.asks:
        _tell(place.err, plan, request)
    if not plan.jobs:
        match = f" that match {request.filter.source}" if request.filter else ""
        return report.end(DONE, f"no {plan.state} jobs in {plan.queue.base}{match}")
    if request.dry_run or not plan.removable(options):
        if not request.dry_run:
            report.predictions(plan.predictions)
        return report.end(report.code if request.dry_run or request.ids else NOT_ALL)
    if request.asks and (code := _asked(place, plan, request, report)) is not None:
        return code
    return place.ask(
        lambda client: _carry_out(client, place, plan, request, report), writes=Verb.REMOVE
    )


def _asked(
    place: Workplace, plan: RemovalPlan, request: RemoveRequest, report: Report
) -> int | None:
    """Asks for confirmation; the exit code if it is refused."""
    words = plan.go(request.options)
    try:
        said_yes = agreed(
            f"{words[0].upper()}{words[1:]}? [y/N] ", stdin_is_used=request.ids_on_stdin
        )
    except KeyboardInterrupt:
        place.err.line()
        return report.end(INTERRUPTED, "interrupted: nothing was removed")
    return None if said_yes else report.end(NOT_ALL, "nothing was removed")


async def _plan(
    client: Client, place: Workplace, request: RemoveRequest, report: RemovalReport
) -> RemovalPlan:
    status = await find_queue(client, place.settings.prefixes, request.queue)
    queue, state = status.queue, request.state
    selection: Selection
    if request.ids:
        selection = chosen(queue, state, request.ids)
    else:
        selection = await query(client, queue, state, request.filter)
    progress, since = ProgressLine(), time.monotonic()

    def say(seen: int, total: int) -> None:
        if seen < total and time.monotonic() - since > _QUICK:
            progress.say(f"reading {count(seen)} of {plural(total, 'job')}")

    def told(predictions: Sequence[Prediction]) -> None:
        if request.dry_run and not status.kind.refusal:
            progress.clear()
            report.predictions(predictions)

    try:
        rate = place.settings.scan_rate
        return await make_removal_plan(client, selection, progress=say, told=told, rate=rate)
    finally:
        progress.clear()


def _tell(paper: Paper, plan: RemovalPlan, request: RemoveRequest) -> None:
    """Prints the plan for a person to read."""
    options = request.options
    jobs = plural(plan.jobs, f"{plan.state} job")
    paper.line(paper.styled(f"Remove {jobs} from {plain(plan.queue.base)}", bold=True))
    lines = plan.lines(options)
    columns = Column("jobs", right=True), Column("name"), Column("error"), Column("fate")
    rows = []
    for line in lines[:_MOST_GROUPS]:
        fate = Cell(f"→ {line.place}", Tone.GOOD)
        if line.refusal:
            fate = Cell(f"✗ {plain(line.refusal)}", Tone.BAD)
        rows.append((Cell(count(line.number)), Cell(plain(line.name)), Cell(line.note), fate))
    Table(paper, columns).write(rows)
    if len(lines) > _MOST_GROUPS:
        paper.line(f"and {plural(len(lines) - _MOST_GROUPS, 'more group')}")
    for warning in plan.warnings(options):
        paper.line(paper.styled(f"▲ {warning}", Tone.BUSY))
    tell_reason(paper, request.reason)
    paper.flush()


async def _carry_out(
    client: Client,
    place: Workplace,
    plan: RemovalPlan,
    request: RemoveRequest,
    report: RemovalReport,
) -> int:
    record = Recorder(
        folder=place.journal,
        where=place.target.shown,
        how=request.words,
        reason=request.reason,
    )
    action = Remove(
        client,
        RemoveWriter(client),
        plan,
        children=request.children,
        without_undo=request.without_undo,
    )
    campaign = Campaign(client, action, request.pace, record=record)
    return await _run(campaign, place, report, plan.selection)


async def _run(
    campaign: Campaign[Remove], place: Workplace, report: RemovalReport, selection: Selection
) -> int:
    report.by_query = isinstance(selection, Query)
    try:
        return await carry_out(campaign, place, report)
    finally:
        campaign.close()


def no_ids_given(place: Workplace, *, json: bool) -> int:
    """Prints that a file or standard input held no ids; returns the exit code."""
    report = RemovalReport(place.out, place.err, JobState.FAILED, json=json, dry=False)
    return report.end(DONE, "no ids given: nothing was removed")


# Resuming -----------------------------------------------------------------------------------------


def resume_removal_of(
    place: Workplace, name: str, *, json: bool, verbose: bool = False, yes: bool = False
) -> int:
    """Resumes a removal whose process died or that was stopped; returns the exit code.

    If this server may not hold the campaign's queue, it asks first, unless ``yes`` is given.
    """
    check_may_write(place, Verb.REMOVE, dry_run=False, asks=False)
    try:
        taken = _take(place, name, yes=yes)
    except JournalError as error:
        raise CommandError(str(error), NOT_ALL) from None

    async def go_on(client: Client) -> int:
        campaign = await resume_removal(taken, client, RemoveWriter(client))
        state, selection = campaign.action.state, taken.selection()
        report = RemovalReport(place.out, place.err, state, json=json, dry=False, verbose=verbose)
        report.selected = campaign.selected
        report.count(campaign.codes)
        return await _run(campaign, place, report, selection)

    return place.ask(go_on, writes=Verb.REMOVE)


def _take(place: Workplace, name: str, *, yes: bool) -> Interrupted:
    where = place.target.shown
    try:
        return Interrupted.take(place.journal, name, where, anyway=yes, verb=Verb.REMOVE)
    except (AllDone, OtherServer):
        header = read_header(place.journal, find(place.journal, name))
        key = QueueKey(header.queue, header.prefix).key("meta")
        origin = place.ask(lambda client: read_origin(client, key))
    try:
        return Interrupted.take(place.journal, name, where, origin, anyway=yes, verb=Verb.REMOVE)
    except OtherServer as doubt:
        if not (is_terminal(sys.stdin) and place.err.is_terminal):
            raise
        place.err.line(f"qtui: {plain(str(doubt))}")
        place.err.flush()
        if not agreed("Resume it here? [y/N] "):
            raise CommandError("nothing was removed", NOT_ALL) from None
    return Interrupted.take(place.journal, name, where, origin, anyway=True, verb=Verb.REMOVE)
