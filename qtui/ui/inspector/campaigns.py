"""The campaigns of this qtui, of any action: runs and follows them, and shows their progress."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias

from rich.cells import cell_len
from textual.worker import Worker

from qtui.bullmq.codes import ForeignQueue, Result
from qtui.bullmq.connection.trouble import TROUBLE
from qtui.bullmq.keys import QueueKey
from qtui.text import plain
from qtui.ui.base import last_words
from qtui.ui.inspector.live import LiveScreen
from qtui.ui.widgets.bars import Banners
from qtui.views.lists.board import Board

if TYPE_CHECKING:
    from qtui.operations.engine.action import JobAction
    from qtui.operations.engine.campaign import Campaign
    from qtui.operations.following.looking import Following
    from qtui.operations.following.outcome import Outcome
    from qtui.views.running import Run

_LOOK: Final = 0.2
"""Seconds between two looks at what becomes of the jobs while nothing is open."""

_LAST_LOOK: Final = 1.0
"""Seconds for which open jobs are read when they are followed no more."""

_LAST_LOOK_OF_ALL: Final = 0.5
"""The same when qtui ends, which waits for no server."""

_FOLLOWED: Final = 86_400.0
"""Seconds for which jobs are followed; after a day of waiting the outcome says nothing of it."""


Listener: TypeAlias = "Callable[[Run, Sequence[Result]], None]"
"""Takes results of a campaign, call by call; none when it is over."""


class Campaigns:
    """Runs campaigns, at most one a queue at a time, and shows each in a line.

    Args:
        screen: runs the work in the background.
        board: what is looked at, and where results are written into rows.
        banners: where each campaign shows its progress, the newest first.
        changed: is called when rows have results that they did not have before.
    """

    def __init__(
        self, screen: LiveScreen, board: Board, banners: Banners, changed: Callable[[], None]
    ) -> None:
        self._screen = screen
        self._board = board
        self._banners = banners
        self._changed = changed
        self._runs: list[Run] = []
        self._sending: dict[Run, Worker[None]] = {}
        self._listeners: dict[Run, Listener] = {}
        self._asked: set[Run] = set()
        """Those for which the question whether to continue is open."""
        self._quit_after = False

    @property
    def under_way(self) -> list[Run]:
        """Those that send jobs, or are about to; the newest first."""
        return [run for run in self._runs if run.under_way]

    def on(self, queue: QueueKey | None) -> Run | None:
        """The one that sends jobs of a queue, if there is one."""
        return next((run for run in self.under_way if queue in run.queues), None)

    def all(self) -> list[Run]:
        """Those under way, and those that are over and not closed yet; the newest first."""
        return list(self._runs)

    def begin(self, campaign: Campaign[JobAction], listener: Listener | None = None) -> None:
        """Runs a campaign, and follows its jobs; closes what is over on the same queue.

        Args:
            campaign: the campaign.
            listener: is called with its results, call by call, and with none when it is over: for a
                screen whose rows are no jobs.
        """
        from qtui.views.running import Run

        run = Run(campaign)
        if listener is not None:
            self._listeners[run] = listener
        for other in [one for one in self._runs if not one.under_way]:
            if not set(run.queues).isdisjoint(other.queues):
                self._close(other)
        self._runs.insert(0, run)
        campaign.news = partial(self._news, run)
        self._sending[run] = self._screen.start(partial(self._carry_out, run), "retry")
        if campaign.action.follower is not None:
            follow = partial(self._follow, run, campaign.action.follower)
            self._screen.start(follow, "follow")

    async def release(self, name: str) -> None:
        """Lets go of a campaign that is over, by its id, with its journal."""
        for run in [one for one in self._runs if one.id == name and not one.under_way]:
            self._runs.remove(run)
            await run.campaign.finish(_LAST_LOOK)
        self._draw()

    def stop(self) -> None:
        """Stops one after the batches that are already sent: that of the queue shown, or the only.

        Asks which one where there are several, in other queues.
        """
        from qtui.ui.dialogs.stop import StopDialog

        run = self.on(self._board.queue)
        runs = [run] if run is not None else self.under_way
        if len(runs) > 1:
            self._screen.app.push_screen(StopDialog(runs), self._stop)
        else:
            self._stop(next(iter(runs), None))

    def _stop(self, run: Run | None) -> None:
        if run is not None:
            run.campaign.stop()
            self._draw()

    def quit_after(self) -> None:
        """Stops all after the batches that are already sent, then quits qtui."""
        self._quit_after = True
        for run in self.under_way:
            run.campaign.stop()
        self._draw()
        self._quit_if_over()

    def _quit_if_over(self) -> None:
        if self._quit_after and not self.under_way:
            self._screen.app.exit()

    def let_go(self) -> bool:
        """Closes the lines of those that are over; False where there are none."""
        over = [run for run in self._runs if not run.under_way]
        for run in over:
            self._close(run)
        self._draw()
        return bool(over)

    async def end(self) -> None:
        """Lets those that were cancelled write their last lines, and closes their journals."""
        for worker in self._sending.values():
            await last_words(worker)
        runs, self._runs = self._runs, []
        await asyncio.gather(*(run.campaign.finish(_LAST_LOOK_OF_ALL) for run in runs))

    def _close(self, run: Run) -> None:
        """Writes the outcomes of one that is over, in the background."""
        self._runs.remove(run)
        self._sending.pop(run, None)
        if run.campaign.journal is not None:
            self._screen.start(partial(run.campaign.finish, _LAST_LOOK), "finish")

    async def _carry_out(self, run: Run) -> None:
        from qtui.operations.journal.reading import JournalError

        campaign, follower = run.campaign, run.campaign.action.follower
        self._draw()
        try:
            async for results in campaign.run():
                run.take(results)
                self._tell(run, results)
                self._record(run, results)
                if follower is not None:  # they may have run already
                    self._note(run, follower.of([one.job_id for one in results]))
                self._draw()
                self._changed()
                self._screen.poll.nudge(run.queues)
        except ForeignQueue as refusal:
            run.trouble = f"nothing was {run.done}: {plain(run.queue.base)} is {refusal}"
        except JournalError as error:
            run.trouble = f"nothing was {run.done}: {plain(str(error))}"
        except TROUBLE as error:
            run.trouble = self._screen.session.explain(error)
        finally:
            self._draw()
            self._tell(run, ())
            self._changed()
            self._screen.look_back()
            self._quit_if_over()

    def _tell(self, run: Run, results: Sequence[Result]) -> None:
        listener = self._listeners.get(run)
        if listener is not None:
            listener(run, results)
        if not run.under_way:
            self._listeners.pop(run, None)

    async def _follow(self, run: Run, follower: Following) -> None:
        """Updates rows and line with the outcomes, until every job has its final one."""

        def is_closed() -> bool:
            return run not in self._runs

        while not is_closed():
            try:
                async for ids in follower.watch(_FOLLOWED, is_closed):
                    self._note(run, follower.of([*ids]))
                    self._draw()
                    self._changed()
            except TROUBLE as error:
                self._screen.say(self._screen.session.explain(error), "warn")
            if not run.under_way and not follower.undecided:
                run.campaign.close()
                self._draw()
                return
            # Nothing is open just now; the next batch brings more.
            await asyncio.sleep(_LOOK)

    def _record(self, run: Run, results: Sequence[Result]) -> None:
        """Writes results into the rows of the visible list."""
        queue, by_name = self._board.queue, {one.job_id: one for one in results}
        known = run.ids_in(queue, by_name)
        if run.state is not None and queue is not None and known:
            own = [by_name[name]._replace(job_id=job_id) for job_id, name in known.items()]
            self._board.record(queue, run.state, own, run.action)

    def _note(self, run: Run, outcomes: Mapping[str, Outcome]) -> None:
        """Writes outcomes into the rows of the visible list."""
        queue = self._board.queue
        known = run.ids_in(queue, outcomes)
        if run.state is not None and queue is not None and known:
            own = {job_id: outcomes[name] for job_id, name in known.items()}
            self._board.note(queue, run.state, own)

    def _news(self, run: Run) -> None:
        """Shows a campaign's progress; asks whether it continues if its brake has paused it."""
        self._draw()
        if not run.campaign.question:
            self._asked.discard(run)
        elif run not in self._asked:
            from qtui.ui.dialogs.ask import AskDialog

            self._asked.add(run)
            question = (
                f"The {run.noun} in {run.where} is on hold: {run.campaign.question}."
                f"{run.why_again} Continue {run.doing}?"
            )
            dialog = AskDialog(question, f"continue {run.doing}", "stop it", unasked=True)
            self._screen.app.push_screen(dialog, partial(self._answer, run))

    def _answer(self, run: Run, proceeds: bool | None) -> None:
        if proceeds:
            run.campaign.proceed()
        else:
            run.campaign.give_in()
        self._draw()

    def _draw(self) -> None:
        self._screen.draw_keys()
        lines = []
        for run in self._runs:
            words, tone = run.status()
            where, (hints, others) = f" {run.where}  ", self._hints(run)
            room = self._screen.app.size.width - cell_len(f"{where}{words}")
            while others and cell_len(" · ".join([*hints, *others])) + 2 > room:
                others.pop()
            hints += others
            right = [(f" {' · '.join(hints)} ", "faint")] if hints else []
            lines.append(([(where, "key"), (words, tone)], right))
        self._banners.show(lines)

    def _hints(self, run: Run) -> tuple[list[str], list[str]]:
        """What keys do with a campaign, the most needed first.

        The second ones give way to what came of it: on a narrow screen that is not cut for them.
        """
        key = self._screen.key
        if run.under_way:
            return [f"{key('jobs.stop')} stops"], []
        hints = [f"{key('inspector.journal')} to resume"] if run.can_be_resumed else []
        undoes = self._screen.undo_hint(run) if len(self._runs) == 1 else ""
        return hints, [*([undoes] if undoes else []), f"{key('app.back')} closes"]
