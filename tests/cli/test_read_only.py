"""In read-only mode every command that may change something ends with 4, and changes nothing."""

from __future__ import annotations

import click
import pytest

from qtui.cli import main
from tests.cli.stage import connect, digest, failed, invoke

WRITES: dict[str, tuple[str, ...]] = {
    "retry": ("payments", "--all"),
    "promote": ("payments", "--all"),
    "remove": ("payments", "--all", "--state", "failed"),
    "edit": ("payments", "1", "--data", "[7]"),
    "add": ("payments", "new"),
    "duplicate": ("payments", "1"),
    "pause": ("payments",),
    "resume": ("payments",),
    "limits": ("payments", "--concurrency", "3"),
    "schedulers": ("payments", "s", "--remove"),
    "obliterate": ("payments",),
    "flow": ("payments", "1", "--rerun", "failure"),
    "undo": (),
    "doctor": ("payments", "--fix"),
}
"""By command, arguments with which it would change the queue."""

OF_THE_JOURNAL = {"journal"}
"""Commands that ask before they delete files, and change nothing in Redis."""


def _asking() -> set[str]:
    """The commands that ask before they change something, by their option ``--yes``."""
    assert isinstance(main, click.Group)
    context = click.Context(main)
    found = {name: main.get_command(context, name) for name in main.list_commands(context)}
    return {
        name
        for name, command in found.items()
        if command is not None and any("--yes" in one.opts for one in command.params)
    }


def test_no_command_that_writes_is_forgotten_here() -> None:
    assert _asking() - OF_THE_JOURNAL == set(WRITES)


@pytest.mark.parametrize("name", WRITES)
def test_it_refuses_and_sends_no_write(redis_url: str, name: str) -> None:
    failed(redis_url, 1)
    invoke("--redis", redis_url, "limits", "payments", "--concurrency", "1", "--yes")
    with connect(redis_url) as client:
        client.delete("bull:payments:stalled-check")  # it would expire meanwhile
        client.set("bull:payments:de:order-1", "gone")  # a fault for the doctor
        before = digest(redis_url)
        client.config_resetstat()
        done = invoke("--redis", redis_url, "--read-only", name, *WRITES[name], "--yes")
        sent = client.info("commandstats")
    assert done.code == 4, done
    assert "read-only" in done.err
    assert not [one for one in sent if one.startswith(("cmdstat_eval", "cmdstat_script"))], sent
    assert digest(redis_url) == before
    tried = invoke("--redis", redis_url, name, *WRITES[name], "--dry-run")
    assert tried.code in (0, 1), tried
    assert digest(redis_url) == before
