"""Reads what parents hold about finished children, by the full keys of both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from qtui.bullmq.ask import Command, ask, exact, text
from qtui.bullmq.connection.client import Client

_READS: Final = {
    "processed": "HGET",
    "unsuccessful": "ZSCORE",
    "failed": "HGET",
    "dependencies": "SISMEMBER",
}


async def read_held(
    client: Client, children: Sequence[tuple[str, str | None]], *, pending: bool = False
) -> list[dict[str, str] | None]:
    """Returns what each child's parent holds about it, by the key beside the parent's hash.

    The value in ``processed``, the score in ``unsuccessful``, the reason in ``failed``, each only
    if it is there; None for a job without a parent.

    Args:
        client: where to read.
        children: full keys of children, each with its field ``parentKey``.
        pending: whether to say by ``dependencies``, with the value 1, that it is there.

    Costs one round trip with three or four commands for each child.
    """
    names = ["processed", "unsuccessful", "failed", *(["dependencies"] if pending else [])]
    commands: list[Command] = []
    for child, parent in children:
        if parent is not None:
            commands += [(_READS[name], f"{parent}:{name}", child) for name in names]
    replies = iter(await ask(client, commands) if commands else [])
    found: list[dict[str, str] | None] = []
    for _, parent in children:
        if parent is None:
            found.append(None)
            continue
        held = {}
        for name in names:
            reply = next(replies)
            value = exact(reply) if isinstance(reply, float) else text(reply)
            if reply == 1 and name == "dependencies":
                value = "1"
            if value is not None:
                held[name] = value
        found.append(held)
    return found
