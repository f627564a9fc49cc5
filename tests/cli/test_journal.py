"""`qtui journal`: past retries, listed, shown, exported, and the failed list as it was."""

from __future__ import annotations

import io
import json
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from qtui.bullmq.codes import Code, Result
from qtui.bullmq.writers.batch import Picked
from qtui.commands.journal import list_journal, show_campaign
from qtui.commands.shared.output import Paper
from qtui.commands.shared.run import NOT_ALL, USAGE, CommandError
from qtui.operations.following.outcome import Fate, Outcome
from qtui.operations.journal.facts import Header, Snapshot, WrittenSelection
from qtui.operations.journal.lines import snapshot_lines
from qtui.operations.journal.writing import Journal
from qtui.text import size

HOSTILE = "\x1b]0;gone\x07[/red]\u202e\udcff\n"


class Said:
    """Runs the commands on a folder; what they said, where."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.err = ""

    def listed(self, *, as_json: bool = False) -> str:
        """`qtui journal`."""
        out, err = io.StringIO(), io.StringIO()
        assert list_journal(Paper(out), Paper(err), self.folder, json=as_json) == 0
        self.err = err.getvalue()
        return out.getvalue()

    def show(self, name: str, *, as_json: bool = False, jobs: bool = False) -> str:
        """`qtui journal ID`."""
        out = io.StringIO()
        assert show_campaign(Paper(out), self.folder, name, json=as_json, jobs=jobs) == 0
        return out.getvalue()

    def objects(self, text: str) -> list[dict[str, Any]]:
        """NDJSON, decoded."""
        assert text.isascii()
        return [json.loads(line) for line in text.splitlines()]


@pytest.fixture
def said(tmp_path: Path) -> Said:
    return Said(tmp_path / "journal")


def failed(number: int, reason: str = "") -> Snapshot:
    """A job as a failed list shows it."""
    fields = {
        "name": "charge",
        "failedReason": reason or f"Timeout of {number}ms exceeded",
        "stacktrace": '["Error: no"]',
        "attemptsMade": "3",
        "ats": "4",
        "timestamp": "1764000000000",
        "finishedOn": str(1764000000000 + number),
        "opts": '{"attempts":3}',
        "parentKey": "bull:orders:7",
    }
    return Snapshot(str(number), 1764000000000.0 + number, fields)


def campaign(folder: Path, jobs: int = 3, *, end: str = "done") -> str:
    """A campaign of chosen jobs: the first is gone, another is refused, the rest go through."""
    how = "qtui retry payments --filter name:charge"
    header = Header(
        where="redis://cache-1:6379/0",
        queue="bull:payments",
        prefix="bull",
        state="failed",
        selection=WrittenSelection(kind="ids", jobs=jobs),
        resets={"made": True, "started": False},
        pace={"rate": 50},
        how=how,
    )
    snapshots = [failed(number) for number in range(jobs)]
    results = [Result(one.id, Code.DONE, "wait") for one in snapshots]
    results[0] = Result("0", Code.NO_SUCH_JOB)
    results[1] = Result("1", Code.REFUSED, error="OOM command not allowed")
    with Journal.create(folder, header) as journal:
        journal.chosen([Picked(one.id, one.score) for one in snapshots])
        journal.snapshots(snapshot_lines(snapshots))
        journal.codes(results)
        journal.outcomes({"2": Outcome(Fate.FAILED_AGAIN, "no")})
        if end:
            journal.end(end, Counter(result.code for result in results), "as it should")
    return journal.id


def test_the_list_is_a_line_a_campaign(said: Said) -> None:
    done, cut = campaign(said.folder), campaign(said.folder, 1200, end="")
    head, *lines = said.listed().splitlines()
    assert head.split() == [
        *("id", "ago", "who", "queue", "selection"),
        *("done", "-1", "-3", "size", "state"),
    ]
    found = {line.split()[0]: line for line in lines}
    assert list(found) == [cut, done]
    state = "done · 1 refused by Redis"
    octets = size((said.folder / f"{done}.jsonl").stat().st_size)
    numbers = ["1", "1", "·", *octets.split()]
    assert found[done].split()[3:] == [
        "payments",
        "retry",
        "3",
        "jobs",
        "by",
        "id",
        *numbers,
        *state.split(),
    ]
    assert re.search(r"  retry 1,200 jobs by id  1,198   1   ·  [\d.]+ kB  unfin", found[cut])


def test_jobs_that_an_action_left_alone_were_not_refused_by_redis(said: Said) -> None:
    """A worker took one of three active jobs on; the undo of another had to leave it alone."""
    removal = Header(
        where="redis://cache-1:6379/0",
        queue="bull:payments",
        prefix="bull",
        state="active",
        selection=WrittenSelection(kind="ids", jobs=2),
        action="remove",
    )
    undo = replace(removal, action="undo", undoes="20260101-000000-abcd", effect="restore")
    results = [
        (removal, [Result("1", Code.DONE, "removed"), Result("2", Code.REFUSED, error="its lock")]),
        (undo, [Result("1", Code.DONE, "active"), Result("2", Code.NOT_IN_STATE, error="taken")]),
    ]
    ids = []
    for header, found in results:
        with Journal.create(said.folder, header) as journal:
            journal.snapshots(snapshot_lines([failed(1), failed(2)]))
            journal.codes(found)
            journal.end("done", Counter(one.code for one in found), "")
        ids.append(journal.id)
    listed = {line.split()[0]: line for line in said.listed().splitlines()}
    assert listed[ids[0]].endswith("done · 1 kept")
    words = said.show(ids[0])
    assert "codes      1 removed · 1 kept (0)" in words
    assert "kept       its lock" in words
    assert "refused" not in words
    words = said.show(ids[1])
    assert "codes      1 undone · 1 not in its place (-3)" in words
    assert "✔ undone" in words
    assert "✗ -3 not in its place" in words


def test_a_campaign_that_runs_is_listed_as_running(said: Said) -> None:
    header = Header(
        where="unix:///r",
        queue="x:pay",
        prefix="x",
        state="completed",
        selection=WrittenSelection(kind="query"),
    )
    with Journal.create(said.folder, header) as journal:
        _, line = said.listed().splitlines()
        [one] = said.objects(said.listed(as_json=True))
    assert re.search(r"x:pay  retry all jobs     ·   ·   ·  +\d+ B  running$", line)
    assert (one["id"], one["phase"], one["ended"]) == (journal.id, "running", None)


def test_the_list_as_json_has_a_summary_a_line(said: Said) -> None:
    name = campaign(said.folder)
    [one] = said.objects(said.listed(as_json=True))
    assert one.pop("at") <= one.pop("ended")
    assert one.pop("user")
    assert one.pop("host")
    assert one.pop("size") == (said.folder / f"{name}.jsonl").stat().st_size
    assert one == {
        "id": name,
        "where": "redis://cache-1:6379/0",
        "queue": "bull:payments",
        "state": "failed",
        "selection": {"kind": "ids", "jobs": 3, "filter": None},
        "action": "retry",
        "reason": "",
        "how": "qtui retry payments --filter name:charge",
        "flow": None,
        "undoes": None,
        "undone_by": [],
        "phase": "done",
        "jobs": 3,
        "codes": {"1": 1, "-1": 1, "-3": 0, "0": 1},
        "note": "as it should",
    }


def test_a_journal_that_cannot_be_read_does_not_hide_the_others(said: Said) -> None:
    name = campaign(said.folder)
    (said.folder / "20200101-000000-0000.jsonl").symlink_to("elsewhere")
    _, first, second = said.listed().splitlines()
    assert first.startswith(name)
    assert second.split()[:3] == ["20200101-000000-0000", "?", "?"]
    assert "unreadable · " in second
    assert second.endswith("is a symbolic link: a journal must be a regular file")


def test_without_a_retry_there_is_nothing_to_list(said: Said) -> None:
    assert said.listed() == ""
    assert said.err == f"no operations in {said.folder}\n"
    assert said.listed(as_json=True) == said.err == ""


def test_one_campaign_in_full(said: Said) -> None:
    name = campaign(said.folder, 30)
    with Journal.resume(said.folder, name) as journal:
        journal.end("done", {Code.DONE: 28, Code.NO_SUCH_JOB: 1, Code.REFUSED: 1})
    text = said.show(name[-4:])
    assert text.startswith(name + "\n")
    for words in (
        "action     retry",
        "command    qtui retry payments --filter name:charge (qtui ",
        "redis      redis://cache-1:6379/0",
        "queue      bull:payments",
        "selection  30 jobs by id, from failed",
        "options    reset attempts made; at most 50 jobs/s",
        "codes      28 retried · 1 refused by Redis (0) · 1 job is gone (-1)",
        "refused    OOM command not allowed",
        "outcome    1 failed again",
        "30  charge  Timeout of <n>ms exceeded",
        f"and 10 jobs more: `qtui journal {name} --jobs`",
    ):
        assert words in text, words
    assert text.count("resumed") == 1
    rows = text[text.index("\njobs\n") :].splitlines()
    assert rows[2].split()[0] == "id"
    assert [row.split()[0] for row in rows[3:23]] == [str(number) for number in range(20)]
    results = ["✗ -1 job is gone", "✗ refused by Redis: OOM", "✗ failed again: no", "✔ waiting"]
    assert all(words in row for words, row in zip(results, rows[3:], strict=False))


def test_a_campaign_exported_is_its_journal_line_by_line(said: Said) -> None:
    name = campaign(said.folder)
    path = said.folder / f"{name}.jsonl"
    exported = said.objects(said.show(name, as_json=True))
    assert exported == [json.loads(line) for line in path.read_text().splitlines()]
    # Whoever writes into the file by hand reaches no terminal through us.
    with path.open("a") as file:
        file.write('{"type": "x", "y": "\x9b31m\u202e"}\n{"torn')
    text = said.show(name, as_json=True)
    assert text.isascii()
    assert said.objects(text)[-1] == {"type": "x", "y": "\x9b31m\u202e"}


def test_the_jobs_are_the_list_as_it_was(said: Said) -> None:
    name = campaign(said.folder, 450)
    head, *rows = said.show(name, jobs=True).splitlines()
    assert head.split() == ["id", "name", "attempts", "ago", "error"]
    assert len(rows) == 450
    assert rows[9].split()[:3] == ["9", "↑", "charge"]
    assert rows[9].endswith("Timeout of 9ms exceeded")
    objects = said.objects(said.show(name, jobs=True, as_json=True))
    assert len(objects) == 450
    assert objects[9] == {
        "id": "9",
        "state": "failed",
        "name": "charge",
        "attempts_made": 3,
        "attempts_started": 4,
        "attempts": 3,
        "priority": 0,
        "delay": 0,
        "timestamp": 1764000000000,
        "processed_on": None,
        "finished_on": 1764000000009,
        "failed_reason": "Timeout of 9ms exceeded",
        "parent": {"queue": "bull:orders", "id": "7"},
        "missing": False,
        "garbled": [],
    }


def test_completed_jobs_have_their_return_value_back(said: Said) -> None:
    header = Header(
        where="r",
        queue="bull:p",
        prefix="bull",
        state="completed",
        selection=WrittenSelection(kind="query", filter="name:x"),
    )
    fields = {"name": "x", "returnvalue": '{"ok": true}', "finishedOn": "5"}
    with Journal.create(said.folder, header) as journal:
        journal.snapshots(snapshot_lines([Snapshot("1", 5.0, fields), Snapshot("2", None, {})]))
    one, other = said.objects(said.show(journal.id, jobs=True, as_json=True))
    assert (one["state"], one["returnvalue"], one["returnvalue_size"]) == (
        "completed",
        {"ok": True},
        12,
    )
    assert other["missing"]
    assert "jobs that match name:x, from completed" in said.show(journal.id)
    assert '{"ok": true}' in said.show(journal.id, jobs=True)


def test_hostile_text_reaches_no_terminal(said: Said) -> None:
    header = Header(
        where=HOSTILE,
        queue=f"bull:{HOSTILE}",
        prefix="bull",
        state="failed",
        selection=WrittenSelection(kind="query", jobs=1, filter=HOSTILE),
    )
    whole = Header(**{**_members(header), "how": HOSTILE, "pace": {HOSTILE: HOSTILE}})
    job = Snapshot(HOSTILE, 1.0, {"name": HOSTILE, "failedReason": HOSTILE, "opts": HOSTILE})
    with Journal.create(said.folder, whole) as journal:
        journal.snapshots(snapshot_lines([job]))
        journal.codes([Result(HOSTILE, Code.REFUSED, error=HOSTILE)])
        journal.codes([Result(HOSTILE, Code.DONE, HOSTILE)])
        journal.end(HOSTILE, {Code.DONE: 1}, HOSTILE)
    shown = [said.listed(), said.show(journal.id), said.show(journal.id, jobs=True)]
    for text in shown:
        assert not [char for char in text if not char.isprintable() and char != "\n"]
        assert "\\xff" in text
    exported = said.objects(said.show(journal.id, as_json=True))
    assert exported[1]["id"] == HOSTILE


def _members(header: Header) -> dict[str, Any]:
    return {name: getattr(header, name) for name in header.__dataclass_fields__}


@pytest.mark.parametrize("name", ["zzzz", "", "../../etc/passwd"])
def test_an_unknown_campaign_is_a_mistake_in_the_command(said: Said, name: str) -> None:
    campaign(said.folder)
    with pytest.raises(CommandError, match="no journal") as stop:
        said.show(name)
    assert stop.value.code == USAGE


def test_a_folder_that_is_none_is_said_to_be_unreadable(said: Said) -> None:
    said.folder.write_text("")
    with pytest.raises(CommandError, match="can't be read: Not a directory") as stop:
        said.listed()
    assert stop.value.code == NOT_ALL
    with pytest.raises(CommandError, match="can't be read: Not a directory"):
        said.show("x")
