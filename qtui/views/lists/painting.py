"""Marks that are set with one key, row after row."""

from __future__ import annotations


class Painting:
    """Presses of ``space`` in a row: the first turns a mark, the next do the same a row below.

    So ``space space space`` marks three neighbours, and ``space j space`` two: the cursor moves
    with the key that marks the next row, not before. After any other key the first press turns the
    mark under the cursor again.
    """

    def __init__(self) -> None:
        self.marking = True
        """Whether the presses mark, or take marks away."""
        self._last: tuple[object, int] | None = None

    def continues(self, here: object, moves: int) -> bool:
        """Whether the press before this one turned the mark of ``here``.

        Args:
            here: what is under the cursor.
            moves: how often a person has moved the cursor.
        """
        return self._last == (here, moves)

    def painted(self, here: object, moves: int) -> None:
        """A press has turned a mark."""
        self._last = here, moves

    def stop(self) -> None:
        """Another key was pressed."""
        self._last = None
