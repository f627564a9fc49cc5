"""Whole jobs: all that a removal takes away, as a journal keeps it and a restoration puts it back.

Pure; knows no connection.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias

from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState

Part: TypeAlias = "str | list[str] | dict[str, str]"
"""A text, the elements of a list or set, or a hash; a sorted set by member, with its scores."""

LISTS: Final = ("logs", "dependencies")
HASHES: Final = ("processed", "failed", "proto")
SETS: Final = ("unsuccessful",)
TEXTS: Final = ("ahead", "behind", "index", "paused", "turn", "waits", "held")
"""The names in `Whole.rest`; what they hold is in ``lua/whole.lua``."""


class Whole(NamedTuple):
    """A job with all that belongs to it. One without a hash has no fields."""

    queue: QueueKey
    job_id: str
    state: JobState
    score: str
    """Its score in the state as Redis writes it; empty in a list, or if it was not there."""
    fields: Mapping[str, str]
    rest: Mapping[str, Part]
    """What else there was, by the names above; only what there was."""

    def text(self, name: str) -> str:
        """Returns one of `TEXTS`, empty if there was none."""
        found = self.rest.get(name, "")
        return found if isinstance(found, str) else ""

    def elements(self, name: str) -> Sequence[str]:
        """Returns one of `LISTS`, empty if there was none."""
        found = self.rest.get(name)
        return found if isinstance(found, list) else ()

    def pairs(self, name: str) -> Mapping[str, str]:
        """Returns one of `HASHES` or `SETS`, empty if there was none."""
        found = self.rest.get(name)
        return found if isinstance(found, dict) else {}


def rest_of(written: object) -> dict[str, Part]:
    """Returns `Whole.rest` from decoded JSON, without what is malformed."""
    if not isinstance(written, dict):
        return {}
    found: dict[str, Part] = {}
    for name, part in written.items():
        if name in TEXTS and isinstance(part, str):
            found[name] = part
        elif name in LISTS and isinstance(part, list):
            found[name] = [one for one in part if isinstance(one, str)]
        elif name in (*HASHES, *SETS) and isinstance(part, dict):
            found[name] = {key: one for key, one in part.items() if isinstance(one, str)}
    return found
