"""Makes the campaigns of the inspector: of plans that were confirmed, and of those cut off."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from qtui.bullmq.connection.client import Client
from qtui.bullmq.connection.origin import read_origin
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.writers.remove import RemoveWriter
from qtui.bullmq.writers.rerun import RerunWriter
from qtui.bullmq.writers.retry import RetryWriter
from qtui.commands.shared.run import forbidden
from qtui.operations.engine.action import JobAction
from qtui.operations.engine.campaign import Campaign
from qtui.operations.engine.pace import Pace
from qtui.operations.flow_rerun.plan import RerunPlan
from qtui.operations.flow_rerun.rerun import Rerun
from qtui.operations.journal.facts import Header
from qtui.operations.journal.reading import JournalError, read_header
from qtui.operations.planning.plan import Plan, Resets
from qtui.operations.planning.proposal import ActionPlan, PlanOptions
from qtui.operations.planning.several import SeveralPlans
from qtui.operations.promote.resuming import resume_promotion
from qtui.operations.remove.resuming import resume_removal
from qtui.operations.resuming.interrupted import Interrupted
from qtui.operations.resuming.recorder import Recorder
from qtui.operations.retry.everywhere import KIND, RetryEverywhere
from qtui.operations.retry.resuming import resume_everywhere, resume_retry
from qtui.operations.retry.retry import Retry
from qtui.operations.undo.plan import UndoPlan
from qtui.operations.undo.registry import done_again
from qtui.operations.undo.resuming import InterruptedUndo
from qtui.settings import Settings
from qtui.verbs import Verb, verb_of

_RESUMED: Final = (Verb.RETRY, Verb.REMOVE, Verb.PROMOTE)


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignMaker:
    """Makes campaigns of actions that the settings allow, each with its record in the journal."""

    settings: Settings
    client: Client
    journal: Path
    """The folder that campaigns are recorded in."""
    where: str
    """The server's address, without a password."""

    def _recorder(self, reason: str = "") -> Recorder:
        return Recorder(folder=self.journal, where=self.where, how="the inspector", reason=reason)

    def _check(self, verb: Verb) -> None:
        if why := forbidden(self.settings, verb):
            raise JournalError(why)

    def carry(self, plan: ActionPlan, options: PlanOptions, reason: str) -> Campaign[JobAction]:
        """Makes the campaign of any action's plan but a retry's."""
        self._check(plan.verb)
        if isinstance(plan, UndoPlan):
            self._check_undo_of(plan.header)
        action = plan.action(self.client, options)
        return Campaign(self.client, action, options.pace, record=self._recorder(reason))

    def _check_undo_of(self, undone: Header) -> None:
        """Checks that what the undo of an undo carries out again is allowed, too."""
        for verb in done_again(undone):
            self._check(verb)

    def retry(
        self, plan: Plan | SeveralPlans, resets: Resets, pace: Pace, reason: str
    ) -> Campaign[JobAction]:
        """Makes a retry, in one queue or several."""
        client, writer = self.client, RetryWriter(self.client)
        if isinstance(plan, Plan):
            action: JobAction = Retry(client, writer, plan, resets)
        else:
            action = RetryEverywhere(client, writer, plan.plans, resets, canary=pace.canary)
        return Campaign(client, action, pace, record=self._recorder(reason))

    def rerun(self, plan: RerunPlan, resets: Resets, reason: str) -> Campaign[Rerun]:
        """Makes the rerun of a flow."""
        action = Rerun(self.client, RerunWriter(self.client), plan, resets)
        return Campaign(self.client, action, record=self._recorder(reason))

    async def resume(self, name: str) -> Campaign[JobAction]:
        """Takes over a campaign that was cut off, by its id in the journal.

        Raises:
            JournalError: it can't be resumed here.
        """
        client, journal, where = self.client, self.journal, self.where
        header = await asyncio.to_thread(read_header, journal, name)
        verb = verb_of(header.action)
        if verb is not None:
            self._check(verb)
        key = QueueKey(header.queue, header.prefix).key("meta")
        origin = await read_origin(client, key)
        if verb is Verb.UNDO:
            undone = await asyncio.to_thread(read_header, journal, header.undoes)
            self._check_undo_of(undone)
            undo = await asyncio.to_thread(InterruptedUndo.take, journal, name, where, origin)
            return await undo.campaign(client)
        resumed = verb if verb in _RESUMED and verb else Verb.RETRY  # which refuses any other

        def take() -> Interrupted:
            return Interrupted.take(journal, name, where, origin, verb=resumed)

        taken = await asyncio.to_thread(take)
        if resumed is Verb.REMOVE:
            return await resume_removal(taken, client, RemoveWriter(client))
        if resumed is Verb.PROMOTE:
            return await resume_promotion(taken, client)
        if header.selection.kind == KIND:
            return await resume_everywhere(taken, client, RetryWriter(client))
        return await resume_retry(taken, client, RetryWriter(client))
