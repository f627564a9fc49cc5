"""Does with the Python package of BullMQ what `driver.cjs` does with a release from npm."""

from __future__ import annotations

import asyncio
import inspect
import json
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

from bullmq import FlowProducer, Job, Queue, Worker
from bullmq.job_scheduler import default_repeat_strategy

from tests.workers import finish

# What a command gets and gives is JSON, as loose as that.
Json = Any


class Work:
    """What a worker has done, and who waits for it to do more."""

    def __init__(self, outcome: str) -> None:
        self.outcome = outcome
        self.runs: list[dict[str, Json]] = []
        self.ends = 0
        self.gate = asyncio.Event()
        self.changed = asyncio.Condition()

    async def notify(self) -> None:
        async with self.changed:
            self.changed.notify_all()

    async def process(self, job: Job, _token: str) -> dict[str, Json]:
        at, began = round(time.time() * 1000), time.perf_counter()
        run = {"id": job.id, "name": job.name, "data": job.data, "at": at, "began": began}
        self.runs.append(run)
        await self.notify()
        outcome = job.data["outcome"] if self.outcome == "data" else self.outcome
        if outcome == "hold":
            await self.gate.wait()
        if outcome == "fail":
            raise RuntimeError(f"{job.name} failed")
        if outcome == "values":
            values = await job.getChildrenValues()
            children = {key: value["done"] for key, value in values.items()}
            run["ended"] = time.perf_counter()
            return {"done": job.name, "children": children}
        return {"done": job.name}

    async def end(self) -> None:
        self.ends += 1
        await self.notify()

    async def until(self, starts: int, ends: int, milliseconds: int) -> list[dict[str, Json]]:
        def enough() -> bool:
            return len(self.runs) >= starts and self.ends >= ends

        try:
            async with asyncio.timeout(milliseconds / 1000), self.changed:
                await self.changed.wait_for(enough)
        except TimeoutError:
            raise RuntimeError(
                f"only {len(self.runs)} starts and {self.ends} ends within {milliseconds} ms"
            ) from None
        return self.runs


