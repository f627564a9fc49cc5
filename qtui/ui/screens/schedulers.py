"""The schedulers of a queue, one of them in full, and what can be done with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import monotonic
from typing import ClassVar, Final, TypeAlias

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from typing_extensions import override

from qtui.bullmq.codes import Code, Result, meaning
from qtui.bullmq.connection.trouble import TROUBLE
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.schedulers.read import read_scheduler, read_schedulers
from qtui.bullmq.schedulers.scheduler import Condition, Scheduler
from qtui.operations.schedulers.action import Do
from qtui.operations.schedulers.plan import SchedulersPlan
from qtui.text import count, first_line, plain, plural
from qtui.ui.actions import Situation, Where
from qtui.ui.base import QtuiScreen
from qtui.ui.clipboard.offer import offer
from qtui.ui.keys import bindings
from qtui.ui.session import Session
from qtui.ui.widgets.bars import Bar, KeyBar, StatusLine
from qtui.ui.widgets.cursor_list import CursorList
from qtui.ui.widgets.document import DocumentView
from qtui.ui.widgets.scheduler_list import SchedulerList
from qtui.views.document import Document
from qtui.views.lists.verdict import Verdict
from qtui.views.running import Run
from qtui.views.schedulers import sections, worst_first
from qtui.views.tone import Tone

_MOST: Final = 1000
"""Schedulers that are listed; `qtui schedulers` lists them all."""

_REST: Final = 10
"""How much longer than a read took nothing is read again: many take half a second."""


Listener: TypeAlias = Callable[[SchedulersPlan, Run, Sequence[Result]], None]
"""Takes the results of a plan that is carried out; none when it is over."""

Plan: TypeAlias = Callable[[QueueKey, Do, Sequence[str], Listener], None]
"""Opens the plan of an action on some schedulers."""


class SchedulersScreen(QtuiScreen[None]):
    """Lists the schedulers of a queue, and keeps them fresh."""

    BINDINGS: ClassVar[list[BindingType]] = list(bindings(Where.SCHEDULERS, Where.APP))
    PARTS = (Where.MOVE, Where.SCHEDULERS, Where.APP)
    UNDO = "schedulers.undo"

    DEFAULT_CSS = """
    SchedulersScreen {
        layout: vertical;
        & > #title, & > #keys { background: $surface; }
        & > #story { height: 45%; border-top: solid $surface-lighten-1; }
    }
    """

    def __init__(
        self,
        session: Session,
        queue: QueueKey,
        plan: Plan,
        undo: Callable[[SchedulersScreen], None],
        is_busy_on: Callable[[], bool],
    ) -> None:
        """Lists a queue's schedulers.

        Args:
            session: the connection.
            queue: the queue.
            plan: opens the plan of an action over this screen.
            undo: opens the plan of an undo over it; the results go to `undone`.
            is_busy_on: whether a campaign is under way on the queue.
        """
        super().__init__(session)
        self._undo = undo
        self._queue = queue
        self._open = plan
        self._is_busy_on = is_busy_on
        self._found: Sequence[Scheduler] = ()
        self._removed: dict[str, Scheduler] = {}
        """Those that are gone, with their result, until the list is refreshed."""
        self._results: dict[str, Verdict] = {}
        self._not_undone: dict[str, Verdict] = {}
        """What an undo that is under way has left alone."""
        self._lost = False
        self._again_at = 0.0

    @override
    def compose(self) -> ComposeResult:
        yield Bar(id="title")
        yield SchedulerList(id="schedulers")
        yield DocumentView(id="story")
        yield StatusLine(id="status")
        yield KeyBar(id="keys")

    def on_mount(self) -> None:
        """Reads them, and again at each refresh."""
        self._list = self.query_one(SchedulerList)
        self._list.focus()
        self._draw_title()
        self._read_again()
        if self.session.settings.refresh:
            self.set_interval(self.session.settings.refresh, self._read_again)
        self.draw_keys()

    # Reading

    def _read_again(self) -> None:
        due = monotonic() >= self._again_at
        if due and self.app.screen is self and not self.is_busy("schedulers"):
            self.start(self._read, "schedulers")

    async def _read(self) -> None:
        began = monotonic()
        try:
            page = await read_schedulers(self.session.client, self._queue, limit=_MOST)
        except TROUBLE as error:
            self._lost = True
            self.say(self.session.explain(error), "bad")
            return
        if self._lost:
            self._lost = False
            self.say("Connected again.")
        self._again_at = monotonic() + _REST * (monotonic() - began)
        self._found = worst_first(page.schedulers)
        more = page.total - len(page.schedulers)
        if more > 0:
            self.say(f"{plural(more, 'scheduler')} more: qtui schedulers lists them all")
        self._draw(page.unread or f"no schedulers in {self._queue.name}")
        await self._read_one()

    def _draw(self, words: str = "") -> None:
        there = {one.id for one in self._found}
        gone = [one for one in self._removed.values() if one.id not in there]
        self._list.show([*self._found, *gone], self._results, plain(words))
        self._draw_title()
        self.draw_keys()

    def _draw_title(self) -> None:
        name = self._queue.name if self._queue.prefix == "bull" else self._queue.base
        parts = [(" Schedulers  ", "strong"), (plain(name), "")]
        if self._found:
            parts.append((f"  {count(len(self._found))}", "faint"))
        for condition in (Condition.DEAD, Condition.LATE):
            if number := sum(one.condition is condition for one in self._found):
                parts.append((f"  {count(number)} {condition}", "bad"))
        if any(one.paused for one in self._found):
            parts.append(("  the queue is paused", "warn"))
        mode = [(" READ-ONLY ", "badge")] if self.session.read_only else []
        self.query_one("#title", Bar).say(parts, mode)

    @on(SchedulerList.Selected)
    def _selected(self) -> None:
        self.draw_keys()
        self.in_background(self._read_one, "story")

    async def _read_one(self) -> None:
        """The one under the cursor in full, with its template."""
        view, one = self.query_one(DocumentView), self._list.scheduler
        if one is None:
            view.show(Document(()))
            return
        whole = await read_scheduler(self.session.client, self._queue, one.id)
        if self._list.scheduler is not None and self._list.scheduler.id == one.id:
            view.show(Document(sections(whole or one)), one.id)

    @on(CursorList.Opened)
    def _opened(self) -> None:
        self.query_one(DocumentView).focus()

    @override
    def situation(self) -> Situation:
        """The scheduler under the cursor."""
        in_list, one = self.focused is self._list, self._list.scheduler
        there = {found.id for found in self._found}
        return Situation(
            enter="fold" if not in_list else "details" if one else "",
            read_only=self.session.read_only,
            running=self._is_busy_on(),
            keeps_journal=self.session.journal is not None,
            undoable=self.session.past.undoable,
            scheduler=one,
            is_gone=one is not None and one.id not in there,
            dead=sum(one.condition is Condition.DEAD for one in self._found),
        )

    # What it does

    def action_run_now(self) -> None:
        """Plans one job from the template."""
        self._plan(Do.RUN_NOW)

    def action_revive(self) -> None:
        """Plans the next iteration of a dead one."""
        self._plan(Do.REVIVE)

    def action_revive_all(self) -> None:
        """Plans the next iteration of every dead one."""
        dead = [one.id for one in self._found if one.condition is Condition.DEAD]
        self._plan(Do.REVIVE, dead)

    def action_remove(self) -> None:
        """Plans a removal."""
        self._plan(Do.REMOVE)

    def _plan(self, do: Do, ids: Sequence[str] = ()) -> None:
        one = self._list.scheduler
        ids = ids or ([one.id] if one is not None else [])
        if ids:
            self._open(self._queue, do, ids, self._take)

    def _take(self, plan: SchedulersPlan, run: Run, results: Sequence[Result]) -> None:
        """Puts the results of an action into the rows; with none, says how it ended."""
        if not self.is_attached:  # it was left meanwhile
            return
        before = {one.id: one.scheduler for one in plan.forecasts if one.scheduler is not None}
        for result in results:
            if plan.do is Do.RUN_NOW:  # its result is the job's
                self._results[plan.chosen[0].id] = _verdict(plan.do, result)
                continue
            self._results[result.job_id] = _verdict(plan.do, result)
            if plan.do is Do.REMOVE and result.done and result.job_id in before:
                self._removed[result.job_id] = before[result.job_id]
        self._draw()
        if not results:
            self._say_end(plan.do, run)
            self._again_at = 0.0
            self.in_background(self._read, "schedulers")

    def _say_end(self, do: Do, run: Run) -> None:
        campaign = run.campaign
        words = f"{count(campaign.done)} of {plural(campaign.selected, 'scheduler')} {do.done}"
        undoes = f" · {hint}" if (hint := self.undo_hint(run)) else ""
        if trouble := run.trouble or plain(campaign.why):
            self.say(f"{words}: {trouble}{undoes}", "bad")
        else:
            rows = "" if campaign.done == campaign.selected else ": see the rows"
            self.say(f"{words}{rows}{undoes}")

    def action_undo(self) -> None:
        """Plans an undo of the last operation."""
        self._undo(self)

    def undone(self, run: Run, results: Sequence[Result]) -> None:
        """Reads the schedulers as they are after an undo, and says how it ended.

        A row says its state then, or why it was left alone.
        """
        if not self.is_attached:
            return
        left = [one for one in results if not one.done]
        self._not_undone |= {one.job_id: _verdict_of_undo(one) for one in left}
        if results:
            return
        self._results, self._not_undone = self._not_undone, {}
        self._again_at = 0.0
        self.in_background(self._read_undone, "schedulers")
        self.say(*run.status())

    async def _read_undone(self) -> None:
        """Reads them; a row that was removed leaves no sooner, so that the cursor stays on it."""
        await self._read()
        self._removed = {id: one for id, one in self._removed.items() if id in self._results}
        self._draw()

    def action_refresh_now(self) -> None:
        """Reads them again, without the results."""
        self._results.clear()
        self._removed.clear()
        self.say("")
        self._again_at = 0.0
        self._draw()
        self._read_again()

    def action_copy_command(self) -> None:
        """Copies the command that shows the scheduler under the cursor, or all of them."""
        one = self._list.scheduler
        line = self.session.command(
            "schedulers", queue=self._queue, name=one.id if one is not None else ""
        )
        offer(self, line, "shell command")

    def action_back(self) -> None:
        """Back to the list, and from there to the inspector."""
        if self.focused is self._list:
            self.dismiss(None)
        else:
            self._list.focus()

    def action_back_or_quit(self) -> None:
        """Leaves the schedulers."""
        self.dismiss(None)


def _verdict_of_undo(result: Result) -> Verdict:
    """Why a scheduler was left alone by an undo, for its row."""
    why = first_line(result.error) or meaning(result.code, "its place", "undone")
    sign = "?" if result.code is Code.UNKNOWN else f"✗ {int(result.code)}"
    return Verdict(f"{sign} {why}", Tone.BAD)


def _verdict(do: Do, result: Result) -> Verdict:
    """What came of an action, for the row of its scheduler."""
    if result.done:
        job_id = result.job_id if do is Do.RUN_NOW else ""
        return Verdict(f"✔ {do.done}" + (f", job {plain(job_id)}" if job_id else ""), Tone.GOOD)
    sign = "?" if result.code is Code.UNKNOWN else f"✗ {int(result.code)}"
    return Verdict(f"{sign} {first_line(result.error)}", Tone.BAD)
