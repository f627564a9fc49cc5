"""Past campaigns, read from their journals, for the screen and the shell. No widgets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from qtui.bullmq.codes import Code, Result, meaning
from qtui.bullmq.model import LIST_FIELDS, JobState, Row, row
from qtui.bullmq.signature.headline import reason_of, spoken
from qtui.bullmq.signature.merging import merged, signature_of
from qtui.operations.following.outcome import Fate, Outcome
from qtui.operations.journal.facts import Header, Snapshot
from qtui.operations.journal.lines import JournalLine, outcome_of, result_of
from qtui.operations.journal.reading import Summary, find, read_header, read_lines, rebuilt
from qtui.operations.planning.plan import Resets
from qtui.operations.resuming.interrupted import pace_of
from qtui.text import count, first_line, plain, plural
from qtui.verbs import NOUNS, QUEUES, Verb
from qtui.views.document import Pairs, Section
from qtui.views.lists.verdict import Verdict, verdict
from qtui.views.tone import Tone

FIRST: Final = 20
"""Jobs shown per campaign."""

_GROUPS: Final = 1000
"""Groups of failures that are counted; the rest are counted together."""


def phase_of(one: Summary) -> str:
    """``running``, ``unfinished``, or how it ended."""
    if one.ended:  # though its jobs may still be followed
        return one.phase
    return "running" if one.running else "unfinished"


def selection_words(header: Header) -> str:
    """The selection in words: ``all jobs``, ``3 jobs by id``; plain."""
    chosen = header.selection
    noun = NOUNS.get(chosen.kind, "job")
    jobs = f"{noun}s" if chosen.jobs is None else plural(chosen.jobs, noun)
    if header.undoes:
        return f"{jobs} of {plain(header.undoes)}"
    if header.flow:
        return f"flow of {jobs}"
    if chosen.kind in NOUNS:
        return plural(chosen.jobs or 0, noun)
    if chosen.kind == "ids":
        return f"{jobs} by id"
    return f"{jobs} that match {plain(chosen.filter)}" if chosen.filter else f"all {jobs}"


def campaign_words(header: Header) -> str:
    """The action and its selection in words: ``retry all jobs``; plain."""
    return f"{plain(header.action_words)} {selection_words(header)}"


def queue_name(header: Header) -> str:
    """The queue's name, with its prefix if that is not the default."""
    name = header.queue.removeprefix(f"{header.prefix}:")
    name = plain(name if header.prefix == "bull" else header.queue)
    more = (header.selection.jobs or 1) - 1 if header.selection.kind == QUEUES else 0
    return f"{name} and {count(more)} more" if more > 0 else name


def state_before(header: Header) -> JobState:
    """The state in which the jobs were before."""
    return next((state for state in JobState if state == header.state), JobState.FAILED)


def code_words(header: Header, code: Code) -> str:
    """What a code says of the jobs, or queues, of a campaign; plain.

    With 0 a retry was refused by Redis; other actions keep a job for reasons of their own, too: a
    worker holds its lock.
    """
    if code is Code.REFUSED and not _is_retry(header):
        return "left alone" if header.selection.kind in NOUNS else "kept"
    return meaning(code, "its place" if header.undoes else state_before(header), header.done)


def _is_retry(header: Header) -> bool:
    return header.action in (Verb.RETRY, Verb.RERUN)


def job_row(one: Snapshot) -> Row:
    """The job as a list showed it before it was retried."""
    found = row(one.id, [one.fields.get(name) for name in LIST_FIELDS], one.score)
    value = one.fields.get("returnvalue")
    octets = 0 if value is None else len(value.encode("utf-8", "surrogateescape"))
    missing = not one.fields
    reason = reason_of(found.failed_reason, one.fields.get("stacktrace"))
    return found._replace(
        failed_reason=reason,
        missing=missing,
        returnvalue=value,
        returnvalue_size=octets,
    )


def _reason(one: Snapshot) -> str:
    return reason_of(one.fields.get("failedReason"), one.fields.get("stacktrace")) or ""


