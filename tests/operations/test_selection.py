"""A query retries each job once, also when jobs fail again, come, go or are lost meanwhile."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest
from redis.asyncio import Redis

from qtui.bullmq.codes import Code, Result
from qtui.bullmq.filter import parse_filter
from qtui.bullmq.model import LIST_FIELDS
from qtui.demo.server import EmbeddedServer
from qtui.operations.engine.campaign import Phase
from qtui.operations.planning.forecast import Forecast
from qtui.operations.planning.plan import Resets, make_plan
from qtui.operations.supply.selection import (
    CHOSEN_AT_ONCE,
    chosen,
    chosen_rows,
    hunt_for,
    met_rows,
    query,
)
from tests.operations.campaigns import FAILED, campaign_of, codes, ours_to, plan_for, run
from tests.seeds import (
    QUEUE,
    START,
    Fields,
    census,
    failed_jobs,
    raw_failed,
    real_queue,
)

KEY = QUEUE.key("failed")


def last_score(ids: Sequence[str]) -> float:
    return START + 1000 * (len(ids) - 1)


# Each job once


@pytest.mark.slow
async def test_3000_jobs_that_fail_again_at_once_run_once_more_each(
    server: EmbeddedServer,
) -> None:
    client = ours_to(server)
    async with real_queue(server) as real:
        ids = await real.add(
            *({"name": "n", "data": {"error": "boom"}, "opts": {}} for _ in range(3000))
        )
        await real.work(3000, 50)
        plan = await plan_for(client)
        assert plan.jobs == 3000
        campaign = campaign_of(client, plan)
        found: list[Result] = []
        async with real.worker(concurrency=50) as ended:
            async for batch in campaign.run():
                found += batch
            await ended(campaign.done)
        assert campaign.phase is Phase.DONE
        assert codes(found) == dict.fromkeys(ids, Code.DONE)
        assert Counter(real.ran) == dict.fromkeys(ids, 2)
    assert await census(client) == {job_id: ["failed"] for job_id in ids}
    await client.aclose()


@pytest.mark.slow
async def test_jobs_that_have_failed_again_before_the_next_batch_hide_none(
    any_server: EmbeddedServer,
) -> None:
    # The batch that the walk has reached is back in the set, at its other end, when it continues.
    client = ours_to(any_server)
    async with real_queue(any_server) as real:
        ids = await failed_jobs(real, 900, attempts=1)
        campaign = campaign_of(client, await plan_for(client))
        found: list[Result] = []
        async with real.worker(concurrency=20) as ended:
            async for batch in campaign.run():
                found += batch
                await ended(campaign.done)
        assert Counter(real.ran) == dict.fromkeys(ids, 2)
        assert codes(found) == dict.fromkeys(ids, Code.DONE)
    await client.aclose()


@pytest.mark.parametrize("where", ["below all", "among the rest", "at the end"])
async def test_a_worker_whose_clock_lags_brings_no_job_back_and_hides_none(
    client: Redis, where: str
) -> None:
    ids = await raw_failed(client, map(str, range(3000)))
    campaign = campaign_of(client, await plan_for(client))
    score = {
        "below all": START - 5000,
        "among the rest": START + 1000 * 2000 + 7,
        "at the end": last_score(ids),
    }[where]
    found: list[Result] = []
    async for batch in campaign.run():
        found += batch
        back = [result.job_id for result in batch]
        pipe = client.pipeline(transaction=True)
        for place, job_id in enumerate(back):
            pipe.lrem(QUEUE.key("wait"), 1, job_id)
            pipe.hset(QUEUE.job(job_id), "failedReason", "again")
            pipe.zadd(KEY, {job_id: score - place})
        await pipe.execute()
    assert codes(found) == dict.fromkeys(ids, Code.DONE)
    assert campaign.phase is Phase.DONE
    assert await client.zcard(KEY) == 3000


async def test_jobs_of_one_millisecond_are_all_retried(client: Redis) -> None:
    ids = await raw_failed(client, map(str, range(2500)))
    await client.zadd(KEY, dict.fromkeys(ids, START))
    campaign = campaign_of(client, await plan_for(client))
    assert codes(await run(campaign)) == dict.fromkeys(ids, Code.DONE)


async def test_jobs_that_leave_meanwhile_are_let_go_and_the_others_retried(
    client: Redis,
) -> None:
    ids = await raw_failed(client, map(str, range(2000)))
    campaign = campaign_of(client, await plan_for(client))
    found: list[Result] = []
    gone = set(ids[1::7])
    async for batch in campaign.run():
        if not found:
            async with client.pipeline() as both:  # in one step, as BullMQ removes jobs
                both.zrem(KEY, *gone)
                both.delete(*map(QUEUE.job, gone))
                await both.execute()
        found += batch
    known = codes(found)
    stayed = [one for one in ids if one not in gone]
    assert {one: known.get(one) for one in stayed} == dict.fromkeys(stayed, Code.DONE)
    assert {known[one] for one in gone if one in known} <= {Code.DONE, Code.NO_SUCH_JOB}
    assert campaign.phase is Phase.DONE
    assert campaign.selected == 2000


async def test_the_oldest_that_are_trimmed_while_it_runs_take_no_other_along(
    client: Redis,
) -> None:
    ids = await raw_failed(client, map(str, range(3000)))
    campaign = campaign_of(client, await plan_for(client))
    found: list[Result] = []
    trimmed: set[str] = set()
    async for batch in campaign.run():
        found += batch
        gone = [str(one) for one in await client.zrange(KEY, 0, 9)]
        if gone:
            trimmed.update(gone)
            await client.zrem(KEY, *gone)
    known = codes(found)
    assert {known.get(one) for one in ids if one not in trimmed} == {Code.DONE}


async def test_jobs_that_arrive_meanwhile_are_not_touched(client: Redis) -> None:
    ids = await raw_failed(client, map(str, range(1500)))
    selection = await query(client, QUEUE, FAILED)
    assert selection.until == last_score(ids)
    # Between the query and its plan, and between the plan and its campaign, and while it runs.
    late = ["a"]
    await client.hset(QUEUE.job("a"), mapping={"name": "n", "failedReason": "late", "ats": 1})
    await client.zadd(KEY, {"a": selection.until + 1})
    plan = await make_plan(client, selection, rate=0)
    assert plan.jobs == 1500
    found: list[Result] = []
    async for batch in campaign_of(client, plan).run():
        found += batch
        job_id = f"late-{len(found)}"
        late.append(job_id)
        await client.hset(QUEUE.job(job_id), mapping={"name": "n", "failedReason": "late"})
        await client.zadd(KEY, {job_id: selection.until + len(found)})
    assert codes(found) == dict.fromkeys(ids, Code.DONE)
    assert sorted(str(one) for one in await client.zrange(KEY, 0, -1)) == sorted(late)


async def test_only_what_matches_is_retried(client: Redis) -> None:
    ids = await raw_failed(
        client,
        map(str, range(1200)),
        change=lambda place: {"failedReason": "Timeout" if place % 3 else "ECONNRESET"},
    )
    campaign = campaign_of(client, await plan_for(client, "error:timeout"))
    found = codes(await run(campaign))
    wanted = [one for one in ids if int(one) % 3]
    assert list(found) == wanted, "oldest first"
    assert set(found.values()) == {Code.DONE}
    assert await client.zcard(KEY) == 400


async def test_a_stopped_query_can_be_taken_up_by_another_campaign(client: Redis) -> None:
    ids = await raw_failed(client, map(str, range(1000)))
    plan = await plan_for(client)
    first = campaign_of(client, plan)
    found: list[Result] = []
    async for batch in first.run():
        found += batch
        first.stop()
    assert first.phase is Phase.STOPPED
    assert 0 < len(found) < 1000
    found += await run(campaign_of(client, plan))
    assert codes(found) == dict.fromkeys(ids, Code.DONE)


# The plan


def mixed(place: int) -> Fields:
    return {
        "name": f"n{place % 3}",
        "failedReason": f"Timeout of {place}ms exceeded" if place % 2 else "ECONNRESET",
        "opts": '{"attempts":1}' if place % 5 == 0 else '{"attempts":3}',
        "priority": 4 if place % 4 == 0 else 0,
        "parentKey": "",
    }


@pytest.mark.parametrize("expression", [None, "error:timeout", "name=n1", "priority>0"])
@pytest.mark.parametrize("paused", [False, True])
async def test_the_plan_of_a_query_is_that_of_its_jobs_and_comes_true(
    client: Redis, expression: str | None, paused: bool
) -> None:
    ids = await raw_failed(client, map(str, range(1300)), change=mixed)
    orphans = ids[5::100]
    await client.delete(*map(QUEUE.job, orphans))
    if paused:
        await client.hset(QUEUE.key("meta"), "paused", "1")
    forecasts: list[Forecast] = []
    seen: list[tuple[int, int]] = []
    wanted = parse_filter(expression) if expression else None
    selection = await query(client, QUEUE, FAILED, wanted)
    plan = await make_plan(
        client,
        selection,
        report=forecasts.extend,
        progress=lambda *at: seen.append(at),
        rate=0,
    )
    assert plan.forecasts == ()
    assert seen[-1] == (1300, 1300)
    named = [one.row.id for one in forecasts]
    same = await make_plan(client, chosen(QUEUE, FAILED, named))
    assert named == [one.row.id for one in same.forecasts], "oldest first, each once"
    assert plan.jobs == same.jobs == len(named)
    assert plan.tally.codes == same.tally.codes
    assert sorted(map(repr, plan.groups())) == sorted(map(repr, same.groups()))
    for resets in (Resets(), Resets(made=True)):
        assert list(plan.warnings(resets)) == list(same.warnings(resets))
    if expression is None:
        assert plan.count(Code.NO_SUCH_JOB) == len(orphans)
    predicted = {one.row.id: one.code for one in forecasts}
    targets = {one.row.id: one.target.value for one in forecasts if one.target}
    results = await run(campaign_of(client, plan))
    assert codes(results) == predicted
    assert {one.job_id: one.target for one in results if one.done} == targets


async def test_jobs_of_two_ages_in_a_paused_queue_are_forecast_alike_however_many(
    client: Redis,
) -> None:
    # The first that goes to `paused` takes with it what is in `wait`, however early it came.
    def change(place: int) -> Fields:
        return {"attemptsMade": 1} if place >= 900 else {}

    ids = await raw_failed(client, map(str, range(1000)), change=change)
    for job_id in ids[900:]:
        await client.hdel(QUEUE.job(job_id), "ats", "atm")
    await client.hset(QUEUE.key("meta"), "paused", "1")
    await client.rpush(QUEUE.key("wait"), "x")
    await client.hset(QUEUE.job("x"), mapping={"name": "x"})
    of_query = await plan_for(client)
    of_ids = await make_plan(client, chosen(QUEUE, FAILED, ids))
    assert sorted(map(repr, of_query.groups())) == sorted(map(repr, of_ids.groups()))


async def test_orphans_get_their_code_and_stay(client: Redis) -> None:
    ids = await raw_failed(client, ["a", "b", "c"])
    await client.delete(QUEUE.job("b"))
    plan = await plan_for(client)
    assert plan.tally.codes == {Code.DONE: 2, Code.NO_SUCH_JOB: 1}
    assert [one for one in plan.warnings(Resets()) if "gone (-1)" in one]
    assert codes(await run(campaign_of(client, plan))) == {
        one: Code.NO_SUCH_JOB if one == "b" else Code.DONE for one in ids
    }
    assert await client.zrange(KEY, 0, -1) == ["b"]


async def test_a_query_finds_its_jobs_with_the_fields_that_were_asked_for_whole(
    client: Redis,
) -> None:
    reason = "x" * 5000
    ids = await raw_failed(
        client, map(str, range(600)), change=lambda place: {"failedReason": reason, "data": "[1]"}
    )
    fields = (*LIST_FIELDS, "data", "stacktrace")
    everything = await query(client, QUEUE, FAILED)
    steps = [step async for step in hunt_for(client, everything, fields, rate=0).steps()]
    met = [one for step in steps for one in step]
    assert [one.id for one in met] == ids
    for one in met:
        assert (one.fields["failedReason"], one.fields["data"]) == (reason, "[1]")
        assert one.fields["stacktrace"] is None
        assert one.score == START + 1000 * int(one.id)
    assert [one.score for one in await met_rows(client, everything, steps[0])] == steps[0].scores


async def test_chosen_jobs_are_read_in_chunks_with_their_scores(
    client: Redis,
) -> None:
    ids = await raw_failed(client, map(str, range(600)))
    await client.zrem(KEY, "599")
    steps = [some async for some in chosen_rows(client, chosen(QUEUE, FAILED, ids))]
    assert max(map(len, steps)) == CHOSEN_AT_ONCE
    rows = [one for some in steps for one in some]
    assert [one.id for one in rows] == ids
    assert [one.score for one in rows[:-1]] == [START + 1000 * int(one) for one in ids[:-1]]
    assert rows[-1].score is None
