"""Retries while the queue is paused: nothing runs before the resume, and everything after it."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Sequence

import pytest

from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState
from qtui.bullmq.writers.retry import RetryWriter
from qtui.demo.server import EmbeddedServer
from qtui.operations.engine.campaign import Campaign
from qtui.operations.planning.plan import Resets, make_plan
from qtui.operations.retry.retry import Retry
from qtui.operations.supply.selection import query
from tests.oracle.conftest import Drivers
from tests.oracle.keyspace import Difference, Value, only_ours
from tests.oracle.releases import PYTHON, Release, named
from tests.oracle.stage import Side, Stage, Worker, job
from tests.servers import connect


def _moved(official_list: str, our_list: str, reason: str, *, ours_had: bool) -> list[Difference]:
    """The retried jobs went to another list than the release's, in the same order."""

    def ours_only(official: Value | None, ours: Value | None) -> bool:
        return ours is not None and (official is not None) == ours_had

    def theirs_only(official: Value | None, ours: Value | None) -> bool:
        return official is not None and ours is None

    return [
        Difference(f"q:{official_list}", reason, theirs_only),
        Difference(f"q:{our_list}", reason, ours_only),
    ]


def _kept(release: Release, *, waiting: bool) -> str:
    """The key into which we put jobs without a priority while the queue is paused.

    Args:
        release: of the queue, which has added and worked jobs, and nothing else has.
        waiting: whether it added a job that waits.
    """
    if not release.at_least_5:
        return "paused"
    if waiting and release.speaks >= (6, 0, 0):
        return "wait"
    # 5.0.0 to 5.19.x write no version, so that nothing distinguishes them from a port of 6.x.
    return "paused" if waiting and release.writes_version else "prioritized"


def _pausing(release: Release, waiting: bool, ids: Sequence[str]) -> list[Difference]:
    """Where a release puts a job that is retried while the queue is paused, if not where we do."""
    if release.speaks < (3, 13, 1):
        reason = "before 3.13.1 a retried job went to wait, where it ran or a resume lost it"
        return _moved("wait", "paused", reason, ours_had=waiting)
    if _kept(release, waiting=waiting) != "prioritized":
        return []
    reason = "5.x keeps it in paused, 6.x in wait; in prioritized neither's resume loses it"
    scores = [(one, float(place)) for place, one in enumerate(ids, start=1)]
    theirs = "wait" if release.speaks >= (6, 0, 0) else "paused"

    def without(official: Value | None, ours: Value | None) -> bool:
        left = list(ours[1]) if ours and isinstance(ours[1], list) else []
        return official is not None and official[1] == [*reversed(ids), *left]

    return [
        Difference(f"q:{theirs}", reason, without),
        Difference("q:prioritized", reason, only_ours(scores)),
        Difference("q:pc", reason, only_ours(str(len(ids)))),
    ]


def assert_nothing_runs(side: Side, worker: Worker) -> None:
    """The worker has looked at the queue as it is now, and found nothing to run.

    Before 5.0.0 it blocks on ``wait`` itself, so that it is blocked proves that there is nothing.
    Since then it blocks on ``marker``: one of ours makes it look once more, and it blocks again.
    """
    side.await_idle()
    if side.release.at_least_5:
        side.client.zadd(side.key("marker"), {"0": 0})
        side.await_idle()
        assert not side.client.exists(side.key("marker"))
    assert worker.until() == []


def _run_after_resume(side: Side, resumer: Side, ids: list[str]) -> None:
    # 5.x writes no marker at a resume that finds no list `paused`: its worker wakes by this delay.
    with side.worker("ok", drainDelay=1) as worker:
        assert_nothing_runs(side, worker)
        resumer.run("resume")
        runs = worker.until(ends=len(ids))
        side.await_idle()
        assert worker.until() == runs
    assert runs == ids
    side.assert_all_in("completed", ids)
    assert not side.client.exists(side.key("wait"), side.key("paused"), side.key("prioritized"))


