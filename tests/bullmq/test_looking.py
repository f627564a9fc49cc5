"""Looking never writes, and needs no right to."""

from __future__ import annotations

import pytest
from bullmq import FlowProducer
from redis.asyncio import Redis

from qtui.bullmq.connection.client import Client, connect, parse_target
from qtui.bullmq.filter import parse_filter
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState
from qtui.bullmq.reads.events.stream import wait_for_events
from qtui.bullmq.reads.job import find_job, read_job, read_logs
from qtui.bullmq.reads.queues.discovery import discover
from qtui.bullmq.reads.queues.timeline import TimeWindow, read_timeline
from qtui.bullmq.reads.queues.workers import read_workers
from qtui.bullmq.reads.reader import Reader
from qtui.bullmq.reads.status import read_status
from qtui.bullmq.search.hunt import Hunt
from qtui.demo.server import EmbeddedServer
from qtui.operations.following.follower import Follower
from qtui.operations.planning.plan import make_plan
from qtui.operations.supply.selection import chosen
from qtui.views.errors.groups import GROUP_FIELDS, ErrorGroups, group_errors
from qtui.views.lists.board import Board
from qtui.views.queues.poll import Poll
from tests.seeds import QUEUE, START, job, raw_failed, raw_list, real_queue
from tests.servers import KINDS, start, way
from tests.servers import connect as connect_to

OLD = QueueKey.of("bull", "old")


async def populate(server: EmbeddedServer, client: Redis) -> None:
    """A real queue with jobs in most states, and one of 4.x with markers and orphans."""
    async with real_queue(server) as real:
        await real.add(*(job(error="boom", attempts=1) for _ in range(5)), job(), job())
        await real.work(7)
        flow = FlowProducer(server.url)
        child = {"name": "c", "queueName": "kids", "data": {}}
        await flow.add({"name": "p", "queueName": "q", "data": {}, "children": [child]})
        await flow.close()
        await real.add(job(delay=3_600_000), job(priority=2), job(), job())
        await real.queue.pause()
    await raw_failed(client, map(str, range(1, 30)), OLD)
    await client.delete(OLD.job("7"))
    await raw_list(client, "wait", ["0:1", "31", "32", "0:0"], OLD)
    await client.rpush(OLD.job("31", "logs"), "line")


async def look_at_everything(client: Client) -> None:
    """Calls every function that reads."""
    queues = [queue async for some in discover(client, ["bull"]) for queue in some]
    assert len(queues) == 3
    statuses = await read_status(client, queues)
    assert sum(status.failed for status in statuses) == 34
    await read_workers(client, queues)
    await wait_for_events(client, queues, 1)
    reader = Reader(client)
    for queue in queues:
        await reader.evidence(queue)
        for state in JobState:
            page = await reader.page(queue, state, 0, 50)
            ids = [row.id for row in page.rows]
            assert ids == await reader.ids(queue, state, 0, 50)
            await reader.rows(queue, state, ids)
            await reader.whereabouts(queue, ids)
            for job_id in ids[:3]:
                await reader.rank(queue, state, job_id)
                await read_job(client, queue, job_id, load=["data", "logs"])
                await read_logs(client, queue, job_id, 0, -1)
            if state.is_finished:
                await make_plan(client, chosen(queue, state, [*ids, "nope"]))


async def look_as_the_screen_does(client: Client) -> None:
    """Polls, and walks through lists as a person would."""
    poll = Poll(client, ["bull"], [], 2.0)
    async for _ in poll.search():
        await poll.look()
    await poll.look()
    board = Board(client)
    for status in poll.worst_first():
        for state in JobState:
            jobs = board.look_at(status.queue, state)
            assert jobs is not None
            await jobs.refresh(0, 20, None)
            await jobs.load(0, 20)
            await board.all_ids()
            await search(client, board, status.queue, state)


async def search(client: Client, board: Board, queue: QueueKey, state: JobState) -> None:
    """Finds, groups and counts in a list as a person would."""
    board.look_for(parse_filter("id:1 | error:re:o attempts>=0 | group:boom"))
    assert board.found is not None
    async for _ in board.found.search():
        await board.found.load(0, 20)
    await board.found.refresh(0, 20, None)
    board.look_for(None)
    hunt = Hunt(client, queue, state, fields=GROUP_FIELDS)
    async for _ in group_errors(hunt, queue, ErrorGroups()):
        pass
    await find_job(client, [queue], "1")
    if state.is_finished:
        await make_plan(client, await board.everything())
        for window in TimeWindow:
            await read_timeline(client, queue, state, window, 60, now=START)
        follower = Follower(client, queue, state)
        await follower.begin()
        await follower.look()


async def commands(client: Redis) -> set[str]:
    """The commands that the server has run since its statistics were reset."""
    return {name.removeprefix("cmdstat_") for name in await client.info("commandstats")}


