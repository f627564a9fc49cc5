"""The plan of a retry, before anything is written: its jobs, warnings, resets and pace."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from typing import ClassVar, TypeAlias

from textual.binding import BindingType
from textual.content import Content
from typing_extensions import override

from qtui.bullmq.codes import Code, meaning
from qtui.operations.engine.pace import Pace
from qtui.operations.planning.groups import PlanGroup
from qtui.operations.planning.plan import Plan, Resets
from qtui.operations.planning.proposal import PlanLine, count_to_type
from qtui.operations.planning.several import SeveralPlans
from qtui.text import plain, plural
from qtui.ui.actions import Situation, Where
from qtui.ui.actions.dialogs.plan import cannot_go
from qtui.ui.dialogs.base import GAP, toggle
from qtui.ui.dialogs.plan import PlanDialog, next_canary, next_rate
from qtui.ui.keys import bindings

AnyPlan: TypeAlias = Plan | SeveralPlans
"""The plan of a retry in one queue, or in several."""


class RetryDialog(PlanDialog[AnyPlan]):
    """Shows the plan of a retry.

    The owner keeps the options, so that they last until qtui ends.
    """

    BINDINGS: ClassVar[list[BindingType]] = list(bindings(Where.PLAN))
    PARTS = (Where.PLAN, Where.MOVE)

    def __init__(
        self,
        read: Callable[[Callable[[int, int], None], Callable[[Plan], None]], Awaitable[AnyPlan]],
        *,
        title: str,
        resets: Resets,
        pace: Pace,
        keep: Callable[[Resets, Pace], None],
        dry: str,
        explain: Callable[[BaseException], str],
    ) -> None:
        super().__init__(title=title, dry=dry, explain=explain)
        self._reading = read
        self._resets = resets
        self._pace = pace
        self._keep = keep

    @override
    async def read(self) -> AnyPlan:
        """Reads the plan."""
        return await self._reading(self.progressed, self.take_early)

    # What it says

    @override
    def warnings_of(self, plan: AnyPlan) -> Iterator[str]:
        """The plan's own, and where a rerun would do better."""
        yield from plan.warnings(self._resets)
        if plan.relative is not None:
            job_id = plain(plan.relative)
            leave, flow, rerun = map(self.key, (self.LEAVE, "inspector.flow", "flow.rerun"))
            yield (
                f"To rerun a flow: {leave}, then {flow} on a job of it, such as {job_id},"
                f" then {rerun}."
            )

    @override
    def lines_of(self, plan: AnyPlan) -> Content:
        """The groups."""
        return self.table([_line(one, plan) for one in plan.groups()])

    @override
    def jobs_of(self, plan: AnyPlan) -> int:
        """Jobs to be retried; until all have been read, all of the selection."""
        return plan.count(Code.DONE) if self.is_whole else plan.jobs

    @override
    def go_words(self, plan: AnyPlan) -> str:
        """How many jobs are retried."""
        return f"retry {plural(self.jobs_of(plan), 'job')}"

    @override
    def cannot_go(self, situation: Situation) -> str:
        """Why it can't be carried out."""
        return cannot_go(situation)

    @override
    def confirmation_of(self, plan: AnyPlan) -> str:
        """The count of a large query; jobs that were chosen one by one were counted then."""
        if not plan.by_query:
            return ""
        return count_to_type(plan.jobs) and str(self.jobs_of(plan))

    @override
    def toggles(self) -> Content:
        """Resets and pace."""
        made = toggle(self._resets.made, self.key("plan.reset-made"), "reset attempts made")
        started = toggle(
            self._resets.started, self.key("plan.reset-started"), "reset attempts started"
        )
        speed, first = (
            self.hint("plan.rate", self._pace.rate_words),
            self.hint("plan.canary", self._pace.canary_words),
        )
        indent = Content("    ")
        left = max(made.cell_length, speed.cell_length + 4)
        words = self._pace.brake_words
        brake = [indent + Content.styled(words, "$text-muted")] if words else []
        if left + len(GAP) + max(started.cell_length, first.cell_length + 4) > self.room:
            return Content("\n").join([made, started, indent + GAP.join([speed, first]), *brake])
        return Content("\n").join(
            [
                made.pad_right(left - made.cell_length) + GAP + started,
                (indent + speed).pad_right(left - speed.cell_length - 4) + GAP + indent + first,
                *brake,
            ]
        )

    @override
    def options_offered(self) -> frozenset[str]:
        """All that a retry has."""
        return frozenset({"plan.reset-made", "plan.reset-started", "plan.rate", "plan.canary"})

    # What it does

    def action_toggle_made(self) -> None:
        """Turns the reset of attempts made on or off."""
        self._set(replace(self._resets, made=not self._resets.made))

    def action_toggle_started(self) -> None:
        """Turns the reset of attempts started on or off."""
        self._set(replace(self._resets, started=not self._resets.started))

    def action_rate(self) -> None:
        """The next rate."""
        self._pace = next_rate(self._pace)
        self._set(self._resets)

    def action_canary(self) -> None:
        """The next size of the canary."""
        self._pace = next_canary(self._pace)
        self._set(self._resets)

    def _set(self, resets: Resets) -> None:
        self._resets = resets
        self._keep(resets, self._pace)
        self.draw()


def _line(group: PlanGroup, plan: AnyPlan) -> PlanLine:
    line = group.line(plan.state)
    if group.code is Code.REFUSED:  # whose meaning says it all
        return replace(line, refusal=meaning(group.code, plan.state))
    return line
