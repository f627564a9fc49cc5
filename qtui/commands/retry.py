"""`qtui retry`: tell what will happen, ask, do it, and say what became of every job."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from redis.exceptions import RedisError

from qtui.bullmq.codes import Code, Result, meaning
from qtui.bullmq.connection import Client, explain
from qtui.bullmq.model import JobState
from qtui.bullmq.writer import ForeignQueue, Writer
from qtui.commands.find import find_queue
from qtui.commands.ndjson import result_object, summary_object
from qtui.commands.output import Cell, Column, OutputClosed, Paper, Progress, Table, is_terminal
from qtui.commands.run import DONE, INTERRUPTED, NOT_ALL, READ_ONLY, REDIS, USAGE, Place, Stop
from qtui.retry.campaign import Campaign, Phase
from qtui.retry.plan import Forecast, Plan, Resets, make_plan
from qtui.text import count, plain, plural
from qtui.views.columns import Tone, verdict

_MOST_GROUPS: Final = 30
_IN_SUMMARY: Final = {
    Code.NO_SUCH_JOB: "gone (-1)",
    Code.NOT_IN_STATE: "not in {state} any more (-3)",
    Code.REFUSED: "refused by Redis (0)",
    Code.UNKNOWN: "unknown",
}
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be retried, and how."""

    queue: str
    ids: tuple[str, ...]
    state: JobState
    resets: Resets
    dry_run: bool
    yes: bool
    json: bool

    @property
    def asks(self) -> bool:
        """Whether a person is to say yes."""
        return not (self.yes or self.dry_run)


def retry_jobs(place: Place, request: Request) -> int:
    """Retries the jobs, or tells what a retry would do."""
    if place.settings.read_only and not request.dry_run:
        raise Stop("read-only mode: retry is off; --dry-run tells what it would do", READ_ONLY)
    if request.asks and not (is_terminal(sys.stdin) and place.err.is_terminal):
        raise Stop("no terminal to ask on: say --yes to retry, or --dry-run", USAGE)
    plan = place.ask(lambda client: _plan(client, place, request))
    if plan.status.kind.refusal:
        raise Stop(f"{plan.queue.base} is {plan.status.kind.refusal}", NOT_ALL)
    report = _Report(place, plan, request)
    if not request.json or request.asks:
        _tell(place.err, plan, request.resets)
    if request.dry_run:
        return report.forecasts()
    if not plan.count(Code.RETRIED):
        # Sent all the same, a job that fails right now would be retried without a question.
        return report.nothing_to_do()
    if request.asks:
        try:
            agreed = _agreed(f"Retry {plural(plan.count(Code.RETRIED), 'job')}? [y/N] ")
        except KeyboardInterrupt:
            place.err.line()
            return report.end(INTERRUPTED, "interrupted: nothing was retried")
        if not agreed:
            return report.end(NOT_ALL, "nothing was retried")
    return place.ask(lambda client: _carry_out(client, place, plan, request, report), writes=True)


async def _plan(client: Client, place: Place, request: Request) -> Plan:
    status = await find_queue(client, place.settings.prefixes, request.queue)
    progress = Progress()
    jobs = len(request.ids)

    def say(seen: int) -> None:
        if seen < jobs:
            progress.say(f"reading {count(seen)} of {plural(jobs, 'job')}")

    try:
        return await make_plan(client, status.queue, request.state, request.ids, progress=say)
    finally:
        progress.clear()


def _agreed(question: str) -> bool:
    sys.stderr.write(question)
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _tell(paper: Paper, plan: Plan, resets: Resets) -> None:
    """The plan, for a person."""
    jobs = plural(len(plan.forecasts), f"{plan.state} job")
    paper.line(paper.styled(f"Retry {jobs} in {plain(plan.queue.base)}", bold=True))
    groups = plan.groups()
    columns = Column("jobs", right=True), Column("name"), Column("error"), Column("fate")
    rows = []
    for group in groups[:_MOST_GROUPS]:
        fate = Cell(f"→ {group.place}", Tone.GOOD)
        if group.code is not Code.RETRIED:
            fate = Cell(f"✗ {group.code.value} {meaning(group.code, plan.state)}", Tone.BAD)
        rows.append((Cell(count(group.jobs)), Cell(plain(group.name)), Cell(group.error), fate))
    Table(paper, columns).write(rows)
    if len(groups) > _MOST_GROUPS:
        paper.line(f"and {count(len(groups) - _MOST_GROUPS)} more kinds")
    for warning in plan.warnings(resets):
        paper.line(paper.styled(f"▲ {warning}", Tone.BUSY))
    if resets.made or resets.started:
        which = [word for word, on in (("made", resets.made), ("started", resets.started)) if on]
        paper.line(f"Reset: attempts {' and '.join(which)}.")
    paper.flush()


