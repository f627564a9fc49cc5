"""Reads the filter that was typed into a line, and points at what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable

from qtui.bullmq.filter import Filter, FilterError, parse_filter
from qtui.ui.widgets.typed_line import TypedLine


def typed_filter(line: TypedLine, text: str, say: Callable[[str, str], None]) -> Filter | None:
    """Returns the filter; None where it is wrong, with the cursor on the mistake.

    Args:
        line: where it was typed.
        text: what was typed.
        say: shows words and their tone in the line below; a caret points at the mistake.
    """
    try:
        return parse_filter(text)
    except FilterError as mistake:
        error = mistake

    def point() -> None:
        words = pointer(line.column(error.position), error.message, line.screen.size.width)
        say(words.removeprefix(" "), "bad")

    # From its start on, so that there is room for words left of the mistake.
    line.scroll_to(0, animate=False, force=True, immediate=True)
    line.cursor_position = error.position
    line.call_after_refresh(point)
    return None


def pointer(column: int, words: str, width: int) -> str:
    """A line of ``width`` cells with a caret in a column, and words on the side that has room.

    Where neither side has, there are only the words.
    """
    if column + 2 + len(words) <= width:
        return " " * column + "^ " + words
    if len(words) + 2 <= column:
        return words.rjust(column - 1) + " ^"
    return f" {words}"
