"""A removal takes nothing else with it, whatever the keys are called and whatever is forbidden."""

from __future__ import annotations

import asyncio

import pytest
import redis.asyncio

from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState
from qtui.bullmq.writers.batch import Batch, Picked
from qtui.bullmq.writers.remove import RemoveWriter
from tests.oracle.flow_stage import ONE_SERVER
from tests.oracle.removing import add_flow, codes, remove
from tests.oracle.stage import Stage, job

pytestmark = ONE_SERVER


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
    add_flow(stage, "one", queue="kids")
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