class _Report:
    """Says what became of the jobs, one by one and in the end."""

    def __init__(self, place: Place, plan: Plan, request: Request) -> None:
        self._place = place
        self._plan = plan
        self._json = request.json
        self._dry_run = request.dry_run
        columns = Column("id"), Column("would go to" if request.dry_run else "result")
        self._table = Table(place.out, columns)
        self._codes: Counter[Code] = Counter()
        self.rest = "not touched"
        """What is known of the jobs without a result."""

    def results(self, results: Iterable[Result]) -> None:
        """Prints results and sees to it that they can be read at once."""
        results = list(results)
        self._codes.update(result.code for result in results)
        if self._json:
            for result in results:
                self._place.out.json(result_object(result, self._plan.state))
        else:
            self._table.write([self._cells(result) for result in results])
        self._place.out.flush()

    def _cells(self, result: Result) -> tuple[Cell, Cell]:
        said = verdict(result, None, self._plan.state)
        return Cell(plain(result.job_id)), Cell(said.text, said.tone)

    def forecasts(self) -> int:
        """Prints what a retry would do."""
        if self._json:
            self.results(map(_as_result, self._plan.forecasts))
        else:
            self._codes.update(one.code for one in self._plan.forecasts)
            rows = []
            for one in self._plan.forecasts:
                cell = Cell(f"→ {one.place()}", Tone.GOOD)
                id_cell, verdict_cell = self._cells(_as_result(one))
                rows.append((id_cell, cell if one.target else verdict_cell))
            self._table.write(rows)
        return self.end(self.code)

    def nothing_to_do(self) -> int:
        """Prints the results of a plan of which nothing can be retried; nothing was sent."""
        self.results(map(_as_result, self._plan.forecasts))
        return self.end(NOT_ALL)

    @property
    def code(self) -> int:
        """The exit code, if nothing cut the campaign short."""
        if self._codes[Code.REFUSED]:
            return REDIS
        return DONE if self._codes[Code.RETRIED] == len(self._plan.forecasts) else NOT_ALL

    def end(self, code: int, message: str = "") -> int:
        """Prints the summary, then the message on stderr, and returns the code."""
        if self._json:
            selected = len(self._plan.forecasts)
            self._place.out.json(summary_object(selected, self._codes, dry_run=self._dry_run))
        else:
            self._place.out.line(self.summary)
        self._place.out.flush()
        if message:
            self._place.err.line(f"qtui: {plain(message)}")
        return code

    @property
    def summary(self) -> str:
        """The counts in words."""
        selected = len(self._plan.forecasts)
        verb = "would be retried" if self._dry_run else "retried"
        parts = [f"{count(self._codes[Code.RETRIED])} of {plural(selected, 'job')} {verb}"]
        for code, number in sorted(self._codes.items(), reverse=True):
            if code is not Code.RETRIED and number:
                parts.append(f"{count(number)} {_IN_SUMMARY[code].format(state=self._plan.state)}")
        if untouched := selected - self._codes.total():
            parts.append(f"{count(untouched)} {self.rest}")
        return ", ".join(parts)


def _as_result(one: Forecast) -> Result:
    return Result(one.row.id, one.code, target=one.target.value if one.target else "")


class _Interrupts:
    """The first Ctrl+C ends the campaign after the batch under way, the second ends it at once."""

    def __init__(self, campaign: Campaign, paper: Paper) -> None:
        self._campaign = campaign
        self._paper = paper
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        self._asked = False

    def __enter__(self) -> None:
        for number in _SIGNALS:
            self._loop.add_signal_handler(number, self._interrupt)

    def __exit__(self, *_: object) -> None:
        for number in _SIGNALS:
            self._loop.remove_signal_handler(number)

    def _interrupt(self) -> None:
        if self._asked and self._task is not None:
            self._task.cancel()
            return
        self._asked = True
        self._campaign.stop()
        self._paper.line("qtui: stopping after this batch; once more to leave at once")
        self._paper.flush()


async def _carry_out(
    client: Client, place: Place, plan: Plan, request: Request, report: _Report
) -> int:
    campaign = Campaign(client, Writer(client), plan, request.resets)
    progress = Progress(wanted=not place.out.is_terminal)
    selected = plural(campaign.selected, "job")
    try:
        with _Interrupts(campaign, place.err):
            async for results in campaign.run():
                report.results(results)
                progress.say(f"{count(campaign.decided)} of {selected}")
    except asyncio.CancelledError:
        report.rest = "without a result"
        return report.end(INTERRUPTED, "interrupted: the last batch may have been carried out")
    except OutputClosed as closed:
        why = str(closed) or "nobody reads the output any more"
        raise Stop(f"{why}: {report.summary}", INTERRUPTED) from None
    except ForeignQueue as error:
        return report.end(NOT_ALL, f"{plan.queue.base} is {error}")
    except (RedisError, OSError) as error:
        return report.end(REDIS, str(explain(error, place.target)))
    finally:
        progress.clear()
    for note in campaign.notes:
        place.err.line(f"qtui: the jobs were retried, but Redis refused an effect: {plain(note)}")
    return _ended(campaign, report)


def _ended(campaign: Campaign, report: _Report) -> int:
    if campaign.phase is Phase.LOST:
        return report.end(REDIS, "the connection was lost: look at the jobs before trying again")
    if campaign.phase is Phase.STOPPED:
        return report.end(INTERRUPTED, "interrupted")
    return report.end(report.code)
