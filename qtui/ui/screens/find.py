"""One search over all queues and states: results as they come, and how far it is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, TypeAlias

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from typing_extensions import override

from qtui.bullmq.connection.trouble import LOST, TROUBLE
from qtui.bullmq.filter import FilterError
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import QueueStatus
from qtui.bullmq.search.everywhere import Everywhere
from qtui.text import plain, plural
from qtui.ui.actions import Situation, Where
from qtui.ui.base import QtuiScreen
from qtui.ui.clipboard.offer import offer
from qtui.ui.keys import bindings
from qtui.ui.session import Session
from qtui.ui.widgets.bars import Bar, KeyBar, StatusLine
from qtui.ui.widgets.cursor_list import CursorList
from qtui.ui.widgets.filter_line import typed_filter
from qtui.ui.widgets.row_list import RowList
from qtui.ui.widgets.typed_line import TypedLine
from qtui.views.lists.anywhere import COLUMNS, Anywhere, FoundRow
from qtui.views.lists.places import JobPlace, find_place

HUNT: Final = "hunt"

_DRAWN_EVERY: Final = 0.2
"""Seconds between two drawings of a list that grows; the first finds are shown at once."""

_LONGEST_PAUSE: Final = 5.0
"""Seconds between two attempts to reach a server that is gone."""

_HINT: Final = "an id, part of a name, or a filter such as data:order-123 ({} lists the terms)"
"""What the line is for, with the key of the help."""

Chosen: TypeAlias = "JobPlace | QueueKey | None"
"""A job to open, or a queue; None to go back."""


@dataclass(slots=True)
class Sought:
    """The latest search, kept while the screen is closed: it costs minutes on a large server."""

    anywhere: Anywhere | None = None
    key: str | None = None
    """The row under the cursor."""


class FindScreen(QtuiScreen[Chosen]):
    """Searches while it is open; answers with what is to be opened, or with None.

    Args:
        session: the connection.
        sought: the search that was left, which continues.
        statuses: the queues as they are known now, those with failures first.
    """

    BINDINGS: ClassVar[list[BindingType]] = list(bindings(Where.FIND, Where.APP))
    PARTS = (Where.MOVE, Where.FIND, Where.APP)

    DEFAULT_CSS = """
    FindScreen {
        layout: vertical;
        & > #title, & > #keys { background: $surface; }
    }
    """

    def __init__(
        self, session: Session, sought: Sought, statuses: Callable[[], Sequence[QueueStatus]]
    ) -> None:
        super().__init__(session)
        self._sought = sought
        self._statuses = statuses

    @override
    def compose(self) -> ComposeResult:
        yield Bar(id="title")
        yield Bar(id="progress")
        yield RowList[FoundRow](COLUMNS, id="found")
        yield TypedLine(id="filter")
        yield StatusLine(id="status")
        yield KeyBar(id="keys")

    def on_mount(self) -> None:
        """Asks what to search for; a search that was left is shown, and continues."""
        self._list: RowList[FoundRow] = self.query_one("#found", RowList)
        self._line = self.query_one(TypedLine)
        self._line.close()
        self.set_focus(self._list)  # at once: else it would take the focus from the line
        found = self._sought.anywhere
        if found is None:
            self._list.show([], "")
            self.action_filter()
        else:
            self._list.show(found.rows, found.of_empty(), key=self._sought.key)
            if not found.search.finished:
                self._begin(found)
        self._draw()

    # What to search for

    def action_filter(self) -> None:
        """Asks what to search for."""
        found = self._sought.anywhere
        hint = _HINT.format(self.key("app.help"))
        self._line.open(found.wanted.source if found is not None else "", hint)

    @on(TypedLine.Shown)
    def _line_shown(self, message: TypedLine.Shown) -> None:
        self.query_one(KeyBar).display = not message.shown
        self.call_after_refresh(self.draw_keys)

    @on(TypedLine.Left)
    def _line_left(self) -> None:
        self._line.close()
        self.say("")
        self.set_focus(self._list)
        if self._sought.anywhere is None:
            self._leave(None)

    @on(TypedLine.Entered)
    def _line_entered(self, message: TypedLine.Entered) -> None:
        if not message.text.strip():
            self._line_left()
            return
        wanted = typed_filter(self._line, message.text, self.say)
        if wanted is None:
            return
        self._line.close()
        self.say("")
        self.set_focus(self._list)
        statuses, session = self._statuses(), self.session
        search = Everywhere(
            session.client,
            [one.queue for one in statuses],
            wanted,
            rate=session.settings.scan_rate,
        )
        found = self._sought.anywhere = Anywhere(search, statuses)
        self._list.show(found.rows, "searching …")
        self._begin(found)

    # Searching

    def _begin(self, found: Anywhere) -> None:
        async def search() -> None:
            found.running, pause = True, 1.0
            try:
                while not await self._search_once(found):
                    await asyncio.sleep(pause)  # grows, so that a dead server is not hammered
                    pause = min(2 * pause, _LONGEST_PAUSE)
            finally:
                found.running = False
                if found is self._sought.anywhere and self.is_attached:
                    self._grown(found)

        self.start(search, HUNT, alone=True)
        self._draw()

    async def _search_once(self, found: Anywhere) -> bool:
        """Searches to the end; False if the connection was lost meanwhile."""
        drawn, fresh = 0.0, list[FoundRow]()
        try:
            async for jobs in found.search.steps():
                fresh += found.take(jobs)
                if time.monotonic() - drawn > _DRAWN_EVERY:
                    self._list.grown(fresh, plain(found.of_empty()))
                    self._draw()
                    fresh, drawn = [], time.monotonic() if found.rows else 0.0
        except FilterError as error:
            self.say(f"Search stopped: {plain(error.message)}", "bad")
        except LOST as error:
            self.say(f"Connection lost; the search continues: {self.session.explain(error)}", "bad")
            return False
        except TROUBLE as error:
            again = self.key("find.refresh")
            self.say(f"Search stopped; {again} continues: {self.session.explain(error)}", "bad")
        else:
            self.say(found.refused(), "warn")
        return True

    def action_again(self) -> None:
        """Continues a search that was stopped; else searches again."""
        found = self._sought.anywhere
        if found is None or found.running:
            return
        if found.search.finished:
            statuses = self._statuses()
            queues = [one.queue for one in statuses]
            rate = self.session.settings.scan_rate
            search = Everywhere(self.session.client, queues, found.wanted, rate=rate)
            found = self._sought.anywhere = Anywhere(search, statuses)
            self._list.show(found.rows, "searching …")
        self.say("")
        self._begin(found)

    # What it shows

    def _grown(self, found: Anywhere) -> None:
        self._list.show(found.rows, plain(found.of_empty()))
        self._draw()

    def _draw(self) -> None:
        found = self._sought.anywhere
        known = len(found.search.queues) if found is not None else len(self._statuses())
        left = [(f" Find in {plural(known, 'queue')}  ", "strong")]
        if found is not None:
            left += [("/ ", "key"), (plain(found.wanted.source), "strong")]
        right = [(" READ-ONLY ", "badge")] if self.session.read_only else []
        self.query_one("#title", Bar).say(left, right)
        progress = self.query_one("#progress", Bar)
        if found is None:
            progress.say([(" all states, the queues with most failures first", "faint")])
        else:
            stopped = not found.running and not found.search.finished
            progress.say(
                [(f" {found.progress(self.key('find.refresh'))}", "warn" if stopped else "faint")]
            )
        self.draw_keys()

    @on(RowList.Selected)
    def _selected(self) -> None:
        self.draw_keys()

    @override
    def situation(self) -> Situation:
        """What is under the cursor."""
        row = self._list.row
        enter = "" if row is None else "open queue" if row.job is None else "open job"
        return Situation(read_only=self.session.read_only, enter=enter)

    # Ways out

    @on(CursorList.Opened)
    def _opened(self) -> None:
        row = self._list.row
        if row is None:
            return
        if row.job is None:
            self._leave(row.queue)
            return
        queue, job_id = row.queue, row.job.row.id

        async def go() -> None:
            place = await find_place(self.session.client, queue, job_id)
            if isinstance(place, JobPlace):
                self._leave(place)
            else:
                self.say(place, "warn")

        self.in_background(go, "open")

    def action_copy_command(self) -> None:
        """Copies the command that searches for the same."""
        found = self._sought.anywhere
        wanted = ["--filter", found.wanted.source] if found is not None else []
        line = self.session.command("jobs", "*", "--state", "all", *wanted)
        offer(self, line, "shell command")

    def action_back(self) -> None:
        """Stops a search, keeping what it found; else goes back to the inspector."""
        found = self._sought.anywhere
        if found is not None and found.running:
            self.cancel(HUNT)
            found.running = False
            self._draw()
            continues, leaves = self.key("find.refresh"), self.key("app.back")
            self.say(f"Search stopped: {continues} continues, {leaves} again goes back.")
        else:
            self._leave(None)

    def action_back_or_quit(self) -> None:
        """Leaves; the search continues when the screen is opened again."""
        self._leave(None)

    def _leave(self, chosen: Chosen) -> None:
        row = self._list.row
        self._sought.key = row.key if row is not None else None
        self.dismiss(chosen)
