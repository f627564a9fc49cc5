"""The plan of a retry in several queues: a `Plan` for each, that is shown and confirmed as one."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from qtui.bullmq.codes import Code
from qtui.bullmq.connection.client import Client
from qtui.bullmq.filter import Filter
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState
from qtui.operations.planning.groups import Alike, PlanGroup, groups_of
from qtui.operations.planning.plan import Plan, Resets, make_plan, used_up
from qtui.operations.supply.selection import query
from qtui.text import count, plain

_NAMED: Final = 3
"""Queues that a warning about all of them names; of more it says how many."""

_NUMBER: Final = re.compile("[0-9][0-9,]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class SeveralPlans:
    """A retry in several queues as it would go now; see `Plan` for what each member says."""

    plans: tuple[Plan, ...]
    """Those of the queues in which something matches, each a query's."""
    state: JobState

    @property
    def jobs(self) -> int:
        """Jobs in the selection."""
        return sum(one.jobs for one in self.plans)

    @property
    def by_query(self) -> bool:
        """Always: jobs of several queues can't be chosen one by one."""
        return True

    @property
    def relative(self) -> str | None:
        """None: a flow is looked at in the queue of its job."""
        return None

    def count(self, code: Code) -> int:
        """Jobs that are expected to end with ``code``."""
        return sum(one.count(code) for one in self.plans)

    def groups(self) -> list[PlanGroup]:
        """The jobs grouped by queue, error and fate, largest group first; a queue is the name."""
        counts: Counter[Alike] = Counter()
        name_of = self._names()
        for plan in self.plans:
            name = name_of[plan.queue]
            for one in plan.groups():
                counts[Alike(name, one.error, one.code, one.place, one.why)] += one.jobs
        return groups_of(counts)

    def warnings(self, resets: Resets) -> Iterator[str]:
        """What to know before confirming, in whole sentences behind the queues; plain text.

        Of more than `_NAMED` queues a sentence is there once, with the number of the queues.
        """
        name_of = self._names()
        last_runs = [one for one in self.plans if one.tally.exhausted and not resets.made]
        if last_runs:  # of nearly every queue: once, with the sum
            where = [name_of[one.queue] for one in last_runs]
            names = ", ".join(where) if len(where) <= _NAMED else f"{count(len(where))} queues"
            yield f"{names}: {used_up(sum(one.tally.exhausted for one in last_runs))}"
        alike: dict[str, dict[str, list[str]]] = {}
        for plan in self.plans:
            for words in plan.warnings(resets):
                if plan not in last_runs or words != used_up(plan.tally.exhausted):
                    same = alike.setdefault(_NUMBER.sub("#", words), {})
                    same.setdefault(words, []).append(name_of[plan.queue])
        for said in alike.values():
            yield from _of_queues(said)

    def _names(self) -> dict[QueueKey, str]:
        """What the queues are called: by their names, with prefixes if there are several; plain."""
        queues = [one.queue for one in self.plans]
        in_full = len({one.prefix for one in queues}) > 1
        return {one: plain(one.base if in_full else one.name) for one in queues}


def _of_queues(said: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Warnings that differ in a number at most, each behind the queues of which it is true."""
    queues = sum(map(len, said.values()))
    if queues > _NAMED and len(said) > 1:
        words, names = next(iter(said.items()))
        yield f"{count(queues)} queues, such as {names[0]}: {words}"
        return
    for words, names in said.items():
        # A number is one queue's.
        each = "each of " if len(names) > 1 and _NUMBER.search(words) else ""
        where = ", ".join(names) if len(names) <= _NAMED else f"{count(len(names))} queues"
        yield f"{each}{where}: {words}"


async def plan_several(
    client: Client,
    queues: Sequence[QueueKey],
    state: JobState,
    wanted: Filter | None,
    *,
    begins: Callable[[QueueKey], None] = lambda queue: None,
    progress: Callable[[int, int], None] = lambda seen, total: None,
    rate: float | None = None,
) -> SeveralPlans:
    """Plans a retry of all that matches in some queues, one after the other.

    Args:
        client: where to read.
        queues: the queues; those that BullMQ does not run are left out.
        state: failed or completed.
        wanted: which of its jobs; None for all.
        begins: called with the queue that is read now.
        progress: called with how many jobs have been read, and of how many if known.
        rate: jobs a second at most.

    Costs a `make_plan` for each queue.
    """
    plans, before = list[Plan](), 0
    for queue in queues:
        begins(queue)
        seen_here = 0

        def seen(jobs: int, total: int, before: int = before) -> None:
            nonlocal seen_here
            seen_here = jobs
            progress(before + jobs, before + total)

        selection = await query(client, queue, state, wanted)
        plan = await make_plan(client, selection, progress=seen, rate=rate)
        before += seen_here
        if plan.jobs and not plan.status.kind.refusal:
            plans.append(plan)
    return SeveralPlans(plans=tuple(plans), state=state)
