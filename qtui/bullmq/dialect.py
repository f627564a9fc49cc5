"""Determines a queue's kind and release, and where a retried job goes. Pure.

`lua/parts/destination.lua` decides the same in Lua, and a test holds the two equal.

BullMQ's releases keep waiting jobs in different places, in four ways: 1.x-3.x, 4.x, 5.x and 6.x
(`RELEASES_OF`; JSON calls each a dialect). ``meta.version`` names only the last process that opened
the queue, which may be a dashboard. So the evidence in jobs and lists counts first, the version
breaks ties, and in doubt the job goes where no release loses it:

* ``prioritized`` is never read before 4.0.0, so a job goes there only on evidence of ≥4 in the
  jobs or keys (``bullmq:4.18.3`` may come from a dashboard); in ``wait`` it merely runs early.
* While a queue is paused, 1.x to 5.x keep waiting jobs in ``paused``, which their resume renames
  over ``wait``; 6.x keeps them in ``wait``, drains ``paused`` at a resume, `ONE_RESUME` ids a call,
  and shows nothing of it before. No key distinguishes 5.x from 6.x before a job waits while
  the queue is paused: whole keyspaces of the same life under 5.81.5, 6.7.0 and Python 3.4.4 differ
  in ``meta.version`` alone. Both lists lose, strand or hide jobs under the other's resume.
* ``prioritized`` does not: no release's pause or resume touches it, every getter since 4.0.0 shows
  it, every resume since 5.0.0 wakes the workers for it, and they empty it once ``wait`` is empty.
  So a modern job goes there, as priority 0, where nothing proves which list is right. (``delayed``,
  due now, is emptied by the workers *while* the queue is paused, those of 6.x into ``wait``; an add
  and a resume of 5.x lose it there.)
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from qtui.bullmq.model import Kind

HIGHEST_PRIORITY: Final = 2**21
"""The largest priority that BullMQ accepts; with its 32-bit counter it fills a score's 53 bits."""

ONE_RESUME: Final = 7000
"""Ids that one call of a 6.x resume (script pause-7) moves out of ``paused`` if ``wait`` exists.

Only Node's client calls again while some are left.
"""

_MAJOR: Final = re.compile(r"bullmq:(\d+)\.")


RELEASES_OF: Final = {
    "T1": "1.x-3.x",
    "T4": "4.x",
    "T5": "5.x",
    "T6": "6.x",
    "T5/T6": "5.x or 6.x",
    "?": "release unknown",
}
"""The text for people for each `QueueEvidence.dialect`, which is for scripts."""


class Destination(StrEnum):
    """The key that a retried job is put into."""

    WAIT = "wait"
    PAUSED = "paused"
    PRIORITIZED = "prioritized"
    WAITING_CHILDREN = "waiting-children"
    """For a parent that is retried with its children; `destination` never returns it."""


class Written(NamedTuple):
    """A key that a retry writes when a job goes to a destination."""

    by: Destination
    type: str


WRITTEN: Final[Mapping[str, Written]] = {
    "wait": Written(Destination.WAIT, "list"),
    "paused": Written(Destination.PAUSED, "list"),
    "prioritized": Written(Destination.PRIORITIZED, "zset"),
    "pc": Written(Destination.PRIORITIZED, "string"),
}
"""By suffix, the keys without which a job can't go where it should."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueEvidence:
    """The signs of the release that runs a queue, read at one moment."""

    paused: bool = False
    version: str = ""
    """``meta.version``: ``bullmq:5.81.5``."""
    ran_modern: bool | None = None
    """Whether the jobs that ran last carry the counters of ≥5.0.0; None if there are none."""
    knows_prioritized: bool = False
    """``prioritized`` or its counter ``pc`` exists (≥4.0.0)."""
    knows_legacy_priority: bool = False
    """The sorted set ``priority`` of ≤3.16.2 exists."""
    paused_list: bool = False
    """The list ``paused`` exists."""
    jobs_in_wait: bool = False
    """``wait`` holds ids that are not markers."""
    in_paused: int = 0
    """Number of members of ``paused``."""
    paused_by_older: bool = False
    """``paused`` holds a job that never ran: an add or a pause of 1.x to 5.x put it there."""
    wait_by_newer: bool = False
    """``wait`` holds a job that never ran: while the queue is paused, an add of 6.x put it in."""
    mistyped: frozenset[str] = frozenset()
    """Suffixes of the keys in `WRITTEN` that are of another type than BullMQ's."""

    def obstacle(self, target: Destination) -> str:
        """The suffix of a key for whose type no job can go there; empty if there is none."""
        return next(
            (one for one, made in WRITTEN.items() if made.by is target and one in self.mistyped), ""
        )

    @property
    def major(self) -> int | None:
        """The major release that the version names."""
        found = _MAJOR.match(self.version)
        return int(found.group(1)) if found else None

    @property
    def older(self) -> bool:
        """Whether a release before 6 runs the queue: its resume takes all of ``paused`` at once.

        Its last jobs ran under 1.x to 4.x; or a 5.x process opened it last (Elixir names itself
        5.65.1 whichever dialect it writes), and jobs that wait while paused are only in ``paused``,
        where a 5.x put them.
        """
        if self.ran_modern is False:
            return True
        return self._named_older and self.paused_by_older and not self.jobs_in_wait

    @property
    def newer(self) -> bool:
        """Whether 6.x runs the queue, while it is paused: what waits is in ``wait`` alone.

        A job that ran before proves nothing there: a dashboard of 6.x retries it into ``wait``,
        even if another release runs the queue.
        """
        return self.wait_by_newer and not self.paused_list and not self._named_older

    @property
    def _named_older(self) -> bool:
        return self.major in (2, 3, 4, 5) and self.version != "bullmq:5.65.1"

    @property
    def dialect(self) -> str:
        """The best guess, as in JSON: a key of `RELEASES_OF`. ``T5/T6`` and ``?`` mean doubt."""
        if self.ran_modern or (self.ran_modern is None and (self.major or 0) >= 5):
            keeps_wait = self.paused and self.jobs_in_wait and not self.paused_list
            if self.paused and self.paused_by_older:
                return "T5"
            if keeps_wait or (self.major or 0) >= 6 or self.major == 1:
                return "T6"
            return "T5/T6" if self.major is None else "T5"
        if self.knows_prioritized or (self.major == 4 and not self.knows_legacy_priority):
            return "T4"
        return "T1" if self.ran_modern is False or self.major is not None else "?"

    @property
    def releases(self) -> str:
        """The releases that may run the queue, for people: ``5.x``, ``5.x or 6.x``."""
        return RELEASES_OF[self.dialect]


