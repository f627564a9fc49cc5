"""What a command prints about jobs: a line as each is decided, and a summary at the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar, Final

from qtui.bullmq.codes import Code, Result, meaning
from qtui.commands.shared.ndjson import outcomes_object, result_object, summary_object
from qtui.commands.shared.output import Cell, Column, Paper, Table
from qtui.commands.shared.run import DONE, NOT_ALL, REDIS, Workplace
from qtui.operations.following.outcome import OutcomeTally
from qtui.operations.planning.forecast import Forecast
from qtui.text import count, first_line, plain, plural
from qtui.verbs import Verb
from qtui.views.lists.verdict import place_words, verdict
from qtui.views.tone import Tone

_IN_SUMMARY: Final = {
    Code.NO_SUCH_JOB: "gone (-1)",
    Code.NOT_IN_STATE: "not in {state} (-3)",
    Code.CURRENT_ITERATION: "a scheduler's current iteration (-8)",
    Code.FAILED_CHILD: "with a child that failed or is gone (-9)",
    Code.REFUSED: "refused by Redis (0)",
    Code.UNKNOWN: "unknown",
}


def is_bad(tally: OutcomeTally) -> bool:
    """Whether some job failed again, or can no longer be proven to have completed."""
    return bool(tally.failed_again or tally.gone or tally.undone)


def unproven(tally: OutcomeTally, seconds: float) -> str:
    """A sentence about the jobs whose outcome is unknown; empty if there are none."""
    parts = tally.open_parts(
        gone="no event says how they ended", unknown="Redis could not be asked"
    )
    if not parts:
        return ""
    words = [f"{count(number)} {what}" for number, what in parts]
    jobs = plural(tally.followed + tally.beyond, "retried job")
    when = f"after {seconds:g} s " if tally.undecided else ""
    return f"{when}the outcome of {count(tally.unproven)} of {jobs} is unknown: {', '.join(words)}"


FEW: Final = 20
"""Jobs that get a line each on a terminal."""


class Report:
    """Prints what became of the jobs: a line each (on a terminal for a few only) and a summary.

    Speaks about a retry; `ActionReport` and others speak about other actions.

    Args:
        out: where results go.
        err: where messages go.
        state: the state that jobs are retried from.
        json: print a JSON object per line.
        dry: nothing is sent.
        verbose: print a line for each job on a terminal too.
    """

    verb: ClassVar[str] = "retried"
    """What happens to the jobs, as a past participle."""
    noun = "job"
    """What it happens to."""

    def __init__(
        self,
        out: Paper,
        err: Paper,
        state: str,
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
        """Selected jobs, as far as known."""
        self._table = Table(out, self._columns())
        self._codes: Counter[Code] = Counter()
        self.journal: str | None = None
        """The campaign's id in the journal."""
        self.followed: OutcomeTally | None = None
        """Outcomes of the jobs, if they were followed."""
        self.warnings: Sequence[str] = ()
        """The plan's warnings."""
        self.after_children = 0
        """Jobs that run after their children, as far as known."""
        self.rest = "not sent"
        """What the summary calls jobs without a result."""
        self.by_query = False
        """Whether the jobs come from a query: it never meets one that leaves its state before."""
        self._left = 0
        self.remark = ""
        """A remark about followed jobs, for stderr."""

    def follow(self, tally: OutcomeTally, seconds: float) -> None:
        """Takes in the outcomes, and for how many seconds the jobs were followed."""
        self.followed, self.remark = tally, unproven(tally, seconds)

    @property
    def how_to_resume(self) -> str:
        """How to do what is left; empty if nothing was begun."""
        return "" if self.journal is None else f"qtui retry --resume {self.journal} does the rest"

    def expect(self, ids: Sequence[str]) -> None:
        """Aligns the results of these ids, which come one by one."""
        self._table.expect([plain(one) for one in ids])

    def take_back(self, jobs: int) -> None:
        """Takes back results, and says so: the server that acknowledged them has lost them."""
        self._codes[Code.DONE] -= jobs
        lost = plural(jobs, f"{self.verb} {self.noun}")
        self._err.line(f"qtui: another Redis took over and lost {lost}; sending them again")
        self._err.flush()

    def count(self, codes: Mapping[Code, int]) -> None:
        """Takes in results that another process has printed already."""
        self._codes.update(codes)

    def results(self, results: Iterable[Result]) -> None:
        """Prints results and flushes them."""
        results = list(results)
        self._codes.update(result.code for result in results)
        if self._json:
            for result in results:
                self._out.json(self._object(result))
        else:
            shown = [one for one in results if self._is_shown(retried=one.code is Code.DONE)]
            if shown:
                self._table.write([self._cells(result) for result in shown])
        self._out.flush()

    def _is_shown(self, *, retried: bool) -> bool:
        """Whether a job gets a line: on a terminal `FEW` get one, first those not retried."""
        if not self._brief:
            return True
        if self._lines_left and (self._dry_run or not retried or self.selected <= FEW):
            self._lines_left -= 1
            return True
        self._unsaid += self._dry_run or not retried
        return False

    # The words of a retry; subclasses override them

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
        """Prints what a retry would do with these jobs."""
        if self._json:
            self.results(map(_as_result, forecasts))
            return
        self._codes.update(one.code for one in forecasts)
        rows = []
        for one in forecasts:
            if not self._is_shown(retried=one.code is Code.DONE):
                continue
            cell = Cell(f"→ {one.place()}", Tone.GOOD)
            id_cell, verdict_cell = self._cells(_as_result(one))
            rows.append((id_cell, cell if one.target else verdict_cell))
        if rows:
            self._table.write(rows)

    @property
    def code(self) -> int:
        """The exit code, if nothing cut the campaign short.

        Jobs that are still open when the time to follow them is up are no failures.
        """
        if self._codes[Code.REFUSED]:
            return REDIS
        done = self._codes[Code.DONE] == self.selected
        bad = self.followed is not None and is_bad(self.followed)
        return DONE if done and not bad else NOT_ALL

    def all_sent(self) -> None:
        """Takes in that nothing cut the campaign short: what a query did not meet has left."""
        if self.by_query:
            self.rest = f"left {self._state} before their turn"
            self._left = self._untouched

    @property
    def _untouched(self) -> int:
        """Number of jobs without a result."""
        return max(0, self.selected - self._codes.total())

    def end(self, code: int, message: str = "") -> int:
        """Prints the summary, then the message on stderr; returns the code."""
        if self._json:
            summary = summary_object(
                self.selected,
                self._codes,
                journal=self.journal,
                outcomes=self._outcomes(),
                dry_run=self._dry_run,
                after_children=self.after_children,
                left=self._left,
                warnings=self.warnings,
            )
            self._out.json(summary)
        else:
            if self._unsaid:
                self._out.line(f"and {plural(self._unsaid, 'more job')}; --verbose lists each")
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
        """The counts as one line."""
        verb = f"would be {self.verb}" if self._dry_run else self.verb
        parts = [f"{count(self._codes[Code.DONE])} of {plural(self.selected, 'job')} {verb}"]
        for code, number in sorted(self._codes.items(), reverse=True):
            if code is not Code.DONE and number:
                parts.append(f"{count(number)} {_IN_SUMMARY[code].format(state=self._state)}")
        if self._untouched:
            parts.append(f"{count(self._untouched)} {self.rest}")
        return ", ".join(parts)


