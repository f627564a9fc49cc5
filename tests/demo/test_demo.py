"""A demo starts on its own, runs beside others, and leaves nothing behind however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import redis

from qtui import demo
from tests import servers
from tests.demo.processes import Program, alive, soon
from tests.patience import PATIENCE

START = """
from qtui import demo
running = demo.start()
said = {"server": running.server.pid, "incident": running.incident.pid, "url": running.url}
"""


def naming(text: str) -> list[str]:
    """The command lines that name something, zombies and ourselves left out."""
    lines = subprocess.run(
        ["ps", "-axo", "stat=,args="], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    return [line for line in lines if text in line and not line.startswith("Z")]


def failed_payments(url: str) -> int:
    with redis.Redis.from_url(url) as client:
        return int(client.zcard("bull:payments:failed"))


@pytest.mark.slow
def test_stop_leaves_nothing_and_may_be_called_twice(short: Path) -> None:
    with demo.start() as running:
        assert naming(str(short))
        assert failed_payments(running.url) == 512
    running.stop()
    assert not os.listdir(short)
    assert naming(str(short)) == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_no_trace_is_left_when_the_program_is_killed(short: Path, number: signal.Signals) -> None:
    program = Program(START, short)
    assert failed_payments(program.said["url"]) == 512
    program.signal(number)
    took = soon(lambda: not alive(program.said["incident"]), "the incident is gone")
    took += soon(lambda: not alive(program.said["server"]), "the server is gone")
    took += soon(lambda: not os.listdir(short), "the folder is gone")
    assert took < 5
    assert naming(str(short)) == []
    program.process.communicate(timeout=PATIENCE)


@pytest.mark.slow
def test_no_trace_is_left_after_an_exception(short: Path) -> None:
    program = Program(START, short, "input(); raise SystemError")
    program.process.communicate("go\n", timeout=PATIENCE)
    soon(lambda: not os.listdir(short), "the folder is gone")
    soon(lambda: naming(str(short)) == [], "all processes are gone")


def test_no_trace_is_left_by_a_program_that_is_killed_while_it_starts(short: Path) -> None:
    program = Program("said = {}", short, "from qtui import demo; demo.start()")
    soon(lambda: bool(naming(f"qtui.demo.incident {short}")), "the incident begins")
    program.signal(signal.SIGKILL)
    soon(lambda: not os.listdir(short), "the folder is gone")
    soon(lambda: naming(str(short)) == [], "all processes are gone")
    program.process.communicate(timeout=PATIENCE)


@pytest.mark.slow
def test_ctrl_c_in_the_terminal_leaves_the_demo_alone(short: Path) -> None:
    patient = """
import signal
signal.signal(signal.SIGINT, lambda *_: print("interrupted", flush=True))
"""
    program = Program(patient + START, short)
    assert program.process.stdout is not None
    program.signal_group(signal.SIGINT)
    assert program.process.stdout.readline() == "interrupted\n"
    assert failed_payments(program.said["url"]) == 512
    assert alive(program.said["incident"])
    program.process.communicate("go\n", timeout=PATIENCE)
    soon(lambda: naming(str(short)) == [], "all processes are gone")


@pytest.mark.slow
def test_two_demos_run_side_by_side(short: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(lambda _: demo.start(), range(2))
    with one, other:
        assert one.url != other.url
        assert failed_payments(one.url) == failed_payments(other.url) == 512
        one.stop()
        assert failed_payments(other.url) == 512
    assert not os.listdir(short)


@pytest.mark.slow
def test_it_runs_on_redis_7_too() -> None:
    with demo.start(servers.binary("redis")) as running:
        assert failed_payments(running.url) == 512


def test_an_incident_that_breaks_says_so_in_a_line_and_leaves_nothing(
    short: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bullmq.py").write_text("raise ImportError('half installed')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(demo.DemoError, match=r"ended early.*half installed") as caught:
        demo.start()
    assert "\n" not in str(caught.value)
    assert not os.listdir(short)
    assert naming(str(short)) == []


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch, short: Path) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(demo.DemoError, match="install qtui with its `demo` extra"):
        demo.start()
    assert not os.listdir(short)
