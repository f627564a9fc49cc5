"""`qtui jobs '*' --state all --filter …`: one search over all queues and states."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import time

import pytest

from tests.cli.stage import Stage, command, connect, digest, invoke, many_failed, play
from tests.patience import PATIENCE

LINE = {
    *("id", "queue", "state", "name", "attempts_made", "attempts_started", "attempts"),
    *("priority", "delay", "timestamp", "processed_on", "finished_on", "failed_reason", "parent"),
    *("missing", "garbled"),
}
"""The members of every line; a completed job has those of its return value too."""


async def several_states(stage: Stage) -> None:
    await stage.add(1, jobId="order-123")
    await stage.fail(1, "connect ECONNREFUSED")
    await stage.add(1, jobId=f"{stage.queue.name}-done")
    await stage.complete(1, {"order": "order-123"})
    await stage.add(1, jobId=f"{stage.queue.name}-later", delay=60_000)
    await stage.add(1, name="order-123-mail", jobId=f"{stage.queue.name}-waits")


@pytest.fixture
def world(redis_url: str) -> str:
    for name in ("payments", "emails"):
        play(redis_url, several_states, name=name)
    return redis_url


def found(url: str, *args: str) -> list[tuple[str, str, str]]:
    done = invoke("--redis", url, "--read-only", "jobs", "*", *args, "--json")
    assert done.code == 0, done.err
    return [(one["queue"], one["state"], one["id"]) for one in done.objects]


def test_a_word_is_looked_for_in_every_queue_and_state(world: str) -> None:
    before = digest(world)
    assert found(world, "--state", "all", "--filter", "order-123") == [
        ("bull:emails", "failed", "order-123"),
        ("bull:emails", "waiting", "emails-waits"),
        ("bull:payments", "failed", "order-123"),
        ("bull:payments", "waiting", "payments-waits"),
    ]
    assert digest(world) == before


@pytest.mark.parametrize(
    ("args", "ids"),
    [
        (("--filter", "id=order-123"), ["order-123", "order-123"]),
        (("--state", "all", "--filter", "id=payments-later"), ["payments-later"]),
        (("--state", "all", "--filter", "return:order-123"), ["emails-done", "payments-done"]),
        (("--state", "all", "--filter", "error:econn", "--limit", "1"), ["order-123"]),
        (
            ("--state", "all", "--filter", "!name=x", "--limit", "3", "--offset", "2"),
            ["emails-waits", "emails-later", "order-123"],
        ),
        (("--state", "all", "--filter", "id=payments-later name=other"), []),
        (("--state", "completed", "--filter", "order-123"), []),
        (("--state", "all", "--limit", "0"), []),
        (("--state", "delayed"), ["emails-later", "payments-later"]),
    ],
)
def test_states_filters_limits_and_offsets_go_together(
    world: str, args: tuple[str, ...], ids: list[str]
) -> None:
    assert [job_id for _, _, job_id in found(world, *args)] == ids


def test_every_line_has_the_same_names(world: str) -> None:
    done = invoke("--redis", world, "jobs", "*", "--state", "all", "--json")
    assert len(done.objects) == 8
    for one in done.objects:
        more = {"returnvalue", "returnvalue_size"} if one["state"] == "completed" else set()
        assert set(one) == LINE | more


def test_picked_fields_name_queue_and_state_too(world: str) -> None:
    args = ("--state", "all", "--filter", "id=order-123", "--fields", "name,error", "--json")
    done = invoke("--redis", world, "jobs", "*", *args)
    assert done.objects[0] == {
        "id": "order-123",
        "queue": "bull:emails",
        "state": "failed",
        "name": "charge",
        "failed_reason": "connect ECONNREFUSED",
        "missing": False,
        "garbled": [],
    }
    [one] = invoke("--redis", world, "jobs", "payments", *args).objects
    assert ("state" in one, "queue" in one) == (True, False)
    [one] = invoke("--redis", world, "jobs", "payments", *args[2:]).objects
    assert not {"state", "queue"} & set(one)


def test_people_read_a_table_with_queue_and_state(world: str) -> None:
    done = invoke("--redis", world, "jobs", "*", "--state", "all", "--filter", "id=order-123")
    head, *rows = done.out.splitlines()
    assert head.split()[:4] == ["queue", "state", "id", "name"]
    assert [row.split()[:3] for row in rows] == [
        ["bull:emails", "failed", "order-123"],
        ["bull:payments", "failed", "order-123"],
    ]
    none = invoke("--redis", world, "jobs", "*", "--state", "all", "--filter", "id=none")
    assert (none.code, none.out) == (0, "")
    assert none.err == "no jobs in any queue that match id=none\n"


def test_mistakes_are_usage(world: str) -> None:
    for args in (
        ("--filter", "(x"),
        ("--filter", "error:x", "--oldest-first"),
        ("--filter", "x", "--fields", "name"),
        ("--state", "none"),
    ):
        assert invoke("--redis", world, "jobs", "*", "--state", "all", *args).code == 2


def test_a_broken_queue_costs_the_others_nothing_but_the_exit_code(world: str) -> None:
    with connect(world) as client:
        client.delete("bull:emails:failed")
        client.set("bull:emails:failed", "junk")
    done = invoke(
        "--redis", world, "jobs", "*", "--state", "all", "--filter", "order-123 !name=x", "--json"
    )
    assert [(one["queue"], one["id"]) for one in done.objects] == [
        ("bull:emails", "emails-waits"),
        ("bull:payments", "order-123"),
        ("bull:payments", "payments-waits"),
    ]
    assert done.code == 3
    assert done.err == "qtui: bull:emails:failed holds another type of key\n"


def test_a_queue_that_vanishes_meanwhile_has_no_jobs(redis_url: str) -> None:
    many_failed(redis_url, [f"a{number}" for number in range(3000)], name="a")
    many_failed(redis_url, ["b1"], name="b")
    many_failed(redis_url, ["c1"], name="c")
    args = ("--state", "all", "--filter", "!name=x", "--limit", "9999", "--json")
    words = command("--redis", redis_url, "jobs", "*", *args)
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        first = process.stdout.readline()  # the rest waits until the pipe is read
        with connect(redis_url) as client:
            client.delete(*client.keys("bull:b:*"))
        lines = [first, *process.stdout.readlines()]
        assert process.stderr.read() == b""
        assert process.wait(PATIENCE) == 0
    queues = [json.loads(line)["queue"] for line in lines]
    assert queues.count("bull:a") == 3000
    assert "bull:c" in queues
    assert "bull:b" not in queues


def test_an_id_in_five_hundred_queues_takes_few_round_trips(redis_url: str) -> None:
    with connect(redis_url) as client, client.pipeline(transaction=False) as pipe:
        for number in range(500):
            base = f"bull:q{number:03}"
            pipe.hset(f"{base}:meta", mapping={"opts.maxLenEvents": 10_000})
            pipe.hset(f"{base}:1", mapping={"name": "n", "timestamp": 1, "data": "{}"})
            pipe.zadd(f"{base}:failed", {"1": 1})
            pipe.zadd(f"{base}:completed", {"2": 1})
        pipe.hset("bull:q321:ticket", mapping={"name": "n", "timestamp": 1, "data": "{}"})
        pipe.zadd("bull:q321:delayed", {"ticket": 1})
        pipe.execute()
        client.config_resetstat()
        assert found(redis_url, "--state", "all", "--filter", "id=ticket") == [
            ("bull:q321", "delayed", "ticket")
        ]
        calls = {name: one["calls"] for name, one in client.info("commandstats").items()}
    assert calls["cmdstat_exists"] <= 502
    assert not {"cmdstat_sort_ro", "cmdstat_zrange"} & set(calls)


def test_progress_names_the_queue_and_leaves_nothing_behind(redis_url: str) -> None:
    for name in ("a", "b"):
        many_failed(redis_url, [f"{name}{number}" for number in range(1500)], name=name)
    words = command("--redis", redis_url, "jobs", "*", "--state", "all", "--filter", "error:none")
    ours, theirs = pty.openpty()
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=theirs) as process:
        os.close(theirs)
        said, until = b"", time.monotonic() + PATIENCE
        while time.monotonic() < until:
            try:
                part = os.read(ours, 4096)
            except OSError:  # the other end is closed
                break
            said += part
            if not part:
                break
        assert process.wait(PATIENCE) == 0
    os.close(ours)
    text = said.decode()
    assert re.search(r"queue 1 of 2: a · searched [\d,]+ of 1,500 jobs", text)
    assert "queue 2 of 2: b" in text
    last = text.rstrip("\r\n").rpartition("\x1b[K")[2]
    assert last == "no jobs in any queue that match error:none"


@pytest.mark.parametrize(
    "args", [("jobs", "*"), ("queues",), ("errors", "*"), ("workers",), ("schedulers", "*")]
)
def test_queues_that_an_acl_hides_are_counted(world: str, args: tuple[str, ...]) -> None:
    client = connect(world)
    rights = ("on", "nopass", "~bull:emails:*", "+@read", "+client|list")
    client.execute_command("ACL", "SETUSER", "few", *rights)
    url = world.replace("//", "//few:f@", 1)
    try:
        done = invoke("--redis", url, "--read-only", *args)
    finally:
        client.acl_deluser("few")
    assert done.code == 0
    hidden = "the ACL hides the queue bull:payments from this user: ~bull:payments:* would show it"
    assert f"qtui: {hidden}" in done.err
    assert hidden not in invoke("--redis", world, "--read-only", *args).err
