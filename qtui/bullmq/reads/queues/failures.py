"""Reads how many jobs of a queue failed a moment ago, how many before, and of which error most."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from qtui.bullmq.ask import Command, ask, exact, number, present, scores, text, texts
from qtui.bullmq.connection.client import Client
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.reads.reasons import fill_reasons
from qtui.bullmq.signature.headline import says_something

RECENT: Final = 20_000
"""Milliseconds that count as a moment ago."""

BEFORE: Final = 300_000
"""Milliseconds before these, by which one sees what is usual."""

_AHEAD: Final = 2_000
"""Milliseconds by which a worker's clock may be ahead of ours; later scores are not counted."""

_SAMPLE: Final = 20
"""Newest failures whose errors are compared."""

_LONGEST: Final = 20_000
"""Largest failedReason, in bytes, that is read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failures:
    """The latest failures of a queue, by the clocks of its workers (finishedOn)."""

    recent: int
    """Jobs that failed in the last `RECENT` ms."""
    before: int
    """Jobs that failed in the `BEFORE` ms before."""
    newest: float
    """Score of the newest failed job; 0 if there is none."""

    @property
    def usual(self) -> float:
        """Jobs that failed before, in a time as long as `RECENT`."""
        return self.before * RECENT / BEFORE


async def read_failures(
    client: Client, queues: Sequence[QueueKey], *, now: float
) -> list[Failures]:
    """Returns the latest failures of each queue, in order; what can't be read counts as none.

    Args:
        client: where to read.
        queues: the queues.
        now: ms since the epoch.

    Costs one round trip with three commands of O(log n) for each queue.
    """
    since = now - RECENT
    commands: list[Command] = []
    for queue in queues:
        key = queue.key("failed")
        commands += [
            ("ZCOUNT", key, exact(since), exact(now + _AHEAD)),
            ("ZCOUNT", key, exact(since - BEFORE), f"({exact(since)}"),
            ("ZREVRANGE", key, 0, 0, "WITHSCORES"),
        ]
    replies = await ask(client, commands) if commands else []
    parts = (replies[at : at + 3] for at in range(0, len(replies), 3))
    return [
        Failures(
            recent=number(recent) or 0,
            before=number(before) or 0,
            newest=next(iter(scores(newest).values()), None) or 0,
        )
        for recent, before, newest in parts
    ]


async def read_latest_error(client: Client, queue: QueueKey) -> str:
    """Returns the signature that most of the newest failures have; empty if they say nothing.

    Costs three round trips of at most 20 commands of O(1); a failedReason of more than 20 kB is
    left out.
    """
    from qtui.bullmq.signature.signature import signature

    [reply] = await ask(client, [("ZREVRANGE", queue.key("failed"), 0, _SAMPLE - 1)])
    ids = present(texts(reply))
    if not ids:
        return ""
    sizes = await ask(client, [("HSTRLEN", queue.job(one), "failedReason") for one in ids])
    ids = [one for one, size in zip(ids, sizes, strict=True) if (number(size) or 0) <= _LONGEST]
    if not ids:
        return ""
    reasons = await ask(client, [("HGET", queue.job(one), "failedReason") for one in ids])
    filled = await fill_reasons(client, queue, ids, [text(one) for one in reasons])
    found = Counter(signature(one) for one in filled if one and says_something(one))
    return found.most_common(1)[0][0] if found else ""
