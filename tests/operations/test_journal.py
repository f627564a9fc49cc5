"""The journal of retries: on disk before anything is sent, or nothing is said to be."""

from __future__ import annotations

import os
import re
import stat
import tempfile
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from qtui.bullmq.codes import Code, Result
from qtui.bullmq.writers.batch import NEVER, Picked
from qtui.folders import journal_folder
from qtui.operations.following.outcome import Fate, Outcome
from qtui.operations.journal.facts import Header, Snapshot, WrittenSelection
from qtui.operations.journal.lines import glance, snapshot_lines, snapshot_of
from qtui.operations.journal.reading import (
    JournalError,
    campaigns,
    progress_of,
    read_header,
    read_lines,
    rebuilt,
)
from qtui.operations.journal.writing import Journal
from qtui.verbs import Verb
from tests.operations.journals import TEXTS, WHERE, failed, header, picked, retried, said
from tests.patience import PATIENCE

ID = re.compile(r"\d{8}-\d{6}-[0-9a-f]{4}")

# What goes in comes out ---------------------------------------------------------------------------

SCORES = st.none() | st.floats()
FIELDS = st.dictionaries(TEXTS, TEXTS, max_size=6)
PARTS = TEXTS | st.lists(TEXTS, max_size=3) | FIELDS
REST = st.dictionaries(st.sampled_from(["logs", "held", "failed"]), PARTS)
BELOW = st.lists(st.fixed_dictionaries({"queue": TEXTS, "fields": FIELDS}), max_size=2)
WHOLE = st.none() | st.fixed_dictionaries({}, optional={"rest": REST, "below": BELOW})
JOBS = st.builds(Snapshot, TEXTS, SCORES, FIELDS, whole=WHOLE)


def alike(one: Snapshot) -> tuple[str, str, dict[str, str]]:
    """All of a job that must come back; no number is equal to itself when it is none."""
    return one.id, repr(one.score), dict(one.fields)


