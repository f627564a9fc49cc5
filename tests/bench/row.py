"""What a row of the table is: some work, done by qtui and by others side by side.

A row is a module in `rows`, with a `Row` that is listed in `rows.ROWS`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import redis.asyncio

from qtui.demo.server import EmbeddedServer

OURS: Final = "qtui"
"""What our own way is called."""

Way: TypeAlias = Callable[[], Awaitable[float | None]]
"""Does the work once. Returns the seconds that it took by its own clock, or None: the bench's clock
counts then. Work in another process should measure itself."""

Ways: TypeAlias = Mapping[str, Way]
"""Who does the work: `OURS` and the others, by name, in the order of the columns."""


@dataclass(frozen=True)
class Stage:
    """A server of its own for one size of one row, empty."""

    server: EmbeddedServer
    admin: redis.asyncio.Redis
    """Asks the server about itself, and fills it."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A line of the table."""

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
    before: Callable[[Stage, int], Awaitable[None]] | None = None
    """Fills the server again before each go, where the work uses it up; not measured."""
    at_least: Mapping[str, float] = field(default_factory=dict)
    """How many times as fast as another the work should be done, by the other's name."""
    at_most: float | None = None
    """ms that our way should take at most."""
    here_at_most: float | None = None
    """ms of this process's CPU that our way should take at most."""
    server_at_most: float | None = None
    """ms of the server's CPU that our way should take at most."""
    commands_at_most: float | None = None
    """Commands that our way should cause in the server at most."""
    per: str = ""
    """What is counted a second: ``jobs``. Empty: the times are printed."""
