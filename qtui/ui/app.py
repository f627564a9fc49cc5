"""The app: theme, palette, signals, and the wiring of a session. Screens do the work."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final

from textual import events
from textual.actions import ActionParseResult
from textual.app import SystemCommand
from textual.await_complete import AwaitComplete
from textual.binding import Binding, BindingType
from textual.dom import DOMNode
from textual.screen import Screen
from textual.theme import Theme, ThemeProvider
from typing_extensions import override

from qtui.ui.acting import Acting
from qtui.ui.actions import Action, Where
from qtui.ui.dialogs.base import Dialog
from qtui.ui.dialogs.palette import Palette
from qtui.ui.keys import actions_of, in_keys, keys_of
from qtui.ui.late_keys import LateKeys
from qtui.ui.screens.connecting import ConnectScreen, Opening
from qtui.ui.terminal import INTERRUPTED, TerminalApp
from qtui.ui.themes import DEFAULT, THEMES, keep, kept, readable
from qtui.ui.widgets.typed_line import TypedLine

if TYPE_CHECKING:
    from qtui.ui.inspector.screen import Inspector
    from qtui.ui.session import Session

_WRITTEN: Final = 0.002
"""Seconds after which the thread that writes to the terminal has had its turn."""

_FAREWELL: Final = 0.3
"""Seconds for which the end waits for the connections to close."""


class QtuiApp(TerminalApp):
    """The inspector as a program.

    Args:
        session: what it works with, or how to come by it: then all keys work meanwhile.
        theme_file: keeps the theme that is chosen in the palette; None keeps none.
    """

    TITLE = "qtui"
    ENABLE_COMMAND_PALETTE = True
    COMMAND_PALETTE_BINDING = "ctrl+p"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+c", "interrupt", "quit", show=False, priority=True),
        # In dialogs and texts too, which have none of the bindings for everywhere.
        Binding("ctrl+z", "suspend", "suspend", show=False, priority=True, id="app.suspend"),
    ]

    _offered_themes: dict[str, Theme] | None = None

    def __init__(self, session: Session | Opening, *, theme_file: Path | None = None) -> None:
        super().__init__()
        self._theme_file = theme_file
        self.session = None if isinstance(session, Opening) else session
        self.failure: Exception | None = None
        """Why there was no session to be had; the app has ended then."""
        self._opening = session
        self._to_be_made = session if isinstance(session, Opening) else None
        self._settings = session.settings
        self._late_keys = LateKeys()
        self.theme = self._settings.theme or kept(theme_file) or DEFAULT
        self.set_keymap(dict(self._settings.keys))
        self._inspector: Inspector | None = None

    @property
    def remapped(self) -> Mapping[str, str]:
        """The keys of the settings, by the ids of their actions."""
        return self._settings.keys

    def on_mount(self) -> None:
        """Keeps what theme is chosen from now on."""
        self.theme_changed_signal.subscribe(self, self._keep_theme)

    @override
    def get_default_screen(self) -> Screen[None]:
        """The inspector; where its session is still to be made, the screen that waits for it."""
        if isinstance(self._opening, Opening):
            return ConnectScreen(self._opening.shown, self._show_inspector)
        return self._new_inspector(self._opening)

    @override
    def post_display_hook(self) -> None:
        """Begins to make the session, once the first frame is on the terminal."""
        if self._to_be_made is not None:
            self.set_timer(_WRITTEN, partial(self._open_session, self._to_be_made))
            self._to_be_made = None

    def _open_session(self, opening: Opening) -> None:
        async def open_it() -> None:
            try:
                self.session = await opening.session()
            except opening.failures as failure:
                self.failure = failure
                self.exit()
            else:
                self._show_inspector()

        self.run_worker(open_it(), group="open", exit_on_error=False)

    def _new_inspector(self, session: Session, typed_ahead: Sequence[events.Key] = ()) -> Inspector:
        from qtui.ui.inspector.screen import Inspector

        opening = self._opening
        if isinstance(opening, Opening):
            self._inspector = Inspector(session, typed_ahead, opening.behind)
        else:
            self._inspector = Inspector(session, typed_ahead)
        return self._inspector

    def _show_inspector(self) -> None:
        """Shows it over the screen that waits; help that is open there is read first."""
        waiting = self.screen
        if self.session is None or not isinstance(waiting, ConnectScreen):
            return
        if self._inspector is None:
            self.push_screen(self._new_inspector(self.session, waiting.typed_ahead))

    async def on_unmount(self) -> None:
        """Closes the journal of the latest campaign, and the connections."""
        if self._inspector is not None:
            await self._inspector.campaigns.end()
        if self.session is not None:
            with contextlib.suppress(TimeoutError, OSError):
                async with asyncio.timeout(_FAREWELL):
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
            if isinstance(line, TypedLine) and line.take(event):
                return
        await super().on_event(event)

    @override
    def pop_screen(self) -> AwaitComplete:
        """Closes the top screen; keys on their way to a dialog do not reach what is below."""
        top = self.screen
        if isinstance(top, Dialog):
            self._late_keys = LateKeys(top.own_keys, top.trailing_keys, time.monotonic())
        return super().pop_screen()

    @override
    async def run_action(
        self,
        action: str | ActionParseResult,
        default_namespace: DOMNode | None = None,
        namespaces: Mapping[str, DOMNode] | None = None,
    ) -> bool:
        """Does what a key or the palette asks for, or says why that can't be done now."""
        screen = default_namespace
        if isinstance(screen, Acting) and isinstance(action, str) and screen.refuses(action):
            return True
        if isinstance(self.screen, Acting):
            self.screen.forget_why_not()
        return await super().run_action(action, default_namespace, namespaces)

    def action_interrupt(self) -> None:
        """Leaves at once, and says so with the exit code that shells know for it."""
        self.exit(return_code=INTERRUPTED)

    @property
    @override
    def available_themes(self) -> dict[str, Theme]:
        """The themes that are offered; Textual asks for each line that it draws."""
        if self._offered_themes is None:
            every = super().available_themes
            self._offered_themes = {name: every[name] for name in every if name in THEMES}
        return self._offered_themes

    def _keep_theme(self, theme: Theme) -> None:
        keep(self._theme_file, theme.name)
        configured = self._settings.theme
        if configured is not None and configured != theme.name:
            self.notify(f"theme = {configured} in the config file is used again at the next start.")

    @override
    def get_css_variables(self) -> dict[str, str]:
        """The theme's colours, in which everything can be read."""
        variables = super().get_css_variables()
        return variables | readable(variables) if self.theme in THEMES else variables

    def action_suspend(self) -> None:
        """Stops qtui until ``fg``."""
        if not self.suspend_to_shell():
            self.notify("Cannot suspend: qtui was not started from a shell with job control.")

    def action_help(self) -> None:
        """Shows the keys that work here."""
        from qtui.ui.dialogs.help import HelpScreen, working_keys

        screen = self.screen
        first = screen.PARTS if isinstance(screen, Acting) else ()
        keys = working_keys(screen)
        self.push_screen(HelpScreen(keys, first, offers=self._offers, remapped=self.remapped))

    def _offers(self, action: Action) -> bool:
        """Whether a key is offered at all, by who may change what."""
        if self.session is not None:
            return self.session.offers(action)
        return not (action.writes and self._settings.read_only)

    @override
    def action_command_palette(self) -> None:
        """Shows the palette of actions."""
        if not isinstance(self.screen, Palette):
            self.push_screen(Palette(id="--command-palette", placeholder="Search for actions…"))

    @override
    def search_themes(self) -> None:
        """Shows the palette of themes."""
        self.push_screen(Palette([ThemeProvider], placeholder="Search for themes…"))

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """The palette: the registry's actions with their keys, then the themes."""
        if isinstance(screen, Acting):
            parts = [where for where in screen.PARTS if where is not Where.MOVE]
            for action in actions_of(*parts, offers=self._offers):
                if action.id != "app.palette":
                    why = screen.why_not(action)
                    allowed = self._offers(action)
                    words = in_keys(action.help if allowed else action.dry, self.remapped)
                    words = f"{words} · not now: {why}" if why else words
                    key = keys_of(action, self.remapped)[0]
                    label = action.label_in(screen.situation(), allowed=allowed) or action.label
                    name = f"{label} ({action.also})" if action.also else label
                    yield SystemCommand(f"{name} · {key}", words, _runner(screen, action.does))
        yield SystemCommand("theme", "choose other colours", self.search_themes)


def _runner(screen: Screen[object], does: str) -> Callable[[], Awaitable[None]]:
    async def run() -> None:
        await screen.run_action(does)

    return run
