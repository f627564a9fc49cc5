"""`qtui edit`, `qtui add` and `qtui duplicate`: what they say, what they do, how they end."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
from pathlib import Path

import pytest

from qtui.bullmq.script import script_text
from qtui.demo.server import EmbeddedServer
from tests.cli.stage import command, connect, digest, failed, invoke, run
from tests.patience import PATIENCE
from tests.wires import Accident, open_proxy

KEY = "bull:payments"


def test_an_edit_says_what_changes_and_its_dry_run_changes_nothing(redis_url: str) -> None:
    [job_id] = failed(redis_url, 1)
    before = digest(redis_url)
    words = ("edit", "payments", job_id, "--data", '{"n": 5}', "--priority", "3", "--retry")
    dry = invoke("--redis", redis_url, *words, "--dry-run")
    assert dry.code == 0
    assert "Edit and retry job 1 (charge) in bull:payments, failed" in dry.err
    for line in ('-  "n": 0', '+  "n": 5', "priority: 0 → 3", "→ prioritized, priority 3"):
        assert line in dry.err
    assert "1 of 1 job would be edited" in dry.out
    assert digest(redis_url) == before
    done = invoke("--redis", redis_url, *words, "--yes", "--json", "--reason", "a typo")
    assert done.objects[0] == {"id": job_id, "code": 1, "target": "prioritized"}
    assert done.summary["action"] == "edit"
    assert (done.summary["selected"], done.summary["done"]) == (1, 1)
    assert done.summary["codes"] == {"1": 1}
    journal = invoke("journal", done.summary["journal"], "--json").objects
    assert any(one.get("reason") == "a typo" for one in journal)
    with connect(redis_url) as client:
        assert client.hmget(f"{KEY}:{job_id}", "data", "priority") == ['{"n":5}', "3"]
    undone = invoke("--redis", redis_url, "undo", "--yes")
    assert undone.code == 0
    with connect(redis_url) as client:
        assert client.zrange(f"{KEY}:failed", 0, -1) == [job_id]
        assert client.hmget(f"{KEY}:{job_id}", "data", "priority") == ['{"n":0}', "0"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--data", "{"), 2, "the data is not JSON: line 1, column 2"),
        (("--priority", "2097152"), 2, "a priority is a whole number from 0 (none) to 2,097,151"),
        (("--delay", "5"), 2, "use a number and a unit, such as 300ms, 90s, 5m or 1h30m"),
        (("--delay", "5m"), 1, "only a delayed job has a delay that can be changed"),
        (("--data", "@/no/such/file"), 2, "No such file or directory"),
        (("--reset-attempts-made",), 2, "need --retry"),
        ((), 2, "cannot open an editor without a terminal: give --data, --priority or --delay"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(
    redis_url: str, words: tuple[str, ...], code: int, said: str
) -> None:
    failed(redis_url, 1)
    before = digest(redis_url)
    done = invoke("--redis", redis_url, "edit", "payments", "1", *words, "--yes")
    assert (done.code, digest(redis_url)) == (code, before)
    assert said in f"{done.out}{done.err}"
    assert "Traceback" not in done.err


def test_why_an_edit_is_refused_is_said_once(redis_url: str) -> None:
    [job_id] = failed(redis_url, 1)
    done = invoke("--redis", redis_url, "edit", "payments", job_id, "--delay", "5m", "--yes")
    assert done.code == 1
    said = f"{done.out}{done.err}"
    assert said.count("only a delayed job has a delay that can be changed") == 1
    assert "0 of 1 job edited" in done.out


@pytest.mark.parametrize("words", [("edit", "--priority", "1"), ("duplicate",)])
def test_a_job_that_is_not_there_has_its_line_in_json(
    redis_url: str, words: tuple[str, ...]
) -> None:
    failed(redis_url, 1)
    asked = ("--redis", redis_url, words[0], "payments", "nope", *words[1:], "--yes")
    gone = invoke(*asked)
    assert (gone.code, gone.out) == (1, "")
    assert gone.err == "qtui: no job nope in bull:payments\n"
    gone = invoke(*asked, "--json")
    assert (gone.code, gone.err) == (1, "qtui: no job nope in bull:payments\n")
    assert gone.objects[0] == {"id": "nope", "code": -1, "error": "job is gone"}
    assert (gone.summary["action"], gone.summary["codes"]) == (words[0], {"-1": 1})


def test_what_is_so_already_is_no_failure(redis_url: str) -> None:
    failed(redis_url, 1)
    words = ("edit", "payments", "1", "--data", '{"n":  0}', "--priority", "0")
    done = invoke("--redis", redis_url, *words, "--yes", "--json")
    assert (done.code, done.summary["done"], done.summary["journal"]) == (0, 0, None)
    assert "nothing would change" in done.err
    gone = invoke("--redis", redis_url, "edit", "payments", "77", "--priority", "1", "--yes")
    assert (gone.code, gone.err) == (1, "qtui: no job 77 in bull:payments\n")


def test_a_job_is_added_and_copied_and_both_are_undone(redis_url: str, tmp_path: Path) -> None:
    failed(redis_url, 1)
    data = tmp_path / "data.json"
    data.write_text('{"amount": 4200,\n "currency": "EUR"}\n')
    opts = '{"attempts": 3, "backoff": {"type": "exponential", "delay": 100}, "priority": 4}'
    added = invoke(
        *("--redis", redis_url, "add", "payments", "charge", "--data", f"@{data}"),
        *("--opts", opts, "--yes", "--json"),
    )
    assert added.objects[0] == {"id": "2", "code": 1, "target": "prioritized"}
    copied = invoke("--redis", redis_url, "duplicate", "payments", "2", "--yes", "--json")
    assert copied.objects[0] == {"id": "3", "code": 1, "target": "prioritized"}
    with connect(redis_url) as client:
        old, new = client.hgetall(f"{KEY}:2"), client.hgetall(f"{KEY}:3")
        assert old["data"] == new["data"] == '{"amount":4200,"currency":"EUR"}'
        assert json.loads(old["opts"]) == json.loads(new["opts"])
    for _ in range(2):
        assert invoke("--redis", redis_url, "undo", "--yes").code == 0
    with connect(redis_url) as client:
        assert client.exists(f"{KEY}:2", f"{KEY}:3", f"{KEY}:prioritized") == 0


def test_a_queue_is_made_only_when_that_is_said(redis_url: str) -> None:
    before = digest(redis_url)
    refused = invoke("--redis", redis_url, "add", "mails", "hello", "--yes")
    assert refused.code == 2
    assert "--new-queue creates it" in refused.err
    unknown = '{"prority": 1}'
    wrong = invoke("--redis", redis_url, "add", "mails", "x", "--opts", unknown, "--new-queue")
    assert wrong.code == 2
    assert digest(redis_url) == before
    for name in ("", "*", "a:b", "bull:"):  # what no command, or no BullMQ, would find again
        odd = invoke("--redis", redis_url, "add", name, "hello", "--new-queue", "--yes")
        assert (odd.code, odd.out) == (2, ""), name
        assert "all queues" in odd.err if name == "*" else "BullMQ takes no queue" in odd.err
    assert digest(redis_url) == before
    no_copy = invoke("--redis", redis_url, "duplicate", "mails", "1", "--yes")
    assert (no_copy.code, "--new-queue" in no_copy.err) == (2, False)
    made = invoke("--redis", redis_url, "add", "mails", "hello", "--new-queue", "--yes", "--json")
    assert made.objects[0] == {"id": "1", "code": 1, "target": "wait"}
    listed = invoke("--redis", redis_url, "queues", "--json").objects
    assert [one["name"] for one in listed if "name" in one] == ["mails"]
    other = ("--redis", redis_url, "--prefix", "bull", "--prefix", "cron")
    assert invoke(*other, "add", "cron:mails", "x", "--new-queue", "--yes").code == 0
    unclear = invoke(*other, "add", "mails", "x", "--new-queue", "--yes")
    assert (unclear.code, "exists under several prefixes" in unclear.err) == (2, True)


@pytest.mark.parametrize(
    "words",
    [
        ("edit", "payments", "1", "--priority", "2"),
        ("add", "payments", "x"),
        ("duplicate", "payments", "1"),
    ],
)
def test_read_only_refuses_and_without_a_terminal_yes_is_needed(
    redis_url: str, words: tuple[str, ...]
) -> None:
    failed(redis_url, 1)
    before = digest(redis_url)
    refused = invoke("--redis", redis_url, "--read-only", *words, "--yes")
    assert refused.code == 4
    dry = invoke("--redis", redis_url, "--read-only", *words, "--dry-run", "--json")
    assert dry.code == 0
    assert dry.summary["dry_run"] is True
    asked = invoke("--redis", redis_url, *words)
    assert (asked.code, "pass --yes or --dry-run" in asked.err) == (2, True)
    assert digest(redis_url) == before


@pytest.mark.parametrize(
    "words",
    [
        ("edit", "payments", "1", "--data", "[7]", "--retry"),
        ("add", "payments", "new", "--data", "[7]"),
    ],
)
@pytest.mark.parametrize("accident", [Accident.REPLY_LOST, Accident.CALL_LOST])
def test_a_kill_leaves_all_of_it_or_nothing_and_what_was_done_can_be_undone(
    server: EmbeddedServer, redis_url: str, words: tuple[str, ...], accident: Accident
) -> None:
    failed(redis_url, 1)
    with connect(redis_url) as client:
        before = {key: client.dump(key) for key in client.scan_iter()}

    async def act() -> None:
        async with open_proxy(server) as proxy, proxy.client() as through:
            for script in ("edit", "add"):
                await through.script_load(script_text(script))
            process = await asyncio.create_subprocess_exec(
                *command("--redis", proxy.url, *words, "--yes"), stderr=subprocess.DEVNULL
            )

            async def kill() -> None:
                process.kill()

            # A number is reserved first, which is a call of its own.
            proxy.passing = 1 if words[0] == "add" else 0
            proxy.accidents[:], proxy.after = [accident], kill
            async with asyncio.timeout(PATIENCE):
                assert await process.wait() == -signal.SIGKILL

    asyncio.run(act())
    done = accident is Accident.REPLY_LOST
    with connect(redis_url) as client:
        job_id = "1" if words[0] == "edit" else "2"
        assert client.exists(f"{KEY}:{job_id}") == (done or words[0] == "edit")
        if done:
            assert client.hget(f"{KEY}:{job_id}", "data") == "[7]"
            assert client.lrange(f"{KEY}:wait", 0, -1) == [job_id]
        else:
            assert client.lrange(f"{KEY}:wait", 0, -1) == []
    name = invoke("journal", "--json").objects[0]["id"]
    undone = run("--redis", redis_url, "undo", name, "--yes", "--json")
    assert undone.summary["done"] == int(done), undone
    with connect(redis_url) as client:
        after = {key: client.dump(key) for key in client.scan_iter()}
    aside = {f"{KEY}:{one}" for one in ("events", "marker", "id", "1")}
    assert set(after) - aside == set(before) - aside
    assert client.hget(f"{KEY}:1", "data") == '{"n":0}'
