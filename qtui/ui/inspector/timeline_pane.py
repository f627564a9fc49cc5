"""The timeline above the list: when its jobs finished, and a filter from its bars."""

from __future__ import annotations

import time

from qtui.bullmq.reads.queues.timeline import read_timeline
from qtui.ui.inspector.live import LiveScreen
from qtui.ui.widgets.timeline import Timeline
from qtui.views.lists.board import Board


class TimelinePane:
    """Reads what the timeline shows of the board's state.

    Args:
        screen: runs the reading in the background.
        board: what is looked at.
        timeline: where it is shown.
    """

    def __init__(self, screen: LiveScreen, board: Board, timeline: Timeline) -> None:
        self._screen = screen
        self._board = board
        self._timeline = timeline

    def turned(self) -> None:
        """Another list is shown; only finished jobs have a time to show."""
        self._timeline.clear()
        self._timeline.display = self._board.state.is_finished
        self.read()

    def grow_older(self) -> None:
        """Reads the bars again when as much time has passed as one of them covers."""
        read_at, width = self._timeline.read_at, self._timeline.bar_width
        is_due = width and time.time() * 1000 - read_at > width
        if is_due and self._timeline.display and not self._screen.is_busy("timeline"):
            self.read()

    def read(self) -> None:
        """Reads the bars anew."""
        queue, state = self._board.queue, self._board.state
        timeline, room = self._timeline, self._timeline.room
        if queue is None or not state.is_finished or not room:
            return

        async def read() -> None:
            now, client = int(time.time() * 1000), self._screen.session.client
            found = await read_timeline(client, queue, state, timeline.window, room, now=now)
            if (queue, state) == (self._board.queue, self._board.state):
                timeline.show(found, state)

        self._screen.in_background(read, "timeline")
