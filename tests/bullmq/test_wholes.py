"""Whole jobs: read alike by commands and by the script, and found wherever in a list they are."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence

import pytest
import redis
import redis.asyncio
from hypothesis import given, settings

from qtui.bullmq.connection.arrival import BEARABLE
from qtui.bullmq.connection.client import Client, parse_target
from qtui.bullmq.connection.client import connect as connect_ours
from qtui.bullmq.model import JobState
from qtui.bullmq.reads.scripted.list_places import WINDOW, ListPlace, ListPlaces
from qtui.bullmq.reads.scripted.whole import Unread, Whole
from qtui.bullmq.reads.scripted.wholes import STEP, Wholes
from qtui.bullmq.writers.batch import Picked
from qtui.bullmq.writers.remove import RemoveWriter
from qtui.demo.server import EmbeddedServer
from tests.bullmq.keyspaces import QUEUE, Job, Keyspace, keyspaces
from tests.servers import Servers, connect

LIST = QUEUE.key("wait")


async def _read(client: redis.asyncio.Redis, state: JobState | None, ids: Sequence[str]) -> object:
    """The jobs, without their scores, which are read only where their states are looked for."""
    jobs = await Wholes(client, QUEUE, state).first_of(ids)
    assert len(jobs) == len(ids)
    return [_comparable(one) if isinstance(one, Whole) else one for one in jobs]


def _comparable(job: Whole) -> Whole:
    rest = {name: part for name, part in job.rest.items() if name != "held"}  # a time, to the ms
    return job._replace(score="", rest=rest)


@settings(max_examples=60)
@given(keyspaces())
def test_the_script_and_the_commands_read_the_same(servers: Servers, keys: Keyspace) -> None:
    server = servers.empty("redis")

    async def both() -> None:
        with redis.Redis.from_url(server.url) as plain:
            keys.write(plain)
        async with connect(server) as client:
            for state in {keys.state(job) for job in keys.jobs}:
                ids = [job.id for job in keys.jobs if keys.state(job) is state]
                # Of jobs of a list that are read together, each is where it is when it leaves.
                for some in [[one] for one in ids] if state.is_list else [ids]:
                    assert await _read(client, state, some) == await _read(client, None, some)

    asyncio.run(both())


@pytest.fixture
async def ours(server: EmbeddedServer) -> AsyncIterator[Client]:
    """A connection that counts what comes."""
    client = connect_ours(parse_target(server.url), read_only=False)
    yield client
    await client.aclose()


async def test_large_jobs_are_read_a_few_at_a_time_and_all_of_them(
    ours: Client, plain: redis.Redis
) -> None:
    names = [str(number) for number in range(5 * STEP)]
    Keyspace(tuple(Job(one, JobState.FAILED) for one in names)).write(plain)
    for name in names[STEP : STEP + 40]:
        plain.hset(QUEUE.job(name), "data", "x" * 400_000)
    reader, left, sizes = Wholes(ours, QUEUE, JobState.FAILED), names, []
    while left:
        some = await reader.first_of(left)
        assert not any(isinstance(one, Unread) for one in some)
        sizes.append(len(some))
        left = left[len(some) :]
    assert min(sizes) < 10
    assert max(sizes) == STEP


async def test_one_that_is_too_large_hides_no_other(ours: Client, plain: redis.Redis) -> None:
    names = [str(number) for number in range(60)]
    Keyspace(tuple(Job(one, JobState.FAILED) for one in names)).write(plain)
    plain.hset(QUEUE.job("30"), "data", "x" * (BEARABLE + 1))
    reader, left = Wholes(ours, QUEUE, JobState.FAILED), names
    unread = []
    while left:
        some = await reader.first_of(left)
        unread += [job for job, one in zip(left, some, strict=False) if isinstance(one, Unread)]
        left = left[len(some) :]
    assert unread == ["30"]


@pytest.fixture
def long_list(plain: redis.Redis) -> list[str]:
    """The ids of a list of several windows, from its tail on."""
    names = [f"job-{number}" for number in range(3 * WINDOW + 7)]
    plain.lpush(LIST, *names)
    return names


async def test_places_are_found_in_any_order_with_their_neighbours(
    client: redis.asyncio.Redis, long_list: list[str]
) -> None:
    edges = [0, 1, WINDOW - 1, WINDOW, WINDOW + 1, 2 * WINDOW, len(long_list) - 1]
    wanted = [long_list[place] for place in edges]
    wanted += random.Random(7).sample(long_list[2:-1], 50)
    places = ListPlaces(client, LIST)
    for ids in (wanted, wanted[::-1], ["not there", *wanted[:3]]):
        assert await places.of(ids) == {
            one: ListPlace(
                at,
                long_list[at - 1] if at else None,
                long_list[at + 1] if at + 1 < len(long_list) else None,
            )
            for at, one in enumerate(long_list)
            if one in ids
        }


async def test_no_job_slips_through_while_others_leave(
    client: redis.asyncio.Redis, long_list: list[str]
) -> None:
    places, wanted = ListPlaces(client, LIST), long_list[WINDOW + 500 :: 3]

    async def leave() -> None:
        for _ in range(WINDOW + 400):
            await client.rpop(LIST)

    leaving = asyncio.ensure_future(leave())
    for first in range(0, len(wanted), 40):
        ids = wanted[first : first + 40]
        assert (await places.of(ids)).keys() == set(ids)
    await leaving


@pytest.mark.parametrize("gone", [0, 1, 400, 2 * WINDOW])
@pytest.mark.parametrize("step", [1, 11, 300])
async def test_jobs_of_a_list_go_although_others_have_left_or_come_since_their_places_were_read(
    client: redis.asyncio.Redis, plain: redis.Redis, long_list: list[str], gone: int, step: int
) -> None:
    plain.hset(QUEUE.key("meta"), "version", "bullmq:5.81.5")
    ids = long_list[gone::step][:150]
    read = await ListPlaces(client, LIST).of(ids)
    if gone:
        plain.ltrim(LIST, 0, -gone - 1)
    plain.linsert(LIST, "BEFORE", ids[len(ids) // 2], "new")
    plain.rpush(LIST, "next")
    batch = await RemoveWriter(client).remove(
        QUEUE,
        JobState.WAITING,
        [Picked(one) for one in ids],
        places=[read[one].from_tail for one in ids],
    )
    assert {(int(one.code), one.target) for one in batch.results} == {(1, "cleared")}
    left = plain.lrange(LIST, 0, -1)[::-1]
    away = set(ids)
    assert [one for one in left if one not in ("new", "next")] == [
        one for one in long_list[gone:] if one not in away
    ]
    assert left[0] == "next"
    assert left.count("new") == 1


async def test_the_time_of_a_call_is_that_of_its_jobs_not_of_the_pass_through_the_list(
    client: redis.asyncio.Redis, plain: redis.Redis
) -> None:
    """So that a campaign does not send fewer and fewer jobs, and passes the list for each."""
    plain.hset(QUEUE.key("meta"), "version", "bullmq:5.81.5")
    names = [f"job-{number}" for number in range(400_000)]
    for first in range(0, len(names), 50_000):
        plain.lpush(LIST, *names[first : first + 50_000])
    writer, jobs, passes = RemoveWriter(client), [], []
    for place in (200_000, 199_000, 198_000):
        plain.config_resetstat()
        picked = [Picked(names[place]), Picked(names[place + 2])]
        batch = await writer.remove(QUEUE, JobState.WAITING, picked, places=[place, place + 2])
        assert all(one.done for one in batch.results)
        jobs.append(batch.seconds)
        passes.append(plain.info("commandstats")["cmdstat_lrem"]["usec"] / 1e6)
    assert min(jobs) < min(passes)
