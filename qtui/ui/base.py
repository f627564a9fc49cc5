"""What every whole screen is built on: a session, a status line, background work and a key bar.

Knows no screen and no dialog.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Final, TypeVar

from textual import events
from textual.await_complete import AwaitComplete
from textual.screen import Screen
from textual.worker import Worker, WorkerError, WorkerState
from typing_extensions import override

from qtui.bullmq.connection.trouble import TROUBLE
from qtui.text import plain
from qtui.ui.acting import Acting
from qtui.ui.actions import Where
from qtui.ui.keys import actions_of, keys_of
from qtui.ui.session import Session
from qtui.ui.widgets.bars import Bar, KeyBar
from qtui.verbs import Verb

if TYPE_CHECKING:
    from qtui.views.running import Run

T = TypeVar("T")

_BUSY: Final = (WorkerState.PENDING, WorkerState.RUNNING)

_LAST_WORK: Final = 0.5
"""Seconds for which the end of qtui waits for a campaign to write its last line."""


async def last_words(worker: Worker[None] | None) -> None:
    """Waits, for a moment at most, until a worker that was cancelled is at its end."""
    if worker is not None:
        with contextlib.suppress(WorkerError, TimeoutError):
            async with asyncio.timeout(_LAST_WORK):
                await worker.wait()


class QtuiScreen(Acting, Screen[T]):
    """A whole screen with a `Bar` named ``status`` and a `KeyBar`.

    Args:
        session: the connection, the settings, and who may write.
    """

    PARTS: ClassVar[tuple[Where, ...]] = (Where.APP,)
    UNDO: ClassVar[str] = "inspector.undo"
    """The id of the action that undoes here what was done last."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self._says_why_not = False
        """Whether the status line says why a key does nothing."""
        self._closes = False

    @override
    def dismiss(self, result: T | None = None) -> AwaitComplete:
        """Closes the screen, once: another key that asks for it meanwhile closes nothing below."""
        if self._closes:
            return AwaitComplete()
        self._closes = True
        return super().dismiss(result)

    @property
    @override
    def remapped(self) -> Mapping[str, str]:
        """Those of the settings."""
        return self.session.settings.keys

    # The status line

    def say(self, words: str, tone: str = "") -> None:
        """Shows a sentence in the status line; ``tone`` names a style of `Bar`."""
        self._says_why_not = False
        self.query_one("#status", Bar).say([(f" {plain(words)}", tone)] if words else [])

    @override
    def say_why_not(self, why: str) -> None:
        """Says in the status line why a key does nothing."""
        self.say(why, "warn")
        self._says_why_not = True

    @override
    def forget_why_not(self) -> None:
        """Clears the status line, if that is what it says."""
        if self._says_why_not:
            self.say("")

    def undo_hint(self, run: Run) -> str:
        """Returns that a key takes a campaign back; empty where it can't."""
        can = run.can_be_undone and Verb.UNDO in self.session.allowed
        return f"{self.key(self.UNDO)} undoes" if can else ""

    def say_fault(self, words: str) -> None:
        """Shows an error of qtui itself."""
        self.say(words, "bad")

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """Reports an error of qtui itself, which must not close the screen in an incident."""
        if event.state is WorkerState.ERROR:
            error = event.worker.error
            self.log.error(event.worker.name, error)
            self.say_fault(plain(f"Internal error: {type(error).__name__}: {error}"))

    # Background work

    def in_background(self, work: Callable[[], Awaitable[None]], group: str) -> None:
        """Does some work with the server, instead of what the group was doing."""

        async def run() -> None:
            await self.attempt(work)

        self.start(run, group, alone=True)

    def start(
        self, work: Callable[[], Awaitable[None]], group: str, *, alone: bool = False
    ) -> Worker[None]:
        """Runs work that handles the server's errors itself.

        Args:
            work: what to run; it ends with the screen.
            group: the group that `is_busy` and `cancel` know it by.
            alone: whether it takes the place of what the group was doing.
        """

        async def run() -> None:
            await work()

        return self.run_worker(run, group=group, exclusive=alone, exit_on_error=False)

    async def attempt(self, work: Callable[[], Awaitable[None]]) -> bool:
        """Does some work with the server; when that fails, says why and returns False."""
        try:
            await work()
        except TROUBLE as error:
            self.say(self.session.explain(error), "bad")
            return False
        return True

    def is_busy(self, *groups: str) -> bool:
        """Whether one of the groups is at work."""
        return any(one.group in groups and one.state in _BUSY for one in self.workers)

    def cancel(self, group: str) -> None:
        """Ends what the group is doing."""
        self.workers.cancel_group(self, group)

    # The key bar

    def key_lead(self) -> str:
        """What the key bar says before the keys, such as how many jobs are marked."""
        return ""

    def key_parts(self) -> Sequence[Where]:
        """Whose keys the key bar shows, the most needed first."""
        return [where for where in self.PARTS if where is not Where.APP]

    def draw_keys(self) -> None:
        """Shows the keys that work now; none below a dialog, which has keys of its own."""
        session, situation = self.session, self.situation()

        def shown(*parts: Where) -> list[tuple[str, str]]:
            keys, offers = session.settings.keys, session.offers
            acting = [
                one
                for one in actions_of(*parts, offers=offers)
                if one.bar and not one.reason(situation)
            ]
            acting = sorted(acting, key=lambda one: one.rank)
            named = ((one, one.label_in(situation, allowed=offers(one))) for one in acting)
            return [(keys_of(one, keys)[0], label) for one, label in named if label]

        for bar in self.query(KeyBar):
            if self.is_active:
                bar.show(self.key_lead(), shown(*self.key_parts()), shown(Where.APP))
            else:
                bar.say([])

    def on_screen_suspend(self) -> None:
        """Another screen or a dialog was opened over this one."""
        self.draw_keys()

    def on_screen_resume(self) -> None:
        """This screen is on top again."""
        self.draw_keys()

    def on_resize(self, event: events.Resize) -> None:
        """Shows as many keys as fit now."""
        self.draw_keys()

    def on_descendant_focus(self) -> None:
        """Shows the keys of the part that has the focus now."""
        self.draw_keys()
