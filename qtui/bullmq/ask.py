"""Many commands in one round trip, with each refusal in its own place.

One key of a wrong type or one command that an ACL forbids must not cost the rest of the answer, so
errors come back as values here; lost connections are raised.
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

from qtui.bullmq.connection import Client
from qtui.bullmq.connection.trouble import Unable, condition_of, is_wrong_type

Command: TypeAlias = tuple[str | int, ...]
Reply: TypeAlias = "str | int | float | list[Reply] | RedisError | None"


async def ask(client: Client, commands: Iterable[Command]) -> list[Reply]:
    """The replies in the order of the commands; a refused command's reply is its RedisError.

    Costs one round trip (on a cluster one to each node that is asked).

    Raises:
        redis.exceptions.ConnectionError, TimeoutError: the server could not be asked, or it is
            still loading its data and knows of none.
    """
    pipeline = client.pipeline(transaction=False)
    for command in commands:
        pipeline.execute_command(*command)
    replies = cast("list[Reply]", await pipeline.execute(raise_on_error=False))
    for reply in replies:
        if isinstance(reply, RedisError) and (condition := condition_of(reply)):
            raise Unable(str(reply), condition) from reply
        # A cluster's client follows those; any other was taken for a server on its own.
        if isinstance(reply, ConnectionError | TimeoutError | MovedError):
            raise reply
    return replies


async def primaries(client: Client) -> list[ClusterNode | None]:
    """The nodes of a cluster that hold keys; a single None where the server is no cluster.

    Raises:
        redis.exceptions.RedisError: no node of the cluster can be asked.
    """
    if not isinstance(client, RedisCluster):
        return [None]
    await client.initialize()
    return list(client.get_primaries())


async def ask_everywhere(client: Client, *command: str | int) -> list[Reply]:
    """The replies of all `primaries`, in their order, to a command that has no key.

    A refusal is its RedisError. Costs one round trip, to all nodes at once.

    Raises:
        redis.exceptions.ConnectionError, TimeoutError: one of them could not be asked.
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
    """As `ask`, where the answer would be wrong without one that Redis refuses to give.

    A key of another type than expected is an answer: it holds nothing of what was asked for.

    Raises:
        redis.exceptions.ResponseError: one of the commands was refused: by an ACL, or as it is
            renamed, or too new for this server.
    """
    replies = await ask(client, commands)
    for reply in replies:
        if not is_wrong_type(reply):
            unrefused(reply)
    return replies


def unrefused(reply: Reply) -> Reply:
    """The reply, if it is one.

    Raises:
        redis.exceptions.ResponseError: it was refused, be it for the type of the key.
    """
    if isinstance(reply, RedisError):
        raise reply
    return reply


async def ask_one(client: Client, *command: str | int, node: ClusterNode | None = None) -> Reply:
    """The reply to one command; refusals are raised.

    Args:
        client: where to ask.
        command: its words.
        node: of a cluster, the node to ask; None: the one that has the key, or any.

    Raises:
        redis.exceptions.ConnectionError, TimeoutError: as `ask`.
        redis.exceptions.RedisError: the server refused the command.
    """
    try:
        if node is None:
            return cast("Reply", await client.execute_command(*command))
        return cast("Reply", await client.execute_command(*command, target_nodes=node))
    except RedisError as error:
        if condition := condition_of(error):
            raise Unable(str(error), condition) from error
        raise


def text(reply: Reply) -> str | None:
    """The reply as text, None where there was none or it was refused."""
    return reply if isinstance(reply, str) else None


def number(reply: Reply) -> int | None:
    """The reply as a whole number, None where it is none or was refused."""
    return reply if isinstance(reply, int) else None


def score(reply: Reply) -> float | None:
    """The reply as a score of a sorted set."""
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
    """The reply's elements; none where it is no array or was refused."""
    return reply if isinstance(reply, list) else []


def texts(reply: Reply) -> list[str | None]:
    """The reply's elements as text."""
    return [text(item) for item in items(reply)]


def scores(reply: Reply) -> dict[str, float | None]:
    """Members and their scores from a reply WITHSCORES: flat in RESP2, pairs in RESP3."""
    parts = items(reply)
    if parts and isinstance(parts[0], list | tuple):
        return {str(pair[0]): score(pair[1]) for pair in parts if isinstance(pair, list | tuple)}
    return {str(parts[at]): score(parts[at + 1]) for at in range(0, len(parts) - 1, 2)}


def present(replies: Sequence[str | None]) -> list[str]:
    """The elements that are there."""
    return [reply for reply in replies if reply is not None]
