"""Words in the wrong place, helps at 80 columns, completion and versions."""

from __future__ import annotations

import os
import subprocess
import sys

import click
import pytest
from rich.cells import cell_len

from qtui import RELEASES, __version__
from qtui.cli import main
from tests.cli.stage import command, failed, invoke, run
from tests.oracle.releases import releases
from tests.patience import PATIENCE

COMMANDS = ["", *main.commands]


@pytest.mark.parametrize("name", COMMANDS)
def test_a_help_fits_a_terminal_of_80_columns_and_is_not_cut(name: str) -> None:
    shown = run(*filter(None, [name]), "--help", environ={"COLUMNS": "80"}).out
    assert shown.startswith("Usage: qtui")
    for line in shown.splitlines():
        assert cell_len(line) <= 80, line
        assert line.startswith("Usage") or not line.endswith("..."), line
        assert line == line.rstrip()


def test_every_option_is_explained() -> None:
    for name in COMMANDS:
        one = main.commands[name] if name else main
        for option in one.params:
            assert not isinstance(option, click.Option) or option.help, (name, option.name)


def test_the_version_names_the_releases_it_is_tested_with() -> None:
    first, second = invoke("--version").out.splitlines()
    assert first == f"qtui {__version__}"
    assert second == f"tested with {RELEASES}"
    named = RELEASES.removeprefix("BullMQ for Node.js ").replace("; for Python ", ", ").split(", ")
    tested = [one.name.removeprefix("python-") for one in releases("all")]
    assert sorted(named) == sorted(tested)


def test_the_manual_has_every_command_and_option() -> None:
    page = invoke("man").out.replace("\\-", "-")
    for name in COMMANDS:
        one = main.commands[name] if name else main
        assert not name or f".SS qtui {name}" in page
        for option in one.params:
            assert not isinstance(option, click.Option) or option.opts[0] in page
    checked = subprocess.run(
        ["groff", "-man", "-ww", "-z"],
        input=invoke("man").raw_out,
        capture_output=True,
        check=True,
        timeout=PATIENCE,
    )
    assert checked.stderr == b""


def test_it_runs_as_a_module() -> None:
    words = [sys.executable, "-m", "qtui", "--version"]
    done = subprocess.run(words, capture_output=True, check=True, timeout=PATIENCE, text=True)
    assert done.stdout.startswith(f"qtui {__version__}\n")


def test_an_address_in_front_is_understood(redis_url: str) -> None:
    failed(redis_url, 1)
    listed = invoke(redis_url, "queues", "--json")
    assert [one["name"] for one in listed.objects] == ["payments"]
    assert invoke("--read-only", redis_url, "queues", "--json").objects == listed.objects
    twice = invoke("--redis", redis_url, redis_url, "queues")
    assert (twice.code, "two addresses" in twice.err) == (2, True)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["queues", "redis://u:SECRET@h:1"], "an address goes before the command"),
        (["jobs", "rediss://u:SECRET@h:1"], "an address goes before the command"),
        (["show", "q", "valkey://u:SECRET@h:1"], "an address goes before the command"),
        (["queues", "--redis", "redis://u:SECRET@h:1"], "an address goes before the command"),
        (["queues", "--redis=redis://u:SECRET@h"], "an address goes before the command"),
        (["jobs", "q", "--read-only"], "--read-only goes before the command"),
        (["jobs", "q", "--prefix", "x"], "--prefix goes before the command"),
        (["--json", "queues"], "--json goes after a command"),
        (["-h", "localhost", "-p", "6379"], "write the address as one URL"),
        (["-a", "SECRET", "queues"], "write the address as one URL"),
        (["http://u:SECRET@h:1", "queues"], "the Redis URL must start with redis://"),
        (["redi://u:SECRET@h:1", "queues"], "did you mean redis://?"),
        (["sentinels://u:SECRET@h:1", "queues"], "the Redis URL must start with redis://"),
        (["u:SECRET@h:x", "queues"], "or be host:port"),
        (["--redis", "6379", "queues"], "a port alone is not an address"),
    ],
)
def test_a_wrong_form_of_an_address_is_answered_without_its_password(
    words: list[str], line: str
) -> None:
    done = invoke(*words)
    assert done.code == 2
    assert line in done.err
    assert "SECRET" not in done.err + done.out


def test_without_an_address_the_ways_to_one_are_named() -> None:
    # Nothing listens on the port of the default in a network namespace of its own.
    alone = subprocess.run(
        ["unshare", "-Un", *command("queues")],
        capture_output=True,
        env={**os.environ},
        timeout=PATIENCE,
        check=False,
    )
    said = alone.stderr.decode()
    assert alone.returncode == 3
    assert "No address was given: --redis URL" in said
    assert "--demo" in said
    named = run("--redis", "redis://127.0.0.1:1", "queues")
    assert "No address" not in named.err


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_completion_script_asks_qtui_for_completions(shell: str) -> None:
    script = invoke("completion", shell).out
    assert "_QTUI_COMPLETE=" in script
    assert f"{shell}_complete" in script


def test_bash_completes_commands_options_values_and_retries() -> None:
    def completed(line: str) -> set[str]:
        words = {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split(" ")) - 1)}
        asked = run(environ={"_QTUI_COMPLETE": "bash_complete", **words})
        return {found.partition(",")[2] for found in asked.out.splitlines()}

    assert completed("qtui retr") == {"retry"}
    assert "--dry-run" in completed("qtui retry q --d")
    assert {"failed", "all"} <= completed("qtui jobs q --state ")
    sourced = subprocess.run(
        ["bash", "-c", 'eval "$(cat)" && complete -p qtui'],
        input=invoke("completion", "bash").raw_out,
        capture_output=True,
        check=True,
        timeout=PATIENCE,
    )
    assert b"_qtui_completion" in sourced.stdout
