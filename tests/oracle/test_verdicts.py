"""Verdicts on queues and jobs as real releases leave them, and what their workers then do."""

from __future__ import annotations

import asyncio
import time

import pytest

from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import Row
from qtui.bullmq.reads.queues.stalled import read_stalled
from qtui.bullmq.verdicts.job import judge_job, read_job_facts
from qtui.bullmq.verdicts.queue import judge_queue, read_queue_facts
from qtui.bullmq.verdicts.verdict import Verdict, Weight
from tests.oracle.scheduling import HOUR
from tests.oracle.stage import Side, Stage, job, wait_for
from tests.servers import connect


def on_queue(side: Side) -> Verdict:
    """The verdict on the queue."""
    return asyncio.run(_on_queue(side))


async def _on_queue(side: Side) -> Verdict:
    async with connect(side._server, db=side.database) as client:
        return judge_queue(await read_queue_facts(client, QueueKey.of("bull", side.queue)))


def on_job(side: Side, job_id: str) -> Verdict:
    """The verdict on a job."""
    return asyncio.run(_on_job(side, job_id))


async def _on_job(side: Side, job_id: str) -> Verdict:
    queue = QueueKey.of("bull", side.queue)
    async with connect(side._server, db=side.database) as client:
        return judge_job(
            await read_job_facts(client, queue, job_id), await read_queue_facts(client, queue)
        )


def stalled(side: Side, job_id: str) -> set[str]:
    """Which jobs a list of active ones calls stalled, an hour after the job has begun."""
    return asyncio.run(_stalled(side, job_id))


async def _stalled(side: Side, job_id: str) -> set[str]:
    row = Row(id=job_id, processed_on=int(time.time() * 1000) - HOUR)
    async with connect(side._server, db=side.database) as client:
        queue = QueueKey.of("bull", side.queue)
        return await read_stalled(client, queue, [row], now=time.time() * 1000)


def test_jobs_wait_until_a_worker_is_there(stage: Stage) -> None:
    side = stage.official
    side.open()
    nothing = "no-queue" if side.release.is_python else "idle"  # Python writes no meta
    assert on_queue(side).code == nothing
    ids = side.run("add", jobs=[job("a"), job("b")])
    assert on_queue(side).code == "no-worker"
    assert "2 jobs wait" in on_queue(side).words
    assert on_job(side, ids[0]).code == "no-worker"
    with side.worker("ok") as worker:
        worker.until(ends=2)
        side.await_idle()
        assert on_queue(side).code == "idle"
    assert on_job(side, ids[0]).code == "completed"


def _tree(side: Side) -> dict[str, object]:
    child = {"queueName": side.queue, "name": "kid", "data": {"outcome": "fail"}}
    kids = [child, {**child, "data": {"outcome": "ok"}}]
    parent = {"queueName": side.queue, "name": "parent", "data": {"outcome": "ok"}}
    return {**parent, "children": kids}


@pytest.mark.releases(since="6.7.0")
def test_a_verdict_costs_at_most_20_reads(stage: Stage) -> None:
    """In every state of a queue and of a job; beside it one CLIENT LIST for the workers."""
    side = stage.official
    [failed] = side.seed([job("a", "fail")])
    waiting, ranked, later = side.run(
        "add", jobs=[job("b"), job("c", priority=1), job("d", delay=HOUR)]
    )
    parent = side.run("flow", tree=_tree(side))["id"]
    for _ in range(2):
        assert _reads(side, None) <= 20
        for one in (failed, waiting, ranked, later, parent, "none"):
            assert _reads(side, one) <= 20
        side.run("pause")


def _reads(side: Side, job_id: str | None) -> int:
    """The commands that a verdict sends, without those about connections."""
    side.client.config_resetstat()
    if job_id is None:
        on_queue(side)
    else:
        asyncio.run(_facts_of(side, job_id))
    stats = side.client.info("commandstats")
    beside = ("client", "hello", "select", "auth", "info", "config", "command", "ping")
    return sum(
        one["calls"]
        for name, one in stats.items()
        if not name.removeprefix("cmdstat_").startswith(beside)
    )


