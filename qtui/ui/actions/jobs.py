"""Jobs of the list: marks, retries, copies."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from qtui.bullmq.model import JobState
from qtui.ui.actions.action import LATE, Action, Situation, Where
from qtui.ui.actions.needs import (
    is_busy,
    no_job,
    no_list,
    no_marks,
    not_at_jobs,
    not_in_place,
    not_retriable,
    nothing_to_stop,
)
from qtui.verbs import Verb


def cannot_retry(situation: Situation) -> str:
    """Why the marked jobs, or the one under the cursor, can't be retried."""
    if why := not_retriable(situation) or is_busy(situation):
        return why
    if situation.marking:
        return "Still marking: press {jobs.retry} again when that is done."
    return not_in_place(situation)


def cannot_change(situation: Situation) -> str:
    """Why the marked jobs, or the one under the cursor, can't be changed."""
    if why := not_at_jobs(situation) or no_list(situation) or is_busy(situation):
        return why
    if situation.marking:
        return "Still marking: press the key again when that is done."
    return not_in_place(situation)


def cannot_promote(situation: Situation) -> str:
    """Why the marked jobs, or the one under the cursor, can't be promoted."""
    if situation.state is not JobState.DELAYED and not situation.in_queues:
        return "Only delayed jobs can be promoted."
    return cannot_change(situation)


def cannot_retry_all(situation: Situation) -> str:
    """Why the jobs that the list is about can't be retried."""
    return not_retriable(situation) or is_busy(situation) or no_list(situation)


def cannot_change_one(situation: Situation) -> str:
    """Why the job under the cursor can't be edited or copied."""
    if situation.read_only:
        return "Read-only: nothing can be changed."
    if situation.is_gone:
        return "This job is gone."
    return not_at_jobs(situation) or is_busy(situation) or no_job(situation)


def cannot_mark(situation: Situation) -> str:
    """Why jobs can't be marked."""
    return no_marks(situation) or no_list(situation)


def cannot_mark_others(situation: Situation) -> str:
    """Why marks can't be turned one by one."""
    if why := not_at_jobs(situation) or cannot_mark(situation):
        return why
    return (
        "All jobs are marked; press {jobs.everything} to clear that first."
        if situation.all_marked
        else ""
    )


def cannot_mark_one(situation: Situation) -> str:
    """Why the job under the cursor, or the queue, can't be marked."""
    if situation.in_queues:
        return cannot_mark(situation)
    return cannot_mark_others(situation) or not_in_place(replace(situation, has_marks=False))


def cannot_mark_range(situation: Situation) -> str:
    """Why no range of jobs can be marked."""
    return cannot_mark_others(situation) or no_job(situation)


def cannot_mark_everything(situation: Situation) -> str:
    """Why all jobs that the list is about can't be marked."""
    return not_at_jobs(situation) or cannot_mark(situation)


def no_filter(situation: Situation) -> str:
    """Matches are those of a filter."""
    if situation.filtered:
        return ""
    what = "{jobs.next-match} then goes to the next match"
    return f"Set a filter first (press {{inspector.filter}}); {what}."


