"""What is wrong with some queues and their server, why that matters, and what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import ClassVar, Final

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from typing_extensions import override

from qtui.bullmq.connection.trouble import TROUBLE
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState, QueueStatus
from qtui.bullmq.verdicts.examination import Examination
from qtui.bullmq.verdicts.finding import Finding, Mend
from qtui.text import plain, plural
from qtui.ui.actions import Situation, Where
from qtui.ui.base import QtuiScreen
from qtui.ui.clipboard.offer import offer
from qtui.ui.keys import bindings
from qtui.ui.session import Session
from qtui.ui.widgets.bars import Bar, KeyBar
from qtui.ui.widgets.cursor_list import CursorList
from qtui.ui.widgets.document import DocumentView
from qtui.ui.widgets.row_list import RowList
from qtui.views.document import Document
from qtui.views.lists.places import JobPlace, find_place
from qtui.views.queues.findings import (
    FindingRow,
    columns,
    finding_rows,
    how_many,
    in_full,
    left_out,
    price,
    progress_words,
    replaced,
)
from qtui.views.running import Run

_LOOK: Final = 0.5
"""Seconds between two looks at whether a fix is over."""


class DoctorScreen(QtuiScreen["JobPlace | QueueKey | None"]):
    """Examines queues; answers with the job or the queue of a finding to show, or with None.

    Args:
        session: the connection.
        statuses: returns the queues to examine, with their counts.
        everywhere: whether they are those of the queue list, not just the one that is shown.
        plan: opens the plan of what mends a finding, over this screen.
        latest: returns the latest action on a queue; None if there was none.
    """

    BINDINGS: ClassVar[list[BindingType]] = list(bindings(Where.DOCTOR, Where.APP))
    PARTS = (Where.MOVE, Where.DOCTOR, Where.APP)

    DEFAULT_CSS = """
    DoctorScreen {
        layout: vertical;
        & > #title, & > #keys { background: $surface; }
        & > #story { height: 60%; border-top: solid $surface-lighten-1; }
    }
    """

    def __init__(
        self,
        session: Session,
        statuses: Callable[[], Sequence[QueueStatus]],
        *,
        everywhere: bool,
        plan: Callable[[DoctorScreen, Finding], None],
        latest: Callable[[QueueKey], Run | None],
    ) -> None:
        super().__init__(session)
        self._statuses = statuses
        self._everywhere = everywhere
        self._plan = plan
        self._latest = latest
        self._before: dict[QueueKey, Run | None] = {}
        """The queues of which a fix was planned, with the latest action before that."""
        self._findings: list[Finding] = []
        self._examination: Examination | None = None
        self._deep = False
        self._examining = False
        self._stopped = False

    @override
    def compose(self) -> ComposeResult:
        yield Bar(id="title")
        yield RowList[FindingRow](columns(everywhere=self._everywhere), id="findings")
        yield DocumentView(id="story")
        yield Bar(id="status")
        yield KeyBar(id="keys")

    def on_mount(self) -> None:
        """Begins to examine."""
        self._list: RowList[FindingRow] = self.query_one("#findings", RowList)
        self._story = self.query_one(DocumentView)
        self._list.focus()
        self.action_again()
        self.set_interval(_LOOK, self._look_at_fixes)

    # Examining

    def action_again(self) -> None:
        """Examines everything from the beginning."""
        self._findings = []
        self._deep = False
        self._examine(self._statuses())

    def action_deep(self) -> None:
        """Examines everything, with each job and key."""
        self._findings = []
        self._deep = True
        self._examine(self._statuses())

    def action_stop(self) -> None:
        """Stops; what was found stays."""
        self._stopped, self._examining = True, False
        self.cancel("examine")
        self._draw()

    def _examine(self, statuses: Sequence[QueueStatus], *, again: bool = False) -> None:
        """Begins an examination.

        Args:
            statuses: the queues.
            again: whether their findings are to be replaced, and the others kept.
        """
        settings = self.session.settings
        examination = Examination(
            self.session.client,
            statuses,
            prefixes=settings.prefixes,
            deep=self._deep,
            rate=settings.scan_rate,
            server=not again,
        )
        self._stopped, self._examining = False, True
        if not again:
            self._examination = examination
        if not again:
            self.say("")
        self.start(partial(self._carry_out, examination, again=again), "examine", alone=True)
        self._draw()

    async def _carry_out(self, examination: Examination, *, again: bool) -> None:
        try:
            async for findings in examination.steps():
                if not again and findings:
                    self._findings += findings
                    self._draw()
                else:
                    self._draw_title(progress_words(examination))
        except TROUBLE as error:
            self._stopped = True
            self.say(self.session.explain(error), "bad")
        else:
            if again:
                self._findings = replaced(self._findings, examination.queues, examination.findings)
        self._examining = False
        self._draw()
        if not again and not self._stopped and examination.price:
            left = " · ".join(left_out(examination))
            self.say(f"{left}: d reads all of it, in about {price(examination.price)}", "warn")

    # Fixing

    def action_fix(self) -> None:
        """Plans what mends the finding under the cursor."""
        row = self._list.row
        if row is not None and row.finding.queue is not None:
            queue = row.finding.queue
            self._before[queue] = self._latest(queue)
            self._plan(self, row.finding)

    def _look_at_fixes(self) -> None:
        """Says how fixes go; examines their queues again when they are over."""
        if self.app.screen is not self:
            return
        done = []
        for queue, before in self._before.items():
            now = self._latest(queue)
            if now is not None and now is not before:
                words, tone = now.status()
                self.say(f"{plain(queue.name)}: {words}", tone)
                done += [] if now.under_way else [queue]
        if done and not self._examining:
            for queue in done:
                del self._before[queue]
            self.examine_again(done)

    def examine_again(self, queues: Sequence[QueueKey]) -> None:
        """Examines some of the queues once more, after they were changed."""
        self._examine([one for one in self._statuses() if one.queue in queues], again=True)

    def answer(self, named: JobPlace | QueueKey) -> None:
        """Leaves with what is to be shown."""
        self.dismiss(named)

    # What it says

    def _draw(self) -> None:
        if self._examining:
            words = "examining …"
        elif self._stopped:
            words = f"stopped: {self.key('doctor.again')} examines again"
        else:
            words = "no fault found"
        rows = finding_rows(self._findings, everywhere=self._everywhere)
        self._list.show(rows, words, from_top=not self._list.moves)
        examination = self._examination
        progress = examination if self._examining else None
        self._draw_title(progress_words(progress) if progress is not None else "")
        self._draw_story()
        self.draw_keys()

    def _draw_title(self, progress: str) -> None:
        statuses = self._statuses()
        where = plural(len(statuses), "queue")
        if not self._everywhere and statuses:
            key = statuses[0].queue
            where = plain(key.name if key.prefix == "bull" else key.base)
        left = [(" Doctor  ", "strong"), (f"{where}  ", ""), *how_many(self._findings)]
        right = [(f" {progress} ", "faint")] if progress else []
        if self._stopped:
            right = [(" stopped ", "warn")]
        right += [(" READ-ONLY ", "badge")] if self.session.read_only else []
        self.query_one("#title", Bar).say(left, right)

    @on(RowList.Selected)
    def _selected(self) -> None:
        self._draw_story()
        self.draw_keys()

    def _draw_story(self) -> None:
        row = self._list.row
        if row is None:
            self._story.show(Document(()))
        else:
            self._story.show(Document(in_full(row.finding)), row.key)

    @override
    def situation(self) -> Situation:
        """The finding under the cursor, and whether an examination is running."""
        row, examination = self._list.row, self._examination
        enter = "" if row is None or row.finding.queue is None else "open"
        run = self._latest(row.finding.queue) if row and row.finding.queue else None
        return Situation(
            running=run is not None and run.under_way,
            enter="fold" if self.focused is self._story else enter,
            read_only=self.session.read_only,
            examining=self._examining,
            finding=row.finding if row is not None else None,
            unread=examination is not None and bool(examination.price),
        )

    # What it names

    @on(CursorList.Opened)
    def _opened(self) -> None:
        row = self._list.row
        if row is None:
            return
        one = row.finding
        if one.queue is None:
            self.say("This is about the server: no queue and no job to open.", "warn")
        elif one.code == "no-state":
            self.say(f"No list has it. In a shell: {self._shown(one.queue, one.sample[0])}", "warn")
        else:
            self.in_background(partial(self._open, one, one.queue), "open")

    def _shown(self, queue: QueueKey, job_id: str) -> str:
        return plain(self.session.command("show", queue=queue, name=job_id))

    async def _open(self, one: Finding, queue: QueueKey) -> None:
        """Leaves for the first job that the finding names; for its queue if it names none."""
        jobs = one.mend not in (Mend.REVIVE, Mend.RELEASE_KEYS) and one.code != "legacy-repeatable"
        if not one.sample or not jobs:
            self.answer(queue)
            return
        job_id = one.sample[0]
        state = one.members.get(job_id)
        if state:  # where its hash is gone, no other look finds it
            self.answer(JobPlace(queue, JobState(state), job_id))
            return
        place = await find_place(self.session.client, queue, job_id)
        if isinstance(place, JobPlace):
            self.answer(place)
        else:
            self.say(place, "warn")

    def action_copy_command(self) -> None:
        """Copies the command that finds the same."""
        statuses = self._statuses()
        queue = statuses[0].queue if not self._everywhere and statuses else None
        options = ["--deep"] if self._deep else []
        offer(self, self.session.command("doctor", *options, queue=queue), "shell command")

    def action_back(self) -> None:
        """Back to the list, and from there to the inspector."""
        if self.focused is self._list:
            self.dismiss(None)
        else:
            self._list.focus()

    def action_back_or_quit(self) -> None:
        """Leaves the doctor."""
        self.dismiss(None)
