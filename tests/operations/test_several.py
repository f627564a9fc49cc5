"""The plan of a retry in several queues says what is in each, and what is common once."""

from __future__ import annotations

from redis.asyncio import Redis

from qtui.bullmq.codes import Code
from qtui.bullmq.filter import parse_filter
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.writers.retry import RetryWriter
from qtui.operations.engine.campaign import Campaign
from qtui.operations.planning.plan import Resets
from qtui.operations.planning.several import plan_several
from qtui.operations.retry.everywhere import RetryEverywhere
from qtui.views.running import Run
from tests.operations.campaigns import FAILED
from tests.seeds import Fields, raw_failed

ONE, TWO, NONE = (QueueKey.of("bull", name) for name in ("one", "one:2", "none"))


def change(place: int) -> Fields:
    return {"failedReason": "boom" if place % 2 else "late", "name": f"n{place}"}


async def test_queues_without_a_match_are_left_out_and_groups_name_their_queue(
    client: Redis,
) -> None:
    await raw_failed(client, ["1", "2", "3"], ONE, change=change)
    await raw_failed(client, ["2:1", "8", "9"], TWO, change=change)
    await raw_failed(client, ["4"], NONE, change=lambda place: {"failedReason": "other"})
    wanted = parse_filter("group:boom | group:late")
    begun, seen = list[QueueKey](), list[tuple[int, int]]()
    plan = await plan_several(
        client,
        [ONE, NONE, TWO],
        FAILED,
        wanted,
        begins=begun.append,
        progress=lambda jobs, total: seen.append((jobs, total)),
    )
    assert begun == [ONE, NONE, TWO]
    assert (seen[0], seen[-1]) == ((3, 3), (7, 7))
    assert [one.queue for one in plan.plans] == [ONE, TWO]
    assert (plan.jobs, plan.count(Code.DONE), plan.by_query) == (6, 6, True)
    groups = [(one.jobs, one.name, one.error) for one in plan.groups()]
    assert sorted(groups) == [
        (1, "one", "boom"),
        (1, "one:2", "boom"),
        (2, "one", "late"),
        (2, "one:2", "late"),
    ]
    warnings = [*plan.warnings(Resets())]
    alike = "one, one:2: No worker seen on this queue: the jobs wait until one connects."
    assert alike in warnings
    assert len(warnings) == len(set(warnings))


async def test_last_attempts_are_warned_of_once_with_their_sum(client: Redis) -> None:
    queues = [QueueKey.of("bull", name) for name in "abcd"]
    for place, queue in enumerate(queues):
        ids = [str(number + 1) for number in range(place + 1)]
        await raw_failed(
            client, ids, queue, change=lambda _: {"atm": "3", "opts": '{"attempts":3}'}
        )

    async def last_runs(some: list[QueueKey], resets: Resets) -> list[str]:
        plan = await plan_several(client, some, FAILED, None)
        return [one for one in plan.warnings(resets) if "used up" in one]

    words = "jobs have used up their attempts: they run once more, and a failure is final."
    assert await last_runs(queues, Resets()) == [f"4 queues: 10 {words}"]
    assert await last_runs(queues[:2], Resets()) == [f"a, b: 3 {words}"]
    assert await last_runs(queues, Resets(made=True)) == []


async def test_numbers_of_several_queues_are_of_each(client: Redis) -> None:
    for queue in (ONE, TWO):
        await raw_failed(client, ["1", "2"], queue)
        await client.hset(queue.key("meta"), "concurrency", 1)
        await client.rpush(queue.key("active"), "9")
    warnings = [*(await plan_several(client, [ONE, TWO], FAILED, None)).warnings(Resets())]
    assert "each of one, one:2: The global concurrency limit of 1 is reached." in warnings


async def test_a_warning_of_many_queues_is_one_line_with_their_number(client: Redis) -> None:
    queues = [QueueKey.of("bull", name) for name in "abcde"]
    for queue in queues:
        await raw_failed(client, ["1"], queue)
        await client.hset(queue.key("meta"), "concurrency", 1 + (queue.name == "a"))
        await client.rpush(queue.key("active"), "8", "9")
    plan = await plan_several(client, queues, FAILED, None)
    warnings = [one for one in plan.warnings(Resets()) if "jobs have used up" not in one]
    assert "5 queues: No worker seen on this queue: the jobs wait until one connects." in warnings
    limit = "The global concurrency limit of 2 is reached."
    assert f"5 queues, such as a: {limit}" in warnings
    assert len([one for one in warnings if "concurrency" in one]) == 1


async def test_its_run_knows_which_jobs_are_in_which_queue(client: Redis) -> None:
    await raw_failed(client, ["1", "2:1"], ONE)
    await raw_failed(client, ["1"], TWO)
    plan = await plan_several(client, [ONE, TWO], FAILED, None)
    action = RetryEverywhere(client, RetryWriter(client), plan.plans, Resets())
    run = Run(Campaign(client, action))
    names = ["bull:one:1", "bull:one:2:1"]
    assert run.where == "2 queues"
    assert run.ids_in(ONE, names) == {"1": "bull:one:1"}
    assert run.ids_in(TWO, names) == {"1": "bull:one:2:1"}
    assert run.ids_in(NONE, names) == {}
    assert run.ids_in(None, names) == {}