@pytest.mark.parametrize("waiting", [False, True], ids=["none-waits", "some-wait"])
def test_jobs_retried_while_paused_run_after_the_resume(stage: Stage, waiting: bool) -> None:
    ids = stage.official.seed([job("a"), job("b")])
    before = stage.official.run("add", jobs=[job("w1"), job("w2")]) if waiting else []
    stage.official.run("pause")
    stage.copy()
    stage.retry_both(ids)
    stage.assert_equal(*_pausing(stage.release, waiting, ids))
    _run_after_resume(stage.ours, stage.ours, [*before, *ids])


def test_jobs_added_after_a_retry_while_paused_are_not_lost(stage: Stage) -> None:
    ids = stage.official.seed([job("a"), job("b")])
    stage.official.run("pause")
    stage.copy()
    assert stage.retry(ids) == [1, 1]
    added = stage.ours.run("add", jobs=[job("w1"), job("w2")])
    # What is in `prioritized` runs after what waits without a priority.
    in_order = [*added, *ids] if stage.release.at_least_5 else [*ids, *added]
    _run_after_resume(stage.ours, stage.ours, in_order)


@pytest.mark.releases(since="5.0.0")
def test_prioritized_jobs_retried_while_paused_wait_for_the_resume(stage: Stage) -> None:
    low, high = stage.official.seed([job("low", priority=7), job("high", priority=2)])
    stage.official.run("pause")
    stage.copy()
    assert [result.target for result in stage.results([low, high])] == ["prioritized"] * 2
    _run_after_resume(stage.ours, stage.ours, [high, low])


def test_a_worker_that_waits_on_a_paused_queue_starts_nothing_that_is_retried(
    stage: Stage,
) -> None:
    ids = stage.official.seed([job("a"), job("b"), job("c", priority=3)])
    stage.official.run("pause")
    stage.copy()
    with stage.ours.worker("ok") as worker:
        stage.ours.await_idle()
        assert stage.retry(ids) == [1, 1, 1]
        assert_nothing_runs(stage.ours, worker)
        stage.ours.run("resume")
        assert sorted(worker.until(ends=3)) == sorted(ids)
        stage.ours.await_idle()
    stage.ours.assert_all_in("completed", ids)


@pytest.mark.releases(before="6.0.0")
def test_with_jobs_in_both_lists_the_retried_ones_are_in_the_one_that_is_kept(
    stage: Stage, drivers: Drivers
) -> None:
    """A 6.x producer fills `wait` of a queue that an older release paused; then it resumes."""
    six = named("6.7.0")
    ids = stage.official.seed([job("a"), job("b")])
    in_paused = stage.official.run("add", jobs=[job("p")])
    stage.official.run("pause")
    newer = stage.official.other(drivers.get(six), six)
    newer.open()
    in_wait = newer.run("add", jobs=[job("w")])
    stage.copy()
    five = stage.release.at_least_5
    kept = "prioritized" if five else "paused"
    assert [result.target for result in stage.results(ids)] == [kept, kept]
    newer = stage.ours.other(drivers.get(six), six)
    newer.run("resume")
    # 6.x puts what it finds in `paused` behind what is in `wait`, so that it runs first.
    stage.ours.work_off([*in_paused, *(() if five else ids), *in_wait, *(ids if five else ())])


@pytest.mark.releases(before="6.0.0")
def test_with_jobs_in_both_lists_a_resume_of_the_old_release_keeps_the_retried_ones(
    stage: Stage, drivers: Drivers
) -> None:
    six = named("6.7.0")
    ids = stage.official.seed([job("a"), job("b")])
    in_paused = stage.official.run("add", jobs=[job("p")])
    stage.official.run("pause")
    newer = stage.official.other(drivers.get(six), six)
    newer.open()
    in_wait = newer.run("add", jobs=[job("w")])
    stage.copy()
    assert stage.retry(ids) == [1, 1]
    stage.ours.run("resume")
    with stage.ours.worker("ok") as worker:
        assert worker.until(ends=3) == [*in_paused, *ids]
    counted = stage.ours.census()
    assert {id: counted[id] for id in ids} == {id: ["completed"] for id in ids}
    # The release's own loss, with or without us: a resume before 6.0.0 renames `paused` over
    # `wait`, and the jobs that 6.x added there while the queue was paused are gone.
    assert counted[in_wait[0]] == []
    stage.official.run("resume")
    assert stage.official.census()[in_wait[0]] == []


