"""However qtui ends: it is gone, and the terminal, the journal and its lock are left in order."""

from __future__ import annotations

import io
import os
import signal
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pexpect
import pytest

from qtui.demo.server import EmbeddedServer
from qtui.operations.journal.reading import campaigns
from tests import servers
from tests.cli.stage import connect, failed, many_failed, run
from tests.patience import PATIENCE
from tests.ui.test_terminal import PROGRAM

MANY = 20_000
"""Jobs that keep a campaign at work for longer than it takes to end it."""


_KEEPER = """
sh -c 'echo "pid=$$"; exec "$@"' sh "$@"
echo "code=$?"
read -r _
"""
"""Keeps the terminal when the program is gone, so that its mode can be read."""


class Terminal:
    """The inspector on a terminal, begun by a shell; or as the terminal's first process."""

    def __init__(self, *arguments: str, first: bool = False, before: str = "") -> None:
        words = [sys.executable, "-c", f"{before}\n{PROGRAM[1]}", *arguments]
        keeper = [] if first else ["sh", "-c", _KEEPER, "sh"]
        self.printed = io.StringIO()
        self.child = pexpect.spawn(
            (keeper + words)[0],
            (keeper + words)[1:],
            dimensions=(36, 120),
            env={**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor"},
            encoding="utf-8",
            codec_errors="surrogateescape",
            timeout=PATIENCE,
            echo=False,
        )
        self.child.logfile_read = self.printed
        self._before = self.mode()
        self._first, self._pid = first, self.child.pid
        if not first:
            self.child.expect(r"pid=(\d+)\r\n")
            self._pid = int(self.child.match[1])

    def mode(self) -> object:
        """The terminal's mode, but for its speeds."""
        return termios.tcgetattr(self.child.child_fd)[:4]

    def sees(self, words: str) -> None:
        """Waits until the words were printed."""
        self.child.expect_exact(words)

    def kill(self, *numbers: signal.Signals) -> None:
        """Sends signals at once."""
        for number in numbers:
            os.kill(self._pid, number)

    def hang_up(self) -> None:
        """Closes the terminal, as a window that is closed does."""
        self.child.ptyproc.fileobj.close()

    def ends(self) -> int:
        """Waits until it is gone; its exit code."""
        if not self._first:
            self.child.expect(r"code=(\d+)\r\n")
            return int(self.child.match[1])
        deadline = time.monotonic() + PATIENCE
        while self.child.isalive():
            assert time.monotonic() < deadline, "it stays"
            time.sleep(0.02)
        assert self.child.exitstatus is not None, f"signal {self.child.signalstatus} ended it"
        return int(self.child.exitstatus)

    def is_in_order(self, *, fault: bool = False) -> None:
        """The terminal is as it was before the program began; a ``fault`` of ours was shown."""
        out = self.printed.getvalue()
        assert ("Traceback" in out) is fault
        for mode, what in (("1049", "screen"), ("1003", "mouse"), ("2004", "clipboard")):
            on, off = out.rfind(f"\x1b[?{mode}h"), out.rfind(f"\x1b[?{mode}l")
            assert on < off, f"the {what} is not given back"
        assert out.rfind("\x1b[?25h") > out.rfind("\x1b[?25l"), "the cursor stays hidden"
        assert self.mode() == self._before, "the terminal stays raw"


@contextmanager
def terminal(*arguments: str, first: bool = False, before: str = "") -> Iterator[Terminal]:
    """The inspector on a terminal; killed at the end, if it still runs.

    Args:
        arguments: of the program.
        first: it is the terminal's first process, without a shell.
        before: Python that runs before the program.
    """
    one = Terminal(*arguments, first=first, before=before)
    try:
        yield one
    finally:
        one.child.close(force=True)


@contextmanager
def hung(server: EmbeddedServer) -> Iterator[None]:
    """The server takes connections and answers nothing."""
    os.kill(server.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.pid, signal.SIGCONT)


WAYS: dict[str, Callable[[Terminal], None]] = {
    "q": lambda one: one.child.send("q"),
    "ctrl+c": lambda one: one.child.send("\x03"),
    "SIGINT": lambda one: one.kill(signal.SIGINT),
    "SIGTERM": lambda one: one.kill(signal.SIGTERM),
    "SIGHUP": lambda one: one.kill(signal.SIGHUP),
    "SIGQUIT": lambda one: one.kill(signal.SIGQUIT),
    "a hang-up": lambda one: one.kill(signal.SIGHUP, signal.SIGCONT),
    "twice": lambda one: one.kill(signal.SIGTERM, signal.SIGTERM, signal.SIGINT),
}


SIGNALS = {way for way in WAYS if way != "q"}


@pytest.mark.parametrize("way", WAYS)
def test_the_terminal_is_given_back(redis_url: str, way: str) -> None:
    failed(redis_url, 1)
    with terminal("--redis", redis_url) as one:
        one.sees("payments")
        WAYS[way](one)
        assert one.ends() == (130 if way in SIGNALS else 0)
        one.is_in_order()


@pytest.mark.parametrize("way", ["q", "SIGTERM", "a hang-up"])
def test_a_hung_server_does_not_delay_the_end(
    server: EmbeddedServer, redis_url: str, way: str
) -> None:
    failed(redis_url, 1)
    with terminal("--redis", redis_url) as one:
        one.sees("payments")
        with hung(server):
            one.child.send("\x12")  # reads everything again, and so waits for it
            WAYS[way](one)
            assert one.ends() == (130 if way in SIGNALS else 0)
        one.is_in_order()


def test_a_terminal_that_is_closed_ends_it(redis_url: str) -> None:
    failed(redis_url, 1)
    with terminal("--redis", redis_url, first=True) as one:
        one.sees("payments")
        one.hang_up()
        assert one.ends() == 130


@pytest.mark.slow
def test_a_terminal_that_takes_no_output_keeps_no_signal_away(redis_url: str) -> None:
    many_failed(redis_url, [f"j{place}" for place in range(500)])
    with terminal("--redis", redis_url, first=True) as one:
        one.sees("payments")
        for _ in range(200):  # more pages than a terminal holds that is not read
            one.child.send("\x06\x02")
        one.kill(signal.SIGTERM)
        assert one.ends() == 130


_FAULT = """
from qtui.ui.inspector.screen import Inspector
def action_order(self):
    secret = "hunter2"
    raise RuntimeError("a fault of ours")
Inspector.action_order = action_order
"""


def test_a_fault_of_ours_gives_the_terminal_back_and_shows_no_variable(redis_url: str) -> None:
    failed(redis_url, 1)
    with terminal("--redis", redis_url, before=_FAULT) as one:
        one.sees("payments")
        one.child.send("o")
        assert one.ends() == 1
        one.is_in_order(fault=True)
        printed = one.printed.getvalue().rpartition("\x1b[?1004l")[2]
        assert "a fault of ours" in printed
        assert "locals" not in printed


@pytest.mark.slow
def test_a_sigcont_alone_changes_nothing(redis_url: str) -> None:
    failed(redis_url, 1)
    with terminal("--redis", redis_url) as one:
        one.sees("payments")
        for _ in range(3):
            one.kill(signal.SIGCONT)
            one.sees("\x1b[?1049h")
            one.sees("payments")  # drawn anew: who stopped us may have used the screen
        one.child.send("q")
        assert one.ends() == 0
        one.is_in_order()


@pytest.mark.parametrize("is_hung", [False, True])
@pytest.mark.parametrize("way", ["SIGTERM", "a hang-up", "closed"])
def test_a_campaign_ends_its_journal_and_can_be_resumed(
    server: EmbeddedServer,
    redis_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    way: str,
    is_hung: bool,
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    many_failed(redis_url, [f"j{place}" for place in range(MANY)])
    with terminal("--redis", redis_url, first=way == "closed") as one:
        one.sees("payments")
        one.child.send("R")
        one.sees(f"retry {MANY:,} jobs")
        one.child.send("y")
        one.sees(f"type {MANY}")
        one.child.send(f"{MANY}\r")
        one.sees("retrying")
        if is_hung:
            with hung(server):
                _end(one, way)
        else:
            _end(one, way)
    [campaign] = campaigns(tmp_path / "qtui" / "journal")
    assert campaign.ended
    assert not campaign.running
    if campaign.phase != "done":
        resumed = run("--redis", redis_url, "retry", "--resume", campaign.id, "--yes")
        assert resumed.code == 0, resumed.err
    with connect(redis_url) as client:
        assert client.zcard("bull:payments:failed") == 0
        assert client.llen("bull:payments:wait") == MANY


def _end(one: Terminal, way: str) -> None:
    if way == "closed":
        one.hang_up()
    else:
        WAYS[way](one)
    assert one.ends() == 130


@pytest.mark.slow
@pytest.mark.parametrize(
    "keys", ["r", "R", "e", "L", "f", "?", ":", "/", "qq", "\r", "\x1b", "\x12"]
)
def test_a_key_that_meets_the_end_does_nothing(redis_url: str, keys: str) -> None:
    failed(redis_url, 3)
    with terminal("--redis", redis_url) as one:
        one.sees("payments")
        one.child.send(f"q{keys}{keys}")
        assert one.ends() == 0
        one.is_in_order()


# Before the server has answered


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_a_server_that_does_not_answer_keeps_no_key_away(way: str) -> None:
    with servers.start() as server, hung(server), terminal("--redis", server.url) as one:
        one.sees("connecting to")
        one.child.send("r")
        one.sees("Still connecting")
        one.child.send("?")
        one.sees("esc closes")
        one.child.send("?")
        WAYS[way](one)
        assert one.ends() == (130 if way in SIGNALS else 0)
        one.is_in_order()


def test_a_server_that_answers_late_is_shown_then() -> None:
    with servers.start() as server:
        failed(server.url, 1)
        with terminal("--redis", server.url) as one:
            with hung(server):
                one.sees("connecting to")
                one.child.send("?")
                one.sees("esc closes")
            one.child.send("\x1b")
            one.sees("payments")
            one.child.send("q")
            assert one.ends() == 0
            one.is_in_order()


def test_a_server_that_is_lost_before_it_answered_is_reported_in_a_line() -> None:
    with servers.start(tcp=True) as server:
        url = f"redis://127.0.0.1:{servers.tcp_port(server)}"
        os.kill(server.pid, signal.SIGSTOP)
        with terminal("--redis", url) as one:
            one.sees("connecting to")
            os.kill(server.pid, signal.SIGKILL)
            assert one.ends() == 3
            one.is_in_order()
            last = one.printed.getvalue().rpartition("\x1b[?1004l")[2]
            assert last.startswith("qtui: redis://127.0.0.1:")
            assert last.count("\n") == 2  # that line, and the keeper's


# Under a shell


class Shell:
    """An interactive shell with job control on a terminal."""

    def __init__(self, child: pexpect.spawn) -> None:
        self._child = child

    def runs(self, line: str, *, sees: str) -> None:
        """Types a line, and waits for some words."""
        self._child.sendline(line)
        self._child.expect_exact(sees)

    def key(self, key: str, *, sees: str) -> None:
        """Presses a key, and waits for some words."""
        self._child.send(key)
        self._child.expect_exact(sees)

    def is_in_order(self) -> None:
        """The shell has its terminal again."""
        self.runs("stty -a | tr ' ' '\\n' | grep -x echo; printf 'in %s\\n' order", sees="in order")

    def resize(self, rows: int, columns: int) -> None:
        """Gives the window another size."""
        self._child.setwinsize(rows, columns)

    def begins(self) -> int:
        """Begins the inspector; its process."""
        self.runs(f"{sys.executable} -P -m qtui.cli", sees="payments")
        [found] = (
            Path(f"/proc/{self._child.pid}/task/{self._child.pid}/children").read_text().split()
        )
        return int(found)


@pytest.fixture
def shell(redis_url: str) -> Iterator[Shell]:
    """A shell whose inspector has a queue to show."""
    failed(redis_url, 1)
    child = pexpect.spawn(
        "bash",
        ["--norc", "--noprofile", "-i"],
        env={**os.environ, "TERM": "xterm-256color", "QTUI_REDIS": redis_url},
        dimensions=(36, 120),
        timeout=PATIENCE,
        encoding="utf-8",
    )
    try:
        yield Shell(child)
    finally:
        child.close(force=True)


def test_ctrl_z_goes_to_the_shell_and_fg_comes_back(shell: Shell) -> None:
    shell.runs("export COLUMNS=80 LINES=24; echo se''t", sees="set")  # as some shells do
    shell.begins()
    for columns, words in ((80, "payments"), (150, "schedulers")):
        shell.key("\x1a", sees="\x1b[?1049l")
        shell.is_in_order()
        shell.resize(30, columns)
        shell.runs("fg", sees="\x1b[?1049h")
        shell.key("", sees=words)  # of which the second needs the new size
    shell.key("q", sees="\x1b[?1049l")
    shell.runs("echo code $?", sees="code 0")


@pytest.mark.slow
def test_a_dialog_can_be_left_for_the_shell(shell: Shell) -> None:
    shell.begins()
    shell.key("r", sees="Retry 1 failed job")
    shell.key("\x1a", sees="\x1b[?1049l")
    shell.is_in_order()
    shell.runs("fg", sees="Retry 1 failed job")


@pytest.mark.slow
def test_signals_that_suspend_and_resume_do_what_ctrl_z_does(shell: Shell) -> None:
    process = shell.begins()
    os.kill(process, signal.SIGTSTP)
    shell.key("", sees="\x1b[?1049l")
    shell.is_in_order()
    shell.runs("bg; printf 'still %s\\n' ours", sees="still ours")
    shell.runs("fg", sees="payments")
    os.kill(process, signal.SIGSTOP)  # cannot be seen coming
    shell.key("", sees="Stopped")
    shell.runs("fg", sees="\x1b[?1049h")
    shell.key("", sees="payments")
    shell.key("q", sees="\x1b[?1049l")
    shell.is_in_order()


@pytest.mark.slow
def test_the_first_process_of_a_terminal_is_not_stopped(redis_url: str) -> None:
    failed(redis_url, 1)
    with terminal("--redis", redis_url, first=True) as one:
        one.sees("payments")
        one.child.send("\x1a")
        one.sees("Cannot suspend")
        one.child.send("q")
        assert one.ends() == 0
