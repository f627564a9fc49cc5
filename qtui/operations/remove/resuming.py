"""Resumes a removal that was stopped, or whose process died."""

from __future__ import annotations

from qtui.bullmq.connection.client import Client
from qtui.bullmq.reads.status import read_status
from qtui.bullmq.writers.remove import RemoveWriter
from qtui.operations.engine.campaign import Campaign
from qtui.operations.remove.forecast import PredictionTally
from qtui.operations.remove.plan import RemovalPlan
from qtui.operations.remove.remove import CHILDREN, WITHOUT_UNDO, Remove
from qtui.operations.resuming.interrupted import Interrupted


async def resume_removal(
    taken: Interrupted, client: Client, writer: RemoveWriter
) -> Campaign[Remove]:
    """Returns a campaign for the jobs that are left; closing it closes the journal.

    Costs a round trip. If it fails the journal is closed.
    """
    header, before = taken.progress.header, taken.before()

    async def make() -> Remove:
        selection = taken.selection()
        [status] = await read_status(client, [selection.queue])
        plan = RemovalPlan(
            status=status,
            selection=selection,
            tally=PredictionTally(selection.state),
            selected=header.selection.jobs,
        )
        return Remove(
            client,
            writer,
            plan,
            children=header.options.get(CHILDREN) is True,
            without_undo=header.options.get(WITHOUT_UNDO) is True,
            before=before,
        )

    return await taken.campaign(client, make)
