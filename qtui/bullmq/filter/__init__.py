"""The filter language: which jobs of a state are meant. Pure; one parser for screen and commands.

A filter is words and fields, side by side or with ``|`` between them; `TABLE` tells what there is.
It is fixed when it is parsed: ages become moments, so that the same filter means the same jobs
however long it is in use. Its canonical text, ``str(filter)``, parses to an equal filter at any
time. Texts are matched as they stand in Redis, so ``data:`` and ``stack:`` look at JSON.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from math import isfinite
from typing import Final

from qtui.bullmq.filter.columns import Columns, Pick, Places
from qtui.bullmq.filter.error import FilterError
from qtui.bullmq.filter.syntax import Parser
from qtui.bullmq.filter.terms import Subject, Term
from qtui.bullmq.filter.values import quoted

__all__ = ["PAYLOADS", "TABLE", "Columns", "Filter", "FilterError", "Subject", "parse", "quoted"]

PAYLOADS: Final = frozenset({"data", "returnvalue", "stacktrace"})
"""Fields of any size, which a list never reads."""

TABLE: Final = (
    ("timeout", "part of the id or the name, upper and lower case alike"),
    ("error:timeout", "part of a field: id: name: error: data: return: stack:"),
    ('error:"two words"', "quotes, or ', around blanks, brackets, | and :; a quote in them twice"),
    ("name=charge", "the whole text, letter by letter; id=42 is looked up, not searched for"),
    ("re:^charge", "a regular expression on id or name, up to the next blank or in quotes"),
    ("error:re:ECONN(RESET|REFUSED)", "one on a field; case counts, but for (?i) in front"),
    ('group:"Timeout of <n>ms"', "failed with an error that reads so in `errors`"),
    ("age<1h", "finished less than 1 hour ago; age>2d more than 2 days (s m h d w)"),
    ("after:2026-11-21T03:00", "finished then or later, local time; or with Z or +01:00; or a day"),
    ("before:2026-11-21", "finished before that"),
    ("attempts>=3", "attempts made: = < <= > >="),
    ("attempts=max", "all its attempts are used up"),
    ("priority>0", "priority: = < <= > >="),
    ("child:yes", "has a parent; child:no has none"),
    ("!error:timeout", "not so, also where there is no such field"),
    ("charge error:timeout", "both"),
    ("timeout | error:reset", "one of them; binds weaker than both, brackets ( ) group"),
)
"""Example and meaning, one row a feature: help, ``--help`` and README are made from it."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which jobs are meant. Made by `parse`; equal to another that says the same."""

    root: Term
    source: str = field(default="", compare=False)
    """As it was typed, to be shown; errors of `pick` point into it."""
    _pick: Pick = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_pick", self.root.pick())

    def __str__(self) -> str:
        """The canonical text: it parses to an equal filter whenever it is parsed."""
        return str(self.root)

    def pick(self, jobs: Columns, places: Places) -> Places:
        """Which of some jobs are meant.

        Args:
            jobs: with every field that `needs` names, whole and not shortened.
            places: those that are looked at, in order.

        Raises:
            FilterError: a pattern ran away and was stopped, after 0.1 s of CPU at most in one text
                (of which it sees the first 100,000 characters), or because of the many texts in
                which it took long. The filter stays stopped.
        """
        return self._pick(jobs, places)

    def matches(self, job: Subject) -> bool:
        """Whether one job is meant. Raises what `pick` raises."""
        fields = {name: (value,) for name, value in job.fields.items()}
        return bool(self.pick(Columns((job.id,), fields, (job.score,)), (0,)))

    @property
    def needs(self) -> frozenset[str]:
        """Fields of the job's hash that `pick` looks at; empty where the id is enough.

        It may name finishedOn, which `Subject.score` makes superfluous.
        """
        return self.root.needs()

    @property
    def fields(self) -> frozenset[str]:
        """Those of `needs` that no row has: payloads."""
        return self.root.needs() & PAYLOADS

    def bounds(self) -> tuple[float | None, float | None]:
        """Finishing times in ms (from, inclusive; to, exclusive) out of which nothing matches.

        None means no bound. As scores: ``ZREVRANGEBYSCORE key (to from``. What lies within does not
        all match. Where from is not less than to, nothing does.
        """
        low, high = self.root.span()
        return (low if isfinite(low) else None), (high if isfinite(high) else None)

    def exact_ids(self) -> frozenset[str] | None:
        """The only ids that can match, so that nothing need be scanned; None if any may.

        They come from ``id=``. Each must still be read and matched.
        """
        return self.root.ids()

    def id_candidates(self) -> tuple[str, ...]:
        """Ids worth a direct look before the scan, in the order typed, each once.

        ``id:42`` and ``42`` may mean the job 42 or a part of many ids. Each must still be read and
        matched, and the scan must not show it again.
        """
        return tuple(dict.fromkeys(self.root.candidates()))


def parse(text: str, *, now: float | None = None) -> Filter:
    """The filter that ``text`` says.

    Args:
        text: as typed.
        now: the moment that ages are counted from, ms since the epoch; the clock's if None.

    Raises:
        FilterError: it cannot be understood; an empty text is no filter either.
    """
    moment = time.time() * 1000 if now is None else now
    return Filter(Parser(text, int(moment)).parse(), text)
