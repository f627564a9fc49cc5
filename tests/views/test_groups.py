"""Error groups count every failure once, and each finds its own jobs again."""

from __future__ import annotations

from typing import Final

import pytest
import redis.asyncio
from hypothesis import given, settings
from hypothesis import strategies as st

from qtui.bullmq.filter import parse_filter
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState
from qtui.bullmq.search.hunt import Hunt
from qtui.bullmq.search.steps import Step
from qtui.views.errors.groups import (
    GROUP_FIELDS,
    MOST_GROUPS,
    MOST_NAMES,
    MOST_WORDS,
    ErrorGroup,
    ErrorGroups,
    either,
    group_errors,
    group_words,
)
from tests.calls import called
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


LETTERS: Final = "abcdefghijklmnopqrstuvwxyz"


def spelled(number: int) -> str:
    """A number as a word."""
    return "".join(LETTERS[number // 26**place % 26] for place in range(4))


async def test_groups_that_differ_in_one_word_become_one(client: redis.asyncio.Redis) -> None:
    def change(place: int) -> Fields:
        reason = f"user {spelled(place)} not found" if place % 3 else "card declined"
        return {"failedReason": reason, "name": f"n{place % 2}"}

    await raw_failed(client, [f"j{place}" for place in range(900)], change=change)
    first, second = (await grouped(client)).largest_first()
    assert (first.signature, first.jobs) == ("user <word> not found", 600)
    assert (second.signature, second.jobs) == ("card declined", 300)
    assert (first.first, first.last) == (START + 1000, START + 899_000)
    assert (first.sample, first.names) == ("j899", {"n0": 300, "n1": 300})
    assert (len(first.words), set(first.words.values())) == (MOST_WORDS, {1})
    assert first.filter is not None
    hunt = Hunt(client, QUEUE, FAILED, parse_filter(first.filter), rate=0)
    found = [one.id async for step in hunt.steps() for one in step]
    assert (len(found), found[0]) == (600, first.sample)
    bars = first.times.bars(40, START)
    assert bars is not None
    assert (bars.total, len(bars.counts) <= 40) == (600, True)


async def test_a_group_that_became_part_of_another_says_of_which(
    client: redis.asyncio.Redis,
) -> None:
    def change(place: int) -> Fields:
        return {"failedReason": f"user {spelled(place)} not found"}

    await raw_failed(client, [f"j{place}" for place in range(20)], change=change)
    groups, before = ErrorGroups(), list[ErrorGroup]()
    hunt = Hunt(client, QUEUE, FAILED, None, fields=GROUP_FIELDS, rate=0)
    async for step in hunt.steps():
        for place in range(len(step)):
            groups.add(step[place : place + 1], QUEUE)
            before = groups.largest_first() if place == 4 else before
    [one] = groups.largest_first()
    assert len(before) == 5
    assert {group.into for group in before} == {one, None}
    again = ErrorGroups(groups.patterns)
    again.add(Step(["x"], {"failedReason": ["user zoe not found"], "name": ["n"]}), QUEUE)
    [group] = again.largest_first()
    assert (group.signature, group.words) == (one.signature, {"zoe": 1})


WORDS: Final = ["alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi", "ivan", "judy"]
KNOWN: Final = [
    *(f"user {word} not found" for word in WORDS),
    *(f"Request {place} failed in {word}" for word in WORDS[:4] for place in range(3)),
    *("boom", "", "connect ECONNREFUSED 10.0.0.7:5432", "x" * 1500),
]
FAILURES = st.lists(
    st.tuples(
        st.sampled_from([None, *KNOWN]),
        st.sampled_from(["charge", "refund", "", None, "n" * 300]),
        st.one_of(st.none(), st.integers(START, START + 10**9).map(float)),
    ),
    max_size=80,
)


def facts(groups: ErrorGroups) -> list[object]:
    def bars(group: ErrorGroup) -> object:
        found = group.times.bars(40, START)
        return found and found.counts

    return [
        (one.signature, one.sample, one.jobs, one.seen, one.names, one.queues, one.words, bars(one))
        for one in groups.largest_first()
    ]


@settings(max_examples=200)
@given(FAILURES, st.lists(st.integers(1, 40), min_size=1))
def test_jobs_that_come_together_are_counted_as_one_by_one(
    jobs: list[tuple[str | None, str | None, float | None]], sizes: list[int]
) -> None:
    step = Step(
        [str(place) for place in range(len(jobs))],
        {"failedReason": [one[0] for one in jobs], "name": [one[1] for one in jobs]},
        [one[2] for one in jobs],
    )
    one_by_one, together, start = ErrorGroups(), ErrorGroups(), 0
    for place in range(len(jobs)):
        one_by_one.add(step[place : place + 1], QUEUE)
    for size in [*sizes, len(jobs)]:
        together.add(step[start : start + size], QUEUE)
        start += size
    assert together.jobs == one_by_one.jobs == len(jobs)
    assert facts(together) == facts(one_by_one)


def test_jobs_of_known_errors_take_no_more_calls_each() -> None:
    def calls(jobs: int) -> int:
        fields = {"failedReason": ["boom", "bang"] * jobs, "name": ["charge"] * 2 * jobs}
        step = Step(list(map(str, range(2 * jobs))), fields, [float(START)] * 2 * jobs)
        groups = ErrorGroups()
        groups.add(step[:2], QUEUE)
        return called(lambda: groups.add(step, QUEUE))

    assert calls(2000) == calls(20)


async def test_beyond_a_thousand_groups_each_still_finds_just_its_jobs(
    client: redis.asyncio.Redis,
) -> None:
    """Words that would make a group of the rest come too late for it, and go where they belong."""

    def change(place: int) -> Fields:
        if place >= 1500:
            return {"failedReason": f"user {spelled(place)} not found"}
        return {"failedReason": f"{spelled(place)} {spelled(place * 7 + 1)} {spelled(place * 3)}"}

    ids = await raw_failed(client, [f"j{place}" for place in range(1600)], change=change)
    for one in ids[:50]:
        await client.hset(QUEUE.job(one), "failedReason", f"server {one} {spelled(int(one[1:]))}")
    for one in ids[50:80]:
        await client.hset(QUEUE.job(one), "failedReason", f"user {spelled(int(one[1:]))} not found")
    found = (await grouped(client)).largest_first()
    assert sum(one.jobs for one in found) == 1600
    by_name = {one.signature: one.jobs for one in found}
    assert by_name["user <word> not found"] == 130
    rest = [one for one in found if one.is_rest]
    assert (len(rest), len(found)) == (1, MOST_GROUPS + 1)
    for group in (one for one in found[:5] if one.filter is not None):
        hunt = Hunt(client, QUEUE, FAILED, parse_filter(group.filter or ""), rate=0)
        assert len([one async for step in hunt.steps() for one in step]) == group.jobs


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
