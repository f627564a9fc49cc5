"""What happened in each queue of late, from the counts that were seen: no read of its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState, QueueStatus

SLOT: Final = 10
"""Seconds of a bar."""

MOST: Final = 30
"""Bars that are kept."""


@dataclass(slots=True)
class Slot:
    """Jobs that ended within `SLOT` seconds."""

    completed: int = 0
    failed: int = 0

    @property
    def jobs(self) -> int:
        """All of them."""
        return self.completed + self.failed

    @property
    def is_bad(self) -> bool:
        """Whether more of them failed than not."""
        return self.failed > self.completed


_NOTHING: Final = Slot()


class Trends:
    """The jobs that ended in each queue since qtui looks at it, in slots of time.

    By how much the counts of completed and failed jobs grow: jobs of a queue that keeps none
    (removeOnComplete) are not seen to end, and what is removed or retried is not counted backwards.
    """

    def __init__(self) -> None:
        self._counts: dict[QueueKey, tuple[int, int]] = {}
        self._slots: dict[QueueKey, dict[int, Slot]] = {}

    def note(
        self, statuses: Mapping[QueueKey, QueueStatus], changed: Iterable[QueueKey], now: float
    ) -> None:
        """Takes newer counts of the queues that have changed; ``now`` in seconds."""
        slot = int(now // SLOT)
        for queue in changed:
            status = statuses.get(queue)
            if status is None:
                continue
            counts = status.count(JobState.COMPLETED), status.failed
            before, self._counts[queue] = self._counts.get(queue), counts
            if before is None:
                continue
            completed, failed = (max(0, new - old) for new, old in zip(counts, before, strict=True))
            if not completed and not failed:
                continue
            slots = self._slots.setdefault(queue, {})
            here = slots.setdefault(slot, Slot())
            here.completed += completed
            here.failed += failed
            for old in [one for one in slots if one <= slot - MOST]:
                del slots[old]

    def of(self, queue: QueueKey, bars: int, now: float) -> list[Slot]:
        """Returns the latest slots of a queue, the newest last; ``now`` in seconds."""
        slots, last = self._slots.get(queue, {}), int(now // SLOT)
        return [slots.get(last - ago, _NOTHING) for ago in range(bars - 1, -1, -1)]

    def knows(self, queue: QueueKey) -> bool:
        """Whether jobs were seen to end in a queue."""
        return queue in self._slots
