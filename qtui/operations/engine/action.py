"""The protocols that an action implements for the engine. Must not know any particular action.

The campaign handles batches, journals, lost replies, patience, stop and phases. What is done to the
jobs is up to `JobAction` and `Load`, which `retry.Retry` and `rerun.Rerun` implement; an action on
several queues may also be a `TakesTurns`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol, Self, runtime_checkable

from qtui.bullmq.codes import Code, Result
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.writers.batch import Batch, Picked
from qtui.operations.following.looking import Following
from qtui.operations.following.outcome import Outcome
from qtui.operations.journal.facts import Header
from qtui.operations.journal.texts import Texts


class Seen(NamedTuple):
    """The state of a call's jobs, read after its reply was lost."""

    untouched: Sequence[bool]
    """Whether each job is where it was picked. While one is, the call has done nothing yet, since
    it is atomic, and can safely be sent again."""
    results: Sequence[Result]
    """The result of each job, on the assumption that the call was carried out."""


class Load(Protocol):
    """Jobs to send, each pinned to the state it was picked in, so that sending twice is harmless.

    Of any size; the campaign cuts it into calls.
    """

    def __len__(self) -> int:
        """The number of jobs."""

    @property
    def ids(self) -> Sequence[str]:
        """The jobs as named in results and journal: by id, or by full key if they span queues."""

    def cut(self, jobs: int) -> tuple[Self, Self | None]:
        """Splits off about ``jobs`` jobs; returns them and the rest, or all if indivisible."""

    def only(self, wanted: Sequence[bool]) -> Self:
        """Returns the jobs at the positions that are true."""

    def take(self) -> None:
        """Marks its jobs as being sent: the action does not hand them out again."""

    async def snapshot(self, texts: Texts | None) -> bytes:
        """Returns journal lines of all that the call wipes, for an undo; see `snapshot_lines`.

        May read. Called before `send`, and again if the connection was lost meanwhile.
        """

    async def send(self) -> Batch:
        """Calls the script: one atomic step with a code for each job.

        Raises:
            Unable: the server takes no writes for now; nothing was written.
            LOST: the effect is unknown.
            REFUSED: Redis refused the call; nothing was written.
        """

    async def look(self) -> Seen:
        """Reads the jobs after a call whose reply was lost."""

    async def correct(self, seen: Seen, results: Sequence[Result]) -> list[Result]:
        """Returns the true results of a call that was sent again.

        Args:
            seen: the jobs as read before it was sent again.
            results: the reply to the last call, which may have found the work of the first.
        """

    def settle(self, results: Sequence[Result]) -> Sequence[Result]:
        """Takes the final results of its jobs; returns those to report."""

    def objection(self, results: Sequence[Result]) -> str:
        """Returns why nothing more may be sent after these results; empty if more may."""


class JobAction(Protocol):
    """One kind of change to many jobs, planned and ready to be carried out."""

    @property
    def queue(self) -> QueueKey | None:
        """The queue whose waiting jobs limit the pace.

        Of an action over several queues, that of the jobs handed out last. None if a call may
        depend on the one before: then each is prepared only after the previous reply, and the pace
        is not limited.
        """

    @property
    def selected(self) -> int:
        """Number of jobs in the plan."""

    @property
    def before(self) -> Mapping[Code, int]:
        """The codes that earlier processes of this campaign wrote to the journal."""

    @property
    def follower(self) -> Following | None:
        """Follows the jobs' outcomes, which a canary needs; None if the action has no outcomes."""

    def header(self) -> Header:
        """Returns the first line of the journal, without address, command and pace."""

    def chosen(self) -> Sequence[Picked]:
        """Returns the jobs chosen one by one, for the journal; none for a query or a flow."""

    async def begin(self) -> None:
        """Reads what is needed before the first call."""

    async def lost(self) -> Sequence[Picked]:
        """Returns the jobs with code 1 that are where they were picked. Reads only.

        A server that has since been replaced or restarted executed the call, and the one that
        answers now does not have its effect.
        """

    def withdraw(self, lost: Sequence[Picked]) -> None:
        """Voids the codes 1 of these jobs: `next` hands them out again if it can."""

    async def judge_doubtful(self) -> Sequence[Result] | None:
        """Returns results of jobs that an earlier process may have sent; None when all are done."""

    async def next(self) -> Load | None:
        """Returns the next jobs, possibly an empty load; None when there are no more.

        Reads only. Called again if the connection was lost meanwhile.
        """

    async def vanished(self) -> bool:
        """Whether jobs are missing because the queue no longer exists. Reads only."""

    async def conclude(self, seconds: float) -> None:
        """Reads the outcomes of the jobs a last time, for ``seconds`` at most."""

    def outcomes(self) -> Mapping[str, Outcome] | None:
        """Returns the final outcomes by the ids of the results; None if unknown."""

    def counts(self) -> Mapping[str, int] | None:
        """Returns the number of jobs per fate, for the journal's last line; None if unknown."""

    async def close(self) -> None:
        """Stops reading."""


@runtime_checkable
class TakesTurns(Protocol):
    """An action on several queues: while too many jobs wait in one, those of another are sent."""

    def others(self) -> Sequence[QueueKey]:
        """Returns the queues that may have jobs left, besides that of the jobs handed out last."""

    def put_back(self, load: Load, turn: QueueKey) -> None:
        """Takes back what is left of the jobs handed out last; next come those of another queue."""
