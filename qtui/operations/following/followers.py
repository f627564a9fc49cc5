"""Follows jobs of several queues, as `Follower` those of one, by their full keys. Reads only."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Sequence
from typing import Final

from qtui.operations.following.follower import Follower
from qtui.operations.following.looking import looks, never
from qtui.operations.following.outcome import LATEST, Outcome, OutcomeTally, total

_MOMENT: Final = 0.1
"""Fewest seconds that a queue gets to be read a last time."""


class Followers:
    """The followers of several queues as one; see `Follower` for what each member does.

    Args:
        followers: one a queue.
    """

    def __init__(self, followers: Sequence[Follower]) -> None:
        self._followers = followers
        self._longest_first = sorted(followers, key=lambda one: -len(one.queue.base))
        self.latest: deque[bool] = deque(maxlen=LATEST)
        """For each of the latest final outcomes, of any queue, whether it failed again."""
        for one in followers:
            one.outcomes.latest = self.latest

    @property
    def looked(self) -> bool:
        """Whether any events or states were read."""
        return any(one.looked for one in self._followers)

    @property
    def undecided(self) -> int:
        """Number of followed jobs whose outcome is not final."""
        return sum(one.undecided for one in self._followers)

    @property
    def mute(self) -> bool:
        """Whether a queue has no events to follow."""
        return any(one.mute for one in self._followers if len(one.outcomes))

    @property
    def blind(self) -> str:
        """The first error of Redis that refuses to read the jobs' states, else empty."""
        return next((one.blind for one in self._followers if one.blind), "")

    def of(self, ids: Sequence[str]) -> dict[str, Outcome]:
        """Returns the outcomes so far of those of these jobs that are followed."""
        found: dict[str, Outcome] = {}
        for one, own in self._parted(ids):
            found |= {one.queue.job(name): seen for name, seen in one.of(own).items()}
        return found

    def tally(self, ids: Sequence[str] | None = None) -> OutcomeTally:
        """Counts all jobs, or those of ``ids`` that are followed."""
        if ids is None:
            return total(one.tally() for one in self._followers)
        return total(one.tally(own) for one, own in self._parted(ids))

    def final(self, ids: Sequence[str] | None = None) -> OutcomeTally:
        """As `tally`, for a verdict."""
        if ids is None:
            return total(one.final() for one in self._followers)
        return total(one.final(own) for one, own in self._parted(ids))

    async def glance(self) -> None:
        """Reads what is new in each queue with open jobs, one after the other."""
        for one in self._followers:
            if one.undecided:
                await one.glance()

    async def settle(
        self,
        seconds: float,
        stop: Callable[[], bool] = never,
        ids: Sequence[str] | None = None,
    ) -> OutcomeTally:
        """Waits until all outcomes are final or the time is up; returns the tally (of ``ids``)."""
        async for _ in self._looks(seconds, stop, ids):
            pass
        return self.tally(ids)

    async def watch(
        self,
        seconds: float,
        stop: Callable[[], bool] = never,
        ids: Sequence[str] | None = None,
    ) -> AsyncIterator[set[str]]:
        """As `settle`, and yields the full keys of the jobs whose outcomes have changed."""
        async for _ in self._looks(seconds, stop, ids):
            changed = {
                one.queue.job(name) for one in self._followers for name in one.outcomes.changed()
            }
            if changed:
                yield changed

    async def conclude(self, seconds: float) -> bool:
        """Reads all that is left, queue by queue; returns whether the tally is now complete."""
        end, whole = time.monotonic() + seconds, True
        for one in self._followers:
            whole &= await one.conclude(max(_MOMENT, end - time.monotonic()))
        return whole

    def _looks(
        self, seconds: float, stop: Callable[[], bool], ids: Sequence[str] | None
    ) -> AsyncGenerator[None]:
        parted = None if ids is None else self._parted(ids)

        async def look() -> bool:
            before = [one.outcomes.moves for one in self._followers]
            await self.glance()
            return any(
                one.behind or one.outcomes.moves > moves
                for one, moves in zip(self._followers, before, strict=True)
            )

        def any_open() -> bool:
            if parted is None:
                return self.undecided > 0
            return any(one.outcomes.is_open(name) for one, own in parted for name in own)

        return looks(seconds, look=look, any_open=any_open, stop=stop, conclude=self.conclude)

    def _parted(self, keys: Iterable[str]) -> list[tuple[Follower, list[str]]]:
        """Jobs by the follower of their queue, as ids."""
        found: dict[int, list[str]] = {}
        for key in keys:
            for at, one in enumerate(self._longest_first):
                if key.startswith(one.queue.key("")):
                    found.setdefault(at, []).append(key[len(one.queue.key("")) :])
                    break
        return [(self._longest_first[at], own) for at, own in found.items()]
