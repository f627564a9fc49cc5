"""Resumes a retry that was stopped, or whose process died."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from qtui.bullmq.connection.client import Client
from qtui.bullmq.model import JobState
from qtui.bullmq.reads.queues.workers import read_workers
from qtui.bullmq.reads.status import read_status
from qtui.bullmq.writers.batch import Picked
from qtui.bullmq.writers.retry import RetryWriter
from qtui.operations.engine.campaign import Campaign
from qtui.operations.journal.reading import JournalError
from qtui.operations.planning.forecast import ForecastTally
from qtui.operations.planning.plan import Plan, Resets
from qtui.operations.resuming.interrupted import Interrupted, filter_of, pace_of
from qtui.operations.retry.everywhere import RetryEverywhere, Within, queues_of, split_by_queue
from qtui.operations.retry.retry import Retry
from qtui.operations.supply.selection import Query
from qtui.operations.supply.supply import Before


async def resume_retry(taken: Interrupted, client: Client, writer: RetryWriter) -> Campaign[Retry]:
    """Returns a campaign for the jobs that are left; closing it closes the journal.

    Costs two round trips. If they fail the journal is closed.
    """
    header = taken.progress.header

    async def make() -> Retry:
        return Retry(client, writer, await _plan(taken, client), _flags(header.resets), before)

    before = taken.before()
    return await taken.campaign(client, make)


async def _plan(taken: Interrupted, client: Client) -> Plan:
    selection = taken.selection()
    queue = selection.queue
    [status] = await read_status(client, [queue])
    workers = await read_workers(client, [queue])
    return Plan(
        status=status,
        selection=selection,
        tally=ForecastTally(selection.state),
        workers=None if workers is None else workers[queue],
        selected=taken.progress.header.selection.jobs,
    )


def _flags(found: Mapping[str, object]) -> Resets:
    return Resets(made=found.get("made") is True, started=found.get("started") is True)


async def resume_everywhere(
    taken: Interrupted, client: Client, writer: RetryWriter
) -> Campaign[RetryEverywhere]:
    """Returns a campaign for the jobs of several queues that are left, as `resume_retry`.

    Costs three round trips.
    """
    header, progress = taken.progress.header, taken.progress
    resets = _flags(header.resets)

    async def make() -> RetryEverywhere:
        found = queues_of(header)
        if not found:
            raise JournalError(f"the journal of {header.id} was changed: it names no queues")
        queues = [queue for queue, _ in found]
        statuses = await read_status(client, queues)
        doubtful = split_by_queue(queues, progress.doubtful)
        done = split_by_queue(queues, [Picked(*one) for one in progress.retried.items()])
        state, wanted = JobState(header.state), filter_of(header)
        plans, before = [], {}
        codes = taken.before().codes
        for (queue, until), status in zip(found, statuses, strict=True):
            selection = Query(queue, state, wanted, until)
            tally = ForecastTally(state)
            plans.append(Plan(status=status, selection=selection, tally=tally, workers=None))
            retried = {one.job_id: one.score for one in done[queue] if one.score is not None}
            before[queue.base] = Before(
                Within(progress.decided, queue),
                doubtful[queue],
                codes if queue == queues[0] else Counter(),
                progress.parents,
                retried,
            )
        jobs = header.selection.jobs or 0
        canary = pace_of(header.pace).canary
        return RetryEverywhere(client, writer, plans, resets, before, jobs, canary=canary)

    return await taken.campaign(client, make)
