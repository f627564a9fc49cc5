"""Puts jobs on the stage with the real BullMQ, and runs qtui as others would."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import redis
from bullmq import Job, Queue, Worker
from click.testing import CliRunner

from qtui.cli import main
from tests.patience import PATIENCE

_TOKEN = "test:0"

# What a line of NDJSON holds is JSON, as loose as that.
Json = Any


@dataclass(frozen=True)
class Outcome:
    """What a command left: its exit code, and what it said where."""

    code: int
    raw_out: bytes
    raw_err: bytes

    @property
    def out(self) -> str:
        """Standard output."""
        return self.raw_out.decode()

    @property
    def err(self) -> str:
        """Standard error."""
        return self.raw_err.decode()

    @property
    def objects(self) -> list[dict[str, Json]]:
        """Standard output as NDJSON."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def summary(self) -> Json:
        """The summary at the end of a retry."""
        return self.objects[-1]["summary"]


def invoke(*args: str) -> Outcome:
    """Runs a command in this process; nothing of it is a terminal."""
    # Not the runner's own way with exceptions: one that gets out of qtui fails the test.
    result = CliRunner().invoke(main, args, prog_name="qtui", catch_exceptions=False)
    return Outcome(result.exit_code, result.stdout_bytes, result.stderr_bytes)


def command(*args: str | bytes) -> list[str | bytes]:
    """The words that run qtui in a process of its own."""
    return [sys.executable, "-P", "-m", "qtui.cli", *args]


def run(*args: str | bytes, environ: Mapping[str, str] | None = None) -> Outcome:
    """Runs a command in a process of its own."""
    done = subprocess.run(
        command(*args),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=PATIENCE,
        env={**os.environ, **(environ or {})},
        check=False,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def connect(url: str) -> redis.Redis:
    """A client that reads replies as qtui does."""
    return redis.Redis.from_url(
        url, decode_responses=True, encoding_errors="surrogateescape", socket_timeout=PATIENCE
    )


Play = Callable[["Stage"], Awaitable[None]]


class Stage:
    """One queue of the real BullMQ, and a worker that does as it is asked."""

    def __init__(self, url: str, name: str, prefix: str = "bull") -> None:
        options = {"connection": url, "prefix": prefix}
        self.queue = Queue(name, options)
        self._worker = Worker(name, None, {**options, "autorun": False})

    async def add(self, count: int, name: str = "charge", **options: object) -> list[str]:
        """Adds jobs; their ids."""
        jobs = [{"name": name, "data": {"n": n}, "opts": dict(options)} for n in range(count)]
        return [str(job.id) for job in await self.queue.addBulk(jobs)]

    async def active(self) -> Job:
        """Takes the next job to work on it."""
        job = await self._worker.moveToActive(_TOKEN)
        assert job is not None, "no job waits"
        return job

    async def fail(self, count: int, error: str = "Timeout of 5000ms exceeded") -> None:
        """Lets the next jobs fail."""
        for _ in range(count):
            job = await self.active()
            await job.moveToFailed(RuntimeError(error), _TOKEN)

    async def complete(self, count: int, value: object) -> None:
        """Lets the next jobs complete."""
        for _ in range(count):
            job = await self.active()
            await job.moveToCompleted(value, _TOKEN)

    async def close(self) -> None:
        """Closes the connections."""
        await self._worker.close(force=True)
        await self.queue.close()


def play(url: str, act: Play, *, name: str = "payments", prefix: str = "bull") -> None:
    """Lets something happen on a queue."""

    async def perform() -> None:
        stage = Stage(url, name, prefix)
        try:
            await act(stage)
        finally:
            await stage.close()

    asyncio.run(perform())


def failed(url: str, count: int, *, name: str = "payments", prefix: str = "bull") -> list[str]:
    """Jobs that failed in a queue, the one that failed first at first."""
    ids: list[str] = []

    async def act(stage: Stage) -> None:
        ids.extend(await stage.add(count))
        await stage.fail(count)

    play(url, act, name=name, prefix=prefix)
    return ids


def many_failed(url: str, ids: Sequence[str], name: str = "payments") -> None:
    """Adds jobs with BullMQ, then fails them all at once, as its workers would leave them."""

    async def act(stage: Stage) -> None:
        await stage.queue.addBulk(
            [{"name": "charge", "data": {}, "opts": {"jobId": job_id}} for job_id in ids]
        )

    play(url, act, name=name)
    base = f"bull:{name}"
    with connect(url) as client, client.pipeline(transaction=False) as pipe:
        pipe.delete(f"{base}:wait", f"{base}:marker")
        for at, job_id in enumerate(ids):
            moment = 1_700_000_000_000 + at
            pipe.zadd(f"{base}:failed", {job_id: moment})
            fields = {"failedReason": "Timeout", "finishedOn": moment, "atm": 1, "ats": 1}
            pipe.hset(f"{base}:{job_id}", mapping=fields)
        pipe.execute()


def places(url: str, name: str = "payments") -> list[str]:
    """All ids in all states of a queue, sorted: one for each place in which a job is."""
    found: list[str] = []
    with connect(url) as client:
        for state in ("wait", "active", "paused"):
            found += client.lrange(f"bull:{name}:{state}", 0, -1)
        for state in ("failed", "completed", "prioritized", "delayed", "waiting-children"):
            found += client.zrange(f"bull:{name}:{state}", 0, -1)
    return sorted(found)


def digest(url: str) -> str:
    """A fingerprint of all that the server holds."""
    with connect(url) as client:
        return str(client.execute_command("DEBUG", "DIGEST"))
