"""What the doctor finds, as rows of a list, and in full. No widgets."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from qtui.bullmq.keys import QueueKey
from qtui.bullmq.verdicts.examination import Examination
from qtui.bullmq.verdicts.finding import Finding, Mend
from qtui.text import count, plain, plural
from qtui.views.document import Pairs, Section, Text
from qtui.views.queues.rows import Cell, Column
from qtui.views.tone import Tone

_SIGN: Final = Column(name="", least=1, most=1)
_QUEUE: Final = Column(name="queue", least=10, most=40)
_WORDS: Final = Column(name="what is wrong", least=30, most=1_000)

FIXES: Final = {
    Mend.RESUME: "resume the queue",
    Mend.REMOVE: "remove them",
    Mend.RELEASE: "release the rate limit",
    Mend.RELEASE_KEYS: "release the deduplication ids",
    Mend.REVIVE: "revive the schedulers",
    Mend.RERUN: "rerun the flow without its lost children",
}
"""What mends a finding, in words for the screen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingRow:
    """A finding in a list."""

    finding: Finding
    everywhere: bool
    """Whether the row names the queue."""

    @property
    def key(self) -> str:
        """Its queue and its kind: an examination names each kind once a queue."""
        queue = self.finding.queue
        return f"{'' if queue is None else queue.base} {self.finding.code}"

    def cells(self, now: float) -> tuple[Cell, ...]:
        """Returns the cells of `columns`."""
        one = self.finding
        tone = Tone.BAD if one.is_fault else Tone.BUSY
        sign = Cell("✗" if one.is_fault else "▲", tone)
        words = Cell(plain(one.words))
        if not self.everywhere:
            return sign, words
        return sign, Cell("server" if one.queue is None else plain(one.queue.name)), words


def columns(*, everywhere: bool) -> tuple[Column, ...]:
    """Returns the columns of a list of findings: of several queues, or of one."""
    return (_SIGN, _QUEUE, _WORDS) if everywhere else (_SIGN, _WORDS)


def finding_rows(findings: Iterable[Finding], *, everywhere: bool) -> list[FindingRow]:
    """Returns findings as rows: faults first, then hints, each in the order they were found."""
    rows = [FindingRow(finding=one, everywhere=everywhere) for one in findings]
    return sorted(rows, key=lambda row: not row.finding.is_fault)


def replaced(
    before: Sequence[Finding], queues: Container[QueueKey], found: Sequence[Finding]
) -> list[Finding]:
    """Returns findings in which those of some queues are replaced, each at its queue's place.

    Args:
        before: the findings so far.
        queues: the queues that were examined again.
        found: what was found in these.
    """
    result: list[Finding] = []
    placed: set[QueueKey] = set()
    for one in before:
        if one.queue is None or one.queue not in queues:
            result.append(one)
        elif one.queue not in placed:
            placed.add(one.queue)
            result += (fresh for fresh in found if fresh.queue == one.queue)
    return result + [one for one in found if one.queue not in placed]


def in_full(one: Finding) -> list[Section]:
    """Returns a finding as a document: what it is, what it does, what to do, what shows it."""
    where = "server" if one.queue is None else plain(one.queue.base)
    found = [
        Section("what is wrong", Text(one.words), note=where),
        Section("effect", Text(one.effect)),
        Section("what to do", Text(one.remedy), note=_fix(one)),
    ]
    if one.sample:
        more = one.jobs - len(one.sample)
        note = f"and {count(more)} more" if more > 0 else ""
        found.append(Section(_members(one), Text(", ".join(one.sample)), note=note))
    if one.evidence:
        rows = tuple((str(number), text) for number, text in enumerate(one.evidence, 1))
        found.append(Section("evidence", Pairs(rows)))
    return found


def _fix(one: Finding) -> str:
    return "" if one.mend is None else f"f plans it: {FIXES[one.mend]}"


def _members(one: Finding) -> str:
    if one.mend is Mend.REVIVE:
        return "schedulers"
    return "deduplication ids" if one.mend is Mend.RELEASE_KEYS else "jobs"


def how_many(findings: Sequence[Finding]) -> list[tuple[str, str]]:
    """Returns the counts above a list, as pieces of text, each with the name of a style."""
    faults = sum(one.is_fault for one in findings)
    hints = len(findings) - faults
    return [
        (plural(faults, "fault"), "bad" if faults else "strong"),
        (f" · {plural(hints, 'hint')}", "warn" if hints else "faint"),
    ]


def progress_words(examined: Examination) -> str:
    """Returns how far an examination is; plain text."""
    if examined.checked < examined.total:
        return f"checked {count(examined.checked)} of {plural(examined.total, 'queue')}"
    what = "keys" if examined.reading is None else f"jobs of {plain(examined.reading.name)}"
    return f"reading {what}: {count(examined.seen)} read"


def left_out(examined: Examination) -> Iterator[str]:
    """Yields what an examination did not look at, since it would have taken long; plain text."""
    skipped = examined.skipped
    if len(skipped) == 1:
        [(queue, jobs)] = skipped.items()
        yield f"{plain(queue.name)}: {plural(jobs, 'job')} not read one by one"
    elif skipped:
        jobs = sum(skipped.values())
        yield f"{plural(len(skipped), 'queue')}: {plural(jobs, 'job')} not read one by one"
    if examined.keys_skipped:
        yield f"{plural(examined.keys_skipped, 'key')} not searched for jobs in no state"


def price(seconds: float) -> str:
    """Returns how long a throttled reading takes, about: ``3 s``, ``12 min``."""
    return f"{max(1, seconds):.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
