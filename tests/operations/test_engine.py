"""What holds for any action that a campaign carries: its reasons on record, its stop."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from qtui.bullmq.codes import Code, Result
from qtui.demo.server import EmbeddedServer
from qtui.operations.engine.action import JobAction
from qtui.operations.engine.campaign import Campaign, Phase
from qtui.operations.engine.patience import LAST_LOOK, Patience, Stop
from qtui.operations.flow_rerun.rerun import Rerun
from qtui.operations.journal.reading import ids, progress_of, summary
from qtui.operations.promote.promote import Promote
from tests.operations.campaigns import campaign_of, ours_to, plan_of, proxied
from tests.operations.flows import KIDS
from tests.operations.test_conditions import BOTH, Begin, still_there
from tests.patience import PATIENCE
from tests.seeds import QUEUE, raw_failed, soon
from tests.servers import start
from tests.wires import Accident

LOST = Accident.CALL_LOST


async def _spoil(client: Redis, campaign: Campaign[JobAction]) -> str:
    """Puts a key of a wrong type where the next call reads; its name."""
    queue = KIDS if isinstance(campaign.action, Rerun) else QUEUE
    key = queue.key("delayed" if isinstance(campaign.action, Promote) else "failed")
    async with client.pipeline() as both:
        both.rename(key, "aside")
        both.set(key, "junk")
        await both.execute()
    return key


@BOTH
async def test_when_redis_refuses_a_call_the_journal_keeps_the_reason(
    client: Redis, tmp_path: Path, begin: Begin
) -> None:
    campaign = await begin(client, tmp_path, 20)
    spoilt = ""

    async def go() -> None:
        nonlocal spoilt
        async for _ in campaign.run():
            spoilt = spoilt or await _spoil(client, campaign)

    with pytest.raises(ResponseError, match="WRONGTYPE"):
        await go()
    campaign.close()
    assert campaign.phase is Phase.STOPPED
    one = summary(tmp_path, ids(tmp_path)[0])
    assert one.phase == "stopped"
    assert one.note
    assert one.note == campaign.why
    await client.rename("aside", spoilt)


@BOTH
async def test_a_stop_is_heeded_while_a_call_is_lost(
    server: EmbeddedServer, client: Redis, tmp_path: Path, begin: Begin
) -> None:
    """Its patience of an hour notwithstanding."""
    async with proxied(server) as (proxy, ours):
        campaign = await begin(ours, tmp_path, 3600)
        fell = False

        async def leave() -> None:
            proxy.away = True

        async def go() -> list[Result]:
            nonlocal fell
            found: list[Result] = []
            async for results in campaign.run():
                if not fell:
                    fell, proxy.accidents, proxy.after = True, [LOST], leave
                found += results
            return found

        running = asyncio.ensure_future(go())
        await soon(lambda: bool(campaign.trouble))
        campaign.stop()
        async with asyncio.timeout(LAST_LOOK + 5):
            found = await running
        campaign.close()
    assert campaign.phase is Phase.STOPPED
    assert {one.code for one in found} <= {Code.DONE, Code.UNKNOWN}
    one = summary(tmp_path, ids(tmp_path)[0])
    assert (one.phase, one.note) == ("stopped", "")
    assert await still_there(client) > 0


@BOTH
async def test_a_stop_is_heeded_while_the_server_hangs(tmp_path: Path, begin: Begin) -> None:
    """What was on its way is in doubt then, and on record as such."""
    with start() as server:
        client = ours_to(server)
        campaign = await begin(client, tmp_path, 3600)
        hangs = False

        async def go() -> None:
            nonlocal hangs
            async for _ in campaign.run():
                if not hangs:
                    hangs = True
                    os.kill(server.pid, signal.SIGSTOP)

        running = asyncio.ensure_future(go())
        try:
            await soon(lambda: hangs)
            campaign.stop()
            async with asyncio.timeout(LAST_LOOK + 5):
                await running
        finally:
            os.kill(server.pid, signal.SIGCONT)
        campaign.close()
        assert campaign.phase is Phase.STOPPED
        name = ids(tmp_path)[0]
        assert summary(tmp_path, name).phase == "stopped"
        if not isinstance(campaign.action, Rerun):
            doubtful = len(progress_of(tmp_path, name).doubtful)
            assert await still_there(client) >= campaign.selected - campaign.done - doubtful
        await client.aclose()


async def test_a_stop_after_the_last_call_leaves_it_done(client: Redis) -> None:
    """As nothing was left to stop."""
    campaign = campaign_of(client, await plan_of(client, await raw_failed(client, "12")))
    async for _ in campaign.run():
        campaign.stop()
    assert campaign.phase is Phase.DONE


async def test_patience_ends_in_time_and_with_a_stop() -> None:
    stop = Stop()
    patience = Patience(0.25, stop)
    async with asyncio.timeout(PATIENCE):
        while await patience.wait():
            assert not patience.is_over
    assert patience.is_over
    other = Patience(3600, stop)
    assert await other.wait()
    asyncio.get_running_loop().call_soon(stop.set)
    async with asyncio.timeout(PATIENCE):
        assert not await other.wait()


async def test_what_is_awaited_ends_soon_after_a_stop_and_never_before() -> None:
    stop = Stop()
    async with stop.at_most(0.05):
        await asyncio.sleep(0.1)  # longer than it may last once the stop is set
    stop.set()
    stop.set()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(PATIENCE), stop.at_most(0.05):
            await asyncio.Event().wait()
