"""What the inspector copies: a job's id, the job as JSON, and the command that shows the same."""

from __future__ import annotations

import asyncio

from qtui.bullmq.reads.job import WrongType, read_whole_job
from qtui.text import plain
from qtui.ui.clipboard.offer import offer
from qtui.ui.inspector.live import LiveScreen
from qtui.ui.inspector.subject import Subject
from qtui.ui.widgets.document import DocumentView
from qtui.ui.widgets.job_table import JobTable
from qtui.views.job_json import job_text
from qtui.views.lists.board import Board


class Copying:
    """Sends texts to the clipboard, and shows them.

    Args:
        screen: reads jobs in the background.
        board: what is looked at.
        table: the list with its cursor.
        subject: which pane is meant.
    """

    def __init__(self, screen: LiveScreen, board: Board, table: JobTable, subject: Subject) -> None:
        self._screen = screen
        self._board = board
        self._table = table
        self._subject = subject

    def job_id(self) -> None:
        """Copies the job's id."""
        if self._table.cursor_id is not None:
            offer(self._screen, self._table.cursor_id, "the job's id")

    def job_json(self) -> None:
        """Copies everything of the job, as `qtui show --json` prints it."""
        screen, queue, job_id = self._screen, self._board.queue, self._table.cursor_id
        if queue is None or job_id is None:
            return
        what = f"job {plain(job_id)} of {plain(queue.name)}"

        async def copy() -> None:
            try:
                found = await read_whole_job(screen.session.client, queue, job_id)
            except WrongType as error:
                screen.say(plain(str(error)), "warn")
                return
            if found is None:
                screen.say(f"J{what[1:]} is gone.", "warn")
                return
            text = await asyncio.to_thread(job_text, *found)
            shown = screen.session.command("show", "--json", queue=queue, name=job_id)
            offer(screen, text, what, instead=shown)

        screen.in_background(copy, "copy")

    def command(self) -> None:
        """Copies the command that shows the open job, the list, or the queues."""
        board, session, subject = self._board, self._screen.session, self._subject
        in_detail = isinstance(self._screen.focused, DocumentView)
        if board.queue is None or subject.in_queues:
            line = session.command("queues")
        elif self._table.cursor_id is not None and (subject.is_opened or in_detail):
            line = session.command("show", queue=board.queue, name=self._table.cursor_id)
        else:
            options = ["--state", board.state.value]
            options += ["--filter", board.filter.source] if board.filter is not None else []
            options += [] if board.newest_first else ["--oldest-first"]
            line = session.command("jobs", *options, queue=board.queue)
        offer(self._screen, line, "shell command")
