"""Walks that once led to a fault, step by step."""

from __future__ import annotations

import pytest

from qtui.bullmq.model import JobState
from qtui.demo.server import EmbeddedServer
from qtui.operations.schedulers.action import Do
from qtui.verbs import Verb
from tests.oracle.conftest import Drivers
from tests.oracle.flow_stage import IGNORE
from tests.oracle.releases import named
from tests.oracle.stage import Side
from tests.oracle.walking.steps import Step
from tests.oracle.walking.walk import Walk

ADDED = {
    "count": 1,
    "fails": False,
    "priority": 0,
    "lifo": False,
    "delayed": False,
    "attempts": 1,
}
ADD = ("add", ADDED)

VALKEY = pytest.mark.parametrize("oracle_server", ["valkey"], indirect=True)


def go(server: EmbeddedServer, drivers: Drivers, *steps: Step) -> None:
    release = named("5.81.5")
    Walk(Side(server, 0, drivers.get(release), release, "walked"), drivers).go(steps)


@VALKEY
def test_an_iteration_that_is_alone_in_paused_comes_back_to_its_place_in_line(
    oracle_server: EmbeddedServer, drivers: Drivers
) -> None:
    go(
        oracle_server,
        drivers,
        ADD,
        ("pause_or_resume_by_qtui", {"verb": Verb.PAUSE}),
        ("pause_or_resume", {"by": "6.7.0", "verb": "resume"}),
        ADD,
        ("pause_or_resume_by_qtui", {"verb": Verb.PAUSE}),
        ("schedule", {}),
        ("and_back", {"act": ("scheduler_by_qtui", {"do": Do.REMOVE}), "again": False}),
    )


@VALKEY
def test_an_iteration_that_comes_back_into_the_other_list_is_behind_those_that_were_before_it(
    oracle_server: EmbeddedServer, drivers: Drivers
) -> None:
    promote = ("promote_by_bullmq", {"pick": 0})
    go(
        oracle_server,
        drivers,
        ("add", {**ADDED, "count": 2, "delayed": True}),
        ("schedule", {}),
        promote,
        ("pause_or_resume", {"by": "6.7.0", "verb": "pause"}),
        promote,
        ("and_back", {"act": ("scheduler_by_qtui", {"do": Do.REMOVE}), "again": False}),
    )


@VALKEY
def test_families_of_which_one_is_part_of_the_other_are_removed_once_more(
    oracle_server: EmbeddedServer, drivers: Drivers
) -> None:
    chosen = {"state": JobState.WAITING_CHILDREN, "share": 1, "below": True, "cut": 0}
    again = {"state": JobState.COMPLETED, "share": 1, "made": True, "cut": 0}
    go(
        oracle_server,
        drivers,
        ("flow", {"option": IGNORE, "fails": False, "both": True, "deep": True}),
        ("work", {"all_of_it": True}),
        ("retry", again),
        ("and_back", {"act": ("remove", chosen), "again": True}),
    )
