"""The doctor over the inspector: what fixes a finding is one of the inspector's own actions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState, QueueStatus
from qtui.bullmq.verdicts.finding import Finding, Mend
from qtui.operations.planning.proposal import PlanOptions
from qtui.operations.queues.limits import Wanted
from qtui.operations.remove.plan import WITHOUT_UNDO
from qtui.operations.remove.stray import StrayPlan, make_stray_plan
from qtui.operations.schedulers.action import Do
from qtui.operations.schedulers.plan import SchedulersPlan, plan_schedulers
from qtui.operations.supply.selection import chosen
from qtui.text import plain, plural
from qtui.ui.dialogs.action import Progress, Request
from qtui.ui.inspector.campaigns import Campaigns
from qtui.ui.inspector.live import LiveScreen
from qtui.ui.inspector.plans.changing import NOT_UNDONE, Changing
from qtui.ui.inspector.plans.flows import open_flow
from qtui.ui.inspector.plans.retrying import Retrying
from qtui.ui.screens.doctor import DoctorScreen
from qtui.verbs import Verb
from qtui.views.lists.places import JobPlace
from qtui.views.running import Run

REASON: Final = "the doctor (!)"
"""What the journal says where no other reason is given."""


class Healing:
    """Opens the doctor, and the plans of what fixes its findings.

    Args:
        screen: the screen below.
        campaigns: shows how the actions are going.
        changing: opens the plans of most actions.
        retrying: keeps the toggles of a rerun.
        go: shows what a finding names.
    """

    def __init__(
        self,
        screen: LiveScreen,
        campaigns: Campaigns,
        changing: Changing,
        retrying: Retrying,
        go: Callable[[JobPlace | QueueKey], None],
    ) -> None:
        self._screen = screen
        self._campaigns = campaigns
        self._changing = changing
        self._retrying = retrying
        self._go = go

    def open(self, statuses: Callable[[], Sequence[QueueStatus]], *, everywhere: bool) -> None:
        """Opens the doctor of some queues.

        Args:
            statuses: returns the queues.
            everywhere: whether they are those of the queue list.
        """
        doctor = DoctorScreen(
            self._screen.session,
            statuses,
            everywhere=everywhere,
            plan=self._plan,
            latest=self._latest,
        )
        self._screen.app.push_screen(doctor, self._opened)

    def _opened(self, named: JobPlace | QueueKey | None) -> None:
        if named is not None:
            self._go(named)

    def _latest(self, queue: QueueKey) -> Run | None:
        return next((run for run in self._campaigns.all() if run.queue == queue), None)

    def _plan(self, doctor: DoctorScreen, one: Finding) -> None:
        queue, ids = one.queue, list(one.members)
        if queue is None:
            return
        match one.mend:
            case Mend.RESUME:
                self._changing.pause([queue], paused=True, pausing=lambda: None, reason=REASON)
            case Mend.RELEASE:
                self._changing.limits(queue, Wanted(release=True), reason=REASON)
            case Mend.RELEASE_KEYS:
                self._changing.limits(queue, Wanted(keys=tuple(ids)), reason=REASON)
            case Mend.REVIVE:
                self._revive(queue, ids)
            case Mend.REMOVE:
                self._remove(queue, one)
            case Mend.RERUN:
                self._rerun(doctor, queue, ids[0])
            case None:
                pass

    def _revive(self, queue: QueueKey, ids: Sequence[str]) -> None:
        client = self._screen.session.client

        async def read(options: PlanOptions, progress: Progress) -> SchedulersPlan:
            return await plan_schedulers(client, Do.REVIVE, queue, ids)

        what = f"scheduler {plain(ids[0])}" if len(ids) == 1 else plural(len(ids), "scheduler")
        request = Request(title=f"Revive {what} in {plain(queue.name)}", read=read)
        self._changing.open(Verb.SCHEDULERS, request, reason=REASON)

    def _remove(self, queue: QueueKey, one: Finding) -> None:
        """Those of one state; what is in others is found again, and fixed then."""
        found = next(iter(one.members.values()))
        if not found:
            self._remove_stray(queue, list(one.members))
            return
        state = JobState(found)
        ids = [job_id for job_id, where in one.members.items() if where == state]
        words = f"{plural(len(ids), f'{state} id')} without a job in {plain(queue.name)}"
        self._changing.remove_chosen(chosen(queue, state, ids), words, reason=REASON)

    def _remove_stray(self, queue: QueueKey, ids: Sequence[str]) -> None:
        client = self._screen.session.client

        async def read(options: PlanOptions, progress: Progress) -> StrayPlan:
            anyway = WITHOUT_UNDO in options.on
            return await make_stray_plan(client, queue, ids, without_undo=anyway)

        request = Request(
            title=f"Remove {plural(len(ids), 'job')} in no state from {plain(queue.name)}",
            read=read,
            dangerous=True,
            toggles=(replace(NOT_UNDONE, rereads=True),),
        )
        self._changing.open(Verb.REMOVE, request, reason=REASON)

    def _rerun(self, doctor: DoctorScreen, queue: QueueKey, parent: str) -> None:
        """The flow of one parent; the next one is found again, and fixed then."""
        open_flow(
            doctor,
            self._retrying,
            queue,
            parent,
            known=lambda: [status.queue for status in self._screen.poll.worst_first()],
            go=doctor.answer,
            rerun=True,
            closed=lambda: doctor.examine_again([queue]),
        )
