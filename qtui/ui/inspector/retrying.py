"""Retries from the screen: the plan, one campaign at a time, and the outcome of its jobs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from typing import Final

from textual.worker import Worker

from qtui.bullmq.codes import Code, ForeignQueue, meaning
from qtui.bullmq.connection.trouble import TROUBLE
from qtui.bullmq.filter import Filter
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState
from qtui.operations.engine.campaign import VANISHED, Campaign, Phase
from qtui.operations.engine.pace import Pace
from qtui.operations.journal.reading import JournalError, Summary, unfinished
from qtui.operations.planning.plan import Plan, Resets, make_plan
from qtui.operations.retry.retry import Retry
from qtui.operations.supply.selection import Selection, chosen, query
from qtui.text import count, plain, plural
from qtui.ui.base import last_words
from qtui.ui.dialogs.plan import Confirmed
from qtui.ui.dialogs.retry import RetryDialog
from qtui.ui.inspector.live import LiveScreen
from qtui.ui.screens.journal import JournalScreen
from qtui.ui.widgets.bars import Bar
from qtui.views.lists.board import Board

_LOOK: Final = 0.2
"""Seconds between two looks at what becomes of the jobs while nothing is open."""

_LAST_LOOK: Final = 1.0
"""Seconds for which open jobs are read when they are followed no more."""

_LAST_LOOK_OF_ALL: Final = 0.5
"""The same when qtui ends, which waits for no server."""

_FOLLOWED: Final = 86_400.0
"""Seconds for which jobs are followed; a day's worth of waiting is nobody's retry any more."""


class Retrying:
    """Plans retries of the board's jobs, carries them out, and tells what became of them.

    Args:
        screen: runs the work in the background.
        board: what is looked at, and where results are written into rows.
        banner: where a campaign tells how it fares.
        changed: is called when rows have results that they did not have before.
    """

    def __init__(
        self, screen: LiveScreen, board: Board, banner: Bar, changed: Callable[[], None]
    ) -> None:
        self.resets = Resets()
        self.pace = Pace()
        """The toggles of the plan; they keep their setting until qtui ends."""
        self.campaign: Campaign[Retry] | None = None
        """The latest campaign, until its banner is closed."""
        self._screen = screen
        self._board = board
        self._banner = banner
        self._changed = changed
        self._quit_after = False
        self._trouble = ""
        self._sending: Worker[None] | None = None
        banner.display = False

    @property
    def under_way(self) -> bool:
        """Whether a campaign is sending jobs, or about to."""
        return self.campaign is not None and not self.campaign.is_over

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

        def keep(resets: Resets, pace: Pace) -> None:
            self.resets, self.pace = resets, pace

        def answered(answer: Confirmed[Plan] | None) -> None:
            if answer is not None:
                confirmed()
                self._carry_on(answer)

        what = "Dry run: retry" if session.read_only else "Retry"
        dialog = RetryDialog(
            read,
            title=f"{what} {jobs} in {plain(queue.name)}",
            resets=self.resets,
            pace=self.pace,
            keep=keep,
            read_only=session.read_only,
            explain=session.explain,
        )
        self._screen.app.push_screen(dialog, answered)

    def _carry_on(self, confirmed: Confirmed[Plan]) -> None:
        begin = self._screen.session.campaign
        if begin is not None:
            self._board.marks.everything = None
            self.begin(begin(confirmed.plan, self.resets, self.pace, confirmed.reason))

    # The campaign

    def begin(self, campaign: Campaign[Retry]) -> None:
        """Runs a campaign, and follows its jobs."""
        self._close_latest()
        self.campaign, self._trouble = campaign, ""
        self._sending = self._screen.start(partial(self._carry_out, campaign), "retry")
        self._screen.start(partial(self._follow, campaign), "follow", alone=True)

    def open_journal(self) -> None:
        """Shows past campaigns; one that was cut off can be resumed there."""
        session = self._screen.session
        if session.journal is not None:
            latest = self.campaign
            own = latest.journal.id if latest is not None and latest.journal is not None else ""
            screen = JournalScreen(
                session, session.journal, own=own, own_runs=lambda: self.under_way
            )
            self._screen.app.push_screen(screen, self._resume)

    def _resume(self, one: Summary | None) -> None:
        resume = self._screen.session.resume
        if one is None or resume is None:
            return

        async def take() -> None:
            if self.campaign is not None:  # while it follows its jobs it holds its journal
                await self.campaign.finish(_LAST_LOOK)
            try:
                self.begin(await resume(one.id))
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
            jobs = count(found[0].codes.get(Code.DONE, 0))
            words = f"A retry was cut off after {jobs} jobs ({found[0].id}): L, then r resumes it."
            self._screen.say(words, "warn")

    def stop(self) -> None:
        """Stops the campaign after the batches in flight."""
        if self.campaign is not None and self.under_way:
            self.campaign.stop()
            self._draw()

    def quit_after(self) -> None:
        """Stops the campaign after the batches in flight, then quits qtui."""
        self._quit_after = True
        if self.under_way:
            self.stop()
        else:
            self._screen.app.exit()

    def let_go(self) -> bool:
        """Closes the banner of a campaign that is over; False where there is none."""
        if self.campaign is None or not self.campaign.is_over:
            return False
        self._close_latest()
        self.campaign = None
        self._draw()
        return True

    async def end(self) -> None:
        """Lets a campaign that was cancelled write its last line, and closes its journal."""
        await last_words(self._sending)
        if self.campaign is not None:
            await self.campaign.finish(_LAST_LOOK_OF_ALL)

    def _close_latest(self) -> None:
        """Writes the outcomes of a campaign that is closed, in the background."""
        if self.campaign is not None and self.campaign.journal is not None:
            self._screen.start(partial(self.campaign.finish, _LAST_LOOK), "finish")

    async def _carry_out(self, campaign: Campaign[Retry]) -> None:
        plan = campaign.action.plan
        campaign.news = self._draw
        self._draw()
        try:
            async for results in campaign.run():
                self._board.record(plan.queue, plan.state, results)
                # They may have run already.
                known, ids = campaign.action.follower.outcomes, (one.job_id for one in results)
                self._board.note(
                    plan.queue, plan.state, {one: known[one] for one in ids if one in known}
                )
                self._draw()
                self._changed()
                self._screen.poll.nudge([plan.queue])
        except ForeignQueue as refusal:
            self._trouble = f"nothing was retried: {plain(plan.queue.base)} is {refusal}"
        except JournalError as error:
            self._trouble = f"nothing was retried: {plain(str(error))}"
        except TROUBLE as error:
            self._trouble = self._screen.session.explain(error)
        finally:
            self._draw()
            self._changed()
            if self._quit_after:
                self._screen.app.exit()

    async def _follow(self, campaign: Campaign[Retry]) -> None:
        """Updates rows and banner with the outcomes, until every job has its final one."""
        plan, follower = campaign.action.plan, campaign.action.follower
        while self.campaign is campaign:
            try:
                async for ids in follower.watch(_FOLLOWED, lambda: self.campaign is not campaign):
                    outcomes = {one: follower.outcomes[one] for one in ids}
                    self._board.note(plan.queue, plan.state, outcomes)
                    self._draw()
                    self._changed()
            except TROUBLE as error:
                self._screen.say(self._screen.session.explain(error), "warn")
            if campaign.is_over and not follower.undecided:
                campaign.close()
                self._draw()
                return
            # Nothing is open just now; the next batch brings more.
            await asyncio.sleep(_LOOK)

    # The banner

    def _draw(self) -> None:
        campaign = self.campaign
        self._screen.draw_keys()
        self._banner.display = campaign is not None
        if campaign is None:
            return
        words, tone = told(campaign)
        if self._trouble:
            words, tone = f"{self._trouble} · {words}", "bad"
        hint = " x stops " if not campaign.is_over else " esc closes "
        self._banner.say([(f" {words}", tone)], [(hint, "faint")])


async def _ready(selection: Selection) -> Selection:
    return selection


def _words(state: JobState, wanted: Filter | None) -> str:
    match = f" that match {plain(wanted.source)}" if wanted is not None else ""
    return f"all {state} jobs{match}"


def told(campaign: Campaign[Retry]) -> tuple[str, str]:
    """A campaign's progress and results in a line, and the tone to show it in."""
    tally = campaign.action.follower.tally()
    others = sorted(code for code in campaign.codes if code is not Code.DONE)
    left = campaign.selected - campaign.decided
    words = [*_course(campaign, left)]
    if campaign.done:
        words.append(tally.words())
    for code in others:
        name = f"{int(code)} " if code not in (Code.REFUSED, Code.UNKNOWN) else ""
        what = meaning(code, campaign.action.plan.state)
        words.append(f"{name}{what}: {count(campaign.codes[code])}")
    words += (f"Redis refused: {plain(note)}" for note in campaign.notes)
    stopped = campaign.is_over and campaign.phase is not Phase.DONE
    if tally.failed_again or stopped or campaign.why:
        return " · ".join(words), "bad"
    return " · ".join(words), "warn" if others or campaign.notes else "strong"


def _course(campaign: Campaign[Retry], left: int) -> Iterator[str]:
    """How far it is, or why it stopped."""
    selected = plural(campaign.selected, "job")
    if not campaign.is_over:
        doing = "retrying" if campaign.phase is Phase.RUNNING else campaign.phase.value
        yield f"{doing}: {count(campaign.decided)} of {selected}"
        if campaign.trouble:
            yield f"waiting: {campaign.trouble}"
        elif campaign.held:
            yield f"on hold: {campaign.held}"
    elif campaign.phase is not Phase.DONE:
        yield f"{campaign.phase.value}{f': {plain(campaign.why)}' if campaign.why else ''}"
        yield f"{count(left)} not retried"
        if left and campaign.journal is not None and campaign.why != VANISHED:
            yield "L, then r resumes"
    else:
        yield f"{count(campaign.done)} of {selected} retried"
        if left:
            yield f"{count(left)} left {campaign.action.plan.state} before their turn"
        if campaign.why:
            yield plain(campaign.why)
