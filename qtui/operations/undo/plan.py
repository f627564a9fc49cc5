"""What an undo will do, found by reading only: which jobs go back, which have moved on and why."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from qtui.bullmq.codes import Code, Result, meaning
from qtui.bullmq.connection.client import Client
from qtui.bullmq.connection.origin import Origin, read_origin
from qtui.bullmq.keys import QueueKey
from qtui.operations.journal.lines import Header
from qtui.operations.journal.reading import (
    JournalError,
    Summary,
    campaigns,
    is_same_address,
    progress_of,
)
from qtui.operations.planning.proposal import PlanLine, PlanOptions, count_to_type
from qtui.operations.resuming.same_server import check_is_here
from qtui.operations.undo.deeds import Deeds, read_deeds
from qtui.operations.undo.inverse import Inverse
from qtui.operations.undo.registry import make_inverse, refusal
from qtui.operations.undo.undo import Undo
from qtui.text import count, plain, plural
from qtui.verbs import NOUNS, Verb

AT_ONCE: Final = 250
"""Jobs whose places are read in one round trip."""

KEPT: Final = 1000
"""Jobs whose forecast is kept one by one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UndoPlan:
    """An undo as it would go now."""

    deeds: Deeds
    tally: Counter[tuple[Code, str]]
    """Jobs by code and, where they are left alone, why in words."""
    done: str
    """What becomes of those that are undone: ``back to failed``."""
    missing: tuple[str, ...] = ()
    """Ids that were asked for, and that the operation did not change."""
    forecasts: tuple[Result, ...] = ()
    """Job by job, if there are at most `KEPT`."""

    @property
    def header(self) -> Header:
        """The operation that is undone."""
        return self.deeds.header

    @property
    def jobs(self) -> int:
        """How many jobs the operation changed, of those asked for."""
        return len(self.deeds)

    @property
    def back(self) -> int:
        """How many can be undone."""
        return sum(number for (code, _), number in self.tally.items() if code is Code.DONE)

    @property
    def noun(self) -> str:
        """What the operation changed: ``job``, or ``queue``."""
        return NOUNS.get(self.header.selection.kind, "job")

    @property
    def title(self) -> str:
        """What will be done, in a line; plain."""
        header = self.header
        what = f"the {plain(header.noun)}"
        jobs = plural(self.jobs, self.noun)
        if self.noun == "queue":
            return f"Undo {what} of {plain(header.queue) if self.jobs == 1 else jobs}"
        return f"Undo {what} of {jobs} in {plain(header.queue)}"

    def groups(self) -> list[tuple[int, Code, str]]:
        """The jobs by what becomes of them, in words: those that are undone first; plain."""
        rows = [
            (number, code, plain(why) or meaning(code, "place", "undone"))
            for (code, why), number in self.tally.items()
        ]
        return sorted(rows, key=lambda row: (row[1] is not Code.DONE, -row[0], row[2]))

    @property
    def verb(self) -> Verb:
        """What it does."""
        return Verb.UNDO

    @property
    def refusal(self) -> str:
        """Why nothing can be undone, in a sentence; empty if something can."""
        if self.back:
            return ""
        reasons = ", ".join(
            f"{count(jobs)} {words} ({int(code)})" for jobs, code, words in self.groups()
        )
        return f"Nothing can be undone: {reasons}." if reasons else "It changed nothing."

    def go(self, options: PlanOptions | None = None) -> str:
        """Returns what confirming does."""
        return f"undo {plural(self.back, self.noun)}"

    def confirmation(self, options: PlanOptions | None = None) -> str:
        """Returns the count that must be typed, if it is large."""
        return count_to_type(self.back)

    def lines(self, options: PlanOptions | None = None) -> list[PlanLine]:
        """Returns its jobs by what becomes of them."""
        return [
            PlanLine(
                number=jobs,
                name=f"{self.noun}s" if jobs != 1 else self.noun,
                place=words if code is Code.DONE else "",
                refusal="" if code is Code.DONE else f"{int(code)} {words}",
            )
            for jobs, code, words in self.groups()
        ]

    def action(self, client: Client, options: PlanOptions | None = None) -> Undo:
        """Returns the undo, with its own writer."""
        return Undo(client, self.deeds)

    def warnings(self, options: PlanOptions | None = None) -> Iterator[str]:
        """What to know before confirming, in sentences; plain."""
        if self.missing:
            names = plain(", ".join(self.missing[:5])) + (" …" if len(self.missing) > 5 else "")
            yield f"That operation did not change {plural(len(self.missing), self.noun)}: {names}."
        left = self.jobs - self.back
        if left and self.back:
            all_of_them = plural(self.jobs, self.noun)
            yield f"{count(left)} of {all_of_them} have moved on and are left alone."


