"""What an action brings to the campaign that carries it out. Says nothing of any single action.

The campaign knows batches, journals, lost replies, patience, stop and phases; what is done to a job
it leaves to these two. `retry.Retry` and `rerun.Rerun` are the actions that there are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol, Self

from qtui.bullmq.codes import Code, Result
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.writer import Batch, Picked
from qtui.operations.following.follower import Follower
from qtui.operations.following.outcome import Outcome
from qtui.operations.journal.lines import Header
from qtui.operations.journal.texts import Texts


class Seen(NamedTuple):
    """The jobs of a call whose reply was lost, as they were read after it."""

    stand: Sequence[bool]
    """Whether each is where it was picked. While one is, the call has done nothing yet: a call is
    atomic, so it is safe to send it again."""
    results: Sequence[Result]
    """What the call came to for each, if it was carried out."""


class Load(Protocol):
    """Jobs on their way, each pinned to how it was picked, so that sending it twice does no harm.

    As many as the action likes; the campaign cuts off what goes in one call.
    """

    def __len__(self) -> int:
        """How many jobs."""

    @property
    def ids(self) -> Sequence[str]:
        """How results and journal name its jobs: by id, or by full key across queues."""

    def cut(self, jobs: int) -> tuple[Self, Self | None]:
        """About so many jobs of it, and the rest; all of it where it must go in one call."""

    def only(self, wanted: Sequence[bool]) -> Self:
        """Some of its jobs."""

    def take(self) -> None:
        """Its jobs are on their way: the action hands none of them out again."""

    async def snapshot(self, texts: Texts | None) -> bytes:
        """Journal lines of all that the call wipes: what an undo needs; see `snapshot_lines`.

        May read. Called before `send`, and again if the connection was lost meanwhile.
        """

    async def send(self) -> Batch:
        """Calls the script: one atomic step with a code for each job.

        Raises:
            Unable: the server takes no writes for now; nothing was written.
            LOST: the effect is unknown.
            REFUSED: Redis said no; nothing was written.
        """

    async def look(self) -> Seen:
        """Reads the jobs after a call whose reply was lost."""

    async def correct(self, seen: Seen, results: Sequence[Result]) -> list[Result]:
        """The truth about a call that was sent again.

        Args:
            seen: the jobs before it was sent again.
            results: what the last call said, which may have found the first one's work done.
        """

    def settle(self, results: Sequence[Result]) -> Sequence[Result]:
        """Takes in what became of its jobs; the results that are to be told."""

    def objection(self, results: Sequence[Result]) -> str:
        """Why nothing more may be sent after these results; empty where jobs are independent."""


class JobAction(Protocol):
    """One kind of change to many jobs, planned and ready to be carried out."""

    @property
    def queue(self) -> QueueKey | None:
        """The queue whose waiting side bounds the pace.

        None where a call may depend on the one before: then each is prepared when that has come
        back, and nothing bounds the pace.
        """

    @property
    def selected(self) -> int:
        """Jobs in the plan."""

    @property
    def before(self) -> Mapping[Code, int]:
        """The codes that an earlier process of this campaign wrote down."""

    @property
    def follower(self) -> Follower | None:
        """Says how the jobs fare afterwards, which a canary needs; None where nothing does."""

    def header(self) -> Header:
        """The first line of the journal, but for where, how and pace."""

    def chosen(self) -> Sequence[Picked]:
        """The jobs that were chosen one by one, for the journal; none for a query or a flow."""

    async def begin(self) -> None:
        """Reads what has to be known before the first call."""

    async def lost(self) -> Sequence[Picked]:
        """The jobs with code 1 that are where they were picked. Reads only.

        A server that was replaced, or restarted, took the call, and the one that answers now does
        not know of it.
        """

    def withdraw(self, lost: Sequence[Picked]) -> None:
        """The codes 1 of these are void: `next` hands them out again where it can."""

    async def judge_doubtful(self) -> Sequence[Result] | None:
        """What became of jobs that an earlier process may have sent; None when all are judged."""

    async def next(self) -> Load | None:
        """The next jobs, maybe an empty load; None when there are no more.

        Reads only. Called again if the connection was lost meanwhile.
        """

    async def vanished(self) -> bool:
        """Whether jobs are missing because the queue is no more. Reads only."""

    async def conclude(self, seconds: float) -> None:
        """Reads a last time what has become of the jobs, for so long at most."""

    def outcomes(self) -> Mapping[str, Outcome] | None:
        """What has become of the jobs for good, by the ids of the results; None: unknown."""

    def counts(self) -> Mapping[str, int] | None:
        """How many came to what, for the last line of the journal; None: unknown."""

    async def close(self) -> None:
        """Stops reading."""
