"""Job.retry of real releases, against ours: states, counters, order, codes."""

from __future__ import annotations

import time

import pytest

from qtui.bullmq.writers.batch import Picked
from tests.oracle.keyspace import entries
from tests.oracle.known import (
    default_length_written,
    in_order_of_priority,
    no_marker,
    priority_ignored,
    resets_unknown,
)
from tests.oracle.scheduling import HOUR
from tests.oracle.stage import Stage, job


def test_failed_jobs_go_where_the_release_puts_them_and_run_in_order(stage: Stage) -> None:
    ids = stage.official.seed([job("a"), job("b"), job("c"), job("fine", "ok")])[:3]
    stage.copy()
    stage.retry_both(ids)
    stage.assert_equal(*no_marker(stage.release))
    stage.ours.work_off(ids)


def test_completed_jobs_run_again(stage: Stage) -> None:
    ids = stage.official.seed([job("a", "ok"), job("b", "ok"), job("bad")])[:2]
    stage.copy()
    stage.retry_both(ids, "completed")
    stage.assert_equal(*no_marker(stage.release))
    with stage.ours.worker("ok") as worker:
        assert worker.until(ends=2) == ids
    stage.ours.assert_all_in("completed", ids)


def test_retried_jobs_are_behind_those_that_wait(stage: Stage) -> None:
    ids = stage.official.seed([job("a"), job("b")])
    waiting = stage.official.run("add", jobs=[job("w1"), job("w2")])
    stage.copy()
    stage.retry_both(ids)
    # Adding jobs wrote a marker already.
    stage.assert_equal()
    stage.ours.work_off([*waiting, *ids])


def test_lifo_jobs_run_next_the_last_one_first(stage: Stage) -> None:
    ids = stage.official.seed([job("a", lifo=True), job("b"), job("c", lifo=True)])
    waiting = stage.official.run("add", jobs=[job("w")])
    stage.copy()
    # The order of their failing is not the order of their ids: ask for what we mean.
    a, b, c = ids
    stage.retry_both([a, b, c])
    stage.assert_equal()
    stage.ours.work_off([c, a, *waiting, b])


@pytest.mark.releases(since="5.0.0")
def test_priorities_are_kept_though_most_releases_forget_them(stage: Stage) -> None:
    low, high, plain, low_too = stage.official.seed(
        [job("low", priority=7), job("high", priority=2), job("plain"), job("low", priority=7)]
    )
    stage.copy()
    stage.retry_both([low, high, plain, low_too])
    right = [high, low, low_too]
    stage.assert_equal(*priority_ignored(stage.release, right, [plain]), *no_marker(stage.release))
    stage.ours.work_off([plain, *right])


@pytest.mark.releases(since="5.0.0")
def test_priorities_alone_are_kept_and_picked_up(stage: Stage) -> None:
    low, high = stage.official.seed([job("low", priority=7), job("high", priority=2)])
    stage.copy()
    stage.retry_both([low, high])
    known = priority_ignored(stage.release, [high, low], [])
    stage.assert_equal(*known, *no_marker(stage.release))
    stage.ours.work_off([high, low])


@pytest.mark.releases(before="5.0.0")
def test_priorities_wait_in_line_where_nothing_shows_that_prioritized_is_read(
    stage: Stage,
) -> None:
    """4.x deletes the keys that would show it when none waits; 3.x never reads ``prioritized``."""
    jobs = [job("low", priority=7), job("high", priority=2), job("plain"), job("low", priority=7)]
    low, high, plain, low_too = stage.official.seed(jobs)
    stage.copy()
    stage.retry_both([low, high, plain, low_too])
    right = [plain, high, low, low_too]
    stage.assert_equal(in_order_of_priority(right))
    stage.ours.work_off(right)


@pytest.mark.releases(since="4.0.0")
def test_priorities_are_placed_among_the_prioritized_jobs_that_wait(stage: Stage) -> None:
    low, high = stage.official.seed([job("low", priority=7), job("high", priority=2)])
    waiting = stage.official.run("add", jobs=[job("w", priority=5), job("w", priority=7)])
    stage.copy()
    assert stage.retry([low, high]) == [1, 1]
    stage.ours.work_off([high, waiting[0], waiting[1], low])


