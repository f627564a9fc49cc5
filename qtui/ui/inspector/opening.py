"""The screens over the inspector that are about its queue, and the way back from each of them."""

from __future__ import annotations

from functools import partial

from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import QueueStatus
from qtui.ui.inspector.campaigns import Campaigns
from qtui.ui.inspector.finding import Finder
from qtui.ui.inspector.lists import Lists
from qtui.ui.inspector.live import LiveScreen
from qtui.ui.inspector.plans.changing import Changing
from qtui.ui.inspector.plans.flows import open_flow
from qtui.ui.inspector.plans.healing import Healing
from qtui.ui.inspector.plans.retrying import Retrying
from qtui.ui.inspector.plans.undoing import Undoing
from qtui.ui.screens.events.screen import EventsScreen, Watched
from qtui.ui.screens.limits import LimitsScreen
from qtui.ui.screens.schedulers import SchedulersScreen
from qtui.ui.screens.workers import WorkersScreen
from qtui.ui.widgets.queue_list import QueueList
from qtui.verbs import Verb
from qtui.views.lists.board import Board
from qtui.views.lists.places import JobPlace
from qtui.views.running import Run


class Opening:
    """Opens other screens, and shows in the inspector what was chosen on them.

    Args:
        screen: the screen below.
        board: what is looked at.
        queues: the list of queues: with the focus, all or the marked ones are meant.
        lists: goes to a queue.
        finder: goes to a job.
        campaigns: knows the latest change of a queue's limits.
        changing: opens the plans of most actions.
        undoing: opens the plan of an undo.
        retrying: opens the plans of reruns.
    """

    def __init__(
        self,
        screen: LiveScreen,
        board: Board,
        queues: QueueList,
        lists: Lists,
        finder: Finder,
        campaigns: Campaigns,
        changing: Changing,
        undoing: Undoing,
        retrying: Retrying,
    ) -> None:
        self._screen = screen
        self._board = board
        self._queues = queues
        self._lists = lists
        self._finder = finder
        self._campaigns = campaigns
        self._changing = changing
        self._undoing = undoing
        self._retrying = retrying
        self._healing = Healing(screen, campaigns, changing, retrying, self._go_to_named)
        self._events: Watched | None = None
        """The events that were looked at last."""

    @property
    def _everywhere(self) -> bool:
        """Whether the queue list has the focus."""
        return self._screen.focused is self._queues

    def _known_queues(self) -> list[QueueKey]:
        return [status.queue for status in self._screen.poll.worst_first()]

    def _queues_meant(self, everywhere: bool) -> list[QueueStatus]:
        """The queue that is shown; or the marked queues, or all, the worst first."""
        queue, marked, poll = self._board.queue, self._queues.marks, self._screen.poll
        if not everywhere:
            status = poll.statuses.get(queue) if queue is not None else None
            return [status] if status is not None else []
        return [one for one in poll.worst_first() if not marked or one.queue in marked]

    def flow(self, job_id: str | None) -> None:
        """Shows the flow of a job of the queue."""
        queue = self._board.queue
        if queue is not None and job_id is not None:
            known, go = self._known_queues, self._finder.show
            open_flow(self._screen, self._retrying, queue, job_id, known=known, go=go)

    def schedulers(self) -> None:
        """Shows the schedulers of the queue."""
        if self._board.queue is not None:
            queue, plan = self._board.queue, self._changing.schedulers
            busy = partial(self._is_busy_on, queue)
            screen = SchedulersScreen(
                self._screen.session, queue, plan, self._undo_schedulers, busy
            )
            self._screen.app.push_screen(screen)

    def _undo_schedulers(self, screen: SchedulersScreen) -> None:
        self._undoing.last(screen, screen.undone)

    def _is_busy_on(self, queue: QueueKey) -> bool:
        return self._campaigns.on(queue) is not None

    def workers(self) -> None:
        """Shows the workers of the queue; in the queues those of the marked ones, or of all."""
        everywhere = self._everywhere
        meant = partial(self._queues_meant, everywhere)
        screen = WorkersScreen(self._screen.session, meant, everywhere=everywhere)
        self._screen.app.push_screen(screen, self._go_to_found)

    def doctor(self) -> None:
        """Examines the queue; in the queues the marked ones, or all."""
        everywhere = self._everywhere
        self._healing.open(partial(self._queues_meant, everywhere), everywhere=everywhere)

    def events(self) -> None:
        """Shows the events of the queue; in the queues those of the marked ones, or of all."""
        queue, whose = self._board.queue, frozenset(self._queues.marks) or None
        if not self._everywhere and queue is not None:
            whose = frozenset({queue})
        session, poll = self._screen.session, self._screen.poll
        if self._events is None or self._events.whose != whose:
            self._events = Watched.of(session.client, whose)
        screen = EventsScreen(session, poll, self._events, self._known_queues)
        self._screen.app.push_screen(screen, self._go_to_found)

    def limits(self) -> None:
        """Shows the limits of the queue."""
        if self._board.queue is not None:
            latest = partial(self._change_of_limits, self._board.queue)
            plan, undo = self._changing.limits, self._undoing.last
            screen = LimitsScreen(self._screen.session, self._board.queue, plan, undo, latest)
            self._screen.app.push_screen(screen)

    def _change_of_limits(self, queue: QueueKey) -> Run | None:
        """The latest change of a queue's limits, or undo there."""
        changes = (Verb.LIMITS, Verb.UNDO)
        runs = (run for run in self._campaigns.all() if run.queue == queue)
        return next((run for run in runs if run.action in changes), None)

    # The way back

    def _go_to_named(self, named: JobPlace | QueueKey) -> None:
        """Shows what a finding names."""
        if isinstance(named, JobPlace):
            self._finder.show(named)
        else:
            self._lists.go_to_queue(named)

    def _go_to_found(self, place: JobPlace | None) -> None:
        if place is not None:
            self._finder.show(place)
