"""`qtui pause` and `qtui resume`: show what waits, ask, and print each queue's result."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import ClassVar

from qtui.bullmq.codes import Code, Result
from qtui.bullmq.connection.client import Client
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import Kind
from qtui.commands.queue_actions.report import QueueReport
from qtui.commands.shared.asking import Manner, check_may_write, declined
from qtui.commands.shared.find import find_queue, find_queues, where_queues_are
from qtui.commands.shared.output import Cell, Column, Paper, Table
from qtui.commands.shared.plans import tell_end, tell_warnings
from qtui.commands.shared.run import DONE, USAGE, CommandError, Workplace
from qtui.commands.shared.sending import send
from qtui.operations.queues.pausing import PausingPlan, plan_pausing
from qtui.text import plain
from qtui.verbs import Verb


@dataclass(frozen=True, slots=True, kw_only=True)
class PausingRequest(Manner):
    """Which queues to pause or to resume."""

    verb: Verb
    queues: tuple[str, ...]
    """Their names; none for all."""

    @property
    def words(self) -> str:
        """The command line as the journal records it, without the options before the command."""
        return shlex.join(["qtui", str(self.verb), *(self.queues or ("--all",))])


class _Pausing(QueueReport):
    verb = "paused"
    action: ClassVar[Verb] = Verb.PAUSE
    unchanged = "paused already"

    def _done(self, result: Result) -> str:
        return f"{self.verb}, waiting jobs are kept in {result.target}"


class _Resuming(QueueReport):
    verb = "resumed"
    action: ClassVar[Verb] = Verb.RESUME
    unchanged = "not paused"


def pause_queues(place: Workplace, request: PausingRequest) -> int:
    """Pauses or resumes queues, or shows what that would do; returns the exit code."""
    check_may_write(place, request.verb, request)
    plan = place.ask(lambda client: _plan(client, place, request))
    kind = _Pausing if request.verb is Verb.PAUSE else _Resuming
    report = kind(place, json=request.json, dry=request.dry_run)
    report.selected, report.warnings = len(plan.queues), plan.warnings()
    report.foreign = sum(one.code is Code.REFUSED for one in plan.others)
    report.expect([one.queue.base for one in (*plan.chosen, *plan.others)])
    others = [Result(one.queue.base, one.code, error=one.why) for one in plan.others]
    if request.dry_run or not plan.chosen:
        if not request.json:
            _tell(place.err, plan, request)
        report.results(
            [*(Result(one.queue.base, one.code, one.target) for one in plan.chosen), *others]
        )
        return report.end(DONE if request.dry_run else report.code)
    if not request.json or request.asks:
        _tell(place.err, plan, request)
    if (code := declined(place, report, plan.headline, request)) is not None:
        return code
    report.results(others)
    return send(place, report, plan.action, request, verb=request.verb, how=request.words)


async def _plan(client: Client, place: Workplace, request: PausingRequest) -> PausingPlan:
    prefixes = place.settings.prefixes
    if request.queues:
        keys = [(await find_queue(client, prefixes, name)).queue for name in request.queues]
    else:
        keys = await all_queues(client, place)
    return await plan_pausing(client, request.verb, keys)


async def all_queues(client: Client, place: Workplace) -> list[QueueKey]:
    """Every queue of BullMQ's under the prefixes, or those that the settings name.

    Raises:
        CommandError: there is none.
    """
    settings = place.settings
    found = await find_queues(client, settings.prefixes, settings.queues, err=place.err)
    keys = [status.queue for status in found if status.kind is not Kind.GONE]
    if not keys:
        raise CommandError(f"no queues under {where_queues_are(settings.prefixes)}", USAGE)
    return sorted(keys)


def _tell(paper: Paper, plan: PausingPlan, request: PausingRequest) -> None:
    """Prints the plan for a person to read."""
    if plan.chosen:
        paper.line(paper.styled(plan.headline, bold=True))
        rows = [
            (
                Cell(plain(one.queue.base)),
                Cell(one.waits),
                Cell("?" if one.workers is None else str(one.workers)),
            )
            for one in plan.chosen
        ]
        Table(paper, (Column("queue"), Column("what waits"), Column("workers", right=True))).write(
            rows
        )
    reasons: dict[str, list[str]] = {}
    for one in plan.others if request.asks and plan.chosen else ():  # else their rows say why
        reasons.setdefault(one.why, []).append(plain(one.queue.base))
    for why, names in reasons.items():
        if len(names) == 1:
            paper.line(f"{names[0]} {plain(why)}: nothing is changed")
        else:
            paper.line(f"{', '.join(names)}: each {plain(why)}, nothing is changed")
    tell_warnings(paper, plan.warnings())
    tell_end(paper, request.reason)
