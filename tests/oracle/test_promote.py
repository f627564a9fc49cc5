"""Job.promote of real releases, against ours: places, priorities, lifo, schedulers, and back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import cast

import pytest
import redis.asyncio

from qtui.bullmq.codes import Result
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import LIST_FIELDS, row
from qtui.bullmq.writers.batch import Batch, Picked
from qtui.bullmq.writers.promote import PromoteWriter
from qtui.bullmq.writers.unpromote import Promoted, UnpromoteWriter
from tests.oracle.flow_stage import ONE_SERVER
from tests.oracle.keyspace import Difference, Value, entries
from tests.oracle.releases import Release
from tests.oracle.scheduling import HOUR
from tests.oracle.stage import Side, Stage, job

pytestmark = ONE_SERVER
QUEUE = QueueKey.of("bull", "q")
SOON = 1_500
"""Ms within which a woken worker begins; one that is not sleeps up to 5 s."""


def _client(side: Side) -> redis.asyncio.Redis:
    return redis.asyncio.Redis(
        unix_socket_path=str(side.where()["socket"]),
        db=side.database,
        decode_responses=True,
        encoding_errors="surrogateescape",
    )


def promote(side: Side, ids: Sequence[str | Picked]) -> list[Result]:
    """Promotes jobs with qtui on one side; nothing else may have gone wrong."""

    async def call() -> Batch:
        async with _client(side) as client:
            picked = [one if isinstance(one, Picked) else Picked(one) for one in ids]
            return await PromoteWriter(client).promote(QUEUE, picked)

    batch = asyncio.run(call())
    assert batch.note == ""
    return batch.results


def codes(results: Sequence[Result]) -> list[int]:
    return [int(one.code) for one in results]


def delayed(side: Side, *names: str, **opts: object) -> list[str]:
    """Adds jobs that are due in an hour, a second apart."""
    jobs = [{"name": name, "data": {"outcome": "ok"}} for name in names]
    for at, one in enumerate(jobs):
        one["opts"] = {"delay": HOUR + 1000 * at, **opts}
    added: list[str] = side.run("add", jobs=jobs)
    return added


def promote_both(stage: Stage, ids: Sequence[str]) -> list[Result]:
    """Promotes with the release on its side and with qtui on ours; each must succeed."""
    for id in ids:
        stage.official.run("promote", job=id)
    results = promote(stage.ours, ids)
    assert codes(results) == [1] * len(ids)
    return results


def marker_more(release: Release) -> list[Difference]:
    """Before 5.0.0 nothing reads the marker: it may always be written."""
    if release.at_least_5:
        return []
    right = [("0", 0.0)]
    return [
        Difference(
            "q:marker",
            "no release before 5.0.0 has it, and a queue of unknown release gets it",
            lambda official, ours: official is None and ours is not None and ours[1] == right,
            always=False,
        )
    ]


def test_delayed_jobs_go_where_the_release_puts_them_and_run_in_order(stage: Stage) -> None:
    stage.official.seed([job("ran", "ok"), job("ran")])
    ids = delayed(stage.official, "a", "b", "c")
    stage.copy()
    promote_both(stage, ids)
    stage.assert_equal()
    with stage.ours.worker("ok") as worker:
        assert worker.until(ends=3) == ids
    stage.ours.assert_all_in("completed", ids)


def test_a_job_whose_id_a_worker_takes_for_a_wake_up_runs(stage: Stage) -> None:
    """The release's own promotion puts it into `wait`, from where its workers throw it away."""
    if stage.release.speaks < (6, 0, 0):
        return  # refuses such an id
    stage.official.seed([job("ran", "ok")])
    [id] = delayed(stage.official, "a", jobId="0:order:7")
    stage.copy()
    [result] = promote_both(stage, [id])
    assert result.target == "prioritized"
    with stage.ours.worker("ok") as worker:
        assert worker.until(ends=1) == [id]
    stage.ours.assert_all_in("completed", [id])


def test_in_a_queue_that_has_run_nothing_they_go_there_too(stage: Stage) -> None:
    stage.official.open()
    ids = delayed(stage.official, "a", "b")
    waiting = stage.official.run("add", jobs=[job("w1"), job("w2")])
    stage.copy()
    promote_both(stage, ids)
    stage.assert_equal(*marker_more(stage.release))
    stage.ours.work_off([*waiting, *ids])


def _seeded_by(stage: Stage) -> None:
    """Runs a job and adds a prioritized one, so that the keys show which release it is."""
    stage.official.seed([job("ran", "ok")])
    stage.official.run("add", jobs=[job("urgent", priority=5)])


