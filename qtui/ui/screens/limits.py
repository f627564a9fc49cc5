"""The limits of a queue: who holds each; they are set and released from here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar, Final

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from typing_extensions import override

from qtui.bullmq.keys import QueueKey
from qtui.operations.queues.limits import (
    NONE,
    Limits,
    Wanted,
    concurrency_of,
    limits_of,
    rate_of,
)
from qtui.text import plain
from qtui.ui.actions import Situation, Where
from qtui.ui.base import QtuiScreen
from qtui.ui.clipboard.offer import offer
from qtui.ui.keys import bindings
from qtui.ui.session import Session
from qtui.ui.widgets.bars import Bar, KeyBar, StatusLine
from qtui.ui.widgets.key_list import LOOKING, KeyList
from qtui.ui.widgets.typed_line import TypedLine
from qtui.views.limits import limit_lines
from qtui.views.running import Run

_AGAIN: Final = 1.0
"""Seconds between two looks at the limits; all deduplication keys are looked for once."""

_LINES: Final = 3
"""Most lines that `limit_lines` has."""


class LimitsScreen(QtuiScreen[None]):
    """Shows a queue's limits, and reads them again every second.

    Args:
        session: the connection.
        queue: the queue.
        plan: opens the plan of a change over this screen.
        undo: opens the plan of an undo of the last operation over it.
        latest: returns the latest change of the queue's limits, or undo; None if there was none.
    """

    BINDINGS: ClassVar[list[BindingType]] = list(bindings(Where.LIMITS, Where.APP))
    PARTS = (Where.LIMITS, Where.MOVE, Where.APP)
    UNDO = "limits.undo"

    DEFAULT_CSS = """
    LimitsScreen {
        layout: vertical;
        & > #title, & > #keys { background: $surface; }
        & > #limits { height: auto; padding: 1 0; }
    }
    """

    def __init__(
        self,
        session: Session,
        queue: QueueKey,
        plan: Callable[[QueueKey, Wanted], None],
        undo: Callable[[LimitsScreen], None],
        latest: Callable[[], Run | None],
    ) -> None:
        super().__init__(session)
        self._undo = undo
        self._queue = queue
        self._plan = plan
        self._latest = latest
        self._said = self._result()
        """The result that was said last; one from before the screen was opened is not said."""
        self._limits: Limits | None = None
        self._looked = False
        """Whether all deduplication keys have been looked for."""
        self._asked = ""
        """What the typed line asks for: ``concurrency`` or ``rate``."""

    @override
    def compose(self) -> ComposeResult:
        yield Bar(id="title")
        for place in range(_LINES):
            yield Bar(id=f"limit-{place}")
        yield KeyList(id="keys-held")
        yield TypedLine(id="value")
        yield StatusLine(id="status")
        yield KeyBar(id="keys")

    def on_mount(self) -> None:
        """Begins to read."""
        self._list = self.query_one(KeyList)
        self._line = self.query_one(TypedLine)
        self._line.close()
        self._list.focus()
        name = self._queue.name if self._queue.prefix == "bull" else self._queue.base
        mode = [(" READ-ONLY ", "badge")] if self.session.read_only else []
        self.query_one("#title", Bar).say([(" Limits  ", "strong"), (plain(name), "")], mode)
        self.action_again()
        self.start(self._follow, "watch")
        self.draw_keys()

    async def _read(self, *, scan: bool) -> None:
        before = self._limits
        ids = [] if before is None or scan else [one.id for one in before.keys]
        found = await limits_of(self.session.client, self._queue, ids=ids, scan=scan)
        if before is not None and not scan:
            found = replace(found, more=before.more)
        self._limits, self._looked = found, self._looked or scan
        self._draw()

    async def _read_all(self) -> None:
        if self._limits is None:  # what costs little comes first
            await self._read(scan=False)
        await self._read(scan=True)

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(_AGAIN)
            if self._limits is not None and not self.is_busy("limits"):
                await self.attempt(lambda: self._read(scan=False))

    def _draw(self) -> None:
        limits = self._limits
        if limits is None:
            return
        lines = list(limit_lines(limits))
        for place in range(_LINES):
            shown = lines[place] if place < len(lines) else None
            bar = self.query_one(f"#limit-{place}", Bar)
            bar.say([(f" {shown[0]:<12}", "faint"), (shown[1], "")] if shown else [])
        more = " (the first ones)" if limits.more else ""
        none = f"no deduplication key is held{more}"
        self._list.show(limits.keys, none if self._looked else LOOKING)
        if (result := self._result()) != self._said:
            self._said = result
            self.say(*result[1:])
        self.draw_keys()

    def _result(self) -> tuple[Run | None, str, str]:
        """The latest change of the limits, what came of it in words, and their tone."""
        run = self._latest()
        if run is None:
            return None, "", ""
        words, tone = run.status()
        undoes = f" · {hint}" if (hint := self.undo_hint(run)) else ""
        return run, f"{words}{undoes}", tone

    @override
    def situation(self) -> Situation:
        """What holds now, and the key under the cursor."""
        limits = self._limits
        return Situation(
            enter="",
            read_only=self.session.read_only,
            keeps_journal=self.session.journal is not None,
            undoable=self.session.past.undoable,
            limited=limits is not None and limits.started is not None,
            at_key=self._list.selected is not None,
        )

    # What it does

    def action_again(self) -> None:
        """Reads everything again."""
        self.in_background(self._read_all, "limits")

    def action_concurrency(self) -> None:
        """Asks for a concurrency."""
        now = self._limits.raw.concurrency if self._limits is not None else None
        self._ask("concurrency", now or "", f"most active jobs, or {NONE}")

    def action_rate(self) -> None:
        """Asks for a rate limit."""
        limits = self._limits
        known = limits is not None and limits.most is not None and limits.duration is not None
        now = f"{limits.most}/{limits.duration}ms" if limits is not None and known else ""
        self._ask("rate", now, f"most starts, such as 100/10s, or {NONE}")

    def _ask(self, what: str, text: str, hint: str) -> None:
        self._asked = what
        self._line.open(text, "")
        self.say(f"{what.capitalize()}: {hint} · enter plans it · esc leaves")

    @on(TypedLine.Entered)
    def _entered(self, message: TypedLine.Entered) -> None:
        text = message.text.strip()
        try:
            if self._asked == "rate":
                wanted = Wanted(rate=rate_of(text), no_rate=text == NONE)
            else:
                wanted = Wanted(concurrency=concurrency_of(text), no_concurrency=text == NONE)
        except ValueError as error:
            self.say(f"This takes {error}.", "warn")
            return
        self._leave()
        self._plan(self._queue, wanted)

    @on(TypedLine.Left)
    def _leave(self) -> None:
        self._line.close()
        self._list.focus()
        self.say("")

    @on(TypedLine.Shown)
    def _shown(self, message: TypedLine.Shown) -> None:
        # It takes the place of the keys, which do not act while one types.
        self.query_one(KeyBar).display = not message.shown
        self.call_after_refresh(self.draw_keys)

    def action_release(self) -> None:
        """Plans to release the rate limit that holds now."""
        self._plan(self._queue, Wanted(release=True))

    def action_release_key(self) -> None:
        """Plans to release the key under the cursor."""
        if self._list.selected is not None:
            self._plan(self._queue, Wanted(keys=(self._list.selected.id,)))

    def action_undo(self) -> None:
        """Plans an undo of the last operation."""
        self._undo(self)

    def action_copy_command(self) -> None:
        """Copies the command that prints the same."""
        offer(self, self.session.command("limits", queue=self._queue), "shell command")

    def action_back(self) -> None:
        """Back to the inspector."""
        self.dismiss(None)

    def action_back_or_quit(self) -> None:
        """The same."""
        self.dismiss(None)
