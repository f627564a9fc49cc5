"""Bursts of failures: said where another queue is shown, with a bell and a notification."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from qtui.text import plain, plural
from qtui.ui.inspector.live import LiveScreen
from qtui.ui.terminal import TerminalApp
from qtui.views.lists.board import Board
from qtui.views.queues.bursts import Burst


class Alarms:
    """Calls one who looks elsewhere when bursts begin.

    Args:
        screen: says it.
        board: which queue is looked at.
        said: returns the words in the status line: one that is said there is said again as it
            grows.
    """

    def __init__(self, screen: LiveScreen, board: Board, said: Callable[[], str]) -> None:
        self._screen = screen
        self._board = board
        self._said = said
        self._last: tuple[Burst, str, str] | None = None
        """The burst that was said last, in which words, and which others began with it."""

    def look(self, begun: Sequence[Burst]) -> None:
        """Says bursts that have begun, and the last one as it is now."""
        now = time.time() * 1000
        if self._last and self._last[1] == self._said() and not self._last[0].is_over(now):
            self._say(self._last[0], self._last[2], now)
        if not begun:
            return
        worst = max(begun, key=lambda one: one.failed)
        others = f" · {plural(len(begun) - 1, 'more queue')}" if len(begun) > 1 else ""
        if worst.queue != self._board.queue or others:
            self._say(worst, others, now)
        app, settings = self._screen.app, self._screen.session.settings
        if isinstance(app, TerminalApp):
            if settings.bell:
                app.ring()
            if settings.notify:
                app.notify_desktop(_words(worst, others, now))

    def _say(self, burst: Burst, others: str, now: float) -> None:
        words = _words(burst, others, now)
        self._screen.say(words, "bad")
        self._last = burst, words, others


def _words(burst: Burst, others: str, now: float) -> str:
    return f"{plain(burst.queue.name)}: {burst.words(now)}{others}"