def test_priorities_are_kept(stage: Stage) -> None:
    _seeded_by(stage)
    [first] = stage.official.members("prioritized") or stage.official.members("wait")
    low, high, low_too = delayed(stage.official, "low", "high", "low", priority=7)[:3]
    stage.official.client.hset(stage.official.key(high), "priority", 2)
    [plain] = delayed(stage.official, "plain")
    stage.copy()
    ids = [low, high, low_too, plain]
    promote_both(stage, ids)
    stage.assert_equal()
    urgent = [high, first, low, low_too]
    # 1.x to 3.x keep all in one list, those without a priority last.
    stage.ours.work_off([plain, *urgent] if stage.release.speaks >= (4, 0, 0) else [*urgent, plain])


@pytest.mark.releases(since="4.6.0")
def test_the_bulk_promotion_of_the_releases_loses_priority_and_delay_and_ours_does_not(
    stage: Stage,
) -> None:
    """D2: promoteJobs puts a job with a priority into `wait`, and leaves its delay."""
    _seeded_by(stage)
    [first] = stage.official.members("prioritized")
    [low] = delayed(stage.official, "low", priority=7)
    stage.copy()
    stage.official.run("promoteAll")
    assert stage.official.members("prioritized") == [first]
    assert stage.official.client.hget(stage.official.key(low), "delay") != "0"
    [result] = promote(stage.ours, [low])
    assert (result.code, result.target) == (1, "prioritized")
    assert stage.ours.client.hget(stage.ours.key(low), "delay") == "0"
    stage.ours.work_off([first, low])


def test_lifo_jobs_run_next_though_the_releases_forget_it(stage: Stage) -> None:
    stage.official.seed([job("ran", "ok")])
    waiting = stage.official.run("add", jobs=[job("w1"), job("w2")])
    [last] = delayed(stage.official, "last")
    [next] = delayed(stage.official, "next", lifo=True)
    stage.copy()
    promote_both(stage, [last, next])

    def right(official: Value | None, ours: Value | None) -> bool:
        assert official is not None
        assert ours is not None
        others = [last, *waiting[::-1]]
        return (official[1], ours[1]) == ([next, *others], [*others, next])

    forgotten = Difference("q:wait", "lifo forgotten by promote", right)
    stage.assert_equal(forgotten)
    stage.ours.work_off([next, *waiting, last])


@pytest.mark.parametrize("priority", [0, 3])
def test_in_a_paused_queue_they_run_after_the_resume_of_the_release(
    stage: Stage, priority: int
) -> None:
    stage.official.seed([job("ran", "ok")])
    waiting = stage.official.run("add", jobs=[job("w")])
    stage.official.run("pause")
    ids = delayed(stage.official, "a", "b", priority=priority)
    stage.copy()
    assert codes(promote(stage.ours, ids)) == [1, 1]
    stage.ours.assert_each_in_one_place()
    stage.ours.run("resume")
    # Nothing else shows that 1.x to 3.x run it, which order the one list by priority.
    first = bool(priority) and stage.release.writes_version and stage.release.speaks < (4, 0, 0)
    stage.ours.work_off([*ids, *waiting] if first else [*waiting, *ids])


def test_an_idle_worker_is_woken(stage: Stage) -> None:
    stage.official.seed([job("ran", "ok")])
    side = stage.official
    if stage.release.speaks < (2, 0, 0):
        side.run("schedule")
    with side.worker("ok") as worker:
        side.await_idle()
        for priority in (0, 3):
            [id] = delayed(side, "a", priority=priority)
            asked = time.time() * 1000
            [result] = promote(side, [id])
            assert int(result.code) == 1
            run = worker.timed(starts=1 + bool(priority))[-1]
            assert run["id"] == id
            assert run["at"] - asked < SOON
            worker.until(ends=1 + bool(priority))
            side.await_idle()


def test_the_iteration_that_a_scheduler_waits_for_stays(stage: Stage) -> None:
    """D9: promoted, it uses up its slot: the next one comes a whole period after that."""
    side = stage.ours
    side.open()
    side.run("schedule")
    side.run("repeat", name="tick", every=HOUR, data={"outcome": "ok"})
    with side.worker("data") as worker:  # the first of some releases is due at once
        side.await_idle()
        worker.until()
    [iteration] = side.members("delayed")
    [plain] = delayed(side, "plain")
    before = side.client.hgetall(side.key(iteration))
    results = promote(side, [iteration, plain])
    assert codes(results) == [-8, 1]
    assert results[0].error in side.members("repeat")
    assert side.members("delayed") == [iteration]
    assert side.client.hgetall(side.key(iteration)) == before
    # Once its scheduler is gone nothing waits for it any more.
    side.client.delete(side.key("repeat"))
    assert codes(promote(side, [iteration])) == [1]


