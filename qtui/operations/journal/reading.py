"""Reads the journals of campaigns, each in one pass; memory does not grow with their jobs.

Nothing here needs Redis. A last line that is incomplete, since its writer was killed, is skipped.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import BinaryIO, Final

from qtui.bullmq.codes import Code
from qtui.bullmq.writers.batch import Picked
from qtui.folders import NOWHERE
from qtui.operations.journal.facts import FORMAT, Header, Snapshot
from qtui.operations.journal.lines import (
    JournalLine,
    chosen_of,
    codes_of,
    header_of,
    outcomes_of,
    record,
    server_of,
    snapshot_of,
    whole_number,
    with_texts,
)
from qtui.operations.journal.tally import Ids, JournalTally

UNREADABLE: Final = "unreadable"
_NAME: Final = re.compile(r"(\d{8}-\d{6}-[0-9a-f]{4})\.jsonl")
_LOOPBACK: Final = re.compile(r"(?<=[/,@])(?:localhost|127\.0\.0\.1|\[::1\])(?=[:/,]|$)")
_TAIL: Final = 65_536
"""Bytes at the end of a journal that are searched for its last line."""
_HEAD: Final = 16_777_216
"""Longest first line, in bytes."""
_LONGEST: Final = 1 << 28
"""Longest line, in bytes: no job in Redis has more in the fields that a journal keeps."""
_SHOWN: Final = 5
_BUFFER: Final = 1 << 20


class JournalError(Exception):
    """A journal can't be used. The message is one line: what is wrong, and what to do."""


class UnknownCampaign(JournalError):
    """The name matches no campaign, or more than one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The summary of one campaign."""

    header: Header
    running: bool
    """Whether a process has it open for writing."""
    ended: bool
    """Whether it has its last line; if not, it is running or was killed."""
    phase: str
    """How it ended, in a word; empty if it has not."""
    jobs: int
    """Jobs whose snapshot was written."""
    codes: Mapping[Code, int]
    note: str = ""
    until: int = 0
    """When it ended, in ms since the epoch; 0 if it has not."""
    size: int = 0
    """Size of its file, in bytes."""
    outcomes: Mapping[str, int] | None = None
    """Followed jobs by fate; None if none were followed, and in older journals."""
    undone_by: tuple[str, ...] = ()
    """The ids of the campaigns that took it back, or some of it; see `with_undos`."""

    @property
    def id(self) -> str:
        """The campaign's id."""
        return self.header.id

    @property
    def left(self) -> int:
        """Number of jobs that had left their state before a campaign that is done came to them."""
        if self.phase != "done" or self.header.selection.kind not in ("query", "queries"):
            return 0
        return max(0, (self.header.selection.jobs or 0) - sum(self.codes.values()))

    @property
    def under_way(self) -> bool:
        """Whether a process still sends its jobs.

        One that has ended may be open all the same: to be followed, or since its result is shown.
        """
        return self.running and not self.ended

    @property
    def unfinished(self) -> bool:
        """Whether it was interrupted, and should be resumed."""
        return not (self.ended or self.running)


def find(folder: Path, name: str) -> str:
    """Returns the full id of the campaign whose id begins or ends with ``name``.

    Raises:
        UnknownCampaign: there is none, or more than one.
    """
    known = ids(folder)
    if name in known:
        return name
    fitting = [one for one in known if name and (one.startswith(name) or one.endswith(name))]
    if len(fitting) == 1:
        return fitting[0]
    if not fitting:
        raise UnknownCampaign(f'no journal "{name}" in {folder}: `qtui journal` lists them')
    more = f" and {len(fitting) - _SHOWN:,} more" if len(fitting) > _SHOWN else ""
    raise UnknownCampaign(
        f'"{name}" matches {len(fitting):,} journals: {", ".join(fitting[:_SHOWN])}{more}'
    )


def ids(folder: Path) -> list[str]:
    """Returns the ids of all campaigns, newest first; none if the folder does not exist.

    Raises:
        JournalError: the folder can't be read.
    """
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return []
    except OSError as error:
        if folder == NOWHERE:
            return []
        raise unreadable(folder, error) from None
    return sorted((match[1] for match in map(_NAME.fullmatch, names) if match), reverse=True)


def path_of(folder: Path, campaign_id: str) -> Path:
    """Returns the path of a campaign's journal."""
    return folder / f"{campaign_id}.jsonl"


def unreadable(path: Path, error: OSError) -> JournalError:
    """Returns the error for a journal that can't be read."""
    if error.errno == errno.ELOOP:
        return JournalError(f"{path} is a symbolic link: a journal must be a regular file")
    return JournalError(f"the journal {path} can't be read: {error.strerror}")


def read_lines(folder: Path, name: str) -> Iterator[JournalLine]:
    """Yields every complete line of a campaign, decoded, in order, with its texts filled in.

    Raises:
        JournalError: it can't be read, or there is no such campaign.
    """
    campaign_id, texts = find(folder, name), dict[str, str]()
    read_header(folder, campaign_id)
    for line in _lines(path_of(folder, campaign_id)):
        found = record(line)
        if found is None:
            continue
        if found["type"] == "text":
            define(found, texts)
        else:
            yield with_texts(found, texts)


