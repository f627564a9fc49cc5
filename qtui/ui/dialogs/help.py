"""The keys that work where the help was opened, and the filter's language where there is one."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, Final

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen, Screen
from textual.widgets import Static
from typing_extensions import override

from qtui.bullmq.filter import TABLE
from qtui.text import plural
from qtui.ui.acting import Acting
from qtui.ui.actions import ACTIONS, Action, Where
from qtui.ui.keys import in_keys, key_in_words

_FILTER: Final = ".filter"
"""How the ids of the actions end that ask for a filter."""

_WIDTH: Final = 104
_FRAME: Final = 7
"""Cells of the frame on a wide screen; of its border, its margin and the scroll bar."""

_LAST: Final = (Where.MOVE, Where.APP)
"""The keys that are the same on every screen."""


def working_keys(screen: Screen[object]) -> dict[str, Action]:
    """By key, as Textual names it, what it does now on a screen, with its pane, or in a dialog.

    A key whose action can't act now is not among them.
    """
    bound = {key: one.binding for key, one in screen.active_bindings.items()}
    if screen.is_modal:  # some keys of the app reach over a dialog
        below = screen.app.screen_stack[0].active_bindings
        bound |= {key: one.binding for key, one in below.items() if one.binding.priority}
    found = {key: action for key, one in bound.items() if (action := _action_of(one))}
    if isinstance(screen, Acting):
        found = {key: action for key, action in found.items() if not screen.why_not(action)}
    return found


def _action_of(binding: Binding) -> Action | None:
    """The action of a binding: by its id, or by what it does where Textual has made it."""
    names = (binding.action, f"app.{binding.action}")
    own = (one for one in ACTIONS if one.id == binding.id)
    textual = (one for one in ACTIONS if one.where is Where.APP and one.does in names)
    return next(own, None) if binding.id else next(textual, None)


class HelpScreen(ModalScreen[None]):
    """Lists keys and what they do, and the filter's language; any way out closes it.

    Args:
        keys: by key, what it does.
        first: the parts of the registry that come first.
        offers: whether an action is offered; of others that are listed, it says what they show.
        remapped: the keys that the user has given to actions, by their ids.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark", "leave", "close"),
        Binding("j", "scroll_by(1)", show=False),
        Binding("k", "scroll_by(-1)", show=False),
        Binding("g", "scroll_by(-9999)", show=False),
        Binding("G", "scroll_by(9999)", show=False),
    ]

    DEFAULT_CSS = """
    HelpScreen { align: center middle; background: $background 60%; }
    HelpScreen > VerticalScroll {
        width: 104; max-width: 96%; height: auto; max-height: 94%;
        border: round $accent; padding: 0 2; background: $surface; scrollbar-size-vertical: 1;
    }
    """

    def __init__(
        self,
        keys: Mapping[str, Action],
        first: Sequence[Where],
        *,
        offers: Callable[[Action], bool],
        remapped: Mapping[str, str],
    ) -> None:
        super().__init__()
        self._keys = keys
        others = [where for where in Where if where not in (*first, *_LAST)]
        self._parts = [*(where for where in first if where not in _LAST), *others, *_LAST]
        self._offers = offers
        self._remapped = remapped

    @override
    def compose(self) -> ComposeResult:
        with VerticalScroll() as frame:
            frame.border_title = "Keys"
            yield Static(markup=False)

    def on_mount(self) -> None:
        """Says what is hidden as one scrolls."""
        self.watch(self.query_one(VerticalScroll), "scroll_y", self._draw_hidden, init=False)

    def on_resize(self) -> None:
        """Breaks the lines anew."""
        self.query_one(Static).update(Content("\n").join(self._lines()))
        self.call_after_refresh(self._draw_hidden)

    def _draw_hidden(self) -> None:
        frame = self.query_one(VerticalScroll)
        below = frame.max_scroll_y - frame.scroll_offset.y
        more = f"▼ {plural(below, 'more line')} · j k · " if below > 0 else ""
        frame.border_subtitle = f"{more}esc closes"

    def _line(self, lead: str, words: str) -> Content:
        """A key or a term, and what it does in the lines beside it."""
        room = min(_WIDTH, self.app.size.width * 96 // 100) - _FRAME - len(lead)
        below = "\n" + " " * len(lead)
        beside = below.join(textwrap.wrap(words, max(1, room)))
        return Content.assemble(lead, (beside, "$text-muted"))

    def _lines(self) -> list[Content]:
        lines = []
        for where in self._parts:
            actions = [one for one in ACTIONS if one.where is where]
            rows = [row for action in actions for row in self._rows(action)]
            if rows:
                lines.append(_title(where.value))
                lines += rows
        if any(action.id.endswith(_FILTER) for action in self._keys.values()):
            lines.append(_title("Filter terms ( / )"))
            width = max(len(example) for example, _ in TABLE)
            for example, words in TABLE:
                lines.append(self._line(f"  {example:<{width}} ", words))
        if not all(self._offers(action) for action in ACTIONS):
            words = "\nkeys that change a queue are off: read-only, or not allowed by the profile"
            lines.append(Content.styled(words, "$text-warning"))
        return lines

    def _rows(self, action: Action) -> list[Content]:
        """The line of an action; none where no key of it works."""
        keys = " ".join(key_in_words(key) for key, one in self._keys.items() if one is action)
        words = in_keys(action.help if self._offers(action) else action.dry, self._remapped)
        return [self._line(f"  {keys:<12} ", words)] if keys else []

    def action_scroll_by(self, lines: int) -> None:
        """Scrolls by lines."""
        self.query_one(VerticalScroll).scroll_relative(y=lines, animate=False)

    def action_leave(self) -> None:
        """Closes the help."""
        self.dismiss(None)


def _title(words: str) -> Content:
    return Content.styled(f"\n{words}", "bold $text-accent")
