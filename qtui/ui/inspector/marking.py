"""The part of the inspector that marks: one job, a range, all, the others. Marks are ids."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from textual import events

from qtui.text import count, plain
from qtui.ui.inspector.live import LiveScreen
from qtui.ui.inspector.retrying import Retrying
from qtui.ui.keys import keys_by_id
from qtui.ui.session import Session
from qtui.ui.widgets.job_table import JobTable
from qtui.views.lists.board import Board
from qtui.views.lists.marks import MOST_MARKED, Painting

_GROUP = "mark"


class MarkScreen(LiveScreen):
    """Marks jobs of the list on its board, and plans retries of what is marked."""

    table: JobTable
    retrying: Retrying

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.board = Board(session.client, session.settings.scan_rate)
        self._painting = Painting()
        self._mark_keys = keys_by_id(session.settings.keys, "jobs.mark")

    def on_key(self, event: events.Key) -> None:
        """Any other key ends a row of presses of ``space``."""
        if event.key not in self._mark_keys:
            self._painting.stop()

    # Hooks

    def marking_refused(self) -> str:
        """Why nothing can be marked now; empty when it can."""
        if self.session.read_only:
            return "read-only: retry is off, so there is nothing to mark jobs for"
        if not self.board.state.is_finished:
            return f"{self.board.state} jobs can't be retried, so there is nothing to mark"
        return "" if self.board.jobs is not None else "there is no list to mark jobs in"

    def marks_changed(self) -> None:
        """Other jobs are marked now."""
        self.say("")

    def _say_how_far(self) -> None:
        """All and the others of a long list are those among its first."""
        jobs = self.board.jobs
        if jobs is not None and jobs.total > MOST_MARKED:
            words = (
                f"of {count(jobs.total)} jobs only the first {count(MOST_MARKED)} were looked at"
            )
            self.say(words, "warn")

    # Keys

    def _may_mark(self) -> bool:
        refused = self.marking_refused()
        if refused:
            self.say(refused, "warn")
        return not refused

    def _one_by_one(self) -> bool:
        """Whether jobs can be marked one by one: not while everything is."""
        if self.board.marks.everything is not None:
            self.say("everything is marked: + lets go of that first", "warn")
        return self.board.marks.everything is None

    def _mark_in_background(self, work: Callable[[], Awaitable[None]]) -> None:
        async def mark() -> None:
            await work()
            self.marks_changed()
            self._say_how_far()

        self.in_background(mark, _GROUP)

    def action_mark(self) -> None:
        """Marks the job under the cursor, or takes its mark away; again, does so to the next."""
        table, marks = self.table, self.board.marks
        if not self._may_mark() or not self._one_by_one():
            return
        goes_on = self._painting.goes_on(table.cursor_id, table.moves)
        if goes_on and table.cursor == table.length - 1:
            self.say("this is the last job of the list")
            return
        if goes_on:
            table.action_cursor_down()
        here = table.cursor_id
        if here is None:
            self.say("this job is still being read: press space again")
            return
        if goes_on:
            marks.set(here, self._painting.marking)
        else:
            marks.toggle(here)
            self._painting.marking = here in marks
        self._painting.painted(here, table.moves)
        self.marks_changed()

    def action_range(self) -> None:
        """Begins a range at the cursor, or marks what lies between its beginning and the cursor."""
        marks, here = self.board.marks, self.table.cursor_id
        if not self._may_mark() or not self._one_by_one() or here is None:
            return
        if marks.anchor is None:
            marks.anchor = here
            self.say(f"a range from {plain(here)}: move, then v again marks it, esc leaves it")
            return
        start, marks.anchor = marks.anchor, None
        loaded = self.board.loaded_between(start, here)
        if loaded is not None:
            marks.add(loaded)
            self.marks_changed()
            return

        async def mark() -> None:
            marks.add(await self.board.ids_between(start, here))

        self._mark_in_background(mark)

    def action_mark_all(self) -> None:
        """Marks all jobs of the list, or none."""
        marks, jobs = self.board.marks, self.board.jobs
        if not self._may_mark() or jobs is None:
            return
        if marks.everything is not None or len(marks) >= min(jobs.total, MOST_MARKED):
            marks.clear()
            self.marks_changed()
            return

        async def mark() -> None:
            marks.add(await self.board.all_ids())

        self._mark_in_background(mark)

    def action_everything(self) -> None:
        """Marks all that the list is about, shown or not, as a query; again, lets go."""
        marks = self.board.marks
        if not self._may_mark():
            return
        if marks.everything is not None:
            marks.clear()
            self.marks_changed()
            return

        async def mark() -> None:
            everything = await self.board.everything()
            if self.board.marks is marks:
                marks.clear()
                marks.everything = everything
            self.marks_changed()

        self.in_background(mark, _GROUP)

    def action_retry_all(self) -> None:
        """Plans a retry of everything that the list is about."""
        self.retrying.plan_everything()

    def action_invert(self) -> None:
        """Marks what is not marked."""
        marks = self.board.marks

        async def mark() -> None:
            marks.invert(await self.board.all_ids())

        if self._may_mark() and self._one_by_one():
            self._mark_in_background(mark)

    def action_retry(self) -> None:
        """Plans a retry of what is marked, or of the job under the cursor."""
        if self.is_busy(_GROUP):
            self.say("still marking: press r again when it is done", "warn")
        else:
            self.retrying.plan_chosen(self.board.chosen(self.table.cursor_id))
