"""The journal: past campaigns, one of them in full, and resuming one that was cut off."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import ClassVar, Final

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from typing_extensions import override

from qtui.operations.journal.reading import JournalError, Summary, campaigns, with_undos
from qtui.operations.undo.registry import refusal
from qtui.text import plain
from qtui.ui.actions import Situation, Where
from qtui.ui.base import QtuiScreen
from qtui.ui.clipboard.offer import offer
from qtui.ui.keys import bindings
from qtui.ui.session import Session
from qtui.ui.widgets.bars import Bar, KeyBar, StatusLine
from qtui.ui.widgets.campaign_list import CampaignList
from qtui.ui.widgets.cursor_list import CursorList
from qtui.ui.widgets.document import DocumentView
from qtui.views.campaigns import campaign_sections, read_story
from qtui.views.document import Document
from qtui.views.running import Run
from qtui.views.shell import shell_line

_MOST: Final = 1000
"""Campaigns that are listed; `qtui journal` lists them all."""


@dataclass(frozen=True, slots=True)
class JournalChoice:
    """What is to be done with an operation of the journal."""

    campaign: Summary
    undo: bool = False
    """Whether it is to be undone; else it is to be resumed."""


class JournalScreen(QtuiScreen["JournalChoice | None"]):
    """Lists campaigns; answers with what is to be done with one, or with None when it is left."""

    BINDINGS: ClassVar[list[BindingType]] = list(bindings(Where.JOURNAL, Where.APP))
    PARTS = (Where.MOVE, Where.JOURNAL, Where.APP)

    DEFAULT_CSS = """
    JournalScreen {
        layout: vertical;
        & > #title, & > #keys { background: $surface; }
        & > #story { height: 60%; border-top: solid $surface-lighten-1; }
    }
    """

    def __init__(
        self, session: Session, folder: Path, *, runs: Callable[[], Sequence[Run]]
    ) -> None:
        """Lists the campaigns of a folder.

        Args:
            session: the connection.
            folder: where they are written down.
            runs: the campaigns of this qtui that are under way or followed.
        """
        super().__init__(session)
        self._folder = folder
        self._runs = runs

    @override
    def compose(self) -> ComposeResult:
        yield Bar(id="title")
        yield CampaignList(id="campaigns")
        yield DocumentView(id="story")
        yield StatusLine(id="status")
        yield KeyBar(id="keys")

    def on_mount(self) -> None:
        """Reads the folder."""
        self._list = self.query_one(CampaignList)
        self._list.focus()
        folder = plain(str(self._folder))
        self.query_one("#title", Bar).say([(" Journal  ", "strong"), (folder, "")])
        self.in_background(self._read, "campaigns")
        self.draw_keys()

    async def _read(self) -> None:
        def read() -> list[Summary]:
            return with_undos(islice(campaigns(self._folder), _MOST))

        try:
            found = await asyncio.to_thread(read)
        except JournalError as error:
            self._list.show([], "")
            self.say(str(error), "warn")
            return
        self._list.show(found, "no operations made from this machine yet")

    @on(CampaignList.Selected)
    def _selected(self, message: CampaignList.Selected) -> None:
        one, view = message.campaign, self.query_one(DocumentView)
        self.say("")
        self.draw_keys()
        if one is None:
            view.show(Document(()))
            return

        async def read() -> None:
            try:
                story = await asyncio.to_thread(read_story, self._folder, one.id)
            except JournalError as error:
                view.show(Document(()))
                self.say(str(error), "warn")
                return
            view.show(Document(campaign_sections(one, story)), one.id)

        self.in_background(read, "story")

    @on(CursorList.Opened)
    def _opened(self) -> None:
        self.query_one(DocumentView).focus()

    @override
    def situation(self) -> Situation:
        """The retry under the cursor."""
        one, runs = self._list.campaign, self._runs()
        own = [run for run in runs if one is not None and run.id == one.id]
        busy = [run.queue.base for run in runs if run.under_way]
        return Situation(
            read_only=self.session.read_only,
            enter="fold" if self.focused is not self._list else "details" if one else "",
            running=one is not None and one.header.queue in busy,
            stoppable=any(run.under_way for run in own),
            campaign=one,
            no_undo=refusal(one.header) if one is not None else "",
            is_own=bool(own),
        )

    # What it does

    def action_resume(self) -> None:
        """Resumes the retry under the cursor."""
        if self._list.campaign is not None:
            self.dismiss(JournalChoice(self._list.campaign))

    def action_undo(self) -> None:
        """Plans an undo of the operation under the cursor."""
        if self._list.campaign is not None:
            self.dismiss(JournalChoice(self._list.campaign, undo=True))

    def action_copy_command(self) -> None:
        """Copies the command that prints the campaign under the cursor, or all of them."""
        one = self._list.campaign
        line = shell_line(["qtui", "journal", *([one.id] if one is not None else [])])
        offer(self, line, "shell command")

    def action_back(self) -> None:
        """Back to the list, and from there to the inspector."""
        if self.focused is self._list:
            self.dismiss(None)
        else:
            self._list.focus()

    def action_back_or_quit(self) -> None:
        """Leaves the journal."""
        self.dismiss(None)
