"""Reasons that several actions share: what they need in the list."""

from __future__ import annotations

from qtui.folders import MOVED_BY
from qtui.ui.actions.action import Situation


def no_list(situation: Situation) -> str:
    """A list of jobs is needed."""
    return "" if situation.has_list else "No queue is selected."


def no_job(situation: Situation) -> str:
    """A job under the cursor is needed."""
    return "" if situation.at_job else "There is no job here."


def not_at_jobs(situation: Situation) -> str:
    """The cursor has to be in a list of jobs."""
    return (
        "Select a job first ({inspector.next-pane} moves to the list)."
        if situation.in_queues
        else ""
    )


def not_in_place(situation: Situation) -> str:
    """A job is needed that is in the state of the list; of marked ones each row says so itself."""
    if situation.has_marks:
        return ""
    if situation.at_job and situation.has_left:
        what = "is gone" if situation.is_gone else f"has left {situation.state}"
        return f"This job {what}: {{app.back}} closes the results."
    return no_job(situation)


def no_marks(situation: Situation) -> str:
    """Marks are there to act on what is marked."""
    return "Read-only: actions and marks are off." if situation.read_only else ""


def not_retriable(situation: Situation) -> str:
    """Only jobs that have finished can be retried."""
    if situation.state.is_finished:
        return ""
    return "Only failed and completed jobs can be retried."


def no_journal(situation: Situation) -> str:
    """A journal is needed to show it, and to undo what it says."""
    return "" if situation.keeps_journal else f"There is no journal folder: {MOVED_BY}."


def undo_if_any(situation: Situation) -> str:
    """What an undo is called in the key bar: nothing where there is none, as far as is known."""
    return "undo" if situation.undoable else ""


def nothing_to_stop(situation: Situation) -> str:
    """A campaign under way is needed to stop it."""
    return "" if situation.stoppable else "Nothing is running."


def is_busy(situation: Situation) -> str:
    """One campaign at a time on a queue."""
    if not situation.running:
        return ""
    return "Another action is still running on this queue ({jobs.stop} stops it)."
