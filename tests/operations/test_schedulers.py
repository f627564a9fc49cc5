"""Schedulers are removed and revived as campaigns: lost replies, refusals, undo, two operators."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import NoPermissionError

from qtui.bullmq.codes import Code, Result
from qtui.bullmq.model import JobState
from qtui.bullmq.schedulers.read import read_scheduler, read_schedulers
from qtui.bullmq.schedulers.scheduler import Condition
from qtui.bullmq.script import script_text
from qtui.demo.server import EmbeddedServer
from qtui.operations.engine.action import JobAction
from qtui.operations.engine.campaign import Campaign, Phase
from qtui.operations.journal.reading import ids, read_lines
from qtui.operations.planning.proposal import PlanOptions
from qtui.operations.schedulers.action import Do
from qtui.operations.schedulers.plan import SchedulersPlan, plan_schedulers
from tests.operations.campaigns import proxied
from tests.operations.test_losses import ACCIDENTS
from tests.operations.undoing import carried_out, keyspace, newest, undone
from tests.seeds import QUEUE, RealQueue, census, job, raw_meta, real_queue
from tests.wires import Accident

HOUR = 3_600_000
NIGHT = {"pattern": "0 3 * * *", "tz": "Europe/Berlin"}


async def planned(client: Redis, do: Do, *names: str) -> SchedulersPlan:
    return await plan_schedulers(client, do, QUEUE, names or ("s",))


async def action_of(client: Redis, do: Do, *names: str) -> JobAction:
    plan = await planned(client, do, *names)
    return plan.action(client, PlanOptions())


async def scheduled(real: RealQueue, where: str = "delayed", **options: Any) -> None:
    """A scheduler ``s`` whose iteration is where it is said: also ``lost`` and ``gone``."""
    template = {"attempts": 2, **({"priority": 3} if where == "prioritized" else {}), **options}
    if where == "paused":
        await real.queue.pause()
    if where in ("lost", "gone"):  # cut out by a drain of BullMQ's own (D1)
        await real.add(job(), job())
    repeat = NIGHT if where == "delayed" else {"every": HOUR}
    await real.queue.upsertJobScheduler("s", repeat, "tick", {"n": 1}, template)
    if where in ("lost", "gone"):
        await real.queue.drain()


@pytest.mark.parametrize(
    ("where", "do"),
    [
        ("delayed", Do.REMOVE),
        ("wait", Do.REMOVE),
        ("paused", Do.REMOVE),
        ("prioritized", Do.REMOVE),
        ("lost", Do.REMOVE),
        ("gone", Do.REMOVE),
        ("lost", Do.REVIVE),
        ("gone", Do.REVIVE),
    ],
)
async def test_an_undo_brings_back_every_key_and_an_undo_of_that_too(
    server: EmbeddedServer, client: Redis, tmp_path: Path, where: str, do: Do
) -> None:
    async with real_queue(server) as real:
        await scheduled(real, where)
    if where == "gone":  # as the drain of 5.16.0 to 5.40 leaves it
        [key] = [key async for key in client.scan_iter(match=QUEUE.key("repeat:s:*"))]
        await client.delete(key)
    before = await _keys(client)
    plan = await planned(client, do)
    assert await _keys(client) == before
    results = await carried_out(client, tmp_path, plan.action(client, PlanOptions()))
    assert [one.code for one in results] == [Code.DONE]
    changed = await _keys(client)
    assert changed != before
    _, [back] = await undone(client, tmp_path)
    assert back.code is Code.DONE
    assert await _keys(client) == before
    _, [again] = await undone(client, tmp_path, newest(tmp_path))
    assert again.code is Code.DONE
    assert await _keys(client) == changed


async def _keys(client: Redis) -> dict[str, object]:
    """Every key; of `prioritized` the members, since a job that comes back is last of its kind."""
    found = await keyspace(client)
    name = QUEUE.key("prioritized")
    if name in found:
        found[name] = await client.zrange(name, 0, -1)
    return found


@pytest.mark.parametrize(("accidents", "late_comes_first"), ACCIDENTS)
@pytest.mark.parametrize("do", [Do.REMOVE, Do.REVIVE])
async def test_after_any_loss_on_the_way_it_is_done_once(
    server: EmbeddedServer, do: Do, accidents: list[Accident], late_comes_first: bool
) -> None:
    async with proxied(server) as (proxy, client), real_queue(server) as real:
        await scheduled(real, "wait" if do is Do.REMOVE else "lost")
        await client.script_load(script_text("reschedule"))
        campaign = Campaign(client, await action_of(client, do), patience=20)
        proxy.accidents[:], proxy.late_comes_first = accidents, late_comes_first
        results = [one async for some in campaign.run() for one in some]
        await proxy.deliver()
        assert proxy.happened
        assert [one.code for one in results] == [Code.DONE]
        assert campaign.phase is Phase.DONE
        found = await read_scheduler(client, QUEUE, "s")
        jobs = [one for one in await census(client) if one.startswith("repeat:")]
        if do is Do.REMOVE:
            assert found is None
            assert jobs == []
        else:
            assert found is not None
            assert found.condition is Condition.SCHEDULED
            assert len(jobs) == 1


@pytest.mark.parametrize(
    ("do", "rule"),
    [
        *((Do.REMOVE, rule) for rule in ("-zrem", "-lrem", "-del")),
        *((Do.REVIVE, rule) for rule in ("-zadd", "-hset", "-del", "-evalsha -eval")),
    ],
)
async def test_what_an_acl_forbids_is_left_as_it_was(
    server: EmbeddedServer, client: Redis, do: Do, rule: str
) -> None:
    async with real_queue(server) as real:
        await scheduled(real, "wait" if do is Do.REMOVE else "lost")
    user = ("half", "reset", "on", "nopass", "~*", "+@all", *rule.split())
    await client.execute_command("ACL", "SETUSER", *user)
    before = await keyspace(client)
    async with Redis(
        unix_socket_path=server.path, username="half", password="any", decode_responses=True
    ) as half:
        campaign = Campaign(half, await action_of(half, do), patience=0.1)
        try:
            results = [one async for some in campaign.run() for one in some]
        except NoPermissionError:
            results = []
    await client.execute_command("ACL", "DELUSER", "half")
    assert [one.code for one in results] in ([], [Code.REFUSED])
    assert await keyspace(client) == before


async def test_one_that_went_on_since_the_plan_is_read_anew(
    server: EmbeddedServer, client: Redis, tmp_path: Path
) -> None:
    async with real_queue(server) as real:
        await real.queue.upsertJobScheduler("s", {"every": HOUR}, "tick", {"n": 1})
        action = await action_of(client, Do.REMOVE)
        await real.work(1)  # its iteration runs, and makes the next one
        [result] = await carried_out(client, tmp_path, action)
    assert (result.code, result.target) == (Code.DONE, JobState.DELAYED.key)
    assert not [one for one in await census(client) if "delayed" in (await census(client))[one]]


async def test_two_operators_with_opposite_wishes_leave_no_dead_one(
    server: EmbeddedServer, client: Redis
) -> None:
    async with real_queue(server) as real:
        await scheduled(real, "lost")
    one = Campaign(client, await action_of(client, Do.REVIVE))
    other = Campaign(client, await action_of(client, Do.REMOVE))

    async def results(campaign: Campaign[JobAction]) -> list[Result]:
        return [result async for some in campaign.run() for result in some]

    await asyncio.gather(results(one), results(other))
    found = await read_scheduler(client, QUEUE, "s")
    assert found is None or found.condition is Condition.SCHEDULED
    if found is None:
        assert not [name for name in await census(client) if name.startswith("repeat:")]


async def test_the_journal_holds_all_that_an_undo_needs(
    server: EmbeddedServer, client: Redis, tmp_path: Path
) -> None:
    async with real_queue(server) as real:
        await scheduled(real, "delayed")
    await carried_out(client, tmp_path, await action_of(client, Do.REMOVE))
    [name] = ids(tmp_path)
    [line] = [one for one in read_lines(tmp_path, name) if one["type"] == "job"]
    fields: Any = line["fields"]
    assert line["id"] == "s"
    assert fields["place"] == "delayed"
    assert '"tick"' in fields["job"]
    assert fields["then"] == ""


async def test_more_log_lines_than_an_undo_can_bring_back_are_not_removed(
    server: EmbeddedServer, client: Redis, tmp_path: Path
) -> None:
    async with real_queue(server) as real:
        await scheduled(real, "delayed")
    [found] = await client.zrange(QUEUE.key("delayed"), 0, -1)
    member = str(found)
    await client.rpush(QUEUE.job(member, "logs"), *(f"line {at}" for at in range(1001)))
    before = await keyspace(client)
    plan = await planned(client, Do.REMOVE)
    assert plan.jobs == 0
    assert "log lines" in plan.refusal
    assert await keyspace(client) == before
    await client.ltrim(QUEUE.job(member, "logs"), 0, 9)
    before = await keyspace(client)
    await carried_out(client, tmp_path, await action_of(client, Do.REMOVE))
    assert not await client.exists(QUEUE.job(member, "logs"))
    await undone(client, tmp_path)
    assert await keyspace(client) == before


async def test_of_many_dead_ones_two_are_named_and_the_others_counted(client: Redis) -> None:
    """The plan had a line for each, 2,000 where 2,000 were dead."""
    now = int((await client.time())[0]) * 1000
    names = [f"d{at}" for at in range(5)] + [f"p{at}" for at in range(5)]
    await raw_meta(client, version="bullmq:5.81.5")
    for name in names:
        last = now - HOUR // 2 if name[0] == "d" else now // HOUR * HOUR - HOUR
        await client.zadd(QUEUE.key("repeat"), {name: last})
        repeat = ("every", str(HOUR)) if name[0] == "d" else ("pattern", "0 * * * *")
        await client.hset(
            QUEUE.key(f"repeat:{name}"), mapping=dict((("name", "t"), ("ic", "1"), repeat))
        )
    plan = await planned(client, Do.REVIVE, *names)
    said = list(plan.warnings())
    assert said[:3] == [
        "d0: 1 run was missed, and will not be made up.",
        "d1: 1 run was missed, and will not be made up.",
        "3 more schedulers missed 3 runs, which will not be made up.",
    ]
    assert [one.partition(":")[0] for one in said[3:6]] == [
        "p0 names no time zone",
        "p1 names no time zone",
        "The same is true of 3 more schedulers.",
    ]


async def test_a_key_of_another_type_is_named(client: Redis) -> None:
    await client.set(QUEUE.key("repeat"), "junk")
    page = await read_schedulers(client, QUEUE)
    assert page.schedulers == ()
    assert page.unread == "bull:q:repeat holds another type of key"


async def test_garbage_in_a_definition_is_shown_and_revives_nothing(client: Redis) -> None:
    await client.zadd(QUEUE.key("repeat"), {"s": 5.5, "a:b": 1e300, "": 0})
    await client.hset(QUEUE.key("repeat:s"), mapping={"every": "often", "ic": "x", "opts": "{"})
    await client.hset(QUEUE.key("meta"), "opts.maxLenEvents", "10000")
    page = await read_schedulers(client, QUEUE)
    assert [one.condition for one in page.schedulers] == [Condition.DEAD] * 3
    plan = await planned(client, Do.REVIVE, "s", "a:b", "")
    assert plan.jobs == 0
    assert all(one.result.error for one in plan.forecasts)
