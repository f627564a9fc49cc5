"""Fixtures for the tests of what a screen shows."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from tests.seeds import raw_meta
from tests.views.worlds import World


@pytest.fixture
async def world(client: Redis) -> World:
    """An empty failed set of a queue, newest first."""
    await raw_meta(client)
    return World(client)
