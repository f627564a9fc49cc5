"""Job.remove of real releases, against ours: every state, families, deduplication, schedulers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
import redis.asyncio

from qtui.bullmq.codes import Code, Result
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState, Row
from qtui.bullmq.reads.scripted.whole import Unread, Whole
from qtui.bullmq.reads.scripted.wholes import Wholes
from qtui.bullmq.writers.batch import Batch, Picked
from qtui.bullmq.writers.remove import Below, RemoveWriter
from qtui.bullmq.writers.restore import RestoreWriter
from tests.oracle.flow_stage import ONE_SERVER, tree
from tests.oracle.keyspace import Difference, Value, entries, only_ours
from tests.oracle.scheduling import HOUR
from tests.oracle.stage import Side, Stage, job

pytestmark = ONE_SERVER


def connect_to(side: Side) -> redis.asyncio.Redis:
    """A client to one side that reads replies as qtui does; the caller closes it."""
    return redis.asyncio.Redis(
        unix_socket_path=str(side.where()["socket"]),
        db=side.database,
        decode_responses=True,
        encoding_errors="surrogateescape",
    )


def remove(
    side: Side, ids: Sequence[str | Picked], state: JobState, *below: Below, queue: str = ""
) -> list[Result]:
    """Removes jobs with qtui on one side; nothing else may have gone wrong."""

    async def call() -> Batch:
        async with connect_to(side) as client:
            picked = [one if isinstance(one, Picked) else Picked(one) for one in ids]
            key = QueueKey.of("bull", queue or side.queue)
            return await RemoveWriter(client).remove(key, state, picked, below)

    batch = asyncio.run(call())
    assert batch.note == ""
    return batch.results


def codes(results: Sequence[Result]) -> list[int]:
    return [int(one.code) for one in results]


def _events_of(value: Value | None) -> list[dict[str, str]]:
    assert value is not None
    assert isinstance(value[1], list)
    return [dict(one) for one in value[1]]


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
        events = _events_of(side.snapshot()[side.key("events")])
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
        return _events_of(official)[:-jobs] == _events_of(ours)

    return [Difference("q:events", "an event for a job that was not there", right)]


def _woken(stage: Stage) -> list[Difference]:
    """5.0.0 to 5.1.6 wake no worker for a released parent; before, a marker is not read.

    Where nothing shows the release we write one: without it a worker of 5.x sleeps for seconds.
    """
    if stage.release.speaks >= (5, 1, 7) or stage.release.writes_version:
        return []
    reason = "a marker where the release is not known"
    return [Difference("q:marker", reason, only_ours([("0", 0.0)]), always=False)]


# Families -----------------------------------------------------------------------------------------


def _flow(stage: Stage, *children: str, queue: str = "q", priority: int = 0) -> None:
    """A parent whose children have not run."""
    stage.official.open()
    if queue != "q":
        stage.official.beside(queue).open()
    kids = [tree(one, queue=queue) for one in children]
    stage.official.run("flow", tree=tree("parent", *kids, priority=priority).definition())


@pytest.mark.parametrize("queue", ["q", "kids"])
def test_a_parent_runs_when_its_last_pending_child_is_removed(stage: Stage, queue: str) -> None:
    """D10: BullMQ's clean and drain of the same queue delete it instead."""
    _flow(stage, "one", "two", queue=queue)
    stage.copy()
    official, ours = stage.official.beside(queue), stage.ours.beside(queue)
    official.run("remove", ids=["one"])
    assert [one.target for one in remove(ours, ["one"], JobState.WAITING)] == ["removed"]
    stage.assert_equal(*_woken(stage))
    assert stage.ours.members("waiting-children") == ["parent"]
    official.run("remove", ids=["two"])
    [result] = remove(ours, ["two"], JobState.WAITING)
    assert (result.code, result.target) == (1, "released bull:q:parent")
    stage.assert_equal(*_woken(stage))
    stage.ours.work_off(["parent"])


