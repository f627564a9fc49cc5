"""The inspector: queues on the left, the jobs of a state on the right, the job under the cursor.

Turns keys into work and work into what the widgets show. What it looks at is a `Board`, which knows
no widgets; `LiveScreen` keeps it fresh, `RetryScreen` retries and `MarkScreen` marks.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import ClassVar, Final

from textual import events, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical

from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState, QueueStatus
from qtui.text import count, plain
from qtui.ui.actions import Action, Where, actions_of, bindings
from qtui.ui.dialogs.ask import AskDialog
from qtui.ui.screens.detail import JobDetail
from qtui.ui.screens.marking import MarkScreen
from qtui.ui.widgets.bars import Bar, KeyBar, StateTabs, about, header
from qtui.ui.widgets.cursor_list import CursorList
from qtui.ui.widgets.document import DocumentView
from qtui.ui.widgets.job_table import JobTable
from qtui.ui.widgets.queue_list import QueueList
from qtui.views.pages import JobList

_NARROW: Final = 110
_DEBOUNCE: Final = 0.04
_SAID_FOR: Final = 4.0
"""Seconds after which the next key takes the words in the status line away."""


class Inspector(MarkScreen):
    """The main screen."""

    BINDINGS: ClassVar[list[BindingType]] = list(bindings(Where.INSPECTOR, Where.JOBS, Where.APP))

    DEFAULT_CSS = """
    Inspector {
        layout: vertical;
        & > #header { background: $surface; }
        & > #keys { background: $surface; }
        & #queues { width: 36; }
        &.-narrow #queues { width: 22; }
        & #right { width: 1fr; border-left: solid $surface-lighten-1; }
        & #detail { height: 45%; border-top: solid $surface-lighten-1; }
        &.-opened #queues, &.-opened #table, &.-opened #tabs { display: none; }
        &.-opened #detail { height: 1fr; border-top: none; }
        &.-opened #right { border-left: none; }
    }
    """

    def compose(self) -> ComposeResult:
        yield Bar(id="header")
        with Horizontal():
            yield QueueList(id="queues")
            with Vertical(id="right"):
                yield Bar(id="title")
                yield StateTabs(id="tabs")
                yield JobTable(id="table")
                yield DocumentView(id="detail")
        yield Bar(id="status")
        yield KeyBar(id="keys")

    def on_mount(self) -> None:
        """Starts to look."""
        self.queues = self.query_one(QueueList)
        self.table = self.query_one(JobTable)
        self.detail = self.query_one(DocumentView)
        self._said_at = 0.0
        self.job = JobDetail(self, self.detail)
        self.table.focus()
        self.queues.say("looking for queues …")
        self.say(self.session.note)
        self._draw_header()
        self.start_watching()

    def on_resize(self, event: events.Resize) -> None:
        """A narrow screen leaves the queues less room."""
        self.set_class(event.size.width < _NARROW, "-narrow")
        self._draw_header()
        self._draw_keys()

    def on_key(self) -> None:
        """Somebody is at work: the queue in sight stays, and what was said long ago goes."""
        self.queues.touch()
        old = time.monotonic() - self._said_at > _SAID_FOR
        if old and self.campaign is None and not self.lost:
            self.say("")

    # What is told from outside

    def looked(self, changed: set[QueueKey]) -> None:
        """New counts: shows them, and reads the list again if something happened in it."""
        statuses = self.poll.worst_first()
        self.queues.show(statuses, searching=self.poll.searching)
        if statuses and not self.poll.searching:
            self.queues.touch()
        if not statuses:
            prefixes = " ".join(f"{prefix}:*" for prefix in self.session.settings.prefixes)
            searching = self.poll.searching
            self.queues.say("looking for queues …" if searching else "no queue here")
            self.table.say("" if searching else f"no queue was found under {prefixes}")
        jobs, queue = self.board.jobs, self.board.queue
        if jobs is not None and queue in changed:
            status = self.poll.statuses.get(jobs.queue)
            if jobs.held:
                jobs.live_total = status.count(jobs.state) if status is not None else 0
                self._follow()
            else:
                self._refresh_list(jobs)
            if self.job.is_old:
                self._load_detail()
        self._draw_header()
        self._draw_title()

    def connection_changed(self) -> None:
        """The server went away: what is on the screen stays, marked as stale. Or it came back."""
        self.set_class(bool(self.lost), "-stale")
        if self.lost:
            self.say(self.lost, "bad")
        else:
            self.say("the connection is back")
            self.poll.nudge([self.board.queue] if self.board.queue is not None else [])
        self._draw_header()

    def results_changed(self) -> None:
        """Results stand in rows."""
        self.table.refresh()
        self._draw_title()
        self._draw_keys()

    def say(self, words: str, tone: str = "") -> None:
        """Tells something in the status line."""
        self._said_at = time.monotonic()
        self.query_one("#status", Bar).say([(f" {words}", tone)] if words else [])

    # Lists

    @on(QueueList.Selected)
    def _queue_selected(self, message: QueueList.Selected) -> None:
        self._show_list(self.board.look_at(message.queue))

    @on(StateTabs.Chosen)
    def _tab_chosen(self, message: StateTabs.Chosen) -> None:
        self.action_state(message.state)

    def action_state(self, state: str) -> None:
        """Shows the jobs of another state."""
        self._show_list(self.board.look_at(self.board.queue, JobState(state)))

    def action_order(self) -> None:
        """Turns the list round."""
        self._show_list(
            self.board.look_at(self.board.queue, newest_first=not self.board.newest_first)
        )

    def _show_list(self, jobs: JobList | None) -> None:
        self.table.show(jobs, self.board.marks, self.board.verdicts)
        self.table.say("reading …")
        self._draw_title()
        self._draw_keys()
        self._load_detail()
        if jobs is not None:
            self._refresh_list(jobs)

    def _refresh_list(self, jobs: JobList, *, let_go: bool = False) -> None:
        async def read() -> None:
            first, last = self.table.in_sight
            anchor = self.table.cursor_id
            if let_go and anchor is not None and jobs.has_left(anchor):
                anchor = None
            moved = await jobs.refresh(first, last, anchor)
            if jobs is self.board.jobs:
                now, place = self.table.cursor_id, moved.anchor
                if anchor is not None and now != anchor:  # somebody has moved it meanwhile
                    place = jobs.place(now) if now is not None else None
                self.table.rows_changed(place, moved.shift)
                self.table.say(f"no {jobs.state} jobs")
                self._draw_title()

        self.in_background(read, "list")

    @on(JobTable.Wanted)
    def _rows_wanted(self) -> None:
        jobs = self.board.jobs

        async def read() -> None:
            await asyncio.sleep(_DEBOUNCE)
            if jobs is not None and await jobs.load(*self.table.in_sight):
                self.table.rows_changed()

        if jobs is not None and jobs.loaded:
            self.in_background(read, "rows")

    def _follow(self) -> None:
        ids = self.board.undecided(*self.table.in_sight)

        async def read() -> None:
            if await self.board.follow(ids):
                self.results_changed()

        if ids:
            self.in_background(read, "follow")

    # The job under the cursor

    @on(JobTable.CursorMoved)
    def _cursor_moved(self) -> None:
        self._load_detail()
        self._draw_keys()

    def _load_detail(self) -> None:
        board, roomy = self.board, self.has_class("-opened")
        self.job.show(board.queue, self.table.cursor_id, board.state, roomy=roomy)

    @on(DocumentView.LoadRequested)
    def _load_requested(self, message: DocumentView.LoadRequested) -> None:
        self.job.load(message.pending.what)
        self._load_detail()

    @on(CursorList.Opened)
    def _opened(self, message: CursorList.Opened) -> None:
        if message.control is self.queues:
            self.table.focus()
        elif self.table.cursor_id is not None:
            self._open(True)

    def _open(self, opened: bool) -> None:
        """Gives the job under the cursor the whole screen, or takes it back."""
        self.set_class(opened, "-opened")
        (self.detail if opened else self.table).focus()
        self._load_detail()
        self._draw_title()
        self._draw_keys()

    def action_copy_id(self) -> None:
        """Copies the job's id."""
        if self.table.cursor_id is not None:
            self._copy(self.table.cursor_id)
            self.say(f"copied the id {plain(self.table.cursor_id)}")

    def _copy(self, text: str) -> None:
        try:
            self.app.copy_to_clipboard(text)
        except UnicodeEncodeError:  # not UTF-8 in Redis: then as it is shown
            self.app.copy_to_clipboard(plain(text))

    def action_copy_json(self) -> None:
        """Copies the job's hash, as far as it is loaded."""
        if self.job.job is not None:
            self.app.copy_to_clipboard(self.job.as_json())
            self.say(f"copied job {plain(self.job.job.id)} as JSON")

    # Marks and retry

    def marking_refused(self) -> str:
        """Why nothing can be marked now; empty when it can."""
        if self.focused is self.queues:
            return "marks are for jobs: tab goes to them"
        return super().marking_refused()

    def marks_changed(self) -> None:
        """Other jobs are marked now."""
        super().marks_changed()
        self.table.refresh()
        self._draw_keys()

    # Staying fresh

    def action_freeze(self) -> None:
        """Freezes the list, or thaws it."""
        jobs = self.board.jobs
        if jobs is None:
            return
        if jobs.held:
            self._thaw(jobs)
        else:
            jobs.hold()
        self._draw_title()

    def _thaw(self, jobs: JobList) -> None:
        """Lets go of what is held, results too, and reads the list anew."""
        self.board.forget_results()
        jobs.thaw()
        self._refresh_list(jobs, let_go=True)

    def action_refresh_now(self) -> None:
        """Reads everything again and lets go of results that stand in rows."""
        if self.is_busy("search"):
            self.poll.nudge()
        else:
            again: Callable[[], Awaitable[None]] = self.search_again
            self.run_worker(again, group="search", exclusive=True, exit_on_error=False)
        if self.board.jobs is not None:
            self._thaw(self.board.jobs)
        self._load_detail()

    # The bars

    def _draw_header(self) -> None:
        session, settings = self.session, self.session.settings
        mode = "live" if self.poll.hears else f"every {settings.refresh:g} s"
        mode = "lost, retrying" if self.lost else mode if settings.refresh else "by hand: ctrl+r"
        prefixes = " ".join(settings.prefixes)
        where = session.target.shown + (f"  {prefixes}:*" if settings.prefixes != ("bull",) else "")
        server = f"{session.server.name} {session.server.version}".strip()
        right = [(" READ-ONLY ", "badge")] if session.read_only else []
        room = self.size.width - 12 * len(right)
        left = header(settings.profile, where, server, self.poll.round_trip, mode, room)
        self.query_one("#header", Bar).say(left, right)

    def _status(self) -> QueueStatus | None:
        return self.poll.statuses.get(self.board.queue) if self.board.queue is not None else None

    def _draw_title(self) -> None:
        status = self._status()
        self.query_one(StateTabs).show(status, self.board.state)
        if status is None:
            self.query_one("#title", Bar).say([])
            return
        left = [(f" {plain(status.queue.name)}  ", "strong")]
        row = self.table.cursor_row
        if self.has_class("-opened") and row is not None:
            left.append((f"· {plain(row.id)} {plain(row.name)}  ", "strong"))
        if status.paused:
            left.append((" paused ", "warn"))
        left.append((f" {about(status, self.poll.workers)}", "faint"))
        self.query_one("#title", Bar).say(left, self._order())

    def _order(self) -> list[tuple[str, str]]:
        right = [] if self.board.newest_first else [(" oldest first ", "faint")]
        jobs = self.board.jobs
        if jobs is not None and jobs.held:
            word = "results" if self.board.verdicts else "frozen"
            changes = f" +{count(jobs.changes)}" if jobs.changes else ""
            right.append((f" {word}{changes} · ctrl+r ", "warn"))
        return right

    def _draw_keys(self) -> None:
        marks = len(self.board.marks)
        here = [Where.JOBS, Where.MOVE, Where.INSPECTOR]
        if self.has_class("-opened") or self.focused is self.detail:
            here = [Where.MOVE, Where.JOBS]
        elif self.focused is self.queues:
            here = [Where.MOVE, Where.INSPECTOR, Where.JOBS]
        read_only = self.session.read_only
        actions: list[Action] = [one for one in actions_of(*here, read_only=read_only) if one.bar]
        if not self.board.state.is_finished:
            actions = [one for one in actions if not one.writes]
        always = [one for one in actions_of(Where.APP, read_only=read_only) if one.bar]
        lead = f"{count(marks)} marked" if marks else ""
        self.query_one(KeyBar).show(lead, actions, always, self.session.settings.keys)

    def on_descendant_focus(self) -> None:
        """Other keys work in another part of the screen."""
        self._draw_keys()

    # Ways out

    def action_back(self) -> None:
        """One step back: out of the open job, the range, the detail, the list."""
        if self.has_class("-opened"):
            self._open(False)
        elif self.board.marks.anchor is not None:
            self.board.marks.anchor = None
            self.say("")
        elif self.focused is self.detail:
            self.table.focus()
        else:
            self.queues.focus()

    def action_next_pane(self) -> None:
        """Goes on to the next part of the screen."""
        self.focus_next()

    def action_previous_pane(self) -> None:
        """Goes back to the part before."""
        self.focus_previous()

    def action_back_or_quit(self) -> None:
        """Goes back from an open job; from the list it quits."""
        if self.has_class("-opened"):
            self.action_back()
        elif self.campaign is None:
            self.app.exit()
        else:
            question = "A retry is under way. Stop it after the current batch, and quit?"
            self.app.push_screen(AskDialog(question, "stop and quit", "go on"), self._leave)

    def _leave(self, stop: bool | None) -> None:
        if stop:
            self.quit_after_campaign()
