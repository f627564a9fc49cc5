"""What the commands of an action on jobs of one state share: plan, question, sending, resuming.

A command brings a `JobsCommand`; its click function makes a `JobsRequest`.
"""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, Protocol, TypeVar

from qtui.bullmq.codes import NO_STATE, Code, Result, meaning
from qtui.bullmq.connection.client import Client
from qtui.bullmq.connection.origin import read_origin
from qtui.bullmq.filter import Filter, FilterError
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState, QueueStatus
from qtui.commands.shared.asking import agreed, check_may_write
from qtui.commands.shared.find import find_queue
from qtui.commands.shared.output import Cell, Column, Paper, ProgressLine, Table, is_terminal
from qtui.commands.shared.report import Report, tell_reason
from qtui.commands.shared.run import (
    DONE,
    INTERRUPTED,
    NOT_ALL,
    USAGE,
    CommandError,
    Workplace,
)
from qtui.commands.shared.sending import carry_out
from qtui.operations.engine.campaign import Campaign
from qtui.operations.engine.pace import Pace
from qtui.operations.journal.reading import JournalError, find, read_header
from qtui.operations.planning.proposal import ActionPlan, PlanOptions
from qtui.operations.resuming.interrupted import AllDone, Interrupted
from qtui.operations.resuming.recorder import Recorder
from qtui.operations.resuming.same_server import OtherServer
from qtui.operations.supply.picked import PickedAction
from qtui.operations.supply.selection import Query, Selection, chosen, query
from qtui.text import count, first_line, plain, plural
from qtui.verbs import Verb
from qtui.views.columns import Tone, verdict

_MOST_GROUPS: Final = 30
_IN_WORDS: Final = 20
"""Ids that the journal records of a command line."""

_QUICK: Final = 0.5
"""Seconds of reading before progress is shown."""


class JobsPlan(ActionPlan, Protocol):
    """The plan of an action on jobs of one state."""

    @property
    def status(self) -> QueueStatus:
        """Their queue."""

    @property
    def queue(self) -> QueueKey:
        """The queue of its jobs."""

    @property
    def by_query(self) -> bool:
        """Whether its jobs come from a query."""

    @property
    def results(self) -> Sequence[Result]:
        """What is expected job by job, for jobs chosen by id."""

    def expected(self, options: PlanOptions) -> int:
        """Returns how many jobs are expected to have code 1."""


P = TypeVar("P", bound=JobsPlan)
P_co = TypeVar("P_co", bound=JobsPlan, covariant=True)


class MakePlan(Protocol[P_co]):
    """Makes the plan of a selection; see `make_promotion_plan`."""

    def __call__(
        self,
        client: Client,
        selection: Selection,
        *,
        progress: Callable[[int, int], None],
        report: Callable[[Sequence[Result]], None],
        rate: float | None,
    ) -> Awaitable[P_co]:
        """Reads the jobs and predicts what the action would do with each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobsCommand(Generic[P]):
    """What one command brings."""

    verb: Verb
    plan: MakePlan[P]
    resume: Callable[[Interrupted, Client], Awaitable[Campaign[PickedAction]]]
    """Makes the campaign for what an earlier process has left."""
    report: type[JobsReport] | None = None
    """Prints the results; None for `JobsReport`."""
    preposition: str = "in"
    """Between the jobs and their queue in the title of the plan."""

    @property
    def reports(self) -> type[JobsReport]:
        """The class of its report."""
        return self.report or JobsReport


@dataclass(frozen=True, slots=True, kw_only=True)
class JobsRequest:
    """Which jobs, and how."""

    queue: str
    ids: tuple[str, ...]
    filter: Filter | None
    """If there are no ids: which jobs of the state; None for all."""
    state: JobState | None
    """None: the jobs, given by id, are in no state."""
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
    words: tuple[str, ...] = ()
    """The action's own options, as the journal records them."""
    options: PlanOptions = field(default_factory=PlanOptions)
    """The same as the plan takes them."""

    @property
    def asks(self) -> bool:
        """Whether the user has to confirm."""
        return not (self.yes or self.dry_run)

    def named(self, jobs: int) -> str:
        """Returns so many jobs of the state in words: ``3 failed jobs``."""
        if self.state is None:
            return f"{plural(jobs, 'job')} in no state"
        return plural(jobs, f"{self.state} job")

    def how(self, verb: Verb) -> str:
        """Returns the command line for the journal, without the options before the command."""
        words = ["qtui", verb, self.queue, *self.ids[:_IN_WORDS]]
        words += ["…"] if len(self.ids) > _IN_WORDS else []
        if self.filter is not None:
            words += ["--filter", self.filter.source]
        elif not self.ids:
            words.append("--all")
        return shlex.join([*words, *self.words])


