"""The names of BullMQ's keys. Pure; knows no connection.

A queue is identified by its base key ``<prefix>:<name>``. The prefix, and in old releases the name,
may hold colons and hash tags, so the base key is the identity; prefix and name are for people.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

SCRIPT_KEYS: Final = (
    *("wait", "paused", "prioritized", "pc", "marker", "active", "meta", "events"),
    *("completed", "failed", "groups", "waiting-children", "delayed", "id"),
    *("priority", "delay", "repeat"),
)
"""The keys of a queue that our scripts use, in the order of KEYS. There is no other list: Lua gets
it as SUFFIXES, and reads keys by these names. ``priority`` and ``delay`` are of 1.x to 3.x."""

_MARKER: Final = re.compile(r"0(?::[0-9]+)?")


def is_marker(member: str) -> bool:
    """Whether a member of ``wait``, ``paused`` or ``active`` is a marker and not a job.

    BullMQ 2.0.0 to 3.1.2 add ``0``, 3.1.3 to 4.18.3 ``0:<ms>``, to the list that workers block on
    (addJob, moveToDelayed and others); every release since 3.1.3 discards such entries.
    """
    return member[:1] == "0" and _MARKER.fullmatch(member) is not None


@dataclass(frozen=True, slots=True, order=True)
class QueueKey:
    """A queue's identity and the names of its keys; equal when the base key is equal."""

    base: str
    prefix: str = field(compare=False)

    @classmethod
    def of(cls, prefix: str, name: str) -> QueueKey:
        """Returns the queue called ``name`` under ``prefix``."""
        return cls(f"{prefix}:{name}", prefix)

    @property
    def name(self) -> str:
        """The queue's name, without the prefix."""
        return self.base[len(self.prefix) + 1 :]

    def key(self, suffix: str) -> str:
        """Returns the full name of one of the queue's keys, such as ``wait`` or ``meta``."""
        return f"{self.base}:{suffix}"

    def script_keys(self) -> list[str]:
        """Returns the full names of `SCRIPT_KEYS`, the KEYS of our scripts."""
        return [self.key(suffix) for suffix in SCRIPT_KEYS]

    def job(self, job_id: str, suffix: str = "") -> str:
        """Returns the key of a job's hash, or with a suffix another of its keys (``lock``)."""
        return f"{self.base}:{job_id}:{suffix}" if suffix else f"{self.base}:{job_id}"


def split_job_key(full: str) -> tuple[str, str]:
    """Splits a job's full key into base key and id, at the last colon as BullMQ does.

    Wrong for ids with colons (``repeat:…``); for a parent prefer its ``queueKey`` and ``id``.
    """
    base, _, job_id = full.rpartition(":")
    return base, job_id


def name_queues(queues: Sequence[QueueKey], most: int = 3) -> str:
    """Returns up to ``most`` base keys for people: ``bull:a, bull:b and 3 more``."""
    names = ", ".join(queue.base for queue in queues[:most])
    return names + (f" and {len(queues) - most} more" if len(queues) > most else "")
