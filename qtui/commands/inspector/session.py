"""Makes the session of the inspector: the one place where it gets ways to write."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from qtui.bullmq.connection.client import Client, Server, Target, connect
from qtui.commands.shared.run import Workplace
from qtui.settings import Marked, Settings
from qtui.ui.session import Session
from qtui.verbs import Verb

if TYPE_CHECKING:
    from qtui.commands.inspector.campaigns import CampaignMaker
    from qtui.operations.engine.action import JobAction
    from qtui.operations.engine.campaign import Campaign
    from qtui.operations.engine.pace import Pace
    from qtui.operations.flow_rerun.plan import RerunPlan
    from qtui.operations.flow_rerun.rerun import Rerun
    from qtui.operations.planning.plan import Plan, Resets
    from qtui.operations.planning.proposal import ActionPlan, PlanOptions
    from qtui.operations.planning.several import SeveralPlans


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

    def campaigns() -> CampaignMaker:
        """Imported when the first plan is confirmed, or behind the first rows."""
        from qtui.commands.inspector.campaigns import CampaignMaker

        return CampaignMaker(settings=settings, client=client, journal=journal, where=target.shown)

    def carry(plan: ActionPlan, options: PlanOptions, reason: str) -> Campaign[JobAction]:
        return campaigns().carry(plan, options, reason)

    def retry(
        plan: Plan | SeveralPlans, resets: Resets, pace: Pace, reason: str
    ) -> Campaign[JobAction]:
        return campaigns().retry(plan, resets, pace, reason)

    def rerun(plan: RerunPlan, resets: Resets, reason: str) -> Campaign[Rerun]:
        return campaigns().rerun(plan, resets, reason)

    async def resume(name: str) -> Campaign[JobAction]:
        return await campaigns().resume(name)

    return replace(
        session,
        allowed=allowed,
        carry=carry,
        campaign=retry if Verb.RETRY in allowed else None,
        resume=resume,
        rerun=rerun if Verb.RERUN in allowed else None,
    )
