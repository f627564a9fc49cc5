"""The app: theme, palette, signals, and the wiring of a session. Screens do the work."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import ClassVar

from textual import events
from textual.app import App, SystemCommand
from textual.await_complete import AwaitComplete
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.theme import BUILTIN_THEMES
from typing_extensions import override

from qtui.ui.actions import ACTIONS, Where
from qtui.ui.dialogs.base import Dialog
from qtui.ui.late_keys import LateKeys
from qtui.ui.screens.help import HelpScreen
from qtui.ui.screens.inspector import Inspector
from qtui.ui.session import Session
from qtui.ui.widgets.filter_line import FilterLine

_INTERRUPTED = 130
_SIGNALS = (signal.SIGTERM, signal.SIGHUP)


class QtuiApp(App[None]):
    """The inspector as a program."""

    TITLE = "qtui"
    ENABLE_COMMAND_PALETTE = True
    COMMAND_PALETTE_BINDING = "ctrl+p"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+c", "interrupt", "quit", show=False, priority=True)
    ]

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self._late_keys = LateKeys()
        wanted = session.settings.theme
        self.theme = wanted if wanted in BUILTIN_THEMES else "textual-dark"
        self.set_keymap(dict(session.settings.keys))

    def on_mount(self) -> None:
        """Opens the inspector, and sees to it that the terminal is left in order on a signal."""
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.add_signal_handler(number, self.action_interrupt)
        self.push_screen(Inspector(self.session))

    async def on_unmount(self) -> None:
        """Closes the journal of the latest campaign, and the connection."""
        for screen in self.screen_stack:
            if isinstance(screen, Inspector):
                await screen.retrying.finish()
        await self.session.client.aclose()

    async def on_event(self, event: events.Event) -> None:
        """Gives keys that overtook the opening of the filter line to it.

        A key that was meant for a dialog which has closed meanwhile does nothing.
        """
        if isinstance(event, events.Key) and event.is_forwarded:
            if self._late_keys.claim(event.key, event.time):
                event.stop()
                return
            line = self.focused
            if isinstance(line, FilterLine) and line.take(event):
                return
        await super().on_event(event)

    @override
    def pop_screen(self) -> AwaitComplete:
        """Closes the top screen; keys on their way to a dialog do not reach what is below."""
        top = self.screen
        if isinstance(top, Dialog):
            self._late_keys = LateKeys(top.own_keys, top.trailing_keys, time.monotonic())
        return super().pop_screen()

    def action_interrupt(self) -> None:
        """Leaves at once, and says so with the exit code that shells know for it."""
        self.exit(return_code=_INTERRUPTED)

    def action_help(self) -> None:
        """Shows the keys."""
        keys = self.session.settings.keys
        self.push_screen(HelpScreen(read_only=self.session.read_only, keys=keys))

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """The palette: the registry's actions, then the themes."""
        for action in ACTIONS:
            hidden = action.where not in (Where.INSPECTOR, Where.JOBS, Where.APP)
            if hidden or action.id == "app.palette" or (self.session.read_only and action.writes):
                continue
            yield SystemCommand(action.label, action.help, _runner(screen, action.does))
        yield SystemCommand("theme", "choose other colours", self.search_themes)


def _runner(screen: Screen[object], does: str) -> Callable[[], Awaitable[None]]:
    async def run() -> None:
        await screen.run_action(does)

    return run
