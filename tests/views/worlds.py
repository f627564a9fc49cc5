"""A failed set that a test changes, and the list that shows it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from redis.asyncio import Redis

from qtui.bullmq.model import JobState
from qtui.bullmq.reads.reader import Reader
from qtui.views.lists.job_list import JobList
from tests.seeds import QUEUE


class World:
    """A failed set whose order is known, and a `JobList` on it."""

    def __init__(self, client: Redis, *, newest_first: bool = True) -> None:
        self.client = client
        self.newest_first = newest_first
        self.order: list[str] = []
        """What is in Redis, as the list should show it."""
        self.list = JobList(Reader(client), QUEUE, JobState.FAILED, newest_first=newest_first)
        self._made = 0

    async def add(self, number: int) -> list[str]:
        """New failures, each newer than all before."""
        new = [f"j{self._made + one}" for one in range(number)]
        pipe = self.client.pipeline(transaction=False)
        for one in new:
            pipe.hset(QUEUE.job(one), mapping={"name": one, "timestamp": 1})
            pipe.zadd(QUEUE.key("failed"), {one: self._made})
            self._made += 1
        await pipe.execute()
        self.order = [*new[::-1], *self.order] if self.newest_first else [*self.order, *new]
        return new

    async def remove(self, ids: Iterable[str]) -> None:
        """Jobs leave the state."""
        gone = set(ids)
        if gone:
            await self.client.zrem(QUEUE.key("failed"), *gone)
        self.order = [one for one in self.order if one not in gone]

    def shown(self) -> dict[int, str]:
        """What is loaded, place by place; a job is at one place, and knows it."""
        found = {}
        for place in range(self.list.total):
            row = self.list.row(place)
            if row is not None:
                assert self.list.place(row.id) == place
                found[place] = row.id
        assert len(found) == len(list(self.list.rows()))
        assert len(set(found.values())) == len(found)
        return found

    def assert_shows(self, expected: Sequence[str]) -> None:
        """All that is loaded is at its place of the expected order."""
        assert self.list.total == len(expected)
        for place, job_id in self.shown().items():
            assert expected[place] == job_id

    async def load_all(self, first: int, last: int) -> None:
        """Loads a window as the screen does: until nothing is missing in it."""
        for _ in range(10):
            if not await self.list.load(first, last):
                break
        assert self.list.missing(first, last) is None
