"""The list of actions or themes that is searched by typing."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.command import CommandList, CommandPalette


class Palette(CommandPalette):
    """Textual's palette, in which a page key may be pressed at any moment.

    Textual's own looks up a line that does not exist before the list is laid out: a page key
    that comes quickly after another key ends the app with a KeyError.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("pagedown", "page('down')", "Next page", show=False),
        Binding("pageup", "page('up')", "Previous page", show=False),
    ]

    async def action_page(self, direction: str) -> None:
        """Moves the cursor a page ``up`` or ``down``, once there are lines."""
        commands = self.query_one(CommandList)
        if commands.scrollable_content_region:
            await commands.run_action(f"page_{direction}")
