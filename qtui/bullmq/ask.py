"""Sends many commands in one round trip, and returns refusals as values.

One key of the wrong type, or one command that an ACL forbids, must not cost the other replies, so
errors are returned in their place. Lost connections are raised.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import TypeAlias, cast

from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.exceptions import (
    ConnectionError,
    MovedError,
    RedisError,
    TimeoutError,
)

from qtui.bullmq.connection.again import Single
from qtui.bullmq.connection.client import Client
from qtui.bullmq.connection.trouble import Unable, condition_of, conditions_named, is_wrong_type

Command: TypeAlias = tuple[str | int, ...]
Reply: TypeAlias = "str | int | float | list[Reply] | RedisError | None"


async def ask(client: Client, commands: Iterable[Command]) -> list[Reply]:
    """Returns the replies in the order of the commands; a refusal is a RedisError in its place.

    Costs one round trip (on a cluster one to each node involved).

    Raises:
        redis.exceptions.ConnectionError, TimeoutError: the server did not answer, or is still
            loading its data.
    """
    with conditions_named():
        replies = cast("list[Reply]", await _exchanged(client, commands))
    for reply in replies:
        if not isinstance(reply, RedisError):
            continue
        if condition := condition_of(reply):
            raise Unable(str(reply), condition) from reply
        # A cluster's client follows MOVED; here the server turns out to belong to a cluster.
        if isinstance(reply, ConnectionError | TimeoutError | MovedError):
            raise reply
    return replies


async def _exchanged(client: Client, commands: Iterable[Command]) -> list[object]:
    if isinstance(client, Single):
        every = list(commands)
        return await client.exchange(every) if every else []
    pipeline = client.pipeline(transaction=False)
    for command in commands:
        pipeline.execute_command(*command)
    return await pipeline.execute(raise_on_error=False)


async def primaries(client: Client) -> list[ClusterNode | None]:
    """Returns the nodes of a cluster that hold keys; a single None if the server is not a cluster.

    Raises:
        redis.exceptions.RedisError: no node of the cluster answers.
    """
    if not isinstance(client, RedisCluster):
        return [None]
    await client.initialize()
    return list(client.get_primaries())


async def ask_everywhere(client: Client, *command: str | int) -> list[Reply]:
    """Returns the replies of all `primaries`, in their order, to a command without a key.

    A refusal is a RedisError in its place. Costs one round trip, to all nodes at once.

    Raises:
        redis.exceptions.ConnectionError, TimeoutError: one of them did not answer.
    """
    nodes = await primaries(client)

    async def one(node: ClusterNode | None) -> Reply:
        try:
            return await ask_one(client, *command, node=node)
        except (ConnectionError, TimeoutError):
            raise
        except RedisError as error:
            return error

    return await asyncio.gather(*map(one, nodes))


async def ask_all(client: Client, commands: Iterable[Command]) -> list[Reply]:
    """As `ask`, but raises refusals, for callers whose result would be wrong without a reply.

    A key of the wrong type is not raised: it means that there is nothing to read.

    Raises:
        redis.exceptions.ResponseError: one of the commands was refused: by an ACL, or since it is
            renamed, or too new for this server.
    """
    replies = await ask(client, commands)
    for reply in replies:
        if isinstance(reply, RedisError) and not is_wrong_type(reply):
            raise reply
    return replies


def unrefused(reply: Reply) -> Reply:
    """Returns the reply, unless it is a refusal.

    Raises:
        redis.exceptions.ResponseError: it was refused, also for the type of the key.
    """
    if isinstance(reply, RedisError):
        raise reply
    return reply


async def ask_one(client: Client, *command: str | int, node: ClusterNode | None = None) -> Reply:
    """Returns the reply to one command; raises refusals.

    Args:
        client: where to send it.
        command: the command's name and arguments.
        node: the node of a cluster to send it to; None: the one that has the key, or any.

    Raises:
        redis.exceptions.ConnectionError, TimeoutError: as `ask`.
        redis.exceptions.RedisError: the server refused the command.
    """
    if isinstance(client, Single):
        [reply] = await ask(client, [command])
        return unrefused(reply)
    with conditions_named():
        if node is None:
            return cast("Reply", await client.execute_command(*command))
        return cast("Reply", await client.execute_command(*command, target_nodes=node))


def text(reply: Reply) -> str | None:
    """Returns the reply as text, None if it is not text or was refused."""
    return reply if isinstance(reply, str) else None


def number(reply: Reply) -> int | None:
    """Returns the reply as an int, None if it is not one or was refused."""
    return reply if isinstance(reply, int) else None


def score(reply: Reply) -> float | None:
    """Returns the reply as the score of a sorted set, None if it is not one."""
    if isinstance(reply, str | int | float):
        try:
            return float(reply)
        except ValueError:
            return None
    return None


def exact(score: float) -> str:
    """A score as Redis takes it, exact to the last bit."""
    return f"{score:.17g}"


def items(reply: Reply) -> list[Reply]:
    """Returns the reply's elements; an empty list if it is not an array or was refused."""
    return reply if isinstance(reply, list) else []


def texts(reply: Reply) -> list[str | None]:
    """Returns the reply's elements as text, None for each that is not."""
    return [text(item) for item in items(reply)]


def scores(reply: Reply) -> dict[str, float | None]:
    """Returns members and scores from a WITHSCORES reply: flat in RESP2, pairs in RESP3."""
    parts = items(reply)
    if parts and isinstance(parts[0], list | tuple):
        return {str(pair[0]): score(pair[1]) for pair in parts if isinstance(pair, list | tuple)}
    return {str(parts[at]): score(parts[at + 1]) for at in range(0, len(parts) - 1, 2)}


def fields_of(reply: object) -> dict[str, str] | None:
    """Returns a hash by field from a reply to HGETALL, of either protocol; None if refused."""
    if isinstance(reply, dict):
        return cast("dict[str, str]", reply)
    if not isinstance(reply, list):
        return None
    return dict(zip(reply[::2], reply[1::2], strict=True))


def present(replies: Sequence[str | None]) -> list[str]:
    """Returns the elements that are not None."""
    return [reply for reply in replies if reply is not None]
