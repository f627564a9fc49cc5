"""The plan of a flow's rerun, before anything is written: from failure or from the start."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import ClassVar, Final

from textual.binding import BindingType
from textual.content import Content
from textual.worker import Worker, WorkerState
from typing_extensions import override

from qtui.bullmq.connection.trouble import TROUBLE
from qtui.bullmq.model import JobState
from qtui.bullmq.signature.headline import spoken
from qtui.operations.flow_rerun.plan import Part, RerunPlan, RerunStep, Start
from qtui.operations.planning.plan import Resets
from qtui.text import count, plain, plural
from qtui.ui.actions import Situation, Where
from qtui.ui.actions.rerun import cannot_go
from qtui.ui.dialogs.base import GAP, Dialog, key_hint, toggle
from qtui.ui.keys import bindings
from qtui.ui.widgets.cursor_list import fit

_TOLD: Final = (Part.RUNS, Part.FOLLOWS, Part.UNDER_WAY, Part.GONE, Part.LEFT)
_MOST: Final = 40
"""Jobs that are listed."""

_WIDE: Final = 94
"""Cells of a line in which columns are wide."""

_STARTS: Final = {Start.FAILURE: "from failure", Start.START: "from the start"}


class RerunDialog(Dialog["RerunPlan"]):
    """Shows a plan as soon as it is read; answers with it, or with None when cancelled."""

    BINDINGS: ClassVar[list[BindingType]] = list(bindings(Where.RERUN))
    PARTS = (Where.RERUN, Where.MOVE)
    WIDTH = 110
    TOP = ("starts",)
    SCROLLED = ("lines", "warnings")
    BOTTOM = ("toggles", "answer")

    DEFAULT_CSS = "RerunDialog #warnings { color: $text-warning; }"

    def __init__(
        self,
        read: Callable[[Start, bool, Callable[[int], None]], Awaitable[RerunPlan]],
        *,
        root: str,
        resets: Resets,
        keep: Callable[[Resets], None],
        read_only: bool,
        explain: Callable[[BaseException], str],
    ) -> None:
        super().__init__()
        self._read = read
        self._root = root
        self._resets = resets
        self._keep = keep
        self._read_only = read_only
        self._explain = explain
        self._start = Start.FAILURE
        self._drop_lost = False
        self._plan: RerunPlan | None = None
        self._error = ""
        self._seen = 0

    @property
    @override
    def title_text(self) -> str:
        """Which flow, and that it is a dry run where it is one."""
        return f"{'Dry run: rerun' if self._read_only else 'Rerun'} the flow of {plain(self._root)}"

    @override
    def on_mount(self) -> None:
        """Begins to read."""
        super().on_mount()
        self._begin()

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """Shows an error of qtui itself in place of the plan."""
        if event.state is WorkerState.ERROR:
            self._error = f"Internal error: {event.worker.error}"
            self.draw()

    def _begin(self) -> None:
        self._plan, self._error, self._seen = None, "", 0
        self.draw()
        make: Callable[[], Awaitable[None]] = self._make
        self.run_worker(make, exclusive=True, group="plan", exit_on_error=False)

    async def _make(self) -> None:
        try:
            self._plan = await self._read(self._start, self._drop_lost, self._progress)
        except TROUBLE as error:
            self._error = self._explain(error)
        except LookupError as error:
            self._error = str(error)
        self.draw()

    def _progress(self, seen: int) -> None:
        self._seen = seen
        self.draw()

    # What it says

    @override
    def parts(self) -> dict[str, Content]:
        """Where it starts, the jobs, the warnings, the toggles and the question."""
        warnings = [] if self._plan is None else self._warnings(self._plan)
        return {
            "starts": self._starts(),
            "lines": self._lines(),
            "warnings": Content("\n".join(warnings)),
            "toggles": self._toggles(),
            "answer": self._answer(),
        }

    def _warnings(self, plan: RerunPlan) -> list[str]:
        return [] if plan.refusal else [f"▲ {words}" for words in plan.warnings(self._resets)]

    def _starts(self) -> Content:
        pieces = [
            Content.styled(f"({'•' if one is self._start else ' '}) {words}", style)
            for one, words in _STARTS.items()
            for style in ["bold" if one is self._start else "$text-muted"]
        ]
        return Content("   ").join([Content.styled("tab", "bold $text-accent"), *pieces])

    def _lines(self) -> Content:
        plan = self._plan
        if self._error:
            words = f"Cannot make the plan: {plain(self._error)}"
            return Content.styled(words, "$text-error")
        if plan is None:
            seen = f": {plural(self._seen, 'job')}" if self._seen else ""
            return Content.styled(f"reading the flow{seen} …", "$text-muted")
        if plan.refusal:
            return Content.styled(_sentence(plan.refusal), "bold $text-warning")
        steps = [step for part in _TOLD for step in plan.of(part)]
        lines = [Content.styled(plan.headline, "bold")]
        shown = steps if len(steps) <= _MOST else steps[: _MOST - 1]
        lines += [self._line(step) for step in shown]
        if len(steps) > len(shown):
            more = f"  and {count(len(steps) - len(shown))} more"
            lines.append(Content.styled(more, "$text-muted"))
        return Content("\n").join(lines)

    def _line(self, step: RerunStep) -> Content:
        node, wide = step.node, self.room >= _WIDE
        style = "$text-success" if step.part.reruns else "$text-muted"
        fate = Content.styled(
            fit(f"→ {step.fate}" if step.part.reruns else step.fate, 28 if wide else 24), style
        )
        failed = node.state is JobState.FAILED
        error = spoken(node.row.failed_reason or "") if failed else str(node.state or "")
        queue = plain(node.queue.base.removeprefix("bull:"))
        cells = [
            Content("  " + fit(plain(node.id), 18 if wide else 12)),
            Content(fit(plain(node.row.name), 14 if wide else 8)),
            Content.styled(fit(queue, 16 if wide else 10), "$text-muted"),
            fate,
        ]
        left = self.room - sum(cell.cell_length + 2 for cell in cells)
        if left >= 4:
            cells.append(Content.styled(fit(error, left).rstrip(), "$text-muted"))
        return Content("  ").join(cells).truncate(self.room, ellipsis=True)

    def _toggles(self) -> Content:
        made = toggle(self._resets.made, "m", "reset attempts made")
        started = toggle(self._resets.started, "s", "reset attempts started")
        wide = made.cell_length + len(GAP) + started.cell_length <= self.room
        found = (GAP if wide else Content("\n")).join([made, started])
        if self._drop_lost or (self._plan is not None and self._plan.lost):
            lost = toggle(self._drop_lost, "d", "run parents without lost children")
            found = Content("\n").join([found, lost])
        return found

    def _answer(self) -> Content:
        leave = key_hint("esc", "cancel")
        if self._plan is None or self._plan.refusal:
            return leave
        if why_not := cannot_go(self.situation()):
            return GAP.join([Content.styled(why_not, "bold $text-warning"), leave])
        go = key_hint("y", f"rerun {plural(self._plan.jobs, 'job')}")
        return GAP.join([go, leave])

    @override
    def situation(self) -> Situation:
        """The plan, if it was read and nothing speaks against it."""
        plan = self._plan if self._plan is not None and not self._plan.refusal else None
        return Situation(
            read_only=self._read_only,
            planned=plan is not None,
            jobs=plan.jobs if plan is not None else 0,
            lost_children=self._drop_lost or (self._plan is not None and bool(self._plan.lost)),
        )

    # What it does

    def action_turn(self) -> None:
        """From the start instead of from failure, and back."""
        self._start = Start.START if self._start is Start.FAILURE else Start.FAILURE
        self._begin()

    def action_toggle_made(self) -> None:
        """Turns the reset of attempts made on or off."""
        self._set(replace(self._resets, made=not self._resets.made))

    def action_toggle_started(self) -> None:
        """Turns the reset of attempts started on or off."""
        self._set(replace(self._resets, started=not self._resets.started))

    def action_toggle_lost(self) -> None:
        """Lets parents run without children that are gone, or not."""
        self._drop_lost = not self._drop_lost
        self._begin()

    def _set(self, resets: Resets) -> None:
        self._resets = resets
        self._keep(resets)
        self.draw()

    def action_go(self) -> None:
        """Answers with the plan, if it can be carried out."""
        self.answer(self._plan)


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}."
