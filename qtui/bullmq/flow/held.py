"""Reads what parents hold about finished children, by the full keys of both."""

from __future__ import annotations

from collections.abc import Sequence

from qtui.bullmq.ask import Command, ask, exact, text
from qtui.bullmq.connection.client import Client


async def read_held(
    client: Client, children: Sequence[tuple[str, str | None]]
) -> list[dict[str, str] | None]:
    """Returns what each child's parent holds about it, by the key beside the parent's hash.

    The value in ``processed``, the score in ``unsuccessful``, the reason in ``failed``, each only
    if it is there; None for a job without a parent.

    Args:
        client: where to read.
        children: full keys of children, each with its field ``parentKey``.

    Costs one round trip with three commands for each child.
    """
    commands: list[Command] = []
    for child, parent in children:
        if parent is not None:
            commands += (
                ("HGET", f"{parent}:processed", child),
                ("ZSCORE", f"{parent}:unsuccessful", child),
                ("HGET", f"{parent}:failed", child),
            )
    replies = iter(await ask(client, commands) if commands else [])
    found: list[dict[str, str] | None] = []
    for _, parent in children:
        if parent is None:
            found.append(None)
            continue
        held = {}
        for name in ("processed", "unsuccessful", "failed"):
            reply = next(replies)
            value = exact(reply) if isinstance(reply, float) else text(reply)
            if value is not None:
                held[name] = value
        found.append(held)
    return found
