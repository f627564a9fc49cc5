"""Events as lines: which match a filter, what they say, and the latest thousands. No widgets.

A filter takes an event for a job: its name is that of the event, its error the reason.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from qtui.bullmq.filter import Filter
from qtui.bullmq.filter.columns import Columns
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.reads.events.feed import Missed, QueueEvent
from qtui.bullmq.reads.page import KEPT
from qtui.bullmq.signature.headline import cut_reason, headline
from qtui.text import first_line, plain
from qtui.views.document import Json, Pairs, Section, Stack
from qtui.views.tone import Tone

MOST_KEPT: Final = 5_000
"""Events that are kept; what is older is dropped."""

_SLACK: Final = 500
"""By how many more a list may grow before its oldest are dropped."""

_LONGEST: Final = 80
"""Characters of a value that is shown in a line."""

_TONES: Final = {
    "failed": Tone.BAD,
    "stalled": Tone.BAD,
    "retries-exhausted": Tone.BAD,
    "completed": Tone.GOOD,
    "paused": Tone.BUSY,
    "resumed": Tone.BUSY,
}

_FAILURES: Final = frozenset({"failed", "stalled"})
"""Events that report a failure; ``retries-exhausted`` follows a ``failed`` of the same job."""

_SHOWN: Final = ("returnvalue", "data", "name", "count", "attemptsMade")
"""What is shown behind an event: the first of these that it has."""

_IN_FULL: Final = ("failedReason", "returnvalue", "data")
"""Fields that have a section of their own where an event is shown whole."""


def matching(events: Sequence[QueueEvent], wanted: Filter | None) -> Sequence[QueueEvent]:
    """Returns the events that match.

    Raises:
        FilterError: a pattern ran away and was stopped.
    """
    if wanted is None or not events:
        return events
    columns = Columns(
        ids=[one.job_id for one in events],
        fields={
            "name": [one.name for one in events],
            "failedReason": [one.fields.get("failedReason") for one in events],
            "returnvalue": [one.fields.get("returnvalue") for one in events],
            "data": [one.fields.get("data") for one in events],
        },
        scores=[float(one.at) for one in events],
    )
    return [events[at] for at in wanted.pick(columns, range(len(events)))]


def tone(one: QueueEvent) -> Tone:
    """Returns the colour of an event's name."""
    return _TONES.get(one.name, Tone.PLAIN)


def is_failure(one: QueueEvent | Missed) -> bool:
    """Whether a job has failed, or stalled."""
    return isinstance(one, QueueEvent) and one.name in _FAILURES


def details(one: QueueEvent) -> str:
    """Returns what an event says beside its name and its job, as one line of plain text."""
    if "failedReason" in one.fields:
        return plain(headline(one.fields["failedReason"]))
    named = next((name for name in _SHOWN if name in one.fields), "")
    shown = first_line(one.fields.get(named, ""))[:_LONGEST]
    if named == "attemptsMade":
        shown = f"attempts {shown}"
    prev = one.fields.get("prev")
    return f"from {plain(prev)}  {shown}".rstrip() if prev and not shown else shown


def missed_words(one: Missed) -> str:
    """Returns what is said of events that were not read; the queue's name is the caller's."""
    if one.trimmed:
        return "earlier events are missing: the stream was trimmed before they were read"
    return "earlier events are missing: too many came while they were not read"


def moment(at: int, now: float) -> str:
    """Returns when an event was: ``14:03:07.123`` today, with the day in front on others.

    Args:
        at: ms since the epoch, by the server's clock.
        now: ms since the epoch.
    """
    then, today = _moment(at), _moment(now)
    if then is None or today is None:
        return "?"
    clock = then.strftime("%H:%M:%S.%f")[:-3]
    return clock if then.date() == today.date() else then.strftime("%m-%d ") + clock


def _moment(at: float) -> datetime | None:
    """A time in ms since the epoch, None if no calendar has it: ids of events may be any number."""
    try:
        return datetime.fromtimestamp(at / 1000)
    except (ValueError, OverflowError, OSError):
        return None


def sections(one: QueueEvent | Missed) -> list[Section]:
    """Returns an event as a document, with all its fields."""
    if isinstance(one, Missed):
        return [Section("missing", Pairs((("queue", one.queue.base), ("", missed_words(one)))))]
    then = _moment(one.at)
    at = then.isoformat(" ", "milliseconds") if then is not None else "?"
    rows = [("at", at), ("queue", one.queue.base), ("event", one.name)]
    rows += [("job", one.job_id)] if one.job_id else []
    rest = {name: text for name, text in one.fields.items() if name not in ("event", "jobId")}
    rows += [(name, text) for name, text in rest.items() if name not in _IN_FULL]
    found = [Section("event", Pairs(tuple((plain(name), plain(text)) for name, text in rows)))]
    if "failedReason" in rest:
        found.insert(0, Section("error", Stack(rest["failedReason"])))
    found += [Section(name, Json(rest[name])) for name in ("returnvalue", "data") if name in rest]
    return found


@dataclass(frozen=True, slots=True)
class Line:
    """An event, or a gap, with a number that it keeps."""

    number: int
    one: QueueEvent | Missed


