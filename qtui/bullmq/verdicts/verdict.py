"""A verdict: one sentence with its evidence. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from qtui.text import plural


class Weight(StrEnum):
    """How loud a verdict is."""

    FINE = "fine"
    """Nothing is wrong; nothing needs to be done."""
    HELD = "held"
    """Something was set that holds jobs back, as it is meant to: a pause, a limit, a delay."""
    WRONG = "wrong"
    """Jobs do not run, or are late, until the operator does something."""
    UNKNOWN = "unknown"
    """What is readable does not decide it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Why a queue or a job does what it does."""

    code: str
    """What it says, for scripts: ``no-worker``, ``paused``, …"""
    weight: Weight
    words: str
    """One sentence, without a full stop. May hold text from Redis: make it plain."""
    evidence: tuple[str, ...] = ()
    """The keys that were read and what they hold, one each."""


def fine(code: str, words: str, *evidence: str) -> Verdict:
    """Returns a verdict that says that all is well."""
    return Verdict(code=code, weight=Weight.FINE, words=words, evidence=evidence)


def held(code: str, words: str, *evidence: str) -> Verdict:
    """Returns a verdict about something that was set on purpose."""
    return Verdict(code=code, weight=Weight.HELD, words=words, evidence=evidence)


def wrong(code: str, words: str, *evidence: str) -> Verdict:
    """Returns a verdict that the operator has to act on."""
    return Verdict(code=code, weight=Weight.WRONG, words=words, evidence=evidence)


def unknown(code: str, words: str, *evidence: str) -> Verdict:
    """Returns a verdict that leaves open what is wrong."""
    return Verdict(code=code, weight=Weight.UNKNOWN, words=words, evidence=evidence)


LATE: Final = 5_000
"""Milliseconds past its time after which a delayed job is called late: workers wake for it at once,
and a clock may be a little off."""


def wait(jobs: int) -> str:
    """Returns how many jobs wait, as the subject and verb of a sentence."""
    return plural(jobs, "job waits", "jobs wait")
