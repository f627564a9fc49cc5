"""One rerun at a time: carries it out, follows it, and shows the outcomes of its jobs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from time import monotonic
from typing import Final, Protocol

from textual.worker import Worker

from qtui.bullmq.codes import Code, ForeignQueue, Result, meaning
from qtui.bullmq.connection.trouble import TROUBLE
from qtui.bullmq.model import JobState
from qtui.operations.engine.campaign import Campaign, Phase
from qtui.operations.flow_rerun.rerun import CHANGED, Rerun
from qtui.operations.following.outcome import Fate, Outcome
from qtui.operations.journal.reading import JournalError
from qtui.text import count, plain, plural
from qtui.ui.base import last_words
from qtui.ui.session import Session
from qtui.ui.widgets.bars import Bar
from qtui.views.flow_rows import FlowRows
from qtui.views.lists.verdict import Verdict, verdict

_LOOK: Final = 1.0
"""Seconds between two looks at what becomes of the jobs, at least."""


class FlowView(Protocol):
    """What a rerun needs of the screen that shows its flow."""

    @property
    def session(self) -> Session:
        """The connection."""

    def say(self, words: str, tone: str = "") -> None:
        """Shows a sentence in the status line."""

    def start(self, work: Callable[[], Awaitable[None]], group: str) -> Worker[None]:
        """Runs work in the background."""

    def key(self, action: str) -> str:
        """The key of an action by its id, in words."""

    @property
    def rows(self) -> FlowRows:
        """The flow, as far as it was read."""

    def draw(self) -> None:
        """Draws the flow and the results again."""

    def read_again(self) -> None:
        """Reads the flow again."""


class Rerunning:
    """The rerun of a flow on the screen.

    Args:
        screen: shows the flow.
        banner: shows its progress.
    """

    def __init__(self, screen: FlowView, banner: Bar) -> None:
        self.verdicts: dict[str, Verdict] = {}
        """What it has come to, by full key."""
        self._screen = screen
        self._banner = banner
        self._campaign: Campaign[Rerun] | None = None
        self._results: dict[str, Result] = {}
        self._trouble = ""
        self._sending: Worker[None] | None = None
        banner.display = False

    @property
    def under_way(self) -> bool:
        """Whether jobs are being sent."""
        return self._campaign is not None and not self._campaign.is_over

    def begin(self, campaign: Campaign[Rerun]) -> None:
        """Carries a rerun out, and follows its jobs."""
        self.let_go()
        self._campaign = campaign
        campaign.news = self._draw
        self._draw()
        self._sending = self._screen.start(partial(self._carry_out, campaign), "retry")

    def stop(self) -> None:
        """Ends it after the call that is under way."""
        if self._campaign is not None:
            self._campaign.stop()

    def let_go(self) -> None:
        """Closes the results of a rerun that is over, and its journal."""
        if self.under_way:
            return
        self.close()
        self._campaign, self._trouble = None, ""
        self._results.clear()
        self.verdicts.clear()
        self._draw()

    async def end(self) -> None:
        """Lets a rerun that was cancelled write its last line, and closes its journal."""
        await last_words(self._sending)
        self.close()

    def close(self) -> None:
        """Writes down what became of the jobs so far."""
        if self._campaign is not None:
            self._campaign.close()

    async def _carry_out(self, campaign: Campaign[Rerun]) -> None:
        try:
            async for results in campaign.run():
                self._results |= {one.job_id: one for one in results}
                self._judge(campaign)
        except JournalError as error:
            self._trouble = plain(str(error))
        except ForeignQueue as error:
            self._trouble = f"a queue of the flow is {error}"
        except TROUBLE as error:
            self._trouble = self._screen.session.explain(error)
        finally:
            self._draw()
        if campaign.done:
            self._screen.read_again()
            await self._follow(campaign)

    async def _follow(self, campaign: Campaign[Rerun]) -> None:
        """Keeps rows and banner at what has become of the jobs, until all is decided."""
        while self._campaign is campaign:
            begun = monotonic()
            try:
                progress = await campaign.action.look()
            except TROUBLE as error:
                self._screen.say(self._screen.session.explain(error), "warn")
            else:
                self._screen.rows.update(progress.nodes.values())
                self._judge(campaign)
                if progress.is_over:
                    break
            # Three quarters of the time are for others.
            await asyncio.sleep(max(_LOOK, 3 * (monotonic() - begun)))
        if self._campaign is campaign:
            self.close()
            self._screen.read_again()  # parents keep their children in another way now

    def _judge(self, campaign: Campaign[Rerun]) -> None:
        outcomes = campaign.action.progress.outcomes()
        for key, one in self._results.items():
            self.verdicts[key] = self._verdict(key, one, outcomes.get(key))
        self._draw()
        self._screen.draw()

    def _verdict(self, key: str, one: Result, outcome: Outcome | None) -> Verdict:
        node = self._screen.rows.node(key)
        if outcome is None and node is not None and node.state is JobState.ACTIVE:
            outcome = Outcome(Fate.ACTIVE)  # of many jobs only the visible ones are read
        found = verdict(one, outcome, JobState.FAILED)
        if node is not None and node.waits_for and (outcome is None or not outcome.fate.is_final):
            words = f"✔ waits for {plural(node.waits_for, 'child', 'children')}"
            return Verdict(words, found.tone) if one.done else found
        return found

    # The banner

    def _draw(self) -> None:
        campaign = self._campaign
        self._banner.display = campaign is not None
        if campaign is None:
            return
        words, tone = self._in_words(campaign)
        key = self._screen.key
        closes = f" {key('app.back')} closes "
        hint = closes if campaign.is_over else f" {key('flow.stop')} stops "
        self._banner.say([(f" {words}", tone)], [(hint, "faint")])

    def _in_words(self, campaign: Campaign[Rerun]) -> tuple[str, str]:
        jobs = plural(campaign.selected, "job")
        if not campaign.is_over:
            words = f"rerunning: {count(campaign.done)} of {jobs}"
            waits = campaign.trouble or (f"on hold: {campaign.held}" if campaign.held else "")
            return (f"{words} · {waits}", "warn") if waits else (words, "strong")
        progress = campaign.action.progress
        if campaign.phase is Phase.DONE:
            notes = "".join(f" · Redis refused: {plain(note)}" for note in campaign.notes)
            return (
                progress.words + notes,
                "bad" if progress.failed else "warn" if notes else "strong",
            )
        done = f"{count(campaign.done)} of {jobs} rerun"
        reruns, refreshes = map(self._screen.key, ("flow.rerun", "flow.refresh"))
        left = f"{reruns} reruns the rest" if campaign.done else "nothing was rerun"
        trouble = self._trouble or plain(campaign.why)
        codes = ", ".join(
            f"{count(number)} {meaning(code, JobState.FAILED)}"
            for code, number in campaign.codes.items()
            if code is not Code.DONE and number
        )
        if campaign.phase is Phase.LOST:
            return f"connection lost · {left if campaign.done else f'{refreshes} refreshes'}", "bad"
        if campaign.why == CHANGED:
            again = f"{refreshes}, then {reruns} makes a new plan"
            return f"the flow has changed: {codes} · {done} · {again}", "bad"
        if trouble and not campaign.done:
            return f"nothing was rerun: {trouble}", "bad"
        if trouble:
            return f"{done}, {left}: {trouble}", "bad"
        return f"stopped · {done}, {left}", "warn"
