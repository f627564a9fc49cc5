"""Events on the screen, as they come: followed, frozen, filtered, and the way to their jobs."""

from __future__ import annotations

import asyncio

import pytest
import redis.asyncio
from bullmq import Queue

from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState
from qtui.bullmq.reads.events.feed import QueueEvent
from qtui.demo.server import EmbeddedServer
from qtui.ui.screens.events.list import EventList
from tests.servers import start, tcp_port
from tests.ui.driver import Driver, inspector
from tests.ui.stage import fill

PAYMENTS = "bull:payments:events"


async def emit(client: redis.asyncio.Redis, *ids: str, key: str = PAYMENTS, **fields: str) -> None:
    """Events as BullMQ writes them."""
    pipe = client.pipeline(transaction=True)
    for job_id in ids:
        pipe.xadd(key, {"event": "active", "jobId": job_id} | fields)  # type: ignore[arg-type]
    await pipe.execute()


async def open_events(driver: Driver, *, of_all: bool = False) -> EventList:
    """The list of events, read for the first time."""
    if of_all:
        driver.inspector.queues.focus()
    await driver.press("E")
    await driver.sees("Events in")
    await driver.until(lambda: " events" in driver.lines()[0], "the latest events")
    return driver.app.screen.query_one(EventList)


def rows(driver: Driver) -> list[str]:
    """The lines of the list."""
    return [line for line in driver.lines()[2:-2] if line[1:3].isdigit()]


def job_under_cursor(events: EventList) -> tuple[str, str]:
    """The name of the event under the cursor, and its job."""
    line = events.under_cursor
    assert line is not None
    assert isinstance(line.one, QueueEvent)
    return line.one.name, line.one.job_id


@pytest.mark.parametrize("size", [(80, 24), (120, 36), (200, 60)])
async def test_the_events_of_a_queue_with_names_and_reasons(
    redis_url: str, size: tuple[int, int]
) -> None:
    await fill(redis_url, "payments", 2)
    async with inspector(redis_url, size=size) as driver:
        await open_events(driver)
        assert driver.lines()[0].startswith(" Events in payments")
        assert " live" in driver.lines()[0]
        await driver.until(lambda: "charge" in driver.line_with(" active "), "the names of jobs")
        failed = driver.line_with(" failed ")
        assert "charge  connect ECONNREFUSED 10.0.0.7:5432" in failed
        assert "error" not in driver.text(), "nothing but the list while it runs along"
        await driver.press("j")
        await driver.sees("bull:payments")
        await driver.press("escape")
        assert "Events" not in driver.lines()[0]