@pytest.mark.parametrize("queue", ["q", "kids"])
def test_both_children_in_one_call_release_the_parent_once(stage: Stage, queue: str) -> None:
    _flow(stage, "one", "two", queue=queue)
    stage.copy()
    stage.official.beside(queue).run("remove", ids=["one", "two"])
    results = remove(stage.ours.beside(queue), ["one", "two"], JobState.WAITING)
    assert [one.target for one in results] == ["removed", "released bull:q:parent"]
    stage.assert_equal(*_woken(stage))


def test_a_parent_of_a_paused_queue_waits_for_the_resume(stage: Stage) -> None:
    _flow(stage, "one", queue="kids")
    [other] = stage.official.run("add", jobs=[job("other")])
    stage.official.run("pause")
    stage.copy()
    stage.official.beside("kids").run("remove", ids=["one"])
    assert codes(remove(stage.ours.beside("kids"), ["one"], JobState.WAITING)) == [1]
    stage.assert_equal(*_woken(stage))
    stage.ours.run("resume")
    stage.ours.work_off(["parent", other])


@pytest.mark.releases(since="4.0.0")
def test_a_released_parent_keeps_its_priority(stage: Stage) -> None:
    """The release's removal puts it in front of all that wait; its own completion does not."""
    _flow(stage, "one", queue="kids", priority=7)
    stage.official.run("add", jobs=[job("w", priority=3, jobId="before")])
    stage.copy()
    stage.official.beside("kids").run("remove", ids=["one"])
    assert codes(remove(stage.ours.beside("kids"), ["one"], JobState.WAITING)) == [1]
    assert stage.official.members("wait")[-1] == "parent"
    assert stage.ours.members("prioritized") == ["before", "parent"]
    stage.ours.work_off(["before", "parent"])


def test_a_failed_child_that_its_parent_waits_for_releases_it_too(stage: Stage) -> None:
    kids = [tree("one", queue="kids", fails=True)]
    for side in (stage.official, stage.official.beside("kids")):
        side.open()
    stage.official.run("flow", tree=tree("parent", *kids).definition())
    with stage.official.beside("kids").worker("data") as worker:
        worker.until(ends=1)
    stage.copy()
    stage.official.beside("kids").run("remove", ids=["one"])
    assert codes(remove(stage.ours.beside("kids"), ["one"], JobState.FAILED)) == [1]
    stage.assert_equal(*_woken(stage))
    stage.ours.work_off(["parent"])


@pytest.mark.releases(since="4.5.0")
def test_children_that_are_not_named_stay(stage: Stage) -> None:
    _flow(stage, "one", "two", queue="kids")
    stage.copy()
    stage.official.run("remove", ids=["parent"], children=False)
    assert codes(remove(stage.ours, ["parent"], JobState.WAITING_CHILDREN)) == [1]
    stage.assert_equal(*_woken(stage))
    kids = stage.ours.beside("kids")
    kids.work_off(["one", "two"], in_order=False)


def _below(id: str, queue: str = "kids", state: JobState = JobState.WAITING) -> Below:
    return Below(0, QueueKey.of("bull", queue), state, Picked(id))


def _made_to_run_first(stage: Stage) -> list[Difference]:
    """The release releases a parent that it is about to remove: it waits for a moment."""

    def right(official: Value | None, ours: Value | None) -> bool:
        *before, waiting, removed = _events_of(official)
        assert waiting == {"event": "waiting", "jobId": "parent", "prev": "waiting-children"}
        prev = "waiting-children"
        return _events_of(ours) == [*before, {**removed, "prev": prev}] and removed["prev"] != prev

    reason = "a parent that is removed with its children is released first"
    found = [Difference("q:events", reason, right)]
    if stage.release.at_least_5:
        found.append(Difference("q:marker", reason, lambda _, ours: ours is None, always=False))
    return found


