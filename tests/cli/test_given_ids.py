"""Ids from standard input and files, for every command that takes ids."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pexpect
import pytest
import redis

from tests.cli.stage import (
    Outcome,
    Stage,
    command,
    connect,
    failed,
    invoke,
    many_failed,
    play,
)
from tests.patience import PATIENCE


def piped(stdin: str | bytes, *args: str) -> Outcome:
    raw = stdin if isinstance(stdin, bytes) else stdin.encode()
    done = subprocess.run(
        command(*args), input=raw, capture_output=True, timeout=6 * PATIENCE, check=False
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def test_jobs_can_be_piped_into_a_retry(redis_url: str) -> None:
    failed(redis_url, 5)
    listed = invoke("--redis", redis_url, "jobs", "payments", "--limit", "3", "--json")
    done = piped(listed.raw_out, "--redis", redis_url, "retry", "payments", "-", "--yes", "--json")
    assert done.code == 0
    assert done.summary["retried"] == 3
    assert {one["id"] for one in done.objects[:-1]} == {one["id"] for one in listed.objects}


@pytest.mark.slow
def test_sixty_thousand_ids_fit(redis_url: str) -> None:
    failed(redis_url, 2)
    ids = "\n".join(["1", "2", *(f"no-such-{at}" for at in range(60_000))])
    done = piped(ids, "--redis", redis_url, "retry", "payments", "-", "--dry-run", "--json")
    assert done.code == 1
    assert done.summary["selected"] == 60_002
    assert done.summary["codes"] == {"1": 2, "-1": 60_000, "-3": 0}


def test_lines_files_and_words_are_joined_and_each_id_counts_once(
    redis_url: str, tmp_path: Path
) -> None:
    failed(redis_url, 6)
    file = tmp_path / "ids"
    file.write_text('﻿1\r\n\r\n  2  \n{"id": "3", "queue": "bull:payments"}\n"4"\n["5", "1"]\n')
    words = ("--redis", redis_url, "retry", "payments", f"@{file}", "-", "2", "--dry-run", "--json")
    done = piped("6\n", *words)
    assert sorted(one["id"] for one in done.objects[:-1]) == ["1", "2", "3", "4", "5", "6"]


@pytest.mark.parametrize(
    ("lines", "line"),
    [
        (
            '{"id": "1", "queue": "bull:emails"}',
            "standard input, line 1: this job is in queue bull:emails",
        ),
        ('\n{"signature": "Timeout"}', "standard input, line 2: this JSON has no job id"),
        ('{"id": "1"}\n{"id": ', "standard input, line 2: this is no complete JSON"),
        ('{\n  "id": "1"\n}', "standard input, line 1: this is no complete JSON"),
        ("[true]", "standard input, line 1: this list holds something other than ids"),
    ],
)
def test_json_that_is_about_something_else_is_refused(
    redis_url: str, lines: str, line: str
) -> None:
    failed(redis_url, 1)
    done = piped(lines, "--redis", redis_url, "retry", "payments", "-", "--yes")
    assert (done.code, done.out) == (2, "")
    assert line in done.err


def test_an_id_may_begin_as_json_does(redis_url: str) -> None:
    failed(redis_url, 1)
    words = ("--redis", redis_url, "retry", "payments", "-", "--dry-run", "--json")
    done = piped("{tenant}1\n[x]\n", *words)
    assert {one["id"]: one["code"] for one in done.objects[:-1]} == {"{tenant}1": -1, "[x]": -1}


def test_what_is_about_no_job_is_passed_over(redis_url: str) -> None:
    failed(redis_url, 2)
    first = invoke("--redis", redis_url, "retry", "payments", "1", "2", "--yes", "--json")
    journal = invoke("journal", first.summary["journal"], "--json")
    for listing in (first.raw_out, journal.raw_out):
        again = piped(
            listing, "--redis", redis_url, "retry", "payments", "-", "--dry-run", "--json"
        )
        assert [one["id"] for one in again.objects[:-1]] == ["1", "2"]


@pytest.mark.parametrize("stdin", ["", "\n \n", '{"summary": {}}\n'])
def test_no_ids_are_not_all_jobs(redis_url: str, stdin: str) -> None:
    failed(redis_url, 2)
    done = piped(stdin, "--redis", redis_url, "retry", "payments", "-", "--yes", "--json")
    assert done.code == 0
    assert done.summary["selected"] == 0
    with connect(redis_url) as client:
        assert client.zcard("bull:payments:failed") == 2


def test_a_file_that_is_not_there_is_said_so(redis_url: str) -> None:
    done = invoke("--redis", redis_url, "retry", "payments", "@nowhere", "--yes")
    assert done.code == 2
    assert "@nowhere: No such file or directory" in done.err
    assert "standard input" in done.err


def test_an_id_that_looks_like_a_file_goes_through_standard_input(redis_url: str) -> None:
    many_failed(redis_url, ["@home", "{curly}", "[x"])
    words = ("--redis", redis_url, "retry", "payments", "-", "--yes", "--json")
    assert piped("@home\n{curly}\n[x\n", *words).summary["retried"] == 3


def test_an_id_that_is_no_utf8_survives_the_pipe(redis_url: str) -> None:
    [known] = failed(redis_url, 1)
    with redis.Redis.from_url(redis_url) as client:
        client.rename(f"bull:payments:{known}", b"bull:payments:\xff\xfe")
        client.zrem("bull:payments:failed", known)
        client.zadd("bull:payments:failed", {b"\xff\xfe": 1_700_000_000_000})
    listed = invoke("--redis", redis_url, "jobs", "payments", "--json")
    words = ("--redis", redis_url, "retry", "payments", "-", "--yes", "--json")
    assert piped(listed.raw_out, *words).summary["retried"] == 1


def test_show_and_flow_take_ids_from_standard_input(redis_url: str) -> None:
    failed(redis_url, 3)
    shown = piped("1\n3\nnone\n", "--redis", redis_url, "show", "payments", "-", "--json")
    assert [one["id"] for one in shown.objects] == ["1", "3"]
    assert shown.code == 1
    assert 'no job "none"' in shown.err
    flow = piped('{"id": "2"}', "--redis", redis_url, "flow", "payments", "-", "--json")
    assert [one["id"] for one in flow.objects] == ["2"]
    both = piped("1\n2\n", "--redis", redis_url, "flow", "payments", "-")
    assert (both.code, "takes one id, not 2" in both.err) == (2, True)


def test_with_ids_on_standard_input_the_terminal_is_asked(redis_url: str, tmp_path: Path) -> None:
    failed(redis_url, 3)
    (tmp_path / "ids").write_text("1\n2\n")
    words = " ".join(map(str, command("--redis", redis_url, "retry", "payments", "-")))
    shell = ["-c", f"cat {tmp_path}/ids | {words}"]
    child = pexpect.spawn("sh", shell, timeout=PATIENCE, encoding="utf-8", dimensions=(30, 100))
    child.expect_exact("Retry 2 jobs? [y/N] ")
    child.sendline("y")
    child.expect_exact("2 of 2 jobs retried")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
    nowhere = piped("1\n", "--redis", redis_url, "retry", "payments", "-")
    assert nowhere.code == 2
    assert "pass --yes or --dry-run" in nowhere.err


def test_jobs_of_all_queues_and_states(redis_url: str) -> None:
    async def act(stage: Stage) -> None:
        await stage.add(4)
        await stage.fail(2)
        await stage.complete(1, "fine")

    for name in ("emails", "payments"):
        play(redis_url, act, name=name)

    def listed(*args: str) -> list[tuple[str, str, str]]:
        found = invoke("--redis", redis_url, "jobs", "*", *args, "--json")
        assert found.code == 0, found.err
        return [(one["queue"], one["state"], one["id"]) for one in found.objects]

    everything = listed("--state", "all")
    queues = ["bull:emails"] * 4 + ["bull:payments"] * 4
    assert [one[0] for one in everything] == queues
    assert [one[1] for one in everything[:4]] == ["failed", "failed", "completed", "waiting"]
    assert listed() == [one for one in everything if one[1] == "failed"]
    windows = [listed("--state", "all", "--limit", "3", "--offset", str(at)) for at in (0, 3, 6, 9)]
    assert [one for window in windows for one in window] == everything
    assert listed("--filter", "error:timeout") == listed()
    cut = listed("--filter", "error:timeout", "--offset", "1", "--limit", "2")
    assert cut == listed()[1:3]
    fields = invoke(
        *("--redis", redis_url, "jobs", "*", "--state", "all", "--fields", "id,data"),
        *("--json", "--offset", "3", "--limit", "2"),
    )
    assert [(one["queue"], one["id"]) for one in fields.objects] == [
        (one[0], one[2]) for one in everything[3:5]
    ]
    one_queue = invoke("--redis", redis_url, "jobs", "payments", "--json").objects
    assert {one["queue"] for one in one_queue} == {"bull:payments"}
    table = invoke("--redis", redis_url, "jobs", "*", "--state", "all").out.splitlines()
    assert table[0].split() == [
        *("queue", "state", "id", "name", "attempts", "when", "error", "or", "result")
    ]
    assert table[1].startswith("bull:emails")
    nothing = invoke("--redis", redis_url, "jobs", "*", "--filter", "error:nothing")
    assert nothing.err == "no failed jobs in any queue that match error:nothing\n"


def test_a_piece_of_json_keeps_its_types(redis_url: str) -> None:
    failed(redis_url, 1)
    [one] = invoke("--redis", redis_url, "jobs", "*", "--fields", "queue,name", "--json").objects
    assert json.dumps(one) == (
        '{"id": "1", "queue": "bull:payments", "state": "failed", "name": "charge",'
        ' "missing": false, "garbled": []}'
    )
