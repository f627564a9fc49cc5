"""Undoes an operation, as an action for the engine: any effect that `registry` has an inverse for.

Each job goes back only if it is still as the operation left it. The journal of the undo names the
operation (``undoes``) and what was done (``effect``), so that it can be undone as well.
"""

from __future__ import annotations

import asyncio
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import compress
from typing import Final

from qtui.bullmq.codes import Code, Result
from qtui.bullmq.connection.client import Client
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.writers.batch import Batch, Picked
from qtui.operations.engine.action import Seen
from qtui.operations.flow_rerun.written import BASES
from qtui.operations.journal.facts import Header, WrittenSelection
from qtui.operations.journal.texts import Texts
from qtui.operations.undo.deeds import Deeds
from qtui.operations.undo.everywhere import EachQueue
from qtui.operations.undo.inverse import ComesAfter, Deed, Expected
from qtui.operations.undo.registry import OLDEST_FIRST, make_inverse
from qtui.verbs import NOUNS, Verb

KIND: Final = "undo"
"""The kind of selection in an undo's journal: the jobs that another operation changed."""

_PAGE: Final = 200
"""Jobs read from the journal, and looked at, at once."""


class Undo:
    """The undo of one operation's jobs.

    Args:
        client: the server.
        deeds: what the operation did.
        only: the ids that were asked for; none for all.
        before: what earlier processes of this undo did; none for a new one.
    """

    def __init__(
        self,
        client: Client,
        deeds: Deeds,
        only: Sequence[str] = (),
        before: Before | None = None,
    ) -> None:
        self.deeds = deeds
        self.before = Counter[Code]() if before is None else before.codes
        self.follower = None
        self.inverse = make_inverse(client, deeds.header, True)
        self._only = only
        left = list(range(len(deeds))) if before is None else list(before.left)
        doubtful = [] if before is None else list(before.doubtful)
        order = 1 if deeds.header.what in OLDEST_FIRST else -1
        # Jobs are taken from the end; those in doubt that are not undone yet are put there.
        self._left, self._doubtful = left[::order], doubtful[::order]
        self._done = array("l", () if before is None else before.done)

    @property
    def queue(self) -> QueueKey | None:
        """The queue of its jobs; None if it spans queues."""
        header = self.deeds.header
        spans = BASES in header.options or header.flow or not header.queue
        return None if spans else QueueKey(header.queue, header.prefix)

    @property
    def selected(self) -> int:
        """Number of jobs that the operation changed, of those asked for."""
        return len(self.deeds)

    def header(self) -> Header:
        """Returns the first line of the journal, without address, command and pace."""
        undone = self.deeds.header
        return replace(
            undone,
            where="",
            how="",
            reason="",
            pace={},
            server={},
            flow={},
            action=Verb.UNDO.value,
            undoes=undone.id,
            effect=self.inverse.effect,
            selection=WrittenSelection(
                kind=undone.selection.kind if undone.selection.kind in NOUNS else KIND,
                jobs=len(self.deeds),
            ),
        )

    def chosen(self) -> Sequence[Picked]:
        """Returns the jobs that were asked for by id, for a resume; none if all are undone."""
        return [Picked(one) for one in self._only]

    async def begin(self) -> None:
        """Nothing has to be read before."""

    async def lost(self) -> Sequence[Picked]:
        """Returns the undone jobs that are where the operation put them: their undo was lost."""
        found = []
        for places in _chunks(self._done):
            deeds, seen = await self.look(places)
            pairs = zip(deeds, seen, strict=True)
            found += [
                Picked(deed.id, deed.snapshot.score) for deed, one in pairs if one.result.done
            ]
        return found

    def withdraw(self, lost: Sequence[Picked]) -> None:
        """Voids the codes 1 of these jobs; they are handed out again."""
        gone = {one.job_id for one in lost}
        again = [
            place
            for places in _chunks(self._done)
            for place, deed in zip(places, self.deeds.read(places), strict=True)
            if deed.id in gone
        ]
        away = frozenset(again)
        self._done = array("l", [place for place in self._done if place not in away])
        self._left = again[::-1] + self._left

    async def judge_doubtful(self) -> Sequence[Result] | None:
        """Returns results of jobs that an earlier process may have undone; None when all are."""
        places, self._doubtful = self._doubtful[:_PAGE], self._doubtful[_PAGE:]
        if not places:
            return None
        deeds, seen = await self.look(places)
        results = []
        for place, deed, one in zip(places, deeds, seen, strict=True):
            if one.result.done:
                self._left.append(place)
            elif one.arrived:
                self._done.append(place)
                results.append(Result(deed.id, Code.DONE))
            else:
                results.append(one.result)
        return results

    async def next(self) -> Undos | None:
        """Returns the next jobs, those that were changed last first; None at the end."""
        if not self._left:
            return None
        places = self._left[-_PAGE:][::-1]
        page = await asyncio.to_thread(self._page, places)
        if list(page) != places:
            # Here and not in the thread, which is not stopped where this is cancelled.
            self._left = [one for one in self._left if one not in page] + list(page)[::-1]
        return Undos(self, list(page), list(page.values()))

    def _page(self, places: Sequence[int]) -> dict[int, Deed]:
        """Reads jobs by place, each behind those that come before it, wherever these are.

        The others keep their order, in which a child finds the parent that was read without it.
        """
        found = dict(zip(places, self.deeds.read(places), strict=True))
        if not isinstance(self.inverse, ComesAfter):
            return found
        left = frozenset(self._left)
        ordered: dict[int, Deed] = {}
        begun = set[int]()
        stack = list(places)[::-1]
        while stack:
            place = stack.pop()
            if place in ordered:
                continue
            first = list[int]()
            if place not in begun:
                begun.add(place)
                known = map(self.deeds.place_of, self.inverse.after(found[place]))
                wanted = [one for one in known if one is not None and one in left]
                first = [one for one in wanted if one not in ordered and one not in begun]
            if not first:
                ordered[place] = found[place]
                continue
            missing = [one for one in first if one not in found]
            found |= zip(missing, self.deeds.read(missing), strict=True)
            stack += [place, *first]
        return ordered

    async def vanished(self) -> bool:
        """Whether jobs are missing since the queue is gone; no: each one has its code."""
        return False

    async def conclude(self, seconds: float) -> None:
        """Nothing is followed: an undone job does not run."""

    def outcomes(self) -> None:
        """None: an undone job does not run."""

    def counts(self) -> None:
        """None: an undone job does not run."""

    async def close(self) -> None:
        """Nothing is being read."""

    def take(self, places: Sequence[int]) -> None:
        """Marks jobs as being sent."""
        if self._left[-len(places) :][::-1] == list(places):
            del self._left[-len(places) :]
        else:
            taken = frozenset(places)
            self._left = [place for place in self._left if place not in taken]

    async def look(self, places: Sequence[int]) -> tuple[list[Deed], Sequence[Expected]]:
        """Reads jobs from the journal, and where they are now."""
        deeds = await asyncio.to_thread(self.deeds.read, places)
        return deeds, await self.inverse.look(deeds)

    def settle(self, places: Sequence[int], results: Sequence[Result]) -> None:
        """Remembers which jobs are undone."""
        pairs = zip(places, results, strict=True)
        self._done.extend([place for place, one in pairs if one.done])


