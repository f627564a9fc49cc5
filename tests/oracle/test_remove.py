"""Job.remove of real releases, against ours: every state, deduplication, schedulers."""

from __future__ import annotations

import asyncio

import pytest

from qtui.bullmq.codes import Code
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState, Row
from qtui.bullmq.writers.batch import Batch, Picked
from qtui.bullmq.writers.remove import RemoveWriter
from tests.oracle.flow_stage import ONE_SERVER
from tests.oracle.keyspace import Difference, Value
from tests.oracle.removing import codes, connect_to, events_of, remove
from tests.oracle.scheduling import HOUR
from tests.oracle.stage import Side, Stage, job

pytestmark = ONE_SERVER


def _populate(stage: Stage) -> dict[JobState, list[str]]:
    """Three jobs in each state, some with logs."""
    side = stage.official
    failed = side.seed([job(f"f{at}") for at in range(3)])
    completed = side.seed([job(f"c{at}", "ok") for at in range(3)])
    waiting = side.run("add", jobs=[job(f"w{at}") for at in range(3)])
    delayed = side.run("add", jobs=[job(f"d{at}", delay=HOUR + at) for at in range(3)])
    urgent = side.run("add", jobs=[job(f"p{at}", priority=9 - at) for at in range(3)])
    for id in (failed[1], waiting[1]):
        side.client.rpush(side.key(f"{id}:logs"), "one", "two")
    found = {
        JobState.FAILED: failed,
        JobState.COMPLETED: completed,
        JobState.WAITING: waiting,
        JobState.DELAYED: delayed,
    }
    # Before 4.0.0 they wait in the one list.
    state = JobState.PRIORITIZED if side.members("prioritized") else JobState.WAITING
    return {**found, state: [*found.get(state, []), *urgent]}


def test_jobs_of_every_state_go_as_the_release_removes_them(stage: Stage) -> None:
    jobs = _populate(stage)
    stage.copy()
    for state, ids in jobs.items():
        chosen = [ids[1], ids[0]]
        assert [code for code, _ in stage.official.run("remove", ids=chosen)] == [1, 1]
        assert codes(remove(stage.ours, chosen, state)) == [1, 1]
    stage.assert_equal()
    left = [id for ids in jobs.values() for id in ids[2:]]
    assert sorted(stage.ours.census()) == sorted(left)


def test_each_job_that_goes_is_announced_though_a_clean_of_the_releases_announces_none(
    stage: Stage,
) -> None:
    """D12: followers and the screens of others saw nothing but how many."""
    ids = stage.official.seed([job("a"), job("b")])
    stage.copy()
    assert sorted(stage.official.run("clean", state="failed")) == ids
    assert codes(remove(stage.ours, ids, JobState.FAILED)) == [1, 1]

    def announced(side: Side) -> list[str]:
        events = events_of(side.snapshot()[side.key("events")])
        return [one["jobId"] for one in events if one["event"] == "removed"]

    assert (announced(stage.official), announced(stage.ours)) == ([], ids)


def test_a_paused_queue_loses_no_other_job(stage: Stage) -> None:
    side = stage.official
    side.open()
    ids = side.run("add", jobs=[job(f"w{at}") for at in range(3)])
    side.run("pause")
    state = JobState.PAUSED if side.members("paused") else JobState.WAITING
    stage.copy()
    stage.official.run("remove", ids=[ids[1]])
    assert codes(remove(stage.ours, [ids[1]], state)) == [1]
    stage.assert_equal()
    stage.ours.run("resume")
    stage.ours.work_off([ids[0], ids[2]])


def test_a_running_job_stays_until_its_lock_is_gone(stage: Stage) -> None:
    side = stage.official
    side.open()
    [id] = side.run("add", jobs=[job("a")])
    with side.worker("hold") as worker:
        worker.until(starts=1)
        stage.copy()
        before = stage.ours.snapshot()
        [[code, words]] = side.run("remove", ids=[id])
        assert code == 0 or "lock" in words
        [result] = remove(stage.ours, [id], JobState.ACTIVE)
        assert (result.code, result.error) == (Code.REFUSED, "a worker holds its lock")
        assert stage.ours.snapshot() == before
        stage.ours.client.delete(stage.ours.key(f"{id}:lock"))
        assert codes(remove(stage.ours, [id], JobState.ACTIVE)) == [1]
        assert stage.ours.census() == {}


