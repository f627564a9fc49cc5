"""Terms together: not, every, either. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from typing_extensions import override

from qtui.bullmq.filter.columns import Columns, Indices, Pick, united, without
from qtui.bullmq.filter.terms import Child, InGroup, Span, Term, in_groups


@dataclass(frozen=True, slots=True)
class Not(Term):
    """Another term does not match. Made by `negate`."""

    term: Term

    def __str__(self) -> str:
        if isinstance(self.term, Child):
            return "child:no"
        return f"!({self.term})" if isinstance(self.term, Group) else f"!{self.term}"

    @override
    def price(self) -> int:
        return self.term.price()

    @override
    def needs(self) -> frozenset[str]:
        return self.term.needs()

    @override
    def span(self, negated: bool = False) -> Span:
        return self.term.span(not negated)

    @override
    def ids(self, negated: bool = False) -> frozenset[str] | None:
        return self.term.ids(not negated)

    @override
    def pick(self) -> Pick:
        inner = self.term.pick()
        return lambda jobs, places: without(places, inner(jobs, places))


@dataclass(frozen=True, slots=True)
class Group(Term):
    """Two or more terms. Made by `group`."""

    terms: tuple[Term, ...]

    @override
    def price(self) -> int:
        return max(term.price() for term in self.terms)

    @override
    def needs(self) -> frozenset[str]:
        return frozenset().union(*(term.needs() for term in self.terms))

    @override
    def span(self, negated: bool = False) -> Span:
        lows, highs = zip(*(term.span(negated) for term in self.terms), strict=True)
        if self._narrows(negated):
            return max(lows), min(highs)
        return min(lows), max(highs)

    @override
    def ids(self, negated: bool = False) -> frozenset[str] | None:
        known = [term.ids(negated) for term in self.terms]
        given = [ids for ids in known if ids is not None]
        if self._narrows(negated):
            return frozenset.intersection(*given) if given else None
        return frozenset.union(*given) if len(given) == len(known) else None

    @override
    def candidates(self) -> Iterator[str]:
        for term in self.terms:
            yield from term.candidates()

    def _narrows(self, negated: bool) -> bool:
        return isinstance(self, Every) is not negated

    def _picks(self) -> list[Pick]:
        return [term.pick() for term in sorted(self.terms, key=lambda term: term.price())]


@dataclass(frozen=True, slots=True)
class Every(Group):
    """All of them match."""

    def __str__(self) -> str:
        return " ".join(f"({one})" if isinstance(one, Either) else str(one) for one in self.terms)

    @override
    def pick(self) -> Pick:
        picks = self._picks()

        def every(jobs: Columns, places: Indices) -> Indices:
            for pick in picks:
                if not places:
                    break
                places = pick(jobs, places)
            return places

        return every


@dataclass(frozen=True, slots=True)
class Either(Group):
    """One of them matches, or more."""

    def __str__(self) -> str:
        return " | ".join(map(str, self.terms))

    @override
    def pick(self) -> Pick:
        # Error groups are marked by the hundred: together they cost what one costs.
        named = [one.signature for one in self.terms if isinstance(one, InGroup)]
        others = [one for one in self.terms if not isinstance(one, InGroup)]
        picks = [one.pick() for one in sorted(others, key=lambda one: one.price())]
        return united([*picks, *([in_groups(named)] if named else [])])


def negate(term: Term) -> Term:
    """The opposite of a term."""
    return term.term if isinstance(term, Not) else Not(term)


def group(kind: type[Every] | type[Either], terms: Sequence[Term]) -> Term:
    """Returns one term for at least one; a group in a group of the same kind is merged into it."""
    flat: list[Term] = []
    for term in terms:
        flat += term.terms if isinstance(term, kind) else (term,)
    return flat[0] if len(flat) == 1 else kind(tuple(flat))