def read_header(folder: Path, campaign_id: str) -> Header:
    """Returns the first line of a campaign, given its full id.

    Raises:
        JournalError: it can't be read, or is not the journal of a campaign.
    """
    path = path_of(folder, campaign_id)
    with open_file(path) as file:
        return _header(file, path)


def check_format(header: Header) -> None:
    """Checks that this release can resume a campaign.

    Raises:
        JournalError: a newer release wrote it.
    """
    if header.format > FORMAT:
        raise JournalError(f"{header.id} was written by a newer qtui: use that version")


def campaigns(folder: Path) -> Iterator[Summary]:
    """Yields all campaigns, newest first. Reads the first and last line; all if there is no end.

    A file without a complete first line is skipped: its campaign had sent nothing yet. One that
    can't be read has the phase `UNREADABLE`, and the reason as its note.

    Raises:
        JournalError: the folder can't be read.
    """
    # An id has the second alone: of those begun within one, their first lines say the order.
    for _, same in groupby(ids(folder), key=lambda one: one[:_SECOND]):
        found = [one for name in same if (one := _summary(folder, name)) is not None]
        yield from sorted(found, key=lambda one: one.header.at, reverse=True)


_SECOND: Final = len("20261122-034130")


def _summary(folder: Path, campaign_id: str) -> Summary | None:
    """The summary of a campaign that may be unreadable; None if it had sent nothing yet."""
    try:
        return summary(folder, campaign_id)
    except UnknownCampaign:
        return None
    except JournalError as error:
        return Summary(
            header=header_of({"id": campaign_id}),
            running=False,
            ended=True,
            phase=UNREADABLE,
            jobs=0,
            codes={},
            note=str(error),
        )


def with_undos(found: Iterable[Summary]) -> list[Summary]:
    """Returns campaigns, in their order, each with those among them that took it back."""
    known = list(found)
    by: dict[str, list[str]] = {}
    for one in known:
        if one.header.undoes and one.codes.get(Code.DONE):
            by.setdefault(one.header.undoes, []).append(one.id)
    return [replace(one, undone_by=tuple(sorted(by.get(one.id, ())))) for one in known]


def summary(folder: Path, campaign_id: str) -> Summary:
    """Returns the summary of one campaign, given its full id.

    Raises:
        UnknownCampaign: the file is gone, or is not the journal of a campaign.
        JournalError: it can't be read.
    """
    path = path_of(folder, campaign_id)
    with open_file(path) as file:
        found = _ends(file, path)
        if found.ended:
            return found
        tally = JournalTally()
        file.seek(0)
        for line in _pieces(file):
            tally.add(line)
    return replace(found, jobs=tally.jobs, codes=tally.codes)


def is_same_address(one: str, other: str) -> bool:
    """Whether two addresses are the same; all names of the local machine count as one."""
    return _LOOPBACK.sub("localhost", one) == _LOOPBACK.sub("localhost", other)


def unfinished(folder: Path, where: str) -> list[Summary]:
    """Returns the interrupted campaigns on the server at ``where``, newest first.

    Reads those in full, and the first and last line of the others. Skips journals that can't be
    read, and a rerun of a flow that was rerun again later.

    Raises:
        JournalError: the folder can't be read.
    """
    found = []
    latest: dict[str, int] = {}
    for campaign_id in ids(folder):
        path = path_of(folder, campaign_id)
        try:
            with open_file(path) as file:
                one = _ends(file, path)
            if not is_same_address(one.header.where, where):
                continue
            if root := one.header.flow.get("root", ""):
                latest[root] = max(latest.get(root, 0), one.header.at)
            if one.unfinished:
                found.append(summary(folder, campaign_id))
        except JournalError:
            continue
    return [one for one in found if one.header.at >= latest.get(one.header.flow.get("root", ""), 0)]


