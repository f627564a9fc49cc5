"""What an operation did, job by job, read from its journal. No Redis.

The journal of a large operation is not held in memory: only where each job's line is, and what its
code said. Lines are read again when the jobs come up.
"""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Final

from qtui.bullmq.codes import Code
from qtui.operations.journal.facts import Header
from qtui.operations.journal.lines import (
    all_known,
    glance,
    record,
    result_of,
    snapshot_of,
    with_texts,
)
from qtui.operations.journal.reading import (
    JournalError,
    check_format,
    define,
    find,
    open_file,
    path_of,
    read_header,
    summary,
)
from qtui.operations.undo.inverse import Deed

_MOST_TARGETS: Final = 1 << 16


class Deeds:
    """The jobs that an operation changed, the one that was changed last first.

    Takes some 12 bytes a job once it is read.
    """

    def __init__(
        self,
        path: Path,
        header: Header,
        texts: Mapping[str, str],
        places: Mapping[str, tuple[int, int]],
        targets: Sequence[str],
    ) -> None:
        """Takes where each job's line is, and the index of its target; see `read_deeds`."""
        self.header = header
        self._path = path
        self._texts = texts
        # Codes may come in another order than the calls did: that of a job in doubt comes late.
        ordered = sorted(places.values(), reverse=True)
        self._offsets = array("q", [offset for offset, _ in ordered])
        self._at = array("l", [target for _, target in ordered])
        self._targets = targets

    def __len__(self) -> int:
        """The number of jobs."""
        return len(self._offsets)

    def read(self, places: Sequence[int]) -> list[Deed]:
        """Returns the jobs at these places. Blocks for the file; not longer than for its lines.

        Raises:
            JournalError: the file was changed meanwhile.
        """
        found = []
        with open_file(self._path) as file:
            for place in places:
                file.seek(self._offsets[place])
                line = record(file.readline())
                if line is None or line["type"] != "job":
                    raise JournalError(f"the journal {self._path} was changed meanwhile")
                line = with_texts(line, self._texts)
                target = self._targets[self._at[place]]
                found.append(Deed(snapshot_of(line), target, line, self.has))
        return found

    def has(self, job_id: str) -> bool:
        """Whether the operation changed this job. The first call reads what `ids` does."""
        return job_id in self._known

    def place_of(self, job_id: str) -> int | None:
        """Returns the place of a job; None if the operation did not change it. Costs as `has`."""
        return self._known.get(job_id)

    def ids(self) -> Iterator[str]:
        """Yields the id of each job, in order. Reads their lines, without decoding their fields."""
        with open_file(self._path) as file:
            for offset in self._offsets:
                file.seek(offset)
                seen = glance(file.readline())
                yield "" if seen is None else seen.job_id

    @cached_property
    def _known(self) -> dict[str, int]:
        return {job_id: place for place, job_id in enumerate(self.ids())}


def read_deeds(folder: Path, name: str, only: Collection[str] = ()) -> Deeds:
    """Reads which jobs a campaign changed, or may have changed: those with code 1, or in doubt.

    Reads the whole journal, some 2 µs a line.

    Args:
        folder: where journals are.
        name: the campaign's id, or its beginning or end.
        only: ids of jobs; none for all of them.

    Raises:
        JournalError: there is no such campaign, it is still running, or it can't be read.
    """
    campaign_id = find(folder, name)
    if summary(folder, campaign_id).under_way:
        raise JournalError(f"{campaign_id} is still running: stop it first")
    header = read_header(folder, campaign_id)
    check_format(header)
    path = path_of(folder, campaign_id)
    wanted = frozenset(only)
    targets = {"": 0}
    open_: dict[str, int] = {}
    done: dict[str, tuple[int, int]] = {}
    texts: dict[str, str] = {}
    for offset, line in _lines_at(path):
        seen = glance(line)
        if seen is None:
            if line.startswith(b'{"type":"text"'):
                define(record(line) or {}, texts)
            elif all_known(line):
                open_.clear()
            continue
        job_id = seen.job_id
        if wanted and job_id not in wanted:
            continue
        if seen.withdrawn:
            done.pop(job_id, None)
        elif seen.code is None:
            open_[job_id] = offset
        elif seen.code is Code.DONE and job_id in open_:
            target = result_of(record(line) or {}).target
            if len(targets) < _MOST_TARGETS or target in targets:
                done[job_id] = open_.pop(job_id), targets.setdefault(target, len(targets))
        elif seen.code is not Code.UNKNOWN:
            open_.pop(job_id, None)
    done |= {job_id: (offset, 0) for job_id, offset in open_.items()}
    return Deeds(path, header, texts, done, list(targets))


def _lines_at(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines of a journal, each with the place in bytes at which it begins."""
    offset = 0
    with open_file(path) as file:
        for line in file:
            yield offset, line
            offset += len(line)