async def _facts_of(side: Side, job_id: str) -> None:
    async with connect(side._server, db=side.database) as client:
        await read_job_facts(client, QueueKey.of("bull", side.queue), job_id)


def test_a_paused_queue(stage: Stage) -> None:
    side = stage.official
    side.open()
    ids = side.run("add", jobs=[job("a"), job("b"), job("c")])
    side.run("pause")
    with side.worker("ok") as worker:
        side.await_idle()
        verdict = on_queue(side)
        assert (verdict.code, verdict.weight) == ("paused", Weight.HELD)
        assert verdict.words.startswith("paused for ")
        assert "3 jobs wait" in verdict.words
        assert on_job(side, ids[0]).code == "paused"
        assert worker.until() == []
        side.run("resume")
        worker.until(ends=3)


def test_the_jobs_ahead_are_those_that_run_before(stage: Stage) -> None:
    """With a worker that is busy, so that the queue itself is well."""
    side = stage.official
    side.open()
    [held] = side.run("add", jobs=[job("held")])
    with side.worker("hold") as worker:
        worker.until(starts=1)
        ids = side.run(
            "add",
            jobs=[
                job("a"),
                job("b"),
                job("low", priority=9),
                job("high", priority=1),
                job("first", lifo=True),
            ],
        )
        assert on_job(side, held).code == "active"
        verdicts = {one: on_job(side, one) for one in ids}
        worker.release()
        order = worker.until(ends=6)[1:]
    for place, one in enumerate(order):
        verdict = verdicts[one]
        if place:
            assert verdict.words.startswith(f"behind {place} "), (order, verdicts)
        else:
            assert verdict.code == "next"


def test_a_job_whose_lock_has_expired(stage: Stage) -> None:
    """As after a worker that was killed."""
    side = stage.official
    side.open()
    [held] = side.run("add", jobs=[job("held")])
    with side.worker("hold") as worker:
        worker.until(starts=1)
        assert on_queue(side).code == "running"
        assert on_job(side, held).code == "active"
        assert stalled(side, held) == set()
        side.client.delete(side.key(f"{held}:lock"))
        began = int(time.time() * 1000) - HOUR
        side.client.hset(side.key(held), "processedOn", began)
        for verdict in (on_queue(side), on_job(side, held)):
            assert (verdict.code, verdict.weight) == ("stalled", Weight.WRONG)
            assert "1 h 0 m" in verdict.words
        assert stalled(side, held) == {held}
        side.client.set(side.key(f"{held}:lock"), "again")
        assert stalled(side, held) == set()
        side.client.delete(side.key(f"{held}:lock"))
        worker.release()


def _is_in(side: Side, state: str, job_id: str) -> bool:
    return side.client.zscore(side.key(state), job_id) is not None


def _expire(side: Side, held: str) -> None:
    """Lets the lock of an active job expire, and hinders checks until `_check`."""
    side.client.set(side.key("stalled-check"), 1)  # their mutex: one who finds it does nothing
    side.client.delete(side.key(f"{held}:lock"))
    side.client.hset(side.key(held), "processedOn", int(time.time() * 1000) - 54_000)


def _check(side: Side) -> None:
    side.client.delete(side.key("stalled-check"))


@pytest.mark.releases(since="2.0.0")
def test_a_stalled_job_is_put_back_once_and_fails_the_next_time(stage: Stage) -> None:
    """With the workers' own default of one stall, and what their next check then does."""
    side = stage.official
    side.open()
    [held] = side.run("add", jobs=[job("held")])
    with side.worker("hold", stalledInterval=300, concurrency=5) as worker:
        worker.until(starts=1)
        _expire(side, held)
        verdict = on_job(side, held)
        assert (verdict.code, verdict.weight) == ("stalled", Weight.WRONG)
        assert verdict.words.startswith("active for ")
        assert verdict.words.endswith("its lock has expired: the next check puts it back to wait")
        _check(side)
        worker.until(starts=2)
        _expire(side, held)
        verdict = on_job(side, held)
        assert "stalled 1 time before: the next check fails it" in verdict.words
        assert on_queue(side).code == "stalled"
        _check(side)
        wait_for(lambda: _is_in(side, "failed", held), "the check fails it")
        assert "stalled more than" in on_job(side, held).words
        worker.release()


