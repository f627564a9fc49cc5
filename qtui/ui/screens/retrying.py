"""The part of the inspector that retries: the plan, the campaign, and its results in the rows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from textual import work

from qtui.bullmq.codes import Code, ForeignQueue, meaning
from qtui.bullmq.filter import Filter
from qtui.bullmq.model import JobState
from qtui.retry.campaign import Campaign, Phase
from qtui.retry.plan import Plan, Resets, make_plan
from qtui.retry.selection import Selection, chosen
from qtui.text import count, plain, plural
from qtui.ui.dialogs.plan import PlanDialog
from qtui.ui.screens.live import TROUBLE, LiveScreen
from qtui.ui.session import Session
from qtui.views.board import Board


class RetryScreen(LiveScreen):
    """Retries what is chosen on its board, one campaign at a time."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.board = Board(session.client, session.settings.scan_rate)
        self.resets = Resets()
        """The toggles of the plan; they keep their setting until qtui ends."""
        self.campaign: Campaign | None = None
        """The campaign that is under way."""
        self._quit_after = False

    # Hooks

    def results_changed(self) -> None:
        """Rows have results that they did not have before."""
        raise NotImplementedError

    # The way of one retry

    def plan_retry(self, ids: Sequence[str]) -> None:
        """Opens the plan for jobs of the list in sight, or for all if everything is marked."""
        queue, state, everything = self.board.queue, self.board.state, self.board.marks.everything
        if not self._may_retry():
            return
        if everything is not None:
            self._ask(lambda: _ready(everything), _words(state, everything.filter))
        elif queue is None or not ids:
            self.say("there is no job to retry here")
        else:
            jobs = plural(len(ids), f"{state} job")
            self._ask(lambda: _ready(chosen(queue, state, ids)), jobs)

    def plan_query(self) -> None:
        """Opens the plan for everything that the list in sight is about, as of now."""
        board = self.board
        if board.queue is not None and self._may_retry():
            self._ask(board.everything, _words(board.state, board.filter))

    def _may_retry(self) -> bool:
        if not self.board.state.is_finished:
            state = self.board.state
            self.say(f"{state} jobs can't be retried, only failed and completed ones", "warn")
        elif self.campaign is not None:
            self.say("a retry is under way: one after the other", "warn")
        else:
            return True
        return False

    def _ask(self, select: Callable[[], Awaitable[Selection]], jobs: str) -> None:
        session = self.session

        async def read(progress: Callable[[int, int], None]) -> Plan:
            rate = session.settings.scan_rate
            return await make_plan(session.client, await select(), progress=progress, rate=rate)

        assert self.board.queue is not None
        what = "Dry run: retry" if session.read_only else "Retry"
        dialog = PlanDialog(
            read,
            title=f"{what} {jobs} in {plain(self.board.queue.name)}",
            resets=self.resets,
            on_resets=self._keep_resets,
            read_only=session.read_only,
            explain=session.explain,
        )
        self.app.push_screen(dialog, self._answered)

    def _answered(self, plan: Plan | None) -> None:
        if plan is not None and self.session.campaign is not None:
            self.board.marks.everything = None
            self._carry_out(self.session.campaign(plan, self.resets))

    def _keep_resets(self, resets: Resets) -> None:
        self.resets = resets

    def quit_after_campaign(self) -> None:
        """Stops the campaign after its batch, and qtui after the campaign."""
        self._quit_after = True
        if self.campaign is not None:
            self.campaign.stop()
            self.say("stopping after this batch …")
        else:
            self.app.exit()

    @work(group="retry", exit_on_error=False)
    async def _carry_out(self, campaign: Campaign) -> None:
        self.campaign = campaign
        queue, state = campaign.plan.queue, campaign.plan.state
        try:
            async for results in campaign.run():
                self.board.record(queue, state, results)
                self.say(f"retrying: {count(campaign.decided)} of {count(campaign.selected)} …")
                self.results_changed()
                self.poll.nudge([queue])
            self.say(*summary(campaign))
        except ForeignQueue as refusal:
            self.say(f"nothing was retried: this is {refusal}", "bad")
        except TROUBLE as error:
            self.say(f"{summary(campaign)[0]}: {self.session.explain(error)}", "bad")
        finally:
            self.campaign = None
            self.results_changed()
            if self._quit_after:
                self.app.exit()


async def _ready(selection: Selection) -> Selection:
    return selection


def _words(state: JobState, wanted: Filter | None) -> str:
    match = f" that match {plain(wanted.source)}" if wanted is not None else ""
    return f"all {state} jobs{match}"


def summary(campaign: Campaign) -> tuple[str, str]:
    """What a campaign came to, in a line, and the tone to say it in."""
    words = [f"{count(campaign.retried)} of {plural(campaign.selected, 'job')} retried"]
    others = sorted(code for code in campaign.codes if code is not Code.RETRIED)
    for code in others:
        name = f"{int(code)} " if code in (Code.NO_SUCH_JOB, Code.NOT_IN_STATE) else ""
        words.append(f"{name}{meaning(code, campaign.plan.state)}: {count(campaign.codes[code])}")
    left = campaign.selected - campaign.decided
    if left:
        words.append(f"{campaign.phase.value}, {count(left)} untouched")
    words += (f"Redis refused: {plain(note)}" for note in campaign.notes)
    whole = campaign.phase is Phase.DONE and not others and not campaign.notes
    return " · ".join(words), "" if whole else "warn"
