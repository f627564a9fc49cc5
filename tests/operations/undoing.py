"""Operations with a journal and their undo, for the tests of each action."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final

from redis.asyncio import Redis

from qtui.bullmq.codes import Code, Result
from qtui.bullmq.connection.client import Client
from qtui.bullmq.model import JobState
from qtui.bullmq.writers.retry import RetryWriter
from qtui.operations.engine.action import JobAction
from qtui.operations.engine.campaign import Campaign, Phase
from qtui.operations.journal.reading import ids
from qtui.operations.planning.plan import Resets, make_plan
from qtui.operations.resuming.recorder import Recorder
from qtui.operations.retry.retry import Retry
from qtui.operations.supply.selection import Selection, chosen
from qtui.operations.undo.plan import UndoPlan, make_undo_plan
from qtui.operations.undo.undo import Undo
from tests.seeds import QUEUE

WHERE: Final = "redis://cache-1:6379/0"

ASIDE: Final = (":events", ":marker", ":pc", ":id")
"""Keys that an undo leaves as they are: events are added, workers are woken, counters count."""


async def carried_out(client: Client, folder: Path, action: JobAction) -> list[Result]:
    """Runs an action with a journal; the results."""
    record = Recorder(folder=folder, where=WHERE, how="test")
    campaign = Campaign(client, action, record=record)
    found = [result async for batch in campaign.run() for result in batch]
    campaign.close()
    assert campaign.notes == []
    assert campaign.phase is Phase.DONE
    return found


async def retried(
    client: Client,
    folder: Path,
    names: Sequence[str],
    *,
    state: JobState = JobState.FAILED,
    resets: Resets | None = None,
    selection: Selection | None = None,
) -> list[Result]:
    """Retries jobs with a journal; the results."""
    plan = await make_plan(client, selection or chosen(QUEUE, state, names))
    action = Retry(client, RetryWriter(client), plan, resets or Resets())
    return await carried_out(client, folder, action)


def newest(folder: Path) -> str:
    """The id of the operation that began last; ids of one second are distinguished by their age."""
    known = ids(folder)
    return max(known, key=lambda one: (folder / f"{one}.jsonl").stat().st_mtime_ns)


async def undone(
    client: Client, folder: Path, name: str = "", only: Collection[str] = ()
) -> tuple[UndoPlan, list[Result]]:
    """Undoes an operation, the newest by default; its plan and the results."""
    plan = await make_undo_plan(client, folder, name or newest(folder), WHERE, only)
    results = await carried_out(client, folder, Undo(client, plan.deeds, tuple(only)))
    return plan, results


_READS: Final[dict[str, tuple[str, tuple[object, ...]]]] = {
    "hash": ("HGETALL", ()),
    "list": ("LRANGE", (0, -1)),
    "set": ("SMEMBERS", ()),
    "zset": ("ZRANGE", (0, -1, "WITHSCORES")),
    "string": ("GET", ()),
}


async def keyspace(client: Redis) -> dict[str, object]:
    """Every key and its value, but for those `ASIDE`."""
    keys = sorted([str(key) async for key in client.scan_iter(count=1000)])
    keys = [key for key in keys if not key.endswith(ASIDE)]
    types = client.pipeline(transaction=False)
    for key in keys:
        types.type(key)
    values = client.pipeline(transaction=False)
    for key, kind in zip(keys, await types.execute(), strict=True):
        command, more = _READS[kind]
        values.execute_command(command, key, *more)
    return dict(zip(keys, await values.execute(), strict=True))


def all_done(results: Sequence[Result]) -> bool:
    return all(one.code is Code.DONE for one in results)
