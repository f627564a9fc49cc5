"""`qtui queues` shows every queue at a glance."""

from __future__ import annotations

import subprocess

import pytest

from tests.cli.stage import Stage, command, connect, failed, invoke, play
from tests.patience import PATIENCE

STATES = {
    "failed",
    "completed",
    "waiting",
    "active",
    "delayed",
    "prioritized",
    "waiting-children",
    "paused",
}


async def a_bit_of_everything(stage: Stage) -> None:
    await stage.add(5)
    await stage.fail(2)
    await stage.complete(2, "fine")
    await stage.active()
    await stage.add(1, delay=60_000)
    await stage.add(3, priority=2)


def test_every_state_is_counted(redis_url: str) -> None:
    play(redis_url, a_bit_of_everything)
    [queue] = invoke("--redis", redis_url, "queues", "--json").objects
    assert queue == {
        "name": "payments",
        "prefix": "bull",
        "key": "bull:payments",
        "kind": "BullMQ",
        "paused": False,
        "version": None,
        "dialect": "T5/T6",
        "workers": 0,
        "concurrency": None,
        "counts": dict.fromkeys(STATES, 0)
        | {"failed": 2, "completed": 2, "active": 1, "delayed": 1, "prioritized": 3},
    }


def test_people_read_which_releases_may_run_a_queue_and_scripts_its_dialect(
    redis_url: str,
) -> None:
    play(redis_url, a_bit_of_everything)
    client = connect(redis_url)

    def shown() -> tuple[str, object]:
        _, row = invoke("--redis", redis_url, "queues").out.splitlines()
        [queue] = invoke("--redis", redis_url, "queues", "--json").objects
        return row, queue["dialect"]

    row, dialect = shown()
    assert row.endswith("run by BullMQ 5.x or 6.x")
    assert dialect == "T5/T6"
    client.hset("bull:payments:meta", "version", "bullmq:5.81.5")
    row, dialect = shown()
    assert row.endswith("BullMQ 5.81.5 · run by BullMQ 5.x")
    assert dialect == "T5"
    client.hset("bull:payments:meta", "version", "bullmq:6.7.0")
    row, dialect = shown()
    assert row.endswith("BullMQ 6.7.0 · run by BullMQ 6.x")
    assert dialect == "T6"


def test_the_worst_queue_comes_first_and_numbers_are_at_the_right(redis_url: str) -> None:
    failed(redis_url, 1, name="emails")
    failed(redis_url, 12, name="payments")

    async def paused(stage: Stage) -> None:
        await stage.add(1)
        await stage.queue.pause()

    play(redis_url, paused, name="invoices")
    head, *rows = invoke("--redis", redis_url, "queues").out.splitlines()
    assert [row.split()[:2] for row in rows] == [
        ["payments", "12"],
        ["emails", "1"],
        ["invoices", "·"],
    ]
    end = head.index("failed") + len("failed")
    assert [row[:end][-2:] for row in rows] == ["12", " 1", " ·"]
    assert "paused" in rows[2]
    assert "paused" not in rows[0]


def test_two_prefixes_are_kept_apart(redis_url: str) -> None:
    failed(redis_url, 1, name="payments", prefix="bull")
    failed(redis_url, 2, name="payments", prefix="{eu}:jobs")
    done = invoke("--redis", redis_url, "--prefix", "bull", "--prefix", "{eu}:jobs", "queues")
    assert [line.split()[0] for line in done.out.splitlines()[1:]] == [
        "{eu}:jobs:payments",
        "bull:payments",
    ]


def test_only_the_queues_that_were_named_are_shown(redis_url: str) -> None:
    failed(redis_url, 1, name="emails")
    failed(redis_url, 1, name="payments")
    asked = ("--queue", "emails", "--queue", "nosuch")
    done = invoke("--redis", redis_url, *asked, "queues", "--json")
    assert [queue["name"] for queue in done.objects] == ["emails"]
    assert done.err == 'no queue "nosuch" under bull:*\n'
    assert done.code == 2


def test_no_queues_at_all_is_said_on_stderr(redis_url: str) -> None:
    done = invoke("--redis", redis_url, "queues")
    assert (done.code, done.out) == (0, "")
    first, second = done.err.splitlines()
    assert first == "no queues under bull:*"
    assert second.startswith(
        "Database 0 holds 0 keys; none belongs to a queue. BullMQ 6 can also keep"
    )


def test_a_reader_that_wants_nothing_is_no_error(redis_url: str) -> None:
    failed(redis_url, 1)
    args = command("--redis", redis_url, "queues")
    with subprocess.Popen(args, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(PATIENCE) == 0


def test_a_foreign_queue_says_what_it_is(redis_url: str) -> None:
    with connect(redis_url) as client:
        client.set("bull:old:id", 3)
        client.zadd("bull:old:failed", {"1": 1})
    [queue] = invoke("--redis", redis_url, "queues", "--json").objects
    assert queue["kind"] == "Bull"
    assert "qtui can't retry its jobs" in invoke("--redis", redis_url, "queues").out


def test_jobs_that_a_resume_left_behind_are_named(redis_url: str) -> None:
    failed(redis_url, 1)
    with connect(redis_url) as client:
        client.rpush("bull:payments:paused", "a", "b")
        said = "2 stranded in paused: resume the queue again"
        assert said in invoke("--redis", redis_url, "queues").out
        client.hset("bull:payments:meta", "paused", 1)
        assert "stranded" not in invoke("--redis", redis_url, "queues").out


@pytest.mark.parametrize("variable", ["QTUI_REDIS", "REDIS_URL"])
def test_the_address_may_come_from_the_environment(
    redis_url: str, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed(redis_url, 1)
    monkeypatch.setenv(variable, redis_url)
    assert [queue["name"] for queue in invoke("queues", "--json").objects] == ["payments"]