@pytest.mark.slow
@given(st.lists(JOBS, max_size=5, unique_by=lambda one: one.id))
@example([Snapshot('"}\n\udcff\x7f\u2028\\', 0.1 + 0.2, {"failedReason": "\x1b]0;\ud7ff\x00"})])
@settings(max_examples=60)
def test_all_that_a_job_holds_comes_out_as_it_went_in(jobs: list[Snapshot]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "journal"
        with Journal.create(folder, header()) as journal:
            journal.snapshots(snapshot_lines(jobs))
        assert [alike(one) for one in rebuilt(folder, journal.id)] == [alike(one) for one in jobs]
        whole = [snapshot_of(one) for one in read_lines(folder, journal.id) if one["type"] == "job"]
        assert [alike(one) for one in whole] == [alike(one) for one in jobs]
        raw = journal.path.read_bytes()
        assert raw.isascii()
        assert raw.count(b"\n") == 1 + len(jobs)
        assert not re.search(rb"[^\x20-\x7e\n]", raw)


@given(st.lists(st.builds(Picked, TEXTS, SCORES), max_size=5))
@settings(max_examples=40)
def test_chosen_jobs_keep_their_scores_to_the_last_digit(chosen: list[Picked]) -> None:
    with tempfile.TemporaryDirectory() as name:
        with Journal.create(Path(name) / "j", header(len(chosen))) as journal:
            journal.chosen(chosen)
        found = progress_of(Path(name) / "j", journal.id).chosen
    assert [(one.job_id, repr(one.score)) for one in found] == [
        (one.job_id, repr(one.score)) for one in chosen
    ]


@given(JOBS)
def test_a_glance_at_a_line_sees_what_decoding_it_would(job: Snapshot) -> None:
    seen = glance(snapshot_lines([job]))
    assert seen is not None
    assert (seen.job_id, repr(seen.score), seen.code) == (job.id, repr(job.score), None)


def test_the_first_line_names_user_jobs_and_command(tmp_path: Path) -> None:
    given = Header(
        where=WHERE,
        queue="bull:pay\udcff",
        prefix="bull",
        state="failed",
        selection=WrittenSelection(
            kind="query", jobs=40_000, filter="name:charge", until=1764000000000.5
        ),
        resets={"made": True, "started": False},
        pace={"rate": 50, "canary": None},
        how="qtui retry pay --filter name:charge",
        reason="the provider is back",
    )
    with Journal.create(tmp_path, given) as journal:
        found = read_header(tmp_path, journal.id)
    assert ID.fullmatch(found.id)
    assert found == replace(
        given,
        id=journal.id,
        at=found.at,
        user=found.user,
        host=found.host,
        pid=os.getpid(),
        version=found.version,
        format=2,
    )
    assert found.at > 1_700_000_000_000
    assert found.user
    assert found.host
    assert found.version
    [first] = read_lines(tmp_path, journal.id)
    assert list(first)[:4] == ["type", "format", "id", "at"]
    assert first["selection"] == {
        "kind": "query",
        "jobs": 40_000,
        "filter": "name:charge",
        "until": 1764000000000.5,
    }


def test_an_action_that_old_releases_would_take_for_a_retry_has_a_format_they_refuse(
    tmp_path: Path,
) -> None:
    formats = {}
    for verb in Verb:
        with Journal.create(tmp_path, replace(header(), action=verb.value)) as journal:
            found = read_header(tmp_path, journal.id)
        assert found.action == verb
        formats[verb] = found.format
    assert {verb for verb, number in formats.items() if number == 2} == {Verb.RETRY, Verb.RERUN}
    assert {number for number in formats.values() if number != 2} == {3}


@pytest.mark.parametrize(
    ("flow", "action"), [({}, "retry"), ({"root": "bull:q:1", "start": "failure"}, "rerun")]
)
def test_a_journal_that_names_no_action_is_of_a_retry_or_a_rerun(
    tmp_path: Path, flow: dict[str, str], action: str
) -> None:
    with Journal.create(tmp_path, replace(header(), flow=flow)) as journal:
        pass
    raw = journal.path.read_text()
    assert raw.count('"action":"retry",') == 1
    journal.path.write_text(raw.replace('"action":"retry",', ""))
    found = read_header(tmp_path, journal.id)
    assert (found.action, found.reason, found.flow) == (action, "", flow)


def test_a_whole_campaign_line_by_line(tmp_path: Path) -> None:
    with Journal.create(tmp_path, header(3)) as journal:
        journal.chosen([*picked(1, 2), Picked("3", NEVER)])
        journal.snapshots(snapshot_lines([failed(1), Snapshot("3", NEVER, {})]))
        journal.codes(
            [
                *retried(1),
                Result("3", Code.REFUSED, error="OOM"),
                Result("4", Code.UNKNOWN),
            ]
        )
        journal.outcomes({"1": Outcome(Fate.FAILED_AGAIN, "Timeout"), "9": Outcome(Fate.GONE)})
        journal.end("stopped", Counter({Code.DONE: 1, Code.UNKNOWN: 1}), "asked to")
    _, *lines = read_lines(tmp_path, journal.id)
    last = lines.pop()
    at = last.pop("at")
    assert isinstance(at, int)
    assert lines == [
        {"type": "chosen", "jobs": [["1", 1e12 + 1], ["2", 1e12 + 2], ["3", None]]},
        {
            "type": "job",
            "id": "1",
            "score": 1e12 + 1,
            "fields": dict(failed(1).fields),
        },
        {"type": "job", "id": "3", "score": None, "fields": {}},
        {"type": "code", "id": "1", "code": 1, "target": "wait"},
        {"type": "code", "id": "3", "code": 0, "error": "OOM"},
        {"type": "code", "id": "4", "code": None},
        {"type": "outcome", "id": "1", "fate": "failed again", "error": "Timeout"},
        {"type": "outcome", "id": "9", "fate": "gone"},
    ]
    codes = {"1": 1, "unknown": 1}
    assert last == {"type": "end", "phase": "stopped", "codes": codes, "note": "asked to"}


def test_many_chosen_jobs_are_written_a_thousand_a_line(tmp_path: Path) -> None:
    with Journal.create(tmp_path, header(2500)) as journal:
        journal.chosen(picked(*range(2500)))
    lines = [one["jobs"] for one in read_lines(tmp_path, journal.id) if one["type"] == "chosen"]
    assert [len(jobs) for jobs in lines if isinstance(jobs, list)] == [1000, 1000, 500]
    assert progress_of(tmp_path, journal.id).chosen == tuple(picked(*range(2500)))


# Files and folders --------------------------------------------------------------------------------


def test_no_other_user_can_read_it_from_the_first_moment(tmp_path: Path) -> None:
    folder = tmp_path / "state" / "qtui" / "journal"
    before = os.umask(0)
    try:
        with Journal.create(folder, header()) as journal:
            modes = [stat.S_IMODE(one.stat().st_mode) for one in (folder, folder.parent)]
            assert modes == [0o700, 0o700]
            assert stat.S_IMODE(journal.path.stat().st_mode) == 0o600
    finally:
        os.umask(before)
    assert [one.name for one in folder.iterdir()] == [f"{journal.id}.jsonl"]


def test_the_folder_is_in_the_state_of_the_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    folder = journal_folder()
    assert folder.is_relative_to(tmp_path)
    assert folder.parts[-2:] == ("qtui", "journal")
    assert list(campaigns(folder)) == []


def _file(path: Path) -> None:
    path.write_text("")


def _link(path: Path) -> None:
    path.with_name("real").mkdir()
    path.symlink_to("real")


def _open_to_all(path: Path) -> None:
    path.mkdir()
    path.chmod(0o777)


@pytest.mark.parametrize(
    ("there", "below", "words"),
    [
        (_file, "", "a part of the path is not a folder"),
        (_file, "deeper", "a part of the path is not a folder"),
        (_link, "", "is a symbolic link: the journal needs a real folder"),
        (_open_to_all, "", "others may write to"),
    ],
)
def test_a_folder_that_cannot_be_used_is_refused(
    tmp_path: Path, there: Callable[[Path], None], below: str, words: str
) -> None:
    there(tmp_path / "journal")
    with pytest.raises(JournalError, match=words) as error:
        Journal.create(tmp_path / "journal" / below, header())
    assert "\n" not in str(error.value)
    assert str(tmp_path) in str(error.value)


def test_another_users_folder_is_refused(tmp_path: Path) -> None:
    theirs = Path("/usr")
    if os.geteuid() == 0:
        theirs = tmp_path / "theirs"
        theirs.mkdir(mode=0o700)
        os.chown(theirs, 12345, -1)
    with pytest.raises(JournalError, match="belongs to another user"):
        Journal.create(theirs, header())


# Root may write anywhere; so the process becomes another user before it tries.
_READ_ONLY = """
if os.geteuid() == 0:
    os.setgroups([]); os.setuid(65534)
os.environ.pop("SUDO_USER", None)
with tempfile.TemporaryDirectory() as name:
    for mode in (0o500, 0o000):
        os.chmod(name, mode)
        for folder in (Path(name), Path(name) / "journal"):
            try:
                Journal.create(folder, header())
            except JournalError as error:
                print(str(error).replace(name, "F"))
    os.chmod(name, 0o700)
"""


def test_a_read_only_folder_is_said_to_be_one() -> None:
    denied = "permission denied, or set QTUI_JOURNAL to a folder you can write to"
    assert said(_READ_ONLY) == [
        f"the journal can't be written to {where}: {denied}"
        for where in ("F", "F/journal", "F", "F/journal")
    ]


# The system lets the file grow to the limit in the middle of a batch, as a disk does that is full.
_GROWS_TOO_LARGE = """
journal = Journal.create(Path(sys.argv[1]), header())
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
for batch in range(1000):
    size = journal.path.stat().st_size
    try:
        some = [failed(number) for number in range(batch * 20, batch * 20 + 20)]
        journal.snapshots(snapshot_lines(some))
    except JournalError as error:
        print(error)
        break
print(batch, size, journal.path.stat().st_size)
journal.codes(retried(0))
journal.end("stopped", {Code.DONE: 1})
"""


def test_a_batch_that_does_not_fit_leaves_nothing_of_it(tmp_path: Path) -> None:
    words, counts = said(_GROWS_TOO_LARGE, tmp_path)
    batches, before, after = map(int, counts.split())
    assert words.endswith(": a file may not grow that large here: see `ulimit -f`")
    assert 0 < batches < 1000
    assert before == after < 100_000
    [one] = campaigns(tmp_path)
    assert (one.phase, one.codes) == ("stopped", {Code.DONE: 1})
    written = [job.id for job in rebuilt(tmp_path, one.id)]
    assert written == [str(number) for number in range(batches * 20)]


def test_a_full_disk_is_said_to_be_full(tmp_path: Path) -> None:
    with Journal(tmp_path / "full", os.open("/dev/full", os.O_WRONLY), 10**9) as journal:
        with pytest.raises(JournalError, match="the disk is full: make room"):
            journal.snapshots(snapshot_lines([failed(1)]))
        # What is there now is not known, so nothing more is added to it.
        with pytest.raises(JournalError, match="the disk is full: make room"):
            journal.codes(retried(1))


def test_what_cannot_be_brought_to_a_disk_is_no_snapshot(tmp_path: Path) -> None:
    # A pipe takes lines and has no disk to bring them to.
    reader, writer = os.pipe()
    with open(reader, "rb") as lines, Journal(tmp_path / "pipe", writer, 10**9) as journal:
        journal.codes(retried(1))
        with pytest.raises(JournalError, match="can't be written to"):
            journal.snapshots(snapshot_lines([failed(1)]))
        journal.close()
        assert [b'"failedReason"' in line for line in lines] == [False, True]


def test_a_folder_at_its_limit_takes_no_more_snapshots(tmp_path: Path) -> None:
    (tmp_path / "20200101-000000-0000.jsonl").write_bytes(b"x" * 50_000)
    with Journal.create(tmp_path, header(), limit=60_000) as journal:
        journal.snapshots(snapshot_lines([failed(1)]))
        before = journal.path.stat().st_size
        many = [failed(number) for number in range(20)]
        with pytest.raises(JournalError, match=r"holds 5\d\.\d kB, 1\d\.\d kB more would pass"):
            journal.snapshots(snapshot_lines(many))
        assert journal.path.stat().st_size == before
        # What was sent before must be reported all the same.
        journal.codes([Result("1" * 10_000, Code.DONE)])
        journal.end("stopped", {Code.DONE: 1})
    with pytest.raises(JournalError, match="pass its limit of 60"):
        Journal.create(tmp_path, header(), limit=60_000)
    with pytest.raises(JournalError, match="pass its limit of 60"):
        Journal.resume(tmp_path, journal.id, limit=60_000)
    names = {"20200101-000000-0000.jsonl", journal.path.name}
    assert {one.name for one in tmp_path.iterdir()} == names


def test_a_journal_that_was_deleted_meanwhile_is_no_snapshot(tmp_path: Path) -> None:
    with Journal.create(tmp_path, header()) as journal:
        journal.path.unlink()
        with pytest.raises(JournalError, match="was deleted while qtui was writing to it"):
            journal.snapshots(snapshot_lines([failed(1)]))
        with pytest.raises(JournalError, match="was deleted while qtui was writing to it"):
            journal.snapshots(snapshot_lines([failed(2)]))


def test_a_closed_journal_takes_nothing(tmp_path: Path) -> None:
    journal = Journal.create(tmp_path, header())
    journal.close()
    journal.close()
    with pytest.raises(JournalError, match="is closed"):
        journal.snapshots(snapshot_lines([failed(1)]))


def test_snapshots_and_codes_may_come_from_two_threads(tmp_path: Path) -> None:
    with Journal.create(tmp_path, header()) as journal:

        def send() -> None:
            for number in range(0, 600, 3):
                journal.snapshots(snapshot_lines([failed(number + more) for more in range(3)]))

        thread = threading.Thread(target=send)
        thread.start()
        for number in range(2000):
            journal.codes([Result(f"c{number}", Code.NOT_IN_STATE)])
        thread.join(PATIENCE)
    kinds = Counter(str(one["type"]) for one in read_lines(tmp_path, journal.id))
    assert kinds == {"campaign": 1, "job": 600, "code": 2000}
    assert len(journal.path.read_bytes().splitlines()) == 2601
