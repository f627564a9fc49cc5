"""How long a throttled walk pauses after each step: by what other clients need of the server."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final, cast

from redis.exceptions import ResponseError

from qtui.bullmq.ask import ask_one
from qtui.bullmq.connection.again import Single
from qtui.bullmq.connection.client import Client

BUSY: Final = 5.0
"""Pause on a busy server, as a multiple of the step's duration: the walk takes a sixth of its time.

Clients beside it keep nine tenths of their rate, as measured, and never less than three quarters:
the bench holds that (row ``busy``).
"""

IDLE: Final = 2.0
"""The same on an idle server: the walk takes a third of its time at most."""

_BUSY_FROM: Final = 0.2
"""Share of the time for which others keep the server busy, from which it counts as busy: a client
that waits for each reply and then works a while leaves most of its time idle."""

_LONGEST: Final = 5.0
"""Seconds of a pause at most: a step that took long as the server hung says nothing of its load."""

_LOOK: Final = 0.005
"""Seconds for which the server is watched at least."""

_APART: Final = 0.1
"""Seconds between two looks."""


class Pauses:
    """The pauses of one walk.

    What others take of the server is seen while the walk pauses: the CPU time that it uses.
    Until then, on a cluster, and where INFO is refused, the server counts as busy.

    Costs two INFO of one section every 0.1 s.
    """

    def __init__(self, client: Client) -> None:
        self._client = client if isinstance(client, Single) else None
        self._others: float | None = None
        """Share of the time for which others kept the server busy, by the latest looks; None if
        that is unknown."""
        self._next_look = 0.0

    def after(self, took: float) -> float:
        """Returns the seconds to pause after a step that took ``took`` seconds."""
        share = 1.0 if self._others is None else min(1.0, self._others / _BUSY_FROM)
        return min(_LONGEST, took * (IDLE + (BUSY - IDLE) * share))

    async def rest(self, seconds: float) -> None:
        """Pauses, and looks at the server meanwhile if that is due.

        Raises:
            redis.exceptions.ConnectionError, TimeoutError: the server did not answer.
        """
        loop = asyncio.get_running_loop()
        if seconds <= 0 or self._client is None or loop.time() < self._next_look:
            await asyncio.sleep(max(0.0, seconds))
            return
        before, begin = await self._used(), loop.time()
        await asyncio.sleep(max(seconds, _LOOK))
        used = await self._used() - before
        share = used / (loop.time() - begin)
        self._next_look = loop.time() + _APART
        if self._client is None or used < 0:  # less than before: another server has taken over
            self._others = None
        elif self._others is None:
            self._others = share
        else:  # busy at once, and idle only after some looks, as load comes in bursts
            self._others = max(share, (self._others + share) / 2)

    async def _used(self) -> float:
        """Seconds of CPU that the server has used; 0 if it does not say."""
        if self._client is None:
            return 0.0
        try:
            info = cast("Mapping[str, float]", await ask_one(self._client, "INFO", "cpu"))
            # That of the main thread alone is counted in ticks, of 4 ms on many systems.
            return info["used_cpu_user"] + info["used_cpu_sys"]
        except (ResponseError, KeyError):
            self._client = None
            return 0.0
