"""Events as lines: the latest are kept, filtered, frozen; a failure is found below a place."""

from __future__ import annotations

import time

from qtui.bullmq.filter import parse_filter
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.reads.events.feed import Missed, QueueEvent
from qtui.bullmq.reads.page import KEPT
from qtui.views.document import Pairs
from qtui.views.lists.events import (
    MOST_KEPT,
    EventLines,
    details,
    is_failure,
    matching,
    moment,
    sections,
)

Q = QueueKey.of("bull", "q")


def event(number: int, what: str = "waiting", **fields: str) -> QueueEvent:
    return QueueEvent(Q, number, {"event": what, "jobId": str(number), **fields})


def ids(lines: EventLines) -> list[str]:
    ones = (lines[place].one for place in range(len(lines)))
    return [one.job_id if isinstance(one, QueueEvent) else "missed" for one in ones]


def test_the_newest_is_the_first() -> None:
    lines = EventLines()
    assert lines.add([event(1), event(2)]) == 2
    assert lines.add([Missed(Q, 3, trimmed=True), event(3)]) == 2
    assert ids(lines) == ["3", "missed", "2", "1"]
    assert [lines.place(lines[at].number) for at in range(4)] == [0, 1, 2, 3]
    assert lines.place(99) is None


def test_memory_is_bounded_also_while_frozen_and_filtered() -> None:
    lines = EventLines()
    lines.filter(parse_filter("name=failed"))
    for start in range(0, 4 * MOST_KEPT, 100):
        lines.add([event(start + step, "failed" if step == 0 else "active") for step in range(100)])
        if start == MOST_KEPT:
            lines.freeze()
    before = ids(lines)
    assert before[0] == str(MOST_KEPT)
    assert lines.came == 3 * MOST_KEPT // 100 - 1
    assert lines.dropped
    lines.thaw()
    lines.filter(None)
    assert MOST_KEPT <= len(lines) <= 1.1 * MOST_KEPT + 100
    assert ids(lines)[0] == str(4 * MOST_KEPT - 1)
    lines.filter(parse_filter("name=failed"))
    assert len(lines) <= (1.1 * MOST_KEPT + 100) // 100


def test_what_is_shown_is_never_older_than_what_is_kept() -> None:
    lines = EventLines()
    lines.filter(parse_filter("id=1"))
    lines.add([event(1)])
    lines.add([event(number, "active") for number in range(2, 2 * MOST_KEPT)])
    assert len(lines) == 0


def test_long_values_are_cut_and_names_are_forgotten() -> None:
    lines = EventLines()
    lines.add([event(1, "added", name="charge"), event(2, "failed", failedReason="x" * 100_000)])
    one = lines[0].one
    assert isinstance(one, QueueEvent)
    assert len(one.fields["failedReason"]) <= KEPT
    assert lines.names == {(Q, "1"): "charge"}
    assert lines.nameless(0, 10) == [(Q, "2")]
    lines.learn({(Q, "2"): "refund"})
    assert lines.nameless(0, 10) == []
    lines.add([event(number, "added", name="n") for number in range(3, 5 * MOST_KEPT)])
    assert len(lines.names) <= 2 * MOST_KEPT + 1


def test_frozen_lines_stay_and_what_comes_is_counted() -> None:
    lines = EventLines()
    lines.add([event(1), event(2)])
    lines.freeze()
    assert lines.add([event(3), event(4, "failed")]) == 0
    assert ids(lines) == ["2", "1"]
    assert lines.came == 2
    lines.filter(parse_filter("id=1"))
    assert ids(lines) == ["1"]
    lines.filter(None)
    lines.thaw()
    assert ids(lines) == ["4", "3", "2", "1"]
    assert lines.came == 0


def test_the_next_failure_is_an_older_one() -> None:
    lines = EventLines()
    lines.add([event(1, "failed"), event(2), event(3, "stalled"), event(4, "retries-exhausted")])
    assert lines.next_failure(-1) == 1
    assert lines.next_failure(1) == 3
    assert lines.next_failure(3) is None
    assert not is_failure(Missed(Q, 1, trimmed=False))


def test_a_filter_takes_an_event_for_a_job_and_shows_every_gap() -> None:
    events = [event(1), event(2, "failed", failedReason="Timeout"), event(3, returnvalue='"t"')]
    assert matching(events, parse_filter("error:timeout")) == [events[1]]
    assert matching(events, parse_filter("name=failed | id=3")) == events[1:]
    assert matching(events, parse_filter("return:t")) == [events[2]]
    lines = EventLines()
    lines.add([*events, Missed(Q, 4, trimmed=True)])
    lines.filter(parse_filter("name=failed"))
    assert ids(lines) == ["missed", "2"]


def test_words_are_plain_also_of_hostile_fields() -> None:
    assert details(event(1, "failed", failedReason="bad\x07\nat x")) == "bad␇"
    assert details(event(1, "active", prev="wait\x07")) == "from wait␇"
    assert details(event(1, "completed", returnvalue="x" * 500)) == "x" * 80
    assert details(event(1, "drained")) == ""
    assert details(event(1, "retries-exhausted", attemptsMade="3")) == "attempts 3"
    [_, facts, value] = sections(
        event(1, "failed", failedReason="a", data="{", odd="\x9b", prev="b")
    )
    assert value.title == "data"
    assert isinstance(facts.body, Pairs)
    assert ("odd", "\\x9b") in facts.body.rows


def test_a_moment_of_another_day_names_the_day() -> None:
    now = time.mktime((2026, 11, 29, 12, 0, 0, 0, 0, -1)) * 1000
    assert moment(int(now) + 7, now) == "12:00:00.007"
    assert moment(int(now) - 86_400_000, now) == "11-28 12:00:00.000"
    assert moment(2**63, now) == "?"
    assert sections(event(2**63))[0].body
