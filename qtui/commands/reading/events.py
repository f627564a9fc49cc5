"""`qtui events`: prints what happens to jobs, as the queues' events say it. Reads only."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from qtui.bullmq.connection.client import Client
from qtui.bullmq.filter import Filter, FilterError
from qtui.bullmq.keys import name_queues
from qtui.bullmq.reads.events.feed import Feed, Missed, QueueEvent
from qtui.bullmq.reads.events.stream import LONGEST_WAIT
from qtui.commands.shared.find import ALL_QUEUES, find_queue, find_queues, say_none
from qtui.commands.shared.output import Paper
from qtui.commands.shared.run import DONE, REDIS, USAGE, CommandError, Workplace
from qtui.text import plain
from qtui.views.lists.events import details, matching, missed_words, moment, tone


@dataclass(frozen=True, slots=True, kw_only=True)
class EventsRequest:
    """Which events to print."""

    queue: str
    filter: Filter | None
    limit: int
    """Of the latest events, before those that follow."""
    follow: bool
    json: bool


def print_events(place: Workplace, request: EventsRequest) -> int:
    """Prints the latest events, and those that follow until it is interrupted."""
    try:
        return place.ask(lambda client: _print(client, place, request))
    except FilterError as error:  # a regular expression ran away
        raise CommandError(f"--filter: {error}", USAGE) from None


async def _print(client: Client, place: Workplace, request: EventsRequest) -> int:
    settings = place.settings
    if request.queue == ALL_QUEUES:
        found = await find_queues(client, settings.prefixes, settings.queues, err=place.err)
    else:
        found = [await find_queue(client, settings.prefixes, request.queue)]
    if not found:
        await say_none(client, place.err, settings.prefixes)
        return USAGE
    feed, queues = Feed(client, bounded=False), [status.queue for status in found]
    several = request.queue == ALL_QUEUES
    news = await feed.latest(queues, request.limit)
    if feed.refused:
        if len(feed.refused) == len(queues):
            raise next(iter(feed.refused.values()))
        place.err.line(f"qtui: Redis refused the events of {plain(name_queues([*feed.refused]))}")
    _write(place, news, request, several=several)
    while request.follow:
        changed = await feed.wait(LONGEST_WAIT)
        if changed:
            _write(place, await feed.read(changed), request, several=several)
    return REDIS if feed.refused else DONE


def _write(
    place: Workplace,
    news: Sequence[QueueEvent | Missed],
    request: EventsRequest,
    *,
    several: bool,
) -> None:
    events = [one for one in news if isinstance(one, QueueEvent)]
    wanted = {id(one) for one in matching(events, request.filter)}
    for one in news:
        if isinstance(one, Missed):
            place.out.flush()
            place.err.line(f"qtui: {plain(one.queue.name)}: {missed_words(one)}")
        elif id(one) in wanted and request.json:
            place.out.json(_object(one))
        elif id(one) in wanted:
            place.out.line(_line(place.out, one, several=several))
    place.out.flush()


def _object(one: QueueEvent) -> dict[str, object]:
    rest = {name: text for name, text in one.fields.items() if name not in ("event", "jobId")}
    return {
        "at": one.at,
        "queue": one.queue.base,
        "event": one.name,
        "id": one.job_id or None,
        "fields": rest,
    }


def _line(paper: Paper, one: QueueEvent, *, several: bool) -> str:
    at = moment(one.at, time.time() * 1000)
    name = paper.styled(f"{plain(one.name):<17}", tone(one))
    where = f"{plain(one.queue.name)}  " if several else ""
    return f"{at}  {where}{name} {plain(one.job_id)}  {details(one)}".rstrip()
