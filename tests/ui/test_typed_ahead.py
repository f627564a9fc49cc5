"""Keys that come before what they are for."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import redis.asyncio
from textual.command import CommandList

from qtui.bullmq.connection.client import identify, open_client, parse_target
from qtui.bullmq.keys import QueueKey
from qtui.commands.inspector.session import make_session
from qtui.settings import Settings
from qtui.ui.app import QtuiApp
from qtui.ui.dialogs.palette import Palette
from qtui.ui.screens import connecting
from qtui.ui.screens.connecting import Opening
from qtui.ui.session import Session
from qtui.ui.widgets.typed_line import TypedLine
from tests.seeds import raw_failed, raw_meta
from tests.ui.driver import Driver, inspector

QUEUES = 12


async def test_a_key_before_the_first_queue_is_shown_leaves_the_cursor_on_the_worst(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    for number in range(QUEUES):
        queue = QueueKey.of("bull", f"q{number}")
        await raw_meta(client, queue)
        await raw_failed(client, [f"j{place}" for place in range(number + 1)], queue)
    # So that the queues are found one after the other.
    await client.mset({f"other:{number}": "" for number in range(20_000)})
    async with inspector(redis_url, typed_ahead=("space", "j")) as driver:
        await driver.until(lambda: not driver.inspector.poll.searching)
        await driver.settle()
        assert driver.inspector.board.queue == QueueKey.of("bull", f"q{QUEUES - 1}")


async def test_page_keys_may_come_before_the_palette_has_lines(redis_url: str) -> None:
    async with inspector(redis_url) as driver:
        await driver.press("colon")
        palette = driver.app.screen
        assert isinstance(palette, Palette)
        commands = palette.query_one(CommandList)
        await driver.until(lambda: commands.option_count and commands.highlighted == 0)
        await driver.resize(120, 1)
        assert not commands.scrollable_content_region
        commands.clear_options()
        commands.add_options(["one", "two"])
        commands.highlighted = 0
        await driver.press("pagedown", "pageup")
        assert driver.app.screen is palette


async def test_keys_pressed_while_redis_is_asked_for_the_first_time_reach_the_inspector(
    redis_url: str,
    client: redis.asyncio.Redis,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connecting, "TYPED_AHEAD", 60.0)
    queue = QueueKey.of("bull", "payments")
    await raw_meta(client, queue)
    await raw_failed(client, ["1"], queue)
    answers = asyncio.Event()
    settings = Settings().without_ways()

    async def session() -> Session:
        await answers.wait()
        target = parse_target(redis_url)
        ours = await open_client(target, read_only=True)
        return make_session(settings, target, ours, await identify(ours), journal=tmp_path)

    async def behind() -> None:
        """All is imported."""

    opening = Opening(
        settings=settings, shown="redis://here", session=session, failures=(), behind=behind
    )
    app = QtuiApp(opening)
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        driver = Driver(app, pilot)
        await driver.sees("connecting to redis://here")
        for key in ("slash", "b", "o", "o"):
            app.simulate_key(key)
        await pilot.pause()
        answers.set()
        await driver.sees("payments")
        await driver.sees("boo")
        await driver.until(lambda: driver.inspector.query_one("#filter", TypedLine).value == "boo")
