"""Takes over a campaign whose process died or that was stopped, from its journal."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from qtui.bullmq.codes import Code
from qtui.bullmq.connection.client import Client
from qtui.bullmq.connection.origin import Origin, origin_of
from qtui.bullmq.filter import Filter, FilterError, parse_filter
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState
from qtui.operations.engine.action import JobAction
from qtui.operations.engine.campaign import Campaign
from qtui.operations.engine.pace import Pace
from qtui.operations.journal.facts import Header
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
from qtui.operations.resuming.same_server import check_is_here
from qtui.operations.supply.selection import Chosen, Query, Selection
from qtui.operations.supply.supply import Before
from qtui.text import plural
from qtui.verbs import QUEUES, Verb

A = TypeVar("A", bound=JobAction)

_LARGEST: Final = 1e15
"""Largest number in a pace; qtui never writes a larger one."""

_OF_JOBS: Final = (Verb.RETRY, Verb.PROMOTE, Verb.REMOVE, Verb.EDIT)
"""Actions on jobs of one state."""


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
        verb: Verb = Verb.RETRY,
    ) -> Interrupted:
        """Takes a campaign over.

        Args:
            folder: where journals are.
            name: the campaign's id, or its beginning or end.
            where: the address of this connection.
            origin: the server there, to recognise a campaign that ran under another address.
            anyway: whether to accept any address, since the user said that the data is the same.
            verb: the action that it must be of.

        One that is done is taken over only where another server answers than the one that took
        its jobs, which may have lost what was done: those are sent again.

        Raises:
            AllDone: it is done, and nothing shows that another server answers.
            OtherServer: it ran under another address, and its data may not be here.
            JournalError: there is no such campaign, it is running, or is of another action.
        """
        known = summary(folder, find(folder, name))
        if known.header.flow and known.phase != "done":
            raise JournalError(
                f"{known.id} is the rerun of a flow: run `qtui flow` again to continue it"
            )
        if known.header.selection.kind == QUEUES and known.phase != "done":
            again = known.header.how if known.header.how.startswith("qtui ") else "the same action"
            raise JournalError(f"{known.id} is about whole queues: run {again} again for the rest")
        if known.header.action == Verb.REMOVE and not known.header.state:
            if known.phase != "done":
                again = f"run {known.header.how} again for the rest"
                raise JournalError(f"{known.id} is about jobs in no state: {again}")
            raise AllDone(f"{known.id} {_done(known)}")
        if known.header.action not in (verb, Verb.RERUN):
            rest = f"`qtui {known.header.action} --resume {known.id}` does the rest"
            if known.phase == "done":
                rest = f"a {known.header.noun}, which {_done(known)}"
            raise JournalError(f"{known.id} is no {verb}: {rest}")
        if known.phase == "done" and (known.header.flow or not _changed(folder, known, origin)):
            raise AllDone(f"{known.id} {_done(known)}")
        if verb in _OF_JOBS:
            _state(known.header)
        filter_of(known.header)
        if not anyway and not is_same_address(known.header.where, where):
            check_is_here(progress_of(folder, known.id), where, origin)
        journal = Journal.resume(folder, known.id)
        try:
            progress = progress_of(folder, journal.id)
        except JournalError:
            journal.close()
            raise
        return cls(journal, progress)

    def selection(self) -> Selection:
        """Returns the jobs that are left: chosen ones, or the query."""
        header = self.progress.header
        queue, state = QueueKey(header.queue, header.prefix), _state(header)
        if header.selection.kind == "ids":
            return Chosen(queue, state, tuple(self.progress.rest()))
        until = header.selection.until
        return Query(queue, state, filter_of(header), -math.inf if until is None else until)

    def before(self) -> Before:
        """Returns what the processes before this one have done."""
        progress = self.progress
        unknown = Counter({Code.UNKNOWN: progress.codes.get(Code.UNKNOWN, 0)})
        # The unknown jobs are read again, and counted then.
        codes = Counter(progress.codes) - unknown
        return Before(
            progress.decided, progress.doubtful, codes, progress.parents, progress.retried
        )

    async def campaign(self, client: Client, make: Callable[[], Awaitable[A]]) -> Campaign[A]:
        """Returns a campaign for what is left; closing it closes the journal.

        Args:
            client: where to read.
            make: makes the action; if it fails the journal is closed.
        """
        try:
            action = await make()
        except BaseException:  # cancelled too: no other code could close the journal
            self.journal.close()
            raise
        campaign = Campaign(client, action, pace_of(self.progress.header.pace))
        campaign.journal = self.journal
        campaign.origin = origin_of(self.progress.server)
        return campaign


def _done(known: Summary) -> str:
    """What there is to say of a campaign that is done."""
    if not known.left:
        return "is complete: every job has a result"
    jobs = plural(known.left, "job")
    return f"is complete: {jobs} left {known.header.state} before their turn"


def _changed(folder: Path, known: Summary, origin: Origin | None) -> bool:
    """Whether another server answers than the one that took the jobs of a campaign."""
    if origin is None or not origin.is_known:
        return False
    before = origin_of(progress_of(folder, known.id).server)
    return before.is_known and not origin.is_same_as(before)


def filter_of(header: Header) -> Filter | None:
    """Returns the filter in the journal; None for all jobs of the state.

    Raises:
        JournalError: this release can't parse it.
    """
    written = header.selection.filter
    try:
        return None if written is None else parse_filter(written)
    except FilterError as error:
        raise JournalError(
            f"the filter of {header.action} {header.id} can't be parsed: {error}:"
            f" start a new {header.action}"
        ) from None


def _state(header: Header) -> JobState:
    """The state in which the jobs were picked.

    Raises:
        JournalError: it is none, or the action can't be carried out in it.
    """
    found = next((state for state in JobState if state == header.state), None)
    if found is None or (header.action == Verb.RETRY and not found.is_finished):
        raise JournalError(
            f"the journal of {header.action} {header.id} was changed: it names no state"
        )
    return found


def pace_of(found: Mapping[str, object]) -> Pace:
    """Returns the pace in the journal."""
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
        brake=found.get("brake") is True,
        max_waiting=None if waiting is None else int(waiting),
        max_latency=float(numbers.get("max_latency", default.max_latency)),
    )
