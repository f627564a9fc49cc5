"""The ways from one list to another: a filter, another queue, another state."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState
from qtui.ui.inspector.list_pane import ListPane
from qtui.ui.widgets.job_table import JobTable
from qtui.ui.widgets.queue_list import QueueList
from qtui.views.lists.board import Board

if TYPE_CHECKING:
    from qtui.bullmq.filter import Filter


class Lists:
    """Goes to lists; every part of the inspector that leads to another list goes through it.

    Args:
        board: what is looked at.
        pane: shows the list.
        table: gets the focus.
        queues: where the list's queue is selected.
    """

    def __init__(self, board: Board, pane: ListPane, table: JobTable, queues: QueueList) -> None:
        self._board = board
        self._pane = pane
        self._table = table
        self._queues = queues

    def filter(self, wanted: Filter | None) -> None:
        """Shows the jobs of the list that match; all of them without a filter."""
        self._pane.show(self._board.look_for(wanted))
        self._table.focus()

    def go(self, queue: QueueKey, state: JobState, wanted: Filter | None) -> None:
        """Shows the jobs that match in a state of a queue."""
        self._queues.select(queue)
        self._board.look_at(queue, state)
        self.filter(wanted)

    def go_to_queue(self, queue: QueueKey) -> None:
        """Shows a queue in the state that is shown."""
        self._queues.select(queue)
        self._pane.show(self._board.look_at(queue))
