"""A cluster client that sends no write twice and rediscovers the nodes after a lost connection."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any, Final

from redis.asyncio.cluster import ClusterNode, ClusterPipeline, RedisCluster
from redis.asyncio.connection import AbstractConnection, Connection
from redis.exceptions import (
    ClusterCrossSlotError,
    ClusterDownError,
    ClusterError,
    ConnectionError,
    RedisClusterException,
    RedisError,
    SlotNotCoveredError,
    TimeoutError,
    TryAgainError,
)
from redis.typing import EncodableT

from qtui.bullmq.connection.again import may_ask_again
from qtui.bullmq.connection.target import Address

# The nodes have no pool that waits: they raise beyond this many commands at a time.
_POOL: Final = 64
_GONE: Final = (ConnectionError, TimeoutError, ClusterDownError)

_KEYLESS: Final = (
    *("ACL", "CLIENT", "CLUSTER", "COMMAND", "CONFIG", "DBSIZE", "ECHO", "HELLO", "INFO"),
    *("LASTSAVE", "LATENCY", "PING", "ROLE", "SCAN", "SLOWLOG", "TIME"),
)
"""Commands without a key. redis-py knows some of them, and those only as one word with a blank."""


class Cluster(RedisCluster):
    """redis-py's cluster client with connections of ours.

    All its errors are redis.exceptions.RedisError, which some of redis-py's own are not.
    """

    def __init__(
        self,
        hosts: Iterable[Address],
        link: type[AbstractConnection],
        options: dict[str, Any],
    ) -> None:
        """Connect nothing yet.

        Args:
            hosts: Nodes to ask for the others.
            link: The class of every connection.
            options: Its keyword arguments; ``retry`` must be one of no retries.
        """
        super().__init__(
            startup_nodes=[ClusterNode(host, port) for host, port in hosts],
            retry=options["retry"],
            max_connections=_POOL,
            protocol=options["protocol"],
            encoding_errors=options["encoding_errors"],
            decode_responses=options["decode_responses"],
        )
        # It takes no connection class, and not every option that its connections do.
        self.connection_kwargs.update(options, connection_class=link)
        manager = self.nodes_manager
        manager.connection_kwargs = self.connection_kwargs
        for name, node in manager.startup_nodes.items():
            ours = ClusterNode(node.host, node.port, **self.connection_kwargs)
            manager.startup_nodes[name] = ours
        # A SCAN asks one node; its cursor is that one's, not one for each of them.
        self.result_callbacks.pop("SCAN")
        # Any one node answers them, in a pipeline too; `ask_everywhere` asks all.
        self.command_flags.update(dict.fromkeys(_KEYLESS, self.DEFAULT_NODE))

    async def initialize(
        self,
        additional_startup_nodes_info: list[tuple[str, int]] | None = None,
        last_failed_node_name: str | None = None,
    ) -> RedisCluster:
        """Asks for nodes and slots if that is due: one CLUSTER SLOTS, and the first time COMMAND.

        Raises:
            RedisError: no node answers, or one refuses, or it is no cluster, or it is down.
        """
        try:
            return await super().initialize(additional_startup_nodes_info, last_failed_node_name)
        except RedisClusterException as error:
            reason = _reason(error)
        raise reason

    async def execute_command(self, *args: EncodableT, **kwargs: Any) -> Any:
        """One command, sent to the node that has its keys, or to ``target_nodes``.

        A read whose connection was lost is sent once more, after the nodes were rediscovered.

        Raises:
            RedisError: as any command does.
        """
        may_have_moved = not self._initialize
        try:
            return await self._execute_once(*args, **kwargs)
        except (ConnectionError, TimeoutError) as error:
            if not may_ask_again(error, [args], may_have_moved=may_have_moved):
                raise
        return await self._execute_once(*args, **kwargs)

    async def _execute_once(self, *args: EncodableT, **kwargs: Any) -> Any:
        try:
            # Before it knows its nodes, redis-py sends a command with a key to any of them.
            await self.initialize()
            return await super().execute_command(*args, **kwargs)
        except RedisClusterException as error:
            reason = _reason(error)
        except ClusterError as error:
            # Its word for: TRYAGAIN or a redirection came again and again, nothing was done.
            reason = TryAgainError(str(error)) if "TTL exhausted" in str(error) else error
        raise reason

    def get_node(
        self, host: str | None = None, port: int | None = None, node_name: str | None = None
    ) -> ClusterNode | None:
        """A node, by host and port or by both as one text.

        redis-py asks for it to follow an ASK, with an ASKING and the command right behind it. So
        it is made where no look around has shown it, as none shows a node without slots, which the
        first ones are being moved to; and it hands out the connection that it took back last, so
        that both go the same way: its own order brings the next one, which has not heard of the
        ASKING.
        """
        node = super().get_node(host, port, node_name)
        if node is None and node_name is not None:
            host, _, digits = node_name.rpartition(":")
            node = ClusterNode(host, int(digits), **self.connection_kwargs)
            self.nodes_manager.nodes_cache[node.name] = node
        if node is not None and not isinstance(node._free, _LastFirst):
            node._free = _LastFirst(node._free)
        return node

    def pipeline(self, transaction: bool | None = None, shard_hint: object = None) -> Pipeline:
        """A pipeline whose commands may go to several nodes, one round trip each."""
        return Pipeline(self, transaction)  # type: ignore[abstract]  # in its annotations only

    def look_around(self) -> None:
        """Asks for nodes and slots before the next command."""
        self._initialize = True


class _LastFirst(deque[Connection]):
    """Free connections, of which the one that came back last is taken first."""

    def append(self, connection: Connection) -> None:
        """Takes one back."""
        self.appendleft(connection)


class Pipeline(ClusterPipeline):
    """A pipeline that reports to its cluster when a node is gone.

    redis-py does so only as part of its own repeats; with those off, pipelines would go to the dead
    node forever.
    """

    def __init__(self, client: Cluster, transaction: bool | None) -> None:
        super().__init__(client, transaction)
        self._asked: list[tuple[tuple[EncodableT, ...], dict[str, Any]]] = []

    def execute_command(self, *args: EncodableT, **kwargs: Any) -> ClusterPipeline:
        """Notes a command for `execute`."""
        self._asked.append((args, dict(kwargs)))
        return super().execute_command(*args, **kwargs)

    async def execute(
        self, raise_on_error: bool = True, allow_redirections: bool = True
    ) -> list[Any]:
        """The replies in the order of the commands; errors among them unless they are raised.

        Where all commands are reads and a connection was lost, they are sent once more.

        Raises:
            RedisError: a command's, the first in order.
        """
        asked, self._asked = self._asked, []
        commands = [args for args, _ in asked]
        may_have_moved = not self.cluster_client._initialize
        try:
            replies = await self._execute_once(raise_on_error, allow_redirections)
            lost = [reply for reply in replies if isinstance(reply, BaseException)]
            if not any(may_ask_again(one, commands, may_have_moved=may_have_moved) for one in lost):
                return replies
        except (ConnectionError, TimeoutError) as error:
            if not may_ask_again(error, commands, may_have_moved=may_have_moved):
                raise
        for args, kwargs in asked:
            super().execute_command(*args, **kwargs)
        return await self._execute_once(raise_on_error, allow_redirections)

    async def _execute_once(self, raise_on_error: bool, allow_redirections: bool) -> list[Any]:
        cluster = self.cluster_client
        assert isinstance(cluster, Cluster)
        try:
            replies = await super().execute(raise_on_error, allow_redirections)
        except _GONE:
            cluster.look_around()
            raise
        except RedisClusterException as error:
            if isinstance(error, SlotNotCoveredError):
                cluster.look_around()
            reason = _reason(error)
        else:
            if any(isinstance(reply, _GONE) for reply in replies):
                cluster.look_around()
            return replies
        raise reason


def _reason(error: RedisClusterException) -> RedisError:
    """The RedisError behind an error of redis-py that is none, so that one `except` catches all.

    Raise it outside the handler: inside, Python would attach the outer error as its context, in
    place of its own cause.
    """
    inner: BaseException | None = error
    while inner is not None:
        if isinstance(inner, RedisError):
            return inner
        inner = inner.__cause__ or inner.__context__
    words = str(error)
    if "covered" in words:
        return ClusterDownError(words)
    return ClusterCrossSlotError(words) if "same key slot" in words else RedisError(words)
