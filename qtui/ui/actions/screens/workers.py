"""The workers of one queue, or of several."""

from __future__ import annotations

from typing import Final

from qtui.ui.actions.action import Action, Where

WORKERS: Final = (
    Action(
        id="workers.refresh",
        keys=("ctrl+r", "f5"),
        does="refresh_now",
        label="refresh",
        help="read the workers again",
        where=Where.WORKERS,
    ),
)
