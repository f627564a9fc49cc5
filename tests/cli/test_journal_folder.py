"""The journal's folder: pruned on request, safe from others, and odd files in it do no harm."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from qtui.operations.journal.facts import Header, WrittenSelection
from qtui.operations.journal.reading import campaigns, ids, unfinished
from qtui.operations.journal.writing import Journal
from tests.cli.stage import Outcome, command, failed, invoke, run
from tests.cli.test_terminal import terminal, whole
from tests.patience import PATIENCE

DAY = 86_400_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where commands keep their journal."""
    return tmp_path / "qtui" / "journal"


def header(**changes: object) -> Header:
    facts = {
        "where": "redis://localhost:6379/0",
        "queue": "bull:payments",
        "prefix": "bull",
        "state": "failed",
        "selection": WrittenSelection(kind="query", jobs=3),
    }
    return Header(**{**facts, **changes})  # type: ignore[arg-type]


def past(folder: Path, days: float, phase: str = "done") -> str:
    """The journal of a retry that ended some days ago; without a phase it was cut off."""
    with Journal.create(folder, header()) as journal:
        if phase:
            journal.end(phase, {})
    at = int(time.time() * 1000 - days * DAY)
    lines = [json.loads(line) | {"at": at} for line in journal.path.read_text().splitlines()]
    raw = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)
    journal.path.write_text(raw)
    return journal.id


def test_the_list_shows_sizes(folder: Path) -> None:
    past(folder, 1)
    past(folder, 2)
    listed = invoke("journal", "--json").objects
    files = {path.stem: path.stat().st_size for path in folder.iterdir()}
    assert {one["id"]: one["size"] for one in listed} == files
    total = f"2 operations, {sum(files.values())} B in {folder}; --prune AGE deletes old ones\n"
    assert invoke("journal").err == total


def test_old_ones_are_deleted_when_asked_and_others_never(folder: Path) -> None:
    old, older, young = past(folder, 31), past(folder, 300), past(folder, 29)
    cut, stopped = past(folder, 300, ""), past(folder, 300, "stopped")
    (folder / "20200101-000000-dead.jsonl").write_text("garbage\n")
    (folder / "notes.txt").write_text("mine")
    shown = invoke("journal", "--prune", "30d", "--dry-run")
    assert [word in shown.out for word in (old, older, young, cut, stopped)] == [
        *(True, True, False, False, False)
    ]
    assert "would delete 2 journals" in shown.err
    assert len(ids(folder)) == 6
    done = invoke("journal", "--prune", "30d", "--yes")
    assert done.code == 0
    assert "2 of 2 journals deleted" in done.out
    assert {one.id for one in campaigns(folder)} == {young, cut, stopped}
    again = invoke("journal", "--prune", "30d", "--yes")
    assert (again.code, "no operation ended more than 30d ago" in again.err) == (0, True)
    invoke("journal", "--prune", "30d", "--unfinished", "--yes")
    assert [one.id for one in campaigns(folder)] == [young]
    assert (folder / "notes.txt").read_text() == "mine"
    assert (folder / "20200101-000000-dead.jsonl").exists()


def test_one_that_runs_always_stays(folder: Path) -> None:
    name = past(folder, 300, "")
    with Journal.resume(folder, name):
        done = invoke("journal", "--prune", "1d", "--unfinished", "--yes")
        assert "no operation ended" in done.err
    assert ids(folder) == [name]


def test_it_asks_before_it_deletes(folder: Path) -> None:
    past(folder, 9)
    alone = invoke("journal", "--prune", "1w")
    assert (alone.code, "cannot prompt without a terminal" in alone.err) == (2, True)
    for answer, left in (("n", 1), ("y", 0)):
        with terminal("journal", "--prune", "1w") as child:
            child.expect_exact("[y/N] ")
            child.sendline(answer)
            _, code = whole(child)
        assert (len(ids(folder)), code) == (left, left)


@pytest.mark.parametrize("words", [("--yes",), ("--prune", "soon"), ("--prune", "1d", "x")])
def test_wrong_words_are_answered(folder: Path, words: tuple[str, ...]) -> None:
    past(folder, 9)
    assert invoke("journal", *words).code == 2
    assert len(ids(folder)) == 1


