"""The inspector: queues on the left, the jobs of a state on the right, the job under the cursor.

Puts its parts together, and hands each key and each message on to one of them. What it looks at is
a `Board`, which knows no widgets; `LiveScreen` keeps it fresh. The list is the work of a
`ListPane`, going to another list that of `Lists`, filters that of a `Finder`, error groups that of
`GroupedErrors`, marks that of a `Marking`, retries that of a `Retrying`, other screens that of an
`Opening`, what a key acts on that of its `Subject`, the ways out that of a `Leaving`, the lines
around the list that of its `Surroundings`.

It is long since Textual looks for an action among the screen's own methods, by its name: there is
one for each key, which says in a line whose work it is.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, Final

from textual import events, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from typing_extensions import override

from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState
from qtui.text import plain
from qtui.ui.actions import Situation, Where
from qtui.ui.details.job import JobDetail
from qtui.ui.inspector.alarms import Alarms
from qtui.ui.inspector.campaigns import Campaigns
from qtui.ui.inspector.finding import Finder
from qtui.ui.inspector.list_pane import ListPane
from qtui.ui.inspector.lists import Lists
from qtui.ui.inspector.live import LiveScreen
from qtui.ui.inspector.marking import Marking
from qtui.ui.inspector.subject import Subject
from qtui.ui.inspector.surroundings import Surroundings
from qtui.ui.inspector.timeline_pane import TimelinePane
from qtui.ui.keys import bindings
from qtui.ui.session import Session
from qtui.ui.terminal import LateScreen, TerminalApp
from qtui.ui.widgets.bars import Banners, Bar, KeyBar, StateTabs, StatusLine
from qtui.ui.widgets.cursor_list import OLDER_EVERY, CursorList
from qtui.ui.widgets.document import DocumentView
from qtui.ui.widgets.job_table import JobTable
from qtui.ui.widgets.queue_list import QueueList
from qtui.ui.widgets.timeline import Timeline
from qtui.ui.widgets.typed_line import TypedLine
from qtui.views.lists.board import Board
from qtui.views.lists.listing import Listing
from qtui.views.lists.saying import Saying
from qtui.views.queues.bursts import Burst

if TYPE_CHECKING:
    from qtui.ui.inspector.copying import Copying
    from qtui.ui.inspector.error_groups import GroupedErrors
    from qtui.ui.inspector.leaving import Leaving
    from qtui.ui.inspector.opening import Opening
    from qtui.ui.inspector.plans.changing import Changing
    from qtui.ui.inspector.plans.editing import Editing
    from qtui.ui.inspector.plans.retrying import Retrying
    from qtui.ui.inspector.plans.undoing import Undoing

_TALL: Final = 40
"""Lines of a screen on which the timeline has three."""

FIRST_ROWS: Final = 0.5
"""Seconds for which the first frame waits for the first rows."""


async def _nothing() -> None:
    """Everything is imported already."""


class Inspector(LateScreen[None], LiveScreen):
    """The main screen.

    Args:
        session: the connection, the settings, and who may write.
        typed_ahead: keys that were pressed before there was a screen; pressed in the first queue.
        behind: imports, once there are rows, what is needed when a key is pressed.
    """

    BINDINGS: ClassVar[list[BindingType]] = list(
        bindings(Where.INSPECTOR, Where.JOBS, Where.QUEUE, Where.APP)
    )
    PARTS = (Where.JOBS, Where.INSPECTOR, Where.QUEUE, Where.APP)

    DEFAULT_CSS = """
    Inspector {
        layout: vertical;
        & > #header { background: $surface; }
        & > #keys { background: $surface; }
        & #timeline { height: 1; padding-right: 1; }
        &.-tall #timeline { height: 3; }
        & #right { width: 1fr; border-left: solid $surface-lighten-1; }
        & #detail { height: 45%; border-top: solid $surface-lighten-1; }
        &.-opened #queues, &.-opened #table, &.-opened #tabs, &.-opened #timeline,
        &.-opened #wanted { display: none; }
        &.-opened #detail { height: 1fr; border-top: none; }
        &.-opened #right { border-left: none; }
    }
    """

    def __init__(
        self,
        session: Session,
        typed_ahead: Sequence[events.Key] = (),
        behind: Callable[[], Awaitable[None]] = _nothing,
    ) -> None:
        super().__init__(session)
        self.board = Board(session.client, session.settings.scan_rate)
        self._typed_ahead = typed_ahead
        self._behind = behind
        self._list_read = asyncio.Event()
        """Set when the first list is on the screen, or there is none to read."""

    @override
    def compose(self) -> ComposeResult:
        yield Bar(id="header")
        yield Banners(id="banners")
        with Horizontal():
            yield QueueList(id="queues")
            with Vertical(id="right"):
                yield Bar(id="title")
                yield StateTabs(id="tabs")
                yield Timeline(id="timeline")
                yield Bar(id="wanted")
                yield JobTable(id="table")
                yield DocumentView(id="detail")
        yield TypedLine(id="filter")
        yield StatusLine(id="status")
        yield KeyBar(id="keys")

    def on_mount(self) -> None:
        """Starts to look; the first rows are in the first frame, if they come in time."""
        self.hold_frames(FIRST_ROWS)
        self.queues = self.query_one(QueueList)
        self.table = self.query_one(JobTable)
        self.detail = self.query_one(DocumentView)
        self.timeline = self.query_one(Timeline)
        self._saying = Saying()
        self._around = Surroundings(self.session, self.board, self.poll, self.bursts)
        self.bars = TimelinePane(self, self.board, self.timeline)
        self.job = JobDetail(self, self.detail, lambda: self.poll.facts)
        self.list = ListPane(
            self,
            self.board,
            self.table,
            turned=self._turned,
            read=self._rows_read,
            changed=self._draw_around,
        )
        self.campaigns = Campaigns(self, self.board, self.query_one(Banners), self._results_changed)
        self.marking = Marking(
            self, self.board, self.table, self.queues, changed=self._marks_changed
        )
        self.subject = Subject(
            self, self.board, self.campaigns, self.marking, self.job, self._around
        )
        self.alarms = Alarms(self, self.board, said=lambda: self._saying.words)
        self.lists = Lists(self.board, self.list, self.table, self.queues)
        self.finder = Finder(
            self,
            self.board,
            self.query_one(TypedLine),
            self.lists,
            self.list,
            close=self._close_job,
        )
        self.query_one(TypedLine).close()
        self.table.focus()
        self.queues.say("looking for queues …")
        self.say(self.session.note)
        self._draw_header()
        self.poll.visible = self._visible_queues
        self.poll.subject = lambda: self.board.queue
        self.start_watching()
        self.set_interval(OLDER_EVERY, self._grow_older)
        self.start(self._settle, "watch")

    def _rows_read(self) -> None:
        self.show_frames()
        self.call_after_refresh(self._list_read.set)

    async def _settle(self) -> None:
        """Imports what the first keys need, once there are rows; then looks into the journal."""
        await self._list_read.wait()
        await self._behind()
        await self.undoing.look_back()
        await self.retrying.tell_unfinished()

    @override
    def look_back(self) -> None:
        """Looks whether anything can be undone."""
        self.start(self.undoing.look_back, "journal", alone=True)

    # Parts that only keys need: made, and their modules imported, when the first of them is pressed

    @cached_property
    def changing(self) -> Changing:
        """The plans of actions other than retries."""
        from qtui.ui.inspector.plans.changing import Changing

        return Changing(self, self.board, self.campaigns)

    @cached_property
    def undoing(self) -> Undoing:
        """The plans of undos."""
        from qtui.ui.inspector.plans.undoing import Undoing

        return Undoing(self, self.campaigns, self.changing)

    @cached_property
    def retrying(self) -> Retrying:
        """The plans of retries, and the journal."""
        from qtui.ui.inspector.plans.retrying import Retrying

        return Retrying(self, self.board, self.campaigns, self.undoing)

    @cached_property
    def editing(self) -> Editing:
        """Edits and copies of the job under the cursor."""
        from qtui.ui.inspector.plans.editing import Editing

        return Editing(self, self.board, self.changing)

    @cached_property
    def opening(self) -> Opening:
        """The screens about the queue."""
        from qtui.ui.inspector.opening import Opening

        return Opening(
            self,
            self.board,
            self.queues,
            self.lists,
            self.finder,
            self.campaigns,
            self.changing,
            self.undoing,
            self.retrying,
        )

    @cached_property
    def groups(self) -> GroupedErrors:
        """The error groups."""
        from qtui.ui.inspector.error_groups import GroupedErrors

        return GroupedErrors(
            self,
            self.board,
            self.list,
            self.lists,
            self.retrying,
            running=lambda queue: self.campaigns.on(queue) is not None,
        )

    @cached_property
    def copying(self) -> Copying:
        """What is sent to the clipboard."""
        from qtui.ui.inspector.copying import Copying

        return Copying(self, self.board, self.table, self.subject)

    @cached_property
    def leaving(self) -> Leaving:
        """The ways out."""
        from qtui.ui.inspector.leaving import Leaving

        return Leaving(
            self,
            self.board,
            self.subject,
            self.campaigns,
            self.list,
            self.lists,
            close=self._close_job,
        )

    # The screen as a whole

    @override
    def on_screen_resume(self) -> None:
        """A screen over this one was closed: what was done there may be undone."""
        if self._list_read.is_set():
            self.look_back()

    @override
    def on_resize(self, event: events.Resize) -> None:
        """Divides the screen anew."""
        self.set_class(event.size.height >= _TALL, "-tall")
        self.queues.fit_screen()
        self._draw_header()

    def on_key(self, event: events.Key) -> None:
        """Keeps the queue that is shown, and clears what was said some time ago."""
        self.marking.key_pressed(event.key)
        self.queues.touch_by_key(event.time)
        self._pin()
        if self._saying.is_old and not self.lost and not self.finder.is_open:
            self.say("")
        self._saying.user_acts()

    def on_click(self) -> None:
        """A click is about the job that is seen."""
        self._pin()
        self._saying.user_acts()

    def _pin(self) -> None:
        """Keeps the cursor on its job while one works on it; moving lets it follow again."""
        self.table.pin()
        if self.job.id != self.table.cursor_id:
            self._load_detail()

    def _visible_queues(self) -> list[QueueKey]:
        listed = [self.board.queue] if self.board.queue is not None else []
        return listed + self.queues.visible_queues

    def _grow_older(self) -> None:
        self._draw_header()
        self._draw_title()
        self._name_window()
        self.queues.show_bursts(self.bursts.all(time.time() * 1000))
        if self.job.id != self.table.cursor_id:
            self._load_detail()
        self.job.grow_older()
        if self.session.settings.refresh and not self.lost:
            self.bars.grow_older()

    # What the app reports

    def looked(self, changed: set[QueueKey]) -> None:
        """New counts: shows them, and reads the list again if something happened in it."""
        statuses = self.poll.worst_first()
        self.queues.show(statuses, searching=self.poll.searching)
        self.queues.note(self.poll.statuses, changed)
        self.queues.fit_screen()
        # A look that began before the last queue was found may end after the search does.
        if statuses and not self.poll.searching and self.poll.all_counted:
            self.queues.touch()
        if not statuses:
            prefixes = " ".join(f"{prefix}:*" for prefix in self.session.settings.prefixes)
            searching = self.poll.searching or not self.poll.all_counted
            self.queues.say("looking for queues …" if searching else "no queues")
            none = f"No queues under {prefixes}"
            self.table.say("" if searching else f"{none}. {self.poll.elsewhere}".strip())
            if not searching:
                self._rows_read()
        if self.board.queue in changed:
            self.list.refresh()
            self.bars.read()
            if self.job.is_old:
                self._load_detail()
        self.list.look_at_locks()
        self._draw_header()
        self._draw_around()

    @override
    def bursts_changed(self, begun: Sequence[Burst]) -> None:
        """Shows bursts of failures, and calls one who looks elsewhere when some begin."""
        self.queues.show_bursts(self.bursts.all(time.time() * 1000))
        self._draw_title()
        self._name_window()
        self.alarms.look(begun)

    def _name_window(self) -> None:
        if isinstance(self.app, TerminalApp):
            self.app.set_window_title(self._around.window_title())

    def connection_changed(self) -> None:
        """The server went away: what is on the screen stays, marked as stale. Or it came back."""
        self.set_class(bool(self.lost), "-stale")
        self.show_frames()
        if self.lost:
            self.say(self.lost, "bad")
        else:
            self.say("Connected again.")
            self.list.resume_hunt()
            self.poll.nudge([self.board.queue] if self.board.queue is not None else [])
        self._draw_header()

    def _results_changed(self) -> None:
        self.table.refresh()
        if not self.campaigns.under_way:  # an edit changes what is shown of the job
            self._load_detail()
        self._draw_title()
        self.draw_keys()

    @override
    def say(self, words: str, tone: str = "") -> None:
        """Shows a sentence in the status line, for some time at least."""
        self._saying.say(words, None if self.poll.searching else self.board.jobs)
        super().say(words, tone)

    # Lists

    @on(QueueList.Selected)
    def _queue_selected(self, message: QueueList.Selected) -> None:
        self._show(self.board.look_at(message.queue))
        keys, self._typed_ahead = self._typed_ahead, ()
        for one in keys:  # as the terminal's: what a screen sends does not bubble beyond it
            self.app.post_message(events.Key(one.key, one.character).set_sender(self.app))

    @on(StateTabs.Chosen)
    def _tab_chosen(self, message: StateTabs.Chosen) -> None:
        self.action_state(message.state)

    def action_state(self, state: str) -> None:
        """Shows the jobs of another state."""
        self._show(self.board.look_at(self.board.queue, JobState(state)))

    def action_order(self) -> None:
        """Turns the list round."""
        self._show(self.board.look_at(self.board.queue, newest_first=not self.board.newest_first))

    def _show(self, jobs: Listing | None) -> None:
        self.list.show(jobs)

    def _turned(self) -> None:
        stays = self._saying.is_true_of(self.board.jobs, self.poll.statuses)
        if not stays and not self.lost:
            self.say("")
        self._load_detail()
        self.bars.turned()

    @on(JobTable.Wanted)
    def _rows_wanted(self) -> None:
        self.list.load_visible()

    # Finding

    def action_filter(self) -> None:
        """Asks for a filter of the list."""
        self.finder.ask()

    def action_find(self) -> None:
        """Searches all queues and states."""
        self.finder.search_everywhere()

    @on(TypedLine.Shown)
    def _filter_shown(self, message: TypedLine.Shown) -> None:
        # It takes the place of the keys, which do not act while one types.
        self.query_one(KeyBar).display = not message.shown
        # What fits in the bar is known once it has its width again.
        self.call_after_refresh(self.draw_keys)

    @on(TypedLine.Entered)
    def _filter_entered(self, message: TypedLine.Entered) -> None:
        self.finder.entered(message.text)

    @on(TypedLine.Left)
    def _filter_left(self) -> None:
        self.finder.leave()

    def action_next_match(self) -> None:
        """Goes to the next match."""
        self.list.next_match()

    def action_errors(self) -> None:
        """Groups the failures of the list, or of all queues."""
        self.groups.open(in_queues=self.focused is self.queues)

    def action_flow(self) -> None:
        """Shows the flow of the job under the cursor."""
        self.opening.flow(self.table.cursor_id)

    def _close_job(self) -> None:
        if self.has_class("-opened"):
            self._open(False)

    @on(Timeline.WindowChanged)
    def _window_changed(self) -> None:
        self.bars.read()

    @on(Timeline.Chosen)
    def _time_chosen(self, message: Timeline.Chosen) -> None:
        from qtui.bullmq.filter import parse_filter

        self.lists.filter(parse_filter(message.text))

    # The job under the cursor

    @on(JobTable.CursorMoved)
    def _cursor_moved(self, message: JobTable.CursorMoved) -> None:
        if not message.followed or self.job.is_old:
            self._load_detail()  # what follows the newest job changes once a second at most
        self._draw_around()

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
        elif message.control is self.table and self.table.cursor_id is not None:
            self._open(True)

    def _open(self, opened: bool) -> None:
        """Gives the job under the cursor the whole screen, or takes it back."""
        self.set_class(opened, "-opened")
        (self.detail if opened else self.table).focus()
        self._load_detail()
        self._draw_title()
        self.draw_keys()

    def action_copy_id(self) -> None:
        """Copies the job's id."""
        self.copying.job_id()

    def action_copy_json(self) -> None:
        """Copies everything of the job, as `qtui show --json` prints it."""
        self.copying.job_json()

    def action_copy_command(self) -> None:
        """Copies the command that shows the open job, the list, or the queues."""
        self.copying.command()

    # Marks and retry

    def _marks_changed(self) -> None:
        self.table.refresh()
        self.draw_keys()

    def action_mark(self) -> None:
        """Marks the job, or in the queues the queue, or takes its mark away."""
        self.marking.one()

    def action_range(self) -> None:
        """Begins a range of marks, or ends it."""
        self.marking.range()

    def action_mark_all(self) -> None:
        """Marks all jobs of the list, or in the queues all queues; or none."""
        self.marking.all()

    def action_invert(self) -> None:
        """Marks what is not marked."""
        self.marking.invert()

    def action_everything(self) -> None:
        """Marks every job that matches, loaded or not; again, clears that."""
        self.marking.everything()

    def action_retry(self) -> None:
        """Plans a retry of what is marked, or of the job under the cursor."""
        self.retrying.plan_chosen(self.board.chosen(self.table.cursor_id))

    def action_promote(self) -> None:
        """Plans a promotion of what is marked, or of the job under the cursor."""
        self.changing.promote(self.table.cursor_id)

    def action_remove(self) -> None:
        """Plans the removal of what is marked, or of the job under the cursor."""
        self.changing.remove(self.table.cursor_id)

    def action_retry_all(self) -> None:
        """Plans a retry of every job that matches the list's state and filter."""
        self.retrying.plan_everything()

    def action_schedulers(self) -> None:
        """Shows the schedulers of the queue."""
        self.opening.schedulers()

    def action_workers(self) -> None:
        """Shows the workers of the queue; in the queues those of the marked ones, or of all."""
        self.opening.workers()

    def action_doctor(self) -> None:
        """Examines the queue; in the queues the marked ones, or all."""
        self.opening.doctor()

    def action_events(self) -> None:
        """Shows the events of the queue; in the queues those of the marked ones, or of all."""
        self.opening.events()

    def action_pause(self) -> None:
        """Plans a pause of the marked queues, or the one shown; a resume where all are paused."""
        queues = self.subject.queues()
        if queues:
            paused, unmark = self.subject.is_paused, self.queues.unmark
            self.changing.pause(queues, paused=paused, pausing=unmark)

    def action_limits(self) -> None:
        """Shows the limits of the queue."""
        self.opening.limits()

    def action_remove_queue(self) -> None:
        """Plans the removal of the queue."""
        if self.board.queue is not None:
            self.changing.remove_queue(self.board.queue)

    def action_undo(self) -> None:
        """Plans an undo of the last operation on this server."""
        self.undoing.last()

    def action_edit(self) -> None:
        """Edits the job under the cursor."""
        self.editing.edit(self.table.cursor_id)

    def action_duplicate(self) -> None:
        """Plans a new job made from the one under the cursor."""
        self.editing.duplicate(self.table.cursor_id)

    def action_journal(self) -> None:
        """Shows past operations."""
        self.retrying.open_journal()

    def action_stop(self) -> None:
        """Stops the campaign of the queue shown, or the only one; asks where there are several."""
        self.campaigns.stop()

    # Staying fresh

    def action_freeze(self) -> None:
        """Freezes the list, or thaws it."""
        self.list.freeze()

    def action_refresh_now(self) -> None:
        """Reads everything again; retry results stay until they are closed."""
        if self.is_busy("search"):
            self.poll.nudge()
        else:
            self.start(self.search_again, "search", alone=True)
        if self.board.verdicts:
            self.say(f"Refreshed; {self.key('app.back')} closes the results.")
        self.list.read_again()
        self._load_detail()
        self.bars.read()

    # The bars

    def _draw_header(self) -> None:
        self._around.draw_header(self.query_one("#header", Bar), self.lost)

    def _draw_title(self) -> None:
        row, opened = self.table.cursor_row, ""
        if self.has_class("-opened") and row is not None:
            opened = f"{plain(row.id)} {plain(row.name)}"
        bar, tabs = self.query_one("#title", Bar), self.query_one(StateTabs)
        self._around.draw_title(bar, tabs, opened, self.list.newer)
        self._around.draw_filter(self.query_one("#wanted", Bar))

    @override
    def situation(self) -> Situation:
        """What decides which keys can act."""
        return self.subject.situation()

    @override
    def key_parts(self) -> Sequence[Where]:
        """Those of the pane that has the focus come first."""
        return self.subject.key_parts()

    @override
    def key_lead(self) -> str:
        """How many jobs, or queues, are marked."""
        return self.subject.key_lead()

    def _draw_around(self) -> None:
        self._draw_title()
        self.draw_keys()

    # Ways out

    def action_back(self) -> None:
        """One step back: out of the open job, a range, a pane, a search, results, a filter."""
        self.leaving.back()

    def action_next_pane(self) -> None:
        """Goes on to the next part of the screen."""
        self.focus_next()

    def action_previous_pane(self) -> None:
        """Goes back to the part before."""
        self.focus_previous()

    def action_back_or_quit(self) -> None:
        """Goes back from an open job; from the list it quits."""
        self.leaving.quit()
