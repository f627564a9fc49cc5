"""`qtui events`: prints what happens to jobs, as the queues' events say it. Reads only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from qtui.bullmq.connection.client import Client
from qtui.bullmq.filter import Filter
from qtui.bullmq.filter.columns import Columns
from qtui.bullmq.reads.events.feed import Feed, QueueEvent
from qtui.bullmq.signature.headline import headline
from qtui.commands.shared.find import ALL_QUEUES, find_queue, find_queues, say_none
from qtui.commands.shared.output import Paper
from qtui.commands.shared.run import DONE, USAGE, Workplace
from qtui.text import first_line, plain
from qtui.views.columns import Tone

_TONES: Final = {
    "failed": Tone.BAD,
    "stalled": Tone.BAD,
    "retries-exhausted": Tone.BAD,
    "completed": Tone.GOOD,
    "paused": Tone.BUSY,
    "resumed": Tone.BUSY,
}

_SHOWN: Final = ("returnvalue", "data", "name", "count", "attemptsMade")
"""What is shown behind an event: the first of these that it has."""


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
    return place.ask(lambda client: _print(client, place, request))


async def _print(client: Client, place: Workplace, request: EventsRequest) -> int:
    settings = place.settings
    if request.queue == ALL_QUEUES:
        found = await find_queues(client, settings.prefixes, settings.queues)
    else:
        found = [await find_queue(client, settings.prefixes, request.queue)]
    if not found:
        await say_none(client, place.err, settings.prefixes)
        return USAGE
    feed = Feed(client, [status.queue for status in found])
    several = request.queue == ALL_QUEUES
    _write(place.out, await feed.latest(request.limit), request, several=several)
    while request.follow:
        _write(place.out, await feed.next(), request, several=several)
    return DONE


def _write(
    paper: Paper, events: Sequence[QueueEvent], request: EventsRequest, *, several: bool
) -> None:
    for one in matching(events, request.filter):
        if request.json:
            paper.json(_object(one))
        else:
            paper.line(_line(paper, one, several=several))
    paper.flush()


def matching(events: Sequence[QueueEvent], wanted: Filter | None) -> Sequence[QueueEvent]:
    """Returns the events that match; their name is that of the event, their error the reason."""
    if wanted is None or not events:
        return events
    columns = Columns(
        ids=[one.job_id for one in events],
        fields={
            "name": [one.name for one in events],
            "failedReason": [one.fields.get("failedReason") for one in events],
            "returnvalue": [one.fields.get("returnvalue") for one in events],
            "data": [one.fields.get("data") for one in events],
        },
        scores=[float(one.at) for one in events],
    )
    return [events[at] for at in wanted.pick(columns, range(len(events)))]


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
    at = datetime.fromtimestamp(one.at / 1000).strftime("%H:%M:%S.%f")[:-3]
    name = paper.styled(f"{plain(one.name):<17}", _TONES.get(one.name, Tone.PLAIN))
    where = f"{plain(one.queue.name)}  " if several else ""
    return f"{at}  {where}{name} {plain(one.job_id)}  {plain(_details(one))}".rstrip()


def _details(one: QueueEvent) -> str:
    if "failedReason" in one.fields:
        return headline(one.fields["failedReason"])
    texts = (one.fields[name] for name in _SHOWN if name in one.fields)
    shown = first_line(next(texts, ""), 80)
    prev = one.fields.get("prev")
    return f"from {prev}  {shown}".rstrip() if prev and not shown else shown
