"""The actions of qtui: their ids, which scripts and journals depend on, and their words. Pure."""

from __future__ import annotations

from collections.abc import Mapping
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

    @property
    def doing(self) -> str:
        """What is said of a campaign under way: ``retrying``."""
        return _DOING.get(self, f"{self.value}ing")

    @property
    def does(self) -> str:
        """What it does, in words that follow ``cannot``: ``remove queues``."""
        return _DOES[self]

    @property
    def noun(self) -> str:
        """What a campaign of it is: ``removal``."""
        return _NOUNS.get(self, self.value)

    @property
    def leaves(self) -> bool:
        """Whether a job with code 1 has left the state that it was in."""
        return self not in (Verb.EDIT, Verb.ADD, Verb.DUPLICATE, Verb.UNDO)


QUEUES: Final = "queues"
"""The kind of selection of an action on whole queues, whose ids are base keys."""

SCHEDULERS: Final = "schedulers"
"""The kind of selection of an action on schedulers of one queue."""

NOUNS: Final[Mapping[str, str]] = {QUEUES: "queue", SCHEDULERS: "scheduler"}
"""What an action changes, by the kind of its selection; jobs where none is named."""

RESUMABLE: Final = frozenset({Verb.RETRY, Verb.PROMOTE, Verb.REMOVE, Verb.UNDO})
"""Actions that the journal can resume."""

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

_DOES: Final = {
    Verb.RETRY: "retry jobs",
    Verb.RERUN: "rerun flows",
    Verb.PROMOTE: "promote jobs",
    Verb.REMOVE: "remove jobs",
    Verb.EDIT: "edit jobs",
    Verb.ADD: "add jobs",
    Verb.DUPLICATE: "duplicate jobs",
    Verb.PAUSE: "pause queues",
    Verb.RESUME: "resume queues",
    Verb.LIMITS: "change limits",
    Verb.SCHEDULERS: "change schedulers",
    Verb.REMOVE_QUEUE: "remove queues",
    Verb.UNDO: "undo operations",
}

_DOING: Final = {
    Verb.RETRY: "retrying",
    Verb.RERUN: "rerunning",
    Verb.PROMOTE: "promoting",
    Verb.REMOVE: "removing",
    Verb.DUPLICATE: "duplicating",
    Verb.PAUSE: "pausing",
    Verb.RESUME: "resuming",
    Verb.LIMITS: "changing limits",
    Verb.SCHEDULERS: "changing schedulers",
    Verb.REMOVE_QUEUE: "removing",
    Verb.UNDO: "undoing",
}

_NOUNS: Final = {
    Verb.PROMOTE: "promotion",
    Verb.REMOVE: "removal",
    Verb.ADD: "addition",
    Verb.DUPLICATE: "copy",
    Verb.LIMITS: "change",
    Verb.SCHEDULERS: "change",
    Verb.REMOVE_QUEUE: "removal",
}


def verb_of(action: str) -> Verb | None:
    """Returns the action with an id; None for the id of a newer qtui."""
    return Verb(action) if action in _IDS else None


DONE_TO_SCHEDULERS: Final = {"run-now": "run now", "remove": "removed", "revive": "revived"}
"""What is said of a scheduler with code 1, by what was done to it."""


def done_by(action: str) -> str:
    """Returns the `Verb.done` of an action's id; ``done`` for the id of a newer qtui."""
    return Verb(action).done if action in _IDS else "done"


_IDS: Final = frozenset(verb.value for verb in Verb)
