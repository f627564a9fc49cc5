"""The visible list: shows it, searches it, and keeps it fresh."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState
from qtui.text import plain
from qtui.ui.inspector.live import LiveScreen
from qtui.ui.widgets.job_table import JobTable
from qtui.views.lists.board import Board
from qtui.views.lists.found_list import FoundList
from qtui.views.lists.job_list import JobList
from qtui.views.lists.listing import Listing, SearchStopped

_DEBOUNCE: Final = 0.04
_LOCKS_EVERY: Final = 1.0
"""Seconds between two looks at the locks of active jobs."""

_DRAWN_EVERY: Final = 0.1
"""Seconds between two drawings of a list that grows."""

HUNT: Final = "hunt"

_BY_TIME: Final = frozenset(JobState) - {JobState.DELAYED, JobState.PRIORITIZED}
"""States whose newest jobs come in at the top of a list, newest first."""


class ListPane:
    """Brings the board's list into the table, and does the reading that this needs.

    Args:
        screen: runs the work in the background.
        board: what is looked at.
        table: where it is shown.
        turned: is called when another list is shown.
        read: is called when the list was read.
        changed: is called when the bars around the list have to be drawn again.
    """

    def __init__(
        self,
        screen: LiveScreen,
        board: Board,
        table: JobTable,
        *,
        turned: Callable[[], None],
        read: Callable[[], None],
        changed: Callable[[], None],
    ) -> None:
        self._screen = screen
        self._board = board
        self._table = table
        self._turned = turned
        self._read = read
        self._changed = changed
        self._wants_next = False
        self._stop_asked = False
        self._wanted_id: str | None = None
        """The job to which the cursor is to return when it is found again."""
        self._shown: Listing | None = None
        self._places: dict[tuple[QueueKey, JobState, str], str] = {}
        """The job under the cursor of each list that was left, unless it was the first row."""
        self._newer = 0
        self._may_hunt = asyncio.Event()
        self._may_hunt.set()
        self._looked_at_locks = float("-inf")

    def show(self, jobs: Listing | None) -> None:
        """Shows another list, at the job that was under its cursor when it was left."""
        self._leave()
        self._shown, self._wants_next, self._newer = jobs, False, 0
        self._wanted_id = self._places.get(self._name(jobs)) if jobs is not None else None
        self._screen.cancel(HUNT)
        self._stop_asked = False
        self._table.show(jobs, self._board.marks, self._board.verdicts, self._board.stalled)
        self._looked_at_locks = float("-inf")
        self._table.say("reading …")
        self._changed()
        self._turned()
        if isinstance(jobs, FoundList):
            self._hunt(jobs)
        elif jobs is not None:
            self._refresh(jobs)

    def _leave(self) -> None:
        """Remembers the job under the cursor of the list that is shown."""
        if self._shown is None or (self._wanted_id is not None and not self._table.cursor):
            return
        here = self._table.cursor_id if self._table.cursor else None
        if here is not None:
            self._places[self._name(self._shown)] = here
        else:
            self._places.pop(self._name(self._shown), None)

    def _name(self, jobs: Listing) -> tuple[QueueKey, JobState, str]:
        wanted = jobs.wanted.source if isinstance(jobs, FoundList) else ""
        return jobs.queue, jobs.state, wanted

    @property
    def newer(self) -> int:
        """How many jobs came in above since the cursor left the first row."""
        self._newer = min(self._newer, self._table.cursor)
        return self._newer

    def _follows(self, jobs: Listing) -> bool:
        """Whether the list shows its newest job under the cursor, whichever that is."""
        return _grows_at_top(jobs) and self._wanted_id is None and self._table.follows

    def refresh(self) -> None:
        """Reads the list anew, for something has happened in it."""
        jobs = self._board.jobs
        if jobs is None:
            return
        if jobs.held or isinstance(jobs, FoundList):
            self._tell_live_total(jobs)
        if not jobs.held and not self._screen.is_busy(HUNT):
            self._refresh(jobs)

    def look_at_locks(self) -> None:
        """Looks which active jobs are stalled: a worker that dies changes nothing in the list."""
        jobs, now = self._board.jobs, time.monotonic()
        if jobs is None or jobs.state is not JobState.ACTIVE or not jobs.loaded:
            return
        if now - self._looked_at_locks < _LOCKS_EVERY:
            return
        self._looked_at_locks = now

        async def look() -> None:
            if await self._board.look_for_stalled(*self._table.visible_range):
                self._table.refresh()

        self._screen.in_background(look, "locks")

    def load_visible(self) -> None:
        """Reads the visible rows that are not loaded yet."""
        jobs = self._board.jobs

        async def read() -> None:
            await asyncio.sleep(_DEBOUNCE)
            if jobs is not None and await jobs.load(*self._table.visible_range):
                self._table.rows_changed()
                self._looked_at_locks = float("-inf")
                self.look_at_locks()

        if jobs is not None and jobs.loaded:
            self._screen.in_background(read, "rows")

    def freeze(self) -> None:
        """Freezes the list, or thaws it."""
        jobs = self._board.jobs
        if jobs is None:
            return
        if not jobs.held:
            jobs.hold()
        elif isinstance(jobs, FoundList) and not self._board.verdicts:
            jobs.thaw()
            self._refresh(jobs)  # what was found need not be searched again
        else:
            self.thaw()
        self._changed()

    def read_again(self) -> None:
        """Reads the list anew because it was asked for; a hunt starts again.

        Results of a retry stay where they are, and a list that was frozen stays frozen.
        """
        jobs = self._board.jobs
        if self._board.verdicts or jobs is None:
            return
        if jobs.held and not isinstance(jobs, FoundList):
            jobs.thaw()
            self._refresh(jobs, let_go=True, hold=True)
        else:
            self.thaw()

    def thaw(self) -> None:
        """Closes results and thaws the list, and reads it anew; a hunt starts again."""
        jobs = self._board.jobs
        self._board.forget_results()
        if isinstance(jobs, FoundList):
            self.show(self._board.look_for(self._board.filter))
        elif jobs is not None:
            jobs.thaw()
            self._refresh(jobs, let_go=True)
        self._changed()

    def next_match(self) -> None:
        """Goes to the next job that was found, as soon as it is."""
        jobs = self._board.found
        if jobs is None:
            return
        if self._table.cursor < jobs.total - 1:
            self._table.action_cursor_down()
        elif jobs.searching:
            self._wants_next = True
            self._screen.say(
                "Still searching; the cursor moves to the next match once it is found."
            )
        else:
            self._screen.say_why_not("This is the last match.")

    def let_others_hunt(self, others: bool) -> None:
        """Pauses the search while another screen searches, so that they do not add up."""
        if others:
            self._may_hunt.clear()
        else:
            self._may_hunt.set()

    def resume_hunt(self) -> None:
        """Takes up a hunt that a lost connection has cut off."""
        jobs = self._board.found
        if jobs is not None and jobs.is_cut_off and not self._stop_asked:
            self._hunt(jobs)

    def stop_hunt(self) -> bool:
        """Stops a hunt that is under way, keeping what it found; False if there is none."""
        jobs = self._board.found
        if jobs is None or not jobs.searching:
            return False
        self._screen.cancel(HUNT)
        jobs.searching = False
        self._stop_asked = True
        self._changed()
        return True

    def _hunt(self, jobs: FoundList) -> None:
        async def hunt() -> None:
            drawn = 0.0
            try:
                async for _ in jobs.search():
                    if jobs is not self._board.jobs:
                        return
                    await self._may_hunt.wait()
                    # The first finds are shown at once.
                    if not drawn or time.monotonic() - drawn > _DRAWN_EVERY:
                        self._grown(jobs)
                        drawn = time.monotonic() if jobs.total else 0.0
            except SearchStopped as error:
                self._screen.say(f"Search stopped: {plain(str(error))}", "bad")
            finally:
                if jobs is self._board.jobs:
                    self._tell_live_total(jobs)
                    self._grown(jobs)
                    self._read()
            if jobs.finished and jobs is self._board.jobs:
                self._refresh(jobs)  # what has finished meanwhile

        self._screen.in_background(hunt, HUNT)

    def _tell_live_total(self, jobs: Listing) -> None:
        status = self._screen.poll.statuses.get(jobs.queue)
        jobs.live_total = status.count(jobs.state) if status is not None else 0

    def _grown(self, jobs: FoundList) -> None:
        self._table.say(_of_empty(jobs))
        back = jobs.place(self._wanted_id) if self._wanted_id is not None else None
        self._table.rows_changed(back)
        if back is not None:
            self._wanted_id = None
        if self._wants_next and self._table.cursor < jobs.total - 1:
            self._wants_next = False
            self._screen.say("")
            self._table.action_cursor_down()
        self._changed()

    def _refresh(self, jobs: Listing, *, let_go: bool = False, hold: bool = False) -> None:
        async def read() -> None:
            first, last = self._table.visible_range
            back_to = self._wanted_id if not isinstance(jobs, FoundList) else None
            follows = self._follows(jobs)
            anchor = None if follows else back_to or self._table.cursor_id
            if let_go and anchor is not None and jobs.has_left(anchor):
                anchor = None
            try:
                moved = await jobs.refresh(first, last, anchor)
            except SearchStopped as error:
                self._screen.say(f"Search stopped: {plain(str(error))}", "bad")
                return
            if hold:
                jobs.hold()
            if jobs is self._board.jobs:
                if back_to is not None:
                    self._wanted_id = None
                now, place, shift = self._table.cursor_id, moved.anchor, moved.shift
                # The cursor may have been moved meanwhile, or pinned to its job.
                followed = follows and self._follows(jobs)
                if back_to is None and now != anchor and not followed:
                    place = jobs.place(now) if now is not None else None
                    shift = place or 0 if follows else shift  # it was on the first row
                if back_to is None and _grows_at_top(jobs):
                    self._newer = max(0, self.newer + shift)
                self._table.rows_changed(place, moved.shift, followed=followed)
                self._table.say(_of_empty(jobs))
                self._changed()
                self._read()
                self.look_at_locks()

        self._screen.in_background(read, "list")


def _grows_at_top(jobs: Listing) -> bool:
    return isinstance(jobs, JobList) and jobs.newest_first and jobs.state in _BY_TIME


def _of_empty(jobs: Listing) -> str:
    """What an empty table says."""
    if not isinstance(jobs, FoundList):
        unread = jobs.unread if isinstance(jobs, JobList) else ""
        return plain(unread) or f"no {jobs.state} jobs"
    if jobs.searching:
        return "searching …"
    return "no matches" if jobs.finished else "no matches so far"
