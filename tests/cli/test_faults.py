"""Whatever goes wrong with Redis is one line on stderr, without a password, and an exit code."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from qtui.bullmq.connection.client import Client
from qtui.commands.shared.run import Flags
from qtui.commands.shared.run import run as run_here
from qtui.demo.server import EmbeddedServer
from tests import servers
from tests.cli.stage import Outcome, command, connect, digest, failed, invoke, run

SECRET = "geheim-7f3a"

Guest = Callable[[str], str]

COMMANDS = [
    ("queues",),
    ("jobs", "payments"),
    ("show", "payments", "1"),
    ("retry", "payments", "1", "--yes"),
    ("retry", "payments", "1", "--dry-run"),
]

every_command = pytest.mark.parametrize("args", COMMANDS, ids=" ".join)


def said(done: Outcome, code: int) -> str:
    """The one line that a command said, if that was all."""
    assert done.code == code
    assert done.out == ""
    assert done.err.startswith("qtui: ")
    assert done.err.endswith("\n")
    assert done.err.count("\n") == 1
    assert SECRET not in done.err
    return done.err


@pytest.fixture(scope="module")
def locked() -> Iterator[EmbeddedServer]:
    """A server that wants a password."""
    with servers.start() as server:
        with connect(server.url) as client:
            client.config_set("requirepass", SECRET)
        yield server


@pytest.fixture
def guest(server: EmbeddedServer) -> Iterator[Guest]:
    """Gives a guest the rules of an ACL; the address at which qtui comes as this guest."""
    with connect(server.url) as client:

        def allow(rules: str) -> str:
            words = ("guest", "reset", "on", f">{SECRET}", *rules.split())
            client.execute_command("ACL", "SETUSER", *words)
            return f"unix://guest:{SECRET}@{server.path}"

        yield allow
        client.acl_deluser("guest")


@every_command
def test_a_dead_host(args: tuple[str, ...]) -> None:
    url = f"redis://:{SECRET}@127.0.0.1:{servers.free_port()}"
    assert "refused the connection" in said(invoke("--redis", url, *args), 3)


@every_command
def test_a_wrong_password(locked: EmbeddedServer, args: tuple[str, ...]) -> None:
    url = f"unix://:{SECRET}-wrong@{locked.path}"
    assert "refused the user name or the password" in said(invoke("--redis", url, *args), 3)


@every_command
def test_no_password_where_one_is_wanted(locked: EmbeddedServer, args: tuple[str, ...]) -> None:
    assert "wants a password" in said(invoke("--redis", locked.url, *args), 3)


def test_the_right_password(locked: EmbeddedServer) -> None:
    assert invoke("--redis", f"unix://:{SECRET}@{locked.path}", "queues").code == 0


@pytest.mark.parametrize(
    "url",
    [
        f"http://{SECRET}@host",
        f"redis://:{SECRET}/x@host",
        f"redis://host:{SECRET}",
        f"redis://host/0?pasword={SECRET}",
    ],
)
def test_a_url_that_is_none(url: str) -> None:
    said(invoke("--redis", url, "queues"), 2)


def test_a_server_that_is_no_redis(tmp_path: Path) -> None:
    assert "is not there" in said(invoke("--redis", f"unix://{tmp_path}/none.sock", "queues"), 3)


@every_command
def test_a_user_who_may_not_touch_the_keys(
    server: EmbeddedServer, guest: Guest, args: tuple[str, ...]
) -> None:
    failed(server.url, 1)
    url = guest("+@all ~other:*")
    assert "does not let this user touch these keys" in said(invoke("--redis", url, *args), 3)


@every_command
def test_a_user_who_may_not_run_the_reads(
    server: EmbeddedServer, guest: Guest, args: tuple[str, ...]
) -> None:
    failed(server.url, 1)
    for rules in ("+ping +info +scan ~bull:*", "+@all -hmget ~bull:*"):
        url = guest(rules)
        assert "does not let this user run" in said(invoke("--redis", url, *args), 3)


@every_command
def test_a_user_who_may_see_one_queue_only(
    server: EmbeddedServer, guest: Guest, args: tuple[str, ...]
) -> None:
    failed(server.url, 1, name="emails")
    failed(server.url, 1, name="payments")
    url = guest("+@all ~bull:payments:*")
    done = invoke("--redis", url, *args, "--json")
    assert (done.code, len(done.objects)) == (0, 2 if args[0] == "retry" else 1)
    if args[0] == "queues":
        assert "the ACL hides the queue bull:emails from this user" in done.err
    else:
        assert done.err == ""
        said(invoke("--redis", url, args[0], "emails", *args[2:]), 3)


def test_commands_have_a_connection_that_refuses_writes_in_every_mode(redis_url: str) -> None:
    async def write(client: Client) -> int:
        await client.execute_command("SET", "key", "value")
        return 0

    before = digest(redis_url)
    assert run_here(Flags(redis=redis_url), lambda place: place.ask(write)) == 4
    assert digest(redis_url) == before


def test_a_user_who_may_only_read_reads_all_and_writes_nothing(
    server: EmbeddedServer, guest: Guest
) -> None:
    failed(server.url, 2)
    url = guest("+@read +ping +info +client|list ~bull:*")
    before = digest(server.url)
    for args in COMMANDS[:3]:
        done = invoke("--redis", url, *args)
        assert (done.code, done.err) == (0, "")
    assert invoke("--redis", url, *COMMANDS[4]).code == 0
    done = invoke("--redis", url, "retry", "payments", "1", "2", "--yes", "--json")
    assert done.code == 3
    assert done.summary == {
        "selected": 2,
        "retried": 0,
        "codes": {"1": 0, "-1": 0, "-3": 0},
        "journal": done.summary["journal"],
    }
    # What was about to be sent, and why it was not, is on record.
    line = invoke("journal", "--json").objects[0]
    assert (line["id"], line["phase"]) == (done.summary["journal"], "stopped")
    assert line["note"]
    assert "does not let this user run EVAL" in done.err
    assert digest(server.url) == before


@pytest.mark.parametrize(("rule", "missing"), [("-zrem", "ZREM"), ("-lpush", "LPUSH")])
def test_a_user_who_may_not_move_jobs_resumes_when_allowed_to(
    server: EmbeddedServer, guest: Guest, rule: str, missing: str
) -> None:
    failed(server.url, 2)
    url = guest(f"+@all {rule} ~bull:*")
    before = digest(server.url)
    done = invoke("--redis", url, "retry", "payments", "1", "2", "--yes", "--json")
    assert (done.code, done.summary["retried"]) == (3, 0)
    assert done.summary["codes"] == {"1": 0, "-1": 0, "-3": 0}
    name = done.summary["journal"]
    why = f"stopped: the ACL of Redis does not let this user run {missing}"
    assert done.err == f"qtui: {why}: qtui retry --resume {name} does the rest\n"
    assert digest(server.url) == before
    guest("+@all ~bull:*")
    again = invoke("--redis", url, "retry", "--resume", name, "--json")
    assert (again.code, again.summary["retried"]) == (0, 2)


def test_workers_that_may_not_be_listed_are_unknown(server: EmbeddedServer, guest: Guest) -> None:
    failed(server.url, 1)
    url = guest("+@read +ping ~bull:*")
    [queue] = invoke("--redis", url, "queues", "--json").objects
    assert queue["workers"] is None


def test_a_settings_file_that_cannot_be_used(tmp_path: Path) -> None:
    path = tmp_path / "qtui.toml"
    for text in ("refresh = [broken", "refrsh = 2", 'redis = "${NOT_SET}"'):
        path.write_text(text)
        assert str(path) in said(invoke("--config", str(path), "queues"), 2)
    said(invoke("--refresh", "0.01", "queues"), 2)
    said(invoke("--profile", "nowhere", "queues"), 2)


def test_the_settings_file_is_used(redis_url: str, tmp_path: Path) -> None:
    failed(redis_url, 1)
    path = tmp_path / "qtui.toml"
    path.write_text(f'[profiles.prod]\nredis = "{redis_url}"\nread-only = true\n')
    prod = ("--config", str(path), "--profile", "prod")
    assert invoke(*prod, "jobs", "payments").code == 0
    said(invoke(*prod, "retry", "payments", "1", "--yes"), 4)


@pytest.mark.parametrize("option", ["--redis", "--prefix", "--queue", "--profile", "--config"])
def test_an_option_that_is_given_empty_is_not_the_default(option: str) -> None:
    done = invoke(option, "", "queues")
    assert (done.code, done.out) == (2, "")
    assert "is empty" in done.err


def test_demo_and_another_redis_do_not_go_together() -> None:
    done = invoke("--demo", "--redis", "redis://localhost", "queues")
    assert (done.code, done.out) == (2, "")


def test_a_process_of_its_own_says_the_same() -> None:
    url = f"redis://:{SECRET}@127.0.0.1:{servers.free_port()}"
    said(run("queues", environ={"REDIS_URL": url}), 3)
    said(run("--redis", url), 2)


@pytest.mark.parametrize("args", [("queues",), ("jobs", "payments", "--json")], ids=" ".join)
def test_a_full_disk_is_said(redis_url: str, args: tuple[str, ...]) -> None:
    failed(redis_url, 1)
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            command("--redis", redis_url, *args), stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert done.returncode == 1
    assert done.stderr == b"qtui: cannot write: No space left on device\n"


def test_streams_that_were_closed_from_the_start_are_no_fault(redis_url: str) -> None:
    failed(redis_url, 1)
    words = " ".join(str(word) for word in command("--redis", redis_url, "queues"))
    done = subprocess.run(["sh", "-c", f"{words} <&- >&- 2>&-"], capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
