"""What a retry of one job came to, in BullMQ's own result codes. Pure."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from qtui.bullmq.model import Kind


class Code(IntEnum):
    """BullMQ's codes for a retry (reprocessJob, ≥1.48.3), and some that it lacks."""

    RETRIED = 1
    REFUSED = 0
    """Redis would not take the write (memory, permission, a key of a wrong type); the job stays."""
    NO_SUCH_JOB = -1
    NOT_IN_STATE = -3
    FAILED_CHILD = -9
    """Retried with its children, one of which failed again, was not retried, or is gone: the job
    stays, as it could not complete. BullMQ's own code for failed children (≥5.42.0)."""
    UNKNOWN = -100
    """The connection was lost while the batch was under way; the job is gone or out of reach."""


_MEANING = {
    Code.RETRIED: "retried",
    Code.REFUSED: "refused by Redis",
    Code.NO_SUCH_JOB: "job is gone",
    Code.NOT_IN_STATE: "not in {state} any more",
    Code.FAILED_CHILD: "a child of it failed or is gone, rerun the flow",
    Code.UNKNOWN: "unknown: the connection was lost",
}


def meaning(code: Code, state: str) -> str:
    """The code in words; ``state`` is the state from which the job was retried."""
    return _MEANING[code].format(state=state)


class Result(NamedTuple):
    """The outcome of one job's retry."""

    job_id: str
    code: Code
    target: str = ""
    """``wait``, ``paused``, ``prioritized`` or ``waiting-children`` when retried, else empty."""
    error: str = ""
    """Redis's own words when it refused something; the key of the child that failed."""

    @property
    def retried(self) -> bool:
        """Whether the job was moved to the waiting side by this retry."""
        return self.code is Code.RETRIED


class ForeignQueue(Exception):
    """The queue is not BullMQ's own (Bull 3/4, Pro), so nothing was written by this call."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        super().__init__(kind.refusal)


class QueueGone(ForeignQueue):
    """No key of the queue is left: it was obliterated, or its database flushed."""

    def __init__(self) -> None:
        super().__init__(Kind.GONE)
