"""How many jobs a call has: as many as Redis does in a bearable time, and alike in all calls."""

from __future__ import annotations

import pytest

from qtui.operations.engine.call_size import AIM, FIRST_CALL, LARGEST_CALL, SMALLEST_CALL, CallSize

USUAL = AIM / 130.5
"""Seconds a job, so that 130 go in one call."""


def _after(*each: float) -> CallSize:
    """A size after calls that took so many seconds a job."""
    size = CallSize()
    for seconds in each:
        size.took(50, 50 * seconds)
    return size


def test_calls_grow_step_by_step_to_what_the_time_allows() -> None:
    size, sizes = CallSize(), []
    for _ in range(5):
        sizes.append(size.jobs)
        size.took(size.jobs, size.jobs * USUAL)
    assert sizes == [FIRST_CALL, 40, 80, 130, 130]


@pytest.mark.parametrize(("each", "jobs"), [(1e-9, LARGEST_CALL), (1e-2, SMALLEST_CALL)])
def test_there_is_a_largest_and_a_smallest_call(each: float, jobs: int) -> None:
    assert _after(*[each] * 9).jobs == jobs


def test_a_few_slow_calls_change_nothing_nor_does_a_fast_one() -> None:
    assert _after(*[USUAL] * 5).jobs == 130
    assert _after(*[USUAL] * 5, 5 * USUAL, 9 * USUAL, 5 * USUAL).jobs == 130
    assert _after(*[USUAL] * 5, USUAL / 2).jobs == 130
    assert _after(*[USUAL] * 5, *[2 * USUAL] * 4).jobs == 65


@pytest.mark.parametrize(
    ("left", "calls"), [(200, [100, 100]), (131, [66, 65]), (130, [130]), (1, [1])]
)
def test_what_is_left_is_shared_by_calls_that_are_alike(left: int, calls: list[int]) -> None:
    size, found = _after(*[USUAL] * 9), []
    assert size.jobs == 130
    while left:
        found.append(size.share(left))
        left -= found[-1]
    assert found == calls
