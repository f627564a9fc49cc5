"""`qtui retry '*'`: retries what matches in all queues, as one campaign with one journal."""

from __future__ import annotations

from collections.abc import Sequence

from qtui.bullmq.codes import Code, Result
from qtui.bullmq.connection.client import Client
from qtui.bullmq.filter import FilterError
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.writers.retry import RetryWriter
from qtui.commands.retry import RetryRequest, resume_taken, run_campaign, tell_options
from qtui.commands.shared.asking import check_may_write, declined
from qtui.commands.shared.find import find_queues, where_queues_are
from qtui.commands.shared.output import Cell, Column, Paper, ProgressLine
from qtui.commands.shared.plans import tell_groups, tell_warnings
from qtui.commands.shared.report import Report
from qtui.commands.shared.run import DONE, NOT_ALL, USAGE, CommandError, Workplace
from qtui.commands.shared.sending import recorder
from qtui.commands.shared.taking import take_over
from qtui.operations.engine.campaign import Campaign
from qtui.operations.journal.reading import JournalError
from qtui.operations.planning.several import SeveralPlans, plan_several
from qtui.operations.resuming.interrupted import Interrupted
from qtui.operations.retry.everywhere import KIND, RetryEverywhere
from qtui.operations.retry.resuming import resume_everywhere
from qtui.text import plain, plural
from qtui.verbs import Verb


class EverywhereReport(Report):
    """Prints what became of jobs of several queues; they are named by full keys."""

    queues: Sequence[QueueKey] = ()

    def expect_queues(self, queues: Sequence[QueueKey]) -> None:
        """Takes the queues of the jobs, and makes room for their names."""
        self.queues = queues
        self.expect([one.base for one in queues])

    @property
    def how_to_resume(self) -> str:
        """How to do what is left; empty if nothing was begun."""
        return "" if self.journal is None else f"qtui retry --resume {self.journal} does the rest"

    def _parts(self, key: str) -> tuple[str, str]:
        """A job's queue and id."""
        fitting = [one for one in self.queues if key.startswith(one.key(""))]
        queue = max(fitting, key=lambda one: len(one.base), default=None)
        return (queue.base, key[len(queue.base) + 1 :]) if queue else ("", key)

    def _columns(self) -> Sequence[Column]:
        return Column("queue"), *super()._columns()

    def _object(self, result: Result) -> dict[str, object]:
        queue, job_id = self._parts(result.job_id)
        return {"id": job_id, "queue": queue} | super()._object(result) | {"id": job_id}

    def _cells(self, result: Result) -> Sequence[Cell]:
        queue, job_id = self._parts(result.job_id)
        return Cell(plain(queue)), *super()._cells(result._replace(job_id=job_id))


def retry_everywhere(place: Workplace, request: RetryRequest) -> int:
    """Retries what matches in all queues, or shows what would be done; returns the exit code."""
    check_may_write(place, Verb.RETRY, request)
    report = _report(place, request.json, dry=request.dry_run, verbose=request.verbose, of=request)
    try:
        several = place.ask(lambda client: _plans(client, place, request, report))
    except FilterError as error:  # a regular expression ran away
        raise CommandError(f"--filter: {error}", USAGE) from None
    plans = several.plans
    report.selected = several.jobs
    report.after_children = sum(one.after_children for one in plans)
    report.warnings = [*several.warnings(request.resets)]
    if not plans:
        match = f" that match {request.filter.source}" if request.filter else ""
        where = where_queues_are(place.settings.prefixes)
        return report.end(DONE, f"no {request.state} jobs in {where}{match}")
    if not request.json or request.asks:
        _tell(place.err, several, request)
    if request.dry_run:
        return report.end(report.code)
    jobs = plural(several.count(Code.DONE), "job")
    question = f"Retry {jobs} in {plural(len(plans), 'queue')}"
    if (code := declined(place, report, question, request)) is not None:
        return code

    async def send(client: Client) -> int:
        record = recorder(place, request, request.words)
        action = RetryEverywhere(
            client, RetryWriter(client), plans, request.resets, canary=request.pace.canary
        )
        campaign = Campaign(client, action, request.pace, record=record)
        return await run_campaign(campaign, place, report, request.follow, may_ask=not request.yes)

    return place.ask(send, writes=Verb.RETRY)


def resume_any_retry(
    place: Workplace,
    name: str,
    *,
    json: bool,
    follow: float,
    verbose: bool = False,
    yes: bool = False,
) -> int:
    """Resumes a retry whose process died or that was stopped; returns the exit code.

    If this server may not hold its queues, it asks first, unless ``yes`` is given.
    """
    check_may_write(place, Verb.RETRY)
    try:
        taken = take_over(place, Verb.RETRY, name, yes=yes)
    except JournalError as error:
        raise CommandError(str(error), NOT_ALL) from None
    if taken.progress.header.selection.kind == KIND:
        return _resume(place, taken, json=json, follow=follow, verbose=verbose, yes=yes)
    return resume_taken(place, taken, json=json, follow=follow, verbose=verbose, yes=yes)


def _resume(
    place: Workplace, taken: Interrupted, *, json: bool, follow: float, verbose: bool, yes: bool
) -> int:

    async def resume(client: Client) -> int:
        campaign = await resume_everywhere(taken, client, RetryWriter(client))
        report = _report(place, json, verbose=verbose, of=campaign.action)
        report.expect_queues([one.queue for one in campaign.action.plans])
        report.selected = campaign.selected
        report.count(campaign.codes)
        return await run_campaign(campaign, place, report, follow, may_ask=not yes)

    return place.ask(resume, writes=Verb.RETRY)


def _report(
    place: Workplace,
    json: bool,
    *,
    dry: bool = False,
    verbose: bool,
    of: RetryRequest | RetryEverywhere,
) -> EverywhereReport:
    state = of.state if isinstance(of, RetryRequest) else of.plans[0].state
    return EverywhereReport(place.out, place.err, state, json=json, dry=dry, verbose=verbose)


async def _plans(
    client: Client, place: Workplace, request: RetryRequest, report: EverywhereReport
) -> SeveralPlans:
    """The plans of the queues in which something matches, the one with most failures first."""
    settings, progress = place.settings, ProgressLine()
    found = await find_queues(client, settings.prefixes, settings.queues, err=place.err)
    queues = [one.queue for one in found if one.count(request.state) and not one.kind.refusal]
    try:
        several = await plan_several(
            client,
            queues,
            request.state,
            request.filter,
            begins=lambda queue: progress.say(f"reading {plain(queue.base)}"),
            rate=settings.scan_rate,
        )
    finally:
        progress.clear()
    for plan in several.plans if request.dry_run else ():
        report.count(plan.tally.codes)
    report.expect_queues([one.queue for one in several.plans])
    return several


def _tell(paper: Paper, several: SeveralPlans, request: RetryRequest) -> None:
    """Prints the plans for a person to read."""
    plans = several.plans
    jobs = plural(several.jobs, f"{request.state} job")
    title = f"Retry {jobs} in {plural(len(plans), 'queue')}"
    paper.line(paper.styled(title, bold=True))
    groups = [(plan, group) for plan in plans for group in plan.groups()]
    groups.sort(key=lambda pair: -pair[1].jobs)
    lines = [group.line(plan.state) for plan, group in groups]
    tell_groups(paper, lines, [plan.queue.base for plan, _ in groups])
    tell_warnings(paper, several.warnings(request.resets))
    tell_options(paper, request)
