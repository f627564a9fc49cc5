"""The flow of a job on the screen: its tree, the plan of a rerun, and what becomes of one."""

from __future__ import annotations

from pathlib import Path

import pytest
import redis.asyncio

from qtui.bullmq.filter import parse_filter
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState
from qtui.operations.journal.reading import campaigns
from qtui.ui.widgets.document import DocumentView
from qtui.ui.widgets.flow_tree import FlowTree
from tests.ui.driver import Driver, inspector
from tests.ui.flows import QUEUES, REPORT, add, failed_report, large_flow, node, workers
from tests.ui.stage import fill

SIZES = [(80, 24), (200, 60)]


async def digest(client: redis.asyncio.Redis) -> object:
    return await client.execute_command("DEBUG", "DIGEST")


async def go_to(driver: Driver, job_id: str, queue: str, state: JobState) -> None:
    """Goes to a job in the list."""
    driver.inspector.lists.go(QueueKey.of("bull", queue), state, parse_filter(f"id={job_id}"))
    await driver.until(lambda: driver.inspector.table.cursor_id == job_id, f"job {job_id}")


async def open_flow(driver: Driver, job_id: str, queue: str) -> None:
    """Goes to a failed job, and to its flow."""
    await go_to(driver, job_id, queue, JobState.FAILED)
    await driver.press("f")
    await driver.sees("Flow of ")


def ids_in_order(driver: Driver, *ids: str) -> list[str]:
    """Those of the ids that are in the tree, from top to bottom."""
    found = []
    for line in driver.lines()[2:]:
        if line.startswith("──"):
            break
        words = line.replace("▌", " ").replace("●", " ").split()
        found += [word for word in words[:4] if word in ids][:1]
    return found


@pytest.mark.parametrize("size", SIZES)
async def test_the_tree_shows_every_job_in_its_place(
    redis_url: str, client: redis.asyncio.Redis, size: tuple[int, int]
) -> None:
    await failed_report(redis_url, client)
    async with inspector(redis_url, size=size) as driver:
        await open_flow(driver, "bad-1", "render")
        await driver.sees("─ ok")
        assert "Flow of bull:reports:report" in driver.lines()[0]
        names = ("report", "totals", "bad-1", "bad-2", "ok", "odd")
        assert sorted(ids_in_order(driver, *names)) == sorted(names)
        assert ids_in_order(driver, "report", "totals", "bad-1", "ok") == [
            "report",
            "totals",
            "bad-1",
            "ok",
        ]
        assert driver.line_with("─ bad-1").startswith("▌● ")
        assert "failed" in driver.line_with("─ bad-1")
        assert "invoices" in driver.line_with("─ totals")
        assert "if it fails, its parent fails too (failParentOnFailure)" in driver.text()
        assert all(sign.isprintable() for line in driver.lines() for sign in line)
        assert "[/red]␛[31m" in driver.text()
        await driver.press("escape")
        assert driver.app.screen is driver.inspector


@pytest.mark.parametrize("size", SIZES)
async def test_the_job_under_the_cursor_is_shown_whole(
    redis_url: str, client: redis.asyncio.Redis, size: tuple[int, int]
) -> None:
    await failed_report(redis_url, client)
    await client.hset("bull:render:bad-1", "data", '{"page": 7, "note": "[/red]\x1b[31m\u202e"}')
    async with inspector(redis_url, size=size) as driver:
        await open_flow(driver, "bad-1", "render")
        await driver.sees("─ error ─")
        await driver.sees('"page": 7')
        assert driver.line_with("─ error ─").rstrip().endswith("attempts 1 of 1 ─")
        assert "connect ECONNREFUSED [/red]␛[31m" in driver.text()
        assert all(sign.isprintable() for line in driver.lines() for sign in line)
        await driver.press("tab", "j")
        assert isinstance(driver.app.focused, DocumentView)
        assert driver.line_with("─ bad-1").startswith("▌● ")  # the tree's cursor stays
        await driver.press("escape")
        await driver.until(lambda: isinstance(driver.app.focused, FlowTree), "the tree")
        await driver.press("g")
        await driver.sees("bull:reports:report · report")
        await driver.until(lambda: '"page": 7' not in driver.text(), "the other job")
        assert driver.app.screen is not driver.inspector


