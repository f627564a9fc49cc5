"""Promotions: delayed jobs of one queue go to its waiting side. An action for a campaign.

States: delayed. Wiped: the score (the due time) and the field ``delay``. Script: `lua/promote.lua`.
Forecast: `plan`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from qtui.bullmq.connection.client import Client
from qtui.bullmq.model import LIST_FIELDS
from qtui.bullmq.writers.batch import Batch, Picked
from qtui.bullmq.writers.promote import PromoteWriter
from qtui.operations.supply.picked import PickedAction, PlannedJobs
from qtui.operations.supply.snapshots import WipedFields
from qtui.operations.supply.supply import Before
from qtui.verbs import Verb

PROMOTION_WIPES: Final = WipedFields(LIST_FIELDS)
"""What a promotion changes (``delay``), and what shows whether a job has moved on since."""


class Promote(PickedAction):
    """The promotion of a plan's jobs, the earliest due first.

    Args:
        client: where to read.
        writer: promotes the jobs.
        plan: the jobs, each pinned to the moment it is due.
        before: what earlier processes have done already.
    """

    verb = Verb.PROMOTE
    wiped = PROMOTION_WIPES

    def __init__(
        self,
        client: Client,
        writer: PromoteWriter,
        plan: PlannedJobs,
        before: Before | None = None,
    ) -> None:
        super().__init__(client, plan, before)
        self.writer = writer

    async def send(self, picks: Sequence[Picked]) -> Batch:
        """Promotes jobs, in one atomic step."""
        return await self.writer.promote(self.queue, picks)