async def writes_among(client: Redis, names: set[str]) -> set[str]:
    known = await client.execute_command("COMMAND", "INFO", *(one.split("|")[0] for one in names))
    found = known.values() if isinstance(known, dict) else known
    return {str(one["name"]) for one in found if one and "write" in one["flags"]}


async def encodings(client: Redis) -> dict[str, str]:
    """How the server keeps each key in memory."""
    keys = sorted([str(key) async for key in client.scan_iter("*")])
    return {key: str(await client.object("ENCODING", key)) for key in keys}


@pytest.mark.parametrize("kind", KINDS)
async def test_looking_leaves_each_key_as_compact_as_it_was(kind: str) -> None:
    """SORT_RO turns a small sorted set into a skiplist for good, at ten times the memory."""
    with start(kind, ("--zset-max-listpack-entries", "128")) as server:
        async with connect_to(server) as client:
            await populate(server, client)
            await raw_failed(client, map(str, range(100, 400)), OLD, state="completed")
            before = await encodings(client)
            sets = [before[OLD.key(state)] for state in ("failed", "completed")]
            assert sets == ["listpack", "skiplist"]
            size = await client.memory_usage(OLD.key("failed"), samples=0)
            for read_only, sort_ro in ((True, True), (False, True), (True, False)):
                await way(client, sort_ro=sort_ro)
                ours = connect(parse_target(server.url), read_only=read_only)
                try:
                    await look_at_everything(ours)
                    await look_as_the_screen_does(ours)
                finally:
                    await ours.aclose()
            assert await encodings(client) == before
            assert await client.memory_usage(OLD.key("failed"), samples=0) == size
            assert "sort_ro" in await commands(client)


async def test_a_user_who_may_not_see_encodings_leaves_small_sets_alone(
    any_server: EmbeddedServer, any_client: Redis
) -> None:
    await any_client.config_set("zset-max-listpack-entries", 128)
    try:
        await raw_failed(any_client, map(str, range(100)))
        await any_client.acl_setuser(
            "blind",
            enabled=True,
            passwords=["+secret"],
            categories=["+@read"],
            commands=["-object"],
            keys=["*"],
        )
        url = any_server.url.replace("unix://", "unix://blind:secret@")
        ours = connect(parse_target(url), read_only=True)
        assert len((await Reader(ours).page(QUEUE, JobState.FAILED, 0, 50)).rows) == 50
        hunt = Hunt(ours, QUEUE, JobState.FAILED, fields=GROUP_FIELDS)
        async for _ in group_errors(hunt, QUEUE, ErrorGroups()):
            pass
        await ours.aclose()
        assert await any_client.object("ENCODING", QUEUE.key("failed")) == "listpack"
    finally:
        await any_client.config_set("zset-max-listpack-entries", 0)
        await any_client.acl_deluser("blind")


@pytest.mark.parametrize("sort_ro", [True, False], ids=["sort", "range"])
@pytest.mark.parametrize("read_only", [True, False], ids=["read-only", "normal"])
async def test_looking_changes_nothing(
    any_server: EmbeddedServer, any_client: Redis, read_only: bool, sort_ro: bool
) -> None:
    await populate(any_server, any_client)
    assert {"hset", "zadd"} <= await writes_among(any_client, await commands(any_client))
    digest = await any_client.execute_command("DEBUG", "DIGEST")
    await way(any_client, sort_ro=sort_ro)
    await any_client.config_resetstat()
    ours = connect(parse_target(any_server.url), read_only=read_only)
    try:
        await look_at_everything(ours)
        await look_as_the_screen_does(ours)
    finally:
        await ours.aclose()
    ran = await commands(any_client)
    assert {"sort_ro", "hmget", "scan", "zrevrange"} <= ran
    assert not ran & {"eval", "evalsha", "script|load", "fcall"}
    assert await writes_among(any_client, ran) == set()
    assert await any_client.execute_command("DEBUG", "DIGEST") == digest


async def test_a_user_who_may_only_read_sees_it_all(
    any_server: EmbeddedServer, any_client: Redis
) -> None:
    await populate(any_server, any_client)
    await any_client.acl_setuser(
        "watcher",
        enabled=True,
        passwords=["+secret"],
        categories=["+@read"],
        commands=["+ping", "+info", "+client|list"],
        keys=["bull:*"],
    )
    url = any_server.url.replace("unix://", "unix://watcher:secret@")
    ours = connect(parse_target(url), read_only=True)
    try:
        await look_at_everything(ours)
        await look_as_the_screen_does(ours)
        assert await read_workers(ours, [OLD]) == {OLD: 0}
    finally:
        await ours.aclose()
        await any_client.acl_deluser("watcher")
