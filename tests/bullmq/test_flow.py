"""Flows are read up to the root and down page by page, for any content of the keys."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
from bullmq import FlowProducer
from redis.asyncio import Redis

from qtui.bullmq.connection.client import connect, parse_target
from qtui.bullmq.flow import family as family_module
from qtui.bullmq.flow.family import Family, Queues, read_families
from qtui.bullmq.flow.lineage import Name, Node, OnFailure, Record, read_lineage, read_nodes
from qtui.bullmq.flow.tree import FlowTooLarge, read_tree
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState
from qtui.bullmq.reads import lists as lists_module
from qtui.demo.server import EmbeddedServer
from tests.seeds import QUEUE, START, Fields, raw_meta
from tests.wires import counted

KIDS = QueueKey.of("bull", "kids")


async def raw_job(client: Redis, queue: QueueKey, job_id: str, **fields: str) -> None:
    hashed: Fields = {"name": "n", "timestamp": START, "data": "{}", "opts": "{}"}
    hashed.update(fields)
    await client.hset(queue.job(job_id), mapping=hashed)


async def raw_family(client: Redis, children: int, record: Record, value: str = "1") -> None:
    """A parent in waiting-children, and children that are kept in one way."""
    for queue in (QUEUE, KIDS):
        await raw_meta(client, queue)
    await raw_job(client, QUEUE, "p")
    await client.zadd(QUEUE.key("waiting-children"), {"p": START})
    key = QUEUE.job("p", record)
    pipe = client.pipeline(transaction=False)
    for at in range(children):
        child = KIDS.job(str(at))
        parent = json.dumps({"id": "p", "queueKey": QUEUE.base})
        if at < 500 or children - at < 500:  # of ten thousand, those that a test looks at
            pipe.hset(child, mapping={"name": "kid", "timestamp": START, "parent": parent})
            pipe.zadd(KIDS.key("completed"), {str(at): START + at})
        match record:
            case Record.PENDING:
                pipe.sadd(key, child)
            case Record.UNSUCCESSFUL:
                pipe.zadd(key, {child: at})
            case _:
                pipe.hset(key, child, value)
    await pipe.execute()


async def parent_of(client: Redis, job_id: str = "p") -> Node:
    [node] = await read_nodes(client, [Name(QUEUE, job_id)])
    return node


async def all_pages(family: Family, size: int) -> list[Node]:
    found: list[Node] = []
    while page := await family.page(len(found), size):
        found += page
    return found


async def test_a_flow_of_the_real_bullmq_is_read_from_any_of_its_jobs(
    server: EmbeddedServer, client: Redis
) -> None:
    producer = FlowProducer(server.url, {"prefix": "bull"})
    leaf = {"name": "leaf", "queueName": "c", "data": {}, "opts": {"jobId": "l", "attempts": 3}}
    middle = {
        "name": "mid",
        "queueName": "b",
        "data": {},
        "opts": {"jobId": "m", "failParentOnFailure": True},
        "children": [leaf],
    }
    root = {"name": "root", "queueName": "a", "data": {}, "opts": {"jobId": "r"}}
    await producer.add({**root, "children": [middle]})
    await producer.close()
    lineage = await read_lineage(client, QueueKey.of("bull", "c"), "l")
    assert [node.key for node in lineage.nodes] == ["bull:a:r", "bull:b:m", "bull:c:l"]
    assert [node.state for node in lineage.nodes] == [
        JobState.WAITING_CHILDREN,
        JobState.WAITING_CHILDREN,
        JobState.WAITING,
    ]
    assert [node.name.record for node in lineage.nodes] == [None, Record.PENDING, Record.PENDING]
    assert lineage.nodes[1].on_failure is OnFailure.FAIL
    assert lineage.job.row.attempts == 3
    assert lineage.root.waits_for == 1
    assert lineage.note == ""
    [child] = await Family(client, lineage.root, Queues(client)).page(0, 10)
    assert (child.key, child.queue.name) == ("bull:b:m", "b")


async def test_ten_thousand_children_open_at_once_and_come_in_pages(
    server: EmbeddedServer, client: Redis
) -> None:
    await raw_family(client, 10_000, Record.PROCESSED)
    async with counted(server) as (counting, trips):
        lineage = await read_lineage(counting, QUEUE, "p")
        family = Family(counting, lineage.root, Queues(counting, [QUEUE, KIDS]))
        assert family.total == lineage.root.children.processed == 10_000
        first = await family.page(0, 50)
        assert trips.count <= 8
        trips.count = 0
        far = await family.page(9_900, 50)
        assert trips.count <= 3
    assert [node.id for node in (*first, *far)] == [
        str(at) for at in (*range(50), *range(9900, 9950))
    ]
    assert {node.state for node in far} == {JobState.COMPLETED}


@pytest.mark.parametrize("record", list(Record))
async def test_children_beyond_what_is_named_at_once_come_in_pieces(
    any_client: Redis, monkeypatch: pytest.MonkeyPatch, record: Record
) -> None:
    monkeypatch.setattr(family_module, "WHOLE_FAMILY", 20)
    monkeypatch.setattr(family_module, "_PIECE", 25)
    await raw_family(any_client, 300, record)
    node = await parent_of(any_client)
    found = await all_pages(Family(any_client, node, Queues(any_client)), 60)
    assert sorted(int(one.id) for one in found) == list(range(300))
    assert {one.name.record for one in found} == {record}
    [names] = await read_families(any_client, [node], Queues(any_client))
    assert sorted(int(one.id) for one in names) == list(range(300))


async def test_stored_results_stay_in_redis(client: Redis) -> None:
    await raw_family(client, 100, Record.PROCESSED, value="x" * 100_000)
    await client.config_resetstat()
    node = await parent_of(client)
    assert len(await all_pages(Family(client, node, Queues(client)), 40)) == 100
    sent = await client.info("commandstats")
    assert not {f"cmdstat_{name}" for name in ("hgetall", "hvals", "hscan")} & sent.keys()


async def test_those_that_went_wrong_come_first(client: Redis) -> None:
    await raw_family(client, 2, Record.PROCESSED)
    await client.sadd(QUEUE.job("p", "dependencies"), KIDS.job("10"))
    await client.hset(QUEUE.job("p", "failed"), KIDS.job("11"), "no")
    await client.zadd(QUEUE.job("p", "unsuccessful"), {KIDS.job("12"): 1})
    node = await parent_of(client)
    page = await Family(client, node, Queues(client)).page(0, 10)
    assert [(one.id, one.name.record) for one in page] == [
        ("12", Record.UNSUCCESSFUL),
        ("11", Record.IGNORED),
        ("10", Record.PENDING),
        ("0", Record.PROCESSED),
        ("1", Record.PROCESSED),
    ]
    # The hashes of these three are gone, and their entries are not.
    assert [one.row.missing for one in page] == [True, True, True, False, False]


async def part(client: Redis, *keys: str) -> list[tuple[str, str]]:
    return [(queue.base, job_id) for queue, job_id in await Queues(client).part(keys)]


async def test_full_keys_are_parted_by_the_queues_that_there_are(client: Redis) -> None:
    for name in ("q", "a:b"):
        await raw_meta(client, QueueKey.of("bull", name))
    await raw_meta(client, QueueKey.of("my:app", "q"))
    keys = "bull:q:1", "bull:q:repeat:x:123", "bull:a:b:7", "my:app:q:9", "gone:q:x:1"
    assert await part(client, *keys) == [
        ("bull:q", "1"),
        ("bull:q", "repeat:x:123"),
        ("bull:a:b", "7"),
        ("my:app:q", "9"),
        ("gone:q:x", "1"),
    ]


async def test_a_key_that_is_hostile_costs_no_more_than_others(client: Redis) -> None:
    await raw_meta(client)
    odd = "bull:q:" + ":" * 5000, "nocolon", "one:colon", ""
    [(base, job_id), *_] = await part(client, *odd)
    assert (base, job_id) == ("bull:q", ":" * 5000)


async def test_a_flow_in_circles_ends(client: Redis) -> None:
    for one, other in (("x", "y"), ("y", "x")):
        await raw_job(client, QUEUE, one, parentKey=QUEUE.job(other))
        await client.zadd(QUEUE.key("waiting-children"), {one: START})
        await client.sadd(QUEUE.job(other, "dependencies"), QUEUE.job(one))
    lineage = await read_lineage(client, QUEUE, "x")
    assert [node.id for node in lineage.nodes] == ["y", "x"]
    assert lineage.note == "bull:q:x is its own ancestor"
    tree = await read_tree(client, lineage.root, lambda node: list(Record))
    assert sorted(node.id for node in tree.nodes.values()) == ["x", "y"]


async def test_a_parent_that_is_gone_ends_the_way_up(client: Redis) -> None:
    await raw_job(client, QUEUE, "x", parentKey="other:far:1")
    lineage = await read_lineage(client, QUEUE, "x")
    assert [node.id for node in lineage.nodes] == ["x"]
    assert lineage.note == "its parent other:far:1 is gone"


async def test_a_parent_under_another_prefix_is_found(client: Redis) -> None:
    far = QueueKey.of("{my:app}", "q")
    await raw_job(client, far, "1")
    await raw_job(client, QUEUE, "x", parent=json.dumps({"id": "1", "queueKey": far.base}))
    lineage = await read_lineage(client, QUEUE, "x")
    assert [node.key for node in lineage.nodes] == ["{my:app}:q:1", "bull:q:x"]
    # Its parent has struck it off: it is there all the same.
    assert lineage.job.name.record is None


@pytest.mark.parametrize(
    ("parent", "opts", "expected"),
    [
        ({}, {}, OnFailure.WAIT),
        ({"fpof": True}, {}, OnFailure.FAIL),
        ({}, {"fpof": True}, OnFailure.FAIL),
        ({}, {"failParentOnFailure": True}, OnFailure.FAIL),
        ({"idof": True}, {}, OnFailure.IGNORE),
        ({"rdof": True}, {}, OnFailure.REMOVE),
        ({"cpof": True}, {}, OnFailure.CONTINUE),
        ({"fpof": True, "idof": True}, {"rdof": True}, OnFailure.FAIL),
        ({"fpof": False}, {"idof": 0}, OnFailure.WAIT),
    ],
)
async def test_options_of_failure(
    client: Redis, parent: dict[str, object], opts: dict[str, object], expected: OnFailure
) -> None:
    whole = {"id": "p", "queueKey": QUEUE.base, **parent}
    await raw_job(client, QUEUE, "x", parent=json.dumps(whole), opts=json.dumps(opts))
    node = await parent_of(client, "x")
    assert node.on_failure is expected
    assert node.parent == ("bull:q", "p")


async def place(client: Redis, ids: Sequence[str]) -> list[JobState | None]:
    nodes = await read_nodes(client, [Name(QUEUE, job_id) for job_id in ids])
    return [node.state for node in nodes]


async def test_where_nodes_are(client: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = ["w", "s", "a", "d", "none"]
    for job_id in ids:
        await raw_job(client, QUEUE, job_id)
    await client.rpush(QUEUE.key("wait"), "x", "w", "y")
    await client.rpush(QUEUE.key("paused"), "s")
    await client.rpush(QUEUE.key("active"), "a")
    await client.zadd(QUEUE.key("delayed"), {"d": 1})
    there = [JobState.WAITING, JobState.PAUSED, JobState.ACTIVE, JobState.DELAYED]
    assert await place(client, [*ids, "gone"]) == [*there, None, None]
    # In a list that is too long to be searched, a job that is nowhere else is taken to wait.
    monkeypatch.setattr(lists_module, "SEARCHED", 2)
    assert await place(client, [*ids, "gone"]) == [*there, JobState.WAITING, None]


async def test_garbage_is_shown_and_never_raises(client: Redis) -> None:
    await client.hset(
        QUEUE.job("x"), mapping={"name": "n", "opts": "[", "parent": "{{", "ats": "?"}
    )
    await client.set(QUEUE.job("y"), "a string")
    nodes = await read_nodes(client, [Name(QUEUE, "x"), Name(QUEUE, "y"), Name(QUEUE, "z")])
    assert [node.row.garbled for node in nodes] == [("ats", "opts"), ("hash",), ()]
    assert [node.row.missing for node in nodes] == [False, False, True]
    assert [node.on_failure for node in nodes] == [OnFailure.WAIT] * 3


async def test_a_flow_that_is_too_large_is_not_read(
    client: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    await raw_family(client, 100, Record.PENDING)
    monkeypatch.setattr("qtui.bullmq.flow.tree.MOST_NODES", 50)
    with pytest.raises(FlowTooLarge):
        await read_tree(client, await parent_of(client), lambda node: list(Record))


async def test_looking_sends_nothing_but_reads(server: EmbeddedServer, client: Redis) -> None:
    await raw_family(client, 30, Record.IGNORED)
    before = await client.execute_command("DEBUG", "DIGEST")
    watching = connect(parse_target(server.url), read_only=True)
    try:
        lineage = await read_lineage(watching, KIDS, "3")
        assert lineage.root.id == "p"
        tree = await read_tree(watching, lineage.root, lambda node: list(Record))
        assert len(tree.nodes) == 31
    finally:
        await watching.aclose()
    assert await client.execute_command("DEBUG", "DIGEST") == before
