"""The detail of a job as one long document of lines: what a line says, and in which style.

Knows neither Redis nor widgets. A line is made plain, cut and styled only when it is asked for, and
costs the same in ten lines as in a million.
"""

from __future__ import annotations

import gc
import json
import re
import sys
import unicodedata
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import accumulate
from typing import Final, NamedTuple, TypeAlias

from qtui.text import plain, plural, size

LONG: Final = 2_000
"""Characters above which a line of text shows only its first rows until it is unfolded."""
EVERYTHING: Final = 50_000
"""Rows that `Layout.unfold_all` opens at most; what is deeper opens by hand."""
_FIRST_LOOK, _NEXT_LOOK, _ROOT = 40, 20, 200  # rows of JSON that open without being asked
_CUT_ROWS: Final = 3
_SHORT, _NEVER = 5, sys.maxsize  # rows of a JSON string that opens by itself are fewer
_INLINE_ITEMS, _INLINE_CELLS = 12, 50
_LONGEST_ESCAPE: Final = 12  # characters that JSON may take for one
_SCANNED: Final = 1_000  # children of a container that are looked at for what opens by itself
_DEEPEST: Final = 1_000
_WORD_WRAPPED: Final = 200_000  # characters of a section; more is wrapped anywhere
_REMEMBERED: Final = 500  # wrapped lines kept, of each section
_GUTTER: Final = 2
_LABEL_CELLS: Final = 24


class Style(StrEnum):
    """What a piece of a line is; the widget knows how that looks."""

    TEXT = "text"
    TITLE = "title"
    RULE = "rule"
    LABEL = "label"
    KEY = "key"
    STRING = "string"
    NUMBER = "number"
    LITERAL = "literal"
    PUNCTUATION = "punctuation"
    ERROR = "error"
    NOTE = "note"
    FRAME = "frame"
    LIBRARY = "library"


class Fold(StrEnum):
    """What stands at a line: nothing to fold, something folded or open, something not loaded."""

    NONE = "none"
    FOLDED = "folded"
    OPEN = "open"
    PENDING = "pending"


class Span(NamedTuple):
    """A piece of a line; its text is plain."""

    style: Style
    text: str


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


def text_of(section: Section) -> str:
    """The whole text of a section as it was received: for a clipboard, not fit to be shown."""
    match section.body:
        case Text(text) | Stack(text) | Json(text):
            return text
        case Pairs(rows):
            return "\n".join(f"{label}: {value}" for label, value in rows)
        case Log(entries):
            return "\n".join(entries)
        case Pending():
            return ""


# --- cells and rows -------------------------------------------------------------------------------


class _Cells(dict[str, int]):
    """Cells of a printable character, never fewer than the terminal gives it."""

    def __missing__(self, char: str) -> int:
        if unicodedata.east_asian_width(char) in "WF" or char >= "\U0001f000":
            cells = 2
        elif char == "\ufe0f":  # makes the sign before it an emoji of two cells
            cells = 1
        else:
            cells = 0 if unicodedata.category(char) in ("Mn", "Me", "Cf") else 1
        self[char] = cells
        return cells


_CELLS: Final = _Cells()
_ODD: Final = re.compile(r"[^ -\u02ff\u0370-\u0482\u2010-\u2027\u2400-\u2421\u2500-\u25fc]")


def _width(text: str) -> int:
    return len(text) if not _ODD.search(text) else sum(map(_CELLS.__getitem__, text))


