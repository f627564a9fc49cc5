"""What a retry will do, before it does it: the plan, two toggles, and the question."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import ClassVar, Final, TypeVar

from redis.exceptions import RedisError
from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static
from textual.worker import Worker, WorkerState
from typing_extensions import override

from qtui.bullmq.codes import Code, meaning
from qtui.bullmq.connection import RedisFault
from qtui.retry.pace import Pace
from qtui.retry.plan import Group, Plan, Resets
from qtui.retry.selection import Query
from qtui.text import count, plain, plural
from qtui.ui.actions import Where
from qtui.ui.keys import bindings

T = TypeVar("T")

_MOST_GROUPS: Final = 30
_RATES: Final = (None, 10.0, 50.0, 200.0, 1000.0)
_CANARIES: Final = (0, 20, 100)
_NARROW: Final = 100
_LOW: Final = 20
_TINY: Final = 12
_DRAWN_EVERY: Final = 0.1
"""Seconds between two drawings of the progress."""

_TYPED_ABOVE: Final = 100
"""Jobs of a query above which a key alone does not confirm: the count is typed."""


class PlanDialog(ModalScreen["Plan | None"]):
    """Shows a plan as soon as it is read; answers with it, or with None to leave all as it is.

    The toggles are the owner's, so that they keep their setting until qtui ends.
    """

    BINDINGS: ClassVar[list[BindingType]] = list(bindings(Where.PLAN))

    DEFAULT_CSS = """
    PlanDialog { align: center middle; background: $background 60%; }
    PlanDialog > Vertical {
        width: 96; max-width: 96%; height: auto; max-height: 90%;
        border: round $accent; padding: 1 2; background: $surface;
        border-title-color: $foreground; border-title-style: bold;
    }
    PlanDialog.-low > Vertical { padding: 0 1; }
    PlanDialog #groups { height: auto; scrollbar-size-vertical: 1; }
    PlanDialog #warnings { height: auto; margin-top: 1; color: $text-warning; }
    PlanDialog #toggles { height: auto; margin-top: 1; }
    PlanDialog #answer { height: 1; margin-top: 1; }
    """

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
        """Whether the plan tells of all jobs."""
        self._drawn = 0.0
        self._error = ""
        self._seen = self._of = 0
        self._typed: str | None = None
        """What was typed of the count that confirms; None before it is asked for."""

    @override
    def compose(self) -> ComposeResult:
        with Vertical() as frame:
            frame.border_title = Content(f" {self._title} ")
            with VerticalScroll(id="groups", can_focus=False):
                yield Static(id="lines", markup=False)
            yield Static(id="warnings", markup=False)
            yield Static(id="toggles", markup=False)
            yield Static(id="answer", markup=False)

    def on_mount(self) -> None:
        """Begins to read."""
        self._draw()
        make: Callable[[], Awaitable[None]] = self._make
        self.run_worker(make, exclusive=True, group="plan", exit_on_error=False)

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """A fault of ours stands where the plan would."""
        if event.state is WorkerState.ERROR:
            self._error = f"a fault in qtui: {event.worker.error}"
            self._draw()

    async def _make(self) -> None:
        try:
            self._plan = await self._read(self._progress, self._take_early)
            self._is_whole = True
        except (RedisError, RedisFault, OSError, TimeoutError) as error:
            self._error = self._explain(error)
        self._draw()

    def _take_early(self, plan: Plan) -> None:
        """A whole state can be retried before each of its jobs has been looked at."""
        self._plan = plan

    def _progress(self, seen: int, of: int) -> None:
        self._seen, self._of = seen, of
        if time.monotonic() - self._drawn > _DRAWN_EVERY:
            self._drawn = time.monotonic()
            self._draw()

    def on_resize(self) -> None:
        """Other lines may fit now."""
        self._draw()

    # What it says

    def _fit(self, warnings: int) -> None:
        """Leaves the groups what the question does not need: that must always be in sight."""
        height = self.app.size.height
        low = height < _LOW
        self.set_class(low, "-low")
        frame = 2 if low else 4
        wrapped = warnings * (2 if self.app.size.width < _NARROW else 1)
        below = 5 + (wrapped + 1 if warnings else 0)
        self.query_one("#groups").styles.max_height = max(1, height * 9 // 10 - frame - below)

    def _draw(self) -> None:
        self.query_one("#lines", Static).update(self._groups())
        warnings = list(self._plan.warnings(self._resets)) if self._plan is not None else []
        if self._plan is not None and self._plan.families and self.app.size.height >= _LOW:
            job_id = plain(self._plan.families[0].jobs[0])
            warnings.append(f"f shows the flow of a job such as {job_id}; r there reruns it.")
        words = self.query_one("#warnings", Static)
        words.update(Content("\n".join(f"▲ {warning}" for warning in warnings)))
        words.display = bool(warnings) and self.app.size.height >= _TINY
        self._fit(len(warnings) if words.display else 0)
        self.query_one("#toggles", Static).update(self._toggles())
        self.query_one("#answer", Static).update(self._answer())

    def _groups(self) -> Content:
        if self._error:
            return Content.styled(
                f"The plan could not be made: {plain(self._error)}", "$text-error"
            )
        if self._plan is None:
            seen = f", {count(self._seen)} of {count(self._of)} seen" if self._of else ""
            return Content.styled(f"reading the jobs{seen} …", "$text-muted")
        groups = self._plan.groups()
        width = max((len(f"{group.jobs:,}") for group in groups), default=1)
        lines = [self._line(group, width) for group in groups[:_MOST_GROUPS]]
        if not self._is_whole:
            words = f"{count(self._seen)} of {count(self._plan.jobs)} looked at so far …"
            lines.append(Content.styled(words, "$text-muted"))
        if len(groups) > _MOST_GROUPS:
            lines.append(
                Content.styled(f"and {len(groups) - _MOST_GROUPS} more kinds", "$text-muted")
            )
        return Content("\n").join(lines)

    def _line(self, group: Group, width: int) -> Content:
        assert self._plan is not None
        room = max(20, min(92, self.app.size.width - 8) - width - 6)
        if group.code is Code.RETRIED:
            fate = Content.styled(f"→ {group.place}", "$text-success")
        else:
            code = f"{int(group.code)} " if group.code is not Code.REFUSED else ""
            fate = Content.styled(f"✗ {code}{meaning(group.code, self._plan.state)}", "$text-error")
        name = Content(plain(group.name)[:18].ljust(10))
        space = max(10, room - name.cell_length - fate.cell_length - 4)
        error = Content.styled(_cut(group.error, space), "$text-muted").pad_right(
            max(0, space - Content(_cut(group.error, space)).cell_length)
        )
        return Content("  ").join([Content(f"{group.jobs:,}".rjust(width)), name, error, fate])

    def _toggles(self) -> Content:
        made = _toggle(self._resets.made, "m", "reset attempts made")
        started = _toggle(self._resets.started, "s", "reset attempts started")
        rate = f"{self._pace.rate:g} a second" if self._pace.rate else "as fast as it goes"
        canary = f"{self._pace.canary} first, watched" if self._pace.canary else "no canary"
        speed = Content.assemble(("t", "bold $accent"), f" {rate}".ljust(27))
        first = Content.assemble(("c", "bold $accent"), f" {canary}")
        gap = Content("     ")
        return Content("\n").join(
            [
                gap.join([made, started]),
                Content("    ") + gap.join([speed, Content("    ") + first]),
            ]
        )

    def _answer(self) -> Content:
        leave = Content.assemble(("esc", "bold $accent"), " leave")
        why_not = self._why_not()
        if self._plan is None:
            return leave
        if why_not:
            return Content("     ").join([Content.styled(why_not, "bold $text-warning"), leave])
        jobs = plural(self._jobs, "job")
        if self._typed is not None:
            typed = Content.assemble(
                f"type {self._wanted} to retry {jobs}: ", (self._typed, "bold")
            )
            return Content("     ").join([typed + Content.styled("▏", "$accent"), leave])
        go = Content.assemble(("y", "bold $accent"), f" retry {jobs}")
        return Content("     ").join([go, leave])

    def _why_not(self) -> str:
        """Why the plan can't be carried out; empty where it can."""
        if self._read_only:
            return "READ-ONLY: this is a dry run, nothing will be written"
        if self._plan is not None and not self._jobs:
            return "there is nothing to retry"
        return ""

    # What it does

    def action_toggle_made(self) -> None:
        """Deletes the count of attempts made, or leaves it."""
        self._set(replace(self._resets, made=not self._resets.made))

    def action_toggle_started(self) -> None:
        """Deletes the count of attempts started, or leaves it."""
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
        self._draw()

    def action_go(self) -> None:
        """Answers with the plan, if it can be carried out."""
        if self._plan is None or self._why_not():
            self.app.bell()
        elif isinstance(self._plan.selection, Query) and self._plan.jobs > _TYPED_ABOVE:
            self._typed = ""
            self._draw()
        else:
            self.dismiss(self._plan)

    @property
    def _wanted(self) -> str:
        """What is to be typed to confirm: the count, in digits."""
        return str(self._jobs)

    @property
    def _jobs(self) -> int:
        """Jobs that are to be retried; before all were looked at, all of them."""
        if self._plan is None:
            return 0
        return self._plan.count(Code.RETRIED) if self._is_whole else self._plan.jobs

    def on_key(self, event: events.Key) -> None:
        """Takes the digits of the count that confirms; the last right one does."""
        if self._typed is None:
            return
        if event.key == "backspace":
            self._typed = self._typed[:-1]
        elif event.character is not None and event.character.isdigit():
            self._typed = (self._typed + event.character)[-len(self._wanted) :]
        else:
            return
        event.stop()
        self._draw()
        if self._typed == self._wanted:
            self.dismiss(self._plan)

    def action_leave(self) -> None:
        """Answers with None."""
        self.dismiss(None)


def _next(values: Sequence[T], now: T) -> T:
    """The value after the one that is set; the first after any other."""
    place = values.index(now) + 1 if now in values else 0
    return values[place % len(values)]


def _toggle(on: bool, key: str, words: str) -> Content:
    return Content.assemble(f"[{'x' if on else ' '}] ", (key, "bold $accent"), f" {words}")


def _cut(text: str, room: int) -> str:
    return text if len(text) <= room else text[: room - 1] + "…"
