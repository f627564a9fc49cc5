"""What a command prints about queues that it changes: a line for each, and a summary."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from qtui.bullmq.codes import Code, Result
from qtui.bullmq.model import JobState
from qtui.commands.shared.output import Cell, Column
from qtui.commands.shared.report import Report
from qtui.commands.shared.run import DONE, NOT_ALL, REDIS, Workplace
from qtui.text import count, first_line, plain, plural
from qtui.verbs import Verb
from qtui.views.columns import Tone


class QueueReport(Report):
    """Prints the result of each queue, named by its base key."""

    action: ClassVar[Verb]
    """The action, as JSON names it."""
    noun: ClassVar[str] = "queue"
    """What is changed."""
    unchanged: ClassVar[str] = "changed meanwhile"
    """What code -3 says of a queue."""

    def __init__(self, place: Workplace, *, json: bool, dry: bool) -> None:
        super().__init__(place.out, place.err, JobState.WAITING, json=json, dry=dry, verbose=True)
        self.foreign = 0
        """Queues with code 0 that are not BullMQ's own: Redis did not refuse anything there."""

    @property
    def goes_on(self) -> str:
        """How to do what is left: with a new plan."""
        return "run the same command again to do the rest"

    @property
    def code(self) -> int:
        """The exit code: a queue that is as it was asked for is no failure."""
        if self._codes[Code.REFUSED] > self.foreign:
            return REDIS
        good = self._codes[Code.DONE] + self._codes[Code.NOT_IN_STATE]
        return DONE if good == self.selected else NOT_ALL

    @property
    def summary(self) -> str:
        """The counts as one line."""
        verb = f"would be {self.verb}" if self._dry_run else self.verb
        parts = [f"{count(self._codes[Code.DONE])} of {plural(self.selected, self.noun)} {verb}"]
        words = {
            Code.NOT_IN_STATE: f"{self.unchanged} (-3)",
            Code.NO_SUCH_JOB: "gone (-1)",
            Code.REFUSED: "refused (0)",
            Code.UNKNOWN: "unknown",
        }
        for code, number in sorted(self._codes.items(), reverse=True):
            if code is not Code.DONE and number:
                parts.append(f"{count(number)} {words.get(code, str(int(code)))}")
        if self._untouched:
            parts.append(f"{count(self._untouched)} {self.rest}")
        return ", ".join(parts)

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
            "action": self.action.value,
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
        return Column(self.noun), Column("would be" if self._dry_run else "result")

    def _object(self, result: Result) -> dict[str, object]:
        members: dict[str, object] = {"id": result.job_id}
        if result.done:
            return members | {"code": 1, "target": result.target or None}
        code = None if result.code is Code.UNKNOWN else result.code.value
        return members | {"code": code, "error": self._why(result)}

    def _cells(self, result: Result) -> Sequence[Cell]:
        if result.done:
            sign = "→" if self._dry_run else "✔"
            said = Cell(f"{sign} {plain(self._done(result))}", Tone.GOOD)
        elif result.code is Code.NOT_IN_STATE:
            said = Cell(f"· {self._why(result)}", Tone.FAINT)
        else:
            sign = "?" if result.code is Code.UNKNOWN else f"✗ {result.code.value}"
            said = Cell(f"{sign} {plain(self._why(result))}", Tone.BAD)
        return Cell(plain(result.job_id)), said

    def _done(self, result: Result) -> str:
        return self.verb

    def _why(self, result: Result) -> str:
        meanings = {
            Code.NOT_IN_STATE: self.unchanged,
            Code.NO_SUCH_JOB: f"{self.noun} is gone",
            Code.REFUSED: "refused",
            Code.UNKNOWN: "unknown: the connection was lost",
        }
        return first_line(result.error) or meanings.get(result.code, "")
