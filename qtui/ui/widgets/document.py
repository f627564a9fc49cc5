"""The pane that shows a `qtui.views.document.Document`: it scrolls, has a cursor, folds.

It draws the visible lines and knows nothing of Redis: what is not loaded is asked for with
`DocumentView.LoadRequested`, and the owner answers with a new document.
"""

from __future__ import annotations

from typing import ClassVar, Final

from rich.segment import Segment
from textual import events
from textual.binding import BindingType
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from qtui.ui.actions import Where
from qtui.ui.keys import bindings
from qtui.views.document import Document, Fold, Layout, Mark, Pending, Section, Style

_BAR: Final = 1


class DocumentView(ScrollView, can_focus=True, inherit_bindings=False):
    """A document of any length; a line costs something when it is seen, and nothing before."""

    ALLOW_SELECT = False
    BINDINGS: ClassVar[list[BindingType]] = list(bindings(Where.MOVE, Where.DETAIL))
    """
    | Key(s) | Description |
    | :- | :- |
    | up, k / down, j | Move the cursor a line. |
    | pageup / pagedown | Move it a page. |
    | home, g / end, G | Move it to the first or last line. |
    | [ / ] | Move it to the previous or next title. |
    | enter | Fold, unfold or load the line at the cursor. |
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "document--cursor",
        "document--bar",
        *(f"document--{style}" for style in Style),
    }
    """
    | Class | Description |
    | :- | :- |
    | `document--cursor` | The line of the cursor while the pane has the focus. |
    | `document--bar` | The bar left of that line. |
    | `document--text`, `document--key`, … | One for each `qtui.views.document.Style`. |
    """

    DEFAULT_CSS = """
    DocumentView {
        background: $background;
        color: $foreground;
        overflow-x: hidden;
        overflow-y: auto;
        scrollbar-gutter: stable;
        scrollbar-size-vertical: 1;
        & > .document--cursor { background: $foreground 10%; }
        & > .document--bar { color: $text-accent; }
        & > .document--text { color: $foreground; }
        & > .document--title { color: $foreground; text-style: bold; }
        & > .document--rule { color: $foreground 25%; }
        & > .document--label { color: $text-muted; }
        & > .document--key { color: $text-primary; }
        & > .document--string { color: $foreground; }
        & > .document--number { color: $text-accent; }
        & > .document--literal { color: $text-accent; }
        & > .document--punctuation { color: $text-disabled; }
        & > .document--error { color: $text-error; }
        & > .document--note { color: $text-muted; }
        & > .document--frame { color: $text-muted; }
        & > .document--library { color: $text-disabled; }
    }
    """

    cursor: reactive[int] = reactive(0, repaint=False)
    """The line of the cursor."""

    class LoadRequested(Message):
        """Enter or a click on a line of something that is not loaded."""

        def __init__(self, view: DocumentView, section: Section, pending: Pending) -> None:
            """Say what is asked for.

            Args:
                view: The pane.
                section: The section that has the line.
                pending: What is to be loaded.
            """
            super().__init__()
            self.view = view
            self.section = section
            self.pending = pending

        @property
        def what(self) -> str:
            """What is to be loaded, in the words of `Pending.what`."""
            return self.pending.what

        @property
        def control(self) -> DocumentView:
            """The pane, for the `on` decorator."""
            return self.view

    def __init__(
        self, *, name: str | None = None, id: str | None = None, classes: str | None = None
    ) -> None:
        """An empty pane; see `show`."""
        super().__init__(name=name, id=id, classes=classes)
        self._document, self._key = Document(()), ""
        self._lines = self._document.layout(80)

    @property
    def document(self) -> Document:
        """What is shown."""
        return self._document

    @property
    def lines(self) -> Layout:
        """The lines that are shown, at the pane's width."""
        return self._lines

    def show(self, document: Document, key: str = "") -> None:
        """Show a document from its top or, if it is about the same as before, stay in place.

        Args:
            document: What to show; with the same key it takes over the folds too.
            key: What it is about, say ``bull:payments:42``.
        """
        same = key == self._key
        if same and self._document.sections == document.sections:
            return
        if same:
            document.resume(self._document)
        self._document, self._key = document, key
        self._lay_out(keep=same)

    def validate_cursor(self, cursor: int) -> int:
        """Keeps the cursor on a line."""
        return max(0, min(cursor, self._lines.height - 1))

    def watch_cursor(self, before: int, now: int) -> None:
        """Redraws the lines that the cursor left and came to."""
        self.refresh_line(before)
        self.refresh_line(now)

    def on_focus(self) -> None:
        """Shows the cursor."""
        self.refresh_line(self.cursor)

    def on_blur(self) -> None:
        """Hides the cursor."""
        self.refresh_line(self.cursor)

    def on_resize(self) -> None:
        """Wraps the text at the new width."""
        if 0 < self._width() != self._lines.width:
            self._lay_out(keep=True)

    def on_click(self, event: events.Click) -> None:
        """Goes to the line that was clicked, and opens or folds it."""
        offset = event.get_content_offset(self)
        if offset is None or event.button != 1:
            return
        number = offset.y + self.scroll_offset.y
        if number < self._lines.height:
            self.cursor = number
            self.action_select()

    def action_cursor_up(self) -> None:
        """Move the cursor a line up."""
        self._move(-1)

    def action_cursor_down(self) -> None:
        """Move the cursor a line down."""
        self._move(1)

    def action_page_up(self) -> None:
        """Move the cursor a page up."""
        self._move(-self._page())

    def action_page_down(self) -> None:
        """Move the cursor a page down."""
        self._move(self._page())

    def action_cursor_home(self) -> None:
        """Move the cursor to the first line."""
        self._go(0)

    def action_cursor_end(self) -> None:
        """Move the cursor to the last line."""
        self._go(self._lines.height - 1)

    def action_previous_section(self) -> None:
        """Move the cursor to the title of its section, or to the one before."""
        if self._lines.height:
            top = self._lines.top_of(self._lines.section_at(self.cursor))
            at_title = self.cursor == top and top > 0
            self._go(self._lines.top_of(self._lines.section_at(top - 1)) if at_title else top)

    def action_next_section(self) -> None:
        """Move the cursor to the next title, which comes to the top if there is enough below."""
        section = self._lines.section_at(self.cursor) + 1 if self._lines.height else 0
        if section < len(self._document.sections):
            self._go(self._lines.top_of(section), top=True)

    def action_select(self) -> None:
        """Fold or unfold the line at the cursor; ask for it if it is not loaded."""
        lines, cursor = self._lines, self.cursor
        if not lines.height:
            return
        pending = lines.pending_at(cursor)
        if pending is not None:
            section = self._document.sections[lines.section_at(cursor)]
            if lines.fold_at(cursor) is Fold.FOLDED:  # its title: what is loaded is to be seen
                self._resized(lines.toggle(cursor))
            self.post_message(self.LoadRequested(self, section, pending))
        elif lines.fold_at(cursor) is not Fold.NONE:
            now = lines.toggle(cursor)
            self._resized(now)

    def action_fold_all(self) -> None:
        """Fold all that can be folded in the section at the cursor."""
        if self._lines.height:
            section = self._lines.section_at(self.cursor)
            self._lines.fold_all(section)
            self._resized(self._lines.top_of(section))

    def action_unfold_all(self) -> None:
        """Unfold all in the section at the cursor, within `qtui.views.document.EVERYTHING`."""
        if self._lines.height:
            section, mark = self._lines.section_at(self.cursor), self._lines.mark(self.cursor)
            self._lines.unfold_all(section)
            self._resized(self._find(mark, self._lines.top_of(section)))

    def render_line(self, y: int) -> Strip:
        """One line of the pane: see textual's line API."""
        number, width = y + self.scroll_offset.y, self._width() + _BAR
        base = self.get_visual_style().rich_style
        if number >= self._lines.height:
            return Strip.blank(width, base)
        classes: tuple[str, ...] = ()
        if self.has_focus and number == self.cursor:
            classes = ("document--cursor",)
            base = self.get_visual_style(*classes).rich_style
        bar = self.get_visual_style(*classes, "document--bar").rich_style
        segments = [Segment("▌" if classes else " ", bar)]
        for style, text in self._lines.line(number):
            look = self.get_visual_style(*classes, f"document--{style}").rich_style
            segments.append(Segment(text, look))
        return Strip(segments).adjust_cell_length(width, base)

    def _width(self) -> int:
        """Cells for the document's lines."""
        return self.scrollable_content_region.width - _BAR

    def _page(self) -> int:
        return max(1, self.scrollable_content_region.height - 1)

    def _lay_out(self, keep: bool) -> None:
        """Make the lines anew; `keep` holds the cursor and the top line on their text."""
        before, cursor, top = self._lines, self.cursor, self.scroll_offset.y
        width = self._width() if self._width() > 0 else before.width  # hidden, or not seen yet
        marks = [before.mark(y) if keep and y < before.height else None for y in (cursor, top)]
        self._lines = self._document.layout(width)
        self.virtual_size = Size(width + _BAR, self._lines.height)
        self.cursor = self._find(marks[0], cursor if keep else 0)
        if self.is_attached:
            self.scroll_to(y=self._find(marks[1], top if keep else 0), animate=False, force=True)
            self.refresh()

    def _find(self, mark: Mark | None, otherwise: int) -> int:
        found = None if mark is None else self._lines.find(mark)
        return otherwise if found is None else found

    def _resized(self, cursor: int) -> None:
        """Some lines have come or gone, and this is where the cursor belongs now."""
        self.virtual_size = Size(self._lines.width + _BAR, self._lines.height)
        self._go(cursor)
        self.refresh()

    def _move(self, lines: int) -> None:
        """Move from where the cursor is, or from the edge that it was scrolled out of."""
        top = self.scroll_offset.y
        seen = max(top, min(self.cursor, top + self._page()))
        self._go(seen + lines)

    def _go(self, line: int, top: bool = False) -> None:
        self.cursor = line
        first = self.scroll_offset.y
        last = first + self._page()
        if top or self.cursor < first:
            self.scroll_to(y=self.cursor, animate=False, force=True)
        elif self.cursor > last:
            self.scroll_to(y=self.cursor - self._page(), animate=False, force=True)
