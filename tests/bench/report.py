"""What was measured in lines: a row and its goals, how it grows, and the README's table."""

from __future__ import annotations

import datetime
import os
import re
import subprocess
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from qtui.text import count
from tests.bench.others import BULLMQ, board_release
from tests.bench.rounds import Took
from tests.bench.row import OURS, Row
from tests.servers import binary

_MARGIN: Final = " " * 10
_MEMORY_NOISE: Final = 16.0
"""MB."""


@dataclass(frozen=True)
class Measured:
    """A row at one size, a unit by each way."""

    row: Row
    size: int
    took: Mapping[str, Took]

    @property
    def ours(self) -> Took:
        """What our way took."""
        return self.took[OURS]

    @property
    def what(self) -> str:
        """The work in words."""
        return self.row.what.format(size=count(self.size))

    def shown(self, name: str) -> str:
        """What a way took: time, or units a second; CPU, where a go takes a fixed time."""
        if self.row.lasts:
            return f"{_time(self.took[name].cpu)} of CPU in {self.row.per}"
        if self.row.times is None:
            return f"{float(f'{1 / self.took[name].seconds:.3g}'):,.0f} {self.row.per}s/s"
        return _time(self.took[name].seconds)

    def ratio(self, name: str) -> float:
        """How many times as fast as another our way was, by the clock."""
        return self.took[name].seconds / self.ours.seconds

    def others(self) -> Iterator[str]:
        """The others' names."""
        return (name for name in self.took if name != OURS)

    def goals(self) -> Iterator[tuple[str, bool]]:
        """The goals in words, each with whether it is met."""
        row, ours = self.row, self.ours
        for name, goal in row.at_least.items():
            yield f">= {goal:.3g} x {name}", self.ratio(name) >= goal
        for words, most, took in (
            ("<= {}", row.at_most, ours.seconds),
            ("CPU here <= {}", row.here_at_most, ours.cpu),
            ("Redis <= {}", row.server_at_most, ours.server),
            ("longest command <= {}", row.longest_at_most, ours.longest / 1000),
        ):
            if most is not None:
                yield words.format(_time(most / 1000)), took * 1000 <= most
        if (most := row.commands_at_most) is not None:
            yield f"<= {most:g} commands", ours.commands <= most
        if (least := row.kept_at_least) is not None and ours.kept is not None:
            yield f"clients keep >= {least:.0%}", ours.kept >= least


def plain(one: Measured) -> Iterator[str]:
    """The lines of a row."""
    spread = "" if one.row.lasts else f" ± {one.ours.spread:.0%}"
    yield f"{one.row.name:<10}{one.what}: {one.shown(OURS)}{spread}"
    ours = one.ours
    for name in one.others():
        other = one.took[name]
        # Beside busy clients the server's CPU is theirs.
        beside = (
            f"{other.both / ours.both:.3g} x in CPU"
            if other.kept is None
            else f"{other.kept:.0%} kept"
        )
        yield (
            f"{_MARGIN}{name} {one.shown(name)} ± {other.spread:.0%}:"
            f" {one.ratio(name):.3g} x by the clock, {beside}"
        )
    if ours.kept is None:
        yield (
            f"{_MARGIN}a {one.row.per}: CPU here {_time(ours.cpu)}, Redis {_time(ours.server)},"
            f" {_number(ours.commands)} commands, {_octets(ours.octets)}"
        )
    else:
        yield f"{_MARGIN}a {one.row.per}: CPU here {_time(ours.cpu)}; clients keep {ours.kept:.0%}"
    yield (
        f"{_MARGIN}longest command {ours.longest:.1f} ms; memory {ours.memory:,.0f} MB here,"
        f" {ours.left:+,.1f} MB in Redis"
    )
    if goals := [f"{words} {'ok' if met else 'MISSED'}" for words, met in one.goals()]:
        yield f"{_MARGIN}goals: {', '.join(goals)}"


