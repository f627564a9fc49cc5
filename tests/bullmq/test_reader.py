"""Windows over states: with SORT_RO and without it the same, for any content of the keys."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis
from redis.exceptions import NoPermissionError, ResponseError

from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import LIST_FIELDS, JobState, Row
from qtui.bullmq.reads.reader import VALUE_IN_A_LIST, Page, Reader, Whereabouts
from qtui.demo.server import EmbeddedServer
from tests.seeds import (
    QUEUE,
    START,
    Fields,
    raw_failed,
    raw_fields,
    raw_list,
    raw_meta,
)
from tests.servers import way
from tests.wires import counted

Read = Callable[[Redis], Reader]

both_ways = pytest.mark.parametrize("sort_ro", [True, False], ids=["sort", "range"])
SETS = [state for state in JobState if not state.is_list]
LISTS = [state for state in JobState if state.is_list]


def ids(page: Page) -> list[str]:
    return [row.id for row in page.rows]


NAMES = ["a:b", "a*b", "[x]?^\\", "with blank", "名", "{tag}", "\udcff\udcfe", "a->b", "x\0y", "*"]


@both_ways
async def test_queues_of_any_name_are_read(any_client: Redis, sort_ro: bool) -> None:
    reader = Reader(await way(any_client, sort_ro=sort_ro))
    for prefix, name in itertools.product(("bull", "a:{b}:c", "p*"), NAMES):
        queue = QueueKey.of(prefix, name)
        await raw_failed(any_client, ["1", "2"], queue)
        page = await reader.page(queue, JobState.FAILED, 0, 10)
        assert [(row.id, row.name, row.score) for row in page.rows] == [
            ("2", "charge", START + 1000),
            ("1", "charge", START),
        ], queue


IDS = [
    "a:b:c",
    "repeat:x:1700",
    "\udcff\udcfe",
    "名",
    "*",
    "a*b->c",
    "->",
    "[/foo]",
    " ",
    "0:a",
    "x\0y",
]


@both_ways
async def test_jobs_of_any_id_are_read(any_client: Redis, sort_ro: bool) -> None:
    await raw_failed(any_client, IDS)
    reader = Reader(await way(any_client, sort_ro=sort_ro))
    page = await reader.page(QUEUE, JobState.FAILED, 0, 100, newest_first=False)
    assert ids(page) == IDS
    assert all(row.name == "charge" and not row.missing for row in page.rows)
    assert [row.score for row in page.rows] == [START + 1000 * n for n in range(len(IDS))]
    for place, job_id in enumerate(IDS):
        assert await reader.rank(QUEUE, JobState.FAILED, job_id, newest_first=False) == place
    rows = await reader.rows(QUEUE, JobState.FAILED, IDS)
    assert rows == list(page.rows)
    where = await reader.whereabouts(QUEUE, IDS)
    assert {one.state for one in where.values()} == {JobState.FAILED}


@both_ways
async def test_ids_like_names_of_keys_are_shown_and_marked(client: Redis, sort_ro: bool) -> None:
    names = ["meta", "failed", "wait", "id", "events"]
    await raw_failed(client, ["1"])
    await client.set(QUEUE.key("id"), 5)
    await client.zadd(QUEUE.key("failed"), {name: place for place, name in enumerate(names)})
    page = await Reader(await way(client, sort_ro=sort_ro)).page(QUEUE, JobState.FAILED, 0, 10)
    found = {row.id: (row.missing, row.garbled) for row in page.rows}
    assert found == {
        "1": (False, ()),
        "meta": (False, ()),  # A hash, if not one of a job.
        "failed": (False, ("hash",)),
        "id": (False, ("hash",)),
        "wait": (True, ()),
        "events": (True, ()),
    }


@both_ways
async def test_a_job_whose_hash_is_gone_is_a_row_that_says_so(
    any_client: Redis, sort_ro: bool
) -> None:
    await raw_failed(any_client, "123")
    await any_client.delete(QUEUE.job("2"))
    # Not gone: there is just nothing in it that a list knows of.
    await any_client.delete(QUEUE.job("3"))
    await any_client.hset(QUEUE.job("3"), "junk", "x")
    page = await Reader(await way(any_client, sort_ro=sort_ro)).page(QUEUE, JobState.FAILED, 0, 10)
    assert [(row.id, row.missing) for row in page.rows] == [("3", False), ("2", True), ("1", False)]
    rows = await Reader(any_client).rows(QUEUE, JobState.FAILED, "2319")
    assert [(row.id, row.missing, row.score) for row in rows] == [
        ("2", True, START + 1000),
        ("3", False, START + 2000),
        ("1", False, START),
        ("9", True, None),
    ]


@both_ways
@pytest.mark.parametrize("state", list(JobState))
async def test_a_state_of_a_wrong_type_is_reported_and_does_no_harm(
    any_client: Redis, state: JobState, sort_ro: bool
) -> None:
    await raw_failed(any_client, ["1"])
    await any_client.set(QUEUE.key(state.key), "junk")
    reader = Reader(await way(any_client, sort_ro=sort_ro))
    unread = f"{QUEUE.key(state.key)} holds another type of key"
    assert await reader.page(QUEUE, state, 0, 10) == Page((), 0, 0, unread=unread)
    assert await reader.rank(QUEUE, state, "1") is None
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        await reader.ids(QUEUE, state, 0, 10)
    if state.is_list:
        assert (await reader.rows(QUEUE, state, ["1"]))[0].score is None  # a list has none
    else:
        with pytest.raises(ResponseError, match="WRONGTYPE"):
            await reader.rows(QUEUE, state, ["1"])
    where = (await reader.whereabouts(QUEUE, ["1"]))["1"]
    assert where.exists
    if state is JobState.FAILED:  # it would be there
        assert (where.state, where.unknown) == (None, unread)
        assert where.words == f"unknown: {unread}"
    await reader.evidence(QUEUE)


async def test_a_wrong_type_is_no_reason_to_give_up_the_fast_way(
    server: EmbeddedServer, client: Redis
) -> None:
    await raw_failed(client, map(str, range(500)))
    await client.set(QUEUE.key("completed"), "junk")
    async with counted(server) as (counting, trips):
        reader = Reader(counting)
        await reader.page(QUEUE, JobState.FAILED, 0, 50)
        await reader.page(QUEUE, JobState.COMPLETED, 0, 10)
        trips.count = 0
        assert len((await reader.page(QUEUE, JobState.FAILED, 0, 50)).rows) == 50
        assert trips.count == 1


async def test_the_price_of_a_page_in_round_trips(server: EmbeddedServer, client: Redis) -> None:
    await raw_failed(client, map(str, range(1200)))
    await raw_failed(
        client,
        map(str, range(2000, 3200)),
        state="completed",
        change=lambda _: {"returnvalue": "1"},
    )
    await raw_list(client, "wait", [f"w{number}" for number in range(200)])
    async with counted(server) as (counting, trips):
        for sort_ro, state, first, next_one in (
            (True, JobState.FAILED, 2, 1),
            (True, JobState.WAITING, 1, 1),
            (True, JobState.COMPLETED, 4, 3),
            # The first time SORT_RO is refused: one more.
            (False, JobState.FAILED, 4, 2),
            (False, JobState.WAITING, 3, 2),
        ):
            reader = Reader(await way(counting, sort_ro=sort_ro))
            for price in (first, next_one):
                trips.count = 0
                page = await reader.page(QUEUE, state, 50, 100)
                assert (len(page.rows), trips.count) == (100, price)
        trips.count = 0
        await Reader(counting).rows(QUEUE, JobState.FAILED, [str(n) for n in range(100)])
        assert trips.count == 1


@both_ways
async def test_return_values_are_shown_when_they_are_small(client: Redis, sort_ro: bool) -> None:
    values = [
        "",
        "null",
        '{"ok":true}',
        "x" * VALUE_IN_A_LIST,
        "x" * (VALUE_IN_A_LIST + 1),
        "junk \udcff",
    ]
    await raw_failed(
        client,
        map(str, range(len(values) + 1)),
        state="completed",
        change=lambda place: {"returnvalue": values[place]} if place < len(values) else {},
    )
    await client.delete(QUEUE.job("1"))
    await client.set(QUEUE.job("1"), "junk")
    reader = Reader(await way(client, sort_ro=sort_ro))
    page = await reader.page(QUEUE, JobState.COMPLETED, 0, 10, newest_first=False)
    assert [(row.returnvalue, row.returnvalue_size) for row in page.rows] == [
        (None, 0),
        (None, 0),
        ('{"ok":true}', 11),
        ("x" * VALUE_IN_A_LIST, VALUE_IN_A_LIST),
        (None, VALUE_IN_A_LIST + 1),
        ("junk \udcff", 6),
        (None, 0),
    ]


@both_ways
async def test_rows_keep_only_the_beginning_of_long_texts(client: Redis, sort_ro: bool) -> None:
    long = "x" * 5_000_000
    await raw_failed(client, "12", change=lambda _: {"failedReason": long, "name": long})
    await client.hset(QUEUE.job("1"), "data", long)
    reader = Reader(await way(client, sort_ro=sort_ro))
    page = await reader.page(QUEUE, JobState.FAILED, 0, 10)
    for row in (*page.rows, *await reader.rows(QUEUE, JobState.FAILED, "12")):
        assert row.failed_reason is not None
        assert 1000 <= len(row.failed_reason) <= 5000
        assert 1000 <= len(row.name) <= 5000
        assert long.startswith(row.failed_reason)
    where = (await reader.whereabouts(QUEUE, "1"))["1"]
    assert len(where.failed_reason or "") <= 5000


GARBAGE = st.dictionaries(st.sampled_from(LIST_FIELDS), st.binary(max_size=40))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(garbage=st.lists(GARBAGE, min_size=1, max_size=5))
async def test_no_garbage_hides_a_row(client: Redis, garbage: list[dict[str, bytes]]) -> None:
    await client.flushall()
    await raw_meta(client)
    for place, one in enumerate(garbage):
        await client.zadd(QUEUE.key("failed"), {str(place): place})
        if one:
            fields: Fields = {}
            fields.update(one)
            await client.hset(QUEUE.job(str(place)), mapping=fields)
    pages: list[tuple[Row, ...]] = []
    for sort_ro in (True, False):
        reader = Reader(await way(client, sort_ro=sort_ro))
        pages.append((await reader.page(QUEUE, JobState.FAILED, 0, 9, newest_first=False)).rows)
    pages.append(tuple(await reader.rows(QUEUE, JobState.FAILED, [row.id for row in pages[0]])))
    assert pages[0] == pages[1] == pages[2]
    assert [row.id for row in pages[0]] == [str(place) for place in range(len(garbage))]
    assert [row.missing for row in pages[0]] == [not one for one in garbage]


async def test_scores_may_be_infinite(client: Redis) -> None:
    await raw_failed(client, "12")
    await client.zadd(QUEUE.key("failed"), {"1": "-inf", "2": "+inf"})
    page = await Reader(client).page(QUEUE, JobState.FAILED, 0, 9)
    assert [row.score for row in page.rows] == [float("inf"), float("-inf")]


async def test_whereabouts_show_each_state(client: Redis) -> None:
    await raw_meta(client)
    for state in JobState:
        job_id = f"is {state}"
        await client.hset(QUEUE.job(job_id), mapping=raw_fields())
        if state.is_list:
            await client.rpush(QUEUE.key(state.key), "x", job_id, "y")
        else:
            await client.zadd(QUEUE.key(state.key), {job_id: 5})
    await client.hset(QUEUE.job("nowhere"), mapping=raw_fields())
    await client.zadd(QUEUE.key("failed"), {"orphan": 1})
    everything = [*(f"is {state}" for state in JobState), "nowhere", "gone", "orphan"]
    where = await Reader(client).whereabouts(QUEUE, everything)
    assert [where[f"is {state}"].state for state in JobState] == list(JobState)
    assert where["is failed"] == Whereabouts(JobState.FAILED, True, 5, "boom")
    assert where["is completed"] == Whereabouts(JobState.COMPLETED, True, 5)
    assert where["nowhere"] == Whereabouts(None)
    assert where["gone"] == Whereabouts(None, exists=False)
    assert (where["orphan"].state, where["orphan"].exists) == (JobState.FAILED, False)
    few = await Reader(client).whereabouts(QUEUE, everything, lists=(JobState.ACTIVE,))
    assert few["is active"].state is JobState.ACTIVE
    assert few["is waiting"] == Whereabouts(None)
    assert await Reader(client).whereabouts(QUEUE, []) == {}


async def test_a_rank_is_a_place(client: Redis) -> None:
    await raw_failed(client, map(str, range(10)))
    reader = Reader(client)
    assert await reader.rank(QUEUE, JobState.FAILED, "9") == 0
    assert await reader.rank(QUEUE, JobState.FAILED, "9", newest_first=False) == 9
    assert await reader.rank(QUEUE, JobState.FAILED, "nope") is None
    assert await reader.rank(QUEUE, JobState.WAITING, "9") is None


@pytest.mark.parametrize("state", [JobState.FAILED, JobState.WAITING])
async def test_where_sorting_is_refused_the_other_way_reads_the_same(
    any_client: Redis, state: JobState
) -> None:
    await raw_failed(any_client, map(str, range(30)))
    await raw_list(any_client, "wait", ["0:1", *(f"w{number}" for number in range(30))])
    await any_client.acl_setuser(
        "watcher",
        enabled=True,
        nopass=True,
        categories=["+@read"],
        commands=["+ping"],
        keys=["bull:*"],
    )
    path = any_client.connection_pool.connection_kwargs["path"]
    try:
        async with Redis(
            unix_socket_path=path, username="watcher", password="any", decode_responses=True
        ) as watcher:
            theirs, ours = Reader(watcher), Reader(any_client)
            await any_client.config_resetstat()
            for newest in (True, False):
                for _ in range(2):
                    assert await theirs.page(
                        QUEUE, state, 3, 20, newest_first=newest
                    ) == await ours.page(QUEUE, state, 3, 20, newest_first=newest)
            stats = await any_client.info("commandstats")
            # Once refused, it is not tried again.
            assert stats["cmdstat_sort_ro"]["failed_calls"] == 1
            stranger = QueueKey.of("other", "q")
            with pytest.raises(NoPermissionError):
                await theirs.page(stranger, state, 0, 10)
    finally:
        await any_client.acl_deluser("watcher")
