"""Limits: as the release's own methods leave them, and the workers are woken where theirs sleep."""

from __future__ import annotations

import asyncio
import time

import pytest

from qtui.bullmq.codes import Code
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.writers.queues import LimitsWriter, QueueStep, Setting
from qtui.demo.server import EmbeddedServer
from tests.oracle.driver import Json
from tests.oracle.keyspace import Difference, digest, only_ours
from tests.oracle.stage import Side, Stage, job
from tests.servers import connect

ONE_KIND = pytest.mark.parametrize("oracle_server", ["redis"], indirect=True)
"""What is the same on each kind of server."""

SOON = 4.0
"""Seconds within which a woken worker starts a job; one that is not woken sleeps for 15 here."""


def _change(server: EmbeddedServer, side: Side, *settings: Setting) -> QueueStep:
    async def call() -> QueueStep:
        async with connect(server, db=side.database) as client:
            return await LimitsWriter(client).change(QueueKey.of("bull", side.queue), settings)

    return asyncio.run(call())


def _set(name: str, after: str | None, before: str | None = None, pinned: bool = True) -> Setting:
    return Setting(name=name, before=before, after=after, pinned=pinned)


def _woken() -> Difference:
    """D4: BullMQ's own methods write no marker, so that an idle worker sleeps on."""
    reason = "its own method wakes no worker"
    return Difference("q:marker", reason, only_ours([("0", 0.0)]))


@pytest.mark.releases(since="5.60.0")
@pytest.mark.parametrize("waiting", [False, True], ids=["", "some-wait"])
def test_limits_are_set_and_removed_as_the_release_s_own_methods_do(
    stage: Stage, oracle_server: EmbeddedServer, waiting: bool
) -> None:
    stage.official.seed([job("a")])
    stage.official.run("add", jobs=[job("w")] if waiting else [])
    stage.official.client.delete(stage.official.key("marker"))
    stage.copy()
    stage.official.run("limit", concurrency=3)
    stage.official.run("rate", most=7, duration=2500)
    done = [_set("concurrency", "3"), _set("max", "7"), _set("duration", "2500")]
    step = _change(oracle_server, stage.ours, *done)
    assert (step.result.code, step.note) == (Code.DONE, "")
    assert step.result.target == "concurrency max duration"
    declared = [_woken()] if waiting else []
    stage.assert_equal(*declared)
    for what in ("GlobalConcurrency", "GlobalRateLimit"):
        stage.official.run("unlimit", what=what)
    back = [_set(one.name, None, one.after) for one in done]
    assert _change(oracle_server, stage.ours, *back).result.code is Code.DONE
    stage.assert_equal(*declared)


@pytest.mark.releases(since="5.27.0")
def test_a_rate_limit_is_released_as_the_release_s_own_method_does(
    stage: Stage, oracle_server: EmbeddedServer
) -> None:
    stage.official.seed([job("a")])
    stage.official.run("limited", milliseconds=60_000)
    stage.copy()
    stage.official.run("unlimit", what="RateLimitKey")
    step = _change(oracle_server, stage.ours, _set("limiter", None, "1", pinned=False))
    assert step.result.code is Code.DONE
    stage.assert_equal()


@pytest.mark.releases(since="5.17.0")
def test_a_released_dedup_key_lets_the_next_job_in(
    stage: Stage, oracle_server: EmbeddedServer
) -> None:
    side = stage.ours
    side.seed([job("a")])
    once: Json = {"deduplication": {"id": "once:a b"}}
    [first] = side.run("add", jobs=[job("w", "fail", **once)])
    [again] = side.run("add", jobs=[job("w", "fail", **once)])
    assert first == again
    step = _change(oracle_server, side, _set("de:once:a b", None, "other"))
    assert (step.result.code, step.result.error) == (Code.NOT_IN_STATE, "de:once:a b")
    assert side.client.get(side.key("de:once:a b")) == first
    step = _change(oracle_server, side, _set("de:once:a b", None, first))
    assert step.result.code is Code.DONE
    [other] = side.run("add", jobs=[job("w", "fail", **once)])
    assert other != first
    side.work_off([first, other])


@pytest.mark.releases(since="5.72.0")
def test_a_dedup_key_with_a_newer_job_stored_is_kept_until_that_is_added(
    stage: Stage, oracle_server: EmbeddedServer
) -> None:
    """D7: released at once, the next job would run ahead of the stored one, which is older."""
    side = stage.ours
    side.seed([job("a")])
    last: Json = {"deduplication": {"id": "k", "keepLastIfActive": True}}
    [first] = side.run("add", jobs=[job("w", "fail", **last)])
    with side.worker("hold") as worker:
        worker.until(starts=1)
        side.run("add", jobs=[job("newer", "fail", **last)])
        assert side.client.exists(side.key("dn:k"))
        before = digest(side.client)
        step = _change(oracle_server, side, _set("de:k", None, first))
        assert step.result.code is Code.REFUSED
        assert f"job {first} ends" in step.result.error
        assert digest(side.client) == before
        worker.release()
        worker.until(ends=2)


@pytest.mark.releases(since="5.9.0")
def test_a_raised_concurrency_wakes_an_idle_worker(
    stage: Stage, oracle_server: EmbeddedServer
) -> None:
    """D4: after BullMQ's own method it sleeps until its block runs out."""
    side = stage.ours
    side.open()
    side.run("limit", concurrency=1)
    side.run("add", jobs=[job("a"), job("b")])
    with side.worker("hold", concurrency=2, drainDelay=15) as worker:
        worker.until(starts=1)
        side.await_idle()
        began = time.monotonic()
        step = _change(oracle_server, side, _set("concurrency", "2", "1"))
        assert step.result.code is Code.DONE
        assert len(worker.until(starts=2)) == 2
        assert time.monotonic() - began < SOON
        worker.release()


def test_what_was_changed_by_someone_else_stays_and_so_does_all_the_rest(
    bare_stage: Stage, oracle_server: EmbeddedServer
) -> None:
    side = bare_stage.ours
    side.seed([job("a")])
    side.run("limit", concurrency=4)
    before = digest(side.client)
    step = _change(oracle_server, side, _set("max", "1"), _set("concurrency", "2", "3"))
    assert (step.result.code, step.result.error) == (Code.NOT_IN_STATE, "concurrency")
    assert digest(side.client) == before


@ONE_KIND
@pytest.mark.parametrize("forbidden", ["hset", "hdel", "del"])
def test_what_an_acl_forbids_changes_nothing_at_all(
    bare_stage: Stage, oracle_server: EmbeddedServer, forbidden: str
) -> None:
    side = bare_stage.ours
    side.seed([job("a")])
    side.run("limit", concurrency=4)
    side.run("rate", most=5, duration=1000)
    side.run("limited", milliseconds=60_000)
    side.client.acl_setuser(
        "limited",
        enabled=True,
        passwords=["+secret"],
        keys=["*"],
        categories=["+@all"],
        commands=[f"-{forbidden}"],
    )
    before = side.snapshot()
    settings = (
        _set("concurrency", "9", "4"),
        _set("max", None, "5"),
        _set("limiter", None, "1", pinned=False),
    )

    async def call() -> QueueStep:
        login = {"username": "limited", "password": "secret", "db": side.database}
        async with connect(oracle_server, **login) as client:
            return await LimitsWriter(client).change(QueueKey.of("bull", "q"), settings)

    step = asyncio.run(call())
    side.client.acl_deluser("limited")
    assert step.result.code is Code.REFUSED
    assert side.snapshot() == before
