"""Reads of parents that wait for children, or can't complete, what the keys beside them hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from qtui.bullmq.ask import Command, ask, number, present, score, texts
from qtui.bullmq.connection.client import Client
from qtui.bullmq.model import JobState

_MOST: Final = 1000
"""Failed children of a parent that are read."""


class Child(NamedTuple):
    """A child and its parent."""

    key: str
    """Its full key."""
    parent: str
    """The full key of its parent."""
    parent_base: str
    """The base key of that one's queue."""
    parent_id: str


async def read_waited(client: Client, children: Sequence[Child]) -> list[int]:
    """Returns for how many children the parent of each waits; 0 if it does not wait for this one.

    Costs a round trip with three commands for each child; none without any.
    """
    commands: list[Command] = []
    for one in children:
        commands += [
            ("SISMEMBER", f"{one.parent}:dependencies", one.key),
            ("SCARD", f"{one.parent}:dependencies"),
            ("ZSCORE", f"{one.parent_base}:{JobState.WAITING_CHILDREN.key}", one.parent_id),
        ]
    replies = iter(await ask(client, commands) if commands else [])
    found = []
    for _ in children:
        pending, many, since = next(replies), number(next(replies)), score(next(replies))
        waits = pending in (1, True) and since is not None
        found.append((many or 0) if waits else 0)
    return found


async def read_unsuccessful(client: Client, parents: Sequence[str]) -> list[list[str]]:
    """Returns for each parent the full keys of failed children with which it can't complete.

    A thousand at most. Costs a round trip with a command for each parent; none without any.
    """
    commands: list[Command] = [("ZRANGE", f"{one}:unsuccessful", 0, _MOST - 1) for one in parents]
    replies = await ask(client, commands) if commands else []
    return [present(texts(one)) for one in replies]
