"""Why jobs stay with code 0, in words, beside errors of Redis. Pure."""

from __future__ import annotations

from typing import Final

from qtui.bullmq.codes import Code, Result

LOCKED: Final = "locked by a worker"
TOO_LARGE: Final = "too large for an undo"
"""What a plan says."""

NO_UNDO: Final = "no undo could bring it back"
"""How the reason of a job begins that could not be read whole."""

_BY_SCRIPT: Final = ("a worker holds its lock", "has changed")
"""How the reasons of ``lua/remove.lua`` end: the job's own, or that of one below it."""


def is_kept(result: Result) -> bool:
    """Whether a job is kept for its own or its family's reason, not because Redis refused."""
    why = result.error
    own = why.startswith(NO_UNDO) or why in (LOCKED, TOO_LARGE)
    return result.code is Code.REFUSED and (own or why.endswith(_BY_SCRIPT))
