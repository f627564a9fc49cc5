"""The events of a queue, or of all queues, as they come; one of them in full."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import ClassVar, Final

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from typing_extensions import override

from qtui.bullmq.connection.client import Client
from qtui.bullmq.connection.trouble import TROUBLE
from qtui.bullmq.filter import Filter, FilterError
from qtui.bullmq.keys import QueueKey, name_queues
from qtui.bullmq.reads.events.feed import Feed, News, QueueEvent
from qtui.bullmq.reads.events.names import read_names
from qtui.text import count, plain, plural
from qtui.ui.actions import Situation, Where
from qtui.ui.base import QtuiScreen
from qtui.ui.clipboard.offer import offer
from qtui.ui.keys import bindings
from qtui.ui.screens.events.list import EventList
from qtui.ui.session import Session
from qtui.ui.widgets.bars import Bar, KeyBar, StatusLine
from qtui.ui.widgets.cursor_list import CursorList
from qtui.ui.widgets.document import DocumentView
from qtui.ui.widgets.filter_line import typed_filter
from qtui.ui.widgets.typed_line import TypedLine
from qtui.views.document import Document
from qtui.views.lists.events import EventLines, sections
from qtui.views.lists.places import JobPlace, find_place
from qtui.views.queues.poll import GAP_IN_LOOKS, SHORTEST_GAP, Poll

FIRST: Final = 1_000
"""Events that are read when the screen is opened."""

_DEAF: Final = 0.5
"""Seconds between two readings where events can't be waited for."""

_LONGEST_PAUSE: Final = 5.0
"""Seconds between two attempts to reach a server that is gone."""

_TOGETHER: Final = 50
"""Queues that are read together where one has events, so that those of all come in order."""

_DEBOUNCE: Final = 0.1

_SAID_FOR: Final = 4.0
"""Seconds after which the next key takes the words in the status line away."""

_HINT: Final = "filter terms, such as name=failed error:timeout ({} lists them); empty shows all"
"""What the line is for, with the key of the help."""


@dataclass(slots=True, kw_only=True)
class Watched:
    """Events that were read, kept while the screen is closed, so that it opens where it was."""

    whose: frozenset[QueueKey] | None
    """The queues whose they are; None for all queues, also those that are found later."""
    feed: Feed
    lines: EventLines = field(default_factory=EventLines)
    at: int | None = None
    """The number of the line under the cursor, unless that was the first."""

    @classmethod
    def of(cls, client: Client, whose: frozenset[QueueKey] | None) -> Watched:
        """The events of some queues, or of all; none is read yet."""
        return cls(whose=whose, feed=Feed(client))

    @property
    def queue(self) -> QueueKey | None:
        """The queue whose they are, if it is one."""
        whose = self.whose or ()
        return next(iter(whose)) if len(whose) == 1 else None


