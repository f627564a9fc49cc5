"""What the plans of all actions share in a dialog: reading, groups, warnings, reason, answer.

Knows no action. Nothing is written before the answer.
"""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Final, Generic, TypeVar

from rich.cells import cell_len
from textual import on
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widget import Widget
from textual.worker import Worker, WorkerState
from typing_extensions import override

from qtui.bullmq.connection.trouble import TROUBLE
from qtui.operations.engine.pace import Pace
from qtui.operations.journal.facts import MOST_OF_A_REASON
from qtui.operations.journal.reading import JournalError
from qtui.operations.planning.proposal import PlanLine
from qtui.text import count, plain
from qtui.ui.actions import Situation
from qtui.ui.dialogs.base import GAP, Dialog, key_hint
from qtui.ui.widgets.cursor_list import GAP as GAP_OF_LIST
from qtui.ui.widgets.cursor_list import fit, fit_ends
from qtui.ui.widgets.typed_line import TypedLine

P = TypeVar("P")
T = TypeVar("T")

_MOST_LINES: Final = 30
_NAMES: Final = 18
"""Cells of the names of jobs, at most."""

_NOTES: Final = 12
"""Cells of a note below which the place goes to a line of its own."""

_RATES: Final = (None, 10.0, 50.0, 200.0, 1000.0)
_CANARIES: Final = (0, 20, 100)

_DRAWN_EVERY: Final = 0.1
"""Seconds between two drawings of the progress."""


@dataclass(frozen=True, slots=True)
class Confirmed(Generic[P]):
    """A plan that is to be carried out."""

    plan: P
    reason: str = ""
    """Why, in the operator's words, for the journal."""


