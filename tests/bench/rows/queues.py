"""Many queues: what it costs to read all their counts once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Final

from qtui.bullmq.connection.client import connect, parse_target
from qtui.views.queues.poll import Poll
from tests.bench.others import Others
from tests.bench.row import COSTS, OURS, Row, Stage, Way, Ways

_AT_ONCE: Final = 500


async def seed(stage: Stage, queues: int) -> list[str]:
    """Makes queues with a few jobs in each state, as BullMQ 5 leaves them; returns their names."""
    names = [f"queue-{place:05}" for place in range(queues)]
    for first in range(0, queues, _AT_ONCE):
        pipe = stage.admin.pipeline(transaction=False)
        for name in names[first : first + _AT_ONCE]:
            base = f"bull:{name}"
            pipe.hset(
                f"{base}:meta", mapping={"opts.maxLenEvents": 10000, "version": "bullmq:5.81.5"}
            )
            pipe.set(f"{base}:id", 40)
            pipe.xadd(f"{base}:events", {"event": "added", "jobId": "1"})
            pipe.rpush(f"{base}:wait", *range(1, 11))
            pipe.rpush(f"{base}:active", *range(11, 14))
            pipe.zadd(f"{base}:failed", {str(one): one for one in range(14, 24)})
            pipe.zadd(f"{base}:completed", {str(one): one for one in range(24, 40)})
            pipe.zadd(f"{base}:delayed", {"40": 40 * 4096})
        await pipe.execute()
    return names


async def idle_queues(stage: Stage, queues: int) -> list[str]:
    """The same with finished jobs alone: nothing changes in them by itself."""
    names = await seed(stage, queues)
    keys = [f"bull:{name}:{state}" for name in names for state in ("wait", "active", "delayed")]
    for first in range(0, len(keys), _AT_ONCE):
        await stage.admin.delete(*keys[first : first + _AT_ONCE])
    return names


async def change(stage: Stage, names: Sequence[str]) -> None:
    """Lets a job fail in each queue, as far as its counts and its stream show."""
    job = await stage.admin.incr("failures")
    for first in range(0, len(names), _AT_ONCE):
        pipe = stage.admin.pipeline(transaction=False)
        for name in names[first : first + _AT_ONCE]:
            pipe.zadd(f"bull:{name}:failed", {f"more-{job}": 24 + job})
            pipe.xadd(f"bull:{name}:events", {"event": "failed", "jobId": f"more-{job}"})
        await pipe.execute()


def _refresh(changing: int) -> Callable[[Stage, int], AbstractAsyncContextManager[Ways]]:
    """Ways to read all counts, after jobs failed in every how manieth queue."""

    @asynccontextmanager
    async def opened(stage: Stage, size: int) -> AsyncIterator[Ways]:
        names = await seed(stage, size)
        client = connect(parse_target(stage.server.url), read_only=True)
        poll = Poll(client, ["bull"], names, 2.0)
        async for _ in poll.search():
            pass
        poll.visible = lambda: poll.statuses
        ready = partial(change, stage, names[::changing])

        async def look() -> None:
            await poll.look()
            assert len(poll.statuses) == size

        async with Others.beside(stage.server, names) as others:
            try:
                yield {
                    OURS: Way(go=look, ready=ready),
                    "bull-board": others.way("boardQueues", {"names": names}, ready=ready),
                    "getJobCounts": others.way("counts", {"names": names}, ready=ready),
                }
            finally:
                await client.aclose()

    return opened


_SIZES: Final = (50, 500, 5_000)

ROWS: Final = (
    Row(
        name="queues",
        what="{size} queues, one refresh",
        sizes=_SIZES,
        size=500,
        open=_refresh(10),
        per="refresh",
        grows=COSTS,
        readme=True,
        at_least={"bull-board": 10},
        here_at_most=15,
        server_at_most=4,
    ),
    Row(
        name="changed",
        what="{size} queues that all changed, one refresh",
        sizes=_SIZES,
        size=500,
        open=_refresh(1),
        per="refresh",
        grows=COSTS,
        at_least={"bull-board": 5},
    ),
)
