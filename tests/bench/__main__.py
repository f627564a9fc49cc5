"""What qtui takes beside the others, all in one run: `python -m tests.bench`, or `--only NAME`.

Prints a line for each row: what qtui took and what the others took (medians of rounds in turn), the
ratios, and whether the goals are met; with ``--growth`` also the same for some work and 10 and 100
times as much. The real others are installed from npm by the first run.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from qtui.text import count
from tests.bench.rounds import Took, in_turn
from tests.bench.row import OURS, Row, Stage
from tests.bench.rows import ROWS
from tests.servers import connect, start

_ROUNDS: Final = 5
_QUICK: Final = 1


@dataclass(frozen=True)
class Measured:
    """A row at one size."""

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
        """What a way took, in ms or things a second."""
        seconds = self.took[name].seconds
        if self.row.per:
            return f"{self.size / seconds:,.0f} {self.row.per}/s"
        return f"{seconds * 1000:,.1f} ms" if seconds < 1 else f"{seconds:,.2f} s"

    def ratio(self, name: str) -> float:
        """How many times as fast as another our way was."""
        return self.took[name].seconds / self.ours.seconds

    def beside(self) -> str:
        """The others, and the ratios."""
        return " · ".join(
            f"{name} {self.shown(name)} ({self.ratio(name):.3g} x)"
            for name in self.took
            if name != OURS
        )

    def goals(self) -> Iterator[tuple[str, bool]]:
        """The goals in words, each with whether it is met; none but at the size of the table."""
        if self.size != self.row.size:
            return
        for name, goal in self.row.at_least.items():
            yield f">= {goal:g} x {name}", self.ratio(name) >= goal
        if (most := self.row.at_most) is not None:
            yield f"<= {most:g} ms", self.ours.seconds * 1000 <= most
        if (most := self.row.here_at_most) is not None:
            yield f"CPU here <= {most:g} ms", self.ours.here * 1000 <= most
        if (most := self.row.server_at_most) is not None:
            yield f"Redis <= {most:g} ms", self.ours.server * 1000 <= most
        if (most := self.row.commands_at_most) is not None:
            yield f"<= {most:g} commands", self.ours.commands <= most

    def costs(self) -> str:
        """What our way took beside time."""
        ours = self.ours
        return (
            f"CPU here {ours.here * 1000:,.1f} ms, Redis {ours.server * 1000:,.1f} ms,"
            f" longest command <= {ours.longest:.1f} ms, {ours.commands:,.0f} commands,"
            f" {ours.octets / 1000:,.0f} kB"
        )


async def measure(row: Row, size: int, rounds: int) -> Measured:
    """Measures a row on a server of its own."""
    with start("redis") as server:
        async with connect(server) as admin:
            stage = Stage(server, admin)

            async def before() -> None:
                if row.before is not None:
                    await row.before(stage, size)

            async with row.open(stage, size) as ways:
                return Measured(row, size, await in_turn(admin, ways, rounds, before))


def _plain(one: Measured) -> str:
    goals = ", ".join(f"{words} {'ok' if met else 'MISSED'}" for words, met in one.goals())
    return f"{one.what:<44} {one.shown(OURS):>12}   {one.beside()}\n{'':<44} {one.costs()}" + (
        f"\n{'':<44} {goals}" if goals else ""
    )


def _markdown(one: Measured) -> str:
    goals = ", ".join(words if met else f"**{words}**" for words, met in one.goals())
    return f"| {one.what} | {one.shown(OURS)} | {one.beside()} | {goals} |"


async def run(options: argparse.Namespace) -> None:
    """Measures the rows that are asked for, and prints each as it is done."""
    rounds = _QUICK if options.quick else _ROUNDS
    if options.markdown:
        today = datetime.date.today().isoformat()
        print(f"Measured on {today} on a machine with {os.cpu_count()} cores, Redis beside qtui:\n")
        print(
            "| work | qtui | the others (qtui's speed) | goal (bold: missed) |\n|---|---|---|---|"
        )
    for row in ROWS:
        if options.only and row.name not in options.only:
            continue
        for size in row.sizes if options.growth else (row.size,):
            one = await measure(row, size, rounds)
            print(_markdown(one) if options.markdown else _plain(one), flush=True)


def main() -> None:
    """Reads the options and runs."""
    names = [row.name for row in ROWS]
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round each")
    parser.add_argument("--only", action="append", choices=names, help="these rows (repeatable)")
    parser.add_argument("--growth", action="store_true", help="1, 10 and 100 times the work")
    parser.add_argument("--markdown", action="store_true", help="as a table for the README")
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