class PlanDialog(Dialog["Confirmed[P]"], Generic[P]):
    """Shows a plan as soon as it is read; answers with it, or with None when cancelled.

    A subclass reads the plan and says what it holds. Where something has to be typed to confirm,
    digits are taken by the dialog itself and the last correct one confirms; a name is typed in a
    line, and Enter confirms it.

    Args:
        title: the frame's title; plain text.
        dry: why it is a dry run that can't be confirmed; empty where it can.
        explain: puts an error of the server into words.
        dangerous: whether frame and title are red.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        *(Binding(digit, f"digit('{digit}')", show=False) for digit in "0123456789"),
        Binding("backspace", "erase", show=False),
    ]
    GO, LEAVE, REASON = "plan.go", "plan.leave", "plan.reason"
    """The ids of the actions that every plan has."""
    AUTO_FOCUS = ""
    SCROLLED = ("lines", "warnings")
    BOTTOM = ("toggles", "reason", "typing", "answer")

    DEFAULT_CSS = """
    PlanDialog {
        & #warnings { color: $text-warning; }
        &.-dangerous > #frame { border: round $error; border-title-color: $text-error; }
        & TypedLine { width: 1fr; padding: 0; }
    }
    """

    def __init__(
        self,
        *,
        title: str,
        dry: str,
        explain: Callable[[BaseException], str],
        dangerous: bool = False,
    ) -> None:
        super().__init__()
        self._title = title
        self._dry = dry
        self._explain = explain
        self.set_class(dangerous, "-dangerous")
        self.plan: P | None = None
        """The plan, as far as it was read."""
        self.is_whole = False
        """Whether all of the plan has been read."""
        self._drawn = 0.0
        self._error = ""
        self._seen = self._of = 0
        self._reason = ""
        self._line_for = ""
        """What the open line is for: ``reason`` or ``confirm``; empty while it is closed."""
        self._hint = ""
        """What is wrong with what was typed."""
        self._typed: str | None = None
        """The digits typed so far of the count that confirms; None until it is asked for."""

    # For subclasses

    @abstractmethod
    async def read(self) -> P:
        """Reads the plan; may call `progressed` and `take_early` meanwhile."""

    @abstractmethod
    def lines_of(self, plan: P) -> Content:
        """What becomes of its jobs."""

    @abstractmethod
    def warnings_of(self, plan: P) -> Iterable[str]:
        """What to know before confirming, in sentences; plain text."""

    @abstractmethod
    def toggles(self) -> Content:
        """The options, each with its key; empty where there are none."""

    @abstractmethod
    def jobs_of(self, plan: P) -> int:
        """How many jobs it would change."""

    @abstractmethod
    def go_words(self, plan: P) -> str:
        """What confirming does: ``retry 37 jobs``."""

    @abstractmethod
    def cannot_go(self, situation: Situation) -> str:
        """Why it can't be carried out; empty where it can."""

    def refusal_of(self, plan: P) -> str:
        """Why nothing will be done, in a sentence; empty where it can."""
        return ""

    def confirmation_of(self, plan: P) -> str:
        """What must be typed to confirm; empty where a key is enough."""
        return ""

    # Reading

    @property
    @override
    def title_text(self) -> str:
        """What is planned."""
        return self._title

    @override
    def on_mount(self) -> None:
        """Begins to read."""
        super().on_mount()
        self.read_again()

    def read_again(self) -> None:
        """Reads the plan, anew where one was read."""
        self.plan, self.is_whole, self._error = None, False, ""
        self._typed, self._seen, self._of = None, 0, 0
        self.draw()
        make: Callable[[], Awaitable[None]] = self._make
        self.run_worker(make, exclusive=True, group="plan", exit_on_error=False)

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """Shows an internal error in place of the plan."""
        if event.state is WorkerState.ERROR:
            self._error = f"Internal error: {event.worker.error}"
            self.draw()

    async def _make(self) -> None:
        try:
            self.plan = await self.read()
            self.is_whole = True
        except TROUBLE as error:
            self._error = self._explain(error)
        except (LookupError, JournalError) as error:  # what it is about is gone
            self._error = str(error)
        self.draw()

    def take_early(self, plan: P) -> None:
        """Lets a whole state be confirmed before each of its jobs has been read."""
        self.plan = plan

    def progressed(self, seen: int, of: int = 0) -> None:
        """Shows how many jobs have been read, and of how many where that is known."""
        self._seen, self._of = seen, of
        if time.monotonic() - self._drawn > _DRAWN_EVERY:
            self._drawn = time.monotonic()
            self.draw()

    # What it says

    @override
    def make_part(self, name: str) -> Widget:
        """The line in which a reason or a name is typed is no text."""
        return TypedLine(id=name) if name == "typing" else super().make_part(name)

    @override
    def parts(self) -> dict[str, Content]:
        """The groups, the warnings, the toggles, the reason and the question."""
        plan = self.plan
        warnings = [] if plan is None or self.refusal_of(plan) else self.warnings_of(plan)
        return {
            "lines": self._lines(),
            "warnings": Content("\n".join(f"▲ {words}" for words in warnings)),
            "toggles": self.toggles(),
            "reason": self._reason_line(),
            "typing": Content(" ") if self._line_for else Content(),
            "answer": self._answer(),
        }

    def _lines(self) -> Content:
        plan = self.plan
        if self._error:
            return Content.styled(f"Cannot make the plan: {plain(self._error)}", "$text-error")
        if plan is None:
            seen = f"the jobs: {count(self._seen)}" if self._seen or self._of else "the plan"
            seen = f"{seen} of {count(self._of)}" if self._of else seen
            return Content.styled(f"reading {seen} …", "$text-muted")
        if refusal := self.refusal_of(plan):
            return Content.styled(refusal, "bold $text-warning")
        found = self.lines_of(plan)
        if self.is_whole:
            return found
        words = f"{count(self._seen)} of {count(self.jobs_of(plan))} jobs read so far …"
        return Content("\n").join([found, Content.styled(words, "$text-muted")])

    def table(self, lines: Sequence[PlanLine]) -> Content:
        """Lines of groups in columns: how many, name, note, and what becomes of them."""
        shown = lines[:_MOST_LINES]
        numbers = max((len(f"{one.number:,}") for one in lines), default=1)
        fates = [_fate(one) for one in shown]
        widest = max((fate.cell_length for fate in fates), default=0)
        notes = max((cell_len(plain(one.note)) for one in shown), default=0)
        # Names have more room where no note needs it.
        left = self.room - numbers - widest - 3 * GAP_OF_LIST - notes
        names = min(max(_NAMES, left), max((cell_len(plain(one.name)) for one in shown), default=1))
        rows = [
            self._row(one, fate.pad_right(widest - fate.cell_length), numbers, names)
            for one, fate in zip(shown, fates, strict=True)
        ]
        if len(lines) > _MOST_LINES:
            words = f"and {len(lines) - _MOST_LINES} more"
            rows.append(Content.styled(words, "$text-muted"))
        return Content("\n").join(rows)

    def _row(self, one: PlanLine, fate: Content, numbers: int, names: int) -> Content:
        gap, number = Content(" " * GAP_OF_LIST), Content(f"{one.number:,}".rjust(numbers))
        left = self.room - numbers - fate.cell_length - 2 * GAP_OF_LIST
        beside = left - names - GAP_OF_LIST >= (
            cell_len(plain(one.note)) if one.whole else min(_NOTES, cell_len(plain(one.note)))
        )
        if not beside:  # then where they go is on a line below
            left = self.room - numbers - GAP_OF_LIST
        name, left = Content(fit(plain(one.name), names)), left - names - GAP_OF_LIST
        note = Content.styled(fit(plain(one.note), max(1, left)), "$text-muted")
        if beside:
            return gap.join([number, name, note, fate])
        return Content("\n").join(
            [gap.join([number, name, note.rstrip()]), Content(" " * numbers) + gap + fate]
        )

    def _reason_line(self) -> Content:
        plan = self.plan
        idle = plan is not None and (self.refusal_of(plan) or not self.jobs_of(plan))
        if self._line_for or self._dry or idle:
            return Content()
        said = f"reason: {plain(self._reason)}" if self._reason else "reason (kept in the journal)"
        return self.hint(self.REASON, said).truncate(self.room, ellipsis=True)

    def _answer(self) -> Content:
        leave, plan = self.hint(self.LEAVE, "cancel"), self.plan
        if self._line_for == "reason":
            return GAP.join([key_hint("enter", "keep this reason"), key_hint("esc", "discard it")])
        if plan is None or self.refusal_of(plan):
            return leave
        if why_not := self.cannot_go(self.situation()):
            said = Content.styled(why_not, "bold $text-warning")
            beside = said.cell_length + len(GAP) + leave.cell_length <= self.room
            return (GAP if beside else Content("\n")).join([said, leave])
        go = self._cut(self.go_words(plan), self.room - leave.cell_length - len(GAP) - 2)
        if self._line_for:
            name = plain(self.confirmation_of(plan))
            words = f"type {name} and press enter to {go}"
            if cell_len(words) + len(GAP) + leave.cell_length > self.room:
                words = f"type {name} and press enter"
            said = Content.styled(self._hint or words, "$text-warning" if self._hint else "")
            return GAP.join([said, leave])
        if self._typed is not None:
            wanted = self.confirmation_of(plan)
            typed = Content.assemble(
                f"type {wanted} to {go}: ", (self._typed, "bold"), ("▏", "$text-accent")
            )
            if len(self._typed) == len(wanted):
                typed += Content.styled(" does not match", "$text-error")
            return GAP.join([typed, leave])
        answer = GAP.join([self.hint(self.GO, go), leave])
        if self.confirmation_of(plan):
            what = "number" if self.confirmation_of(plan).isdecimal() else "name"
            asks = GAP.join([self.hint(self.GO, f"{go} (asks for the {what})"), leave])
            return asks if asks.cell_length <= self.room else answer
        return answer

    def _cut(self, words: str, room: int) -> str:
        """Words of one line, without their middle where a long name would take several."""
        return words if cell_len(words) <= room else fit_ends(words, max(1, room)).rstrip()

    def options_offered(self) -> frozenset[str]:
        """The ids of the actions of `Where.PLAN` that are options of this plan."""
        return frozenset()

    @override
    def situation(self) -> Situation:
        """The plan, as far as it was read and nothing speaks against it."""
        plan = self.plan if self.plan is not None and not self.refusal_of(self.plan) else None
        return Situation(
            read_only=bool(self._dry),
            dry=self._dry,
            planned=plan is not None,
            jobs=self.jobs_of(plan) if plan is not None else 0,
            options=self.options_offered(),
        )

    @property
    @override
    def own_keys(self) -> frozenset[str]:
        """All but the key of the reason, which below opens a plan: nothing is done by chance."""
        bound = self.active_bindings
        reason = {key for key, one in bound.items() if one.binding.action == "reason"}
        return super().own_keys - reason

    # What it does

    def action_go(self) -> None:
        """Answers with the plan, or asks for what confirms it to be typed."""
        plan = self.plan
        wanted = self.confirmation_of(plan) if plan is not None else ""
        if not wanted:
            self._confirm()
        elif wanted.isdecimal() and wanted.isascii():
            self._typed = ""
            self.draw()
        else:
            self._open_line("confirm", "", "")

    def _confirm(self) -> None:
        self.answer(Confirmed(self.plan, self._reason) if self.plan is not None else None)

    @property
    @override
    def trailing_keys(self) -> frozenset[str]:
        """After a count people press Enter, though its last digit confirms."""
        return frozenset({"enter"}) if self._typed is not None else frozenset()

    def action_digit(self, digit: str) -> None:
        """Takes a digit of the count; the last correct one confirms."""
        if self._typed is not None and self.plan is not None:
            self._type((self._typed + digit)[-len(self.confirmation_of(self.plan)) :])

    def action_erase(self) -> None:
        """Deletes the last digit."""
        if self._typed is not None:
            self._type(self._typed[:-1])

    def _type(self, typed: str) -> None:
        self._typed = typed
        self.draw()
        if self.plan is not None and typed == self.confirmation_of(self.plan):
            self._confirm()

    # The line of the reason, and of a name that confirms

    def action_reason(self) -> None:
        """Opens the line in which a reason is typed."""
        self._open_line("reason", self._reason, "why, for the journal")

    def _open_line(self, purpose: str, text: str, hint: str) -> None:
        self._line_for, self._hint = purpose, ""
        self.draw()
        line = self.query_one(TypedLine)
        line.max_length = MOST_OF_A_REASON if purpose == "reason" else None
        line.open(text, hint)

    def _close_line(self) -> None:
        self._line_for = self._hint = ""
        self.query_one(TypedLine).close()
        self.set_focus(None)
        self.draw()

    @on(TypedLine.Entered)
    def _line_entered(self, message: TypedLine.Entered) -> None:
        message.stop()
        plan = self.plan
        if self._line_for == "reason":
            self._reason = " ".join(message.text.split())
            self._close_line()
        elif plan is not None and message.text.strip() == self.confirmation_of(plan):
            self._confirm()
        else:
            self._hint = "The name does not match; nothing was done."
            self.draw()

    @on(TypedLine.Left)
    def _line_left(self, message: TypedLine.Left) -> None:
        message.stop()
        self._close_line()

    @on(TypedLine.Shown)
    def _line_shown(self, message: TypedLine.Shown) -> None:
        message.stop()


def _fate(one: PlanLine) -> Content:
    """Where the jobs of a group go, or why they stay."""
    if one.refusal:
        return Content.styled(f"✗ {plain(one.refusal)}", "$text-error")
    return Content.styled(f"→ {plain(one.place)}", "$text-success")


def next_rate(pace: Pace) -> Pace:
    """The pace with the next rate that a key offers; one that takes its time has a brake."""
    rate = _next(_RATES, pace.rate)
    return replace(pace, rate=rate, brake=bool(rate or pace.canary))


def next_canary(pace: Pace) -> Pace:
    """The pace with the next size of a canary that a key offers."""
    canary = _next(_CANARIES, pace.canary)
    return replace(pace, canary=canary, brake=bool(canary or pace.rate))


def _next(values: Sequence[T], now: T) -> T:
    """The value after the one that is set; the first after any other."""
    place = values.index(now) + 1 if now in values else 0
    return values[place % len(values)]
