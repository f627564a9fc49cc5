"""Which profiles limit what may be done on this server, even if its address came from elsewhere.

Compares addresses, so that a URL on the command line, a variable or another configuration file
cannot bypass the mark.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import threading
from collections.abc import Iterable, Mapping
from typing import Final

from qtui.bullmq.connection.faults import RedisFault
from qtui.bullmq.connection.target import Address, Reach, Target, Topology, parse_target
from qtui.settings import Marked

_PATIENCE: Final = 1.0
"""Seconds to resolve the names of all servers together."""

_LOCAL: Final = ("127.0.0.1", "::1")


def guards_of(target: Target, marked: Iterable[Marked]) -> list[Marked]:
    """Returns those of the marked servers that a server is.

    Compares host names first, then the IP addresses that they resolve to, unless a name shows that
    the server is read-only. Database and user are ignored.

    Args:
        target: the server; of a cluster that was met, all its nodes.
        marked: the servers of the profiles that limit what is done.
    """
    others = [(one, other) for one in marked if (other := _parsed(one)) is not None]
    ours = _named(target)
    found = [one for one, other in others if ours & _named(other)]
    if not all(one.allow for one in found):
        return found
    hosts = {host for one in (target, *(it for _, it in others)) for host, _ in _hosts(one)}
    known = _resolved(hosts) if others and target.hosts else {}
    ours = _named(target, known)
    return [one for one, other in others if ours & _named(other, known)]


def _parsed(marked: Marked) -> Target | None:
    """The server with the ways that lead to it; None where the URL is none."""
    try:
        target = parse_target(marked.url)
    except RedisFault:
        return None
    try:
        return Reach(announced=marked.announced).of(target)
    except RedisFault:
        return target


def _named(target: Target, known: Mapping[str, Iterable[str]] | None = None) -> set[str]:
    """Every spelling of the server's addresses; with ``known``, also as IP addresses."""
    if target.kind is Topology.UNIX:
        return {f"unix:{os.path.realpath(target.path)}"}
    found: set[str] = set()
    for host, port in _hosts(target):
        names = {host, *(() if known is None else known.get(host, ()))}
        found |= {f"{name}|{port}|{target.master}" for it in names for name in _spellings(it)}
    return found


def _spellings(host: str) -> tuple[str, ...]:
    """A host in the form that is compared; this machine's own addresses are all alike."""
    name = host.lower().rstrip(".")
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return (name, *_LOCAL) if name == "localhost" else (name,)
    if isinstance(address, ipaddress.IPv6Address):
        address = address.ipv4_mapped or address
    # Connecting to the unspecified address (0.0.0.0, ::) leads to this machine too.
    is_here = address.is_loopback or address.is_unspecified
    return (str(address), *_LOCAL) if is_here else (str(address),)


def _hosts(target: Target) -> list[Address]:
    """The addresses in the URL, and those that ``--announced`` puts in their place."""
    led = (route.leads(host) for route in target.routes for host in target.hosts)
    return [*target.hosts, *(address for address in led if address is not None)]


def _resolved(hosts: Iterable[str]) -> dict[str, set[str]]:
    """The IP addresses of some hosts; hosts that take too long are left out."""
    found: dict[str, set[str]] = {}

    def resolve(host: str) -> None:
        try:
            answers = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            return
        found[host] = {str(answer[4][0]) for answer in answers}

    # Daemons: a name server that hangs must not keep the command from ending.
    threads = [threading.Thread(target=resolve, args=(host,), daemon=True) for host in hosts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(_PATIENCE / len(threads))
    return dict(found)
