"""What Redis refuses to say is unknown, and never taken for something that is not there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager

import pytest
from redis.asyncio import Redis
from redis.exceptions import NoPermissionError, ResponseError

from qtui.bullmq.flow.lineage import Name, read_lineage, read_nodes
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState
from qtui.bullmq.reads import lists
from qtui.bullmq.reads.job import Job, find_job, read_job
from qtui.bullmq.reads.reader import Reader
from qtui.bullmq.search.steps import read_fields
from qtui.demo.server import EmbeddedServer
from qtui.operations.flow_rerun.plan import Part, Start
from qtui.operations.supply.selection import query
from qtui.views.document import Pairs
from qtui.views.flow_rows import Line, node_in_full, node_state, node_words
from qtui.views.job_document import job_sections
from tests import servers
from tests.operations.flows import KIDS, carry_out, plan_of, raw_flow, rerun_of
from tests.seeds import QUEUE, START, raw_fields, raw_meta

LISTS = (JobState.WAITING, JobState.PAUSED, JobState.ACTIVE)


@pytest.fixture(scope="module")
def _no_lpos() -> Iterator[EmbeddedServer]:
    """Redis as before 6.0.6, or with the command renamed."""
    with servers.start("redis", ["--rename-command", "LPOS", ""]) as server:
        yield server


@pytest.fixture
async def old(_no_lpos: EmbeddedServer) -> AsyncIterator[Redis]:
    servers.flush(_no_lpos)
    async with servers.connect(_no_lpos) as client:
        with pytest.raises(ResponseError, match="unknown command"):
            await client.execute_command("LPOS", "a", "b")
        yield client


@asynccontextmanager
async def limited(
    client: Redis, *commands: str, keys: Sequence[str] = ("*",)
) -> AsyncIterator[Redis]:
    """The same server for a user who may not do everything."""
    await client.acl_setuser(
        "half", enabled=True, nopass=True, commands=["+@all", *commands], keys=list(keys)
    )
    path = client.connection_pool.connection_kwargs["path"]
    try:
        async with Redis(
            unix_socket_path=path, username="half", password="any", decode_responses=True
        ) as other:
            yield other
    finally:
        await client.acl_deluser("half")


async def raw_waiting(client: Redis, state: JobState, others: int = 3) -> None:
    """A job ``7`` among others in a list."""
    await raw_meta(client)
    await client.hset(QUEUE.job("7"), mapping=raw_fields())
    await client.rpush(QUEUE.key(state.key), *(f"o{at}" for at in range(others)), "7", "last")


def facts(job: Job) -> list[tuple[str, str]]:
    """What the document of a job says, label by label."""
    bodies = [section.body for section in job_sections(job, 0.0, roomy=True)]
    return [row for body in bodies if isinstance(body, Pairs) for row in body.rows]


async def state_shown(client: Redis) -> str:
    """What the document of the job says of its state."""
    job = await read_job(client, QUEUE, "7")
    assert job is not None
    return dict(facts(job))["state"]


@pytest.mark.parametrize("state", LISTS)
async def test_without_lpos_a_list_is_read(old: Redis, state: JobState) -> None:
    await raw_waiting(old, state)
    assert await state_shown(old) == state
    [node] = await read_nodes(old, [Name(QUEUE, "7")])
    assert (node.state, node.unclear) == (state, "")
    [(_, where)], refused = await find_job(old, [QUEUE], "7")
    assert (where.state, refused) == (state, [])
    # One that is in none is in none: every list was read.
    await old.lrem(QUEUE.key(state.key), 1, "7")
    assert await state_shown(old) == "none: its id is in no list and no set"


@pytest.mark.parametrize("state", LISTS)
async def test_a_list_too_long_to_be_read_leaves_the_state_unknown(
    old: Redis, state: JobState, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lists, "READ", 2)
    monkeypatch.setattr(lists, "_SLICE", 2)
    await raw_waiting(old, state, others=10)
    assert await state_shown(old) == state  # near an end it is found
    await old.rpush(QUEUE.key(state.key), "x", "y", "z")
    key = QUEUE.key(state.key)
    why = f"Redis refused LPOS on {key}, and its 15 members are too many to read"
    assert await state_shown(old) == f"unknown: {why}"
    [(_, where)], _ = await find_job(old, [QUEUE], "7")
    assert where.words == f"unknown: {why}"


@pytest.mark.parametrize("state", LISTS)
async def test_who_may_not_send_lpos_reads_the_list(any_client: Redis, state: JobState) -> None:
    await raw_waiting(any_client, state)
    async with limited(any_client, "-lpos") as client:
        assert await state_shown(client) == state
    async with limited(any_client, "-lpos", "-lrange") as client:
        shown = await state_shown(client)
    assert shown.startswith("unknown: Redis refused LPOS on bull:q:")
    assert QUEUE.key(state.key) in shown


async def test_a_search_by_id_names_the_queues_it_could_not_read(any_client: Redis) -> None:
    await raw_waiting(any_client, JobState.WAITING)
    shut = QueueKey.of("bull", "shut")
    await any_client.hset(shut.job("7"), mapping=raw_fields())
    async with limited(any_client, keys=["bull:q:*"]) as client:
        [(queue, where)], refused = await find_job(client, [QUEUE, shut], "7")
        assert (queue, where.state, refused) == (QUEUE, JobState.WAITING, [shut])
    async with limited(any_client, "-zscore") as client:
        places, _ = await find_job(client, [QUEUE, shut], "7")
        assert [where.state for _, where in places] == [None, None]
        assert all("zscore" in where.unknown for _, where in places)


@pytest.mark.parametrize("command", ["zscore", "exists", "hkeys", "hmget", "hstrlen"])
async def test_a_job_is_not_shown_by_halves(any_client: Redis, command: str) -> None:
    await raw_waiting(any_client, JobState.WAITING)
    async with limited(any_client, f"-{command}") as client:
        with pytest.raises(NoPermissionError):
            await read_job(client, QUEUE, "7")


@pytest.mark.parametrize(
    ("command", "name"),
    [("get", "lock"), ("llen", "logs"), ("lrange", "logs"), ("scard", "dependencies")],
)
async def test_what_is_beside_a_job_is_unknown_where_it_is_refused(
    any_client: Redis, command: str, name: str
) -> None:
    await raw_waiting(any_client, JobState.WAITING)
    await any_client.rpush(QUEUE.job("7", "logs"), "line")
    async with limited(any_client, f"-{command}") as client:
        job = await read_job(client, QUEUE, "7", near=JobState.WAITING)
    assert job is not None
    key = QUEUE.job("7", name)
    assert job.unread == {name: f"Redis refused {command.upper()} on {key}"}
    assert (name, f"unknown: {job.unread[name]}") in facts(job)


async def test_an_unknown_size_is_no_empty_result(any_client: Redis) -> None:
    await raw_meta(any_client)
    await any_client.hset(QUEUE.job("1"), mapping={**raw_fields(), "returnvalue": '"x"'})
    await any_client.zadd(QUEUE.key("completed"), {"1": START})
    async with limited(any_client, "-hstrlen") as client:
        [row] = (await Reader(client).page(QUEUE, JobState.COMPLETED, 0, 9)).rows
    assert row.garbled == ("returnvalue",)
    [row] = (await Reader(any_client).page(QUEUE, JobState.COMPLETED, 0, 9)).rows
    assert (row.returnvalue, row.garbled) == ('"x"', ())


async def test_a_page_without_fields_is_refused(any_client: Redis) -> None:
    await raw_meta(any_client)
    await any_client.hset(QUEUE.job("1"), mapping=raw_fields())
    await any_client.zadd(QUEUE.key("failed"), {"1": START})
    async with limited(any_client, "-hmget", "-sort_ro") as client:
        with pytest.raises(NoPermissionError):
            await Reader(client).page(QUEUE, JobState.FAILED, 0, 9)
        with pytest.raises(NoPermissionError):
            await read_fields(client, QUEUE, ["1"], ["name"])


async def test_a_retry_of_a_state_of_another_type_is_refused(any_client: Redis) -> None:
    await raw_meta(any_client)
    await any_client.set(QUEUE.key("failed"), "junk")
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        await query(any_client, QUEUE, JobState.FAILED)


# Flows ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["dependencies", "processed", "failed", "unsuccessful"])
async def test_a_family_key_of_another_type_is_reported_and_no_rerun_is_made(
    any_client: Redis, suffix: str
) -> None:
    await raw_flow(any_client, 2)
    key = QUEUE.job("p", suffix)
    await any_client.delete(key)
    await any_client.set(key, "junk")
    why = f"{key} holds another type of key"
    [node] = await read_nodes(any_client, [Name(QUEUE, "p")])
    assert (node.unread, node.unclear) == ((why,), why)
    for start in Start:
        assert (await plan_of(any_client, start=start)).refusal == why
    # Nothing is said of how it keeps a child that may well be in there.
    lineage = await read_lineage(any_client, KIDS, "c0")
    child = Line(lineage.job, "└─ ", parent=lineage.root)
    kept = "how its parent keeps it is unknown" if suffix == "unsuccessful" else "kept as"
    assert kept in node_in_full(child)[1]
    assert "removed from its parent" not in "".join([*node_in_full(child), *node_words(child)])


async def test_a_child_in_an_unreadable_place_is_no_reason_to_call_it_nowhere(
    old: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    await raw_flow(old, 2)
    await old.zrem(KIDS.key("failed"), "c1")
    await old.rpush(KIDS.key("wait"), "c1")
    # With a list that can be read it waits, and the rerun from failure works.
    plan = await plan_of(old)
    assert [(step.node.id, step.part) for step in plan.steps if step.node.id == "c1"] == [
        ("c1", Part.UNDER_WAY)
    ]
    assert set((await carry_out(rerun_of(old, plan))).values()) == {1}
    # Without, it is unknown where it is.
    monkeypatch.setattr(lists, "READ", 0)
    why = (
        " is unknown: Redis refused LPOS on bull:kids:wait, and its 2 members are too many to read"
    )
    plan = await plan_of(old, start=Start.START)
    assert plan.refusal.removeprefix("the state of bull:kids:c")[1:] == why
    [node] = await read_nodes(old, [Name(KIDS, "c1")])
    assert node_state(node)[0] == "unknown"
    assert node_words(Line(node, ""))[0] == f"the state of bull:kids:c1{why}"


async def test_without_lpos_a_parent_that_waits_to_be_failed_is_saved(old: Redis) -> None:
    await raw_flow(old, 1)
    await old.zrem(QUEUE.key("failed"), "p")
    await old.hset(QUEUE.job("p"), "defa", "child failed")
    await old.rpush(QUEUE.key("wait"), "1", "p", "2")
    plan = await plan_of(old)
    assert set((await carry_out(rerun_of(old, plan))).values()) == {1}
    assert await old.lrange(QUEUE.key("wait"), 0, -1) == ["1", "2"]
    assert await old.zrange(QUEUE.key("waiting-children"), 0, -1) == ["p"]
