"""Takes over a campaign that was cut off, for a command; asks where this may be another server."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from qtui.bullmq.connection.origin import Origin, read_origin
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.reads.places import Places
from qtui.commands.shared.asking import agreed_here
from qtui.commands.shared.run import Workplace
from qtui.operations.journal.reading import find, read_header
from qtui.operations.resuming.interrupted import AllDone, Interrupted
from qtui.operations.resuming.same_server import OtherServer
from qtui.verbs import Verb

T = TypeVar("T")


def take_over(place: Workplace, verb: Verb, name: str, *, yes: bool) -> Interrupted:
    """Takes over a campaign of an action on jobs; raises as `take_here`."""

    def take(origin: Origin | None, anyway: bool) -> Interrupted:
        where = place.target.shown
        return Interrupted.take(place.journal, name, where, origin, anyway=anyway, verb=verb)

    return take_here(place, name, take, yes=yes, done=verb.done)


def take_here(
    place: Workplace,
    name: str,
    take: Callable[[Origin | None, bool], T],
    *,
    yes: bool,
    done: str,
) -> T:
    """Takes a campaign over; if this may be another server it asks, unless ``yes`` is given.

    Args:
        place: where the command works.
        name: the campaign's id, or its beginning or end.
        take: takes it over, given the server here, and whether to accept any: `Interrupted.take`.
        yes: whether to accept any server without asking.
        done: what was not done otherwise: ``undone``.

    Raises:
        JournalError: as ``take``.
        CommandError: the user does not want it here.
    """
    all_done: AllDone | None = None
    try:
        return take(None, yes)
    except AllDone as error:
        all_done = error
    except OtherServer:
        pass
    header = read_header(place.journal, find(place.journal, name))
    queue = QueueKey(header.queue, header.prefix)
    origin = place.ask(lambda client: read_origin(client, queue.key("meta")))
    of_one_queue = header.selection.kind in ("ids", "query")
    # A server that has lost the queue itself has no jobs that could be sent again.
    if all_done and of_one_queue and place.ask(lambda client: Places(client, queue).is_empty()):
        raise all_done
    try:
        return take(origin, yes)
    except OtherServer as doubt:
        if not agreed_here(place, doubt, "Resume it here", done):
            raise
    return take(origin, True)
