"""`qtui metrics`: prints the state of the queues as Prometheus text, once. Reads only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from qtui.bullmq.connection.client import Client
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState, QueueStatus
from qtui.bullmq.reads.queues.totals import read_totals
from qtui.bullmq.reads.queues.workers import read_workers
from qtui.bullmq.verdicts.queue import QueueFacts, judge_queue, read_queue_facts
from qtui.bullmq.verdicts.verdict import Weight
from qtui.commands.shared.find import find_queue, find_queues, say_none
from qtui.commands.shared.run import DONE, USAGE, Workplace
from qtui.text import plain

_ORDER: Final = (
    JobState.ACTIVE,
    JobState.COMPLETED,
    JobState.DELAYED,
    JobState.FAILED,
    JobState.PAUSED,
    JobState.PRIORITIZED,
    JobState.WAITING,
    JobState.WAITING_CHILDREN,
)

Labels = Mapping[str, str]
Sample = tuple[Labels, int | float]


def print_metrics(place: Workplace, queues: Sequence[str]) -> int:
    """Prints the metrics of the queues, of all by default."""
    return place.ask(lambda client: _print(client, place, queues))


async def _print(client: Client, place: Workplace, names: Sequence[str]) -> int:
    settings = place.settings
    if names:
        found = [await find_queue(client, settings.prefixes, name) for name in names]
    else:
        found = await find_queues(client, settings.prefixes, settings.queues, err=place.err)
    if not found:
        await say_none(client, place.err, settings.prefixes)
        return USAGE
    keys = [status.queue for status in found]
    totals = await read_totals(client, keys)
    workers = await read_workers(client, keys)
    facts = [
        await read_queue_facts(client, key, workers=None if workers is None else workers[key])
        for key in keys
    ]
    several = len(settings.prefixes) > 1
    write = _Writer(place, [_labels(key, several) for key in keys])
    write.family(
        "bullmq_job_count",
        "gauge",
        "Number of jobs in the queue by state",
        [
            ({**write.labels[at], "state": state.value}, jobs)
            for at, status in enumerate(found)
            for state, jobs in _counts(status)
        ],
    )
    write.each(
        "bullmq_job_completed_total",
        "counter",
        "Total number of completed jobs",
        [one.completed for one in totals],
    )
    write.each(
        "bullmq_job_failed_total",
        "counter",
        "Total number of failed jobs",
        [one.failed for one in totals],
    )
    write.each("qtui_workers", "gauge", "Connected workers", [one.workers for one in facts])
    write.each("qtui_paused", "gauge", "1 while the queue is paused", [one.paused for one in facts])
    write.each(
        "qtui_next_job_age_seconds",
        "gauge",
        "How long the job that runs next has waited",
        [_age(one, one.next_since) for one in facts],
    )
    write.each(
        "qtui_overdue_seconds",
        "gauge",
        "How late the first delayed job is; 0 if none is",
        [_late(one) for one in facts],
    )
    verdicts = [judge_queue(one) for one in facts]
    write.family(
        "qtui_wrong",
        "gauge",
        "1 while something keeps jobs from running, by the verdict of qtui why",
        [
            ({**write.labels[at], "verdict": one.code}, int(one.weight is Weight.WRONG))
            for at, one in enumerate(verdicts)
        ],
    )
    return DONE


def _counts(status: QueueStatus) -> Iterable[tuple[JobState, int]]:
    for state in _ORDER:
        if (jobs := status.counts.get(state)) is not None:
            yield state, jobs


def _age(facts: QueueFacts, since: int | None) -> float | None:
    return None if since is None else max(0, facts.now - since) / 1000


def _late(facts: QueueFacts) -> float:
    return 0 if facts.due is None else max(0, facts.now - facts.due) / 1000


def _labels(queue: QueueKey, several: bool) -> Labels:
    return {"queue": queue.name, **({"prefix": queue.prefix} if several else {})}


class _Writer:
    """Writes families of metrics, all samples of one together, as the text format asks for."""

    def __init__(self, place: Workplace, labels: Sequence[Labels]) -> None:
        self._out = place.out
        self.labels = labels
        """Of each queue."""

    def family(self, name: str, kind: str, meaning: str, samples: Sequence[Sample]) -> None:
        """Writes a metric with its samples; nothing if there are none."""
        if not samples:
            return
        self._out.line(f"# HELP {name} {meaning}")
        self._out.line(f"# TYPE {name} {kind}")
        for labels, value in samples:
            inside = ", ".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
            self._out.line(f"{name}{{{inside}}} {value}")

    def each(
        self, name: str, kind: str, meaning: str, values: Sequence[int | float | bool | None]
    ) -> None:
        """Writes a metric with one sample for each queue, but for those where it is unknown."""
        known = [
            (labels, int(value) if isinstance(value, bool) else value)
            for labels, value in zip(self.labels, values, strict=True)
            if value is not None
        ]
        self.family(name, kind, meaning, known)


def _escaped(label: str) -> str:
    """A label's value in the text format, safe for a terminal."""
    return plain(label.replace("\\", "\\\\").replace('"', '\\"'))