@pytest.mark.releases(since="5.60.0")
def test_a_rate_limit_of_the_queue_ends_when_the_verdict_says(stage: Stage) -> None:
    side = stage.official
    side.open()
    side.run("rate", most=1, duration=8_000)
    ids = side.run("add", jobs=[job("a"), job("b"), job("c")])
    with side.worker("ok") as worker:
        worker.until(ends=1)
        wait_for(lambda: not side.members("active"), "the first job is done")
        before = time.time() * 1000
        verdict = on_queue(side)
        assert (verdict.code, verdict.weight) == ("rate-limit", Weight.HELD)
        assert verdict.words.startswith("rate limit (1 of 1 started), next in ")
        assert verdict.words.endswith(": 2 jobs wait")
        left = side.client.pttl(side.key("limiter"))
        assert on_job(side, ids[1]).code == "rate-limit"
        if not side.release.is_python:  # whose worker (3.4.4) does not wake at its end
            assert worker.timed(starts=2)[1]["at"] >= before + left - 1_000


LIMITER = {"max": 1, "duration": HOUR}


def _at_rest(side: Side, waiting: str) -> None:
    """As if nothing had happened for a while."""
    side.client.xtrim(side.key("events"), 0, approximate=False)
    side.client.hset(side.key(waiting), "timestamp", 1)


@pytest.mark.releases(since="5.76.0")
def test_a_rate_limit_by_hand_holds_workers_that_have_one(stage: Stage) -> None:
    """Until it is released; a worker without a limit of its own does not look at it."""
    side = stage.official
    side.open()
    [first] = side.run("add", jobs=[job("a")])
    side.run("limited", milliseconds=2**53 - 1)
    if side.release.is_python:  # sleeps for 30 s, with any options
        limited = side.worker("ok", limiter=LIMITER)
    else:
        limited = side.worker("ok", limiter=LIMITER, maximumRateLimitDelay=200)
    with limited as worker:
        _at_rest(side, first)
        wait_for(lambda: on_queue(side).code != "no-worker", "the worker is seen")
        verdict = on_job(side, first)
        assert (verdict.code, verdict.weight) == ("rate-limit-endless", Weight.WRONG)
        assert worker.until() == []
        if not side.release.is_python:
            released = time.time() * 1000
            side.run("unlimit", what="RateLimitKey")
            assert worker.timed(ends=1)[0]["at"] >= released
    side.run("limited", milliseconds=HOUR)
    side.run("add", jobs=[job("b")])
    with side.worker("ok") as worker:
        worker.until(ends=1)


@pytest.mark.releases(since="4.0.0")
def test_a_counter_without_an_expiry_limits_nothing(stage: Stage) -> None:
    side = stage.official
    side.open()
    side.client.set(side.key("limiter"), 2**53 - 1)
    ids = side.run("add", jobs=[job("a"), job("b"), job("c")])
    assert on_job(side, ids[0]).code == "no-worker"
    with side.worker("ok", limiter=LIMITER) as worker:
        assert worker.until(ends=3) == ids


def test_a_job_that_waits_for_another_attempt(stage: Stage) -> None:
    side = stage.official
    side.open()
    backoff = {"type": "exponential", "delay": HOUR}
    [again] = side.run("add", jobs=[job("again", attempts=5, backoff=backoff)])
    with side.worker("fail") as worker:
        worker.until(ends=1)
        wait_for(lambda: _is_in(side, "delayed", again), "it waits")
        verdict = on_job(side, again)
        assert (verdict.code, verdict.weight) == ("due", Weight.HELD)
        assert verdict.words.endswith("(attempt 2 of 5, exponential backoff)")
        assert len(worker.until()) == 1
        side.run("promote", job=again)
        worker.until(starts=2)
        wait_for(lambda: _is_in(side, "delayed", again), "it waits again")
        assert "(attempt 3 of 5, exponential backoff)" in on_job(side, again).words


