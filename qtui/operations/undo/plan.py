"""What an undo will do, found by reading only: which jobs go back, which have moved on and why."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from qtui.bullmq.codes import Code, Result, meaning
from qtui.bullmq.connection.client import Client
from qtui.bullmq.connection.origin import Origin, read_origin
from qtui.bullmq.keys import QueueKey
from qtui.operations.flow_rerun.written import BASES
from qtui.operations.journal.facts import Header
from qtui.operations.journal.reading import (
    JournalError,
    Summary,
    campaigns,
    is_same_address,
    progress_of,
)
from qtui.operations.planning.proposal import PlanLine, PlanOptions, count_to_type
from qtui.operations.resuming.same_server import check_is_here
from qtui.operations.retry.everywhere import queues_of
from qtui.operations.undo.deeds import Deeds, read_deeds
from qtui.operations.undo.inverse import Inverse
from qtui.operations.undo.registry import make_inverse, refusal
from qtui.operations.undo.undo import Undo
from qtui.text import age, count, plain, plural
from qtui.verbs import NOUNS, Verb

AT_ONCE: Final = 250
"""Jobs whose places are read in one round trip."""

NAMED: Final = 5
"""Things of a group that are named."""

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
    named: Mapping[tuple[Code, str], Sequence[str]] = field(default_factory=dict)
    """By what the tally counts, the ids of the first of them: at most `NAMED`."""
    missing: tuple[str, ...] = ()
    """Ids that were asked for, and that the operation did not change."""
    forecasts: tuple[Result, ...] = ()
    """Job by job, if there are at most `KEPT`."""
    passed_over: tuple[str, ...] = ()
    """Sentences about later operations that can't be undone; plain."""

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
        names = [one for some in self.named.values() for one in some]
        if self.jobs == 1 and names:
            jobs = f"{self.noun} {plain(names[0])}"
        return f"Undo {what} of {jobs} in {plain(header.queue)}"

    def groups(self) -> list[tuple[int, Code, str]]:
        """The jobs by what becomes of them, in words: those that are undone first; plain."""
        return [(number, code, words) for number, code, words, _ in self._groups()]

    def _groups(self) -> list[tuple[int, Code, str, str]]:
        """The same, with the names of the first ones."""
        rows = [
            (
                number,
                code,
                plain(why) or meaning(code, "place", "undone"),
                self._names(number, self.named.get((code, why), ())),
            )
            for (code, why), number in self.tally.items()
        ]
        return sorted(rows, key=lambda row: (row[1] is not Code.DONE, -row[0], row[2]))

    def _names(self, number: int, ids: Sequence[str]) -> str:
        if self.noun == "queue":
            ids = [one.removeprefix("bull:") for one in ids]
        return ", ".join(ids) + (" …" if number > len(ids) > 0 else "")

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
                note=names,
                place=words if code is Code.DONE else "",
                refusal="" if code is Code.DONE else f"{int(code)} {words}",
            )
            for jobs, code, words, names in self._groups()
        ]

    def action(self, client: Client, options: PlanOptions | None = None) -> Undo:
        """Returns the undo, with its own writer."""
        return Undo(client, self.deeds)

    def warnings(self, options: PlanOptions | None = None) -> Iterator[str]:
        """What to know before confirming, in sentences; plain."""
        yield from self.passed_over
        if self.missing:
            names = plain(", ".join(self.missing[:5])) + (" …" if len(self.missing) > 5 else "")
            yield f"That operation did not change {plural(len(self.missing), self.noun)}: {names}."
            header = self.deeds.header
            if queues_of(header) or BASES in header.options or header.flow:
                yield "It spans queues: give the whole key of a job, as in bull:payments:42."
        left = self.jobs - self.back
        if left and self.back:
            all_of_them = plural(self.jobs, self.noun)
            yield f"{count(left)} of {all_of_them} have moved on and are left alone."


