"""Texts that repeat are written once, and are put where they belong when a journal is read."""

from __future__ import annotations

import json
import resource
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qtui.bullmq.codes import Code, Result
from qtui.bullmq.writers.batch import Picked
from qtui.operations.journal.facts import Header, Snapshot, WrittenSelection
from qtui.operations.journal.lines import (
    column_lines,
    record,
    snapshot_lines,
    with_texts,
)
from qtui.operations.journal.reading import JournalError, read_lines, rebuilt, summary
from qtui.operations.journal.texts import Texts, whole
from qtui.operations.journal.writing import Journal

_FRAMES = "".join(
    f"\n    at Gateway.charge{at} (/app/node_modules/payments/dist/gateway.js:{at}:17)"
    for at in range(12)
)


def header() -> Header:
    return Header(
        where="redis://localhost:6379/0",
        queue="bull:payments",
        prefix="bull",
        state="failed",
        selection=WrittenSelection(kind="query", jobs=3),
    )


def job(number: int, message: str) -> Snapshot:
    stacks = [f"Error: {message}{_FRAMES}", f"Error: {message}{_FRAMES}"]
    fields = {"name": "charge", "failedReason": message, "stacktrace": json.dumps(stacks)}
    return Snapshot(str(number), 1.7e12 + number, fields)


def write(journal: Journal, jobs: list[Snapshot]) -> None:
    journal.snapshots(snapshot_lines(jobs, journal.texts))
    journal.codes(Result(one.id, Code.DONE, target="wait") for one in jobs)


_STACKS = st.lists(
    st.tuples(
        st.text(max_size=200), st.sampled_from(["", _FRAMES, f'{_FRAMES} "quoted" \\', "\n"])
    ),
    max_size=4,
).map(lambda pairs: json.dumps([f"{message}{frames}" for message, frames in pairs]))


@given(st.lists(st.one_of(_STACKS, st.text(max_size=300)), max_size=20))
def test_a_text_comes_back_as_it_was(written: list[str]) -> None:
    texts = Texts()
    # Each twice: of what was there before only the second is shortened as a whole.
    shortened = [texts.shorten(text) for text in written * 2]
    defined = texts.undefined()
    assert [whole(json.loads(json.dumps(one)), defined) for one in shortened] == written * 2


_FIELDS = ("name", "stacktrace", "failedReason", "returnvalue")


@given(
    st.lists(
        st.tuples(
            st.text(max_size=5),
            st.one_of(st.none(), st.floats()),
            st.tuples(*(st.one_of(st.none(), _STACKS, st.text(max_size=200)) for _ in _FIELDS)),
            st.one_of(st.none(), st.dictionaries(st.text(max_size=3), st.text(max_size=3))),
        ),
        max_size=5,
    ),
    st.booleans(),
)
def test_jobs_side_by_side_are_written_as_one_by_one(
    jobs: list[tuple[str, float | None, tuple[str | None, ...], dict[str, str] | None]],
    shorten: bool,
) -> None:
    picked = [Picked(job_id, score) for job_id, score, _, _ in jobs]
    columns = {name: [one[2][at] for one in jobs] for at, name in enumerate(_FIELDS)}
    families = [family for *_, family in jobs]
    each = [
        Snapshot(
            job_id,
            score,
            {name: value for name, value in zip(_FIELDS, values, strict=True) if value is not None},
            family=family,
        )
        for job_id, score, values, family in jobs
    ]
    texts = Texts() if shorten else None
    lines = column_lines(picked, columns, families, texts)
    defined = {} if texts is None else texts.undefined()
    found = [record(line) or {} for line in lines.splitlines(keepends=True)]
    assert [with_texts(one, defined) for one in found] == [
        record(line) for line in snapshot_lines(each).splitlines(keepends=True)
    ]
    assert shorten or lines == snapshot_lines(each)


def test_a_journal_of_jobs_that_failed_alike_is_a_fraction(tmp_path: Path) -> None:
    jobs = [job(number, f"order {number} not found") for number in range(1000)]
    with Journal.create(tmp_path, header()) as journal:
        for start in range(0, 1000, 100):
            write(journal, jobs[start : start + 100])
        journal.end("done", {Code.DONE: 1000})
    assert list(rebuilt(tmp_path, journal.id)) == jobs
    assert journal.path.stat().st_size < len(snapshot_lines(jobs)) / 4
    lines = [one for one in read_lines(tmp_path, journal.id) if one["type"] == "job"]
    assert [one["fields"] for one in lines] == [one.fields for one in jobs]
    assert all(one["type"] != "text" for one in read_lines(tmp_path, journal.id))
    assert summary(tmp_path, journal.id).jobs == 1000


def test_a_resumed_journal_defines_its_texts_anew(tmp_path: Path) -> None:
    first, second = [job(1, "a"), job(2, "a")], [job(3, "a"), job(4, "b")]
    with Journal.create(tmp_path, header()) as journal:
        write(journal, first)
    with journal.path.open("ab") as torn:
        torn.write(b'{"type":"text","id":"0')
    with Journal.resume(tmp_path, journal.id) as again:
        write(again, second)
    assert list(rebuilt(tmp_path, journal.id)) == [*first, *second]


def test_a_journal_of_an_older_release_stays_readable_for_it(tmp_path: Path) -> None:
    jobs = [job(1, "a"), job(2, "a")]
    with Journal.create(tmp_path, header()) as journal:
        journal.snapshots(snapshot_lines(jobs))
    raw = journal.path.read_text().replace('"format":2', '"format":1')
    journal.path.write_text(raw)
    with Journal.resume(tmp_path, journal.id) as again:
        assert again.texts is None
        write(again, [job(3, "a")])
    assert '"type":"text"' not in journal.path.read_text()
    assert list(rebuilt(tmp_path, journal.id)) == [*jobs, job(3, "a")]


def test_a_text_whose_line_was_taken_back_is_defined_again(tmp_path: Path) -> None:
    jobs = [job(number, "a") for number in range(50)]
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with Journal.create(tmp_path, header()) as journal:
        lines = snapshot_lines(jobs, journal.texts)
        resource.setrlimit(resource.RLIMIT_FSIZE, (journal.path.stat().st_size + 900, limits[1]))
        try:
            with pytest.raises(JournalError, match="ulimit"):
                journal.snapshots(lines)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        journal.snapshots(lines)
    assert list(rebuilt(tmp_path, journal.id)) == jobs


def test_lines_may_be_written_in_another_order_or_never(tmp_path: Path) -> None:
    with Journal.create(tmp_path, header()) as journal:
        one, other, lost = (
            snapshot_lines([job(number, "a")], journal.texts) for number in (1, 2, 3)
        )
        assert lost
        journal.snapshots(other)
        journal.snapshots(one)
    assert list(rebuilt(tmp_path, journal.id)) == [job(2, "a"), job(1, "a")]
