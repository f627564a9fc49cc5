"""The result of an action for one job, in BullMQ's own result codes. Pure."""

from __future__ import annotations

from enum import IntEnum
from typing import Final, NamedTuple

from qtui.bullmq.model import Kind


class Code(IntEnum):
    """BullMQ's codes for a retry (reprocessJob, ≥1.48.3), and some of qtui's.

    Every action answers with these, also where BullMQ's own script says 0 for success.
    """

    DONE = 1
    REFUSED = 0
    """Redis refused the write (memory, permission, a key of the wrong type); the job stays."""
    NO_SUCH_JOB = -1
    NOT_IN_STATE = -3
    CURRENT_ITERATION = -8
    """The job is the iteration that its scheduler waits for: it stays, since without it the
    scheduler would never run again. BullMQ's own code (removeJob, ≥5.16.0)."""
    FAILED_CHILD = -9
    """A child of the job, retried with it, failed again, was not retried, or is gone: the job
    stays, since it could not complete. BullMQ's own code for failed children (≥5.42.0)."""
    UNKNOWN = -100
    """The connection was lost during the call, and the job is gone or can't be read."""


KEPT: Final = frozenset({Code.REFUSED, Code.CURRENT_ITERATION, Code.FAILED_CHILD})
"""Codes of a job that is there, and stays as it is."""

NO_STATE: Final = "no state"
"""Said in place of the state of jobs that have a hash and are in none."""

_MEANING: Final = {
    Code.DONE: "{done}",
    Code.REFUSED: "refused by Redis",
    Code.NO_SUCH_JOB: "job is gone",
    Code.NOT_IN_STATE: "not in {state}",
    Code.CURRENT_ITERATION: "a scheduler's current iteration",
    Code.FAILED_CHILD: "a child failed or is gone, rerun the flow",
    Code.UNKNOWN: "unknown: the connection was lost",
}


def meaning(code: Code, state: str, done: str = "retried") -> str:
    """Returns the code in words.

    Args:
        code: the code.
        state: the state in which the action expected the job.
        done: the action's word for what it has done.
    """
    if state == NO_STATE and code is Code.NOT_IN_STATE:
        return "in a state by now"
    return _MEANING[code].format(state=state, done=done)


def with_reason(words: str, error: str) -> str:
    """Returns a code's meaning with what is known beside it: ``not in failed: it is completed``."""
    return f"{words}: {error}" if error else words


REMOVED: Final = "removed"
"""`Result.target` of a job that was removed."""

CLEARED: Final = "cleared"
"""`Result.target` of an id that had no hash, and was taken from its state."""

RELEASED: Final = "released "
"""How `Result.target` of a removed job begins whose parent runs now; its full key follows."""


class Result(NamedTuple):
    """The result of an action for one job."""

    job_id: str
    code: Code
    target: str = ""
    """The key that the job went to (``wait``, ``paused``, ``prioritized``, ``waiting-children``),
    or what else was done with it; empty if nothing was."""
    error: str = ""
    """Redis's error if it refused something; with `Code.FAILED_CHILD` the key of the child."""

    @property
    def done(self) -> bool:
        """Whether the action did to the job what it was to do."""
        return self.code is Code.DONE


class ForeignQueue(Exception):
    """The queue is not BullMQ's own (Bull 3/4, Pro); the call wrote nothing."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        super().__init__(kind.refusal)


class QueueGone(ForeignQueue):
    """No key of the queue is left: it was obliterated, or its database was flushed."""

    def __init__(self) -> None:
        super().__init__(Kind.GONE)
