"""The counts of all queues together stay right as queues change, come and go."""

from __future__ import annotations

import random

from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState, QueueStatus
from qtui.views.queues.sums import Sums


def status(name: str, chance: random.Random) -> QueueStatus:
    counts = {state: chance.choice((None, 0, 1, 7, 1000)) for state in JobState}
    return QueueStatus(QueueKey.of("bull", name), counts)


def added_up(statuses: list[QueueStatus]) -> dict[JobState, int | None]:
    found: dict[JobState, int | None] = {}
    for state in JobState:
        known = [one.counts[state] for one in statuses if one.counts[state] is not None]
        found[state] = sum(filter(None, known)) if known else None
    return found


def test_sums_are_those_of_the_queues_that_are_there() -> None:
    chance = random.Random(1)
    sums, there = Sums(), dict[str, QueueStatus]()
    for _ in range(300):
        name = f"q{chance.randint(1, 12)}"
        if chance.random() < 0.3:
            there.pop(name, None)
        else:
            there[name] = status(name, chance)
        statuses = list(there.values())
        chance.shuffle(statuses)
        sums.take(statuses)
        assert sums.counts == added_up(statuses)


def test_without_queues_nothing_is_known() -> None:
    assert set(Sums().counts.values()) == {None}
