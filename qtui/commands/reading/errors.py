"""`qtui errors`: groups a queue's failures by their error. Reads only."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence

from qtui.bullmq.connection.client import Client
from qtui.bullmq.connection.trouble import FORBIDDEN, REFUSED, is_wrong_type
from qtui.bullmq.filter import Filter, FilterError
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState
from qtui.bullmq.search.hunt import Hunt
from qtui.commands.shared.find import ALL_QUEUES, find_queue, find_queues, say_none
from qtui.commands.shared.output import Cell, Column, ProgressLine, Table
from qtui.commands.shared.run import REDIS, USAGE, CommandError, Workplace
from qtui.text import age, count, plain, plural
from qtui.views.errors.groups import (
    GROUP_FIELDS,
    ErrorGroup,
    ErrorGroups,
    group_errors,
    group_words,
)
from qtui.views.tone import Tone


def list_errors(
    place: Workplace, queue: str, state: JobState, wanted: Filter | None, *, json: bool
) -> int:
    """Prints the groups, largest first, once the state is read; ``*`` covers every queue."""
    try:
        return place.ask(lambda client: _list(client, place, queue, state, wanted, json=json))
    except FilterError as error:  # a regular expression ran away
        raise CommandError(f"--filter: {error}", USAGE) from None


async def _list(
    client: Client,
    place: Workplace,
    name: str,
    state: JobState,
    wanted: Filter | None,
    *,
    json: bool,
) -> int:
    """Costs a `Hunt` over the state of each queue, throttled by default."""
    prefixes = place.settings.prefixes
    if name == ALL_QUEUES:
        statuses = await find_queues(client, prefixes, place.settings.queues, err=place.err)
        if not statuses and not place.settings.queues:
            await say_none(client, place.err, prefixes)
            return 0
    else:
        statuses = [await find_queue(client, prefixes, name)]
    # Those without a count too: reading them says why there is none.
    queues = [status.queue for status in statuses if status.counts[state] != 0]
    groups, refused = await _read(client, place, queues, state, wanted)
    found = groups.largest_first()
    if json:
        for group in found:
            place.out.json(group_object(group, groups.jobs))
    elif found:
        everywhere = name == ALL_QUEUES
        _print(place, groups, everywhere=everywhere)
    elif not refused:
        match = f" that match {plain(wanted.source)}" if wanted else ""
        where = "any queue" if name == ALL_QUEUES else plain(statuses[0].queue.base)
        place.err.line(f"no {state} jobs in {where}{match}")
    if refused:
        where = plain(", ".join(queue.base for queue in refused))
        raise CommandError(
            f"Redis refused to read {where}: its ACL hides their {state} jobs", REDIS
        )
    return 0


async def _read(
    client: Client,
    place: Workplace,
    queues: Sequence[QueueKey],
    state: JobState,
    wanted: Filter | None,
) -> tuple[ErrorGroups, list[QueueKey]]:
    """What the failures have in common, and of several queues those that an ACL hides.

    Raises:
        FORBIDDEN: the only queue is hidden.
    """
    groups, refused, progress = ErrorGroups(), list[QueueKey](), ProgressLine()
    try:
        for queue in queues:
            rate = place.settings.scan_rate
            hunt = Hunt(client, queue, state, wanted, fields=GROUP_FIELDS, rate=rate, ahead=True)
            try:
                async for _ in group_errors(hunt, queue, groups):
                    where = f" in {plain(queue.name)}" if len(queues) > 1 else ""
                    progress.say(
                        f"searched {count(hunt.seen)} of {plural(hunt.total, 'job')}{where}"
                    )
            except FORBIDDEN:
                if len(queues) == 1:
                    raise
                refused.append(queue)
            except REFUSED as error:
                if not is_wrong_type(error):
                    raise
    finally:
        progress.clear()
    return groups, refused


def _print(place: Workplace, groups: ErrorGroups, *, everywhere: bool) -> None:
    share = Column("share", right=True)
    heads = [Column("jobs", right=True), share, Column("newest", right=True)]
    heads += [Column("queues")] if everywhere else []
    table = Table(place.out, [*heads, Column("names"), Column("sample"), Column("error")])
    now = time.time() * 1000
    found = groups.largest_first()
    table.write([list(_cells(group, groups.jobs, now, everywhere)) for group in found])


def group_object(group: ErrorGroup, jobs: int) -> dict[str, object]:
    """A group as JSON: shares are fractions of 1, times are ms since the epoch.

    ``words`` counts what was in the place of ``<word>``, the most common first.
    """
    return {
        "signature": group.signature,
        "filter": group.filter,
        "count": group.jobs,
        "share": round(group.jobs / jobs, 4),
        "first_seen": _whole(group.first),
        "last_seen": _whole(group.last),
        "names": dict(group.names.most_common()),
        "words": dict(group.words.most_common()),
        "queues": {queue.base: number for queue, number in group.queues.most_common()},
        "sample": group.sample,
    }


def _whole(at: float | None) -> int | None:
    return int(at) if at is not None and math.isfinite(at) else None


def _cells(group: ErrorGroup, jobs: int, now: float, everywhere: bool) -> Iterator[Cell]:
    yield Cell(count(group.jobs))
    yield Cell(f"{100 * group.jobs / jobs:.0f}%", Tone.FAINT)
    yield Cell("?" if group.last is None else age(now - group.last))
    if everywhere:
        yield Cell(group.some_queues())
    yield Cell(group.some_names())
    yield Cell(plain(group.sample))
    yield Cell(group_words(group), Tone.BAD)