@pytest.mark.releases(since="5.0.0")
def test_a_parent_that_fails_by_its_child(stage: Stage) -> None:
    side = stage.official
    side.open()
    tree = _tree(side)
    kid = {"queueName": side.queue, "name": "kid", "data": {"outcome": "fail"}}
    tree["children"] = [{**kid, "opts": {"failParentOnFailure": True}}]
    parent = side.run("flow", tree=tree)["id"]
    with side.worker("data") as worker:
        wait_for(lambda: _is_in(side, "failed", parent), "the parent fails")
        verdict = on_job(side, parent)
        assert (verdict.code, verdict.weight) == ("failed-by-child", Weight.HELD)
        assert parent not in worker.until()


def test_a_job_in_no_list_is_run_by_no_worker(stage: Stage) -> None:
    side = stage.official
    side.open()
    lost, other = side.run("add", jobs=[job("lost"), job("other")])
    side.client.lrem(side.key("wait"), 0, lost)
    assert on_job(side, lost).code == "no-state"
    with side.worker("ok") as worker:
        assert worker.until(ends=1) == [other]
        side.await_idle()
        assert worker.until() == [other]
    assert on_job(side, lost).code == "no-state"


@pytest.mark.releases(since="5.0.0")
def test_behind_prioritized_jobs(stage: Stage) -> None:
    side = stage.official
    side.open()
    side.run("add", jobs=[job("held")])
    with side.worker("hold") as worker:
        worker.until(starts=1)
        ids = side.run("add", jobs=[job(f"j{place}", priority=2) for place in range(40)])
        [low] = side.run("add", jobs=[job("low", priority=9)])
        assert on_job(side, low).words == "behind 40 prioritized jobs"
        worker.release()
        assert worker.until(ends=42)[1:] == [*ids, low]


@pytest.mark.releases(since="5.9.0")
def test_a_concurrency_that_is_used_up(stage: Stage) -> None:
    side = stage.official
    side.open()
    if side.release.is_python:
        side.client.hset(side.key("meta"), "concurrency", 1)
    else:
        side.run("limit", concurrency=1)
    ids = side.run("add", jobs=[job("a"), job("b"), job("c")])
    with side.worker("hold") as worker:
        worker.until(starts=1)
        verdict = on_queue(side)
        assert (verdict.code, verdict.weight) == ("concurrency", Weight.HELD)
        assert verdict.words == "concurrency 1 of 1 used: 2 jobs wait"
        assert on_job(side, ids[2]).code == "concurrency"
        worker.release()
        worker.until(ends=3)


def test_a_delayed_job_is_due_and_then_late(stage: Stage) -> None:
    side = stage.official
    side.open()
    [later] = side.run("add", jobs=[job("later", delay=HOUR)])
    assert on_queue(side).code == "delayed"
    verdict = on_job(side, later)
    assert (verdict.code, verdict.weight) == ("due", Weight.HELD)
    assert verdict.words.startswith("due in 59 m") or verdict.words.startswith("due in 1 h")
    due = (int(time.time() * 1000) - 11 * 60_000) * 4096
    side.client.zadd(side.key("delayed"), {later: due})
    assert on_queue(side).words.startswith("the next delayed job is 11 m 0 s late")
    verdict = on_job(side, later)
    assert (verdict.code, verdict.weight) == ("late", Weight.WRONG)
    assert verdict.words == "11 m 0 s late: no worker is connected to promote it"


