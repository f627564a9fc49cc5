"""A session that is still to be made. Imports nothing that the first frame does not show."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qtui.settings import Settings
    from qtui.ui.session import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """What makes the session, once the first frame is painted."""

    settings: Settings
    shown: str
    """The server's address, without a password."""
    session: Callable[[], Awaitable[Session]]
    failures: tuple[type[Exception], ...]
    """What it raises where there is no session to be had; the rest is a fault of ours."""