def test_children_that_are_named_go_with_their_parent(stage: Stage) -> None:
    _flow(stage, "one", "two", queue="kids")
    stage.copy()
    stage.official.run("remove", ids=["parent"], children=True)
    kids = entries(stage.official.client, "bull:kids:events")[-2:]
    order = [one["jobId"] for one in kids]
    results = remove(
        stage.ours, ["parent"], JobState.WAITING_CHILDREN, *[_below(id) for id in order]
    )
    assert codes(results) == [1, 1, 1]
    assert [one.job_id for one in results[1:]] == [f"bull:kids:{id}" for id in order]
    stage.assert_equal(*_made_to_run_first(stage))
    assert stage.ours.census() == stage.ours.beside("kids").census() == {}


def test_a_family_with_a_running_child_stays_whole(stage: Stage) -> None:
    _flow(stage, "one", "two", queue="kids")
    with stage.official.beside("kids").worker("hold") as worker:
        [running] = worker.until(starts=1)
        other = "two" if running == "one" else "one"
        stage.copy()
        before = stage.ours.snapshot()
        below = [_below(other), _below(running, state=JobState.ACTIVE)]
        results = remove(stage.ours, ["parent"], JobState.WAITING_CHILDREN, *below)
        assert codes(results) == [0, 0, 0]
        assert results[0].error == f"bull:kids:{running}: a worker holds its lock"
        assert stage.ours.snapshot() == before


def test_a_parent_and_its_child_of_one_selection_go_and_nothing_runs(stage: Stage) -> None:
    middle = tree("middle", tree("leaf", queue="kids"))
    stage.official.open()
    stage.official.beside("kids").open()
    stage.official.run("flow", tree=tree("parent", middle).definition())
    stage.copy()
    results = remove(stage.ours, ["middle", "parent"], JobState.WAITING_CHILDREN)
    assert [one.target for one in results] == ["removed", "removed"]
    assert stage.ours.census() == {}
    assert stage.ours.beside("kids").census() == {"leaf": ["wait"]}


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


# What comes back ----------------------------------------------------------------------------------


def restore(side: Side, gone: Sequence[Whole]) -> list[Result]:
    """Restores jobs that were removed in this order."""

    async def call() -> list[Result]:
        results: list[Result] = []
        async with connect_to(side) as client:
            while left := gone[::-1][len(results) :]:
                batch = await RestoreWriter(client).restore([[one] for one in left])
                assert batch.note == ""
                results += batch.results
        return results

    return asyncio.run(call())


def read_whole(side: Side, ids: Sequence[str], state: JobState, queue: str = "q") -> list[Whole]:
    """The jobs with all that belongs to them."""

    async def call() -> list[Whole | Unread]:
        async with connect_to(side) as client:
            return await Wholes(client, QueueKey.of("bull", queue), state).first_of(ids)

    found = [one for one in asyncio.run(call()) if isinstance(one, Whole)]
    assert len(found) == len(ids)
    return found


def test_jobs_that_come_back_wake_an_idle_worker_and_run(stage: Stage) -> None:
    stage.official.open()
    ids = stage.official.run("add", jobs=[job("a"), job("b")])
    stage.copy()
    gone = read_whole(stage.ours, ids, JobState.WAITING)
    assert codes(remove(stage.ours, ids, JobState.WAITING)) == [1, 1]
    with stage.ours.worker("ok") as worker:
        stage.ours.await_idle()
        assert codes(restore(stage.ours, gone)) == [1, 1]
        worker.until(ends=2)
    stage.ours.assert_all_in("completed", ids)


def test_a_child_that_comes_back_is_waited_for_and_its_parent_runs_after_it(stage: Stage) -> None:
    _flow(stage, "one", queue="kids")
    stage.copy()
    kids = stage.ours.beside("kids")
    gone = read_whole(kids, ["one"], JobState.WAITING, "kids")
    assert codes(remove(kids, ["one"], JobState.WAITING)) == [1]
    assert stage.ours.members("waiting-children") == []
    assert codes(restore(kids, gone)) == [1]
    assert stage.ours.members("waiting-children") == ["parent"]
    kids.work_off(["one"])
    stage.ours.work_off(["parent"])


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


