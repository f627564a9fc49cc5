"""What past retries of an error came to, by the journals of this machine. Needs no Redis."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from qtui.bullmq.codes import Code
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.signature.headline import reason_of
from qtui.bullmq.signature.merging import signature_of
from qtui.operations.following.outcome import Fate
from qtui.operations.journal.facts import Header
from qtui.operations.journal.lines import outcome_of, result_of, snapshot_of
from qtui.operations.journal.reading import (
    JournalError,
    ids,
    is_same_address,
    path_of,
    read_header,
    read_lines,
)
from qtui.text import age, count
from qtui.verbs import Verb

MOST_OCTETS: Final = 32_000_000
"""Octets of journals that are read, the newest first: about a second, and 30 MB meanwhile."""

MOST_SIGNATURES: Final = 5_000
"""Errors that are known apart; of further ones nothing is known."""


@dataclass(slots=True, kw_only=True)
class Retried:
    """What retries of jobs with one error came to."""

    jobs: int = 0
    """Jobs that went back to their queue."""
    fates: Counter[Fate] = field(default_factory=Counter)
    """What became of those that were followed."""
    last: int = 0
    """When the latest of these retries began, in ms since the epoch."""

    @property
    def failed_again(self) -> int:
        """Those that failed again."""
        return self.fates[Fate.FAILED_AGAIN]

    def words(self, now: float) -> str:
        """``retried 20, 20 failed again, 3h ago``; ``now`` in ms since the epoch."""
        known = [
            f"{count(self.fates[fate])} {fate}"
            for fate in (Fate.FAILED_AGAIN, Fate.COMPLETED, Fate.GONE)
            if self.fates[fate]
        ]
        open_ones = self.jobs - sum(self.fates[fate] for fate in Fate if fate.is_final)
        if open_ones > 0:
            known.append(f"{count(open_ones)} unknown")
        return ", ".join([f"retried {count(self.jobs)}", *known, f"{age(now - self.last)} ago"])

    def add(self, other: Retried) -> None:
        """Adds those of another error."""
        self.jobs += other.jobs
        self.fates += other.fates
        self.last = max(self.last, other.last)


History = dict[str, Retried]
"""By the signature of the error that the jobs had before."""


def retried_of(history: History, signatures: Iterable[str]) -> Retried | None:
    """Returns what the retries of jobs with any of these errors came to; None without any."""
    known = [history[one] for one in signatures if one in history]
    if not known:
        return None
    found = Retried()
    for one in known:
        found.add(one)
    return found


def read_history(folder: Path, where: str, queues: Collection[QueueKey], state: str) -> History:
    """Returns what past retries from these queues came to. Skips journals that can't be read.

    Reads the newest journals, `MOST_OCTETS` of them; of one job its latest retry in a journal.

    Args:
        folder: the journals.
        where: the server's address, without credentials.
        queues: the queues.
        state: the state that the jobs were retried from.

    Raises:
        JournalError: the folder can't be read.
    """
    history: History = {}
    bases = frozenset(queue.base for queue in queues)
    octets = 0
    for campaign_id in ids(folder):
        try:
            header = read_header(folder, campaign_id)
            if header.action != Verb.RETRY or header.undoes or header.state != state:
                continue
            if not is_same_address(header.where, where) or not bases & _queues_of(header):
                continue
            octets += path_of(folder, campaign_id).stat().st_size
            if octets > MOST_OCTETS:
                break
            _add(history, folder, header, bases)
        except (JournalError, OSError):
            continue
    return history


def _queues_of(header: Header) -> frozenset[str]:
    """The base keys of a journal's queues; see `retry.everywhere`, which writes several."""
    several = header.options.get("queues")
    if not isinstance(several, list):
        return frozenset({header.queue})
    return frozenset(one[0] for one in several if isinstance(one, list) and one)


def _add(history: History, folder: Path, header: Header, bases: frozenset[str]) -> None:
    errors: dict[str, str] = {}
    fates: dict[str, Fate | None] = {}
    by_key = isinstance(header.options.get("queues"), list)
    starts = tuple(f"{base}:" for base in bases)
    for line in read_lines(folder, header.id):
        match line["type"]:
            case "job":
                job = snapshot_of(line)
                if not by_key or job.id.startswith(starts):
                    written = reason_of(
                        job.fields.get("failedReason"), job.fields.get("stacktrace")
                    )
                    errors[job.id] = signature_of(written or "")
            case "code":
                result = result_of(line)
                if result.code is Code.DONE and result.job_id in errors:
                    fates.setdefault(result.job_id, None)
            case "withdrawn":
                fates.pop(str(line.get("id")), None)
            case "outcome":
                job_id, outcome = outcome_of(line)
                if job_id in fates:
                    fates[job_id] = outcome.fate
    for job_id, fate in fates.items():
        name = errors[job_id]
        if name not in history and len(history) >= MOST_SIGNATURES:
            continue
        found = history.setdefault(name, Retried())
        found.jobs += 1
        found.last = max(found.last, header.at)
        if fate is not None:
            found.fates[fate] += 1
