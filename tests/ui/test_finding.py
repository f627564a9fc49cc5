"""The filter line and the search: typing, what the screen shows, what continues by itself."""

from __future__ import annotations

import pytest
import redis.asyncio

from qtui.bullmq.keys import QueueKey
from qtui.demo.server import EmbeddedServer
from qtui.ui.inspector.list_pane import HUNT
from qtui.ui.widgets.filter_line import pointer
from qtui.ui.widgets.typed_line import TypedLine
from qtui.views.lists.found_list import FoundList
from tests.seeds import raw_failed
from tests.servers import connect
from tests.ui.driver import Driver, inspector
from tests.ui.stage import fill

BIG = QueueKey.of("bull", "big")
CRAWL = 500.0
"""Jobs a second with which a search of `many` takes longer than a test waits."""

ERRORS = ("connect ECONNREFUSED 10.0.0.7:5432", "Timeout of 5000ms exceeded")


def by_turns(place: int) -> str:
    return ERRORS[place % 2]


async def many(client: redis.asyncio.Redis, jobs: int = 20_000) -> list[str]:
    """A queue whose search takes its time; every other job failed with a time-out."""
    return await raw_failed(
        client,
        [f"j{place}" for place in range(jobs)],
        BIG,
        change=lambda place: {"failedReason": by_turns(place)},
    )


async def look_for(driver: Driver, words: str) -> None:
    """Types a filter and enters it; a search may continue."""
    driver.inspector.table.focus()
    driver.app.simulate_key("slash")
    await driver.until(lambda: driver.inspector.finder.is_open, "the line")
    line = driver.inspector.query_one(TypedLine)
    line.value = ""
    for key in words:
        driver.app.simulate_key(key)
    await driver.until(lambda: line.value == words, "what was typed")
    driver.app.simulate_key("enter")
    await driver.until(lambda: not driver.inspector.is_busy("rows"), "the rows")


def found(driver: Driver) -> FoundList:
    """The list shown, which is one of finds."""
    jobs = driver.inspector.board.found
    assert jobs is not None
    return jobs


async def test_a_filter_shows_what_matches_and_escape_drops_it(redis_url: str) -> None:
    ids = await fill(redis_url, "payments", 6, error=by_turns)
    async with inspector(redis_url) as driver:
        await driver.sees("failed 6")
        await look_for(driver, "error:timeout")
        await driver.sees("3 of 6 match")
        assert "/ error:timeout" in driver.line_with("3 of 6 match")
        for place in (1, 3, 5):
            assert "Timeout" in driver.row(ids[place])
        assert f" {ids[0]} " not in "".join(driver.lines()[4:16])
        await driver.press("escape")
        assert "match" not in driver.text()
        assert "ECONNREFUSED" in driver.row(ids[0])


@pytest.mark.parametrize(
    ("size", "typed"),
    [
        ((80, 24), "attempts>=x"),
        ((80, 24), 'error:"日本日本日本" age<1q'),
        ((80, 24), "foo | "),
        ((80, 24), f'error:"{"long " * 12}" age<1q'),
        ((80, 24), f'error:"{"long " * 12}" age<1q and what comes after it, much of it'),
        ((200, 60), f'error:"{"long " * 12}" age<1q'),
    ],
)
async def test_a_mistake_is_pointed_at_where_it_is(
    redis_url: str, size: tuple[int, int], typed: str
) -> None:
    await fill(redis_url, "payments", 1)
    async with inspector(redis_url, size=size) as driver:
        await look_for(driver, typed)
        await driver.sees("expected")
        line, said = driver.lines()[-2:]
        cells = "".join(one + "\0" * (one in "日本") for one in line)
        at = said.index("^")
        wanted = {"attempts>=x": "x", "foo | ": " "}.get(typed, "1")
        assert cells[at] == wanted
        assert "age<1q" not in typed or cells[at - 4 : at + 2] == "age<1q"
        assert driver.inspector.finder.is_open
        await driver.press("escape")
        assert not driver.inspector.finder.is_open
        assert "^" not in driver.lines()[-2]