@dataclass(slots=True, kw_only=True)
class Story:
    """What one pass over a journal collects; its memory does not grow with the jobs."""

    action: str = Verb.RETRY
    of_queues: str = ""
    """For an action on queues or schedulers, what was done to them: ``paused``."""
    groups: Counter[tuple[str, str]] = field(default_factory=Counter)
    jobs: dict[str, Snapshot] = field(default_factory=dict)
    """The first jobs."""
    results: dict[str, Result] = field(default_factory=dict)
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    fates: Counter[Fate] = field(default_factory=Counter)
    resumed: list[JournalLine] = field(default_factory=list)
    servers: list[JournalLine] = field(default_factory=list)
    """The points from which another server answered."""
    error: str = ""
    """The first error of Redis about a job that it refused to move."""
    all_known: bool = False
    """Whether jobs without a code were certainly not sent."""

    def met(self, job: Snapshot) -> None:
        """Counts one job."""
        if len(self.jobs) < FIRST:
            self.jobs[job.id] = job
        if self.of_queues:
            return
        alike = job.fields.get("name") or "", signature_of(_reason(job))
        if alike not in self.groups and len(self.groups) >= _GROUPS:
            alike = ("", "(other errors)")
        self.groups[alike] += 1

    def errors(self) -> Counter[tuple[str, str]]:
        """The jobs by name and error; errors that differ in one word are one."""
        errors, found = Counter[str](), Counter[tuple[str, str]]()
        for (_, error), jobs in self.groups.items():
            errors[error] += jobs
        named = merged(errors)
        for (name, error), jobs in self.groups.items():
            found[name, named[error]] += jobs
        return found

    def add(self, found: JournalLine) -> None:
        """Takes one line in."""
        match found["type"]:
            case "code":
                result = result_of(found)
                if result.job_id in self.jobs:
                    self.results[result.job_id] = result
                if result.code is Code.REFUSED and not self.error:
                    self.error = result.error
            case "outcome":
                job_id, outcome = outcome_of(found)
                self.fates[outcome.fate] += 1
                if job_id in self.jobs:
                    self.outcomes[job_id] = outcome
            case "end":
                self.all_known = found.get("all_known") is True
            case "resumed":
                self.resumed.append(found)
                self.all_known = False
            case "withdrawn":
                self.results.pop(str(found.get("id")), None)
            case "server":
                self.servers.append(found)

    def result(self, job_id: str, state: JobState) -> Verdict:
        """The job's result, in the words of its row on the screen; plain."""
        if job_id not in self.results:
            return Verdict("not sent" if self.all_known else "? unknown", Tone.FAINT)
        result = self.results[job_id]
        if self.of_queues and result.done:
            return Verdict(f"✔ {self.of_queues}", Tone.GOOD)
        if self.of_queues and result.code is Code.NOT_IN_STATE:
            return Verdict(f"· {plain(result.error) or 'had changed meanwhile'}", Tone.FAINT)
        found = verdict(result, self.outcomes.get(job_id), state, self.action)
        return Verdict(plain(found.text), found.tone)


def facts(one: Summary, story: Story) -> Iterator[tuple[str, str]]:
    """The facts of a campaign from its journal, as rows of label and text; plain."""
    header = one.header
    phase, ended = phase_of(one), f", {_moment(one.until)}" if one.until else ""
    yield "action", plain(header.action_words)
    if header.reason:
        yield "reason", plain(header.reason)
    yield "state", plain(f"{phase}{ended}" + (f": {first_line(one.note)}" if one.note else ""))
    if header.undoes:
        yield "undoes", plain(header.undoes)
    if one.undone_by:
        yield "undone by", plain(", ".join(one.undone_by))
    yield "started", _moment(header.at)
    yield "by", plain(f"{header.user}@{header.host}, process {header.pid}")
    for again in story.resumed:
        at = again.get("at")
        who = f"{again.get('user')}@{again.get('host')}, process {again.get('pid')}"
        yield "resumed", plain(f"{_moment(at if isinstance(at, int) else 0)} by {who}")
    for other in story.servers:
        at, lost = other.get("at"), other.get("withdrawn")
        number = lost if isinstance(lost, int) else 0
        noun = NOUNS.get(header.selection.kind, "job")
        what = plural(number, f"{header.done} {noun}")
        lost_words = f" and lost {what}, sent again" if number else ""
        moment = _moment(at if isinstance(at, int) else 0)
        yield "server", plain(f"{moment} another Redis took over{lost_words}")
    yield "command", plain(f"{header.how or '?'} (qtui {header.version})")
    yield "redis", plain(header.where)
    yield "queue", plain(header.queue)
    if header.flow:
        yield "flow", plain(header.flow.get("root", "?"))
        start = "all jobs" if header.flow.get("start") == "start" else "failed jobs only"
        yield "selection", f"{selection_words(header)}, rerun: {start}"
    elif header.undoes or header.selection.kind in NOUNS or not header.state:
        yield "selection", selection_words(header)
    else:
        yield "selection", f"{selection_words(header)}, from {state_before(header)}"
    resets = Resets(**{name: bool(header.resets.get(name)) for name in ("made", "started")})
    if options := [*resets.words(), *pace_of(header.pace).words()]:
        yield "options", "; ".join(options)
    yield "codes", _codes(one) or "none"
    if one.left:
        yield "left", f"{plural(one.left, 'job')} left {state_before(header)} before their turn"
    if story.error:
        yield "refused" if _is_retry(header) else "kept", first_line(story.error)
    if story.fates or one.outcomes:
        yield "outcome", plain(_became(one, story.fates))


