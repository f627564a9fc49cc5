"""The provider is back: real BullMQ workers on every queue, and a trickle of new jobs."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable

from bullmq import Job, Queue, Worker
from bullmq.custom_errors import UnrecoverableError

from qtui.demo import story
from qtui.demo.scenes import QUEUES
from qtui.demo.story import Data, Failure, Payload

_CONCURRENCY = {"payments": 4}
"""Few, so that active jobs are visible for a while."""

_TICK = 2.0
"""Seconds between two new emails; other jobs come more rarely."""


class _RunFailed(Exception):
    """A run ended badly; BullMQ tries again while attempts are left."""


def _fail(job: Job, failure: Failure) -> Exception:
    """The error to raise in a processor; the job then keeps a stack as Node would print it."""
    # The package would note our Python traceback instead, which no production system has.
    job.updateStacktrace = lambda: job.stacktrace.append(failure.stack)
    return UnrecoverableError(failure.reason) if failure.final else _RunFailed(failure.reason)


def _processor(queue: str) -> Callable[[Job, str], Awaitable[Payload]]:
    async def run(job: Job, _token: str) -> Payload:
        await job.log(f"run {job.attemptsMade + 1}")
        await asyncio.sleep(story.duration(job.id))
        failure = story.ruling(job.data)
        if failure:
            raise _fail(job, failure)
        return story.result(queue, job.id)

    return run


def _quiet(*_: object) -> None:
    """Ignore errors of a worker: no one reads them, and the next run may pass."""


def start_workers(url: str) -> list[Worker]:
    """Start a worker on each queue; a running event loop is needed."""
    workers = []
    for queue in QUEUES:
        options = {
            "connection": url,
            "concurrency": _CONCURRENCY.get(queue, 2),
            "name": f"{queue}-1",
        }
        worker = Worker(queue, _processor(queue), options)
        worker.on("error", _quiet)
        workers.append(worker)
    return workers


async def trickle(url: str) -> None:
    """Keep adding a few jobs, so that the screen is alive: mostly emails, most of which succeed."""
    queues = {name: Queue(name, {"connection": url}) for name in ("emails", "payments", "webhooks")}
    options = {"attempts": 3, "backoff": {"type": "exponential", "delay": 2000}}
    for turn in itertools.count(1):
        await asyncio.sleep(_TICK)
        for queue, name, data in _arrivals(turn):
            await queues[queue].add(name, data, options)


def _arrivals(turn: int) -> list[tuple[str, str, Data]]:
    """What comes in at one tick: every 15th time (half a minute) something that fails."""
    order = f"order-{43_000 + turn}"
    new: list[tuple[str, str, Data]] = [
        ("emails", "receipt", {"to": "ada@example.org", "template": "receipt", "order": order})
    ]
    if turn % 2 == 0:
        card = story.BAD["card"] if turn % 30 == 0 else "pm_card_visa"
        amount = 999 + turn % 40 * 100
        charge: Data = {"order": order, "amount": amount, "card": card, "gateway": "stripe"}
        new.append(("payments", "charge", charge))
    if turn % 4 == 0:
        new.append(("webhooks", "deliver", {"host": "hooks.ada.example", "event": "order.paid"}))
    return new
