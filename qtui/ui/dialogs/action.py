"""The plan of any action that brings an `ActionPlan`: promote, remove, pause, undo and the others.

Knows none of them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Final, Generic, TypeVar

from textual.binding import BindingType
from textual.content import Content
from typing_extensions import override

from qtui.operations.planning.proposal import ActionPlan, PlanOptions, Toggle
from qtui.ui.actions import Situation, Where
from qtui.ui.actions.dialogs.plan import cannot_go
from qtui.ui.dialogs.base import GAP, toggle
from qtui.ui.dialogs.plan import PlanDialog, next_rate
from qtui.ui.keys import bindings

A = TypeVar("A", bound=ActionPlan)

Progress = Callable[[int, int], None]
"""Called with how many jobs have been read, and of how many (0: not known)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request(Generic[A]):
    """What a plan's dialog is opened with."""

    title: str
    """``Promote 37 delayed jobs in payments``; plain text."""
    read: Callable[[PlanOptions, Progress], Awaitable[A]]
    """Reads the plan; again when a toggle is turned that it depends on.

    A LookupError says that what it is about is gone, in a sentence.
    """
    dangerous: bool = False
    """Whether the frame is red: something is taken away, or many are affected."""
    details: Callable[[A], Sequence[str]] | None = None
    """Lines below the groups, plain text; those that begin with + or - are in colour."""
    toggles: tuple[Toggle, ...] = ()
    paced: bool = False
    """Whether a rate can be set."""
    otherwise: str = ""
    """What can be done instead where the plan refuses, in a sentence; plain text."""


_TONES: Final = {"+": "$text-success", "-": "$text-error"}


class ActionDialog(PlanDialog[A]):
    """Shows the plan of an action.

    Args:
        request: what is planned.
        options: what is on; the owner keeps it, so that it lasts until qtui ends.
        keep: called when other options are chosen.
        dry: why it is a dry run; empty where it can be carried out.
        explain: puts an error of the server into words.
    """

    BINDINGS: ClassVar[list[BindingType]] = list(bindings(Where.PLAN))
    PARTS = (Where.PLAN, Where.MOVE)

    def __init__(
        self,
        request: Request[A],
        *,
        options: PlanOptions,
        keep: Callable[[PlanOptions], None],
        dry: str,
        explain: Callable[[BaseException], str],
    ) -> None:
        super().__init__(
            title=f"Dry run: {_small(request.title)}" if dry else request.title,
            dry=dry,
            explain=explain,
            dangerous=request.dangerous,
        )
        self._request = request
        self._options = options
        self._keep = keep

    @override
    async def read(self) -> A:
        """Reads the plan."""
        return await self._request.read(self._options, self.progressed)

    # What it says

    @override
    def lines_of(self, plan: A) -> Content:
        """The groups, and the details of the request."""
        found = self.table(plan.lines(self._options))
        if self._request.details is None:
            return found
        lines = [
            Content.styled(line, _TONES.get(line[:1], "$text-muted"))
            for line in self._request.details(plan)
        ]
        return Content("\n").join([found, *lines])

    @override
    def warnings_of(self, plan: A) -> Iterable[str]:
        """The plan's own."""
        return plan.warnings(self._options)

    @override
    def refusal_of(self, plan: A) -> str:
        """Why nothing will be done, and what can be done instead."""
        return f"{plan.refusal} {self._request.otherwise}".rstrip() if plan.refusal else ""

    @override
    def jobs_of(self, plan: A) -> int:
        """How many it is about; none if every one of them stays as it is."""
        changes = any(not line.refusal for line in plan.lines(self._options))
        return plan.jobs if changes else 0

    @override
    def go_words(self, plan: A) -> str:
        """What confirming does."""
        return plan.go(self._options)

    @override
    def confirmation_of(self, plan: A) -> str:
        """What must be typed."""
        return plan.confirmation(self._options)

    @override
    def cannot_go(self, situation: Situation) -> str:
        """Why it can't be carried out."""
        return cannot_go(situation)

    @override
    def toggles(self) -> Content:
        """A box for each option, and the pace."""
        found = [
            toggle(one.id in self._options.on, self.key(one.id), one.words)
            for one in self._request.toggles
        ]
        if self._request.paced:
            found.append(Content("    ") + self.hint("plan.rate", self._options.pace.rate_words))
        wide = sum(one.cell_length + len(GAP) for one in found) <= self.room
        return (GAP if wide else Content("\n")).join(found)

    @override
    def options_offered(self) -> frozenset[str]:
        """Those of the request."""
        rate = {"plan.rate"} if self._request.paced else set()
        return frozenset({one.id for one in self._request.toggles} | rate)

    # What it does

    def action_option(self, option: str) -> None:
        """Turns a toggle, by its id."""
        self._set(replace(self._options, on=self._options.on ^ {option}))
        if any(one.rereads for one in self._request.toggles if one.id == option):
            self.read_again()

    def action_rate(self) -> None:
        """The next rate."""
        self._set(replace(self._options, pace=next_rate(self._options.pace)))

    def _set(self, options: PlanOptions) -> None:
        self._options = options
        self._keep(options)
        self.draw()


def _small(words: str) -> str:
    return words[:1].lower() + words[1:]
