"""A finding of the doctor: something wrong in the keys of a queue, or with its server. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from qtui.bullmq.keys import QueueKey

SAMPLE: Final = 5
"""Ids that a finding names."""


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
    is_fault: bool = True
    """False for a hint: nothing is broken yet."""
