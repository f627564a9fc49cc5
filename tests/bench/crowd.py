"""200,000 failed jobs of 4 kB in some five seconds: made by a script, inside the server."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

import redis.asyncio

from qtui.bullmq.keys import QueueKey

CROWD: Final = QueueKey.of("bull", "payments")
"""The queue of most rows."""

TIMEOUTS: Final = 0.1
"""Share of the jobs whose error is a time-out."""

_NAMES: Final = "charge refund payout invoice reminder"
_KINDS: Final = (
    "connect ECONNREFUSED 10.0.{0}.7:5432 while the job was written to the ledger of region {0}",
    "Timeout of {0}000ms exceeded at https://api.provider.example/v1/charges for merchant mer_{0}",
    "Request failed with status code 503 from gateway gw-{0}.internal.example, trace 4f{0}ab09c21",
    "duplicate key value violates unique constraint charges_order_key, order ord_{0} of this month",
    "Cannot read properties of undefined (reading 'amount') in the invoice of customer cus_{0}",
    "getaddrinfo EAI_AGAIN ledger-{0}.internal.example while the balance of the account was read",
    "Your card was declined by the bank of the customer: insufficient_funds, request req_{0}x81Zk",
    "read ECONNRESET by the peer 172.16.{0}.1:443 after 3 attempts, the payout was not confirmed",
    "Deadlock found when trying to get lock; try restarting transaction {0} on the ledger's table",
    "Rate limit of {0} requests a minute reached for organisation org_main, try again later",
)
_VARIANTS: Final = 30
_CALL: Final = 5_000


async def seed(
    client: redis.asyncio.Redis,
    jobs: int,
    *,
    queue: QueueKey = CROWD,
    items: int = 40,
    huge_every: int = 0,
) -> None:
    """Fills a queue's ``failed``; the ids are 1 to ``jobs``, one failed each ms, until now.

    Args:
        client: where to.
        jobs: how many.
        queue: which queue.
        items: what a job's data has of 77 bytes each.
        huge_every: every how manieth job has a megabyte of data; none for 0.
    """
    await client.hset(queue.key("meta"), mapping={"opts.maxLenEvents": "10000"})
    await client.set(queue.key("id"), str(jobs))
    script = await client.script_load(Path(__file__).with_name("crowd.lua").read_text("utf-8"))
    reasons = [kind.format(one + 1) for kind in _KINDS for one in range(_VARIANTS)]
    start = int(time.time() * 1000) - jobs
    for first in range(1, jobs + 1, _CALL):
        last = min(first + _CALL - 1, jobs)
        numbers = (str(one) for one in (first, last, start, items, huge_every))
        there = await client.evalsha(
            script, 1, queue.key("failed"), queue.job(""), *numbers, _NAMES, *reasons
        )
        assert there == last, there


async def refill(client: redis.asyncio.Redis, jobs: int, *, items: int = 12) -> None:
    """The same on a server that is emptied first."""
    await client.flushall()
    await seed(client, jobs, items=items)
