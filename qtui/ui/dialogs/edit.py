"""The dialog that asks what of a job is to be edited, and takes a new priority or delay."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import ClassVar

from textual import on
from textual.binding import BindingType
from textual.content import Content
from textual.widget import Widget
from typing_extensions import override

from qtui.bullmq.connection.trouble import TROUBLE
from qtui.bullmq.model import JobState
from qtui.bullmq.new_job.editable import Editable
from qtui.bullmq.new_job.options import HIGHEST_PRIORITY
from qtui.text import milliseconds_of, plain, size, span
from qtui.ui.actions import Situation, Where
from qtui.ui.dialogs.base import GAP, Dialog, key_hint
from qtui.ui.keys import bindings
from qtui.ui.widgets.typed_line import TypedLine


@dataclass(frozen=True, slots=True)
class Choice:
    """What is to be edited; the data if it is neither of the others."""

    priority: int | None = None
    delay: int | None = None
    """ms from now."""

    @property
    def is_data(self) -> bool:
        """Whether the data is to be edited, in an editor."""
        return self.priority is None and self.delay is None


@dataclass(frozen=True, slots=True)
class Chosen:
    """The answer of the dialog."""

    job: Editable
    """The job as it was read."""
    choice: Choice


class EditDialog(Dialog[Chosen]):
    """Shows what a job has, and asks what of it is to be edited.

    A key that is pressed before the job was read acts as soon as it was.

    Args:
        name: the job, for the title; plain text.
        state: the state in which it is shown.
        read: reads the job; a LookupError says that it is gone.
        explain: puts an error of the server into words.
    """

    BINDINGS: ClassVar[list[BindingType]] = list(bindings(Where.EDIT))
    PARTS = (Where.EDIT, Where.MOVE)
    AUTO_FOCUS = ""
    WIDTH = 80
    SCROLLED = ("now",)
    BOTTOM = ("typing", "answer")

    DEFAULT_CSS = "EditDialog TypedLine { width: 1fr; padding: 0; }"

    def __init__(
        self,
        name: str,
        state: JobState,
        read: Callable[[], Awaitable[Editable]],
        explain: Callable[[BaseException], str],
    ) -> None:
        super().__init__()
        self._name = name
        self._state = state
        self._read = read
        self._explain = explain
        self._job: Editable | None = None
        self._error = ""
        self._next: Callable[[], None] | None = None
        """What a key asked for before the job was read."""
        self._typed = ""
        """What is being typed: ``priority`` or ``delay``; empty while the line is closed."""
        self._hint = ""

    @property
    @override
    def title_text(self) -> str:
        """Which job."""
        return f"Edit job {self._name}"

    @override
    def situation(self) -> Situation:
        """The state of the job."""
        now = self._job.state if self._job is not None else self._state
        return Situation(state=now or JobState.FAILED)

    @override
    def on_mount(self) -> None:
        """Begins to read."""
        super().on_mount()
        begin: Callable[[], Awaitable[None]] = self._begin
        self.run_worker(begin, exit_on_error=False)

    async def _begin(self) -> None:
        try:
            self._job = await self._read()
        except TROUBLE as error:
            self._error = self._explain(error)
        except LookupError as error:
            self._error = str(error)
        self.draw()
        if self._job is not None and self._next is not None:
            self._next()

    @override
    def make_part(self, name: str) -> Widget:
        """The line in which a number is typed is no text."""
        return TypedLine(id=name) if name == "typing" else super().make_part(name)

    @override
    def parts(self) -> dict[str, Content]:
        """What it has now, and the keys that change it."""
        return {
            "now": Content("\n").join(self._now()),
            "typing": Content(" ") if self._typed else Content(),
            "answer": self._answer(),
        }

    def _now(self) -> list[Content]:
        job = self._job
        if self._error:
            return [Content.styled(plain(self._error), "$text-error")]
        if job is None:
            return [Content.styled("reading the job …", "$text-muted")]
        octets = len(job.data.encode("utf-8", "surrogateescape"))
        rows = [("edit.data", "data", f"{size(octets)}, opens in your editor")]
        rows.append(("edit.priority", "priority", str(job.row.priority or "none")))
        if job.state is JobState.DELAYED and job.score is not None:
            due = job.score / 4096 - time.time() * 1000
            rows.append(("edit.delay", "delay", f"due in {span(due)}" if due > 0 else "due now"))
        return [
            Content.assemble(self.hint(action, name.ljust(10)), (plain(words), "$text-muted"))
            for action, name, words in rows
        ]

    def _answer(self) -> Content:
        if not self._typed:
            return self.hint("edit.leave", "cancel")
        words = {
            "priority": f"a whole number, 0 for none to {HIGHEST_PRIORITY:,}",
            "delay": "from now, such as 90s, 5m or 1h30m; 0 for now",
        }[self._typed]
        said = Content.styled(self._hint or words, "$text-warning" if self._hint else "")
        return GAP.join([said, key_hint("enter", "plan it"), key_hint("esc", "back")])

    # What it does

    def action_data(self) -> None:
        """Answers that the data is to be edited."""
        if self._job is None:
            self._next = self.action_data
        elif not self._typed:
            self.answer(Chosen(self._job, Choice()))

    def action_priority(self) -> None:
        """Asks for a priority."""
        if self._job is not None:
            self._open("priority", str(self._job.row.priority or ""))
        else:
            self._next = self.action_priority

    def action_delay(self) -> None:
        """Asks for a delay."""
        if self._job is not None:
            self._open("delay", "")
        else:
            self._next = self.action_delay

    def _open(self, what: str, text: str) -> None:
        self._typed, self._hint = what, ""
        self.draw()
        self.query_one(TypedLine).open(text, f"new {what}")

    def _close(self) -> None:
        self._typed = self._hint = ""
        self.query_one(TypedLine).close()
        self.set_focus(None)
        self.draw()

    @on(TypedLine.Entered)
    def _line_entered(self, message: TypedLine.Entered) -> None:
        message.stop()
        text = message.text.strip()
        if self._typed == "priority":
            fits = text.isascii() and text.isdecimal() and int(text) <= HIGHEST_PRIORITY
            choice = Choice(priority=int(text)) if fits else None
        else:
            delay = milliseconds_of(text)
            choice = None if delay is None else Choice(delay=delay)
        if choice is not None and self._job is not None:
            self.answer(Chosen(self._job, choice))
            return
        self._hint = "That is not valid:"
        self.draw()

    @on(TypedLine.Left)
    def _line_left(self, message: TypedLine.Left) -> None:
        message.stop()
        self._close()

    @on(TypedLine.Shown)
    def _line_shown(self, message: TypedLine.Shown) -> None:
        message.stop()
