"""JSON as rows that fold: parsed as a whole, laid out where open, formatted when drawn."""

from __future__ import annotations

import gc
import json
import re
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final, TypeAlias

from typing_extensions import override

from qtui.text import plain, plural
from qtui.views.document.rows import (
    EVERYTHING,
    GUTTER,
    Fold,
    Folds,
    Path,
    Piece,
    Style,
    TextNode,
    Wrapped,
    WrappedText,
    cells_of,
    clipped,
    octets,
    row_ends,
)

_NEXT_LOOK, _ROOT = 20, 200  # rows that open without being asked
_SHORT, _NEVER = 5, sys.maxsize  # rows of a JSON string that opens by itself are fewer
_INLINE_ITEMS, _INLINE_CELLS = 12, 50
_LONGEST_ESCAPE: Final = 12  # characters that JSON may take for one
_SCANNED: Final = 1_000  # children of a container that are looked at for what opens by itself
_DEEPEST: Final = 1_000


class _Object(list[tuple[str, "JsonValue"]]):
    """The pairs of an object in their order, doubled keys and all."""

    __slots__ = ()


JsonValue: TypeAlias = "str | bytes | bool | list[JsonValue] | _Object | None"
"""A value; a number is the bytes of how it was written: nothing is rounded."""
_quote = json.JSONEncoder(ensure_ascii=False).encode
_ESCAPE: Final = re.compile(r"\\.")


def _encode(text: str) -> str:
    """A string as printable JSON with the same meaning."""
    shown = _quote(text)
    if shown.isprintable():
        return shown
    hidden = {c for c in set(shown) if not c.isprintable()} - {"\u200c", "\u200d"}
    return plain(shown.translate({ord(c): json.dumps(c)[1:-1] for c in hidden}))


MOST_FOLDED: Final = 8_000_000
"""Characters of JSON of which objects are made, which take ten times as much memory."""


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


