"""What a plan says will happen, and that just this happens."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from qtui.bullmq.codes import Code, ForeignQueue
from qtui.bullmq.dialect import Destination
from qtui.bullmq.filter import parse_filter
from qtui.bullmq.model import JobState
from qtui.bullmq.writers.batch import Picked
from qtui.bullmq.writers.retry import RetryWriter
from qtui.demo.server import EmbeddedServer
from qtui.operations.planning.groups import PlanGroup
from qtui.operations.planning.plan import Plan, Resets, make_plan
from qtui.operations.supply.selection import CHOSEN_AT_ONCE, Chosen, chosen, query
from tests.patience import PATIENCE
from tests.seeds import (
    QUEUE,
    START,
    Fields,
    failed_jobs,
    job,
    raw_failed,
    raw_list,
    raw_meta,
    real_queue,
)
from tests.wires import counted

FAILED, COMPLETED = JobState.FAILED, JobState.COMPLETED


async def plan_of(client: Redis, *ids: str, state: JobState = FAILED) -> Plan:
    return await make_plan(client, chosen(QUEUE, state, ids))


def picks(plan: Plan) -> tuple[Picked, ...]:
    assert isinstance(plan.selection, Chosen)
    return plan.selection.jobs


def targets(plan: Plan) -> dict[str, Destination | None]:
    return {one.row.id: one.target for one in plan.forecasts}


async def test_a_plan_for_a_real_queue(any_server: EmbeddedServer, any_client: Redis) -> None:
    async with real_queue(any_server) as real:
        plain = await failed_jobs(real, 3, attempts=1)
        high = await failed_jobs(real, 2, attempts=1, priority=3)
        [left] = await real.add(job(error="Timeout of 5000ms\n  at x", attempts=3))
        await real.work(3)
        lifo = await failed_jobs(real, 1, attempts=1, lifo=True)
        plan = await plan_of(any_client, *lifo, *high, *plain, left, "nope")
        assert (plan.queue, plan.state, plan.workers) == (QUEUE, FAILED, 0)
        assert sorted(plan.groups(), key=str) == sorted(
            [
                PlanGroup(
                    name="charge",
                    error="boom",
                    code=Code.DONE,
                    place="waiting, last in line",
                    jobs=3,
                ),
                PlanGroup(
                    name="charge",
                    error="boom",
                    code=Code.DONE,
                    place="prioritized, priority 3",
                    jobs=2,
                ),
                PlanGroup(
                    name="charge",
                    error="Timeout of <n>ms",
                    code=Code.DONE,
                    place="waiting, last in line",
                    jobs=1,
                ),
                PlanGroup(
                    name="charge",
                    error="boom",
                    code=Code.DONE,
                    place="waiting, next to run",
                    jobs=1,
                ),
                PlanGroup(name="", error="", code=Code.NO_SUCH_JOB, place="", jobs=1),
            ],
            key=str,
        )
        assert plan.groups()[0].jobs == 3
        # The oldest finish first: that is the order in which they will run.
        order = [one.row.id for one in plan.forecasts]
        assert order == [*real.ran[:3], *real.ran[3:5], left, *lifo, "nope"]
        async with real.worker(), asyncio.timeout(PATIENCE):
            while not (await plan_of(any_client, *plain)).workers:
                pass


async def test_the_order_is_that_of_finishing_and_ids_break_ties_as_people_count(
    client: Redis,
) -> None:
    await raw_failed(client, ["10", "9", "100", "b", "a"])
    await client.zadd(QUEUE.key("failed"), {"10": 5, "9": 5, "100": 5, "b": 4, "a": 6})
    plan = await plan_of(client, "a", "9", "100", "b", "10")
    assert [one.job_id for one in picks(plan)] == ["b", "9", "10", "100", "a"]


async def test_each_job_is_pinned_to_the_finish_that_was_seen(client: Redis) -> None:
    await raw_failed(client, "12")
    plan = await plan_of(client, "1", "2", "gone")
    assert [(one.job_id, one.pinned) for one in picks(plan)] == [
        ("1", True),
        ("2", True),
        ("gone", False),
    ]
    # It ran again and failed again; another fails only now. Nobody has chosen those failures.
    await client.zadd(QUEUE.key("failed"), {"1": START + 99})
    await raw_failed(client, ["gone"])
    batch = await RetryWriter(client).retry(QUEUE, FAILED, picks(plan))
    assert [int(result.code) for result in batch.results] == [-3, 1, -3]


async def test_a_job_named_twice_counts_once(client: Redis) -> None:
    await raw_failed(client, "12")
    assert len((await plan_of(client, "1", "2", "1", "1")).forecasts) == 2


async def test_jobs_that_are_gone_or_elsewhere_are_foreseen(client: Redis) -> None:
    await raw_failed(client, "1234")
    await raw_failed(client, "5", state="completed")
    await client.delete(QUEUE.job("2"), QUEUE.job("3"))
    await client.set(QUEUE.job("3"), "junk")
    plan = await plan_of(client, *"123459")
    expected = {
        "1": Code.DONE,
        "2": Code.NO_SUCH_JOB,
        "3": Code.REFUSED,
        "4": Code.DONE,
        "5": Code.NOT_IN_STATE,
        "9": Code.NO_SUCH_JOB,
    }
    assert {one.row.id: one.code for one in plan.forecasts} == expected
    batch = await RetryWriter(client).retry(QUEUE, FAILED, picks(plan))
    assert {result.job_id: result.code for result in batch.results} == expected
    assert {one.row.id: one.place() for one in plan.forecasts if one.code is not Code.DONE} == {
        "2": "",
        "3": "",
        "5": "",
        "9": "",
    }


async def test_completed_jobs_are_not_grouped_by_errors_of_earlier_attempts(client: Redis) -> None:
    await raw_failed(client, "12", state="completed")
    plan = await plan_of(client, "1", "2", state=COMPLETED)
    assert plan.groups() == [
        PlanGroup(name="charge", error="", code=Code.DONE, place="waiting, last in line", jobs=2)
    ]


class TestWarnings:
    async def test_a_healthy_plan_warns_only_of_missing_workers(self, client: Redis) -> None:
        await raw_failed(client, "1")
        assert list((await plan_of(client, "1")).warnings(Resets())) == [
            "No worker seen on this queue: the jobs wait until one connects."
        ]

    @pytest.mark.parametrize(
        ("made", "words"),
        [
            ([1, 2], ""),
            ([3, 1], "1 job has used up its attempts: it runs once more"),
            ([3, 4], "2 jobs have used up their attempts: they run once more"),
        ],
    )
    async def test_attempts_that_are_used_up(
        self, client: Redis, made: list[int], words: str
    ) -> None:
        expected = [f"{words}, and a failure is final."] if words else []
        await raw_failed(client, "12", change=lambda place: {"atm": made[place]})
        # One that is not retried runs not even once more.
        await raw_failed(client, "3", state="completed", change=lambda _: {"atm": 3})
        plan = await plan_of(client, *"123")
        assert plan.tally.exhausted == len([one for one in made if one >= 3])
        found = list(plan.warnings(Resets()))
        assert [one for one in found if "attempts" in one] == expected
        assert not [one for one in plan.warnings(Resets(made=True)) if "attempts" in one]
        # The other counter does not give attempts back.
        assert [one for one in plan.warnings(Resets(started=True)) if "attempts" in one] == expected

    async def test_thousands_have_a_comma(self, client: Redis) -> None:
        ids = await raw_failed(client, map(str, range(1200)), change=lambda _: {"atm": 9})
        plan = await plan_of(client, *ids)
        assert next(plan.warnings(Resets())).startswith("1,200 jobs have used up their attempts")

    async def test_a_paused_queue(self, client: Redis) -> None:
        await raw_failed(client, "1")
        await raw_meta(client, paused=1, concurrency=0)
        plan = await plan_of(client, "1")
        assert next(plan.warnings(Resets())) == (
            "The queue is paused: nothing runs until it is resumed."
        )
        assert targets(plan) == {"1": Destination.PRIORITIZED}
        assert plan.forecasts[0].place() == "prioritized, priority 0"

    async def test_a_concurrency_that_is_used_up(self, client: Redis) -> None:
        await raw_failed(client, "1")
        await raw_list(client, "active", ["5", "6"])
        await raw_meta(client, concurrency=2)
        assert next((await plan_of(client, "1")).warnings(Resets())) == (
            "The global concurrency limit of 2 is reached."
        )

    async def test_jobs_that_will_not_be_retried(self, client: Redis) -> None:
        await raw_failed(client, "1")
        await raw_failed(client, "56", state="completed")
        found = list((await plan_of(client, *"1569")).warnings(Resets()))
        assert "1 job is gone (-1) and cannot be retried." in found
        assert "2 jobs are not in failed (-3)." in found

    async def test_a_queue_of_bull(self, client: Redis) -> None:
        await raw_failed(client, "1")
        await client.delete(QUEUE.key("meta"))
        await client.hdel(QUEUE.job("1"), "ats", "atm")
        await client.set(QUEUE.key("id"), 1)
        plan = await plan_of(client, "1")
        assert [one.code for one in plan.forecasts] == [Code.REFUSED]
        assert next(plan.warnings(Resets())).startswith(
            "Nothing will be retried: the queue is a Bull"
        )
        assert plan.tally.exhausted == 0


@pytest.mark.parametrize("state", [state for state in JobState if not state.is_finished])
async def test_jobs_that_are_not_finished_have_no_plan(client: Redis, state: JobState) -> None:
    with pytest.raises(ValueError, match="can't be retried"):
        await make_plan(client, chosen(QUEUE, state, ["1"]))


async def test_the_price_of_a_plan(server: EmbeddedServer, client: Redis) -> None:
    ids = await raw_failed(client, map(str, range(3 * CHOSEN_AT_ONCE + 1)))
    seen: list[int] = []
    async with counted(server) as (counting, trips):
        plan = await make_plan(
            counting, chosen(QUEUE, FAILED, ids), progress=lambda read, of: seen.append(read)
        )
        assert trips.count == 4 + 4 + 2 + 2
    assert seen == [CHOSEN_AT_ONCE, 2 * CHOSEN_AT_ONCE, 3 * CHOSEN_AT_ONCE, 3 * CHOSEN_AT_ONCE + 1]
    assert [one.job_id for one in picks(plan)] == ids
    empty = await plan_of(client)
    assert (empty.forecasts, empty.groups(), empty.tally.exhausted) == ((), [], 0)


async def test_a_whole_state_can_be_retried_before_its_jobs_are_looked_at(client: Redis) -> None:
    ids = await raw_failed(client, map(str, range(700)))
    early: list[tuple[int, int]] = []

    def note(plan: Plan) -> None:
        early.append((plan.jobs, plan.tally.jobs))

    everything = await query(client, QUEUE, FAILED)
    await raw_failed(client, ["later"], change=lambda _: {"finishedOn": START * 2})
    await client.zadd(QUEUE.key("failed"), {"later": START * 2})
    plan = await make_plan(client, everything, early=note, rate=0)
    assert early == [(len(ids), 0)]
    assert (plan.jobs, plan.count(Code.DONE)) == (len(ids), len(ids))
    # How many match a filter is not known before all were looked at.
    await make_plan(
        client, await query(client, QUEUE, FAILED, parse_filter("charge")), early=note, rate=0
    )
    assert len(early) == 1


def field(*values: str | None) -> st.SearchStrategy[str | None]:
    return st.sampled_from(values)


JOBS = st.fixed_dictionaries(
    {
        "atm": field("1", None),
        "ats": field("1", None),
        "attemptsMade": field(None, "1", "junk"),
        "priority": field(
            *("0", "0", "3", str(2**40), "-1", "0.5", "2.7", "1e3", "", "junk"),
            *("inf", "nan", "0x10", "1_0", "٣", " 4 ", "1e999", None),
        ),
        "opts": field("{}", '{"lifo":true}', '{"lifo":1}', '{"lifo":0}', "junk", None),
        "where": field("failed", "failed", "failed", "completed", "nowhere", "no hash", "a string"),
    }
)
QUEUES = st.fixed_dictionaries(
    {
        "meta": st.booleans(),
        "paused": st.booleans(),
        "version": field(
            None, None, "bullmq:3.16.1", "bullmq:4.18.2", "bullmq:5.81.5", "bullmq:6.7.0"
        ),
        "events": st.booleans(),
        "wait": st.lists(st.sampled_from(["w1", "0:0", "0"]), max_size=3),
        "list": st.lists(st.just("p1"), max_size=1),
        "prioritized": st.booleans(),
        "priority": st.booleans(),
    }
)


async def write(client: Redis, queue: Mapping[str, object], jobs: list[dict[str, str]]) -> None:
    await client.flushall()
    for place, one in enumerate(jobs):
        name, where = f"j{place}", one["where"]
        fields: Fields = {"name": "n", "timestamp": START}
        fields.update({key: value for key, value in one.items() if key != "where" and value})
        if where == "a string":
            await client.set(QUEUE.job(name), "junk")
        elif where != "no hash":
            await client.hset(QUEUE.job(name), mapping=fields)
        if where != "nowhere":
            state = "completed" if where == "completed" else "failed"
            await client.zadd(QUEUE.key(state), {name: START + place})
    if queue["meta"]:
        await raw_meta(client)
    for key in ("paused", "version"):
        if queue[key]:
            await client.hset(QUEUE.key("meta"), key, "1" if key == "paused" else str(queue[key]))
    if queue["events"]:
        await client.xadd(QUEUE.key("events"), {"event": "x"})
    for key, suffix in (("wait", "wait"), ("list", "paused")):
        members = queue[key]
        assert isinstance(members, list)
        if members:
            await client.rpush(QUEUE.key(suffix), *members)
    for suffix in ("prioritized", "priority"):
        if queue[suffix]:
            await client.zadd(QUEUE.key(suffix), {"x1": 2**33})


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(queue=QUEUES, jobs=st.lists(JOBS, min_size=1, max_size=6))
async def test_what_a_plan_says_is_what_happens(
    client: Redis, queue: Mapping[str, object], jobs: list[dict[str, str]]
) -> None:
    await write(client, queue, jobs)
    plan = await plan_of(client, *(f"j{place}" for place in range(len(jobs))), "nope")
    retry = RetryWriter(client).retry(QUEUE, FAILED, picks(plan))
    if plan.status.kind.refusal:
        assert plan.count(Code.DONE) == 0
        with pytest.raises(ForeignQueue) as refused:
            await retry
        assert refused.value.kind is plan.status.kind
        return
    batch = await retry
    said = [(one.row.id, one.code, one.target) for one in plan.forecasts]
    done = [
        (one.job_id, one.code, Destination(one.target) if one.done else None)
        for one in batch.results
    ]
    assert done == said
    for one in plan.forecasts:
        if one.target is Destination.PRIORITIZED:
            score = await client.zscore(QUEUE.key("prioritized"), one.row.id)
            assert score is not None
            place = f"priority {int(score // 2**32)}" if score > 0 else "first"
            assert one.place() == f"prioritized, {place}"
        elif one.target is not None:
            line = await client.lrange(QUEUE.key(one.target), 0, -1)
            ran_before = line[line.index(one.row.id) + 1 :]
            assert (one.row.lifo and not set(ran_before) & {"w1", "p1"}) or not one.row.lifo


@pytest.mark.parametrize("suffix", ["wait", "paused", "prioritized", "pc"])
async def test_where_a_key_is_of_another_type_the_plan_says_that_redis_will_refuse(
    client: Redis, suffix: str
) -> None:
    [plain, high] = await raw_failed(client, ["1", "2"])
    await client.hset(QUEUE.job(high), "priority", 3)
    await client.hset(QUEUE.key("meta"), "version", "bullmq:5.58.1")
    if suffix == "paused":  # where only what last ran before 5.0.0 goes
        await client.hset(QUEUE.key("meta"), "paused", 1)
        await client.hdel(QUEUE.job(plain), "ats", "atm")
        await client.hdel(QUEUE.job(high), "ats", "atm")
    await client.hset(QUEUE.key(suffix), "no", "list")
    plan = await plan_of(client, plain, high)
    batch = await RetryWriter(client).retry(QUEUE, FAILED, picks(plan))
    said = {one.row.id: one.code for one in plan.forecasts}
    assert said == {one.job_id: one.code for one in batch.results}
    assert Code.REFUSED in said.values()
    warning = f"Redis will refuse jobs (0): not of the type that BullMQ makes: bull:q:{suffix}."
    assert warning in plan.warnings(Resets())
