"""Does the work of all ways in turn, and measures each by the clock, in CPU time, and in Redis."""

from __future__ import annotations

import asyncio
import cProfile
import math
import pstats
import resource
import statistics
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final

import redis.asyncio

from tests.bench.processes import megabytes
from tests.bench.row import OURS, Row, Stage, Way, Ways, Went
from tests.bench.rows import ROWS
from tests.servers import connect, start

_WARM: Final = 0.5
"""Seconds of work after which a way is warm: what is compiled at all is compiled by then."""

_ROUND: Final = 0.1
"""Seconds that a way works in each round, in as many goes as that takes."""

_MOST_GOES: Final = 10

_NOTED_US: Final = 500
"""Commands below that are not distinguished: to log them all would cost what is measured."""

_QUESTIONS: Final = (b"INFO", b"CONFIG", b"SLOWLOG")
_RESET: Final = Path("/proc/self/clear_refs")


@dataclass(frozen=True, kw_only=True)
class Took:
    """What the work took once, or the median of several times."""

    seconds: float
    cpu: float
    """Seconds of CPU of the process that did the work."""
    server: float
    """Seconds of the server's CPU."""
    octets: float
    """Bytes that the server received and sent."""
    commands: float
    """Commands that it carried out, those of scripts included."""
    longest: float
    """ms of the longest command; of several times the least, as the clock also counts waiting for a
    core."""
    memory: float
    """MB that the process had at most; of this one what it had more than before all work."""
    left: float
    """MB that the server holds more than before."""
    kept: float | None
    """Share of their speed that others kept meanwhile."""
    spread: float = 0.0
    """Of several times: half of what lies between the fastest and the slowest, as a share."""

    @property
    def both(self) -> float:
        """Seconds of CPU of both ends, which are the same however busy the machine is."""
        return self.cpu + self.server


@dataclass(frozen=True, kw_only=True)
class _Server:
    """What a server has spent so far."""

    cpu: float = 0.0
    octets: float = 0.0
    commands: float = 0.0
    memory: float = 0.0

    def __sub__(self, other: _Server) -> _Server:
        """What it has spent since."""
        return _Server(
            cpu=self.cpu - other.cpu,
            octets=self.octets - other.octets,
            commands=self.commands - other.commands,
            memory=self.memory - other.memory,
        )


class Gauge:
    """Measures goes on one server; see `open`."""

    def __init__(self, admin: redis.asyncio.Redis) -> None:
        self._admin = admin
        self._before = megabytes("VmRSS")
        self._questions = _Server()

    @classmethod
    async def open(cls, admin: redis.asyncio.Redis) -> Gauge:
        """One that knows what its own questions take, and leaves that out."""
        gauge = cls(admin)
        empty = [await gauge.took(Way(go=_nothing), 1) for _ in range(5)]
        gauge._questions = _Server(
            cpu=statistics.median(one.server for one in empty),
            octets=statistics.median(one.octets for one in empty),
            commands=statistics.median(one.commands for one in empty),
        )
        return gauge

    async def took(self, way: Way, units: int) -> Took:
        """What each unit of a go takes."""
        await _ready(way)
        await self._admin.config_set("slowlog-log-slower-than", _NOTED_US)
        await self._admin.slowlog_reset()
        before, children = await self._server(), _children()
        _RESET.write_text("5", "ascii")  # the most memory is that of from now on
        cpu, begin = time.process_time(), time.perf_counter()
        went = await way.go() or Went()
        seconds, cpu = time.perf_counter() - begin, time.process_time() - cpu
        cpu += _children() - children
        peak = megabytes("VmHWM") - self._before
        server = await self._server() - before - self._questions
        done = units * way.share
        return Took(
            seconds=(seconds if went.seconds is None else went.seconds) / done,
            cpu=(cpu if went.cpu is None else went.cpu) / done,
            server=max(0.0, server.cpu) / done,
            octets=max(0.0, server.octets) / done,
            commands=server.commands / done,
            longest=await self._longest(),
            memory=peak if went.peak is None else went.peak,
            left=server.memory,
            kept=went.kept,
        )

    async def _server(self) -> _Server:
        info = await self._admin.info("cpu", "stats", "memory", "commandstats")
        return _Server(
            cpu=info["used_cpu_user"] + info["used_cpu_sys"],
            octets=info["total_net_input_bytes"] + info["total_net_output_bytes"],
            commands=sum(v["calls"] for name, v in info.items() if name.startswith("cmdstat_")),
            memory=info["used_memory"] / 1e6,
        )

    async def _longest(self) -> float:
        slow = [
            entry["duration"] / 1000
            for entry in await self._admin.slowlog_get(1000)
            if not entry["command"].startswith(_QUESTIONS)
        ]
        return max(slow, default=_NOTED_US / 1000)


def measured(name: str, size: int, rounds: int, alone: bool) -> dict[str, Took]:
    """What a unit of a row took by each way, or by ours alone; for a process of its own."""
    return asyncio.run(_measure(_row(name), size, rounds, alone))


async def _measure(row: Row, size: int, rounds: int, alone: bool) -> dict[str, Took]:
    async with _stage() as stage, row.open(stage, size) as ways:
        asked = {OURS: ways[OURS]} if alone else ways
        return await _in_turn(await Gauge.open(stage.admin), row, size, asked, rounds)


def _row(name: str) -> Row:
    return next(row for row in ROWS if row.name == name)


@asynccontextmanager
async def _stage() -> AsyncIterator[Stage]:
    with start("redis") as server:
        async with connect(server, socket_timeout=120) as admin:
            yield Stage(server=server, admin=admin)


async def _in_turn(gauge: Gauge, row: Row, size: int, ways: Ways, rounds: int) -> dict[str, Took]:
    """Lets each way work until it is warm, then all in turn; returns medians by way."""
    goes = {name: 1 if row.lasts else await _warm(way) for name, way in ways.items()}
    taken: dict[str, list[Took]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            taken[name] += [await gauge.took(way, row.units(size)) for _ in range(goes[name])]
    return {name: _median(every) for name, every in taken.items()}


async def _warm(way: Way) -> int:
    """Lets a way work until it is warm; returns how many goes of it make a round."""
    worked = 0.0
    while True:
        await _ready(way)
        begin = time.perf_counter()
        await way.go()
        took = time.perf_counter() - begin
        worked += took
        if worked >= _WARM:
            return max(1, min(_MOST_GOES, math.ceil(_ROUND / took)))


def _median(every: Sequence[Took]) -> Took:
    def of(name: str) -> float:
        return float(statistics.median(getattr(one, name) for one in every))

    names = {one.name for one in fields(Took)} - {"longest", "kept", "spread"}
    times = [one.seconds for one in every]
    kept = [one.kept for one in every if one.kept is not None]
    return Took(
        **{name: of(name) for name in names},
        longest=min(one.longest for one in every),
        kept=statistics.median(kept) if kept else None,
        spread=(max(times) - min(times)) / 2 / statistics.median(times),
    )


async def profile(row: Row, size: int) -> None:
    """Prints where this process spends its time in one go of our way."""
    profiler = cProfile.Profile()
    async with _stage() as stage, row.open(stage, size) as ways:
        await _warm(ways[OURS])
        await _ready(ways[OURS])
        profiler.enable()
        await ways[OURS].go()
        profiler.disable()
    pstats.Stats(profiler).sort_stats("tottime").print_stats(45)


async def _ready(way: Way) -> None:
    if way.ready is not None:
        await way.ready()


async def _nothing() -> None:
    pass


def _children() -> float:
    """Seconds of CPU of the processes that this one has begun and waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
