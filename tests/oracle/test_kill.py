"""kill -9 at random moments while workers of a real release run what is retried; resume each.

By default 600 jobs and a few moments; with `--oracle-releases=all` 5,000 jobs and 200 moments.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest

from qtui.bullmq.codes import Code
from qtui.demo.server import EmbeddedServer
from qtui.operations.journal.reading import ids, path_of, progress_of, summary
from tests.oracle.conftest import Drivers
from tests.oracle.keyspace import copy
from tests.oracle.plugin import OPTION
from tests.oracle.releases import named
from tests.oracle.stage import Side, Stage, job, wait_for
from tests.patience import PATIENCE

_ROOT: Final = Path(__file__).parents[2]
_MOST_KILLS: Final = 12
"""Of one campaign; then it is let be."""
_EARLY: Final = 0.1
"""Share of the moments that lie anywhere from the start of the process on."""

_NOTHING_SENT: Final = ("cut off before it sent anything", "is not the journal of a campaign")


@dataclass
class Storm:
    """Campaigns in processes of their own, killed again and again until they are done."""

    side: Side
    url: str
    state: Path
    begin: tuple[str, ...]
    """The command that begins a campaign."""
    chance: random.Random
    verb: str = "retry"
    life: float = 1.0
    """Seconds that a campaign takes that is not killed; `writing` of them it has a journal."""
    writing: float = 1.0
    kills: int = 0
    moments: list[tuple[int, int]] = field(default_factory=list)
    """At each kill with a journal: jobs that had a code, and jobs in doubt."""

    @property
    def folder(self) -> Path:
        """Where its journals are."""
        return self.state / "qtui" / "journal"

    def campaign(self, kills: int) -> str:
        """One campaign, killed this many times at most; its id."""
        known, current, left = set(ids(self.folder)), "", kills
        while True:
            process = self._start(("--resume", current) if current else self.begin)
            if left and self._kill(process):
                left -= 1
                self.kills += 1
            code = process.wait(PATIENCE)
            said = (self.state / "err").read_text("utf-8")
            assert "Traceback" not in said
            new = set(ids(self.folder)) - known
            if code == 0 or (code == 1 and current and "is complete" in said):
                [current] = new
                return current
            if code == 1 and any(words in said for words in _NOTHING_SENT):
                known, current = known | new, ""
                continue
            assert code == -9, said
            current = self._left_behind(new)

    def _start(self, words: tuple[str, ...]) -> subprocess.Popen[bytes]:
        environ = {**os.environ, "XDG_STATE_HOME": str(self.state), "PYTHONPATH": str(_ROOT)}
        command = [sys.executable, "-m", "qtui.cli", "--redis", self.url, self.verb, *words]
        with open(self.state / "out", "wb") as out, open(self.state / "err", "wb") as err:
            return subprocess.Popen(
                [*command, "--json"], stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=environ
            )

    def _kill(self, process: subprocess.Popen[bytes]) -> bool:
        """Whether it was alive still when its moment had come."""
        moment = self.chance.uniform(0, self.life)
        if self.chance.random() >= _EARLY:
            before = self._written()
            wait_for(
                lambda: self._written() != before or process.poll() is not None, "a first line"
            )
            moment = self.chance.uniform(0, self.writing)
        try:
            process.wait(moment)
        except subprocess.TimeoutExpired:
            process.kill()
            return True
        return False

    def _written(self) -> int:
        return sum(path_of(self.folder, one).stat().st_size for one in ids(self.folder))

    def _left_behind(self, new: set[str]) -> str:
        """The campaign to resume; none where the process died before it had one."""
        if not new:
            return ""
        [current] = new
        if path_of(self.folder, current).stat().st_size:
            found = summary(self.folder, current)
            if found.jobs:
                doubtful = len(progress_of(self.folder, current).doubtful)
                self.moments.append((found.codes.get(Code.DONE, 0), doubtful))
        return current

    def measure(self) -> None:
        """How long a campaign takes that is not killed."""
        began = time.monotonic()
        process = self._start(self.begin)
        wait_for(lambda: self._written() > 0 or process.poll() is not None, "a journal")
        wrote = time.monotonic()
        code = process.wait(PATIENCE)
        assert code == 0, (self.state / "err").read_text("utf-8")
        self.life, self.writing = time.monotonic() - began, time.monotonic() - wrote


def _seed(side: Side, jobs: int) -> list[str]:
    """Jobs that failed once; the even ones will complete when they run again."""
    found = side.seed([job("charge") for _ in range(jobs)], concurrency=20)
    with side.client.pipeline(transaction=False) as pipe:
        for id in found[::2]:
            pipe.hset(side.key(id), "data", '{"outcome": "ok"}')
        pipe.execute()
    return found


def _weather(
    stage: Stage, storm: Storm, seeded: list[str], kills: int, *, gentle: bool = False
) -> None:
    """One campaign with a live worker: every job runs once, and none is lost."""
    side = stage.ours
    side.client.flushdb()
    # Not `stage.copy`, which compares: over minutes keys of the releases come and expire.
    copy(stage.official.client, side.database)
    with side.worker("data", concurrency=10) as worker:
        if gentle:
            storm.measure()
            [campaign] = ids(storm.folder)
        else:
            campaign = storm.campaign(kills)
        worker.until(ends=len(seeded))
        side.await_idle()
        runs = Counter(worker.until())
    twice = {id: number for id, number in runs.items() if number != 1}
    assert not twice
    assert runs.keys() == set(seeded)
    census = side.census()
    expected = {id: [("completed", "failed")[at % 2]] for at, id in enumerate(seeded)}
    assert {id: census.get(id) for id in seeded} == expected
    side.assert_each_in_one_place()
    found = summary(storm.folder, campaign)
    assert (found.phase, found.jobs, found.running) == ("done", len(seeded), False)
    assert {code: number for code, number in found.codes.items() if number} == {
        Code.DONE: len(seeded)
    }


@pytest.mark.parametrize(
    ("bullmq", "oracle_server", "first"),
    [("5.81.5", "redis", "ids"), ("6.7.0", "valkey", "all")],
    indirect=["oracle_server"],
)
def test_killed_at_any_moment_and_resumed_every_job_runs_once(
    oracle_server: EmbeddedServer,
    drivers: Drivers,
    bullmq: str,
    first: str,
    tmp_path: Path,
    pytestconfig: pytest.Config,
) -> None:
    whole = pytestconfig.getoption(OPTION, default=None) == "all"
    jobs, kills = (5000, 50) if whole else (600, 3)
    release = named(bullmq)
    stage = Stage(oracle_server, drivers.get(release), release)
    stage.official.client.flushall()
    seeded = _seed(stage.official, jobs)
    for how in ("ids", "all") if whole else (first,):
        which = seeded if how == "ids" else ["--all"]
        folder = tmp_path / how
        folder.mkdir()
        storm = Storm(
            stage.ours,
            f"unix://{oracle_server.path}?db={stage.ours.database}",
            folder,
            ("q", *which, "--yes"),
            random.Random(f"{bullmq} {how}"),
        )
        _weather(stage, storm, seeded, 0, gentle=True)
        while storm.kills < kills:
            _weather(stage, storm, seeded, min(_MOST_KILLS, kills - storm.kills))
        if whole:
            print(f"{bullmq} {how}: {storm.kills} kills, at {storm.moments}")
            assert any(0 < retried < jobs for retried, _ in storm.moments), storm.moments
            assert any(doubtful for _, doubtful in storm.moments), storm.moments
