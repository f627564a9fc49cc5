"""What a command on one job shares: it shows the plan, asks, sends it, and prints the result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from qtui.bullmq.codes import Code, Result, meaning
from qtui.bullmq.connection.client import Client
from qtui.commands.shared.asking import Manner, declined
from qtui.commands.shared.output import Column, Paper
from qtui.commands.shared.plans import tell_end, tell_warnings
from qtui.commands.shared.report import ActionReport
from qtui.commands.shared.run import DONE, NOT_ALL, REDIS, CommandError, Workplace
from qtui.commands.shared.sending import send
from qtui.operations.engine.action import JobAction
from qtui.text import first_line
from qtui.verbs import Verb
from qtui.views.tone import Tone

_WHY: Final = {
    Code.NOT_IN_STATE: "it has changed meanwhile",
    Code.NO_SUCH_JOB: "it is gone",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Single:
    """One job's plan, and how it is carried out."""

    verb: Verb
    title: str
    """What is about to be done, for people."""
    lines: Sequence[str]
    """The plan, line by line; plain text."""
    warnings: Sequence[str]
    refusal: str
    """Why nothing can be done; empty if it can."""
    unchanged: bool = False
    """Whether nothing would change."""
    job_id: str
    """Its id as far as known."""
    target: str
    """Where the job is expected to be."""
    question: str
    """What is asked before, without its question mark."""
    make: Callable[[Client], JobAction]
    """Makes the action, with its writer."""
    how: str
    """The command line, for the journal."""


def do_single(place: Workplace, single: Single, manner: Manner) -> int:
    """Shows the plan of one job, asks, carries it out; returns the exit code."""
    report = _report(place, single.verb, manner)
    report.warnings = single.warnings
    if not manner.json or manner.asks:
        _tell(place.err, single, manner.reason)
    if single.unchanged:
        return report.end(DONE, f"nothing was {report.verb}: nothing would change")
    if single.refusal:
        # Its line says why.
        report.results([Result(single.job_id, Code.REFUSED, error=single.refusal)])
        return report.end(NOT_ALL)
    if manner.dry_run:
        report.results([Result(single.job_id, Code.DONE, target=single.target)])
        return report.end(DONE)
    if (code := declined(place, report, single.question, manner)) is not None:
        return code
    return send(place, report, single.make, manner, verb=single.verb, how=single.how)


def not_found(place: Workplace, verb: Verb, job_id: str, why: str, manner: Manner) -> int:
    """Says that there is no such job, in JSON also as the job's line; returns the exit code."""
    if not manner.json:
        raise CommandError(why, NOT_ALL)
    report = _report(place, verb, manner)
    gone = meaning(Code.NO_SUCH_JOB, "")
    report.results([Result(job_id, Code.NO_SUCH_JOB, error=gone)])
    return report.end(NOT_ALL, why)


def _report(place: Workplace, verb: Verb, manner: Manner) -> SingleReport:
    kind = SingleReport if verb is Verb.EDIT else _Added
    report = kind(place, verb, json=manner.json, dry=manner.dry_run, verbose=True)
    report.selected = 1
    return report


def _tell(paper: Paper, single: Single, reason: str) -> None:
    """Prints the plan for a person to read."""
    paper.line(paper.styled(single.title, bold=True))
    for line in single.lines:
        tone = {"+": Tone.GOOD, "-": Tone.BAD}.get(line[:1], Tone.PLAIN)
        paper.line(paper.styled(f"  {line}", tone))
    tell_warnings(paper, () if single.refusal or single.unchanged else single.warnings)
    tell_end(paper, reason)


class SingleReport(ActionReport):
    """Prints what became of one job; speaks of an edit."""

    verb = "edited"

    @property
    def how_to_resume(self) -> str:
        """Nothing: the same command is given again."""
        return ""

    @property
    def code(self) -> int:
        """The exit code, if nothing cut it short."""
        if self._codes[Code.REFUSED]:
            return REDIS
        return DONE if self._codes[Code.DONE] == self.selected else NOT_ALL

    @property
    def summary(self) -> str:
        """The result as one line; empty where the job's own line says it."""
        done = self._codes[Code.DONE]
        verb = f"would be {self.verb}" if self._dry_run else self.verb
        return f"{done} of {self.selected} job {verb}"

    def _columns(self) -> Sequence[Column]:
        return Column("id"), Column("would be in" if self._dry_run else "result")

    def _object(self, result: Result) -> dict[str, object]:
        return super()._object(result) | {"id": result.job_id or None}

    def _why(self, result: Result) -> str:
        words = first_line(result.error) or _WHY.get(result.code, "")
        return words or meaning(result.code, "its state")


class _Added(SingleReport):
    verb = "added"