class JobsReport(Report):
    """Prints what became of jobs, in the words of their action."""

    def __init__(
        self,
        place: Workplace,
        verb: Verb,
        state: JobState | None,
        *,
        json: bool,
        dry: bool = False,
        verbose: bool = False,
    ) -> None:
        self._action = verb
        super().__init__(
            place.out, place.err, state or NO_STATE, json=json, dry=dry, verbose=verbose
        )

    @property
    def verb(self) -> str:  # type: ignore[override]  # a class has one word, an action its own
        """What happens to the jobs, as a past participle."""
        return self._action.done

    @property
    def goes_on(self) -> str:
        """How to do what is left; empty if nothing was begun."""
        if self.journal is None:
            return ""
        return f"qtui {self._action} --resume {self.journal} does the rest"

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
            said = verdict(result, None, self._state, self._action).text
            said = said.replace("✔", "→") if self._dry_run else said
            return id_cell, Cell(plain(said), Tone.GOOD)
        sign = "?" if result.code is Code.UNKNOWN else f"✗ {result.code.value}"
        return id_cell, Cell(f"{sign} {plain(self._why(result))}", Tone.BAD)

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
            "action": self._action.value,
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


# One run -----------------------------------------------------------------------------------------


def act_on_jobs(place: Workplace, command: JobsCommand[P], request: JobsRequest) -> int:
    """Carries an action out, or shows what it would do; returns the exit code."""
    report = begin_report(place, command, request)
    try:
        plan = place.ask(lambda client: _plan(client, place, command, request, report))
    except FilterError as error:  # a regular expression ran away
        raise CommandError(f"--filter: {error}", USAGE) from None
    return act_on_plan(place, command, plan, request, report)


def begin_report(place: Workplace, command: JobsCommand[P], request: JobsRequest) -> JobsReport:
    """Checks that the action may be carried out here, and returns its report.

    Raises:
        CommandError: it may not.
    """
    check_may_write(
        place,
        command.verb,
        dry_run=request.dry_run,
        asks=request.asks,
        stdin_is_used=request.ids_on_stdin,
    )
    return command.reports(
        place,
        command.verb,
        request.state,
        json=request.json,
        dry=request.dry_run,
        verbose=request.verbose,
    )


def act_on_plan(
    place: Workplace,
    command: JobsCommand[P],
    plan: JobsPlan,
    request: JobsRequest,
    report: JobsReport,
) -> int:
    """Carries a plan out, or shows what it would do; returns the exit code."""
    verb, queue = command.verb, plan.queue.base
    if plan.status.kind.refusal:
        raise CommandError(f"{queue} is {plan.status.kind.refusal}", NOT_ALL)
    options = request.options
    report.selected, report.warnings = plan.jobs, list(plan.warnings(options))
    if not plan.jobs:
        match = f" that match {request.filter.source}" if request.filter else ""
        return report.end(DONE, f"no {request.state} jobs in {queue}{match}")
    if not request.json or request.asks:
        _tell(place.err, command, plan, request)
    if request.dry_run or not plan.expected(options):
        if not request.dry_run:
            report.results(plan.results)
        return report.end(report.code if request.dry_run or request.ids else NOT_ALL)
    if request.asks and (code := _asked(plan, request, report, place)) is not None:
        return code

    async def send(client: Client) -> int:
        record = Recorder(
            folder=place.journal,
            where=place.target.shown,
            how=request.how(verb),
            reason=request.reason,
        )
        campaign = Campaign(client, plan.action(client, options), request.pace, record=record)
        report.by_query = plan.by_query
        try:
            return await carry_out(campaign, place, report)
        finally:
            campaign.close()

    return place.ask(send, writes=verb)


def _asked(
    plan: JobsPlan, request: JobsRequest, report: JobsReport, place: Workplace
) -> int | None:
    """Asks for confirmation; the exit code if it is refused."""
    words, done = plan.go(request.options), report.verb
    question = f"{words[:1].upper()}{words[1:]}? [y/N] "
    try:
        said_yes = agreed(question, stdin_is_used=request.ids_on_stdin)
    except KeyboardInterrupt:
        place.err.line()
        return report.end(INTERRUPTED, f"interrupted: nothing was {done}")
    return None if said_yes else report.end(NOT_ALL, f"nothing was {done}")


