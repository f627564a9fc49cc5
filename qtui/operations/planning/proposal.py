"""What every action's plan says, for a dialog and for a report. Knows no action and no widget."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from qtui.bullmq.connection.client import Client
from qtui.operations.engine.action import JobAction
from qtui.operations.engine.pace import Pace
from qtui.verbs import Verb

TYPED_ABOVE: Final = 100
"""Jobs above which the count must be typed to confirm a query, or a dangerous action."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanLine:
    """Things of a plan that are alike, and what happens to them. Text may be foreign."""

    number: int
    """How many: jobs, queues or schedulers."""
    name: str
    note: str = ""
    """What else they have in common, such as their error; the first to give way."""
    whole: bool = False
    """Whether the note is not cut: where it has no room, the place goes to a line of its own."""
    place: str = ""
    """Where they go, or what becomes of them: ``waiting, last in line``."""
    refusal: str = ""
    """Why nothing happens to them, behind its code if that says more: ``-3 not in failed``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Toggle:
    """A box of a plan that a key ticks."""

    id: str
    """Of its key in `qtui.ui.actions.dialogs.plan`, such as ``plan.children``."""
    words: str
    rereads: bool = False
    """Whether the plan must be read again when it is turned."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanOptions:
    """What was chosen in a plan's dialog."""

    on: frozenset[str] = frozenset()
    """The toggles that are on, by id."""
    pace: Pace = field(default_factory=Pace)


class ActionPlan(Protocol):
    """An action as it would go now; made by reading only, and handed to a campaign as it is."""

    @property
    def jobs(self) -> int:
        """How many jobs (queues, schedulers) it would change."""

    @property
    def verb(self) -> Verb:
        """What it does: whether that is allowed decides whether it can be carried out."""

    @property
    def refusal(self) -> str:
        """Why none of it can be carried out, in a sentence; empty where it can. Plain text."""

    def go(self, options: PlanOptions) -> str:
        """Returns what confirming does: ``promote 37 jobs``. Plain text."""

    def confirmation(self, options: PlanOptions) -> str:
        """Returns what must be typed to confirm: digits, or a queue's name; empty: a key does.

        See `count_to_type`.
        """

    def lines(self, options: PlanOptions) -> Sequence[PlanLine]:
        """Returns its jobs grouped by what happens to them, largest group first."""

    def warnings(self, options: PlanOptions) -> Iterable[str]:
        """Returns what to know before confirming, in whole sentences; plain text."""

    def action(self, client: Client, options: PlanOptions) -> JobAction:
        """Returns the action of this plan, with its own writer.

        It is called only for an action that is allowed, after the plan was confirmed.
        """


def count_to_type(jobs: int) -> str:
    """Returns the count that confirms an action on that many jobs; empty where a key does."""
    return str(jobs) if jobs > TYPED_ABOVE else ""
