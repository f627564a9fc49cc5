"""What tests of retries share."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from qtui.bullmq.connection.client import Client, connect, parse_target
from qtui.demo.server import EmbeddedServer


@pytest.fixture
async def ours(any_server: EmbeddedServer) -> AsyncIterator[Client]:
    """A connection that sends nothing but reads."""
    client = connect(parse_target(any_server.url), read_only=True)
    yield client
    await client.aclose()
