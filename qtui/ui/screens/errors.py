"""The failures of a queue, or of all queues, by what they have in common."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from textual import events, on
from textual.app import ComposeResult
from textual.binding import BindingType
from typing_extensions import override

from qtui.bullmq.connection.trouble import LOST, TROUBLE
from qtui.bullmq.filter import Filter, FilterError, parse_filter
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState
from qtui.bullmq.search.hunt import Hunt
from qtui.text import count, plain, plural
from qtui.ui.actions import Situation, Where
from qtui.ui.base import QtuiScreen
from qtui.ui.clipboard.offer import offer
from qtui.ui.details.group import GroupDetail
from qtui.ui.keys import bindings, keys_by_id
from qtui.ui.session import Session
from qtui.ui.widgets.bars import Bar, KeyBar, StatusLine
from qtui.ui.widgets.cursor_list import CursorList
from qtui.ui.widgets.document import DocumentView
from qtui.ui.widgets.group_list import GroupList
from qtui.views.errors.groups import (
    GROUP_FIELDS,
    ErrorGroup,
    ErrorGroups,
    both,
    either,
    group_errors,
)
from qtui.views.lists.painting import Painting

_LOWEST: Final = 16
"""Lines of the screen below which the list has all of them."""

_NEW: Final = 600_000
"""ms: a group whose first failure is younger than this is new."""

_OLDER_EVERY: Final = 1.0
"""Seconds after which the ages of the group under the cursor are looked at again."""

_DRAWN_EVERY: Final = 0.2
"""Seconds between two drawings of counts that grow; faster cannot be read."""


@dataclass(frozen=True, slots=True)
class GroupChoice:
    """What is to be done with groups."""

    queues: Sequence[QueueKey]
    """The queues of their jobs, the one with the most first; an empty list has none."""
    state: JobState
    filter: Filter | None
    """Finds their jobs; None for all of the state."""

    @property
    def queue(self) -> QueueKey:
        """The queue that has most of their jobs."""
        return self.queues[0]


class ErrorsScreen(QtuiScreen["GroupChoice | None"]):
    """Counts while it searches; answers with a choice, or with None when it is closed.

    Args:
        session: the connection.
        queues: where to look, in this order.
        state: out of which state.
        wanted: which of its jobs; None for all.
        marked: the filters of the groups that are marked; the caller's, so that they are kept.
        plan: opens the plan of a retry over this screen.
        running: whether a retry is running.
    """

    BINDINGS: ClassVar[list[BindingType]] = list(bindings(Where.GROUPS, Where.APP))
    PARTS = (Where.MOVE, Where.GROUPS, Where.APP)

    DEFAULT_CSS = """
    ErrorsScreen {
        layout: vertical;
        & > #title, & > #keys { background: $surface; }
        & > #group { height: 1fr; }
        &.-low > #group { display: none; }
    }
    """

    def __init__(
        self,
        session: Session,
        queues: Sequence[QueueKey],
        state: JobState,
        wanted: Filter | None = None,
        *,
        marked: set[str],
        plan: Callable[[ErrorsScreen, GroupChoice], None],
        running: Callable[[], bool],
    ) -> None:
        super().__init__(session)
        self.marked = marked
        self._plan = plan
        self._is_retrying = running
        self._painting = Painting()
        self._mark_keys = keys_by_id(session.settings.keys, "groups.mark")
        self._queues = list(queues)
        self._state = state
        self._wanted = wanted
        self._groups = ErrorGroups()
        self._hunt: Hunt | None = None
        self._where = ""
        self._stopped = ""
        self._counted = False
        """Whether all jobs are counted, so that the first of a group is known."""
        low, _ = wanted.bounds() if wanted is not None else (None, None)
        self._is_of_a_time = low is not None or not state.is_finished
        self._lost_marks = ""
        """What became of marks without a key; until another key is pressed."""

    @override
    def compose(self) -> ComposeResult:
        yield Bar(id="title")
        everywhere = len(self._queues) > 1
        yield GroupList(self.marked, everywhere=everywhere, news=self._news, id="groups")
        yield DocumentView(id="group")
        yield StatusLine(id="status")
        yield KeyBar(id="keys")

    def on_mount(self) -> None:
        """Begins to count."""
        self._list = self.query_one(GroupList)
        self._list.focus()
        self._detail = GroupDetail(self, self.query_one(DocumentView), self._queues, self._state)
        self._fit()
        self.action_again()
        self.set_interval(_OLDER_EVERY, self._detail.draw)

    @override
    def on_resize(self, event: events.Resize) -> None:
        """Shows what fits now."""
        self._fit()
        self._draw()

    def _fit(self) -> None:
        """Leaves the lower half out where there is no room for both."""
        self.set_class(self.size.height < _LOWEST, "-low")

    @override
    def say_fault(self, words: str) -> None:
        """Shows an error of qtui itself in place of the sample, until the groups are read again."""
        self._stopped = words
        self._draw()

    def action_again(self) -> None:
        """Counts again."""
        work: Callable[[], Awaitable[None]] = self._count
        self.run_worker(work, group="count", exclusive=True, exit_on_error=False)
        self.start(self._read_past, "past", alone=True)

    async def _read_past(self) -> None:
        await self._detail.read_past()
        self._list.refresh()

    async def _count(self) -> None:
        pause = 1.0
        while not await self._count_once():
            await asyncio.sleep(pause)  # grows, so that a dead server is not hammered
            pause = min(2 * pause, 5.0)

    async def _count_once(self) -> bool:
        """Counts everything; False when the connection was lost meanwhile."""
        # What was one group stays one: nothing falls apart under the cursor.
        self._groups, self._stopped = ErrorGroups(self._groups.patterns), ""
        self._counted = False
        try:
            for queue in self._queues:
                await self._count_in(queue)
            self._hunt = None
            self._counted = not self._is_of_a_time
        except FilterError as error:
            self._stopped = f"Search stopped: {error.message}"
        except LOST as error:
            self._stopped = f"Connection lost; counting again: {self.session.explain(error)}"
            self._draw()
            return False
        except TROUBLE as error:
            again = self.key("groups.refresh")
            self._stopped = f"Stopped; {again} counts again: {self.session.explain(error)}"
        self._draw()
        return True

    async def _count_in(self, queue: QueueKey) -> None:
        self._where = f" in {plain(queue.name)}" if len(self._queues) > 1 else ""
        self._hunt = Hunt(
            self.session.client,
            queue,
            self._state,
            self._wanted,
            fields=GROUP_FIELDS,
            rate=self.session.settings.scan_rate,
            ahead=True,
        )
        drawn = 0.0
        async for _ in group_errors(self._hunt, queue, self._groups):
            if time.monotonic() - drawn > _DRAWN_EVERY:
                self._draw()
                drawn = time.monotonic()

    # What it says

    def _draw(self) -> None:
        self._unmark_merged()
        empty = "no matches" if self._wanted is not None else f"no {self._state} jobs"
        if self._hunt is not None:
            empty = "" if self._stopped else "counting …"
        self._list.show(self._groups, empty)
        one = plain(self._queues[0].name) if len(self._queues) == 1 else None
        where = one or f"{plural(len(self._queues), 'queue')}"
        left = [(f" Errors in {where}  ", "strong")]
        if self._wanted is not None:
            left += [(" / ", "key"), (plain(self._wanted.source), "")]
        self.query_one("#title", Bar).say(
            left, [(f" {self._progress(self._list.length)} ", "faint")]
        )
        self._moved()
        self._draw_status()
        self.draw_keys()

    def _unmark_merged(self) -> None:
        """Takes away the marks of groups that are part of a larger one, which were not marked."""
        lost = self.marked & self._groups.merged
        self._groups.merged.clear()
        self.marked -= lost
        if lost:
            marked = plural(len(lost), "marked group is", "marked groups are")
            self._lost_marks = f"{marked} part of a larger group now, which is not marked."

    @on(GroupList.Moved)
    def _moved(self) -> None:
        self._detail.show(self._list.group, self._groups.jobs)

    def _draw_status(self) -> None:
        if self._stopped:
            self.say(self._stopped, "bad")
        else:
            self.say(self._lost_marks, "warn")

    def _news(self, group: ErrorGroup) -> tuple[str, str]:
        """What is to be seen of a group beside its numbers: that it is new, or has come back."""
        past = self._detail.past(group)
        if past is not None and past.failed_again:
            words = f"{count(past.failed_again)} of {count(past.jobs)} failed again"
            return words, "again"
        newest = time.time() * 1000 - _NEW
        is_new = self._counted and group.first is not None and group.first > newest
        return ("new", "new") if is_new and not group.is_rest else ("", "")

    def _progress(self, groups: int) -> str:
        found = f"{plural(groups, 'group')} · {plural(self._groups.jobs, 'job')}"
        if self._hunt is None:
            return found
        throttled = " (throttled)" if self._hunt.resting else ""
        searched = f"searched {count(self._hunt.seen)} of {count(self._hunt.total)}{throttled}"
        return f"{found} · {searched}{self._where}"

    @override
    def key_lead(self) -> str:
        """How many groups are marked."""
        return f"{plural(len(self.marked), 'group')} marked" if self.marked else ""

    @override
    def situation(self) -> Situation:
        """The groups that a retry would take."""
        chosen = self._chosen_groups()
        return Situation(
            read_only=self.session.read_only,
            enter="fold" if self.focused is not self._list else "jobs" if self._list.length else "",
            running=self._is_retrying(),
            state=self._state,
            groups=len(chosen),
            has_marks=bool(self._marked_groups()),
            mixed=any(group.filter is None for group in chosen),
        )

    def _chosen_groups(self) -> list[ErrorGroup]:
        """The marked groups, or the one under the cursor."""
        return self._marked_groups() or ([self._list.group] if self._list.group else [])

    def _marked_groups(self) -> list[ErrorGroup]:
        if not self.marked:
            return []
        return [one for one in self._groups.largest_first() if one.filter in self.marked]

    # What it does

    @on(CursorList.Opened)
    def _opened(self) -> None:
        group = self._list.group
        if group is None:
            return
        if group.filter is None:
            self.say("These are errors of many kinds; filter the list first.", "warn")
        else:
            [(queue, _), *_] = group.queues.most_common()
            queues = [queue, *(one for one in group.queues if one != queue)]
            self.answer(GroupChoice(queues, self._state, self._matching(group.filter)))

    def on_key(self, event: events.Key) -> None:
        """Any other key ends a row of presses of ``space``; any clears what was said of marks."""
        self._lost_marks = ""
        if event.key not in self._mark_keys:
            self._painting.stop()

    def action_mark(self) -> None:
        """Marks the group under the cursor, or takes its mark away; again, does so to the next."""
        group, painting = self._list.group, self._painting
        continues = group is not None and painting.continues(group.filter, self._list.moves)
        if continues and self._list.cursor == self._list.length - 1:
            self.say_why_not("This is the last group.")
        else:
            if continues:
                self._list.action_cursor_down()
            else:
                painting.marking = group is None or group.filter not in self.marked
            self._paint(self._list.group)

    def _paint(self, group: ErrorGroup | None) -> None:
        if group is None or group.filter is None:
            return
        (self.marked.add if self._painting.marking else self.marked.discard)(group.filter)
        self._painting.painted(group.filter, self._list.moves)
        self._list.refresh()
        self.draw_keys()

    def action_mark_all(self) -> None:
        """Marks all groups, or takes all marks away if all are marked."""
        filters = {one.filter for one in self._groups.largest_first() if one.filter is not None}
        all_marked = filters <= self.marked
        self.marked.clear()
        self.marked.update(() if all_marked else filters)
        self._painting.stop()
        self._list.refresh()
        self.draw_keys()

    def action_retry(self) -> None:
        """Plans a retry of the marked groups, or of the one under the cursor."""
        groups = self._chosen_groups()
        text = either([one.filter for one in groups if one.filter is not None])
        self._plan(self, self._choice(groups, text))

    def action_retry_all(self) -> None:
        """Plans a retry of the marked groups, or of all where none is marked."""
        if self._marked_groups():
            self.action_retry()
        else:
            self._plan(self, self._choice(self._groups.largest_first(), None))

    def _choice(self, groups: Sequence[ErrorGroup], text: str | None) -> GroupChoice:
        """The jobs of some groups, which a filter finds."""
        jobs = sum((one.queues for one in groups), Counter[QueueKey]())
        queues = [queue for queue, _ in jobs.most_common()]
        if self._hunt is not None:  # others may have them too
            queues += [queue for queue in self._queues if queue not in jobs]
        return GroupChoice(queues, self._state, self._matching(text))

    def _matching(self, text: str | None) -> Filter | None:
        return self._wanted if text is None else parse_filter(both(self._wanted, text))

    def answer(self, choice: GroupChoice | None) -> None:
        """Leaves with a choice, or with None."""
        self.dismiss(choice)

    def action_copy_command(self) -> None:
        """Copies the command that prints these groups."""
        options = ["--state", self._state.value]
        options += ["--filter", self._wanted.source] if self._wanted is not None else []
        if len(self._queues) == 1:
            line = self.session.command("errors", *options, queue=self._queues[0])
        else:
            line = self.session.command("errors", "*", *options)
        offer(self, line, "shell command")

    def action_back(self) -> None:
        """Back to the list, and from there to the inspector; changes nothing."""
        if self.focused is self._list:
            self.answer(None)
        else:
            self._list.focus()

    def action_back_or_quit(self) -> None:
        """Closes the screen and changes nothing."""
        self.answer(None)
