"""Faults of a server that BullMQ runs on. Reads only."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final

from redis.exceptions import NoPermissionError

from qtui.bullmq.ask import Command, ask, ask_everywhere
from qtui.bullmq.connection.client import Client
from qtui.bullmq.verdicts.finding import Finding
from qtui.text import span

SLOW: Final = 0.1
"""Seconds of a round trip above which it is mentioned."""

_TRIPS: Final = 3
"""Round trips of which the fastest counts: a busy machine here is no fault of the server."""

_USED: Final = 0.9
"""Part of maxmemory above which the server is nearly full."""

_NEEDED: Final[tuple[tuple[Command, str], ...]] = (
    (("TYPE", "{key}meta"), "+@read"),
    (("PING",), "+ping"),
    (("INFO", "server"), "+info"),
    (("CLIENT", "LIST", "ID", 0), "+client|list"),
)
"""What watching needs, and the words that an ACL grants it with."""


async def check_server(client: Client, prefix: str) -> list[Finding]:
    """Returns what is wrong with the server. Costs three PINGs, an INFO, four small reads.

    Raises:
        redis.exceptions.ConnectionError, TimeoutError: the server did not answer.
    """
    found = list(_of_latency(min([await _round_trip(client) for _ in range(_TRIPS)])))
    for reply in await ask_everywhere(client, "INFO"):
        if isinstance(reply, Mapping):
            found += _of_info(reply)
    found += await _of_rights(client, prefix)
    return found


async def _round_trip(client: Client) -> float:
    """The seconds of one; also a refusal of PING is a round trip."""
    began = time.perf_counter()
    await ask_everywhere(client, "PING")
    return time.perf_counter() - began


def _of_latency(seconds: float) -> list[Finding]:
    if seconds < SLOW:
        return []
    return [
        Finding(
            code="slow",
            words=f"a round trip takes {span(seconds * 1000)}",
            effect="workers fetch and finish jobs at that speed",
            remedy="look at the network, SLOWLOG, and the load of the server",
            is_fault=False,
        )
    ]


def _of_info(info: Mapping[str, object]) -> list[Finding]:
    found = []
    policy = str(info.get("maxmemory_policy", ""))
    limit, used = _number(info.get("maxmemory")), _number(info.get("used_memory"))
    if limit and policy and policy != "noeviction":
        found.append(
            Finding(
                code="eviction",
                words=f"maxmemory-policy is {policy}",
                effect="when memory is full, Redis deletes keys of queues, and jobs are lost",
                remedy="CONFIG SET maxmemory-policy noeviction",
                evidence=(f"INFO maxmemory_policy: {policy}", f"INFO maxmemory: {limit}"),
            )
        )
    if limit and used > _USED * limit:
        found.append(
            Finding(
                code="memory",
                words=f"memory is {used * 100 // limit} % full",
                effect="soon Redis refuses new jobs",
                remedy="remove finished jobs (removeOnComplete, removeOnFail), or raise maxmemory",
                evidence=(f"INFO used_memory: {used}", f"INFO maxmemory: {limit}"),
            )
        )
    if info.get("role") in ("slave", "replica"):
        found.append(
            Finding(
                code="replica",
                words="this server is a replica",
                effect="it shows jobs as they were a moment ago, and takes no writes",
                remedy="connect to its master to change anything",
                evidence=(f"INFO role: {info.get('role')}",),
                is_fault=False,
            )
        )
    if info.get("rdb_last_bgsave_status") == "err":
        found.append(
            Finding(
                code="not-saved",
                words="the last save to disk failed",
                effect="Redis refuses writes (MISCONF), and a restart loses jobs",
                remedy="make room on the disk, and read the server's log",
                evidence=("INFO rdb_last_bgsave_status: err",),
            )
        )
    changes = _number(info.get("rdb_changes_since_last_save"))
    if str(info.get("aof_enabled")) == "0" and not _number(info.get("rdb_saves")) and changes:
        found.append(
            Finding(
                code="not-persistent",
                words="nothing was saved to disk yet, and there is no append-only file",
                effect="a restart loses every job",
                remedy="CONFIG SET appendonly yes, if jobs must survive a restart",
                evidence=("INFO aof_enabled: 0", "INFO rdb_saves: 0"),
                is_fault=False,
            )
        )
    return found


async def _of_rights(client: Client, prefix: str) -> list[Finding]:
    commands: list[Command] = [
        tuple(str(word).replace("{key}", f"{prefix}:-:") for word in words) for words, _ in _NEEDED
    ]
    replies = await ask(client, commands)
    lacking = [
        right
        for (_, right), reply in zip(_NEEDED, replies, strict=True)
        if isinstance(reply, NoPermissionError)
    ]
    if not lacking:
        return []
    return [
        Finding(
            code="rights",
            words=f"this user lacks {' '.join(lacking)}",
            effect="some of what qtui shows is unknown",
            remedy=f"ACL SETUSER <user> ~{prefix}:* {' '.join(lacking)}",
            is_fault=False,
        )
    ]


def _number(value: object) -> int:
    return value if isinstance(value, int) else int(str(value)) if str(value).isdigit() else 0
