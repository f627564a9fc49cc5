"""`qtui why` says in one sentence why nothing runs, for people and for scripts."""

from __future__ import annotations

import re
import time

from tests.cli.stage import connect, failed, invoke


def test_a_failed_job(redis_url: str) -> None:
    failed(redis_url, 1)
    done = invoke("--redis", redis_url, "--read-only", "why", "payments", "1")
    first, *evidence = done.out.splitlines()
    assert first.startswith("payments 1: failed ")
    assert "ago after attempt 1 of 1: " in first
    assert evidence == ["  bull:payments:failed: holds 1"]


def test_a_queue_without_a_worker(redis_url: str) -> None:
    failed(redis_url, 1)
    connect(redis_url).lpush("bull:payments:wait", "2")
    connect(redis_url).hset("bull:payments:2", mapping={"name": "a", "timestamp": "1"})
    done = invoke("--redis", redis_url, "why", "payments", "--json")
    assert done.code == 1
    [verdict] = done.objects
    assert {name: verdict[name] for name in ("queue", "verdict", "weight")} == {
        "queue": "bull:payments",
        "verdict": "no-worker",
        "weight": "wrong",
    }
    assert verdict["words"].startswith("no worker is connected: 1 job waits")
    assert verdict["evidence"] == ["waiting 1 · prioritized 0", "workers: 0"]
    assert set(verdict["rates"]) == {"completed", "failed"}
    assert verdict["rates"]["completed"] == dict.fromkeys(("10", "60", "300", "900"))


def test_how_fast_jobs_end(redis_url: str) -> None:
    failed(redis_url, 1)
    now = time.time() * 1000
    ended = {str(place): now - 1000 * place for place in range(600)}
    connect(redis_url).zadd("bull:payments:completed", ended)
    done = invoke("--redis", redis_url, "why", "payments")
    assert re.search(r"done (0.9|1|1.1) 1 1 (0.6|0.7|1) · ", done.out)
    assert " a second over 10 s, 1, 5 and 15 min" in done.out


def test_what_is_not_there_is_code_1(redis_url: str) -> None:
    failed(redis_url, 1)
    done = invoke("--redis", redis_url, "why", "payments", "\x1b[31m7")
    assert done.code == 1
    assert "\x1b" not in done.out
    assert "no such job" in done.out
    assert invoke("--redis", redis_url, "why", "nowhere").code == 2


def test_what_the_evidence_counts_is_not_counted_again(redis_url: str) -> None:
    failed(redis_url, 1)
    connect(redis_url).lpush("bull:payments:wait", "2")
    connect(redis_url).hset("bull:payments:2", mapping={"name": "a", "timestamp": "1"})
    lines = invoke("--redis", redis_url, "why", "payments").out.splitlines()
    assert lines[1:3] == ["  waiting 1 · prioritized 0", "  workers: 0"]
    assert sum("waiting 1" in line for line in lines) == 1
    connect(redis_url).zadd("bull:payments:delayed", {"3": 1 << 60})
    lines = invoke("--redis", redis_url, "why", "payments").out.splitlines()
    assert "  waiting 1 · delayed 1" in lines
