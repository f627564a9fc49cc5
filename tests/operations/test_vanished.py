"""A queue that is emptied under a campaign: what was done is said, and what is gone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeAlias

import pytest
from bullmq import Queue
from redis.asyncio import Redis

from qtui.bullmq.codes import Code, QueueGone, Result
from qtui.bullmq.writers.retry import RetryWriter
from qtui.demo.server import EmbeddedServer
from qtui.operations.engine.action import JobAction
from qtui.operations.engine.campaign import VANISHED, Campaign, Phase
from qtui.operations.journal.reading import ids, read_lines, summary
from qtui.operations.planning.plan import Resets
from qtui.operations.resuming.interrupted import Interrupted
from qtui.operations.resuming.recorder import Recorder
from qtui.operations.retry.resuming import resume_retry
from qtui.operations.retry.retry import Retry
from tests.operations.campaigns import codes, plan_of, run
from tests.operations.flows import KIDS
from tests.operations.test_conditions import JOBS, a_promotion, a_removal, a_rerun, a_retry
from tests.seeds import QUEUE, raw_failed

Blow: TypeAlias = Callable[[Redis, EmbeddedServer], Awaitable[None]]


async def _flush(client: Redis, _: EmbeddedServer) -> None:
    await client.flushall()


async def _flush_with_a_key_left(client: Redis, _: EmbeddedServer) -> None:
    """As a worker that looks for stalled jobs leaves one at once."""
    await client.flushall()
    await client.set(QUEUE.key("stalled-check"), "1")


async def _obliterate(_: Redis, server: EmbeddedServer) -> None:
    for name in (KIDS.name, QUEUE.name):  # all that may have jobs on their way
        queue = Queue(name, {"connection": server.url})
        await queue.obliterate(force=True)
        await queue.close()


async def a_retry_by_id(client: Redis, folder: Path, patience: float = 20) -> Campaign[Retry]:
    plan = await plan_of(client, await raw_failed(client, map(str, range(JOBS))))
    retry = Retry(client, RetryWriter(client), plan, Resets())
    return Campaign(
        client, retry, record=Recorder(folder=folder, where="here", how="key r"), patience=patience
    )


@pytest.mark.parametrize("begin", [a_retry, a_retry_by_id, a_rerun, a_promotion, a_removal])
@pytest.mark.parametrize("blow", [_flush, _flush_with_a_key_left, _obliterate])
async def test_it_says_what_was_done_and_what_is_gone(
    any_server: EmbeddedServer,
    any_client: Redis,
    tmp_path: Path,
    begin: Callable[[Redis, Path], Awaitable[Campaign[JobAction]]],
    blow: Blow,
) -> None:
    campaign = await begin(any_client, tmp_path)
    found: list[Result] = []
    async for results in campaign.run():
        found += results
        if campaign.done == len(results) > 0:
            await blow(any_client, any_server)
    campaign.close()
    assert 0 < campaign.done < campaign.selected
    assert campaign.phase is Phase.STOPPED
    assert campaign.why
    others = {one.code for one in found if not one.done}
    assert others <= {Code.NO_SUCH_JOB, Code.NOT_IN_STATE, Code.REFUSED}
    if not others:
        assert campaign.why == VANISHED
    one = summary(tmp_path, ids(tmp_path)[0])
    assert (one.phase, one.note) == ("stopped", campaign.why)


@pytest.mark.parametrize("begin", [a_retry, a_retry_by_id])
@pytest.mark.parametrize("again", [False, True])
async def test_what_was_not_sent_to_it_has_no_code_when_the_campaign_is_resumed(
    any_client: Redis,
    tmp_path: Path,
    begin: Callable[[Redis, Path], Awaitable[Campaign[Retry]]],
    again: bool,
) -> None:
    """The script wrote nothing, so no job is unknown, even where the queue is in use again."""
    campaign = await begin(any_client, tmp_path)
    async for results in campaign.run():
        if campaign.done == len(results) > 0:
            await any_client.flushall()
    campaign.close()
    assert campaign.why == VANISHED
    [name] = ids(tmp_path)
    snapshots = {one["id"] for one in read_lines(tmp_path, name) if one["type"] == "job"}
    assert len(snapshots) > campaign.decided  # a batch was on its way
    if again:
        await raw_failed(any_client, ["new"])
    for _ in range(1 if again else 2):  # what the first resumption writes is read by the second
        taken = Interrupted.take(tmp_path, name, "here", anyway=True)
        second = await resume_retry(taken, any_client, RetryWriter(any_client))
        found = codes([one for one in await run(second) if one.job_id != "new"])
        second.close()
        assert set(found.values()) <= {Code.NO_SUCH_JOB}
        assert Code.UNKNOWN not in summary(tmp_path, name).codes
        if not again:
            assert (second.phase, second.why) == (Phase.STOPPED, VANISHED)
            assert second.codes == {Code.DONE: campaign.done}


async def test_a_queue_that_was_gone_before_the_first_call_is_refused(client: Redis) -> None:
    plan = await plan_of(client, await raw_failed(client, "123"))
    await client.flushall()
    campaign = Campaign(client, Retry(client, RetryWriter(client), plan, Resets()))
    with pytest.raises(QueueGone):
        await run(campaign)
    assert (campaign.done, campaign.phase) == (0, Phase.STOPPED)
    assert await client.dbsize() == 0
