"""A list of finds: it grows, takes what finishes later, and keeps its places."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable

import pytest
from redis.asyncio import Redis

from qtui.bullmq.filter import parse_filter
from qtui.bullmq.model import JobState
from qtui.views.lists import found_list as found_module
from qtui.views.lists.found_list import FoundList
from qtui.views.lists.job_list import MOST_HELD
from tests.seeds import QUEUE, START, Fields, raw_failed, raw_fields, raw_list, soon

EVERY = "error:boom"


def error_of(place: int) -> Fields:
    """Every other job failed with another error."""
    return {"failedReason": "boom" if place % 2 else "timeout"}


def finds(
    client: Redis,
    words: str = EVERY,
    *,
    state: JobState = JobState.FAILED,
    newest_first: bool = True,
    rate: float | None = 0,
) -> FoundList:
    """A list of what the words find in the queue of these tests."""
    return FoundList(
        client, QUEUE, state, parse_filter(words), newest_first=newest_first, rate=rate
    )


async def searched(jobs: FoundList) -> FoundList:
    """The list when its search is over."""
    async for _ in jobs.search():
        pass
    return jobs


def shown(jobs: FoundList) -> list[str]:
    """All ids, in order; each knows its place."""
    ids = jobs.ids(jobs.total)
    assert [jobs.place(one) for one in ids] == list(range(jobs.total))
    return ids


async def fail_later(client: Redis, ids: Iterable[str], at: int = START + 10_000_000) -> list[str]:
    """Jobs that fail after all others, each later than the one before."""
    ids = list(ids)
    for place, job_id in enumerate(ids):
        fields = raw_fields() | {"finishedOn": at + place}
        await client.hset(QUEUE.job(job_id), mapping=fields)
        await client.zadd(QUEUE.key("failed"), {job_id: at + place})
    return ids


async def test_finds_come_newest_first_while_it_searches(client: Redis) -> None:
    await raw_failed(client, (f"j{place}" for place in range(2000)), change=error_of)
    jobs, sizes = finds(client), []
    assert not jobs.loaded
    async for so_far in jobs.search():
        assert jobs.searching
        assert jobs.total == so_far
        sizes.append(so_far)
    assert sizes == sorted(sizes)
    assert 0 < sizes[0] < sizes[-1] == 1000
    assert shown(jobs) == [f"j{place}" for place in range(1999, 0, -2)]
    assert jobs.finished
    assert not jobs.searching
    assert jobs.words() == "1,000 of 2,000 match"


async def test_words_show_how_far_it_is_and_that_it_was_stopped(client: Redis) -> None:
    await raw_failed(client, (f"j{place}" for place in range(2000)), change=error_of)
    jobs = finds(client)
    steps = jobs.search()
    assert isinstance(steps, AsyncGenerator)
    await anext(steps)
    assert jobs.words().endswith("of 2,000")
    assert jobs.words().startswith(f"{jobs.found:,} matches · searched ")
    await steps.aclose()
    assert not jobs.searching
    assert not jobs.finished
    assert jobs.words().startswith(f"stopped: {jobs.found:,} matches · searched ")
    assert 0 < jobs.found < 1000


async def test_a_search_that_is_cancelled_is_not_finished(client: Redis) -> None:
    await raw_failed(client, (f"j{place}" for place in range(2000)), change=error_of)
    jobs = finds(client, rate=100.0)
    task = asyncio.ensure_future(searched(jobs))
    await soon(lambda: bool(jobs.total))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not jobs.searching
    assert not jobs.finished


async def test_what_fails_later_is_put_in_front(client: Redis) -> None:
    ids = await raw_failed(client, ("a", "b", "c"))
    jobs = await searched(finds(client))
    new = await fail_later(client, ("d", "e"))
    moved = await jobs.refresh(0, 10, "b")
    assert shown(jobs) == [*new[::-1], *ids[::-1]]
    assert (moved.anchor, moved.shift) == (3, 2)
    assert jobs.found == 5
    again = await jobs.refresh(0, 10, "b")
    assert (again.anchor, again.shift) == (3, 0)
    assert jobs.found == 5


async def test_what_fails_later_without_matching_is_not(client: Redis) -> None:
    await raw_failed(client, ("a",))
    jobs = await searched(finds(client))
    await fail_later(client, ("d",))
    await client.hset(QUEUE.job("d"), "failedReason", "timeout")
    assert (await jobs.refresh(0, 10, "a")).shift == 0
    assert shown(jobs) == ["a"]


async def test_oldest_first_what_fails_later_comes_last(client: Redis) -> None:
    ids = await raw_failed(client, ("a", "b", "c"))
    jobs = await searched(finds(client, newest_first=False))
    assert shown(jobs) == ids
    new = await fail_later(client, ("d", "e"))
    moved = await jobs.refresh(0, 10, "b")
    assert sorted(shown(jobs)[3:]) == new
    assert shown(jobs)[:3] == ids
    assert (moved.anchor, moved.shift) == (1, 0)


async def test_of_those_with_one_score_each_comes_once(client: Redis) -> None:
    await fail_later(client, ("a",))
    jobs = await searched(finds(client))
    for job_id in ("b", "c"):
        await fail_later(client, (job_id,))
    newest = await fail_later(client, ("d",), START + 10_000_001)
    await jobs.refresh(0, 10, None)
    assert sorted(shown(jobs)) == ["a", "b", "c", "d"]
    assert shown(jobs)[0] == newest[0]


async def test_the_first_of_an_empty_state_is_found(client: Redis) -> None:
    jobs = await searched(finds(client))
    assert (jobs.total, jobs.words()) == (0, "0 of 0 match")
    await fail_later(client, ("a", "b"))
    await jobs.refresh(0, 10, None)
    assert shown(jobs) == ["b", "a"]


async def test_a_search_that_was_stopped_finds_nothing_more(client: Redis) -> None:
    await raw_failed(client, (f"j{place}" for place in range(1000)))
    jobs = finds(client)
    steps = jobs.search()
    assert isinstance(steps, AsyncGenerator)
    await anext(steps)
    await steps.aclose()
    before = shown(jobs)
    await fail_later(client, ("d",))
    await jobs.refresh(0, 10, None)
    assert shown(jobs) == before


async def test_rows_are_read_in_windows_and_each_but_once(client: Redis) -> None:
    await raw_failed(client, (f"j{place}" for place in range(600)))
    jobs = await searched(finds(client))
    assert jobs.row(0) is None
    assert jobs.missing(590, 700) == (590, 599)
    assert await jobs.load(0, 20)
    row = jobs.row(20)
    assert row is not None
    assert (row.id, row.failed_reason) == ("j579", "boom")
    assert jobs.missing(0, 20) is None
    assert not await jobs.load(0, 20)
    assert await jobs.load(500, 520)
    assert jobs.row(300) is None
    assert jobs.row(-1) is None
    assert jobs.row(600) is None


async def test_a_job_that_has_left_stays_at_its_place(client: Redis) -> None:
    await raw_failed(client, ("a", "b", "c"))
    jobs = await searched(finds(client))
    await jobs.load(0, 2)
    await client.zrem(QUEUE.key("failed"), "b")
    assert not jobs.has_left("b")
    assert (await jobs.refresh(0, 2, "b")).anchor == 1
    assert jobs.has_left("b")
    assert shown(jobs) == ["c", "b", "a"]
    await client.zadd(QUEUE.key("failed"), {"b": START})
    await jobs.refresh(0, 2, "b")
    assert not jobs.has_left("b")


async def test_a_job_whose_hash_is_gone_is_shown_all_the_same(client: Redis) -> None:
    await raw_failed(client, ("a", "b"))
    jobs = await searched(finds(client))
    await client.delete(QUEUE.job("a"))
    await client.zrem(QUEUE.key("failed"), "a")
    await jobs.refresh(0, 2, None)
    assert shown(jobs) == ["b", "a"]
    assert jobs.has_left("a")


async def test_held_it_stays_as_it_is_and_thawed_it_takes_what_came(client: Redis) -> None:
    await raw_failed(client, ("a", "b"))
    jobs = await searched(finds(client))
    await jobs.load(0, 1)
    jobs.hold(["a"])
    await fail_later(client, ("d",))
    moved = await jobs.refresh(0, 1, "a")
    assert (moved.anchor, moved.shift) == (None, 0)
    assert shown(jobs) == ["b", "a"]
    assert jobs.has_left("a")
    jobs.thaw()
    await jobs.refresh(0, 1, "a")
    assert shown(jobs) == ["d", "b", "a"]
    assert not jobs.has_left("a")


async def test_the_anchor_is_read_where_it_is_out_of_sight(client: Redis) -> None:
    await raw_failed(client, (f"j{place}" for place in range(500)))
    jobs = await searched(finds(client))
    moved = await jobs.refresh(0, 10, "j3")
    assert moved.anchor == 496
    row = jobs.row(496)
    assert row is not None
    assert row.id == "j3"
    assert (await jobs.refresh(0, 10, "unknown")).anchor is None


async def test_rows_far_from_the_window_are_let_go(client: Redis) -> None:
    many = MOST_HELD + 500
    await raw_failed(client, (f"j{place}" for place in range(many)))
    jobs = await searched(finds(client))
    for first in range(0, many, 100):
        await jobs.load(first, first + 99)
        assert len(list(jobs.rows())) <= MOST_HELD + 100
    assert jobs.row(0) is None
    assert jobs.row(many - 1) is not None
    await jobs.load(0, 20)
    assert jobs.row(0) is not None


async def test_beyond_its_room_finds_are_counted_only(
    client: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(found_module, "MOST_FOUND", 150)
    await raw_failed(client, (f"j{place}" for place in range(400)))
    jobs = await searched(finds(client))
    assert (jobs.total, jobs.found) == (150, 400)
    assert jobs.words() == "400 of 400 match"
    assert shown(jobs) == [f"j{place}" for place in range(399, 249, -1)]
    new = await fail_later(client, ("d", "e"))
    moved = await jobs.refresh(0, 10, "j250")
    assert (jobs.total, jobs.found) == (150, 402)
    assert shown(jobs) == [*new[::-1], *(f"j{place}" for place in range(399, 251, -1))]
    assert (moved.anchor, moved.shift) == (None, 2)
    await jobs.load(140, 149)
    assert jobs.row(149) is not None


async def test_an_id_is_shown_once_though_the_search_meets_it_too(client: Redis) -> None:
    await raw_failed(client, ("7", "17", "70", "8"))
    jobs = await searched(finds(client, "id:7"))
    assert shown(jobs) == ["7", "70", "17"]
    assert jobs.found == 3


async def test_a_list_state_has_one_order_and_no_rows_that_left(client: Redis) -> None:
    await raw_list(client, "wait", ["a", "b", "c"])
    for newest_first in (True, False):
        jobs = await searched(
            finds(client, "name=n", state=JobState.WAITING, newest_first=newest_first)
        )
        assert shown(jobs) == ["a", "b", "c"]
        await client.lrem(QUEUE.key("wait"), 1, "b")
        await jobs.refresh(0, 5, "a")
        assert shown(jobs) == ["a", "b", "c"]
        assert not jobs.has_left("a")
        await client.linsert(QUEUE.key("wait"), "AFTER", "a", "b")


async def test_times_in_the_filter_bound_what_is_seen(client: Redis) -> None:
    await raw_failed(client, (f"j{place}" for place in range(100)))
    words = f"after:{_moment(START + 10_000)} before:{_moment(START + 20_000)}"
    jobs = await searched(finds(client, words))
    assert shown(jobs) == [f"j{place}" for place in range(19, 9, -1)]
    await fail_later(client, ("d",))
    await jobs.refresh(0, 10, None)
    assert jobs.total == 10


def _moment(milliseconds: int) -> str:
    return f"2023-11-14T22:{13 + (milliseconds - START + 20_000) // 60_000}:" + (
        f"{(20 + (milliseconds - START) // 1000) % 60:02}Z"
    )
