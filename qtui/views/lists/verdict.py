"""What an action did to a job, in the words of the job's row."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from qtui.bullmq.codes import RELEASED, REMOVED, Code, Result, meaning, with_reason
from qtui.bullmq.model import JobState
from qtui.operations.following.outcome import Fate, Outcome
from qtui.text import first_line
from qtui.verbs import Verb, done_by
from qtui.views.tone import Tone


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of an action, as the job's row shows it."""

    text: str
    tone: Tone


_FATES: Final = {
    Fate.WAITING: ("✔ waiting", Tone.GOOD),
    Fate.ACTIVE: ("… active", Tone.BUSY),
    Fate.DELAYED: ("… delayed, will run again", Tone.BUSY),
    Fate.COMPLETED: ("✔ completed", Tone.GOOD),
    Fate.FAILED_AGAIN: ("✗ failed again", Tone.BAD),
    Fate.UNDONE: ("✗ back where it was: Redis lost the retry", Tone.BAD),
    Fate.GONE: ("? removed, outcome unknown", Tone.FAINT),
}

_PLACES: Final = {state.key: state.value for state in JobState}
"""States by the suffixes of their keys, which results name."""

_SENT_TO_RUN: Final = frozenset({Verb.RETRY, Verb.RERUN, Verb.PROMOTE})
"""Actions whose jobs go to the waiting side: which place there is all that is news."""

_REDIS_ERROR: Final = re.compile(r"[A-Z]{2,}\b")
"""How an error of Redis begins; a refusal of ours is in words."""


def verdict(
    result: Result, outcome: Outcome | None, state: str, action: str = Verb.RETRY
) -> Verdict:
    """Returns what an action did to a job, as its row says it.

    ``✔ waiting``, ``✔ failed→completed``, ``✔ removed``, ``✗ -1 job is gone``; then what became of
    it: ``✗ failed again: Timeout``.

    Args:
        result: the job's result.
        outcome: what became of it since; None if it was not followed.
        state: the state in which the action found it.
        action: the id of the action.
    """
    if result.code is Code.DONE:
        if outcome is not None and outcome.fate is not Fate.WAITING:
            words, tone = _FATES[outcome.fate]
            return Verdict(f"{words}: {outcome.error}" if outcome.error else words, tone)
        return Verdict(f"✔ {_done(result.target, state, action)}", Tone.GOOD)
    if result.code is Code.UNKNOWN:
        return Verdict("? unknown: the connection was lost", Tone.BAD)
    words = meaning(result.code, "its place" if action == Verb.UNDO else state)
    if result.code is Code.FAILED_CHILD:
        return Verdict(f"✗ {int(result.code)} {words}: {first_line(result.error)}", Tone.BAD)
    if result.code is Code.REFUSED:
        error = first_line(result.error)
        is_redis = not error or _REDIS_ERROR.match(error)
        return Verdict(f"✗ {words}: {error}" if is_redis else f"✗ 0 {error}", Tone.BAD)
    if action == Verb.EDIT and result.error:  # which is about more than the state
        words = first_line(result.error)
    elif result.code is Code.NOT_IN_STATE and action != Verb.UNDO:
        words = with_reason(words, first_line(result.error))
    return Verdict(f"✗ {int(result.code)} {words}", Tone.BAD)


def place_words(target: str) -> str:
    """Returns where a result says that a job is, in BullMQ's words: ``waiting`` for ``wait``."""
    return _PLACES.get(target, target)


def _done(target: str, state: str, action: str) -> str:
    """What was done to a job, in words: where it went, or what the script or the action says."""
    place = _PLACES.get(target)
    if target.startswith(RELEASED):
        return f"{REMOVED}, its parent {target.removeprefix(RELEASED)} runs"
    if place is None:
        return target or ("waiting" if action in _SENT_TO_RUN else done_by(action))
    if action in _SENT_TO_RUN or place == state:
        return place if action in _SENT_TO_RUN else done_by(action)
    return f"{state}→{place}"
