"""Queues: the one that is shown, or those that are marked."""

from __future__ import annotations

from typing import Final

from qtui.ui.actions.action import AFTER_JOBS, LATE, Action, Situation, Where
from qtui.ui.actions.needs import is_busy
from qtui.verbs import Verb


def no_queue(situation: Situation) -> str:
    """A queue is needed."""
    if situation.queue is None and not situation.marked_queues:
        return "No queue is selected."
    return ""


def cannot_pause(situation: Situation) -> str:
    """Why the queues can't be paused or resumed."""
    return no_queue(situation) or is_busy(situation)


def no_queue_shown(situation: Situation) -> str:
    """A queue has to be shown: marks do not count."""
    return "" if situation.queue is not None else "No queue is selected."


def cannot_remove(situation: Situation) -> str:
    """Why the queue can't be removed."""
    return no_queue_shown(situation) or is_busy(situation)


QUEUES: Final = (
    Action(
        id="queues.pause",
        keys=("P",),
        does="pause",
        label="pause",
        help="plan a pause of the queue, or of the marked ones; a resume where they are paused",
        where=Where.QUEUE,
        dry="show the plan of a pause or a resume, as a dry run",
        writes=True,
        verb=Verb.PAUSE,
        or_verb=Verb.RESUME,
        bar=True,
        rank=AFTER_JOBS,
        says=lambda situation: "resume" if situation.paused else "pause",
        reason=cannot_pause,
    ),
    Action(
        id="queues.limits",
        keys=("l",),
        does="limits",
        label="limits",
        help="show the queue's limits and dedup keys, and the jobs that hold them; change them",
        where=Where.QUEUE,
        bar=True,
        rank=LATE,
        reason=no_queue_shown,
    ),
    Action(
        id="queues.remove",
        keys=("X",),
        does="remove_queue",
        label="remove queue",
        also="obliterate",
        help="plan the removal of the queue with all its jobs; you type its name to confirm",
        where=Where.QUEUE,
        dry="show its plan, as a dry run",
        writes=True,
        verb=Verb.REMOVE_QUEUE,
        reason=cannot_remove,
    ),
)
