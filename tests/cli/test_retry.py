"""`qtui retry` does what it says, says what it did, and asks before."""

from __future__ import annotations

import re

import pytest
import redis

from tests.cli.stage import Stage, connect, digest, failed, invoke, places, play


@pytest.fixture
def client(redis_url: str) -> redis.Redis:
    return connect(redis_url)


class Name:
    """Equal to the id of any campaign."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and bool(re.fullmatch(r"\d{8}-\d{6}-[0-9a-f]{4}", other))

    def __hash__(self) -> int:
        return 0


def summary(selected: int, codes: dict[str, int], **more: object) -> dict[str, object]:
    counts = {"1": 0, "-1": 0, "-3": 0} | codes
    retried = 0 if more else counts["1"]
    journal = Name() if retried and not more else None
    return {"selected": selected, "retried": retried, "codes": counts, "journal": journal} | more


def test_jobs_are_retried_and_reported_one_by_one(redis_url: str, client: redis.Redis) -> None:
    failed(redis_url, 3)
    done = invoke("--redis", redis_url, "retry", "payments", "2", "1", "3", "--yes", "--json")
    assert done.code == 0
    assert done.err == ""
    assert done.objects == [
        {"id": "1", "code": 1, "target": "wait"},
        {"id": "2", "code": 1, "target": "wait"},
        {"id": "3", "code": 1, "target": "wait"},
        {"summary": summary(3, {"1": 3})},
    ]
    assert client.lrange("bull:payments:wait", 0, -1) == ["3", "2", "1"]
    assert client.zcard("bull:payments:failed") == 0


def test_a_worker_runs_what_was_retried(redis_url: str, client: redis.Redis) -> None:
    failed(redis_url, 2)
    invoke("--redis", redis_url, "retry", "payments", "1", "2", "--yes")
    play(redis_url, lambda stage: stage.complete(2, "at last"))
    assert client.zrange("bull:payments:completed", 0, -1) == ["1", "2"]


def test_jobs_that_cannot_be_retried_say_why(redis_url: str, client: redis.Redis) -> None:
    async def act(stage: Stage) -> None:
        await stage.add(3)
        await stage.fail(1)
        await stage.complete(1, None)

    play(redis_url, act)
    ids = ("1", "2", "3", "77")
    dry = invoke("--redis", redis_url, "retry", "payments", *ids, "--dry-run", "--json")
    assert [one["error"] for one in dry.objects if one.get("id") in ("2", "3")] == [
        "not in failed: it is completed",
        "not in failed: it is waiting",
    ]
    done = invoke("--redis", redis_url, "retry", "payments", *ids, "--yes", "--json")
    assert done.code == 1
    assert done.objects == [
        {"id": "1", "code": 1, "target": "wait"},
        {"id": "2", "code": -3, "error": "not in failed"},
        {"id": "3", "code": -3, "error": "not in failed"},
        {"id": "77", "code": -1, "error": "job is gone"},
        {"summary": summary(4, {"1": 1, "-1": 1, "-3": 2})},
    ]
    again = invoke("--redis", redis_url, "retry", "payments", *ids, "--yes")
    assert again.code == 1
    assert again.out.splitlines()[-1] == "0 of 4 jobs retried, 1 gone (-1), 3 not in failed (-3)"
    assert places(redis_url) == ["1", "2", "3"]


def test_an_id_that_is_given_twice_counts_once(redis_url: str) -> None:
    failed(redis_url, 1)
    done = invoke("--redis", redis_url, "retry", "payments", "1", "1", "--yes", "--json")
    assert done.summary == summary(1, {"1": 1})


def test_completed_jobs_are_retried_when_asked_for(redis_url: str, client: redis.Redis) -> None:
    async def act(stage: Stage) -> None:
        await stage.add(1)
        await stage.complete(1, "fine")

    play(redis_url, act)
    done = invoke("--redis", redis_url, "retry", "payments", "1", "--state", "completed", "--yes")
    assert done.code == 0
    assert client.hget("bull:payments:1", "returnvalue") is None
    assert client.lrange("bull:payments:wait", 0, -1) == ["1"]


def test_each_reset_is_made_only_when_asked_for(redis_url: str, client: redis.Redis) -> None:
    failed(redis_url, 4)
    asked = {
        "1": (),
        "2": ("--reset-attempts-made",),
        "3": ("--reset-attempts-started",),
        "4": ("--reset-attempts-made", "--reset-attempts-started"),
    }
    for job_id, resets in asked.items():
        invoke("--redis", redis_url, "retry", "payments", job_id, *resets, "--yes")
    counters = [client.hmget(f"bull:payments:{job_id}", "atm", "ats") for job_id in asked]
    assert counters == [["1", "1"], [None, "1"], ["1", None], [None, None]]


def test_a_dry_run_prints_all_and_sends_no_write(redis_url: str, client: redis.Redis) -> None:
    async def act(stage: Stage) -> None:
        await stage.add(2)
        await stage.fail(2)
        await stage.add(1, priority=3)
        await stage.fail(1)

    play(redis_url, act)
    before = digest(redis_url)
    client.config_resetstat()
    asked = ("retry", "payments", "1", "3", "9", "--dry-run")
    done = invoke("--redis", redis_url, *asked, "--json")
    assert done.code == 1
    assert done.objects == [
        {"id": "1", "code": 1, "target": "wait"},
        {"id": "3", "code": 1, "target": "prioritized"},
        {"id": "9", "code": -1, "error": "job is gone"},
        {"summary": summary(3, {"1": 2, "-1": 1}, dry_run=True, warnings=done.summary["warnings"])},
    ]
    assert done.summary["warnings"] == [
        "2 jobs have used up their attempts: they run once more, and a failure is final.",
        "No worker seen on this queue: the jobs wait until one connects.",
        "1 job is gone (-1) and cannot be retried.",
    ]
    shown = invoke("--redis", redis_url, *asked)
    assert "→ prioritized, priority 3" in shown.out
    assert shown.out.splitlines()[-1] == "2 of 3 jobs would be retried, 1 gone (-1)"
    assert invoke("--redis", redis_url, "retry", "payments", "1", "2", "--dry-run").code == 0
    assert digest(redis_url) == before
    sent = {name.removeprefix("cmdstat_") for name in client.info("commandstats")}
    writes = client.acl_cat("write")
    assert sent & {*writes, "eval", "evalsha", "fcall", "multi"} == set()


def test_what_a_dry_run_shows_comes_true(redis_url: str) -> None:
    async def act(stage: Stage) -> None:
        await stage.add(2)
        await stage.add(2, priority=2)
        await stage.fail(4)

    play(redis_url, act)
    play(redis_url, lambda stage: stage.queue.pause())
    asked = ("--redis", redis_url, "retry", "payments", "1", "2", "3", "4", "5", "--json")
    planned = invoke(*asked, "--dry-run").objects[:-1]
    assert planned == invoke(*asked, "--yes").objects[:-1]


def test_the_plan_goes_to_stderr_in_words(redis_url: str) -> None:
    failed(redis_url, 3)
    play(redis_url, lambda stage: stage.queue.pause())
    resets = ("--reset-attempts-made",)
    done = invoke("--redis", redis_url, "retry", "payments", "1", "2", "7", *resets, "--dry-run")
    lines = done.err.splitlines()
    assert lines[0] == "Retry 3 failed jobs in bull:payments"
    assert lines[2].split() == [
        "2",
        "charge",
        "Timeout",
        "of",
        "<n>ms",
        "exceeded",
        "→",
        *lines[2].split()[7:],
    ]
    assert lines[4:] == [
        "▲ The queue is paused: nothing runs until it is resumed.",
        "▲ No worker seen on this queue: the jobs wait until one connects.",
        "▲ 2 jobs without a priority go to prioritized while the queue is paused: BullMQ 5 and 6 "
        "both see them there, and a resume neither loses nor strands them.",
        "▲ 1 job is gone (-1) and cannot be retried.",
        "Options: reset attempts made.",
    ]


def test_a_reason_is_in_the_plan_and_in_the_journal(redis_url: str) -> None:
    failed(redis_url, 1)
    why = ("--reason", " the \x1b[31mprovider\n is back ")
    done = invoke("--redis", redis_url, "retry", "payments", "1", "--yes", *why)
    assert done.err.splitlines()[-1] == "Reason: the ␛[31mprovider is back"
    [journal] = [line.split()[1] for line in done.out.splitlines() if line.startswith("journal ")]
    header = invoke("journal", journal, "--json").objects[0]
    assert header["reason"] == "the \x1b[31mprovider is back"
    assert "reason     the ␛[31mprovider is back" in invoke("journal", journal).out
    for bad in ("", "  ", "x" * 501):
        refused = invoke("--redis", redis_url, "retry", "payments", "1", "--yes", "--reason", bad)
        assert (refused.code, refused.out) == (2, "")


def test_without_a_terminal_it_wants_a_yes(redis_url: str) -> None:
    failed(redis_url, 1)
    before = digest(redis_url)
    done = invoke("--redis", redis_url, "retry", "payments", "1")
    assert (done.code, done.out) == (2, "")
    assert done.err == "qtui: cannot prompt without a terminal: pass --yes or --dry-run\n"
    assert digest(redis_url) == before


def test_read_only_refuses_before_it_connects(redis_url: str) -> None:
    nowhere = ("--redis", "redis://127.0.0.1:1", "--read-only")
    done = invoke(*nowhere, "retry", "payments", "1", "--yes", "--json")
    assert (done.code, done.out) == (4, "")
    said = "read-only mode: cannot retry jobs; --dry-run shows what would happen"
    assert done.err == f"qtui: {said}\n"
    failed(redis_url, 1)
    dry = invoke("--redis", redis_url, "--read-only", "retry", "payments", "1", "--dry-run")
    assert dry.code == 0


@pytest.mark.parametrize("version", ["", "bullmq-pro:7.0.0"])
def test_a_foreign_queue_is_not_touched(redis_url: str, client: redis.Redis, version: str) -> None:
    client.set("bull:old:id", 1)
    client.hset("bull:old:1", mapping={"name": "charge", "failedReason": "no"})
    client.zadd("bull:old:failed", {"1": 1})
    if version:
        client.hset("bull:old:meta", "version", version)
    before = digest(redis_url)
    for how in ("--yes", "--dry-run"):
        done = invoke("--redis", redis_url, "retry", "old", "1", how)
        assert (done.code, done.out) == (1, "")
        assert done.err.startswith("qtui: bull:old is a Bull")
        assert done.err.count("\n") == 1
    assert digest(redis_url) == before


@pytest.mark.parametrize(
    "args", [(), ("1", "--state", "active"), ("1", "--all"), ("1", "--rate", "5")]
)
def test_usage_errors_end_with_2(redis_url: str, args: tuple[str, ...]) -> None:
    done = invoke("--redis", redis_url, "retry", "payments", *args, "--yes")
    assert (done.code, done.out) == (2, "")


def test_side_effects_that_redis_refused_are_reported(redis_url: str, client: redis.Redis) -> None:
    failed(redis_url, 1)
    client.delete("bull:payments:events")
    client.set("bull:payments:events", "not a stream")
    client.hset("bull:payments:meta", "version", "bullmq:5.81.5")
    done = invoke("--redis", redis_url, "retry", "payments", "1", "--yes", "--json")
    assert done.code == 0
    assert "qtui: the job was retried, but Redis refused a side effect: " in done.err
    assert "WRONGTYPE" in done.err
    done = invoke("--redis", redis_url, "pause", "payments", "--yes")
    assert done.code == 0
    assert "qtui: the queue was paused, but Redis refused a side effect: " in done.err