def test_a_job_that_is_gone_or_elsewhere_or_another_changes_nothing(stage: Stage) -> None:
    failed, completed = stage.official.seed([job("a"), job("b", "ok")])
    [waiting] = stage.official.run("add", jobs=[job("w")])
    stage.copy()
    before = stage.ours.snapshot()
    score = stage.ours.client.zscore(stage.ours.key("failed"), failed)
    assert score is not None
    ours = stage.ours
    assert codes(remove(ours, ["nobody", completed], JobState.FAILED)) == [-1, -3]
    assert codes(remove(ours, [Picked(failed, score - 1)], JobState.FAILED)) == [-3]
    assert codes(remove(ours, [failed], JobState.WAITING)) == [-3]
    assert codes(remove(ours, [Picked(waiting, 5.0)], JobState.WAITING)) == [-3]
    assert ours.snapshot() == before
    [added] = ours.client.hmget(ours.key(waiting), "timestamp")
    pinned = Picked(waiting, Row(waiting, timestamp=int(added or 0)).stamp)
    assert codes(remove(ours, [pinned], JobState.WAITING)) == [1]
    assert codes(remove(ours, [Picked(failed, score), failed], JobState.FAILED)) == [1, -3]


def test_an_id_without_a_hash_is_cleared_away_as_the_release_does(stage: Stage) -> None:
    gone, kept = stage.official.seed([job("a"), job("b")])
    [waiting] = stage.official.run("add", jobs=[job("w")])
    stage.official.client.delete(stage.official.key(gone), stage.official.key(waiting))
    stage.copy()
    for id, state in ((gone, JobState.FAILED), (waiting, JobState.WAITING)):
        stage.official.run("remove", ids=[id])
        [result] = remove(stage.ours, [id], state)
        assert (result.code, result.target) == (1, "cleared")
    stage.assert_equal(*_event_for_nothing(stage, 2))
    assert stage.ours.census() == {kept: ["failed"]}


@pytest.mark.releases(since="1.18.0")
def test_a_job_in_no_state_goes_as_the_release_removes_it(stage: Stage) -> None:
    lost, kept = stage.official.seed([job("a"), job("b")])
    stage.official.client.rpush(stage.official.key(f"{lost}:logs"), "one")
    stage.official.client.zrem(stage.official.key("failed"), lost)
    stage.copy()
    ours = stage.ours
    fields = ours.client.hmget(
        ours.key(lost), "timestamp", "processedOn", "ats", "atm", "attemptsMade"
    )
    timestamp, processed, ats, atm, made = (int(one) if one else None for one in fields)
    row = Row(
        lost,
        timestamp=timestamp,
        processed_on=processed,
        attempts_started=ats,
        attempts_made=made if made is not None else atm or 0,
    )
    pinned = Picked(lost, row.stamp)

    def remove_stray(*picked: Picked) -> list[int]:
        async def call() -> Batch:
            async with connect_to(ours) as client:
                key = QueueKey.of("bull", ours.queue)
                return await RemoveWriter(client).remove(key, None, picked)

        return codes(asyncio.run(call()).results)

    before = ours.snapshot()
    there = Picked(kept, row.stamp)
    assert remove_stray(there, Picked(lost, row.stamp + 1), Picked("none", 1.0)) == [-3, -3, -1]
    for list_name in ("wait", "paused", "active"):
        ours.client.rpush(ours.key(list_name), lost)
        assert remove_stray(pinned) == [-3]
        ours.client.delete(ours.key(list_name))
    assert ours.snapshot() == before
    stage.official.run("remove", ids=[lost])
    assert remove_stray(pinned) == [1]
    stage.assert_equal()
    assert ours.census() == {kept: ["failed"]}


@pytest.mark.releases(since="3.1.3", before="5.0.0")
def test_a_wake_up_in_the_list_is_no_job(stage: Stage) -> None:
    stage.official.open()
    stage.official.run("add", jobs=[job("a", delay=HOUR)])
    marker = stage.official.members("wait")
    stage.copy()
    assert codes(remove(stage.ours, ["0:0", *marker], JobState.WAITING)) == [-1] * (1 + len(marker))
    assert stage.ours.members("wait") == marker


def _event_for_nothing(stage: Stage, jobs: int) -> list[Difference]:
    """Before 4.12.4 `removed` is emitted though there was no job."""
    if stage.release.speaks >= (4, 12, 4):
        return []

    def right(official: Value | None, ours: Value | None) -> bool:
        return events_of(official)[:-jobs] == events_of(ours)

    return [Difference("q:events", "an event for a job that was not there", right)]


# Schedulers and deduplication ---------------------------------------------------------------------


