"""`qtui doctor`: finds what is wrong with the server and in the keys of its queues. Reads only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from qtui.bullmq.connection.client import Client
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.reads.status import read_status
from qtui.bullmq.verdicts.examination import SMALL, Examination
from qtui.bullmq.verdicts.finding import Finding
from qtui.commands.shared.find import find_queue, find_queues, say_none
from qtui.commands.shared.output import Paper, ProgressLine
from qtui.commands.shared.run import DONE, NOT_ALL, USAGE, Workplace
from qtui.text import plain, plural
from qtui.views.queues.findings import left_out, price, progress_words
from qtui.views.tone import Tone


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


def find_again(
    place: Workplace, queues: Sequence[QueueKey], request: DoctorRequest
) -> list[Finding]:
    """Returns what is wrong in those of these queues that exist, and prints nothing."""

    async def look(client: Client) -> list[Finding]:
        found = [one for one in await read_status(client, queues) if one.exists]
        examination = Examination(
            client,
            found,
            prefixes=place.settings.prefixes,
            deep=request.deep,
            rate=place.settings.scan_rate,
            server=False,
        )
        async for _ in examination.steps():
            pass
        return examination.findings

    return place.ask(look)


async def _examine(
    client: Client, place: Workplace, request: DoctorRequest
) -> tuple[int, list[Finding]]:
    settings = place.settings
    if request.queues:
        found = [await find_queue(client, settings.prefixes, one) for one in request.queues]
    else:
        found = await find_queues(client, settings.prefixes, settings.queues, err=place.err)
    if not found and not request.queues:
        await say_none(client, place.err, settings.prefixes)
    examination = Examination(
        client,
        found,
        prefixes=settings.prefixes,
        deep=request.deep,
        rate=settings.scan_rate,
    )
    report, progress = _Report(place, json=request.json), ProgressLine()
    try:
        async for findings in examination.steps():
            if findings:
                progress.clear()
                report.print(findings)
            if examination.seen > SMALL:
                progress.say(progress_words(examination))
    finally:
        progress.clear()
    report.end(examination)
    if report.faults:
        return NOT_ALL, examination.findings
    return DONE if found else USAGE, examination.findings


class _Report:
    """Prints findings as they come, and counts them."""

    def __init__(self, place: Workplace, *, json: bool) -> None:
        self._place = place
        self._json = json
        self.faults = 0
        self.hints = 0

    def print(self, findings: Sequence[Finding]) -> None:
        """Prints findings."""
        for one in findings:
            self.faults += one.is_fault
            self.hints += not one.is_fault
            if self._json:
                self._place.out.json(_object(one))
            else:
                _print(self._place.out, one)

    def end(self, examined: Examination) -> None:
        """Prints how many findings there are, and what was not looked at."""
        if self._json:
            skipped = {queue.base: jobs for queue, jobs in examined.skipped.items()}
            summary = {"queues": examined.total, "faults": self.faults, "hints": self.hints}
            self._place.out.json({"summary": summary | ({"skipped": skipped} if skipped else {})})
            return
        for words in left_out(examined):
            self._place.err.line(words)
        if examined.price:
            self._place.err.line(f"--deep reads all of it, in about {price(examined.price)}")
        found = f"{plural(self.faults, 'fault')}, {plural(self.hints, 'hint')}"
        self._place.out.line(f"{plural(examined.total, 'queue')} examined: {found}")


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
