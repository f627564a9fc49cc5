"""`qtui undo`: shows the plan of an undo, asks, takes the operation back, and prints the codes."""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from qtui.bullmq.codes import Code, Result
from qtui.bullmq.connection.client import Client
from qtui.bullmq.connection.origin import Origin
from qtui.commands.shared.asking import Manner, agreed_here, check_may_write, declined
from qtui.commands.shared.output import (
    Cell,
    Column,
    Paper,
    ProgressLine,
    Table,
    reading,
)
from qtui.commands.shared.plans import tell_end, tell_warnings
from qtui.commands.shared.report import ActionReport
from qtui.commands.shared.run import (
    DONE,
    NOT_ALL,
    REDIS,
    USAGE,
    CommandError,
    Workplace,
)
from qtui.commands.shared.sending import carry_out, send
from qtui.commands.shared.taking import take_here
from qtui.operations.journal.reading import JournalError, UnknownCampaign, find, read_header
from qtui.operations.resuming.same_server import OtherServer
from qtui.operations.undo.plan import UndoPlan, last_operation, make_undo_plan
from qtui.operations.undo.registry import done_again
from qtui.operations.undo.resuming import InterruptedUndo
from qtui.operations.undo.undo import Undo
from qtui.text import age, count, first_line, plain, plural
from qtui.verbs import NOUNS, Verb
from qtui.views.lists.verdict import place_words
from qtui.views.tone import Tone

