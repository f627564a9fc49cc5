"""Retries: finished jobs of one queue go back to its waiting side. An action for a campaign.

States: failed or completed. Wiped: what `SNAPSHOT_FIELDS` names. Script: `lua/retry.lua`.
Forecast: `plan`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Final

from qtui.bullmq.codes import Code, Result
from qtui.bullmq.connection.client import Client
from qtui.bullmq.signature.headline import reason_of
from qtui.bullmq.writers.batch import Batch, Picked
from qtui.bullmq.writers.retry import RetryWriter
from qtui.operations.following.follower import Follower
from qtui.operations.journal.facts import Header
from qtui.operations.planning.plan import Plan, Resets
from qtui.operations.supply.picked import PickedAction
from qtui.operations.supply.selection import Query
from qtui.operations.supply.snapshots import RETRY_WIPES, SNAPSHOT_FIELDS, SnapshotPage, Wiped
from qtui.operations.supply.supply import Before
from qtui.verbs import Verb

_REASON: Final = SNAPSHOT_FIELDS.index("failedReason")
_STACK: Final = SNAPSHOT_FIELDS.index("stacktrace")


class Retry(PickedAction):
    """The retry of a plan's jobs, oldest finish first; parents of others come after those.

    Args:
        client: where to read.
        writer: retries the jobs.
        plan: the jobs: chosen ones, each pinned to the finish at which it was seen, or a query.
        resets: which counters are deleted.
        before: what earlier processes have done already.
    """

    verb = Verb.RETRY
    wiped: Wiped = RETRY_WIPES

    def __init__(
        self,
        client: Client,
        writer: RetryWriter,
        plan: Plan,
        resets: Resets,
        before: Before | None = None,
    ) -> None:
        super().__init__(client, plan, before, in_line=False, kin=plan.kin)
        self.writer = writer
        self.plan = plan
        self.resets = resets
        self._follower = Follower(client, plan.queue, plan.state)
        self._follower.leave_out(self.before[Code.DONE])

    @property
    def by_query(self) -> bool:
        """Whether its jobs come from a query, which never meets one that leaves its state."""
        return isinstance(self.plan.selection, Query)

    @property
    def follower(self) -> Follower:
        """Follows the outcomes of the jobs."""
        return self._follower

    def header(self) -> Header:
        """Returns the first line of the journal, without address, command and pace."""
        return replace(super().header(), resets=asdict(self.resets))

    async def send(self, picks: Sequence[Picked]) -> Batch:
        """Retries jobs, in one atomic step."""
        return await self.writer.retry(
            self.queue,
            self.state,
            picks,
            reset_attempts_made=self.resets.made,
            reset_attempts_started=self.resets.started,
        )

    def settled(self, page: SnapshotPage, results: Sequence[Result]) -> None:
        """Begins to follow the jobs, with the errors and scores that they had before."""
        super().settled(page, results)
        pins = [one.score for one in page.picks]
        self.follower.add(results, _errors(page), pins)


def _errors(page: SnapshotPage) -> list[str]:
    """The failedReason of each job, empty if there is none; see `reason_of`."""
    return [reason_of(values[_REASON], values[_STACK]) or "" for values in page.values]
