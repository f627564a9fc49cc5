"""What a profile does not allow is a dry run on the screen, and no writer of it is made."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import redis.asyncio

from qtui.bullmq.writers.rerun import RerunWriter
from qtui.bullmq.writers.retry import RetryWriter
from qtui.operations.journal.reading import JournalError, ids, read_header
from qtui.operations.journal.writing import Journal
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


async def test_an_undo_of_an_undo_that_is_not_allowed_is_a_dry_run(
    redis_url: str, client: redis.asyncio.Redis, tmp_path: Path
) -> None:
    """It would remove the job again; neither its plan nor the resume of one cut off carries it out.

    The latter is of an undo that another user of the journal began.
    """
    await fill(redis_url, "payments", 1)
    everything = frozenset({Verb.REMOVE, Verb.UNDO})
    async with inspector(redis_url, allow=everything, journal=tmp_path) as driver:
        await driver.sees("failed 1")
        await driver.press("D")
        await driver.sees("y remove 1 job")
        await driver.press("y")
        await driver.sees("1 of 1 job removed")
        await driver.press("U")
        await driver.sees("y undo 1 job")
        await driver.press("y")
        await driver.sees("1 of 1 job undone")
    undo = next(one for one in ids(tmp_path) if read_header(tmp_path, one).undoes)
    header = replace(read_header(tmp_path, undo), undoes=undo, id="", effect="remove")
    Journal.create(tmp_path, header).close()
    async with inspector(
        redis_url, allow=frozenset({Verb.UNDO}), allow_by="night", journal=tmp_path
    ) as driver:
        await driver.press("L")
        await driver.sees("undo 1 job of")
        await driver.press("G", "k", "u")
        await driver.sees("Dry run: undo the undo of 1 job in payments")
        await driver.sees("profile night does not allow remove")
        assert "esc cancel" in driver.text()
        await driver.press("y")
        await driver.press("escape")
        session = driver.app.session
        assert session is not None
        assert session.resume is not None
        name = next(one for one in ids(tmp_path) if read_header(tmp_path, one).undoes == undo)
        with pytest.raises(JournalError, match="remove is not allowed here: the profile night"):
            await session.resume(name)
    assert await client.zcard("bull:payments:failed") == 1
