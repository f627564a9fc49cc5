"""A healthy server behind a router that drops connections: the screen does not blame it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.bullmq.topologies import Topologies
from tests.kinds import fill
from tests.ui.driver import inspector
from tests.wires import Tunnel, open_tunnel


@pytest.mark.slow
@pytest.mark.parametrize("accident", [Tunnel.drop, Tunnel.cut], ids=["drop", "cut"])
async def test_a_plan_is_made_though_all_connections_are_lost(
    topologies: Topologies, accident: Callable[[Tunnel], None]
) -> None:
    topology = topologies.get("standalone")
    fill(topology)
    async with (
        open_tunnel(topology.data[0].port) as tunnel,
        inspector(f"redis://127.0.0.1:{tunnel.port}", refresh=0) as driver,
    ):
        await driver.sees("failed 4")
        accident(tunnel)
        await driver.press("R")
        await driver.sees("y retry 4 jobs")
        accident(tunnel)
        await driver.press("escape", "e")
        await driver.sees("connect ECONNREFUSED <address>")
        await driver.press("escape")
        assert "lost" not in driver.lines()[0]
