"""The group of errors under the cursor: what is known of it, its past, and a job of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Final, Generic, TypeVar

from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState
from qtui.bullmq.reads.job import Job, WrongType, read_job
from qtui.bullmq.signature.merging import OPEN, matcher
from qtui.operations.journal.history import History, Retried, read_history, retried_of
from qtui.operations.journal.reading import JournalError
from qtui.text import plain
from qtui.ui.base import QtuiScreen
from qtui.ui.widgets.document import DocumentView
from qtui.views.document import Document
from qtui.views.errors.group_document import group_sections, sample_sections
from qtui.views.errors.groups import ErrorGroup

T = TypeVar("T")

_DEBOUNCE: Final = 0.04
_ROOMY: Final = 14
"""Lines with which the whole stack is shown."""


class GroupDetail(Generic[T]):
    """Shows one group in a document view, and knows what past retries of any group came to.

    Args:
        screen: runs the work in the background.
        view: where the group is shown.
        queues: the queues whose jobs are grouped.
        state: their state.
    """

    def __init__(
        self, screen: QtuiScreen[T], view: DocumentView, queues: Sequence[QueueKey], state: JobState
    ) -> None:
        self._screen = screen
        self._view = view
        self._queues = queues
        self._state = state
        self._group: ErrorGroup | None = None
        self._jobs = 0
        self._of: tuple[QueueKey, str] | None = None
        """The job that is shown, or being read."""
        self._sample: Job | None = None
        self._is_read = False
        self._history: History = {}
        self._past: dict[str, Retried | None] = {}
        """What is known by now of the groups that were asked about."""

    def past(self, group: ErrorGroup) -> Retried | None:
        """What retries of a group's error came to; None if there were none, as far as is known."""
        name = group.signature
        if not self._history or group.is_rest:
            return None
        if name not in self._past:
            named = filter(matcher(name), self._history) if OPEN in name else [name]
            self._past[name] = retried_of(self._history, named)
        return self._past[name]

    async def read_past(self) -> None:
        """Reads the journals, in a thread; without a folder of journals nothing is known."""
        session = self._screen.session
        folder = session.journal
        if folder is None or not self._state.is_finished:
            return
        try:
            found = await asyncio.to_thread(
                read_history, folder, session.target.shown, self._queues, self._state.value
            )
        except JournalError:
            return  # the journal's own screen says so
        self._history, self._past = found, {}
        self.draw()

    def show(self, group: ErrorGroup | None, jobs: int) -> None:
        """Shows a group, and reads its sample if that is another job than before.

        Args:
            group: the group; None for none.
            jobs: the jobs of all groups.
        """
        self._group, self._jobs = group, jobs
        of = None if group is None else (group.queue, group.sample)
        if of != self._of:
            self._of, self._sample, self._is_read = of, None, False
            if of is not None:
                self._read(*of)
        self.draw()

    def draw(self) -> None:
        """Shows what is known by now, at the view's width."""
        group, view = self._group, self._view
        if group is None:
            view.show(Document(()))
            return
        everywhere, roomy = len(self._queues) > 1, view.size.height >= _ROOMY
        sections = group_sections(
            group,
            jobs=self._jobs,
            width=view.size.width,
            now=time.time() * 1000,
            past=self.past(group),
            everywhere=everywhere,
        )
        if self._is_read:
            sections += sample_sections(
                self._sample, group.sample, roomy=roomy, everywhere=everywhere
            )
        view.show(Document(sections), f"{group.queue.base}:{group.sample}:{roomy}")

    def _read(self, queue: QueueKey, job_id: str) -> None:
        async def read() -> None:
            await asyncio.sleep(_DEBOUNCE)
            try:
                job: Job | None = await read_job(
                    self._screen.session.client, queue, job_id, near=self._state
                )
            except WrongType as error:
                self._screen.say(plain(str(error)), "warn")
                return
            if self._of == (queue, job_id):
                self._sample, self._is_read = job, True
                self.draw()

        self._screen.in_background(read, "sample")