LAST: Final = "last"
"""The name of the last operation, so that ids can follow it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UndoRequest(Manner):
    """What to undo, and how."""

    operation: str
    """Its id in the journal, or the beginning or end of it; `LAST` or empty for the last one."""
    ids: tuple[str, ...]
    """Which of its jobs; none for all."""
    verbose: bool = False


def undo_operation(place: Workplace, request: UndoRequest) -> int:
    """Undoes an operation, or shows what an undo would do; returns the exit code."""
    check_may_write(place, Verb.UNDO, request)
    report = UndoReport(
        place, Verb.UNDO, json=request.json, dry=request.dry_run, verbose=request.verbose
    )
    try:
        name = _name(place, request)
        report.noun = _noun(place.journal, name)
        _check_allowed(place, name, request)
        plan = _plan(place, request, name, report)
    except JournalError as error:
        raise CommandError(
            str(error), USAGE if isinstance(error, UnknownCampaign) else NOT_ALL
        ) from None
    report.selected = plan.jobs
    report.warnings = list(plan.warnings())
    report.not_part_of_it = len(plan.missing)
    if not request.json or request.asks or plan.missing:
        _tell(place.err, plan, request.reason)
    if request.dry_run:
        return report.end(report.code)
    if not plan.back:
        report.results(plan.forecasts)
        earlier = "" if _is_named(request) else "; to undo an earlier operation, pass its id"
        return report.end(report.code, f"nothing can be undone{earlier}")
    question = f"Undo {plural(plan.back, plan.noun)}"
    if (code := declined(place, report, question, request)) is not None:
        return code
    return send(
        place,
        report,
        lambda client: Undo(client, plan.deeds, request.ids),
        request,
        verb=Verb.UNDO,
        how=shlex.join(["qtui", "undo", plan.header.id, *request.ids[:20]]),
    )


def resume_undo(
    place: Workplace, name: str, *, json: bool, yes: bool, verbose: bool = False
) -> int:
    """Resumes an undo whose process died or that was stopped; returns the exit code.

    If this server may not hold its jobs, it asks first, unless ``yes`` is given.
    """
    check_may_write(place, Verb.UNDO)
    try:
        taken = _take(place, name, yes=yes)
        undone = read_header(place.journal, find(place.journal, name)).undoes
        noun = _noun(place.journal, undone)
        _check_allowed(place, undone)
    except JournalError as error:
        raise CommandError(str(error), NOT_ALL) from None

    async def work(client: Client) -> int:
        campaign = await taken.campaign(client)
        report = UndoReport(place, Verb.UNDO, json=json, verbose=verbose)
        report.noun = noun
        report.selected = campaign.selected
        report.count(campaign.codes)
        return await carry_out(campaign, place, report)

    return place.ask(work, writes=Verb.UNDO)


def _check_allowed(place: Workplace, undone: str, manner: Manner | None = None) -> None:
    """Stops the undo of an undo where what it carries out again is not allowed."""
    for verb in done_again(read_header(place.journal, find(place.journal, undone))):
        check_may_write(place, verb, manner)


def _noun(folder: Path, name: str) -> str:
    """What an operation changed: ``job``, ``queue`` or ``scheduler``."""
    return NOUNS.get(read_header(folder, name).selection.kind, "job")


def _name(place: Workplace, request: UndoRequest) -> str:
    """The full id of the operation.

    Raises:
        JournalError: there is none; or the last one can't be undone, and the one before it was not
            asked for.
    """
    if _is_named(request):
        return find(place.journal, request.operation)
    last = last_operation(place.journal, place.target.shown)
    if last.undoable is not None and not last.final:
        return last.undoable.id
    if last.undoable is not None:
        raise JournalError(f"{last.nothing}; `qtui undo {last.undoable.id}` undoes the one before")
    hint = "; to take back an undo, pass its id (qtui journal lists them)"
    raise JournalError(last.nothing + ("" if last.final or not last.any_here else hint))


def _is_named(request: UndoRequest) -> bool:
    """Whether an operation is given, rather than the last one."""
    return request.operation not in ("", LAST)


def _plan(place: Workplace, request: UndoRequest, name: str, report: UndoReport) -> UndoPlan:
    """The plan, on this server; asks whether that is the right one where it is not certain."""
    progress = ProgressLine()

    def print_each(results: Sequence[Result]) -> None:
        if request.dry_run:
            progress.clear()
            report.results(results)

    def plan(anyway: bool) -> UndoPlan:
        return place.ask(
            lambda client: make_undo_plan(
                client,
                place.journal,
                name,
                place.target.shown,
                request.ids,
                anyway=anyway,
                progress=reading(progress),
                report=print_each,
            )
        )

    try:
        return plan(request.yes)
    except OtherServer as doubt:
        if not request.asks or not agreed_here(place, doubt, "Undo it here", "undone"):
            raise
        return plan(True)
    finally:
        progress.clear()


def _take(place: Workplace, name: str, *, yes: bool) -> InterruptedUndo:
    def take(origin: Origin | None, anyway: bool) -> InterruptedUndo:
        return InterruptedUndo.take(place.journal, name, place.target.shown, origin, anyway=anyway)

    return take_here(place, name, take, yes=yes, done="undone")


def _tell(paper: Paper, plan: UndoPlan, reason: str) -> None:
    """Prints the plan for a person to read."""
    header = plan.header
    paper.line(paper.styled(plan.title, bold=True))
    when = age(time.time() * 1000 - header.at)
    paper.line(f"{plain(header.id)}, {when} ago, by {plain(header.user)}: {plain(header.how)}")
    rows = []
    for jobs, code, words in plan.groups():
        good = code is Code.DONE
        fate = f"→ {words}" if good else f"✗ {int(code)} {words}"
        rows.append((Cell(count(jobs)), Cell(fate, Tone.GOOD if good else Tone.BAD)))
    if rows:
        Table(paper, (Column(f"{plan.noun}s", right=True), Column("fate"))).write(rows)
    tell_warnings(paper, plan.warnings())
    tell_end(paper, reason)


class UndoReport(ActionReport):
    """Prints what became of the jobs of an undo."""

    verb = "undone"
    noun = "job"
    """What the operation changed; the target of a queue's result is for scripts."""
    not_part_of_it = 0
    """Ids that were given, of which the operation changed nothing."""

    @property
    def how_to_resume(self) -> str:
        """How to do what is left; empty if nothing was begun."""
        return "" if self.journal is None else f"qtui undo --resume {self.journal} does the rest"

    @property
    def code(self) -> int:
        """The exit code, if nothing cut the undo short."""
        if self._codes[Code.REFUSED]:
            return REDIS
        all_done = self._codes[Code.DONE] == self.selected and not self.not_part_of_it
        return DONE if all_done else NOT_ALL

    @property
    def summary(self) -> str:
        """The counts as one line."""
        verb = "would be undone" if self._dry_run else "undone"
        parts = [f"{count(self._codes[Code.DONE])} of {plural(self.selected, self.noun)} {verb}"]
        for code, number in sorted(self._codes.items(), reverse=True):
            if code is not Code.DONE and number:
                parts.append(f"{count(number)} {_IN_SUMMARY.get(code, f'with code {code.value}')}")
        if self._untouched:
            parts.append(f"{count(self._untouched)} {self.rest}")
        return ", ".join(parts)

    def _done(self, result: Result) -> str:
        return (place_words(result.target) if self.noun == "job" else "") or "undone"

    def _why(self, result: Result) -> str:
        return first_line(result.error) or _MEANINGS.get(result.code, "")


_IN_SUMMARY: Final = {
    Code.NO_SUCH_JOB: "gone (-1)",
    Code.NOT_IN_STATE: "moved on (-3)",
    Code.REFUSED: "refused (0)",
    Code.UNKNOWN: "unknown",
}

_MEANINGS: Final = {
    Code.NOT_IN_STATE: "has moved on",
    Code.NO_SUCH_JOB: "job is gone",
    Code.REFUSED: "refused by Redis",
    Code.UNKNOWN: "unknown: the connection was lost",
}