@dataclass(frozen=True, slots=True, kw_only=True)
class Signs:
    """The signs of a queue's kind. Every caller reads all of them, and asks `kind_of`."""

    version: str = ""
    """``meta.version``."""
    configured: bool = False
    """``meta`` holds a version, a length of events or a concurrency; Bull's only ``paused``."""
    events: bool = False
    """``events`` is a stream."""
    groups: bool = False
    """``groups`` is a sorted set, as BullMQ Pro has it."""
    newer_keys: bool = False
    """One of the keys that Bull never had exists: see `NEWER_KEYS`."""
    ran_modern: bool | None = None
    """As `QueueEvidence.ran_modern`."""
    any_key: bool = False
    """Any key of the queue itself exists, with jobs in it or not."""


NEWER_KEYS: Final = {
    "prioritized": "zset",
    "waiting-children": "zset",
    "marker": "zset",
    "pc": "string",
}
"""Keys, and their types, that only BullMQ makes (since 4.0.0, 1.16.0, 5.0.0 and 4.0.0)."""


def kind_of(signs: Signs) -> Kind:
    """Returns the kind of a queue with these signs.

    ``meta`` and ``events`` can be deleted or evicted. A queue of 5.x or 6.x is still recognised by
    its jobs; one of 1.x to 4.x without other signs looks like one of Bull's.
    """
    if signs.version.startswith("bullmq-pro:") or signs.groups:
        return Kind.PRO
    if signs.configured or signs.events or signs.newer_keys or signs.ran_modern:
        return Kind.BULLMQ
    return Kind.BULL if signs.any_key else Kind.GONE


def ran_modern(seen: Iterable[bool | None]) -> bool | None:
    """Combines the jobs that ran last: a single modern one proves that ≥5.0.0 runs the queue."""
    verdicts = [modern for modern in seen if modern is not None]
    return any(verdicts) if verdicts else None


def speaks_modern(queue: QueueEvidence) -> bool | None:
    """Returns whether ≥5.0.0 runs a queue, for a job that has not run itself; None if unknown.

    Where no job has run, `QueueEvidence.version` decides, though it names who opened the queue
    last. ``lua/parts/release.lua`` decides the same in Lua, and a test holds the two equal.
    """
    if queue.ran_modern is not None:
        return queue.ran_modern
    major = queue.major
    return None if major is None else major >= 5 or major == 1


def clamp_priority(priority: int) -> int:
    """Returns a job's priority as used in a score: 0 for none, at most `HIGHEST_PRIORITY`."""
    return min(max(priority, 0), HIGHEST_PRIORITY)


def destination(
    queue: QueueEvidence, job_id: str, *, modern: bool | None, priority: int
) -> Destination:
    """Returns the key that a retry puts a job into.

    Args:
        queue: the evidence at that moment.
        job_id: its id. One that starts with ``0:`` (6.x takes ``0:a:b``) is thrown away by the
            workers of ≥3.1.3 when they pop it from a list, as a wake-up; not from `prioritized`.
        modern: whether the job itself last ran under ≥5.0.0, see `qtui.bullmq.model.Row`.
        priority: the job's priority, 0 for none.
    """
    modern = modern or queue.ran_modern
    ranked = priority > 0 or job_id.startswith("0:")
    if ranked and (modern or queue.knows_prioritized):
        return Destination.PRIORITIZED
    if not queue.paused:
        return Destination.WAIT
    if not modern or queue.ran_modern is False:
        return Destination.PAUSED  # a job without a counter of ≥5.0.0 failed before 5.49.2
    if queue.older and queue.in_paused < ONE_RESUME:
        return Destination.PAUSED
    return Destination.WAIT if queue.newer else Destination.PRIORITIZED


def kept_while_paused(queue: QueueEvidence) -> Destination:
    """Returns the list that keeps the waiting jobs when this queue, which is not paused, is paused.

    `lua/parts/destination.lua` decides the same. While nothing is paused the keys of
    5.x and 6.x are alike, so here ``meta.version`` decides. Where it names 6.x the jobs stay in
    ``wait``, as 6.x keeps and shows them: no release's resume loses them there, unless a 5.x adds
    jobs meanwhile. Without a version (Python, 5.0 to 5.19) they go to ``paused``: a release before
    6 would lose them in ``wait``, or before 5 run them; 6.x only hides them until the resume.

    Args:
        queue: the evidence at that moment.
    """
    if queue.ran_modern is False:
        return Destination.PAUSED
    newer = (queue.major or 0) >= 6 or (queue.major == 1 and queue.ran_modern is True)
    return Destination.WAIT if newer else Destination.PAUSED
