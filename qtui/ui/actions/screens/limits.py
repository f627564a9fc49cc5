"""The limits of a queue."""

from __future__ import annotations

from typing import Final

from qtui.ui.actions.action import Action, Situation, Where
from qtui.ui.actions.screens.undoing import undo_last
from qtui.verbs import Verb


def nothing_limits(situation: Situation) -> str:
    """A rate limit that holds now is needed to release it."""
    return "" if situation.limited else "No rate limit holds now."


def no_key(situation: Situation) -> str:
    """A deduplication key under the cursor is needed."""
    return "" if situation.at_key else "There is no dedup key here."


LIMITS: Final = (
    Action(
        id="limits.concurrency",
        keys=("c",),
        does="concurrency",
        label="concurrency",
        help="set or remove the global concurrency; shows a plan first",
        where=Where.LIMITS,
        dry="show its plan, as a dry run",
        writes=True,
        verb=Verb.LIMITS,
        bar=True,
    ),
    Action(
        id="limits.rate",
        keys=("t",),
        does="rate",
        label="rate",
        help="set or remove the global rate limit; shows a plan first",
        where=Where.LIMITS,
        dry="show its plan, as a dry run",
        writes=True,
        verb=Verb.LIMITS,
        bar=True,
    ),
    Action(
        id="limits.release",
        keys=("r",),
        does="release",
        label="release rate",
        help="release the rate limit that holds now; shows a plan first",
        where=Where.LIMITS,
        dry="show its plan, as a dry run",
        writes=True,
        verb=Verb.LIMITS,
        bar=True,
        reason=nothing_limits,
    ),
    Action(
        id="limits.release-key",
        keys=("D",),
        does="release_key",
        label="release key",
        help="release the deduplication key under the cursor; shows a plan first",
        where=Where.LIMITS,
        dry="show its plan, as a dry run",
        writes=True,
        verb=Verb.LIMITS,
        bar=True,
        reason=no_key,
    ),
    undo_last(id="limits.undo", where=Where.LIMITS),
    Action(
        id="limits.again",
        keys=("ctrl+r", "f5"),
        does="again",
        label="refresh",
        help="read the limits and all deduplication keys again",
        where=Where.LIMITS,
    ),
)
