"""Nothing that a job holds reaches the terminal as more than text."""

from __future__ import annotations

import json
import unicodedata

import pytest

from tests.cli.stage import Outcome, connect, invoke, run

EVIL = (
    b"\x1b]52;c;ZXZpbA==\x07 \x1b]0;title\x07 \x1b[2J\x1b[31m \xc2\x9b31m \x9b \xff\xfe \x00 \x7f"
    b" \r\n\t \xe2\x80\xae \xe2\x81\xa6 \xe2\x80\xa8 \xed\xa0\x80 \xf0\x9f\x92\xa5"
    b" [/foo] [@click=app.quit]"
)
"""OSC 52 and 0, CSI, C1, invalid UTF-8, NUL, DEL, bidi, a surrogate, a sign of 4 bytes, markup."""

ID = EVIL.replace(b"\x00", b"")  # what a process can get as an argument
QUEUE = b"pay\x1b]52;c;ZXZpbA==\x07\xff"
BASE = b"bull:" + QUEUE


def text(octets: bytes) -> str:
    return octets.decode("utf-8", "surrogateescape")


@pytest.fixture(autouse=True)
def _hostile_queue(redis_url: str) -> None:
    huge = b'{"huge": "' + b"\x1b[31m\xff" * 150_000 + b'"}'
    fields = {
        "name": EVIL,
        "data": huge,
        "opts": b'{"attempts": "' + EVIL + b'", "lifo": {}}',
        "failedReason": EVIL,
        "stacktrace": json.dumps([text(EVIL), "at \x1b]0;x\x07"]).encode(),
        "returnvalue": EVIL,
        "progress": b'"\x7f"',
        "timestamp": EVIL,
        "finishedOn": b"1700000000000",
        "atm": b"\x1b[1",
        "parentKey": b"bull:\x1b[31m:" + EVIL,
        "parent": b'{"id": "\\u001b[31m", "queueKey": "bull:\\u009b"}',
        "pb": EVIL,
        EVIL: EVIL,
    }
    # A client that decodes nothing.
    with connect(redis_url) as client:
        client.hset(BASE + b":meta", "version", b"bullmq:5.81.5\x1b[31m")
        for job_id in (ID, b"plain"):
            client.hset(BASE + b":" + job_id, mapping=fields)
            client.rpush(BASE + b":" + job_id + b":logs", EVIL, b"\x1b[31m")
            for state in (b":failed", b":completed"):
                client.zadd(BASE + state, {job_id: 1_700_000_000_000})


def check(done: Outcome) -> None:
    """Not a control character but the ends of lines; no bidi, no half characters."""
    assert "Traceback" not in done.err
    for printed in (done.raw_out.decode("utf-8"), done.raw_err.decode("utf-8")):
        bad = {
            char
            for char in set(printed) - {"\n"}
            if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp")
        }
        assert bad == set()


COMMANDS = [
    ("queues",),
    ("jobs", text(QUEUE)),
    ("jobs", text(QUEUE), "--state", "completed"),
    ("show", text(QUEUE), text(ID)),
    ("show", text(QUEUE), text(EVIL)),
    ("show", text(EVIL), "1"),
    ("retry", text(QUEUE), text(ID), "plain", text(EVIL), "--dry-run"),
    ("retry", text(QUEUE), text(ID), "plain", text(EVIL), "--yes"),
]


@pytest.mark.parametrize("args", COMMANDS)
def test_people_see_text_only(redis_url: str, args: tuple[str, ...]) -> None:
    done = invoke("--redis", redis_url, *args)
    check(done)
    assert done.raw_out or done.raw_err


@pytest.mark.parametrize("args", COMMANDS)
def test_json_is_ascii_without_control_characters(redis_url: str, args: tuple[str, ...]) -> None:
    done = invoke("--redis", redis_url, *args, "--json")
    check(done)
    assert set(done.raw_out) <= {*range(0x20, 0x7F), 0x0A}
    assert all(isinstance(one, dict) for one in done.objects)


def test_json_keeps_what_there_is(redis_url: str) -> None:
    jobs = {
        job["id"]: job
        for job in invoke("--redis", redis_url, "jobs", text(QUEUE), "--json").objects
    }
    assert set(jobs) == {text(ID), "plain"}
    assert jobs["plain"]["name"] == text(EVIL)
    assert jobs["plain"]["failed_reason"] == text(EVIL)
    [job] = invoke("--redis", redis_url, "show", text(QUEUE), "plain", "--json").objects
    assert job["returnvalue"] == text(EVIL)
    assert job["stacktrace"] == [text(EVIL), "at \x1b]0;x\x07"]
    assert job["progress"] == "\x7f"
    assert job["logs"] == [text(EVIL), "\x1b[31m"]
    assert job["fields"][text(EVIL)] == text(EVIL)
    assert job["parent"] == {"queue": "bull:\x9b", "id": "\x1b[31m"}
    # Bare control characters are no JSON.
    assert job["data"] == text(b'{"huge": "' + b"\x1b[31m\xff" * 150_000 + b'"}')
    assert {"data", "returnvalue", "opts", "timestamp", "atm"} <= set(job["garbled"])


def test_an_id_that_is_no_utf8_can_be_given_as_it_is(redis_url: str) -> None:
    done = run("--redis", redis_url, "retry", QUEUE, ID, "--yes", "--json")
    check(done)
    assert done.objects[0] == {"id": text(ID), "code": 1, "target": "wait"}
    assert done.code == 0


@pytest.mark.parametrize("locale", ["C", "POSIX"])
def test_a_terminal_without_our_signs_gets_the_rest(redis_url: str, locale: str) -> None:
    environ = {"LC_ALL": locale, "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"}
    done = run("--redis", redis_url, "jobs", QUEUE, environ=environ)
    check(done)
    assert (done.code, done.err) == (0, "")


def test_one_long_id_pads_no_other_row(redis_url: str) -> None:
    long = "z" * 5_000
    with connect(redis_url) as client:
        for job_id in (long, "short"):
            fields: dict[str, str | int] = {
                "name": "n",
                "timestamp": 1,
                "finishedOn": 2,
                "opts": "{}",
            }
            client.hset(f"bull:long:{job_id}", mapping=fields)
            client.zadd("bull:long:failed", {job_id: 2})
        client.hset("bull:long:meta", "opts.maxLenEvents", 10_000)
    for command in (["jobs", "long"], ["retry", "long", "--all", "--dry-run"]):
        done = invoke("--redis", redis_url, *command)
        lines = done.out.splitlines()
        assert any(long in line for line in lines)
        assert all(len(line) < 300 for line in lines if long not in line), command
