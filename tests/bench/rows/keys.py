"""A key that is pressed in a long list, and in a short one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

from qtui.bullmq.keys import QueueKey
from tests.bench.crowd import CROWD, seed
from tests.bench.row import OURS, Row, Stage, Way, Ways
from tests.ui.driver import Driver, inspector

_SHORT: Final = QueueKey.of("bull", "refunds")
_FEW: Final = 50
_OF_FEW: Final = f"of {_FEW}"
_UNREAD: Final = "│   …"
"""A row that is not there yet."""
_KEYS: Final = ("j", "j", "pagedown", "G", "k", "pageup", "g", "j")


@asynccontextmanager
async def _press(stage: Stage, size: int) -> AsyncIterator[Ways]:
    await seed(stage.admin, size, items=0)
    await seed(stage.admin, _FEW, queue=_SHORT, items=0)
    opened = AsyncExitStack()
    drivers: list[Driver] = []

    def way(queue: QueueKey) -> Way:
        async def ready() -> None:
            await opened.aclose()
            shown = inspector(stage.server.url, refresh=0.0, queues=(queue.name,))
            drivers[:] = [await opened.enter_async_context(shown)]
            await drivers[0].sees("ECONNREFUSED")

        async def press() -> None:
            for key in _KEYS:
                await drivers[0].press(key)
                await drivers[0].until(lambda: _UNREAD not in drivers[0].text(), "the rows")

        return Way(go=press, ready=ready)

    async with opened:
        yield {OURS: way(CROWD), _OF_FEW: way(_SHORT)}


ROWS: Final = (
    Row(
        name="key",
        what="a key in a list of {size} jobs",
        sizes=(3_000, 30_000, 300_000),
        size=300_000,
        open=_press,
        per="key",
        times=len(_KEYS),
        at_least={_OF_FEW: 1 / 1.2},
    ),
)
