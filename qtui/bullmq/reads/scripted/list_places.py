"""Where given jobs are in a list, and what is beside them; read in windows, none of them long."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, islice
from typing import Final, NamedTuple, cast

from qtui.bullmq.ask import Command, Reply, ask_all, items, number
from qtui.bullmq.connection.client import Client

WINDOW: Final = 1000
"""Members in one command: about 0.1 ms of Redis's time."""

_MOST: Final = 8
"""Most windows in one round trip."""


class ListPlace(NamedTuple):
    """Where a job is in a list."""

    from_tail: int
    """How many members are between the tail and it."""
    ahead: str | None
    """The id next to it towards the tail; None at the tail."""
    behind: str | None
    """The id next to it towards the head; None at the head."""


class ListPlaces:
    """Finds jobs in one list, first of all where the last ones were.

    Args:
        client: where to read.
        key: the list.
    """

    def __init__(self, client: Client, key: str) -> None:
        self._client = client
        self._key = key
        self._near = 0
        """How far from the tail the last job was that was found."""

    async def of(self, ids: Sequence[str]) -> dict[str, ListPlace]:
        """Returns the places by id, without those of jobs that are not in the list.

        Costs an LLEN and, where the jobs follow those of the call before, a window or a few; else
        up to all windows of the list, in round trips of 1, 2, 4, 8, 8, ….

        Raises:
            redis.exceptions.ResponseError: Redis refused the read.
        """
        wanted, found = set(ids), dict[str, ListPlace]()

        def take(first: int, window: Reply) -> None:
            places = _places(cast("list[str]", items(window))[::-1], first, wanted)
            found.update(places)
            wanted.difference_update(places)

        # What left since the call before has moved the jobs towards the tail, by a window at most
        # if it was what the calls before found.
        near, at_once = max(0, self._near - WINDOW), 2
        window, length = await ask_all(self._client, [self._window(near), ("LLEN", self._key)])
        take(near, window)
        further = range(near + WINDOW, number(length) or 0, WINDOW)
        others = chain(further, range(0, near, WINDOW))
        while wanted and (starts := list(islice(others, at_once))):
            windows = await ask_all(self._client, map(self._window, starts))
            for first, window in zip(starts, windows, strict=True):
                take(first, window)
            at_once = min(2 * at_once, _MOST)
        last = next((one for one in reversed(ids) if one in found), None)
        self._near = self._near if last is None else found[last].from_tail
        return found

    def _window(self, first: int) -> Command:
        """Reads a window and the member at either side of it."""
        return ("LRANGE", self._key, -first - WINDOW - 1, -max(first, 1))


def _places(members: Sequence[str], first: int, wanted: set[str]) -> dict[str, ListPlace]:
    """The places of the jobs in a window, given with the members beside it, from the tail on."""
    here = wanted.intersection(members)
    if not here:
        return {}
    start = max(first - 1, 0)
    found = {}
    for at, job_id in enumerate(members):
        from_tail = start + at
        if job_id in here and first <= from_tail < first + WINDOW:
            ahead = members[at - 1] if at else None
            behind = members[at + 1] if at + 1 < len(members) else None
            found[job_id] = ListPlace(from_tail, ahead, behind)
    return found
