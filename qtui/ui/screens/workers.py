"""The workers of a queue, or of several: who is idle, who holds which job, and for how long."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from time import monotonic
from typing import ClassVar, Final

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from typing_extensions import override

from qtui.bullmq.connection.trouble import TROUBLE
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import QueueStatus
from qtui.bullmq.reads.queues.working import Working, read_working
from qtui.text import plain, plural
from qtui.ui.actions import Situation, Where
from qtui.ui.base import QtuiScreen
from qtui.ui.clipboard.offer import offer
from qtui.ui.keys import bindings
from qtui.ui.session import Session
from qtui.ui.widgets.bars import Bar, KeyBar
from qtui.ui.widgets.cursor_list import OLDER_EVERY, CursorList
from qtui.ui.widgets.row_list import RowList
from qtui.views.lists.places import JobPlace, find_place
from qtui.views.queues.workers import UNSEEN, WorkerRow, columns, how_many, in_full, worker_rows

_REST: Final = 10
"""How much longer than a read took nothing is read again."""


class WorkersScreen(QtuiScreen["JobPlace | None"]):
    """Lists workers, and keeps them fresh; answers with the job to open, or None.

    Args:
        session: the connection.
        statuses: returns the queues with what is known of them.
        everywhere: whether they are those of the queue list, not just the one that is shown.
    """

    BINDINGS: ClassVar[list[BindingType]] = list(bindings(Where.WORKERS, Where.APP))
    PARTS = (Where.MOVE, Where.WORKERS, Where.APP)

    DEFAULT_CSS = """
    WorkersScreen {
        layout: vertical;
        & > #title, & > #keys { background: $surface; }
        & > #who { border-top: solid $surface-lighten-1; height: 2; }
    }
    """

    def __init__(
        self, session: Session, statuses: Callable[[], Sequence[QueueStatus]], *, everywhere: bool
    ) -> None:
        super().__init__(session)
        self._statuses = statuses
        self._everywhere = everywhere
        self._working: Working | None = None
        self._lost = False
        self._again_at = 0.0

    @override
    def compose(self) -> ComposeResult:
        yield Bar(id="title")
        yield RowList[WorkerRow](columns(everywhere=self._everywhere), id="workers")
        yield Bar(id="who")
        yield Bar(id="what")
        yield Bar(id="status")
        yield KeyBar(id="keys")

    def on_mount(self) -> None:
        """Reads them, and again at each refresh."""
        self._list: RowList[WorkerRow] = self.query_one("#workers", RowList)
        self._list.focus()
        self._list.show([], "reading …")
        self._draw_title()
        self._read_again()
        if self.session.settings.refresh:
            self.set_interval(self.session.settings.refresh, self._read_again)
        self.set_interval(OLDER_EVERY, self._draw_row)
        self.draw_keys()

    # Reading

    def _read_again(self) -> None:
        due = monotonic() >= self._again_at
        if due and self.app.screen is self and not self.is_busy("workers"):
            self.start(self._read, "workers")

    async def _read(self) -> None:
        statuses, began = self._statuses(), monotonic()
        try:
            found = await read_working(self.session.client, [one.queue for one in statuses])
        except TROUBLE as error:
            self._lost = True
            self.say(self.session.explain(error), "bad")
            return
        self._again_at = monotonic() + _REST * (monotonic() - began)
        if self._lost:
            self._lost = False
            self.say("Connected again.")
        if found.refused:
            self.say(f"{UNSEEN.capitalize()}: idle workers need +client|list.", "warn")
        self._working = found
        read_at = time.time() * 1000
        rows = worker_rows(found, statuses, read_at=read_at, everywhere=self._everywhere)
        seen = "workers unknown" if found.refused else "no worker seen"
        self._list.show(rows, f"{seen}, and no job waits")
        self._draw_title()
        self._draw_row()
        self.draw_keys()

    # What it says

    def _draw_title(self) -> None:
        statuses = self._statuses()
        where = plural(len(statuses), "queue")
        if not self._everywhere and statuses:
            key = statuses[0].queue
            where = plain(key.name if key.prefix == "bull" else key.base)
        parts = [(" Workers  ", "strong"), (f"{where}  ", "")]
        parts += how_many(self._working) if self._working is not None else []
        mode = [(" READ-ONLY ", "badge")] if self.session.read_only else []
        self.query_one("#title", Bar).say(parts, mode)

    @on(RowList.Selected)
    def _selected(self) -> None:
        self._draw_row()
        self.draw_keys()

    def _draw_row(self) -> None:
        row = self._list.row
        who, what = ("", "") if row is None else in_full(row, time.time() * 1000)
        self.query_one("#who", Bar).say([(f" {who}", "")])
        self.query_one("#what", Bar).say([(f" {what}", "")])

    @override
    def situation(self) -> Situation:
        """Whether a job is under the cursor."""
        row = self._list.row
        return Situation(
            enter="open the job" if row is not None and row.job is not None else "",
            read_only=self.session.read_only,
        )

    # What it does

    @on(CursorList.Opened)
    def _opened(self) -> None:
        row = self._list.row
        if row is not None and row.worker is not None and row.job is not None:
            self.in_background(partial(self._open, row.worker.queue, row.job.id), "open")
        else:
            self.say_why_not("There is no job here.")

    async def _open(self, queue: QueueKey, job_id: str) -> None:
        """Leaves for a job, wherever it is by now."""
        place = await find_place(self.session.client, queue, job_id)
        if isinstance(place, JobPlace):
            self.dismiss(place)
        else:
            self.say(place, "warn")

    def action_refresh_now(self) -> None:
        """Reads them again."""
        self.say("")
        self._again_at = 0.0
        self._read_again()

    def action_copy_command(self) -> None:
        """Copies the command that prints the same."""
        statuses = self._statuses()
        queue = statuses[0].queue if not self._everywhere and statuses else None
        offer(self, self.session.command("workers", queue=queue), "shell command")

    def action_back(self) -> None:
        """Back to the inspector."""
        self.dismiss(None)

    def action_back_or_quit(self) -> None:
        """The same."""
        self.dismiss(None)