def _counter(stage: Stage, made: bool, started: bool) -> list[str]:
    """The fields that the two resets delete in a release."""
    if not stage.release.at_least_5:
        return ["attemptsMade"] if made else []
    return ["atm"] * made + ["ats"] * started


@pytest.mark.parametrize(("made", "started"), [(True, False), (False, True), (True, True)])
def test_resets_delete_the_counters(stage: Stage, made: bool, started: bool) -> None:
    ids = stage.official.seed([job("a", attempts=2)])
    stage.copy()
    stage.retry_both(ids, made=made, started=started)
    counters = _counter(stage, made, started)
    known = resets_unknown(stage.release, ids, *counters) if counters else []
    stage.assert_equal(*known, *no_marker(stage.release))
    left = stage.ours.client.hgetall(stage.ours.key(ids[0]))
    assert not set(counters) & set(left)
    stage.ours.work_off(ids)


def test_used_up_attempts_give_one_more_run_and_a_reset_gives_them_all(stage: Stage) -> None:
    once, thrice = stage.official.seed([job("once", attempts=3), job("thrice", attempts=3)])
    stage.copy()
    assert stage.retry([once]) == [1]
    assert stage.retry([thrice], made=True, started=True) == [1]
    with stage.ours.worker("fail") as worker:
        worker.until(ends=4)
        stage.ours.await_idle()
        assert sorted(worker.until()) == sorted([once, thrice, thrice, thrice])
    stage.ours.assert_all_in("failed", [once, thrice])


def test_a_job_with_attempts_left_has_them_still(stage: Stage) -> None:
    [id] = stage.official.seed([job("a", "ok", attempts=3)])
    stage.copy()
    stage.retry_both([id], "completed")
    stage.assert_equal(*no_marker(stage.release))
    with stage.ours.worker("fail") as worker:
        # The run that completed counts in every release.
        worker.until(ends=2)
        stage.ours.await_idle()
        assert worker.until() == [id, id]
    stage.ours.assert_all_in("failed", [id])


def test_a_job_that_is_gone_is_minus_1_and_changes_nothing(stage: Stage) -> None:
    kept, gone = stage.official.seed([job("kept"), job("gone")])
    stage.official.run("fetch", ids=[gone])
    stage.official.client.delete(stage.official.key(gone))
    stage.copy()
    before = stage.ours.snapshot()
    [[code, words]] = stage.official.run("retry", ids=[gone], state="failed")
    assert code == -1, words
    assert stage.retry([gone]) == [-1]
    stage.assert_equal()
    assert stage.ours.snapshot() == before
    assert stage.retry([gone, kept, gone]) == [-1, 1, -1]
    stage.ours.client.zrem(stage.ours.key("failed"), gone)
    stage.ours.work_off([kept])


@pytest.mark.releases(since="4.0.0")
def test_the_bulk_retry_of_the_releases_loses_priority_and_pushes_ids_of_no_job_and_ours_does_not(
    stage: Stage,
) -> None:
    """D3: retryJobs; that it retries again what fails at once is in operations/test_selection."""
    side = stage.official
    low, gone = side.seed([job("low", priority=7), job("gone")])
    [pending] = side.run("add", jobs=[job("pending", priority=9)])
    side.client.delete(side.key(gone))
    stage.copy()
    side.run("retryAll")
    assert sorted(one for one in side.members("wait") if ":" not in one) == [low, gone]
    assert stage.retry([low, gone]) == [1, -1]
    assert stage.ours.members("prioritized") == [low, pending]
    assert stage.ours.members("failed") == [gone]
    stage.ours.client.zrem(stage.ours.key("failed"), gone)
    stage.ours.work_off([low, pending])


