"""The terminal in the hands of the user's editor, on a real pseudo-terminal, and back in ours."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.stage import connect, failed
from tests.ui.test_endings import Shell, Terminal, shell, terminal

__all__ = ["shell"]

EDITOR = r"""#!/bin/sh
# Says how it finds the terminal, waits for a line, and writes what it is given.
words=$(stty -a | tr -c 'a-z-' '\n' | grep -cx -e icanon -e isig)
[ "$words" = 2 ] && mode=cooked || mode=raw
printf 'EDITOR %s %s\n' "$mode" "$(stat -c %a "$1")"
read -r line || exit 9
printf '%s' "$line" > "$1"
printf 'SIZE %s LEFT\n' "$(stty size)"
"""
TAKEN, GIVEN = "\x1b[?1049h", "\x1b[?1049l"
KEY = "bull:payments:1"


@pytest.fixture
def url(redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A server with a failed job, and an editor that does as it is asked."""
    failed(redis_url, 1)
    program = tmp_path / "an editor"
    program.write_text(EDITOR)
    program.chmod(0o755)
    monkeypatch.setenv("VISUAL", f"'{program}'")
    return redis_url


def data_of(url: str) -> str:
    with connect(url) as client:
        return str(client.hget(KEY, "data"))


@contextmanager
def editing(url: str, *, first: bool = False) -> Iterator[Terminal]:
    """The inspector, with the data of its job in the editor."""
    with terminal("--redis", url, first=first) as one:
        one.sees("payments")
        one.sees("5000ms")
        one.child.send("ie")
        one.sees(GIVEN)
        # It is the shell's terminal again, and the file is no other user's.
        one.sees("EDITOR cooked 600")
        yield one


def leave(one: Terminal) -> None:
    """Quits; nothing is left behind."""
    one.child.send("\x1bqq")
    assert one.ends() == 0
    one.is_in_order()


def test_the_editor_has_the_terminal_and_the_screen_comes_back(url: str) -> None:
    with editing(url) as one:
        one.child.sendline('{"mended": true}')
        one.sees("LEFT")
        one.sees(TAKEN)
        one.sees("edit the job")  # its plan
        one.child.send("y")
        one.sees("1 of 1 job")
        one.child.send("q")
        leave(one)
    assert data_of(url) == '{"mended":true}'


@pytest.mark.slow
def test_a_window_that_changes_its_size_meanwhile_is_drawn_at_its_new_one(url: str) -> None:
    with editing(url) as one:
        one.child.setwinsize(24, 80)
        one.child.sendline('{"mended": 1}')
        one.sees("SIZE 24 80 LEFT")
        one.sees(TAKEN)
        one.sees("edit the job")
        one.child.send("\x1b")
        one.sees("5000ms")
        drawn = one.printed.getvalue().rpartition(TAKEN)[2]
        places = re.findall(r"\x1b\[(\d+);(\d+)H", drawn)
        assert places
        assert max(int(line) for line, _ in places) <= 24
        assert max(int(column) for _, column in places) <= 80
        leave(one)


@pytest.mark.slow
def test_what_is_no_json_is_shown_with_its_line_and_may_be_edited_again(url: str) -> None:
    before = data_of(url)
    with editing(url) as one:
        one.child.sendline('{"mended": }')
        one.sees("line 1, column 12")
        one.child.send("y")
        one.sees("EDITOR cooked 600")
        one.child.sendline("[1,")
        one.sees("edit again")
        one.child.send("n")
        one.sees("Nothing was edited.")
        leave(one)
    assert data_of(url) == before


@pytest.mark.slow
def test_ctrl_c_is_the_editors_and_an_editor_that_is_missing_is_named(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = data_of(url)
    with editing(url, first=True) as one:
        one.child.sendintr()
        one.sees(TAKEN)
        one.sees("changed")
        one.child.send("q")
        one.sees(GIVEN)
        assert one.ends() == 0
    monkeypatch.setenv("VISUAL", "no-such-editor")
    with terminal("--redis", url) as one:
        one.sees("5000ms")
        one.child.send("ie")
        one.sees("which is not installed")
        assert GIVEN not in one.printed.getvalue()
        leave(one)
    assert data_of(url) == before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_meanwhile_ends_both_and_leaves_the_terminal_in_order(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with editing(url) as one:
        assert len(list(tmp_path.glob("qtui-*/1.json"))) == 1
        one.kill(number)
        assert one.ends() == 130
        one.is_in_order()
    assert list(tmp_path.glob("qtui-*")) == []
    assert not [
        process
        for process in Path("/proc").iterdir()
        if process.name.isdecimal() and "an editor" in _command(process)
    ]


def _command(process: Path) -> str:
    try:
        return process.joinpath("cmdline").read_text()
    except OSError:
        return ""


@pytest.mark.slow
def test_in_a_shell_ctrl_z_stops_both_and_fg_brings_both_back(url: str, shell: Shell) -> None:
    shell.begins()
    shell.key("ie", sees="EDITOR cooked 600")
    shell.key("\x1a", sees="Stopped")
    shell.runs("fg", sees="qtui.cli")
    shell.key('{"mended": 2}\r', sees="edit the job")
    shell.key("y", sees="1 of 1 job")
    with connect(url) as client:
        assert client.hget("bull:payments:2", "data") == '{"mended":2}'


def test_the_command_opens_the_same_editor(url: str) -> None:
    with terminal("--redis", url, "edit", "payments", "1") as one:
        one.sees("EDITOR cooked 600")
        one.child.sendline("{")
        one.sees("the data is not JSON: line 1, column 2")
        one.sees("Edit it again? [Y/n]")
        one.child.sendline("")
        one.sees("EDITOR cooked 600")
        one.child.sendline('{"mended": 3}')
        one.sees("Edit the job? [y/N]")
        one.child.sendline("y")
        one.sees("1 of 1 job edited")
        assert one.ends() == 0
    assert data_of(url) == '{"mended":3}'


def test_the_command_edits_nothing_where_nothing_changed_or_another_was_faster(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with terminal("--redis", url, "edit", "payments", "1", "--yes") as one:
        one.sees("EDITOR cooked 600")
        with connect(url) as client:
            client.hset(KEY, "data", '{"other": "hand"}')
        one.child.sendline('{"mended": 4}')
        one.sees("-3 its data has changed since")
        assert one.ends() == 1
    assert data_of(url) == '{"other": "hand"}'
    monkeypatch.setenv("VISUAL", "true")
    with terminal("--redis", url, "edit", "payments", "1", "--yes") as one:
        one.sees("the data was not changed: nothing was edited")
        assert one.ends() == 0
    assert data_of(url) == '{"other": "hand"}'
