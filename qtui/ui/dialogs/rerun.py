"""The plan of a flow's rerun, before anything is written: of failed jobs only, or of all jobs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from typing import ClassVar, Final

from textual.binding import BindingType
from textual.content import Content
from typing_extensions import override

from qtui.bullmq.model import JobState
from qtui.bullmq.signature.headline import spoken
from qtui.operations.flow_rerun.plan import Part, RerunPlan, RerunStep, Start
from qtui.operations.planning.plan import Resets
from qtui.text import count, plain, plural
from qtui.ui.actions import Situation, Where
from qtui.ui.actions.dialogs.rerun import cannot_go
from qtui.ui.dialogs.base import GAP, toggle
from qtui.ui.dialogs.plan import PlanDialog
from qtui.ui.keys import bindings
from qtui.ui.widgets.cursor_list import fit

_SHOWN: Final = (Part.RUNS, Part.FOLLOWS, Part.UNDER_WAY, Part.GONE, Part.LEFT)
_MOST: Final = 40
"""Jobs that are listed."""

_WIDE: Final = 94
"""Cells of a line in which columns are wide."""

_STARTS: Final = {Start.FAILURE: "failed jobs only", Start.START: "all jobs"}


class RerunDialog(PlanDialog[RerunPlan]):
    """Shows the plan of a flow's rerun."""

    BINDINGS: ClassVar[list[BindingType]] = list(bindings(Where.RERUN))
    PARTS = (Where.RERUN, Where.MOVE)
    GO, LEAVE, REASON = "rerun.go", "rerun.leave", "rerun.reason"
    WIDTH = 110
    TOP = ("starts",)

    def __init__(
        self,
        read: Callable[[Start, bool, Callable[[int], None]], Awaitable[RerunPlan]],
        *,
        root: str,
        resets: Resets,
        keep: Callable[[Resets], None],
        dry: str,
        explain: Callable[[BaseException], str],
        drop_lost: bool = False,
    ) -> None:
        what = f"{'Dry run: rerun' if dry else 'Rerun'} the flow of {plain(root)}"
        super().__init__(title=what, dry=dry, explain=explain)
        self._reading = read
        self._resets = resets
        self._keep = keep
        self._start = Start.FAILURE
        self._drop_lost = drop_lost

    @override
    async def read(self) -> RerunPlan:
        """Reads the flow, and what its rerun would do."""
        return await self._reading(self._start, self._drop_lost, self.progressed)

    # What it says

    @override
    def parts(self) -> dict[str, Content]:
        """Where it starts, and what every plan has."""
        return {**super().parts(), "starts": self._starts()}

    @override
    def warnings_of(self, plan: RerunPlan) -> Iterator[str]:
        """The plan's own."""
        return plan.warnings(self._resets)

    @override
    def refusal_of(self, plan: RerunPlan) -> str:
        """Why nothing will be rerun."""
        return _sentence(plan.refusal) if plan.refusal else ""

    @override
    def jobs_of(self, plan: RerunPlan) -> int:
        """Jobs that run again."""
        return plan.jobs

    @override
    def go_words(self, plan: RerunPlan) -> str:
        """How many jobs run again."""
        return f"rerun {plural(plan.jobs, 'job')}"

    @override
    def cannot_go(self, situation: Situation) -> str:
        """Why it can't be carried out."""
        return cannot_go(situation)

    def _starts(self) -> Content:
        pieces = [
            Content.styled(f"({'•' if one is self._start else ' '}) {words}", style)
            for one, words in _STARTS.items()
            for style in ["bold" if one is self._start else "$text-muted"]
        ]
        return Content("   ").join(
            [Content.styled(self.key("rerun.start"), "bold $text-accent"), *pieces]
        )

    @override
    def lines_of(self, plan: RerunPlan) -> Content:
        """The jobs, one a line, below what happens to them together."""
        steps = [step for part in _SHOWN for step in plan.of(part)]
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
        fate = f"→ {step.fate}" if step.part.reruns else step.fate
        queue = plain(node.queue.base.removeprefix("bull:"))
        rest = [
            Content(fit(plain(node.row.name), 14 if wide else 8)),
            Content.styled(fit(queue, 16 if wide else 10), "$text-muted"),
            Content.styled(fit(fate, 28 if wide else 24), style),
        ]
        left = self.room - 2 - sum(cell.cell_length + 2 for cell in rest)
        cells = [Content("  " + fit(plain(node.id), 18 if wide else max(12, left))), *rest]
        if wide:  # else the error would take the room of the id
            failed = node.state is JobState.FAILED
            error = spoken(node.row.failed_reason or "") if failed else str(node.state or "")
            cells.append(Content.styled(fit(error, max(4, left - 20)).rstrip(), "$text-muted"))
        return Content("  ").join(cells).truncate(self.room, ellipsis=True)

    @override
    def toggles(self) -> Content:
        """Resets, and children that are gone."""
        made = toggle(self._resets.made, self.key("rerun.reset-made"), "reset attempts made")
        started = toggle(
            self._resets.started, self.key("rerun.reset-started"), "reset attempts started"
        )
        wide = made.cell_length + len(GAP) + started.cell_length <= self.room
        found = (GAP if wide else Content("\n")).join([made, started])
        if self._has_lost:
            lost = toggle(
                self._drop_lost, self.key("rerun.drop-lost"), "run parents without lost children"
            )
            found = Content("\n").join([found, lost])
        return found

    @property
    def _has_lost(self) -> bool:
        """Whether children are gone, or were left out since they are."""
        return self._drop_lost or (self.plan is not None and bool(self.plan.lost))

    @override
    def situation(self) -> Situation:
        """The plan, if it was read and nothing speaks against it."""
        return replace(super().situation(), lost_children=self._has_lost)

    # What it does

    def action_turn(self) -> None:
        """Switches between failed jobs only and all jobs."""
        self._start = Start.START if self._start is Start.FAILURE else Start.FAILURE
        self.read_again()

    def action_toggle_made(self) -> None:
        """Turns the reset of attempts made on or off."""
        self._set(replace(self._resets, made=not self._resets.made))

    def action_toggle_started(self) -> None:
        """Turns the reset of attempts started on or off."""
        self._set(replace(self._resets, started=not self._resets.started))

    def action_toggle_lost(self) -> None:
        """Lets parents run without children that are gone, or not."""
        self._drop_lost = not self._drop_lost
        self.read_again()

    def _set(self, resets: Resets) -> None:
        self._resets = resets
        self._keep(resets)
        self.draw()


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}."
