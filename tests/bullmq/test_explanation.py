"""Every way in which a connection fails, on real servers, and the one line that explains it."""

from __future__ import annotations

import asyncio
import builtins
import errno
import socket
import time
from io import StringIO
from pathlib import Path

import pytest
from redis._parsers import BaseParser
from redis.exceptions import (
    AuthenticationError,
    ConnectionError,
    RedisError,
    ResponseError,
    TimeoutError,
)
from rich.console import Console
from rich.traceback import Traceback

from qtui.bullmq.connection.client import Refused, Unreachable, connect, explain, parse_target
from tests.bullmq.topologies import Process, Topology, says
from tests.patience import AT_ONCE, PATIENCE
from tests.servers import free_port

# --- the network ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "line"),
    [
        ("redis://127.0.0.1:1", "refused the connection: is the server up and the port right?"),
        ("redis://localhost:1", "refused the connection: is the server up and the port right?"),
        ("rediss://127.0.0.1:1", "refused the connection: is the server up and the port right?"),
        ("redis+cluster://127.0.0.1:1,127.0.0.1:2", "refused the connection: is the server up"),
        ("redis+sentinel://127.0.0.1:1,127.0.0.1:2/main", "refused the connection"),
        ("redis://nowhere.invalid", "no such host"),
        ("redis+cluster://nowhere.invalid", "no such host"),
        ("unix:///nowhere/redis.sock", "is not there: is the server up and the path right?"),
    ],
)
async def test_a_dead_host_is_reported_at_once(url: str, line: str) -> None:
    client = connect(parse_target(url), read_only=True)
    started = time.monotonic()
    said = await says(client, url, client.ping())
    assert time.monotonic() - started < AT_ONCE
    assert said.startswith(parse_target(url).shown)
    assert line in said


async def test_a_socket_without_permission_is_explained(tmp_path: Path) -> None:
    # Root may use any socket, so here a file is used, which refuses too.
    path = tmp_path / "socket"
    path.write_text("no socket")
    url = f"unix://{path}"
    client = connect(parse_target(url), read_only=True)
    assert "refused the connection" in await says(client, url, client.ping())
    fault = explain(PermissionError(errno.EACCES, "Permission denied"), parse_target(url))
    assert "check the permissions of the socket" in str(fault)


@pytest.mark.parametrize("scheme", ["redis", "rediss", "redis+sentinel", "redis+cluster"])
async def test_a_server_that_never_answers_is_given_up(scheme: str) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(8)
        tail = "/main" if "sentinel" in scheme else ""
        url = f"{scheme}://127.0.0.1:{listener.getsockname()[1]}{tail}"
        client = connect(parse_target(url), read_only=True, timeout=0.3)
        started = time.monotonic()
        assert "answer" in await says(client, url, client.ping())
        assert time.monotonic() - started < AT_ONCE


async def test_a_port_of_something_else_is_explained() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    url = f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    client = connect(parse_target(url), read_only=True)
    assert "does not speak the Redis protocol" in await says(client, url, client.ping())
    server.close()


# --- servers in trouble --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ("--maxmemory 1", "is out of memory (maxmemory) and takes no writes"),
        ("--min-replicas-to-write 1", "has too few replicas and therefore takes no writes"),
        ("--replicaof 127.0.0.1 1", "is a replica and takes no writes: connect to its master"),
        (
            "--replicaof 127.0.0.1 1 --replica-serve-stale-data no",
            "is a replica that has lost its master",
        ),
        ("--cluster-enabled yes", "is a cluster that is down: no node serves some of its slots"),
    ],
)
async def test_a_server_in_trouble_is_explained(options: str, line: str) -> None:
    words = options.split()
    if words[0] == "--replicaof":
        words[1:3] = [" ".join(words[1:3])]
    if words[0] == "--cluster-enabled":
        words += ["--cluster-port", str(free_port())]
    with Process(*words) as process:
        schemes = ["redis", "redis+cluster"] if "cluster" in options else ["redis"]
        for scheme in schemes:
            url = f"{scheme}://127.0.0.1:{process.port}"
            client = connect(parse_target(url), read_only=False)
            command = client.get("k") if "stale" in options else client.set("k", "1")
            said = await says(client, url, command)
            assert said == f"{parse_target(url).shown} {line}"


async def test_a_server_without_room_is_explained() -> None:
    with Process("--maxclients", "1") as process, process.admin() as admin:
        assert admin.ping()
        url = f"redis://127.0.0.1:{process.port}"
        client = connect(parse_target(url), read_only=True)
        assert "has reached its limit of clients" in await says(client, url, client.get("k"))


