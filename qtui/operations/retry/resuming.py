"""Begins the journal of a campaign, and resumes a campaign whose process died."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

from qtui.bullmq.codes import Code
from qtui.bullmq.connection.client import Client
from qtui.bullmq.connection.origin import Origin, origin_of
from qtui.bullmq.filter import Filter, FilterError, parse_filter
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState
from qtui.bullmq.reads.queues.workers import read_workers
from qtui.bullmq.reads.status import read_status
from qtui.bullmq.writers.retry import RetryWriter
from qtui.operations.engine.action import JobAction
from qtui.operations.engine.campaign import Campaign
from qtui.operations.engine.pace import UNBOUNDED, Pace
from qtui.operations.journal.lines import Header
from qtui.operations.journal.reading import (
    JournalError,
    Progress,
    Summary,
    find,
    is_same_address,
    progress_of,
    summary,
)
from qtui.operations.journal.writing import Journal
from qtui.operations.planning.plan import ForecastTally, Plan, Resets
from qtui.operations.retry.retry import Retry
from qtui.operations.retry.same_server import check_is_here
from qtui.operations.supply.selection import Chosen, Query, Selection
from qtui.operations.supply.supply import Before
from qtui.text import plural
from qtui.verbs import Verb

_LARGEST: Final = 1e15
"""Largest number in a pace; qtui never writes a larger one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorder:
    """Begins journals: their folder, and what the first line says about server and command."""

    folder: Path
    where: str
    """The server's address, without credentials."""
    how: str
    """The command or the key that started it."""
    reason: str = ""
    """Why the user does it, in their words."""

    def __call__(self, campaign: Campaign[JobAction]) -> Journal:
        """Begins a campaign's journal, and writes the chosen jobs to it.

        Raises:
            JournalError: it can't be written: nothing may be sent.
        """
        action, pace = campaign.action, campaign.pace
        bounds = {} if pace == UNBOUNDED else asdict(pace)
        header = replace(
            action.header(),
            where=self.where,
            how=self.how,
            reason=self.reason,
            pace=bounds,
            server=campaign.origin.members(),
        )
        journal = Journal.create(self.folder, header)
        try:
            journal.chosen(action.chosen())
        except JournalError:
            journal.close()
            raise
        return journal


class AllDone(JournalError):
    """The campaign is done, and nothing shows that another server answers since."""


@dataclass(frozen=True, slots=True)
class Interrupted:
    """An interrupted campaign, ready to be resumed; this process holds its journal open."""

    journal: Journal
    progress: Progress

    @classmethod
    def take(
        cls,
        folder: Path,
        name: str,
        where: str,
        origin: Origin | None = None,
        *,
        anyway: bool = False,
    ) -> Interrupted:
        """Takes a campaign over.

        Args:
            folder: where journals are.
            name: the campaign's id, or its beginning or end.
            where: the address of this connection.
            origin: the server there, to recognise a campaign that ran under another address.
            anyway: whether to accept any address, since the user said that the data is the same.

        One that is done is taken over only where another server answers than the one that took
        its jobs, which may have lost their retry: those are sent again.

        Raises:
            AllDone: it is done, and nothing shows that another server answers.
            OtherServer: it ran under another address, and its data may not be here.
            JournalError: there is no such campaign, or it is running.
        """
        known = summary(folder, find(folder, name))
        if known.header.action not in (Verb.RETRY, Verb.RERUN):
            raise JournalError(
                f"campaign {known.id} is no retry: its action is {known.header.action}"
            )
        if known.header.flow and known.phase != "done":
            raise JournalError(
                f"{known.id} is a flow's rerun: run that again, it goes on from where it is"
            )
        if known.phase == "done" and (known.header.flow or not _changed(folder, known, origin)):
            raise AllDone(f"campaign {known.id} {_done(known)}")
        _state(known.header)
        _filter(known.header)
        if not anyway and not is_same_address(known.header.where, where):
            check_is_here(progress_of(folder, known.id), where, origin)
        journal = Journal.resume(folder, known.id)
        try:
            progress = progress_of(folder, journal.id)
        except JournalError:
            journal.close()
            raise
        return cls(journal, progress)

    async def campaign(self, client: Client, writer: RetryWriter) -> Campaign[Retry]:
        """Returns a campaign for the jobs that are left; closing it closes the journal.

        Costs two round trips. If they fail the journal is closed.
        """
        try:
            plan = await self._plan(client)
        except BaseException:  # cancelled too: no other code could close the journal
            self.journal.close()
            raise
        progress, header = self.progress, self.progress.header
        unknown = Counter({Code.UNKNOWN: progress.codes.get(Code.UNKNOWN, 0)})
        # The unknown jobs are read again, and counted then.
        codes = Counter(progress.codes) - unknown
        before = Before(
            progress.decided, progress.doubtful, codes, progress.parents, progress.retried
        )
        action = Retry(client, writer, plan, _flags(header.resets), before)
        campaign = Campaign(client, action, _pace(header.pace))
        campaign.journal = self.journal
        campaign.origin = origin_of(progress.server)
        return campaign

    async def _plan(self, client: Client) -> Plan:
        header, progress = self.progress.header, self.progress
        queue = QueueKey(header.queue, header.prefix)
        selection = _selection(queue, progress)
        [status] = await read_status(client, [queue])
        workers = await read_workers(client, [queue])
        tally = ForecastTally(selection.state)
        seen_workers = None if workers is None else workers[queue]
        return Plan(
            status=status,
            selection=selection,
            tally=tally,
            workers=seen_workers,
            selected=header.selection.jobs,
        )


