"""One job, everything of it."""

from __future__ import annotations

import json

import pytest
from bullmq import FlowProducer, Job
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis
from redis.exceptions import NoPermissionError

from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import LIST_FIELDS, JobState
from qtui.bullmq.reads.job import (
    FIELD_UNASKED,
    LOG_WINDOW,
    MOST_FIELDS,
    Children,
    Field,
    WrongType,
    parent_of,
    read_job,
    read_logs,
)
from qtui.bullmq.reads.job import Job as JobOfOurs
from qtui.demo.server import EmbeddedServer
from tests.seeds import QUEUE, START, Fields, job, raw_failed, raw_fields, raw_meta, real_queue
from tests.wires import counted


async def test_a_real_job_that_failed(any_server: EmbeddedServer, any_client: Redis) -> None:
    async with real_queue(any_server) as real:
        data = {"error": "boom\nand more", "名": [1, 2.5, None]}
        [job_id] = await real.add(job("charge", data=data, attempts=2, priority=3))
        await any_client.rpush(QUEUE.job(job_id, "logs"), "one", "two")
        await real.work(2)
    found = await read_job(any_client, QUEUE, job_id)
    assert found is not None
    assert (found.id, found.queue, found.state) == (job_id, QUEUE, JobState.FAILED)
    assert json.loads(found.text("data") or "") == data
    assert (found.row.name, found.row.failed_reason) == ("charge", "boom\nand more")
    assert (found.row.attempts_made, found.row.attempts, found.row.exhausted) == (2, 2, True)
    assert found.row.priority == 3
    assert found.score == found.row.finished_on
    assert found.logs == ("one", "two")
    assert found.log_lines == 2
    assert "RuntimeError: boom" in (found.text("stacktrace") or "")
    assert (found.parent, found.lock, found.lock_ttl, found.more_fields) == (None, None, None, 0)
    assert found.children == Children()


async def test_a_real_job_while_it_runs(server: EmbeddedServer, client: Redis) -> None:
    seen: list[JobOfOurs | None] = []

    async def look(one: Job, _token: str) -> None:
        seen.append(await read_job(client, QUEUE, one.id))

    async with real_queue(server) as real:
        await real.add(job())
        async with real.worker(processor=look) as ended:
            await ended(1)
    [found] = seen
    assert found is not None
    assert found.state is JobState.ACTIVE
    assert found.lock
    assert found.lock_ttl is not None
    assert 0 < found.lock_ttl <= 30_000


async def test_a_real_flow_up_and_down(server: EmbeddedServer, client: Redis) -> None:
    flow = FlowProducer(server.url)
    children = [
        {
            "name": "c",
            "queueName": "kids",
            "data": {"error": error},
            "opts": {"failParentOnFailure": False},
        }
        for error in ("", "boom", "")
    ]
    tree = await flow.add({"name": "p", "queueName": "q", "data": {}, "children": children})
    await flow.close()
    parent_id, kids = tree["job"].id, QueueKey.of("bull", "kids")
    async with real_queue(server, kids) as real:
        await real.work(3)
        by_outcome = dict(zip(real.ran, ("", "boom", ""), strict=True))
    parent = await read_job(client, QUEUE, parent_id)
    assert parent is not None
    assert parent.state is JobState.WAITING_CHILDREN
    assert (parent.children.pending, parent.children.processed) == (1, 2)
    assert parent.children.total == 3
    for child_id in by_outcome:
        child = await read_job(client, kids, child_id)
        assert child is not None
        assert child.parent == ("bull:q", parent_id)


async def test_children_that_failed_are_kept_apart(client: Redis) -> None:
    await raw_failed(client, ["1"])
    await client.sadd(QUEUE.job("1", "dependencies"), "a", "b", "c")
    await client.hset(QUEUE.job("1", "processed"), mapping={"d": "1", "e": "2"})
    await client.hset(QUEUE.job("1", "failed"), mapping={"f": "boom"})
    await client.zadd(QUEUE.job("1", "unsuccessful"), {"g": 1, "h": 2, "i": 3, "j": 4})
    found = await read_job(client, QUEUE, "1")
    assert found is not None
    assert found.children == Children(pending=3, processed=2, ignored=1, unsuccessful=4)


