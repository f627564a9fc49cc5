"""`qtui watch`: waits for something to go wrong in the queues, and says so. Reads only."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from qtui.bullmq.connection.client import Client
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.reads.queues.rates import Rates, read_rates
from qtui.bullmq.reads.queues.workers import read_workers
from qtui.bullmq.verdicts.queue import QueueFacts, judge_queue, read_queue_facts
from qtui.bullmq.verdicts.verdict import Weight
from qtui.commands.shared.find import find_queue, find_queues, say_none
from qtui.commands.shared.run import DONE, NOT_ALL, USAGE, Workplace
from qtui.text import count, plain, plural, span
from qtui.views.queues.workers import UNSEEN

_WORKERS_EVERY: Final = 10.0
"""Seconds between two readings of CLIENT LIST."""

_EVERY: Final = 2.0
"""Seconds between two looks, if the settings say none."""

_WINDOW: Final = 60
"""Seconds over which failures are counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchRequest:
    """What to wait for; with no condition, for anything that `qtui why` calls wrong."""

    queues: tuple[str, ...]
    """Empty: all queues."""
    failed_rate: float | None
    """Failures a minute."""
    waiting: int | None
    """Jobs that wait for a worker."""
    oldest: float | None
    """Seconds for which the next job has waited."""
    no_worker: bool
    stalled: bool
    command: str | None
    """A shell command to run each time a condition begins to hold."""
    seconds: float | None
    """How long to watch; None: until a condition holds, or with a command until interrupted."""
    json: bool

    @property
    def has_conditions(self) -> bool:
        """Whether a condition was given."""
        numbers = (self.failed_rate, self.waiting, self.oldest)
        return self.no_worker or self.stalled or any(one is not None for one in numbers)


@dataclass(frozen=True, slots=True)
class Alarm:
    """A condition that holds."""

    queue: QueueKey
    condition: str
    """The option that asked for it, or the verdict's code."""
    words: str


def watch(place: Workplace, request: WatchRequest) -> int:
    """Watches the queues; returns `NOT_ALL` if a condition held, `DONE` if the time is up."""
    return place.ask(lambda client: _watch(client, place, request))


async def _watch(client: Client, place: Workplace, request: WatchRequest) -> int:
    settings = place.settings
    if request.queues:
        found = [await find_queue(client, settings.prefixes, one) for one in request.queues]
    else:
        found = await find_queues(client, settings.prefixes, settings.queues, err=place.err)
    if not found:
        await say_none(client, place.err, settings.prefixes)
        return USAGE
    queues = [status.queue for status in found]
    ends = None if request.seconds is None else time.monotonic() + request.seconds
    holding: set[tuple[QueueKey, str]] = set()
    ever, looked = False, float("-inf")
    workers: dict[QueueKey, int | None] | None = None
    while True:
        if time.monotonic() - looked >= _WORKERS_EVERY:
            first = looked < 0
            workers, looked = await read_workers(client, queues), time.monotonic()
            asks = request.no_worker or not request.has_conditions
            if first and asks and workers is None:
                place.err.line(
                    f"{UNSEEN}, so a missing worker is not noticed: grant it +client|list"
                )
        alarms = await _alarms(client, queues, workers, request)
        for one in alarms:
            if (one.queue, one.condition) not in holding:
                ever = True
                await _tell(place, one, request)
        holding = {(one.queue, one.condition) for one in alarms}
        if ever and request.command is None:
            return NOT_ALL
        every = settings.refresh or _EVERY
        rest = every if ends is None else min(every, ends - time.monotonic())
        if rest <= 0:
            return NOT_ALL if ever else DONE
        await asyncio.sleep(rest)


async def _alarms(
    client: Client,
    queues: Sequence[QueueKey],
    workers: dict[QueueKey, int | None] | None,
    request: WatchRequest,
) -> list[Alarm]:
    rates = await read_rates(client, queues)
    found = []
    for queue, ended in zip(queues, rates, strict=True):
        seen = None if workers is None else workers[queue]
        facts = await read_queue_facts(client, queue, workers=seen)
        found += list(_of_queue(facts, ended, request))
    return found


def _of_queue(facts: QueueFacts, rates: Rates, request: WatchRequest) -> Iterator[Alarm]:
    queue, verdict = facts.queue, judge_queue(facts)
    if not request.has_conditions:
        if verdict.weight is Weight.WRONG:
            yield Alarm(queue, verdict.code, verdict.words)
        return
    failed = rates.failed[_WINDOW]
    if request.failed_rate is not None and failed and 60 * failed > request.failed_rate:
        words = f"{count(round(60 * failed))} failures a minute (limit {request.failed_rate:g})"
        yield Alarm(queue, "failed-rate", words)
    if request.waiting is not None and facts.ready > request.waiting:
        jobs = plural(facts.ready, "job waits", "jobs wait")
        yield Alarm(queue, "waiting", f"{jobs} (limit {count(request.waiting)})")
    if request.oldest is not None and facts.next_since is not None and facts.ready:
        waited = facts.now - facts.next_since
        if waited > 1000 * request.oldest:
            words = f"the next job has waited for {span(waited)} (limit {_limit(request.oldest)})"
            yield Alarm(queue, "oldest", words)
    if request.no_worker and facts.workers == 0 and facts.ready:
        jobs = plural(facts.ready, "job waits", "jobs wait")
        yield Alarm(queue, "no-worker", f"no worker is connected: {jobs}")
    if request.stalled and verdict.code == "stalled":
        yield Alarm(queue, "stalled", verdict.words)


def _limit(seconds: float) -> str:
    return span(1000 * seconds)


async def _tell(place: Workplace, one: Alarm, request: WatchRequest) -> None:
    if request.json:
        place.out.json(
            {
                "at": int(time.time() * 1000),
                "queue": one.queue.base,
                "condition": one.condition,
                "words": one.words,
            }
        )
    else:
        at = time.strftime("%H:%M:%S")
        place.out.line(f"{at}  {plain(one.queue.name)}: {plain(one.words)}")
    place.out.flush()
    if request.command is None:
        return
    # What comes from Redis is in the environment, never in the command's own text.
    known = {"QUEUE": one.queue.base, "CONDITION": one.condition, "WORDS": one.words}
    environ = os.environ | {f"QTUI_{name}": plain(value) for name, value in known.items()}
    process = await asyncio.create_subprocess_shell(request.command, env=environ)
    if code := await process.wait():
        place.err.line(f"qtui: --exec ended with code {code}")
        place.err.flush()
