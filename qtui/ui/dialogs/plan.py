"""The plan of a retry, before anything is written: its jobs, warnings, options and the prompt."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import ClassVar, Final, TypeVar

from rich.cells import cell_len
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.worker import Worker, WorkerState
from typing_extensions import override

from qtui.bullmq.codes import Code, meaning
from qtui.bullmq.connection.trouble import TROUBLE
from qtui.operations.engine.pace import Pace
from qtui.operations.planning.plan import Plan, PlanGroup, Resets
from qtui.operations.supply.selection import Query
from qtui.text import count, plain, plural
from qtui.ui.actions import Situation, Where
from qtui.ui.actions.plan import cannot_go
from qtui.ui.dialogs.base import GAP, Dialog, key_hint, toggle
from qtui.ui.keys import bindings
from qtui.ui.widgets.cursor_list import GAP as GAP_OF_LIST
from qtui.ui.widgets.cursor_list import fit

T = TypeVar("T")

_MOST_GROUPS: Final = 30
_RATES: Final = (None, 10.0, 50.0, 200.0, 1000.0)
_CANARIES: Final = (0, 20, 100)
_NAMES: Final = 18
"""Cells of the names of jobs, at most."""

_ERRORS: Final = 12
"""Cells of an error below which the name gives way to it, and then the place of both."""

_DRAWN_EVERY: Final = 0.1
"""Seconds between two drawings of the progress."""

_TYPED_ABOVE: Final = 100
"""Jobs of a query above which the count must be typed to confirm."""


class PlanDialog(Dialog["Plan"]):
    """Shows a plan as soon as it is read; answers with it, or with None when cancelled.

    The owner keeps the options, so that they last until qtui ends.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings(Where.PLAN),
        *(Binding(digit, f"digit('{digit}')", show=False) for digit in "0123456789"),
        Binding("backspace", "erase", show=False),
    ]
    PARTS = (Where.PLAN, Where.MOVE)
    SCROLLED = ("lines", "warnings")
    BOTTOM = ("toggles", "answer")

    DEFAULT_CSS = "PlanDialog #warnings { color: $text-warning; }"

    def __init__(
        self,
        read: Callable[[Callable[[int, int], None], Callable[[Plan], None]], Awaitable[Plan]],
        *,
        title: str,
        resets: Resets,
        pace: Pace,
        keep: Callable[[Resets, Pace], None],
        read_only: bool,
        explain: Callable[[BaseException], str],
    ) -> None:
        super().__init__()
        self._read = read
        self._title = title
        self._resets = resets
        self._pace = pace
        self._keep = keep
        self._read_only = read_only
        self._explain = explain
        self._plan: Plan | None = None
        self._is_whole = False
        """Whether all jobs of the plan have been read."""
        self._drawn = 0.0
        self._error = ""
        self._seen = self._of = 0
        self._typed: str | None = None
        """The digits typed so far of the count that confirms; None until it is asked for."""

    @property
    @override
    def title_text(self) -> str:
        """What is planned."""
        return self._title

    @override
    def on_mount(self) -> None:
        """Begins to read."""
        super().on_mount()
        make: Callable[[], Awaitable[None]] = self._make
        self.run_worker(make, exclusive=True, group="plan", exit_on_error=False)

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """Shows an internal error in place of the plan."""
        if event.state is WorkerState.ERROR:
            self._error = f"Internal error: {event.worker.error}"
            self.draw()

    async def _make(self) -> None:
        try:
            self._plan = await self._read(self._progress, self._take_early)
            self._is_whole = True
        except TROUBLE as error:
            self._error = self._explain(error)
        self.draw()

    def _take_early(self, plan: Plan) -> None:
        """Lets a whole state be confirmed before each of its jobs has been read."""
        self._plan = plan

    def _progress(self, seen: int, of: int) -> None:
        self._seen, self._of = seen, of
        if time.monotonic() - self._drawn > _DRAWN_EVERY:
            self._drawn = time.monotonic()
            self.draw()

    # What it says

    @override
    def parts(self) -> dict[str, Content]:
        """The groups, the warnings, the toggles and the question."""
        return {
            "lines": self._groups(),
            "warnings": Content("\n".join(f"▲ {words}" for words in self._warnings())),
            "toggles": self._toggles(),
            "answer": self._answer(),
        }

    def _warnings(self) -> list[str]:
        if self._plan is None:
            return []
        found = list(self._plan.warnings(self._resets))
        if self._plan.relative is not None:
            job_id = plain(self._plan.relative)
            found.append(f"To rerun a flow: esc, then f on a job of it, such as {job_id}, then r.")
        return found

    def _groups(self) -> Content:
        if self._error:
            return Content.styled(f"Cannot make the plan: {plain(self._error)}", "$text-error")
        if self._plan is None:
            seen = f": {count(self._seen)} of {count(self._of)}" if self._of else ""
            return Content.styled(f"reading the jobs{seen} …", "$text-muted")
        groups = self._plan.groups()
        shown = groups[:_MOST_GROUPS]
        numbers = max((len(f"{group.jobs:,}") for group in groups), default=1)
        names = min(_NAMES, max((cell_len(plain(group.name)) for group in shown), default=1))
        fates = [self._fate(group) for group in shown]
        widest = max((fate.cell_length for fate in fates), default=0)
        lines = [
            self._line(group, fate.pad_right(widest - fate.cell_length), numbers, names)
            for group, fate in zip(shown, fates, strict=True)
        ]
        if not self._is_whole:
            words = f"{count(self._seen)} of {count(self._plan.jobs)} jobs read so far …"
            lines.append(Content.styled(words, "$text-muted"))
        if len(groups) > _MOST_GROUPS:
            lines.append(
                Content.styled(f"and {len(groups) - _MOST_GROUPS} more groups", "$text-muted")
            )
        return Content("\n").join(lines)

    def _fate(self, group: PlanGroup) -> Content:
        """Where the jobs of a group go, or why they are not retried."""
        assert self._plan is not None
        if group.code is Code.DONE:
            return Content.styled(f"→ {group.place}", "$text-success")
        code = f"{int(group.code)} " if group.code is not Code.REFUSED else ""
        return Content.styled(f"✗ {code}{meaning(group.code, self._plan.state)}", "$text-error")

    def _line(self, group: PlanGroup, fate: Content, numbers: int, names: int) -> Content:
        """One group: how many, their name, their error, and where they go."""
        gap, number = Content(" " * GAP_OF_LIST), Content(f"{group.jobs:,}".rjust(numbers))
        left = self.room - numbers - fate.cell_length - 2 * GAP_OF_LIST
        if left < _ERRORS:  # then the error has a line to itself
            error = fit(plain(group.error), self.room - numbers - GAP_OF_LIST).rstrip()
            below = Content(" " * numbers) + gap + fate
            return Content("\n").join([number + gap + Content.styled(error, "$text-muted"), below])
        pieces = [number]
        if left - names - GAP_OF_LIST >= _ERRORS:
            pieces.append(Content(fit(plain(group.name), names)))
            left -= names + GAP_OF_LIST
        pieces.append(Content.styled(fit(plain(group.error), left), "$text-muted"))
        return gap.join([*pieces, fate])

    def _toggles(self) -> Content:
        made = toggle(self._resets.made, "m", "reset attempts made")
        started = toggle(self._resets.started, "s", "reset attempts started")
        rate = f"{self._pace.rate:g} jobs/s" if self._pace.rate else "no rate limit"
        canary = _canary_in_words(self._pace)
        speed, first = key_hint("t", rate), key_hint("c", canary)
        indent = Content("    ")
        left = max(made.cell_length, speed.cell_length + 4)
        if left + len(GAP) + max(started.cell_length, first.cell_length + 4) > self.room:
            return Content("\n").join([made, started, indent + GAP.join([speed, first])])
        return Content("\n").join(
            [
                made.pad_right(left - made.cell_length) + GAP + started,
                (indent + speed).pad_right(left - speed.cell_length - 4) + GAP + indent + first,
            ]
        )

    def _answer(self) -> Content:
        leave = key_hint("esc", "cancel")
        why_not = cannot_go(self.situation())
        if self._plan is None:
            return leave
        if why_not:
            return GAP.join([Content.styled(why_not, "bold $text-warning"), leave])
        jobs = plural(self._jobs, "job")
        if self._typed is not None:
            typed = Content.assemble(
                f"type {self._wanted} to retry {jobs}: ", (self._typed, "bold")
            )
            return GAP.join([typed + Content.styled("▏", "$text-accent"), leave])
        return GAP.join([key_hint("y", f"retry {jobs}"), leave])

    @override
    def situation(self) -> Situation:
        """The plan, as far as it was read."""
        planned = self._plan is not None
        return Situation(read_only=self._read_only, planned=planned, jobs=self._jobs)

    # What it does

    def action_toggle_made(self) -> None:
        """Turns the reset of attempts made on or off."""
        self._set(replace(self._resets, made=not self._resets.made))

    def action_toggle_started(self) -> None:
        """Turns the reset of attempts started on or off."""
        self._set(replace(self._resets, started=not self._resets.started))

    def action_rate(self) -> None:
        """The next rate."""
        self._pace = replace(self._pace, rate=_next(_RATES, self._pace.rate))
        self._set(self._resets)

    def action_canary(self) -> None:
        """The next size of the canary."""
        self._pace = replace(self._pace, canary=_next(_CANARIES, self._pace.canary))
        self._set(self._resets)

    def _set(self, resets: Resets) -> None:
        self._resets = resets
        self._keep(resets, self._pace)
        self.draw()

    def action_go(self) -> None:
        """Answers with the plan, if it can be carried out."""
        plan = self._plan
        if plan is not None and isinstance(plan.selection, Query) and plan.jobs > _TYPED_ABOVE:
            self._typed = ""
            self.draw()
        else:
            self.answer(plan)

    @property
    def _wanted(self) -> str:
        """The text that confirms: the count, in digits."""
        return str(self._jobs)

    @property
    def _jobs(self) -> int:
        """Jobs to be retried; until all have been read, all of the selection."""
        if self._plan is None:
            return 0
        return self._plan.count(Code.DONE) if self._is_whole else self._plan.jobs

    @property
    @override
    def trailing_keys(self) -> frozenset[str]:
        """After a count people press Enter, though its last digit confirms."""
        return frozenset({"enter"}) if self._typed is not None else frozenset()

    def action_digit(self, digit: str) -> None:
        """Takes a digit of the count; the last correct one confirms."""
        if self._typed is not None:
            self._type((self._typed + digit)[-len(self._wanted) :])

    def action_erase(self) -> None:
        """Deletes the last digit."""
        if self._typed is not None:
            self._type(self._typed[:-1])

    def _type(self, typed: str) -> None:
        self._typed = typed
        self.draw()
        if typed == self._wanted:
            self.answer(self._plan)


def _canary_in_words(pace: Pace) -> str:
    """What is retried first, and when the rest follows."""
    if not pace.canary:
        return "no canary"
    return f"first {pace.canary}, go on if ≤ {pace.max_refail:g} % fail again"


def _next(values: Sequence[T], now: T) -> T:
    """The value after the one that is set; the first after any other."""
    place = values.index(now) + 1 if now in values else 0
    return values[place % len(values)]
