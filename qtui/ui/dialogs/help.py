"""The keys that work here, from the registry, and the filter's language, from its table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static
from typing_extensions import override

from qtui.bullmq.filter import TABLE
from qtui.ui.actions import Where
from qtui.ui.keys import actions_of, keys_of


class HelpScreen(ModalScreen[None]):
    """Lists keys and what they do, and the filter's language; any way out closes it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark", "leave", "close"),
        Binding("j", "scroll_by(1)", show=False),
        Binding("k", "scroll_by(-1)", show=False),
    ]

    DEFAULT_CSS = """
    HelpScreen { align: center middle; background: $background 60%; }
    HelpScreen > VerticalScroll {
        width: 84; max-width: 96%; height: auto; max-height: 94%;
        border: round $accent; padding: 0 2; background: $surface; scrollbar-size-vertical: 1;
    }
    """

    def __init__(self, *, read_only: bool, keys: Mapping[str, str]) -> None:
        super().__init__()
        self._read_only = read_only
        self._keys = keys

    @override
    def compose(self) -> ComposeResult:
        with VerticalScroll() as frame:
            frame.border_title = "Keys"
            frame.border_subtitle = "esc closes"
            yield Static(Content("\n").join(self._lines()))

    def _lines(self) -> list[Content]:
        lines = []
        for where in Where:
            actions = actions_of(where, read_only=self._read_only)
            lines.append(Content.styled(f"\n{where.value}", "bold $text-accent"))
            for action in actions:
                words = " ".join(keys_of(action, self._keys))
                lines.append(Content.assemble(f"  {words:<12} ", (action.help, "$text-muted")))
        lines.append(Content.styled("\nThe filter's language ( / )", "bold $text-accent"))
        width = max(len(example) for example, _ in TABLE)
        for example, words in TABLE:
            lines.append(Content.assemble(f"  {example:<{width}} ", (words, "$text-muted")))
        if self._read_only:
            lines.append(
                Content.styled("\nread-only: keys that would write are left out", "$text-warning")
            )
        return lines

    def action_scroll_by(self, lines: int) -> None:
        """Scrolls by lines."""
        self.query_one(VerticalScroll).scroll_relative(y=lines, animate=False)

    def action_leave(self) -> None:
        """Closes the help."""
        self.dismiss(None)
