"""Writes the journal of a campaign: a snapshot is on disk before its jobs are sent. No Redis.

One file per campaign, append-only, in a folder that only its owner may write to. The writer holds a
lock (``flock``) on the file as long as it lives, which distinguishes a running campaign from one
that was killed. Nothing is deleted; a full folder is an error.

The lines are those of `qtui.operations.journal.lines`. Snapshots are on disk (fsync) when
`Journal.snapshots` returns. Codes and outcomes are handed to the operating system at once, so they
survive the death of this process, and are on disk with the next snapshots or the end. After a power
cut a journal may lack results of what was sent, never the snapshot of what was about to be sent.
"""

from __future__ import annotations

import contextlib
import errno
import os
import pwd
import socket
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from qtui import __version__
from qtui.bullmq.codes import Code, Result
from qtui.bullmq.writers.batch import Picked
from qtui.operations.following.outcome import Outcome
from qtui.operations.journal.facts import FORMAT, FORMAT_OF_RETRIES, TEXTS_SINCE, Header
from qtui.operations.journal.files import (
    cannot_write,
    held_by,
    is_torn,
    new_file,
    open_folder,
    take,
)
from qtui.operations.journal.lines import (
    CHOSEN,
    chosen_line,
    code_lines,
    end_line,
    header_line,
    outcome_lines,
    resumed_line,
    server_line,
    text_lines,
    withdrawn_lines,
)
from qtui.operations.journal.reading import (
    JournalError,
    check_format,
    find,
    path_of,
    read_header,
    unreadable,
)
from qtui.operations.journal.texts import Texts
from qtui.text import size
from qtui.verbs import Verb

LIMIT: Final = 2_000_000_000
"""Default limit, in bytes, for all journals of a folder together."""

_LOOK_AGAIN: Final = 16_000_000
"""Bytes after which the folder is measured again: other processes write there too."""


