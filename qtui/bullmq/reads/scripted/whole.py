"""Whole jobs: all that a removal takes away, as a journal keeps it and a restoration puts it back.

Pure; knows no connection.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias

from qtui.bullmq.ask import exact
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState
from qtui.bullmq.reads.scripted.list_places import ListPlace

Part: TypeAlias = "str | list[str] | dict[str, str]"
"""A text, the elements of a list or set, or a hash; a sorted set by member, with its scores."""

LISTS: Final = ("logs", "dependencies", "stuck")
HASHES: Final = ("processed", "failed", "proto")
SETS: Final = ("unsuccessful",)
PLACE: Final = ("ahead", "behind", "index")
TEXTS: Final = (*PLACE, "paused", "turn", "waits", "ended", "held")
"""The names in `Whole.rest`; what they hold is in ``lua/whole.lua``."""

BESIDE: Final = ("logs", "dependencies", "processed", "failed", "unsuccessful")
"""What the keys beside a job's hash are called, behind its own key and a colon."""

_CHILDREN: Final = ("processed", "failed", "unsuccessful", "dependencies")
"""In the order in which BullMQ's own removal goes through them (removeJobChildren)."""


class Whole(NamedTuple):
    """A job with all that belongs to it. One without a hash has no fields."""

    queue: QueueKey
    job_id: str
    state: JobState | None
    """None: it is in no state."""
    score: str
    """Its score in the state as Redis writes it; empty in a list, or if it was not there."""
    fields: Mapping[str, str]
    rest: Mapping[str, Part]
    """What else there was, by the names above; only what there was."""

    @property
    def key(self) -> str:
        """Its full key."""
        return self.queue.job(self.job_id)

    @property
    def children(self) -> list[str]:
        """The full keys of the jobs directly below it, whether it waits for them or not."""
        found: dict[str, None] = {}
        for name in _CHILDREN:
            part = self.rest.get(name)
            if part and not isinstance(part, str):
                found |= dict.fromkeys(part)
        return list(found)

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

    def members(self) -> dict[str, object]:
        """Returns it as JSON, for `of_members`."""
        return {
            "queue": self.queue.base,
            "prefix": self.queue.prefix,
            "id": self.job_id,
            "state": self.state.value if self.state else "",
            "score": self.score,
            "fields": dict(self.fields),
            "rest": dict(self.rest),
        }


class Unread(str):
    """Why a job can't be read whole, in words."""

    __slots__ = ()


def of_members(written: object) -> Whole | None:
    """Returns a job from `Whole.members`, decoded; None if that is malformed."""
    if not isinstance(written, dict):
        return None
    names = ("queue", "prefix", "id", "state", "score")
    base, prefix, job_id, state, score = (str(written.get(name, "")) for name in names)
    found = next((one for one in JobState if one == state), None)
    if found is None or not base:
        return None
    fields, rest = texts_of(written.get("fields")), rest_of(written.get("rest"))
    return Whole(QueueKey(base, prefix), job_id, found, score, fields, rest)


def place_texts(place: ListPlace | None) -> tuple[str | None, str | None, str | None]:
    """Returns a place in a list as `Whole.rest` has it, by the names in `PLACE`."""
    if place is None:
        return None, None, None
    return place.ahead, place.behind, str(place.from_tail)


def score_text(score: float | None) -> str:
    """Returns a score as `Whole.score` has it; empty for None."""
    return "" if score is None else exact(score)


def texts_of(written: object) -> dict[str, str]:
    """Returns the texts of a decoded JSON object, by name."""
    if not isinstance(written, dict):
        return {}
    return {name: one for name, one in written.items() if isinstance(one, str)}


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
            found[name] = texts_of(part)
    return found
