"""Journals are found, listed and gone on with, whole after any death of their writer."""

from __future__ import annotations

import os
import random
import signal
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qtui.bullmq.codes import Code, Result
from qtui.bullmq.writers.batch import Picked
from qtui.operations.journal.lines import header_line, snapshot_lines
from qtui.operations.journal.reading import (
    JournalError,
    UnknownCampaign,
    campaigns,
    find,
    path_of,
    progress_of,
    read_lines,
    rebuilt,
    summary,
    unfinished,
)
from qtui.operations.journal.tally import Ids
from qtui.operations.journal.writing import Journal
from tests.operations.journals import TEXTS, WHERE, failed, header, picked, retried, running
from tests.patience import PATIENCE

# Names --------------------------------------------------------------------------------------------


def test_campaigns_of_one_second_are_in_the_order_of_their_beginning(tmp_path: Path) -> None:
    """Their ids have the second alone, and a random end."""
    for end, at in (("aaaa", 3), ("cccc", 1), ("bbbb", 2)):
        name = f"20261122-034130-{end}"
        (tmp_path / f"{name}.jsonl").write_bytes(header_line(replace(header(), id=name, at=at)))
        (tmp_path / f"{name}.jsonl").chmod(0o600)
    assert [one.id[-4:] for one in campaigns(tmp_path)] == ["aaaa", "bbbb", "cccc"]


def test_a_campaign_is_found_by_the_beginning_or_the_end_of_its_name(tmp_path: Path) -> None:
    names = ["20261122-031502-7f3a", "20261122-031502-11aa", "20261203-120000-7f3b"]
    for name in names:
        path_of(tmp_path, name).write_text("")
    (tmp_path / "notes.txt").write_text("")
    assert find(tmp_path, "7f3a") == names[0]
    assert find(tmp_path, "202612") == names[2]
    assert find(tmp_path, names[1]) == names[1]
    with pytest.raises(UnknownCampaign, match=r'"20261122" matches 2 journals: .*7f3a, .*11aa'):
        find(tmp_path, "20261122")
    for unknown in ("", "zzz", "../x", "notes.txt"):
        with pytest.raises(UnknownCampaign, match=r"no journal .*`qtui journal` lists them"):
            find(tmp_path, unknown)


def test_campaigns_of_one_second_have_names_of_their_own(tmp_path: Path) -> None:
    for _ in range(30):
        Journal.create(tmp_path, header()).close()
    assert len({one.id for one in campaigns(tmp_path)}) == 30


def test_what_is_no_journal_is_passed_over(tmp_path: Path) -> None:
    path_of(tmp_path, "20260101-000000-0001").write_text("")
    path_of(tmp_path, "20260101-000000-0002").write_text('[1]\n"x"\n')
    path_of(tmp_path, "20260101-000000-0003").write_text("[" * 100_000 + "\n")
    path_of(tmp_path, "20260101-000000-0004").mkdir()
    os.mkfifo(path_of(tmp_path, "20260101-000000-0005"))
    path_of(tmp_path, "20260101-000000-0006").write_text('{"type":"campaign","at":"x","pid":[]}\n')
    [one] = campaigns(tmp_path)
    assert (one.id, one.header.at, one.header.pid) == ("20260101-000000-0006", 0, 0)
    with pytest.raises(UnknownCampaign):
        Journal.resume(tmp_path, "0001")


def test_a_link_in_place_of_a_journal_is_not_followed(tmp_path: Path) -> None:
    with Journal.create(tmp_path / "a", header()) as journal:
        pass
    (tmp_path / "b").mkdir(mode=0o700)
    path_of(tmp_path / "b", journal.id).symlink_to(journal.path)
    with pytest.raises(JournalError, match="is a symbolic link"):
        list(read_lines(tmp_path / "b", journal.id))
    with pytest.raises(JournalError, match="is a symbolic link"):
        Journal.resume(tmp_path / "b", journal.id)
    with Journal.create(tmp_path / "b", header()) as other:
        pass
    found = {one.id: (one.phase, one.note) for one in campaigns(tmp_path / "b")}
    words = f"{path_of(tmp_path / 'b', journal.id)} is a symbolic link"
    assert found[other.id] == ("", "")
    assert found[journal.id] == ("unreadable", f"{words}: a journal must be a regular file")
    assert [one.id for one in unfinished(tmp_path / "b", WHERE)] == [other.id]


# Summaries ----------------------------------------------------------------------------------------


