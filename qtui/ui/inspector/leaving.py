"""The ways out of what is shown in the inspector, one step at a time, and out of qtui."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from qtui.ui.dialogs.ask import AskDialog
from qtui.ui.inspector.campaigns import Campaigns
from qtui.ui.inspector.list_pane import ListPane
from qtui.ui.inspector.lists import Lists
from qtui.ui.inspector.live import LiveScreen
from qtui.ui.inspector.subject import Subject
from qtui.ui.widgets.document import DocumentView
from qtui.ui.widgets.job_table import JobTable
from qtui.ui.widgets.queue_list import QueueList
from qtui.ui.widgets.timeline import Timeline
from qtui.views.lists.board import Board
from qtui.views.running import Run


class Leaving:
    """Goes back, and quits.

    Args:
        screen: the inspector.
        board: what is looked at.
        subject: what has the focus.
        campaigns: those under way, and the lines of those that are over.
        pane: the list.
        lists: shows the list without its filter.
        close: closes the open job.
    """

    def __init__(
        self,
        screen: LiveScreen,
        board: Board,
        subject: Subject,
        campaigns: Campaigns,
        pane: ListPane,
        lists: Lists,
        *,
        close: Callable[[], None],
    ) -> None:
        self._screen = screen
        self._board = board
        self._subject = subject
        self._campaigns = campaigns
        self._pane = pane
        self._lists = lists
        self._close = close
        self._queues = screen.query_one(QueueList)
        self._table = screen.query_one(JobTable)

    def back(self) -> None:
        """One step back: out of the open job, a range, a pane, a search, results, a filter."""
        board, focused = self._board, self._screen.focused
        if self._subject.is_opened:
            self._close()
        elif board.marks.anchor is not None:
            board.marks.anchor = None
            self._screen.say("")
        elif isinstance(focused, DocumentView | Timeline):
            self._table.focus()
        elif self._pane.stop_hunt():
            clears, searches = map(self._screen.key, ("app.back", "inspector.refresh"))
            self._screen.say(
                f"Search stopped: {clears} again clears the filter, {searches} searches again."
            )
        elif self._campaigns.let_go() or board.verdicts:
            if board.verdicts:
                self._pane.thaw()
        elif self._queues.marks and focused is self._queues:
            self._queues.unmark()
            self._screen.draw_keys()
        elif board.filter is not None and focused is self._table:
            self._lists.filter(None)
        else:
            self._queues.focus()

    def quit(self) -> None:
        """Goes back from an open job; from the list it quits, and asks while something runs."""
        running = self._campaigns.under_way
        if self._subject.is_opened:
            self.back()
        elif not running:
            self._screen.app.exit()
        else:
            question = f"{_still(running)} Stop after the batches in flight?"
            dialog = AskDialog(question, "stop and quit", "keep running")
            self._screen.app.push_screen(dialog, self._answered)

    def _answered(self, stop: bool | None) -> None:
        if stop:
            self._campaigns.quit_after()


def _still(runs: Sequence[Run]) -> str:
    """What is under way, in a sentence."""
    if len(runs) == 1:
        return f"Still {runs[0].doing} in {runs[0].where}."
    return f"Still running: {', '.join(f'{run.doing} in {run.where}' for run in runs)}."
