"""`qtui obliterate`: shows what goes, has the queue's name typed, and removes the queue."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from typing import ClassVar

from qtui.bullmq.codes import Code, Result
from qtui.bullmq.connection.client import Client
from qtui.commands.queue_actions.report import QueueReport
from qtui.commands.shared.asking import Manner, check_may_write
from qtui.commands.shared.find import find_queue
from qtui.commands.shared.output import Paper
from qtui.commands.shared.plans import tell_end, tell_warnings
from qtui.commands.shared.run import DONE, INTERRUPTED, NOT_ALL, Workplace
from qtui.commands.shared.sending import send
from qtui.operations.queues.obliterating import ObliteratePlan, plan_obliteration
from qtui.text import plain
from qtui.verbs import Verb
from qtui.views.tone import Tone


@dataclass(frozen=True, slots=True, kw_only=True)
class ObliterateRequest(Manner):
    """Which queue to remove."""

    queue: str
    force: bool

    @property
    def words(self) -> str:
        """The command line as the journal records it, without the options before the command."""
        words = ["qtui", "obliterate", self.queue]
        return shlex.join([*words, "--force"] if self.force else words)


class _Removing(QueueReport):
    verb = "removed"
    action: ClassVar[Verb] = Verb.REMOVE_QUEUE

    def _done(self, result: Result) -> str:
        return f"{self.verb}: {result.target}" if result.target else self.verb


def obliterate_queue(place: Workplace, request: ObliterateRequest) -> int:
    """Removes a queue, or shows what that would do; returns the exit code."""
    check_may_write(place, Verb.REMOVE_QUEUE, request)
    plan = place.ask(lambda client: _plan(client, place, request))
    report = _Removing(place, json=request.json, dry=request.dry_run)
    report.selected, report.warnings = 1, plan.warnings()
    report.foreign = int(plan.code is Code.REFUSED)
    if not request.json or request.asks:
        _tell(place.err, plan, request)
    if request.dry_run or plan.code is not Code.DONE:
        lines = "" if plan.why else ", ".join(plan.contents())
        report.results([Result(plan.queue.base, plan.code, lines, plan.why)])
        return report.end(DONE if request.dry_run else report.code)
    if request.asks:
        try:
            typed = _typed(f"Type the queue's name to remove it ({plain(plan.queue.name)}): ")
        except KeyboardInterrupt:
            place.err.line()
            return report.end(INTERRUPTED, "interrupted: nothing was removed")
        if typed != plan.queue.name:
            return report.end(NOT_ALL, "that is not its name: nothing was removed")
    return send(place, report, plan.action, request, verb=Verb.REMOVE_QUEUE, how=request.words)


def _typed(question: str) -> str:
    """What the user types; only the end of the line is cut."""
    sys.stderr.write(question)
    sys.stderr.flush()
    return sys.stdin.readline().rstrip("\r\n")


async def _plan(client: Client, place: Workplace, request: ObliterateRequest) -> ObliteratePlan:
    queue = (await find_queue(client, place.settings.prefixes, request.queue)).queue
    return await plan_obliteration(client, queue, force=request.force)


def _tell(paper: Paper, plan: ObliteratePlan, request: ObliterateRequest) -> None:
    """Prints the plan for a person to read; why nothing is removed is in the queue's row."""
    if plan.code is Code.DONE:
        paper.line(paper.styled(plan.headline, Tone.BAD, bold=True))
        for line in plan.contents():
            paper.line(f"  {line}")
        tell_warnings(paper, plan.warnings())
    tell_end(paper, request.reason)
