"""Finding: the line in which a filter is typed, a job by its id in all queues, error groups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from qtui.bullmq.filter import Filter, FilterError, parse_filter, quoted
from qtui.bullmq.keys import QueueKey, name_queues
from qtui.bullmq.model import JobState
from qtui.bullmq.reads.job import find_job
from qtui.bullmq.reads.reader import Whereabouts
from qtui.text import plain, plural
from qtui.ui.dialogs.places import PlacesDialog
from qtui.ui.screens.errors import ErrorsScreen, GroupChoice
from qtui.ui.widgets.filter_line import FilterLine

if TYPE_CHECKING:
    from qtui.ui.inspector.screen import Inspector

_HINT: Final = "a word, error:timeout, age<1h, attempts=max … (? lists them); empty shows all"
_HINT_OF_QUEUES: Final = "id:123 finds a job in every queue; a word goes to the queue"


class Finder:
    """What `/` and `e` do on the inspector.

    Args:
        screen: the inspector.
        line: where a filter is typed.
    """

    def __init__(self, screen: Inspector, line: FilterLine) -> None:
        self._screen = screen
        self._line = line
        self._in_queues = False
        self._marked: dict[tuple[tuple[QueueKey, ...], JobState, Filter | None], set[str]] = {}
        """The groups that are marked, by where they were counted: kept while qtui runs."""

    @property
    def is_open(self) -> bool:
        """Whether a filter is being typed."""
        return self._line.display

    def ask(self, *, in_queues: bool) -> None:
        """Opens the line: for a filter of the list, or for a job or a queue."""
        self._in_queues = in_queues
        wanted = self._screen.board.filter
        text = wanted.source if wanted is not None and not in_queues else ""
        self._line.open(text, _HINT_OF_QUEUES if in_queues else _HINT)

    def leave(self) -> None:
        """Takes the line away and changes nothing."""
        self._line.close()
        self._screen.say("")
        self._screen.set_focus(self._screen.queues if self._in_queues else self._screen.table)

    def entered(self, text: str) -> None:
        """Does what the line says, or points at what is wrong with it."""
        if not text.strip() and not self._in_queues:
            self.leave()
            self.show(None)
            return
        try:
            wanted = parse_filter(text)
        except FilterError as error:
            self._point_at(error)
            return
        self.leave()
        if not self._in_queues:
            self.show(wanted)
        elif ids := (wanted.exact_ids() or wanted.id_candidates()):
            self._find(min(ids, key=len), text)
        else:
            self._go_to_queue(text)

    def _point_at(self, error: FilterError) -> None:
        """Puts the cursor on the mistake, so that it is in sight, and a caret below it."""

        def say() -> None:
            column = self._line.column(error.position)
            words = pointer(column, error.message, self._screen.size.width)
            self._screen.say(words.removeprefix(" "), "bad")

        # From its start on, so that the mistake stands far enough right for words on its left.
        self._line.scroll_to(0, animate=False, force=True, immediate=True)
        self._line.cursor_position = error.position
        self._line.call_after_refresh(say)

    def show(self, wanted: Filter | None) -> None:
        """Shows what matches, or with None all."""
        self._screen.list.show(self._screen.board.look_for(wanted))
        self._screen.table.focus()

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
                words = f"{searched} searched: none has a job {plain(job_id)}"
                if refused:
                    words += f"; Redis refused to tell of {plain(name_queues(refused))}"
                screen.say(words, "warn")

        def go(place: tuple[QueueKey, Whereabouts] | None) -> None:
            if place is not None:
                self._go_to_job(*place, job_id)

        screen.in_background(find, "find")

    def _go_to_job(self, queue: QueueKey, where: Whereabouts, job_id: str) -> None:
        if where.state is None:
            word = "is there, but in no state" if where.exists else "is gone"
            if where.exists and where.unknown:
                word = f"is there; its state is unknown: {plain(where.unknown)}"
            self._screen.say(f"job {plain(job_id)} of {plain(queue.name)} {word}", "warn")
            return
        self.go(queue, where.state, parse_filter(f"id={quoted(job_id)}"))
        self._screen.say(f"job {plain(job_id)} is {where.state} in {plain(queue.name)}")

    def go(self, queue: QueueKey, state: JobState, wanted: Filter | None) -> None:
        """Shows what matches in a state of some queue."""
        self._screen.queues.select(queue)
        self._screen.board.look_at(queue, state)
        self.show(wanted)

    def _go_to_queue(self, text: str, *, quietly: bool = False) -> bool:
        names = [status.queue for status in self._screen.poll.worst_first()]
        wanted = text.strip().casefold()
        found = [queue for queue in names if wanted in queue.base.casefold()]
        if found:
            self._screen.queues.select(found[0])
            self._screen.list.show(self._screen.board.look_at(found[0]))
        elif not quietly:
            self._screen.say(f"no queue is called {plain(text)}", "warn")
        return bool(found)

    # Error groups

    def errors(self, *, in_queues: bool) -> None:
        """Opens the groups of the list in sight, or those of the failed jobs of all queues."""
        board = self._screen.board
        if in_queues:
            statuses = self._screen.poll.worst_first()
            queues = [status.queue for status in statuses if status.failed]
            state, wanted = JobState.FAILED, None
        else:
            queues = [board.queue] if board.queue is not None else []
            state, wanted = board.state, board.filter
        if not queues:
            where = "any queue" if in_queues else "sight: no queue is known yet"
            self._screen.say(f"there are no failed jobs in {where}")
            return
        self._screen.list.let_others_hunt(True)
        name = tuple(queues), state, wanted
        screen = ErrorsScreen(
            self._screen.session,
            queues,
            state,
            wanted,
            marked=self._marked.setdefault(name, set()),
            plan=self._plan_groups,
            refusal=self._screen.retrying.refusal,
        )
        self._screen.app.push_screen(screen, self._chosen)

    def _plan_groups(self, screen: ErrorsScreen, choice: GroupChoice) -> None:
        """Opens the plan over the groups: whoever leaves it is back at them and their marks."""

        def confirmed() -> None:
            screen.marked.clear()
            screen.answer(choice)

        self._screen.retrying.plan_matching(
            choice.queue, choice.state, choice.filter, confirmed=confirmed
        )

    def _chosen(self, choice: GroupChoice | None) -> None:
        self._screen.list.let_others_hunt(False)
        if choice is None:
            return
        board = self._screen.board
        if choice.elsewhere:
            others = plural(choice.elsewhere, "other queue has", "other queues have")
            self._screen.say(f"{others} this error too: e in the queues shows them")
        if (choice.queue, choice.state, choice.filter) != (board.queue, board.state, board.filter):
            self.go(choice.queue, choice.state, choice.filter)


def pointer(column: int, words: str, width: int) -> str:
    """A line of so many cells with a caret in a column, and words on the side that has room.

    Where neither side has, there are only the words.
    """
    if column + 2 + len(words) <= width:
        return " " * column + "^ " + words
    if len(words) + 2 <= column:
        return words.rjust(column - 1) + " ^"
    return f" {words}"