# Odd files ---------------------------------------------------------------------------------------


def _lines(**changes: object) -> bytes:
    first = {
        "type": "campaign",
        "format": 2,
        "id": "x",
        "at": 1,
        "queue": "bull:q",
        "prefix": "bull",
    }
    first |= {"where": "unix:///s", "state": "failed", "selection": {"kind": "query"}, "how": "x"}
    end = {"type": "end", "at": 2, "phase": "done", "codes": {"1": 1}, "note": ""}
    records = [first | changes, end | changes]
    return "".join(json.dumps(one) + "\n" for one in records).encode()


def _directory(path: Path) -> None:
    path.mkdir()


def _sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 32)


_ODD: dict[str, Callable[[Path], object]] = {
    "a huge number": lambda path: path.write_bytes(_lines(at=10**400)),
    "a huge negative": lambda path: path.write_bytes(_lines(at=-(10**400), pid=10**300)),
    "codes": lambda path: path.write_bytes(_lines(codes={"1": 10**400, "9" * 50: 1, "x": None})),
    "a pace": lambda path: path.write_bytes(_lines(pace={"rate": 10**400, "canary": "x"})),
    "a list": lambda path: path.write_bytes(_lines(selection=[], pace=[], flow=[1], resets=2)),
    "a selection": lambda path: path.write_bytes(
        _lines(selection={"kind": 1, "jobs": 10**400, "until": 10**400, "filter": "(("})
    ),
    "texts": lambda path: path.write_bytes(_lines(user=["x"], host={}, phase=[1], note=[2])),
    "types": lambda path: path.write_bytes(b'{"type":[]}\n{"type":"end"}\n'),
    "nesting": lambda path: path.write_bytes(b'{"type":' + b"[" * 100_000 + b"\n"),
    "digits": lambda path: path.write_bytes(b'{"type":"campaign","at":' + b"9" * 9999 + b"}\n"),
    "nothing": lambda path: path.write_bytes(b""),
    "noise": lambda path: path.write_bytes(bytes(range(256)) * 64),
    "a directory": _directory,
    "a huge hole": _sparse,
    "a pipe": lambda path: os.mkfifo(path),
    "a link": lambda path: path.symlink_to("/etc/passwd"),
    "a loop": lambda path: path.symlink_to(path),
}


@pytest.mark.parametrize("kind", _ODD)
def test_an_odd_file_does_not_take_the_journal_down(
    folder: Path, redis_url: str, kind: str
) -> None:
    fine = past(folder, 1)
    odd = "20260101-000000-0dd0"
    _ODD[kind](folder / f"{odd}.jsonl")
    listed = invoke("journal")
    assert listed.code == 0, listed.err
    assert fine in listed.out
    listed = invoke("journal", "--json")
    assert (listed.code, fine in listed.out) == (0, True)
    for words in (("journal", odd), ("journal", odd, "--jobs"), ("journal", odd, "--json")):
        assert "Traceback" not in invoke(*words).err
    failed(redis_url, 1)
    resumed = invoke("--redis", redis_url, "retry", "--resume", odd)
    assert resumed.code in (1, 2)
    assert "Traceback" not in resumed.err
    assert len(resumed.err.splitlines()) == 1
    unfinished(folder, "unix:///s")  # what the inspector asks when it starts
    assert fine in invoke("journal", "--prune", "1h", "--dry-run").out


def test_a_filter_that_does_not_parse_is_said_when_a_retry_is_resumed(
    folder: Path, redis_url: str
) -> None:
    failed(redis_url, 1)
    where = redis_url
    broken = header(
        where=where,
        selection=WrittenSelection(kind="query", jobs=1, filter="error:re:((", until=2e12),
    )
    with Journal.create(folder, broken) as journal:
        pass
    done = invoke("--redis", redis_url, "retry", "--resume", journal.id)
    assert done.code == 1
    assert f"the filter of retry {journal.id} can't be parsed" in done.err
    assert len(done.err.splitlines()) == 1


# Whose folder ------------------------------------------------------------------------------------


def _retried(redis_url: str, **environ: str) -> Outcome:
    return run("--redis", redis_url, "retry", "payments", "1", "--yes", environ=environ)


