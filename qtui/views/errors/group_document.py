"""A group of failures as a document: what is known of it, then its sample job."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from qtui.bullmq.reads.job import Job
from qtui.operations.journal.history import Retried
from qtui.text import age, count, plain, plural
from qtui.views.document import Pairs, Section, Text
from qtui.views.errors.groups import ErrorGroup, group_words
from qtui.views.job_document import error_sections
from qtui.views.timeline import Reading, column

_FEWEST_BARS: Final = 20
_MOST_BARS: Final = 120
_BESIDE: Final = 60
"""Cells that bars leave for the words beside them, where there is room for both."""

_MARGIN: Final = 14
"""Cells of a document's margins and labels."""

_LISTED: Final = 6
"""Names, queues and words that are listed."""


def group_sections(
    group: ErrorGroup,
    *,
    jobs: int,
    width: int,
    now: float,
    past: Retried | None,
    everywhere: bool,
) -> list[Section]:
    """What is known of a group.

    Args:
        group: the group.
        jobs: the jobs of all groups.
        width: cells that a line has.
        now: ms since the epoch.
        past: what retries of it came to; None if there were none, or as long as that is unknown.
        everywhere: whether the groups are those of several queues.
    """
    percent = 100 * group.jobs / max(1, jobs)
    share = f"{percent:.0f} %" if percent >= 1 else "<1 %"
    note = f"{plural(group.jobs, 'job')}, {share}"
    rows = [*_when(group, width, now)]
    if past is not None:
        rows.append(("before", past.words(now)))
    if group.words:
        rows.append(("<word>", _listed(group.words, group.jobs)))
    rows.append(("names", _listed(group.names, group.jobs)))
    if everywhere:
        queues = Counter({queue.name: number for queue, number in group.queues.items()})
        rows.append(("queues", _listed(queues, group.jobs)))
    return [Section(group_words(group), Pairs(tuple(rows)), note)]


def sample_sections(
    job: Job | None, job_id: str, *, roomy: bool, everywhere: bool
) -> list[Section]:
    """The error and the stack of the sample job of a group.

    Args:
        job: the job; None if it is gone.
        job_id: its id.
        roomy: whether there is room for the whole stack.
        everywhere: whether the groups are those of several queues.
    """
    title = f"sample: job {job_id}"
    if job is None:
        return [Section(title, Text("It is gone by now."))]
    title += f" · {job.row.name}" if job.row.name else ""
    title += f" in {job.queue.name}" if everywhere else ""
    first, *others = list(error_sections(job, roomy=roomy)) or [
        Section(title, Text("(no reason given)"))
    ]
    return [replace(first, title=title), *others]


def _when(group: ErrorGroup, width: int, now: float) -> Iterator[tuple[str, str]]:
    room = width - _MARGIN
    beside = room - _BESIDE if room - _BESIDE >= _FEWEST_BARS else 0
    found = group.times.bars(max(2, min(beside or room, _MOST_BARS)), now)
    if found is None or group.first is None or group.last is None:
        return
    reading = Reading(found, "failed")
    first, last = f"first {_ago(now - group.first)}", f"last {_ago(now - group.last)}"
    ends = first if group.first == group.last else f"{first}, {last}"
    words = f"{reading.peak()[0]} · {ends}" if len(found.counts) > 1 else ends
    bars = "".join(column(jobs, found.peak, 1) for jobs in found.counts)
    if len(found.counts) == 1:
        yield "when", words
    elif beside:
        yield "when", f"{bars}  {words}"
    else:
        yield "when", bars
        yield "", words


def _ago(milliseconds: float) -> str:
    words = age(milliseconds)
    return words if words.startswith(("in ", "?")) else f"{words} ago"


def _listed(names: Counter[str], jobs: int) -> str:
    """The most common names with their counts, and how many jobs have others."""
    if len(names) == 1:
        [name] = names
        return plain(name) or "(no name)"
    first = names.most_common(_LISTED)
    words = [f"{plain(name) or '(no name)'} {count(number)}" for name, number in first]
    rest = jobs - sum(number for _, number in first)
    return " · ".join([*words, *([f"others {count(rest)}"] if rest > 0 else [])])
