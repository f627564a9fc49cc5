"""What a search has found, as rows: a row a job, queues by their names, and progress in words."""

from __future__ import annotations

from qtui.bullmq.connection.client import connect, parse_target
from qtui.bullmq.filter import parse_filter
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import LIST_FIELDS, JobState, QueueStatus, row
from qtui.bullmq.search.everywhere import Everywhere, FoundJob
from qtui.views.lists.anywhere import COLUMNS, MOST_ROWS, Anywhere

A, B = (QueueKey.of("bull", name) for name in ("orders", "emails"))
CLIENT = connect(parse_target("redis://127.0.0.1:1"), read_only=True)


def job(job_id: str, state: JobState = JobState.FAILED, queue: QueueKey = A) -> FoundJob:
    values = {"name": "charge", "failedReason": "bo\x1bom"}
    return FoundJob(queue, state, row(job_id, [values.get(name) for name in LIST_FIELDS]))


def anywhere(text: str, statuses: list[QueueStatus] | None = None) -> Anywhere:
    return Anywhere(Everywhere(CLIENT, [A, B], parse_filter(text)), statuses or [])


def test_a_job_has_one_row_that_says_where_it_was_met_last() -> None:
    found = anywhere("charge")
    assert len(found.take([job("1", JobState.WAITING), job("2"), job("1", queue=B)])) == 3
    assert found.take([job("1", JobState.FAILED)]) == []
    assert found.found == 3
    states = [one.job.state for one in found.rows if one.job is not None]
    assert states == [JobState.FAILED] * 3


def test_memory_is_bounded_and_the_rest_is_counted() -> None:
    found = anywhere("charge")
    found.take([job(str(number)) for number in range(MOST_ROWS + 5)])
    assert len(found.rows) == MOST_ROWS
    assert found.progress("ctrl+r").startswith(
        "stopped, ctrl+r continues: 10,005 jobs found, 10,000 listed"
    )


def test_queues_of_that_name_come_first() -> None:
    counts = {JobState.FAILED: 12, JobState.WAITING: 0}
    statuses = [QueueStatus(queue=A, counts=counts), QueueStatus(queue=B, counts={})]
    found = anywhere("ORD", statuses)
    [one] = found.rows
    assert [cell.text for cell in one.cells(0)][:2] == ["orders", "queue"]
    assert one.cells(0)[-1].text == "12 failed"
    assert anywhere("error:x", statuses).rows == []


def test_cells_are_plain() -> None:
    found = anywhere("charge")
    [one] = found.take([job("\x1b[31m")])
    cells = one.cells(0)
    assert len(cells) == len(COLUMNS)
    assert not any("\x1b" in cell.text for cell in cells)


def test_a_completed_job_shows_the_error_of_an_earlier_attempt() -> None:
    [one] = anywhere("error:bo").take([job("1", JobState.COMPLETED)])
    assert one.cells(0)[-1].text == "earlier error: bo␛om"


def test_an_empty_list_says_where_a_bare_word_was_looked_for() -> None:
    found = anywhere("order-7")
    found.search.finished = True
    assert (
        found.of_empty() == "no id and no name contains order-7: try error:order-7 or data:order-7"
    )
    found = anywhere("error:boom")
    found.search.finished = True
    assert found.of_empty() == "no matches"