def latest(folder: Path, where: str) -> Summary:
    """Returns the last operation on a server that changed something and is not taken back yet.

    Undos themselves are passed over: give the id of one to undo it. So a second undo takes back the
    operation before. What was taken back by an undo that was undone in turn counts again.

    Raises:
        JournalError: there is none.
    """
    taken: Counter[str] = Counter()
    here = (one for one in campaigns(folder) if one.header.where)
    known = [one for one in here if is_same_address(one.header.where, where)]
    for one in sorted(known, key=lambda one: one.header.at, reverse=True):
        done = one.codes.get(Code.DONE, 0)
        cut_off = not (one.ended or one.running)
        if taken[one.id] >= done and not cut_off:
            continue  # it changed nothing, or all of it was taken back
        if not one.header.undoes:
            if reason := refusal(one.header):
                raise JournalError(
                    f"the last operation is {one.id}: {reason}; to undo an earlier one, pass its id"
                    " from qtui journal"
                )
            return one
        taken[one.header.undoes] += sum(one.codes.values())
    if known:
        raise JournalError(
            f"nothing to undo: all that was done on {where} is undone already; to take back an"
            " undo, pass its id from qtui journal"
        )
    raise JournalError(f"nothing to undo: the journal has no operation on {where}")


def check_server(folder: Path, header: Header, where: str, origin: Origin | None) -> None:
    """Checks that this connection has the data that an operation changed, as a resume does.

    Raises:
        OtherServer: neither address nor history is the same.
        JournalError: the journal can't be read.
    """
    if not is_same_address(header.where, where):
        check_is_here(progress_of(folder, header.id), where, origin, to="undo")


async def make_undo_plan(
    client: Client,
    folder: Path,
    name: str,
    where: str,
    only: Collection[str] = (),
    *,
    anyway: bool = False,
    progress: Callable[[int, int], None] = lambda seen, total: None,
    report: Callable[[Sequence[Result]], None] = lambda results: None,
) -> UndoPlan:
    """Returns what an undo of an operation would do now. Reads only.

    Args:
        client: the server.
        folder: where journals are.
        name: the operation's id in the journal, or its beginning or end.
        where: the address of this connection.
        only: ids of its jobs; none for all.
        anyway: whether to accept any address, since the user said that the data is the same.
        progress: called with the jobs read and their number.
        report: called with forecasts, as they are made.

    Costs a pass over the journal, and what `Inverse.look` costs for each job.

    Raises:
        JournalError: there is no such operation, it is running, it can't be undone, or it ran on
            another server.
    """
    deeds = await asyncio.to_thread(read_deeds, folder, name, only)
    header = deeds.header
    if reason := refusal(header):
        raise JournalError(f"{header.id}: {reason}")
    if not anyway and not is_same_address(header.where, where):
        origin = await read_origin(client, QueueKey(header.queue, header.prefix).key("meta"))
        await asyncio.to_thread(check_server, folder, header, where, origin)
    inverse = make_inverse(client, header, False)
    tally: Counter[tuple[Code, str]] = Counter()
    forecasts: list[Result] = []
    seen_ids: set[str] = set()
    total = len(deeds)
    for start in range(0, total, AT_ONCE):
        progress(start, total)
        places = range(start, min(start + AT_ONCE, total))
        some = await asyncio.to_thread(deeds.read, places)
        results = [_worded(inverse, one.result) for one in await inverse.look(some)]
        report(results)
        if total <= KEPT:
            forecasts += results
        if only:
            seen_ids.update(one.job_id for one in results)
        tally.update((one.code, inverse.done if one.done else one.error) for one in results)
    progress(total, total)
    missing = tuple(one for one in dict.fromkeys(only) if one not in seen_ids)
    return UndoPlan(
        deeds=deeds, tally=tally, done=inverse.done, missing=missing, forecasts=tuple(forecasts)
    )


def _worded(inverse: Inverse, result: Result) -> Result:
    """The result with the reason in words."""
    if result.done or not result.error:
        return result
    return result._replace(error=inverse.why(result))
