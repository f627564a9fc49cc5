"""One rerun at a time: carries it out, follows it, and tells what became of its jobs."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import TYPE_CHECKING, Final

from textual.worker import Worker

from qtui.bullmq.codes import Code, ForeignQueue, meaning
from qtui.bullmq.model import JobState
from qtui.retry.journal_reading import JournalError
from qtui.retry.outcome import Fate, Outcome
from qtui.retry.rerun import JobResult, Rerun
from qtui.retry.rerun_progress import RerunProgress, read_progress
from qtui.text import count, plain, plural
from qtui.ui.screens.live import TROUBLE, last_words
from qtui.ui.widgets.bars import Bar
from qtui.views.columns import Verdict, verdict

if TYPE_CHECKING:
    from qtui.ui.screens.flow import FlowScreen

_LOOK: Final = 1.0
"""Seconds between two looks at what becomes of the jobs, at least."""


class Rerunning:
    """The rerun of a flow on the screen.

    Args:
        screen: shows the flow.
        banner: where it tells how it fares.
    """

    def __init__(self, screen: FlowScreen, banner: Bar) -> None:
        self.verdicts: dict[str, Verdict] = {}
        """What it has come to, by full key."""
        self._screen = screen
        self._banner = banner
        self._rerun: Rerun | None = None
        self._results: dict[str, JobResult] = {}
        self._progress: RerunProgress | None = None
        self._trouble = ""
        self._sending: Worker[None] | None = None
        banner.display = False

    @property
    def under_way(self) -> bool:
        """Whether jobs are being sent."""
        return self._rerun is not None and not self._rerun.is_over

    def begin(self, rerun: Rerun) -> None:
        """Carries a rerun out, and follows its jobs."""
        self.let_go()
        self._rerun = rerun
        self._draw()
        self._sending = self._screen.run_worker(
            self._carry_out(rerun), group="retry", exit_on_error=False
        )

    def stop(self) -> bool:
        """Ends it after the call that is under way; False if there is none."""
        if self._rerun is not None and self.under_way:
            self._rerun.stop()
            return True
        return False

    def let_go(self) -> None:
        """Closes the results of a rerun that is over, and its journal."""
        if self.under_way:
            return
        self.close()
        self._rerun, self._progress, self._trouble = None, None, ""
        self._results.clear()
        self.verdicts.clear()
        self._draw()

    async def end(self) -> None:
        """Lets a rerun that was cancelled write its last line, and closes its journal."""
        await last_words(self._sending)
        self.close()

    def close(self) -> None:
        """Writes down what became of the jobs so far."""
        if self._rerun is not None:
            known = self._progress.outcomes() if self._progress is not None else {}
            self._rerun.write_outcomes(known)

    async def _carry_out(self, rerun: Rerun) -> None:
        try:
            async for results in rerun.run():
                self._results |= {one.name.key: one for one in results}
                self._judge()
        except JournalError as error:
            self._trouble = plain(str(error))
        except ForeignQueue as error:
            self._trouble = f"stopped: a queue of the flow is {error}"
        except TROUBLE as error:
            self._trouble = self._screen.session.explain(error)
        finally:
            self._draw()
        if rerun.rerun:
            self._screen.read_again()
            await self._follow(rerun)

    async def _follow(self, rerun: Rerun) -> None:
        """Keeps rows and banner at what has become of the jobs, until all is decided."""
        while self._rerun is rerun:
            begun = monotonic()
            try:
                self._progress = await read_progress(
                    self._screen.session.client, rerun.plan, self._progress
                )
            except TROUBLE as error:
                self._screen.say(self._screen.session.explain(error))
            else:
                self._screen.rows.update(self._progress.nodes.values())
                self._judge()
                if self._progress.is_over:
                    break
            # Three quarters of the time are for others.
            await asyncio.sleep(max(_LOOK, 3 * (monotonic() - begun)))
        if self._rerun is rerun:
            self.close()
            self._screen.read_again()  # parents keep their children in another way now

    def _judge(self) -> None:
        outcomes = self._progress.outcomes() if self._progress is not None else {}
        for key, one in self._results.items():
            self.verdicts[key] = self._verdict(key, one, outcomes.get(key))
        self._draw()
        self._screen.draw()

    def _verdict(self, key: str, one: JobResult, outcome: Outcome | None) -> Verdict:
        node = self._screen.rows.node(key)
        if outcome is None and node is not None and node.state is JobState.ACTIVE:
            outcome = Outcome(Fate.ACTIVE)  # of many jobs only those in sight are looked at
        found = verdict(one.result, outcome, JobState.FAILED)
        if node is not None and node.waits_for and (outcome is None or not outcome.fate.is_final):
            words = f"✔ waits for {plural(node.waits_for, 'child', 'children')}"
            return Verdict(words, found.tone) if one.result.retried else found
        return found

    # The banner

    def _draw(self) -> None:
        rerun = self._rerun
        self._banner.display = rerun is not None
        if rerun is None:
            return
        words, tone = self._told(rerun)
        hint = " x stops " if not rerun.is_over else " esc leaves "
        self._banner.say([(f" {words}", tone)], [(hint, "faint")])

    def _told(self, rerun: Rerun) -> tuple[str, str]:
        if not rerun.is_over:
            return f"rerunning: {count(rerun.rerun)} of {plural(rerun.selected, 'job')}", "strong"
        others = {code: number for code, number in rerun.codes.items() if code is not Code.RETRIED}
        if rerun.rerun == rerun.selected:
            words = (self._progress or RerunProgress(rerun.plan)).words
            notes = "".join(f" · Redis refused: {plain(note)}" for note in rerun.notes)
            failed = self._progress is not None and bool(self._progress.failed)
            return words + notes, "bad" if failed else "warn" if notes else "strong"
        done = f"{count(rerun.rerun)} of {plural(rerun.selected, 'job')} run again"
        left = "r does what is left" if rerun.rerun else "nothing was rerun"
        if self._trouble and not rerun.rerun:
            return f"nothing was rerun: {self._trouble}", "bad"
        if self._trouble:
            return f"{done}, {left}: {self._trouble}", "bad"
        if rerun.lost:
            return f"the connection was lost · {left if rerun.rerun else 'ctrl+r looks'}", "bad"
        if others:
            codes = ", ".join(
                f"{count(number)} {meaning(code, JobState.FAILED)}"
                for code, number in others.items()
            )
            return f"the flow had changed: {codes} · {done}: ctrl+r, then r again", "bad"
        return f"stopped · {done}, {left}", "warn"
