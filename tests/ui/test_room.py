"""What has little room: columns, names of states and queues, and a value that is not loaded."""

from __future__ import annotations

import pytest
import redis.asyncio
from rich.cells import cell_len

from qtui.bullmq.keys import QueueKey
from qtui.views.columns import share
from tests.seeds import raw_failed, raw_list
from tests.ui.driver import Driver, inspector

PAYMENTS = QueueKey.of("bull", "payments")
UUID = "6f1c3f2e-0b1d-4d7a-9a51-1f6f0e7c{:04}"
ERROR = "connect ECONNREFUSED 10.0.0.7:5432"


def tabs(driver: Driver) -> str:
    """The line of the states."""
    return driver.line_with("1 failed").partition("│")[2]


@pytest.mark.parametrize(("size", "shown"), [((80, 24), 16), ((100, 36), 24), ((120, 36), 28)])
async def test_long_ids_leave_room_for_the_error(
    redis_url: str, client: redis.asyncio.Redis, size: tuple[int, int], shown: int
) -> None:
    ids = [UUID.format(place) for place in range(30)]
    await raw_failed(
        client,
        ids,
        PAYMENTS,
        change=lambda place: {"failedReason": ERROR, "name": "支払い処理" * 4},
    )
    async with inspector(redis_url, size=size) as driver:
        await driver.sees(ERROR[:12])
        row = driver.line_with("▌")
        assert ERROR[:shown] in row
        assert UUID[:8] in row
        assert "支払" in row
        assert all(cell_len(line) == size[0] for line in driver.lines())


@pytest.mark.slow
async def test_states_that_hold_jobs_are_named_and_do_not_jump(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    await raw_failed(client, [f"f{place}" for place in range(1200)], PAYMENTS)
    await raw_failed(client, [f"c{place}" for place in range(30)], PAYMENTS, state="completed")
    await raw_list(client, "wait", ["w1", "w2"], PAYMENTS)
    async with inspector(redis_url) as driver:
        await driver.sees("3 waiting 2")
        before = tabs(driver)
        assert " 1 failed 1,200" in before
        assert " 2 completed 30" in before
        for jobs in ([], ["w1"], [], ["w1", "w2", "w3"]):
            await client.delete("bull:payments:wait")
            if jobs:
                await client.rpush("bull:payments:wait", *jobs)
            await driver.press("f5")
            await driver.sees(f"3 waiting {len(jobs) or '·'}")
            found = tabs(driver)
            assert [found.index(f" {number}") for number in range(1, 9)] == [
                before.index(f" {number}") for number in range(1, 9)
            ]
        for width in (80, 100, 110, 160, 200):
            await driver.resize(width, 36)
            assert " 1 failed" in tabs(driver)
            assert " 3 waiting" in tabs(driver)


async def test_long_names_of_queues_keep_both_ends(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    for name in ("acme-production-notifications-emails", "acme-production-notifications-push"):
        await raw_failed(client, ["1"], QueueKey.of("bull", name))
    async with inspector(redis_url, size=(80, 24)) as driver:
        await driver.until(lambda: len(driver.inspector.poll.statuses) == 2, "the queues")
        assert "emails " in driver.line_with("acme-") or "ails " in driver.line_with("acme-")
        await driver.resize(200, 60)
        assert "acme-production-notifications-emails" in driver.text()


async def test_enter_on_the_title_of_a_large_value_loads_it(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    value = '{"blob": "' + "x" * 2_000_000 + '"}'
    await raw_failed(client, ["big"], PAYMENTS, change=lambda place: {"data": value})
    async with inspector(redis_url) as driver:
        await driver.press("enter")
        await driver.sees("not loaded: enter loads all")
        await driver.press("g")
        while "data" not in driver.line_with("▌"):
            await driver.press("right_square_bracket")
        await driver.press("enter")
        await driver.until(lambda: "not loaded" not in driver.text(), "the value")
        assert "blob" in driver.text()
        await driver.press("enter")
        assert "blob" not in driver.text(), "a title folds what is loaded"


@pytest.mark.parametrize("room", [0, 9, 17, 37, 63, 140])
def test_three_columns_share_a_line_by_worth(room: int) -> None:
    for needs in ((36, 6, 200), (4, 30, 8), (40, 40, 40), (3, 5, 0), (36, 36, 12)):
        ids, names = share(room, *needs)
        rest = room - ids - names
        assert ids <= needs[0]
        assert names <= needs[1]
        assert rest >= min(needs[2], room // 2)
        if sum(needs) <= room or rest > needs[2]:
            assert (ids, names) == needs[:2]


async def test_an_error_that_is_longer_than_the_line_is_shown_to_its_end(
    redis_url: str, client: redis.asyncio.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    await raw_failed(client, ["1"], PAYMENTS)
    monkeypatch.setenv("VISUAL", "/opt/" + "a-folder/" * 6 + "editor --wait")
    async with inspector(redis_url, size=(80, 24)) as driver:
        await driver.sees("boom")
        before = driver.lines()
        await driver.press("i", "e")
        await driver.sees("which is not")
        await driver.sees(" installed")
        assert all(cell_len(line) == 80 for line in driver.lines())
        assert len(driver.lines()) == 24
        assert "q quit" in driver.lines()[-1]
        await driver.press("space")
        await driver.until(lambda: "installed" not in driver.text(), "the end of the error")
        assert driver.lines()[6:-1] == before[6:-1]  # below the job, which is marked now
