"""Resumes a retry that was stopped, or whose process died."""

from __future__ import annotations

from collections.abc import Mapping

from qtui.bullmq.connection.client import Client
from qtui.bullmq.reads.queues.workers import read_workers
from qtui.bullmq.reads.status import read_status
from qtui.bullmq.writers.retry import RetryWriter
from qtui.operations.engine.campaign import Campaign
from qtui.operations.planning.plan import ForecastTally, Plan, Resets
from qtui.operations.resuming.interrupted import Interrupted
from qtui.operations.retry.retry import Retry


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
