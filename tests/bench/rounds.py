"""Does the work of all ways in turn, and measures each by the clock, in CPU time, and in Redis."""

from __future__ import annotations

import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import redis.asyncio

from tests.bench.row import Way, Ways


@dataclass(frozen=True, kw_only=True)
class Took:
    """What the work took once, or the median of several times."""

    seconds: float
    here: float
    """Seconds of this process's CPU."""
    server: float
    """Seconds of the server's CPU."""
    octets: float
    """Bytes that the server received and sent."""
    commands: float
    """Commands that it carried out, those of scripts included."""
    longest: float
    """ms of the longest command; of several times the least, as the clock also counts waiting for a
    core."""


async def in_turn(
    admin: redis.asyncio.Redis, ways: Ways, rounds: int, before: Callable[[], Awaitable[None]]
) -> dict[str, Took]:
    """Does the work once in each way to warm up, then all ways in turn; returns medians by way.

    Calls ``before`` in front of each, and does not measure it.
    """
    for way in ways.values():
        await before()
        await way()
    taken: dict[str, list[Took]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            await before()
            taken[name].append(await _once(admin, way))
    return {name: _median(every) for name, every in taken.items()}


async def _once(admin: redis.asyncio.Redis, way: Way) -> Took:
    # Only the longest matter, and a log of all commands would cost what is measured.
    await admin.config_set("slowlog-log-slower-than", 500)
    await admin.slowlog_reset()
    before = await admin.info("everything")
    own, begin = time.process_time(), time.perf_counter()
    seconds = await way()
    took, cpu = time.perf_counter() - begin, time.process_time() - own
    after = await admin.info("everything")
    slow = await admin.slowlog_get(100)
    return Took(
        seconds=took if seconds is None else seconds,
        here=cpu,
        server=_sum(after, "used_cpu_user", "used_cpu_sys")
        - _sum(before, "used_cpu_user", "used_cpu_sys"),
        octets=_sum(after, "total_net_input_bytes", "total_net_output_bytes")
        - _sum(before, "total_net_input_bytes", "total_net_output_bytes"),
        commands=_calls(after) - _calls(before),
        longest=max((entry["duration"] / 1000 for entry in slow), default=0.5),
    )


def _sum(info: dict[str, Any], *names: str) -> float:
    return sum(float(info[name]) for name in names)


def _calls(info: dict[str, Any]) -> float:
    return float(sum(v["calls"] for name, v in info.items() if name.startswith("cmdstat_")))


def _median(every: Sequence[Took]) -> Took:
    def of(name: str) -> float:
        return float(statistics.median(getattr(one, name) for one in every))

    return Took(
        seconds=of("seconds"),
        here=of("here"),
        server=of("server"),
        octets=of("octets"),
        commands=of("commands"),
        longest=min(one.longest for one in every),
    )
