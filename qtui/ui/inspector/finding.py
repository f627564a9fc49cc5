"""Finding: the line in which a filter is typed, and the search through all queues."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from textual.widget import Widget

from qtui.text import plain
from qtui.ui.inspector.list_pane import ListPane
from qtui.ui.inspector.lists import Lists
from qtui.ui.inspector.live import LiveScreen
from qtui.ui.widgets.typed_line import TypedLine
from qtui.views.lists.board import Board
from qtui.views.lists.places import JobPlace

if TYPE_CHECKING:
    from qtui.ui.screens.find import Chosen, Sought

_HINT: Final = "filter terms, such as error:timeout age<1h ({} lists them); empty shows all jobs"
"""What the line is for, with the key of the help."""


class Finder:
    """What `/` and `F` do on the inspector, and the way to a job that is known by its id.

    Args:
        screen: searches in the background.
        board: what is looked at.
        line: where a filter is typed.
        lists: shows what was found.
        pane: the list, whose search waits while all queues are searched.
        close: closes the open job, before another list is shown.
    """

    def __init__(
        self,
        screen: LiveScreen,
        board: Board,
        line: TypedLine,
        lists: Lists,
        pane: ListPane,
        *,
        close: Callable[[], None],
    ) -> None:
        self._screen = screen
        self._board = board
        self._line = line
        self._lists = lists
        self._pane = pane
        self._close = close
        self._back: Widget | None = None
        """What had the focus before the line was opened."""
        self._sought: Sought | None = None
        """What was searched for last in all queues."""

    # A filter of the list

    @property
    def is_open(self) -> bool:
        """Whether a filter is being typed."""
        return self._line.display

    def ask(self) -> None:
        """Opens the line for a filter of the list, wherever the focus is."""
        self._back, wanted = self._screen.focused, self._board.filter
        hint = _HINT.format(self._screen.key("app.help"))
        self._line.open(wanted.source if wanted is not None else "", hint)

    def leave(self) -> None:
        """Takes the line away and changes nothing."""
        self._line.close()
        self._screen.say("")
        self._screen.set_focus(self._back)

    def entered(self, text: str) -> None:
        """Does what the line says, or points at what is wrong with it."""
        from qtui.ui.widgets.filter_line import typed_filter

        wanted = None
        if text.strip():
            wanted = typed_filter(self._line, text, self._screen.say)
            if wanted is None:
                return
        self.leave()
        self._lists.filter(wanted)

    # All queues

    def search_everywhere(self) -> None:
        """Opens the search through all queues and states, where it was left."""
        from qtui.ui.screens.find import FindScreen, Sought

        self._sought = self._sought or Sought()
        self._pane.let_others_hunt(True)
        poll = self._screen.poll
        screen = FindScreen(self._screen.session, self._sought, poll.worst_first)
        self._screen.app.push_screen(screen, self._found)

    def _found(self, chosen: Chosen) -> None:
        self._pane.let_others_hunt(False)
        if isinstance(chosen, JobPlace):
            self.show(chosen)
        elif chosen is not None:
            self._close()
            self._lists.go_to_queue(chosen)

    # One job

    def show(self, place: JobPlace) -> None:
        """Shows the list of a job's state with only that job in it."""
        from qtui.bullmq.filter import parse_filter, quoted

        self._close()
        wanted = parse_filter(f"id={quoted(place.job_id)}")
        self._lists.go(place.queue, place.state, wanted)
        where = f"{place.state} in {plain(place.queue.name)}"
        self._screen.say(f"Job {plain(place.job_id)} is {where}.")
