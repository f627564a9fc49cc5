"""What every dialog shares: the answer is always on the screen, and everything else scrolls.

Knows no plan and no queue.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Final, TypeVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Static
from typing_extensions import override

from qtui.ui.acting import Acting
from qtui.ui.actions import Action, Where
from qtui.ui.keys import Remapping, binding, bindings

T = TypeVar("T")

GAP: Final = Content("     ")
"""Between two things on one line."""

_BORDER: Final = 2
_BAR: Final = 1
"""Cells and lines of the frame, and cells of a scroll bar."""

_FEWEST: Final = 3
"""Lines that a part keeps when the parts below it take the rest."""


class Dialog(Acting, ModalScreen[T]):
    """A frame with parts from top to bottom; the last one, which says how to answer, is docked.

    A subclass names its parts and says what is in them; `draw` measures them. When not everything
    fits, blank lines go first, then the parts of `SCROLLED` become windows that the keys of
    `Where.MOVE` scroll, the lower ones first served; the frame says how many lines are hidden.
    """

    BINDINGS: ClassVar[list[BindingType]] = [*bindings(Where.MOVE), binding("app.help")]
    PARTS: ClassVar[tuple[Where, ...]] = (Where.MOVE,)
    WIDTH: ClassVar[int] = 96
    """Cells of the frame, where the screen has as many."""

    TOP: ClassVar[tuple[str, ...]] = ()
    SCROLLED: ClassVar[tuple[str, ...]] = ()
    BOTTOM: ClassVar[tuple[str, ...]] = ("answer",)
    """The parts, in order. Of the bottom ones the last stays when there is room for one only."""

    DEFAULT_CSS = """
    Dialog {
        align: center middle; background: $background 60%;
        & > #frame {
            border: round $accent; background: $surface;
            border-title-color: $foreground; border-title-style: bold;
            border-subtitle-color: $text-warning;
            overflow: hidden;
        }
        & VerticalScroll { scrollbar-size-vertical: 1; scrollbar-gutter: stable; }
        & Static { width: 1fr; height: auto; }
        & #answer { dock: bottom; }
    }
    """

    def __init__(self) -> None:
        super().__init__()
        self._heights: dict[str, int] = {}
        """Lines that the text of each part takes."""

    # For subclasses

    @property
    @abstractmethod
    def title_text(self) -> str:
        """The frame's title; plain text."""

    @abstractmethod
    def parts(self) -> Mapping[str, Content]:
        """What is in each part; a part that is missing or empty takes no room."""

    @property
    @override
    def remapped(self) -> Mapping[str, str]:
        """Those of the app."""
        return self.app.remapped if isinstance(self.app, Remapping) else {}

    def hint(self, action: str, words: str) -> Content:
        """The key of an action, by its id, and what it does."""
        return key_hint(self.key(action), words)

    @property
    def room(self) -> int:
        """Cells of a line of text."""
        return max(1, self.frame_width - _BORDER - 2 * self._side - _BAR)

    # Drawing

    @override
    def compose(self) -> ComposeResult:
        with Vertical(id="frame") as frame:
            frame.border_title = Content(f" {self.title_text} ")
            for name in self.TOP:
                yield self.make_part(name)
            for name in self.SCROLLED:
                with VerticalScroll(id=f"{name}-window", can_focus=False):
                    yield self.make_part(name)
            for name in self.BOTTOM:
                yield self.make_part(name)

    def make_part(self, name: str) -> Widget:
        """The widget of a part: text, unless a subclass has another for it."""
        return Static(id=name, markup=False)

    def on_mount(self) -> None:
        """Says what is hidden as one scrolls."""
        for window in self._windows():
            self.watch(window, "scroll_y", self._draw_hidden, init=False)
        self.draw()

    def on_resize(self) -> None:
        """Other lines may fit now."""
        self.draw()

    def draw(self) -> None:
        """Shows what the parts say now, each in the room that it gets."""
        if not self.is_mounted:
            return
        parts = self.parts()
        for name in (*self.TOP, *self.SCROLLED, *self.BOTTOM):
            content = parts.get(name, Content())
            self._heights[name] = content.get_height({}, self.room) if content else 0
            part = self.query_one(f"#{name}")
            if isinstance(part, Static):
                part.update(content)
        self._lay_out()
        self._draw_hidden()

    @property
    def frame_width(self) -> int:
        """Cells of the frame."""
        return min(self.WIDTH, max(1, self.app.size.width * 96 // 100))

    @property
    def _side(self) -> int:
        """Blank cells left and right of the text."""
        return 2 if self.app.size.width >= 70 else 1

    def _lay_out(self) -> None:
        """Gives each part its lines; blank ones between them only where all of it fits."""
        screen, taken = self.app.size.height, sum(self._heights.values())
        shown = [name for name, height in self._heights.items() if height]
        blank = len(shown) - 1
        roomy = taken + blank + _BORDER + 2 <= screen * 92 // 100
        space = taken + blank if roomy else min(taken, max(1, screen - _BORDER))
        heights = self._share(space - blank if roomy else space)
        frame = self.query_one("#frame")
        frame.styles.width = self.frame_width
        frame.styles.padding = (1 if roomy else 0, self._side)
        frame.styles.height = space + _BORDER + (2 if roomy else 0)
        for name in (*self.TOP, *self.SCROLLED, *self.BOTTOM):
            part = self.query_one(f"#{name}-window" if name in self.SCROLLED else f"#{name}")
            part.display = heights[name] > 0
            part.styles.height = max(1, heights[name])
            part.styles.margin = (1 if roomy and name != shown[0] else 0, 0, 0, 0)

    def _share(self, space: int) -> dict[str, int]:
        """Lines for each part, the most needed first: see the order below."""
        heights, left = dict.fromkeys(self._heights, 0), space
        order = [(name, space) for name in self.BOTTOM[-1:]]
        order += [(name, 1) for name in reversed(self.SCROLLED)]
        order += [(name, space) for name in (*self.TOP, *self.BOTTOM[:-1])]
        order += [(name, _FEWEST) for name in self.SCROLLED]
        order += [(name, space) for name in reversed(self.SCROLLED)]
        for name, most in order:
            more = min(left, max(0, min(most, self._heights[name]) - heights[name]))
            heights[name] += more
            left -= more
        return heights

    # Scrolling

    def _windows(self) -> list[VerticalScroll]:
        return [self.query_one(f"#{name}-window", VerticalScroll) for name in self.SCROLLED]

    def _hidden(self) -> tuple[int, int]:
        """Lines that are hidden above and below what is shown."""
        above = below = 0
        for name, window in zip(self.SCROLLED, self._windows(), strict=True):
            if not window.display:
                below += self._heights[name]
                continue
            room = int(window.styles.height.value) if window.styles.height else 0
            top = min(window.scroll_offset.y, max(0, self._heights[name] - room))
            above += top
            below += max(0, self._heights[name] - room - top)
        return above, below

    def _draw_hidden(self) -> None:
        above, below = self._hidden()
        words = [f"▲ {above}"] if above else []
        words += [f"▼ {below}"] if below else []
        lines = "more line" if above + below == 1 else "more lines"
        keys = f"{self.key('move.down')} {self.key('move.up')}"
        text = f" {' '.join(words)} {lines} · {keys} " if words else ""
        self.query_one("#frame").border_subtitle = text

    def _scroll(self, lines: int) -> None:
        """Scrolls by lines; what one window has not left to scroll is scrolled in the next."""
        windows = self._windows()
        for window in windows if lines > 0 else reversed(windows):
            before = window.scroll_offset.y
            there = max(0, min(before + lines, window.max_scroll_y))
            window.scroll_to(y=there, animate=False, force=True, immediate=True)
            lines -= there - before
        self._draw_hidden()

    def action_cursor_down(self) -> None:
        """Scrolls a line down."""
        self._scroll(1)

    def action_cursor_up(self) -> None:
        """Scrolls a line up."""
        self._scroll(-1)

    def action_page_down(self) -> None:
        """Scrolls a window down."""
        self._scroll(self._page)

    def action_page_up(self) -> None:
        """Scrolls a window up."""
        self._scroll(-self._page)

    def action_cursor_home(self) -> None:
        """Scrolls to the first line."""
        self._scroll(-sum(self._heights.values()))

    def action_cursor_end(self) -> None:
        """Scrolls to the last line."""
        self._scroll(sum(self._heights.values()))

    @property
    def _page(self) -> int:
        return max(1, max((window.size.height for window in self._windows()), default=1) - 1)

    # Answering

    @override
    def why_not(self, action: Action) -> str:
        """Why an action can't act now; Enter answers nothing, so it begins nothing by chance."""
        if action.id == "move.enter":
            return "Press the key that answers."
        return super().why_not(action)

    @override
    def say_why_not(self, why: str) -> None:
        """Rings: the line that answers says why."""
        self.app.bell()

    def answer(self, result: T | None) -> None:
        """Closes the dialog with an answer; a second one, of a key that was late, is not heard."""
        if self.is_current:
            self.dismiss(result)

    @property
    def own_keys(self) -> frozenset[str]:
        """The keys that do something here, and so are never meant for what is below.

        The help may be: it is of use there, too.
        """
        return frozenset(
            key for key, one in self.active_bindings.items() if one.binding.id != "app.help"
        )

    @property
    def trailing_keys(self) -> frozenset[str]:
        """Keys that people press after the last one that counts; none but where they type."""
        return frozenset()

    def action_leave(self) -> None:
        """Closes the dialog without an answer."""
        self.answer(None)


def key_hint(key: str, words: str) -> Content:
    """A key and what it does."""
    return Content.assemble((key, "bold $text-accent"), f" {words}")


def toggle(on: bool, key: str, words: str) -> Content:
    """A box that a key ticks."""
    return Content.assemble(f"[{'x' if on else ' '}] ") + key_hint(key, words)
