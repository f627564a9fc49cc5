"""`qtui events` prints what happens to jobs, each event once and in order."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time

from tests.cli.stage import command, connect, failed, invoke
from tests.patience import PATIENCE


def test_the_latest_events_of_a_queue(redis_url: str) -> None:
    failed(redis_url, 2)
    done = invoke("--redis", redis_url, "--read-only", "events", "payments", "--json")
    assert done.code == 0
    of_one = [one["event"] for one in done.objects if one["id"] == "1"]
    assert of_one[:4] == ["added", "waiting", "active", "failed"]
    assert [one["at"] for one in done.objects] == sorted(one["at"] for one in done.objects)
    [last] = invoke("--redis", redis_url, "events", "*", "--limit", "1", "--json").objects
    assert last == done.objects[-1]


def test_large_events_are_all_printed(redis_url: str) -> None:
    failed(redis_url, 1)
    with connect(redis_url) as client, client.pipeline(transaction=False) as pipe:
        for number in range(150):
            fields = {"event": "completed", "jobId": f"n{number}", "returnvalue": "x" * 100_000}
            pipe.xadd("bull:payments:events", fields)
        pipe.execute()
    done = invoke("--redis", redis_url, "events", "payments", "--limit", "150", "--json")
    assert [one["id"] for one in done.objects] == [f"n{number}" for number in range(150)]


def test_a_filter_takes_an_event_for_a_job(redis_url: str) -> None:
    failed(redis_url, 2)
    done = invoke("--redis", redis_url, "events", "payments", "--filter", "name=failed id=2")
    [line] = done.out.splitlines()
    assert line.split()[1:3] == ["failed", "2"]


def test_hostile_events_do_not_reach_the_terminal(redis_url: str) -> None:
    failed(redis_url, 1)
    connect(redis_url).xadd(
        "bull:payments:events", {"event": "\x1b]0;x\x07", "jobId": "\x1b[31m", "data": "\x9b2J"}
    )
    out = invoke("--redis", redis_url, "events", "payments").out
    assert not {"\x1b", "\x07", "\x9b"} & set(out)


def test_new_events_are_followed_until_it_is_interrupted(redis_url: str) -> None:
    failed(redis_url, 1)
    words = command("--redis", redis_url, "events", "*", "--limit", "0", "--follow", "--json")
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        assert process.stdout is not None
        client = connect(redis_url)
        until = time.monotonic() + PATIENCE
        while not any("xread" in one["cmd"] for one in client.client_list()):
            assert time.monotonic() < until, "it does not listen"
            time.sleep(0.01)  # between two looks; the condition decides
        for number in range(10):
            client.xadd("bull:payments:events", {"event": "waiting", "jobId": str(number)})
        lines = [process.stdout.readline() for _ in range(10)]
        assert [json.loads(line)["id"] for line in lines] == [str(number) for number in range(10)]
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE)
    assert process.returncode == 130


def test_what_was_trimmed_before_it_was_read_is_said(redis_url: str) -> None:
    failed(redis_url, 1)
    words = command("--redis", redis_url, "events", "payments", "--limit", "0", "--follow")
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stderr is not None
        client = connect(redis_url)
        until = time.monotonic() + PATIENCE
        while not any("xread" in one["cmd"] for one in client.client_list()):
            assert time.monotonic() < until, "it does not listen"
            time.sleep(0.01)  # between two looks; the condition decides
        os.kill(process.pid, signal.SIGSTOP)
        with client.pipeline(transaction=True) as pipe:
            for number in range(5):
                pipe.xadd("bull:payments:events", {"event": "waiting", "jobId": f"n{number}"})
            pipe.xtrim("bull:payments:events", maxlen=2, approximate=False)
            pipe.execute()
        os.kill(process.pid, signal.SIGCONT)
        said = process.stderr.readline().decode()
        assert said.startswith("qtui: payments: earlier events are missing: the stream was trimmed")
        assert [process.stdout.readline().split()[2] for _ in range(2)] == [b"n3", b"n4"]
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE)
    assert process.returncode == 130


def test_a_pattern_that_runs_away_is_usage(redis_url: str) -> None:
    failed(redis_url, 1)
    connect(redis_url).xadd(
        "bull:payments:events", {"event": "failed", "failedReason": "a" * 50 + "!"}
    )
    done = invoke("--redis", redis_url, "events", "payments", "--filter", "error:re:(a|a)*$")
    assert done.code == 2
    assert done.err.startswith("qtui: --filter: ")


def test_queues_whose_events_are_refused_are_named(redis_url: str) -> None:
    failed(redis_url, 1)
    failed(redis_url, 1, name="emails")
    with connect(redis_url) as client:
        client.execute_command(
            *("ACL", "SETUSER", "part", "on", ">pw", "resetkeys", "%R~bull:emails:[^e]*"),
            *("%R~bull:payments:*", "-@all", "+@read"),
        )
        url = redis_url.replace("unix://", "unix://part:pw@")
        done = invoke("--redis", url, "--read-only", "events", "*", "--json")
        client.acl_deluser("part")
    assert {one["queue"] for one in done.objects} == {"bull:payments"}
    assert done.err == "qtui: Redis refused the events of bull:emails\n"
    assert done.code == 3