@dataclass(frozen=True)
class _Curve:
    """One of `COSTS` at each size."""

    name: str
    of: Callable[[Took], float]
    words: Callable[[float], str]
    most: float
    """How many times as much it may become."""
    least: float
    """Of a whole go; what is below is noise."""


def _curves() -> Iterator[_Curve]:
    # The clock counts what others do on the machine, too.
    yield _Curve("clock", lambda took: took.seconds, _time, 3.0, 0.05)
    yield _Curve("CPU here", lambda took: took.cpu, _time, 1.5, 0.02)
    yield _Curve("Redis", lambda took: took.server, _time, 1.5, 0.005)
    yield _Curve("commands", lambda took: took.commands, _number, 1.2, 20)
    yield _Curve("bytes", lambda took: took.octets, _octets, 1.2, 20_000)


def grown(ones: Sequence[Measured]) -> list[str]:
    """What of our way grows from the first or the second size to the last, and should not.

    A unit takes the same of any size; what may grow grows no more than the size, all in all.
    """
    may = ones[0].row.grows
    found = [
        curve.name
        for curve in _curves()
        if (all if curve.name in may else any)(
            _grows(curve, before, ones[-1]) for before in ones[:-1]
        )
    ]
    first, last = ones[0].ours.memory, ones[-1].ours.memory
    if "memory" not in may and last > 1.5 * first + _MEMORY_NOISE:
        found.append("memory")
    return found


def _grows(curve: _Curve, before: Measured, after: Measured) -> bool:
    more = after.size / before.size if curve.name in after.row.grows else 1
    was, now = curve.of(before.ours), curve.of(after.ours)
    return now * after.row.units(after.size) > curve.least and now > curve.most * was * more


def growth(ones: Sequence[Measured]) -> Iterator[str]:
    """The curves of a row, from the smallest size to the largest, and what grows."""
    row = ones[0].row
    sizes = " -> ".join(count(one.size) for one in ones)
    found = grown(ones)
    yield f"{row.name:<10}growth {sizes}: {'GROWS: ' if found else 'flat ok'}{', '.join(found)}"

    def line(name: str, what: str, values: Iterable[str]) -> str:
        may = " (may grow)" if name in row.grows else ""
        return f"{_MARGIN}{what} {' -> '.join(values)}{may}"

    for curve in _curves():
        values = (curve.words(curve.of(one.ours)) for one in ones)
        yield line(curve.name, f"{curve.name} a {row.per}", values)
    yield line("memory", "memory", (f"{one.ours.memory:,.0f} MB" for one in ones))


def markdown(ones: Sequence[Measured]) -> Iterator[str]:
    """The README's table, below the date and the machine."""
    sentence = f"Measured on {datetime.date.today().isoformat()} on {_machine()}:"
    yield textwrap.fill(sentence, 100, break_on_hyphens=False)
    yield ""
    yield "| work | qtui | the others |"
    yield "|---|---|---|"
    for one in ones:
        others = ", ".join(f"{name} {one.shown(name)}" for name in one.others())
        yield f"| {one.what} | {one.shown(OURS)} | {others} |"


def _machine() -> str:
    found = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text("utf-8"))
    model = found[1] if found else "an unknown processor"
    asked = subprocess.run(
        [binary("redis"), "--version"], capture_output=True, text=True, check=True
    )
    release = re.search(r"v=([\d.]+)", asked.stdout)
    server = release[1] if release else "unknown"
    return (
        f"{os.cpu_count()} cores ({model}) with Redis {server}, beside BullMQ {BULLMQ} and"
        f" bull-board {board_release()}"
    )


def _time(seconds: float) -> str:
    for unit, factor in (("s", 1.0), ("ms", 1e3)):
        if seconds * factor >= 1:
            return f"{seconds * factor:,.3g} {unit}"
    return f"{seconds * 1e6:,.3g} µs"


def _octets(octets: float) -> str:
    return f"{octets / 1000:,.3g} kB" if octets >= 1000 else f"{octets:,.0f} bytes"


def _number(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"
