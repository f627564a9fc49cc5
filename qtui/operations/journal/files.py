"""Creates, opens and locks journal files so that only their owner can write; words its errors."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from qtui.folders import MOVED_BY, NOWHERE
from qtui.operations.journal.reading import JournalError, last_pid

_PATIENCE: Final = 1.0
"""Seconds to wait for a lock: a reader holds it for a moment to test whether it is held."""
_NAMES: Final = 100
_OURS: Final = 2
"""Folders above the journal's that must not be links; a home, further up, may be behind one."""
_WORDS: Final = {
    errno.ENOSPC: "the disk is full: make room",
    errno.EDQUOT: "your quota of the disk is used up: make room",
    errno.EFBIG: "a file may not grow that large here: see `ulimit -f`",
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.ENOTDIR: "a part of the path is not a folder",
    errno.EEXIST: "a part of the path is not a folder",
}

_MOVABLE: Final = (
    *(errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOSPC, errno.EDQUOT),
    *(errno.ENOENT, errno.ENOTDIR, errno.EEXIST),
)
"""Errors that choosing another folder may solve."""


@contextlib.contextmanager
def open_folder(folder: Path) -> Iterator[int]:
    """Opens the folder, created if missing, and yields its descriptor.

    Raises:
        JournalError: it can't be created, or other users may write to it.
    """
    try:
        if folder == NOWHERE:
            raise JournalError(f"the journal has no folder, and you have no home: {MOVED_BY}")
        _make(folder)
        if folder.is_symlink():
            raise JournalError(f"{folder} is a symbolic link: the journal needs a real folder")
        _check_parents(folder)
        number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise cannot_write(folder, error) from None
    try:
        facts = os.fstat(number)
        if facts.st_uid != os.geteuid():
            raise JournalError(f"{folder} belongs to another user: the journal needs your own")
        if facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise JournalError(f"others may write to {folder}: chmod 700 it")
        yield number
    finally:
        os.close(number)


def _check_parents(folder: Path) -> None:
    """Checks that no other user can replace the journal's folder with another.

    Raises:
        JournalError: a parent folder belongs to another user, or others may write to it, or one of
            the two nearest is a link.
        OSError: a parent folder can't be read.
    """
    above = [*folder.absolute().parents]
    for nearness, one in enumerate(above):
        facts = one.lstat()
        if stat.S_ISLNK(facts.st_mode):
            if nearness < _OURS or facts.st_uid not in (0, os.geteuid()):
                raise JournalError(
                    f"{one} is a symbolic link, and the journal would be behind it: {MOVED_BY}"
                )
            facts = one.stat()
        if facts.st_uid not in (0, os.geteuid()):
            raise JournalError(f"{one}, above the journal, belongs to another user: {MOVED_BY}")
        if _is_open(facts):
            raise JournalError(
                f"others may write to {one}, and the journal is in it: chmod go-w it, or {MOVED_BY}"
            )


def _is_open(facts: os.stat_result) -> bool:
    """Whether others may replace what is in a folder."""
    if facts.st_mode & stat.S_ISVTX:  # as in /tmp: only owners may
        return False
    # Group-writable folders are common where each user has a private group (gid equal to uid).
    private = facts.st_gid == facts.st_uid == os.geteuid()
    return bool(facts.st_mode & (stat.S_IWOTH | (0 if private else stat.S_IWGRP)))


def _make(folder: Path) -> None:
    """Creates the folder and its missing parents, for its owner only."""
    missing = [folder]
    while not missing[-1].parent.exists():
        missing.append(missing[-1].parent)
    for one in reversed(missing):
        with contextlib.suppress(FileExistsError):
            one.mkdir(mode=0o700)


def new_file(place: int, folder: Path, at: float) -> tuple[str, int]:
    """Creates a journal file; returns its new id and descriptor.

    Raises:
        JournalError: it can't be created.
    """
    moment = time.strftime("%Y%m%d-%H%M%S", time.gmtime(at))
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    for _ in range(_NAMES):
        campaign_id = f"{moment}-{secrets.token_hex(2)}"
        try:
            return campaign_id, os.open(f"{campaign_id}.jsonl", flags, 0o600, dir_fd=place)
        except FileExistsError:
            continue
        except OSError as error:
            raise cannot_write(folder, error) from None
    raise JournalError(f"no free name for a journal in {folder}: try again in a second")


def take(number: int, path: Path) -> None:
    """Takes the writer's lock, waiting up to `_PATIENCE`.

    Raises:
        JournalError: another process holds it, or the file system does not support locks.
    """
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            return fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                pid = last_pid(path.parent, path.stem)
                raise JournalError(f"{path.stem} is still running (pid {pid})") from None
            time.sleep(0.01)  # blocks a thread only; a reader that tests the lock releases it soon
        except OSError as error:
            raise cannot_write(path, error) from None


def is_torn(number: int) -> bool:
    """Whether the last line is incomplete: its writer was killed."""
    end = os.fstat(number).st_size
    return end > 0 and os.pread(number, 1, end - 1) != b"\n"


def held_by(folder: Path) -> int:
    """Returns the total size of the files in the folder, in bytes.

    Raises:
        JournalError: the folder can't be read.
    """
    total = 0
    try:
        with os.scandir(folder) as found:
            for one in found:
                with contextlib.suppress(FileNotFoundError):
                    total += one.stat(follow_symlinks=False).st_size
    except OSError as error:
        raise cannot_write(folder, error) from None
    return total


def cannot_write(path: Path, error: OSError) -> JournalError:
    """Returns the error for a journal that can't be written."""
    words = _WORDS.get(error.errno or 0, error.strerror or "it failed")
    moved = f", or {MOVED_BY}" if error.errno in _MOVABLE else ""
    return JournalError(f"the journal can't be written to {path}: {words}{moved}")
