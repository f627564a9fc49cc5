"""Takes back what was done in several queues by one campaign: each job by its queue's inverse."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby

from qtui.bullmq.codes import Code, Result
from qtui.bullmq.connection.client import Client
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.writers.batch import Batch
from qtui.operations.journal.facts import Header
from qtui.operations.journal.lines import renamed
from qtui.operations.journal.texts import Texts
from qtui.operations.retry.everywhere import queues_of
from qtui.operations.undo.inverse import Deed, Expected, Inverse, MakeInverse


class EachQueue:
    """An inverse whose deeds are named by full keys.

    Args:
        make: makes the inverse for the jobs of one queue.
        client: the server.
        header: the first line of the journal to undo; it names the queues.
        writes: whether it may write.
    """

    def __init__(self, make: MakeInverse, client: Client, header: Header, writes: bool) -> None:
        self._inverses: dict[QueueKey, Inverse] = {
            queue: make(client, replace(header, queue=queue.base, prefix=queue.prefix), writes)
            for queue, _ in queues_of(header)
        }
        self._longest_first = sorted(self._inverses, key=lambda one: -len(one.base))
        self._any = next(iter(self._inverses.values()))

    @property
    def effect(self) -> str:
        """The effect that it has itself, in each queue."""
        return self._any.effect

    @property
    def done(self) -> str:
        """What becomes of a job."""
        return self._any.done

    def run_of(self, deeds: Sequence[Deed]) -> int:
        """Returns how many of the first jobs are of one queue, so that one step can change them."""
        return next((len(some) for _, some in self._runs(deeds)), 0)

    async def look(self, deeds: Sequence[Deed]) -> Sequence[Expected]:
        """Returns where the jobs are now, in order."""
        found: list[Expected] = []
        for queue, some in self._runs(deeds):
            if queue is None:
                found += [Expected(Result(one.id, Code.NOT_IN_STATE)) for one in some]
                continue
            for one in await self._inverses[queue].look(_own(queue, some)):
                found.append(one._replace(result=_keyed(queue, one.result)))
        return found

    async def snapshot(self, deeds: Sequence[Deed], texts: Texts | None) -> bytes:
        """Returns the journal lines of what `send` wipes, under full keys."""
        lines = b""
        for queue, some in self._runs(deeds):
            if queue is not None:
                own = await self._inverses[queue].snapshot(_own(queue, some), texts)
                lines += renamed(own, queue.job)
        return lines

    async def send(self, deeds: Sequence[Deed]) -> Batch:
        """Takes the effect back for jobs of one queue, in one atomic step.

        Raises:
            ValueError: the jobs are of several queues; see `run_of`.
        """
        [(queue, some)] = list(self._runs(deeds)) or [(None, [])]
        if queue is None:
            return Batch([Result(one.id, Code.NOT_IN_STATE) for one in some])
        batch = await self._inverses[queue].send(_own(queue, some))
        return replace(batch, results=[_keyed(queue, one) for one in batch.results])

    def why(self, result: Result) -> str:
        """Returns in words why a job was left alone."""
        return self._any.why(result)

    def _runs(self, deeds: Sequence[Deed]) -> Iterator[tuple[QueueKey | None, list[Deed]]]:
        """The jobs in order, those of one queue side by side."""
        for queue, some in groupby(deeds, key=lambda one: self._queue_of(one.id)):
            yield queue, list(some)

    def _queue_of(self, key: str) -> QueueKey | None:
        return next((one for one in self._longest_first if key.startswith(one.key(""))), None)


def _own(queue: QueueKey, deeds: Sequence[Deed]) -> list[Deed]:
    """The same jobs, named by their ids."""
    start = len(queue.key(""))
    return [one._replace(snapshot=one.snapshot._replace(id=one.id[start:])) for one in deeds]


def _keyed(queue: QueueKey, result: Result) -> Result:
    return result._replace(job_id=queue.job(result.job_id))
