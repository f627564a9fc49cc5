"""`qtui promote` does what it says, says what it did, and can be cut off and resumed."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

import pytest
import redis

from tests.cli.stage import Stage, command, connect, digest, invoke, places, play, run

HOUR = 3_600_000


@pytest.fixture
def client(redis_url: str) -> redis.Redis:
    return connect(redis_url)


def delayed(url: str, count: int, **options: object) -> list[str]:
    """Jobs that are due in an hour."""
    ids: list[str] = []

    async def act(stage: Stage) -> None:
        ids.extend(await stage.add(count, "charge", delay=HOUR, **options))

    play(url, act)
    return ids


def test_jobs_are_promoted_and_reported_one_by_one(redis_url: str, client: redis.Redis) -> None:
    one, two, left = delayed(redis_url, 3)
    done = invoke("--redis", redis_url, "promote", "payments", one, two, "9", "--yes", "--json")
    assert done.code == 1
    summary = done.summary
    assert done.objects[:-1] == [
        {"id": one, "code": 1, "target": "wait"},
        {"id": two, "code": 1, "target": "wait"},
        {"id": "9", "code": -1, "error": "job is gone"},
    ]
    journal = summary.pop("journal")
    assert summary == {
        "action": "promote",
        "selected": 3,
        "done": 2,
        "codes": {"1": 2, "-1": 1},
    }
    assert client.lrange("bull:payments:wait", 0, -1) == [two, one]
    assert client.zrange("bull:payments:delayed", 0, -1) == [left]
    assert client.hget(f"bull:payments:{one}", "delay") == "0"
    [header] = invoke("journal", "--json").objects
    assert (header["id"], header["action"], header["state"]) == (journal, "promote", "delayed")
    [was] = [
        line
        for line in invoke("journal", journal, "--json").objects
        if line["type"] == "job" and line["id"] == one
    ]
    assert was["fields"]["delay"] == str(HOUR)
    assert was["score"] >= time.time() * 1000 * 4096


def test_all_or_what_matches(redis_url: str, client: redis.Redis) -> None:
    delayed(redis_url, 3)
    delayed(redis_url, 2, priority=4)
    for wanted, number in ((("--filter", "priority=4"), 2), (("--all",), 3), (("--all",), 0)):
        done = invoke("--redis", redis_url, "promote", "payments", *wanted, "--yes", "--json")
        assert (done.code, done.summary["done"]) == (0, number)
    assert client.llen("bull:payments:wait") + client.zcard("bull:payments:prioritized") == 5


def test_a_dry_run_prints_all_and_sends_no_write(redis_url: str, client: redis.Redis) -> None:
    ids = delayed(redis_url, 2)

    async def pause(stage: Stage) -> None:
        await stage.queue.pause()

    play(redis_url, pause)
    before = digest(redis_url)
    client.config_resetstat()
    asked = ("promote", "payments", *ids, "7", "--dry-run")
    done = invoke("--redis", redis_url, *asked, "--json")
    assert [one["code"] for one in done.objects[:-1]] == [1, 1, -1]
    assert (done.summary["done"], done.summary["dry_run"]) == (0, True)
    assert "The queue is paused: nothing runs until it is resumed." in done.summary["warnings"]
    shown = invoke("--redis", redis_url, *asked)
    assert shown.err.startswith("Promote 3 delayed jobs in bull:payments\n")
    assert shown.out.splitlines()[-1] == "2 of 3 jobs would be promoted, 1 gone (-1)"
    assert digest(redis_url) == before
    sent = {name.removeprefix("cmdstat_") for name in client.info("commandstats")}
    writes = client.acl_cat("write")
    assert sent & {*writes, "eval", "evalsha", "fcall", "multi"} == set()


def test_what_a_scheduler_runs_next_stays_and_the_plan_says_what_to_do_instead(
    redis_url: str, client: redis.Redis
) -> None:
    async def act(stage: Stage) -> None:
        await stage.queue.upsertJobScheduler("nightly", {"every": HOUR}, "tick", {})
        (await stage.active()) if await stage.queue.getWaitingCount() else None

    play(redis_url, act)
    [plain] = delayed(redis_url, 1)
    waiting = map(str, client.zrange("bull:payments:delayed", 0, -1))
    iterations = [one for one in waiting if one.startswith("repeat:")]
    assert len(iterations) == 1
    done = invoke("--redis", redis_url, "promote", "payments", "--all", "--yes", "--json")
    assert done.code == 1
    codes = {one["id"]: one["code"] for one in done.objects[:-1]}
    assert codes == {plain: 1, iterations[0]: -8}
    found = invoke("--redis", redis_url, "promote", "payments", iterations[0], "--yes")
    assert "it stays (-8), since promoting it would skip" in found.err
    assert "run the scheduler now instead (nightly)." in found.err
    assert client.zrange("bull:payments:delayed", 0, -1) == iterations


@pytest.mark.parametrize(
    "args", [(), ("1", "--all"), ("--all", "--filter", "name:x"), ("1", "--rate", "0")]
)
def test_usage_errors_end_with_2(redis_url: str, args: tuple[str, ...]) -> None:
    done = invoke("--redis", redis_url, "promote", "payments", *args, "--yes")
    assert (done.code, done.out) == (2, "")


def test_read_only_and_a_missing_yes_refuse(redis_url: str) -> None:
    [id] = delayed(redis_url, 1)
    before = digest(redis_url)
    refused = invoke("--redis", redis_url, "--read-only", "promote", "payments", id, "--yes")
    assert (refused.code, refused.out) == (4, "")
    assert "cannot promote jobs" in refused.err
    unasked = invoke("--redis", redis_url, "promote", "payments", id)
    assert (unasked.code, unasked.out) == (2, "")
    assert digest(redis_url) == before


def test_one_that_was_killed_is_resumed_and_each_job_is_promoted_once(
    redis_url: str, client: redis.Redis, tmp_path: Path
) -> None:
    ids = delayed(redis_url, 400)
    asked = ("--redis", redis_url, "promote", "payments", "--all", "--yes", "--json")
    with subprocess.Popen(
        command(*asked, "--rate", "400"), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGKILL)
    assert 0 < client.llen("bull:payments:wait") < len(ids)
    [cut] = invoke("journal", "--json").objects
    assert cut["phase"] == "unfinished"
    other = invoke("--redis", redis_url, "retry", "--resume", cut["id"])
    assert other.code == 1
    assert f"qtui promote --resume {cut['id']}" in other.err
    done = run("--redis", redis_url, "promote", "--resume", cut["id"], "--json")
    assert (done.code, done.summary["done"], done.summary["selected"]) == (0, 400, 400)
    assert sorted(client.lrange("bull:payments:wait", 0, -1)) == sorted(ids)
    assert places(redis_url) == sorted(ids)
    again = invoke("--redis", redis_url, "promote", "--resume", cut["id"])
    assert (again.code, "every job has a result" in again.err) == (1, True), again.err