def last_pid(folder: Path, campaign_id: str) -> int:
    """Returns the pid of the process that wrote to it last; 0 if unknown. Reads the whole file."""
    pid: object = 0
    for line in _lines(path_of(folder, campaign_id)):
        if line.startswith((b'{"type":"campaign"', b'{"type":"resumed"')):
            pid = (record(line) or {}).get("pid", pid)
    return pid if isinstance(pid, int) else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a campaign got: all that is needed to resume it."""

    header: Header
    chosen: tuple[Picked, ...]
    """The chosen jobs, in order; empty for a query."""
    decided: Ids
    """Jobs that have a code: they must not be sent again."""
    doubtful: tuple[Picked, ...]
    """Jobs that may have been sent, with unknown effect: read their state before anything else."""
    codes: Mapping[Code, int]
    """The codes so far, including doubtful jobs whose code is unknown."""
    retried: Mapping[str, float]
    """By id, the scores of the jobs with code 1: another server may not have their retry."""
    server: Mapping[str, str]
    """The server that answered last, see `qtui.bullmq.connection.origin`; empty in old journals."""
    parents: frozenset[str] = frozenset()
    """Full keys of the parents of all jobs that may have been sent."""

    def rest(self) -> Iterator[Picked]:
        """Yields the chosen jobs that were certainly not sent yet."""
        doubtful = {one.job_id for one in self.doubtful}
        return (
            one
            for one in self.chosen
            if one.job_id not in doubtful and one.job_id not in self.decided
        )


def progress_of(folder: Path, name: str) -> Progress:
    """Returns how far a campaign got. Reads the whole journal.

    Raises:
        JournalError: it can't be read, a newer release wrote it, or it ends before all chosen jobs
            were written down.
    """
    path = path_of(folder, find(folder, name))
    tally, decided = JournalTally(retried={}), Ids()
    chosen: list[Picked] = []
    parents: set[str] = set()
    server: Mapping[str, str] = {}
    with open_file(path) as file:
        header = _header(file, path)
        for line in _pieces(file):
            job_id = tally.add(line)
            if job_id is not None:
                decided.add(job_id)
            elif b'"parentKey"' in line:
                parents.add(snapshot_of(record(line) or {}).fields.get("parentKey", ""))
            elif line.startswith(b'{"type":"chosen"'):
                chosen += chosen_of(record(line) or {})
            elif line.startswith(b'{"type":"server"'):
                server = server_of(record(line) or {})
    check_format(header)
    if header.selection.kind == "ids" and len(chosen) != header.selection.jobs:
        raise JournalError(f"{header.id} was cut off before it sent anything: start a new retry")
    doubtful = tuple(Picked(job_id, score) for job_id, score in tally.doubtful.items())
    return Progress(
        header=header,
        chosen=tuple(chosen),
        decided=decided,
        doubtful=doubtful,
        codes=tally.codes,
        retried=tally.retried or {},
        server=server or header.server,
        parents=frozenset(parents - {""}),
    )


def rebuilt(folder: Path, name: str) -> Iterator[Snapshot]:
    """Yields the jobs as they were before their retry, in the order of the retries."""
    campaign_id, tally, texts = find(folder, name), JournalTally(), dict[str, str]()
    read_header(folder, campaign_id)
    for line in _lines(path_of(folder, campaign_id)):
        before = tally.jobs
        tally.add(line)
        if tally.jobs > before:
            found = record(line)
            if found is not None:
                yield snapshot_of(with_texts(found, texts))
        elif line.startswith(b'{"type":"text"'):
            define(record(line) or {}, texts)


def define(found: JournalLine, texts: dict[str, str]) -> None:
    """Adds the text that a ``text`` line defines."""
    digest, text = found.get("id"), found.get("text")
    if isinstance(digest, str) and isinstance(text, str):
        texts[digest] = text


# Files -------------------------------------------------------------------------------------------


def open_file(path: Path) -> BinaryIO:
    """Opens a journal for reading.

    Raises:
        UnknownCampaign: it is gone, or no file.
        JournalError: it can't be read.
    """
    try:
        # A symbolic link must not lead elsewhere, and a pipe must not block us.
        number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise UnknownCampaign(f"{path} is gone") from None
    except OSError as error:
        raise unreadable(path, error) from None
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise UnknownCampaign(f"{path} is no file")
    return open(number, "rb", buffering=_BUFFER)


def _lines(path: Path) -> Iterator[bytes]:
    with open_file(path) as file:
        yield from _pieces(file)


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    """The lines of a file; one longer than `_LONGEST` comes in pieces, which don't parse."""
    return iter(lambda: file.readline(_LONGEST), b"")


def _held(file: BinaryIO) -> bool:
    """Whether a process is writing to the file: it holds the lock as long as it does."""
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    fcntl.flock(file, fcntl.LOCK_UN)
    return False


def _header(file: BinaryIO, path: Path) -> Header:
    found = record(file.readline(_HEAD))
    if found is None or found["type"] != "campaign":
        raise UnknownCampaign(f"{path} is not a qtui journal")
    return replace(header_of(found), id=path.stem)


def _ends(file: BinaryIO, path: Path) -> Summary:
    """A summary from the first and last line; without an end the jobs are not counted yet."""
    running, size = _held(file), os.fstat(file.fileno()).st_size
    header = _header(file, path)
    end = _end(file)
    if end is None:
        return Summary(
            header=header, running=running, ended=False, phase="", jobs=0, codes={}, size=size
        )
    codes = codes_of(end)
    note, at = end.get("note"), end.get("at")
    return Summary(
        header=header,
        running=running,
        ended=True,
        phase=str(end.get("phase")),
        jobs=sum(codes.values()),
        codes=codes,
        note=note if isinstance(note, str) else "",
        until=whole_number(at),
        size=size,
        outcomes=outcomes_of(end),
    )


def _end(file: BinaryIO) -> JournalLine | None:
    """The last line, if it is the end of the campaign."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _TAIL))
    tail = file.read(_TAIL)
    if not tail.endswith(b"\n"):
        return None
    found = record(tail[tail.rfind(b"\n", 0, -1) + 1 :])
    return found if found is not None and found["type"] == "end" else None
