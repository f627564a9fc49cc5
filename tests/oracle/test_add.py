"""Queue.add of real releases, against ours: every key, and a worker that runs the job."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence

import pytest

from qtui.bullmq.codes import Code, QueueGone, Result
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.new_job.options import NewJob, new_job
from qtui.bullmq.writers.add import AddWriter
from tests.oracle.flow_stage import ONE_SERVER
from tests.oracle.keyspace import Difference, Value, assert_equal, entries, only_ours
from tests.oracle.releases import Release
from tests.oracle.stage import Side, Stage, job

pytestmark = ONE_SERVER

STAMP = 1_764_000_000_000
"""A fixed time stamp, so that both sides write the same."""

AN_HOUR = 3_600_000


def add(side: Side, new: NewJob, *, may_be_new: bool = False) -> Result:
    """Add a job with qtui: the result, after one reserved id."""

    async def call() -> Result:
        async with side.connect() as client:
            writer, queue = AddWriter(client), QueueKey.of("bull", side.queue)
            reserved = await writer.reserve(queue, may_be_new=may_be_new)
            batch = await writer.add(queue, new, reserved.number, may_be_new=may_be_new)
            assert batch.note == ""
            return batch.results[0]

    return asyncio.run(call())


def parsed(value: Value, release: Release) -> Value:
    """A job's hash with its options as a value: releases write them in any order.

    Whether they say of a job that is not delayed so is left aside where nothing shows the release:
    Python's package does, node's 1.x to 4.x and early 5.x do.
    """
    if value[0] != "hash" or not isinstance(value[1], dict) or "opts" not in value[1]:
        return value
    opts = json.loads(value[1]["opts"])
    if not release.writes_version and opts.get("delay") == 0:
        del opts["delay"]
    return (value[0], {**value[1], "opts": opts}, value[2])


def event_with_data(release: Release) -> list[Difference]:
    """1.43 to 2.0.0 put data and options into the event ``added`` too."""
    if release.speaks > (2, 0, 0):
        return []

    def right(official: Value | None, ours: Value | None) -> bool:
        streams = [one[1] if one is not None else None for one in (official, ours)]
        assert all(isinstance(one, list) for one in streams)
        short, own = [
            [[pair for pair in entry if pair[0] not in ("data", "opts")] for entry in one]
            for one in streams
            if isinstance(one, list)
        ]
        return short == own

    return [Difference("q:events", "the event added holds data and options", right)]


def no_sign(release: Release) -> list[Difference]:
    """Where nothing shows the release a marker is written, which those before 5.0.0 do not read."""
    if release.at_least_5 or release.writes_version:
        return []
    return [Difference("q:marker", "nothing shows the release", only_ours([("0", 0.0)]))]


def wake_up_unproven(release: Release) -> list[Difference]:
    """A wake-up for a delayed job, where nothing proves that one is not run as a job: see D6."""
    if release.at_least_5 or release.writes_version:
        return []

    def theirs(official: Value | None, ours: Value | None) -> bool:
        return official is not None and ours is None

    key = "q:delay" if release.speaks < (2, 0, 0) else "q:wait"
    return [Difference(key, "wakes workers for a delayed job", theirs)]


def numbered(release: Release, ids: Sequence[str]) -> list[Difference]:
    """Before 5.8.6 jobs due together have the order of their numbers; before 5.1.9 one marker."""
    if not (5, 0, 0) <= release.speaks < (5, 1, 9):
        return []

    def same_order(official: Value | None, ours: Value | None) -> bool:
        pairs = [one[1] for one in (official, ours) if one is not None]
        return [[str(id) for id, _ in one] for one in pairs if isinstance(one, list)] == [ids] * 2

    def both(official: Value | None, ours: Value | None) -> bool:
        return None not in (official, ours)

    return [
        Difference("q:delayed", "numbers order what is due together", same_order),
        Difference("q:marker", "the marker of a delay is the one of every job", both),
    ]


def assert_same(stage: Stage, *declared: Difference) -> None:
    official, ours = (
        {key: parsed(value, stage.release) for key, value in side.snapshot().items()}
        for side in (stage.official, stage.ours)
    )
    assert_equal(official, ours, *declared, *event_with_data(stage.release))


def add_both(stage: Stage, **opts: object) -> str:
    """Add the same job on both sides; its id."""
    given = {"timestamp": STAMP, **opts}
    data = {"outcome": "ok", "to": "a@b", "n": 1.5}
    [official] = stage.official.run("add", jobs=[{"name": "mail", "data": data, "opts": given}])
    # The Python package writes nothing when it opens a queue.
    new = new_job("mail", json.dumps(data), given)
    result = add(stage.ours, new, may_be_new=stage.release.is_python)
    assert (result.code, result.job_id) == (Code.DONE, official)
    return result.job_id


def test_jobs_are_added_as_the_release_adds_them_and_run(stage: Stage) -> None:
    stage.official.seed([job("before", "ok")])
    [waits] = stage.official.run("add", jobs=[job("waits", "ok")])
    stage.copy()
    plain = add_both(stage)
    kept = add_both(
        stage,
        attempts=3,
        backoff=500,
        removeOnComplete={"age": 60, "count": 50},
        removeOnFail=10,
        stackTraceLimit=2,
        sizeLimit=1000,
    )
    lifo = add_both(stage, lifo=True)
    named = add_both(stage, jobId="order-17", backoff={"type": "exponential", "delay": 100})
    assert named == "order-17"
    assert_same(stage)
    stage.ours.work_off([lifo, waits, plain, kept, named])


def test_the_first_job_of_a_queue_and_one_for_an_idle_worker(stage: Stage) -> None:
    stage.official.open()
    stage.copy()
    add_both(stage)
    assert_same(stage, *no_sign(stage.release))
    with stage.ours.worker("ok") as worker:
        worker.until(ends=1)
        stage.ours.await_idle()
        start = time.time() * 1000
        result = add(stage.ours, new_job("now", '{"outcome":"ok"}', {}))
        [_, run] = worker.timed(ends=2)
    assert run["id"] == result.job_id
    assert run["data"] == {"outcome": "ok"}
    assert run["at"] - start < 1000  # without a wake-up: 5 s


def test_a_delayed_job_has_the_score_of_the_release_and_runs_when_it_is_due(stage: Stage) -> None:
    stage.official.seed([job("before", "ok")])
    stage.copy()
    now = int(time.time() * 1000)
    # Two that are due in the same millisecond keep their order.
    late, later = (add_both(stage, timestamp=now, delay=AN_HOUR) for _ in range(2))
    unproven = wake_up_unproven(stage.release)
    assert_same(stage, *unproven, *numbered(stage.release, [late, later]))
    if not unproven:
        with stage.ours.worker("ok") as worker:
            stage.ours.await_idle()
            soon = add(stage.ours, new_job("soon", "{}", {"delay": 300}))
            assert soon.target == "delayed"
            [run] = worker.timed(ends=1)
        assert run["id"] == soon.job_id
        assert run["at"] - now < 3000  # an idle worker sleeps for 5 s and more
    assert stage.ours.members("delayed") == [late, later]


def test_jobs_with_priority_go_where_the_release_puts_them(stage: Stage) -> None:
    stage.official.seed([job("before", "ok")])
    first = stage.official.run("add", jobs=[job("w", "ok"), job("p", "ok", priority=5)])
    stage.copy()
    high = add_both(stage, priority=2)
    same = add_both(stage, priority=5)
    low = add_both(stage, priority=9, lifo=True)
    assert_same(stage)
    [plain, five] = first
    ordered = [high, five, same, low]
    # Until 3.x jobs with a priority run before those without.
    before = stage.release.speaks < (4, 0, 0)
    stage.ours.work_off([*ordered, plain] if before else [plain, *ordered])


@pytest.mark.releases(since="4.0.0", before="5.0.0")
def test_without_a_sign_that_prioritized_is_read_a_job_with_priority_waits_in_line(
    stage: Stage,
) -> None:
    """3.x never reads ``prioritized``, and a dashboard of 4.x may have named itself in ``meta``."""
    stage.official.seed([job("before", "ok")])
    stage.copy()
    new = add(stage.ours, new_job("p", "{}", {"priority": 3}))
    assert new.target == "wait"
    stage.ours.work_off([new.job_id])


def test_a_job_added_to_a_paused_queue_is_kept_for_its_resume(stage: Stage) -> None:
    named = stage.release.writes_version or not stage.release.at_least_5
    stage.official.seed([job("before", "ok")])
    stage.official.run("pause")
    waiting = stage.official.run("add", jobs=[job("w", "ok")])
    stage.copy()
    new = add_both(stage)
    if named or stage.release.is_python:  # else nothing proves which list a resume loses
        assert_same(stage)
    with stage.ours.worker("ok") as worker:
        assert worker.until() == []
        stage.ours.run("resume")
        assert worker.until(ends=2) == [*waiting, new]


@pytest.mark.releases(since="5.0.0")
def test_a_job_added_to_a_paused_queue_of_an_unknown_release_is_lost_by_no_resume(
    stage: Stage,
) -> None:
    stage.official.seed([job("before", "ok")])
    stage.official.run("pause")
    stage.copy()
    new = add(stage.ours, new_job("a", "{}", {}))
    assert new.target == "prioritized"
    other = stage.ours.run("add", jobs=[job("w", "ok")])
    stage.ours.run("resume")
    stage.ours.work_off([*other, new.job_id])


def test_an_id_that_is_taken_adds_nothing(stage: Stage) -> None:
    [taken] = stage.official.seed([job("before", "ok", jobId="mine")])
    stage.copy()
    before = stage.ours.snapshot()
    result = add(stage.ours, new_job("again", "{}", {"jobId": taken}))
    assert (result.code, result.error) == (Code.REFUSED, "another job has this id")
    after = stage.ours.snapshot()
    counter = stage.ours.key("id")
    assert after.pop(counter)[1] == str(int(str(before.pop(counter)[1])) + 1)
    assert after == before


def test_a_queue_is_made_only_if_it_may_be_new(bare_stage: Stage) -> None:
    new = new_job("first", '{"outcome":"ok"}', {})
    with pytest.raises(QueueGone):
        add(bare_stage.ours, new)
    assert bare_stage.ours.snapshot() == {}
    result = add(bare_stage.ours, new, may_be_new=True)
    assert (result.job_id, result.target) == ("1", "wait")
    meta = bare_stage.ours.client.hgetall(bare_stage.ours.key("meta"))
    assert meta == {"opts.maxLenEvents": "10000"}
    events = [
        one["event"] for one in entries(bare_stage.ours.client, bare_stage.ours.key("events"))
    ]
    assert events == ["added", "waiting"]
    bare_stage.ours.work_off(["1"])
