"""The filter language: which jobs of a state match. Pure; one parser for screen and commands.

A filter is terms, side by side (AND) or with ``|`` between them (OR); `TABLE` lists them. Its
meaning is fixed when it is parsed: ages become moments, so the same filter matches the same jobs
however long it is in use. Its canonical text, ``str(filter)``, parses to an equal filter at any
time. Texts are matched as Redis holds them, so ``data:`` and ``stack:`` search JSON.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from math import isfinite
from typing import Final

from qtui.bullmq.filter.columns import Columns, Indices, Pick
from qtui.bullmq.filter.error import FilterError
from qtui.bullmq.filter.syntax import Parser
from qtui.bullmq.filter.terms import Term
from qtui.bullmq.filter.values import quoted

__all__ = ["PAYLOADS", "TABLE", "Columns", "Filter", "FilterError", "parse_filter", "quoted"]

PAYLOADS: Final = frozenset({"data", "returnvalue", "stacktrace"})
"""Fields of any size, which a list never reads."""

TABLE: Final = (
    ("timeout", "text in the id or the name; ignores case"),
    ("error:timeout", "text in a field: id: name: error: data: return: stack:"),
    (
        'error:"two words"',
        "quote text with spaces, brackets, | or : (\" or '); double inner quotes",
    ),
    ("name=charge", "exact match; id=42 is a direct lookup, no scan"),
    ("re:^charge", "regular expression on id or name; ends at a space unless quoted"),
    (
        "error:re:ECONN(RESET|REFUSED)",
        "regular expression on a field; case-sensitive unless it starts with (?i)",
    ),
    (
        'group:"Timeout of <n>ms"',
        "in this error group, as named by `qtui errors`; `<word>` is any word",
    ),
    (
        "age<1h",
        "finished, else added, less than 1 hour ago; age>2d: 2 days or more (s m h d w)",
    ),
    ("after:2026-11-21T03:00", "finished at or after a time or a day; local, or with Z or +01:00"),
    ("before:2026-11-21", "finished before a time or a day"),
    ("attempts>=3", "attempts made; also = < <= >"),
    ("attempts=max", "has used up its attempts"),
    ("priority>0", "priority; also = < <= >="),
    ("child:yes", "has a parent; child:no has none"),
    ("!error:timeout", "NOT; also matches jobs without that field"),
    ("charge error:timeout", "AND: both must match"),
    ("timeout | error:reset", "OR; a space means AND and binds tighter; ( ) group"),
)
"""Example and meaning, one row a feature: help, ``--help`` and README are made from it."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which jobs match. Made by `parse_filter`; equal to another with the same terms."""

    root: Term
    source: str = field(default="", compare=False)
    """As it was typed, for display; positions in errors of `pick` refer to it."""
    _pick: Pick = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_pick", self.root.pick())

    def __str__(self) -> str:
        """The canonical text: it parses to an equal filter whenever it is parsed."""
        return str(self.root)

    def pick(self, jobs: Columns, places: Indices) -> Indices:
        """The places of the jobs that match, in order.

        Args:
            jobs: with every field that `needs` names, in full.
            places: the jobs to look at, in order.

        Raises:
            FilterError: a pattern ran away and was stopped: after at most 0.1 s of CPU in one text
                (it searches the first 100,000 characters), or for being slow in many texts. From
                then on every call raises.
        """
        return self._pick(jobs, places)

    @property
    def needs(self) -> frozenset[str]:
        """Fields of the job's hash that `pick` reads; empty if the id is enough.

        It may name finishedOn, which the scores of `Columns` make superfluous.
        """
        return self.root.needs()

    @property
    def fields(self) -> frozenset[str]:
        """The payloads among `needs`, which no list row has."""
        return self.root.needs() & PAYLOADS

    def bounds(self) -> tuple[float | None, float | None]:
        """Finishing times, ms (from, inclusive; to, exclusive), outside of which nothing matches.

        None means no bound. As scores: ``ZREVRANGEBYSCORE key (to from``. Not everything inside
        matches; if from is not less than to, nothing does.
        """
        low, high = self.root.span()
        return (low if isfinite(low) else None), (high if isfinite(high) else None)

    def exact_ids(self) -> frozenset[str] | None:
        """The only ids that can match, from ``id=``, so that no scan is needed; None if any can.

        Each must still be read and matched.
        """
        return self.root.ids()

    def id_candidates(self) -> tuple[str, ...]:
        """Ids worth a direct look before the scan, in the order typed, each once.

        ``id:42`` and ``42`` may mean job 42 or a part of many ids. Each must still be read and
        matched, and the scan must not return it a second time.
        """
        return tuple(dict.fromkeys(self.root.candidates()))


def parse_filter(text: str, *, now: float | None = None) -> Filter:
    """Parses a filter.

    Args:
        text: as typed.
        now: the moment that ages are counted from, ms since the epoch; None for now.

    Raises:
        FilterError: it does not parse, or is empty.
    """
    moment = time.time() * 1000 if now is None else now
    return Filter(Parser(text, int(moment)).parse(), text)