def test_a_parent_waits_for_its_children(stage: Stage) -> None:
    side = stage.official
    if side.release.is_python:
        side.open()
    flow = side.run("flow", tree=_tree(side))
    parent = flow["id"]
    assert on_job(side, parent).code == "children"
    assert "waits for 2 children" in on_job(side, parent).words
    with side.worker("data") as worker:
        worker.until(ends=2)
    verdict = on_job(side, parent)
    failed = flow["children"][0]["id"]
    assert (verdict.code, verdict.weight) == ("failed-child", Weight.WRONG)
    assert verdict.words == f"waits for 1 of 2 children: {failed}, which has failed: retry it"
    side.client.delete(side.key(failed))
    assert on_job(side, parent).code == "lost-child"
    side.client.delete(side.key(f"{parent}:dependencies"))
    side.client.zadd(side.key("waiting-children"), {parent: 1})
    side.client.hset(side.key(parent), "timestamp", 1)
    assert on_job(side, parent).code == "no-child"


def test_a_failed_job_and_one_in_no_list(stage: Stage) -> None:
    side = stage.official
    [failed] = side.seed([job("a", "fail", attempts=2)])
    verdict = on_job(side, failed)
    assert verdict.code == "failed"
    assert "after attempt 2 of 2: a failed" in verdict.words
    side.client.zrem(side.key("failed"), failed)
    verdict = on_job(side, failed)
    assert (verdict.code, verdict.weight) == ("no-state", Weight.WRONG)
    side.client.delete(side.key(failed))
    assert on_job(side, failed).code == "gone"
    side.client.zadd(side.key("failed"), {failed: 1})
    assert on_job(side, failed).code == "no-hash"


@pytest.mark.releases(since="5.11.0")
def test_a_deduplication_id_whose_owner_is_gone(stage: Stage) -> None:
    side = stage.official
    side.open()
    option = "deduplication" if side.release.speaks >= (5, 17, 0) else "debounce"
    [owner] = side.run("add", jobs=[{"name": "a", "data": {}, "opts": {option: {"id": "order-1"}}}])
    assert on_job(side, "order-1").code == "dedup"
    side.client.delete(side.key(owner))
    verdict = on_job(side, "order-1")
    assert (verdict.code, verdict.weight) == ("dead-dedup", Weight.WRONG)
    assert owner in verdict.words
    assert "releases before 6.3.6 drop jobs" in verdict.words
    side.run("add", jobs=[{"name": "b", "data": {}, "opts": {option: {"id": "order-1"}}}])
    added = [one for one in side.members("wait") if one != owner]
    assert len(added) == (1 if side.release.speaks >= (6, 3, 6) else 0)


@pytest.mark.releases(since="5.0.0")
def test_a_rate_limit_of_its_workers(stage: Stage) -> None:
    side = stage.official
    side.open()
    side.run("add", jobs=[job("a"), job("b")])
    with side.worker("ok", limiter={"max": 1, "duration": HOUR}) as worker:
        worker.until(ends=1)
        wait_for(lambda: not side.members("active"), "the first job is done")
        _at_rest(side, side.members("wait")[0])
        verdict = on_queue(side)
        assert (verdict.code, verdict.weight) == ("rate-limit", Weight.HELD)
        side.client.delete(side.key("limiter"))


@pytest.mark.releases(before="6.0.0")
def test_jobs_left_in_the_paused_list_of_a_running_queue(stage: Stage) -> None:
    side = stage.official
    side.open()
    side.run("add", jobs=[job("a")])
    side.run("pause")
    side.client.hdel(side.key("meta"), "paused")
    verdict = on_queue(side)
    assert (verdict.code, verdict.weight) == ("stranded", Weight.WRONG)


@pytest.mark.releases(since="5.1.7")
def test_workers_that_nothing_wakes(stage: Stage) -> None:
    """As after a job that a tool has put into the list without the marker."""
    side = stage.official
    side.open()
    with side.worker("ok") as worker:
        side.await_idle()
        now = int(time.time() * 1000) - 8_000
        side.client.hset(
            side.key("lost"), items=["name", "lost", "data", "{}", "opts", "{}", "timestamp", now]
        )
        side.client.xtrim(side.key("events"), 0, approximate=False)
        side.client.lpush(side.key("wait"), "lost")
        verdict = on_queue(side)
        assert (verdict.code, verdict.weight) == ("asleep", Weight.WRONG)
        side.client.zadd(side.key("marker"), {"0": 0})
        assert worker.until(ends=1) == ["lost"]
