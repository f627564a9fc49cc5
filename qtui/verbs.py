"""The actions of qtui: their ids, which scripts and journals depend on, and their words. Pure."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Verb(StrEnum):
    """What an action does. Its value is the action's id in commands, journals and settings."""

    RETRY = "retry"
    RERUN = "rerun"
    PROMOTE = "promote"
    REMOVE = "remove"
    EDIT = "edit"
    ADD = "add"
    DUPLICATE = "duplicate"
    PAUSE = "pause"
    RESUME = "resume"
    LIMITS = "limits"
    SCHEDULERS = "schedulers"
    REMOVE_QUEUE = "remove-queue"
    UNDO = "undo"

    @property
    def done(self) -> str:
        """What is said of a job or queue with code 1: ``retried``."""
        return _DONE[self]


_DONE: Final = {
    Verb.RETRY: "retried",
    Verb.RERUN: "rerun",
    Verb.PROMOTE: "promoted",
    Verb.REMOVE: "removed",
    Verb.EDIT: "edited",
    Verb.ADD: "added",
    Verb.DUPLICATE: "duplicated",
    Verb.PAUSE: "paused",
    Verb.RESUME: "resumed",
    Verb.LIMITS: "changed",
    Verb.SCHEDULERS: "changed",
    Verb.REMOVE_QUEUE: "removed",
    Verb.UNDO: "undone",
}


def done_by(action: str) -> str:
    """Returns the `Verb.done` of an action's id; ``done`` for the id of a newer qtui."""
    return Verb(action).done if action in _IDS else "done"


_IDS: Final = frozenset(verb.value for verb in Verb)