@dataclass(frozen=True, slots=True)
class Before:
    """What earlier processes of an undo did, as places in its `Deeds`."""

    left: Sequence[int]
    doubtful: Sequence[int]
    done: Sequence[int]
    codes: Counter[Code]


@dataclass(frozen=True, slots=True)
class Undos:
    """Jobs to be undone in one or more calls."""

    undo: Undo
    places: Sequence[int]
    deeds: Sequence[Deed]

    def __len__(self) -> int:
        """The number of jobs."""
        return len(self.places)

    @property
    def ids(self) -> list[str]:
        """The jobs as the journal names them."""
        return [one.id for one in self.deeds]

    def cut(self, jobs: int) -> tuple[Undos, Undos | None]:
        """Splits off the first ``jobs`` jobs, of one queue; returns them and the rest."""
        inverse = self.undo.inverse
        if isinstance(inverse, EachQueue):
            jobs = min(jobs, inverse.run_of(self.deeds))
        if jobs >= len(self):
            return self, None
        return (
            Undos(self.undo, self.places[:jobs], self.deeds[:jobs]),
            Undos(self.undo, self.places[jobs:], self.deeds[jobs:]),
        )

    def only(self, wanted: Sequence[bool]) -> Undos:
        """Returns the jobs at the positions that are true."""
        places, deeds = list(compress(self.places, wanted)), list(compress(self.deeds, wanted))
        return Undos(self.undo, places, deeds)

    def take(self) -> None:
        """Marks its jobs as being sent."""
        self.undo.take(self.places)

    async def snapshot(self, texts: Texts | None) -> bytes:
        """Returns the journal lines from which this undo can be undone."""
        return await self.undo.inverse.snapshot(self.deeds, texts)

    async def send(self) -> Batch:
        """Takes the operation back for these jobs, in one atomic step."""
        return await self.undo.inverse.send(self.deeds)

    async def look(self) -> Seen:
        """Reads where the jobs are after a call whose reply was lost."""
        seen = await self.undo.inverse.look(self.deeds)
        results = [
            Result(deed.id, Code.DONE) if one.arrived else one.result
            for deed, one in zip(self.deeds, seen, strict=True)
        ]
        return Seen([one.result.done for one in seen], results)

    async def correct(self, seen: Seen, results: Sequence[Result]) -> list[Result]:
        """Returns the true results of a call that was sent again.

        Jobs that it found moved, and that have arrived where the undo puts them, were undone by the
        lost call, or by the part of it that was carried out.
        """
        if all(result.done for result in results):
            return list(results)
        now = await self.undo.inverse.look(self.deeds)
        return [
            Result(deed.id, Code.DONE) if one.arrived and not result.done else result
            for deed, one, result in zip(self.deeds, now, results, strict=True)
        ]

    def settle(self, results: Sequence[Result]) -> Sequence[Result]:
        """Takes the results of its jobs, with the reasons in words."""
        self.undo.settle(self.places, results)
        inverse = self.undo.inverse
        return [
            one if one.done or not one.error else one._replace(error=inverse.why(one))
            for one in results
        ]

    def objection(self, results: Sequence[Result]) -> str:
        """Returns "": the jobs of an undo are independent."""
        return ""


def _chunks(places: Iterable[int]) -> list[list[int]]:
    whole = list(places)
    return [whole[start : start + _PAGE] for start in range(0, len(whole), _PAGE)]
