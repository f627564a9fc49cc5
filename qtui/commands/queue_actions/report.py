"""What a command prints about queues that it changes: a line for each, and a summary."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from qtui.bullmq.codes import Code, Result
from qtui.commands.shared.output import Cell, Column
from qtui.commands.shared.report import ActionReport
from qtui.commands.shared.run import DONE, NOT_ALL, REDIS, Workplace
from qtui.text import count, first_line, plain, plural
from qtui.verbs import Verb
from qtui.views.tone import Tone


class QueueReport(ActionReport):
    """Prints the result of each queue, named by its base key."""

    action: ClassVar[Verb]
    noun = "queue"
    unchanged: ClassVar[str] = "changed meanwhile"
    """What code -3 says of a queue."""

    def __init__(self, place: Workplace, *, json: bool, dry: bool) -> None:
        super().__init__(place, self.action, json=json, dry=dry, verbose=True)
        self.foreign = 0
        """Queues with code 0 that are not BullMQ's own: Redis did not refuse anything there."""

    @property
    def how_to_resume(self) -> str:
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

    def _columns(self) -> Sequence[Column]:
        return Column(self.noun), Column("would be" if self._dry_run else "result")

    def _cells(self, result: Result) -> Sequence[Cell]:
        if result.code is Code.NOT_IN_STATE:
            return Cell(plain(result.job_id)), Cell(f"· {self._why(result)}", Tone.FAINT)
        return super()._cells(result)

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