@pytest.mark.slow
async def test_a_job_of_a_flow_that_waits_says_why(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    await add(redis_url, REPORT)
    async with inspector(redis_url, size=(120, 36)) as driver:
        await driver.sees("render")
        await go_to(driver, "totals", "invoices", JobState.WAITING_CHILDREN)
        await driver.press("f")
        await driver.sees("Flow of ")
        await driver.sees("─ why ─")
        await driver.sees("waits for 3 children: bull:render:")
        async with workers(QUEUES, redis_url):
            await driver.until(lambda: "─ why ─" not in driver.text(), "it has completed")
            await driver.sees("─ return value ─")


async def test_a_low_screen_shows_the_error_alone(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    await failed_report(redis_url, client)
    async with inspector(redis_url, size=(80, 16)) as driver:
        await open_flow(driver, "bad-1", "render")
        await driver.sees("─ bad-1")
        assert driver.text().count("connect ECONNREFUSED") >= 1
        assert "─ error ─" not in driver.text()


async def test_enter_opens_the_job_in_its_queue(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    await failed_report(redis_url, client)
    async with inspector(redis_url) as driver:
        await open_flow(driver, "bad-1", "render")
        await driver.press("g", "enter")
        await driver.until(lambda: driver.inspector.table.cursor_id == "report", "the root")
        assert driver.inspector.board.queue == QueueKey.of("bull", "reports")
        await driver.press("f")
        await driver.sees("Flow of bull:reports:report")
        assert driver.line_with(" reports ").startswith("▌●")


async def test_a_job_of_a_queue_that_is_not_shown_is_not_opened(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    await failed_report(redis_url, client)
    async with inspector(redis_url, queues=("render",)) as driver:
        await open_flow(driver, "bad-1", "render")
        await driver.press("g", "enter")
        await driver.sees("bull:reports is not one of the queues shown.")
        await driver.sees("Flow of bull:reports:report")


async def test_the_question_is_visible_on_a_low_screen(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    await failed_report(redis_url, client)
    async with inspector(redis_url, size=(80, 13)) as driver:
        await open_flow(driver, "bad-1", "render")
        await driver.press("r")
        await driver.sees("2 failed jobs run again")
        await driver.sees("y rerun 4 jobs")


async def test_a_job_deep_down_is_visible(redis_url: str) -> None:
    chain = node("d30", "render")
    for depth in range(29, -1, -1):
        chain = node(f"d{depth}", "render", chain)
    await add(redis_url, chain)
    async with inspector(redis_url, size=(80, 24)) as driver:
        await go_to(driver, "d30", "render", JobState.WAITING)
        await driver.press("f")
        await driver.sees("31 jobs read")
        await driver.sees("─ d30 ")
        assert driver.line_with("─ d30 ").startswith("▌● …")
        assert "waiting" in driver.line_with("─ d30 ")
        assert "waits for 1 child" in driver.line_with("─ d29 ")


async def test_a_job_without_a_flow_says_so(redis_url: str) -> None:
    [job_id] = await fill(redis_url, "payments", 1)
    async with inspector(redis_url) as driver:
        await driver.sees("failed 1")
        await driver.press("f")
        await driver.sees(f"job {job_id} is in no flow")
        assert driver.app.screen is driver.inspector


@pytest.mark.slow
async def test_ten_thousand_children_open_at_once_and_load_as_one_scrolls(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    await large_flow(client, 10_000)
    async with inspector(redis_url, size=(80, 24)) as driver:
        await open_flow(driver, "17", "render")
        await driver.sees("101 jobs read")
        assert driver.line_with("● ").startswith("▌● ├─ 17 ")
        await driver.press("G")
        await driver.sees("201 jobs read")
        assert "─ 99 " in driver.text() or "─ 100 " in driver.text()
        await driver.press("G")
        await driver.sees("301 jobs read")
        await driver.press("ctrl+r")
        await driver.settle()
        await driver.sees("301 jobs read")


@pytest.mark.parametrize("size", SIZES)
async def test_a_rerun_from_failure_is_planned_followed_and_written_down(
    redis_url: str, client: redis.asyncio.Redis, size: tuple[int, int], tmp_path: Path
) -> None:
    await failed_report(redis_url, client)
    async with inspector(redis_url, size=size, journal=tmp_path / "journal") as driver:
        await open_flow(driver, "bad-1", "render")
        await driver.press("r")
        await driver.sees("2 failed jobs run again, then 2 ancestors after their children")
        assert driver.text().count("→ runs first") == 2
        assert "jobs have used up their attempts" in driver.text()
        await driver.press("m")
        await driver.sees("[x] m reset attempts made")
        assert "have used up" not in driver.text()
        await driver.press("y")
        await driver.sees("rerun: 0 of 4 completed")
        assert "✔ waiting" in driver.line_with("─ bad-1")
        assert "✔ waits for 2 children" in driver.line_with(" reports ")
        async with workers(QUEUES, redis_url):
            await driver.sees("rerun: 4 of 4 completed")
        assert "✔ completed" in driver.line_with(" reports ")
        assert "completed" in driver.line_with("─ odd")
        await driver.press("ctrl+r")
        assert "4 of 4 completed" in driver.text()
        await driver.press("escape")
        assert driver.app.screen is driver.inspector
    [campaign] = campaigns(tmp_path / "journal")
    assert (campaign.phase, campaign.jobs) == ("done", 4)
    assert campaign.header.flow == {"root": "bull:reports:report", "start": "failure"}
    assert await client.hlen("bull:reports:report:processed") == 2


async def test_tab_plans_from_the_start_and_a_refusal_has_its_reason(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    await failed_report(redis_url, client)
    async with inspector(redis_url) as driver:
        await open_flow(driver, "bad-1", "render")
        await driver.press("r")
        await driver.sees("(•) failed jobs only")
        await driver.press("tab")
        await driver.sees("(•) all jobs")
        await driver.sees("y rerun 6 jobs")
        await driver.press("y")
        await driver.sees("rerun: 0 of 6 completed")
        await driver.press("ctrl+r", "r", "tab")
        await driver.sees("The flow is still running (4 waiting)")
        before = await digest(client)
        await driver.press("y")
        assert "all jobs" in driver.text()
        assert await digest(client) == before
        await driver.press("escape")


async def test_when_nothing_failed_there_is_nothing_to_rerun(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    await add(redis_url, REPORT)
    async with inspector(redis_url) as driver:
        await go_to(driver, "report", "reports", JobState.WAITING_CHILDREN)
        await driver.press("f")
        await driver.sees("waits for 2 children")
        await driver.press("r")
        await driver.sees("No failed job to rerun.")


async def test_read_only_prints_and_writes_nothing(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    await failed_report(redis_url, client)
    before = await digest(client)
    async with inspector(redis_url, read_only=True) as driver:
        await open_flow(driver, "bad-1", "render")
        assert "r rerun" not in driver.lines()[-1]
        await driver.press("r")
        await driver.sees("Dry run: rerun the flow of bull:reports:report")
        await driver.sees("READ-ONLY: this is a dry run")
        await driver.press("y")
        await driver.press("escape")
        await driver.sees("bad-2")
    assert await digest(client) == before


@pytest.mark.slow
async def test_without_a_journal_nothing_is_sent(
    redis_url: str, client: redis.asyncio.Redis, tmp_path: Path
) -> None:
    await failed_report(redis_url, client)
    (tmp_path / "journal").write_text("no folder")
    before = await digest(client)
    async with inspector(redis_url, journal=tmp_path / "journal") as driver:
        await open_flow(driver, "bad-1", "render")
        await driver.press("r")
        await driver.sees("y rerun 4 jobs")
        await driver.press("y")
        await driver.sees("nothing was rerun: the journal can't be written")
    assert await digest(client) == before


@pytest.mark.slow
async def test_leaving_the_flow_ends_its_journal(
    redis_url: str, client: redis.asyncio.Redis, tmp_path: Path
) -> None:
    await failed_report(redis_url, client)
    async with inspector(redis_url, journal=tmp_path / "journal") as driver:
        await open_flow(driver, "bad-1", "render")
        await driver.press("r")
        await driver.sees("y rerun 4 jobs")
        await driver.press("y")
        await driver.sees("0 of 4 completed")
        await driver.press("escape")
        assert driver.app.screen is driver.inspector
        [campaign] = campaigns(tmp_path / "journal")
        assert (campaign.phase, campaign.running) == ("done", False)
        await driver.press("L")
        await driver.sees("flow of 4 jobs")
        await driver.sees("rerun: failed jobs only")


@pytest.mark.slow
async def test_a_plain_retry_of_a_child_offers_the_flow(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    await failed_report(redis_url, client)
    async with inspector(redis_url) as driver:
        await open_flow(driver, "bad-1", "render")
        await driver.press("escape")
        await driver.press("r")
        await driver.sees("which stays failed even if they complete")
        await driver.sees("To rerun a flow: esc, then f on a job of it, such as bad-1, then r.")
        await driver.press("escape")
