"""A retry taken back: every key as before, in every release; what has moved on is left alone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import pytest

from qtui.bullmq.codes import Result
from qtui.bullmq.flow.fields import family_of
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState
from qtui.bullmq.writers.batch import Batch, Picked
from qtui.bullmq.writers.retry import RetryWriter
from qtui.bullmq.writers.unretry import Retried, UnretryWriter
from qtui.operations.supply.selection import chosen
from qtui.operations.supply.snapshots import SNAPSHOT_FIELDS, read_snapshots
from tests.oracle.flow_stage import CONTINUE, FAIL, IGNORE, ONE_SERVER, FlowStage, tree
from tests.oracle.keyspace import Value
from tests.oracle.stage import Side, Stage, job

ASIDE = (":events", ":marker", ":pc")
"""Keys that an undo leaves: the stream has two events more, the others wake workers and count."""


def kept(snapshot: dict[str, Value]) -> dict[str, Value]:
    return {key: value for key, value in snapshot.items() if not key.endswith(ASIDE)}


class Undoing:
    """Retries on one side, and takes back what it retried."""

    def __init__(
        self,
        side: Side,
        state: JobState = JobState.FAILED,
        *,
        made: bool = False,
        started: bool = False,
    ) -> None:
        self.side = side
        self.state = state
        self.queue = QueueKey.of("bull", side.queue)
        self.resets = {"reset_attempts_made": made, "reset_attempts_started": started}
        self.retried: list[Retried] = []

    def retry(self, ids: Sequence[str]) -> list[Result]:
        return asyncio.run(self._retry(ids))

    async def _retry(self, ids: Sequence[str]) -> list[Result]:
        async with self.side.connect() as client:
            found = []
            async for page in read_snapshots(client, chosen(self.queue, self.state, ids)):
                found += list(zip(page.picks, page.values, strict=True))
            picks = []
            for pick, _ in found:
                score = await client.zscore(self.queue.key(self.state.key), pick.job_id)
                picks.append(Picked(pick.job_id, score))
            batch = await RetryWriter(client).retry(self.queue, self.state, picks, **self.resets)
            for (pick, values), at, one in zip(found, picks, batch.results, strict=True):
                pairs = zip(SNAPSHOT_FIELDS, values[:-1], strict=True)
                fields = {name: text for name, text in pairs if text is not None}
                if one.done and at.score is not None:
                    self.retried.append(
                        Retried(
                            job_id=pick.job_id,
                            score=at.score,
                            place=one.target,
                            fields=fields,
                            family=family_of(values[-1]) or {},
                            lifo='"lifo":true' in fields.get("opts", ""),
                        )
                    )
            return batch.results

    def undo(self) -> list[tuple[int, str]]:
        batch = asyncio.run(self._undo())
        assert batch.note == ""
        return [(int(one.code), one.error or one.target) for one in batch.results][::-1]

    async def _undo(self) -> Batch:
        async with self.side.connect() as client:
            return await UnretryWriter(client).take_back(
                self.queue, self.state, self.retried[::-1], **self.resets
            )


def undone(
    side: Side, ids: Sequence[str], state: JobState = JobState.FAILED, **resets: bool
) -> None:
    """Retries, takes back, and finds every key as it was before."""
    before = kept(side.snapshot())
    undoing = Undoing(side, state, **resets)
    assert all(one.done for one in undoing.retry(ids))
    assert kept(side.snapshot()) != before
    assert undoing.undo() == [(1, state.key)] * len(ids)
    assert kept(side.snapshot()) == before
    again = undoing.undo()
    assert {code for code, _ in again} == {-3}
    assert kept(side.snapshot()) == before


def test_failed_jobs_return_to_the_finish_from_which_they_were_retried(stage: Stage) -> None:
    side = stage.ours
    jobs = [job("a", attempts=2), job("b", lifo=True), job("c", priority=3), job("d", priority=1)]
    ids = side.seed([*jobs, job("fine", "ok")])[:4]
    side.run("add", jobs=[job("w1"), job("w2", priority=2)])
    undone(side, ids)
    undone(side, ids, made=True)
    undone(side, ids, made=True, started=True)


def test_completed_jobs_get_their_results_back(stage: Stage) -> None:
    ids = stage.ours.seed([job("a", "ok"), job("b", "ok", priority=2), job("bad")])[:2]
    undone(stage.ours, ids, JobState.COMPLETED)


def test_in_a_paused_queue_too_and_after_a_pause_or_a_resume(stage: Stage) -> None:
    side = stage.ours
    ids = side.seed([job("a"), job("b", priority=3), job("c")])
    before = kept(side.snapshot())
    for first, then in (("pause", "resume"), ("resume", "pause")):
        side.run(first)
        undoing = Undoing(side)
        assert all(one.done for one in undoing.retry(ids))
        side.run(then)
        assert undoing.undo() == [(1, "failed")] * 3
        assert side.census() == {one: ["failed"] for one in ids}
    side.run("resume")
    assert kept(side.snapshot()) == before


def test_jobs_that_have_started_since_are_left_alone(stage: Stage) -> None:
    side = stage.ours
    ids = side.seed([job("a"), job("b"), job("c")])
    undoing = Undoing(side, made=True, started=True)
    undoing.retry(ids)
    with side.worker("hold") as worker:
        assert worker.until(starts=1) == ids[:1]
        assert undoing.undo() == [(-3, "started"), (1, "failed"), (1, "failed")]
        worker.release()
        worker.until(ends=1)
        side.await_idle()
    side.assert_all_in("completed", ids[:1])
    side.assert_all_in("failed", ids[1:])
    assert undoing.undo() == [(-3, "started"), *[(-3, "moved")] * 2]  # these are back already


def test_a_job_that_failed_again_and_was_retried_by_another_is_left_alone(stage: Stage) -> None:
    side = stage.ours
    ids = side.seed([job("a")])
    undoing = Undoing(side, made=True, started=True)
    undoing.retry(ids)
    with side.worker("fail") as worker:
        worker.until(ends=1)
        side.await_idle()
    Undoing(side, made=True, started=True).retry(ids)
    before = side.snapshot()
    assert undoing.undo() == [(-3, "started")]
    assert side.snapshot() == before


CHANGES: dict[str, tuple[Callable[[Side, str], object], tuple[int, str]]] = {
    "gone": (lambda side, id: side.client.delete(side.key(id)), (-1, "")),
    "out of the list": (lambda side, id: side.client.lrem(side.key("wait"), 1, id), (-3, "moved")),
    "delayed": (lambda side, id: side.client.zadd(side.key("failed"), {id: 1}), (-3, "moved")),
    "priority": (
        lambda side, id: side.client.hset(side.key(id), "priority", 9),
        (-3, "changed"),
    ),
}


@ONE_SERVER
@pytest.mark.parametrize("change", CHANGES)
def test_a_job_that_is_no_longer_as_the_retry_left_it_is_left_alone(
    bare_stage: Stage, change: str
) -> None:
    side = bare_stage.ours
    ids = side.seed([job("a"), job("b")])
    undoing = Undoing(side)
    undoing.retry(ids)
    make, expected = CHANGES[change]
    make(side, ids[0])
    before = kept(side.snapshot())
    assert undoing.undo() == [expected, (1, "failed")]
    left = side.key(ids[0])
    assert kept(side.snapshot()).get(left) == before.get(left)
    assert (ids[0] in side.members("wait")) is (change != "out of the list")


@pytest.mark.parametrize("option", [FAIL, IGNORE, CONTINUE, ""])
@pytest.mark.releases(since="4.0.0")
def test_a_child_is_again_where_its_parent_had_it(stage: Stage, option: str) -> None:
    flows = FlowStage(stage, tree("p", tree("c", fails=True, option=option), tree("d")))
    flows.seed()
    undone(flows.side, ["c"])
    undone(flows.side, ["d"], JobState.COMPLETED)


@ONE_SERVER
@pytest.mark.releases(since="5.47.0")
def test_a_parent_is_not_left_waiting_for_nothing(stage: Stage) -> None:
    """Its other child has completed since, so that only the retried one could release it."""
    flows = FlowStage(stage, tree("p", tree("c", fails=True, option=IGNORE), tree("d", fails=True)))
    flows.seed()
    side = flows.side
    undoing = Undoing(side)
    assert all(one.done for one in undoing.retry(["c"]))
    side.client.srem(side.key("p:dependencies"), side.key("d"))
    assert undoing.undo() == [(-3, "parent")]
    with side.worker("ok") as worker:
        assert worker.until(ends=2) == ["c", "p"]


@ONE_SERVER
@pytest.mark.parametrize("forbidden", ["zadd", "zrem", "lrem", "hset", "hdel"])
def test_nothing_is_half_undone_when_redis_refuses_a_step(
    bare_stage: Stage, forbidden: str
) -> None:
    side = bare_stage.ours
    ids = side.seed([job("a"), job("b", priority=2)])
    undoing = Undoing(side)
    undoing.retry(ids)
    before = side.snapshot()
    side.client.execute_command("ACL", "SETUSER", "default", f"-{forbidden}")
    try:
        codes = undoing.undo()
    finally:
        side.client.execute_command("ACL", "SETUSER", "default", "+@all")
    refused = [id for id, (code, _) in zip(ids, codes, strict=True) if code == 0]
    # A job in a sorted set needs no LREM.
    assert refused == (ids[:1] if forbidden == "lrem" else ids)
    assert all(side.snapshot()[side.key(id)] == before[side.key(id)] for id in refused)
    assert {id: places for id, places in side.census().items() if id in refused} == {
        id: [place] for id, place in zip(ids, ("wait", "prioritized"), strict=True) if id in refused
    }
    undoing.undo()
    side.assert_all_in("failed", ids)


@ONE_SERVER
@pytest.mark.releases(since="2.1.0")
def test_a_child_that_failed_its_parent_stays_once_that_one_waits_for_it(stage: Stage) -> None:
    flows = FlowStage(stage, tree("p", tree("c", fails=True, option=FAIL)))
    flows.seed()
    assert flows.states() == {"p": ["failed"], "c": ["failed"]}
    side = flows.side
    undoing = Undoing(side)
    assert all(one.done for one in undoing.retry(["c"]))
    flows.rerun("p")
    assert flows.states() == {"p": ["waiting-children"], "c": ["wait"]}
    assert undoing.undo() == [(-3, "parent")]
    with side.worker("ok") as worker:
        assert worker.until(ends=2) == ["c", "p"]
