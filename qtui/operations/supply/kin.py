"""Finds jobs of a selection that are parents of others in it, to send them after their children.

BullMQ's own retry puts a parent in line like any job. If its children are retried too, it runs
while they do, can't complete (-4, -9), and its result is lost. So parents are held back until all
other jobs are sent; then they are sent in generations, and each waits for those of its children
that have not run yet (`lua/retry.lua`). Works within one queue and one state, as a selection does.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import AsyncGenerator, Iterable, Sequence

from qtui.bullmq.connection.client import Client
from qtui.bullmq.flow.fields import Fields
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.writers.batch import Picked
from qtui.operations.supply.selection import Chosen, Selection, hunt_for
from qtui.operations.supply.snapshots import IDS_A_PAGE, SNAPSHOT_FIELDS, SnapshotPage

_PARENT_KEY = "parentKey"
_COLUMN = SNAPSHOT_FIELDS.index(_PARENT_KEY)


class Kin:
    """The jobs of a selection that are parents of others in it. 8 bytes a job, some 70 a parent.

    Ids are kept as hashes: a collision would only send a job later.
    """

    def __init__(self, queue: QueueKey) -> None:
        self._start = queue.key("")
        self._ids = array("q")
        self._parents: set[int] = set()

    def add(self, ids: Iterable[str], parent_keys: Iterable[str | None]) -> None:
        """Adds jobs of the selection, and the full key of the parent of each that has one."""
        self._ids.extend(map(hash, ids))
        for full_key in filter(None, parent_keys):
            self.add_parent(full_key)

    def add_parent(self, full_key: str | None) -> None:
        """Adds the parent of a job of the selection; ignores one in another queue."""
        if full_key and full_key.startswith(self._start):
            self._parents.add(hash(full_key[len(self._start) :]))

    @property
    def has_parents(self) -> bool:
        """Whether any job added so far is a child of one in the queue."""
        return bool(self._parents)

    def is_parent(self, job_id: str) -> bool:
        """Whether any job added so far is a child of this one."""
        return bool(self._parents) and hash(job_id) in self._parents

    def selected(self, ids: Iterable[str]) -> set[str]:
        """Returns those of the given jobs that are in the selection. O(selection)."""
        by_hash = {hash(one): one for one in ids}
        return {by_hash[one] for one in by_hash.keys() & self._ids} if by_hash else set()

    @property
    def parents(self) -> int:
        """Number of jobs of the selection that are parents of others in it. O(selection)."""
        return len(self._parents.intersection(self._ids)) if self._parents else 0


async def read_kin(client: Client, selection: Selection, kin: Kin) -> AsyncGenerator[None]:
    """Reads the parents of a selection's jobs into ``kin``; yields often, so it can be stopped.

    Costs one field of each job: for chosen ones `Fields`, else a `Hunt` without a rate limit.

    Raises:
        RAISED: the server did not answer, or refused.
    """
    if isinstance(selection, Chosen):
        fields = Fields(client, selection.queue, [_PARENT_KEY])
        ids = [one.job_id for one in selection.jobs]
        while ids:
            values = await fields.first_of(ids[:IDS_A_PAGE])
            kin.add(ids[: len(values)], [found[0] for found in values])
            ids = ids[len(values) :]
            yield
        return
    async for step in hunt_for(client, selection, (_PARENT_KEY,), rate=0, ahead=True).steps():
        kin.add(step.ids, step.fields[_PARENT_KEY])
        yield


class Held:
    """Holds back the parents among the jobs to send, until the others are sent."""

    def __init__(self, kin: Kin, queue: QueueKey) -> None:
        self._kin = kin
        self._start = queue.key("")
        self._held: dict[str, tuple[Picked, str]] = {}
        self._generations: list[list[Picked]] | None = None

    def hold(self, page: SnapshotPage) -> SnapshotPage:
        """Returns the page without its parents, which are kept for later."""
        if not self._kin.has_parents or not any(map(self._kin.is_parent, page.ids)):
            return page
        for pick, values in zip(page.picks, page.values, strict=True):
            if self._kin.is_parent(pick.job_id):
                above = (values[_COLUMN] or "").removeprefix(self._start)
                self._held[pick.job_id] = pick._replace(after_children=True), above
        return page.only(lambda job_id: not self._kin.is_parent(job_id))

    def take(self, picks: Iterable[Picked]) -> None:
        """Drops jobs that are being sent."""
        if self._held:
            for one in picks:
                self._held.pop(one.job_id, None)

    def next(self) -> Sequence[Picked]:
        """Returns the next generation, empty at the end. Call it when all other jobs were sent.

        Returns the same generation again until its jobs are passed to `take`.
        """
        if self._generations is None:
            self._generations = _generations(self._held)
        while self._generations:
            left = [one for one in self._generations[0] if one.job_id in self._held]
            if left:
                return left
            self._generations.pop(0)
        return ()


def _generations(held: dict[str, tuple[Picked, str]]) -> list[list[Picked]]:
    """Generations with children before parents, each in the order of finish.

    Jobs that are each other's parents in a circle come last, all at once.
    """
    below = Counter(above for _, above in held.values() if above in held)
    left = {job_id: pick for job_id, (pick, _) in held.items()}
    found: list[list[Picked]] = []
    ready = [job_id for job_id in left if not below[job_id]]
    while ready:
        found.append([left.pop(job_id) for job_id in ready])
        freed: list[str] = []
        for job_id in ready:
            above = held[job_id][1]
            if above in held:
                below[above] -= 1
                if not below[above]:
                    freed.append(above)
        ready = freed
    return [*found, list(left.values())] if left else found