def test_jobs_that_another_tool_left_in_wait_of_a_paused_queue_are_not_lost_by_our_retry(
    stage: Stage,
) -> None:
    """Retry before 3.13.1 left them there, other tools still do. Then there is no list `paused`.

    With one, a resume before 6.0.0 renames it over `wait`: what was in `wait` is in no state after
    that, and never runs.
    """
    theirs, ours, next_one = stage.official.seed([job("a"), job("b"), job("c", lifo=True)])
    stage.official.run("pause")
    stage.copy()
    stage.ours.client.zrem(stage.ours.key("failed"), theirs)
    stage.ours.client.lpush(stage.ours.key("wait"), theirs)
    assert stage.retry([ours, next_one]) == [1, 1]
    stage.ours.assert_each_in_one_place()
    first = [theirs, next_one] if stage.release.at_least_5 else [next_one, theirs]
    _run_after_resume(stage.ours, stage.ours, [*first, ours])


def _crowd(side: Side, jobs: int, example: str) -> list[str]:
    """More failed jobs, each as the release's worker left the one that is there."""
    fields = side.client.hgetall(side.key(example))
    ids = [f"c{place}" for place in range(jobs)]
    pipe = side.client.pipeline(transaction=False)
    for place, one in enumerate(ids):
        pipe.hset(side.key(one), items=[part for field in fields.items() for part in field])
        pipe.zadd(side.key("failed"), {one: 1_700_000_000_000 + place})
    pipe.execute()
    return ids


async def _retry_all(server: EmbeddedServer, side: Side) -> Campaign[Retry]:
    async with connect(server, db=side.database) as client:
        queue = QueueKey.of("bull", side.queue)
        plan = await make_plan(client, await query(client, queue, JobState.FAILED), rate=0)
        campaign = Campaign(client, Retry(client, RetryWriter(client), plan, Resets()))
        async for _ in campaign.run():
            assert not campaign.held
        return campaign


@pytest.mark.parametrize("proven", [False, True], ids=["", "proven"])
def test_a_resume_strands_no_job_however_many_were_retried(
    stage: Stage, oracle_server: EmbeddedServer, drivers: Drivers, proven: bool
) -> None:
    """6.x moves 7,000 ids a call out of `paused` if jobs wait, and only node calls again.

    `proven`: the release's add put a job that never ran where it keeps what waits meanwhile.
    """
    [example] = stage.official.seed([job("a")])
    before = stage.official.run("add", jobs=[job("w")]) if proven else []
    stage.official.run("pause")
    stage.copy()
    side = stage.ours
    ids = [example, *_crowd(side, 7_500, example)]
    campaign = asyncio.run(_retry_all(oracle_server, side))
    assert campaign.done == len(ids)
    counts = {state: count for state, count in side.run("counts").items() if count}
    where = _kept(side.release, waiting=proven)
    expected = Counter({"waiting" if side.release.speaks >= (6, 0, 0) else "paused": len(before)})
    if where == "paused" and side.release.at_least_5:  # with the one that was added
        expected += Counter(paused=6_999, prioritized=len(ids) - 6_999)
    else:
        expected["waiting" if where == "wait" else where] += len(ids)
    assert counts == +expected
    # It adds to `wait`, and resumes with one call.
    other = named(PYTHON) if side.release.at_least_5 else side.release
    resuming = side.other(drivers.get(other), other)
    added = resuming.run("add", jobs=[job("w")])
    resuming.run("resume")
    side.assert_each_in_one_place()
    assert not side.client.exists(side.key("paused"))
    standing = side.client.llen(side.key("wait")) + side.client.zcard(side.key("prioritized"))
    assert standing == len([*ids, *before, *added])