class Journal:
    """The journal of one campaign, open for writing. Close it, or use it as a context manager.

    Its methods block: `snapshots` until the disk has synced, the others for about 2 µs a job. They
    are thread-safe. If one raises, none of its lines is left in the file, and the journal can still
    be used.
    """

    def __init__(self, path: Path, number: int, limit: int) -> None:
        """Takes an open file to append to; see `create` and `resume`, which also lock it."""
        self.path = path
        self._file = number
        self._limit = limit
        self.texts: Texts | None = Texts()
        """For `snapshot_lines`; None if the file's format has no text lines."""
        self._lock = threading.Lock()
        self._why = ""
        self._others = 0
        self._since_look = _LOOK_AGAIN

    @property
    def id(self) -> str:
        """The campaign's id: its start (UTC) and four hex digits, ``20261122-031502-7f3a``."""
        return self.path.stem

    @classmethod
    def create(cls, folder: Path, header: Header, *, limit: int = LIMIT) -> Self:
        """Begins the journal of a new campaign, and syncs its first line to disk.

        Args:
            folder: where journals are; created if missing.
            header: the campaign. Its id, time, user, host, process and version are filled in.
            limit: bytes that all journals of the folder may have together.

        Raises:
            JournalError: the folder can't be used, or is full.
        """
        at = time.time()
        whole = _filled(header, at)
        with open_folder(folder) as place:
            campaign_id, number = new_file(place, folder, at)
            journal = cls(path_of(folder, campaign_id), number, limit)
            try:
                take(number, journal.path)
                journal._append(header_line(replace(whole, id=campaign_id)), capped=True)
                journal._sync()
                with contextlib.suppress(OSError):  # not every file system syncs folders
                    os.fsync(place)
            except JournalError:
                journal.close()
                with contextlib.suppress(OSError):
                    os.unlink(journal.path.name, dir_fd=place)  # empty: no campaign has begun
                raise
        return journal

    @classmethod
    def resume(cls, folder: Path, name: str, *, limit: int = LIMIT) -> Self:
        """Reopens the journal of a campaign that is no longer running.

        Call `progress_of` after this: only then can no other process write to it.

        Args:
            folder: where journals are.
            name: the campaign's id, or the beginning or end of it.
            limit: as for `create`.

        Raises:
            JournalError: there is no such campaign, it is still running, or its file can't be
                written.
        """
        path = path_of(folder, find(folder, name))
        with open_folder(folder) as place:
            try:
                flags = os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
                number = os.open(path.name, flags, dir_fd=place)
            except OSError as error:
                if error.errno == errno.ELOOP:
                    raise unreadable(path, error) from None
                raise cannot_write(path, error) from None
        journal = cls(path, number, limit)
        try:
            take(number, path)
            header = read_header(folder, path.stem)
            check_format(header)
            if header.format < TEXTS_SINCE:  # an older qtui may resume it after us
                journal.texts = None
            now, host = int(time.time() * 1000), socket.gethostname()
            line = resumed_line(
                at=now, user=_user(), host=host, pid=os.getpid(), version=__version__
            )
            journal._append((b"\n" if is_torn(number) else b"") + line, capped=True)
            journal._sync()
        except JournalError:
            journal.close()
            raise
        return journal

    def chosen(self, picked: Iterable[Picked]) -> None:
        """Writes the chosen jobs. They are on disk with the first snapshots.

        Raises:
            JournalError: they can't be written: nothing may be sent.
        """
        jobs = list(picked)
        for start in range(0, len(jobs), CHOSEN):
            self._append(chosen_line(jobs[start : start + CHOSEN]), capped=True)

    def snapshots(self, lines: bytes) -> None:
        """Writes what a batch will wipe, and syncs. Send the batch only after this has returned.

        Call it in a thread: it waits for the disk.

        Args:
            lines: `SnapshotPage.lines` or `snapshot_lines` of its jobs, with our `texts`.

        Raises:
            JournalError: the lines are not on disk: the batch must not be sent.
        """
        undefined = self.texts.undefined() if self.texts is not None else {}
        self._append(text_lines(undefined) + lines, capped=True)
        if self.texts is not None:
            self.texts.defined(undefined)
        self._sync()

    def codes(self, results: Iterable[Result]) -> None:
        """Writes the results of a batch.

        Raises:
            JournalError: they can't be written; resuming the campaign reads the jobs instead.
        """
        self._append(code_lines(results))

    def withdraw(self, server: Mapping[str, str], picked: Sequence[Picked]) -> None:
        """Writes that another server answers from here on, and which retries are lost there.

        Raises:
            JournalError: it can't be written.
        """
        self._append(server_line(at=int(time.time() * 1000), server=server, withdrawn=len(picked)))
        self._append(withdrawn_lines(picked))

    def outcomes(self, outcomes: Mapping[str, Outcome]) -> None:
        """Writes the outcomes of jobs, by id; each job once, when its outcome is final.

        Raises:
            JournalError: they can't be written.
        """
        self._append(outcome_lines(outcomes))

    def end(
        self,
        phase: str,
        codes: Mapping[Code, int],
        note: str = "",
        outcomes: Mapping[str, int] | None = None,
        *,
        all_known: bool = False,
    ) -> None:
        """Writes the last line, and syncs the file to disk.

        Args:
            phase: how it ended, in a word.
            codes: of the whole campaign, including the part before it was resumed.
            note: the reason, or anything else to know, in a sentence.
            outcomes: all retried jobs counted by fate; None if they were not followed.
            all_known: whether the jobs without a code were certainly not sent.

        Raises:
            JournalError: it can't be written.
        """
        at = int(time.time() * 1000)
        self._append(end_line(at, phase, codes, note, outcomes, all_known=all_known))
        self._sync()

    def close(self) -> None:
        """Closes the file and releases its lock. Does nothing the second time."""
        with self._lock:
            if self._file >= 0:
                os.close(self._file)
                self._file = -1

    def __enter__(self) -> Self:
        """The journal itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Closes it."""
        self.close()

    def _append(self, lines: bytes, *, capped: bool = False) -> None:
        """Appends all of the lines, or none."""
        octets = memoryview(lines)
        with self._lock:
            if self._file < 0 or self._why:
                raise JournalError(self._why or f"the journal {self.path} is closed")
            if capped:
                self._check_room(len(octets))
            end = os.fstat(self._file).st_size
            written = 0
            try:
                while written < len(octets):
                    written += os.write(self._file, octets[written:])
            except OSError as error:
                reason = cannot_write(self.path, error)
                self._cut(end, reason)
                raise reason from None
            self._since_look += len(octets)

    def _cut(self, end: int, reason: JournalError) -> None:
        """Truncates the file to its end before lines that could not be written in full."""
        try:
            os.ftruncate(self._file, end)
        except OSError:
            self._why = str(reason)  # else the next line would be appended to half of one

    def _check_room(self, more: int) -> None:
        if self._since_look >= _LOOK_AGAIN:
            self._others, self._since_look = held_by(self.path.parent), 0
        held = self._others + self._since_look
        if held + more > self._limit:
            raise JournalError(
                f"the journal folder {self.path.parent} holds {size(held)}, {size(more)} more would"
                f" pass its limit of {size(self._limit)}: move old files away, or allow it more"
            )

    def _sync(self) -> None:
        """Syncs to disk; other threads may append codes meanwhile."""
        try:
            os.fsync(self._file)
            gone = os.fstat(self._file).st_nlink == 0
        except OSError as error:
            self._why = str(cannot_write(self.path, error))  # what is on disk is unknown now
        else:
            if gone:
                self._why = f"the journal {self.path} was deleted while qtui was writing to it"
        if self._why:
            raise JournalError(self._why)


def _filled(header: Header, at: float) -> Header:
    """The header with time, user, host, pid, version and format filled in."""
    return replace(
        header,
        at=int(at * 1000),
        user=_user(),
        host=socket.gethostname(),
        pid=os.getpid(),
        version=__version__,
        format=FORMAT_OF_RETRIES if header.action in (Verb.RETRY, Verb.RERUN) else FORMAT,
    )


def _user() -> str:
    """The account of this process (from the system, not a variable), and the caller of sudo."""
    try:
        name = pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:  # a container's user may have no name
        name = str(os.geteuid())
    caller = os.environ.get("SUDO_USER")
    return f"{name} (sudo: {caller})" if caller and caller != name else name
