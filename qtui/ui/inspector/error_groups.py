"""The way from a list to its failures by group, and from a group back to its jobs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from qtui.bullmq.filter import Filter
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState
from qtui.text import plural
from qtui.ui.inspector.list_pane import ListPane
from qtui.ui.inspector.lists import Lists
from qtui.ui.inspector.live import LiveScreen
from qtui.ui.inspector.plans.retrying import Retrying
from qtui.ui.screens.errors import ErrorsScreen, GroupChoice
from qtui.views.lists.board import Board


class GroupedErrors:
    """Opens the groups of failures, and keeps which of them are marked while qtui runs.

    Args:
        screen: the screen below the groups.
        board: what is looked at.
        pane: the list, whose search waits while failures are grouped.
        lists: shows the jobs of the group that is chosen.
        retrying: plans a retry of groups.
        running: whether a campaign is sending jobs of a queue.
    """

    def __init__(
        self,
        screen: LiveScreen,
        board: Board,
        pane: ListPane,
        lists: Lists,
        retrying: Retrying,
        running: Callable[[QueueKey], bool],
    ) -> None:
        self._screen = screen
        self._board = board
        self._pane = pane
        self._lists = lists
        self._retrying = retrying
        self._running = running
        self._marked: dict[tuple[tuple[QueueKey, ...], JobState, Filter | None], set[str]] = {}
        """The groups that are marked, by where they were counted."""

    def open(self, *, in_queues: bool) -> None:
        """Opens the groups of the list, or those of the failed jobs of all queues."""
        board = self._board
        if in_queues:
            statuses = self._screen.poll.worst_first()
            queues = [status.queue for status in statuses if status.failed]
            state, wanted = JobState.FAILED, None
        else:
            queues = [board.queue] if board.queue is not None else []
            state, wanted = board.state, board.filter
        self._pane.let_others_hunt(True)
        screen = ErrorsScreen(
            self._screen.session,
            queues,
            state,
            wanted,
            marked=self._marked.setdefault((tuple(queues), state, wanted), set()),
            plan=self._plan,
            running=lambda: any(map(self._running, queues)),
        )
        self._screen.app.push_screen(screen, self._chosen)

    def _plan(self, screen: ErrorsScreen, choice: GroupChoice) -> None:
        """Opens the plan over the groups: leaving it leads back to them and their marks."""

        def confirmed() -> None:
            screen.marked.clear()
            screen.answer(replace(choice, queues=choice.queues[:1]))

        queues, state, wanted = choice.queues, choice.state, choice.filter
        if len(queues) == 1:
            self._retrying.plan_matching(queues[0], state, wanted, confirmed=confirmed)
        else:
            self._retrying.plan_several(queues, state, wanted, confirmed=confirmed)

    def _chosen(self, choice: GroupChoice | None) -> None:
        self._pane.let_others_hunt(False)
        if choice is None:
            return
        board = self._board
        if elsewhere := len(choice.queues) - 1:
            others = plural(elsewhere, "other queue has", "other queues have")
            self._screen.say(f"{others} this error too: e in the queues shows them")
        if (choice.queue, choice.state, choice.filter) != (board.queue, board.state, board.filter):
            self._lists.go(choice.queue, choice.state, choice.filter)
