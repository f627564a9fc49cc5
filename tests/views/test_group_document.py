"""What the lower half says of a group of errors."""

from __future__ import annotations

from collections import Counter
from typing import Final

from qtui.bullmq.keys import QueueKey
from qtui.bullmq.search.steps import Step
from qtui.operations.following.outcome import Fate
from qtui.operations.journal.history import Retried
from qtui.views.document import Document, Pairs
from qtui.views.errors.group_document import group_sections, sample_sections
from qtui.views.errors.groups import ErrorGroup, ErrorGroups

NOW: Final = 1_790_000_000_000
PAYMENTS, EMAILS = QueueKey.of("bull", "payments"), QueueKey.of("bull", "emails")


def group_of(*reasons: str, name: str = "charge", queue: QueueKey = PAYMENTS) -> ErrorGroup:
    groups, jobs = ErrorGroups(), len(reasons)
    fields = {"failedReason": reasons, "name": [name] * jobs}
    times = [NOW - 60_000.0 * place for place in range(jobs)]
    groups.add(Step([str(place) for place in range(jobs)], fields, times), queue)
    return groups.largest_first()[0]


def rows(group: ErrorGroup, width: int = 80, past: Retried | None = None) -> dict[str, str]:
    [section] = group_sections(group, jobs=100, width=width, now=NOW, past=past, everywhere=True)
    assert isinstance(section.body, Pairs)
    return dict(section.body.rows)


def test_when_it_came_is_drawn_as_wide_as_there_is_room() -> None:
    group = group_of(*["Timeout of 5ms"] * 30, "Timeout of 7ms")
    narrow, wide = rows(group), rows(group, 200)
    assert set(narrow["when"]) <= set("▁▂▃▄▅▆▇█·")
    assert len(narrow["when"]) <= 80
    assert narrow[""].endswith("first 30m ago, last 0s ago")
    assert narrow[""].startswith("peak ")
    assert wide["when"].endswith(narrow[""])
    for width in (20, 60, 80, 120, 200):
        for line in rows(group, width)["when"].split("  ")[:1]:
            assert len(line) <= max(2, width)
    assert rows(group_of("boom"))["when"] == "first 0s ago"


def test_names_queues_and_open_words_are_counted() -> None:
    names = ("ann", "bob", "cid", "dora", "eve", "fay", "gus", "hal", "ida", "joe")
    group = group_of(*(f"user {name} is gone" for name in names))
    group.names = Counter(charge=7, refund=3)
    group.queues = Counter({PAYMENTS: 6, EMAILS: 4})
    found = rows(group)
    assert found["names"] == "charge 7 · refund 3"
    assert found["queues"] == "payments 6 · emails 4"
    assert found["<word>"] == "ann 1 · bob 1 · cid 1 · dora 1 · eve 1 · fay 1 · others 4"
    assert "before" not in found
    one_queue = group_sections(group, jobs=10, width=80, now=NOW, past=None, everywhere=False)
    assert isinstance(one_queue[0].body, Pairs)
    assert "queues" not in dict(one_queue[0].body.rows)
    assert one_queue[0].title == "user <word> is gone"
    assert one_queue[0].note == "10 jobs, 100 %"


def test_the_past_is_said() -> None:
    past = Retried(jobs=20, fates=Counter({Fate.FAILED_AGAIN: 20}), last=NOW - 7_200_000)
    assert rows(group_of("boom"), past=past)["before"] == "retried 20, 20 failed again, 2h ago"


def test_hostile_texts_are_plain_and_clocks_ahead_are_no_ago() -> None:
    hostile = "\x1b]0;evil\x07 [red]x[/red] \u202e"
    group = group_of(*[f"{hostile} {word}" for word in ("a", "b")], name=hostile)
    group.first = group.last = NOW + 300_000.0
    sections = group_sections(
        group, jobs=2, width=80, now=NOW, past=None, everywhere=True
    ) + sample_sections(None, hostile, roomy=True, everywhere=True)
    layout = Document(sections).layout(80)
    text = "\n".join("".join(one.text for one in layout.line(y)) for y in range(layout.height))
    assert not {"\x1b", "\x07", "\u202e"} & set(text)
    assert "[red]x[/red]" in text
    assert "in 5m" in text
    assert "in 5m ago" not in text
    assert "It is gone by now." in text