@pytest.mark.parametrize("state", list(JobState))
async def test_a_job_is_found_in_every_state(any_client: Redis, state: JobState) -> None:
    await raw_meta(any_client)
    await any_client.hset(QUEUE.job("7"), mapping=raw_fields())
    found = await read_job(any_client, QUEUE, "7")
    assert found is not None
    assert (found.state, found.score) == (None, None)
    key = QUEUE.key(state.key)
    if state.is_list:
        await any_client.rpush(key, "6", "7")
    else:
        await any_client.zadd(key, {"6": 1, "7": 5})
    found = await read_job(any_client, QUEUE, "7")
    assert found is not None
    assert (found.state, found.score) == (state, None if state.is_list else 5)


@pytest.mark.parametrize("job_id", ["nope", "", "a:b", "\udcff", "*"])
async def test_there_is_no_such_job(client: Redis, job_id: str) -> None:
    await raw_failed(client, ["1"])
    await client.zadd(QUEUE.key("failed"), {"nope": 1})
    assert await read_job(client, QUEUE, job_id) is None


@pytest.mark.parametrize("suffix", ["failed", "wait", "events"])
async def test_what_is_no_hash_is_no_job(client: Redis, suffix: str) -> None:
    await raw_failed(client, ["1"])
    await client.rpush(QUEUE.key("wait"), "1")
    await client.xadd(QUEUE.key("events"), {"event": "x"})
    with pytest.raises(WrongType, match=rf"bull:q:{suffix} holds a (zset|list|stream), not a job"):
        await read_job(client, QUEUE, suffix)


async def test_a_refusal_is_no_wrong_type(client: Redis) -> None:
    await raw_failed(client, ["1"])
    await client.acl_setuser(
        "stranger", enabled=True, nopass=True, categories=["+@read"], keys=["other:*"]
    )
    path = client.connection_pool.connection_kwargs["path"]
    try:
        async with Redis(
            unix_socket_path=path, username="stranger", password="any", decode_responses=True
        ) as stranger:
            with pytest.raises(NoPermissionError):
                await read_job(stranger, QUEUE, "1")
    finally:
        await client.acl_deluser("stranger")


@pytest.mark.parametrize(
    "suffix",
    ["lock", "logs", "dependencies", "processed", "failed", "unsuccessful"],
)
async def test_keys_beside_a_job_of_a_wrong_type_do_no_harm(client: Redis, suffix: str) -> None:
    await raw_failed(client, ["1"])
    await client.pfadd(QUEUE.job("1", suffix), "junk")
    if suffix == "lock":
        await client.delete(QUEUE.job("1", "lock"))
        await client.sadd(QUEUE.job("1", "lock"), "junk")
    found = await read_job(client, QUEUE, "1")
    assert found is not None
    assert (found.state, found.lock, found.logs, found.children) == (
        JobState.FAILED,
        None,
        (),
        Children(),
    )


async def test_long_fields_are_read_on_request_only(client: Redis) -> None:
    await raw_failed(client, ["1"])
    long = "x" * (FIELD_UNASKED + 1)
    await client.hset(QUEUE.job("1"), mapping={"data": long, "failedReason": long, "name": "n"})
    found = await read_job(client, QUEUE, "1")
    assert found is not None
    assert found.fields["data"] == Field(FIELD_UNASKED + 1, None)
    assert found.text("data") is None
    assert found.row.failed_reason is None
    found = await read_job(client, QUEUE, "1", load=["data"])
    assert found is not None
    assert found.fields["data"] == Field(FIELD_UNASKED + 1, long)
    assert found.fields["failedReason"].text is None


