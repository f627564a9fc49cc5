"""Copying: what is sent to the clipboard, and that it is shown, for a terminal may drop it."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys

import pytest
import redis.asyncio

from qtui.bullmq.keys import QueueKey
from qtui.ui.clipboard.offer import how_to_let_pass
from qtui.views.shell import shell_line
from tests.seeds import Fields, raw_failed
from tests.ui.driver import inspector
from tests.ui.flows import failed_report
from tests.ui.stage import fill

PAYMENTS = QueueKey.of("bull", "payments")
QTUI = f'qtui() {{ {sys.executable} -m qtui.cli "$@"; }}; '


async def run(line: str) -> str:
    """What a line prints that was pasted into a shell."""

    def call() -> str:
        done = subprocess.run(["bash", "-c", QTUI + line], capture_output=True, check=True)
        return done.stdout.decode()

    return await asyncio.to_thread(call)


async def test_an_id_is_sent_and_shown(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMUX", "/tmp/tmux-0/default,1,0")
    [job] = await fill(redis_url, "payments", 1)
    async with inspector(redis_url) as driver:
        await driver.sees("failed 1")
        await driver.press("y")
        assert driver.app.clipboard == job
        await driver.sees(f"Sent to the clipboard: {job} ")
        await driver.sees("tmux needs: set -g set-clipboard on")


def test_what_has_to_be_set_is_known_by_the_surroundings() -> None:
    assert "set-clipboard" in how_to_let_pass({"TMUX": "x", "TERM": "screen-256color"})
    assert "GNU screen" in how_to_let_pass({"STY": "1.x"})
    assert how_to_let_pass({"TERM": "xterm-256color"}) == ""


def odd(place: int) -> Fields:
    """Fields of which some are JSON and some are not."""
    return {
        "data": '{"order": 7, "note": "Größe"}',
        "opts": '{"attempts": 3, "backoff": ',
        "returnvalue": "[1, 2]",
        "stacktrace": '["Error: boom\\n    at x"]',
        "failedReason": "boom",
    }


async def test_a_job_is_copied_as_the_command_shows_it(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    await raw_failed(client, ["odd"], PAYMENTS, change=odd)
    await client.hset("bull:payments:odd", "large", "x" * 300_000)
    await client.rpush("bull:payments:odd:logs", *(f"line {at}" for at in range(300)))
    async with inspector(redis_url) as driver:
        await driver.sees("failed 1")
        await driver.press("Y")
        await driver.sees("Sent to the clipboard")
        await driver.sees(f"qtui --redis {redis_url} show payments odd --json")
        copied = json.loads(driver.app.clipboard)
        assert '"id": "odd"' in driver.text()
        await driver.press("escape")
        assert driver.app.screen is driver.inspector
    line = f"qtui --redis {redis_url} show payments odd --json"
    assert copied == json.loads(await run(line))
    assert (copied["queue"], copied["state"]) == ("bull:payments", "failed")
    assert copied["data"] == {"order": 7, "note": "Größe"}
    assert copied["opts"] == '{"attempts": 3, "backoff": '
    assert copied["stacktrace"] == ["Error: boom\n    at x"]
    assert len(copied["fields"]["large"]) == 300_000
    assert len(copied["logs"]) == 300


@pytest.mark.parametrize("name", ["payments", "it's $HOME `x`", "-v", "pay\x1bments\xe9"])
async def test_the_command_of_a_list_prints_that_list(
    redis_url: str, client: redis.asyncio.Redis, name: str
) -> None:
    def kinds(place: int) -> Fields:
        return {"failedReason": "it's $HOME" if place % 2 else "boom"}

    await raw_failed(client, list("abcd"), QueueKey.of("bull", name), change=kinds)
    async with inspector(redis_url, size=(200, 60)) as driver:
        await driver.sees("failed 4")
        await driver.press("slash", *'error:"it\'s $HOME"', "enter")
        await driver.sees("2 of 4 match")
        await driver.press("o", "C")
        line = driver.app.clipboard
    found = await run(line.replace(" jobs ", " jobs --json ", 1))
    assert [json.loads(one)["id"] for one in found.splitlines()] == ["b", "d"]


@pytest.mark.slow
async def test_each_screen_has_its_command(redis_url: str, client: redis.asyncio.Redis) -> None:
    await failed_report(redis_url, client)
    async with inspector(redis_url, size=(200, 60)) as driver:
        await driver.sees("failed")
        queue, job_id = driver.inspector.board.queue, driver.inspector.table.cursor_id
        assert queue is not None
        start = f"qtui --redis {redis_url} "
        lines = {}
        for what, keys in {
            "jobs": ["C"],
            "show": ["enter", "C"],
            "queues": ["escape", "shift+tab", "shift+tab", "C"],
            "errors": ["tab", "tab", "e", "C"],
            "flow": ["escape", "f", "C"],
        }.items():
            for key in keys:
                await driver.press(key)
            lines[what] = driver.app.clipboard.removeprefix(start)
            await driver.sees("Sent to the clipboard: qtui")
    assert lines == {
        "jobs": f"jobs {queue.name} --state failed",
        "show": f"show {queue.name} {job_id}",
        "queues": "queues",
        "errors": f"errors {queue.name} --state failed",
        "flow": f"flow {queue.name} {job_id}",
    }
    for line in lines.values():
        assert await run(start + line)


def test_a_word_is_quoted_where_a_shell_would_read_it_otherwise() -> None:
    words = ["plain", "two words", "it's", "$HOME", "", "a\nb", "\udcff\\", "Größe"]
    line = shell_line(["printf", "%s\\0", *words])
    done = subprocess.run(["bash", "-c", line], capture_output=True, check=True)
    assert done.stdout.split(b"\0")[:-1] == [os.fsencode(word) for word in words]
