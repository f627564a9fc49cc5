"""updateData, changePriority and changeDelay of real releases, against ours; and edit and retry."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import pytest

from qtui.bullmq.codes import Code, Result
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState
from qtui.bullmq.new_job.change import Change, Edited
from qtui.bullmq.new_job.payload import digest_of
from qtui.bullmq.writers.edit import EditWriter
from tests.oracle.flow_stage import ONE_SERVER
from tests.oracle.keyspace import Difference, Value, entries
from tests.oracle.known import no_marker
from tests.oracle.releases import Release
from tests.oracle.stage import Side, Stage, job

pytestmark = ONE_SERVER

AN_HOUR = 3_600_000


def as_text(data: object) -> str:
    """As JSON.stringify writes it."""
    return json.dumps(data, separators=(",", ":"))


def pinned(side: Side, job_id: str, state: JobState | None) -> Edited:
    """A job as it is now."""
    fields = cast("dict[str, str]", side.client.hgetall(side.key(job_id)))
    score = None
    if state is not None and not state.is_list:
        score = side.client.zscore(side.key(state.key), job_id)
    return Edited(
        job_id=job_id,
        state=state,
        score=score,
        digest=digest_of(fields.get("data")),
        priority=fields.get("priority", ""),
        delay=fields.get("delay", ""),
    )


def sent(side: Side, job: Edited, change: Change) -> Result:
    """Edit with qtui."""

    async def call() -> Result:
        async with side.connect() as client:
            queue = QueueKey.of("bull", side.queue)
            batch = await EditWriter(client).edit(queue, job, change)
            assert batch.note == ""
            return batch.results[0]

    return asyncio.run(call())


def edit(side: Side, job_id: str, state: str, change: Change) -> Result:
    """Edit a job as it is now."""
    return sent(side, pinned(side, job_id, JobState(state)), change)


def change_both(
    stage: Stage, job_id: str, state: str, data: object = None, priority: int = -1
) -> str:
    """Change a job on both sides; where it is then on ours."""
    given: dict[str, object] = {"data": data} if data is not None else {}
    given |= {"priority": priority} if priority >= 0 else {}
    stage.official.run("change", job=job_id, **given)
    change = Change(
        data=None if data is None else as_text(data),
        priority=str(priority) if priority >= 0 else None,
    )
    result = edit(stage.ours, job_id, state, change)
    assert result.code is Code.DONE
    return result.target


def left_in_prioritized(release: Release, ours: Sequence[str]) -> list[Difference]:
    """4.0.0 to 5.8.2 keep a job whose priority becomes 0 in ``prioritized``.

    Args:
        release: the release.
        ours: what is in ``wait`` where the job has left, head first.
    """
    if not (4, 0, 0) <= release.speaks < (5, 8, 3):
        return []
    reason = "priority 0 stays in prioritized"

    def without(official: Value | None, own: Value | None) -> bool:
        theirs = official[1] if official else None
        assert isinstance(theirs, list)
        left = [pair for pair in theirs if pair[0] not in ours]
        return own[1] == left if own else not left

    return [
        Difference("q:wait", reason, lambda _, own: own is not None and own[1] == list(ours)),
        Difference("q:prioritized", reason, without),
        Difference("q:pc", reason, lambda *both: None not in both),
    ]


def test_data_is_replaced_in_any_state_and_nothing_else_changes(stage: Stage) -> None:
    failed, done = stage.official.seed([job("bad"), job("fine", "ok")])
    waiting, delayed = stage.official.run("add", jobs=[job("w"), job("d", delay=AN_HOUR)])
    stage.copy()
    data = {"outcome": "ok", "text": '"x"', "list": [1, 2.5, None]}
    for id, state in ((failed, "failed"), (done, "completed"), (waiting, "waiting")):
        change_both(stage, id, state, data)
    changes_priority = stage.release.speaks >= (3, 15, 0)
    change_both(stage, delayed, "delayed", data, priority=4 if changes_priority else -1)
    stage.assert_equal()
    with stage.ours.worker("data") as worker:
        [run] = worker.timed(ends=1)
    assert run["data"] == data


@pytest.mark.releases(since="3.15.0")
def test_a_waiting_job_takes_its_turn_by_its_new_priority_and_back(stage: Stage) -> None:
    stage.official.seed([job("before", "ok")])
    added = [job("a"), job("b"), job("c"), job("p", priority=5), job("q", priority=5)]
    a, b, c, p, q = stage.official.run("add", jobs=added)
    stage.copy()
    change_both(stage, b, "waiting", priority=5)
    where = JobState.PRIORITIZED if stage.release.speaks >= (4, 0, 0) else JobState.WAITING
    change_both(stage, q, where, priority=1)
    stage.assert_equal()
    change_both(stage, p, where, priority=0)
    stage.assert_equal(*left_in_prioritized(stage.release, [p, c, a]))
    plain, ordered = [a, c, p], [q, b]
    stage.ours.work_off(plain + ordered if where is JobState.PRIORITIZED else ordered + plain)


@pytest.mark.releases(since="3.15.0")
def test_the_priority_of_a_job_that_does_not_wait_is_a_field(stage: Stage) -> None:
    [failed] = stage.official.seed([job("bad")])
    [delayed] = stage.official.run("add", jobs=[job("d", delay=AN_HOUR)])
    stage.copy()
    assert change_both(stage, failed, "failed", priority=3) == "failed"
    assert change_both(stage, delayed, "delayed", priority=3) == "delayed"
    stage.assert_equal()


@pytest.mark.releases(since="5.20.0")
def test_in_a_paused_queue_a_job_keeps_its_place_by_priority(stage: Stage) -> None:
    stage.official.seed([job("before", "ok")])
    stage.official.run("pause")
    a, b, c = stage.official.run("add", jobs=[job("a"), job("b"), job("c")])
    stage.copy()
    listed = "paused" if stage.official.members("paused") else "waiting"
    change_both(stage, b, listed, priority=2)
    stage.assert_equal()
    change_both(stage, b, "prioritized", priority=0)
    stage.assert_equal(*left_in_prioritized(stage.release, [b, c, a]))
    stage.ours.run("resume")
    stage.ours.work_off([a, c, b])


@pytest.mark.releases(since="4.0.0")
def test_a_new_priority_wakes_an_idle_worker_only_where_a_job_can_run(stage: Stage) -> None:
    """A job that is alone in ``wait`` is taken at once; so it is moved while the queue is maxed."""
    stage.official.seed([job("before", "ok")])
    [first, _] = stage.official.run("add", jobs=[job("a", priority=3), job("b", priority=4)])
    stage.copy()
    change_both(stage, first, "prioritized", priority=7)
    stage.assert_equal()


def test_a_new_delay_is_the_one_of_the_release_and_workers_wake_for_it(stage: Stage) -> None:
    """Before 5.1.9 changeDelay wakes no worker: 0.3 s became 9.5 s on 4.18.3."""
    stage.official.seed([job("before", "ok")])
    [first, other] = stage.official.run(
        "add", jobs=[job("d", delay=AN_HOUR), job("e", delay=AN_HOUR)]
    )
    stage.copy()
    begun = int(time.time() * 1000)
    if not stage.release.is_python:  # which has no changeDelay
        stage.official.run("change", job=other, delay=2 * AN_HOUR)
        edit(stage.ours, other, "delayed", Change(delay=str(2 * AN_HOUR)))
        sides = stage.official, stage.ours
        scores = [side.client.zscore(side.key("delayed"), other) or 0 for side in sides]
        assert abs(scores[0] - scores[1]) / 4096 < 2000
        events = [entries(side.client, side.key("events")) for side in sides]
        assert len(events[0]) == len(events[1])
        due = [float(one[-1].pop("delay")) for one in events]
        assert abs(due[0] - due[1]) < 2000
        assert events[0][-1] == events[1][-1] == {"event": "delayed", "jobId": other}
        fields = stage.official.client.hgetall(stage.official.key(other))
        assert fields == stage.ours.client.hgetall(stage.ours.key(other))
    if not (stage.release.at_least_5 or stage.release.writes_version):
        return  # nothing proves that a wake-up would not be run as a job: the plan says so
    with stage.ours.worker("ok") as worker:
        stage.ours.await_idle()
        now = time.time() * 1000
        result = edit(stage.ours, first, "delayed", Change(delay="300"))
        assert (result.code, result.target) == (Code.DONE, "delayed")
        [run] = worker.timed(ends=1)
        assert run["id"] == first
        assert 200 < run["at"] - now < 2500
    assert stage.ours.members("delayed") == [other]
    left = stage.ours.client.zscore(stage.ours.key("delayed"), other)
    assert left is not None
    assert left / 4096 >= begun + AN_HOUR - 2000


def test_edit_and_retry_is_one_step_with_the_new_data_and_priority(stage: Stage) -> None:
    first, second = stage.official.seed([job("a"), job("b")])
    stage.copy()
    data = {"outcome": "ok", "mended": True}
    stage.official.run("change", job=first, data=data)
    stage.official.run("retry", ids=[first], state="failed")
    result = edit(stage.ours, first, "failed", Change(data=as_text(data), retry=True))
    assert (result.code, result.target) == (Code.DONE, "wait")
    stage.assert_equal(*no_marker(stage.release))
    high = edit(stage.ours, second, "failed", Change(priority="1", retry=True))
    assert high.code is Code.DONE
    assert high.target == ("prioritized" if stage.release.at_least_5 else "wait")
    with stage.ours.worker("ok") as worker:
        runs = worker.timed(ends=2)
    assert [run["id"] for run in runs] == [first, second]
    assert runs[0]["data"] == data
    stage.ours.assert_all_in("completed", [first, second])


def test_a_job_that_has_changed_since_is_minus_3_and_stays_as_it_is(stage: Stage) -> None:
    failed, gone = stage.official.seed([job("bad"), job("gone")])
    [waiting] = stage.official.run("add", jobs=[job("w")])
    stage.copy()
    ours = stage.ours
    seen = pinned(ours, failed, JobState.FAILED)
    waits = pinned(ours, waiting, JobState.WAITING)
    lost = pinned(ours, gone, JobState.FAILED)
    ours.client.delete(ours.key(gone))
    change = Change(data="{}", priority="2", retry=True)
    ours.client.hset(ours.key(failed), "data", '{"other":1}')
    before = ours.snapshot()
    assert sent(ours, seen, change)[1:] == (Code.NOT_IN_STATE, "", "data")
    assert sent(ours, lost, change)[1:] == (Code.NO_SUCH_JOB, "", "")
    seen = pinned(ours, failed, JobState.FAILED)
    assert seen.score is not None
    others = [
        (replace(seen, score=seen.score + 1), "state"),
        (replace(seen, state=JobState.COMPLETED), "state"),
        (replace(seen, priority="9"), "priority"),
        (replace(seen, delay="9"), "delay"),
    ]
    for other, why in others:
        assert sent(ours, other, change)[1:] == (Code.NOT_IN_STATE, "", why)
    result = sent(ours, waits, Change(delay="1000"))
    assert result[1:] == (Code.NOT_IN_STATE, "", "parts")
    assert ours.snapshot() == before
    with ours.worker("ok") as worker:
        worker.until(ends=1)
    assert sent(ours, waits, Change(data="{}"))[1:] == (Code.NOT_IN_STATE, "", "state")