class ActionReport(Report):
    """Prints what became of what an action other than a retry changes.

    In JSON a line has ``id``, ``code`` and ``target`` or ``error``; the summary has ``action``.

    Args:
        place: where to print.
        action: what is done.
        state: the state that jobs are taken from; for others it is not said.
        json: print a JSON object per line.
        dry: nothing is sent.
        verbose: print a line for each on a terminal too.
    """

    def __init__(
        self,
        place: Workplace,
        action: Verb,
        state: str = "",
        *,
        json: bool,
        dry: bool = False,
        verbose: bool = False,
    ) -> None:
        self._action = action
        super().__init__(place.out, place.err, state, json=json, dry=dry, verbose=verbose)

    def end(self, code: int, message: str = "") -> int:
        """Prints the summary, then the message on stderr; returns the code."""
        if not self._json:
            return super().end(code, message)
        counts = {
            "unknown" if one is Code.UNKNOWN else str(one.value): number
            for one, number in self._codes.items()
            if number
        }
        members: dict[str, object] = {
            "action": self._action.value,
            "selected": self.selected,
            "done": 0 if self._dry_run else self._codes[Code.DONE],
            "codes": counts,
            "journal": self.journal,
        }
        if self._left:
            members["left"] = self._left
        if self._dry_run:
            members |= {"dry_run": True, "warnings": list(self.warnings)}
        self._out.json({"summary": members})
        self._out.flush()
        if message:
            self._err.line(f"qtui: {plain(message)}")
        return code

    def _columns(self) -> Sequence[Column]:
        return Column("id"), Column("would be" if self._dry_run else "result")

    def _object(self, result: Result) -> dict[str, object]:
        members: dict[str, object] = {"id": result.job_id}
        if result.done:
            return members | {"code": 1, "target": result.target or None}
        code = None if result.code is Code.UNKNOWN else result.code.value
        return members | {"code": code, "error": self._why(result)}

    def _cells(self, result: Result) -> Sequence[Cell]:
        if result.done:
            sign = "→" if self._dry_run else "✔"
            said = Cell(f"{sign} {plain(self._done(result))}", Tone.GOOD)
        else:
            sign = "?" if result.code is Code.UNKNOWN else f"✗ {result.code.value}"
            said = Cell(f"{sign} {plain(self._why(result))}", Tone.BAD)
        return Cell(plain(result.job_id)), said

    def _done(self, result: Result) -> str:
        """What became of it, if its code is 1."""
        return place_words(result.target)

    def _why(self, result: Result) -> str:
        """Why its code is not 1."""
        return first_line(result.error) or meaning(result.code, self._state)


def _as_result(one: Forecast) -> Result:
    target = one.target.value if one.target else ""
    return Result(one.row.id, one.code, target, one.elsewhere)


def nothing_given(out: Paper, err: Paper, *, json: bool) -> int:
    """Prints that a file or standard input held no ids; returns the exit code."""
    if json:
        out.json(summary_object(0, {}))
        out.flush()
    err.line("qtui: no ids given: nothing was retried")
    return DONE