def test_the_list_shows_what_runs_what_ended_and_what_was_cut_off(tmp_path: Path) -> None:
    counts = Counter({Code.DONE: 2, Code.NOT_IN_STATE: 1})
    with Journal.create(tmp_path, header(3)) as done:
        done.chosen(picked(1, 2, 3))
        done.snapshots(snapshot_lines([failed(number) for number in (1, 2, 3)]))
        done.end("done", counts, "all well")
    with Journal.create(tmp_path, header()) as cut:
        cut.snapshots(snapshot_lines([failed(number) for number in (1, 2, 3, 4)]))
        cut.codes([*retried(1, 2), Result("3", Code.UNKNOWN)])
    with Journal.create(tmp_path, header(where="redis://elsewhere")) as other:
        pass
    with Journal.create(tmp_path, header()) as now:
        found = {one.id: one for one in campaigns(tmp_path)}
        assert [one.id for one in unfinished(tmp_path, WHERE)] == [cut.id]
    begun = [one.header.at for one in found.values()]
    assert begun == sorted(begun, reverse=True)
    assert found[now.id].running
    assert not found[now.id].unfinished
    assert found[other.id].unfinished
    one = found[done.id]
    assert (one.running, one.ended, one.phase, one.note) == (False, True, "done", "all well")
    assert (one.jobs, one.codes, one.until > 1e12) == (3, counts, True)
    one = found[cut.id]
    assert (one.running, one.ended, one.phase, one.until) == (False, False, "", 0)
    assert (one.jobs, one.codes) == (4, {Code.DONE: 2, Code.UNKNOWN: 1})
    assert {one.id for one in unfinished(tmp_path, WHERE)} == {cut.id, now.id}


def test_a_campaign_that_ended_is_listed_without_reading_all_of_it(tmp_path: Path) -> None:
    with Journal.create(tmp_path, header()) as journal:
        journal.snapshots(snapshot_lines([failed(1)]))
        journal.end("done", {Code.DONE: 7})
    # A hole of a terabyte before the last line: who read it would not come back.
    *_, last = journal.path.read_bytes().splitlines(keepends=True)
    with journal.path.open("r+b") as file:
        file.seek(10**12)
        file.write(b"\n" + last)
    assert summary(tmp_path, journal.id).jobs == 7


# Going on -----------------------------------------------------------------------------------------


def test_going_on_needs_what_was_chosen_decided_and_in_doubt(tmp_path: Path) -> None:
    with Journal.create(tmp_path, header(8)) as journal:
        journal.chosen(picked(*range(8)))
        journal.snapshots(snapshot_lines([failed(number) for number in (0, 1, 2)]))
        journal.codes([*retried(0), Result("1", Code.NO_SUCH_JOB), Result("2", Code.UNKNOWN)])
        journal.snapshots(snapshot_lines([failed(number) for number in (3, 4)]))
        journal.codes(retried(3))
    found = progress_of(tmp_path, journal.id)
    assert found.doubtful == tuple(picked(2, 4))
    assert list(found.rest()) == picked(5, 6, 7)
    assert ["0" in found.decided, "1" in found.decided, "2" in found.decided] == [True, True, False]
    assert len(found.decided) == 3
    assert found.codes == {Code.DONE: 2, Code.NO_SUCH_JOB: 1, Code.UNKNOWN: 1}

    with Journal.resume(tmp_path, journal.id) as again:
        assert again.path == journal.path
        # Those in doubt are read, found where they were, written down once more, and sent.
        again.snapshots(
            snapshot_lines([failed(number)._replace(fields={}) for number in (2, 4, 5)])
        )
        again.codes(retried(2, 4, 5))
    after = progress_of(tmp_path, journal.id)
    assert after.doubtful == ()
    assert list(after.rest()) == picked(6, 7)
    assert +Counter(after.codes) == {Code.DONE: 5, Code.NO_SUCH_JOB: 1}
    assert summary(tmp_path, journal.id).jobs == 6
    # The first time that they were seen is how they looked before the retry.
    jobs = {one.id: one.fields.get("failedReason") for one in rebuilt(tmp_path, journal.id)}
    assert jobs == {**{str(number): f"no {number}" for number in range(5)}, "5": None}


def test_a_campaign_cut_off_before_all_was_written_down_has_sent_nothing(tmp_path: Path) -> None:
    with Journal.create(tmp_path, header(5)) as journal:
        journal.chosen(picked(1, 2, 3))
    with pytest.raises(JournalError, match="before it sent anything: start a new retry"):
        progress_of(tmp_path, journal.id)


def test_the_journal_of_a_newer_release_is_shown_and_not_resumed(tmp_path: Path) -> None:
    with Journal.create(tmp_path, header()) as journal:
        pass
    raw = journal.path.read_text().replace('"format":2', '"format":4')
    journal.path.write_text(raw)
    assert [one.id for one in campaigns(tmp_path)] == [journal.id]
    for resume in (Journal.resume, progress_of):
        with pytest.raises(JournalError, match="newer qtui"):
            resume(tmp_path, journal.id)
    assert journal.path.read_text() == raw


