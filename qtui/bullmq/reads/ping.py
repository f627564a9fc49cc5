"""Measures the server's latency. Reads no keys."""

from __future__ import annotations

import time

from qtui.bullmq.ask import ask_one
from qtui.bullmq.connection.client import Client


async def ping(client: Client) -> float:
    """Returns the time of one round trip, in seconds. Costs a PING.

    Raises:
        redis.exceptions.ConnectionError, TimeoutError: the server did not answer.
        redis.exceptions.ResponseError: it refused the command.
    """
    start = time.perf_counter()
    await ask_one(client, "PING")
    return time.perf_counter() - start