async def _plan(
    client: Client,
    place: Workplace,
    command: JobsCommand[P],
    request: JobsRequest,
    report: JobsReport,
) -> P:
    status = await find_queue(client, place.settings.prefixes, request.queue)
    queue, state = status.queue, request.state
    assert state is not None
    selection: Selection
    if request.ids:
        selection = chosen(queue, state, request.ids)
    else:
        selection = await query(client, queue, state, request.filter)
    progress, since = ProgressLine(), time.monotonic()

    def say(seen: int, total: int) -> None:
        if seen < total and time.monotonic() - since > _QUICK:
            progress.say(f"reading {count(seen)} of {plural(total, 'job')}")

    def print_each(results: Iterable[Result]) -> None:
        if request.dry_run and not status.kind.refusal:
            progress.clear()
            report.results(results)

    try:
        rate = place.settings.scan_rate
        return await command.plan(client, selection, progress=say, report=print_each, rate=rate)
    finally:
        progress.clear()


def _tell(paper: Paper, command: JobsCommand[P], plan: JobsPlan, request: JobsRequest) -> None:
    """Prints the plan for a person to read."""
    queue = plain(plan.queue.base)
    title = f"{command.verb.capitalize()} {request.named(plan.jobs)} {command.preposition} {queue}"
    paper.line(paper.styled(title, bold=True))
    lines = plan.lines(request.options)
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
    for warning in plan.warnings(request.options):
        paper.line(paper.styled(f"▲ {warning}", Tone.BUSY))
    tell_reason(paper, request.reason)
    paper.flush()


def no_ids_given(place: Workplace, verb: Verb, *, json: bool) -> int:
    """Prints that a file or standard input held no ids; returns the exit code."""
    report = JobsReport(place, verb, JobState.FAILED, json=json)
    return report.end(DONE, f"no ids given: nothing was {report.verb}")


# Resuming -----------------------------------------------------------------------------------------


def resume_jobs(
    place: Workplace,
    command: JobsCommand[P],
    name: str,
    *,
    json: bool,
    verbose: bool = False,
    yes: bool = False,
) -> int:
    """Resumes a campaign whose process died or that was stopped; returns the exit code.

    If this server may not hold the campaign's queue, it asks first, unless ``yes`` is given.
    """
    check_may_write(place, command.verb, dry_run=False, asks=False)
    try:
        taken = take_over(place, command.verb, name, yes=yes)
    except JournalError as error:
        raise CommandError(str(error), NOT_ALL) from None

    async def resume(client: Client) -> int:
        campaign = await command.resume(taken, client)
        action = campaign.action
        verb, state = command.verb, action.state
        report = command.reports(place, verb, state, json=json, verbose=verbose)
        report.selected = campaign.selected
        report.count(campaign.codes)
        report.by_query = isinstance(taken.selection(), Query)
        try:
            return await carry_out(campaign, place, report)
        finally:
            campaign.close()

    return place.ask(resume, writes=command.verb)


def take_over(place: Workplace, verb: Verb, name: str, *, yes: bool) -> Interrupted:
    """Takes a campaign over; if this may be another server it asks, unless ``yes`` is given.

    Raises:
        JournalError: as `Interrupted.take`.
        CommandError: the user does not want it here.
    """
    where = place.target.shown
    try:
        return Interrupted.take(place.journal, name, where, anyway=yes, verb=verb)
    except (AllDone, OtherServer):
        header = read_header(place.journal, find(place.journal, name))
        key = QueueKey(header.queue, header.prefix).key("meta")
        origin = place.ask(lambda client: read_origin(client, key))
    try:
        return Interrupted.take(place.journal, name, where, origin, anyway=yes, verb=verb)
    except OtherServer as doubt:
        if not (is_terminal(sys.stdin) and place.err.is_terminal):
            raise
        place.err.line(f"qtui: {plain(str(doubt))}")
        place.err.flush()
        if not agreed("Resume it here? [y/N] "):
            raise CommandError(f"nothing was {verb.done}", NOT_ALL) from None
    return Interrupted.take(place.journal, name, where, origin, anyway=True, verb=verb)
