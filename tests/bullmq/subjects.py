"""One job as a filter looks at it: tests of the language ask job by job."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from qtui.bullmq.filter import Columns, Filter

_NOTHING: Final[Mapping[str, str | None]] = MappingProxyType({})


class Subject(NamedTuple):
    """A job's id, its score, and those of its fields that were read."""

    id: str
    score: float | None = None
    """The score in failed or completed: finishedOn, ms. None elsewhere; then the field counts."""
    fields: Mapping[str, str | None] = _NOTHING
    """By the hash's own names, not shortened; absent or None where the job does not have it."""


def matches(wanted: Filter, job: Subject) -> bool:
    """Whether a filter picks one job. Raises what `Filter.pick` raises."""
    fields = {name: (value,) for name, value in job.fields.items()}
    return bool(wanted.pick(Columns((job.id,), fields, (job.score,)), (0,)))