def test_words_about_a_mistake_are_where_there_is_room() -> None:
    assert pointer(4, "what", 80) == "    ^ what"
    assert pointer(70, "x" * 20, 80) == " " * 49 + "x" * 20 + " ^"
    assert pointer(30, "x" * 60, 80) == " " + "x" * 60
    assert pointer(10, "x" * 68, 80).index("^") == 10


async def test_an_empty_line_shows_all_again(redis_url: str) -> None:
    await fill(redis_url, "payments", 4, error=by_turns)
    async with inspector(redis_url) as driver:
        await look_for(driver, "timeout")
        await driver.sees("no matches")
        await look_for(driver, "")
        assert driver.inspector.board.filter is None
        assert "match" not in driver.text()


async def test_the_line_remembers_what_was_entered(redis_url: str) -> None:
    await fill(redis_url, "payments", 2)
    async with inspector(redis_url) as driver:
        await look_for(driver, "error:one")
        await look_for(driver, "error:two")
        await driver.press("slash")
        assert driver.lines()[-2].strip() == "error:two"
        await driver.press("up", "up")
        assert driver.lines()[-2].strip() == "error:one"
        await driver.press("down")
        assert driver.lines()[-2].strip() == "error:two"
        await driver.press("escape")
        assert "error:two" in driver.line_with("match")


