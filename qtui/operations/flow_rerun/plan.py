"""What a rerun of a flow will do, worked out before anything is written. Pure.

From failure: the failed jobs that the flow still needs run again, and the ancestors that failed
with them or wait for them run after them; completed jobs keep their results. From the start:
every job runs again, children before parents. `planning` makes the plan.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from qtui.bullmq.flow.lineage import Lineage, Node, Record
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState, QueueStatus
from qtui.bullmq.writers.batch import Picked
from qtui.bullmq.writers.rerun import DOOMED, Mode, Parked, Released, Returned
from qtui.operations.planning.plan import Resets
from qtui.text import count, plain, plural

NOTHING_TO_RERUN: Final = "no failed job to rerun"

MOST_NAMED: Final = 5
"""Jobs that are named where many could be."""


class Start(StrEnum):
    """Where a rerun begins."""

    FAILURE = "failure"
    START = "start"


class Part(StrEnum):
    """What a rerun does with a job."""

    RUNS = "runs"
    """Released: it has no child to wait for."""
    FOLLOWS = "follows"
    """Parked in waiting-children: it runs when its children are done."""
    UNDER_WAY = "under way"
    """Runs or will run by itself, and is waited for."""
    DONE = "done"
    """Has its result, and keeps it."""
    LEFT = "left alone"
    GONE = "gone"
    """Its hash is no more; what its parent has stored of it stays."""

    @property
    def reruns(self) -> bool:
        """Whether the job runs again by this rerun."""
        return self in (Part.RUNS, Part.FOLLOWS)


_GONE: Final[Mapping[Record | None, str]] = {
    Record.PROCESSED: "job gone, result kept",
    Record.IGNORED: "job gone, error kept",
}


@dataclass(frozen=True, slots=True)
class RerunStep:
    """One job of the flow and its part in the rerun."""

    node: Node
    part: Part
    returned: tuple[Node, ...] = ()
    """Children about whom its own keys are put right."""
    waits: int = 0
    """Children that it waits for."""
    dropped: tuple[Node, ...] = ()
    """Children whose hash is gone, for which it waits no more."""

    @property
    def is_released(self) -> bool:
        """Whether it needs nothing but a retry."""
        keeps = not self.returned and not self.dropped
        return self.part is Part.RUNS and keeps and finished(self.node)

    @property
    def fate(self) -> str:
        """In words: ``runs first``, ``runs after 2 children``."""
        match self.part:
            case Part.RUNS:
                return "runs first"
            case Part.FOLLOWS:
                return f"runs after {plural(self.waits, 'child', 'children')}"
            case Part.UNDER_WAY:
                if self.node.state is None:
                    return "in no state, never runs"
                return f"{self.node.state}, unchanged"
            case Part.DONE:
                return "completed, result kept"
            case Part.GONE:
                return _GONE.get(self.node.name.record, "job gone")
            case Part.LEFT:
                return "failed, not rerun"


@dataclass(frozen=True, slots=True, kw_only=True)
class RerunPlan:
    """A rerun as it would go now, ancestors first."""

    start: Start
    lineage: Lineage
    scope: Node
    """The job from which on downward it reaches."""
    steps: tuple[RerunStep, ...] = ()
    done: int = 0
    """Children whose results stay."""
    refusal: str = ""
    """Why nothing will be done; plain text, no sentence."""
    notes: tuple[str, ...] = ()
    """What to know before confirming, in whole sentences; plain text."""
    lost: int = 0
    """Children that are gone, and that it drops or could drop."""
    resumed: bool = False
    """Whether a rerun from the start that was cut off is brought to its end."""
    statuses: tuple[QueueStatus, ...] = ()
    """The queues whose jobs run again."""
    brakes: tuple[str, ...] = ()
    """What will stop, delay or double a run, in sentences; see
    `qtui.operations.planning.brakes`.
    """

    def of(self, *parts: Part) -> list[RerunStep]:
        """The steps with one of these parts."""
        return [step for step in self.steps if step.part in parts]

    @property
    def mode(self) -> Mode:
        """Which of its ways the script takes."""
        if self.start is Start.FAILURE:
            return Mode.FAILURE
        return Mode.RESUME if self.resumed else Mode.START

    @property
    def jobs(self) -> int:
        """Jobs that run again."""
        return len(self.of(Part.RUNS, Part.FOLLOWS))

    @property
    def headline(self) -> str:
        """In a line: ``2 failed jobs run again, then 2 ancestors; 3 jobs stay completed``."""
        runs, follows = len(self.of(Part.RUNS)), len(self.of(Part.FOLLOWS))
        what = "failed job" if self.start is Start.FAILURE else "job"
        said = [f"{plural(runs, what)} {'runs' if runs == 1 else 'run'} again"] if runs else []
        if follows:
            after = "ancestor after its children", "ancestors after their children"
            said.append(f"{'then ' if runs else ''}{plural(follows, *after)}")
        kept = f"; {plural(self.done, 'job stays', 'jobs stay')} completed" if self.done else ""
        return ", ".join(said) + kept

    def warnings(self, resets: Resets) -> Iterator[str]:
        """What to know before confirming, in whole sentences; plain text."""
        yield from self.notes
        again = self.of(Part.RUNS, Part.FOLLOWS)
        used_up = sum(step.node.row.exhausted for step in again)
        if used_up and not resets.made:
            yield f"{_used_up(used_up, len(again))} attempts: a failure is final."
        for status in self.statuses:
            name = plain(status.queue.base)
            if status.paused:
                yield f"{name} is paused: its jobs run once it is resumed."
            elif status.maxed:
                yield f"The global concurrency limit of {name} ({status.concurrency}) is reached."
        yield from self.brakes

    def parents(self) -> list[Parked]:
        """The script's arguments for the jobs that need more than a retry, ancestors first."""
        return [_parked(step) for step in self.steps if step.part.reruns and not step.is_released]

    def released(self) -> list[Released]:
        """The jobs that need nothing but a retry, by queue and state, oldest finish first."""
        batches: dict[tuple[QueueKey, JobState], list[Node]] = {}
        for step in self.steps:
            if step.is_released and step.node.state is not None:
                batches.setdefault((step.node.queue, step.node.state), []).append(step.node)
        return [
            Released(queue, state, tuple(Picked(one.id, one.row.score) for one in _by_age(nodes)))
            for (queue, state), nodes in batches.items()
        ]


