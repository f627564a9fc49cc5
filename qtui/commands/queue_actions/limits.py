"""`qtui limits`: shows who holds a queue's limits, and changes or releases them."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import ClassVar

from qtui.bullmq.codes import Code, Result
from qtui.bullmq.connection.client import Client
from qtui.commands.queue_actions.report import QueueReport
from qtui.commands.shared.asking import Manner, check_may_write, declined
from qtui.commands.shared.find import find_queue
from qtui.commands.shared.output import Cell, Column, Paper, ProgressLine, Table
from qtui.commands.shared.plans import tell_end, tell_warnings
from qtui.commands.shared.run import DONE, NOT_ALL, USAGE, CommandError, Workplace
from qtui.commands.shared.sending import send
from qtui.operations.queues.limits import (
    NONE,
    Limits,
    LimitsPlan,
    Wanted,
    concurrency_of,
    limits_of,
    plan_limits,
    rate_of,
)
from qtui.text import plain, span
from qtui.verbs import Verb
from qtui.views.limits import key_words, limit_lines
from qtui.views.tone import Tone


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitsRequest(Manner):
    """Which limits of which queue."""

    queue: str
    concurrency: str | None
    rate: str | None
    release: bool
    keys: tuple[str, ...]

    @property
    def words(self) -> str:
        """The command line as the journal records it, without the options before the command."""
        words = ["qtui", "limits", self.queue]
        words += [] if self.concurrency is None else ["--concurrency", self.concurrency]
        words += [] if self.rate is None else ["--rate", self.rate]
        words += ["--release"] if self.release else []
        for key in self.keys:
            words += ["--release-key", key]
        return shlex.join(words)

    def wanted(self) -> Wanted:
        """What is to be changed.

        Raises:
            CommandError: a value can't be understood.
        """
        try:
            concurrency = concurrency_of(self.concurrency)
        except ValueError as error:
            raise CommandError(f"--concurrency takes {error}", USAGE) from None
        try:
            rate = rate_of(self.rate)
        except ValueError as error:
            raise CommandError(f"--rate takes {error}", USAGE) from None
        return Wanted(
            concurrency=concurrency,
            no_concurrency=self.concurrency == NONE,
            rate=rate,
            no_rate=self.rate == NONE,
            release=self.release,
            keys=self.keys,
        )


class _Limiting(QueueReport):
    verb = "changed"
    action: ClassVar[Verb] = Verb.LIMITS
    unchanged = "unchanged"

    def _why(self, result: Result) -> str:
        if result.code is Code.NOT_IN_STATE and result.error and " " not in result.error:
            return f"{result.error} was changed by another client meanwhile"
        return super()._why(result)

    @property
    def code(self) -> int:
        """The exit code: a limit that someone else changed meanwhile is not as it was asked for."""
        if self._codes[Code.NOT_IN_STATE] and self.journal is not None:
            return NOT_ALL
        return super().code


def queue_limits(place: Workplace, request: LimitsRequest) -> int:
    """Shows a queue's limits, or changes them; returns the exit code."""
    wanted = request.wanted()
    if wanted.is_nothing:
        if request.dry_run or request.yes or request.reason:
            raise CommandError("nothing to change: --dry-run, --yes and --reason need one", USAGE)
        limits = place.ask(lambda client: _limits(client, place, request.queue))
        if request.json:
            place.out.json(limits_object(limits))
        else:
            _show(place.out, limits)
        return DONE
    check_may_write(place, Verb.LIMITS, request)
    plan = place.ask(lambda client: _plan(client, place, request, wanted))
    report = _Limiting(place, json=request.json, dry=request.dry_run)
    report.selected, report.warnings = 1, plan.warnings()
    report.foreign = int(plan.code is Code.REFUSED)
    target = " ".join(one.name for one in plan.settings)
    if not request.json or request.asks:
        _tell(place.err, plan, request)
    if request.dry_run or plan.code is not Code.DONE:
        why = "" if plan.code is Code.DONE else plan.why
        report.results([Result(plan.queue.base, plan.code, "" if why else target, why)])
        return report.end(DONE if request.dry_run else report.code)
    if (code := declined(place, report, plan.headline, request)) is not None:
        return code
    return send(place, report, plan.action, request, verb=Verb.LIMITS, how=request.words)


async def _limits(client: Client, place: Workplace, name: str) -> Limits:
    queue = (await find_queue(client, place.settings.prefixes, name)).queue
    progress = ProgressLine()
    progress.say("looking for deduplication keys …")
    try:
        return await limits_of(client, queue)
    finally:
        progress.clear()


async def _plan(
    client: Client, place: Workplace, request: LimitsRequest, wanted: Wanted
) -> LimitsPlan:
    queue = (await find_queue(client, place.settings.prefixes, request.queue)).queue
    return await plan_limits(client, queue, wanted)


def _tell(paper: Paper, plan: LimitsPlan, request: LimitsRequest) -> None:
    """Prints the plan for a person to read; why nothing is changed is in the queue's row."""
    if plan.code is Code.DONE:
        paper.line(paper.styled(plan.headline, bold=True))
        for line in plan.changes():
            paper.line(f"  {line}")
    tell_warnings(paper, plan.warnings())
    tell_end(paper, request.reason)


def limits_object(limits: Limits) -> dict[str, object]:
    """A queue's limits as JSON. Times in ms; null for a limit that is not set."""
    rate = None
    if limits.most is not None or limits.duration is not None:
        rate = {"max": limits.most, "duration": limits.duration}
    running = None
    if limits.started is not None:
        running = {
            "started": limits.started,
            "left": limits.left if limits.left >= 0 else None,
            "by_hand": limits.by_hand,
            "reached": limits.reached,
        }
    return {
        "queue": limits.queue.base,
        "paused": limits.status.paused,
        "concurrency": limits.concurrency,
        "active": limits.raw.active,
        "holders": list(limits.raw.holders),
        "rate": rate,
        "limiter": running,
        "deduplication": [
            {
                "id": one.id,
                "job": one.owner,
                "job_exists": one.exists,
                "left": one.left if one.left >= 0 else None,
                "newer_stored": one.has_next,
            }
            for one in limits.keys
        ],
        "more": limits.more,
    }


def _show(paper: Paper, limits: Limits) -> None:
    """Prints a queue's limits for a person to read."""
    for label, words in limit_lines(limits):
        paper.line(f"{label:<12} {words}")
    if not limits.keys:
        return
    columns = Column("dedup key"), Column("job"), Column("expires", right=True), Column("")
    Table(paper, columns).write(
        (
            Cell(plain(one.id)),
            Cell(plain(one.owner), Tone.PLAIN if one.exists else Tone.BAD),
            Cell("never" if one.left < 0 else span(one.left)),
            Cell(key_words(exists=one.exists, has_next=one.has_next), Tone.FAINT),
        )
        for one in limits.keys
    )
    if limits.more:
        paper.line("and more")
