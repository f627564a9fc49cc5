"""How a command says things: lines, tables, JSON. Knows nothing of queues.

Text that comes from Redis must be plain (`qtui.text`) before it gets here.
"""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TextIO

import click
from rich.cells import cell_len, set_cell_size

from qtui.commands.shared.ndjson import line
from qtui.views.columns import Tone

_COLOURS: Final = {Tone.BAD: "red", Tone.GOOD: "green", Tone.BUSY: "yellow"}
_GAP: Final = "  "
_PLAINER: Final = (
    *(("…", "..."), ("→", "->"), ("←", "<-"), ("·", "."), ("✔", "+"), ("✗", "x"), ("▲", "!")),
    *(("▌", ">"), ("├", "|"), ("└", "`"), ("│", "|"), ("─", "-"), ("↑", "^"), ("≤", "<=")),
)
"""Signs of ours, and what stands for them where the terminal's locale has no Unicode."""
_MOST: Final = 40
"""Cells of a column on a terminal at most, but for the last, which takes what is left."""


class OutputClosed(Exception):
    """Nothing more can be written; without words whoever read it has gone (``| head``)."""


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a person is at the other end. A stream that was closed from the start is None."""
    return stream is not None and stream.isatty()


class Paper:
    """Where a command writes; one for stdout and one for stderr.

    Args:
        stream: where it goes.
        vital: nothing makes sense when nobody reads it.
    """

    def __init__(self, stream: TextIO | None, *, vital: bool = True) -> None:
        self.is_terminal = is_terminal(stream)
        self._stream = stream
        self._encoding = ""
        """Where it is none of Unicode's: what is not in it takes more than one cell."""
        self._vital = vital
        dumb = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
        self._colours = self.is_terminal and not dumb
        if isinstance(stream, io.TextIOWrapper):
            # A sign of ours that a terminal in C locale lacks must not end the command.
            stream.reconfigure(errors="backslashreplace")
            encoding = codecs.lookup(stream.encoding).name
            self._encoding = "" if encoding.startswith("utf") else encoding

    @property
    def width(self) -> int | None:
        """Cells in a line; None where lines may be as long as they like."""
        return shutil.get_terminal_size().columns if self.is_terminal else None

    def printable(self, text: str) -> str:
        """The text as the stream can write it: in ASCII signs of ours have others for them."""
        if not self._encoding or text.isascii():
            return text
        for sign, other in _PLAINER:
            text = text.replace(sign, other)
        return text.encode(self._encoding, "backslashreplace").decode(self._encoding)

    def styled(self, text: str, tone: Tone = Tone.PLAIN, *, bold: bool = False) -> str:
        """The text in the colour of its tone, where there are colours."""
        if not self._colours or not text or (tone is Tone.PLAIN and not bold):
            return text
        faint = tone is Tone.FAINT or None
        return click.style(text, fg=_COLOURS.get(tone), dim=faint, bold=bold or None)

    def line(self, text: str = "") -> None:
        """Writes a line.

        Raises:
            OutputClosed: nobody reads any more.
        """
        self.write(self.printable(text) + "\n")

    def json(self, members: Mapping[str, object]) -> None:
        """Writes an object as one line of JSON."""
        self.write(line(members) + "\n")

    def write(self, text: str) -> None:
        """Writes text as it is."""
        if self._stream is None:
            return
        try:
            self._stream.write(text)
        except OSError as error:
            self._closed(error)

    def flush(self) -> None:
        """Sees to it that all that was written can be read."""
        if self._stream is None:
            return
        try:
            self._stream.flush()
        except OSError as error:
            self._closed(error)

    def _closed(self, error: OSError) -> None:
        self._abandon()
        if self._vital:
            gone = isinstance(error, BrokenPipeError)
            raise OutputClosed("" if gone else f"cannot write: {error.strerror}") from None

    def _abandon(self) -> None:
        """Lets what could not be written vanish, so that Python's own last flush is quiet."""
        assert self._stream is not None
        with contextlib.suppress(OSError, ValueError):
            number = self._stream.fileno()
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, number)
            os.close(nowhere)


class ProgressLine:
    """One line on stderr that changes; nothing where stderr is no terminal."""

    def __init__(self, *, wanted: bool = True) -> None:
        self._on = wanted and is_terminal(sys.stderr)
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
    last column is cut where the line ends; elsewhere nothing is cut.
    """

    paper: Paper
    columns: Sequence[Column]
    _widths: list[int] = field(default_factory=list, init=False)

    def write(self, rows: Iterable[Sequence[Cell]]) -> None:
        """Writes rows, before the first of them the heads."""
        fit = self.paper.printable
        rows = [[Cell(fit(cell.text), cell.tone) for cell in row] for row in rows]
        first = not self._widths
        if first:
            self._widths = [cell_len(column.head) for column in self.columns]
        most = _MOST if self.paper.is_terminal else sys.maxsize
        for row in rows:
            for at, cell in enumerate(row[:-1]):
                self._widths[at] = max(self._widths[at], min(most, cell_len(cell.text)))
        if first:
            heads = [Cell(column.head, Tone.FAINT) for column in self.columns]
            self.paper.line(self._line(heads))
        for row in rows:
            self.paper.line(self._line(row))

    def _line(self, row: Sequence[Cell]) -> str:
        parts = [self._fit(at, cell) for at, cell in enumerate(row)]
        return _GAP.join(parts).rstrip()

    def _fit(self, at: int, cell: Cell) -> str:
        column = self.columns[at]
        if at == len(self.columns) - 1:
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
