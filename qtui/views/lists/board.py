"""What the inspector shows: a queue, a state, its jobs, their marks and results of retries.

Has no widgets and starts nothing by itself: the screen calls it from its workers.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from qtui.bullmq.codes import Code, Result
from qtui.bullmq.connection.client import Client
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState
from qtui.bullmq.reads.queues.stalled import read_stalled
from qtui.bullmq.reads.reader import Reader
from qtui.verbs import Verb, verb_of
from qtui.views.lists.found_list import FoundList
from qtui.views.lists.job_list import JobList
from qtui.views.lists.listing import Listing
from qtui.views.lists.marks import MOST_MARKED, Marks

if TYPE_CHECKING:
    from qtui.bullmq.filter import Filter
    from qtui.operations.following.outcome import Fate, Outcome
    from qtui.operations.supply.selection import Query
    from qtui.views.lists.verdict import Verdict


class Board:
    """The visible list, and the marks and filters of the others."""

    def __init__(self, client: Client, rate: float | None = None) -> None:
        self.queue: QueueKey | None = None
        self.state = JobState.FAILED
        self.newest_first = True
        self.filter: Filter | None = None
        """The filter: it belongs to a queue, applies to all its states, and is kept."""
        self.jobs: Listing | None = None
        self.verdicts: dict[str, Verdict] = {}
        """Results of actions by job id, for the visible list."""
        self.stalled: set[str] = set()
        """Active jobs of the visible list whose lock has expired."""
        self._client = client
        self._reader = Reader(client)
        self._rate = rate
        self._marks: dict[tuple[QueueKey, JobState], Marks] = {}
        self._results: dict[str, tuple[Result, str]] = {}
        """With the action of each."""
        self._fates: dict[str, Fate] = {}
        """Of those that are followed."""
        self._filters: dict[QueueKey, Filter | None] = {}

    @property
    def marks(self) -> Marks:
        """The marks of the visible list."""
        if self.queue is None:
            return Marks()
        return self._marks.setdefault((self.queue, self.state), Marks())

    @property
    def found(self) -> FoundList | None:
        """The visible list, if it is one of jobs that a filter found."""
        return self.jobs if isinstance(self.jobs, FoundList) else None

    def look_at(
        self,
        queue: QueueKey | None,
        state: JobState | None = None,
        newest_first: bool | None = None,
    ) -> Listing | None:
        """Shows another list; results of a retry in the old one are dropped."""
        before = self.queue, self.state
        if queue != self.queue:
            if self.queue is not None:
                self._filters[self.queue] = self.filter
            self.filter = self._filters.get(queue) if queue is not None else None
        self.queue = queue
        self.state = state or self.state
        self.newest_first = self.newest_first if newest_first is None else newest_first
        self.forget_results()
        self.stalled.clear()
        everything = self.marks.everything
        left = before != (self.queue, self.state)
        if left or (everything is not None and everything.filter != self.filter):
            self.marks.everything = None  # it is about the list that was left
        self.jobs = self._new_list(queue) if queue is not None else None
        return self.jobs

    def look_for(self, wanted: Filter | None) -> Listing | None:
        """Shows the jobs of the state that match, or with None all of them."""
        self.filter = wanted
        return self.look_at(self.queue)

    def _new_list(self, queue: QueueKey) -> Listing:
        if self.filter is None:
            return JobList(self._reader, queue, self.state, newest_first=self.newest_first)
        return FoundList(
            self._client,
            queue,
            self.state,
            self.filter,
            newest_first=self.newest_first,
            rate=self._rate,
        )

    async def everything(self) -> Query:
        """Returns a selection of all jobs that the visible list shows. Costs one command.

        Raises:
            ValueError: there is no list.
        """
        from qtui.operations.supply.selection import query

        if self.queue is None:
            raise ValueError("no list is visible")
        return await query(self._client, self.queue, self.state, self.filter)

    def chosen(self, cursor_id: str | None) -> list[str]:
        """The jobs that a key acts on: the marked ones, or the one under the cursor."""
        if len(self.marks):
            return list(self.marks)
        return [cursor_id] if cursor_id is not None else []

    async def all_ids(self) -> list[str]:
        """The ids of the list, `MOST_MARKED` at most. Costs one command, none for a found list."""
        if self.queue is None:
            return []
        if self.found is not None:
            return self.found.ids(MOST_MARKED)
        return await self._reader.ids(
            self.queue, self.state, 0, MOST_MARKED, newest_first=self.newest_first
        )

    def loaded_between(self, one: str, other: str) -> list[str] | None:
        """The ids from one job of the list to another, both included; None if some are not here."""
        if self.jobs is None:
            return None
        one_place, other_place = self.jobs.place(one), self.jobs.place(other)
        if one_place is None or other_place is None:
            return None
        places = range(min(one_place, other_place), max(one_place, other_place) + 1)
        if self.found is not None:
            return self.found.ids(places.stop)[places.start :][:MOST_MARKED]
        if len(places) > MOST_MARKED:
            return None
        rows = [self.jobs.row(place) for place in places]
        ids = [row.id for row in rows if row is not None]
        return ids if len(ids) == len(rows) else None

    async def ids_between(self, one: str, other: str) -> list[str]:
        """The ids between two jobs, both included, as they are now; `MOST_MARKED` at most.

        Costs two look-ups of a rank and one command, O(ids); a list, which has no ranks, is read
        from its beginning.
        """
        queue, state, newest_first = self.queue, self.state, self.newest_first
        if queue is None:
            return []
        if state.is_list:
            ids = await self.all_ids()
            places = sorted(ids.index(job) for job in {one, other} & set(ids))
            return ids[places[0] : places[-1] + 1] if {one, other} <= set(ids) else []
        ranks = [
            await self._reader.rank(queue, state, job, newest_first=newest_first)
            for job in (one, other)
        ]
        known = [rank for rank in ranks if rank is not None]
        if len(known) < len(ranks):
            return []
        size = min(MOST_MARKED, max(known) - min(known) + 1)
        return await self._reader.ids(queue, state, min(known), size, newest_first=newest_first)

    async def look_for_stalled(self, first: int, last: int) -> bool:
        """Finds the stalled jobs among active ones; True if there are others than before.

        Args:
            first: the first place that is seen.
            last: the last one.

        Costs a `read_stalled`; nothing for other states.
        """
        jobs = self.jobs
        if jobs is None or jobs.state is not JobState.ACTIVE:
            return False
        rows = [row for place in range(first, last + 1) if (row := jobs.row(place)) is not None]
        found = await read_stalled(self._client, jobs.queue, rows, now=time.time() * 1000)
        if jobs is not self.jobs or found == self.stalled:
            return False
        self.stalled.clear()
        self.stalled.update(found)
        return True

    # What came of retries

    def record(
        self,
        queue: QueueKey,
        state: JobState,
        results: Iterable[Result],
        action: str = Verb.RETRY,
    ) -> None:
        """Writes results into their rows, if their list is still visible, and holds it.

        Args:
            queue: the jobs' queue.
            state: the state in which the action found them.
            results: a result a job.
            action: the id of the action.
        """
        from qtui.views.lists.verdict import verdict

        results, verb = list(results), verb_of(action)
        marks = self._marks.get((queue, state))
        if marks is not None:
            marks.discard(result.job_id for result in results)
        if (queue, state) != (self.queue, self.state) or self.jobs is None:
            return
        for result in results:
            self._results[result.job_id] = result, action
            self.verdicts[result.job_id] = verdict(result, None, state, action)
        # The id of a job whose hash is gone stays in its set, as BullMQ leaves it.
        gone = [Code.NOT_IN_STATE] + ([Code.DONE] if verb is None or verb.leaves else [])
        left = [result.job_id for result in results if result.code in gone]
        if verb is Verb.UNDO:
            left += [one.job_id for one in results if one.done and not self._is_back(one)]
        self.jobs.hold(left)

    def _is_back(self, result: Result) -> bool:
        """Whether an undo brought a job back into the state; that of an undo takes it away."""
        return result.target in ("", self.state.key)

    def note(self, queue: QueueKey, state: JobState, outcomes: Mapping[str, Outcome]) -> None:
        """Writes outcomes of followed jobs into their rows, if those are still visible."""
        from qtui.views.lists.verdict import verdict

        if (queue, state) != (self.queue, self.state):
            return
        for job_id, seen in outcomes.items():
            if job_id in self._results:
                result, action = self._results[job_id]
                self._fates[job_id] = seen.fate
                self.verdicts[job_id] = verdict(result, seen, state, action)

    def has_left(self, job_id: str | None) -> bool:
        """Whether a job of the list is not in its state any more, as far as its row knows."""
        if self.jobs is None or job_id is None or not self.jobs.has_left(job_id):
            return False
        from qtui.operations.following.outcome import Fate

        back = {JobState.FAILED: Fate.FAILED_AGAIN, JobState.COMPLETED: Fate.COMPLETED}
        returned = self._fates.get(job_id, Fate.WAITING) in (back.get(self.state), Fate.UNDONE)
        result, action = self._results.get(job_id, (None, ""))
        undone = result is not None and result.done and action == Verb.UNDO
        undone = undone and result is not None and self._is_back(result)
        return not (returned or undone)

    def forget_results(self) -> None:
        """Drops the results in the rows; the next refresh shows the current list."""
        self._results.clear()
        self._fates.clear()
        self.verdicts.clear()
