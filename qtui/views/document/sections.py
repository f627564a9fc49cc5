"""What a document is made of: sections, and the kinds of body that they have."""

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
    """JSON text as it stands in Redis; what does not parse shows as text, with the reason."""

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
    """Something that is there but was not read: `size` in bytes (-1: not known).

    `what` is for whoever loads it, say the name of the field; it is not shown.
    """

    size: int
    what: str


Body: TypeAlias = Text | Stack | Json | Pairs | Log | Pending


@dataclass(frozen=True, slots=True)
class Section:
    """A titled part of a document. Titles are unique: folds are remembered by them.

    `note` stands at the right of the title, also when folded; `more` adds a last line that asks to
    load the rest of a body that was capped.
    """

    title: str
    body: Body
    note: str = ""
    folded: bool = False
    more: Pending | None = None
