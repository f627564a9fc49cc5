"""Whose queue it is, with its keys deleted or evicted: every command gives the same answer."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

import pytest

from qtui.bullmq.codes import Code
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState, Kind
from qtui.demo.server import EmbeddedServer
from qtui.operations.planning.plan import make_plan
from qtui.operations.supply.selection import query
from tests.cli.stage import Outcome, invoke
from tests.oracle.releases import bull_command
from tests.oracle.stage import Side, Stage, job
from tests.patience import PATIENCE
from tests.servers import connect

LOST = [["meta", "events"], ["meta", "events", "id", "marker", "stalled"]]


@pytest.fixture(autouse=True)
def _journal_elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(tmp_path))


def _kind_on_screen(server: EmbeddedServer, side: Side) -> tuple[Kind, int]:
    """The kind in the plan that the screen shows, and how many jobs it would retry."""

    async def read() -> tuple[Kind, int]:
        async with connect(server, db=side.database) as client:
            queue = QueueKey.of("bull", side.queue)
            plan = await make_plan(client, await query(client, queue, JobState.FAILED))
            return plan.status.kind, plan.count(Code.DONE)

    return asyncio.run(read())


def _kinds(server: EmbeddedServer, side: Side, jobs: int) -> set[bool]:
    """What each place says of whether the queue's failed jobs may be retried."""

    def qtui(*words: str) -> Outcome:
        return invoke("--redis", f"unix://{server.path}?db={side.database}", *words)

    kind, planned = _kind_on_screen(server, side)
    assert planned == (jobs if kind is Kind.BULLMQ else 0)
    answers = {kind is Kind.BULLMQ}
    listed = qtui("queues", "--json").objects
    answers |= {one["kind"] == "BullMQ" for one in listed if one["name"] == side.queue}
    dry = qtui("retry", side.queue, "--all", "--dry-run", "--json")
    if dry.code == 2:  # nothing is left by which it could be found
        assert kind is not Kind.BULLMQ
        return answers
    answers.add(dry.code == 0)
    done = qtui("retry", side.queue, "--all", "--yes", "--json")
    answers.add(done.code == 0)
    if dry.code == 0:
        assert (dry.summary["codes"]["1"], done.summary["retried"]) == (jobs, jobs)
    return answers


def test_the_list_of_queues_names_the_release_that_runs_one(
    stage: Stage, oracle_server: EmbeddedServer
) -> None:
    """A 4.x queue in which nothing prioritized waits may read like one of 3.x: no key differs."""
    stage.official.seed([job("a"), job("b"), job("c", "ok")])
    url = f"unix://{oracle_server.path}?db={stage.official.database}"
    shown = invoke("--redis", url, "queues").out.splitlines()
    [words] = [
        line.rpartition("run by BullMQ ")[2]
        for line in shown
        if line.split()[0] == stage.official.queue
    ]
    major = stage.release.speaks[0]
    assert (
        words
        in {
            **{key: {"1.x-3.x"} for key in (1, 2, 3)},
            4: {"4.x", "1.x-3.x"},
            5: {"5.x", "5.x or 6.x"},
            6: {"6.x", "5.x or 6.x"},
        }[major]
    )


@pytest.mark.parametrize("lost", LOST, ids="-".join)
@pytest.mark.releases(since="5.0.0")
def test_a_queue_of_5_or_6_is_known_by_its_jobs(
    stage: Stage, oracle_server: EmbeddedServer, lost: list[str]
) -> None:
    ids = stage.official.seed([job("a"), job("b"), job("c", "ok")])[:2]
    stage.copy()
    stage.ours.client.delete(*map(stage.ours.key, lost))
    assert _kinds(oracle_server, stage.ours, len(ids)) == {True}


@pytest.mark.parametrize("lost", [["meta"], ["events"], LOST[0]], ids="-".join)
@pytest.mark.releases(before="5.0.0")
def test_of_an_older_queue_every_place_says_the_same(
    stage: Stage, oracle_server: EmbeddedServer, lost: list[str]
) -> None:
    """Without meta and events it looks like one of Bull's; with one of them it is known.

    Opening a Queue once writes meta again, which is the way out that is named.
    """
    ids = stage.official.seed([job("a"), job("b")])
    stage.copy()
    stage.ours.client.delete(*map(stage.ours.key, lost))
    known = not {"meta", "events"} <= set(lost)
    assert _kinds(oracle_server, stage.ours, len(ids)) == {known}
    if not known:
        stage.ours.other(stage.ours._driver, stage.release).run("close")
        stage.ours.open()
        assert _kinds(oracle_server, stage.ours, len(ids)) == {True}


@pytest.mark.parametrize(
    ("lost", "paused"), [([], ["paused"]), (LOST[1], [])], ids=["paused", "keys-lost"]
)
def test_a_queue_of_bull_4_is_refused_everywhere(
    bare_stage: Stage, oracle_server: EmbeddedServer, lost: list[str], paused: list[str]
) -> None:
    subprocess.run(
        [*bull_command(), oracle_server.path, "1", *paused], check=True, timeout=PATIENCE
    )
    if lost:
        bare_stage.ours.client.delete(*map(bare_stage.ours.key, lost))
    before = bare_stage.ours.snapshot()
    assert _kinds(oracle_server, bare_stage.ours, 2) == {False}
    assert bare_stage.ours.snapshot() == before
