"""Deletes old journals on request. qtui never deletes any by itself."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from qtui.operations.journal.files import cannot_write, open_folder, take
from qtui.operations.journal.reading import UNREADABLE, JournalError, Summary, campaigns, summary


def prunable(folder: Path, before: int, *, unfinished: bool = False) -> Iterator[Summary]:
    """Yields the campaigns that ended before a moment, newest first; their journals may be deleted.

    Never one that is running, nor one that can't be read.

    Args:
        folder: where journals are.
        before: ms since the epoch; compared with the start of those that did not end.
        unfinished: whether to include those that were interrupted or stopped, and can be resumed.

    Raises:
        JournalError: the folder can't be read.
    """
    for one in campaigns(folder):
        resumable = not one.ended or one.phase != "done"
        if one.running or one.phase == UNREADABLE or (resumable and not unfinished):
            continue
        at = one.until or one.header.at
        if 0 < at < before:
            yield one


def prune(folder: Path, one: Summary) -> None:
    """Deletes a campaign's journal for good.

    Raises:
        JournalError: a process has it open by now, it has changed, or it can't be deleted.
    """
    path = folder / f"{one.id}.jsonl"
    with open_folder(folder) as place:
        try:
            flags = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            number = os.open(path.name, flags, dir_fd=place)
        except OSError as error:
            raise cannot_write(path, error) from None
        try:
            take(number, path)
            if (os.fstat(number).st_size, summary(folder, one.id).phase) != (one.size, one.phase):
                raise JournalError(f"{one.id} has changed since it was listed: try again")
            os.unlink(path.name, dir_fd=place)
        except OSError as error:
            raise cannot_write(path, error) from None
        finally:
            os.close(number)
