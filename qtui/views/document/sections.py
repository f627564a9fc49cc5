"""The parts of a document: sections, and the kinds of body that they have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Text:
    """Prose, word-wrapped."""

    text: str


@dataclass(frozen=True, slots=True)
class Stack:
    """An error's message and its stack frames (JavaScript's or Python's)."""

    text: str


@dataclass(frozen=True, slots=True)
class Json:
    """JSON text as stored in Redis; if it does not parse it shows as text, with the reason."""

    text: str


@dataclass(frozen=True, slots=True)
class Pairs:
    """A table of (label, value)."""

    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Log:
    """Entries of a log, numbered from `first`."""

    entries: tuple[str, ...]
    first: int = 1


@dataclass(frozen=True, slots=True)
class Pending:
    """Something that exists but was not read: `size` in bytes (-1: unknown).

    `what` is for the loader: what to read, such as the name of the field; it is not shown.
    """

    size: int
    what: str


Body: TypeAlias = Text | Stack | Json | Pairs | Log | Pending


@dataclass(frozen=True, slots=True)
class Section:
    """A titled part of a document. Titles are unique: folds are remembered by them.

    `note` is shown right of the title, also when folded; `more` adds a last line that offers to
    load the rest of a body that was cut.
    """

    title: str
    body: Body
    note: str = ""
    folded: bool = False
    more: Pending | None = None
