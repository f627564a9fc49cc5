"""Read-only mode is a fact of wiring: whoever asks, and however, no write reaches a server."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import pytest
import redis
from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import MovedError, ResponseError

from qtui.bullmq.connection.client import Client, ReadOnlyMode, connect, parse_target
from qtui.bullmq.connection.guard import READS, READS_OF, Guarded, permit
from qtui.bullmq.connection.sentinel import MasterPool
from qtui.demo.server import EmbeddedServer
from tests.bullmq.topologies import Process, Topologies, Topology

# What servers count among their admin or dangerous commands, and yet changes nothing.
HARMLESS = frozenset(
    {
        "acl|dryrun",
        "client|list",
        "cluster|nodes",
        "eval_ro",
        "evalsha_ro",
        "info",
        "role",
        "sort_ro",
    }
)
# What a Sentinel itself asks of a master.
OF_SENTINELS = frozenset({"publish", "subscribe", "psubscribe"})


@dataclass(frozen=True)
class Known:
    """A command (``get``) or subcommand (``config|set``) as a server describes it."""

    name: str
    writes: bool
    forbidden: bool

    @property
    def words(self) -> list[str]:
        """It, as it is sent."""
        return self.name.split("|")


def commands(admin: redis.Redis) -> list[Known]:
    """All commands and subcommands of a server."""
    # Not redis-py's own reading of COMMAND, which drops subcommands and categories.
    admin.set_response_callback("COMMAND", lambda reply, **_: reply)
    return list(_flat(admin.command()))


def _flat(reply: Any) -> Iterator[Known]:
    for name, _, flags, _, _, _, categories, _, _, subcommands in (entry[:10] for entry in reply):
        bad = {"@admin", "@dangerous", "@scripting", "@pubsub", "@transaction"} & {*categories}
        if not subcommands:
            yield Known(name, "write" in flags, "write" in flags or bool(bad))
        yield from _flat(subcommands)


def allowed(known: Known) -> bool:
    """Whether the allow-list names it."""
    first, *rest = (word.upper().encode() for word in known.words)
    return first in READS or bool(rest and rest[0] in READS_OF.get(first, ()))


def arrived(process: Process) -> set[str]:
    """The commands that a server has seen since its statistics were reset, refused ones too."""
    with process.admin() as admin:
        seen = {key.removeprefix("cmdstat_") for key in admin.info("commandstats")}
    # The one that did the reset.
    return seen - {"config|resetstat"}


@pytest.fixture
async def guarded(topology: Topology) -> AsyncIterator[Client]:
    """A read-only client of each arrangement."""
    client = connect(parse_target(topology.url), read_only=True)
    yield client
    await client.aclose()


@pytest.fixture
def forbidden(topology: Topology) -> list[Known]:
    """All that the server flags as a write, as admin, dangerous, script, or publish/subscribe."""
    with topology.data[0].admin() as admin:
        found = [known for known in commands(admin) if known.forbidden]
    for process in topology.data:
        with process.admin() as admin:
            admin.config_resetstat()
    return [known for known in found if known.name not in HARMLESS]


async def targets(client: Client) -> dict[str, Any]:
    """On a cluster the node to ask: it has no way for commands without keys."""
    if isinstance(client, RedisCluster):
        await client.initialize()
        return {"target_nodes": client.get_default_node()}
    return {}


async def raw_connection(client: Client) -> AbstractConnection:
    """A connection taken out of the pool by hand."""
    connection: AbstractConnection
    if isinstance(client, RedisCluster):
        await client.initialize()
        node = client.get_random_node()
        connection = node.acquire_connection()
        node.release(connection)
    else:
        connection = await client.connection_pool.get_connection()
        await client.connection_pool.release(connection)
    return connection


ARGUMENTS = ("{k}1", "{k}2", "1")
Way: TypeAlias = Callable[[Client, Known], Awaitable[object]]


async def by_command(client: Client, known: Known) -> None:
    await client.execute_command(*known.words, *ARGUMENTS, **await targets(client))


async def by_lower_case_bytes(client: Client, known: Known) -> None:
    connection = await raw_connection(client)
    words = [word.lower().encode() for word in known.words]
    await connection.send_command(*words, *ARGUMENTS)


async def by_one_argument(client: Client, known: Known) -> None:
    connection = await raw_connection(client)
    await connection.send_command(" ".join(known.words).title(), *ARGUMENTS)


async def behind_a_blank(client: Client, known: Known) -> None:
    connection = await raw_connection(client)
    await connection.send_command(" ", *known.words, *ARGUMENTS)


async def by_pipeline(client: Client, known: Known) -> None:
    pipeline = client.pipeline(transaction=False)
    where = await targets(client)
    pipeline.execute_command("GET", "{k}1")
    pipeline.execute_command(*known.words, *ARGUMENTS, **where)
    await pipeline.execute(raise_on_error=False)


async def by_ready_made_bytes(client: Client, known: Known) -> None:
    """Bytes that an unguarded connection has packed."""
    connection = await raw_connection(client)
    ready = AbstractConnection.pack_command(connection, *known.words, *ARGUMENTS)
    await connection.send_packed_command(ready, check_health=False)


async def by_packed_commands(client: Client, known: Known) -> None:
    connection = await raw_connection(client)
    batch = [("PING",), (*known.words, *ARGUMENTS)]
    await connection.send_packed_command(connection.pack_commands(iter(batch)))


WAYS: tuple[Way, ...] = (
    by_command,
    by_lower_case_bytes,
    by_one_argument,
    behind_a_blank,
    by_pipeline,
    by_ready_made_bytes,
    by_packed_commands,
)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
async def test_nothing_but_reads_reaches_a_server(
    topology: Topology, guarded: Client, forbidden: list[Known], way: Way
) -> None:
    assert len(forbidden) > 150
    for known in forbidden:
        with pytest.raises(ReadOnlyMode, match=r"read-only mode: .* not sent"):
            await way(guarded, known)
    assert await guarded.execute_command("GET", "{k}1") is None
    permitted = {known.decode().lower() for known in READS} | {"client|setname", "cluster|slots"}
    for process in topology.data:
        seen = arrived(process) - (OF_SENTINELS if topology.sentinel else set())
        assert seen <= permitted | {"command"}, seen


async def by_register_script(client: Redis) -> object:
    return await client.register_script("return redis.call('set', KEYS[1], 1)")(keys=["k"])


async def by_transaction(client: Redis) -> object:
    return await client.transaction(lambda pipeline: pipeline.get("k"), "k")


async def by_transactional_pipeline(client: Client) -> object:
    pipeline = client.pipeline(transaction=True)
    pipeline.execute_command("GET", "k")
    return await pipeline.execute()


async def by_lock(client: Redis) -> object:
    return await client.lock("k").acquire()


async def by_pubsub(client: Redis) -> object:
    async with client.pubsub() as pubsub:
        return await pubsub.subscribe("k")


async def by_monitor(client: Redis) -> object:
    async with client.monitor() as monitor:
        return await monitor.next_command()


async def by_own_connection(client: Redis) -> object:
    async with client.client() as single:
        return await single.set("k", 1)


async def by_blocking_write(client: Redis) -> object:
    return await client.blpop("k", timeout=1)


@pytest.mark.parametrize("name", ["standalone", "unix", "tls", "sentinel"])
@pytest.mark.parametrize(
    "way",
    [
        by_register_script,
        by_transaction,
        by_transactional_pipeline,
        by_lock,
        by_pubsub,
        by_monitor,
        by_own_connection,
        by_blocking_write,
    ],
    ids=lambda way: way.__name__,
)
async def test_no_part_of_redis_py_gets_around_the_guard(
    topologies: Topologies, name: str, way: Callable[[Redis], Awaitable[object]]
) -> None:
    topology = topologies.get(name)
    client = connect(parse_target(topology.url), read_only=True)
    assert isinstance(client, Redis)
    with pytest.raises(ReadOnlyMode):
        await way(client)
    assert await client.exists("k") == 0
    await client.aclose()
    seen = arrived(topology.data[0]) - OF_SENTINELS
    assert seen <= {"client|setname", "exists", "info", "ping", "auth", "select"}, seen


async def test_no_part_of_the_cluster_client_gets_around_the_guard(topologies: Topologies) -> None:
    topology = topologies.get("cluster")
    client = connect(parse_target(topology.url), read_only=True)
    script = client.register_script("return redis.call('set', KEYS[1], 1)")
    ways: list[Callable[[], Awaitable[object]]] = [
        lambda: client.set("k", 1),
        lambda: client.execute_command("FLUSHALL", target_nodes=RedisCluster.ALL_NODES),
        lambda: script(keys=["k"]),
        lambda: by_transactional_pipeline(client),
        lambda: client.lock("k").acquire(),
    ]
    for way in ways:
        with pytest.raises(ReadOnlyMode):
            await way()
    await client.aclose()
    permitted = {"client|setname", "cluster|slots", "command", "info"}
    for process in topology.data:
        assert arrived(process) <= permitted


async def test_a_refused_command_leaves_its_connection_usable(guarded: Client) -> None:
    for _ in range(30):
        with pytest.raises(ReadOnlyMode):
            await guarded.set("{k}", 1)
        assert await guarded.get("{k}") is None


async def test_sentinels_are_asked_through_the_guard_too(topologies: Topologies) -> None:
    client = connect(parse_target(topologies.get("sentinel").url), read_only=True)
    assert isinstance(client, Redis)
    pool = client.connection_pool
    assert isinstance(pool, MasterPool)
    [sentinel] = pool.sentinel_manager.sentinels
    for command in (("SENTINEL FAILOVER", "main"), ("SENTINEL", "REMOVE", "main"), ("SHUTDOWN",)):
        with pytest.raises(ReadOnlyMode):
            await sentinel.execute_command(*command)
    assert "main" in await sentinel.sentinel_masters()
    await client.aclose()


async def test_every_node_that_a_cluster_client_ever_meets_is_guarded(
    topologies: Topologies,
) -> None:
    client = connect(parse_target(topologies.get("cluster").url), read_only=True)
    assert isinstance(client, RedisCluster)
    manager = client.nodes_manager
    # Lists: nodes of one address are equal, and so with other connections.
    nodes = [*manager.startup_nodes.values()]
    for _ in range(2):
        await client.get("k")
        nodes += [*manager.nodes_cache.values(), *manager.startup_nodes.values()]
        await client.aclose()
    await client.get("k")
    # A node that the client learns of from a redirection.
    await manager.move_slot(MovedError("0 127.0.0.2:1"))
    nodes += [*manager.nodes_cache.values(), *itertools.chain(*manager.slots_cache.values())]
    assert len({node.name for node in nodes}) == 4
    assert all(issubclass(node.connection_class, Guarded) for node in nodes)
    await client.aclose()


async def test_without_read_only_the_same_commands_pass(topology: Topology) -> None:
    client = connect(parse_target(topology.url), read_only=False)
    assert await client.set("{k}", "1")
    assert await client.eval("return redis.call('incr', KEYS[1])", 1, "{k}") == 2
    pipeline = client.pipeline(transaction=False)
    pipeline.execute_command("INCR", "{k}")
    assert await pipeline.execute() == [3]
    await client.aclose()


def test_no_server_calls_a_read_of_ours_a_write(any_server: EmbeddedServer) -> None:
    with redis.Redis.from_url(any_server.url, decode_responses=True) as admin:
        known = commands(admin)
    ours = [command for command in known if allowed(command)]
    assert len(ours) > 70
    assert [command.name for command in ours if command.writes] == []
    assert {command.name for command in ours if command.forbidden} <= HARMLESS


@pytest.mark.parametrize(
    "call",
    [
        "'set', KEYS[1], 1",
        "'del', KEYS[1]",
        "'publish', KEYS[1], 1",
        "'pfcount', KEYS[1]",
        "'config', 'set', 'maxmemory', '1gb'",
        "'flushall'",
        "'eval', 'return 1', 0",
    ],
)
@pytest.mark.parametrize("how", ["call", "pcall"])
async def test_a_server_refuses_writes_in_the_scripts_that_may_be_sent(
    any_server: EmbeddedServer, call: str, how: str
) -> None:
    client = connect(parse_target(any_server.url), read_only=True)
    with redis.Redis.from_url(any_server.url, decode_responses=True) as admin:
        admin.set("k", "kept")
        before = admin.execute_command("DEBUG", "DIGEST"), admin.config_get("maxmemory")
        with pytest.raises(ResponseError):
            await client.execute_command("EVAL_RO", f"return redis.{how}({call})", 1, "k")
        assert (admin.execute_command("DEBUG", "DIGEST"), admin.config_get("maxmemory")) == before
    await client.aclose()


@pytest.mark.parametrize(
    "words",
    [
        (b"GET", b"k"),
        (b"get", b"k"),
        (b"Xread", b"BLOCK"),
        (b"client", b"list"),
        (b"COMMAND",),
        (b"MEMORY", b"usage"),
    ],
)
def test_a_read_passes(words: tuple[bytes, ...]) -> None:
    permit(words)


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ((), "an empty command"),
        ((b"",), "an empty command"),
        ((b"SET", b"secret-key"), "SET"),
        ((b"eval", b"secret"), "EVAL"),
        ((b"GETX", b"secret"), "GETX"),
        ((b"CLIENT",), "CLIENT"),
        ((b"client", b"kill"), "CLIENT KILL"),
        ((b"CLIENT LIST", b"secret"), "CLIENT LIST"),
        ((b"COMMAND", b"NEW"), "COMMAND NEW"),
        ((b"\x1b]0;x\xff",), r"␛]0;X\xff"),
        ((b"A" * 1000,), "A" * 40),
    ],
)
def test_anything_else_is_named_but_not_its_arguments(words: tuple[bytes, ...], shown: str) -> None:
    with pytest.raises(ReadOnlyMode) as caught:
        permit(words)
    assert str(caught.value) == f"read-only mode: {shown} was not sent; only reads are"


@pytest.mark.parametrize(
    "arguments",
    [
        (b"GET", b"k"),
        ("GET", "k"),
        ("  GET  ", "k"),
        (" ", "GET", "k"),
        (memoryview(b"GET"), bytearray(b"k")),
        ("GET", memoryview(b"k")),
    ],
    ids=["bytes", "text", "blanks around", "a blank before", "memory", "memory behind"],
)
async def test_what_was_looked_at_is_what_is_sent(
    standalone: Topology, arguments: tuple[Any, ...]
) -> None:
    client = connect(parse_target(standalone.url), read_only=True)
    connection = await raw_connection(client)
    assert b"".join(connection.pack_command(*arguments)) == b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"
    await client.aclose()
