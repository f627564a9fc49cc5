"""Pausing and resuming queues: the plan of each, and the change that carries it out.

States: any. Replaced: the flag in ``meta``, and the list in which waiting jobs are kept. Scripts:
`lua/pause.lua` and `lua/resume.lua`. The inverse of each is the other one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from qtui.bullmq.codes import Code
from qtui.bullmq.connection.client import Client
from qtui.bullmq.dialect import ONE_RESUME, QueueEvidence, kept_while_paused
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState, Kind, QueueStatus
from qtui.bullmq.reads.queues.workers import read_workers
from qtui.bullmq.reads.reader import Reader
from qtui.bullmq.reads.status import read_status
from qtui.bullmq.writers.queues import PauseWriter, QueueStep, ResumeWriter
from qtui.operations.planning.proposal import PlanLine, PlanOptions
from qtui.operations.queues.queue_action import QueueAction
from qtui.text import count, plain, plural
from qtui.verbs import Verb

PAUSED_ALREADY: Final = "is paused already"
NOT_PAUSED: Final = "is not paused"

_SAID: Final = 2
"""Queues of which a warning is spelled out; of others only their number."""

_WAITS = (
    (JobState.WAITING, "waiting"),
    (JobState.PAUSED, "in paused"),
    (JobState.PRIORITIZED, "prioritized"),
    (JobState.DELAYED, "delayed"),
    (JobState.WAITING_CHILDREN, "waiting-children"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueForecast:
    """What a pause or a resume will do to one queue."""

    status: QueueStatus
    evidence: QueueEvidence
    workers: int | None
    """Workers connected; None if unknown."""
    code: Code
    target: str = ""
    """The list that will keep the waiting jobs."""
    why: str = ""
    """Why nothing is done, for any other code than 1."""

    @property
    def queue(self) -> QueueKey:
        """The queue."""
        return self.status.queue

    @property
    def waits(self) -> str:
        """What waits in it: ``12 waiting, 3 delayed``; ``nothing waits`` if nothing does."""
        counts = self.status.count
        words = [f"{count(counts(state))} {word}" for state, word in _WAITS if counts(state)]
        return ", ".join(words) or "nothing waits"


@dataclass(frozen=True, slots=True, kw_only=True)
class PausingPlan:
    """What a pause or a resume of some queues will do."""

    verb: Verb
    """`Verb.PAUSE` or `Verb.RESUME`."""
    queues: tuple[QueueForecast, ...]

    @property
    def chosen(self) -> list[QueueForecast]:
        """The queues that it changes."""
        return [one for one in self.queues if one.code is Code.DONE]

    @property
    def others(self) -> list[QueueForecast]:
        """Those that it does not, each with the reason."""
        return [one for one in self.queues if one.code is not Code.DONE]

    @property
    def headline(self) -> str:
        """What will be done, in a few words: ``Pause bull:mail``, ``Resume 3 queues``; plain."""
        return f"{self.verb.capitalize()} {self._what([one.queue.base for one in self.chosen])}"

    @property
    def jobs(self) -> int:
        """How many queues it changes."""
        return len(self.chosen)

    @property
    def refusal(self) -> str:
        """Why it changes none; empty if it changes some. Plain."""
        if self.chosen:
            return ""
        first = self.queues[0]
        more = f", and {plural(len(self.queues) - 1, 'queue')} more" if self.queues[1:] else ""
        kind = first.status.kind.refusal
        return f"{plain(first.queue.name)} {plain(f'is {kind}' if kind else first.why)}{more}."

    def go(self, options: PlanOptions | None = None) -> str:
        """Returns what confirming does: ``pause payments``; plain."""
        return f"{self.verb} {self._what([one.queue.name for one in self.chosen])}"

    def _what(self, queues: Sequence[str]) -> str:
        return plain(queues[0]) if len(queues) == 1 else plural(len(queues), "queue")

    def confirmation(self, options: PlanOptions | None = None) -> str:
        """Returns "": a key confirms, since it can be taken back."""
        return ""

    def lines(self, options: PlanOptions | None = None) -> list[PlanLine]:
        """Returns a line for each queue: what waits in it, and where that is kept."""

        def place(one: QueueForecast) -> str:
            if self.verb is Verb.RESUME:
                return "resumed"
            waits = one.status.count(JobState.WAITING)
            return f"paused, {count(waits)} kept in {one.target}" if waits else "paused"

        return [
            PlanLine(
                number=1,
                name=one.queue.name,
                note=one.waits,
                whole=True,
                place=place(one) if one.code is Code.DONE else "",
                refusal="" if one.code is Code.DONE else one.why,
            )
            for one in self.queues
        ]

    def warnings(self, options: PlanOptions | None = None) -> list[str]:
        """Returns what to know before, in sentences; plain."""
        several = len(self.chosen) > 1
        warnings_of = _of_pause if self.verb is Verb.PAUSE else _of_resume
        by_kind: dict[str, list[str]] = {}
        for one in self.chosen:
            for kind, words in warnings_of(one, _name(one, several)):
                by_kind.setdefault(kind, []).append(words)
        return [words for alike in by_kind.values() for words in _first_of(alike)]

    def action(self, client: Client, options: PlanOptions | None = None) -> QueueAction:
        """Returns the action, with its own writer; not for a plan that changes nothing."""
        return QueueAction(
            self.verb, [change_of(self.verb, client, one.queue) for one in self.chosen]
        )


def change_of(verb: Verb, client: Client, queue: QueueKey) -> Pause | Resume:
    """Returns the pause or the resume of one queue, with a writer for that alone."""
    if verb is Verb.PAUSE:
        return Pause(client, PauseWriter(client), queue)
    return Resume(client, ResumeWriter(client), queue)


def _first_of(alike: Sequence[str]) -> Iterator[str]:
    """The first of many sentences that say the same of several queues, and of how many more."""
    yield from alike[:_SAID]
    if len(alike) > _SAID:
        yield f"The same is true of {plural(len(alike) - _SAID, 'more queue')}."


async def plan_pausing(client: Client, verb: Verb, queues: Sequence[QueueKey]) -> PausingPlan:
    """Returns what a pause or a resume of these queues will do. Reads only.

    Costs two round trips, and what `Reader.evidence` costs for each queue.
    """
    keys = list(dict.fromkeys(queues))
    statuses = await read_status(client, keys)
    workers = await read_workers(client, keys)
    reader = Reader(client)
    found = []
    for status in statuses:
        evidence = QueueEvidence()
        if status.kind is Kind.BULLMQ:
            evidence = await reader.evidence(status.queue)
        code, target, why = _forecast(verb, status, evidence)
        found.append(
            QueueForecast(
                status=status,
                evidence=evidence,
                workers=None if workers is None else workers[status.queue],
                code=code,
                target=target,
                why=why,
            )
        )
    return PausingPlan(verb=verb, queues=tuple(found))


def _forecast(verb: Verb, status: QueueStatus, evidence: QueueEvidence) -> tuple[Code, str, str]:
    if status.kind is not Kind.BULLMQ:
        gone = status.kind is Kind.GONE
        return Code.NO_SUCH_JOB if gone else Code.REFUSED, "", status.kind.refusal
    if verb is Verb.PAUSE:
        if status.paused:
            return Code.NOT_IN_STATE, "", PAUSED_ALREADY
        return Code.DONE, kept_while_paused(evidence).value, ""
    if not status.paused and not status.count(JobState.PAUSED):
        return Code.NOT_IN_STATE, "", NOT_PAUSED
    return Code.DONE, "wait", ""


def _name(one: QueueForecast, several: bool) -> str:
    return plain(one.queue.name) if several else "the queue"


def _of_pause(one: QueueForecast, name: str) -> Iterator[tuple[str, str]]:
    counts, evidence = one.status.count, one.evidence
    if active := counts(JobState.ACTIVE):
        ends = "runs to its end" if active == 1 else "run to their end"
        yield "active", f"{plural(active, 'active job')} of {name} {ends}."
    moved = counts(JobState.WAITING)
    doubt = evidence.dialect in ("T5/T6", "?") and one.target == "paused" and moved
    if doubt:
        yield (
            "doubt",
            f"No key shows which release runs {name}: its {plural(moved, 'waiting job')} are kept "
            "in the list paused, where no release loses them, but 6.x does not show them there.",
        )
    elif moved and evidence.major is not None and evidence.ran_modern is not False:
        others = "older releases use" if one.target == "wait" else "6.x uses"
        lost = "these jobs" if one.target == "wait" else "the jobs that 6.x adds meanwhile"
        yield (
            "release",
            f"{_release(one.status)} opened {name} last, so its waiting jobs are kept in the list "
            f"{one.target}. If {others} this queue too, resume it with qtui: a resume by 1.x to "
            f"5.x would lose {lost}.",
        )
    if doubt and moved > ONE_RESUME:
        yield (
            "node",
            f"Resume {name} with qtui: of 6.x only Node's client brings back more than "
            f"{count(ONE_RESUME)} jobs of that list.",
        )
    if stranded := counts(JobState.PAUSED):
        yield (
            "stranded",
            f"{plural(stranded, 'job is', 'jobs are')} stranded in the list paused of {name}: kept "
            "there until it is resumed.",
        )


def _release(status: QueueStatus) -> str:
    return plain(status.version).replace("bullmq:", "BullMQ ")


def _of_resume(one: QueueForecast, name: str) -> Iterator[tuple[str, str]]:
    counts = one.status.count
    in_paused, in_wait = counts(JobState.PAUSED), counts(JobState.WAITING)
    if not one.status.paused:
        yield (
            "stranded",
            f"{plural(in_paused, 'job is', 'jobs are')} stranded in the list paused of {name}, "
            "which is not paused: brought back.",
        )
    elif in_paused and in_wait:
        yield (
            "two",
            f"Two releases added to {name} while it was paused: {plural(in_paused, 'job')} in the "
            f"list paused, {count(in_wait)} in wait. None is lost; those added earlier run first.",
        )
    if one.workers == 0:
        yield "idle", f"No worker of {name} is connected: nothing runs until one starts."


@dataclass(frozen=True, slots=True)
class Pause:
    """The pause of one queue."""

    client: Client
    writer: PauseWriter
    queue: QueueKey

    async def former(self) -> Mapping[str, str]:
        """Reads whether it was paused, and what waited."""
        return await waiting_of(self.client, self.queue)

    async def step(self) -> QueueStep:
        """Pauses it."""
        return _said(await self.writer.pause(self.queue), PAUSED_ALREADY)

    async def is_unfinished(self) -> bool:
        """Whether it is not paused."""
        [status] = await read_status(self.client, [self.queue])
        return not status.paused


@dataclass(frozen=True, slots=True)
class Resume:
    """The resume of one queue."""

    client: Client
    writer: ResumeWriter
    queue: QueueKey

    async def former(self) -> Mapping[str, str]:
        """Reads whether it was paused, and what waited."""
        return await waiting_of(self.client, self.queue)

    async def step(self) -> QueueStep:
        """Brings back some of what is in ``paused``, or all of it, and resumes the queue then."""
        return _said(await self.writer.resume(self.queue), NOT_PAUSED)

    async def is_unfinished(self) -> bool:
        """Whether it is paused, or has jobs stranded in ``paused``."""
        [status] = await read_status(self.client, [self.queue])
        return status.paused or status.count(JobState.PAUSED) > 0


def _said(step: QueueStep, unchanged: str) -> QueueStep:
    """The step; one that found nothing to do, since another was faster, says so."""
    result = step.result
    if result.code is not Code.NOT_IN_STATE or result.error:
        return step
    return replace(step, result=result._replace(error=unchanged))


async def waiting_of(client: Client, queue: QueueKey) -> Mapping[str, str]:
    """Returns the flag, the version, and the jobs in each state that waits, as text."""
    [status] = await read_status(client, [queue])
    found = {"prefix": queue.prefix} | ({"meta.paused": "1"} if status.paused else {})
    found |= {"meta.version": status.version} if status.version else {}
    return found | {state.key: str(status.count(state)) for state, _ in _WAITS}
