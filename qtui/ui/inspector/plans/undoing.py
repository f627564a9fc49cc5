"""Undo from the inspector and the screens over it: the last operation, or one of the journal."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from qtui.bullmq.codes import Code, Result
from qtui.operations.journal.reading import JournalError, Summary
from qtui.operations.planning.proposal import PlanOptions
from qtui.operations.undo.plan import UndoPlan, last_operation, make_undo_plan
from qtui.operations.undo.registry import done_again
from qtui.text import age, plain, plural
from qtui.ui.base import QtuiScreen
from qtui.ui.dialogs.action import Progress, Request
from qtui.ui.inspector.campaigns import Campaigns, Listener
from qtui.ui.inspector.live import LiveScreen
from qtui.ui.inspector.plans.changing import Changing
from qtui.verbs import NOUNS, Verb
from qtui.views.campaigns import queue_name
from qtui.views.running import Run

T = TypeVar("T")


class Undoing:
    """Opens the plans of undos.

    Args:
        screen: the screen below the dialogs.
        campaigns: hold journals of operations that are over.
        changing: opens the plans, and carries them out.
    """

    def __init__(self, screen: LiveScreen, campaigns: Campaigns, changing: Changing) -> None:
        self._screen = screen
        self._campaigns = campaigns
        self._changing = changing

    async def look_back(self) -> None:
        """Looks whether anything can be undone, for the key bars. Costs Redis nothing."""
        session = self._screen.session
        if session.journal is None:
            return
        try:
            last = await asyncio.to_thread(last_operation, session.journal, session.target.shown)
        except JournalError:
            return  # the folder can't be read; an undo will say so
        session.past.undoable = last.undoable is not None
        for screen in self._screen.app.screen_stack:
            if isinstance(screen, QtuiScreen):
                screen.draw_keys()

    def last(self, over: QtuiScreen[T] | None = None, listener: Listener | None = None) -> None:
        """Opens the plan of an undo of the last operation on this server, or says there is none.

        If that one can't be undone, the plan is of the one before, and says so.

        Args:
            over: the screen that says if there is none; the inspector where none is given.
            listener: takes the results, see `Campaigns.begin`.
        """
        session = self._screen.session
        folder = session.journal
        say = self._screen.say if over is None else over.say
        journal = self._screen.key("inspector.journal")

        async def find() -> None:
            if folder is None:
                return
            try:
                last = await asyncio.to_thread(last_operation, folder, session.target.shown)
            except JournalError as error:
                say(plain(str(error)), "warn")
                return
            if last.undoable is not None:
                self.of(last.undoable, last.passed_over, listener)
                return
            words = f"{last.nothing[:1].upper()}{last.nothing[1:]}"
            say(
                f"{words}; {journal} lists all operations." if last.any_here else f"{words}.",
                "warn",
            )

        self._screen.in_background(find, "undo")

    def of(
        self, one: Summary, passed_over: Sequence[str] = (), listener: Listener | None = None
    ) -> None:
        """Opens the plan of an undo of an operation.

        Args:
            one: the operation.
            passed_over: sentences about later ones, which can't be undone.
            listener: takes the results, see `Campaigns.begin`.
        """
        session, header = self._screen.session, one.header
        folder = session.journal
        if folder is None:
            return

        async def read(options: PlanOptions, progress: Progress) -> UndoPlan:
            await self._campaigns.release(one.id)  # its outcomes are written down first
            where = session.target.shown
            plan = await make_undo_plan(session.client, folder, one.id, where, progress=progress)
            return replace(plan, passed_over=tuple(passed_over))

        def listens(_: UndoPlan, run: Run, results: Sequence[Result]) -> None:
            if listener is not None:
                listener(run, results)

        changed = plural(one.codes.get(Code.DONE, 0), NOUNS.get(header.selection.kind, "job"))
        ago = age(time.time() * 1000 - header.at)
        what = f"{changed} in {queue_name(header)}"
        if changed == "1 queue":
            what = queue_name(header)
        title = plain(f"Undo the {header.noun} of {what}, {ago} ago")
        keys = f"{self._screen.key('inspector.journal')}, then {self._screen.key('journal.undo')}"
        otherwise = " ".join([*passed_over, f"An earlier operation: {keys}."])
        request = Request(title=title, read=read, otherwise=otherwise)
        again = done_again(header)
        self._changing.open(Verb.UNDO, request, listener=listens, also=again)
