"""The program on a real pseudo-terminal: hostile jobs, signals, and what is left behind."""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pexpect
import pytest
import redis.asyncio

from tests.patience import PATIENCE
from tests.ui.stage import fill

PROGRAM = ["-c", "from qtui.cli import main; main()"]

HOSTILE = (
    "\x1b]52;c;cHduZWQ=\x07"  # would set the clipboard
    "\x1b]0;pwned\x1b\\"  # would set the window's title
    "\x1b[2J\x1b[66;66H\x1b[5m"  # would clear, move and blink
    "\x9b31m\x9d0;pwned\x9c"  # the same as C1
    "\u202epwned\u2066\u200f"  # would turn the line round
    "[/foo][@click=app.quit]quit[/][bold]$(id)"  # would be markup
    "\x00\x07\x08\x7f\r\n\t"  # would ring, step back, and break lines
    "\ud800"  # has no encoding at all
)

_POINTER_SHAPE = re.compile(r"\x1b\]22;[a-z-]+\x07")
_TITLE = re.compile("\x1b\\]2;qtui[^\x00-\x1f\x7f-\x9f]*\x07")
_NOTE = re.compile("\x1b\\]9;qtui: [^\x00-\x1f\x7f-\x9f]*\x07")
_CONTROLS = re.compile(
    "[\x00-\x06\x07\x08\x0b\x0c\x0e-\x1f\x7f\x80-\x9f\u200f\u202a-\u202e\u2066-\u2069]"
)
_TEXTUAL_CSI = re.compile(r"\x1b\[[<>=?]?[0-9;:]*(?:\$p|[A-Za-z])")


@contextmanager
def program(*arguments: str, size: tuple[int, int] = (36, 120)) -> Iterator[pexpect.spawn]:
    """The program on a terminal of its own; killed at the end, if it still runs."""
    environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
    child = pexpect.spawn(
        sys.executable,
        [*PROGRAM, *arguments],
        dimensions=size,
        env=environment,
        encoding="utf-8",
        codec_errors="surrogateescape",
        timeout=PATIENCE,
    )
    try:
        yield child
    finally:
        child.close(force=True)


def drain(child: pexpect.spawn, until: str) -> str:
    """All that came out until the words were seen on the way."""
    child.expect_exact(until)
    return f"{child.before}{child.after}"


async def hostile_queue(client: redis.asyncio.Redis, url: str) -> None:
    """A queue whose newest failed job is hostile in every field that is shown."""
    ids = await fill(url, "payments", 2, error=lambda place: f"{HOSTILE[:-1]} boom")
    evil = HOSTILE.encode("utf-8", "surrogatepass") + b"\xff\xfe\x9b"
    for job_id in ids:
        fields: dict[Any, Any] = {
            "name": evil,
            "failedReason": evil,
            "stacktrace": b'["' + evil.replace(b'"', b"") + b'"]',
            "data": evil + b"x" * 1_000_000,
            "opts": b'{"attempts": "' + evil,
            "returnvalue": evil,
            "progress": evil,
            "atm": evil,
            "timestamp": evil,
            "parentKey": evil,
            "x\x1b]0;pwned\x07": evil,
        }
        await client.hset(f"bull:payments:{job_id}", mapping=fields)
        await client.rpush(f"bull:payments:{job_id}:logs", evil)
    await client.hset("bull:payments:meta", "version", evil)
    now = time.time() * 1000
    await client.zadd("bull:payments:failed", {evil: now})
    await client.hset(b"bull:payments:" + evil, mapping={"name": evil, "failedReason": evil})
    name = HOSTILE[:-1].replace(":", "") + "q"
    await client.hset(f"bull:{name}:meta", "opts.maxLenEvents", "10000")


async def test_nothing_in_a_job_gets_an_escape_or_markup_out(
    client: redis.asyncio.Redis, redis_url: str
) -> None:
    await hostile_queue(client, redis_url)
    with program("--redis", redis_url) as child:
        out = drain(child, "[/foo]")
        for keys in ("j", "\r", "G", "q", "j", "r"):
            child.send(keys)
        out += drain(child, "cancel")
        for keys in ("q", "1", "2", "3", "\t", "j", "j", "?"):
            child.send(keys)
        out += drain(child, "closes")
        child.send("qq")
        child.expect(pexpect.EOF)
        out += str(child.before)
    printed = _TEXTUAL_CSI.sub("", _TITLE.sub("", _POINTER_SHAPE.sub("", out)))
    assert "pwned" in printed, "the hostile text was never shown, so this proves nothing"
    for escape in ("\x1b]52", "\x1b]0", "\x1b[66;66H", "\x1b[5m"):
        assert escape not in out
    found = _CONTROLS.search(printed)
    assert not found, printed[max(0, found.start() - 40) : found.end() + 40]
    assert "[/foo]" in printed
    assert "[@click=app.quit]" in printed


@pytest.mark.slow
@pytest.mark.parametrize("calls", [True, False])
async def test_a_burst_names_the_window_and_calls_where_a_setting_asks_for_it(
    client: redis.asyncio.Redis, redis_url: str, tmp_path: Path, *, calls: bool
) -> None:
    config = tmp_path / "config.toml"
    config.write_text("bell = true\nnotify = true\n" if calls else "")
    await fill(redis_url, "payments", 1)
    with program("--redis", redis_url, "--config", str(config)) as child:
        out = drain(child, "\x1b]2;qtui · 1 failed\x07")
        assert out.endswith("\x1b[22;2t\x1b]2;qtui · 1 failed\x07"), "the old title is not kept"
        await fill(redis_url, "payments", 30, error=lambda place: f"{HOSTILE[:-1]} boom")
        out += drain(child, "\x1b]2;qtui · 31 failed · burst\x07")
        child.send("q")
        child.expect(pexpect.EOF)
        out += str(child.before)
    notes = _NOTE.findall(out)
    assert len(notes) == calls
    assert all("failed in 20 s" in note and "pwned" in note for note in notes)
    rest = _TITLE.sub("", _NOTE.sub("", _POINTER_SHAPE.sub("", out)))
    assert rest.count("\x07") == calls, "it rings once, or not at all"
    found = _CONTROLS.search(_TEXTUAL_CSI.sub("", rest.replace("\x07", "")))
    assert not found
    assert out.rfind("\x1b[23;2t") > out.rfind("\x1b]2;"), "the title is not given back"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
async def test_a_signal_leaves_the_terminal_usable(redis_url: str, number: signal.Signals) -> None:
    await fill(redis_url, "payments", 1)
    with program("--redis", redis_url) as child:
        out = drain(child, "ECONNREFUSED")
        if number is signal.SIGINT:
            child.send("\x03")
        else:
            child.kill(number)
        child.expect(pexpect.EOF)
        out += str(child.before)
        assert out.rfind("\x1b[?1049l") > out.rfind("\x1b[?1049h"), "the screen is not given back"
        assert out.rfind("\x1b[?25h") > out.rfind("\x1b[?25l"), "the cursor stays hidden"
        assert out.rfind("\x1b[?1003l") > out.rfind("\x1b[?1003h"), "the mouse stays taken"
        assert "Traceback" not in out