def _became(one: Summary, fates: Counter[Fate]) -> str:
    """Outcomes of the retried jobs; a job without a recorded outcome counts as unknown."""
    counted = {str(fate): number for fate, number in fates.most_common()}
    for name, number in (one.outcomes or {}).items():
        counted[name] = max(number, counted.get(name, 0))
    left = one.codes.get(Code.DONE, 0) - sum(counted.values())
    if left > 0:
        counted["unknown"] = counted.get("unknown", 0) + left
    words = {"unknown": "unknown (not followed to the end)"}
    return " · ".join(
        f"{count(number)} {words.get(name, name)}" for name, number in counted.items()
    )


def _codes(one: Summary) -> str:
    ordered: Iterable[tuple[Code, int]] = sorted(one.codes.items(), reverse=True)
    return " · ".join(
        f"{count(number)} {code_words(one.header, code)}"
        + (f" ({code.value})" if code not in (Code.DONE, Code.UNKNOWN) else "")
        for code, number in ordered
        if number
    )


def _moment(milliseconds: int) -> str:
    """A time from the journal, in the reader's time zone."""
    try:
        return datetime.fromtimestamp(milliseconds / 1000).astimezone().isoformat(" ", "seconds")
    except (OverflowError, ValueError, OSError):
        return "?"


def campaign_sections(one: Summary, story: Story) -> list[Section]:
    """A campaign as a document: what is known of it, its failures, and its first jobs."""
    state = state_before(one.header)
    title = plain(one.header.action)
    sections = [Section(title, Pairs(tuple(facts(one, story))), note=phase_of(one))]
    groups = tuple(
        (count(jobs), f"{name or '(no name)'}  {error or '(no reason given)'}")
        for (name, error), jobs in story.errors().most_common(FIRST)
    )
    if groups:
        sections.append(Section(groups_title(one.header), Pairs(groups)))
    jobs = tuple((job_id, _in_words(story, job_id, state)) for job_id in story.jobs)
    if jobs:
        note = f"{len(jobs)} of {count(one.jobs)}" if one.jobs > len(jobs) else ""
        title = NOUNS.get(one.header.selection.kind, "job") + "s"
        sections.append(Section(title, Pairs(jobs), note=note))
    return sections


def groups_title(header: Header) -> str:
    """The title of the groups: they have errors if the jobs had failed."""
    retried = header.action in (Verb.RETRY, Verb.RERUN)
    had_failed = retried and state_before(header) is JobState.FAILED
    return f"errors before the {plain(header.action)}" if had_failed else "jobs by name"


def _in_words(story: Story, job_id: str, state: JobState) -> str:
    if story.of_queues:
        before = ", ".join(before_words(story.jobs[job_id]))
        return f"{story.result(job_id, state).text}  ←  {before}"
    error = spoken(_reason(story.jobs[job_id]))
    return f"{story.result(job_id, state).text}" + (f"  ←  {error}" if error else "")


_FOR_UNDO: Final = frozenset(
    {
        "prefix",
        "settings",
        "score",
        "definition",
        "job",
        "logs",
        "delayed",
        "then",
        "made",
        "paused",
    }
)
"""Fields of a journal's line that only an undo reads."""


def before_words(queue: Snapshot) -> Iterator[str]:
    """What a queue was like before an action on it: ``paused 1``, ``wait 12``; plain."""
    for name, text in queue.fields.items():
        if name not in _FOR_UNDO and text not in ("", "0"):
            yield plain(f"{name} {first_line(text)}")


def read_story(folder: Path, campaign_id: str) -> Story:
    """Collects a campaign's story from its journal. Reads it twice, in constant memory."""
    header = read_header(folder, find(folder, campaign_id))
    of_queues = header.done if header.selection.kind in NOUNS else ""
    story = Story(action=header.action, of_queues=of_queues)
    for job in rebuilt(folder, campaign_id):
        story.met(job)
    for found in read_lines(folder, campaign_id):
        story.add(found)
    return story
