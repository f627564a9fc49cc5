"""Finding: the line in which a filter is typed, and a job by its id in all queues."""

from __future__ import annotations

from typing import Final

from textual.widget import Widget

from qtui.bullmq.filter import parse_filter, quoted
from qtui.bullmq.keys import QueueKey, name_queues
from qtui.bullmq.reads.job import find_job
from qtui.bullmq.reads.reader import Whereabouts
from qtui.text import plain, plural
from qtui.ui.dialogs.places import PlacesDialog
from qtui.ui.inspector.lists import Lists
from qtui.ui.inspector.live import LiveScreen
from qtui.ui.widgets.filter_line import typed_filter
from qtui.ui.widgets.typed_line import TypedLine
from qtui.views.lists.board import Board
from qtui.views.lists.places import no_place

_HINT: Final = "filter terms, such as error:timeout age<1h (? lists them); empty shows all jobs"
_HINT_OF_QUEUES: Final = "part of a queue's name; id:123 finds a job in any queue"
_TO_FILTER: Final = "To filter jobs, press tab first."


class Finder:
    """What `/` does on the inspector.

    Args:
        screen: searches in the background.
        board: what is looked at.
        line: where a filter is typed.
        lists: shows what was found.
    """

    def __init__(self, screen: LiveScreen, board: Board, line: TypedLine, lists: Lists) -> None:
        self._screen = screen
        self._board = board
        self._line = line
        self._lists = lists
        self._in_queues = False
        self._back: Widget | None = None
        """What had the focus before the line was opened."""

    @property
    def is_open(self) -> bool:
        """Whether a filter is being typed."""
        return self._line.display

    def ask(self, *, in_queues: bool) -> None:
        """Opens the line: for a filter of the list, or for a job or a queue."""
        self._in_queues, self._back = in_queues, self._screen.focused
        wanted = self._board.filter
        text = wanted.source if wanted is not None and not in_queues else ""
        self._line.open(text, _HINT_OF_QUEUES if in_queues else _HINT)

    def leave(self) -> None:
        """Takes the line away and changes nothing."""
        self._line.close()
        self._screen.say("")
        self._screen.set_focus(self._back)

    def entered(self, text: str) -> None:
        """Does what the line says, or points at what is wrong with it."""
        if not text.strip() and not self._in_queues:
            self.leave()
            self._lists.filter(None)
            return
        wanted = typed_filter(self._line, text, self._screen.say)
        if wanted is None:
            return
        self.leave()
        if not self._in_queues:
            self._lists.filter(wanted)
        elif ids := (wanted.exact_ids() or wanted.id_candidates()):
            self._find(min(ids, key=len), text)
        else:
            self._go_to_queue(text)

    # A job by its id, and a queue by its name

    def _find(self, job_id: str, typed: str) -> None:
        queues = [status.queue for status in self._screen.poll.worst_first()]
        screen = self._screen

        async def find() -> None:
            places, refused = await find_job(screen.session.client, queues, job_id)
            if len(places) > 1:
                screen.app.push_screen(PlacesDialog(job_id, places), go)
            elif places:
                go(places[0])
            elif not self._go_to_queue(typed, quietly=True):
                searched = plural(len(queues) - len(refused), "queue")
                words = f"No job {plain(job_id)} in {searched}"
                if refused:
                    words += f"; Redis refused to read {plain(name_queues(refused))}"
                is_word = typed.strip() == job_id
                hint = f" No queue has that name either. {_TO_FILTER}" if is_word else ""
                screen.say(f"{words}.{hint}", "warn")

        def go(place: tuple[QueueKey, Whereabouts] | None) -> None:
            if place is not None:
                self._go_to_job(*place, job_id)

        screen.in_background(find, "find")

    def go_to_job(self, queue: QueueKey, job_id: str) -> None:
        """Shows a job of a queue, in the state that it is in by now."""
        screen = self._screen

        async def find() -> None:
            places, refused = await find_job(screen.session.client, [queue], job_id)
            if places:
                self._go_to_job(*places[0], job_id)
            else:
                why = "Redis refused to read it" if refused else "it is gone"
                screen.say(f"Job {plain(job_id)} in {plain(queue.name)}: {why}.", "warn")

        screen.in_background(find, "find")

    def _go_to_job(self, queue: QueueKey, where: Whereabouts, job_id: str) -> None:
        if where.state is None:
            self._screen.say(no_place(queue, job_id, where), "warn")
            return
        self._lists.go(queue, where.state, parse_filter(f"id={quoted(job_id)}"))
        self._screen.say(f"Job {plain(job_id)} is {where.state} in {plain(queue.name)}.")

    def _go_to_queue(self, text: str, *, quietly: bool = False) -> bool:
        names = [status.queue for status in self._screen.poll.worst_first()]
        wanted = text.strip().casefold()
        found = [queue for queue in names if wanted in queue.base.casefold()]
        if found:
            self._lists.go_to_queue(found[0])
        elif not quietly:
            self._screen.say(f"No queue name contains {plain(text)}. {_TO_FILTER}", "warn")
        return bool(found)
