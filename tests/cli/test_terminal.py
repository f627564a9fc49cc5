"""On a terminal: the question before a retry, colours, and the inspector's first moment."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pexpect
import pytest

from tests import servers
from tests.cli.stage import command, connect, failed, many_failed, places
from tests.patience import PATIENCE


@contextmanager
def terminal(
    *args: str, rows: int = 30, columns: int = 100, environ: Mapping[str, str] | None = None
) -> Iterator[pexpect.spawn]:
    """Runs qtui on a pty."""
    program, *rest = (os.fsdecode(word) for word in command(*args))
    child = pexpect.spawn(
        program,
        rest,
        env={**os.environ, **(environ or {})},
        dimensions=(rows, columns),
        timeout=PATIENCE,
        encoding="utf-8",
    )
    try:
        yield child
    finally:
        child.close(force=True)


def whole(child: pexpect.spawn) -> tuple[str, int]:
    """All that it still says, and its exit code."""
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus is not None
    return child.before.replace("\r\n", "\n"), child.exitstatus


@pytest.mark.parametrize("answer", ["y", "YES"])
def test_it_asks_and_does_it(redis_url: str, answer: str) -> None:
    failed(redis_url, 2)
    with terminal("--redis", redis_url, "retry", "payments", "1", "2") as child:
        child.expect_exact("Retry 2 failed jobs in bull:payments")
        child.expect_exact("Retry 2 jobs? [y/N] ")
        child.sendline(answer)
        words, code = whole(child)
    assert "2 of 2 jobs retried" in words
    assert code == 0
    with connect(redis_url) as client:
        assert client.llen("bull:payments:wait") == 2


@pytest.mark.parametrize("answer", ["", "n", "yo"])
def test_anything_but_yes_leaves_all_as_it_is(redis_url: str, answer: str) -> None:
    failed(redis_url, 1)
    with terminal("--redis", redis_url, "retry", "payments", "1") as child:
        child.expect_exact("[y/N] ")
        child.sendline(answer)
        words, code = whole(child)
    assert "qtui: nothing was retried" in words
    assert code == 1
    with connect(redis_url) as client:
        assert client.zcard("bull:payments:failed") == 1


def test_ctrl_c_at_the_question_leaves_all_as_it_is(redis_url: str) -> None:
    failed(redis_url, 1)
    with terminal("--redis", redis_url, "retry", "payments", "1", "--json") as child:
        child.expect_exact("[y/N] ")
        child.sendintr()
        words, code = whole(child)
    assert "qtui: interrupted: nothing was retried" in words
    assert '{"summary": {"selected": 1, "retried": 0,' in words
    assert "Traceback" not in words
    assert code == 130
    assert places(redis_url) == ["1"]


def test_what_cannot_be_retried_is_not_asked_for(redis_url: str) -> None:
    failed(redis_url, 1)
    with terminal("--redis", redis_url, "retry", "payments", "7") as child:
        words, code = whole(child)
    assert "[y/N]" not in words
    assert "0 of 1 job retried, 1 gone (-1)" in words
    assert code == 1


@pytest.mark.parametrize(
    ("environ", "coloured"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True), ({"TERM": "dumb"}, False)],
)
def test_there_is_colour_unless_it_is_not_wanted(
    redis_url: str, environ: dict[str, str], coloured: bool
) -> None:
    failed(redis_url, 1)
    with terminal("--redis", redis_url, "jobs", "payments", environ=environ) as child:
        words, code = whole(child)
    assert ("\x1b[31m" in words) is coloured
    assert ("\x1b" in words) is coloured
    assert code == 0


def test_rows_are_cut_at_the_edge_of_the_terminal(redis_url: str) -> None:
    failed(redis_url, 1)
    with connect(redis_url) as client:
        client.hset("bull:payments:1", "failedReason", "very " * 50 + "long")
    with terminal("--redis", redis_url, "jobs", "payments", columns=60) as child:
        words, _ = whole(child)
    lines = re.sub(r"\x1b\[\d*m", "", words).splitlines()
    assert len(lines[1]) == 60
    assert lines[1].endswith("…")


_GIVEN_BACK = "\x1b[?1004l"
"""The last of what gives the terminal back; the first frame was painted before Redis was asked."""


def test_the_inspector_gives_the_screen_back_when_it_cannot_connect() -> None:
    with terminal("--redis", f"redis://127.0.0.1:{servers.free_port()}") as child:
        words, code = whole(child)
    _, _, left = words.rpartition(_GIVEN_BACK)
    assert left.startswith("qtui: redis://127.0.0.1:")
    assert (left.count("\n"), code) == (1, 3)


def test_the_inspector_gives_the_screen_back_when_it_may_not_log_in(redis_url: str) -> None:
    url = redis_url.replace("unix://", "unix://somebody:geheim@")
    with terminal("--redis", url) as child:
        words, code = whole(child)
    _, _, left = words.rpartition(_GIVEN_BACK)
    assert "refused the user name or the password" in left
    assert (left.count("\n"), code) == (1, 3)
    assert "geheim" not in words


@pytest.mark.parametrize("mode", [(), ("--read-only",)])
def test_the_inspector_opens_and_leaves(redis_url: str, mode: tuple[str, ...]) -> None:
    failed(redis_url, 3)
    with terminal("--redis", redis_url, *mode) as child:
        child.expect_exact("payments")
        if mode:
            child.expect_exact("READ-ONLY")
        child.send("q")
        _, code = whole(child)
    assert code == 0


def test_a_terminal_that_was_never_told_its_size_counts_as_a_small_one(redis_url: str) -> None:
    failed(redis_url, 1)
    with terminal("--redis", redis_url, rows=0, columns=0) as child:
        child.expect_exact("payments")
        child.send("q")
        _, code = whole(child)
    assert code == 0


def test_the_demo_opens_in_the_inspector() -> None:
    with terminal("--demo", environ={"QTUI_REDIS": "redis://127.0.0.1:1"}) as child:
        child.expect_exact("payments")
        child.send("q")
        words, code = whole(child)
    assert "Traceback" not in words
    assert code == 0


@pytest.mark.slow
def test_the_demo_can_be_used_by_any_command() -> None:
    with terminal("--demo", "jobs", "payments", "--limit", "3") as child:
        words, code = whole(child)
    assert len(words.splitlines()) == 5
    assert "--limit N shows more" in words
    assert code == 0


def test_a_theme_that_does_not_exist_is_refused_in_a_line(redis_url: str, tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text('theme = "nrod"\n')
    with terminal("--redis", redis_url, "--config", str(config), columns=400) as child:
        words, code = whole(child)
    assert words.startswith("qtui: unknown theme nrod in the config file: did you mean")
    assert "nord" in words
    assert "textual-light" in words
    assert (words.count("\n"), code) == (1, 2)


@pytest.mark.slow
def test_a_key_of_an_action_that_is_gone_is_no_mistake(redis_url: str, tmp_path: Path) -> None:
    failed(redis_url, 1)
    config = tmp_path / "config.toml"
    config.write_text('[keys]\n"places.leave" = "x"\n')
    with terminal("--redis", redis_url, "--config", str(config)) as child:
        child.expect_exact("payments")
        child.send("q")
        assert whole(child)[1] == 0
    config.write_text('[keys]\n"jobs.retri" = "x"\n')
    with terminal("--redis", redis_url, "--config", str(config), columns=400) as child:
        words, code = whole(child)
    assert (code, 'did you mean "jobs.retry"?' in words) == (2, True)


def test_a_bulk_retry_shows_progress_and_a_summary_on_a_terminal(redis_url: str) -> None:
    many_failed(redis_url, [f"job-{at}" for at in range(300)])
    for words, lines in (((), 0), (("--verbose",), 100)):
        ids = [f"job-{at}" for at in range(100 if words else 0, 200 if words else 100)]
        with terminal("--redis", redis_url, "retry", "payments", *ids, "--yes", *words) as child:
            printed, code = whole(child)
        assert code == 0
        assert "100 of 100 jobs retried" in printed
        assert (
            len(re.findall(r"job-\d+ +✔ waiting", re.sub(r"\x1b\[[0-9;]*m", "", printed))) == lines
        )
    with terminal("--redis", redis_url, "retry", "payments", "--all", "--dry-run") as child:
        printed, code = whole(child)
    assert len(re.findall(r"job-\d+ +→ waiting", re.sub(r"\x1b\[[0-9;]*m", "", printed))) == 20
    assert "and 80 more jobs; --verbose lists each" in printed