class EventLines:
    """The latest events, newest first: those that match a filter, and a place in them.

    While it is frozen the lines stay as they are; what comes is kept, and counted.
    """

    def __init__(self) -> None:
        self.wanted: Filter | None = None
        """What is shown; None for every event. Gaps are always shown."""
        self.came = 0
        """Lines that match and came since it is frozen."""
        self.dropped = False
        """Whether events that were read are not kept any more."""
        self.names: dict[tuple[QueueKey, str], str] = {}
        """The names of jobs, as far as they are known."""
        self._next = 0
        self._all: list[Line] = []
        self._frozen: list[Line] | None = None
        """The lines as they were when it was frozen."""
        self._shown: list[Line] = []

    def __len__(self) -> int:
        """How many lines there are."""
        return len(self._shown)

    def __getitem__(self, place: int) -> Line:
        """The line at a place, the newest at 0."""
        return self._shown[-1 - place]

    @property
    def frozen(self) -> bool:
        """Whether the lines stay as they are."""
        return self._frozen is not None

    @property
    def kept(self) -> int:
        """How many events are kept, shown or not."""
        return len(self._all if self._frozen is None else self._frozen)

    def place(self, number: int) -> int | None:
        """The place of a line, by its number; None if it is not shown."""
        index = bisect_left(self._shown, number, key=lambda line: line.number)
        found = index < len(self._shown) and self._shown[index].number == number
        return len(self._shown) - 1 - index if found else None

    def add(self, news: Iterable[QueueEvent | Missed]) -> int:
        """Takes in what came, oldest first; returns by how many lines the list has grown.

        Raises:
            FilterError: a pattern ran away and was stopped.
        """
        fresh = [Line(self._next + step, _short(one)) for step, one in enumerate(news)]
        self._next += len(fresh)
        self._all += fresh
        self._learn(fresh)
        self._trim()
        shown = self._matching(fresh)
        if self._frozen is not None:
            self.came += len(shown)
            return 0
        self._shown += shown
        oldest = self._all[0].number if self._all else self._next
        del self._shown[: bisect_left(self._shown, oldest, key=lambda line: line.number)]
        return len(shown)

    def filter(self, wanted: Filter | None) -> None:
        """Shows the events that match, of all that are kept.

        Raises:
            FilterError: a pattern ran away and was stopped; what was shown stays.
        """
        before, self.wanted = self.wanted, wanted
        try:
            self._shown = self._matching(self._all if self._frozen is None else self._frozen)
        except Exception:  # whatever it is, the filter and what it shows stay together
            self.wanted = before
            raise

    def freeze(self) -> None:
        """Keeps the lines as they are."""
        if self._frozen is None:
            self._frozen, self.came = list(self._all), 0

    def thaw(self) -> None:
        """Shows what came meanwhile."""
        self._frozen = None
        self.came = 0
        self._shown = self._matching(self._all)

    def next_failure(self, place: int) -> int | None:
        """The place of the next failure below a place, which is an older one; None for none."""
        places = range(place + 1, len(self))
        return next((at for at in places if is_failure(self[at].one)), None)

    def nameless(self, first: int, last: int) -> list[tuple[QueueKey, str]]:
        """The jobs of some lines whose names are not known, each once."""
        lines = (self[at].one for at in range(first, min(last, len(self) - 1) + 1))
        jobs = ((one.queue, one.job_id) for one in lines if isinstance(one, QueueEvent))
        return list(dict.fromkeys(job for job in jobs if job[1] and job not in self.names))

    def learn(self, names: Mapping[tuple[QueueKey, str], str]) -> None:
        """Takes in names of jobs."""
        self.names.update(names)

    def _learn(self, lines: Iterable[Line]) -> None:
        for one in (line.one for line in lines):
            if isinstance(one, QueueEvent) and one.name == "added" and "name" in one.fields:
                self.names[one.queue, one.job_id] = one.fields["name"]

    def _matching(self, lines: list[Line]) -> list[Line]:
        if self.wanted is None:
            return list(lines)
        events = [one.one for one in lines if isinstance(one.one, QueueEvent)]
        found = {id(one) for one in matching(events, self.wanted)}
        return [line for line in lines if isinstance(line.one, Missed) or id(line.one) in found]

    def _trim(self) -> None:
        """Drops the oldest events, and the names that none of the others needs."""
        if len(self._all) > MOST_KEPT + _SLACK:
            del self._all[: len(self._all) - MOST_KEPT]
            self.dropped = True
        if len(self.names) > 2 * MOST_KEPT:
            events = (line.one for line in self._all if isinstance(line.one, QueueEvent))
            jobs = {(one.queue, one.job_id) for one in events}
            self.names = {job: name for job, name in self.names.items() if job in jobs}


def _short(one: QueueEvent | Missed) -> QueueEvent | Missed:
    """The event with its values cut, so that thousands can be kept."""
    if isinstance(one, Missed) or all(len(text) <= KEPT for text in one.fields.values()):
        return one
    cut = {
        name[:KEPT]: cut_reason(text, KEPT) if name == "failedReason" else text[:KEPT]
        for name, text in one.fields.items()
    }
    return QueueEvent(one.queue, one.at, cut)