def test_a_job_in_another_state_is_minus_3_and_changes_nothing(stage: Stage) -> None:
    failed, completed = stage.official.seed([job("failed"), job("completed", "ok")])
    [waiting] = stage.official.run("add", jobs=[job("waiting")])
    stage.copy()
    before = stage.ours.snapshot()
    for state, ids in (("failed", [completed, waiting]), ("completed", [failed, waiting])):
        codes = [code for code, _ in stage.official.run("retry", ids=ids, state=state)]
        assert codes == [-3, -3]
        assert stage.retry(ids, state) == [-3, -3]
    stage.assert_equal()
    assert stage.ours.snapshot() == before


def test_a_job_that_finished_again_since_it_was_picked_is_minus_3(stage: Stage) -> None:
    [id] = stage.official.seed([job("a")])
    stage.copy()
    key = stage.ours.key("failed")
    score = stage.ours.client.zscore(key, id)
    assert score is not None
    before = stage.ours.snapshot()
    assert stage.retry([Picked(id, score - 1)]) == [-3]
    assert stage.ours.snapshot() == before
    assert stage.retry([Picked(id, score), Picked(id, score)]) == [1, -3]
    with stage.ours.worker("fail") as worker:
        worker.until(ends=1)
        stage.ours.await_idle()
    again = stage.ours.client.zscore(key, id)
    assert again is not None
    assert again > score
    assert stage.retry([Picked(id, score)]) == [-3]
    assert stage.retry([Picked(id, again)]) == [1]
    stage.ours.work_off([id])


def test_ids_with_colons_are_just_ids(stage: Stage) -> None:
    # Since 5.58.7 a custom id has either no colon or two.
    ids = ["order:17:refund", "17", "a b"]
    names = [f"order-{index}" if id == "17" else id for index, id in enumerate(ids)]
    seeded = stage.official.seed([job("a", jobId=name) for name in names])
    assert seeded == names
    stage.copy()
    stage.retry_both(names)
    stage.assert_equal(*no_marker(stage.release))
    stage.ours.work_off(names)


def test_the_events_keep_the_length_that_the_queue_asks_for(stage: Stage) -> None:
    ids = stage.official.seed([job(f"j{number}") for number in range(150)])
    # A node of the stream holds this many entries, and `~` trims whole nodes only.
    stage.ours.client.config_set("stream-node-max-entries", 10)
    stage.official.client.hset(stage.official.key("meta"), "opts.maxLenEvents", 60)
    stage.copy()
    stage.retry_both(ids)
    ours = entries(stage.ours.client, stage.ours.key("events"))
    stage.ours.client.config_set("stream-node-max-entries", 100)
    assert 60 <= len(ours) < 80
    assert [fields["jobId"] for fields in ours] == ids[-len(ours) :]
    assert {(fields["event"], fields["prev"]) for fields in ours} == {("waiting", "failed")}
    stage.ours.work_off(ids)


def test_an_unset_length_of_the_events_is_not_written(stage: Stage) -> None:
    ids = stage.official.seed([job("a")])
    stage.official.client.hdel(stage.official.key("meta"), "opts.maxLenEvents")
    stage.copy()
    before = stage.ours.client.hgetall(stage.ours.key("meta"))
    stage.retry_both(ids)
    stage.assert_equal(*default_length_written(stage.release), *no_marker(stage.release))
    assert stage.ours.client.hgetall(stage.ours.key("meta")) == before
    stage.ours.work_off(ids)


def test_an_iteration_of_a_repeated_job_runs_once_more_and_starts_no_second_chain(
    stage: Stage,
) -> None:
    side = stage.official
    side.open()
    side.run("repeat", name="tick", every=HOUR, data={"outcome": "ok"})
    # It waits for the next full hour, or runs at once: all releases begin now.
    for iteration in side.members("delayed"):
        side.client.zadd(side.key("delayed"), {iteration: time.time_ns() // 1_000_000 * 4096})
    side.run("schedule")
    with side.worker("data") as worker:
        first = worker.until(ends=1)[0]
    [following] = side.members("delayed")
    stage.copy()
    stage.retry_both([first], "completed")
    stage.assert_equal(*no_marker(stage.release))
    stage.ours.work_off([first])
    assert stage.ours.census() == {first: ["completed"], following: ["delayed"]}
