"""A campaign goes on hold when too many of its latest jobs fail again, and asks."""

from __future__ import annotations

import asyncio

import pytest
from redis.asyncio import Redis

from qtui.bullmq.codes import Result
from qtui.demo.server import EmbeddedServer
from qtui.operations.engine.brake import FEWEST
from qtui.operations.engine.campaign import Campaign, Phase
from qtui.operations.engine.pace import Pace
from qtui.operations.retry.retry import Retry
from tests.operations.campaigns import run
from tests.operations.test_canary import canary_of, heal
from tests.seeds import census, failed_jobs, real_queue, soon

JOBS = 300


def braked() -> Pace:
    return Pace(rate=100, max_refail=10, brake=True)


@pytest.mark.parametrize("continues", [True, False])
async def test_jobs_that_fail_again_put_it_on_hold(
    server: EmbeddedServer, client: Redis, continues: bool
) -> None:
    async with real_queue(server) as real:
        ids = await failed_jobs(real, JOBS, attempts=1)
        campaign = await canary_of(client, braked())
        said: list[str] = []
        campaign.news = lambda: said.append(campaign.question)
        async with real.worker(concurrency=5) as ended:
            running = asyncio.ensure_future(run(campaign))
            await soon(lambda: bool(campaign.question) or running.done())
            assert not running.done()
            question, sent = campaign.question, campaign.done
            assert FEWEST <= sent < JOBS
            assert question.endswith("failed again (limit 10 %)")
            assert campaign.held == question
            if continues:
                await _answer_each(campaign, running)
                assert (campaign.phase, campaign.done) == (Phase.DONE, JOBS)
            else:
                campaign.give_in()
                await running
                assert (campaign.phase, campaign.done) == (Phase.STOPPED, sent)
                assert campaign.why == question
            await ended(campaign.done)
        assert campaign.question == ""
        assert question in said
        assert await census(client) == {one: ["failed"] for one in ids}


async def _answer_each(campaign: Campaign[Retry], running: asyncio.Future[list[Result]]) -> None:
    """Goes on as often as it asks."""
    while not running.done():
        if campaign.question:
            campaign.proceed()
            await soon(lambda: not campaign.question or running.done())
        await soon(lambda: bool(campaign.question) or running.done())
    await running


@pytest.mark.slow
async def test_jobs_that_recover_do_not(server: EmbeddedServer, client: Redis) -> None:
    async with real_queue(server) as real:
        ids = await failed_jobs(real, JOBS, attempts=1)
        await heal(client, ids)
        campaign = await canary_of(client, braked())
        said: set[str] = set()
        campaign.news = lambda: said.add(campaign.question)
        async with real.worker(concurrency=5) as ended:
            await run(campaign)
            await ended(JOBS)
    assert (campaign.phase, campaign.done) == (Phase.DONE, JOBS)
    assert said <= {""}


async def test_a_stop_ends_the_hold(server: EmbeddedServer, client: Redis) -> None:
    async with real_queue(server) as real:
        await failed_jobs(real, JOBS, attempts=1)
        campaign = await canary_of(client, braked())
        async with real.worker(concurrency=5):
            running = asyncio.ensure_future(run(campaign))
            await soon(lambda: bool(campaign.question))
            campaign.stop()
            await running
    assert (campaign.phase, campaign.why) == (Phase.STOPPED, "")
