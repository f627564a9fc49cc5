"""What a profile does not allow is a dry run on the screen, and no writer of it is made."""

from __future__ import annotations

import pytest
import redis.asyncio

from qtui.bullmq.writers.rerun import RerunWriter
from qtui.bullmq.writers.retry import RetryWriter
from qtui.verbs import Verb
from tests.ui.driver import inspector
from tests.ui.stage import fill


@pytest.mark.slow
async def test_a_retry_that_is_not_allowed_shows_its_plan_alone(
    redis_url: str, client: redis.asyncio.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(*_: object) -> None:
        raise AssertionError("a writer of an action that is not allowed was made")

    monkeypatch.setattr(RetryWriter, "__init__", forbidden)
    monkeypatch.setattr(RerunWriter, "__init__", forbidden)
    await fill(redis_url, "payments", 2)
    before = await client.zcard("bull:payments:failed")
    allowed = frozenset({Verb.REMOVE})
    async with inspector(redis_url, allow=allowed, allow_by="night") as driver:
        await driver.sees("failed 2")
        await driver.press("r")
        await driver.sees("Dry run: retry 1 failed job in payments")
        await driver.sees("profile night does not allow retry")
        await driver.press("y")
        await driver.press("escape")
        session = driver.app.session
        assert session is not None
        assert (session.campaign, session.rerun) == (None, None)
        assert not session.read_only
        await driver.press("D")
        await driver.sees("remove 1 job")
        await driver.press("y")
        await driver.until(lambda: "✔ removed" in driver.text(), "the removal")
    assert await client.zcard("bull:payments:failed") == before - 1
