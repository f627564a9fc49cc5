"""Keys that come before what they are for."""

from __future__ import annotations

import redis.asyncio
from textual.command import CommandList

from qtui.bullmq.keys import QueueKey
from qtui.ui.dialogs.palette import Palette
from tests.seeds import raw_failed, raw_meta
from tests.ui.driver import inspector

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
