"""What a command says of the jobs: one by one as they are decided, and in the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar, Final

from qtui.bullmq.codes import Code, Result
from qtui.bullmq.model import JobState
from qtui.commands.shared.ndjson import outcomes_object, result_object, summary_object
from qtui.commands.shared.output import Cell, Column, Paper, Table
from qtui.commands.shared.run import DONE, NOT_ALL, REDIS
from qtui.operations.following.outcome import OutcomeTally
from qtui.operations.planning.plan import Forecast
from qtui.text import count, plain, plural
from qtui.views.columns import Tone, verdict

_IN_SUMMARY: Final = {
    Code.NO_SUCH_JOB: "gone (-1)",
    Code.NOT_IN_STATE: "not in {state} any more (-3)",
    Code.FAILED_CHILD: "with a child that failed or is gone (-9)",
    Code.REFUSED: "refused by Redis (0)",
    Code.UNKNOWN: "unknown",
}


def is_bad(tally: OutcomeTally) -> bool:
    """Whether a job failed again, or can't be known any more to have recovered."""
    return bool(tally.failed_again or tally.gone or tally.undone)


def unproven(tally: OutcomeTally, seconds: float) -> str:
    """The jobs that are not known to have recovered or failed again; empty if there are none."""
    parts = (
        (tally.active, "still running"),
        (tally.waiting, "still waiting"),
        (tally.delayed, "delayed, will run again"),
        (tally.gone, "removed, and no event says how they ended"),
        (tally.undone, "back where they were, Redis lost the retry"),
        (tally.unknown, "unknown, Redis could not be asked"),
        (tally.beyond, "not followed"),
    )
    words = [f"{count(number)} {what}" for number, what in parts if number]
    if not words:
        return ""
    jobs = plural(tally.followed + tally.beyond, "retried job")
    when = f"after {seconds:g} s " if tally.undecided else ""
    return f"{when}the end of {count(tally.unproven)} of {jobs} is not known: {', '.join(words)}"


FEW: Final = 20
"""Jobs that have a line each on a terminal."""


