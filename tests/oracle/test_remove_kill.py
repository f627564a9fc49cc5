"""kill -9 at random moments while jobs are removed and workers run others; resume, then undo."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from qtui.bullmq.codes import Code
from qtui.demo.server import EmbeddedServer
from qtui.operations.journal.reading import summary
from tests.oracle.conftest import Drivers
from tests.oracle.keyspace import Value
from tests.oracle.plugin import OPTION
from tests.oracle.releases import named
from tests.oracle.stage import Side, Stage, job
from tests.oracle.test_kill import Storm
from tests.patience import PATIENCE

_ROOT: Final = Path(__file__).parents[2]


def _of(keyspace: dict[str, Value], ids: list[str]) -> dict[str, Value]:
    """The keys of these jobs."""
    return {key: keyspace[f"bull:q:{key}"] for key in ids}


def _undo(storm: Storm, campaign: str) -> None:
    environ = {**os.environ, "XDG_STATE_HOME": str(storm.state), "PYTHONPATH": str(_ROOT)}
    command = [sys.executable, "-m", "qtui.cli", "--redis", storm.url, "undo", campaign, "--yes"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr


def _seed(side: Side, jobs: int, state: str) -> list[str]:
    side.open()
    if state == "failed":
        return side.seed([job("poison") for _ in range(jobs)], concurrency=20)
    added: list[str] = side.run("add", jobs=[job("poison") for _ in range(jobs)])
    return added


@pytest.mark.parametrize(
    ("bullmq", "oracle_server", "state"),
    [("5.81.5", "redis", "failed"), ("6.7.0", "valkey", "waiting")],
    indirect=["oracle_server"],
)
def test_killed_at_any_moment_and_resumed_every_job_goes_and_an_undo_brings_all_back(
    oracle_server: EmbeddedServer,
    drivers: Drivers,
    bullmq: str,
    state: str,
    tmp_path: Path,
    pytestconfig: pytest.Config,
) -> None:
    whole = pytestconfig.getoption(OPTION, default=None) == "all"
    jobs, kills = (5000, 50) if whole else (600, 2)
    release = named(bullmq)
    side = Stage(oracle_server, drivers.get(release), release).ours
    side.client.flushall()
    ids = _seed(side, jobs, state)
    place = "failed" if state == "failed" else "wait"
    before, order = _of(side.snapshot(), ids), side.members(place)
    storm = Storm(
        side,
        f"unix://{oracle_server.path}?db={side.database}",
        tmp_path,
        ("q", "--all", "--state", state, "--yes"),
        random.Random(bullmq),
        verb="remove",
        writing=1.0 if whole else 0.2,
    )
    others = 0
    while storm.kills < kills:
        if state == "failed":
            with side.worker("ok", concurrency=5) as worker:
                added = side.run("add", jobs=[job("other") for _ in range(50)])
                campaign = storm.campaign(kills - storm.kills)
                worker.until(ends=len(added))
                others += len(added)
        else:
            campaign = storm.campaign(kills - storm.kills)
        found = summary(storm.folder, campaign)
        assert (found.phase, found.jobs) == ("done", jobs)
        assert {code: many for code, many in found.codes.items() if many} == {Code.DONE: jobs}
        assert side.client.exists(*map(side.key, ids)) == 0
        assert side.members(place) == []
        assert len(side.members("completed")) == others
        _undo(storm, campaign)
        assert _of(side.snapshot(), ids) == before
        assert side.members(place) == order
    side.assert_each_in_one_place()
    if whole:
        print(f"{bullmq} {state}: {storm.kills} kills, at {storm.moments}")
        assert any(0 < removed < jobs for removed, _ in storm.moments), storm.moments
