"""`qtui show '*' ID` finds a job in any queue."""

from __future__ import annotations

import pytest

from tests.cli.stage import Stage, connect, digest, invoke, play


async def one_of_each(stage: Stage) -> None:
    await stage.add(1, jobId=f"only-{stage.queue.name}")
    await stage.fail(1, "boom")
    await stage.add(1, jobId="everywhere")


@pytest.fixture
def world(redis_url: str) -> str:
    for name in ("payments", "emails", "a:b"):
        play(redis_url, one_of_each, name=name)
    return redis_url


@pytest.mark.parametrize("name", ["payments", "emails"])
def test_a_job_is_found_in_its_queue_with_its_state(world: str, name: str) -> None:
    before = digest(world)
    done = invoke("--redis", world, "--read-only", "show", "*", f"only-{name}", "--json")
    assert done.code == 0
    [found] = done.objects
    assert (found["id"], found["queue"]) == (f"only-{name}", f"bull:{name}")
    assert found["state"] == "failed"
    assert digest(world) == before


def test_one_that_is_nowhere_says_where_was_looked(world: str) -> None:
    done = invoke("--redis", world, "show", "*", "nowhere")
    assert (done.code, done.out) == (1, "")
    assert done.err == 'qtui: no job "nowhere" in any of 3 queues under bull:*\n'


def test_one_in_several_queues_is_asked_about(world: str) -> None:
    done = invoke("--redis", world, "show", "*", "everywhere")
    assert (done.code, done.out) == (2, "")
    assert 'job "everywhere" is in 3 queues: name one of' in done.err
    for name in ("payments", "emails", "a:b"):
        assert f"bull:{name} (waiting)" in done.err


def test_only_the_queues_that_are_wanted_are_looked_at(world: str) -> None:
    done = invoke("--redis", world, "--queue", "emails", "show", "*", "everywhere", "--json")
    assert done.objects[0]["queue"] == "bull:emails"
    none = invoke("--redis", world, "--queue", "emails", "show", "*", "only-payments")
    assert none.code == 1


def test_a_job_that_is_in_no_state_is_found(world: str) -> None:
    with connect(world) as client:
        client.zrem("bull:payments:failed", "only-payments")
    done = invoke("--redis", world, "show", "*", "only-payments", "--json")
    assert (done.code, done.objects[0]["state"]) == (0, None)


def test_an_id_that_is_no_hash_or_hostile_harms_nothing(world: str) -> None:
    with connect(world) as client:
        client.hset("bull:payments:\x1b[31m", mapping={"name": "n", "data": "{}"})
        client.set("bull:payments:junk", "junk")
    out = invoke("--redis", world, "show", "*", "\x1b[31m")
    assert out.code == 0
    assert "\x1b" not in out.out + out.err
    for job_id in ("junk", "failed", "wait", "events"):
        done = invoke("--redis", world, "show", "*", job_id)
        assert done.code == 1
        assert "Traceback" not in done.err
        assert done.out == ""


def test_without_any_queue_it_is_said(redis_url: str) -> None:
    done = invoke("--redis", redis_url, "show", "*", "1")
    assert done.code == 1
    assert done.err.startswith('qtui: no job "1" in any of 0 queues')
