"""Finds the queue that a name on the command line means. Reads only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from qtui.bullmq.connection.client import Client
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import QueueStatus
from qtui.bullmq.reads.queues.discovery import discover
from qtui.bullmq.reads.queues.elsewhere import look_elsewhere
from qtui.bullmq.reads.status import check_permission, read_status
from qtui.commands.shared.options import ALL_QUEUES as ALL_QUEUES
from qtui.commands.shared.output import Paper
from qtui.commands.shared.run import USAGE, CommandError
from qtui.text import plain
from qtui.views.queues.elsewhere import elsewhere_words
from qtui.views.queues.hidden import hidden_words

_MOST_NAMES: Final = 20


class NoSuchQueue(CommandError):
    """No queue has the name that was given."""

    def __init__(self, message: str) -> None:
        super().__init__(message, USAGE)


async def find_queues(
    client: Client, prefixes: Sequence[str], only: Sequence[str] = (), *, err: Paper
) -> list[QueueStatus]:
    """Every queue under the prefixes, most failed jobs first; with ``only``, those of these names.

    Prints how many the ACL hides: an answer about all queues is not about those.

    Costs a `discover`, or one round trip if names are given.

    Raises:
        FORBIDDEN: none was found, and the ACL forbids reading such keys.
    """
    hidden: list[QueueKey] = []
    if only:
        keys = [QueueKey.of(prefix, name) for prefix in prefixes for name in only]
    else:
        found = discover(client, prefixes, hidden=hidden.extend)
        keys = [queue async for some in found for queue in some]
    if not keys:
        await check_permission(client, [QueueKey.of(prefix, "") for prefix in prefixes])
    statuses = await read_status(client, keys)
    hidden += [status.queue for status in statuses if status.hidden]
    if hidden:
        err.line(f"qtui: {hidden_words(hidden)}")
    there = [status for status in statuses if status.exists]
    return sorted(there, key=lambda status: (-status.failed, status.queue.base))


async def find_queue(client: Client, prefixes: Sequence[str], name: str) -> QueueStatus:
    """The queue called ``name`` under one of the prefixes, or with the full key ``name``.

    If both exist, the one with that full key wins. Costs two round trips.

    Raises:
        NoSuchQueue: there is no such queue.
        CommandError: there are several.
        FORBIDDEN: the ACL forbids reading its keys.
    """
    bases = dict.fromkeys([name, *(f"{prefix}:{name}" for prefix in prefixes)])
    keys = [key for key in (queue_key(base, prefixes) for base in bases) if key is not None]
    found = [status for status in await read_status(client, keys) if status.exists]
    exact = [status for status in found if status.queue.base == name]
    if found and (len(found) == 1 or exact):
        status = (exact or found)[0]
        await check_permission(client, [status.queue])
        return status
    if found:
        known = " or ".join(status.queue.base for status in found)
        raise CommandError(f'queue "{name}" exists under several prefixes: use {known}', USAGE)
    await check_permission(client, keys)
    raise NoSuchQueue(await _no_such_queue(client, prefixes, name))


def queue_key(base: str, prefixes: Sequence[str]) -> QueueKey | None:
    """The queue with this full key, under the longest prefix that fits; None if none fits."""
    fitting = [prefix for prefix in prefixes if base.startswith(f"{prefix}:")]
    longest = max(fitting, key=len, default=None)
    return None if longest is None or base == f"{longest}:" else QueueKey(base, longest)


async def _no_such_queue(client: Client, prefixes: Sequence[str], name: str) -> str:
    where = where_queues_are(prefixes)
    known = [queue async for found in discover(client, prefixes) for queue in found]
    if not known:
        return (
            f'no queue "{name}": there are no queues under {where}. {await hint(client, prefixes)}'
        )
    several = len(set(prefixes)) > 1
    names = sorted(queue.base if several else queue.name for queue in known)
    if len(names) > _MOST_NAMES:
        names[_MOST_NAMES:] = [f"and {len(names) - _MOST_NAMES:,} more"]
    return f'no queue "{name}" under {where}; the queues are: {", ".join(names)}'


async def hint(client: Client, prefixes: Sequence[str]) -> str:
    """Where queues were found when none is under the prefixes. Costs a `look_elsewhere`."""
    return elsewhere_words(await look_elsewhere(client, prefixes), tuple(prefixes))


async def say_none(client: Client, err: Paper, prefixes: Sequence[str]) -> None:
    """Prints that there are no queues, and where some were found. Costs a `look_elsewhere`."""
    err.line(plain(f"no queues under {where_queues_are(prefixes)}"))
    err.line(await hint(client, prefixes))


def where_queues_are(prefixes: Sequence[str]) -> str:
    """The key patterns that are searched for queues: ``bull:*``."""
    return ", ".join(f"{prefix}:*" for prefix in prefixes)
