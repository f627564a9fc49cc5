"""What the commands of an action on jobs of one state share: plan, question, sending, resuming.

A command brings a `JobsCommand`; its click function makes a `JobsRequest`.
"""

from __future__ import annotations

import shlex
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from qtui.bullmq.codes import NO_STATE, Code, Result, meaning
from qtui.bullmq.connection.client import Client
from qtui.bullmq.filter import Filter, FilterError
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState, QueueStatus
from qtui.commands.shared.asking import Manner, check_may_write, declined
from qtui.commands.shared.find import find_queue
from qtui.commands.shared.output import (
    Paper,
    ProgressLine,
    reading,
)
from qtui.commands.shared.plans import command_words, tell_end, tell_groups, tell_warnings
from qtui.commands.shared.report import ActionReport
from qtui.commands.shared.run import (
    DONE,
    NOT_ALL,
    USAGE,
    CommandError,
    Workplace,
)
from qtui.commands.shared.sending import carry_out, send
from qtui.commands.shared.taking import take_over
from qtui.operations.engine.campaign import Campaign
from qtui.operations.engine.pace import Pace
from qtui.operations.journal.reading import JournalError
from qtui.operations.planning.proposal import ActionPlan, PlanOptions
from qtui.operations.resuming.interrupted import Interrupted
from qtui.operations.supply.picked import PickedAction
from qtui.operations.supply.selection import Query, Selection, chosen, query
from qtui.text import first_line, plain, plural
from qtui.verbs import Verb
from qtui.views.lists.verdict import verdict


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
class JobsRequest(Manner):
    """Which jobs, and how."""

    queue: str
    ids: tuple[str, ...]
    filter: Filter | None
    """If there are no ids: which jobs of the state; None for all."""
    state: JobState | None
    """None: the jobs, given by id, are in no state."""
    pace: Pace
    verbose: bool = False
    """Print a line for each job on a terminal too."""
    words: tuple[str, ...] = ()
    """The action's own options, as the journal records them."""
    options: PlanOptions = field(default_factory=PlanOptions)
    """The same as the plan takes them."""

    def named(self, jobs: int) -> str:
        """Returns a number of jobs of the state in words: ``3 failed jobs``."""
        if self.state is None:
            return f"{plural(jobs, 'job')} in no state"
        return plural(jobs, f"{self.state} job")

    def how(self, verb: Verb) -> str:
        """Returns the command line for the journal, without the options before the command."""
        words = command_words(verb, self.queue, self.ids, self.filter)
        return shlex.join([*words, *self.words])


class JobsReport(ActionReport):
    """Prints what became of jobs, in the words of their action."""

    @property
    def verb(self) -> str:  # type: ignore[override]  # a class has one word, an action its own
        """What happens to the jobs, as a past participle."""
        return self._action.done

    @property
    def how_to_resume(self) -> str:
        """How to do what is left; empty if nothing was begun."""
        if self.journal is None:
            return ""
        return f"qtui {self._action} --resume {self.journal} does the rest"

    def _done(self, result: Result) -> str:
        return verdict(result, None, self._state, self._action).text.removeprefix("✔ ")

    def _why(self, result: Result) -> str:
        error = first_line(result.error)
        if result.code is Code.REFUSED and error:
            return error
        words = meaning(result.code, self._state)
        return f"{words}: {error}" if error else words


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
    check_may_write(place, command.verb, request)
    return command.reports(
        place,
        command.verb,
        request.state or NO_STATE,
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
    words = plan.go(options)
    if (code := declined(place, report, f"{words[:1].upper()}{words[1:]}", request)) is not None:
        return code
    report.by_query = plan.by_query
    return send(
        place,
        report,
        lambda client: plan.action(client, options),
        request,
        verb=verb,
        how=request.how(verb),
        pace=request.pace,
    )


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
    progress = ProgressLine()

    def print_each(results: Iterable[Result]) -> None:
        if request.dry_run and not status.kind.refusal:
            progress.clear()
            report.results(results)

    try:
        rate = place.settings.scan_rate
        return await command.plan(
            client, selection, progress=reading(progress), report=print_each, rate=rate
        )
    finally:
        progress.clear()


def _tell(paper: Paper, command: JobsCommand[P], plan: JobsPlan, request: JobsRequest) -> None:
    """Prints the plan for a person to read."""
    queue = plain(plan.queue.base)
    jobs = request.named(plan.jobs) if plan.expected(request.options) else plural(plan.jobs, "job")
    title = f"{command.verb.capitalize()} {jobs} {command.preposition} {queue}"
    paper.line(paper.styled(title, bold=True))
    tell_groups(paper, plan.lines(request.options))
    tell_warnings(paper, plan.warnings(request.options))
    tell_end(paper, request.reason)


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
    check_may_write(place, command.verb)
    try:
        taken = take_over(place, command.verb, name, yes=yes)
    except JournalError as error:
        raise CommandError(str(error), NOT_ALL) from None

    async def resume(client: Client) -> int:
        campaign = await command.resume(taken, client)
        action = campaign.action
        verb, state = command.verb, action.state
        report = command.reports(place, verb, state or NO_STATE, json=json, verbose=verbose)
        report.selected = campaign.selected
        report.count(campaign.codes)
        report.by_query = isinstance(taken.selection(), Query)
        return await carry_out(campaign, place, report)

    return place.ask(resume, writes=command.verb)
