"""Identifies the server whose data a client reads and writes, independent of its address."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Final

from redis.asyncio.cluster import RedisCluster
from redis.exceptions import ResponseError

from qtui.bullmq.connection.client import Client
from qtui.bullmq.connection.sentinel import MasterPool
from qtui.bullmq.connection.trouble import conditions_named

_NONE: Final = "0" * 40
_LONGEST: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """A server's process and the history of its data; a field is empty if it does not say."""

    run_id: str = ""
    """Its process: another one after each restart."""
    replid: str = ""
    """The history of its data: the same on a master and its replicas, another one after a
    promotion or a restart."""
    replid2: str = ""
    """The history that it continued when it was promoted."""
    is_master: bool = True
    """Whether it takes writes, by its own account."""
    is_settled: bool = True
    """False while Sentinels replace the master, or hold it for down."""

    @property
    def is_known(self) -> bool:
        """Whether it says anything that distinguishes it from other servers."""
        return bool(self.run_id or self.replid)

    def is_same_as(self, other: Origin) -> bool:
        """Whether this server still has what the other one acknowledged.

        That is the same process with the same history: each restart, promotion and full copy may
        have lost writes that were acknowledged.
        """
        mine, its = (self.run_id, self.replid), (other.run_id, other.replid)
        return self.is_known and mine == its

    def shares_data_with(self, other: Origin) -> bool:
        """Whether their data have a common past: a restart, a replica, a promotion."""
        if self.run_id and self.run_id == other.run_id:
            return True
        mine, its = {self.replid, self.replid2} - {""}, {other.replid, other.replid2} - {""}
        return bool(mine & its)

    def members(self) -> dict[str, str]:
        """The fields that a journal keeps."""
        found = asdict(self)
        return {name: found[name] for name in _KEPT if found[name]}


_KEPT: Final = ("run_id", "replid", "replid2")


def origin_of(members: Mapping[str, object]) -> Origin:
    """The origin from the fields that a journal kept."""
    run_id, replid, replid2 = (_text(members.get(name)) for name in _KEPT)
    return Origin(run_id=run_id, replid=replid, replid2=replid2)


async def read_origin(client: Client, key: str) -> Origin:
    """The server that serves a key now.

    It asks on a fresh connection: an old one may still lead to a server that was replaced.

    Costs a connection and one INFO, O(1), about 5 kB; with Sentinels a SENTINEL MASTERS each on
    top. Where an ACL refuses INFO the origin is unknown.

    Raises:
        redis.exceptions.ConnectionError, TimeoutError: it could not be asked.
    """
    is_settled = True
    try:
        with conditions_named():
            if isinstance(client, RedisCluster):
                await client.initialize()
                node = client.get_node_from_key(key)
                reply = await client.execute_command("INFO", target_nodes=node)
            else:
                pool = client.connection_pool
                if isinstance(pool, MasterPool):
                    is_settled = await pool.is_settled()
                await pool.disconnect(inuse_connections=False)
                reply = await client.execute_command("INFO")
    except ResponseError:
        return Origin(is_settled=is_settled)
    info = reply if isinstance(reply, Mapping) else {}
    if "run_id" not in info and len(info) == 1:
        [only] = info.values()  # redis-py names the node that it has asked
        info = only if isinstance(only, Mapping) else {}
    return Origin(
        run_id=_text(info.get("run_id")),
        replid=_text(info.get("master_replid")),
        replid2=_text(info.get("master_replid2")),
        is_master=info.get("role", "master") == "master",
        is_settled=is_settled,
    )


def _text(value: object) -> str:
    return value[:_LONGEST] if isinstance(value, str) and value != _NONE else ""
