"""What a bench reads its numbers from: the longest commands, CPU time; and how it prints them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

import redis.asyncio

LIMIT_MS: Final = 2.0
"""What no single command is to take."""

_NOTED_US: Final = 1000
_READS: Final = ("sort_ro", "zrevrange", "zrange", "hmget", "get")


@dataclass
class Report:
    """The lines, printed as they come."""

    missed: list[str] = field(default_factory=list)

    def line(self, what: str, measured: str, target: str = "", met: bool | None = None) -> None:
        """Prints one; ``met`` is None where there is no target."""
        verdict = "" if met is None else "ok" if met else "MISSED"
        print(f"{what:<52}{measured:>42}  {target:<12}{verdict}", flush=True)
        if met is False:
            self.missed.append(what)

    def longest(self, what: str, rounds: list[Longest], *, has_target: bool = True) -> None:
        """A line about the longest command.

        The clock runs on while the server waits for a processor, which is why the round with the
        least counts: what a command itself takes it takes in every round.
        """
        best = min(rounds, key=lambda one: one.ms)
        longest = f"{best.ms:.1f}" if best.ms > _NOTED_US / 1000 else f"<= {_NOTED_US / 1000:.0f}"
        measured = f"{longest} ms ({best.over} of {best.calls:,} over 2; half <= {best.median:.1f})"
        if has_target:
            self.line(what, measured, f"<= {LIMIT_MS:.0f} ms", best.ms <= LIMIT_MS)
        else:
            self.line(what, measured)


@dataclass(frozen=True)
class Longest:
    """What commands that read took by the server's clock, in ms."""

    ms: float
    """The longest; those up to 1 ms are not distinguished."""
    over: int
    """How many took over `LIMIT_MS`."""
    calls: int
    median: float
    """Of the kind of command that takes longest."""


async def watched(admin: redis.asyncio.Redis, work: Callable[[], Awaitable[object]]) -> Longest:
    """What the longest command took while it worked."""
    await admin.config_set("slowlog-log-slower-than", _NOTED_US)
    await admin.slowlog_reset()
    await admin.config_resetstat()
    await work()
    counted = await admin.info("commandstats")
    calls = sum(counted.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in _READS)
    spread = await admin.info("latencystats")
    usual = [spread.get(f"latency_percentiles_usec_{name}", {"p50": 0.0}) for name in _READS]
    noted = [
        entry["duration"] / 1000
        for entry in await admin.slowlog_get(10_000)
        if entry["command"].split()[0].lower().decode() in _READS
    ]
    await admin.config_set("slowlog-log-slower-than", -1)
    return Longest(
        max(noted, default=_NOTED_US / 1000),
        sum(ms > LIMIT_MS for ms in noted),
        calls,
        max(float(one["p50"]) for one in usual) / 1000,
    )


async def server_cpu(admin: redis.asyncio.Redis) -> float:
    """Seconds of CPU that the server has had."""
    cpu = await admin.info("cpu")
    return float(cpu["used_cpu_user"]) + float(cpu["used_cpu_sys"])
