"""What is made ahead: as much as was allowed, in order, and nothing that was not asked for."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable

import pytest

from qtui.operations.engine.prefetch import always, prefetched


class Source:
    """Numbers, each after some turns of the loop; it knows which were made, and its end."""

    def __init__(self, most: int, fail_at: int | None = None) -> None:
        self.made: list[int] = []
        self.closed = False
        self._most = most
        self._fail_at = fail_at

    async def items(self) -> AsyncGenerator[int]:
        try:
            for number in range(self._most):
                for _ in range(number % 3):
                    await asyncio.sleep(0)  # a turn of the loop
                if number == self._fail_at:
                    raise LookupError(number)
                self.made.append(number)
                yield number
        finally:
            self.closed = True


async def idle() -> None:
    """Time enough for all that may be made."""
    for _ in range(50):
        await asyncio.sleep(0)  # a turn of the loop


@pytest.mark.parametrize("may", [always, lambda: False])
@pytest.mark.parametrize("most", [1, 2, 7])
@pytest.mark.parametrize("items", [0, 1, 5, 40])
async def test_everything_comes_once_and_in_order(
    may: Callable[[], bool], most: int, items: int
) -> None:
    source = Source(items)
    assert [one async for one in prefetched(source.items(), may, most=most)] == list(range(items))
    assert source.closed


@pytest.mark.parametrize("most", [1, 2, 5])
async def test_no_more_are_ready_than_may_be(most: int) -> None:
    source = Source(40)
    items = prefetched(source.items(), most=most)
    for number in range(20):
        assert await anext(items) == number
        await idle()
        assert len(source.made) == number + 1 + most
    await items.aclose()
    assert source.closed


async def test_where_nothing_may_be_made_ahead_each_waits_until_it_is_asked_for() -> None:
    source = Source(10)
    items = prefetched(source.items(), lambda: False, most=5)
    for number in range(10):
        await idle()
        assert len(source.made) == number
        assert await anext(items) == number
    await items.aclose()


async def test_it_is_asked_anew_before_each() -> None:
    source, free = Source(30), False
    items = prefetched(source.items(), lambda: free, most=3)
    assert await anext(items) == 0
    await idle()
    assert len(source.made) == 1
    free = True
    assert await anext(items) == 1
    await idle()
    assert len(source.made) == 2 + 3
    free = False
    # What is ready already comes; then each is made when it is asked for.
    for number in range(2, 9):
        assert await anext(items) == number
        await idle()
        assert len(source.made) == max(5, number + 1)
    await items.aclose()


@pytest.mark.parametrize("fail_at", [0, 1, 4])
async def test_what_the_source_raises_comes_after_what_it_made(fail_at: int) -> None:
    source = Source(9, fail_at)
    items = prefetched(source.items(), most=3)
    assert [await anext(items) for _ in range(fail_at)] == list(range(fail_at))
    with pytest.raises(LookupError):
        await anext(items)
    assert source.closed


async def test_a_cancelled_reader_leaves_nothing_running() -> None:
    source = Source(1000)
    before = asyncio.all_tasks()

    async def take() -> None:
        async for _ in prefetched(source.items()):
            await asyncio.sleep(0)  # a turn of the loop

    taking = asyncio.ensure_future(take())
    await idle()
    taking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await taking
    await idle()
    assert asyncio.all_tasks() == before


async def test_a_source_that_swallows_its_cancellation_is_closed_all_the_same() -> None:
    turns = 0

    async def deaf() -> AsyncGenerator[int]:
        nonlocal turns
        while True:
            turns += 1
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0.01 if turns > 1 else 0)  # where it is cancelled
            yield turns

    items = prefetched(deaf(), most=3)
    assert await anext(items) == 1
    await asyncio.sleep(0)  # a turn of the loop
    async with asyncio.timeout(5):
        await items.aclose()
    assert turns <= 3