@pytest.mark.slow
@pytest.mark.parametrize("above", [0, 1, 2])
def test_a_folder_on_the_way_that_others_may_write_to_is_refused(
    tmp_path: Path, redis_url: str, above: int
) -> None:
    failed(redis_url, 1)
    folder = tmp_path / "a" / "b" / "c" / "journal"
    folder.mkdir(parents=True, mode=0o700)
    folder.parents[above].chmod(0o777)
    done = _retried(redis_url, QTUI_JOURNAL=str(folder))
    assert done.code == 1
    assert f"others may write to {folder.parents[above]}" in done.err
    folder.parents[above].chmod(0o1777)
    assert _retried(redis_url, QTUI_JOURNAL=str(folder)).code == 0


@pytest.mark.parametrize("above", [0, 1])
def test_a_link_on_the_way_is_refused(tmp_path: Path, redis_url: str, above: int) -> None:
    failed(redis_url, 1)
    folder = tmp_path / "state" / "qtui" / "journal"
    real = tmp_path / "real"
    real.mkdir(mode=0o700)
    link = folder.parents[above]
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(real)
    done = _retried(redis_url, QTUI_JOURNAL=str(folder))
    assert (done.code, f"{link} is a symbolic link" in done.err) == (1, True)


def test_a_folder_of_another_user_on_the_way_is_refused(tmp_path: Path, redis_url: str) -> None:
    failed(redis_url, 1)
    # In this namespace we are an unknown user, and what is root's outside is another's.
    script = f'mkdir -m 700 {tmp_path}/s && exec "$@"'
    words = command("--redis", redis_url, "retry", "payments", "1", "--yes")
    environ = {**os.environ, "QTUI_JOURNAL": f"{tmp_path}/s/journal"}
    os.chown(tmp_path, 12345, 12345)
    try:
        done = subprocess.run(
            ["sh", "-c", script, "sh", *map(os.fsdecode, words)],
            capture_output=True,
            env=environ,
            timeout=PATIENCE,
            check=False,
        )
    finally:
        os.chown(tmp_path, os.geteuid(), os.getegid())
    assert done.returncode == 1
    assert f"{tmp_path}, above the journal, belongs to another user" in done.stderr.decode()


# No home -----------------------------------------------------------------------------------------


def homeless(*args: str, **environ: str) -> Outcome:
    """Runs a command as a user without a home, a name and an environment, as in a container."""
    known = {"PYTHONPATH": os.environ["PYTHONPATH"], **environ}
    done = subprocess.run(
        [
            "unshare",
            "-U",
            "--map-user=54321",
            "--map-group=54321",
            *map(os.fsdecode, command(*args)),
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=PATIENCE,
        env=known,
        check=False,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize(
    "words",
    [
        ("queues",),
        ("jobs", "payments"),
        ("show", "payments", "1"),
        ("errors", "payments"),
        ("flow", "payments", "1"),
        ("retry", "payments", "1", "--dry-run"),
        ("journal",),
    ],
)
def test_reading_needs_no_home(redis_url: str, words: tuple[str, ...]) -> None:
    failed(redis_url, 1)
    done = homeless("--redis", redis_url, *words)
    assert done.code == 0, done.err
    assert "Traceback" not in done.err


def test_a_retry_without_a_home_says_what_moves_the_journal(redis_url: str, tmp_path: Path) -> None:
    failed(redis_url, 1)
    done = homeless("--redis", redis_url, "retry", "payments", "1", "--yes")
    assert done.code == 2
    assert done.err == (
        "qtui: cannot retry jobs without a folder for the journal, and you have no home folder:"
        " set QTUI_JOURNAL to a folder you can write to\n"
    )
    place = tmp_path / "kept"
    moved = run(
        "--redis",
        redis_url,
        "retry",
        "payments",
        "1",
        "--yes",
        environ={"QTUI_JOURNAL": str(place)},
    )
    assert moved.code == 0
    assert len(ids(place)) == 1


def test_a_folder_that_cannot_be_written_says_what_moves_the_journal(redis_url: str) -> None:
    failed(redis_url, 1)
    done = _retried(redis_url, QTUI_JOURNAL="/proc/qtui/journal")
    assert done.code == 1
    assert "set QTUI_JOURNAL" in done.err
