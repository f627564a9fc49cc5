"""`qtui schedulers`: lists a queue's schedulers, and runs, removes or revives some of them."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from qtui.bullmq.codes import Code, Result
from qtui.bullmq.connection.client import Client
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.schedulers.read import SchedulerPage, count_schedulers, read_schedulers
from qtui.bullmq.schedulers.scheduler import Condition, Scheduler
from qtui.bullmq.schedulers.state import read_state
from qtui.commands.queue_actions.report import QueueReport
from qtui.commands.shared.asking import Manner, check_may_write, declined
from qtui.commands.shared.find import find_queue, find_queues
from qtui.commands.shared.output import Cell, Column, Paper, Table
from qtui.commands.shared.plans import tell_end, tell_warnings
from qtui.commands.shared.run import (
    DONE,
    NOT_ALL,
    REDIS,
    USAGE,
    CommandError,
    Workplace,
)
from qtui.commands.shared.sending import send
from qtui.operations.planning.proposal import PlanOptions
from qtui.operations.schedulers.action import Do
from qtui.operations.schedulers.plan import SchedulersPlan, plan_schedulers
from qtui.text import count, plain
from qtui.verbs import Verb
from qtui.views.lists.verdict import place_words
from qtui.views.schedulers import HEADS, RIGHT, cells, scheduler_object, worst_first

ALL: Final = "*"
"""Stands for every queue."""

_AT_ONCE: Final = 500
"""Schedulers read at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulersRequest(Manner):
    """Which schedulers of which queue, and what to do with them."""

    queue: str
    ids: tuple[str, ...]
    do: Do | None
    """None: list them."""

    @property
    def words(self) -> str:
        """The command line as the journal records it, without the options before the command."""
        return shlex.join(["qtui", "schedulers", self.queue, *self.ids, f"--{self.do}"])


class _Rescheduling(QueueReport):
    action: ClassVar[Verb] = Verb.SCHEDULERS
    noun = "scheduler"
    unchanged = "unchanged"

    @property
    def code(self) -> int:
        """The exit code: a scheduler that is left alone is not as it was asked for."""
        if self._codes[Code.REFUSED] > self.foreign:
            return REDIS
        return DONE if self._codes[Code.DONE] == self.selected else NOT_ALL


class _Running(_Rescheduling):
    verb = Do.RUN_NOW.done
    noun = "job"

    def _done(self, result: Result) -> str:
        return f"added, {place_words(result.target)}" if result.target else self.verb


class _Removing(_Rescheduling):
    verb = Do.REMOVE.done

    def _done(self, result: Result) -> str:
        if not result.target:
            return self.verb
        return f"{self.verb}, with its {place_words(result.target)} iteration"


class _Reviving(_Rescheduling):
    verb = Do.REVIVE.done

    @property
    def code(self) -> int:
        """The exit code: a scheduler that is not dead is as it was asked for."""
        as_asked = self._codes[Code.DONE] + self._codes[Code.NOT_IN_STATE]
        return DONE if as_asked == self.selected else super().code


_REPORTS: Final = {Do.RUN_NOW: _Running, Do.REMOVE: _Removing, Do.REVIVE: _Reviving}


def schedulers(place: Workplace, request: SchedulersRequest) -> int:
    """Lists schedulers, or carries out what is to be done with some; returns the exit code."""
    if request.do is None:
        if request.dry_run or request.yes or request.reason:
            raise CommandError(
                "nothing to do: --dry-run, --yes and --reason need --run-now, --remove or --revive",
                USAGE,
            )
        return _list(place, request)
    if request.queue == ALL:
        raise CommandError("name one queue to change its schedulers", USAGE)
    if not request.ids and request.do is not Do.REVIVE:
        raise CommandError(f"name the scheduler to --{request.do}", USAGE)
    if len(request.ids) > 1 and request.do is Do.RUN_NOW:
        raise CommandError("--run-now takes one scheduler", USAGE)
    return _change(place, request, request.do)


# Listing ------------------------------------------------------------------------------------------


def _list(place: Workplace, request: SchedulersRequest) -> int:
    if request.ids:
        return _show(place, request)
    several = request.queue == ALL
    pages = place.ask(lambda client: _pages(client, place, request.queue))
    found = worst_first(one for page in pages for one in page.schedulers)
    if request.json:
        for one in found:
            place.out.json(scheduler_object(one))
    elif found:
        heads = ("queue", *HEADS) if several else HEADS
        table = Table(place.out, [Column(head, right=head in RIGHT) for head in heads])
        table.write([_row(one, several) for one in found])
    else:
        where = "any queue" if several else plain(request.queue)
        place.err.line(f"no schedulers in {where}")
    dead = sum(one.condition is Condition.DEAD for one in found)
    if dead and not request.json:
        place.err.line(
            f"qtui: {count(dead)} dead: no further run is due (--revive creates the next one)"
        )
    for page in pages:
        if page.unread:
            place.err.line(f"qtui: {plain(page.unread)}")
    return NOT_ALL if any(page.unread for page in pages) else DONE


