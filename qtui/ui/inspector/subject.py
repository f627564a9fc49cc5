"""What keys act on in the inspector: the queue or the marked ones, the job, the focused pane."""

from __future__ import annotations

from collections.abc import Sequence

from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState
from qtui.bullmq.verdicts.queue import judge_queue
from qtui.bullmq.verdicts.verdict import Weight
from qtui.text import plural
from qtui.ui.actions import Situation, Where
from qtui.ui.details.job import JobDetail
from qtui.ui.inspector.campaigns import Campaigns
from qtui.ui.inspector.live import LiveScreen
from qtui.ui.inspector.marking import Marking
from qtui.ui.inspector.surroundings import Surroundings
from qtui.ui.widgets.document import DocumentView
from qtui.ui.widgets.job_table import JobTable
from qtui.ui.widgets.queue_list import QueueList
from qtui.ui.widgets.timeline import Timeline
from qtui.views.lists.board import Board


class Subject:
    """Decides which keys can act, from what is shown and where the focus is.

    Args:
        screen: knows what has the focus, and whether a job has the whole screen.
        board: what is looked at.
        campaigns: those under way.
        marking: whether ids are still being read that are to be marked.
        job: the job in full.
        around: says how many jobs are marked.
    """

    def __init__(
        self,
        screen: LiveScreen,
        board: Board,
        campaigns: Campaigns,
        marking: Marking,
        job: JobDetail[None],
        around: Surroundings,
    ) -> None:
        self._screen = screen
        self._board = board
        self._campaigns = campaigns
        self._marking = marking
        self._job = job
        self._around = around
        self._queues = screen.query_one(QueueList)
        self._table = screen.query_one(JobTable)
        self._detail = screen.query_one(DocumentView)
        self._timeline = screen.query_one(Timeline)

    @property
    def is_opened(self) -> bool:
        """Whether the job under the cursor has the whole screen."""
        return self._screen.has_class("-opened")

    @property
    def in_queues(self) -> bool:
        """Whether the list of queues has the focus."""
        return self._screen.focused is self._queues

    def queues(self) -> list[QueueKey]:
        """The queues that a key acts on: the marked ones, or the one that is shown."""
        shown = [self._board.queue] if self._board.queue is not None else []
        return sorted(self._queues.marks) or shown

    @property
    def is_paused(self) -> bool:
        """Whether all of these are paused."""
        statuses = self._screen.poll.statuses
        found = [statuses.get(queue) for queue in self.queues()]
        return all(status is not None and status.paused for status in found)

    def situation(self) -> Situation:
        """The list, the job under the cursor, the marks, and whether a campaign is running."""
        board, marks, poll = self._board, self._board.marks, self._screen.poll
        session, here = self._screen.session, self._table.cursor_id
        return Situation(
            quits=not self.is_opened,
            enter=self._enter(),
            frozen=board.jobs is not None and board.jobs.held and not board.verdicts,
            in_flow=self._in_flow(),
            queue=board.queue,
            paused=self.is_paused,
            marked_queues=len(self._queues.marks),
            read_only=session.read_only,
            running=any(self._campaigns.on(queue) for queue in self.queues()),
            stoppable=bool(self._campaigns.under_way),
            in_queues=self.in_queues,
            has_queues=bool(poll.statuses),
            has_failures=any(status.failed for status in poll.statuses.values()),
            has_list=board.jobs is not None,
            state=board.state,
            at_job=self._table.length > 0,
            has_left=board.has_left(here),
            is_gone=self._job.is_gone and self._job.id == here,
            has_marks=marks.everything is not None or len(marks) > 0,
            all_marked=marks.everything is not None,
            marking=self._marking.is_busy,
            filtered=board.filter is not None,
            keeps_journal=session.journal is not None,
            undoable=session.past.undoable,
            wrong=self._is_wrong(),
        )

    def _is_wrong(self) -> bool:
        """Whether the line above the list is red."""
        facts = self._screen.poll.facts
        if facts is None or facts.queue != self._board.queue:
            return False
        return judge_queue(facts).weight is Weight.WRONG

    def _enter(self) -> str:
        """What Enter does, in a word."""
        if self.in_queues:
            return "jobs" if self._queues.length else ""
        if self._screen.focused is self._detail:
            return "fold"
        return "open" if self._table.length else ""

    def _in_flow(self) -> bool:
        """Whether the job under the cursor has a parent or children, as far as is known."""
        row, job = self._table.cursor_row, self._job.job
        if row is None or self._job.is_gone:
            return False
        parts = self._board.state is JobState.WAITING_CHILDREN or bool(row.parent_key)
        return parts or (job is not None and job.id == row.id and job.children.total > 0)

    def key_parts(self) -> Sequence[Where]:
        """Whose keys the key bar shows: those of the pane that has the focus come first."""
        if self.is_opened or self._screen.focused is self._detail:
            return (Where.MOVE, Where.JOBS, Where.QUEUE)
        if self.in_queues:
            return (Where.MOVE, Where.QUEUE, Where.INSPECTOR, Where.JOBS)
        if self._screen.focused is self._timeline:
            return (Where.TIMELINE, Where.INSPECTOR)
        return (Where.JOBS, Where.INSPECTOR, Where.QUEUE, Where.MOVE)

    def key_lead(self) -> str:
        """How many jobs, or queues, are marked."""
        if self._queues.marks:
            return f"{plural(len(self._queues.marks), 'queue')} marked"
        return self._around.marked()