JOBS: Final = (
    Action(
        id="jobs.retry",
        keys=("r",),
        does="retry",
        label="retry",
        help="plan a retry of the marked jobs, or of the job under the cursor",
        where=Where.JOBS,
        dry="show the plan of a retry of the job under the cursor, as a dry run",
        dry_label="dry run",
        writes=True,
        verb=Verb.RETRY,
        bar=True,
        says=lambda situation: "" if situation.in_queues else "retry",
        reason=cannot_retry,
    ),
    Action(
        id="jobs.promote",
        keys=("p",),
        does="promote",
        label="run now",
        also="promote",
        help="run the marked delayed jobs now, or the one under the cursor: plan a promotion",
        where=Where.JOBS,
        dry="show the plan of a promotion, as a dry run",
        writes=True,
        verb=Verb.PROMOTE,
        bar=True,
        reason=cannot_promote,
    ),
    Action(
        id="jobs.remove",
        keys=("D",),
        does="remove",
        label="remove",
        help="plan the removal of the marked jobs, or of the job under the cursor",
        where=Where.JOBS,
        dry="show the plan of a removal, as a dry run",
        writes=True,
        verb=Verb.REMOVE,
        bar=True,
        reason=cannot_change,
    ),
    Action(
        id="jobs.edit",
        keys=("i",),
        does="edit",
        label="edit",
        help="edit the job under the cursor: data (in $EDITOR), priority or delay; and retry it",
        where=Where.JOBS,
        writes=True,
        verb=Verb.EDIT,
        bar=True,
        reason=cannot_change_one,
    ),
    Action(
        id="jobs.mark",
        keys=("space",),
        does="mark",
        label="mark",
        help="mark or unmark the job; pressed again, the next job too; in the queues, the queue",
        where=Where.JOBS,
        writes=True,
        bar=True,
        reason=cannot_mark_one,
    ),
    Action(
        id="jobs.range",
        keys=("v",),
        does="range",
        label="mark a range",
        help="start a range of marks; press again to mark it",
        where=Where.JOBS,
        writes=True,
        reason=cannot_mark_range,
    ),
    Action(
        id="jobs.all",
        keys=("a",),
        does="mark_all",
        label="mark all",
        help="mark all jobs in the list (at most 10,000), or all queues; again, unmark them",
        where=Where.JOBS,
        writes=True,
        reason=cannot_mark,
    ),
    Action(
        id="jobs.invert",
        keys=("asterisk",),
        does="invert",
        label="invert marks",
        help="invert the marks",
        where=Where.JOBS,
        writes=True,
        reason=cannot_mark_others,
    ),
    Action(
        id="jobs.everything",
        keys=("plus",),
        does="everything",
        label="mark everything",
        help="mark every job that matches, loaded or not; press again to clear that",
        where=Where.JOBS,
        writes=True,
        reason=cannot_mark_everything,
    ),
    Action(
        id="jobs.retry-all",
        keys=("R",),
        does="retry_all",
        label="retry all",
        help="plan a retry of every job that matches the filter, marked or not",
        where=Where.JOBS,
        dry="show the plan of a retry of every job that matches, as a dry run",
        dry_label="dry run of all",
        writes=True,
        verb=Verb.RETRY,
        reason=cannot_retry_all,
    ),
    Action(
        id="jobs.duplicate",
        keys=("c",),
        does="duplicate",
        label="copy as new",
        also="duplicate",
        help="add a new job with the name, data and options of the job under the cursor",
        where=Where.JOBS,
        writes=True,
        verb=Verb.DUPLICATE,
        bar=True,
        rank=LATE,
        reason=cannot_change_one,
    ),
    Action(
        id="jobs.stop",
        keys=("x",),
        does="stop",
        label="stop",
        help="stop what is running on this queue, after the batches in flight",
        where=Where.JOBS,
        writes=True,
        bar=True,
        reason=nothing_to_stop,
    ),
    Action(
        id="jobs.next-match",
        keys=("n",),
        does="next_match",
        label="next match",
        help="go to the next match, or wait until the search finds one",
        where=Where.JOBS,
        bar=True,
        reason=no_filter,
    ),
    Action(
        id="jobs.order",
        keys=("o",),
        does="order",
        label="sort order",
        help="sort newest first, or oldest first",
        where=Where.JOBS,
        reason=no_list,
    ),
    Action(
        id="jobs.copy-id",
        keys=("y",),
        does="copy_id",
        label="copy id",
        help="copy the job's id",
        where=Where.JOBS,
        reason=no_job,
    ),
    Action(
        id="jobs.copy-json",
        keys=("Y",),
        does="copy_json",
        label="copy JSON",
        help="copy the job as JSON, as `qtui show --json` prints it",
        where=Where.JOBS,
        reason=no_job,
    ),
)
