"""The plans of actions on jobs and queues, other than retries, and what is done when confirmed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final, TypeVar

from qtui.bullmq.codes import Result
from qtui.bullmq.keys import QueueKey
from qtui.operations.planning.proposal import ActionPlan, PlanOptions, Toggle
from qtui.operations.promote.plan import PromotionPlan, make_promotion_plan
from qtui.operations.queues.limits import LimitsPlan, Wanted, plan_limits
from qtui.operations.queues.obliterating import ObliteratePlan, plan_obliteration
from qtui.operations.queues.pausing import PausingPlan, plan_pausing
from qtui.operations.remove.plan import (
    CHILDREN_TOO,
    WITHOUT_UNDO,
    RemovalPlan,
    make_removal_plan,
)
from qtui.operations.schedulers.action import Do
from qtui.operations.schedulers.plan import SchedulersPlan, plan_schedulers
from qtui.operations.supply.selection import Selection, chosen
from qtui.text import count, plain, plural
from qtui.ui.dialogs.action import ActionDialog, Progress, Request
from qtui.ui.dialogs.plan import Confirmed
from qtui.ui.inspector.campaigns import Campaigns
from qtui.ui.inspector.live import LiveScreen
from qtui.ui.screens.schedulers import Listener
from qtui.verbs import Verb
from qtui.views.lists.board import Board
from qtui.views.running import Run

A = TypeVar("A", bound=ActionPlan)

NOT_UNDONE: Final = Toggle(
    id=WITHOUT_UNDO, words="also remove jobs too large for the journal: no undo"
)

_REMOVAL: Final = (
    Toggle(id=CHILDREN_TOO, words="also remove children, and their children"),
    NOT_UNDONE,
)


class Changing:
    """Opens plans, and begins the campaigns of those that are confirmed.

    Args:
        screen: the screen below the dialogs.
        board: what is looked at.
        campaigns: carries them out.
    """

    def __init__(self, screen: LiveScreen, board: Board, campaigns: Campaigns) -> None:
        self._screen = screen
        self._board = board
        self._campaigns = campaigns
        self._options: dict[Verb, PlanOptions] = {}
        """What was chosen in the plan of each action; kept until qtui ends."""

    def open(
        self,
        verb: Verb,
        request: Request[A],
        *,
        confirmed: Callable[[], None] = lambda: None,
        reason: str = "",
        listener: Callable[[A, Run, Sequence[Result]], None] | None = None,
        also: Sequence[Verb] = (),
    ) -> None:
        """Opens the plan of an action; where it may not be carried out, as a dry run.

        Args:
            verb: the action.
            request: its plan.
            confirmed: is called when the plan is carried out, before it begins.
            reason: what the journal says where no other reason is given.
            listener: takes the plan and the results, see `Campaigns.begin`.
            also: others that have to be allowed, since this one carries them out.
        """
        session = self._screen.session

        def keep(options: PlanOptions) -> None:
            self._options[verb] = options

        def answered(answer: Confirmed[A] | None) -> None:
            if answer is not None and session.carry is not None:
                confirmed()
                options = self._options.get(verb, PlanOptions())
                campaign = session.carry(answer.plan, options, answer.reason or reason)
                listens = None if listener is None else partial(listener, answer.plan)
                self._campaigns.begin(campaign, listens)

        dialog = ActionDialog(
            request,
            options=self._options.get(verb, PlanOptions()),
            keep=keep,
            dry=next(filter(None, map(session.dry, (verb, *also))), ""),
            explain=session.explain,
        )
        self._screen.app.push_screen(dialog, answered)

    # Queues

    def pause(
        self,
        queues: Sequence[QueueKey],
        *,
        paused: bool,
        pausing: Callable[[], None],
        reason: str = "",
    ) -> None:
        """Opens the plan of a pause; of a resume where all of the queues are paused.

        Args:
            queues: the queues.
            paused: whether all of them are paused.
            pausing: is called when the plan is carried out, before it begins.
            reason: what the journal says where no other reason is given.
        """
        verb, client = Verb.RESUME if paused else Verb.PAUSE, self._screen.session.client

        async def read(options: PlanOptions, progress: Progress) -> PausingPlan:
            return await plan_pausing(client, verb, queues)

        what = plain(queues[0].name) if len(queues) == 1 else plural(len(queues), "queue")
        title = f"{str(verb).capitalize()} {what}"
        request = Request(title=title, read=read, dangerous=len(queues) > 1)
        self.open(verb, request, confirmed=pausing, reason=reason)

    def limits(self, queue: QueueKey, wanted: Wanted, *, reason: str = "") -> None:
        """Opens the plan of a change of a queue's limits."""
        client = self._screen.session.client

        async def read(options: PlanOptions, progress: Progress) -> LimitsPlan:
            return await plan_limits(client, queue, wanted)

        title = f"Change the limits of {plain(queue.name)}"
        request = Request(title=title, read=read, dangerous=bool(wanted.keys))
        self.open(Verb.LIMITS, request, reason=reason)

    def schedulers(self, queue: QueueKey, do: Do, ids: Sequence[str], listener: Listener) -> None:
        """Opens the plan of an action on schedulers of a queue."""
        client = self._screen.session.client

        async def read(options: PlanOptions, progress: Progress) -> SchedulersPlan:
            return await plan_schedulers(client, do, queue, ids)

        what = f"scheduler {plain(ids[0])}" if len(ids) == 1 else f"{count(len(ids))} schedulers"
        verb = f"Run {what} now" if do is Do.RUN_NOW else f"{str(do).capitalize()} {what}"
        title = f"{verb} in {plain(queue.name)}"
        request = Request(title=title, read=read, dangerous=do is Do.REMOVE)
        self.open(Verb.SCHEDULERS, request, listener=listener)

    def remove_queue(self, queue: QueueKey) -> None:
        """Opens the plan of a queue's removal with all that is in it."""
        client = self._screen.session.client

        async def read(options: PlanOptions, progress: Progress) -> ObliteratePlan:
            return await plan_obliteration(client, queue)

        title = f"Remove the queue {plain(queue.name)} with all its jobs"
        self.open(Verb.REMOVE_QUEUE, Request(title=title, read=read, dangerous=True))

    # Jobs

    def promote(self, cursor_id: str | None) -> None:
        """Opens the plan of a promotion."""
        session = self._screen.session

        def request(
            select: Callable[[], Awaitable[Selection]], words: str
        ) -> Request[PromotionPlan]:
            async def read(options: PlanOptions, progress: Progress) -> PromotionPlan:
                rate = session.settings.scan_rate
                return await make_promotion_plan(
                    session.client, await select(), progress=progress, rate=rate
                )

            return Request(title=f"Promote {words}", read=read, paced=True)

        self.of_jobs(Verb.PROMOTE, cursor_id, request)

    def remove(self, cursor_id: str | None) -> None:
        """Opens the plan of a removal."""
        self.of_jobs(Verb.REMOVE, cursor_id, self._removal)

    def remove_chosen(self, selection: Selection, words: str, *, reason: str) -> None:
        """Opens the plan of a removal of some jobs.

        Args:
            selection: the jobs.
            words: what they are called, with their queue; plain text.
            reason: what the journal says where no other reason is given.
        """
        request = self._removal(lambda: _ready(selection), words)
        self.open(Verb.REMOVE, request, reason=reason)

    def _removal(
        self, select: Callable[[], Awaitable[Selection]], words: str
    ) -> Request[RemovalPlan]:
        session = self._screen.session

        async def read(options: PlanOptions, progress: Progress) -> RemovalPlan:
            rate = session.settings.scan_rate
            return await make_removal_plan(
                session.client, await select(), progress=progress, rate=rate
            )

        return Request(
            title=f"Remove {words}",
            read=read,
            dangerous=True,
            toggles=_REMOVAL,
            paced=True,
        )

    def of_jobs(
        self,
        verb: Verb,
        cursor_id: str | None,
        request: Callable[[Callable[[], Awaitable[Selection]], str], Request[A]],
    ) -> None:
        """Opens the plan for the marked jobs, or for the one under the cursor.

        Args:
            verb: the action.
            cursor_id: the job under the cursor.
            request: makes the request of a selection, and of words for it and its queue.
        """
        found = self._selected(cursor_id)
        if found is not None:
            select, words = found

            def confirmed() -> None:
                self._board.marks.everything = None

            self.open(verb, request(select, words), confirmed=confirmed)

    def _selected(
        self, cursor_id: str | None
    ) -> tuple[Callable[[], Awaitable[Selection]], str] | None:
        """What is marked, or the job under the cursor; and in words: ``3 delayed jobs in mail``."""
        board, everything = self._board, self._board.marks.everything
        queue, state, ids = board.queue, board.state, board.chosen(cursor_id)
        if everything is not None:
            match = f" that match {plain(everything.filter.source)}" if everything.filter else ""
            words = f"all {everything.state} jobs{match} in {plain(everything.queue.name)}"
            return (lambda: _ready(everything)), words
        if queue is None or not ids:
            return None
        words = f"{plural(len(ids), f'{state} job')} in {plain(queue.name)}"
        return (lambda: _ready(chosen(queue, state, ids))), words


async def _ready(selection: Selection) -> Selection:
    return selection
