"""What screens and dialogs share: which of their actions can act now, and why the others can't."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from qtui.ui.actions import ACTIONS, Action, Situation, Where
from qtui.ui.keys import in_keys, key_of_id


class Acting:
    """A screen or a dialog with actions of the registry."""

    PARTS: ClassVar[tuple[Where, ...]] = ()
    """The parts of the registry that hold its actions, the most needed first."""

    @property
    def remapped(self) -> Mapping[str, str]:
        """The keys that the user has given to actions, by the ids of these."""
        return {}

    def key(self, action: str) -> str:
        """The key of an action by its id, as people read it in a sentence."""
        return key_of_id(self.remapped, action)

    def situation(self) -> Situation:
        """What decides now which actions can act."""
        return Situation()

    def say_why_not(self, why: str) -> None:
        """Says why a key does nothing."""
        raise NotImplementedError

    def forget_why_not(self) -> None:
        """Another key does something: why the one before did nothing is not said any more."""

    def why_not(self, action: Action) -> str:
        """Why an action can't act now, in a sentence; empty where it can."""
        return in_keys(action.reason(self.situation()), self.remapped)

    def refuses(self, does: str) -> bool:
        """Whether what a key or the palette asks for can't be done now; then says why.

        Args:
            does: what Textual calls an action: the name of a method, with parameters.
        """
        asked = (one for one in ACTIONS if one.does == does and one.where in self.PARTS)
        why = next((self.why_not(one) for one in asked), "")
        if why:
            self.say_why_not(why)
        return bool(why)
