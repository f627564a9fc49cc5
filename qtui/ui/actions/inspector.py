"""The inspector, whichever pane has the focus."""

from __future__ import annotations

from typing import Final

from qtui.bullmq.model import JobState
from qtui.ui.actions.action import AFTER_JOBS, LAST, LATE, Action, Situation, Where
from qtui.ui.actions.needs import no_job, no_journal, no_list, not_at_jobs, undo_if_any
from qtui.verbs import Verb


def no_errors(situation: Situation) -> str:
    """Failures are needed to group them."""
    if situation.in_queues:
        return "" if situation.has_failures else "No queue has failed jobs."
    return no_list(situation)


def groups_errors(situation: Situation) -> bool:
    """Whether jobs have errors where the cursor is: failed ones, or such as will be retried."""
    return situation.in_queues or situation.state in (JobState.FAILED, JobState.DELAYED)


def no_queues(situation: Situation) -> str:
    """Queues are needed to search them."""
    return "" if situation.has_queues else "There are no queues to search."


def no_events(situation: Situation) -> str:
    """Events are those of queues."""
    return "" if situation.in_queues else no_list(situation)


def no_flow(situation: Situation) -> str:
    """A flow is that of a job."""
    return not_at_jobs(situation) or no_job(situation)


INSPECTOR: Final = (
    Action(
        id="inspector.filter",
        keys=("slash",),
        does="filter",
        label="filter",
        help="show only the jobs of the list that match, wherever the focus is",
        where=Where.INSPECTOR,
        bar=True,
        rank=AFTER_JOBS,
        reason=no_list,
    ),
    Action(
        id="inspector.find",
        keys=("F",),
        does="find",
        label="find",
        help="search all queues and states: by id, by name of a queue, or by a filter",
        where=Where.INSPECTOR,
        bar=True,
        rank=AFTER_JOBS,
        says=lambda situation: "find" if situation.in_queues else "",
        reason=no_queues,
    ),
    Action(
        id="inspector.errors",
        keys=("e",),
        does="errors",
        label="errors",
        help="group the failures by error, with counts; in the queue list, those of all queues",
        where=Where.INSPECTOR,
        bar=True,
        rank=AFTER_JOBS,
        says=lambda situation: "errors" if groups_errors(situation) else "",
        reason=no_errors,
    ),
    Action(
        id="inspector.doctor",
        keys=("exclamation_mark",),
        does="doctor",
        label="doctor",
        help="find what is wrong with the queue or the server; in the queue list, all queues",
        where=Where.INSPECTOR,
        bar=True,
        rank=LATE,
        says=lambda situation: "doctor" if situation.wrong else "",
        reason=no_list,
    ),
    Action(
        id="inspector.flow",
        keys=("f",),
        does="flow",
        label="flow",
        help="show the job's flow as a tree; rerun it there",
        where=Where.INSPECTOR,
        bar=True,
        says=lambda situation: "flow" if situation.in_flow else "",
        reason=no_flow,
    ),
    Action(
        id="inspector.next-pane",
        keys=("tab",),
        does="next_pane",
        label="next pane",
        help="go to the next pane: queues, timeline, jobs, details",
        where=Where.INSPECTOR,
        bar=True,
        rank=LAST,
    ),
    Action(
        id="inspector.previous-pane",
        keys=("shift+tab",),
        does="previous_pane",
        label="previous pane",
        help="go to the previous pane",
        where=Where.INSPECTOR,
    ),
    Action(
        id="inspector.schedulers",
        keys=("S",),
        does="schedulers",
        label="schedulers",
        help="show the queue's job schedulers and repeatable jobs: when they run, which are dead",
        where=Where.INSPECTOR,
        bar=True,
        rank=LATE,
        reason=no_list,
    ),
    Action(
        id="inspector.workers",
        keys=("w",),
        does="workers",
        label="workers",
        help="show the queue's workers and the jobs they hold; in the queue list, of all queues",
        where=Where.INSPECTOR,
        reason=no_list,
    ),
    Action(
        id="inspector.events",
        keys=("E",),
        does="events",
        label="events",
        help="show the queue's events as they come; in the queue list, those of all queues",
        where=Where.INSPECTOR,
        reason=no_events,
    ),
    Action(
        id="inspector.journal",
        keys=("L",),
        does="journal",
        label="journal",
        help="show past operations from this machine, to resume or undo them",
        where=Where.INSPECTOR,
        reason=no_journal,
    ),
    Action(
        id="inspector.undo",
        keys=("U",),
        does="undo",
        label="undo",
        help="plan an undo of the last operation; "
        "older ones: {inspector.journal}, then {journal.undo}",
        where=Where.INSPECTOR,
        dry="show the plan of an undo of the last operation, as a dry run",
        writes=True,
        verb=Verb.UNDO,
        bar=True,
        rank=LATE,
        says=undo_if_any,
        reason=no_journal,
    ),
    Action(
        id="inspector.freeze",
        keys=("z",),
        does="freeze",
        label="freeze",
        help="freeze the list and count the changes; press again to resume",
        where=Where.INSPECTOR,
        bar=True,
        rank=LAST,
        says=lambda situation: "resume the list" if situation.frozen else "freeze",
        reason=no_list,
    ),
    Action(
        id="inspector.refresh",
        keys=("ctrl+r", "f5"),
        does="refresh_now",
        label="refresh",
        help="refresh everything and look for new queues; retry results stay",
        where=Where.INSPECTOR,
    ),
)
