"""What a command prints with: lines, tables, JSON. Knows nothing about queues.

Text from Redis must be made plain (`qtui.text`) before it gets here.
"""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TextIO

import click
from rich.cells import cell_len, set_cell_size

from qtui.commands.shared.ndjson import line
from qtui.text import count, plural
from qtui.views.tone import Tone

_COLOURS: Final = {Tone.BAD: "red", Tone.GOOD: "green", Tone.BUSY: "yellow"}
_GAP: Final = "  "
_QUICK: Final = 0.5
"""Seconds of reading before progress is shown."""

_PLAINER: Final = (
    *(("…", "..."), ("→", "->"), ("←", "<-"), ("·", "."), ("✔", "+"), ("✗", "x"), ("▲", "!")),
    *(("▌", ">"), ("├", "|"), ("└", "`"), ("│", "|"), ("─", "-"), ("↑", "^"), ("≤", "<=")),
)
"""Our symbols, and their ASCII replacements for a terminal without Unicode."""
_MOST: Final = 40
"""Maximum width of a column on a terminal; the last column takes what is left."""
_MOST_PADDED: Final = 100
"""Width elsewhere up to which a column is aligned: one id of 5,000 characters pads no other."""


class OutputClosed(Exception):
    """Output can't be written any more; an empty message means the reader left (``| head``)."""


def is_terminal(stream: TextIO | None) -> bool:
    """Whether the stream is a terminal. A stream that was closed at start is None."""
    return stream is not None and stream.isatty()


class Paper:
    """The writer for stdout or stderr.

    Args:
        stream: where it writes.
        vital: whether a command should end when this can't be written.
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
            # A symbol that the C locale lacks must not end the command.
            stream.reconfigure(errors="backslashreplace")
            encoding = codecs.lookup(stream.encoding).name
            self._encoding = "" if encoding.startswith("utf") else encoding

    @property
    def width(self) -> int | None:
        """Width of a line in cells; None where lines may have any length."""
        return shutil.get_terminal_size().columns if self.is_terminal else None

    def printable(self, text: str) -> str:
        """The text as the stream can encode it; in ASCII our symbols are replaced."""
        if not self._encoding or text.isascii():
            return text
        for sign, other in _PLAINER:
            text = text.replace(sign, other)
        return text.encode(self._encoding, "backslashreplace").decode(self._encoding)

    def styled(self, text: str, tone: Tone = Tone.PLAIN, *, bold: bool = False) -> str:
        """The text in the colour of its tone, if the stream takes colours."""
        if not self._colours or not text or (tone is Tone.PLAIN and not bold):
            return text
        faint = tone is Tone.FAINT or None
        return click.style(text, fg=_COLOURS.get(tone), dim=faint, bold=bold or None)

    def line(self, text: str = "") -> None:
        """Writes a line.

        Raises:
            OutputClosed: the reader is gone, or the disk is full.
        """
        self.write(self.printable(text) + "\n")

    def json(self, members: Mapping[str, object]) -> None:
        """Writes an object as one line of JSON."""
        self.write(line(members) + "\n")

    def write(self, text: str) -> None:
        """Writes text unchanged, without a line end."""
        if self._stream is None:
            return
        try:
            self._stream.write(text)
        except OSError as error:
            self._closed(error)

    def flush(self) -> None:
        """Flushes what was written."""
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
        """Discards what could not be written, so that Python's final flush stays silent."""
        assert self._stream is not None
        with contextlib.suppress(OSError, ValueError):
            number = self._stream.fileno()
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, number)
            os.close(nowhere)


class ProgressLine:
    """A progress line on stderr that overwrites itself; silent if stderr is no terminal."""

    def __init__(self, *, wanted: bool = True) -> None:
        self._on = wanted and is_terminal(sys.stderr)
        self._drawn = False

    def say(self, words: str) -> None:
        """Replaces the line by these words."""
        if self._on:
            sys.stderr.write(f"\r{words}\x1b[K")
            sys.stderr.flush()
            self._drawn = True

    def clear(self) -> None:
        """Erases the line."""
        if self._drawn:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
            self._drawn = False


def reading(progress: ProgressLine) -> Callable[[int, int], None]:
    """Returns what shows how many jobs have been read, and of how many, once that takes a while."""
    since = time.monotonic()

    def say(seen: int, total: int) -> None:
        if seen < total and time.monotonic() - since > _QUICK:
            progress.say(f"reading {count(seen)} of {plural(total, 'job')}")

    return say


class Cell(NamedTuple):
    """A table cell; its text is plain."""

    text: str
    tone: Tone = Tone.PLAIN


class Column(NamedTuple):
    """A column's heading; numbers are right-aligned."""

    head: str
    right: bool = False


@dataclass
class Table:
    """Aligned columns, written batch by batch, so that a long table needs no memory.

    Widths come from the first batch and grow with later ones. On a terminal the last column is cut
    at the end of the line; elsewhere nothing is cut, and a cell that is too wide moves its row.
    """

    paper: Paper
    columns: Sequence[Column]
    _widths: list[int] = field(default_factory=list, init=False)
    _first: Sequence[str] = field(default=(), init=False)

    def expect(self, first: Sequence[str]) -> None:
        """Makes room for these cells of the first column, whichever batch they come in."""
        self._first = [self.paper.printable(text) for text in first]

    def write(self, rows: Iterable[Sequence[Cell]]) -> None:
        """Writes rows; the first time with the headings."""
        fit = self.paper.printable
        rows = [[Cell(fit(cell.text), cell.tone) for cell in row] for row in rows]
        first = not self._widths
        if first:
            self._widths = [cell_len(column.head) for column in self.columns]
        most = _MOST if self.paper.is_terminal else _MOST_PADDED
        if first and self._first:
            widest = max(map(cell_len, self._first))
            self._widths[0] = max(self._widths[0], min(most, widest))
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
        cuts = self.paper.is_terminal
        text = _cut(cell.text, self._widths[at]) if cuts else cell.text
        space = " " * (self._widths[at] - cell_len(text))
        styled = self.paper.styled(text, cell.tone)
        return space + styled if column.right else styled + space


def _cut(text: str, width: int) -> str:
    return text if cell_len(text) <= width else set_cell_size(text, max(0, width - 1)) + "…"