def test_jobs_that_are_not_what_was_picked_stay(stage: Stage) -> None:
    failed, done = stage.official.seed([job("failed"), job("done", "ok")])
    [waiting] = stage.official.run("add", jobs=[job("waiting")])
    gone, kept = delayed(stage.official, "gone", "kept")
    stage.official.client.delete(stage.official.key(gone))
    score = stage.official.client.zscore(stage.official.key("delayed"), kept)
    assert score is not None
    stage.copy()
    before = stage.ours.snapshot()
    assert codes(promote(stage.ours, [gone, failed, done, waiting])) == [-1, -3, -3, -3]
    assert codes(promote(stage.ours, [Picked(kept, score + 1)])) == [-3]
    assert stage.ours.snapshot() == before
    assert codes(promote(stage.ours, [Picked(kept, score), Picked(kept, score)])) == [1, -3]


# Back ---------------------------------------------------------------------------------------------


def take_back(side: Side, before: Sequence[Promoted]) -> list[Result]:
    """Takes promotions back with qtui on one side."""

    async def call() -> Batch:
        async with _client(side) as client:
            return await UnpromoteWriter(client).take_back(QUEUE, before)

    batch = asyncio.run(call())
    assert batch.note == ""
    return batch.results


def promoted(side: Side, ids: Sequence[str]) -> list[Promoted]:
    """Promotes jobs; as they were before, and where they are."""
    found = []
    for id in ids:
        fields = cast("dict[str, str]", side.client.hgetall(side.key(id)))
        score = side.client.zscore(side.key("delayed"), id)
        assert score is not None
        [result] = promote(side, [id])
        assert int(result.code) == 1
        found.append(
            Promoted(
                job_id=id,
                score=score,
                place=result.target,
                stamp=row(id, [fields.get(name) for name in LIST_FIELDS]).stamp,
                delay=fields.get("delay"),
            )
        )
    return found


@pytest.mark.parametrize("pauses", [False, True])
def test_a_promotion_is_taken_back_key_by_key(stage: Stage, pauses: bool) -> None:
    _seeded_by(stage)
    ids = [
        *delayed(stage.official, "plain", "plain"),
        *delayed(stage.official, "low", priority=7),
        *delayed(stage.official, "next", lifo=True),
    ]
    stage.official.run("add", jobs=[job("w")])
    stage.copy()
    was = promoted(stage.ours, ids)
    if pauses:  # 1.x to 5.x rename the list
        stage.ours.run("pause")
        stage.ours.run("resume")
    results = take_back(stage.ours, was[::-1])
    assert [(int(one.code), one.target) for one in results] == [(1, "delayed")] * len(ids)
    left_behind = {f"bull:q:{suffix}" for suffix in ("events", "marker", "delay", "pc", "meta")}
    before, after = stage.official.snapshot(), stage.ours.snapshot()
    assert {name: value for name, value in after.items() if name not in left_behind} == {
        name: value for name, value in before.items() if name not in left_behind
    }
    for one, entry in zip(was[::-1], _last_events(stage.ours, len(was)), strict=True):
        assert entry == {
            "event": "delayed",
            "jobId": one.job_id,
            "delay": str(int(one.score) // 4096),
        }
    assert codes(take_back(stage.ours, was)) == [-3] * len(ids)
    stage.ours.assert_each_in_one_place()


def _last_events(side: Side, number: int) -> list[dict[str, str]]:
    return entries(side.client, side.key("events"))[-number:]


def test_a_promoted_job_that_has_moved_on_is_left_alone(stage: Stage) -> None:
    stage.official.seed([job("ran", "ok")])
    ran, removed, changed, kept = delayed(stage.official, "ran", "removed", "changed", "kept")
    stage.copy()
    side = stage.ours
    [first] = promoted(side, [ran])
    with side.worker("ok") as worker:
        worker.until(ends=1)
    rest = promoted(side, [removed, changed, kept])
    side.run("remove", ids=[removed])
    side.client.hset(side.key(changed), "delay", "5")
    results = take_back(side, [first, *rest])
    assert [(int(one.code), one.error) for one in results] == [
        (-3, "started"),
        (-1, ""),
        (-3, "changed"),
        (1, ""),
    ]
    side.assert_each_in_one_place()


def test_a_job_taken_back_becomes_due_when_it_was(stage: Stage) -> None:
    stage.official.seed([job("ran", "ok")])
    side = stage.official
    side.run("schedule")
    with side.worker("hold") as worker:
        [holding] = side.run("add", jobs=[job("holding")])
        worker.until(starts=1)
        [id] = side.run("add", jobs=[job("soon", delay=1_500)])
        [was] = promoted(side, [id])
        assert codes(take_back(side, [was])) == [1]
        assert side.members("delayed") == [id]
        worker.release()
        runs = worker.timed(starts=2)
    assert [one["id"] for one in runs] == [holding, id]
    assert runs[1]["at"] >= was.score // 4096
    assert runs[1]["at"] - was.score // 4096 < SOON
