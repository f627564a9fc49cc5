"""Retries from the screen: their plans, and resuming one that was cut off."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from qtui.bullmq.codes import Code
from qtui.bullmq.filter import Filter
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState
from qtui.operations.engine.pace import Pace
from qtui.operations.journal.reading import JournalError, Summary, unfinished
from qtui.operations.planning.plan import Plan, Resets, make_plan
from qtui.operations.planning.several import SeveralPlans, plan_several
from qtui.operations.supply.selection import Selection, chosen, query
from qtui.text import plain, plural
from qtui.ui.dialogs.plan import Confirmed
from qtui.ui.dialogs.retry import AnyPlan, RetryDialog
from qtui.ui.inspector.campaigns import Campaigns
from qtui.ui.inspector.live import LiveScreen
from qtui.ui.inspector.plans.undoing import Undoing
from qtui.ui.screens.journal import JournalChoice, JournalScreen
from qtui.verbs import NOUNS, RESUMABLE, Verb, verb_of
from qtui.views.lists.board import Board


class Retrying:
    """Plans retries of the board's jobs, and resumes those that were cut off.

    Args:
        screen: runs the work in the background.
        board: what is looked at.
        campaigns: carries them out.
        undoing: plans an undo.
    """

    def __init__(
        self, screen: LiveScreen, board: Board, campaigns: Campaigns, undoing: Undoing
    ) -> None:
        self.resets = Resets()
        self.pace = Pace()
        """The toggles of the plan; they keep their setting until qtui ends."""
        self._screen = screen
        self._board = board
        self._campaigns = campaigns
        self._undoing = undoing

    # The plan

    def plan_chosen(self, ids: Sequence[str]) -> None:
        """Opens the plan for these jobs of the list, or for all if everything is marked."""
        board, everything = self._board, self._board.marks.everything
        queue, state = board.queue, board.state
        if everything is not None:
            what = _words(state, everything.filter)
            self._ask(lambda: _ready(everything), what, queue=everything.queue)
        elif queue is not None and ids:
            jobs = plural(len(ids), f"{state} job")
            self._ask(lambda: _ready(chosen(queue, state, ids)), jobs, queue=queue)

    def plan_everything(self) -> None:
        """Opens the plan for every job that matches the list's state and filter, as of now."""
        board = self._board
        if board.queue is not None:
            self.plan_matching(board.queue, board.state, board.filter)

    def plan_matching(
        self,
        queue: QueueKey,
        state: JobState,
        wanted: Filter | None,
        *,
        confirmed: Callable[[], None] = lambda: None,
    ) -> None:
        """Opens the plan for every job of a state that matches, as of now.

        Args:
            queue: the jobs' queue.
            state: the state, one that can be retried.
            wanted: which of its jobs; None for all.
            confirmed: is called when the plan is carried out, before it begins.
        """
        client = self._screen.session.client
        self._ask(
            lambda: query(client, queue, state, wanted),
            _words(state, wanted),
            queue=queue,
            confirmed=confirmed,
        )

    def plan_several(
        self,
        queues: Sequence[QueueKey],
        state: JobState,
        wanted: Filter | None,
        *,
        confirmed: Callable[[], None] = lambda: None,
    ) -> None:
        """Opens the plan for every job of a state that matches in several queues, as one campaign.

        Args:
            queues: the queues.
            state: the state, one that can be retried.
            wanted: which of its jobs; None for all.
            confirmed: is called when the plan is carried out, before it begins.
        """
        session = self._screen.session

        async def read(
            progress: Callable[[int, int], None], early: Callable[[Plan], None]
        ) -> SeveralPlans:
            return await plan_several(
                session.client,
                queues,
                state,
                wanted,
                progress=progress,
                rate=session.settings.scan_rate,
            )

        where = plural(len(queues), "queue")
        self._open(read, f"{_words(state, wanted)} in {where}", confirmed=confirmed)

    def _ask(
        self,
        select: Callable[[], Awaitable[Selection]],
        jobs: str,
        *,
        queue: QueueKey,
        confirmed: Callable[[], None] = lambda: None,
    ) -> None:
        session = self._screen.session

        async def read(progress: Callable[[int, int], None], early: Callable[[Plan], None]) -> Plan:
            client, rate = session.client, session.settings.scan_rate
            selection = await select()
            return await make_plan(client, selection, progress=progress, early=early, rate=rate)

        self._open(read, f"{jobs} in {plain(queue.name)}", confirmed=confirmed)

    def _open(
        self,
        read: Callable[[Callable[[int, int], None], Callable[[Plan], None]], Awaitable[AnyPlan]],
        what: str,
        *,
        confirmed: Callable[[], None],
    ) -> None:
        session = self._screen.session

        def keep(resets: Resets, pace: Pace) -> None:
            self.resets, self.pace = resets, pace

        def answered(answer: Confirmed[AnyPlan] | None) -> None:
            if answer is not None:
                confirmed()
                self._carry_on(answer)

        dry = session.dry(Verb.RETRY)
        dialog = RetryDialog(
            read,
            title=f"{'Dry run: retry' if dry else 'Retry'} {what}",
            resets=self.resets,
            pace=self.pace,
            keep=keep,
            dry=dry,
            explain=session.explain,
        )
        self._screen.app.push_screen(dialog, answered)

    def _carry_on(self, confirmed: Confirmed[AnyPlan]) -> None:
        begin = self._screen.session.campaign
        if begin is not None:
            self._board.marks.everything = None
            self._campaigns.begin(begin(confirmed.plan, self.resets, self.pace, confirmed.reason))

    # Past ones

    def open_journal(self) -> None:
        """Shows past campaigns; one that was cut off can be resumed there."""
        session = self._screen.session
        if session.journal is not None:
            screen = JournalScreen(session, session.journal, runs=self._campaigns.all)
            self._screen.app.push_screen(screen, self._chosen)

    def _chosen(self, choice: JournalChoice | None) -> None:
        if choice is not None and choice.undo:
            self._undoing.of(choice.campaign)
        elif choice is not None:
            self._resume(choice.campaign)

    def _resume(self, one: Summary) -> None:
        resume = self._screen.session.resume
        if resume is None:
            return

        async def take() -> None:
            await self._campaigns.release(one.id)  # which holds its journal
            try:
                self._campaigns.begin(await resume(one.id))
            except JournalError as error:
                self._screen.say(plain(str(error)), "bad")

        self._screen.in_background(take, "resume")

    async def tell_unfinished(self) -> None:
        """Says so where a campaign on this server was cut off."""
        session = self._screen.session
        if session.journal is None:
            return
        try:
            found = await asyncio.to_thread(unfinished, session.journal, session.target.shown)
        except JournalError:
            return  # the folder can't be read; a retry will say so
        if found:
            one, action = found[0], plain(found[0].header.action)
            noun = NOUNS.get(one.header.selection.kind, "job")
            done = plural(one.codes.get(Code.DONE, 0), noun)
            resumes = verb_of(one.header.action) in RESUMABLE
            key = self._screen.key
            keys = f"{key('inspector.journal')}, then {key('journal.resume')}"
            hint = f"{keys} resumes it" if resumes else "plan it again to do the rest"
            an = "An" if action[:1] in "aeiou" else "A"
            self._screen.say(f"{an} {action} was cut off after {done} ({one.id}): {hint}.", "warn")


async def _ready(selection: Selection) -> Selection:
    return selection


def _words(state: JobState, wanted: Filter | None) -> str:
    match = f" that match {plain(wanted.source)}" if wanted is not None else ""
    return f"all {state} jobs{match}"
