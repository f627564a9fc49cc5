"""The first jobs of a campaign, and whether they fared well enough for the others to follow."""

from __future__ import annotations

from collections.abc import Iterable

from qtui.bullmq.codes import Result
from qtui.operations.engine.pace import Pace
from qtui.operations.engine.patience import LAST_LOOK, Stop
from qtui.operations.following.looking import Following
from qtui.operations.following.outcome import OutcomeTally
from qtui.text import count, plural


class Canary:
    """The jobs that are sent first, until they are judged.

    Args:
        pace: how many they are, and how many of them may fail again; no canary if it has none.
        stop: ends the wait for their outcomes when set.
    """

    def __init__(self, pace: Pace, stop: Stop) -> None:
        self._pace = pace
        self._stop = stop
        self._ids: list[str] = []
        self.is_open = pace.canary > 0
        """Whether it is still to be judged; False where there is none."""

    @property
    def room(self) -> int:
        """How many more jobs belong to it."""
        return max(0, self._pace.canary - len(self._ids)) if self.is_open else 0

    @property
    def has_jobs(self) -> bool:
        """Whether there are jobs to be judged."""
        return self.is_open and bool(self._ids)

    def take(self, results: Iterable[Result]) -> None:
        """Counts in those jobs of a call that were done."""
        if self.is_open:
            self._ids += [one.job_id for one in results if one.done]

    async def judge(self, follower: Following | None) -> str:
        """Waits for the outcomes, and returns why too many may have failed again.

        Empty if the others may follow, if it was stopped meanwhile, and for an action whose jobs
        nothing follows.

        Raises:
            TimeoutError: it was stopped, and a last look takes too long.
        """
        ids, pace = self._ids, self._pace
        if follower is None:
            self.is_open = False
            return ""

        def settled() -> bool:
            return self._stop.is_set() or is_hopeless(follower.tally(ids), pace)

        async with self._stop.at_most(LAST_LOOK):
            await follower.settle(pace.canary_seconds, settled, ids)
        self.is_open = False
        if self._stop.is_set():
            return ""
        return verdict_on(follower.final(ids), pace, mute=follower.mute, blind=follower.blind)


def verdict_on(tally: OutcomeTally, pace: Pace, *, mute: bool = False, blind: str = "") -> str:
    """Returns why a canary failed; empty if it passed, and the other jobs may follow.

    It passes only if it would even if all of its jobs with unknown outcome had failed again.

    Args:
        tally: the outcomes of all jobs of the canary.
        pace: the limit, and how long the canary was watched.
        mute: whether the queue has no events, so that the outcome of a removed job is unknown.
        blind: Redis's error if it refuses to read the states of jobs.
    """
    jobs = tally.followed + tally.beyond
    why_gone = "the queue keeps no events" if mute else "no event seen"
    parts = [(tally.failed_again, "failed again")] if tally.failed_again else []
    waited = ""
    if not _exceeds(tally.failed_again, jobs, pace):
        shown = tally
        if _exceeds(tally.failed_again + tally.gone, jobs, pace):
            shown = OutcomeTally(gone=tally.gone)
        elif _exceeds(tally.failed_again + tally.unproven, jobs, pace):
            waited = f" after {pace.canary_seconds:g} s"
        else:
            return ""
        parts += shown.open_parts(gone=f"outcome unknown: {why_gone}", unknown=blind)
    (first, what), *others = parts
    words = [f"canary: {count(first)} of {plural(jobs, 'job')} {what}"]
    words += [f"{count(number)} {word}" for number, word in others]
    if tally.gone == jobs:
        return f"{words[0]}: cannot be judged"
    return f"{', '.join(words)}{waited} (limit {pace.max_refail:g} %)"


def is_hopeless(tally: OutcomeTally, pace: Pace) -> bool:
    """Whether a canary can't pass any more, even if all of its open jobs complete."""
    return _exceeds(tally.failed_again + tally.gone, tally.followed + tally.beyond, pace)


def _exceeds(bad: int, jobs: int, pace: Pace) -> bool:
    return 100 * bad > pace.max_refail * jobs
