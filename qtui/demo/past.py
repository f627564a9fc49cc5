"""Writes the history of real queues with BullMQ's own scripts and times in the past.

A worker needs 0.5 ms per run. Sent as pipelines, the same scripts with the same arguments need a
third of that, and a script takes the time from its caller.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence

import redis.asyncio
from bullmq import FlowProducer, Job, Queue
from bullmq.scripts import Scripts, raw2NextJobData

from qtui.demo import scenes
from qtui.demo.scenes import OrderFlow
from qtui.demo.story import Failure, Life

_TOKEN = "demo:0"
_LOCK = 30_000


class Past:
    """One queue while its history is written; no worker may run on it meanwhile."""

    def __init__(self, queue: Queue) -> None:
        """Write the history of `queue`, which must be new."""
        self.queue = queue
        self.lives: dict[str, Life] = {}
        self._scripts: Scripts = queue.backend.scripts

    def expect(self, life: Life) -> None:
        """Set what happens to a job that was added elsewhere, by its id."""
        self.lives[str(life.opts["jobId"])] = life

    async def add(self, lives: Sequence[Life]) -> None:
        """Add jobs in this order, as their producers did."""
        jobs = await self.queue.addBulk([_node(life) for life in lives])
        for job, life in zip(jobs, lives, strict=True):
            self.lives[job.id] = life

    async def play(self, lives: Sequence[Life]) -> None:
        """Run all jobs that wait, the first of `lives` first, until each is where it belongs."""
        waiting, run = list(lives), 0
        while waiting:
            jobs = await self._take([life.started + run * life.pause for life in waiting])
            waiting = await self._end_runs(jobs)
            run += 1

    async def live(self, lives: Sequence[Life]) -> None:
        """Add jobs, run those that ran, and leave the others waiting behind them."""
        ran = [life for life in lives if life.started]
        await self.add(ran)
        await self.play(ran)
        await self.add([life for life in lives if not life.started])

    async def _take(self, moments: Sequence[int]) -> list[Job]:
        """Make the next jobs active, one at each moment."""
        keys, args = await self._move_to_active()
        async with self.queue.client.pipeline(transaction=False) as pipe:
            for moment in moments:
                call = [*args]
                call[1] = moment
                await self._scripts.commands["moveToActive"](keys=keys, args=call, client=pipe)
            replies = [raw2NextJobData(reply) for reply in await pipe.execute()]
        jobs = [Job.fromJSON(self.queue, reply[0], reply[1]) for reply in replies if reply[0]]
        if len(jobs) < len(moments):
            raise RuntimeError(f"{self.queue.name} ran {len(jobs)} of {len(moments)} jobs")
        return jobs

    async def _move_to_active(self) -> tuple[list[str], list[object]]:
        """What the package calls this script with, caught by taking the script's place."""
        caught: list[tuple[list[str], list[object]]] = []

        async def catch(keys: list[str], args: list[object]) -> list[object]:
            caught.append((keys, args))
            return [None, 0, 0, 0]

        scripts = Scripts(self.queue.prefix, self.queue.name, self.queue.redisConnection)
        scripts.commands = {"moveToActive": catch}
        await scripts.moveToActive(_TOKEN, {"lockDuration": _LOCK})
        return caught[0]

    async def _end_runs(self, jobs: Sequence[Job]) -> list[Life]:
        """End the runs of active jobs as their lives say; return the lives that have more runs."""
        more = []
        async with self.queue.client.pipeline(transaction=False) as pipe:
            for job in jobs:
                life = self.lives[job.id]
                if job.deferredFailure:
                    reason = job.deferredFailure
                    name, keys, args = self._fail(job, Failure(reason, f"Error: {reason}"), life)
                elif job.attemptsMade >= len(life.failures):
                    name, keys, args = self._complete(job, life)
                elif job.attemptsMade + 1 < len(life.failures) or life.result is not None:
                    name, keys, args = self._try_again(job, life.failures[job.attemptsMade])
                    more.append(life)
                elif life.delayed:
                    name, keys, args = self._delay(job, life.failures[job.attemptsMade], life)
                else:
                    name, keys, args = self._fail(job, life.failures[job.attemptsMade], life)
                await self._scripts.commands[name](keys=keys, args=args, client=pipe)
                if life.log and life not in more:
                    pipe.rpush(f"{self.queue.toKey(job.id)}:logs", *life.log)
            for reply in await pipe.execute():
                # A script answers a refusal with a negative code and does nothing.
                if isinstance(reply, int) and reply < 0:
                    raise RuntimeError(f"BullMQ refused to end a run: {reply}")
        return more

    def _complete(self, job: Job, life: Life) -> tuple[str, list[str], list[object]]:
        keys, args = self._scripts.moveToCompletedArgs(job, life.result, False, _TOKEN, False)
        args[1] = job.processedOn + life.took
        return "moveToFinished", keys, args

    def _fail(self, job: Job, failure: Failure, life: Life) -> tuple[str, list[str], list[object]]:
        fields = _failure_fields(job, failure)
        keys, args = self._scripts.moveToFailedArgs(
            job, failure.reason, False, _TOKEN, False, fields
        )
        args[1] = job.processedOn + life.took
        return "moveToFinished", keys, args

    def _try_again(self, job: Job, failure: Failure) -> tuple[str, list[str], list[object]]:
        fields = _failure_fields(job, failure)
        keys, args = self._scripts.retryJobArgs(job.id, False, _TOKEN, {"fieldsToUpdate": fields})
        return "retryJob", keys, args

    def _delay(self, job: Job, failure: Failure, life: Life) -> tuple[str, list[str], list[object]]:
        fields = {"fieldsToUpdate": _failure_fields(job, failure)}
        when = job.processedOn + life.took
        keys, args = self._scripts.moveToDelayedArgs(job.id, when, _TOKEN, life.delayed, fields)
        return "moveToDelayed", keys, args