# Hostile keyspaces --------------------------------------------------------------------------------


def test_ids_that_read_like_other_keys_take_none_of_those(bare_stage: Stage) -> None:
    ids = bare_stage.official.seed([job("a"), job("b"), job("a", jobId="x:processed:y")])
    client, key = bare_stage.official.client, bare_stage.official.key
    base = ids[0]
    odd = f"{base}:processed"
    client.hset(key(odd), mapping={"name": "odd", "timestamp": "5", "data": "{}"})
    client.zadd(key("failed"), {odd: 7, "meta": 8, "wait": 9, "de:1": 10, f"{ids[1]}:failed": 11})
    client.hset(key(f"{ids[1]}:failed"), mapping={"bull:q:child": "why"})
    client.set(key("de:1"), "someone")
    client.lpush(key("wait"), "w")
    bare_stage.copy()
    ours = bare_stage.ours
    before = ours.snapshot()
    names = ["meta", "wait", "de:1", f"{ids[1]}:failed"]
    assert codes(remove(ours, names, JobState.FAILED)) == [0, 0, 0, 0]
    assert ours.snapshot() == before
    assert codes(remove(ours, [base], JobState.FAILED)) == [1]
    assert ours.client.hgetall(key(odd))
    assert codes(remove(ours, [odd], JobState.FAILED)) == [1]
    assert ours.client.exists(key(odd)) == 0
    assert codes(remove(ours, [ids[2]], JobState.FAILED)) == [1]


def test_keys_of_a_wrong_type_stay_and_lose_no_job(bare_stage: Stage) -> None:
    ids = bare_stage.official.seed([job("a"), job("b")])
    bare_stage.copy()
    ours = bare_stage.ours
    ours.client.set(ours.key(f"{ids[0]}:logs"), "not a list")
    ours.client.set(ours.key(f"{ids[0]}:lock:x"), "unrelated")
    assert codes(remove(ours, [ids[0]], JobState.FAILED)) == [1]
    assert ours.client.get(ours.key(f"{ids[0]}:logs")) == "not a list"
    ours.client.hset(ours.key(ids[1]), "parentKey", "bull:q:p")
    ours.client.hset(ours.key("p"), "timestamp", "1")
    ours.client.set(ours.key("p:dependencies"), "not a set")
    before = ours.snapshot()
    [result] = remove(ours, [ids[1]], JobState.FAILED)
    assert result.code == 0
    assert "WRONGTYPE" in result.error
    assert ours.snapshot() == before


@pytest.mark.parametrize("forbidden", ["zrem", "del", "srem", "rpush"])
def test_a_user_who_may_not_do_all_of_it_does_nothing(stage: Stage, forbidden: str) -> None:
    if stage.release.name != "6.7.0":
        return
    _flow(stage, "one", queue="kids")
    with stage.official.beside("kids").worker("fail") as worker:
        worker.until(ends=1)
    stage.copy()
    client = stage.ours.client
    client.acl_setuser(
        "limited",
        enabled=True,
        passwords=["+secret"],
        keys=["*"],
        categories=["+@all"],
        commands=[f"-{forbidden}"],
    )
    before = stage.ours.snapshot()

    async def call() -> Batch:
        async with redis.asyncio.Redis(
            unix_socket_path=str(stage.ours.where()["socket"]),
            db=1,
            username="limited",
            password="secret",
            decode_responses=True,
        ) as limited:
            key = QueueKey.of("bull", "kids")
            return await RemoveWriter(limited).remove(key, JobState.FAILED, [Picked("one")])

    try:
        [result] = asyncio.run(call()).results
    finally:
        client.acl_deluser("limited")
    assert result.code == 0
    assert forbidden in result.error.lower()
    assert stage.ours.snapshot() == before
