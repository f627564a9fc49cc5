"""A client that follows the master that Sentinels name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias, cast

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.sentinel import MasterNotFoundError, Sentinel, SentinelConnectionPool
from redis.exceptions import ConnectionError, NoPermissionError, RedisError, TimeoutError

from qtui.text import plain

_Masters: TypeAlias = dict[str, dict[str, Any]]


class MasterPool(SentinelConnectionPool, BlockingConnectionPool):
    """A pool that waits when it is empty, and that closes the connections to the Sentinels too."""

    async def is_settled(self) -> bool:
        """Whether no Sentinel replaces the master, or holds it for down.

        Idle connections to one that is the master no more are closed. Costs a SENTINEL MASTERS for
        each Sentinel, and one more.
        """
        if await self.sentinel_manager.replaces(self.service_name):
            return False
        try:
            await self.get_master_address()  # type: ignore[no-untyped-call]  # has none
        except MasterNotFoundError:
            return False
        return True

    async def aclose(self) -> None:
        """Closes all connections."""
        await super().aclose()
        await self.sentinel_manager.aclose()


class Sentinels(Sentinel):
    """Asks the Sentinels in turn, and says exactly what went wrong."""

    def __init__(self, clients: Iterable[Redis]) -> None:
        """One client for each Sentinel; they are closed with this."""
        super().__init__([])  # type: ignore[no-untyped-call]  # redis-py's has no annotations
        self.sentinels = [*clients]

    async def replaces(self, service_name: str) -> bool:
        """Whether any Sentinel says that the master is being replaced.

        Only the one that leads a failover knows of it before it is done. The old master takes
        writes until then, and they are lost.
        """
        for sentinel in self.sentinels:
            try:
                masters = cast(_Masters, await sentinel.sentinel_masters())
            except (ConnectionError, TimeoutError, NoPermissionError):
                continue
            flags = str(masters.get(service_name, {}).get("flags", ""))
            if "failover_in_progress" in flags or "_down" in flags:
                return True
        return False

    async def discover_master(self, service_name: str) -> tuple[str, int]:
        """Host and port of the master. Costs one SENTINEL MASTERS each until one knows it.

        Raises:
            MasterNotFoundError: none knows it, or it is down; its cause is the last Sentinel's
                error if no Sentinel answered.
        """
        problem: RedisError | None = None
        known: set[str] = set()
        for index, sentinel in enumerate(self.sentinels):
            try:
                masters = cast(_Masters, await sentinel.sentinel_masters())
            except (ConnectionError, TimeoutError, NoPermissionError) as error:
                problem = error
                continue
            known.update(masters)
            state = masters.get(service_name)
            if state and self.check_master_state(state, service_name):
                # The one that knows is asked first from now on.
                self.sentinels.insert(0, self.sentinels.pop(index))
                return state["ip"], state["port"]
        if service_name in known:
            raise MasterNotFoundError("the Sentinels consider the master down: try again soon")
        if known:
            names = plain(", ".join(sorted(known)))
            raise MasterNotFoundError(f"the Sentinels know no master of that name, only: {names}")
        if problem is None:
            raise MasterNotFoundError("the Sentinels know no master at all")
        raise MasterNotFoundError("no Sentinel could be asked") from problem
