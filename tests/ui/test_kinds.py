"""The inspector on every kind of server: the same queues, on the same screens."""

from __future__ import annotations

import pytest

from tests.bullmq.topologies import Topologies
from tests.kinds import NAMES, fill
from tests.ui.driver import inspector


@pytest.mark.parametrize("name", Topologies.KINDS)
async def test_the_screens_show_every_kind_of_server(topologies: Topologies, name: str) -> None:
    topology = topologies.get(name)
    fill(topology)
    async with inspector(topology.url) as driver:
        await driver.until(lambda: all(one in driver.text() for one in NAMES), "all queues")
        await driver.sees("failed 4")
        await driver.sees("no worker")
        assert (" cluster" in driver.lines()[0]) == name.startswith("cluster")
        await driver.press("tab", "enter")
        await driver.sees("connect ECONNREFUSED 10.0.0.7:5432")
        await driver.press("escape", "f")
        await driver.sees("bull:{d}")
        await driver.press("escape", "e")
        await driver.sees("connect ECONNREFUSED <address>")
        await driver.press("escape", "3")
        await driver.sees("w0")
        await driver.press("1", "R")
        await driver.sees("y retry 4 jobs")
        await driver.press("y")
        await driver.sees("✔ waiting")
        await driver.press("L")
        await driver.sees("all 4 jobs")
    with topology.writer() as writer:
        assert writer.zcard("bull:{d}:failed") == 0
        assert writer.llen("bull:{d}:wait") == 6


@pytest.mark.slow
@pytest.mark.parametrize("name", Topologies.KINDS)
async def test_events_and_a_search_of_all_queues_on_every_kind_of_server(
    topologies: Topologies, name: str
) -> None:
    topology = topologies.get(name)
    fill(topology)
    async with inspector(topology.url, read_only=True, refresh=0.2) as driver:
        await driver.until(lambda: all(one in driver.text() for one in NAMES), "all queues")
        driver.inspector.queues.focus()
        await driver.press("E")
        await driver.sees("Events in 4 queues")
        with topology.writer() as writer:
            event = {"event": "failed", "jobId": "new-1", "failedReason": "just now"}
            writer.xadd("bull:{d}:events", event)  # type: ignore[arg-type]
        await driver.sees("just now")
        await driver.press("q")
        await driver.press("F", *"w0", "enter")
        await driver.sees("4 jobs found in 4 queues")
        await driver.press("enter")
        await driver.sees("Job w0 is waiting in ")


@pytest.mark.slow
@pytest.mark.parametrize("name", Topologies.KINDS)
async def test_workers_and_the_doctor_of_all_queues_on_every_kind(
    topologies: Topologies, name: str
) -> None:
    topology = topologies.get(name)
    fill(topology)
    with topology.writer() as writer:
        writer.delete("bull:{d}:w0")  # it waits, and its job is gone
    async with inspector(topology.url, read_only=True) as driver:
        await driver.until(lambda: all(one in driver.text() for one in NAMES), "all queues")
        driver.inspector.queues.focus()
        await driver.press("w")
        await driver.sees("none seen")
        await driver.press("escape", "exclamation_mark")
        await driver.sees(" id is in a state, but the job is gone")
        await driver.until(lambda: "x stop" not in driver.lines()[-1], "the end")
        assert "stopped" not in driver.lines()[0]
        assert "1 fault" in driver.lines()[0]


@pytest.mark.parametrize("size", [(80, 24), (120, 36), (200, 60)])
async def test_the_screen_says_where_queues_are_if_not_here(
    topologies: Topologies, size: tuple[int, int]
) -> None:
    topology = topologies.get("standalone")
    fill(topology)
    async with inspector(topology.url.replace("/0", "/4"), size=size) as driver:
        await driver.sees("No queues under bull:*")
        words = " ".join(driver.text().replace("│", " ").split())
        assert "Queues elsewhere: 4 queues under bull:* in database 0 (redis://…/0)." in words
        assert "Postgres, which qtui does not read." in words
