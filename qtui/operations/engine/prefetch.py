"""Prefetches an async generator while its consumer works. Pure asyncio; knows no Redis."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable
from typing import TypeVar

T = TypeVar("T")


def always() -> bool:
    """Returns True: every item may be made ahead."""
    return True


async def prefetched(
    source: AsyncGenerator[T], may: Callable[[], bool] = always, *, most: int = 2
) -> AsyncGenerator[T]:
    """Yields the items of a source, and lets it make the next ones while the consumer works.

    Args:
        source: the generator; closed together with this one.
        may: checked before each item; if False, the item is made only when it is requested.
        most: the most items to make ahead.
    """
    made: deque[T] = deque()
    closing = False
    room, news, asked = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def make() -> None:
        while not closing:  # what the source awaits may swallow that it is cancelled
            while len(made) >= most:
                room.clear()
                await room.wait()
            if not may():
                await asked.wait()
            try:
                made.append(await anext(source))
            except StopAsyncIteration:
                return
            asked.clear()  # this item was requested; the next is not yet
            news.set()

    making = asyncio.ensure_future(make())
    making.add_done_callback(lambda _: news.set())
    try:
        while True:
            while not made and not making.done():
                asked.set()
                news.clear()
                await news.wait()
            if not made:
                making.result()  # raises what the source raised
                return
            room.set()
            yield made.popleft()
    finally:
        closing = True
        making.cancel()
        await asyncio.gather(making, return_exceptions=True)
        await source.aclose()
