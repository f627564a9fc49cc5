"""The open job: reads it, parses it in a thread, and shows it in a document view."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final, Generic, TypeVar

from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState
from qtui.bullmq.reads.job import Job, WrongType, read_job
from qtui.bullmq.verdicts.job import JobFacts, judge_job, read_job_facts
from qtui.bullmq.verdicts.queue import QueueFacts, read_queue_facts
from qtui.text import plain
from qtui.ui.base import QtuiScreen
from qtui.ui.widgets.document import DocumentView
from qtui.views.document import Document, Section, Text
from qtui.views.job_document import ages, job_sections

T = TypeVar("T")

_DEBOUNCE: Final = 0.04
_EVERY: Final = 1.0
"""Seconds between two automatic readings."""


class JobDetail(Generic[T]):
    """What a document view shows of one job, and what was asked for beyond the first look.

    Args:
        screen: runs the work in the background.
        view: where the job is shown.
        known: what was read of a queue lately, if that is not to be read again.
    """

    def __init__(
        self,
        screen: QtuiScreen[T],
        view: DocumentView,
        known: Callable[[], QueueFacts | None] = lambda: None,
    ) -> None:
        self.job: Job | None = None
        """The job as it was read last."""
        self.is_gone = False
        """Whether nothing of it was left when it was looked for last."""
        self._screen = screen
        self._view = view
        self._known = known
        self._of: tuple[QueueKey, str] | None = None
        self._more: set[str] = set()
        self._read_at = 0.0
        self._roomy = False
        self._ages: tuple[str, ...] = ()
        self._facts: tuple[JobFacts, QueueFacts] | None = None
        """What decides why the job is where it is, if it has not finished."""

    @property
    def id(self) -> str | None:
        """The job that is shown, or being read."""
        return self._of[1] if self._of is not None else None

    @property
    def is_old(self) -> bool:
        """Whether the job may be read again without being asked for."""
        return time.monotonic() - self._read_at > _EVERY

    def show(
        self, queue: QueueKey | None, job_id: str | None, near: JobState, *, roomy: bool
    ) -> None:
        """Reads a job and shows it; of the same job what was loaded before is loaded again.

        Args:
            queue: the job's queue.
            job_id: the job, None for none.
            near: the state in which it was seen.
            roomy: there is room for all of it, see `job_sections`.
        """
        if queue is None or job_id is None:
            self._of = self.job = None
            self.is_gone = False
            self._view.show(Document(()))
            return
        wanted = (queue, job_id)
        if wanted != self._of:
            self._of, self._more, self.is_gone = wanted, set(), False
            self.job = None

        async def read() -> None:
            await asyncio.sleep(_DEBOUNCE)
            self._read_at = time.monotonic()
            try:
                found = await self._read(queue, job_id, near)
            except WrongType as error:
                self._screen.say(plain(str(error)), "warn")
                self._view.show(Document(()))
                return
            facts = await self._facts_of(found) if found else None
            if wanted != self._of:
                return
            self.is_gone, self._facts = found is None, facts
            job, now = found or self.job, time.time() * 1000
            document = Document(self._sections(job, now, roomy=roomy))
            await asyncio.to_thread(document.prepare)
            if wanted == self._of:
                self.job, self._roomy = job, roomy
                self._ages = ages(job, now) if job else ()
                self._view.show(document, self._name(queue, job_id))
                self._screen.draw_keys()  # whether it is in a flow is known now

        self._screen.in_background(read, "detail")

    def grow_older(self) -> None:
        """Shows the ages as they are by now, where one of them reads otherwise; reads nothing."""
        job, now = self.job, time.time() * 1000
        if job is None or self._of is None:
            return
        if self._facts is None and ages(job, now) == self._ages:
            return
        self._ages = ages(job, now)
        (queue, job_id), roomy = self._of, self._roomy
        if job_id == job.id and queue == job.queue:
            document = Document(self._sections(job, now, roomy=roomy))
            self._view.show(document, self._name(queue, job_id))

    def load(self, what: str) -> None:
        """Remembers that a long value of this job is wanted whole; `show` then reads it."""
        self._more.add(what)

    def _name(self, queue: QueueKey, job_id: str) -> str:
        """What the view remembers its place by; one that is gone is shown from the top."""
        return f"{queue.base}:{job_id}:{self._roomy}:{self.is_gone}"

    def _sections(self, job: Job | None, now: float, *, roomy: bool) -> list[Section]:
        """Its sections; of one that is gone those that were read before, if they were."""
        sections = job_sections(job, now, roomy=roomy) if job is not None else []
        if self.is_gone:
            before = "; this was read before:" if sections else ""
            return [
                Section("gone", Text(f"nothing of this job is left in Redis{before}")),
                *sections,
            ]
        if job is None or self._facts is None:
            return sections
        of_job, of_queue = self._facts
        of_job, of_queue = replace(of_job, now=int(now)), replace(of_queue, now=int(now))
        return [Section("why", Text(plain(judge_job(of_job, of_queue).words))), *sections]

    async def _facts_of(self, job: Job) -> tuple[JobFacts, QueueFacts] | None:
        """What decides where a job is that has not finished; the error of one that has says it."""
        if job.state is not None and job.state.is_finished:
            return None
        client, facts = self._screen.session.client, self._known()
        if facts is None or facts.queue != job.queue:
            facts = await read_queue_facts(client, job.queue)
        return await read_job_facts(client, job.queue, job.id, near=job.state), facts

    async def _read(self, queue: QueueKey, job_id: str, near: JobState) -> Job | None:
        client, more = self._screen.session.client, tuple(self._more)
        return await read_job(client, queue, job_id, load=more, near=near)
