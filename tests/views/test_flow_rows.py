"""The lines of a flow: jobs in their places, and what is read of them and when."""

from __future__ import annotations

import json

import pytest
from redis.asyncio import Redis

from qtui.bullmq.connection.client import Client
from qtui.bullmq.keys import QueueKey
from qtui.demo.server import EmbeddedServer
from qtui.views.flow_rows import (
    CHILDREN_A_PAGE,
    FlowRows,
    node_in_full,
    node_words,
    option_of,
    read_flow,
)
from tests.operations.flows import KIDS, raw_flow
from tests.seeds import QUEUE, START, Fields, raw_fields
from tests.wires import counted


def drawn(rows: FlowRows) -> list[str]:
    """The tree as one sees it."""
    return [
        f"{line.guides}{f'… {line.more} more' if line.more else line.node.id}"
        f"{' again' if line.repeated else ''}"
        for line in rows.lines
    ]


async def attach(
    client: Redis, parent: str, queue: QueueKey, *ids: str, fails: bool = False
) -> None:
    """Puts failed jobs below a job that is in `KIDS`."""
    for job_id in ids:
        above = json.dumps({"id": parent, "queueKey": KIDS.base, "fpof": fails})
        fields: Fields = raw_fields()
        fields["parent"] = above
        await client.hset(queue.job(job_id), mapping=fields)
        await client.zadd(queue.key("failed"), {job_id: START})
        await client.sadd(KIDS.job(parent, "dependencies"), queue.job(job_id))


async def loaded(rows: FlowRows) -> FlowRows:
    """All that there is to read."""
    while wanted := [line for line in rows.lines if line.more]:
        await rows.load(wanted)
    return rows


async def test_the_way_to_the_job_is_read_and_the_rest_when_one_looks(client: Redis) -> None:
    await raw_flow(client, 3)
    await attach(client, "c0", QUEUE, "x", "y")
    await attach(client, "c2", QUEUE, "z")
    rows = await read_flow(client, KIDS, "c1")
    assert drawn(rows) == [
        "p",
        "├─ c0",
        "│  └─ … 2 more",
        "├─ c1",
        "└─ c2",
        "   └─ … 1 more",
    ]
    assert drawn(await loaded(rows)) == [
        "p",
        "├─ c0",
        "│  ├─ x",
        "│  └─ y",
        "├─ c1",
        "└─ c2",
        "   └─ z",
    ]
    assert rows.jobs == 7


@pytest.mark.parametrize("children", [CHILDREN_A_PAGE, CHILDREN_A_PAGE + 1, 10_000])
async def test_reads_are_bounded(server: EmbeddedServer, client: Redis, children: int) -> None:
    await raw_flow(client, children)
    async with counted(server) as (counting, trips):
        rows = await read_flow(counting, QUEUE, "p")
        assert rows.jobs == 1 + min(CHILDREN_A_PAGE, children)
        assert trips.count < 15
        before = trips.count
        if children > CHILDREN_A_PAGE:
            assert drawn(rows)[-1] == f"└─ … {children - CHILDREN_A_PAGE} more"
            await rows.load([rows.lines[-1]])
            assert rows.jobs == 1 + min(2 * CHILDREN_A_PAGE, children)
            assert trips.count - before < 8


async def test_small_visible_families_are_read_together(
    server: EmbeddedServer, client: Redis
) -> None:
    await raw_flow(client, 20)
    for at in range(20):
        await attach(client, f"c{at}", QUEUE, f"x{at}", f"y{at}")
    async with counted(server) as (counting, trips):
        rows = await read_flow(counting, QUEUE, "p")
        before = trips.count
        await rows.load([line for line in rows.lines if line.more])
        assert rows.jobs == 61
        assert trips.count - before < 8


async def test_the_job_that_was_asked_for_is_there_however_many_there_are(client: Redis) -> None:
    await raw_flow(client, 300)
    rows = await read_flow(client, KIDS, "c222")
    assert drawn(rows)[-2:] == ["├─ c222", "└─ … 199 more"]
    await loaded(rows)
    assert drawn(rows).count("├─ c222") == 1
    assert len(rows.lines) == 301


async def test_a_reading_again_reads_as_much(client: Redis) -> None:
    await raw_flow(client, 300)
    before = await read_flow(client, QUEUE, "p")
    await before.load([before.lines[-1]])
    await client.zrem(KIDS.key("failed"), "c0")
    await client.zadd(KIDS.key("completed"), {"c0": START})
    rows = await read_flow(client, QUEUE, "p", before=before)
    assert drawn(rows) == drawn(before)
    assert rows.node(KIDS.job("c0")) != before.node(KIDS.job("c0"))
    await before.look([KIDS.job("c0")])
    assert rows.node(KIDS.job("c0")) == before.node(KIDS.job("c0"))


async def test_circles_gone_children_and_struck_off_ones(client: Redis) -> None:
    await raw_flow(client, 3)
    await client.sadd(KIDS.job("c0", "dependencies"), QUEUE.job("p"))
    await client.delete(KIDS.job("c1"))
    await client.zrem(QUEUE.job("p", "unsuccessful"), KIDS.job("c2"))
    rows = await loaded(await read_flow(client, KIDS, "c2"))
    assert drawn(rows) == ["p", "├─ c0", "│  └─ p again", "├─ c1", "└─ c2"]
    said = {line.node.id: node_words(line)[0] for line in rows.lines if not line.repeated}
    assert said["c1"] == "its parent keeps it as unsuccessful"
    assert "removed from its parent" in node_in_full(rows.lines[-1])[1]


async def test_what_a_line_says_is_plain(client: Redis) -> None:
    await raw_flow(client, 1)
    evil = "\x1b[31m[/red]"
    await client.hset(KIDS.job("c0"), mapping={"failedReason": evil, "name": evil})
    rows = await read_flow(client, KIDS, "c0")
    line = rows.lines[1]
    assert node_words(line)[0] == "␛[31m[/red]"
    assert option_of(line) == "parent fails too"
    who, place, why = node_in_full(line)
    assert "␛[31m[/red]" in who
    assert place == (
        "if it fails, its parent fails too (failParentOnFailure) · kept as unsuccessful"
    )
    assert why == "␛[31m[/red]"
    assert not any("\x1b" in words for words in (who, place, why))


async def test_a_job_alone_is_no_flow(client: Redis) -> None:
    await raw_flow(client, 0)
    assert not (await read_flow(client, QUEUE, "p")).is_flow
    reader: Client = client
    assert (await read_flow(reader, KIDS, "nope")).lineage.job.row.missing
