"""How tests end workers of the official Python package, so that nothing of them comes later."""

from __future__ import annotations

import asyncio

from bullmq import Job, Worker


async def end(worker: Worker) -> None:
    """Ends a worker at once, with all that it has under way.

    A command may miss that it is called off, and be sent again seconds later on a new connection:
    it would take a job, and nobody would run it.
    """
    await worker.close(force=True)
    while left := [one for one in worker.processing if not one.done()]:
        for one in left:
            one.cancel()
        await asyncio.wait(left, timeout=0.1)


async def finish(worker: Worker, running: asyncio.Future[None]) -> None:
    """Closes a worker once all that it has taken has run; by itself it may leave some (3.4.4)."""
    worker.closing = True  # it takes no more
    while not running.done():
        # It misses that it is closed where it begins to wait for jobs just then, for 10 s where one
        # is due later: that wait is called off.
        if worker.waiting:
            worker.waiting.cancel()
        await asyncio.sleep(0.001)  # between two looks
    await running
    left = set(worker.processing)
    while left:
        done, left = await asyncio.wait(left, return_when=asyncio.FIRST_COMPLETED)
        taken = [one.result() for one in done if not one.cancelled()]
        jobs = [one for one in taken if isinstance(one, Job)]
        left |= {asyncio.ensure_future(worker.processJob(one, one.token)) for one in jobs}
    await worker.close()
