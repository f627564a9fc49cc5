"""The names of BullMQ's keys. Pure: knows nothing of a connection.

A queue is known by its base key ``<prefix>:<name>``. Prefix and (in old releases) name may hold
colons and hash tags, so the base key is the identity; prefix and name are for people.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

SCRIPT_KEYS: Final = (
    *("wait", "paused", "prioritized", "pc", "marker", "active", "meta", "events"),
    *("completed", "failed", "groups", "waiting-children", "delayed", "id"),
)
"""The keys of a queue that scripts of ours know, in the order of their KEYS. The one list of them:
in Lua it is SUFFIXES, and the keys are read by these names. ``delayed`` and ``id`` only show that
the queue is there."""

_MARKER: Final = re.compile(r"0(?::[0-9]+)?")


def is_marker(member: str) -> bool:
    """Whether a member of ``wait``, ``paused`` or ``active`` is a wake-up mark and not a job.

    BullMQ 2.0.0 to 3.1.2 put ``0``, 3.1.3 to 4.18.3 ``0:<ms>`` into the list that workers block on
    (addJob, moveToDelayed and others); every release from 3.1.3 on throws such entries away.
    """
    return member[:1] == "0" and _MARKER.fullmatch(member) is not None


@dataclass(frozen=True, slots=True, order=True)
class QueueKey:
    """A queue's identity and the names of its keys; equal when the base key is equal."""

    base: str
    prefix: str = field(compare=False)

    @classmethod
    def of(cls, prefix: str, name: str) -> QueueKey:
        """The queue called ``name`` under ``prefix``."""
        return cls(f"{prefix}:{name}", prefix)

    @property
    def name(self) -> str:
        """The queue's name as its users know it."""
        return self.base[len(self.prefix) + 1 :]

    def key(self, suffix: str) -> str:
        """The full name of one of the queue's keys, such as ``wait`` or ``meta``."""
        return f"{self.base}:{suffix}"

    def script_keys(self) -> list[str]:
        """The full names of `SCRIPT_KEYS`, as a script of ours takes them."""
        return [self.key(suffix) for suffix in SCRIPT_KEYS]

    def job(self, job_id: str, suffix: str = "") -> str:
        """The job's hash, or with a suffix such as ``lock`` or ``logs`` a key beside it."""
        return f"{self.base}:{job_id}:{suffix}" if suffix else f"{self.base}:{job_id}"


def split_job_key(full: str) -> tuple[str, str]:
    """Base key and id of a job's full key, parted at the last colon as BullMQ does it.

    Ambiguous where ids hold colons (``repeat:…``); prefer a parent's own ``queueKey`` and ``id``.
    """
    base, _, job_id = full.rpartition(":")
    return base, job_id


def name_queues(queues: Sequence[QueueKey], most: int = 3) -> str:
    """Some queues by their base keys, the first few of many: ``bull:a, bull:b and 3 more``."""
    names = ", ".join(queue.base for queue in queues[:most])
    return names + (f" and {len(queues) - most} more" if len(queues) > most else "")
