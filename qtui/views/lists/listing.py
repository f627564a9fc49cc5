"""What a job table can show: a state's jobs, or those that a filter found. No widgets."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState, Row


class SearchStopped(Exception):
    """A search had to be stopped, since a pattern ran away; says so in a sentence."""


@dataclass(frozen=True, slots=True)
class Moved:
    """What a refresh did to the list."""

    anchor: int | None
    """The anchor's place now."""
    shift: int
    """By how many rows the anchor has moved down."""


class Listing(Protocol):
    """Jobs in an order, of which only some are loaded."""

    queue: QueueKey
    state: JobState
    newest_first: bool
    total: int
    """Rows in the list."""
    loaded: bool
    """Whether it has been read at all."""
    held: bool
    """Whether the rows are frozen, so that results can be read in their jobs' rows."""
    live_total: int
    """Jobs in the state, as last read."""

    def row(self, index: int) -> Row | None:
        """The row at a place, None where it is not loaded."""

    def place(self, job_id: str) -> int | None:
        """The place of a job, None where it is not known."""

    def rows(self) -> Iterable[Row]:
        """Every loaded row, in no order."""

    def has_left(self, job_id: str) -> bool:
        """Whether the job has left the state but is still shown."""

    @property
    def growth(self) -> int:
        """By how many jobs the state has grown since the list was held; negative if it shrank."""

    def missing(self, first: int, last: int) -> tuple[int, int] | None:
        """The part of a window that is not loaded."""

    async def load(self, first: int, last: int) -> bool:
        """Reads the missing rows of a window; True if there were any."""

    async def refresh(self, first: int, last: int, anchor: str | None) -> Moved:
        """Reads the window anew around the anchor."""

    def hold(self, left: Iterable[str] = ()) -> None:
        """Freezes the rows; ``left`` are the jobs that a retry took out of the state."""

    def thaw(self) -> None:
        """Ends the hold; the next refresh shows the current list."""
