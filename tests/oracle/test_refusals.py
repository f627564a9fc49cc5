"""What Redis or the queue does not allow: no job is lost, and what was done is said."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest
import redis

from qtui.bullmq.codes import Code, ForeignQueue
from qtui.bullmq.model import Kind
from qtui.demo.server import EmbeddedServer
from tests.oracle.keyspace import digest
from tests.oracle.releases import bull_command
from tests.oracle.stage import Stage, job
from tests.patience import PATIENCE


@pytest.mark.parametrize("paused", [[], ["paused"]], ids=["", "paused"])
def test_a_queue_of_bull_4_is_refused_and_not_a_byte_is_written(
    bare_stage: Stage, oracle_server: EmbeddedServer, paused: list[str]
) -> None:
    subprocess.run(
        [*bull_command(), oracle_server.path, "1", *paused], check=True, timeout=PATIENCE
    )
    failed = bare_stage.ours.members("failed")
    assert len(failed) == 2
    before, keys = digest(bare_stage.ours.client), bare_stage.ours.snapshot()
    for state, ids in (("failed", failed), ("completed", ["3"])):
        with pytest.raises(ForeignQueue) as refused:
            bare_stage.batch(ids, state)
        assert refused.value.kind is Kind.BULL
    assert bare_stage.ours.snapshot() == keys
    assert digest(bare_stage.ours.client) == before


def test_a_wait_of_a_wrong_type_keeps_every_job_in_its_set(bare_stage: Stage) -> None:
    ids = bare_stage.official.seed([job("a"), job("b", lifo=True)])
    bare_stage.copy()
    bare_stage.ours.client.set(bare_stage.ours.key("wait"), "not a list")
    before = digest(bare_stage.ours.client)
    results = bare_stage.results(ids)
    assert [result.code for result in results] == [Code.REFUSED, Code.REFUSED]
    assert all("WRONGTYPE" in result.error for result in results)
    assert digest(bare_stage.ours.client) == before
    bare_stage.ours.client.delete(bare_stage.ours.key("wait"))
    assert bare_stage.retry(ids) == [1, 1]
    bare_stage.ours.work_off([ids[1], ids[0]])


def test_a_prioritized_of_a_wrong_type_keeps_back_only_the_jobs_that_go_there(
    bare_stage: Stage,
) -> None:
    plain, urgent = bare_stage.official.seed([job("plain"), job("urgent", priority=1)])
    bare_stage.copy()
    bare_stage.ours.client.set(bare_stage.ours.key("prioritized"), "not a sorted set")
    assert [result.code for result in bare_stage.results([urgent, plain])] == [Code.REFUSED, 1]
    assert bare_stage.ours.members("wait") == [plain]
    assert bare_stage.ours.members("failed") == [urgent]


@pytest.fixture
def restricted(bare_stage: Stage) -> Iterator[redis.Redis]:
    """The server's own client, with no user `limited` before and after."""
    bare_stage.ours.client.acl_deluser("limited")
    yield bare_stage.ours.client
    bare_stage.ours.client.acl_deluser("limited")


def _limit(client: redis.Redis, *commands: str) -> None:
    client.acl_setuser(
        "limited",
        enabled=True,
        passwords=["+secret"],
        keys=["*"],
        categories=["+@all"],
        commands=[f"-{command}" for command in commands],
    )


@pytest.mark.parametrize(
    "forbidden",
    [("zrem",), ("lpush",), ("lpush", "rpush", "zadd"), ("zrem", "lrem")],
    ids=" ".join,
)
def test_a_user_who_may_not_move_jobs_moves_none(
    bare_stage: Stage, restricted: redis.Redis, forbidden: tuple[str, ...]
) -> None:
    ids = bare_stage.official.seed([job("a"), job("b")])
    bare_stage.copy()
    _limit(restricted, *forbidden)
    before = bare_stage.ours.snapshot()
    results = bare_stage.batch(ids, username="limited").results
    assert [result.code for result in results] == [Code.REFUSED, Code.REFUSED]
    assert all(result.error for result in results)
    assert bare_stage.ours.snapshot() == before
    assert bare_stage.retry(ids) == [1, 1]
    bare_stage.ours.work_off(ids)


@pytest.mark.parametrize("forbidden", ["xadd", "hdel"])
def test_a_user_who_may_move_jobs_but_not_add_events_moves_them(
    bare_stage: Stage, restricted: redis.Redis, forbidden: str
) -> None:
    ids = bare_stage.official.seed([job("a"), job("b")])
    bare_stage.copy()
    _limit(restricted, forbidden)
    batch = bare_stage.batch(ids, username="limited")
    assert [result.code for result in batch.results] == [1, 1]
    assert "can't run this command" in batch.note or forbidden in batch.note
    bare_stage.ours.work_off(ids)


def test_a_full_memory_stops_our_retry_no_more_than_the_release_s_own(bare_stage: Stage) -> None:
    """Redis lets a script continue that has begun to write, and both begin with a ZREM."""
    ids = bare_stage.official.seed([job("a"), job("b", priority=1)])
    bare_stage.copy()
    bare_stage.ours.client.config_set("maxmemory", 1)
    try:
        bare_stage.retry_both(ids)
    finally:
        bare_stage.ours.client.config_set("maxmemory", 0)
    bare_stage.assert_equal()
    bare_stage.ours.work_off(ids)
