"""Makes the session of the inspector: the one place where it gets ways to write."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Final

from qtui.bullmq.connection.client import (
    Client,
    Server,
    Target,
    connect,
)
from qtui.bullmq.connection.origin import read_origin
from qtui.bullmq.keys import QueueKey
from qtui.commands.shared.run import Workplace, forbidden
from qtui.operations.engine.action import JobAction
from qtui.operations.engine.campaign import Campaign
from qtui.operations.engine.pace import Pace
from qtui.operations.flow_rerun.plan import RerunPlan
from qtui.operations.flow_rerun.rerun import Rerun
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
from qtui.operations.undo.resuming import InterruptedUndo
from qtui.settings import Marked, Settings
from qtui.ui.session import Session
from qtui.verbs import Verb, verb_of

_RESUMED: Final = (Verb.RETRY, Verb.REMOVE, Verb.PROMOTE)


def session_of(place: Workplace, server: Server, target: Target, guards: list[Marked]) -> Session:
    """Returns the session of a server that has answered.

    Args:
        place: the settings, and the journal.
        server: what answers.
        target: where it is; a cluster if it is one.
        guards: the profiles that mark one of its nodes.
    """
    settings = place.settings.guarded(guards)
    client = connect(target, read_only=settings.read_only)
    return make_session(settings, target, client, server, journal=place.journal, note=place.note)


def make_session(
    settings: Settings,
    target: Target,
    client: Client,
    server: Server,
    *,
    journal: Path,
    note: str = "",
) -> Session:
    """What the screen works with. It gets ways to write only here: those of allowed actions.

    Args:
        settings: the user's settings.
        target: the address.
        client: the connection.
        server: the server that answers there.
        journal: the folder that campaigns are recorded in.
        note: a note for the status line.
    """
    session = Session(settings, target, client, server, None, journal=journal, note=note)
    allowed = settings.allowed
    if not allowed:
        return session
    where = target.shown
    from qtui.bullmq.writers.remove import RemoveWriter
    from qtui.bullmq.writers.rerun import RerunWriter
    from qtui.bullmq.writers.retry import RetryWriter

    record = Recorder(folder=journal, where=where, how="the inspector")

    def check(verb: Verb) -> None:
        if why := forbidden(settings, verb):
            raise JournalError(why)

    def carry(plan: ActionPlan, options: PlanOptions, reason: str) -> Campaign[JobAction]:
        check(plan.verb)
        action = plan.action(client, options)
        return Campaign(client, action, options.pace, record=replace(record, reason=reason))

    async def resume(name: str) -> Campaign[JobAction]:
        header = await asyncio.to_thread(read_header, journal, name)
        verb = verb_of(header.action)
        if verb is not None:
            check(verb)
        key = QueueKey(header.queue, header.prefix).key("meta")
        origin = await read_origin(client, key)
        if verb is Verb.UNDO:
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

    def retry(
        plan: Plan | SeveralPlans, resets: Resets, pace: Pace, reason: str
    ) -> Campaign[JobAction]:
        writer = RetryWriter(client)
        if isinstance(plan, Plan):
            action: JobAction = Retry(client, writer, plan, resets)
        else:
            action = RetryEverywhere(client, writer, plan.plans, resets, canary=pace.canary)
        return Campaign(client, action, pace, record=replace(record, reason=reason))

    def rerun(plan: RerunPlan, resets: Resets, reason: str) -> Campaign[Rerun]:
        action = Rerun(client, RerunWriter(client), plan, resets)
        return Campaign(client, action, record=replace(record, reason=reason))

    return replace(
        session,
        allowed=allowed,
        carry=carry,
        campaign=retry if Verb.RETRY in allowed else None,
        resume=resume,
        rerun=rerun if Verb.RERUN in allowed else None,
    )
