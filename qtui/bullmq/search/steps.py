"""A state in steps: jobs in their order, with fields and scores. Reads only."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Final, NamedTuple

from qtui.bullmq.ask import (
    Command,
    Reply,
    ask,
    ask_all,
    score,
    unrefused,
)
from qtui.bullmq.connection.arrival import BEARABLE
from qtui.bullmq.connection.client import Client
from qtui.bullmq.connection.portion import Portion
from qtui.bullmq.filter.columns import Columns, Indices
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState
from qtui.bullmq.reads.hashes import read_whole
from qtui.bullmq.reads.reasons import fill_reasons
from qtui.bullmq.reads.scores import scored_members, scores_in_order
from qtui.bullmq.reads.window import Range, Windows, scores_of

_REASON: Final = "failedReason"


@dataclass(slots=True)
class Met:
    """One job on the walk: its id, and the fields that were asked for (None where absent)."""

    id: str
    fields: dict[str, str | None]
    score: float | None = None
    """Its score, where scores were asked for; None if it left the state at that moment."""


class Step(Columns):
    """Some jobs of a state, side by side: what of them is looked at one by one becomes a `Met`.

    Whoever looks at many takes their columns: a `Met` each costs more than to read them.
    """

    __slots__ = ()

    def __iter__(self) -> Iterator[Met]:
        names = tuple(self.fields)
        # Without fields there is nothing to zip.
        values = zip(*self.fields.values(), strict=True) if names else repeat(())
        scores = repeat(None) if self.scores is None else self.scores
        for job_id, each, at in zip(self.ids, values, scores, strict=False):
            yield Met(job_id, dict(zip(names, each, strict=True)), at)

    def __getitem__(self, part: slice) -> Step:
        fields = {name: column[part] for name, column in self.fields.items()}
        return Step(self.ids[part], fields, None if self.scores is None else self.scores[part])

    def only(self, places: Indices) -> Step:
        """The same without those at other places."""
        return Step(
            [self.ids[at] for at in places],
            {name: [column[at] for at in places] for name, column in self.fields.items()},
            None if self.scores is None else [self.scores[at] for at in places],
        )


_FEWEST: Final = 2
"""Jobs that are read however large they are: the last one of the step before, and the next."""


def weight(step: Step) -> int:
    """Characters of its fields."""
    return sum(sum(map(len, filter(None, column))) for column in step.fields.values())


class Window(NamedTuple):
    """The members at some places of a state."""

    step: Step
    """The members there, markers too, without those that left at that moment."""
    ends: tuple[float | None, float | None]
    """The scores of the first and the last of them; of a list None."""
    at_end: bool
    """Whether the state ends there."""


class Steps:
    """One state, read in steps.

    Args:
        client: where to read.
        queue: the queue.
        state: which of its states.
        newest_first: the order; a list has only this one.
    """

    def __init__(
        self,
        client: Client,
        queue: QueueKey,
        state: JobState,
        *,
        newest_first: bool,
    ) -> None:
        self._client = client
        self._queue = queue
        self._state = state
        self._key = queue.key(state.key)
        self._newest_first = newest_first
        self._windows = Windows(client)
        self._portion = Portion(first=sys.maxsize, most=sys.maxsize, fewest=_FEWEST, usual=BEARABLE)

    async def window(
        self,
        start: int,
        length: int,
        fields: Sequence[str],
        near: float | None,
        *,
        scored: bool = True,
    ) -> Window:
        """The members at some places.

        Args:
            start: the first place.
            length: how many, at most.
            fields: what is read of each job's hash.
            near: a score that the members before had, None if unknown.
            scored: whether the score of each is wanted, or only those at the ends; a list has none.

        Fewer than asked for, two at least, where they come in more than `BEARABLE` bytes.

        Costs one SORT_RO, or one ZRANGE and an HMGET a job where that is refused, and beside it one
        ZRANGE of scores; where the state moved in between, a ZSCORE for each that is missing.
        Without scores the ZRANGE is two of one member each, which saves Redis a third of the work;
        where the state moved in between, or ends early, that of all comes behind them. Where
        ``failedReason`` is read, also `fill_reasons`. The first time of a sorted set one round trip
        more, see `Windows`.
        """
        return await self._portion.read(
            length, lambda jobs: self._window(start, jobs, fields, near, scored)
        )

    async def _window(
        self,
        start: int,
        length: int,
        fields: Sequence[str],
        near: float | None,
        scored: bool,
    ) -> Window:
        part = Range(start, length, self._newest_first and not self._state.is_list)
        whole = scores_of(self._key, part)
        beside: list[Command] = []
        if not self._state.is_list:
            ends = [part._replace(start=at, length=1) for at in (start, start + length - 1)]
            beside = [whole] if scored else [scores_of(self._key, one) for one in ends]
        found = await self._windows.read(self._queue, self._state, part, fields, beside)
        columns = found.columns
        if columns is None:
            columns = await _columns(self._client, self._queue, found.ids, fields)
        step, at_end = Step(found.ids, columns), len(found.ids) < length
        if self._state.is_list:
            window = Window(step, (None, None), at_end)
        elif scored:
            window = await self._scored(step, found.beside[0], at_end, near)
        else:
            window = await self._bordered(step, found.beside, at_end, near, whole)
        await self._fill(window.step)
        return window

    async def _fill(self, step: Step) -> None:
        if _REASON in step.fields:
            reasons = await fill_reasons(self._client, self._queue, step.ids, step.fields[_REASON])
            step.fields = {**step.fields, _REASON: reasons}

    # Scores

    async def _bordered(
        self,
        step: Step,
        replies: Sequence[Reply],
        at_end: bool,
        near: float | None,
        whole: Command,
    ) -> Window:
        """A window with the scores of its first and last member only, where they are known."""
        if not step:
            return Window(step, (None, None), at_end=True)
        first, final = (scored_members(unrefused(reply)) for reply in replies)
        ends = first.get(step.ids[0]), final.get(step.ids[-1])
        if at_end or None in ends:
            [scores] = await ask(self._client, [whole])
            return await self._scored(step, scores, at_end, near)
        return Window(step, ends, at_end=False)

    async def _scored(self, step: Step, reply: Reply, at_end: bool, near: float | None) -> Window:
        step.scores = scores_in_order(step.ids, unrefused(reply))
        if None in step.scores:
            step = await self._look_up_scores(step, step.scores, near)
        scores = step.scores or (None,)
        return Window(step, (scores[0], scores[-1]), at_end)

    async def _look_up_scores(
        self, step: Step, scores: Sequence[float | None], near: float | None
    ) -> Step:
        """For members that the list of scores missed, because the state moved in between."""
        known = [one for one in (*scores, near) if one is not None]
        found = list(scores)
        if known:
            without = [place for place, one in enumerate(scores) if one is None]
            commands: list[Command] = [("ZSCORE", self._key, step.ids[at]) for at in without]
            for place, reply in zip(without, await ask_all(self._client, commands), strict=True):
                at = score(reply)
                # One that has come back elsewhere is met there, or was not there when we began.
                if at is not None and min(known) <= at <= max(known):
                    found[place] = at
        step.scores = found
        return step.only([place for place, at in enumerate(found) if at is not None])


async def read_fields(
    client: Client, queue: QueueKey, ids: Sequence[str], fields: Sequence[str]
) -> Step:
    """Given jobs with the given fields. Costs a round trip with an HMGET a job; none without.

    A failedReason that says nothing is replaced by what the job's stack says, see `fill_reasons`.
    """
    columns = await _columns(client, queue, ids, fields)
    if _REASON in columns:
        columns[_REASON] = await fill_reasons(client, queue, ids, columns[_REASON])
    return Step(ids, columns)


async def _columns(
    client: Client, queue: QueueKey, ids: Sequence[str], names: Sequence[str]
) -> dict[str, Sequence[str | None]]:
    """The fields of jobs, by name. Costs a round trip with an HMGET a job; none without."""
    if not names or not ids:
        return {name: [] for name in names}
    values = await read_whole(client, [queue.job(one) for one in ids], names)
    return dict(zip(names, map(list, zip(*values, strict=True)), strict=True))