@pytest.mark.releases(since="5.41.0")
def test_the_current_iteration_of_a_scheduler_stays(stage: Stage) -> None:
    side = stage.official
    side.open()
    first = side.run("scheduler", scheduler="s", every=HOUR, template={"name": "tick", "data": {}})
    state = JobState.DELAYED if side.members("delayed") else JobState.WAITING
    stage.copy()
    before = stage.ours.snapshot()
    [[code, words]] = side.run("remove", ids=[first])
    assert code == -8 or "scheduler" in words
    [result] = remove(stage.ours, [first], state)
    assert (result.code, result.error) == (Code.CURRENT_ITERATION, "s")
    assert stage.ours.snapshot() == before


@pytest.mark.releases(before="5.16.0")
def test_nor_does_that_of_a_repeatable_job_whose_removal_would_end_it(stage: Stage) -> None:
    """These releases remove it, and it never repeats again."""
    side = stage.official
    side.open()
    side.run("repeat", name="tick", every=HOUR, data={})
    [first] = side.members("delayed")
    stage.copy()
    before = stage.ours.snapshot()
    side.run("remove", ids=[first])
    assert side.members("delayed") == []
    [result] = remove(stage.ours, [first], JobState.DELAYED)
    assert result.code == Code.CURRENT_ITERATION
    assert stage.ours.snapshot() == before
    stage.ours.client.hdel(stage.ours.key(first), "rjk")  # as before 1.86.0
    assert codes(remove(stage.ours, [first], JobState.DELAYED)) == [-8]


@pytest.mark.releases(since="5.17.0")
def test_an_iteration_that_has_run_goes(stage: Stage) -> None:
    side = stage.official
    side.open()
    first = side.run("scheduler", scheduler="s", every=HOUR, template={"name": "tick", "data": {}})
    with side.worker("ok") as worker:
        worker.until(ends=1)
    stage.copy()
    [[code, _]] = side.run("remove", ids=[first])
    assert (code, codes(remove(stage.ours, [first], JobState.COMPLETED))) == (1, [1])
    stage.assert_equal()


def _deduplicated(id: str) -> dict[str, object]:
    return job("a", jobId=id, deduplication={"id": "one"})


@pytest.mark.releases(since="5.17.0")
def test_the_deduplication_that_it_holds_is_let_go(stage: Stage) -> None:
    stage.official.open()
    stage.official.run("add", jobs=[_deduplicated("first")])
    assert stage.official.client.get("bull:q:de:one") == "first"
    stage.official.client.hset("bull:q:dn:one", mapping={"name": "next", "data": "{}"})
    stage.copy()
    stage.official.run("remove", ids=["first"])
    assert codes(remove(stage.ours, ["first"], JobState.WAITING)) == [1]
    known = []
    if stage.release.speaks < (5, 72, 0):  # it does not know the key
        known = [Difference("q:dn:one", "no `dn:` before 5.72.0", lambda _, ours: ours is None)]
    stage.assert_equal(*known)
    assert stage.ours.client.exists("bull:q:de:one", "bull:q:dn:one") == 0


@pytest.mark.releases(since="5.50.0")
def test_one_that_another_job_holds_stays(stage: Stage) -> None:
    stage.official.open()
    stage.official.run("add", jobs=[_deduplicated("first")])
    stage.official.client.set("bull:q:de:one", "second")
    stage.copy()
    stage.official.run("remove", ids=["first"])
    assert codes(remove(stage.ours, ["first"], JobState.WAITING)) == [1]
    stage.assert_equal()
    assert stage.ours.client.get("bull:q:de:one") == "second"


# Defects that are not inherited -------------------------------------------------------------------


@pytest.mark.releases(since="5.41.0")
def test_d1_the_waiting_side_is_emptied_around_a_scheduler_s_iteration(stage: Stage) -> None:
    """The release's drain trims by number: it loses the iteration, and keeps an id without hash."""
    side = stage.official
    side.open()
    first = side.run("scheduler", scheduler="s", every=HOUR, template={"name": "tick", "data": {}})
    if side.members("delayed"):
        side.client.zrem(side.key("delayed"), first)
        side.client.lpush(side.key("wait"), first)
    ids = side.run("add", jobs=[job("a"), job("b")])
    # In front of the others, as after a lifo add.
    side.client.lrem(side.key("wait"), 1, first)
    side.client.lpush(side.key("wait"), first)
    stage.copy()
    results = remove(stage.ours, [*ids, first], JobState.WAITING)
    assert codes(results) == [1, 1, -8]
    assert stage.ours.members("wait") == [first]
    assert stage.ours.census() == {first: ["wait"]}
