"""Reads all jobs below some, whole, to remove them with those. Reads only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from qtui.bullmq.connection.client import Client
from qtui.bullmq.flow.family import Queues
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.reads.scripted.whole import Unread, Whole
from qtui.bullmq.reads.scripted.wholes import NOWHERE, Wholes

MOST_BELOW: Final = 500
"""Most jobs below one: they are removed with it in one step, some 5 ms of Redis's time."""


async def read_below(
    client: Client, queues: Queues, tops: Sequence[Whole]
) -> list[list[Whole] | Unread]:
    """Returns for each job all jobs below it, parents first, or why they can't be read whole.

    A child whose hash is gone, or that is in no state, is left out. Costs for each generation what
    `Queues.part` costs, and for each queue of it what `Wholes` costs, without the states of the
    jobs known: nine commands a job, and a search of each list, O(n).

    Raises:
        redis.exceptions.RedisError: the server did not answer, or refused.
    """
    found: list[list[Whole] | Unread] = [[] for _ in tops]
    met = [{top.key} for top in tops]
    generation = [(place, top) for place, top in enumerate(tops) if top.children]
    while generation:
        wanted: list[tuple[int, str]] = []
        for place, job in generation:
            fresh = [key for key in job.children if key not in met[place]]
            met[place].update(fresh)
            wanted += [(place, key) for key in fresh]
            if len(met[place]) > MOST_BELOW + 1:
                found[place] = Unread(f"more than {MOST_BELOW} jobs are below it")
        wanted = [(place, key) for place, key in wanted if isinstance(found[place], list)]
        jobs = await _read(client, queues, list(dict.fromkeys(key for _, key in wanted)))
        generation = []
        for place, key in wanted:
            child, below = jobs[key], found[place]
            if isinstance(child, Unread):
                if child is not NOWHERE:
                    found[place] = Unread(f"{key}: {child}")
            elif isinstance(below, list) and child.fields:
                below.append(child)
                generation.append((place, child))
    return found


async def _read(client: Client, queues: Queues, keys: Sequence[str]) -> dict[str, Whole | Unread]:
    by_queue: dict[QueueKey, dict[str, str]] = {}
    for key, (queue, job_id) in zip(keys, await queues.part(keys), strict=True):
        by_queue.setdefault(queue, {})[job_id] = key
    found: dict[str, Whole | Unread] = {}
    for queue, keyed in by_queue.items():
        reader, ids = Wholes(client, queue, None), list(keyed)
        while ids:
            jobs = await reader.first_of(ids)
            for job_id, job in zip(ids, jobs, strict=False):
                found[keyed[job_id]] = job
            ids = ids[len(jobs) :]
    return found