def _done(known: Summary) -> str:
    """What there is to say of a campaign that is done."""
    if not known.left:
        return "is done: every job of it has its code"
    jobs = plural(known.left, "job")
    return f"is complete: {jobs} had left {known.header.state} before it came to them"


def _changed(folder: Path, known: Summary, origin: Origin | None) -> bool:
    """Whether another server answers than the one that took the jobs of a campaign."""
    if origin is None or not origin.is_known:
        return False
    before = origin_of(progress_of(folder, known.id).server)
    return before.is_known and not origin.is_same_as(before)


def _selection(queue: QueueKey, progress: Progress) -> Selection:
    header = progress.header
    state = _state(header)
    if header.selection.kind == "ids":
        return Chosen(queue, state, tuple(progress.rest()))
    wanted = _filter(header)
    until = header.selection.until
    return Query(queue, state, wanted, float("-inf") if until is None else until)


def _filter(header: Header) -> Filter | None:
    """The filter in the journal.

    Raises:
        JournalError: this release can't parse it.
    """
    written = header.selection.filter
    try:
        return None if written is None else parse_filter(written)
    except FilterError as error:
        raise JournalError(
            f"the filter of retry {header.id} can't be understood: {error}: retry the jobs anew"
        ) from None


def _state(header: Header) -> JobState:
    """The state from which the jobs are retried.

    Raises:
        JournalError: jobs in that state can't be retried.
    """
    found = next((state for state in JobState if state == header.state), None)
    if found is None or not found.is_finished:
        raise JournalError(f"the journal of retry {header.id} was changed: it names no state")
    return found


def _flags(found: Mapping[str, object]) -> Resets:
    return Resets(made=found.get("made") is True, started=found.get("started") is True)


def _pace(found: Mapping[str, object]) -> Pace:
    """The pace in the journal."""
    numbers = {
        name: value
        for name, value in found.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _LARGEST
    }
    default, rate, waiting = Pace(), numbers.get("rate"), numbers.get("max_waiting")
    return Pace(
        rate=None if rate is None else float(rate),
        canary=int(numbers.get("canary", default.canary)),
        canary_seconds=float(numbers.get("canary_seconds", default.canary_seconds)),
        max_refail=float(numbers.get("max_refail", default.max_refail)),
        max_waiting=None if waiting is None else int(waiting),
        max_latency=float(numbers.get("max_latency", default.max_latency)),
    )
