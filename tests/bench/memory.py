"""The most memory that a process had which did one thing, for processes of their own."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from qtui.bullmq.connection.client import Client, connect, parse_target
from qtui.bullmq.filter import parse_filter
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState
from qtui.bullmq.search.hunt import Hunt
from qtui.views.errors.groups import GROUP_FIELDS, ErrorGroups, group_errors
from qtui.views.lists.found_list import FoundList

_QUEUE: Final = QueueKey.of("bull", "payments")
_STATUS: Final = Path("/proc/self/status")


async def nothing(client: Client) -> None:
    """Only a connection."""
    await client.ping()


async def find_all(client: Client) -> None:
    """A list of all that a filter finds, one job in ten."""
    found = FoundList(client, _QUEUE, JobState.FAILED, parse_filter("error:timeout"), rate=0)
    async for _ in found.search():
        pass
    await found.load(0, 49)


async def group_all(client: Client) -> None:
    """The error groups of a whole state."""
    hunt = Hunt(client, _QUEUE, JobState.FAILED, fields=GROUP_FIELDS, rate=0, ahead=True)
    async for _ in group_errors(hunt, _QUEUE, ErrorGroups()):
        pass


async def find_payloads(client: Client) -> None:
    """A filter that reads the payloads, and matches all."""
    found = FoundList(client, _QUEUE, JobState.FAILED, parse_filter("data:ord_"), rate=0)
    async for _ in found.search():
        pass


WORK: Final[dict[str, Callable[[Client], Awaitable[None]]]] = {
    "imports and a connection": nothing,
    "a filter that one in ten matches": find_all,
    "error groups": group_all,
    "a filter on payloads that all match": find_payloads,
}


def peak_mb(work: Callable[[Client], Awaitable[None]], url: str) -> float:
    """MB that this process has had at most, once the work is done.

    Not ru_maxrss, which begins with what the parent had.
    """

    async def run() -> None:
        client = connect(parse_target(url), read_only=True)
        try:
            await work(client)
        finally:
            await client.aclose()

    asyncio.run(run())
    peak = re.search(r"VmHWM:\s+(\d+)", _STATUS.read_text("ascii"))
    assert peak is not None
    return int(peak[1]) / 1024
