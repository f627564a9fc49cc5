"""`qtui retry` as an operation: its pace, its canary, its journal, and how it is gone on with."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from qtui.demo.server import EmbeddedServer
from qtui.operations.engine.canary import verdict_on
from qtui.operations.engine.pace import Pace
from qtui.operations.following.outcome import OutcomeTally
from qtui.operations.journal.reading import ids, path_of, read_lines, summary
from tests.cli.stage import (
    Outcome,
    command,
    connect,
    digest,
    failed,
    invoke,
    many_failed,
    places,
)
from tests.cli.test_interrupt import soon
from tests.patience import PATIENCE
from tests.servers import start

MANY = [str(number) for number in range(1000, 3000)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where journals are."""
    return tmp_path / "qtui" / "journal"


@contextmanager
def retrying(url: str, *how: str, limit: int | None = None) -> Iterator[subprocess.Popen[str]]:
    """A retry in a process of its own, whose files may grow to a limit."""

    def confine() -> None:
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    process = subprocess.Popen(
        command("--redis", url, "retry", *how),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=confine,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def ended(process: subprocess.Popen[str]) -> Outcome:
    out, err = process.communicate(timeout=PATIENCE)
    return Outcome(process.returncode, out.encode(), err.encode())


# Pace


@pytest.mark.slow
@pytest.mark.parametrize(("rate", "jobs"), [(50, 160), (400, 1400)])
def test_a_rate_is_kept_by_the_servers_clock(redis_url: str, rate: int, jobs: int) -> None:
    many_failed(redis_url, MANY[:jobs])
    with connect(redis_url) as client:
        client.hset("bull:payments:meta", "opts.maxLenEvents", 100_000)
        client.delete("bull:payments:events")
    done = invoke(
        "--redis", redis_url, "retry", "payments", "--all", "--yes", "--json", "--rate", str(rate)
    )
    assert (done.code, done.summary["retried"]) == (0, jobs)
    with connect(redis_url) as client:
        events = client.xrange("bull:payments:events")
    times = [int(at.split("-")[0]) for at, one in events if one["event"] == "waiting"]
    assert len(times) == jobs
    # From the beginning of one slice to that of the last: how many went between them?
    last = times.index(times[-1])
    assert last / (times[last] - times[0]) * 1000 == pytest.approx(rate, rel=0.1)
    for at, since in enumerate(times):
        within = [one for one in times[at:] if one < since + 1000]
        assert len(within) <= rate * 1.4


def test_it_holds_while_enough_jobs_wait(redis_url: str) -> None:
    many_failed(redis_url, MANY[:100])
    with retrying(
        redis_url, "payments", "--all", "--yes", "--json", "--max-waiting", "30"
    ) as process:
        with connect(redis_url) as client:
            soon(lambda: client.llen("bull:payments:wait") == 30)
            client.rpop("bull:payments:wait", 20)
            soon(lambda: client.zcard("bull:payments:failed") == 50)
            assert client.llen("bull:payments:wait") == 30
        process.send_signal(signal.SIGINT)
        done = ended(process)
    assert done.code == 130
    assert done.summary["retried"] == 50


def test_it_stops_where_redis_answers_too_slowly(redis_url: str) -> None:
    many_failed(redis_url, MANY[:100])
    how = ("--all", "--yes", "--json", "--rate", "50", "--max-latency", "0.001")
    done = invoke("--redis", redis_url, "retry", "payments", *how)
    assert done.code == 1
    assert "stopped: Redis latency" in done.err
    # One slow answer, or two, may have any cause.
    assert done.summary["retried"] == 20
    with connect(redis_url) as client:
        assert client.zrange("bull:payments:failed", 0, -1) == MANY[20:100]


# Canary


def test_a_canary_without_a_worker_stops_it(redis_url: str, folder: Path) -> None:
    many_failed(redis_url, MANY[:100])
    how = ("--all", "--yes", "--json", "--canary", "10", "--canary-time", "0.3")
    done = invoke("--redis", redis_url, "retry", "payments", *how)
    assert done.code == 1
    why = verdict_on(OutcomeTally(waiting=10), Pace(canary=10, canary_seconds=0.3))
    assert done.err == f"qtui: stopped: {why}\n"
    assert done.summary["retried"] == 10
    with connect(redis_url) as client:
        assert client.llen("bull:payments:wait") == 10
        assert client.zrange("bull:payments:failed", 0, -1) == MANY[10:100]
    [name] = ids(folder)
    assert done.summary["journal"] == name
    assert summary(folder, name).phase == "stopped"


def test_ctrl_c_ends_the_watch_of_a_canary(redis_url: str) -> None:
    many_failed(redis_url, MANY[:100])
    with retrying(redis_url, "payments", "--all", "--yes", "--canary", "10") as process:
        with connect(redis_url) as client:
            soon(lambda: client.llen("bull:payments:wait") == 10)
        process.send_signal(signal.SIGINT)
        done = ended(process)
    assert done.code == 130
    assert "10 of 100 jobs retried, 90 not sent" in done.out
    assert "interrupted" in done.err
    assert places(redis_url) == MANY[:100]


# A journal that can't be written


def _file_in_the_way(state: Path) -> None:
    (state / "qtui").mkdir()
    (state / "qtui" / "journal").write_text("a file")


def _open_to_others(state: Path) -> None:
    (state / "qtui" / "journal").mkdir(parents=True)
    (state / "qtui" / "journal").chmod(0o777)


def _linked(state: Path) -> None:
    (state / "elsewhere").mkdir()
    (state / "qtui").mkdir()
    (state / "qtui" / "journal").symlink_to(state / "elsewhere")


@pytest.mark.parametrize(
    ("trouble", "says"),
    [
        (_file_in_the_way, "part of the path is not a folder"),
        (_open_to_others, "others may write"),
        (_linked, "symbolic link"),
    ],
)
@pytest.mark.parametrize("as_json", [(), ("--json",)])
def test_a_folder_that_cannot_be_used_means_that_nothing_is_retried(
    redis_url: str,
    tmp_path: Path,
    trouble: Callable[[Path], None],
    says: str,
    as_json: tuple[str, ...],
) -> None:
    failed(redis_url, 5)
    trouble(tmp_path)
    before = digest(redis_url)
    done = invoke("--redis", redis_url, "retry", "payments", "--all", "--yes", *as_json)
    assert done.code == 1
    last = done.err.splitlines()[-1]
    assert last.startswith("qtui: nothing was retried: ")
    assert says in last
    assert digest(redis_url) == before


def test_a_read_only_file_system_means_that_nothing_is_retried(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed(redis_url, 5)
    # Nobody, root included, may make a folder there.
    monkeypatch.setenv("XDG_STATE_HOME", "/sys")
    before = digest(redis_url)
    done = invoke("--redis", redis_url, "retry", "payments", "--all", "--yes", "--json")
    assert done.code == 1
    assert len(done.err.splitlines()) == 1
    assert done.err.startswith("qtui: nothing was retried: the journal can't be written to /sys")
    assert digest(redis_url) == before


def test_no_room_at_all_means_that_nothing_is_retried(redis_url: str, folder: Path) -> None:
    failed(redis_url, 5)
    before = digest(redis_url)
    with retrying(redis_url, "payments", "--all", "--yes", "--json", limit=100) as process:
        done = ended(process)
    assert done.code == 1
    assert done.err.startswith("qtui: nothing was retried: the journal can't be written")
    assert "ulimit" in done.err
    assert digest(redis_url) == before
    assert ids(folder) == []


@pytest.mark.parametrize("limit", [900, 40_000, 100_000, 163_840, 200_000, 217_001, 290_000])
@pytest.mark.parametrize("how", [("--all",), ("--filter", "charge"), tuple(MANY)])
def test_no_room_any_more_stops_it_with_a_snapshot_of_all_that_was_retried(
    redis_url: str, folder: Path, limit: int, how: tuple[str, ...]
) -> None:
    many_failed(redis_url, MANY)
    with retrying(redis_url, "payments", *how, "--yes", "--json", limit=limit) as process:
        done = ended(process)
    assert done.code == 1
    assert "Traceback" not in done.err
    assert "can't be written" in done.err
    with connect(redis_url) as client:
        waiting = client.lrange("bull:payments:wait", 0, -1)[::-1]
        left = client.zrange("bull:payments:failed", 0, -1)
    assert waiting + left == MANY
    assert left
    printed = [one["id"] for one in done.objects[:-1]]
    assert printed == waiting
    assert done.summary["retried"] == len(waiting)
    snapshots, coded = set[object](), set[object]()
    for name in ids(folder):
        assert path_of(folder, name).stat().st_size <= limit
        snapshots |= {one["id"] for one in read_lines(folder, name) if one["type"] == "job"}
        coded |= {one["id"] for one in read_lines(folder, name) if one["type"] == "code"}
    assert set(waiting) <= snapshots
    assert coded <= set(waiting)
    if waiting:
        _gone_on_with(redis_url, ids(folder)[0], len(MANY))


def _gone_on_with(url: str, name: str, jobs: int) -> None:
    """With room again the same campaign comes to its end."""
    done = invoke("--redis", url, "retry", "--resume", name, "--json")
    assert (done.code, done.err) == (0, "")
    assert done.summary["selected"] == done.summary["retried"] == jobs
    with connect(url) as client:
        assert client.lrange("bull:payments:wait", 0, -1)[::-1] == MANY


# What is in it


def test_no_password_is_anywhere_in_it(folder: Path) -> None:
    secret = "hunter2secret"
    with start(tcp=True) as server:
        many_failed(server.url, MANY[:20])
        with connect(server.url) as client:
            port = client.config_get("port")["port"]
            everything = {"categories": ["+@all"], "keys": ["*"], "channels": ["*"]}
            for user in ("op", "default"):
                client.acl_setuser(user, enabled=True, passwords=[f"+{secret}"], **everything)
        for who, job_id in ((f"op:{secret}", MANY[0]), (f":{secret}", MANY[1])):
            url = f"redis://{who}@127.0.0.1:{port}"
            done = invoke("--redis", url, "retry", "payments", job_id, "nope", "--yes", "--json")
            assert done.code == 1
            assert secret not in done.out + done.err
    names = ids(folder)
    assert len(names) == 2
    for name in names:
        text = path_of(folder, name).read_text("ascii")
        assert secret not in text
        assert f"127.0.0.1:{port}" in text
    shown = invoke("journal", names[0])
    assert shown.code == 0
    assert secret not in shown.out


def test_it_says_how_it_was_begun(redis_url: str, folder: Path) -> None:
    many_failed(redis_url, MANY[:60])
    words = ["--filter", 'error:"Time out" | id=1000', "--reset-attempts-made", "--rate", "500"]
    assert invoke("--redis", redis_url, "retry", "payments", *words, "--yes").code == 0
    [name] = ids(folder)
    header = summary(folder, name).header
    assert header.how.startswith("qtui retry payments --filter 'error:\"Time out\" | id=1000'")
    assert "--reset-attempts-made" in header.how
    assert header.pace["rate"] == 500
    assert header.resets == {"made": True, "started": False}
    assert header.pid == os.getpid()
    assert header.where == f"unix://{redis_url.removeprefix('unix://')}"


# Going on


def test_one_that_was_killed_is_resumed(redis_url: str, folder: Path) -> None:
    many_failed(redis_url, MANY)
    with retrying(redis_url, "payments", "--all", "--yes", "--json") as process:
        assert process.stdout is not None
        printed = [json.loads(process.stdout.readline())]
        process.kill()
        printed += [json.loads(one) for one in process.stdout if one.endswith("}\n")]
        process.wait(PATIENCE)
    [name] = ids(folder)
    assert summary(folder, name).unfinished
    listed = invoke("journal")
    assert name in listed.out
    assert "unfinished" in listed.out
    _gone_on_with(redis_url, name[-4:], len(MANY))
    again = invoke("--redis", redis_url, "retry", "--resume", name)
    assert (again.code, again.out) == (1, "")
    assert again.err == f"qtui: {name} is complete: every job has a result\n"
    assert {one["code"] for one in printed} == {1}


@pytest.mark.slow
@pytest.mark.parametrize("as_json", [(), ("--json",)])
def test_jobs_that_left_their_state_before_their_turn_are_counted(
    redis_url: str, folder: Path, as_json: tuple[str, ...]
) -> None:
    many_failed(redis_url, [str(number) for number in range(10_000, 18_000)])
    how = ("payments", "--all", "--yes", *as_json, "--max-waiting", "200")
    with retrying(redis_url, *how) as process:
        with connect(redis_url) as client:
            soon(lambda: client.llen("bull:payments:wait") == 200)
            client.delete("bull:payments:failed")
            client.delete("bull:payments:wait")
        done = ended(process)
    [name] = ids(folder)
    left = 8000 - sum(summary(folder, name).codes.values())
    assert left > 0
    assert done.code == 1
    if as_json:
        assert (done.summary["retried"], done.summary["left"]) == (200, left)
    else:
        assert "200 of 8,000 jobs retried, " in done.out
        assert f", {left:,} left failed before their turn\n" in done.out
    again = invoke("--redis", redis_url, "retry", "--resume", name)
    assert (again.code, again.out) == (1, "")
    words = f"{left:,} jobs left failed before their turn"
    assert again.err == f"qtui: {name} is complete: {words}\n"
    assert f"{left:,} jobs left failed before their turn" in invoke("journal", name).out


@pytest.mark.slow
def test_of_two_at_a_time_the_second_is_refused(redis_url: str, folder: Path) -> None:
    many_failed(redis_url, MANY[:50])
    how = ("payments", "--all", "--yes", "--rate", "2")
    with retrying(redis_url, *how) as process:
        with connect(redis_url) as client:
            soon(lambda: client.llen("bull:payments:wait"))
        [name] = ids(folder)
        second = invoke("--redis", redis_url, "retry", "--resume", name)
        assert second.code == 1
        assert second.err == f"qtui: {name} is still running (pid {process.pid})\n"
        process.send_signal(signal.SIGINT)
        assert ended(process).code == 130


def test_on_another_server_it_is_refused(
    redis_url: str, folder: Path, server: EmbeddedServer
) -> None:
    many_failed(redis_url, MANY[:50])
    how = ("--all", "--yes", "--canary", "5", "--canary-time", "0.1")
    assert invoke("--redis", redis_url, "retry", "payments", *how).code == 1
    [name] = ids(folder)
    with start() as other:
        refused = invoke("--redis", other.url, "retry", "--resume", name)
        with connect(other.url) as client:
            assert client.dbsize() == 0
    assert refused.code == 1
    doubt = f"qtui: {name} ran on {server.url}: connect there to resume it, or pass --yes if"
    assert refused.err == f"{doubt} {other.url} has the same data\n"
    assert summary(folder, name).phase == "stopped"


def test_read_only_refuses_to_resume(redis_url: str, folder: Path) -> None:
    many_failed(redis_url, MANY[:50])
    how = ("--all", "--yes", "--canary", "5", "--canary-time", "0.1")
    assert invoke("--redis", redis_url, "retry", "payments", *how).code == 1
    [name] = ids(folder)
    before, journal = digest(redis_url), path_of(folder, name).read_bytes()
    assert invoke("--redis", redis_url, "--read-only", "retry", "--resume", name).code == 4
    assert (digest(redis_url), path_of(folder, name).read_bytes()) == (before, journal)