class EventsScreen(QtuiScreen["JobPlace | None"]):
    """Shows events while it is open; answers with the job to open, or with None.

    Args:
        session: the connection.
        poll: hears when there are events, for everyone on one connection.
        watched: whose events, and those that were read before.
        queues: the queues as they are known now.
    """

    BINDINGS: ClassVar[list[BindingType]] = list(bindings(Where.EVENTS, Where.APP))
    PARTS = (Where.EVENTS, Where.MOVE, Where.APP)

    DEFAULT_CSS = """
    EventsScreen {
        layout: vertical;
        & > #title, & > #keys { background: $surface; }
        & > #story { height: 35%; max-height: 16; border-top: solid $surface-lighten-1; }
    }
    """

    def __init__(
        self,
        session: Session,
        poll: Poll,
        watched: Watched,
        queues: Callable[[], Sequence[QueueKey]],
    ) -> None:
        super().__init__(session)
        self._poll = poll
        self._watched = watched
        self._queues = queues
        self._feed, self._lines = watched.feed, watched.lines
        self._begun = False
        self._since = 0
        """When the newest event was written that was there at the beginning, ms."""
        self._changed: set[QueueKey] = set()
        self._heard = asyncio.Event()
        self._sweep_at = 0.0
        """When queues are read again whose events are not waited for, by the monotonic clock."""
        self._lost = False
        self._said_at = 0.0
        self._refused: set[QueueKey] = set()

    @override
    def compose(self) -> ComposeResult:
        yield Bar(id="title")
        yield EventList(self._lines, several=self._watched.queue is None, id="events")
        yield DocumentView(id="story")
        yield TypedLine(id="filter")
        yield StatusLine(id="status")
        yield KeyBar(id="keys")

    def on_mount(self) -> None:
        """Reads the latest events, and then what comes."""
        self._list, self._story = self.query_one(EventList), self.query_one(DocumentView)
        self._line = self.query_one(TypedLine)
        self._line.close()
        self._story.display = False
        self._list.focus()
        if len(self._lines):
            self._list.turned(self._watched.at, "")
        self._poll.hearer = self
        self.start(self._read_for_ever, "watch")
        self._draw()

    def on_unmount(self) -> None:
        """Nothing is read while it is closed."""
        if self._poll.hearer is self:
            self._poll.hearer = None

    @override
    def say(self, words: str, tone: str = "") -> None:
        """Shows a sentence in the status line, for some time at least."""
        self._said_at = time.monotonic()
        super().say(words, tone)

    def on_key(self) -> None:
        """Clears what was said some time ago."""
        old = time.monotonic() - self._said_at > _SAID_FOR
        if old and not self._lost and not self._line.display:
            self.say("")

    # Reading

    @property
    def read_to(self) -> Mapping[QueueKey, str]:
        """How far the events of each queue were read."""
        return self._feed.read_to

    def heard(self, queues: Collection[QueueKey]) -> None:
        """Some queues have events."""
        if mine := self._feed.read_to.keys() & queues:
            self._changed |= mine
            self._heard.set()

    async def _read_for_ever(self) -> None:
        pause = SHORTEST_GAP
        while True:
            begun = time.monotonic()
            if await self._read_once():
                took = time.monotonic() - begun
                pause = max(SHORTEST_GAP, GAP_IN_LOOKS * took)
            else:
                pause = min(_LONGEST_PAUSE, 2 * pause)
            await asyncio.sleep(pause)
            await self._wait()

    async def _wait(self) -> None:
        """Waits for events, or where they can't be waited for until it is time to look."""
        refresh = self.session.settings.refresh
        if self._lost or (refresh and not self._poll.hears):
            await asyncio.sleep(max(_DEAF, refresh if not self._lost else 0))
            self._changed |= set(self._feed.read_to)
            return
        try:
            async with asyncio.timeout(refresh or None):
                await self._heard.wait()
        except TimeoutError:
            # A server that is gone shows by a reading, however quiet the queues are.
            self._changed |= set(islice(self._feed.read_to, 1))
        self._heard.clear()
        if refresh and time.monotonic() >= self._sweep_at:
            self._changed |= self._feed.read_to.keys() - self._poll.heard
            self._sweep_at = time.monotonic() + refresh

    async def _read_once(self) -> bool:
        """Reads what is new; False, and says so, if the server does not answer."""
        changed, self._changed = self._changed, set()
        try:
            news = await self._news(changed)
            names = await self._missing_names()
        except TROUBLE as error:
            self._changed |= changed
            self._lost = True
            self.say(self.session.explain(error), "bad")
            self._draw()
            return False
        if self._lost:
            self._lost = False
            self.say("Connected again.")
        self._lines.learn(names)
        self._report_refused()
        try:
            grown = self._lines.add(news)
        except FilterError as error:
            self._lines.filter(None)
            self.say(f"Filter removed: {plain(error.message)}", "bad")
            self._list.turned(None, self._of_empty())
        else:
            self._list.grown(grown, self._of_empty())
        self._draw()
        return True

    async def _news(self, changed: set[QueueKey]) -> News:
        known = self._known()
        feed = self._feed
        if not self._begun:
            news = await feed.latest([one for one in known if one not in feed.refused], FIRST)
            self._begun = True
            self._since = max((one.at for one in news), default=0)
            return news
        fresh = [one for one in known if one not in feed.read_to and one not in feed.refused]
        if changed and len(known) <= _TOGETHER:
            changed = set(known)
        news = await feed.read(changed) if changed else []
        if fresh:  # found since; what happened there before is not new
            news += [one for one in await feed.latest(fresh, FIRST) if one.at > self._since]
        return news

    def _known(self) -> Sequence[QueueKey]:
        """The queues whose events are shown, as far as they are known."""
        return self._queues() if self._watched.whose is None else sorted(self._watched.whose)

    async def _missing_names(self) -> dict[tuple[QueueKey, str], str]:
        jobs = self._lines.nameless(*self._list.visible_range)
        return await read_names(self.session.client, jobs) if jobs else {}

    def _report_refused(self) -> None:
        refused = sorted(self._feed.refused.keys() - self._refused)
        if refused:
            self._refused.update(refused)
            self.say(f"Redis refused the events of {plain(name_queues(refused))}.", "warn")

    def action_refresh_now(self) -> None:
        """Reads what is new, and shows it from its beginning."""
        self._changed |= set(self._feed.read_to)
        self._heard.set()
        self._lines.thaw()
        self._list.turned(None, self._of_empty())
        self._draw()

    # What it shows

    @on(EventList.Moved)
    def _moved(self) -> None:
        self._draw()
        if self._lines.nameless(*self._list.visible_range) and not self._lost:
            self.in_background(self._read_names, "names")

    async def _read_names(self) -> None:
        await asyncio.sleep(_DEBOUNCE)
        self._lines.learn(await self._missing_names())
        self._list.refresh()

    def _draw(self) -> None:
        self._draw_title()
        self._draw_story()
        self.draw_keys()

    def _draw_title(self) -> None:
        queue, lines = self._watched.queue, self._lines
        where = plural(len(self._known()), "queue")
        if queue is not None:
            where = plain(queue.name if queue.prefix == "bull" else queue.base)
        left = [(" Events in ", "strong"), (f"{where}  ", "strong")]
        if lines.wanted is not None:
            left += [("/ ", "key"), (f"{plain(lines.wanted.source)}  ", "")]
            left.append((f"{count(len(lines))} of {plural(lines.kept, 'event')}", "faint"))
        elif self._begun:
            left.append((plural(lines.kept, "event"), "faint"))
        right = [self._condition()]
        if self.session.read_only:
            right.append((" READ-ONLY ", "badge"))
        self.query_one("#title", Bar).say(left, right)

    def _condition(self) -> tuple[str, str]:
        """Whether what comes is shown."""
        if self._lost:
            return " lost, reconnecting ", "bad"
        if self._lines.frozen:
            came = f" · {self._lines.came:+,}" if self._lines.came else ""
            return f" frozen{came} · {self.key('events.freeze')} resumes ", "warn"
        if newer := self._list.newer:
            return f" ▲ {count(newer)} newer ({self.key('move.first')}) ", "warn"
        if not self.session.settings.refresh:
            return f" manual: {self.key('events.refresh')} ", "faint"
        return (
            " live " if self._list.follows else f" live · follow ({self.key('move.first')}) "
        ), "faint"

    def _draw_story(self) -> None:
        """The event under the cursor in full, unless the list runs along."""
        line = self._list.under_cursor
        in_story = self.focused is self._story
        self._story.display = line is not None and (in_story or not self._list.follows)
        if line is None or not self._story.display:
            return
        named = isinstance(line.one, QueueEvent)
        self._story.show(Document(sections(line.one)), f"{line.number}:{named}")

    def _of_empty(self) -> str:
        """What an empty list says."""
        if self._lines.wanted is not None and self._lines.kept:
            return "no event matches so far"
        return "no events so far"

    # What it does

    def action_filter(self) -> None:
        """Asks for a filter."""
        wanted = self._lines.wanted
        hint = _HINT.format(self.key("app.help"))
        self._line.open(wanted.source if wanted is not None else "", hint)

    @on(TypedLine.Shown)
    def _filter_shown(self, message: TypedLine.Shown) -> None:
        self.query_one(KeyBar).display = not message.shown
        self.call_after_refresh(self.draw_keys)

    @on(TypedLine.Entered)
    def _filter_entered(self, message: TypedLine.Entered) -> None:
        wanted: Filter | None = None
        if message.text.strip():
            wanted = typed_filter(self._line, message.text, self.say)
            if wanted is None:
                return
        self._filter_left()
        self._filter(wanted)

    @on(TypedLine.Left)
    def _filter_left(self) -> None:
        self._line.close()
        self.say("")
        self.set_focus(self._list)  # at once: another key may follow

    def _filter(self, wanted: Filter | None) -> None:
        line = self._list.under_cursor
        number = line.number if line is not None and not self._list.follows else None
        try:
            self._lines.filter(wanted)
        except FilterError as error:
            self.say(f"Filter stopped: {plain(error.message)}", "bad")
        self._list.turned(number, self._of_empty())
        self._draw()

    def action_next_failure(self) -> None:
        """Goes down to the next failure."""
        # What follows the newest is on none of them yet.
        at = -1 if self._list.follows else self._list.cursor
        place = self._lines.next_failure(at)
        if place is None:
            some = plural(self._lines.kept, "event")
            below = " below" if at > 0 else ""
            self.say(f"No failure{below} in the {some} kept.", "warn")
            return
        self._list.go(place)
        self._draw()

    def action_freeze(self) -> None:
        """Freezes the list, or thaws it."""
        line = self._list.under_cursor
        if self._lines.frozen:
            self._lines.thaw()
        else:
            self._lines.freeze()
        at_top = line is None or self._list.cursor == 0
        self._list.turned(None if at_top or line is None else line.number, self._of_empty())
        self._draw()

    @on(CursorList.Opened)
    def _opened(self) -> None:
        line = self._list.under_cursor
        if line is None or not isinstance(line.one, QueueEvent) or not line.one.job_id:
            self.say("This event is about no job.", "warn")
            return
        queue, job_id = line.one.queue, line.one.job_id

        async def go() -> None:
            found = await find_place(self.session.client, queue, job_id)
            if isinstance(found, JobPlace):
                self._leave(found, keep=line.number)
            else:
                self.say(found, "warn")

        self.in_background(go, "open")

    @override
    def situation(self) -> Situation:
        """The event under the cursor, and whether the list is frozen."""
        line, in_list = self._list.under_cursor, self.focused is self._list
        has_job = line is not None and isinstance(line.one, QueueEvent) and line.one.job_id
        return Situation(
            read_only=self.session.read_only,
            enter="fold" if not in_list else "open job" if has_job else "",
            frozen=self._lines.frozen,
        )

    def action_copy_command(self) -> None:
        """Copies the command that prints the same."""
        wanted, queue = self._lines.wanted, self._watched.queue
        options = ["--follow"]
        options += ["--filter", wanted.source] if wanted is not None else []
        if queue is not None:
            offer(self, self.session.command("events", *options, queue=queue), "shell command")
        else:
            offer(self, self.session.command("events", "*", *options), "shell command")

    def action_back(self) -> None:
        """From the details to the list, then out of a filter, then to the inspector."""
        if self.focused is not self._list:
            self.set_focus(self._list)
        elif self._lines.wanted is not None:
            self._filter(None)
        else:
            self._leave(None)

    def action_back_or_quit(self) -> None:
        """Leaves the events."""
        self._leave(None)

    def _leave(self, place: JobPlace | None, *, keep: int | None = None) -> None:
        line = self._list.under_cursor
        follows = self._list.follows and keep is None
        number = keep if keep is not None else line.number if line is not None else None
        self._watched.at = None if follows else number
        self._lines.thaw()
        self.dismiss(place)
