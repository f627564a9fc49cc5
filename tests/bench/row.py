"""What a row of the table is: some work, done by qtui and by others side by side.

A row is made in a module of `rows`, and listed in `rows.ROWS`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import redis.asyncio

from qtui.demo.server import EmbeddedServer

OURS: Final = "qtui"
"""What our own way is called."""


COSTS: Final = ("clock", "CPU here", "Redis", "commands", "bytes", "memory")
"""What a unit takes, and the memory that a go does, whose growth is looked at."""


@dataclass(frozen=True, kw_only=True)
class Went:
    """What a go knows better than the bench, which measures what is None here."""

    seconds: float | None = None
    """How long the work itself took."""
    cpu: float | None = None
    """Seconds of CPU of the process that did the work, where that is not this one or its child."""
    peak: float | None = None
    """MB that this process had at most."""
    kept: float | None = None
    """Share of their speed that others kept meanwhile."""


@dataclass(frozen=True, kw_only=True)
class Way:
    """One way to do the work."""

    go: Callable[[], Awaitable[Went | None]]
    """Does it once."""
    ready: Callable[[], Awaitable[None]] | None = None
    """Called before each go, and not measured: fills the server again, or makes the plan."""
    share: float = 1.0
    """How much of the work a go does, of which the rest would take as long again."""


Ways: TypeAlias = Mapping[str, Way]
"""Who does the work: `OURS` and the others, by name, in the order of the columns."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A server of its own for one size of one row, empty."""

    server: EmbeddedServer
    admin: redis.asyncio.Redis
    """Asks the server about itself, and fills it."""
    brief: bool = False
    """Whether it is only to be shown that the row works: what takes a fixed time takes less."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A line of the table. All it takes is said per unit: of a page, a job, a refresh."""

    name: str
    """For ``--only``."""
    what: str
    """In the table; ``{size}`` is replaced."""
    sizes: tuple[int, ...]
    """Some work, and 10 and 100 times as much."""
    size: int
    """The one of the table."""
    open: Callable[[Stage, int], AbstractAsyncContextManager[Ways]]
    """Fills the server with work of that size, and yields the ways to do it."""
    per: str
    """The unit: ``page``."""
    times: int | None = 1
    """How many units a go does; None: as many as the size, and speeds are printed, not times."""
    grows: Collection[str] = ()
    """What of a unit may grow as the size does, by the names of `COSTS`; the rest is flat."""
    lasts: bool = False
    """Whether a go takes a fixed time, so that its CPU is what counts; it needs no warming up."""
    readme: bool = False
    """Whether the README shows it."""
    at_least: Mapping[str, float] = field(default_factory=dict)
    """How many times as fast as another the work should be done, by the other's name."""
    at_most: float | None = None
    """ms that a unit should take at most in our way."""
    here_at_most: float | None = None
    """ms of our process's CPU."""
    server_at_most: float | None = None
    """ms of the server's CPU."""
    commands_at_most: float | None = None
    """Commands in the server."""
    longest_at_most: float | None = None
    """ms of the longest command."""
    kept_at_least: float | None = None
    """Share of their speed that others should keep beside our way."""

    def units(self, size: int) -> int:
        """How many units a go does."""
        return size if self.times is None else self.times
