"""How a command says things: lines, tables, JSON. Knows nothing of queues.

Text that comes from Redis must be plain (`qtui.text`) before it gets here.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TextIO

import click
from rich.cells import cell_len, set_cell_size

from qtui.commands.ndjson import line
from qtui.views.columns import Tone

_COLOURS: Final = {Tone.BAD: "red", Tone.GOOD: "green", Tone.BUSY: "yellow"}
_GAP: Final = "  "
_MOST: Final = 40
"""Cells of a column at most, but for the last, which takes what is left."""


class OutputClosed(Exception):
    """Whoever read our output has gone (``| head``)."""


class Paper:
    """Where a command writes; one for stdout and one for stderr.

    Args:
        stream: where it goes.
        vital: nothing makes sense when nobody reads it.
    """

    def __init__(self, stream: TextIO, *, vital: bool = True) -> None:
        self._stream = stream
        self._vital = vital
        self.is_terminal = stream.isatty()
        dumb = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
        self._colours = self.is_terminal and not dumb
        if hasattr(stream, "reconfigure"):
            # A sign of ours that a terminal in C locale lacks must not end the command.
            stream.reconfigure(errors="backslashreplace")

    @property
    def width(self) -> int | None:
        """Cells in a line; None where lines may be as long as they like."""
        return shutil.get_terminal_size().columns if self.is_terminal else None

    def styled(self, text: str, tone: Tone = Tone.PLAIN, *, bold: bool = False) -> str:
        """The text in the colour of its tone, where there are colours."""
        if not self._colours or (tone is Tone.PLAIN and not bold):
            return text
        faint = tone is Tone.FAINT or None
        return click.style(text, fg=_COLOURS.get(tone), dim=faint, bold=bold or None)

    def line(self, text: str = "") -> None:
        """Writes a line.

        Raises:
            OutputClosed: nobody reads any more.
        """
        self.write(text + "\n")

    def json(self, members: Mapping[str, object]) -> None:
        """Writes an object as one line of JSON."""
        self.write(line(members) + "\n")

    def write(self, text: str) -> None:
        """Writes text as it is."""
        try:
            self._stream.write(text)
        except BrokenPipeError:
            self._closed()

    def flush(self) -> None:
        """Sees to it that all that was written can be read."""
        try:
            self._stream.flush()
        except BrokenPipeError:
            self._closed()

    def _closed(self) -> None:
        if self._vital:
            raise OutputClosed from None
        self.abandon()

    def abandon(self) -> None:
        """Lets what could not be written vanish, so that Python's own last flush is quiet."""
        with contextlib.suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)


class Progress:
    """One line on stderr that changes; nothing where stderr is no terminal."""

    def __init__(self, *, wanted: bool = True) -> None:
        self._on = wanted and sys.stderr.isatty()
        self._drawn = False

    def say(self, words: str) -> None:
        """Shows the words in place of the last ones."""
        if self._on:
            sys.stderr.write(f"\r{words}\x1b[K")
            sys.stderr.flush()
            self._drawn = True

    def clear(self) -> None:
        """Takes the line away."""
        if self._drawn:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
            self._drawn = False


class Cell(NamedTuple):
    """What stands in a table, plain."""

    text: str
    tone: Tone = Tone.PLAIN


class Column(NamedTuple):
    """A column's head; numbers stand at the right."""

    head: str
    right: bool = False


@dataclass
class Table:
    """Aligned columns, written rows by rows, so that a long table needs no memory.

    The widths are those of the first rows, and grow where later ones need more. On a terminal the
    last column is cut where the line ends.
    """

    paper: Paper
    columns: Sequence[Column]
    _widths: list[int] = field(default_factory=list, init=False)

    def write(self, rows: Iterable[Sequence[Cell]]) -> None:
        """Writes rows, before the first of them the heads."""
        rows = list(rows)
        first = not self._widths
        if first:
            self._widths = [cell_len(column.head) for column in self.columns]
        for row in rows:
            for at, cell in enumerate(row):
                self._widths[at] = max(self._widths[at], min(_MOST, cell_len(cell.text)))
        if first:
            heads = [Cell(column.head, Tone.FAINT) for column in self.columns]
            self.paper.line(self._line(heads))
        for row in rows:
            self.paper.line(self._line(row))

    def _line(self, row: Sequence[Cell]) -> str:
        parts = [self._fit(at, cell) for at, cell in enumerate(row)]
        return _GAP.join(parts).rstrip()

    def _fit(self, at: int, cell: Cell) -> str:
        last, column = at == len(self.columns) - 1, self.columns[at]
        if last and not column.right:
            width = self.paper.width
            taken = sum(self._widths[:-1]) + len(_GAP) * at
            text = cell.text if width is None else _cut(cell.text, max(10, width - taken))
            return self.paper.styled(text, cell.tone)
        text = _cut(cell.text, self._widths[at])
        space = " " * (self._widths[at] - cell_len(text))
        styled = self.paper.styled(text, cell.tone)
        return space + styled if column.right else styled + space


def _cut(text: str, width: int) -> str:
    return text if cell_len(text) <= width else set_cell_size(text, max(0, width - 1)) + "…"
