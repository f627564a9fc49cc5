"""Error groups count every failure once, and each finds its own jobs again."""

from __future__ import annotations

from typing import Final

import pytest
import redis.asyncio

from qtui.bullmq.filter import parse_filter
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState
from qtui.bullmq.search.hunt import Hunt
from qtui.views.groups import (
    GROUP_FIELDS,
    MOST_GROUPS,
    MOST_NAMES,
    ErrorGroups,
    either,
    group_errors,
    group_words,
)
from tests.seeds import QUEUE, START, Fields, raw_failed

FAILED: Final = JobState.FAILED

REASONS: Final = [
    "connect ECONNREFUSED 10.0.0.7:5432",
    "connect ECONNREFUSED 10.0.0.8:5432",
    "Timeout of 5000ms exceeded",
    "He said \"no\" and 'never'",
    "it's | (broken) [here] error:x !y",
    'quotes """ only',
    "two\nlines",
    "",
    " ",
    "\n\n",
    "\t\x0b\x0c\r",
    "\x1c\x1d\x1e\x1f",
    "\x85\xa0\u2003",
    "\x00",
    "\x1b[31m",
    "\u200b",
    "\u202e",
    "\udcff\udcfe",
    "null",
    "<n>",
    "42",
    "x" * 5000,
    "  leading blanks",
]


async def grouped(client: redis.asyncio.Redis, *queues: QueueKey) -> ErrorGroups:
    groups = ErrorGroups()
    for queue in queues or (QUEUE,):
        hunt = Hunt(client, queue, FAILED, None, fields=GROUP_FIELDS, rate=0)
        async for growing in group_errors(hunt, queue, groups):
            assert growing is groups
    return groups


async def test_each_group_is_found_again_by_its_filter(any_client: redis.asyncio.Redis) -> None:
    def change(place: int) -> Fields:
        return {"failedReason": REASONS[place % len(REASONS)]}

    ids = await raw_failed(any_client, map(str, range(1, 400)), change=change)
    await any_client.hdel(QUEUE.job("7"), "failedReason")
    await any_client.delete(QUEUE.job("8"))
    groups = await grouped(any_client)
    assert groups.jobs == len(ids) == sum(one.jobs for one in groups.largest_first())
    met: list[str] = []
    for group in groups.largest_first():
        assert group.filter is not None
        hunt = Hunt(any_client, QUEUE, FAILED, parse_filter(group.filter), rate=0)
        found = [one.id async for step in hunt.steps() for one in step]
        assert len(found) == group.jobs, group.filter
        assert group.sample == found[0]
        met += found
    assert sorted(met) == sorted(ids)
    filters = [one.filter or "" for one in groups.largest_first()[:3]]
    hunt = Hunt(any_client, QUEUE, FAILED, parse_filter(either(filters)), rate=0)
    found = [one.id async for step in hunt.steps() for one in step]
    assert len(found) == sum(one.jobs for one in groups.largest_first()[:3])


async def test_counts_times_names_and_the_newest_as_sample(client: redis.asyncio.Redis) -> None:
    def change(place: int) -> Fields:
        error = f"Timeout of {place}ms" if place % 3 else f"ECONNRESET {place}"
        return {"failedReason": error, "name": f"n{place % 2}"}

    await raw_failed(client, [f"j{place}" for place in range(900)], change=change)
    first, second = (await grouped(client)).largest_first()
    assert (first.jobs, second.jobs) == (600, 300)
    assert (first.first, first.last) == (START + 1000, START + 899_000)
    assert (second.first, second.last) == (START, START + 897_000)
    assert (first.sample, second.sample) == ("j899", "j897")
    assert first.names == {"n0": 300, "n1": 300}
    assert first.queues == {QUEUE: 600}


async def test_what_comes_after_a_thousand_groups_is_one_more(client: redis.asyncio.Redis) -> None:
    letters = "abcdefghij"

    def change(place: int) -> Fields:
        return {"failedReason": "-".join(letters[int(digit)] for digit in f"{place:04}")}

    await raw_failed(client, map(str, range(1, MOST_GROUPS + 51)), change=change)
    groups = await grouped(client)
    found = groups.largest_first()
    assert len(found) == MOST_GROUPS + 1
    assert (found[0].is_rest, found[0].jobs, found[0].filter) == (True, 50, None)
    assert group_words(found[0]) == "(other errors)"
    assert groups.jobs == MOST_GROUPS + 50


async def test_names_that_are_data_are_not_remembered(client: redis.asyncio.Redis) -> None:
    await raw_failed(client, map(str, range(1, 500)), change=lambda place: {"name": f"n{place}"})
    [group] = (await grouped(client)).largest_first()
    assert (group.jobs, len(group.names)) == (499, MOST_NAMES)


async def test_queues_are_counted_together_and_apart(client: redis.asyncio.Redis) -> None:
    other = QueueKey.of("bull", "other")
    await raw_failed(client, ["a", "b"])
    await raw_failed(client, ["c"], other)
    [group] = (await grouped(client, QUEUE, other)).largest_first()
    assert group.queues == {QUEUE: 2, other: 1}
    assert (group.queue, group.sample) == (QUEUE, "b")


@pytest.mark.parametrize("reason", ["", "\x1b]0;x\x07", "\u202e", "[/foo]"])
async def test_words_are_plain_and_never_empty(client: redis.asyncio.Redis, reason: str) -> None:
    await raw_failed(client, ["a"], change=lambda place: {"failedReason": reason})
    [group] = (await grouped(client)).largest_first()
    assert group_words(group)
    assert not {"\x1b", "\x07", "\u202e"} & set(group_words(group))
