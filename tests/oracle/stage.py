"""One release on one server, twice: its own retry in database 0, and ours in database 1."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import redis

from qtui.bullmq.codes import Result
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState
from qtui.bullmq.writers.batch import Batch, Picked
from qtui.bullmq.writers.retry import RetryWriter
from qtui.demo.server import EmbeddedServer
from tests.oracle.driver import Driver
from tests.oracle.keyspace import Difference, Value, assert_equal, census, copy, members, snapshot
from tests.oracle.releases import Release
from tests.patience import PATIENCE
from tests.servers import connect

_BLOCKING: Final = ("bzpopmin", "brpoplpush", "blmove")

Job = dict[str, Any]


def job(name: str, outcome: str = "fail", **opts: object) -> Job:
    """A job whose first run ends as `outcome` says: ``fail`` or ``ok``."""
    return {"name": name, "data": {"outcome": outcome}, "opts": opts}


def wait_for(condition: Callable[[], object], what: str) -> None:
    """Wait until a condition holds; fail with `what` after PATIENCE seconds."""
    until = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < until, f"not within {PATIENCE:.0f} s: {what}"
        time.sleep(0.002)  # between two looks; the condition decides


class Worker:
    """A running worker of a release; `with` stops it."""

    def __init__(self, side: Side, number: int) -> None:
        self.side = side
        self._number = number

    def until(self, starts: int = 0, ends: int = 0) -> list[str]:
        """Wait for this many starts and ends of runs; the ids of all runs, by their start."""
        runs = self.timed(starts, ends)
        return [run["id"] for run in runs]

    def timed(self, starts: int = 0, ends: int = 0) -> list[dict[str, Any]]:
        """As `until`, each run whole: id, name, and `at`, its start in ms since the epoch."""
        runs: list[dict[str, Any]] = self.side.run(
            "until",
            worker=self._number,
            starts=starts,
            ends=ends,
            milliseconds=int(PATIENCE * 1000),
        )
        return runs

    def release(self) -> None:
        """Let the jobs that hold continue."""
        self.side.run("release", worker=self._number)

    def __enter__(self) -> Worker:
        """It runs already."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it, with its last job done."""
        self.side.run("stop", worker=self._number)


class Side:
    """One database of the server, and a release that works in it."""

    def __init__(
        self, server: EmbeddedServer, database: int, driver: Driver, release: Release, queue: str
    ) -> None:
        self.database = database
        self.release = release
        self.queue = queue
        self._server = server
        self._driver = driver
        self.client = redis.Redis(
            unix_socket_path=server.path,
            db=database,
            decode_responses=True,
            encoding_errors="surrogateescape",
        )

    def where(self) -> dict[str, object]:
        return {"socket": self._server.path, "db": self.database, "queue": self.queue}

    def run(self, command: str, **arguments: object) -> Any:
        """Let the release do something in this database, see `driver.cjs`."""
        return self._driver.call(command, **{**self.where(), **arguments})

    def start(self, command: str, **arguments: object) -> Callable[[], Any]:
        """As `run`, without waiting: call what comes back for the result."""
        future = self._driver.send(command, **{**self.where(), **arguments})
        return lambda: future.result(PATIENCE)

    def other(self, driver: Driver, release: Release) -> Side:
        """The same database and queue in the hands of another release."""
        return Side(self._server, self.database, driver, release, self.queue)

    def beside(self, queue: str) -> Side:
        """Another queue of the same database and release."""
        return Side(self._server, self.database, self._driver, self.release, queue)

    def key(self, suffix: str) -> str:
        return f"bull:{self.queue}:{suffix}"

    def connect(self) -> redis.asyncio.Redis:
        """A client to this database that reads replies as qtui does; the caller closes it."""
        return connect(self._server, db=self.database)

    def open(self) -> None:
        """Open the queue and wait until what that writes in the background is there."""
        self.run("open")
        if self.release.is_python:
            return
        wait_for(lambda: self.client.hexists(self.key("meta"), "opts.maxLenEvents"), "meta")
        if self.release.writes_version:
            wait_for(
                lambda: (
                    self.client.hget(self.key("meta"), "version") == f"bullmq:{self.release.name}"
                ),
                "meta.version",
            )

    def worker(self, outcome: str = "ok", **settings: object) -> Worker:
        """Start a worker; its jobs end as `outcome` says: ``ok``, ``fail``, ``hold``, ``data``."""
        return Worker(self, self.run("work", outcome=outcome, settings=settings))

    def seed(self, jobs: Sequence[Job], **settings: object) -> list[str]:
        """Add jobs and work them until each has ended as its data says; the ids."""
        self.open()
        added: list[str] = self.run("add", jobs=jobs)
        with self.worker("data", **settings) as worker:
            worker.until(ends=sum(_ends(one) for one in jobs))
        return added

    def blocked(self) -> int:
        """Workers (of this database) that have found nothing to do and wait in Redis."""
        return sum(
            "b" in client["flags"]
            and client["cmd"] in _BLOCKING
            and int(client["db"]) == self.database
            for client in self.client.client_list()
        )

    def await_idle(self, workers: int = 1) -> None:
        """Wait until the workers have found nothing (more) to do."""
        wait_for(lambda: self.blocked() == workers, f"{workers} idle workers")

    def members(self, suffix: str) -> list[str]:
        """The members of one of the queue's lists or sorted sets."""
        return members(self.client, self.key(suffix))

    def snapshot(self) -> dict[str, Value]:
        return snapshot(self.client)

    def census(self) -> dict[str, list[str]]:
        return census(self.client, self.queue)

    def work_off(self, ids: Sequence[str], in_order: bool = True) -> None:
        """A worker runs each of these jobs once, in this order, and nothing else is left behind."""
        with self.worker("ok") as worker:
            runs = worker.until(ends=len(ids))
            self.await_idle()
            assert worker.until() == runs
        assert (runs == list(ids)) if in_order else (sorted(runs) == sorted(ids))
        self.assert_all_in("completed", ids)

    def assert_all_in(self, place: str, ids: Sequence[str]) -> None:
        """Each of these jobs is in this one place, and every other job of the queue in one too."""
        counted = self.census()
        assert {id: counted.get(id) for id in ids} == {id: [place] for id in ids}
        self.assert_each_in_one_place()

    def assert_each_in_one_place(self) -> None:
        """No job of the queue is lost, or is in two places."""
        strange = {id: places for id, places in self.census().items() if len(places) != 1}
        assert not strange


