"""An edit of one job: what it must still be, and what it is to become. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from qtui.bullmq.model import JobState
from qtui.bullmq.new_job.payload import digest_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where exactly a job was, so that an undo can put it back."""

    state: JobState
    score: float | None = None
    """Its score in a sorted set."""
    before: str = ""
    """In a list: the id of the job that was to run before it; empty if it was the next to run."""
    was_paused: bool = False
    """In a list: whether the queue was paused."""
    turn: str | None = None
    """In a list: its score in ``priority`` (1.x to 3.x), empty if it had none; None: unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Edited:
    """What a job must still be when it is edited, as it was read: else the code is -3."""

    job_id: str
    state: JobState | None
    """None: it was in no state."""
    score: float | None = None
    """Its score in a sorted set; None for any."""
    stamp: float | None = None
    """`Row.stamp`: whether it has run since; None for any."""
    digest: str = digest_of(None)
    """The SHA-1 of its data, see `digest_of`."""
    priority: str = ""
    """Its field, empty if it had none."""
    delay: str = ""
    """As `priority`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a job is to become; None leaves it as it is."""

    data: str | None = None
    """JSON."""
    priority: str | None = None
    """A whole number; text, since an undo restores what was there."""
    delay: str | None = None
    """ms from now, for a delayed job; in an undo the field alone."""
    retry: bool = False
    """Whether the job, which has finished, is retried in the same step."""
    reset_attempts_made: bool = False
    reset_attempts_started: bool = False
    place: Place | None = None
    """The exact place to which an undo puts it."""

    @property
    def is_empty(self) -> bool:
        """Whether it changes nothing."""
        return not self.retry and self.data is self.priority is self.delay is None
