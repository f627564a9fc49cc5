"""A server that takes no writes for a while, in the middle of a campaign.

With `QTUI_SLOW` 20,000 jobs and 5 s of each condition, else fewer jobs and 1 s.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeAlias

import pytest
import redis

from qtui.bullmq.codes import Code
from qtui.operations.journal.reading import progress_of, summary
from tests.bullmq.topologies import Process, until
from tests.faults.campaigns import Ended, assert_true, journal_of, resume, struck
from tests.faults.servers import BASE, JOBS, places, seed

SECONDS: Final = 5 if os.environ.get("QTUI_SLOW") else 1

Switch: TypeAlias = Callable[[Process, redis.Redis, bool], None]
"""Brings a server into a condition, or out of it."""


def _too_few_replicas(_: Process, admin: redis.Redis, on: bool) -> None:
    admin.config_set("min-replicas-to-write", int(on))


def _replica(_: Process, admin: redis.Redis, on: bool) -> None:
    # Of a master that does not answer: the data stays as it is.
    admin.replicaof(*(("127.0.0.1", "1") if on else ("NO", "ONE")))


def _cannot_save(server: Process, admin: redis.Redis, on: bool) -> None:
    """A folder is where the file of its snapshots should be."""
    blocked = server.folder / "blocked"

    def snapshot(wanted: str) -> bool:
        if not admin.info("persistence")["rdb_bgsave_in_progress"]:
            admin.bgsave()
        return bool(admin.info("persistence")["rdb_last_bgsave_status"] == wanted)

    if on:
        blocked.mkdir()
        admin.config_set("save", "3600 1")
        until(lambda: snapshot("err"), "a snapshot that fails")
    else:
        blocked.rmdir()
        until(lambda: snapshot("ok"), "one that does not")


CONDITIONS: Final[dict[str, Switch]] = {
    "NOREPLICAS": _too_few_replicas,
    "READONLY": _replica,
    "MISCONF": _cannot_save,
}

EACH = pytest.mark.parametrize("condition", CONDITIONS)


@contextmanager
def server_with_jobs() -> Iterator[tuple[Process, redis.Redis, list[str]]]:
    """A server of the test's own, a client of it, and its failed jobs."""
    with Process("--dbfilename", "blocked") as server, server.admin() as admin:
        yield server, admin, seed(admin)


def assert_journal(state: Path, result: Ended, phase: str) -> None:
    """The journal says of every job what the command has said."""
    folder, name = state / "qtui" / "journal", journal_of(state)
    found, progress = summary(folder, name), progress_of(folder, name)
    assert (found.phase, found.codes[Code.DONE]) == (phase, len(result.retried))
    assert set(progress.retried) == result.retried
    # Others may be written down to be sent; what became of them is read before anything else.
    doubtful = {one.job_id for one in progress.doubtful}
    assert doubtful.isdisjoint(result.retried)
    assert not (phase == "done" and doubtful)


@EACH
def test_writes_that_are_refused_for_a_while_are_waited_for(condition: str, tmp_path: Path) -> None:
    switch = CONDITIONS[condition]
    with server_with_jobs() as (server, admin, ids):

        def strike() -> None:
            switch(server, admin, True)
            time.sleep(SECONDS)  # for which it lasts
            switch(server, admin, False)

        result = struck(f"redis://127.0.0.1:{server.port}", tmp_path, admin, strike)
        assert_true(result, places(admin), ids)
    assert (result.code, result.summary["retried"]) == (0, JOBS)
    assert_journal(tmp_path, result, "done")


@EACH
def test_what_was_not_done_while_writes_were_refused_is_done_by_resume(
    condition: str, tmp_path: Path
) -> None:
    switch = CONDITIONS[condition]
    with server_with_jobs() as (server, admin, ids):
        url = f"redis://127.0.0.1:{server.port}"
        result = struck(url, tmp_path, admin, lambda: switch(server, admin, True), interrupt=True)
        assert_true(result, places(admin), ids)
        assert result.code == 130
        assert 0 < len(result.retried) < JOBS
        assert f"qtui retry --resume {journal_of(tmp_path)} does the rest" in result.err
        assert_journal(tmp_path, result, "stopped")
        switch(server, admin, False)
        again = resume(url, tmp_path)
        assert (again.code, again.summary["retried"]) == (0, JOBS)
        assert again.retried.isdisjoint(result.retried)
        assert places(admin) == dict.fromkeys(ids, "wait")
        assert admin.llen(f"{BASE}:wait") == JOBS
