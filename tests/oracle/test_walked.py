"""Walks that once led to a fault, step by step."""

from __future__ import annotations

import pytest

from qtui.demo.server import EmbeddedServer
from qtui.operations.schedulers.action import Do
from qtui.verbs import Verb
from tests.oracle.conftest import Drivers
from tests.oracle.releases import named
from tests.oracle.stage import Side
from tests.oracle.walking.walk import Walk

ADD = (
    "add",
    {
        "count": 1,
        "fails": False,
        "priority": 0,
        "lifo": False,
        "delayed": False,
        "attempts": 1,
    },
)


@pytest.mark.parametrize("oracle_server", ["valkey"], indirect=True)
def test_an_iteration_that_is_alone_in_paused_comes_back_to_its_place_in_line(
    oracle_server: EmbeddedServer, drivers: Drivers
) -> None:
    release = named("5.81.5")
    Walk(Side(oracle_server, 0, drivers.get(release), release, "walked"), drivers).go(
        [
            ADD,
            ("pause_or_resume_by_qtui", {"verb": Verb.PAUSE}),
            ("pause_or_resume", {"by": "6.7.0", "verb": "resume"}),
            ADD,
            ("pause_or_resume_by_qtui", {"verb": Verb.PAUSE}),
            ("schedule", {}),
            (
                "and_back",
                {"act": ("scheduler_by_qtui", {"do": Do.REMOVE}), "again": False},
            ),
        ]
    )
