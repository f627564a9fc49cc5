"""Moments are counted in few spans, and none is lost."""

from __future__ import annotations

from math import inf, nan
from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from qtui.bullmq.reads.queues.timeline import DAWN, DAY, HOUR, MINUTE, SECOND
from qtui.views.errors.arrivals import MOST, Arrivals

NOW: Final = 1_790_000_000_000


def arrivals(*moments: float) -> Arrivals:
    found = Arrivals()
    half = len(moments) // 2
    found.add(moments[:half])
    found.add(moments[half:])
    return found


@given(
    st.lists(st.integers(DAWN, NOW), min_size=1, max_size=400),
    st.lists(st.integers(NOW - HOUR, NOW), max_size=400),
    st.integers(2, 150),
)
def test_each_moment_is_in_its_bar(some: list[int], more: list[int], most: int) -> None:
    whole = arrivals(*some)
    whole.absorb(arrivals(*more))
    bars = whole.bars(most, NOW)
    assert bars is not None
    assert len(bars.counts) <= most
    expected = [0] * len(bars.counts)
    for at in (*some, *more):
        assert bars.start <= at < bars.end
        expected[bars.bar_at(at)] += 1
    assert list(bars.counts) == expected


def test_what_can_be_no_time_is_left_out() -> None:
    assert arrivals(nan, inf, -inf, 0, 12, 1e300).bars(10, NOW) is None
    bars = arrivals(0, NOW).bars(10, NOW)
    assert bars is not None
    assert bars.total == 1


def test_spans_are_as_narrow_as_they_can_be() -> None:
    bars = arrivals(*range(NOW, NOW + MINUTE, SECOND)).bars(100, NOW)
    assert bars is not None
    assert (bars.width, bars.total) == (SECOND, 60)
    bars = arrivals(*range(NOW - 30 * DAY, NOW, HOUR)).bars(MOST, NOW)
    assert bars is not None
    assert (bars.width, bars.total) == (4 * HOUR, 720)