async def test_a_server_that_runs_a_long_script_is_explained() -> None:
    with Process("--lua-time-limit", "1") as process:
        url = f"redis://127.0.0.1:{process.port}"
        busy = connect(parse_target(url), read_only=False)
        script = asyncio.ensure_future(busy.eval("while true do end", 0))
        client = connect(parse_target(url), read_only=True)
        said = ""
        async with asyncio.timeout(PATIENCE):
            while not said:
                try:
                    await client.get("k")
                except ResponseError as error:
                    said = str(explain(error, parse_target(url)))
        assert "is busy with a long-running script" in said
        process.kill()
        with pytest.raises(ConnectionError):
            await script
        await client.aclose()
        await busy.aclose()


@pytest.mark.parametrize(
    ("reply", "line"),
    [
        ("LOADING Redis is loading the dataset in memory", " is still loading its data"),
        ("DENIED Redis is running in protected mode because", " is in protected mode"),
        ("MISCONF Redis is configured to save RDB snapshots", " cannot save to disk"),
        ("ERR user hunter2 is \x1b]0;odd\x07\nsecond line", ": user … is ␛]0;odd␇"),
    ],
)
def test_replies_that_are_hard_to_provoke_are_explained(reply: str, line: str) -> None:
    target = parse_target("redis://:hunter2@cache-1")
    fault = explain(BaseParser.parse_error(reply), target)
    assert str(fault).startswith(f"redis://cache-1:6379/0{line}")
    assert "second line" not in str(fault)
    assert isinstance(fault, Refused)


def test_the_kind_of_a_fault_shows_whether_redis_answered() -> None:
    target = parse_target("redis://cache-1")
    assert isinstance(explain(ConnectionError("Connection closed by server."), target), Unreachable)
    assert isinstance(explain(TimeoutError("Timeout reading from h:1"), target), Unreachable)
    assert "did not answer in time" in str(explain(builtins.TimeoutError(), target))
    assert isinstance(explain(OSError(errno.EHOSTUNREACH, "No route"), target), Unreachable)
    assert isinstance(explain(ResponseError("syntax error"), target), Refused)
    assert isinstance(explain(AuthenticationError("invalid password"), target), Refused)
    ours = Refused("as it is")
    assert explain(ours, target) is ours
    assert (Unreachable.exit_code, Refused.exit_code) == (3, 3)


# --- secrets -------------------------------------------------------------------------------------


async def test_an_error_in_a_pipeline_is_reported_without_its_command(standalone: Topology) -> None:
    client = connect(parse_target(standalone.url), read_only=False)
    await client.set("secret-key", "1")
    pipeline = client.pipeline(transaction=False)
    pipeline.execute_command("LPUSH", "secret-key", "secret\nvalue")
    said = await says(client, standalone.url, pipeline.execute())
    assert said == f"{standalone.url} holds a key of another type than BullMQ's"
    client = connect(parse_target(standalone.url), read_only=False)
    pipeline = client.pipeline(transaction=False)
    pipeline.execute_command("INCRBY", "other-key", "secret\nvalue")
    said = await says(client, standalone.url, pipeline.execute())
    assert said == f"{standalone.url}: value is not an integer or out of range"


@pytest.mark.parametrize(
    "url",
    [
        "redis://usr:hunter2@127.0.0.1:{port}",
        "unix://usr:hunter2@{socket}",
        "redis+cluster://usr:hunter2@127.0.0.1:{port}",
        "redis://usr:hunter2@127.0.0.1:1",
        "redis+sentinel://usr:hunter2@127.0.0.1:{port}/main?sentinel_password=hunter2",
    ],
)
async def test_no_password_is_in_a_traceback_even_with_local_variables(
    locked: Process, url: str
) -> None:
    """Textual prints local variables when it dies of an error."""
    target = parse_target(url.format(port=locked.port, socket=locked.socket))
    client = connect(target, read_only=False)
    with pytest.raises(RedisError) as caught:
        await client.ping()
    console = Console(file=StringIO(), width=200)
    trace = Traceback.from_exception(
        caught.type, caught.value, caught.tb, show_locals=True, locals_max_string=500
    )
    console.print(trace)
    assert isinstance(console.file, StringIO)
    text = console.file.getvalue()
    assert "locals" in text
    for shown in (text, repr(client), repr(getattr(client, "connection_pool", ""))):
        assert "hunter2" not in shown.replace(url, "")
    await client.aclose()