_MIXED = [("5.81.5", "6.7.0"), ("6.7.0", "5.81.5"), ("4.18.3", "6.7.0"), ("4.18.3", "5.81.5")]


@pytest.mark.parametrize("opened", [False, True], ids=["", "opened-by-resumer"])
@pytest.mark.parametrize("waiting", [False, True], ids=["none-waits", "some-wait"])
@pytest.mark.parametrize(("pauser", "resumer"), _MIXED, ids=["-".join(pair) for pair in _MIXED])
def test_paused_by_one_release_and_resumed_by_another_loses_no_job(
    bare_stage: Stage, drivers: Drivers, pauser: str, resumer: str, waiting: bool, opened: bool
) -> None:
    """`opened`: the resumer's process opened the queue before the retry, so meta.version lies."""
    first, second = named(pauser), named(resumer)
    pausing = bare_stage.ours.other(drivers.get(first), first)
    resuming = bare_stage.ours.other(drivers.get(second), second)
    ids = pausing.seed([job("a"), job("b")])
    before = pausing.run("add", jobs=[job("w1"), job("w2")]) if waiting else []
    pausing.run("pause")
    if opened:
        resuming.open()
    assert bare_stage.retry(ids) == [1, 1]
    bare_stage.ours.assert_each_in_one_place()
    _run_after_resume(resuming, resuming, [*before, *ids])


_FIVE_AND_SIX = [("5.81.5", "6.7.0"), ("6.7.0", "5.81.5"), ("5.0.0", PYTHON), (PYTHON, "5.0.0")]


@pytest.mark.parametrize("adds", ["worker", "dashboard"])
@pytest.mark.parametrize("early", [False, True], ids=["worker-later", "worker-idle"])
@pytest.mark.parametrize(
    ("works", "shows"), _FIVE_AND_SIX, ids=["-".join(pair) for pair in _FIVE_AND_SIX]
)
def test_a_job_added_beside_the_retried_ones_loses_none_under_another_release(
    bare_stage: Stage, drivers: Drivers, works: str, shows: str, early: bool, adds: str
) -> None:
    """One release works, the other one's dashboard pauses, shows what waits, and resumes.

    In `wait` the retried jobs would be lost under an add and a resume of 5.x, in `paused` what 6.x
    adds; in `delayed` an idle worker of 6.x would have moved them to `wait` meanwhile.
    """
    first, second = named(works), named(shows)
    working = bare_stage.ours.other(drivers.get(first), first)
    dashboard = bare_stage.ours.other(drivers.get(second), second)
    ids = working.seed([job("a"), job("b"), job("c", lifo=True)])
    dashboard.run("pause")
    with contextlib.ExitStack() as stack:
        worker = stack.enter_context(working.worker("ok", drainDelay=1)) if early else None
        assert bare_stage.retry(ids) == [1, 1, 1]
        assert dashboard.run("counts")["prioritized"] == 3
        added = (working if adds == "worker" else dashboard).run("add", jobs=[job("n")])
        if worker is not None:
            assert_nothing_runs(working, worker)
        dashboard.run("resume")
        worker = worker or stack.enter_context(working.worker("ok"))
        assert worker.until(ends=4) == [*added, ids[2], ids[0], ids[1]]
        working.await_idle()
    working.assert_all_in("completed", [*added, *ids])


@pytest.mark.releases(since="5.0.0")
def test_a_second_pause_and_a_reached_concurrency_keep_the_retried_jobs(stage: Stage) -> None:
    ids = stage.official.seed([job("a"), job("b")])
    stage.official.run("pause")
    stage.copy()
    side = stage.ours
    if side.release.speaks >= (5, 9, 0):
        side.client.hset(side.key("meta"), "concurrency", 1)
    assert stage.retry(ids) == [1, 1]
    side.run("pause")
    side.run("add", jobs=[job("w")])
    side.run("pause")
    side.assert_each_in_one_place()
    side.run("resume")
    side.work_off([*ids, *_others(side, ids)], in_order=False)


def _others(side: Side, ids: Sequence[str]) -> list[str]:
    return [one for one in side.census() if one not in ids]
