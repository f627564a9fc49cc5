"""`qtui retry`: shows the plan, asks, retries the jobs, and prints each job's result."""

from __future__ import annotations

import shlex
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from qtui.bullmq.codes import Code
from qtui.bullmq.connection.client import Client
from qtui.bullmq.filter import Filter, FilterError
from qtui.bullmq.model import JobState
from qtui.bullmq.writers.retry import RetryWriter
from qtui.commands.shared.asking import Manner, check_may_write, declined
from qtui.commands.shared.find import find_queue
from qtui.commands.shared.output import Paper, ProgressLine, reading
from qtui.commands.shared.plans import command_words, tell_end, tell_groups, tell_warnings
from qtui.commands.shared.report import Report
from qtui.commands.shared.run import (
    DONE,
    NOT_ALL,
    USAGE,
    CommandError,
    Workplace,
)
from qtui.commands.shared.sending import carry_out, recorder
from qtui.operations.engine.campaign import Campaign
from qtui.operations.engine.pace import Pace
from qtui.operations.following.looking import GRACE
from qtui.operations.planning.forecast import Forecast
from qtui.operations.planning.plan import Plan, Resets, make_plan
from qtui.operations.resuming.interrupted import Interrupted
from qtui.operations.retry.everywhere import RetryEverywhere
from qtui.operations.retry.resuming import resume_retry
from qtui.operations.retry.retry import Retry
from qtui.operations.supply.selection import Selection, chosen, query
from qtui.text import plain, plural
from qtui.verbs import Verb


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryRequest(Manner):
    """Which jobs to retry, and how."""

    queue: str
    ids: tuple[str, ...]
    filter: Filter | None
    """If there are no ids: which jobs of the state; None for all."""
    state: JobState
    resets: Resets
    pace: Pace
    follow: float
    """Seconds to follow the jobs after all are sent."""
    verbose: bool = False
    """Print a line for each job on a terminal too."""

    @property
    def words(self) -> str:
        """The command line as the journal records it, without the options before the command."""
        words = command_words(Verb.RETRY, self.queue, self.ids, self.filter)
        words += ["--state", self.state] if self.state is not JobState.FAILED else []
        words += ["--reset-attempts-made"] if self.resets.made else []
        words += ["--reset-attempts-started"] if self.resets.started else []
        return shlex.join(words)


def retry_jobs(place: Workplace, request: RetryRequest) -> int:
    """Retries the jobs, or shows what a retry would do; returns the exit code."""
    check_may_write(place, Verb.RETRY, request)
    report = Report(
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
    report.selected = plan.jobs
    report.after_children = plan.after_children
    report.warnings = list(plan.warnings(request.resets))
    if not plan.jobs:
        match = f" that match {request.filter.source}" if request.filter else ""
        return report.end(DONE, f"no {plan.state} jobs in {plan.queue.base}{match}")
    if not request.json or request.asks:
        _print_plan(place.err, plan, request)
    if request.dry_run or (request.ids and not plan.count(Code.DONE)):
        # If sent anyway, a job that fails right now would be retried without confirmation.
        if request.ids:
            report.forecasts(plan.forecasts)
        return report.end(report.code)
    question = f"Retry {plural(plan.count(Code.DONE), 'job')}"
    if (code := declined(place, report, question, request)) is not None:
        return code
    return place.ask(
        lambda client: _carry_out(client, place, plan, request, report), writes=Verb.RETRY
    )


async def _plan(client: Client, place: Workplace, request: RetryRequest, report: Report) -> Plan:
    status = await find_queue(client, place.settings.prefixes, request.queue)
    queue, state = status.queue, request.state
    selection: Selection
    if request.ids:
        selection = chosen(queue, state, request.ids)
    else:
        selection = await query(client, queue, state, request.filter)
    progress = ProgressLine()

    def print_each(forecasts: Sequence[Forecast]) -> None:
        # Forecasts for jobs chosen by id are kept, and printed below the plan.
        if request.dry_run and not request.ids and not status.kind.refusal:
            progress.clear()
            report.forecasts(forecasts)

    try:
        rate = place.settings.scan_rate
        return await make_plan(
            client, selection, progress=reading(progress), report=print_each, rate=rate
        )
    finally:
        progress.clear()


def _print_plan(paper: Paper, plan: Plan, request: RetryRequest) -> None:
    """Prints the plan for a person to read, with the options that were given."""
    jobs = plural(plan.jobs, f"{plan.state} job" if plan.count(Code.DONE) else "job")
    paper.line(paper.styled(f"Retry {jobs} in {plain(plan.queue.base)}", bold=True))
    tell_groups(paper, [one.line(plan.state) for one in plan.groups()])
    tell_warnings(paper, plan.warnings(request.resets))
    if plan.relative is not None:
        flow = shlex.join(["qtui", "flow", plan.queue.name, plan.relative])
        paper.line(f"  `{plain(flow)}` shows such a flow; add --rerun failure to rerun it.")
    tell_options(paper, request)


def tell_options(paper: Paper, request: RetryRequest) -> None:
    """Prints the last lines of a plan: the options that were given, and the reason."""
    options = [*request.resets.words(), *request.pace.words()]
    if request.follow:
        options.append(f"follow for {request.follow:g} s")
    tell_end(paper, request.reason, options)


async def _carry_out(
    client: Client, place: Workplace, plan: Plan, request: RetryRequest, report: Report
) -> int:
    action = Retry(client, RetryWriter(client), plan, request.resets)
    record = recorder(place, request, request.words)
    campaign = Campaign(client, action, request.pace, record=record)
    return await run_campaign(campaign, place, report, request.follow, may_ask=not request.yes)


def resume_taken(
    place: Workplace,
    taken: Interrupted,
    *,
    json: bool,
    follow: float,
    verbose: bool = False,
    yes: bool = False,
) -> int:
    """Resumes a retry in one queue that was taken over; returns the exit code."""

    async def resume(client: Client) -> int:
        campaign = await resume_retry(taken, client, RetryWriter(client))
        state = campaign.action.plan.state
        report = Report(place.out, place.err, state, json=json, dry=False, verbose=verbose)
        report.selected = campaign.selected
        report.count(campaign.codes)
        return await run_campaign(campaign, place, report, follow, may_ask=not yes)

    return place.ask(resume, writes=Verb.RETRY)


async def run_campaign(
    campaign: Campaign[Retry | RetryEverywhere],
    place: Workplace,
    report: Report,
    seconds: float,
    *,
    may_ask: bool,
) -> int:
    """Runs a retry, follows its jobs for ``seconds``, prints results; returns the exit code."""
    follower = campaign.action.follower

    async def follow() -> AsyncIterator[str]:
        if not campaign.done:
            return
        try:
            async for _ in follower.watch(seconds, lambda: campaign.is_stopping):
                yield follower.tally().words()
            await follower.conclude(GRACE)
        finally:
            report.follow(follower.final(), seconds)

    report.by_query = campaign.action.by_query
    return await carry_out(campaign, place, report, follow if seconds else None, may_ask=may_ask)
