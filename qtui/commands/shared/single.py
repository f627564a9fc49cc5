"""What a command on one job shares: it shows the plan, asks, sends it, and prints the result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from qtui.bullmq.codes import Code, Result, meaning
from qtui.bullmq.connection.client import Client
from qtui.bullmq.model import JobState
from qtui.commands.shared.asking import agreed
from qtui.commands.shared.output import Cell, Column, Paper
from qtui.commands.shared.report import Report, tell_reason
from qtui.commands.shared.run import DONE, INTERRUPTED, NOT_ALL, REDIS, Workplace
from qtui.commands.shared.sending import carry_out
from qtui.operations.engine.action import JobAction
from qtui.operations.engine.campaign import Campaign
from qtui.operations.resuming.recorder import Recorder
from qtui.text import first_line, plain
from qtui.verbs import Verb
from qtui.views.columns import Tone, place_words

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
    """Whether all is as it is wanted."""
    job_id: str
    """Its id as far as known."""
    target: str
    """Where the job is expected to be."""
    question: str
    make: Callable[[Client], JobAction]
    """Makes the action, with its writer."""
    how: str
    """The command line, for the journal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How a command goes about it."""

    dry_run: bool
    yes: bool
    json: bool
    reason: str = ""
    stdin_is_used: bool = False
    """Whether data came from standard input, so that answers are read from the terminal."""

    @property
    def asks(self) -> bool:
        """Whether the user has to confirm."""
        return not (self.yes or self.dry_run)


def do_single(place: Workplace, single: Single, manner: Manner) -> int:
    """Shows the plan of one job, asks, carries it out; returns the exit code."""
    kind = SingleReport if single.verb is Verb.EDIT else _Added
    report = kind(place, single.verb, json=manner.json, dry=manner.dry_run)
    report.selected, report.warnings = 1, single.warnings
    if not manner.json or manner.asks:
        _tell(place.err, single, manner.reason)
    if single.unchanged:
        return report.end(DONE, f"nothing was {kind.verb}: nothing would change")
    if single.refusal:
        report.results([Result(single.job_id, Code.REFUSED, error=single.refusal)])
        return report.end(NOT_ALL, f"nothing was {kind.verb}: {single.refusal}")
    if manner.dry_run:
        report.results([Result(single.job_id, Code.DONE, target=single.target)])
        return report.end(DONE)
    if manner.asks:
        try:
            said_yes = agreed(f"{single.question} [y/N] ", stdin_is_used=manner.stdin_is_used)
        except KeyboardInterrupt:
            place.err.line()
            return report.end(INTERRUPTED, f"interrupted: nothing was {kind.verb}")
        if not said_yes:
            return report.end(NOT_ALL, f"nothing was {kind.verb}")
    record = Recorder(
        folder=place.journal, where=place.target.shown, how=single.how, reason=manner.reason
    )

    async def work(client: Client) -> int:
        campaign = Campaign(client, single.make(client), record=record)
        try:
            return await carry_out(campaign, place, report)
        finally:
            campaign.close()

    return place.ask(work, writes=single.verb)


def _tell(paper: Paper, single: Single, reason: str) -> None:
    """Prints the plan for a person to read."""
    paper.line(paper.styled(single.title, bold=True))
    for line in single.lines:
        tone = {"+": Tone.GOOD, "-": Tone.BAD}.get(line[:1], Tone.PLAIN)
        paper.line(paper.styled(f"  {line}", tone))
    for warning in () if single.refusal or single.unchanged else single.warnings:
        paper.line(paper.styled(f"▲ {warning}", Tone.BUSY))
    tell_reason(paper, reason)
    paper.flush()


class SingleReport(Report):
    """Prints what became of one job; speaks of an edit."""

    verb = "edited"

    def __init__(self, place: Workplace, verb: Verb, *, json: bool, dry: bool) -> None:
        self._action = verb
        super().__init__(place.out, place.err, JobState.WAITING, json=json, dry=dry, verbose=True)

    @property
    def goes_on(self) -> str:
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
        if self._dry_run:
            members |= {"dry_run": True, "warnings": list(self.warnings)}
        self._out.json({"summary": members})
        self._out.flush()
        if message:
            self._err.line(f"qtui: {plain(message)}")
        return code

    def _columns(self) -> Sequence[Column]:
        return Column("id"), Column("would be in" if self._dry_run else "result")

    def _object(self, result: Result) -> dict[str, object]:
        members: dict[str, object] = {"id": result.job_id or None}
        if result.done:
            return members | {"code": 1, "target": result.target or None}
        code = None if result.code is Code.UNKNOWN else result.code.value
        return members | {"code": code, "error": _why(result)}

    def _cells(self, result: Result) -> Sequence[Cell]:
        if result.done:
            place = plain(place_words(result.target))
            said = f"→ {place}" if self._dry_run else f"✔ {place}"
            return Cell(plain(result.job_id)), Cell(said, Tone.GOOD)
        sign = "?" if result.code is Code.UNKNOWN else f"✗ {result.code.value}"
        return Cell(plain(result.job_id)), Cell(f"{sign} {plain(_why(result))}", Tone.BAD)


class _Added(SingleReport):
    verb = "added"


def _why(result: Result) -> str:
    words = first_line(result.error) or _WHY.get(result.code, "")
    return words or meaning(result.code, "its state")
