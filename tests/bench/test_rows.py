"""The bench in small: each row runs, and a unit of more work costs as much: counts, no clocks."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import fields, replace

import pytest

from qtui.text import count
from tests.bench import report
from tests.bench.report import Measured
from tests.bench.rounds import Gauge, Took
from tests.bench.row import OURS, Row, Stage, Way, Ways, Went
from tests.bench.rows import ROWS
from tests.calls import counted_calls
from tests.servers import connect, start
from tests.test_readme import README

_MORE = 4
"""How many times as much work costs no more a unit."""

_MARGIN = 1.2
_NOISE = {"commands": 30, "bytes": 10_000, "CPU here": 1_000}
"""What a go may take more at another time: it reads in more steps, or proves a connection."""
_LIVE = 10
"""How many times as much that is of a program that looks again as time passes."""


@asynccontextmanager
async def stage_of(row: Row, size: int) -> AsyncIterator[tuple[Gauge, Ways]]:
    """A row that is open in small."""
    with start("redis") as server:
        async with connect(server) as admin:
            stage = Stage(server=server, admin=admin, brief=True)
            async with row.open(stage, size) as ways:
                yield await Gauge.open(admin), ways


async def cost(gauge: Gauge, units: int, way: Way) -> dict[str, float]:
    """What a unit costs, once it is warm; CPU in calls of Python, if this process does the work."""
    calls = 0

    async def go() -> Went | None:
        nonlocal calls
        with counted_calls() as counted:
            went = await way.go()
        calls = 0 if went else counted.count
        return went

    await gauge.took(way, units)
    once = await gauge.took(replace(way, go=go), units)
    return {"commands": once.commands, "bytes": once.octets, "CPU here": calls / units}


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
async def test_a_row_runs_in_every_way_and_a_unit_of_more_work_costs_as_much(row: Row) -> None:
    size = row.sizes[0]
    async with stage_of(row, size) as (gauge, ways):
        few = await cost(gauge, row.units(size), ways[OURS])
        every = {name: await gauge.took(way, row.units(size)) for name, way in ways.items()}
    assert every.keys() >= {OURS, *row.at_least}
    lines = "\n".join(report.plain(Measured(row, size, every)))
    assert all(name in lines for name in every if name != OURS)
    if len(row.sizes) > 1:
        units = row.units(_MORE * size)
        async with stage_of(row, _MORE * size) as (gauge, ways):
            many = await cost(gauge, units, ways[OURS])
        live = 1 if few["CPU here"] else _LIVE
        for name, before in few.items():
            more = _MORE if name in row.grows else 1
            at_most = _MARGIN * before * more + live * _NOISE[name] / units
            assert many[name] <= at_most, f"{name} of a {row.per}: {before:,.2f}, {many[name]:,.2f}"


def test_sizes_are_some_work_and_ten_and_a_hundred_times_as_much() -> None:
    for row in ROWS:
        assert row.size in row.sizes
        assert [size // row.sizes[0] for size in row.sizes] == [1, 10, 100][: len(row.sizes)]
    assert len({row.name for row in ROWS}) == len(ROWS)


def took(**costs: float) -> Took:
    """What a unit took; nothing, but for what is named."""
    nothing = {one.name: 0.0 for one in fields(Took)}
    return Took(**nothing | {"seconds": 0.1} | costs)


def curve(row: Row, **costs: Sequence[float]) -> list[Measured]:
    """A row at its sizes."""
    each = zip(*costs.values(), strict=True)
    ones = (took(**dict(zip(costs, values, strict=True))) for values in each)
    return [Measured(row, size, {OURS: one}) for size, one in zip(row.sizes, ones, strict=True)]


def test_what_grows_is_named_unless_it_may_and_no_more_than_the_size() -> None:
    flat = next(row for row in ROWS if row.name == "first")
    queues = next(row for row in ROWS if row.name == "queues")
    assert report.grown(curve(flat, commands=(100, 110, 105), octets=(9e4, 8e4, 9e4))) == []
    assert report.grown(curve(flat, commands=(100, 100, 1000), cpu=(1, 1, 2))) == [
        *("CPU here", "commands")
    ]
    assert report.grown(curve(flat, memory=(10, 11, 60))) == ["memory"]
    assert report.grown(curve(queues, commands=(100, 1000, 10_000), cpu=(1, 10, 100))) == []
    assert report.grown(curve(queues, commands=(100, 1000, 100_000), cpu=(1, 10, 1))) == [
        "commands"
    ]


def test_the_table_for_the_readme_has_ten_lines_below_date_and_machine() -> None:
    ones = [Measured(row, row.size, {OURS: took()}) for row in ROWS if row.readme]
    lines = list(report.markdown(ones))
    assert sum(line.startswith("|") for line in lines) <= 10
    assert re.search(
        r"Measured on \d{4}-\d\d-\d\d on \d+ cores \(.+\) with Redis \d", " ".join(lines)
    )


def test_the_readme_shows_the_rows_that_are_for_it() -> None:
    _, _, rest = README.read_text("utf-8").partition("<!-- bench:")
    shown, _, _ = rest.partition("<!-- end of bench -->")
    works = re.findall(r"^\| (.+?) \| \d", shown, re.MULTILINE)
    assert works == [row.what.format(size=count(row.size)) for row in ROWS if row.readme]
