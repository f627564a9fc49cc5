"""What is shown while a server takes its time to answer for the first time; keys work already."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.screen import Screen
from textual.timer import Timer
from typing_extensions import override

from qtui.ui.acting import Acting
from qtui.ui.actions import Situation, Where
from qtui.ui.keys import Remapping, bindings
from qtui.ui.widgets.bars import Bar, StatusLine

if TYPE_CHECKING:
    from qtui.settings import Settings
    from qtui.ui.session import Session

_TICK = 1.0
"""Seconds between two drawings of the time that passed."""

TYPED_AHEAD = 1.0
"""Seconds in which keys are kept for the inspector, as a terminal keeps them for any program."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """What makes the session, once the first frame is painted."""

    settings: Settings
    shown: str
    """The server's address, without a password."""
    session: Callable[[], Awaitable[Session]]
    failures: tuple[type[Exception], ...]
    """What it raises where there is no session to be had; the rest is a fault of ours."""
    behind: Callable[[], Awaitable[None]]
    """Imports, once the inspector shows rows, what it needs when keys are pressed."""


class ConnectScreen(Acting, Screen[None]):
    """Names the server and the seconds it has taken; the way out, the help and the palette work.

    Args:
        shown: the server's address, without a password.
        resumed: is called when nothing is in front of the screen any more.
    """

    BINDINGS: ClassVar[list[BindingType]] = list(bindings(Where.APP))
    PARTS = (Where.APP,)

    DEFAULT_CSS = """
    ConnectScreen {
        layout: vertical;
        & > #header { background: $surface; }
        & > #status { dock: bottom; }
    }
    """

    def __init__(self, shown: str, resumed: Callable[[], None]) -> None:
        super().__init__()
        self._shown = shown
        self._resumed = resumed
        self._since = time.monotonic()
        self._clock: Timer | None = None
        self.typed_ahead: list[events.Key] = []
        """Keys for the inspector that were pressed before it was there."""

    @override
    def compose(self) -> ComposeResult:
        yield Bar(id="header")
        yield StatusLine(id="status")

    def on_mount(self) -> None:
        """Counts the seconds."""
        self._draw()
        self._clock = self.set_interval(_TICK, self._draw)

    def on_screen_suspend(self) -> None:
        """Help, or the inspector, is in front of it."""
        if self._clock is not None:
            self._clock.pause()

    def on_screen_resume(self) -> None:
        """Nothing is in front of it any more."""
        if self._clock is not None:
            self._clock.resume()
        self._resumed()

    def _draw(self) -> None:
        seconds = int(time.monotonic() - self._since)
        waited = f" · {seconds} s" if seconds else ""
        self.query_one("#header", Bar).say(
            [(" qtui  ", "strong"), (f"connecting to {self._shown} …{waited}", "")],
            [(f" {self.key('app.quit')} quits ", "faint")],
        )
        if self.typed_ahead and self._is_slow:
            self.typed_ahead.clear()
            self._say_slow()

    @property
    def _is_slow(self) -> bool:
        return time.monotonic() - self._since >= TYPED_AHEAD

    def on_key(self, event: events.Key) -> None:
        """Keeps a key that needs the server; where that takes its time, says that it can't act."""
        if event.key in self.active_bindings:
            return
        if self._is_slow:
            self._say_slow()
        else:
            self.typed_ahead.append(event)

    def _say_slow(self) -> None:
        quits = self.key("app.quit")
        self._say(f"Still connecting: {quits} quits, all other keys work once Redis answers.")

    @property
    @override
    def remapped(self) -> Mapping[str, str]:
        """Those of the app."""
        return self.app.remapped if isinstance(self.app, Remapping) else {}

    @override
    def situation(self) -> Situation:
        """Redis has not answered yet."""
        return Situation(connecting=True, has_command=False)

    @override
    def say_why_not(self, why: str) -> None:
        """Says in the status line why a key does nothing."""
        self._say(why)

    def _say(self, words: str) -> None:
        self.query_one("#status", Bar).say([(f" {words}", "warn")])

    def action_back_or_quit(self) -> None:
        """Quits."""
        self.app.exit()
