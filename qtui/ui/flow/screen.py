"""The screen of a job's flow: its tree, the plan of a rerun, and the results of one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import ClassVar, Final

from textual import events, on
from textual.app import ComposeResult
from textual.binding import BindingType
from typing_extensions import override

from qtui.bullmq.connection.trouble import TROUBLE
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState
from qtui.operations.flow_rerun.plan import RerunPlan, Start
from qtui.operations.flow_rerun.planning import make_rerun_plan
from qtui.operations.planning.plan import Resets
from qtui.text import plain, plural
from qtui.ui.actions import Situation, Where
from qtui.ui.base import QtuiScreen
from qtui.ui.clipboard.offer import offer
from qtui.ui.details.job import JobDetail
from qtui.ui.dialogs.plan import Confirmed
from qtui.ui.dialogs.rerun import RerunDialog
from qtui.ui.flow.rerunning import Rerunning
from qtui.ui.keys import bindings
from qtui.ui.session import Session
from qtui.ui.widgets.bars import Bar, KeyBar, StatusLine
from qtui.ui.widgets.cursor_list import CursorList
from qtui.ui.widgets.document import DocumentView
from qtui.ui.widgets.flow_tree import FlowTree
from qtui.verbs import Verb
from qtui.views.flow_rows import FlowRows, Line, node_in_full, read_flow
from qtui.views.lists.places import JobPlace

_HIGH: Final = 20
"""Lines of the screen with which the job under the cursor is shown whole."""

_ROOMY: Final = 14
"""Lines of its pane with which the whole stack is shown."""

_FRESH: Final = 2.0
"""Seconds after which visible jobs are read again."""


class FlowScreen(QtuiScreen["JobPlace | None"]):
    """Shows a flow; answers with the job to open, or with None when it is closed.

    Args:
        session: the connection.
        rows: the flow, as far as it was read.
        known: returns the known queues.
        resets: the options of the plan; ``keep`` is called when they change.
        rerun: whether the plan of a rerun without lost children is opened at once.
    """

    BINDINGS: ClassVar[list[BindingType]] = list(bindings(Where.FLOW, Where.APP))
    PARTS = (Where.MOVE, Where.FLOW, Where.APP)

    DEFAULT_CSS = """
    FlowScreen {
        layout: vertical;
        & > #title, & > #keys { background: $surface; }
        & > #who { border-top: solid $surface-lighten-1; height: 2; }
        & > #job { height: 1fr; display: none; }
        &.-high > #job { display: block; }
        &.-high > #why { display: none; }
    }
    """

    def __init__(
        self,
        session: Session,
        rows: FlowRows,
        *,
        known: Callable[[], list[QueueKey]],
        resets: Resets,
        keep: Callable[[Resets], None],
        rerun: bool = False,
    ) -> None:
        super().__init__(session)
        self._rerun = rerun
        self.rows = rows
        self._known = known
        self._resets = resets
        self._keep_resets = keep
        job = rows.lineage.job
        self._queue, self._job_id = job.queue, job.id
        self._seen: object = None
        """What was seen of the job under the cursor when it was read last."""

    @override
    def compose(self) -> ComposeResult:
        yield Bar(id="title")
        yield Bar(id="banner")
        yield FlowTree(id="tree")
        yield Bar(id="who")
        yield Bar(id="place")
        yield Bar(id="why")
        yield DocumentView(id="job")
        yield StatusLine(id="status")
        yield KeyBar(id="keys")

    def on_mount(self) -> None:
        """Shows what was read, and refreshes what is visible."""
        self.tree_list = self.query_one(FlowTree)
        self.rerunning = Rerunning(self, self.query_one("#banner", Bar))
        self.detail = JobDetail(self, self.query_one("#job", DocumentView))
        self.tree_list.focus()
        self._fit()
        self.draw()
        self.tree_list.call_after_refresh(self.tree_list.go_to, self.rows.lineage.job.key)
        if self.rows.lineage.note:
            self.say(f"ancestors above are not shown: {plain(self.rows.lineage.note)}", "warn")
        self.start(self._keep_fresh, "watch")
        if self._rerun:
            self._plan_rerun(drop_lost=True)

    async def on_unmount(self) -> None:
        """Ends the journal of a rerun."""
        await self.rerunning.end()

    @override
    def on_resize(self, event: events.Resize) -> None:
        """Shows what fits now."""
        if self.is_mounted:
            self._fit()
        self.draw()

    def _fit(self) -> None:
        """Shows the whole job below the tree where there is room, else its error alone."""
        self.set_class(self.size.height >= _HIGH, "-high")

    # Reading

    @on(FlowTree.Wanted)
    def _children_wanted(self) -> None:
        if not self.is_busy("load", "read"):
            self.in_background(self._load, "load")

    async def _load(self) -> None:
        while wanted := [line for line in self.tree_list.visible_lines if line.more]:
            before = len(self.rows.lines), self.rows.jobs
            await self.rows.load(wanted)
            self.draw()
            if before == (len(self.rows.lines), self.rows.jobs):
                return  # they are gone: ctrl+r says where to

    def action_again(self) -> None:
        """Reads the flow again, as far as it was read; rerun results stay."""
        self.say("")
        self.read_again()

    def read_again(self) -> None:
        """Reads the flow again, as far as it was read."""

        async def read() -> None:
            rows = await read_flow(
                self.session.client,
                self._queue,
                self._job_id,
                known=self._known(),
                before=self.rows,
            )
            self.rows = rows
            self.draw()

        self.in_background(read, "read")

    async def _keep_fresh(self) -> None:
        """Keeps reading the visible jobs; less often where a read takes long."""
        pause = _FRESH
        while self.session.settings.refresh:
            await asyncio.sleep(pause)  # between two looks
            begun = monotonic()
            try:
                seen = {line.node.key for line in self.tree_list.visible_lines if not line.more}
                await self.rows.look(seen)
            except TROUBLE as error:
                self.say(self.session.explain(error), "bad")
            else:
                self.draw()
            pause = max(_FRESH, 10 * (monotonic() - begun))

    # What it says

    def draw(self) -> None:
        """Shows what is known by now."""
        if not self.is_mounted:
            return
        rows, lineage = self.rows, self.rows.lineage
        self.tree_list.show(rows.lines, lineage.job.key, self.rerunning.verdicts)
        root = lineage.root
        jobs = f"{plural(rows.jobs, 'job')} read"
        self.query_one("#title", Bar).say(
            [(" Flow of ", "strong"), (f"{plain(root.key)} ", ""), (plain(root.row.name), "faint")],
            [(f" {jobs} ", "faint")],
        )
        self._draw_line()
        self.draw_keys()

    @override
    def situation(self) -> Situation:
        """Whether a rerun is running."""
        running = self.rerunning.under_way
        return Situation(
            read_only=self.session.read_only,
            running=running,
            stoppable=running,
            enter="open" if self.focused is self.tree_list else "fold",
            held="The rerun is still running ({flow.stop} stops it)." if running else "",
        )

    @override
    def key_lead(self) -> str:
        """READ-ONLY, as this screen has no header to show it in."""
        return "READ-ONLY" if self.session.read_only else ""

    @on(FlowTree.CursorMoved)
    def _draw_line(self) -> None:
        line = self.tree_list.line_at_cursor
        who, place, why = node_in_full(line) if line is not None else ("", "", "")
        self.query_one("#who", Bar).say([(f" {who}", "")])
        self.query_one("#place", Bar).say([(f" {place}", "faint")])
        self.query_one("#why", Bar).say([(f" {why}", "")])
        self._show_job(line)

    def _show_job(self, line: Line | None) -> None:
        """Reads the job under the cursor if it is another one, or may have changed."""
        if not self.has_class("-high"):
            return
        node = None if line is None or line.more else line.node
        seen = None if node is None else (node.key, node.state, node.row)
        is_over = node is None or (node.state is not None and node.state.is_finished)
        if seen == self._seen and (is_over or not self.detail.is_old):
            return
        self._seen = seen
        if node is None:
            self.detail.show(None, None, JobState.FAILED, roomy=False)
        else:
            roomy = self.query_one(DocumentView).size.height >= _ROOMY
            self.detail.show(node.queue, node.id, node.state or JobState.FAILED, roomy=roomy)

    @on(DocumentView.LoadRequested)
    def _load_of_job(self, message: DocumentView.LoadRequested) -> None:
        self.detail.load(message.what)
        self._seen = None
        self._show_job(self.tree_list.line_at_cursor)

    # What it does

    @on(CursorList.Opened)
    def _opened(self) -> None:
        line = self.tree_list.line_at_cursor
        if line is None or line.more:
            self._children_wanted()
        elif self.rerunning.under_way:
            self.say(f"The rerun is still running ({self.key('flow.stop')} stops it).", "warn")
        elif line.node.row.missing:
            self.say(f"Job {plain(line.node.id)} is gone.", "warn")
        elif line.node.state is None:
            self.say(f"job {plain(line.node.id)} is in no state", "warn")
        else:
            self._open(line.node.queue, line.node.state, line.node.id)

    def _open(self, queue: QueueKey, state: JobState, job_id: str) -> None:
        shown = next((one for one in self._known() if one.base == queue.base), None)
        if shown is None:
            self.say(f"{plain(queue.base)} is not one of the queues shown.", "warn")
        else:
            self.dismiss(JobPlace(shown, state, job_id))

    def action_rerun(self) -> None:
        """Opens the plan of a rerun."""
        self._plan_rerun()

    def _plan_rerun(self, *, drop_lost: bool = False) -> None:
        session = self.session

        async def read(start: Start, drop_lost: bool, progress: Callable[[int], None]) -> RerunPlan:
            return await make_rerun_plan(
                session.client,
                self._queue,
                self._job_id,
                start,
                known=self._known(),
                progress=progress,
                drop_lost=drop_lost,
            )

        dialog = RerunDialog(
            read,
            root=self.rows.lineage.root.key,
            resets=self._resets,
            keep=self._keep,
            drop_lost=drop_lost,
            dry=session.dry(Verb.RERUN),
            explain=session.explain,
        )
        self.app.push_screen(dialog, self._answered)

    def _keep(self, resets: Resets) -> None:
        self._resets = resets
        self._keep_resets(resets)

    def _answered(self, confirmed: Confirmed[RerunPlan] | None) -> None:
        if confirmed is not None and self.session.rerun is not None:
            self.say("")
            campaign = self.session.rerun(confirmed.plan, self._resets, confirmed.reason)
            self.rerunning.begin(campaign)

    def action_stop(self) -> None:
        """Stops the rerun after the current call."""
        self.rerunning.stop()

    def action_copy_command(self) -> None:
        """Copies the command that prints this flow."""
        line = self.session.command("flow", queue=self._queue, name=self._job_id)
        offer(self, line, "shell command")

    def action_back(self) -> None:
        """Back to the tree, and from there out of the flow and the results of a rerun."""
        if self.focused is self.tree_list:
            self.dismiss(None)
        else:
            self.tree_list.focus()

    def action_back_or_quit(self) -> None:
        """Leaves the flow."""
        self.dismiss(None)