def _row(one: Scheduler, several: bool) -> list[Cell]:
    found = [Cell(text, tone) for text, tone in cells(one)]
    return [Cell(plain(one.queue.name)), *found] if several else found


async def _pages(client: Client, place: Workplace, name: str) -> list[SchedulerPage]:
    """All schedulers of one queue or of all, a page after the other."""
    prefixes = place.settings.prefixes
    if name == ALL:
        found = await find_queues(client, prefixes, place.settings.queues, err=place.err)
        queues = [status.queue for status in found]
    else:
        queues = [(await find_queue(client, prefixes, name)).queue]
    counts = await count_schedulers(client, queues) if name == ALL else {}
    pages = []
    for queue in sorted(queues):
        if name == ALL and not counts.get(queue):
            continue
        pages += await _all_of(client, queue)
    return pages


async def _all_of(client: Client, queue: QueueKey) -> list[SchedulerPage]:
    pages: list[SchedulerPage] = []
    offset = 0
    while True:
        page = await read_schedulers(client, queue, offset=offset, limit=_AT_ONCE)
        pages.append(page)
        offset += _AT_ONCE
        if offset >= page.total:
            return pages


def _show(place: Workplace, request: SchedulersRequest) -> int:
    """Prints single schedulers, with their templates."""
    if request.queue == ALL:
        raise CommandError("name the queue of the scheduler", USAGE)

    async def read(client: Client) -> list[tuple[str, Scheduler | None]]:
        queue = (await find_queue(client, place.settings.prefixes, request.queue)).queue
        return [(one, (await read_state(client, queue, one))[1]) for one in request.ids]

    found = place.ask(read)
    for name, one in found:
        if one is None:
            place.err.line(f'qtui: no scheduler "{plain(name)}" in {plain(request.queue)}')
        elif request.json:
            place.out.json(scheduler_object(one, whole=True))
        else:
            _print(place.out, one)
    return NOT_ALL if any(one is None for _, one in found) else DONE


def _print(paper: Paper, one: Scheduler) -> None:
    from qtui.views.document import Json, Pairs
    from qtui.views.schedulers import sections

    for section in sections(one):
        note = f"  {section.note}" if section.note else ""
        paper.line(paper.styled(plain(section.title), bold=True) + plain(note))
        if isinstance(section.body, Pairs):
            for label, text in section.body.rows:
                paper.line(f"  {label:<12} {plain(text)}")
        elif isinstance(section.body, Json):
            paper.line(f"  {plain(section.body.text)}")


# Changing -----------------------------------------------------------------------------------------


def _change(place: Workplace, request: SchedulersRequest, do: Do) -> int:
    check_may_write(place, Verb.SCHEDULERS, request)
    plan = place.ask(lambda client: _plan(client, place, request, do))
    report = _REPORTS[do](place, json=request.json, dry=request.dry_run)
    report.selected, report.warnings = len(plan.forecasts), list(plan.warnings())
    report.foreign = sum(one.result.code is Code.REFUSED for one in plan.others)
    others = [_refused(plan, one.result) for one in plan.others]
    if not request.json or request.asks:
        _tell(place.err, plan, request)
    if request.dry_run or not plan.chosen:
        report.results([*(one.result for one in plan.chosen), *others])
        return report.end(DONE if request.dry_run or not plan.forecasts else report.code)
    if (code := declined(place, report, plan.headline, request)) is not None:
        return code
    report.results(others)
    return send(
        place,
        report,
        lambda client: plan.action(client, PlanOptions()),
        request,
        verb=Verb.SCHEDULERS,
        how=request.words,
    )


def _refused(plan: SchedulersPlan, result: Result) -> Result:
    why = plan.status.kind.refusal
    return Result(result.job_id, Code.REFUSED, error=why) if why else result


async def _plan(
    client: Client, place: Workplace, request: SchedulersRequest, do: Do
) -> SchedulersPlan:
    queue = (await find_queue(client, place.settings.prefixes, request.queue)).queue
    ids: Sequence[str] = request.ids
    if not ids:  # every dead one
        pages = await _all_of(client, queue)
        found = [one for page in pages for one in page.schedulers]
        ids = [one.id for one in found if one.condition is Condition.DEAD]
    return await plan_schedulers(client, do, queue, ids)


def _tell(paper: Paper, plan: SchedulersPlan, request: SchedulersRequest) -> None:
    """Prints the plan for a person to read."""
    if not plan.forecasts:
        paper.line(f"no scheduler of {plain(plan.queue.name)} is dead: nothing is changed")
    if plan.chosen:
        paper.line(paper.styled(plan.headline, bold=True))
        chosen = {one.id for one in plan.chosen}
        rows = [
            (Cell(plain(line.name)), Cell(line.note), Cell(line.place))
            for line in plan.lines(PlanOptions())
            if line.name in chosen
        ]
        Table(paper, (Column("scheduler"), Column("schedule"), Column("becomes"))).write(rows)
    for one in plan.others if request.asks and plan.chosen else ():  # else their rows say why
        why = _refused(plan, one.result).error
        paper.line(f"{plain(one.id)}: {plain(why)}: nothing is changed")
    tell_warnings(paper, plan.warnings())
    tell_end(paper, request.reason)
