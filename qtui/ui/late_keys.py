"""Keys that were meant for a dialog that has just closed. Knows no widgets."""

from __future__ import annotations

from typing import Final

_TRAILS_FOR: Final = 5.0
"""Seconds after which a key that could follow an answer is a key of its own."""


class LateKeys:
    """Tells keys that belong to a closed dialog from those for the screen below.

    A key pressed before the dialog closed, and that the dialog has, was meant for it: ``y y`` in
    one go retries and copies nothing. Others pass, so that one may type ahead. After a typed count
    people press Enter: the first keys of that kind belong to the dialog too.

    Args:
        own: the keys of the dialog.
        trailing: those that people press after the answer.
        closed_at: when it closed, in seconds of the monotonic clock.
    """

    def __init__(
        self,
        own: frozenset[str] = frozenset(),
        trailing: frozenset[str] = frozenset(),
        closed_at: float = 0.0,
    ) -> None:
        self._own = own
        self._trailing = trailing
        self._closed_at = closed_at

    def claim(self, key: str, pressed_at: float) -> bool:
        """Whether a key, pressed at a time of the monotonic clock, was meant for the dialog."""
        if pressed_at <= self._closed_at:
            return key in self._own or key in self._trailing
        follows = key in self._trailing and pressed_at - self._closed_at < _TRAILS_FOR
        if not follows:
            self._trailing = frozenset()
        return follows