def _failure_fields(job: Job, failure: Failure) -> dict[str, str]:
    """What a worker notes about a failed run: the message, and one more stack."""
    stacks = [*job.stacktrace, failure.stack]
    return {"failedReason": failure.reason, "stacktrace": json.dumps(stacks)}


async def write(url: str, now: int) -> None:
    """Fill an empty server with what happened until `now` (ms): some 3,500 jobs, 4,700 runs."""
    options = {"connection": url}
    async with redis.asyncio.Redis.from_url(url) as raw, asyncio.TaskGroup() as together:
        await raw.mset({f"bull:{name}:id": first for name, first in scenes.FIRST_IDS.items()})
        past = {name: Past(Queue(name, options)) for name in scenes.QUEUES}
        together.create_task(past["emails"].live(scenes.emails(now)))
        together.create_task(past["webhooks"].live(scenes.webhooks(now)))
        together.create_task(past["reports"].live(scenes.reports(now)))
        together.create_task(_pay(past["payments"], now))
        together.create_task(_pause(past["invoices"], now))
        together.create_task(_fulfil(past["shipping"], past["orders"], url, now))
        together.create_task(_import(past["imports"], raw, now))
    for finished in past.values():
        await finished.queue.close()


async def _pay(payments: Past, now: int) -> None:
    """Good hours, then the outage; the nightly refunds came just when it began."""
    lives = scenes.payments(now)
    good = [life for life in lives if life.result is not None]
    await payments.live(good)
    await payments.live(scenes.refunds(now))
    await payments.live([life for life in lives if life.result is None])


async def _fulfil(shipping: Past, orders: Past, url: str, now: int) -> None:
    """Families, each added in one transaction; then the children run, then who was released."""
    flows = FlowProducer(opts={"connection": url})
    families = scenes.families(now)
    await flows.addBulk([_tree(family) for family in families])
    await flows.close()
    for family in families:
        for child in family.children:
            shipping.expect(child)
        orders.expect(family.order)
    await shipping.play([child for family in families for child in family.children])
    # The last one released is the first to run: BullMQ puts parents at the head of the line.
    await orders.play([family.order for family in reversed(families) if not family.waits])


def _tree(family: OrderFlow) -> dict[str, object]:
    """A family as FlowProducer takes it."""
    children = [{"queueName": "shipping", **_node(child)} for child in family.children]
    return {"queueName": "orders", **_node(family.order), "children": children}


def _node(life: Life) -> dict[str, object]:
    """A job as `addBulk` takes it."""
    return {
        "name": life.name,
        "data": life.data,
        "opts": {**life.opts, "timestamp": life.added},
    }


async def _pause(invoices: Past, now: int) -> None:
    """The invoices queue was paused when the trouble began, and never resumed."""
    await invoices.live(scenes.invoices(now))
    await invoices.queue.pause()


async def _import(imports: Past, raw: redis.asyncio.Redis, now: int) -> None:
    """Uploads, two of which get what no package writes: bytes that are not UTF-8, half a JSON."""
    await imports.live(scenes.imports(now))
    # Only in fields that a retry deletes, so that a worker never has to read them.
    for job_id, life in imports.lives.items():
        if life.name == scenes.HOSTILE:
            await raw.hset(imports.queue.toKey(job_id), "failedReason", scenes.HOSTILE_REASON)
        elif life.data["file"] == scenes.CUT_OFF:
            await raw.hset(imports.queue.toKey(job_id), "returnvalue", scenes.BROKEN_JSON)