@pytest.mark.slow
async def test_progress_grows_and_escape_stops_before_it_drops(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    await many(client)
    async with inspector(redis_url, scan_rate=CRAWL) as driver:
        await driver.sees("20,000")
        await look_for(driver, "error:timeout")
        await driver.until(lambda: found(driver).total >= 100, "the first finds")
        await driver.sees("of 20,000")
        assert "Timeout" in driver.row("j19999")
        before = found(driver).found
        await driver.until(lambda: found(driver).found > before, "more finds")
        driver.app.simulate_key("escape")
        await driver.sees("stopped: ")
        await driver.until(lambda: not driver.inspector.is_busy(HUNT), "the end of the search")
        stopped = found(driver).found
        assert 0 < stopped < 10_000
        assert f"stopped: {stopped:,} matches · searched " in driver.text()
        await driver.press("j")
        assert found(driver).found == stopped
        assert not found(driver).finished
        await driver.press("escape")
        assert driver.inspector.board.filter is None
        assert "stopped" not in driver.text()


@pytest.mark.slow
async def test_a_search_that_was_stopped_begins_anew_by_hand(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    await many(client, 1000)
    async with inspector(redis_url, scan_rate=CRAWL) as driver:
        await driver.sees("1,000")
        await look_for(driver, "error:timeout")
        await driver.until(lambda: found(driver).total, "the first finds")
        driver.app.simulate_key("escape")
        await driver.sees("ctrl+r searches again")
        driver.app.simulate_key("ctrl+r")
        await driver.sees("500 of 1,000 match")
        assert "stopped" not in driver.text()


@pytest.mark.slow
async def test_another_state_or_filter_ends_the_search_before(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    await many(client)
    async with inspector(redis_url, scan_rate=CRAWL) as driver:
        await driver.sees("20,000")
        await look_for(driver, "error:timeout")
        await driver.until(lambda: found(driver).total, "the first finds")
        first = found(driver)
        driver.app.simulate_key("3")
        await driver.sees("0 of 0 match")
        await driver.until(lambda: not first.searching, "the end of the search")
        assert "error:timeout" in driver.line_with("match")
        await driver.press("1")
        await look_for(driver, "id=j7")
        await driver.sees("1 of 20,000 match")
        assert "Timeout" in driver.row("j7")
        assert not first.finished


async def test_a_filter_goes_with_its_queue(redis_url: str) -> None:
    await fill(redis_url, "payments", 3)
    await fill(redis_url, "emails", 2)
    async with inspector(redis_url) as driver:
        await driver.sees("failed 3")
        await look_for(driver, "error:nothing")
        await driver.sees("0 of 3 match")
        driver.inspector.queues.focus()
        await driver.press("j")
        await driver.sees("failed 2")
        assert driver.inspector.board.filter is None
        assert "match" not in driver.text()


@pytest.mark.slow
async def test_failures_after_the_search_come_in_on_top_and_the_cursor_stays(
    redis_url: str,
) -> None:
    ids = await fill(redis_url, "payments", 4, error=by_turns)
    async with inspector(redis_url, refresh=0.5) as driver:
        await look_for(driver, "error:timeout")
        await driver.sees("2 of 4 match")
        await driver.press("j")
        assert driver.inspector.table.cursor_id == ids[1]
        new = await fill(redis_url, "payments", 4, error=by_turns, name="newcomer")
        await driver.sees("4 of 8 match")
        assert "newcomer" in driver.row(new[3])
        assert driver.inspector.table.cursor_id == ids[1]
        assert driver.line_with("▌").split()[1] == ids[1]


@pytest.mark.slow
async def test_failures_during_the_search_come_in_when_it_is_done(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    await many(client, 1500)
    async with inspector(redis_url, scan_rate=CRAWL, refresh=0.0) as driver:
        await driver.sees("1,500")
        await look_for(driver, "error:timeout")
        await driver.until(lambda: found(driver).total, "the first finds")
        await raw_failed(client, ["late"], BIG, change=lambda _: {"failedReason": ERRORS[1]})
        await client.zadd(BIG.key("failed"), {"late": 1_800_000_000_000})
        assert found(driver).searching
        await driver.sees("751 of 1,50")
        assert "Timeout" in driver.row("late")


@pytest.mark.slow
async def test_the_first_failure_of_an_empty_state_is_found(redis_url: str) -> None:
    await fill(redis_url, "payments", 1)
    async with inspector(redis_url, refresh=0.5) as driver:
        await driver.sees("failed 1")
        await driver.press("r")
        await driver.sees("y retry 1 job")
        await driver.press("y")
        await driver.sees("✔ waiting")
        await driver.press("ctrl+r")
        await look_for(driver, "error:timeout")
        await driver.sees("no matches")
        await fill(redis_url, "payments", 2, error=lambda _: ERRORS[1])
        await driver.sees("Timeout of 5000ms")
        assert "no matches" not in driver.text()


async def test_a_job_that_others_took_stays_and_is_seen_to_have_left(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    ids = await fill(redis_url, "payments", 3)
    async with inspector(redis_url, refresh=0.0) as driver:
        await look_for(driver, "error:ECONN")
        await driver.sees("3 of 3 match")
        await client.zrem("bull:payments:failed", ids[1])
        await client.lpush("bull:payments:wait", ids[1])
        driver.inspector.list.refresh()
        await driver.until(lambda: found(driver).has_left(ids[1]), "what is said of the job")
        assert driver.row(ids[1])
        assert [found(driver).place(one) for one in ids] == [2, 1, 0]


@pytest.mark.slow
async def test_frozen_nothing_comes_in_and_thawed_the_place_is_kept(redis_url: str) -> None:
    ids = await fill(redis_url, "payments", 4)
    async with inspector(redis_url, refresh=0.5) as driver:
        await look_for(driver, "error:ECONN")
        await driver.sees("4 of 4 match")
        await driver.press("j", "z")
        await driver.sees("frozen")
        await fill(redis_url, "payments", 1, name="newcomer")
        await driver.sees("failed 5")
        assert "newcomer" not in driver.text()
        await driver.press("z")
        await driver.sees("newcomer")
        assert "frozen" not in driver.text()
        assert driver.inspector.table.cursor_id == ids[2]
        assert "5 of 5 match" in driver.text()


@pytest.mark.slow
async def test_the_oldest_can_come_first(redis_url: str) -> None:
    ids = await fill(redis_url, "payments", 5)
    async with inspector(redis_url) as driver:
        await look_for(driver, "error:ECONN")
        await driver.sees("5 of 5 match")
        await driver.press("o")
        await driver.sees("oldest first")
        await driver.sees("5 of 5 match")
        assert driver.inspector.table.cursor_id == ids[0]


@pytest.mark.slow
async def test_states_without_scores_are_searched(redis_url: str) -> None:
    await fill(redis_url, "payments", 12, name="charge")
    async with inspector(redis_url) as driver:
        await driver.press("a")
        await driver.press("r")
        await driver.sees("y retry 12 jobs")
        await driver.press("y")
        await driver.sees("✔ waiting")
        await driver.press("3")
        await look_for(driver, "name=charge")
        await driver.sees("12 of 12 match")
        await look_for(driver, "!charge")
        await driver.sees("no matches")
        await driver.press("plus")
        await driver.sees("0 matches marked")


async def test_n_waits_for_the_next_match(redis_url: str, client: redis.asyncio.Redis) -> None:
    rare = {"j990", "j10"}
    await raw_failed(
        client,
        [f"j{place}" for place in range(1000)],
        BIG,
        change=lambda place: {"failedReason": "rare"} if f"j{place}" in rare else {},
    )
    async with inspector(redis_url, scan_rate=CRAWL) as driver:
        await driver.sees("1,000")
        await look_for(driver, "error:rare")
        await driver.until(lambda: found(driver).total == 1, "the first find")
        assert driver.inspector.table.cursor_id == "j990"
        driver.app.simulate_key("n")
        await driver.sees("Still searching; the cursor moves to the next match once it is found")
        await driver.until(lambda: driver.inspector.table.cursor_id == "j10", "the next match")
        await driver.sees("2 of 1,000 match")
        await driver.press("n")
        await driver.sees("This is the last match.")
        await driver.press("escape", "n")
        await driver.sees("Set a filter first (press /)")


@pytest.mark.slow
async def test_a_pattern_that_runs_away_is_stopped_and_said(redis_url: str) -> None:
    await fill(redis_url, "payments", 2, error=lambda _: "a" * 60 + "!")
    async with inspector(redis_url) as driver:
        await look_for(driver, "error:re:(a|aa)+$")
        await driver.sees("Search stopped: ")
        assert "Internal error" not in driver.text()
        assert "no matches so far" in driver.text()
        await driver.press("escape")
        await driver.sees("failed 2")


@pytest.mark.slow
async def test_a_connection_that_is_cut_keeps_what_was_found_and_continues(
    server: EmbeddedServer,
) -> None:
    async with connect(server) as client:
        await many(client)
        async with inspector(server.url, scan_rate=CRAWL) as driver:
            await driver.sees("20,000")
            await look_for(driver, "error:timeout")
            await driver.until(lambda: found(driver).total >= 50, "the first finds")
            before = found(driver).found
            await client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            await driver.until(lambda: found(driver).found > before + 300, "more finds")
            assert "Timeout" in driver.row("j19999")
            assert len(set(found(driver).ids(9999))) == found(driver).total
            assert "Internal error" not in driver.text()


async def test_what_is_typed_in_one_go_with_the_slash_acts_on_no_job(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    await fill(redis_url, "payments", 2)
    async with inspector(redis_url) as driver:
        await driver.sees("failed 2")
        await driver.press("slash", *"retry all")
        assert driver.inspector.finder.is_open
        assert driver.app.screen is driver.inspector
        assert not len(driver.inspector.board.marks)
        assert driver.inspector.query_one(TypedLine).value == "retry all"
        assert await client.llen("bull:payments:wait") == 0


async def test_a_hostile_filter_and_hostile_jobs_do_no_harm(redis_url: str) -> None:
    hostile = "\x1b]0;evil\x07 [red]x[/red] \u202e"
    await fill(redis_url, "payments", 2, name=hostile, error=lambda _: hostile)
    async with inspector(redis_url) as driver:
        await look_for(driver, "error:'[red]x[/red]'")
        await driver.sees("2 of 2 match")
        assert "[red]x[/red]" in driver.line_with("2 of 2 match")
        assert "\x1b" not in driver.text()
        assert "\u202e" not in driver.text()
