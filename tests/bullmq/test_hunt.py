"""A hunt finds what its filter means, and nothing twice, at the price that it states."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import pytest
import redis.asyncio
from redis.exceptions import ResponseError

from qtui.bullmq.filter import FilterError, parse_filter
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import LIST_FIELDS, JobState
from qtui.bullmq.search.hunt import LOOKED_UP, Hunt
from qtui.bullmq.search.steps import Met
from qtui.demo.server import EmbeddedServer
from tests.seeds import QUEUE, START, Fields, raw_failed, raw_list
from tests.servers import way
from tests.wires import counted

FAILED: Final = JobState.FAILED
BOTH_WAYS = pytest.mark.parametrize("sort_ro", [True, False])
BOTH_DIRECTIONS = pytest.mark.parametrize("newest_first", [True, False])


async def hunted(hunt: Hunt) -> list[Met]:
    return [one async for step in hunt.steps() for one in step]


def ids_of(met: Iterable[Met]) -> list[str]:
    return [one.id for one in met]


def some_refunds(place: int) -> Fields:
    return {
        "name": "refund" if place % 10 == 0 else "charge",
        "failedReason": f"Timeout of {place}ms exceeded",
        "data": f'{{"n": {place}}}',
    }


# Ids first


@BOTH_WAYS
@BOTH_DIRECTIONS
async def test_a_named_id_comes_first_and_not_again(
    client: redis.asyncio.Redis, sort_ro: bool, newest_first: bool
) -> None:
    await way(client, sort_ro=sort_ro)
    ids = await raw_failed(client, map(str, range(700)))
    hunt = Hunt(
        client,
        QUEUE,
        FAILED,
        parse_filter("id:42"),
        fields=("name",),
        newest_first=newest_first,
        rate=0,
    )
    met = await hunted(hunt)
    expected = [one for one in ids if "42" in one and one != "42"]
    assert ids_of(met) == ["42", *(expected[::-1] if newest_first else expected)]
    assert {one.fields["name"] for one in met} == {"charge"}
    assert all(one.score == START + 1000 * int(one.id) for one in met)
    assert (hunt.found, hunt.seen, hunt.total) == (len(met), 700, 700)


async def test_a_word_that_is_an_id_but_does_not_match_is_not_found(
    client: redis.asyncio.Redis,
) -> None:
    await raw_failed(client, ["42", "43"])
    assert ids_of(await hunted(Hunt(client, QUEUE, FAILED, parse_filter("42 name=other")))) == []
    assert ids_of(await hunted(Hunt(client, QUEUE, FAILED, parse_filter("!42")))) == ["43"]


async def test_exact_ids_are_looked_up_without_a_walk(server: EmbeddedServer) -> None:
    async with counted(server) as (client, trips):
        await raw_failed(client, map(str, range(3000)), change=some_refunds)
        trips.count = 0
        hunt = Hunt(client, QUEUE, FAILED, parse_filter("id=7"), rate=0)
        assert ids_of(await hunted(hunt)) == ["7"]
        assert trips.count == 1
        assert hunt.seen == 0
        trips.count = 0
        either = parse_filter("id=7 | id=8 | id=none | id=7")
        met = await hunted(Hunt(client, QUEUE, FAILED, either, fields=("data",), rate=0))
        assert sorted(ids_of(met)) == ["7", "8"]
        assert {one.fields["data"] for one in met} == {'{"n": 7}', '{"n": 8}'}
        assert trips.count == 2  # the places, and the fields of those found
        trips.count = 0
        several = parse_filter("id=20 name=refund error:timeout | id=21 name=refund")
        assert ids_of(await hunted(Hunt(client, QUEUE, FAILED, several, rate=0))) == ["20"]
        assert trips.count == 2


async def test_many_exact_ids_are_looked_up_in_bundles(server: EmbeddedServer) -> None:
    wanted = parse_filter(" | ".join(f"id={place}" for place in range(450)))
    async with counted(server) as (client, trips):
        await raw_failed(client, map(str, range(0, 1000, 2)))
        trips.count = 0
        met = await hunted(Hunt(client, QUEUE, FAILED, wanted, rate=0))
        assert trips.count == -(-450 // LOOKED_UP)
    assert sorted(map(int, ids_of(met))) == list(range(0, 450, 2))


async def test_exact_ids_are_in_the_state_or_not_found(client: redis.asyncio.Redis) -> None:
    await raw_failed(client, ["1", "2"])
    await raw_failed(client, ["3"], state="completed")
    wanted = parse_filter("id=1 | id=3")
    assert ids_of(await hunted(Hunt(client, QUEUE, FAILED, wanted))) == ["1"]
    assert ids_of(await hunted(Hunt(client, QUEUE, JobState.COMPLETED, wanted))) == ["3"]
    await raw_list(client, "wait", ["0:0", "5", "6", "0"])
    found = await hunted(Hunt(client, QUEUE, JobState.WAITING, parse_filter("id=6 | id=1 | id=0")))
    assert ids_of(found) == ["6"]


# Bounds


@BOTH_DIRECTIONS
async def test_times_bound_the_walk(client: redis.asyncio.Redis, newest_first: bool) -> None:
    await raw_failed(client, map(str, range(2000)))
    now = START + 2_000_000
    wanted = parse_filter("age<10m", now=now)
    hunt = Hunt(client, QUEUE, FAILED, wanted, newest_first=newest_first, rate=0)
    met = ids_of(await hunted(hunt))
    # What finished less than 600 s before: places 1401 to 1999, since 1400 is just that old.
    assert sorted(map(int, met)) == list(range(1401, 2000))
    assert 599 <= hunt.total <= 600
    window = parse_filter("age<10m age>5m", now=now)
    hunt = Hunt(client, QUEUE, FAILED, window, newest_first=newest_first, rate=0)
    met = ids_of(await hunted(hunt))
    assert sorted(map(int, met)) == list(range(1401, 1700))
    assert hunt.total <= 301
    assert hunt.seen == hunt.total


@BOTH_DIRECTIONS
async def test_until_and_since_hold_for_walks_and_named_ids(
    client: redis.asyncio.Redis, newest_first: bool
) -> None:
    await raw_failed(client, map(str, range(1000)))

    async def found(expression: str | None, low: int | None, high: int | None) -> list[int]:
        hunt = Hunt(
            client,
            QUEUE,
            FAILED,
            parse_filter(expression) if expression else None,
            since=None if low is None else START + 1000 * low,
            until=None if high is None else START + 1000 * high,
            newest_first=newest_first,
            rate=0,
        )
        return sorted(map(int, ids_of(await hunted(hunt))))

    assert await found(None, None, 500) == list(range(501))
    assert await found(None, 400, 500) == list(range(400, 501))
    assert await found("charge", 990, None) == list(range(990, 1000))
    assert await found("id=500 | id=501", None, 500) == [500]
    assert await found("id:99", None, 500) == [99, 199, 299, 399, 499]
    assert await found("id=100", 101, None) == []


# Fields


@BOTH_WAYS
@pytest.mark.parametrize("expression", ["refund", "charge", "charge error:timeout", None])
async def test_every_job_found_has_all_fields_however_many_match(
    client: redis.asyncio.Redis, sort_ro: bool, expression: str | None
) -> None:
    await way(client, sort_ro=sort_ro)

    # A stretch where all match, then one where few do, and again.
    def change(place: int) -> Fields:
        dense = (place // 600) % 2 == 0
        rare = "charge" if expression and "charge" in expression else "refund"
        common = "refund" if rare == "charge" else "charge"
        name = rare if dense or place % 50 == 0 else common
        return {**some_refunds(place), "name": name}

    ids = await raw_failed(client, map(str, range(3000)), change=change)
    wanted = parse_filter(expression) if expression else None
    fields = (*LIST_FIELDS, "data")
    hunt = Hunt(client, QUEUE, FAILED, wanted, fields=fields, rate=0)
    met = await hunted(hunt)
    expected = [
        one
        for place, one in enumerate(ids)
        if expression is None or expression.split()[0] == change(place)["name"]
    ]
    assert ids_of(met) == expected[::-1]
    for one in met:
        assert set(fields) <= set(one.fields)
        assert one.fields["data"] == f'{{"n": {one.id}}}'
        assert one.fields["finishedOn"] == str(START + 1000 * int(one.id))
        assert one.fields["processedOn"] is not None


async def test_a_sparse_walk_reads_only_what_the_filter_looks_at(server: EmbeddedServer) -> None:
    heavy = "x" * 5000
    async with counted(server) as (client, _):
        await raw_failed(client, map(str, range(2000)), change=lambda place: {"data": heavy})
        await client.config_resetstat()
        wanted = parse_filter("name=nothing")
        hunt = Hunt(client, QUEUE, FAILED, wanted, fields=("data",), rate=0)
        assert await hunted(hunt) == []
        info = await client.info("stats")
    # All data would be 10 MB; the first step alone may have asked for it.
    assert info["total_net_output_bytes"] < 500_000


async def test_a_hunt_for_all_survives_a_step_of_markers_only(client: redis.asyncio.Redis) -> None:
    jobs = [f"j{place}" for place in range(600)]
    markers = [f"0:{place}" for place in range(300)]
    await raw_list(client, "wait", [*markers, *jobs])
    hunt = Hunt(client, QUEUE, JobState.WAITING, None, fields=LIST_FIELDS, rate=0)
    met = await hunted(hunt)
    assert ids_of(met) == jobs
    assert all(set(LIST_FIELDS) <= set(one.fields) for one in met)


@BOTH_WAYS
async def test_lists_are_hunted_without_their_markers(
    client: redis.asyncio.Redis, sort_ro: bool
) -> None:
    await way(client, sort_ro=sort_ro)
    jobs = [str(place) for place in range(1, 900)]
    await raw_list(client, "wait", ["0:0", *jobs[:400], "0:17", *jobs[400:], "0"])
    state = JobState.WAITING
    for wanted in (None, parse_filter("name=n"), parse_filter("id:re:.")):
        hunt = Hunt(client, QUEUE, state, wanted, fields=LIST_FIELDS, rate=0)
        met = await hunted(hunt)
        assert ids_of(met) == jobs
        assert {one.fields["name"] for one in met} == {"n"}
    named = Hunt(
        client,
        QUEUE,
        state,
        parse_filter("id:89"),
        fields=("name",),
        rate=0,
    )
    others = [one for one in jobs if "89" in one and one != "89"]
    assert ids_of(await hunted(named)) == ["89", *others]


# Hostile and moving worlds

HOSTILE: Final = [
    "a b",
    "*",
    "->name",
    "\x1b[31m",
    "\udcff\udc80",
    "n\0l",
    "0",
    "ü:|",
    '"',
    "'",
    "#",
]


@BOTH_WAYS
@pytest.mark.parametrize("name", ["q", "a*b", "n\0l", "->x", "\udcfe", "[q]", "{tag}"])
async def test_hostile_ids_and_queue_names_are_met_as_they_are(
    any_client: redis.asyncio.Redis, sort_ro: bool, name: str
) -> None:
    await way(any_client, sort_ro=sort_ro)
    queue = QueueKey.of("bull", name)
    await raw_failed(
        any_client, HOSTILE, queue, change=lambda place: {"name": f"\udcff{HOSTILE[place]}"}
    )
    fields = (*LIST_FIELDS, "data")
    for wanted in (None, parse_filter("error:boom")):
        hunt = Hunt(any_client, queue, FAILED, wanted, fields=fields, rate=0)
        met = await hunted(hunt)
        assert ids_of(met) == HOSTILE[::-1]
        assert [one.fields["name"] for one in met] == [f"\udcff{one}" for one in HOSTILE[::-1]]
    for job_id in HOSTILE:
        quote = "'" if '"' in job_id else '"'
        wanted = parse_filter(f"id={quote}{job_id}{quote}")
        hunt = Hunt(any_client, queue, FAILED, wanted, fields=fields, rate=0)
        assert ids_of(await hunted(hunt)) == [job_id]


async def test_jobs_without_a_hash_and_with_a_wrong_one_are_met_too(
    any_client: redis.asyncio.Redis,
) -> None:
    await raw_failed(any_client, ["orphan", "junk", "fine"])
    await any_client.delete(QUEUE.job("orphan"), QUEUE.job("junk"))
    await any_client.set(QUEUE.job("junk"), "junk")
    for sort_ro in (True, False):
        await way(any_client, sort_ro=sort_ro)
        hunt = Hunt(any_client, QUEUE, FAILED, None, fields=LIST_FIELDS, rate=0)
        met = {one.id: one.fields["name"] for one in await hunted(hunt)}
        assert met == {"fine": "charge", "junk": None, "orphan": None}
        rare = Hunt(
            any_client,
            QUEUE,
            FAILED,
            parse_filter("!error:boom"),
            rate=0,
        )
        assert sorted(ids_of(await hunted(rare))) == ["junk", "orphan"]


async def test_a_queue_that_is_deleted_meanwhile_ends_the_hunt(client: redis.asyncio.Redis) -> None:
    await raw_failed(client, map(str, range(2000)))
    hunt = Hunt(client, QUEUE, FAILED, parse_filter("charge"), fields=LIST_FIELDS, rate=0)
    found = 0
    async for step in hunt.steps():
        found += len(step)
        await client.flushall()
    assert found == hunt.found < 2000


@pytest.mark.parametrize("expression", [None, "boom", "id=1", "id:1", "age<1h"])
async def test_a_state_of_a_wrong_type_is_reported(
    client: redis.asyncio.Redis, expression: str | None
) -> None:
    await raw_failed(client, ["1"])
    await client.delete(QUEUE.key("failed"))
    await client.set(QUEUE.key("failed"), "junk")
    hunt = Hunt(client, QUEUE, FAILED, parse_filter(expression) if expression else None, rate=0)
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        await hunted(hunt)


async def test_a_state_that_becomes_another_type_meanwhile_is_reported(
    client: redis.asyncio.Redis,
) -> None:
    await raw_failed(client, map(str, range(2000)))
    hunt = Hunt(client, QUEUE, FAILED, parse_filter("charge"), rate=0)

    async def spoil() -> None:
        async for _ in hunt.steps():
            await client.delete(QUEUE.key("failed"))
            await client.set(QUEUE.key("failed"), "junk")

    with pytest.raises(ResponseError, match="WRONGTYPE"):
        await spoil()


async def test_a_pattern_that_runs_away_ends_the_hunt(client: redis.asyncio.Redis) -> None:
    await raw_failed(client, ["1"], change=lambda place: {"failedReason": "a" * 5000 + "!"})
    with pytest.raises(FilterError, match="takes too long"):
        await hunted(Hunt(client, QUEUE, FAILED, parse_filter("error:re:(a|a|aa)+$"), rate=0))


@pytest.mark.parametrize("expression", ["refund", "charge", "refund | id:re:7$", "!error:timeout"])
async def test_a_hunt_without_scores_finds_the_same(
    client: redis.asyncio.Redis, expression: str
) -> None:
    await raw_failed(client, map(str, range(3000)), change=some_refunds)
    found = [
        await hunted(
            Hunt(client, QUEUE, FAILED, parse_filter(expression), rate=0, scored=scored, ahead=True)
        )
        for scored in (True, False)
    ]
    assert ids_of(found[0]) == ids_of(found[1])
    assert [one.fields for one in found[0]] == [one.fields for one in found[1]]
    assert all(one.score == START + 1000 * int(one.id) for one in found[0])


async def test_times_come_from_scores_even_where_none_are_asked_for(
    client: redis.asyncio.Redis,
) -> None:
    await raw_failed(client, map(str, range(2000)))
    wanted = parse_filter("(age<10m name=charge) | id:1999", now=START + 2_000_000)
    hunt = Hunt(client, QUEUE, FAILED, wanted, rate=0, scored=False)
    assert sorted(map(int, ids_of(await hunted(hunt)))) == list(range(1401, 2000))


# Ages of jobs that have not finished


@pytest.mark.parametrize("state", [JobState.WAITING, JobState.DELAYED, JobState.WAITING_CHILDREN])
async def test_ages_of_jobs_that_have_not_finished_count_from_when_they_were_added(
    client: redis.asyncio.Redis, state: JobState
) -> None:
    """As in BullMQ's own clean; a score, such as when a job is due, says nothing of its age."""
    hour = 3_600_000
    for place, name in enumerate(("new", "old")):
        await client.hset(QUEUE.job(name), mapping={"timestamp": START - place * hour})
        if state.is_list:
            await client.lpush(QUEUE.key(state.key), name)
        else:
            await client.zadd(QUEUE.key(state.key), {name: (START + hour) * 4096 + place})
    for expression, expected in (("age>30m", ["old"]), ("age<30m", ["new"]), ("age>2h", [])):
        wanted = parse_filter(expression, now=START + 1)
        hunt = Hunt(client, QUEUE, state, wanted, fields=("timestamp",), rate=0)
        assert ids_of(await hunted(hunt)) == expected
