"""Marking jobs of the list: one job, a range, all, the others, everything; or queues."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from qtui.text import count, plain
from qtui.ui.inspector.live import LiveScreen
from qtui.ui.keys import keys_by_id
from qtui.ui.widgets.job_table import JobTable
from qtui.ui.widgets.queue_list import QueueList
from qtui.views.lists.board import Board
from qtui.views.lists.marks import MOST_MARKED
from qtui.views.lists.painting import Painting

_GROUP: Final = "mark"


class Marking:
    """Marks jobs of the list on a board by their ids, and queues while their list has the focus.

    Args:
        screen: knows what has the focus, and reads ids in the background.
        board: holds the marks of jobs.
        table: the list with its cursor.
        queues: the list of queues, which holds their marks.
        changed: is called when others are marked.
    """

    def __init__(
        self,
        screen: LiveScreen,
        board: Board,
        table: JobTable,
        queues: QueueList,
        *,
        changed: Callable[[], None],
    ) -> None:
        self._screen = screen
        self._board = board
        self._table = table
        self._queues = queues
        self._changed = changed
        self._painting = Painting()
        self._keys = keys_by_id(screen.session.settings.keys, "jobs.mark")

    @property
    def is_busy(self) -> bool:
        """Whether ids are being read that are to be marked."""
        return self._screen.is_busy(_GROUP)

    def key_pressed(self, key: str) -> None:
        """Any other key ends a row of presses of ``space``."""
        if key not in self._keys:
            self._painting.stop()
            self._queues.painting.stop()

    @property
    def _in_queues(self) -> bool:
        return self._screen.focused is self._queues

    def one(self) -> None:
        """Marks what is under the cursor, or takes its mark away; again, does so to the next."""
        if self._in_queues:
            self._queues.toggle_mark()
            self._changed()
        else:
            self._job()

    def _job(self) -> None:
        table, marks = self._table, self._board.marks
        continues = self._painting.continues(table.cursor_id, table.moves)
        if continues and table.cursor == table.length - 1:
            self._screen.say_why_not("This is the last job in the list.")
            return
        if continues:
            table.action_cursor_down()
        here = table.cursor_id
        if here is None:
            self._screen.say_why_not(
                f"This job is still being loaded; press {self._screen.key('jobs.mark')} again."
            )
            return
        if continues:
            marks.set(here, self._painting.marking)
        else:
            marks.toggle(here)
            self._painting.marking = here in marks
        self._painting.painted(here, table.moves)
        self._tell()

    def range(self) -> None:
        """Begins a range at the cursor, or marks what lies between its beginning and the cursor."""
        marks, here = self._board.marks, self._table.cursor_id
        if here is None:
            return
        if marks.anchor is None:
            marks.anchor = here
            start = plain(here)
            paint, cancels = map(self._screen.key, ("jobs.range", "app.back"))
            self._screen.say(
                f"Range from job {start}: move, then {paint} marks it; {cancels} cancels."
            )
            return
        start, marks.anchor = marks.anchor, None
        loaded = self._board.loaded_between(start, here)
        if loaded is not None:
            marks.add(loaded)
            self._tell()
            return

        async def mark() -> None:
            marks.add(await self._board.ids_between(start, here))

        self._in_background(mark)

    def all(self) -> None:
        """Marks all jobs or queues of the list, or none."""
        if self._in_queues:
            self._queues.mark_all()
            self._changed()
        else:
            self._all_jobs()

    def _all_jobs(self) -> None:
        marks, jobs = self._board.marks, self._board.jobs
        if jobs is None:
            return
        if marks.everything is not None or len(marks) >= min(jobs.total, MOST_MARKED):
            marks.clear()
            self._tell()
            return

        async def mark() -> None:
            marks.add(await self._board.all_ids())

        self._in_background(mark)

    def everything(self) -> None:
        """Marks all jobs that the list is about, loaded or not, as a query; again, clears it."""
        marks = self._board.marks
        if marks.everything is not None:
            marks.clear()
            self._tell()
            return

        async def mark() -> None:
            everything = await self._board.everything()
            if self._board.marks is marks:
                marks.clear()
                marks.everything = everything
            self._tell()

        self._screen.in_background(mark, _GROUP)

    def invert(self) -> None:
        """Marks what is not marked."""
        marks = self._board.marks

        async def mark() -> None:
            marks.invert(await self._board.all_ids())

        self._in_background(mark)

    def _in_background(self, work: Callable[[], Awaitable[None]]) -> None:
        async def mark() -> None:
            await work()
            self._tell()
            self._say_how_far()

        self._screen.in_background(mark, _GROUP)

    def _tell(self) -> None:
        self._screen.say("")
        self._changed()

    def _say_how_far(self) -> None:
        """Says that of a long list only the first jobs were marked."""
        jobs = self._board.jobs
        if jobs is not None and jobs.total > MOST_MARKED:
            some = f"{count(MOST_MARKED)} of {count(jobs.total)} jobs"
            every = self._screen.key("jobs.everything")
            words = f"Marked only the first {some}; {every} marks every job that matches."
            self._screen.say(words, "warn")