class Report:
    """Says what became of the jobs: one by one, on a terminal only of few of them, and in the end.

    As it is, those of a retry; another action says it in its own words.

    Args:
        out: where to.
        err: where messages go.
        state: the state out of which jobs are retried.
        json: a JSON object a line.
        dry: nothing is sent.
        verbose: a line a job on a terminal too.
    """

    verb: ClassVar[str] = "retried"
    """What is done to the jobs."""

    def __init__(
        self,
        out: Paper,
        err: Paper,
        state: JobState,
        *,
        json: bool,
        dry: bool,
        verbose: bool = False,
    ) -> None:
        self._brief = out.is_terminal and not json and not verbose
        self._lines_left = FEW
        self._unsaid = 0
        self._out = out
        self._dry_run = dry
        self._err = err
        self._state = state
        self._json = json
        self.selected = 0
        """Jobs that were selected, as far as they are known."""
        self._table = Table(out, self._columns())
        self._codes: Counter[Code] = Counter()
        self.journal: str | None = None
        """The campaign's id in the journal."""
        self.followed: OutcomeTally | None = None
        """What became of the jobs, where they were followed."""
        self.warnings: Sequence[str] = ()
        """What the plan says that whoever confirms should know."""
        self.after_children = 0
        """Jobs that run after their children, as far as they are known."""
        self.rest = "not touched"
        """What is known of the jobs without a result."""
        self.rest_when_done = self.rest
        """The same, where nothing cut the campaign short."""
        self.remark = ""
        """What else is to be said of jobs that were followed."""

    def follow(self, tally: OutcomeTally, seconds: float) -> None:
        """Takes in what became of the jobs, and for how long they were followed."""
        self.followed, self.remark = tally, unproven(tally, seconds)

    @property
    def goes_on(self) -> str:
        """How what is left can be done; empty where nothing was begun."""
        return "" if self.journal is None else f"qtui retry --resume {self.journal} goes on"

    def take_back(self, jobs: int) -> None:
        """Takes back that jobs were done, and says so: the server that took them has lost them."""
        self._codes[Code.RETRIED] -= jobs
        words = f"another Redis answers, which has lost {plural(jobs, 'job')} that were {self.verb}"
        self._err.line(f"qtui: {words}: sending them again")
        self._err.flush()

    def count(self, codes: Mapping[Code, int]) -> None:
        """Takes in what another process has told already."""
        self._codes.update(codes)

    def results(self, results: Iterable[Result]) -> None:
        """Prints results and sees to it that they can be read at once."""
        results = list(results)
        self._codes.update(result.code for result in results)
        if self._json:
            for result in results:
                self._out.json(self._object(result))
        else:
            told = [one for one in results if self._tells(retried=one.code is Code.RETRIED)]
            if told:
                self._table.write([self._cells(result) for result in told])
        self._out.flush()

    def _tells(self, *, retried: bool) -> bool:
        """Whether a job has a line: on a terminal `FEW` have, those not retried before others."""
        if not self._brief:
            return True
        if self._lines_left and (self._dry_run or not retried or self.selected <= FEW):
            self._lines_left -= 1
            return True
        self._unsaid += self._dry_run or not retried
        return False

    # How a retry says it

    def _columns(self) -> Sequence[Column]:
        return Column("id"), Column("would go to" if self._dry_run else "result")

    def _object(self, result: Result) -> dict[str, object]:
        return result_object(result, self._state)

    def _outcomes(self) -> Mapping[str, object] | None:
        return None if self.followed is None else outcomes_object(self.followed)

    def _words(self) -> str:
        return "" if self.followed is None else self.followed.words()

    def _cells(self, result: Result) -> Sequence[Cell]:
        said = verdict(result, None, self._state)
        return Cell(plain(result.job_id)), Cell(said.text, said.tone)

    def forecasts(self, forecasts: Sequence[Forecast]) -> None:
        """Prints what a retry would do with some jobs."""
        if self._json:
            self.results(map(_as_result, forecasts))
            return
        self._codes.update(one.code for one in forecasts)
        rows = []
        for one in forecasts:
            if not self._tells(retried=one.code is Code.RETRIED):
                continue
            cell = Cell(f"→ {one.place()}", Tone.GOOD)
            id_cell, verdict_cell = self._cells(_as_result(one))
            rows.append((id_cell, cell if one.target else verdict_cell))
        if rows:
            self._table.write(rows)

    @property
    def code(self) -> int:
        """The exit code, if nothing cut the campaign short.

        Jobs that are still open when the time to follow them is up do not count against it.
        """
        if self._codes[Code.REFUSED]:
            return REDIS
        done = self._codes[Code.RETRIED] == self.selected
        bad = self.followed is not None and is_bad(self.followed)
        return DONE if done and not bad else NOT_ALL

    def end(self, code: int, message: str = "") -> int:
        """Prints the summary, then the message on stderr, and returns the code."""
        if self._json:
            summary = summary_object(
                self.selected,
                self._codes,
                journal=self.journal,
                outcomes=self._outcomes(),
                dry_run=self._dry_run,
                after_children=self.after_children,
                warnings=self.warnings,
            )
            self._out.json(summary)
        else:
            if self._unsaid:
                self._out.line(
                    f"and {plural(self._unsaid, 'more job')}; --verbose prints a line each"
                )
            self._out.line(self.summary)
            if words := self._words():
                self._out.line(words)
            if self.journal is not None:
                self._out.line(f"journal {self.journal}")
        self._out.flush()
        if message:
            self._err.line(f"qtui: {plain(message)}")
        return code

    @property
    def summary(self) -> str:
        """The counts in words."""
        verb = f"would be {self.verb}" if self._dry_run else self.verb
        parts = [f"{count(self._codes[Code.RETRIED])} of {plural(self.selected, 'job')} {verb}"]
        for code, number in sorted(self._codes.items(), reverse=True):
            if code is not Code.RETRIED and number:
                parts.append(f"{count(number)} {_IN_SUMMARY[code].format(state=self._state)}")
        if (untouched := self.selected - self._codes.total()) > 0:
            parts.append(f"{count(untouched)} {self.rest}")
        return ", ".join(parts)


def _as_result(one: Forecast) -> Result:
    return Result(one.row.id, one.code, target=one.target.value if one.target else "")


def nothing_given(out: Paper, err: Paper, *, json: bool) -> int:
    """Says that a file or standard input held no ids."""
    if json:
        out.json(summary_object(0, {}))
        out.flush()
    err.line("qtui: no ids were given: nothing was retried")
    return DONE
