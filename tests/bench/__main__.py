"""What qtui takes beside the others, all in one run: `python -m tests.bench`, or `--only NAME`.

Prints some lines for each row: what qtui took and what the others took (medians of rounds in turn),
the ratios, and whether the goals are met; with ``--growth`` also what qtui takes of some work and
of 10 and 100 times as much, and what of it grows that should not. Progress goes to stderr. The real
others are installed from npm by the first run. It reads `/proc`, and so runs on Linux.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Final

from tests.bench import report
from tests.bench.report import Measured
from tests.bench.rounds import measured, profile
from tests.bench.row import Row
from tests.bench.rows import ROWS

_ROUNDS: Final = 5
_QUICK: Final = 1


class Bench:
    """Measures rows, each in a process of its own: none inherits the memory of those before."""

    def __init__(self, rounds: int, goes: int) -> None:
        self._rounds = rounds
        self._goes = goes
        self._done = 0
        self._begin = time.monotonic()

    def measure(self, row: Row, size: int, *, alone: bool = False) -> Measured:
        """A row at one size, by all ways or by ours alone."""
        self._done += 1
        passed = time.monotonic() - self._begin
        where = f"[{self._done}/{self._goes}, {passed:.0f} s] {row.name}, {size:,}"
        print(where, file=sys.stderr, flush=True)
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
            took = process.submit(measured, row.name, size, self._rounds, alone).result()
        return Measured(row, size, took)

    def grown(self, one: Measured) -> list[Measured]:
        """The row at all its sizes, of which one is measured already."""
        row = one.row
        return [
            one if size == one.size else self.measure(row, size, alone=True) for size in row.sizes
        ]


def run(rows: Sequence[Row], *, rounds: int, growth: bool, markdown: bool) -> None:
    """Measures rows, and prints each as it is done; the README's table at the end."""
    bench = Bench(rounds, sum(len(row.sizes) if growth else 1 for row in rows))
    done = []
    for row in rows:
        one = bench.measure(row, row.size)
        done.append(one)
        if not markdown:
            print("\n".join(report.plain(one)), flush=True)
        if growth and len(row.sizes) > 1:
            print("\n".join(report.growth(bench.grown(one))), flush=True)
    if markdown:
        print("\n".join(report.markdown(done)))


def main() -> None:
    """Reads the options and runs."""
    names = [row.name for row in ROWS]
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round each")
    parser.add_argument("--only", action="append", choices=names, help="this row (repeatable)")
    parser.add_argument("--growth", action="store_true", help="also 1, 10 and 100 times the work")
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--markdown", action="store_true", help="the table of the README")
    kind.add_argument("--profile", action="store_true", help="where qtui's process spends its time")
    options = parser.parse_args()
    only = options.only or [row.name for row in ROWS if row.readme or not options.markdown]
    rows = [row for row in ROWS if row.name in only]
    if options.profile:
        for row in rows:
            asyncio.run(profile(row, row.size))
        return
    rounds = _QUICK if options.quick else _ROUNDS
    run(rows, rounds=rounds, growth=options.growth, markdown=options.markdown)


if __name__ == "__main__":
    main()