class Commands:
    """One method a command."""

    def __init__(self) -> None:
        self._queues: dict[tuple[Json, ...], Queue] = {}
        self._flows: dict[tuple[Json, ...], FlowProducer] = {}
        self._fetched: dict[tuple[Json, ...], Job] = {}
        self._workers: dict[int, tuple[Worker, Work, asyncio.Task[None]]] = {}
        self._last_worker = 0
        self._ends: set[asyncio.Task[None]] = set()

    def _queue(self, where: dict[str, Json]) -> Queue:
        name = (where["socket"], where["db"], where["queue"])
        if name not in self._queues:
            self._queues[name] = Queue(where["queue"], _options(where))
        return self._queues[name]

    async def open(self, **where: Json) -> None:
        await self._queue(where).getJobCounts()

    async def add(self, jobs: list[dict[str, Json]], **where: Json) -> list[str]:
        added = await self._queue(where).addBulk(jobs)
        return [str(job.id) for job in added]

    async def scheduler(
        self, scheduler: str, every: int, template: dict[str, Json], **where: Json
    ) -> str:
        how = {"every": every}, template["name"], template["data"]
        job = await self._queue(where).upsertJobScheduler(scheduler, *how)
        return str(job.id)

    async def flow(self, tree: dict[str, Json], **where: Json) -> Json:
        name = (where["socket"], where["db"])
        if name not in self._flows:
            url = _options(where)["connection"]
            self._flows[name] = FlowProducer(url, {"prefix": "bull"})

        def ids(node: dict[str, Json]) -> dict[str, Json]:
            children = [ids(child) for child in node.get("children") or ()]
            return {"id": node["job"].id, "children": children}

        return ids(await self._flows[name].add(tree))

    async def fetch(self, ids: list[str], **where: Json) -> None:
        for job_id in ids:
            job = await Job.fromId(self._queue(where), job_id)
            self._fetched[where["socket"], where["db"], where["queue"], job_id] = job

    async def retry(
        self, ids: list[str], state: str, resets: dict[str, bool] | None = None, **where: Json
    ) -> list[tuple[int | None, str]]:
        results: list[tuple[int | None, str]] = []
        for job_id in ids:
            job = self._fetched.get((where["socket"], where["db"], where["queue"], job_id))
            job = job or await Job.fromId(self._queue(where), job_id)
            try:
                await job.retry(state, resets or {})
            except Exception as error:  # what the package raises is its answer
                results.append((_code(error), str(error)))
            else:
                results.append((1, ""))
        return results

    async def remove(
        self, ids: list[str], children: bool = False, **where: Json
    ) -> list[tuple[int | None, str]]:
        queue = self._queue(where)
        results: list[tuple[int | None, str]] = []
        for job_id in ids:
            try:
                code = await queue.remove(job_id, {"removeChildren": children})
            except Exception as error:  # what the package raises is its answer
                results.append((_code(error), str(error)))
            else:
                results.append((code, ""))
        return results

    async def change(
        self,
        job: str,
        data: Json = None,
        priority: int | None = None,
        delay: int | None = None,
        **where: Json,
    ) -> None:
        found = await Job.fromId(self._queue(where), job)
        assert found is not None
        if data is not None:
            await found.updateData(data)
        if priority is not None:
            await found.changePriority({"priority": priority})
        if delay is not None:
            await found.changeDelay(delay)

    async def schedule(self, **_where: Json) -> None:
        """Only BullMQ 1.x needs it."""

    async def repeat(self, name: str, every: int, data: Json, **where: Json) -> None:
        queue = self._queue(where)
        await queue.upsertJobScheduler(name, {"every": every}, name, data)

    async def next(self, asked: list[tuple[str, str | None, int]], **_where: Json) -> Json:
        def one(pattern: str, tz: str | None, millis: int) -> Json:
            try:
                return default_repeat_strategy(millis, {"pattern": pattern, "tz": tz})
            except Exception:  # what the package raises is its answer
                return None

        return [one(*each) for each in asked]

    async def upsert(
        self, scheduler: str, repeat: Json, template: dict[str, Json] | None = None, **where: Json
    ) -> str | None:
        given = template or {}
        how = repeat, given.get("name", scheduler), given.get("data"), given.get("opts")
        job = await self._queue(where).upsertJobScheduler(scheduler, *how)
        return None if job is None else str(job.id)

    async def unschedule(self, scheduler: str, **where: Json) -> Json:
        return await self._queue(where).removeJobScheduler(scheduler)

    async def drain(self, delayed: bool = False, **where: Json) -> None:
        await self._queue(where).drain(delayed)

    async def promote(self, job: str, **where: Json) -> None:
        await (await Job.fromId(self._queue(where), job)).promote()

    async def promoteAll(self, **where: Json) -> None:
        await self._queue(where).promoteJobs()

    async def retryAll(self, **where: Json) -> None:
        await self._queue(where).retryJobs({"state": "failed"})

    async def clean(self, state: str, **where: Json) -> Json:
        return await self._queue(where).clean(0, 0, state)

    async def limit(self, concurrency: int, **where: Json) -> None:
        await self._queue(where).setGlobalConcurrency(concurrency)

    async def rate(self, most: int, duration: int, **where: Json) -> None:
        await self._queue(where).setGlobalRateLimit(most, duration)

    async def unlimit(self, what: str, id: str | None = None, **where: Json) -> None:
        remove = getattr(self._queue(where), f"remove{what}")
        await (remove() if id is None else remove(id))

    async def limited(self, milliseconds: int, **where: Json) -> None:
        await self._queue(where).rateLimit(milliseconds)

    async def obliterate(self, **where: Json) -> None:
        await self._queue(where).obliterate(force=True)

    async def counts(self, **where: Json) -> Json:
        return await self._queue(where).getJobCounts()

    async def pause(self, **where: Json) -> None:
        await self._queue(where).pause()

    async def resume(self, **where: Json) -> None:
        await self._queue(where).resume()

    async def work(
        self, outcome: str, settings: dict[str, Json] | None = None, **where: Json
    ) -> int:
        work = Work(outcome)
        options = {**_options(where), **(settings or {}), "autorun": False}
        worker = Worker(where["queue"], work.process, options)

        def end(*_: object) -> None:
            task = asyncio.ensure_future(work.end())
            self._ends.add(task)
            task.add_done_callback(self._ends.discard)

        worker.on("completed", end)
        worker.on("failed", end)
        worker.on("error", lambda *_: None)
        self._last_worker += 1
        running = asyncio.ensure_future(worker.run())
        self._workers[self._last_worker] = worker, work, running
        return self._last_worker

    async def until(
        self, worker: int, milliseconds: int, starts: int = 0, ends: int = 0, **_where: Json
    ) -> list[dict[str, Json]]:
        return await self._workers[worker][1].until(starts, ends, milliseconds)

    async def release(self, worker: int, **_where: Json) -> None:
        self._workers[worker][1].gate.set()

    async def stop(self, worker: int, **_where: Json) -> list[dict[str, Json]]:
        one, work, running = self._workers.pop(worker)
        work.gate.set()
        await finish(one, running)
        return work.runs

    async def close(self, **_where: Json) -> None:
        for worker in list(self._workers):
            await self.stop(worker)
        for one in (*self._flows.values(), *self._queues.values()):
            await one.close()
        self._flows.clear()
        self._queues.clear()
        self._fetched.clear()


def _options(where: dict[str, Json]) -> dict[str, Json]:
    return {"connection": f"unix://{where['socket']}?db={where['db']}", "prefix": "bull"}


def _code(error: Exception) -> int | None:
    words = str(error)
    if "Missing key for job" in words:
        return -1
    return -3 if "is not in the" in words else None


async def _answer(call: Callable[..., Awaitable[Json]], number: int, given: Json) -> None:
    try:
        reply: dict[str, Json] = {"id": number, "result": await call(**given)}
    except Exception as error:  # what the package raises is its answer
        reply = {"id": number, "error": {"message": str(error), "code": _code(error)}}
    sys.stdout.write(json.dumps(reply) + "\n")
    sys.stdout.flush()


async def _serve() -> None:
    commands = Commands()
    known = dict(inspect.getmembers(commands, inspect.ismethod))
    running: set[asyncio.Task[None]] = set()
    lines = asyncio.StreamReader(limit=2**26)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(lines), sys.stdin
    )
    while line := await lines.readline():
        given = json.loads(line)
        call = known[given.pop("command")]
        task = asyncio.ensure_future(_answer(call, given.pop("id"), given))
        running.add(task)
        task.add_done_callback(running.discard)


if __name__ == "__main__":
    asyncio.run(_serve())
