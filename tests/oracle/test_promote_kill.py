"""kill -9 at random moments while jobs are promoted and promotions taken back; resume each."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from typing import Final

import pytest

from qtui.bullmq.codes import Code
from qtui.demo.server import EmbeddedServer
from qtui.operations.journal.reading import summary
from tests.oracle.conftest import Drivers
from tests.oracle.plugin import OPTION
from tests.oracle.releases import named
from tests.oracle.stage import Side, Stage, job
from tests.oracle.test_kill import Storm
from tests.oracle.test_unretry import kept

_HOUR: Final = 3_600_000


def _storm(side: Side, url: str, folder: Path, verb: str, *words: str) -> Storm:
    chance = random.Random(f"{side.release.name} {verb}")
    return Storm(side, url, folder, (*words, "--yes"), chance, verb=verb, writing=0.2)


def _carried_out(storm: Storm, jobs: int, kills: int) -> str:
    """A campaign that is killed and resumed until each of its jobs is done; its id."""
    campaign = storm.campaign(kills)
    found = summary(storm.folder, campaign)
    assert (found.phase, found.jobs) == ("done", jobs)
    assert {code: many for code, many in found.codes.items() if many} == {Code.DONE: jobs}
    return campaign


@pytest.mark.parametrize(
    ("bullmq", "oracle_server"),
    [("4.18.3", "redis"), ("5.81.5", "redis"), ("6.7.0", "valkey")],
    indirect=["oracle_server"],
)
def test_killed_and_resumed_promotions_run_each_job_once_and_their_undo_brings_all_back(
    oracle_server: EmbeddedServer,
    drivers: Drivers,
    bullmq: str,
    tmp_path: Path,
    pytestconfig: pytest.Config,
) -> None:
    whole = pytestconfig.getoption(OPTION, default=None) == "all"
    jobs, kills = (3000, 12) if whole else (400, 2)
    release = named(bullmq)
    side = Stage(oracle_server, drivers.get(release), release).ours
    side.client.flushall()
    side.seed([job("ran", "ok")])
    side.client.delete(side.key("stalled-check"))  # it would expire some time
    delayed = [job("later", "ok", delay=_HOUR, priority=at % 3) for at in range(jobs)]
    ids: list[str] = side.run("add", jobs=delayed)
    url = f"unix://{oracle_server.path}?db={side.database}"
    side.run("pause")
    before = kept(side.snapshot())
    promotion = _carried_out(_storm(side, url, tmp_path, "promote", "q", "--all"), jobs, kills)
    assert side.members("delayed") == []
    _carried_out(_storm(side, url, tmp_path, "undo", promotion), jobs, kills)
    assert kept(side.snapshot()) == before
    side.run("resume")
    with side.worker("ok", concurrency=10) as worker:
        _carried_out(_storm(side, url, tmp_path, "promote", "q", "--all"), jobs, kills)
        worker.until(ends=jobs)
        side.await_idle()
        runs = Counter(worker.until())
    assert runs == dict.fromkeys(ids, 1)
    side.assert_each_in_one_place()
