"""`qtui show` shows everything of one job, however much that is."""

from __future__ import annotations

import json

import pytest
import redis

from qtui.bullmq.reads.job import FIELD_UNASKED, LOG_WINDOW
from tests.cli.stage import Stage, connect, failed, invoke, play


@pytest.fixture
def client(redis_url: str) -> redis.Redis:
    return connect(redis_url)


def test_a_failed_job_is_reported_whole(redis_url: str) -> None:
    async def act(stage: Stage) -> None:
        await stage.add(1, attempts=1, priority=3)
        job = await stage.active()
        await job.log("connecting")
        await job.log("giving up")
        await job.updateProgress({"percent": 40})
        await job.moveToFailed(RuntimeError("Timeout"), "test:0")

    play(redis_url, act)
    [job] = invoke("--redis", redis_url, "show", "payments", "1", "--json").objects
    assert job["state"] == "failed"
    assert job["data"] == {"n": 0}
    assert isinstance(job["opts"], dict)
    assert job["opts"]["priority"] == 3
    assert job["progress"] == {"percent": 40}
    assert job["failed_reason"] == "Timeout"
    assert isinstance(job["stacktrace"], list)
    assert job["logs"] == ["connecting", "giving up"]
    assert (job["attempts_made"], job["attempts"]) == (1, 1)
    assert (job["lock"], job["parent"], job["garbled"]) == (None, None, [])
    assert job["children"] == {"pending": 0, "processed": 0, "ignored": 0, "unsuccessful": 0}


def test_sections_are_headed_and_indented_for_people(redis_url: str) -> None:
    failed(redis_url, 1)
    done = invoke("--redis", redis_url, "show", "payments", "1")
    lines = done.out.splitlines()
    assert lines[0] == "1 charge"
    heads = [line.split("   ")[0] for line in lines[1:] if line and not line.startswith(" ")]
    assert [head for head in heads if head != "stack"] == ["error", "data", "options", "job"]
    assert '    "n": 0' in lines
    assert "  state     failed" in lines


def test_nothing_is_left_out_because_it_is_long(redis_url: str, client: redis.Redis) -> None:
    failed(redis_url, 1)
    data = json.dumps({"text": "x" * (FIELD_UNASKED + 1)})
    client.hset("bull:payments:1", mapping={"data": data, "custom": "y" * (FIELD_UNASKED + 1)})
    client.rpush("bull:payments:1:logs", *(f"line {n}" for n in range(LOG_WINDOW + 2000)))
    [job] = invoke("--redis", redis_url, "show", "payments", "1", "--json").objects
    assert job["data"] == {"text": "x" * (FIELD_UNASKED + 1)}
    assert job["fields"] == {"custom": "y" * (FIELD_UNASKED + 1)}
    assert job["logs"] == [f"line {n}" for n in range(LOG_WINDOW + 2000)]
    shown = invoke("--redis", redis_url, "show", "payments", "1").out
    assert "x" * (FIELD_UNASKED + 1) in shown
    assert "y" * (FIELD_UNASKED + 1) in shown
    assert "     1  line 0\n" in shown
    assert f"  {LOG_WINDOW + 2000}  line {LOG_WINDOW + 1999}\n" in shown


@pytest.mark.parametrize(
    "text",
    ["{", "", "NaN", '{"a": Infinity}', "[1e999]", "[" * 5000 + "]" * 5000, "9" * 5000, "\ufeff{}"],
)
def test_what_is_no_json_stays_text_and_is_named(
    redis_url: str, client: redis.Redis, text: str
) -> None:
    failed(redis_url, 1)
    client.hset("bull:payments:1", mapping={"data": text, "returnvalue": '{"ok": 1}'})
    done = invoke("--redis", redis_url, "show", "payments", "1", "--json")
    [job] = done.objects
    assert (job["data"], job["returnvalue"]) == (text, {"ok": 1})
    assert job["garbled"] == ["data"]
    assert invoke("--redis", redis_url, "show", "payments", "1").code == 0


def test_numbers_that_are_none_are_null_and_named(redis_url: str, client: redis.Redis) -> None:
    failed(redis_url, 1)
    client.hset("bull:payments:1", mapping={"timestamp": "soon", "atm": "few", "opts": "[1]"})
    [job] = invoke("--redis", redis_url, "show", "payments", "1", "--json").objects
    assert job["timestamp"] is None
    assert set(job["garbled"]) == {"timestamp", "atm", "opts"}
    assert job["opts"] == [1]


def test_an_active_job_shows_who_holds_it(redis_url: str) -> None:
    async def act(stage: Stage) -> None:
        await stage.add(1)
        await stage.active()

    play(redis_url, act)
    [job] = invoke("--redis", redis_url, "show", "payments", "1", "--json").objects
    assert job["state"] == "active"
    assert job["lock"]["token"] == "test:0"
    assert 0 < job["lock"]["ttl"] <= 30_000


def test_a_full_key_names_its_queue_too(redis_url: str) -> None:
    failed(redis_url, 1)
    assert invoke("--redis", redis_url, "show", "bull:payments", "1").code == 0


def test_what_is_no_job_is_said_in_one_line(redis_url: str, client: redis.Redis) -> None:
    failed(redis_url, 1)
    client.set("bull:payments:text", "hello")
    for job_id, words in {
        "77": 'no job "77" in bull:payments',
        "text": "bull:payments:text holds a string, not a job",
    }.items():
        done = invoke("--redis", redis_url, "show", "payments", job_id, "--json")
        assert (done.code, done.out, done.err) == (1, "", f"qtui: {words}\n")