def test_a_journal_cut_at_any_byte_keeps_its_whole_lines_and_can_be_resumed(tmp_path: Path) -> None:
    with Journal.create(tmp_path, header()) as journal:
        first = journal.path.stat().st_size
        journal.snapshots(snapshot_lines([failed(1), failed(2)]))
        journal.codes(retried(1))
        journal.end("done", {Code.DONE: 1})
    whole = journal.path.read_bytes()
    cuts = random.Random(4).sample(range(first, len(whole)), 60)
    for cut in [first, *cuts, len(whole) - 1]:
        journal.path.write_bytes(whole[:cut])
        # Lines that lost nothing but their end may count or not; all before them must.
        lines = whole[:cut].count(b"\n")
        before = [one["type"] for one in read_lines(tmp_path, journal.id)]
        assert before[:lines] == ["campaign", "job", "job", "code", "end"][:lines]
        assert not summary(tmp_path, journal.id).ended
        with Journal.resume(tmp_path, journal.id) as again:
            again.snapshots(snapshot_lines([failed(9)]))
        after = [one["type"] for one in read_lines(tmp_path, journal.id)]
        assert after[-2:] == ["resumed", "job"]
        assert after[:-2] == before
        assert [one.id for one in rebuilt(tmp_path, journal.id)][-1] == "9"
        found = progress_of(tmp_path, journal.id)
        assert "9" in {one.job_id for one in found.doubtful}
        jobs = len(list(rebuilt(tmp_path, journal.id)))
        assert len(found.decided) + len(found.doubtful) == jobs


# Says each batch once it is safe to send.
_WRITES_FOR_EVER = """
journal = Journal.create(Path(sys.argv[1]), header())
first = 0
while True:
    numbers = range(first, first + 100)
    journal.snapshots(snapshot_lines([failed(number) for number in numbers]))
    print(first, flush=True)
    journal.codes(retried(*numbers))
    first += 100
"""


@pytest.mark.parametrize("seed", range(4))
def test_a_killed_writer_has_written_all_that_it_could_send(tmp_path: Path, seed: int) -> None:
    with running(_WRITES_FOR_EVER, tmp_path) as process:
        assert process.stdout is not None
        for _ in range(random.Random(seed).randrange(1, 60)):
            acknowledged = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
        rest = process.stdout.read().split()
        process.wait(PATIENCE)
    acknowledged = int(rest[-1]) if rest else acknowledged
    [one] = unfinished(tmp_path, WHERE)
    assert one.header.pid == process.pid
    jobs = [job.id for job in rebuilt(tmp_path, one.id)]
    assert jobs == [str(number) for number in range(len(jobs))]
    assert len(jobs) >= acknowledged + 100
    found = progress_of(tmp_path, one.id)
    assert len(found.decided) + len(found.doubtful) == len(jobs)
    with Journal.resume(tmp_path, one.id[-4:]) as journal:
        assert summary(tmp_path, one.id).running
        journal.snapshots(snapshot_lines([failed(len(jobs))]))
        journal.end("done", found.codes)
    assert len(list(rebuilt(tmp_path, one.id))) == len(jobs) + 1
    assert summary(tmp_path, one.id).phase == "done"
    assert unfinished(tmp_path, WHERE) == []


_HOLDS = """
journal = Journal.create(Path(sys.argv[1]), header())
print(journal.id, flush=True)
sys.stdin.read()
"""


@pytest.mark.slow
def test_what_still_runs_cannot_be_resumed(tmp_path: Path) -> None:
    with running(_HOLDS, tmp_path) as process:
        assert process.stdout is not None
        name = process.stdout.readline().strip()
        assert summary(tmp_path, name).running
        assert unfinished(tmp_path, WHERE) == []
        with pytest.raises(JournalError, match=rf"{name} is still running \(pid {process.pid}\)"):
            Journal.resume(tmp_path, name)
        process.communicate(timeout=PATIENCE)
    assert not summary(tmp_path, name).running
    with (
        Journal.resume(tmp_path, name),
        pytest.raises(JournalError, match=rf"running \(pid {os.getpid()}\)"),
    ):
        Journal.resume(tmp_path, name)


# Ids ----------------------------------------------------------------------------------------------


@given(
    st.sets(st.integers(0, 10**20).map(str) | TEXTS | st.sampled_from(["0", "00", "007", "٣"])),
    st.sets(st.integers(0, 30).map(str) | st.sampled_from(["0", "00", "007", "7", "3", "٣", ""])),
)
def test_ids_are_remembered_exactly(ids: set[str], others: set[str]) -> None:
    known = Ids()
    for one in ids:
        known.add(one)
        assert one in known
    assert len(known) == len(ids)
    assert {one for one in others if one in known} == others & ids


def test_a_header_reads_anything_that_is_there() -> None:
    from qtui.operations.journal.lines import chosen_of, codes_of, header_of, record

    garbage: list[Mapping[str, object]] = [
        {"selection": 3, "resets": [], "pace": None, "where": 7, "format": True},
        {"selection": {"jobs": "x", "until": [], "filter": 1, "kind": None}},
    ]
    for one in garbage:
        assert header_of({"type": "campaign", **one}).where == ""
    assert chosen_of({"jobs": [1, [], [2], ["a"], ["b", "x"], ["c", 10**400]]})[0] == Picked("a")
    assert codes_of({"codes": {"1": 2, "-3": "x", "²": 1, "7": 4}})[Code.UNKNOWN] == 5
    assert record(b'{"type": 1}') is None
    assert record(b'{"type":"job","id":"1","fie') is None