def parse_json(text: str) -> tuple[bool, JsonValue, str]:
    """Whether text is JSON (or nearly), its value, and what is wrong with it."""
    if len(text) > MOST_FOLDED:
        return False, None, "too large to fold, shown as text"
    strange: list[str] = []

    def constant(name: str) -> bytes:
        strange.append(name)
        return name.encode()

    try:
        with _collector_paused():
            value: JsonValue = json.loads(
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
        return False, None, "nested too deeply to fold, shown as text"
    return True, value, f"not valid JSON: it holds {strange[0]}" if strange else ""


class Branch(TextNode):
    """An open object or array. The topmost one is the document itself and has no brackets."""

    __slots__ = ("_depth", "_folds", "_items", "_path", "_width")

    def __init__(
        self,
        parent: TextNode,
        index: int,
        items: list[JsonValue] | _Object,
        at: Path,
        folds: Folds,
        width: int,
    ) -> None:
        edge = 1 if at else 0
        super().__init__(parent, index, len(items), edge, edge)
        self._items, self._path, self._folds, self._width = items, at, folds, width
        self._depth = len(at)

    def _item(self, index: int) -> tuple[str | None, JsonValue]:
        return _pair(self._items[index])

    def _place(self, index: int) -> Path:
        key = self._item(index)[0]
        return (*self._path, index if key is None else key)

    def _indent(self, depth: int) -> Piece:
        return Piece(Style.TEXT, " " * min(2 * depth, self._width // 3))

    def _room(self) -> int:
        return self._width - GUTTER - len(self._indent(self._depth).text)

    def _key(self, index: int, limit: int | None) -> list[Piece]:
        key = self._item(index)[0]
        if key is None:
            return []
        return [Piece(Style.KEY, _encode(key[:limit])), Piece(Style.PUNCTUATION, ": ")]

    def _comma(self, index: int) -> list[Piece]:
        return [Piece(Style.PUNCTUATION, ",")] if self.head and index < self.count - 1 else []

    def _line(self, index: int) -> tuple[list[Piece], bool]:
        """A child on one row, and whether the row hides some of it."""
        (key, value), room = self._item(index), self._room()
        limit = 4 * room
        spans, longest = self._key(index, limit), key or b""
        if isinstance(value, list):
            if index in self.inner:
                return clipped([*spans, Piece(Style.PUNCTUATION, _brackets(value)[0])], room), False
            small = _inline(value)
            wide = not small or sum(cells_of(span.text) for span in (*spans, *small)) >= room
            hidden = wide and len(value) > 0
            spans += _folded(value) if hidden else small
            return clipped([*spans, *self._comma(index)], room), hidden
        if isinstance(value, str | bytes) and len(value) > len(longest):
            longest = value
        spans += [_scalar(value, limit), *self._comma(index)]
        more = len(longest) > limit or sum(cells_of(span.text) for span in spans) > room
        return (clipped(spans, room, octets(longest)) if more else spans), more

    @override
    def draw(self, at: int) -> list[Piece]:
        if 0 <= at < self.count:
            return [self._indent(self._depth), *self._line(at)[0]]
        assert isinstance(self.parent, Branch)
        if at < 0:
            return [self._indent(self._depth - 1), *self.parent._line(self.index)[0]]
        bracket = Piece(Style.PUNCTUATION, _brackets(self._items)[1])
        return [self._indent(self._depth - 1), bracket, *self.parent._comma(self.index)]

    def _wrapped(self, index: int) -> Wrapped:
        value = self._item(index)[1]
        spans = [*self._key(index, None), _scalar(value, None), *self._comma(index)]
        text = "".join(span.text for span in spans)
        feeds = [found.end() for found in _ESCAPE.finditer(text) if found.group() == "\\n"]
        return Wrapped(spans, row_ends(text, self._room() - 2, True, feeds))

    @override
    def state(self, at: int) -> Fold:
        if at in self.inner:
            return Fold.OPEN
        return Fold.FOLDED if self._line(at)[1] else Fold.NONE

    @override
    def flip(self, at: int) -> int:
        if self.state(at) is Fold.NONE:
            return at
        self._folds.paths[self._place(at)] = at not in self.inner
        if at in self.inner:
            self.put(at, None)
        elif isinstance(child := self._open(at), Branch):
            child.fill(max(0, _NEXT_LOOK - child.count))
        return at

    def _open(self, index: int) -> TextNode | None:
        """Give a child its rows, if one row does not show all of it."""
        if not self._line(index)[1]:
            return None
        value = self._item(index)[1]
        child: TextNode
        if isinstance(value, list):
            child = Branch(self, index, value, self._place(index), self._folds, self._width)
        else:
            lead = self._indent(self._depth).text
            child = WrappedText(self, index, self._wrapped(index), lead)
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
                if isinstance(child, Branch) and len(place) < _DEEPEST:
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


def _scalar(value: JsonValue, limit: int | None) -> Piece:
    if isinstance(value, bytes):
        return Piece(Style.NUMBER, plain(value[:limit].decode()))
    if isinstance(value, str):
        return Piece(Style.STRING, _encode(value[:limit]))
    return Piece(Style.LITERAL, "null" if value is None else "true" if value else "false")


def _pair(item: tuple[str, JsonValue] | JsonValue) -> tuple[str | None, JsonValue]:
    """An entry of an object or array: its key, if any, and its value."""
    return item if isinstance(item, tuple) else (None, item)


def _brackets(value: list[JsonValue] | _Object) -> tuple[str, str]:
    return ("{", "}") if isinstance(value, _Object) else ("[", "]")


def _folded(value: list[JsonValue] | _Object) -> list[Piece]:
    left, right = _brackets(value)
    held = plural(len(value), "key" if isinstance(value, _Object) else "item")
    opening, closing = Piece(Style.PUNCTUATION, f"{left} "), Piece(Style.PUNCTUATION, f" {right}")
    return [opening, Piece(Style.NOTE, held), closing]


def _inline(value: list[JsonValue] | _Object) -> list[Piece]:
    """A small container of scalars as one line; empty if it is too large for that."""
    if len(value) > _INLINE_ITEMS:
        return []
    spans, left = [Piece(Style.PUNCTUATION, _brackets(value)[0])], _INLINE_CELLS
    for index, item in enumerate(value):
        key, held = _pair(item)
        left -= len(key or "") + (len(held) if isinstance(held, str | bytes | list) else 4)
        if left < 0 or (isinstance(held, list) and held):
            return []
        if index:
            spans.append(Piece(Style.PUNCTUATION, ", "))
        if key is not None:
            spans += [Piece(Style.KEY, _encode(key)), Piece(Style.PUNCTUATION, ": ")]
        empty = isinstance(held, list) and Piece(Style.PUNCTUATION, "".join(_brackets(held)))
        spans.append(empty or _scalar(held, None))
    return [*spans, Piece(Style.PUNCTUATION, _brackets(value)[1])]