@dataclass(frozen=True, slots=True, kw_only=True)
class LastOperation:
    """What an undo is about that names no operation."""

    undoable: Summary | None
    """The last operation that changed something, can be undone and is not undone yet."""
    final: Sequence[tuple[Header, str]]
    """Those after it that can't be undone, the last one first, each with the reason."""
    any_here: bool
    """Whether the journal has an operation on this server at all."""

    @property
    def nothing(self) -> str:
        """Why there is nothing to undo, in a sentence without its end; plain."""
        if self.final:
            return " ".join(self.passed_over).rstrip(".")
        if self.any_here:
            return "nothing to undo: all that was done here is undone already"
        return "nothing to undo: the journal has no operation on this server"

    @property
    def passed_over(self) -> list[str]:
        """Sentences about those that can't be undone; plain."""
        now = time.time() * 1000
        return [
            f"The {one.noun} of {plain(one.queue)}, {age(now - one.at)} ago, is final: {why}."
            for one, why in self.final
        ]


def last_operation(folder: Path, where: str) -> LastOperation:
    """Returns what to undo on a server if no operation is named.

    Undos themselves are passed over: give the id of one to undo it. So a second undo takes back the
    operation before. What was taken back by an undo that was undone in turn counts again.

    Reads the journals' ends, from the newest to the one that it returns.

    Raises:
        JournalError: the folder can't be read.
    """
    undos: dict[str, list[Summary]] = {}
    final: list[tuple[Header, str]] = []
    any_here = False
    for one in campaigns(folder):
        if not (one.header.where and is_same_address(one.header.where, where)):
            continue
        any_here = True
        done = one.codes.get(Code.DONE, 0)
        cut_off = not (one.ended or one.running)
        if sum(_taken_back(undo, done) for undo in undos.get(one.id, ())) >= done and not cut_off:
            continue  # it changed nothing, or all of it was taken back
        if one.header.undoes:
            undos.setdefault(one.header.undoes, []).append(one)
        elif reason := refusal(one.header):
            final.append((one.header, reason))
        else:
            return LastOperation(undoable=one, final=final, any_here=True)
    return LastOperation(undoable=None, final=final, any_here=any_here)


def _taken_back(undo: Summary, done: int) -> int:
    """How many of the ``done`` jobs of an operation there is nothing left to do about.

    One that was left alone does not count where the undo was of some jobs: another undo of some may
    have taken it back. Nor does one of which nothing is known: it may not have been taken back.
    """
    asked = undo.header.selection.jobs
    if asked is not None and asked < done:
        return undo.codes.get(Code.DONE, 0)
    return sum(jobs for code, jobs in undo.codes.items() if code is not Code.UNKNOWN)


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
    named: dict[tuple[Code, str], list[str]] = {}
    forecasts: list[Result] = []
    seen_ids: set[str] = set()
    total = len(deeds)
    for start in range(0, total, AT_ONCE):
        progress(start, total)
        places = range(start, min(start + AT_ONCE, total))
        some = await asyncio.to_thread(deeds.read, places)
        expected = await inverse.look(some)
        results = [_worded(inverse, one.result) for one in expected]
        report(results)
        if total <= KEPT:
            forecasts += results
        if only:
            seen_ids.update(one.job_id for one in results)
        for one, said in zip(results, expected, strict=True):
            kind = one.code, (said.says or inverse.done) if one.done else one.error
            tally[kind] += 1
            if len(names := named.setdefault(kind, [])) < NAMED:
                names.append(one.job_id)
    progress(total, total)
    missing = tuple(one for one in dict.fromkeys(only) if one not in seen_ids)
    return UndoPlan(
        deeds=deeds,
        tally=tally,
        done=inverse.done,
        named=named,
        missing=missing,
        forecasts=tuple(forecasts),
    )


def _worded(inverse: Inverse, result: Result) -> Result:
    """The result with the reason in words."""
    if result.done or not result.error:
        return result
    return result._replace(error=inverse.why(result))
