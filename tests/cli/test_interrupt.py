"""A retry can be stopped at any moment, and leaves every job in exactly one place."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from qtui.demo.server import EmbeddedServer
from tests.cli.stage import command, connect, many_failed, places, run
from tests.patience import PATIENCE
from tests.servers import start

IDS = [str(number) for number in range(1000, 4000)]


@contextmanager
def retrying(url: str, *how: str) -> Iterator[subprocess.Popen[str]]:
    """A retry of all the jobs, in a process of its own."""
    with running(url, "retry", "payments", *IDS, "--yes", *how) as process:
        yield process


@contextmanager
def running(url: str, *words: str) -> Iterator[subprocess.Popen[str]]:
    """A command in a process of its own."""
    process = subprocess.Popen(
        command("--redis", url, *words),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def soon(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)  # between two looks; the condition decides


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_stops_after_the_batch_and_says_what_was_done(
    redis_url: str, number: signal.Signals
) -> None:
    many_failed(redis_url, IDS)
    with retrying(redis_url, "--json") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        first = process.stdout.readline()
        # It cannot get far: the pipe is not read, which holds some 1,500 lines.
        process.send_signal(number)
        said = [first, *process.stdout]
        err = process.stderr.read()
        assert process.wait(PATIENCE) == 130
    *results, last = map(json.loads, said)
    retried = len(results)
    assert 0 < retried < len(IDS)
    assert [result["id"] for result in results] == IDS[:retried]
    assert last["summary"]["selected"] == len(IDS)
    assert last["summary"]["retried"] == retried
    assert last["summary"]["codes"] == {"1": retried, "-1": 0, "-3": 0}
    assert "qtui: interrupted" in err
    assert "Traceback" not in err
    with connect(redis_url) as client:
        assert client.lrange("bull:payments:wait", 0, -1) == IDS[:retried][::-1]
    assert places(redis_url) == sorted(IDS)


def twice(url: str, process: subprocess.Popen[str]) -> tuple[str, str]:
    """What a command says that is interrupted twice while its first call gets no answer."""
    with connect(url) as client:
        # Reads work, so that there is a plan; the first call gets no answer.
        client.execute_command("CLIENT", "PAUSE", 60_000, "WRITE")
        try:
            soon(lambda: client.info("clients")["blocked_clients"])
            process.send_signal(signal.SIGINT)
            assert process.stderr is not None
            assert process.stdout is not None
            lines = iter(process.stderr.readline, "")
            assert any("stopping after the batches in flight" in line for line in lines)
            process.send_signal(signal.SIGINT)
            out, err = process.stdout.read(), process.stderr.read()
            assert process.wait(PATIENCE) == 130
        finally:
            client.execute_command("CLIENT", "UNPAUSE")
    return out, err


def test_the_second_time_it_leaves_at_once(redis_url: str) -> None:
    many_failed(redis_url, IDS)
    with retrying(redis_url) as process:
        out, err = twice(redis_url, process)
    [summary, journal] = out.splitlines()
    assert summary == "0 of 3,000 jobs retried, 3,000 without a result"
    name = journal.removeprefix("journal ")
    assert err == (
        "qtui: interrupted: jobs without a result may have been retried:"
        f" qtui retry --resume {name} does the rest\n"
    )
    assert places(redis_url) == sorted(IDS)


def flow_of(url: str, children: int) -> None:
    """A parent that failed with all its children, by hand, as BullMQ 5 leaves them."""
    with connect(url) as client, client.pipeline(transaction=False) as pipe:
        failed = {"name": "charge", "data": "{}", "failedReason": "no", "atm": 1, "ats": 1}
        for queue in ("kids", "parents"):
            pipe.hset(f"bull:{queue}:meta", "opts.maxLenEvents", 10_000)
        pipe.hset("bull:parents:p", mapping=failed)
        pipe.zadd("bull:parents:failed", {"p": 1_700_000_000_000})
        for at in range(children):
            child = f"bull:kids:{at}"
            above = {"parentKey": "bull:parents:p", "parent": '{"id":"p"}'}
            pipe.hset(child, mapping=failed | above)
            pipe.zadd("bull:kids:failed", {str(at): 1_700_000_000_000 + at})
            pipe.zadd("bull:parents:p:unsuccessful", {child: 1_700_000_000_000 + at})
        pipe.execute()


RERUN = ("flow", "parents", "p", "--rerun", "failure", "--yes")


def test_of_a_rerun_the_second_time_leaves_at_once(redis_url: str) -> None:
    flow_of(redis_url, 3)
    with running(redis_url, *RERUN) as process:
        out, err = twice(redis_url, process)
    assert out.startswith("0 of 4 jobs run again\njournal ")
    assert err == (
        "qtui: interrupted: jobs without a result may have been rerun:"
        " run the same command again to do the rest\n"
    )


@contextmanager
def hanging(server: EmbeddedServer) -> Iterator[None]:
    """The server takes what is sent, and answers nothing."""
    os.kill(server.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.pid, signal.SIGCONT)


SIGNALS = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])


@pytest.mark.slow
@SIGNALS
@pytest.mark.parametrize("what", ["retry", "rerun"])
def test_on_a_server_that_hangs_once_is_enough(number: signal.Signals, what: str) -> None:
    """It ends far sooner than it would give the server up, and says how to resume."""
    with start() as server:
        if what == "rerun":
            flow_of(server.url, 3_000)
            process = running(server.url, *RERUN, "--json")
        else:
            many_failed(server.url, IDS)
            process = retrying(server.url, "--json")
        with process as one:
            assert one.stdout is not None
            assert one.stdout.readline()
            with hanging(server):
                one.send_signal(number)
                rest, err = one.communicate(timeout=PATIENCE)
            assert one.returncode == 130, err
        summary = json.loads(rest.splitlines()[-1])["summary"]
        assert 0 < summary["retried"] < summary["selected"]
        if what == "rerun":
            assert "qtui: interrupted: run the same command again to do the rest\n" in err
            return
        journal = summary["journal"]
        assert f"qtui: interrupted: qtui retry --resume {journal} does the rest\n" in err
        done = run("--redis", server.url, "retry", "--resume", journal, "--json")
        assert (done.code, done.summary["retried"]) == (0, len(IDS))
        assert places(server.url) == sorted(IDS)


@contextmanager
def falling_silent(server: EmbeddedServer, word: bytes) -> Iterator[tuple[str, threading.Event]]:
    """A way to the server that goes no further once a command is sent on it; its address.

    The event is set then.
    """
    silent = threading.Event()
    ends: list[socket.socket] = []

    def pump(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while chunk := source.recv(65_536):
                if word in chunk.upper():
                    silent.set()
                if silent.is_set():
                    return
                sink.sendall(chunk)

    def accept() -> None:
        with suppress(OSError):
            while True:
                near, _ = listening.accept()
                far = socket.socket(socket.AF_UNIX)
                far.connect(server.path)
                ends.extend((near, far))
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=pump, args=pair, daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=accept, daemon=True).start()
        try:
            yield f"redis://127.0.0.1:{listening.getsockname()[1]}", silent
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            for end in ends:
                end.close()


@SIGNALS
@pytest.mark.parametrize(
    ("word", "words"),
    [
        (b"HELLO", ("retry", "payments", "--all", "--yes")),
        (b"FAILEDREASON", ("retry", "payments", "--all", "--yes")),
        (b"FAILEDREASON", ("retry", "payments", "--all", "--dry-run")),
        (b"FAILEDREASON", ("retry", "payments", IDS[0], "--yes")),
        (b"FAILEDREASON", RERUN),
        (b"FAILEDREASON", ("errors", "payments")),
        (b"ZCARD", ("queues",)),
        (b"HMGET", ("show", "payments", IDS[0])),
    ],
)
def test_before_anything_is_sent_a_server_that_hangs_keeps_no_command_up(
    server: EmbeddedServer, number: signal.Signals, word: bytes, words: tuple[str, ...]
) -> None:
    """It ends far sooner than it would give the server up, which is another exit code."""
    many_failed(server.url, IDS[:50])
    flow_of(server.url, 3)
    before = places(server.url)
    with falling_silent(server, word) as (url, silent), running(url, *words) as one:
        assert silent.wait(PATIENCE)
        one.send_signal(number)
        out, err = one.communicate(timeout=PATIENCE)
    assert (one.returncode, out, err) == (130, "", "qtui: interrupted\n")
    assert places(server.url) == before


def test_in_the_background_where_ctrl_c_is_ignored_sigterm_is_not(server: EmbeddedServer) -> None:
    many_failed(server.url, IDS[:50])
    with falling_silent(server, b"FAILEDREASON") as (url, silent):
        words = shlex.join(map(str, command("--redis", url, "errors", "payments")))
        with subprocess.Popen(
            ["sh", "-c", f"trap '' INT; exec {words}"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as one:
            try:
                assert silent.wait(PATIENCE)
                one.send_signal(signal.SIGTERM)
                out, err = one.communicate(timeout=PATIENCE)
            finally:
                one.kill()
    assert (one.returncode, out, err) == (130, "", "qtui: interrupted\n")


@pytest.mark.slow
@SIGNALS
def test_before_a_campaign_is_resumed_a_server_that_hangs_keeps_nothing_up(
    server: EmbeddedServer, number: signal.Signals
) -> None:
    many_failed(server.url, IDS)
    with retrying(server.url, "--json") as one:
        assert one.stdout is not None
        assert one.stdout.readline()
        one.send_signal(signal.SIGTERM)
        summary = json.loads(one.communicate(timeout=PATIENCE)[0].splitlines()[-1])["summary"]
    left = places(server.url)
    resume = ("retry", "--resume", summary["journal"], "--yes")
    with falling_silent(server, b"HELLO") as (url, silent), running(url, *resume) as one:
        assert silent.wait(PATIENCE)
        one.send_signal(number)
        out, err = one.communicate(timeout=PATIENCE)
    assert (one.returncode, out, err) == (130, "", "qtui: interrupted\n")
    assert places(server.url) == left
    done = run("--redis", server.url, "retry", "--resume", summary["journal"], "--json")
    assert (done.code, done.summary["retried"]) == (0, len(IDS))


@SIGNALS
def test_following_ends_at_once_too(number: signal.Signals) -> None:
    with start() as server:
        many_failed(server.url, IDS[:50])
        words = ("retry", "payments", "--all", "--yes", "--json", "--follow", "600")
        with running(server.url, *words) as one:
            assert one.stdout is not None
            while IDS[49] not in one.stdout.readline():
                pass
            with hanging(server):
                one.send_signal(number)
                rest, err = one.communicate(timeout=PATIENCE)
            assert one.returncode == 130, err
        summary = json.loads(rest.splitlines()[-1])["summary"]
        assert (summary["retried"], summary["outcomes"]["recovered"]) == (50, 0)


def test_it_stops_when_its_results_are_not_read(redis_url: str) -> None:
    many_failed(redis_url, IDS)
    with retrying(redis_url, "--json") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline()
        process.stdout.close()
        err = process.stderr.read()
        assert process.wait(PATIENCE) == 1
    with connect(redis_url) as client:
        retried = client.llen("bull:payments:wait")
    assert 0 < retried < len(IDS)
    assert err.startswith(
        f"qtui: standard output was closed: {retried:,} of 3,000 jobs retried,"
        f" {len(IDS) - retried:,} not sent; qtui retry --resume "
    )
    assert places(redis_url) == sorted(IDS)


def test_a_kill_leaves_every_job_in_one_place(redis_url: str) -> None:
    many_failed(redis_url, IDS)
    with retrying(redis_url, "--json") as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        process.kill()
        process.wait(PATIENCE)
    assert places(redis_url) == sorted(IDS)


def test_it_stops_when_its_results_cannot_be_written(redis_url: str) -> None:
    many_failed(redis_url, IDS)
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            command("--redis", redis_url, "retry", "payments", *IDS, "--yes", "--json"),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
    assert done.returncode == 1  # it was not interrupted
    assert done.stderr.startswith("qtui: cannot write: No space left on device: ")
    assert re.search(r" not sent; qtui retry --resume \S+ does the rest\n$", done.stderr)
    assert places(redis_url) == sorted(IDS)


LOADING = """
import builtins, os, signal
from qtui.cli import main
load = builtins.__import__
def interrupted(name, *rest):
    if name == "qtui.commands.reading.queues":
        os.kill(os.getpid(), signal.SIGINT)
    return load(name, *rest)
builtins.__import__ = interrupted
main(["queues"])
"""


def test_while_a_command_is_loaded_it_ends_as_while_one_runs() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOADING],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "qtui: interrupted\n")
