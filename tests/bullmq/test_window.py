"""Windows at any offset, newest or oldest first, with SORT_RO and without it the same."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from qtui.bullmq.keys import is_marker
from qtui.bullmq.model import JobState
from qtui.bullmq.reads.reader import Page, Reader
from qtui.demo.server import EmbeddedServer
from tests.seeds import QUEUE, START, failed_jobs, job, raw_failed, raw_list, real_queue
from tests.servers import way

both_ways = pytest.mark.parametrize("sort_ro", [True, False], ids=["sort", "range"])
SETS = [state for state in JobState if not state.is_list]


def ids(page: Page) -> list[str]:
    return [row.id for row in page.rows]


@both_ways
async def test_failed_jobs_of_a_real_queue(
    any_server: EmbeddedServer, any_client: Redis, sort_ro: bool
) -> None:
    async with real_queue(any_server) as real:
        failed = await failed_jobs(real, 10, attempts=1)
    reader = Reader(await way(any_client, sort_ro=sort_ro))
    newest = await reader.page(QUEUE, JobState.FAILED, 0, 100)
    oldest = await reader.page(QUEUE, JobState.FAILED, 0, 100, newest_first=False)
    assert ids(newest) == ids(oldest)[::-1]
    assert sorted(ids(newest)) == sorted(failed)
    assert (newest.total, newest.offset) == (10, 0)
    for row in newest.rows:
        assert (row.name, row.failed_reason, row.attempts_made, row.attempts) == (
            "charge",
            "boom",
            1,
            1,
        )
        assert (row.modern, row.garbled, row.missing, row.exhausted) == (True, (), False, True)
        assert row.score == row.finished_on


@both_ways
async def test_lists_run_from_the_newest_to_the_next_to_run(
    server: EmbeddedServer, client: Redis, sort_ro: bool
) -> None:
    async with real_queue(server) as real:
        added = await real.add(*(job() for _ in range(7)))
        [next_to_run] = await real.add(job(lifo=True))
    reader = Reader(await way(client, sort_ro=sort_ro))
    oldest_first = await reader.page(QUEUE, JobState.WAITING, 0, 100, newest_first=False)
    assert ids(oldest_first) == [next_to_run, *added]
    newest_first = await reader.page(QUEUE, JobState.WAITING, 0, 100)
    assert ids(newest_first) == [*added[::-1], next_to_run]
    assert [row.lifo for row in newest_first.rows] == [False] * 7 + [True]


@both_ways
@pytest.mark.parametrize("state", SETS)
async def test_any_window_of_a_sorted_set(
    any_client: Redis, state: JobState, sort_ro: bool
) -> None:
    everything = await raw_failed(any_client, map(str, range(25)), state=state.key)
    reader = Reader(await way(any_client, sort_ro=sort_ro))
    for offset, limit in itertools.product((0, 1, 10, 24, 25, 99), (0, 1, 7, 100)):
        for newest in (True, False):
            page = await reader.page(QUEUE, state, offset, limit, newest_first=newest)
            order = everything[::-1] if newest else everything
            assert ids(page) == order[offset : offset + limit]
            assert page.total == 25
            assert [row.score for row in page.rows] == [
                START + 1000 * int(one) for one in ids(page)
            ]
            found = await reader.ids(QUEUE, state, offset, limit, newest_first=newest)
            assert found == order[offset : offset + limit]


MARKED = {
    "none": [*"abcdefghijkl"],
    "tail": [*"abcdefghij", "0:5"],
    "head": ["0:5", *"abcdefghij"],
    "both": ["0:5", *"abcdefghij", "0:0"],
    "two at the head": ["0", "0:5", *"abcdefghij"],
    "near both": ["a", "b", "0:1", *"cdefghij", "0:2", "k"],
    "only": ["0:0"],
    "one job": ["0:1", "a", "0:2"],
    "short": ["a", "0:1", "b", "0:2", "c"],
    "four": ["0:1", "0:2", "0:3", "0:4", *"abcdefgh"],
}


@both_ways
@pytest.mark.parametrize("members", MARKED.values(), ids=MARKED)
async def test_markers_take_no_place_at_the_ends_of_a_list(
    any_client: Redis, members: list[str], sort_ro: bool
) -> None:
    await raw_list(any_client, "wait", members)
    reader = Reader(await way(any_client, sort_ro=sort_ro))
    jobs = [member for member in members if not is_marker(member)]
    for offset, limit in itertools.product(range(len(members) + 2), (2, 100)):
        for newest in (True, False):
            page = await reader.page(QUEUE, JobState.WAITING, offset, limit, newest_first=newest)
            order = jobs if newest else jobs[::-1]
            assert ids(page) == order[offset : offset + limit], (offset, limit, newest)
            assert (page.total, page.gaps) == (len(jobs), frozenset())
            found = await reader.ids(QUEUE, JobState.WAITING, offset, limit, newest_first=newest)
            assert found == order[offset : offset + limit]


@both_ways
async def test_a_marker_deep_in_a_list_leaves_a_gap_so_that_pages_join(
    client: Redis, sort_ro: bool
) -> None:
    members = ["0:1", *"abcdefgh", "0:2", "0", *"ijklmnop", "0:0"]
    await raw_list(client, "wait", members)
    reader = Reader(await way(client, sort_ro=sort_ro))
    for newest, size in itertools.product((True, False), (1, 3, 7, 50)):
        placed: list[tuple[int, str]] = []
        for offset in range(0, 18, size):
            page = await reader.page(QUEUE, JobState.WAITING, offset, size, newest_first=newest)
            assert page.total == 18
            placed += [(place, row.id) for place, row in page.placed()]
        jobs = [*enumerate("abcdefgh"), *enumerate("ijklmnop", 10)]
        if not newest:
            jobs = sorted((17 - place, one) for place, one in jobs)
        assert placed == jobs


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    members=st.lists(
        st.sampled_from(["0", "0:0", "0:7"]) | st.integers(1, 9).map(str), min_size=1, max_size=20
    ),
    size=st.integers(1, 25),
    newest=st.booleans(),
)
async def test_pages_join_wherever_markers_are(
    client: Redis, members: list[str], size: int, newest: bool
) -> None:
    await client.delete(QUEUE.key("wait"))
    await raw_list(client, "wait", members)
    jobs = [member for member in members if not is_marker(member)]
    seen: dict[bool, list[str]] = {}
    for sort_ro in (True, False):
        reader = Reader(await way(client, sort_ro=sort_ro))
        seen[sort_ro] = []
        first = await reader.page(QUEUE, JobState.WAITING, 0, 1, newest_first=newest)
        assert len(jobs) <= first.total <= len(members)
        for offset in range(0, first.total, size):
            page = await reader.page(QUEUE, JobState.WAITING, offset, size, newest_first=newest)
            seen[sort_ro] += ids(page)
            assert len(page.rows) + len(page.gaps) == min(size, first.total - offset)
    assert seen[True] == seen[False] == (jobs if newest else jobs[::-1])
