"""A finding of the doctor: something wrong in the keys of a queue, or with its server. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from qtui.bullmq.keys import QueueKey

SAMPLE: Final = 5
"""Ids that a finding names."""


class Mend(StrEnum):
    """An action that mends a finding, with its own plan and undo."""

    RESUME = "resume"
    """Resume the queue."""
    REMOVE = "remove"
    """Clear away the members, from the state of each; remove those that are in none."""
    RELEASE = "release"
    """Release the rate limit that holds."""
    RELEASE_KEYS = "release-keys"
    """Release the members, which are deduplication ids."""
    REVIVE = "revive"
    """Make the next iteration of the members, which are schedulers."""
    RERUN = "rerun"
    """Rerun the flows of the members from their failure, without children that are gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that is wrong. Its texts may hold text from Redis: make them plain."""

    code: str
    """Which kind, for scripts: ``no-hash``, ``stranded``, …"""
    words: str
    """What is wrong, one sentence without a full stop."""
    effect: str
    """What that does to jobs."""
    remedy: str
    """What to do about it."""
    queue: QueueKey | None = None
    """None: it is about the server."""
    jobs: int = 0
    """How many jobs or other members it is about; 0 if it is not about members."""
    sample: tuple[str, ...] = ()
    """Up to `SAMPLE` of their ids."""
    evidence: tuple[str, ...] = ()
    """The keys that show it."""
    mend: Mend | None = None
    """What mends it; None if only a person can."""
    members: Mapping[str, str] = field(default_factory=dict)
    """For `mend`: what is mended, each with its state (empty: none, or it does not matter)."""
    is_fault: bool = True
    """False for a hint: nothing is broken yet."""
