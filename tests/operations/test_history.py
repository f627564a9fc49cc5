"""What past retries of an error came to, as the journals of this machine say."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

from qtui.bullmq.codes import Code, Result
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.writers.batch import Picked
from qtui.operations.following.outcome import Fate, Outcome
from qtui.operations.journal import history
from qtui.operations.journal.facts import Header, Snapshot, WrittenSelection
from qtui.operations.journal.history import MOST_SIGNATURES, History, read_history, retried_of
from qtui.operations.journal.lines import snapshot_lines
from qtui.operations.journal.writing import Journal

WHERE: Final = "redis://localhost:6379/0"
QUEUES: Final = [QueueKey.of("bull", "payments"), QueueKey.of("bull", "emails")]
REFUSED: Final = "connect ECONNREFUSED <address>"
NOW: Final = 1_790_000_000_000


def header(**other: object) -> Header:
    facts: dict[str, object] = {
        "where": WHERE,
        "queue": "bull:payments",
        "prefix": "bull",
        "state": "failed",
        "selection": WrittenSelection(kind="query", jobs=3),
        **other,
    }
    return Header(**facts)  # type: ignore[arg-type]


def job(job_id: str, reason: str) -> Snapshot:
    return Snapshot(job_id, 1.7e12, {"name": "charge", "failedReason": reason})


def write(folder: Path, jobs: Mapping[str, tuple[str, Fate | None]], **other: object) -> None:
    journal = Journal.create(folder, header(**other))
    snapshots = [job(job_id, reason) for job_id, (reason, _) in jobs.items()]
    journal.snapshots(snapshot_lines(snapshots, journal.texts))
    journal.codes(Result(one, Code.DONE, target="wait") for one in jobs)
    fates = {one: Outcome(fate) for one, (_, fate) in jobs.items() if fate is not None}
    journal.outcomes(fates)
    journal.close()


def read(folder: Path) -> History:
    return read_history(folder, WHERE, QUEUES, "failed")


def refused(number: int) -> str:
    return f"connect ECONNREFUSED 10.0.0.{number}:5432"


def test_jobs_are_counted_by_the_error_they_had_before(tmp_path: Path) -> None:
    again = {str(one): (refused(one), Fate.FAILED_AGAIN) for one in range(20)}
    write(tmp_path, {**again, "x": ("Timeout of 5000ms exceeded", Fate.COMPLETED)})
    write(tmp_path, {"x": (refused(3), Fate.COMPLETED), "y": (refused(4), None)})
    found = read(tmp_path)
    assert set(found) == {REFUSED, "Timeout of <n>ms exceeded"}
    assert (found[REFUSED].jobs, found[REFUSED].failed_again) == (22, 20)
    last = found[REFUSED].last
    assert last > 0
    words = found[REFUSED].words(last + 3 * 3_600_000)
    assert words == "retried 22, 20 failed again, 1 completed, 1 unknown, 3h ago"
    both = retried_of(found, [REFUSED, "Timeout of <n>ms exceeded", "no such error"])
    assert both is not None
    assert (both.jobs, both.failed_again) == (23, 20)
    assert found[REFUSED].jobs == 22
    assert retried_of(found, ["no such error"]) is None


def test_only_retries_of_these_jobs_here_count(tmp_path: Path) -> None:
    jobs = {"1": (refused(1), Fate.FAILED_AGAIN)}
    write(tmp_path, jobs, where="redis://elsewhere:6379/0")
    write(tmp_path, jobs, queue="bull:reports")
    write(tmp_path, jobs, state="completed")
    write(tmp_path, jobs, action="remove")
    write(tmp_path, jobs, action="undo", undoes="20261122-034130-ab12")
    (tmp_path / "20261122-034130-ab12.jsonl").write_text("no journal\n")
    assert read(tmp_path) == {}
    assert read(tmp_path / "missing") == {}
    write(tmp_path, jobs, where="redis://127.0.0.1:6379/0")
    assert read(tmp_path)[REFUSED].jobs == 1


def test_of_several_queues_only_the_jobs_of_these(tmp_path: Path) -> None:
    keys = ("bull:payments:1", "bull:emails:1", "bull:reports:1")
    queues = [[f"bull:{name}", "bull", 9.0] for name in ("payments", "emails", "reports")]
    write(
        tmp_path,
        {key: (refused(1), Fate.FAILED_AGAIN) for key in keys},
        queue="bull:*",
        selection=WrittenSelection(kind="queries", jobs=3),
        options={"queues": queues},
    )
    assert read(tmp_path)[REFUSED].jobs == 2


def test_a_retry_that_did_not_happen_is_not_counted(tmp_path: Path) -> None:
    journal = Journal.create(tmp_path, header())
    snapshots = [job(one, refused(1)) for one in ("lost", "gone", "sent")]
    journal.snapshots(snapshot_lines(snapshots, journal.texts))
    journal.codes([Result("lost", Code.DONE, target="wait"), Result("gone", Code.NO_SUCH_JOB)])
    journal.withdraw({}, [Picked("lost", 1.7e12)])
    journal.close()
    assert read(tmp_path) == {}


def test_a_job_without_a_reason_counts_by_its_stack(tmp_path: Path) -> None:
    journal = Journal.create(tmp_path, header())
    fields = {"failedReason": "", "stacktrace": '["TimeoutError: late\\n    at x (y.js:1:2)"]'}
    journal.snapshots(snapshot_lines([Snapshot("1", 1.7e12, fields)], journal.texts))
    journal.codes([Result("1", Code.DONE, target="wait")])
    journal.close()
    [name] = read(tmp_path)
    assert name.startswith("TimeoutError: late")


def test_the_newest_journals_are_read_and_no_more_than_is_bearable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, {"1": (refused(1), None)})
    [first] = tmp_path.glob("*.jsonl")
    older = first.rename(tmp_path / "20200101-000000-0000.jsonl")
    write(tmp_path, {"2": ("Timeout of 1ms exceeded", None)})
    assert len(read(tmp_path)) == 2
    monkeypatch.setattr(history, "MOST_OCTETS", older.stat().st_size * 3 // 2)
    assert set(read(tmp_path)) == {"Timeout of <n>ms exceeded"}
    monkeypatch.undo()
    monkeypatch.setattr(history, "MOST_SIGNATURES", 1)
    assert set(read(tmp_path)) == {"Timeout of <n>ms exceeded"}
    assert MOST_SIGNATURES > 1
