"""A million failed jobs of 4 kB in some twenty seconds: made by a script, inside the server."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Final

import redis.asyncio

from qtui.bullmq.keys import QueueKey

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
_JOB_KB: Final = 6.0
"""What a job takes of the server's memory, its fields' own overhead and its place included."""

_CALL: Final = 5_000
_MEMORY: Final = Path("/proc/meminfo")


def fitting(jobs: int) -> int:
    """So many jobs, or as many as take 60 % of the memory that is free."""
    free = re.search(r"MemAvailable:\s+(\d+)", _MEMORY.read_text("ascii"))
    assert free is not None
    most = int(int(free[1]) * 0.6 / _JOB_KB)
    if most < jobs:
        print(f"memory is short: {most:,} jobs instead of {jobs:,}", flush=True)
    return min(jobs, most)


async def seed(
    client: redis.asyncio.Redis, queue: QueueKey, jobs: int, *, huge_every: int = 0
) -> None:
    """Fills a queue's ``failed``; the ids are 1 to ``jobs``, one failed each ms, until now.

    Args:
        client: where to.
        queue: which queue.
        jobs: how many.
        huge_every: every how manieth job has a megabyte of data; none for 0.
    """
    await client.hset(queue.key("meta"), mapping={"opts.maxLenEvents": "10000"})
    await client.set(queue.key("id"), str(jobs))
    script = await client.script_load(Path(__file__).with_name("crowd.lua").read_text("utf-8"))
    reasons = [kind.format(one + 1) for kind in _KINDS for one in range(_VARIANTS)]
    start = int(time.time() * 1000) - jobs
    for first in range(1, jobs + 1, _CALL):
        last = min(first + _CALL - 1, jobs)
        where = (queue.job(""), str(first), str(last), str(start), str(huge_every))
        there = await client.evalsha(script, 1, queue.key("failed"), *where, _NAMES, *reasons)
        assert there == last, there
