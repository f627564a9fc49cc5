"""Resumes a promotion that was stopped, or whose process died."""

from __future__ import annotations

from dataclasses import dataclass

from qtui.bullmq.connection.client import Client
from qtui.bullmq.writers.promote import PromoteWriter
from qtui.operations.engine.campaign import Campaign
from qtui.operations.promote.promote import Promote
from qtui.operations.resuming.interrupted import Interrupted
from qtui.operations.supply.selection import Selection


@dataclass(frozen=True, slots=True)
class _Left:
    """The jobs that an earlier process has left."""

    selection: Selection
    jobs: int


async def resume_promotion(taken: Interrupted, client: Client) -> Campaign[Promote]:
    """Returns a campaign for the jobs that are left; closing it closes the journal."""
    left = _Left(taken.selection(), taken.progress.header.selection.jobs or 0)

    async def make() -> Promote:
        return Promote(client, PromoteWriter(client), left, taken.before())

    return await taken.campaign(client, make)
