"""Whatever anybody does with a queue, in any order: qtui loses, doubles and strands nothing.

A few short walks in each run; with `QTUI_SLOW` hundreds of long ones.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import count

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from qtui.demo.server import EmbeddedServer
from tests.oracle.conftest import Drivers
from tests.oracle.releases import named
from tests.oracle.stage import Side
from tests.oracle.walking.steps import STEPS, Step
from tests.oracle.walking.walk import Walk

_SLOW = "QTUI_SLOW" in os.environ


@pytest.mark.parametrize("owner", ["4.18.3", "5.81.5", "6.7.0"])
@pytest.mark.parametrize("oracle_server", ["valkey"], indirect=True)
def test_no_job_is_lost_doubled_or_stranded_by_any_walk(
    oracle_server: EmbeddedServer, drivers: Drivers, owner: str
) -> None:
    release, numbers = named(owner), count()

    @settings(
        max_examples=300 if _SLOW else 6,
        phases=[Phase.generate, Phase.shrink] if _SLOW else [Phase.generate],
        derandomize=not _SLOW,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(STEPS, min_size=25 if _SLOW else 12, max_size=60 if _SLOW else 16))
    def walk(steps: Sequence[Step]) -> None:
        # A queue of its own: an open one has written its meta, which a flush deletes.
        side = Side(oracle_server, 0, drivers.get(release), release, f"q{next(numbers)}")
        Walk(side, drivers).go(steps)

    walk()
