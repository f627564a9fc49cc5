"""Marked queues: keys, not places, so that a list that is sorted anew can't change them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from qtui.bullmq.keys import QueueKey


class QueueMarks:
    """The marked queues, in the order of marking."""

    def __init__(self) -> None:
        self._keys: dict[QueueKey, None] = {}

    def __len__(self) -> int:
        """How many queues are marked."""
        return len(self._keys)

    def __iter__(self) -> Iterator[QueueKey]:
        """The queues."""
        return iter(self._keys)

    def __contains__(self, queue: object) -> bool:
        """Whether a queue is marked."""
        return queue in self._keys

    def set(self, queue: QueueKey, marked: bool) -> None:
        """Marks a queue, or takes its mark away."""
        self._keys.pop(queue, None)
        if marked:
            self._keys[queue] = None

    def turn(self, queues: Iterable[QueueKey]) -> None:
        """Marks all of these queues, or none if all are marked."""
        every = list(queues)
        marked = all(one in self._keys for one in every)
        self._keys = {} if marked else dict.fromkeys(every)

    def invert(self, queues: Iterable[QueueKey]) -> None:
        """Marks those of these queues that are not marked, and no other."""
        self._keys = {one: None for one in queues if one not in self._keys}

    def keep(self, queues: Iterable[QueueKey]) -> None:
        """Takes the marks of all but these queues away: the others are gone."""
        known = set(queues)
        self._keys = {one: None for one in self._keys if one in known}

    def clear(self) -> None:
        """Takes all marks away."""
        self._keys.clear()
