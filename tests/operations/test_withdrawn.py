"""A code 1 that is void: the server that gave it has lost the retry."""

from __future__ import annotations

from pathlib import Path

import pytest
from redis.asyncio import Redis

from qtui.bullmq.codes import Code, Result
from qtui.bullmq.connection.origin import Origin, origin_of, read_origin
from qtui.bullmq.writers.batch import Picked
from qtui.operations.following.outcome import Fate, OutcomeTally
from qtui.operations.journal.facts import Header, Snapshot, WrittenSelection
from qtui.operations.journal.lines import snapshot_lines
from qtui.operations.journal.reading import is_same_address, progress_of, summary
from qtui.operations.journal.writing import Journal
from qtui.operations.supply.ledger import Ledger
from qtui.operations.supply.pins import Pins
from qtui.views.campaigns import facts, read_story
from tests.operations.following import EVENTS, FAILED, began, retry
from tests.patience import PATIENCE
from tests.seeds import QUEUE, raw_failed

HEADER = Header(
    where="here",
    queue="bull:q",
    prefix="bull",
    state="failed",
    selection=WrittenSelection(kind="query", jobs=3),
    server={"run_id": "one"},
)


def test_a_journal_says_that_a_code_is_void_and_that_it_was_sent_again(tmp_path: Path) -> None:
    with Journal.create(tmp_path, HEADER) as journal:
        jobs = [Snapshot(one, score, {"name": "charge"}) for one, score in (("1", 5), ("2", 6))]
        journal.snapshots(snapshot_lines(jobs))
        journal.codes([Result(one, Code.DONE, "wait") for one in ("1", "2")])
        journal.withdraw({"run_id": "two"}, [Picked("2", 6)])
        name = journal.id
        before = progress_of(tmp_path, name)
        assert before.codes[Code.DONE] == 1
        assert before.doubtful == (Picked("2", 6),)
        assert before.retried == {"1": 5}
        assert before.server == {"run_id": "two"}
        journal.snapshots(snapshot_lines(jobs[1:]))
        journal.codes([Result("2", Code.DONE, "wait")])
    after = progress_of(tmp_path, name)
    assert (after.codes[Code.DONE], after.doubtful) == (2, ())
    assert after.retried == {"1": 5, "2": 6}
    assert summary(tmp_path, name).jobs == 2
    said = dict(facts(summary(tmp_path, name), read_story(tmp_path, name)))
    assert said["server"].endswith("another Redis took over and lost 1 retried job, sent again")


def test_what_was_lost_of_queues_is_called_queues(tmp_path: Path) -> None:
    header = Header(
        where="here",
        queue="bull:a",
        prefix="bull",
        state="",
        selection=WrittenSelection(kind="queues", jobs=2),
        action="pause",
        server={"run_id": "one"},
    )
    queues = [Snapshot("bull:a", None, {}), Snapshot("bull:b", None, {})]
    with Journal.create(tmp_path, header) as journal:
        journal.snapshots(snapshot_lines(queues))
        journal.codes([Result(one.id, Code.DONE) for one in queues])
        journal.withdraw({"run_id": "two"}, [Picked(one.id) for one in queues])
    story = read_story(tmp_path, journal.id)
    said = dict(facts(summary(tmp_path, journal.id), story))
    assert said["server"].endswith("another Redis took over and lost 2 paused queues, sent again")


def test_a_journal_of_before_has_no_server(tmp_path: Path) -> None:
    old = Header(
        where="here",
        queue="bull:q",
        prefix="bull",
        state="failed",
        selection=WrittenSelection(kind="query", jobs=3),
    )
    with Journal.create(tmp_path, old) as journal:
        name = journal.id
    assert b'"server"' not in (tmp_path / f"{name}.jsonl").read_bytes()
    assert not origin_of(progress_of(tmp_path, name).server).is_known


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("redis://localhost:6379/0", "redis://127.0.0.1:6379/0", True),
        ("redis://[::1]:6379/0", "redis://localhost:6379/0", True),
        ("redis://localhost:6379/0", "redis://localhost:6380/0", False),
        ("redis://localhost:6379/0", "redis://localhost:6379/1", False),
        ("redis://localhost.example:6379/0", "redis://127.0.0.1.example:6379/0", False),
    ],
)
def test_this_machine_has_several_names(one: str, other: str, same: bool) -> None:
    assert is_same_address(one, other) is same


def test_data_are_known_by_their_history() -> None:
    old = Origin(run_id="p1", replid="history1")
    promoted = Origin(run_id="p2", replid="history2", replid2="history1")
    assert not promoted.is_same_as(old)
    assert promoted.shares_data_with(old)
    assert not Origin(run_id="p3", replid="history3").shares_data_with(old)
    assert not Origin().is_same_as(Origin())
    assert not Origin().shares_data_with(Origin())


async def test_an_origin_is_read_and_kept(any_client: Redis) -> None:
    found = await read_origin(any_client, QUEUE.key("meta"))
    assert found.is_known
    assert found.is_master
    assert found.is_same_as(await read_origin(any_client, QUEUE.key("meta")))
    assert origin_of(found.members()).is_same_as(found)


async def test_only_jobs_at_their_own_finish_were_lost(any_client: Redis) -> None:
    ids = await raw_failed(any_client, [str(number) for number in range(1, 2501)])
    scores = [await any_client.zscore(QUEUE.key("failed"), one) for one in ids]
    picks = [Picked(one, score) for one, score in zip(ids, scores, strict=True)]
    ledger, pins = Ledger(), Pins(any_client, QUEUE, FAILED)
    ledger.add(picks, [Result(one, Code.DONE, "wait") for one in ids])
    await any_client.zrem(QUEUE.key("failed"), *ids[2:])
    await any_client.zincrby(QUEUE.key("failed"), 1, ids[1])  # it failed again
    assert await ledger.lost(pins) == picks[:1]
    ledger.drop(picks[:1])
    assert len(ledger) == len(ids) - 1
    assert await ledger.lost(pins) == []


async def test_what_was_seen_of_a_withdrawn_job_is_void(any_client: Redis) -> None:
    ids = await raw_failed(any_client, ["1", "2"])
    follower = await began(any_client)
    follower.add(await retry(any_client, ids), ["boom", "boom"])
    for one in ids:
        await any_client.xadd(EVENTS, {"event": "active", "jobId": one})
        await any_client.xadd(EVENTS, {"event": "failed", "jobId": one, "failedReason": "boom"})
    assert (await follower.settle(PATIENCE)).failed_again == 2
    follower.withdraw(ids[:1])
    assert follower.tally() == OutcomeTally(
        failed_again=1, same_error=1, errors=(("boom", 1),), undone=1
    )
    assert follower.outcomes["1"].fate is Fate.UNDONE
    await any_client.xadd(EVENTS, {"event": "waiting", "jobId": "1", "prev": "failed"})
    await any_client.xadd(EVENTS, {"event": "completed", "jobId": "1"})
    await follower.look()
    assert (follower.tally().completed, follower.undecided) == (1, 0)