def _ends(one: Job) -> int:
    if one["data"]["outcome"] == "ok":
        return 1
    return int(one["opts"].get("attempts", 1))


class Stage:
    """The two sides of a case."""

    def __init__(
        self, server: EmbeddedServer, driver: Driver, release: Release, queue: str = "q"
    ) -> None:
        self.release = release
        self.official = Side(server, 0, driver, release, queue)
        self.ours = Side(server, 1, driver, release, queue)
        self._server = server
        self._driver = driver

    def copy(self) -> None:
        """Make our side an exact copy of the official one."""
        self.ours.client.flushdb()
        copy(self.official.client, self.ours.database)
        assert self.official.snapshot() == self.ours.snapshot()

    def retry(
        self,
        ids: Sequence[str | Picked],
        state: str = "failed",
        *,
        made: bool = False,
        started: bool = False,
    ) -> list[int]:
        """Retry with qtui on our side; the codes."""
        batch = self.batch(ids, state, made=made, started=started)
        assert batch.note == ""
        return [int(result.code) for result in batch.results]

    def batch(
        self,
        ids: Sequence[str | Picked],
        state: str = "failed",
        *,
        made: bool = False,
        started: bool = False,
        username: str | None = None,
    ) -> Batch:
        """As `retry`, with everything that the writer says."""
        picked = [one if isinstance(one, Picked) else Picked(one) for one in ids]

        async def call() -> Batch:
            options: dict[str, object] = {"db": self.ours.database}
            if username is not None:
                options |= {"username": username, "password": "secret"}
            async with connect(self._server, **options) as client:
                return await RetryWriter(client).retry(
                    QueueKey.of("bull", self.ours.queue),
                    JobState(state),
                    picked,
                    reset_attempts_made=made,
                    reset_attempts_started=started,
                )

        return asyncio.run(call())

    def results(self, ids: Sequence[str]) -> list[Result]:
        """As `retry` from failed, with the key that each job went to."""
        return self.batch(ids).results

    def retry_both(
        self,
        ids: Sequence[str],
        state: str = "failed",
        *,
        made: bool = False,
        started: bool = False,
    ) -> None:
        """Retry with the release on its side and with qtui on ours; each must succeed."""
        resets = {"resetAttemptsMade": made, "resetAttemptsStarted": started}
        official = self.official.run("retry", ids=ids, state=state, resets=resets)
        assert official == [[1, ""]] * len(ids)
        assert self.retry(ids, state, made=made, started=started) == [1] * len(ids)

    def assert_equal(self, *declared: Difference) -> None:
        """Both sides hold the same in every key, but for the declared differences."""
        assert_equal(self.official.snapshot(), self.ours.snapshot(), *declared)