def _used_up(used_up: int, jobs: int) -> str:
    of = "" if used_up == jobs else f" of the {count(jobs)}"
    noun = "job" if jobs == 1 else "jobs"
    return (
        f"{count(used_up)}{of} {noun} {'has used up its' if used_up == 1 else 'have used up their'}"
    )


def _by_age(nodes: Sequence[Node]) -> list[Node]:
    return sorted(nodes, key=lambda one: (one.row.score or 0, len(one.id), one.id))


def _parked(step: RerunStep) -> Parked:
    node = step.node
    seen = DOOMED if node.doomed else (node.state or JobState.FAILED).key
    pinned = node.row.score if finished(node) else None
    children = tuple(
        Returned(one.name, one.row.score if finished(one) else None) for one in step.returned
    )
    gone = tuple(Returned(one.name, gone=True) for one in step.dropped)
    return Parked(node.name, seen, pinned, children + gone)


def finished(node: Node) -> bool:
    """Whether the job exists and has finished, so that it has a score."""
    return node.state is not None and node.state.is_finished and not node.row.missing


def name_of(node: Node) -> str:
    """The job's full key, plain."""
    return plain(node.key)


def job_names(nodes: Sequence[Node]) -> str:
    """The jobs by name, the first few of many."""
    names = [name_of(node) for node in nodes[:MOST_NAMED]]
    more = len(nodes) - len(names)
    return ", ".join(names) + (f" and {count(more)} more" if more else "")
