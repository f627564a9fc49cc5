"""Runs a campaign of any action for a command: journal, signals, messages, exit code."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from typing import Final, TypeAlias

from qtui.bullmq.codes import Code, ForeignQueue
from qtui.bullmq.connection.client import Client, explain
from qtui.bullmq.connection.trouble import RAISED
from qtui.bullmq.filter import FilterError
from qtui.commands.shared.asking import Manner
from qtui.commands.shared.output import OutputClosed, Paper, ProgressLine, is_terminal
from qtui.commands.shared.report import Report
from qtui.commands.shared.run import INTERRUPTED, NOT_ALL, REDIS, CommandError, Workplace
from qtui.operations.engine.action import JobAction
from qtui.operations.engine.campaign import Campaign, Phase
from qtui.operations.engine.pace import UNBOUNDED, Pace
from qtui.operations.journal.reading import JournalError
from qtui.operations.queues.queue_action import QueueAction
from qtui.operations.resuming.recorder import Recorder
from qtui.text import count, plain, plural
from qtui.verbs import NOUNS, Verb

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)

_BRIEF: Final = 0.5
"""Seconds of trouble that are not worth a message."""

Follow: TypeAlias = Callable[[], AsyncIterator[str]]
"""Follows the jobs; yields a line about their outcomes after each look."""


class Interrupts:
    """The first Ctrl+C stops the campaign after the batches on their way, the second at once."""

    def __init__(self, campaign: Campaign[JobAction], paper: Paper) -> None:
        self._campaign = campaign
        self._paper = paper
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        self._asked = False

    def __enter__(self) -> None:
        """Installs handlers for SIGINT and SIGTERM."""
        for number in _SIGNALS:
            self._loop.add_signal_handler(number, self._interrupt)

    def __exit__(self, *_: object) -> None:
        """Removes them."""
        for number in _SIGNALS:
            self._loop.remove_signal_handler(number)

    def _interrupt(self) -> None:
        if self._asked and self._task is not None:
            self._task.cancel()
            return
        self._asked = True
        self._campaign.stop()
        self._paper.line(
            "qtui: stopping after the batches in flight; interrupt again to quit immediately"
        )
        self._paper.flush()


class _Waits:
    """Prints on stderr what a campaign waits for, a limit or a server in trouble; once each."""

    def __init__(
        self,
        campaign: Campaign[JobAction],
        paper: Paper,
        progress: ProgressLine,
        ask: Callable[[], None],
    ) -> None:
        self._campaign = campaign
        self._paper = paper
        self._ask = ask
        self._progress = progress
        self._on_hold = False
        self._since = 0.0
        self._said = ""

    def look(self) -> None:
        """Call it when the campaign may have begun or ended a wait."""
        held = self._campaign.held
        if self._campaign.question and not self._on_hold:
            self._progress.clear()
            self._ask()
        if held and not self._on_hold:
            self._say(f"on hold: {held}")
        self._on_hold = bool(held)
        self._look_at_trouble(self._campaign.trouble, time.monotonic())

    def _look_at_trouble(self, words: str, now: float) -> None:
        if not words:
            if self._said and not self._campaign.is_over:
                self._say("Redis is back: continuing")
            self._since, self._said = 0.0, ""
        elif not self._since:
            self._since = now
        elif words != self._said and now - self._since > _BRIEF:
            self._said = words
            self._say(f"{words}: waiting for up to {self._campaign.patience:g} s")

    def _say(self, words: str) -> None:
        self._progress.clear()
        self._paper.line(f"qtui: {words}")
        self._paper.flush()


class _Question:
    """Asks whether to continue a campaign on hold, where there is a terminal to answer on."""

    def __init__(self, campaign: Campaign[JobAction], paper: Paper, *, may_ask: bool) -> None:
        self._campaign = campaign
        self._paper = paper
        self._asks = may_ask and is_terminal(sys.stdin) and paper.is_terminal
        self._loop = asyncio.get_running_loop()

    def __call__(self) -> None:
        """Asks; without a terminal the campaign stops."""
        if not self._asks:
            self._campaign.give_in()
            return
        self._paper.line(f"qtui: on hold: {self._campaign.question}")
        self._paper.write("Continue? [y/N] ")
        self._paper.flush()
        # Not in a thread: one that waits for a line would outlive a Ctrl+C.
        self._loop.add_reader(sys.stdin, self._answered)

    def _answered(self) -> None:
        self.close()
        if sys.stdin.readline().strip().lower() in ("y", "yes"):
            self._campaign.proceed()
        else:
            self._campaign.give_in()

    def close(self) -> None:
        """Waits for no answer any more."""
        if self._asks:
            self._loop.remove_reader(sys.stdin)


def recorder(place: Workplace, manner: Manner, how: str) -> Recorder:
    """Returns what begins the journal of a campaign.

    Args:
        place: whose journal it is.
        manner: has the reason.
        how: the command line, as the journal records it.
    """
    return Recorder(folder=place.journal, where=place.target.shown, how=how, reason=manner.reason)


def send(
    place: Workplace,
    report: Report,
    make: Callable[[Client], JobAction],
    manner: Manner,
    *,
    verb: Verb,
    how: str,
    pace: Pace = UNBOUNDED,
) -> int:
    """Carries an action out as a campaign of its own; returns the exit code.

    Args:
        place: where the command works.
        report: prints what became of the jobs.
        make: makes the action, with its writer.
        manner: has the reason.
        verb: what the action does.
        how: the command line, as the journal records it.
        pace: how fast.
    """
    record = recorder(place, manner, how)

    async def work(client: Client) -> int:
        return await carry_out(Campaign(client, make(client), pace, record=record), place, report)

    return place.ask(work, writes=verb)


async def carry_out(
    campaign: Campaign[JobAction],
    place: Workplace,
    report: Report,
    follow: Follow | None = None,
    *,
    may_ask: bool = False,
) -> int:
    """Runs a campaign, follows its jobs, prints their outcomes, closes it; returns the exit code.

    Args:
        campaign: not run yet.
        place: where to print.
        report: prints what became of the jobs.
        follow: follows the jobs when all are sent; None to skip that.
        may_ask: ask on the terminal whether a campaign on hold continues; else it stops.
    """
    with closing(campaign):
        return await _carry_out(campaign, place, report, follow, may_ask=may_ask)


async def _carry_out(
    campaign: Campaign[JobAction],
    place: Workplace,
    report: Report,
    follow: Follow | None,
    *,
    may_ask: bool,
) -> int:
    progress = ProgressLine()
    question = _Question(campaign, place.err, may_ask=may_ask)
    campaign.news = _Waits(campaign, place.err, progress, question).look
    try:
        with Interrupts(campaign, place.err):
            await _send(campaign, report, progress)
            if follow is not None:
                await _follow(campaign, follow, progress)
    except asyncio.CancelledError:
        report.rest = "without a result"
        why = f"interrupted: jobs without a result may have been {report.verb}"
        return _end(campaign, report, INTERRUPTED, why, resumable=True)
    except OutputClosed as error:
        why = str(error) or "standard output was closed"
        left = campaign.decided < campaign.selected
        again = f"; {report.how_to_resume}" if left and report.how_to_resume else ""
        raise CommandError(
            f"{why}: {report.summary}{again}", NOT_ALL if left else report.code
        ) from None
    except ForeignQueue as error:
        queue = campaign.action.queue
        where = "stopped: a queue of the flow" if queue is None else queue.base
        return _end(campaign, report, NOT_ALL, f"{where} is {error}")
    except (
        FilterError
    ) as error:  # a regular expression ran away on jobs that changed since the plan
        return _end(campaign, report, NOT_ALL, f"stopped: --filter: {error}")
    except JournalError as error:
        return _end(campaign, report, NOT_ALL, f"nothing was {report.verb}: {error}")
    except RAISED as error:
        why = str(explain(error, place.target))
        return _end(campaign, report, REDIS, why, resumable=campaign.journal is not None)
    finally:
        question.close()
        progress.clear()
    noun = NOUNS.get(campaign.action.header().selection.kind, "job")
    what = f"the {noun} was" if campaign.selected == 1 else f"the {noun}s were"
    for note in campaign.notes:
        words = f"{what} {report.verb}, but Redis refused a side effect: {plain(note)}"
        place.err.line(f"qtui: {words}")
    if report.remark:
        place.err.line(f"qtui: {plain(report.remark)}")
    return _ended(campaign, report)


async def _send(campaign: Campaign[JobAction], report: Report, progress: ProgressLine) -> None:
    closed: OutputClosed | None = None
    action = campaign.action
    noun = NOUNS.get(action.header().selection.kind, "job")
    selected = plural(campaign.selected, noun)
    withdrawn = campaign.withdrawn
    async for results in campaign.run():
        report.journal = campaign.journal.id if campaign.journal is not None else None
        progress.clear()
        if lost := campaign.withdrawn - withdrawn:
            withdrawn += lost
            report.take_back(lost)
        try:
            report.results(results)
        except OutputClosed as error:  # jobs on their way are still counted
            closed = error
            campaign.stop()
        left = action.left if isinstance(action, QueueAction) else 0
        words = f"{count(left)} left" if left else campaign.held
        progress.say(f"{count(campaign.decided)} of {selected} {words}".rstrip())
    if closed is not None:
        raise closed


async def _follow(campaign: Campaign[JobAction], follow: Follow, progress: ProgressLine) -> None:
    try:
        async with campaign.heeding_stop():
            async for words in follow():
                progress.say(words)
    except TimeoutError:
        if not campaign.is_stopping:
            raise


def _end(
    campaign: Campaign[JobAction], report: Report, code: int, why: str, *, resumable: bool = False
) -> int:
    if campaign.journal is not None:
        report.journal = campaign.journal.id
    return report.end(
        code, f"{why}: {report.how_to_resume}" if resumable and report.how_to_resume else why
    )


def _ended(campaign: Campaign[JobAction], report: Report) -> int:
    if campaign.phase is Phase.DONE and campaign.why:
        report.all_sent()
        return _end(campaign, report, report.code or NOT_ALL, f"all was sent: {campaign.why}")
    if campaign.phase is Phase.DONE and campaign.is_stopping:
        return _end(campaign, report, INTERRUPTED, "interrupted after all jobs were sent")
    if campaign.phase is Phase.DONE:
        report.all_sent()
        return _end(campaign, report, report.code, "")
    if campaign.phase is Phase.LOST:
        return _end(campaign, report, REDIS, "the connection was lost", resumable=True)
    if campaign.why:
        code = REDIS if campaign.refused or campaign.codes[Code.REFUSED] else NOT_ALL
        resumable = campaign.refused or campaign.gave_in
        return _end(campaign, report, code, f"stopped: {campaign.why}", resumable=resumable)
    return _end(campaign, report, INTERRUPTED, "interrupted", resumable=True)
