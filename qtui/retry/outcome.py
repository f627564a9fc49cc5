"""Did it stick? What has become of a retried job, told from where it stands. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from qtui.bullmq.model import JobState
from qtui.bullmq.reader import Whereabouts
from qtui.text import first_line


class Fate(StrEnum):
    """What has become of a retried job so far."""

    WAITING = "waiting"
    ACTIVE = "active"
    COMPLETED = "completed"
    FAILED_AGAIN = "failed again"
    GONE = "gone"

    @property
    def is_final(self) -> bool:
        """Whether nothing more will come of this retry."""
        return self in (Fate.COMPLETED, Fate.FAILED_AGAIN, Fate.GONE)


@dataclass(frozen=True, slots=True)
class Outcome:
    """A fate, and the new error where the job failed again."""

    fate: Fate
    error: str = ""


def outcome(where: Whereabouts) -> Outcome:
    """What a retried job's place tells of it.

    A job without a hash was removed after it ran (removeOnComplete, removeOnFail) or by somebody:
    it is gone, and nobody can tell how it ended.
    """
    match where.state:
        case JobState.ACTIVE:
            return Outcome(Fate.ACTIVE)
        case JobState.COMPLETED:
            return Outcome(Fate.COMPLETED)
        case JobState.FAILED:
            return Outcome(Fate.FAILED_AGAIN, first_line(where.failed_reason or ""))
        case None if not where.exists:
            return Outcome(Fate.GONE)
        case _:
            return Outcome(Fate.WAITING)
