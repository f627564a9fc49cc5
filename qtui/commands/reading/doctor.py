"""`qtui doctor`: finds what is wrong with the server and in the keys of its queues. Reads only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from qtui.bullmq.connection.client import Client
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState, QueueStatus
from qtui.bullmq.verdicts.checks import check_queue
from qtui.bullmq.verdicts.finding import Finding
from qtui.bullmq.verdicts.server import check_server
from qtui.bullmq.verdicts.sweep import Sweep
from qtui.commands.shared.find import find_queue, find_queues, say_none
from qtui.commands.shared.output import Paper, ProgressLine
from qtui.commands.shared.run import DONE, NOT_ALL, USAGE, Workplace
from qtui.text import count, plain, plural
from qtui.views.columns import Tone

SMALL: Final = 20_000
"""Jobs of a queue up to which all of them are walked unasked, in about a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DoctorRequest:
    """What to examine."""

    queues: tuple[str, ...]
    """Empty: all queues."""
    deep: bool
    """Walk over all jobs of large queues too."""
    json: bool


def examine(place: Workplace, request: DoctorRequest) -> int:
    """Prints what is wrong; returns `NOT_ALL` if there is a fault."""
    code, _ = find_faults(place, request)
    return code


def find_faults(place: Workplace, request: DoctorRequest) -> tuple[int, list[Finding]]:
    """As `examine`, and returns the findings too."""
    return place.ask(lambda client: _examine(client, place, request))


async def _examine(
    client: Client, place: Workplace, request: DoctorRequest
) -> tuple[int, list[Finding]]:
    settings = place.settings
    if request.queues:
        found = [await find_queue(client, settings.prefixes, one) for one in request.queues]
    else:
        found = await find_queues(client, settings.prefixes, settings.queues)
    if not found and not request.queues:
        await say_none(client, place.err, settings.prefixes)
    examined = _Examination(place, request)
    examined.print(await check_server(client, settings.prefixes[0]))
    for status in found:
        await examined.queue(client, status)
    examined.end(len(found))
    if examined.faults:
        return NOT_ALL, examined.findings
    return DONE if found else USAGE, examined.findings


class _Examination:
    """Prints findings as they come, and counts them."""

    def __init__(self, place: Workplace, request: DoctorRequest) -> None:
        self._place = place
        self._request = request
        self.faults = 0
        self.hints = 0
        self.findings: list[Finding] = []
        self._skipped: list[tuple[QueueKey, int]] = []

    def print(self, findings: Sequence[Finding]) -> None:
        """Prints findings."""
        self.findings += findings
        for one in findings:
            self.faults += one.is_fault
            self.hints += not one.is_fault
            if self._request.json:
                self._place.out.json(_object(one))
            else:
                _print(self._place.out, one)

    async def queue(self, client: Client, status: QueueStatus) -> None:
        """Examines a queue, all of its jobs if they are few or if that was asked for."""
        self.print(await check_queue(client, status.queue))
        jobs = sum(status.count(state) for state in JobState)
        if jobs > SMALL and not self._request.deep:
            self._skipped.append((status.queue, jobs))
            return
        sweep = Sweep(client, status.queue, rate=self._place.settings.scan_rate)
        progress = ProgressLine()
        try:
            async for seen in sweep.steps():
                if seen > SMALL:
                    progress.say(f"{plain(status.queue.name)}: {count(seen)} jobs and keys read")
        finally:
            progress.clear()
        self.print(sweep.findings)

    def end(self, queues: int) -> None:
        """Prints how many findings there are, and which jobs were not looked at."""
        if self._request.json:
            skipped = {queue.base: jobs for queue, jobs in self._skipped}
            summary = {"queues": queues, "faults": self.faults, "hints": self.hints}
            self._place.out.json({"summary": summary | ({"skipped": skipped} if skipped else {})})
            return
        for queue, jobs in self._skipped:
            self._place.err.line(
                f"{plain(queue.name)}: {count(jobs)} jobs not read one by one; --deep reads them"
                f" and all keys, in about {_price(jobs)}"
            )
        found = f"{plural(self.faults, 'fault')}, {plural(self.hints, 'hint')}"
        self._place.out.line(f"{plural(queues, 'queue')} examined: {found}")


def _price(jobs: int) -> str:
    """How long a throttled walk over that many jobs takes."""
    seconds = jobs / 20_000
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def _object(one: Finding) -> dict[str, object]:
    return {
        "finding": one.code,
        "queue": None if one.queue is None else one.queue.base,
        "fault": one.is_fault,
        "words": one.words,
        "effect": one.effect,
        "remedy": one.remedy,
        "jobs": one.jobs,
        "sample": list(one.sample),
        "evidence": list(one.evidence),
    }


def _print(paper: Paper, one: Finding) -> None:
    where = "server" if one.queue is None else one.queue.name
    sign, tone = ("✗", Tone.BAD) if one.is_fault else ("▲", Tone.BUSY)
    paper.line(f"{paper.styled(sign, tone)} {plain(where)}: {plain(one.words)}")
    if one.sample:
        more = "" if one.jobs <= len(one.sample) else ", …"
        paper.line(f"    jobs      {plain(', '.join(one.sample))}{more}")
    for name, text in (("effect", one.effect), ("remedy", one.remedy)):
        paper.line(f"    {name:9} {plain(text)}")
    for text in one.evidence:
        paper.line(f"    {'evidence':9} {plain(text)}")
    paper.flush()
