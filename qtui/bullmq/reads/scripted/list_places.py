"""Where given jobs are in a list, and what is beside them; read in windows, none of them long."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Final, NamedTuple, cast

from qtui.bullmq.ask import Command, Reply, ask_all, items, number
from qtui.bullmq.connection.client import Client

WINDOW: Final = 1000
"""Members in one command: about 0.1 ms of Redis's time."""

_MOST: Final = 8
"""Most windows that one round trip adds."""

_AHEAD: Final = 5000
"""Jobs that are known to leave; of those before, which left long ago, no list has any more. A
campaign reads 1,500 ahead."""


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
        self._length = 0
        """How many members the list had at the last look."""

    async def of(self, ids: Sequence[str]) -> dict[str, ListPlace]:
        """Returns the places by id, without those of jobs that are not in the list.

        Costs a round trip with two windows where the jobs follow those of the call before; else up
        to all windows of the list, at most nine in a round trip.

        Raises:
            redis.exceptions.ResponseError: Redis refused the read.
        """
        wanted, found = set(ids), dict[str, ListPlace]()

        def take(first: int, window: Reply) -> None:
            places = _places(cast("list[str]", items(window))[::-1], first, wanted)
            found.update(places)
            wanted.difference_update(places)

        for starts in self._trips():
            reads = [("LLEN", self._key), *map(self._window, starts)]
            length, *windows = await ask_all(self._client, reads)
            self._length = number(length) or 0
            for first, window in zip(starts, windows, strict=True):
                take(first, window)
            if not wanted:
                break
        last = next((one for one in reversed(ids) if one in found), None)
        self._near = self._near if last is None else found[last].from_tail
        return found

    def _trips(self) -> Iterator[Sequence[int]]:
        """The places at which windows begin, by round trip: around the last job, above it, below.

        What leaves the list meanwhile moves the others towards the tail, by less than a window in a
        round trip. So each goes from the head to the tail, and begins again with the window
        that was the uppermost before: no job slips through.
        """
        below, end = max(0, self._near - WINDOW), self._near + WINDOW
        yield range(below, end, WINDOW)[::-1]
        at_once = 2
        while end < self._length:
            yield range(end - WINDOW, end + at_once * WINDOW, WINDOW)[::-1]
            end, at_once = end + at_once * WINDOW, min(2 * at_once, _MOST)
        for top in range(below, 0, -_MOST * WINDOW):
            yield range(max(0, top - _MOST * WINDOW), top, WINDOW)[::-1]

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


class Leaving:
    """Jobs that leave a list one after the other, in the order in which they are read.

    What is beside a job when it leaves is what will be beside it when they return in the reverse
    order. It differs from what is beside it when it is read: others were read before, and leave
    before it.
    """

    def __init__(self) -> None:
        self._before: dict[str, ListPlace] = {}
        """Those that were read last, with their places as they leave."""

    def places(self, ids: Sequence[str], read: Mapping[str, ListPlace]) -> dict[str, ListPlace]:
        """Returns the places of the next jobs as they are when these leave.

        The ids next to a job are those beyond the jobs that leave before it; ``from_tail`` stays as
        it was read. Jobs that are read again, since they were not sent, begin anew there.
        """
        before, found = self._before, dict[str, ListPlace]()
        while ids and ids[0] in before:
            before.popitem()
        for job_id in ids:
            place = read.get(job_id)
            if place is None:
                continue
            from_tail, ahead, behind = place
            for _ in range(len(before)):  # a damaged list may hold an id twice: a circle
                if ahead not in before and behind not in before:
                    break
                ahead = before[ahead].ahead if ahead in before else ahead
                behind = before[behind].behind if behind in before else behind
            before[job_id] = found[job_id] = ListPlace(from_tail, ahead, behind)
        for gone in list(islice(before, max(0, len(before) - _AHEAD))):
            del before[gone]
        return found