def _ends(text: str, room: int, words: bool, breaks: Sequence[int]) -> list[int]:
    """Where each row of a text ends, no row wider than `room` cells; none starts after a break."""
    narrow = text.isascii() or not _ODD.search(text)
    ends: list[int] = []
    start = 0
    for stop in (*breaks, len(text)):
        while start < stop:
            if narrow:
                end = min(stop, start + room)
            else:
                part = text[start : min(stop, start + 2 * room)]
                cells = list(accumulate(map(_CELLS.__getitem__, part)))
                end = start + max(1, bisect_right(cells, room))
            if words and end < stop:
                end = text.rfind(" ", (start + end) // 2, end) + 1 or end
            ends.append(end)
            start = end
    return ends or [0]


def _between(spans: Sequence[Span], start: int, end: int) -> list[Span]:
    taken: list[Span] = []
    at = 0
    for style, text in spans:
        piece = text[max(0, start - at) : max(0, end - at)]
        if piece:
            taken.append(Span(style, piece))
        at += len(text)
    return taken


class _Wrapped(NamedTuple):
    """Spans, and where in their text each row ends."""

    spans: list[Span]
    ends: list[int]

    def row(self, number: int) -> list[Span]:
        return _between(self.spans, self.ends[number - 1] if number else 0, self.ends[number])

    def cut(self, rows: int, room: int, more: str) -> _Wrapped:
        """The first rows only, and at the end of them how much there is."""
        last = min(rows, len(self.ends)) - 1
        start = self.ends[last - 1] if last else 0
        tail = _clipped(self.row(last), room, more)
        ends = [*self.ends[:last], start + sum(len(span.text) for span in tail)]
        return _Wrapped([*_between(self.spans, 0, start), *tail], ends)


def _clipped(spans: list[Span], room: int, more: str = "") -> list[Span]:
    """The spans, or as much as fits with ``…``; `more` says that there is more, and how much."""
    text = "".join(span.text for span in spans)
    if not more and _width(text[: 4 * room]) <= room and len(text) <= 4 * room:
        return spans
    tail = f"… {more}".rstrip()
    end = _ends(text[: 4 * room], max(1, room - _width(tail)), False, ())[0]
    return [*_between(spans, 0, end), Span(Style.NOTE, tail)]


def _octets(text: str | bytes) -> str:
    if isinstance(text, str) and not text.isascii():
        text = text.encode("utf-8", "surrogatepass")
    return size(len(text))


# --- the tree of rows -----------------------------------------------------------------------------

_Path: TypeAlias = tuple[str | int, ...]


@dataclass(slots=True)
class _Folds:
    """What a person folded and opened in one section; `budget` is for what nobody touched."""

    open: bool
    budget: int = _FIRST_LOOK
    paths: dict[_Path, bool] = field(default_factory=dict)


class _Node:
    """Rows: `head` lines, one row for each of `count` children, `tail` lines.

    A child of another height has a node of its own in `inner`: finding the row at a height costs
    the depth of the tree, however many children there are.
    """

    __slots__ = ("_keys", "_starts", "count", "head", "height", "index", "inner", "parent", "tail")

    def __init__(
        self, parent: _Node | None, index: int, count: int, head: int = 0, tail: int = 0
    ) -> None:
        self.parent, self.index, self.count, self.head, self.tail = parent, index, count, head, tail
        self.height = head + count + tail
        self.inner: dict[int, _Node] = {}
        self._keys: list[int] = []
        self._starts: list[int] | None = []

    def draw(self, at: int) -> list[Span]:
        """The row of child `at`, of the head (-1) or of the tail (`count`)."""
        raise NotImplementedError

    def state(self, at: int) -> Fold:
        """What the child at a row is, for folding."""
        return Fold.NONE

    def flip(self, at: int) -> int:
        """Fold or open the child at a row; the row where it stands then."""
        return at

    def first(self, at: int) -> bool:
        """Whether a row is the first of what it shows."""
        return True

    def steps(self, at: int) -> tuple[int, ...]:
        """A row in words that outlive a change of width."""
        return (at,)

    def seek(self, steps: tuple[int, ...]) -> int:
        """The row that `steps` spoke of."""
        return steps[0]

    def put(self, index: int, child: _Node | None) -> None:
        old = self.inner.pop(index, None)
        if child is not None:
            self.inner[index] = child
        self._grow((child.height if child else 1) - (old.height if old else 1))

    def recount(self, count: int) -> None:
        """Start again with so many children of one row each."""
        self.inner.clear()
        self.count = count
        self._grow(self.head + count + self.tail - self.height)

    def _grow(self, rows: int) -> None:
        node: _Node | None = self
        while node is not None:
            node.height += rows
            node._starts = None
            node = node.parent

    def _first_rows(self) -> list[int]:
        if self._starts is None:
            self._keys, self._starts, extra = sorted(self.inner), [], 0
            for key in self._keys:
                self._starts.append(key + extra)
                extra += self.inner[key].height - 1
        return self._starts

    def child_at(self, row: int) -> tuple[int, _Node | None, int]:
        """The child at a row below the head: its index, its node, and the row within that."""
        place = bisect_right(self._first_rows(), row) - 1
        if place < 0:
            return row, None, 0
        key = self._keys[place]
        node, within = self.inner[key], row - self._first_rows()[place]
        if within < node.height:
            return key, node, within
        return key + 1 + within - node.height, None, 0

    def row_of(self, index: int) -> int:
        starts = self._first_rows()
        place = bisect_left(self._keys, index) - 1
        if place < 0:
            return self.head + index
        key = self._keys[place]
        return self.head + starts[place] + self.inner[key].height + index - key - 1


class _Flow(_Node):
    """One child that takes several rows."""

    __slots__ = ("_lead", "_wrapped")

    def __init__(self, parent: _Node, index: int, wrapped: _Wrapped, lead: str) -> None:
        super().__init__(parent, index, len(wrapped.ends))
        self._wrapped, self._lead = wrapped, lead

    def draw(self, at: int) -> list[Span]:
        lead = f"{self._lead}  " if at else self._lead
        return [Span(Style.TEXT, lead), *self._wrapped.row(at)]

    def first(self, at: int) -> bool:
        return at == 0


# --- lines of text --------------------------------------------------------------------------------

_FRAME: Final = re.compile(r'\s+at |\s+File "')
_LIBRARY: Final = re.compile(r"node_modules|node:|\(internal/|site-packages|/lib/python|<frozen ")


@dataclass(frozen=True, slots=True)
class _Prose:
    """A body that is lines of text, not yet plain; `labels` are as many as the lines, or none."""

    lines: Sequence[str]
    labels: Sequence[str] = ()
    right: bool = False
    style: Style = Style.TEXT
    frames: int = -1  # the first line that is a stack frame; -1: this is no stack

    def style_of(self, index: int) -> Style:
        head = self.lines[index][:400]
        if self.frames < 0:
            return self.style
        if not _FRAME.match(head):
            return Style.ERROR if index < self.frames else Style.TEXT
        return Style.LIBRARY if _LIBRARY.search(head) else Style.FRAME


def _split(text: str) -> list[str]:
    return text.replace("\r\n", "\n").rstrip("\n").split("\n")


def _labelled(rows: Iterator[tuple[str, str]], right: bool) -> _Prose:
    lines: list[str] = []
    labels: list[str] = []
    for label, value in rows:
        parts = _split(value) if "\n" in value else [value]
        lines += parts
        labels += (label, *[""] * (len(parts) - 1))
    return _Prose(lines, labels, right)


def _prose(body: Text | Stack | Json | Pairs | Log) -> _Prose:
    match body:
        case Pairs(rows) if rows:
            return _labelled(iter(rows), right=False)
        case Log(entries, first) if entries:
            return _labelled(((str(n), e) for n, e in enumerate(entries, first)), right=True)
        case Pairs() | Log() | Text("") | Stack("") | Json(""):
            return _Prose(("none",), style=Style.NOTE)
        case Text(text) | Json(text):
            return _Prose(_split(text))
        case Stack(text):
            lines = _split(text)
            found = (i for i, line in enumerate(lines) if _FRAME.match(line))
            return _Prose(lines, frames=next(found, len(lines)))


class _Lines(_Node):
    """Lines of text, wrapped at the width of the layout; very long ones cut until opened.

    Each row is a child of its own here: how many rows a line takes is counted, mostly without a
    look at its characters, and it is wrapped when it is drawn.
    """

    __slots__ = ("_drawn", "_folds", "_label", "_prose", "_room", "_tops", "_words")

    def __init__(self, parent: _Node, index: int, prose: _Prose, folds: _Folds, width: int) -> None:
        super().__init__(parent, index, 1)
        self._prose, self._folds = prose, folds
        widest = max((_width(plain(label[:_LABEL_CELLS])) for label in prose.labels), default=0)
        self._label = min(widest, _LABEL_CELLS, width // 3)
        self._room = max(8, width - _GUTTER - (self._label + 2 if prose.labels else 0))
        self._words = sum(map(len, prose.lines)) <= _WORD_WRAPPED
        self._drawn: dict[int, _Wrapped] = {}
        self._tops: list[int] = []

    def fill(self) -> None:
        room, lines = self._room, self._prose.lines
        if self._folds.budget == EVERYTHING:
            for line, raw in enumerate(lines):
                if len(raw) > LONG:
                    self._folds.paths.setdefault((line,), True)
        rows = (
            1 if len(raw) <= room and raw.isascii() and raw.isprintable() else self._rows(line)
            for line, raw in enumerate(lines)
        )
        self._drawn.clear()
        self._tops = list(accumulate(rows, initial=0))
        self.recount(self._tops[-1])

    def _rows(self, line: int) -> int:
        raw = self._prose.lines[line]
        if self._words or len(raw) > LONG:
            return len(self._wrapped(line).ends)
        if raw.isascii():
            cells, room = len(raw) + 3 * raw.count("\t"), self._room
        else:
            text = plain(raw.replace("\t", "    "))
            cells, room = len(text), self._room // 2 if _ODD.search(text) else self._room
        return max(1, -(-cells // room))

    def _wrapped(self, line: int) -> _Wrapped:
        if (known := self._drawn.get(line)) is not None:
            return known
        raw, room = self._prose.lines[line], self._room
        cut = len(raw) > LONG and not self._folds.paths.get((line,))
        text = plain((raw[: 4 * room] if cut else raw).replace("\t", "    "))
        spans = [Span(self._prose.style_of(line), text)]
        if self._words or len(raw) > LONG:
            wrapped = _Wrapped(spans, _ends(text, room, True, ()))
        else:
            step = room // 2 if _ODD.search(text) else room
            wrapped = _Wrapped(spans, [*range(step, len(text), step), len(text)])
        if cut:
            wrapped = wrapped.cut(_CUT_ROWS, room, _octets(raw))
        if len(self._drawn) > _REMEMBERED:
            self._drawn.clear()
        self._drawn[line] = wrapped
        return wrapped

    def steps(self, at: int) -> tuple[int, ...]:
        line = bisect_right(self._tops, at) - 1
        return line, at - self._tops[line]

    def seek(self, steps: tuple[int, ...]) -> int:
        line = min(steps[0], len(self._tops) - 2)
        rows = self._tops[line + 1] - self._tops[line]
        return self._tops[line] + min(steps[1] if len(steps) > 1 else 0, rows - 1)

    def draw(self, at: int) -> list[Span]:
        line, row = self.steps(at)
        text = self._wrapped(line).row(row)
        return [self._lead(line, row), *text] if self._prose.labels else text

    def _lead(self, line: int, row: int) -> Span:
        label = plain(self._prose.labels[line][:_LABEL_CELLS]) if row == 0 else ""
        shown = "".join(s.text for s in _clipped([Span(Style.LABEL, label)], self._label))
        blanks = " " * (self._label - _width(shown))
        if self._prose.right:
            return Span(Style.NOTE, f"{blanks}{shown}  ")
        return Span(Style.LABEL, f"{shown}{blanks}  ")

    def first(self, at: int) -> bool:
        return self.steps(at)[1] == 0

    def state(self, at: int) -> Fold:
        line = self.steps(at)[0]
        if len(self._prose.lines[line]) <= LONG:
            return Fold.NONE
        return Fold.OPEN if self._folds.paths.get((line,)) else Fold.FOLDED

    def flip(self, at: int) -> int:
        line, state = self.steps(at)[0], self.state(at)
        if state is not Fold.NONE:
            self._folds.paths[(line,)] = state is Fold.FOLDED
            self._drawn.pop(line, None)
            change = len(self._wrapped(line).ends) - (self._tops[line + 1] - self._tops[line])
            self._tops[line + 1 :] = [top + change for top in self._tops[line + 1 :]]
            self.recount(self._tops[-1])
        return self._tops[line]


# --- JSON -----------------------------------------------------------------------------------------


class _Object(list[tuple[str, "_Json"]]):
    """The pairs of an object in their order, doubled keys and all."""

    __slots__ = ()


_Json: TypeAlias = "str | bytes | bool | list[_Json] | _Object | None"
"""A value; a number is the bytes of how it was written: nothing is rounded."""
_quote = json.JSONEncoder(ensure_ascii=False).encode
_ESCAPE: Final = re.compile(r"\\.")


def _encode(text: str) -> str:
    """A string as JSON that is printable and still means the same."""
    shown = _quote(text)
    if shown.isprintable():
        return shown
    hidden = {c for c in set(shown) if not c.isprintable()} - {"\u200c", "\u200d"}
    return plain(shown.translate({ord(c): json.dumps(c)[1:-1] for c in hidden}))


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Five megabytes of JSON take 0.1 s without the garbage collector, and 0.6 s with it."""
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            gc.enable()


def _parse(text: str) -> tuple[bool, _Json, str]:
    """Whether text is JSON (or nearly), its value, and what is wrong with it."""
    strange: list[str] = []

    def constant(name: str) -> bytes:
        strange.append(name)
        return name.encode()

    try:
        with _collector_paused():
            value: _Json = json.loads(
                text,
                parse_int=str.encode,
                parse_float=str.encode,
                parse_constant=constant,
                object_pairs_hook=_Object,
            )
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        return False, None, f"not valid JSON, {where}: {error.msg}"
    except RecursionError:
        return False, None, "nested too deeply to fold: shown as text"
    return True, value, f"not valid JSON: it holds {strange[0]}" if strange else ""


class _Branch(_Node):
    """An open object or array. The topmost one is the document itself and has no brackets."""

    __slots__ = ("_depth", "_folds", "_items", "_path", "_width")

    def __init__(
        self,
        parent: _Node,
        index: int,
        items: list[_Json] | _Object,
        at: _Path,
        folds: _Folds,
        width: int,
    ) -> None:
        edge = 1 if at else 0
        super().__init__(parent, index, len(items), edge, edge)
        self._items, self._path, self._folds, self._width = items, at, folds, width
        self._depth = len(at)

    def _item(self, index: int) -> tuple[str | None, _Json]:
        return _pair(self._items[index])

    def _place(self, index: int) -> _Path:
        key = self._item(index)[0]
        return (*self._path, index if key is None else key)

    def _indent(self, depth: int) -> Span:
        return Span(Style.TEXT, " " * min(2 * depth, self._width // 2))

    def _room(self) -> int:
        return max(8, self._width - _GUTTER - len(self._indent(self._depth).text))

    def _key(self, index: int, limit: int | None) -> list[Span]:
        key = self._item(index)[0]
        if key is None:
            return []
        return [Span(Style.KEY, _encode(key[:limit])), Span(Style.PUNCTUATION, ": ")]

    def _comma(self, index: int) -> list[Span]:
        return [Span(Style.PUNCTUATION, ",")] if self.head and index < self.count - 1 else []

    def _line(self, index: int) -> tuple[list[Span], bool]:
        """A child on one row, and whether that hides some of it."""
        (key, value), room = self._item(index), self._room()
        limit = 4 * room
        spans, longest = self._key(index, limit), key or b""
        if isinstance(value, list):
            if index in self.inner:
                return _clipped([*spans, Span(Style.PUNCTUATION, _brackets(value)[0])], room), False
            small = _inline(value)
            hidden = not small or sum(_width(span.text) for span in (*spans, *small)) >= room
            spans += _folded(value) if hidden else small
            return _clipped([*spans, *self._comma(index)], room), hidden
        if isinstance(value, str | bytes) and len(value) > len(longest):
            longest = value
        spans += [_scalar(value, limit), *self._comma(index)]
        more = len(longest) > limit or sum(_width(span.text) for span in spans) > room
        return (_clipped(spans, room, _octets(longest)) if more else spans), more

    def draw(self, at: int) -> list[Span]:
        if 0 <= at < self.count:
            return [self._indent(self._depth), *self._line(at)[0]]
        assert isinstance(self.parent, _Branch)
        if at < 0:
            return [self._indent(self._depth - 1), *self.parent._line(self.index)[0]]
        bracket = Span(Style.PUNCTUATION, _brackets(self._items)[1])
        return [self._indent(self._depth - 1), bracket, *self.parent._comma(self.index)]

    def _wrapped(self, index: int) -> _Wrapped:
        value = self._item(index)[1]
        spans = [*self._key(index, None), _scalar(value, None), *self._comma(index)]
        text = "".join(span.text for span in spans)
        feeds = [found.end() for found in _ESCAPE.finditer(text) if found.group() == "\\n"]
        return _Wrapped(spans, _ends(text, max(6, self._room() - 2), True, feeds))

    def state(self, at: int) -> Fold:
        if at in self.inner:
            return Fold.OPEN
        return Fold.FOLDED if self._line(at)[1] else Fold.NONE

    def flip(self, at: int) -> int:
        if self.state(at) is Fold.NONE:
            return at
        self._folds.paths[self._place(at)] = at not in self.inner
        if at in self.inner:
            self.put(at, None)
        elif isinstance(child := self._open(at), _Branch):
            child.fill(max(0, _NEXT_LOOK - child.count))
        return at

    def _open(self, index: int) -> _Node | None:
        """Give a child its rows, if one row does not show all of it."""
        if not self._line(index)[1]:
            return None
        value = self._item(index)[1]
        child: _Node
        if isinstance(value, list):
            child = _Branch(self, index, value, self._place(index), self._folds, self._width)
        else:
            lead = self._indent(self._depth).text
            child = _Flow(self, index, self._wrapped(index), lead)
        self.put(index, child)
        return child

    def fill(self, budget: int) -> None:
        """Open what was open before, and of what is new the shallowest that has room in `budget`.

        All that is decided is remembered: what opened by itself does not fold at the next look.
        """
        paths, left = self._folds.paths, budget
        queue = deque([self])
        while queue:
            branch = queue.popleft()
            found = list(branch._foldable(budget == EVERYTHING))
            even = sum(cost for _, cost in found if cost < _NEVER) <= left or branch._uneven()
            for index, cost in found:
                place = branch._place(index)
                wanted = paths.get(place)
                fresh = wanted is None and cost < _NEVER
                if fresh:
                    room = left if branch.head or left <= 0 else max(left, _ROOT)
                    wanted = paths[place] = cost <= room and (even or budget == EVERYTHING)
                child = branch._open(index) if wanted else None
                if child and fresh:
                    left -= cost
                if isinstance(child, _Branch) and len(place) < _DEEPEST:
                    queue.append(child)

    def _uneven(self) -> bool:
        """Whether some children may open and others not; the items of an array do as one."""
        return not self.head or isinstance(self._items, _Object)

    def _foldable(self, everything: bool) -> Iterator[tuple[int, int]]:
        """Children that may be folded, and about how many rows they take when open."""
        room = max(1, self._room() - 8)
        for index in self._looked_at(everything):
            key, value = self._item(index)
            if isinstance(value, list):
                if value:
                    yield index, len(value)
                continue
            text = value if isinstance(value, str) else ""
            held = value if isinstance(value, str | bytes) else "false"
            easy = text.isascii() and text.isprintable() and (key or "").isascii()
            if (len(key or "") + len(held)) * (2 if easy else _LONGEST_ESCAPE) <= room:
                continue
            rows = (len(key or "") + len(held) * (1 if held.isascii() else 2)) // room
            if everything:
                yield index, max(1, rows)
            else:
                yield index, rows if 0 < rows < _SHORT else _NEVER

    def _looked_at(self, everything: bool) -> Iterable[int]:
        """All children; of a long array the first ones, and those that a person has touched."""
        if everything or self.count <= _SCANNED or isinstance(self._items, _Object):
            return range(self.count)
        places = (path for path in self._folds.paths if len(path) == self._depth + 1)
        touched = {path[-1] for path in places if path[:-1] == self._path}
        later = (at for at in touched if isinstance(at, int) and _SCANNED <= at < self.count)
        return [*range(_SCANNED), *sorted(later)]


def _scalar(value: _Json, limit: int | None) -> Span:
    if isinstance(value, bytes):
        return Span(Style.NUMBER, plain(value[:limit].decode()))
    if isinstance(value, str):
        return Span(Style.STRING, _encode(value[:limit]))
    return Span(Style.LITERAL, "null" if value is None else "true" if value else "false")


def _pair(item: tuple[str, _Json] | _Json) -> tuple[str | None, _Json]:
    """What stands in an object or an array: its key, if it has one, and its value."""
    return item if isinstance(item, tuple) else (None, item)


def _brackets(value: list[_Json] | _Object) -> tuple[str, str]:
    return ("{", "}") if isinstance(value, _Object) else ("[", "]")


def _folded(value: list[_Json] | _Object) -> list[Span]:
    left, right = _brackets(value)
    held = plural(len(value), "key" if isinstance(value, _Object) else "item")
    opening, closing = Span(Style.PUNCTUATION, f"{left} "), Span(Style.PUNCTUATION, f" {right}")
    return [opening, Span(Style.NOTE, held), closing]


def _inline(value: list[_Json] | _Object) -> list[Span]:
    """A small container of scalars on one line; nothing if it is not that small."""
    if len(value) > _INLINE_ITEMS:
        return []
    spans, left = [Span(Style.PUNCTUATION, _brackets(value)[0])], _INLINE_CELLS
    for index, item in enumerate(value):
        key, held = _pair(item)
        left -= len(key or "") + (len(held) if isinstance(held, str | bytes | list) else 4)
        if left < 0 or (isinstance(held, list) and held):
            return []
        if index:
            spans.append(Span(Style.PUNCTUATION, ", "))
        if key is not None:
            spans += [Span(Style.KEY, _encode(key)), Span(Style.PUNCTUATION, ": ")]
        empty = isinstance(held, list) and Span(Style.PUNCTUATION, "".join(_brackets(held)))
        spans.append(empty or _scalar(held, None))
    return [*spans, Span(Style.PUNCTUATION, _brackets(value)[1])]


# --- the document ---------------------------------------------------------------------------------


class _Parsed(NamedTuple):
    notice: str
    prose: _Prose | None
    value: _Json = None


def _parsed(body: Body) -> _Parsed:
    if isinstance(body, Pending):
        return _Parsed("", None)
    if not isinstance(body, Json) or not body.text:
        return _Parsed("", _prose(body))
    good, value, notice = _parse(body.text)
    return _Parsed(notice, None if good else _prose(body), value)


class _Chapter(_Node):
    """A section: its title, and when open what is wrong with it, its body, what is not loaded."""

    __slots__ = ("_document", "_rows", "_width", "section")

    def __init__(self, parent: _Node, index: int, document: Document, width: int) -> None:
        super().__init__(parent, index, 0, head=1)
        self._document, self._width = document, width
        self.section = document.sections[index]
        self._rows: list[str | Pending | None] = []

    def fill(self) -> None:
        section, folds = self.section, self._document.folds(self.section)
        self._rows = []
        if folds.open:
            parsed = self._document.parsed(self.index)
            pending = section.body if isinstance(section.body, Pending) else None
            self._rows += [parsed.notice] if parsed.notice else []
            self._rows += [pending, section.more] if section.more else [pending]
        self.recount(len(self._rows))
        if None not in self._rows:
            return
        at = self._rows.index(None)
        node: _Lines | _Branch
        if parsed.prose is not None:
            node = _Lines(self, at, parsed.prose, folds, self._width)
            self.put(at, node)
            node.fill()
        else:
            node = _Branch(self, at, [parsed.value], (), folds, self._width)
            self.put(at, node)
            node.fill(folds.budget)

    def draw(self, at: int) -> list[Span]:
        if at < 0:
            return self._title()
        row = self._rows[at]
        if isinstance(row, Pending):
            much = size(row.size) if row.size >= 0 else "more" if at else "this"
            spans = [Span(Style.NOTE, f"{much} not loaded: enter loads all")]
        else:
            spans = [Span(Style.ERROR, f"▲ {plain(row or '')}")]
        return _clipped(spans, self._width - _GUTTER)

    def pending(self, index: int) -> Pending | None:
        row = self._rows[index]
        return row if isinstance(row, Pending) else None

    def state(self, at: int) -> Fold:
        return Fold.PENDING if self.pending(at) else Fold.NONE

    def _title(self) -> list[Span]:
        opened = self._document.folds(self.section).open
        room = max(1, self._width - _GUTTER - 4)
        title = _clipped([Span(Style.TITLE, plain(self.section.title))], room)
        note = [Span(Style.NOTE, f" {plain(self.section.note)} ")] if self.section.note else []
        left = room - sum(_width(span.text) for span in (*title, *note))
        if left < 0:
            note, left = [], room - sum(_width(span.text) for span in title)
        sign = Span(Style.RULE, "─ ") if opened else Span(Style.NOTE, "▸ ")
        rule = Span(Style.RULE, f" {'─' * (left + 2 - bool(note))}")
        return [sign, *title, rule, *note, *([Span(Style.RULE, "─")] if note else [])]


class _Root(_Node):
    """All sections."""

    __slots__ = ("_document",)

    def __init__(self, document: Document, width: int) -> None:
        super().__init__(None, 0, len(document.sections))
        self._document = document
        for index in range(self.count):
            chapter = _Chapter(self, index, document, width)
            self.put(index, chapter)
            chapter.fill()

    def state(self, at: int) -> Fold:
        folds = self._document.folds(self._document.sections[at])
        return Fold.OPEN if folds.open else Fold.FOLDED

    def flip(self, at: int) -> int:
        folds = self._document.folds(self._document.sections[at])
        folds.open = not folds.open
        self.chapter(at).fill()
        return at

    def chapter(self, index: int) -> _Chapter:
        chapter = self.inner[index]
        assert isinstance(chapter, _Chapter)
        return chapter


class Document:
    """Sections, and what a person folded in them.

    Args:
        sections: From top to bottom.
    """

    def __init__(self, sections: Sequence[Section]) -> None:
        self.sections = tuple(sections)
        self._folds: dict[str, _Folds] = {}
        self._known: dict[int, _Parsed] = {}
        self._layout: Layout | None = None

    def resume(self, previous: Document) -> None:
        """Take over folds and parsed bodies from an earlier document about the same thing."""
        self._folds, self._layout = previous._folds, None
        before = {section.title: index for index, section in enumerate(previous.sections)}
        for index, section in enumerate(self.sections):
            old = before.get(section.title)
            if old in previous._known and previous.sections[old].body == section.body:
                self._known[index] = previous._known[old]

    def prepare(self) -> None:
        """Parse all that stands open; `layout` does it too, this may be done in a thread before."""
        for index, section in enumerate(self.sections):
            if self.folds(section).open:
                self.parsed(index)

    def layout(self, width: int) -> Layout:
        """The lines at a width in cells; the last layout is kept."""
        if self._layout is None or self._layout.width != width:
            self._layout = Layout(self, width)
        return self._layout

    def folds(self, section: Section) -> _Folds:
        """What is folded in a section: for this module."""
        return self._folds.setdefault(section.title, _Folds(open=not section.folded))

    def parsed(self, index: int) -> _Parsed:
        """A section's body, parsed once: for this module."""
        if index not in self._known:
            self._known[index] = _parsed(self.sections[index].body)
        return self._known[index]


class Mark(NamedTuple):
    """A place in a document: see `Layout.mark`."""

    title: str
    steps: tuple[int, ...]


class Layout:
    """The lines of a document at one width, 0 to `height` - 1, made by `Document.layout`."""

    def __init__(self, document: Document, width: int) -> None:
        self.width = width
        self._document = document
        self._root = _Root(document, max(16, width))

    @property
    def height(self) -> int:
        """How many lines there are now."""
        return self._root.height

    def line(self, y: int) -> list[Span]:
        """A line; its first span is the margin of two cells, all of it at most `width` cells.

        Raises:
            IndexError: There is no such line.
        """
        node, at = self._locate(y)
        if isinstance(node, _Chapter) and at < 0:
            return node.draw(at)
        holder, index = _holder(node, at)
        sign = node.first(at) and holder.state(index) in (Fold.FOLDED, Fold.PENDING)
        return [Span(Style.NOTE, "▸ " if sign else "  "), *node.draw(at)]

    def fold_at(self, y: int) -> Fold:
        """What `toggle` would find at a line."""
        holder, index = _holder(*self._locate(y))
        return holder.state(index)

    def toggle(self, y: int) -> int:
        """Fold or open what stands at a line; returns the line where it stands now."""
        holder, index = _holder(*self._locate(y))
        return self._y(holder, holder.flip(index))

    def section_at(self, y: int) -> int:
        """The index of the section to which a line belongs."""
        return self._root.child_at(y)[0]

    def pending_at(self, y: int) -> Pending | None:
        """What a line asks to load."""
        node, at = self._locate(y)
        return node.pending(at) if isinstance(node, _Chapter) and at >= 0 else None

    def top_of(self, section: int) -> int:
        """The line of a section's title."""
        return self._root.row_of(section)

    def fold_all(self, section: int) -> None:
        """Fold all of a section's JSON and its long lines; the section itself opens."""
        self._reset(section, 0)

    def unfold_all(self, section: int) -> None:
        """Open all of a section, shallowest first, up to `EVERYTHING` rows of JSON."""
        self._reset(section, EVERYTHING)

    def mark(self, y: int) -> Mark:
        """What stands at a line, in words that hold for another width or a newer document."""
        node, at = self._locate(y)
        steps = node.steps(at)
        while node.parent is not None:
            steps = (node.index, *steps)
            node = node.parent
        return Mark(self._document.sections[steps[0]].title, steps[1:])

    def find(self, mark: Mark) -> int | None:
        """The line of a mark, or of what is left of it; None if its section is gone."""
        titles = [section.title for section in self._document.sections]
        if mark.title not in titles:
            return None
        node: _Node = self._root.chapter(titles.index(mark.title))
        for done, step in enumerate(mark.steps):
            if step not in node.inner:
                return self._y(node, node.seek(mark.steps[done:]))
            node = node.inner[step]
        return self._y(node, -1)

    def _reset(self, section: int, budget: int) -> None:
        folds = self._document.folds(self._document.sections[section])
        folds.open, folds.budget = True, budget
        folds.paths.clear()
        self._root.chapter(section).fill()

    def _locate(self, y: int) -> tuple[_Node, int]:
        """The node that draws a line, and which of its rows it is: see `_Node.draw`."""
        if not 0 <= y < self.height:
            raise IndexError(f"line {y} of {self.height}")
        node: _Node = self._root
        while True:
            row = y - node.head
            if row < 0:
                return node, -1
            if y >= node.height - node.tail:
                return node, node.count
            index, inner, y = node.child_at(row)
            if inner is None:
                return node, index
            node = inner

    def _y(self, node: _Node, at: int) -> int:
        if at < 0:
            y = 0
        elif at >= node.count:
            y = node.height - 1
        else:
            y = node.row_of(at)
        while node.parent is not None:
            y += node.parent.row_of(node.index)
            node = node.parent
        return y


def _holder(node: _Node, at: int) -> tuple[_Node, int]:
    """The node that can fold what a row shows, and which of its children that is."""
    if node.parent is not None and (isinstance(node, _Flow) or not 0 <= at < node.count):
        return node.parent, node.index
    return node, at