async def test_many_fields_are_not_all_looked_at(server: EmbeddedServer, client: Redis) -> None:
    await raw_failed(client, ["1"])
    await client.hset(QUEUE.job("1"), mapping={f"junk{n}": "x" for n in range(10_000)})
    async with counted(server) as (counting, trips):
        found = await read_job(counting, QUEUE, "1")
        assert trips.count <= 5
    assert found is not None
    assert len(found.fields) <= MOST_FIELDS
    assert found.row.name == "charge"
    assert len(found.fields) + found.more_fields == 10_000 + len(raw_fields())


async def test_fields_that_bullmq_does_not_know_are_there_too(client: Redis) -> None:
    await raw_failed(client, ["1"])
    await client.hset(QUEUE.job("1"), mapping={b"\xff\xfe": b"\xfd", "": "nameless"})
    found = await read_job(client, QUEUE, "1")
    assert found is not None
    assert found.text("\udcff\udcfe") == "\udcfd"
    assert found.text("") == "nameless"
    assert found.text("nope") is None


async def test_of_long_logs_the_newest_lines_are_read(client: Redis) -> None:
    await raw_failed(client, ["1"])
    lines = [f"line {number}" for number in range(LOG_WINDOW + 300)]
    await client.rpush(QUEUE.job("1", "logs"), *lines)
    found = await read_job(client, QUEUE, "1")
    assert found is not None
    assert list(found.logs) == lines[-LOG_WINDOW:]
    assert found.log_lines == len(lines)
    whole = await read_job(client, QUEUE, "1", load=["logs"])
    assert whole is not None
    assert list(whole.logs) == lines
    assert await read_logs(client, QUEUE, "1", 10, 12) == lines[10:13]
    assert await read_logs(client, QUEUE, "none", 0, -1) == []


@pytest.mark.parametrize(
    ("parent_key", "parent", "found"),
    [
        ("", None, None),
        ("bull:orders:1", None, ("bull:orders", "1")),
        # The JSON parts them rightly where colons in ids make the key ambiguous.
        ("bull:a:b:1:2", '{"id":"1:2","queueKey":"bull:a:b"}', ("bull:a:b", "1:2")),
        ("bull:orders:1", "junk", ("bull:orders", "1")),
        ("bull:orders:1", '{"id":5,"queueKey":"bull:orders"}', ("bull:orders", "1")),
        ("bull:orders:1", '{"id":"1","queueKey":""}', ("bull:orders", "1")),
        ("junk", None, None),
        (":1", None, None),
    ],
)
def test_the_parent(parent_key: str, parent: str | None, found: tuple[str, str] | None) -> None:
    assert parent_of(parent_key, parent) == found


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    garbage=st.dictionaries(
        st.sampled_from([*LIST_FIELDS, "data", "returnvalue", "stacktrace", "progress", "parent"])
        | st.binary(max_size=10).map(lambda raw: raw.decode("utf-8", "surrogateescape")),
        st.binary(max_size=50),
        min_size=1,
    )
)
async def test_any_bytes_in_any_field_are_read(client: Redis, garbage: dict[str, bytes]) -> None:
    await client.delete(QUEUE.job("1"))
    fields: Fields = {}
    fields.update(garbage)
    await client.hset(QUEUE.job("1"), mapping=fields)
    found = await read_job(client, QUEUE, "1")
    assert found is not None
    texts = {name: field.text for name, field in found.fields.items()}
    assert texts == {
        name: value.decode("utf-8", "surrogateescape") for name, value in garbage.items()
    }


@pytest.mark.parametrize(
    "job_id", ["a:b:c", "meta", "failed", "wait", "\udcff\udcfe", "名", "a*b?[c]"]
)
async def test_jobs_of_any_id(any_client: Redis, job_id: str) -> None:
    queue = QueueKey.of("bull", "ids")
    await any_client.hset(queue.job(job_id), mapping=raw_fields())
    if job_id not in ("failed", "wait"):
        await any_client.zadd(queue.key("failed"), {job_id: START})
    found = await read_job(any_client, queue, job_id)
    assert found is not None
    assert (found.id, found.row.name) == (job_id, "charge")
    assert found.state is (None if job_id in ("failed", "wait") else JobState.FAILED)