@pytest.mark.slow
async def test_the_first_line_follows_and_any_other_stays(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    await fill(redis_url, "payments", 30)
    async with inspector(redis_url, size=(80, 24)) as driver:
        await open_events(driver)
        await emit(client, "new-1")
        await driver.until(lambda: "new-1" in rows(driver)[0], "the newest in the first line")
        await driver.press("j", "j", "j")
        before, place = rows(driver)[3], driver.lines().index(rows(driver)[3])
        await emit(client, *(f"more-{step}" for step in range(40)))
        await driver.sees("▲ 40 newer (g)")
        assert driver.lines()[place] == before, "it stays where it is on the screen"
        await driver.press("g")
        assert "more-39" in rows(driver)[0]
        await driver.sees(" live")


async def test_frozen_nothing_moves_and_what_comes_is_counted(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    await fill(redis_url, "payments", 3)
    async with inspector(redis_url) as driver:
        await open_events(driver)
        await driver.press("z")
        before = rows(driver)
        await emit(client, "a", "b", "c")
        await driver.sees("frozen · +3 · z resumes")
        assert rows(driver) == before
        await driver.press("z")
        assert " c " in rows(driver)[0]
        assert "z freeze" in driver.lines()[-1]


@pytest.mark.slow
async def test_a_filter_in_the_words_of_the_shell(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    await fill(redis_url, "payments", 3)
    async with inspector(redis_url) as driver:
        await open_events(driver)
        await driver.press("slash", *"name=failed id=2", "enter")
        await driver.until(lambda: len(rows(driver)) == 1, "the one that matches")
        assert "/ name=failed id=2" in driver.lines()[0]
        await emit(client, "2")
        await emit(client, "2", event="failed", failedReason="once more")
        await driver.sees("once more")
        assert len(rows(driver)) == 2
        await driver.press("slash", "ctrl+u", *"err:x", "enter")
        await driver.sees("^ ")
        await driver.press("escape")
        await driver.press("escape")
        await driver.until(lambda: len(rows(driver)) > 5, "all events again")
        assert "Events in payments" in driver.lines()[0]


@pytest.mark.slow
async def test_from_failure_to_failure_and_to_the_job_and_back(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    await fill(redis_url, "payments", 3)
    async with inspector(redis_url, size=(80, 24)) as driver:
        shown = await open_events(driver)
        await emit(client, "x", "y")
        await driver.until(lambda: " y " in rows(driver)[0], "the newest")
        for wanted in ("3", "2"):
            await driver.press("n")
            assert job_under_cursor(shown) == ("failed", wanted)
            await driver.sees("connect ECONNREFUSED")
        line = shown.under_cursor
        await driver.press("enter")
        await driver.until(lambda: driver.inspector.table.cursor_id == "2", "the job")
        assert driver.inspector.board.state is JobState.FAILED
        assert driver.inspector.board.queue == QueueKey.of("bull", "payments")
        await emit(client, *(f"while-away-{step}" for step in range(30)))
        await driver.press("E")
        again = driver.app.screen.query_one(EventList)
        await driver.sees(" newer (g)")
        assert again.under_cursor == line, "it is where it was left"
        await driver.press("n", "n", "n")
        await driver.sees("No failure below")


async def test_a_failure_in_the_first_line_is_kept_under_the_cursor(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    await fill(redis_url, "payments", 9)
    async with inspector(redis_url, size=(80, 24)) as driver:
        shown = await open_events(driver)
        await emit(client, "bad", event="failed", failedReason="no")
        await driver.until(lambda: " bad " in rows(driver)[0], "the failure")
        await driver.press("n")
        await emit(client, "after")
        await driver.sees("1 newer")
        assert job_under_cursor(shown) == ("failed", "bad")


@pytest.mark.slow
async def test_a_job_that_is_gone_says_so_and_an_event_without_a_job_too(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    await fill(redis_url, "payments", 1)
    async with inspector(redis_url) as driver:
        await open_events(driver)
        await client.delete("bull:payments:1")
        await client.delete("bull:payments:failed")
        await driver.press("n", "enter")
        await driver.sees("Job 1 in payments is gone.")
        await emit(client, "", event="paused")
        await driver.press("g")
        await driver.until(lambda: " paused " in rows(driver)[0], "the event of the queue")
        await driver.press("enter")
        await driver.sees("This event is about no job.")


async def test_all_queues_also_those_that_come_later(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    await fill(redis_url, "payments", 2)
    await fill(redis_url, "emails", 2)
    async with inspector(redis_url, refresh=0.2) as driver:
        await driver.sees("emails")
        await open_events(driver, of_all=True)
        assert driver.lines()[0].startswith(" Events in 2 queues")
        assert driver.line_with("  payments  ")
        assert driver.line_with("  emails  ")
        await emit(client, "of-emails", key="bull:emails:events")
        await driver.until(lambda: "emails" in rows(driver)[0], "an event of the other queue")
        late = Queue("late", {"connection": redis_url})
        await late.add("hello", {})
        await late.close()
        await driver.inspector.search_again()
        await driver.sees("Events in 3 queues")
        await driver.until(lambda: any("late" in row for row in rows(driver)), "its events")


async def test_those_of_the_marked_queues(redis_url: str, client: redis.asyncio.Redis) -> None:
    for name in ("payments", "emails", "reports"):
        await fill(redis_url, name, 1)
    async with inspector(redis_url) as driver:
        await driver.until(lambda: driver.inspector.queues.length == 3, "all queues")
        driver.inspector.queues.focus()
        await driver.press("space", "space")
        await open_events(driver, of_all=True)
        assert driver.lines()[0].startswith(" Events in 2 queues")
        shown = {row.split()[1] for row in rows(driver)}
        assert {one.name for one in driver.inspector.queues.marks} == shown


async def test_what_a_trim_dropped_is_said_in_its_place(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    await fill(redis_url, "payments", 1)
    async with inspector(redis_url) as driver:
        await open_events(driver)
        pipe = client.pipeline(transaction=True)
        for step in range(5):
            pipe.xadd(PAYMENTS, {"event": "active", "jobId": f"j{step}"})
        pipe.xtrim(PAYMENTS, maxlen=2, approximate=False)
        await pipe.execute()
        await driver.sees("earlier events are missing: the stream was trimmed")
        [first, second, third] = rows(driver)[:3]
        assert " j4 " in first
        assert " j3 " in second
        assert "▲" in third


@pytest.mark.slow
async def test_hostile_events_are_only_shown(redis_url: str, client: redis.asyncio.Redis) -> None:
    await fill(redis_url, "payments", 1)
    async with inspector(redis_url, size=(80, 24)) as driver:
        await open_events(driver)
        evil = "\x1b]0;x\x07[/red] \x9b2J\u202e"
        await emit(client, evil, event=evil, prev=evil, failedReason=evil, data="[" * 5000)
        await driver.until(lambda: "␛]0;x␇" in rows(driver)[0], "the event")
        await driver.press("j", "k", "z", "tab", "G")
        assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(driver.text())
        await driver.press("escape", "enter")
        await driver.sees("is gone")


async def test_read_only_with_no_more_than_reading(
    server: EmbeddedServer, client: redis.asyncio.Redis
) -> None:
    await fill(server.url, "payments", 1)
    await client.execute_command(
        *("ACL", "SETUSER", "watch", "on", ">pw", "resetkeys", "~bull:*", "-@all", "+@read")
    )
    async with inspector(
        server.url.replace("unix://", "unix://watch:pw@"), read_only=True, size=(80, 24)
    ) as driver:
        await open_events(driver)
        assert "READ-ONLY" in driver.lines()[0]
        await emit(client, "new")
        await driver.until(lambda: " new " in rows(driver)[0], "the new event")


async def test_a_queue_whose_events_are_forbidden_says_so(
    server: EmbeddedServer, client: redis.asyncio.Redis
) -> None:
    await fill(server.url, "payments", 1)
    async with inspector(server.url) as driver:
        await client.execute_command("ACL", "SETUSER", "default", "-xrevrange")
        await driver.press("E")
        await driver.sees("Redis refused the events of bull:payments.")
        await client.execute_command("ACL", "SETUSER", "default", "+@all")


@pytest.mark.slow
async def test_a_server_that_went_away_is_waited_for() -> None:
    with start("valkey", tcp=True) as first:
        port = tcp_port(first)
        url = f"redis://127.0.0.1:{port}/0"
        await fill(url, "payments", 1)
        async with inspector(url, refresh=0.2) as driver:
            await open_events(driver)
            before = rows(driver)
            await asyncio.to_thread(first.stop)
            await driver.sees("lost, reconnecting")
            assert rows(driver) == before, "what was read stays"
            await driver.press("n", "j", "z", "z")
            with start("valkey", ("--port", str(port), "--bind", "127.0.0.1")):
                await fill(url, "payments", 1)
                await driver.sees("Connected again.")
                await driver.until(lambda: "lost" not in driver.lines()[0], "the title")


async def test_without_refreshes_it_reads_on_ctrl_r(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    await fill(redis_url, "payments", 1)
    async with inspector(redis_url, refresh=0) as driver:
        await open_events(driver)
        await driver.sees("manual: ctrl+r")
        await emit(client, "new")
        await driver.press("ctrl+r")
        await driver.until(lambda: " new " in rows(driver)[0], "the new event")


async def test_one_connection_waits_for_all_and_none_when_it_is_closed(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    for name in ("payments", "emails", "reports"):
        await fill(redis_url, name, 1)
    async with inspector(redis_url) as driver:
        await open_events(driver, of_all=True)
        await emit(client, "x")
        await driver.until(lambda: " x " in rows(driver)[0], "the event")

        async def waiting() -> int:
            return sum("xread" in one["cmd"] for one in await client.client_list())

        assert await waiting() <= 1
        await driver.press("q")
        assert driver.inspector.poll.hearer is None
