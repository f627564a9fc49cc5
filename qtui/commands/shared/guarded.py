"""Whether a server is one that a profile marks read-only, whatever names it now.

Compares addresses, so that a URL by hand, a variable or another file can't undo the mark.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterable, Mapping
from typing import Final

from qtui.bullmq.connection.faults import RedisFault
from qtui.bullmq.connection.target import Address, Kind, Target, parse

_PATIENCE: Final = 1.0
"""Seconds that the names of servers may take to be resolved, all at once."""

_LOCAL: Final = ("127.0.0.1", "::1")


def guarding_profile(target: Target, marked: Mapping[str, str]) -> str:
    """The profile that marks a server read-only, empty if none does.

    Host names are compared, and where that is no answer the addresses that they resolve to; the
    database and the user do not matter.

    Args:
        target: the server.
        marked: the URLs of the profiles that are read-only, by name.
    """
    others: dict[str, Target] = {}
    for name, url in marked.items():
        try:
            others[name] = parse(url)
        except RedisFault:
            continue
    ours = _named(target)
    for name, other in others.items():
        if ours & _named(other):
            return name
    hosts = {host for one in (target, *others.values()) for host, _ in _hosts(one)}
    known = _resolved(hosts) if others and target.hosts else {}
    ours = _named(target, known)
    return next((name for name, other in others.items() if ours & _named(other, known)), "")


def _named(target: Target, known: Mapping[str, Iterable[str]] | None = None) -> set[str]:
    """Every way in which the server's addresses can be written; with ``known``, as numbers."""
    if target.kind is Kind.UNIX:
        return {f"unix:{os.path.realpath(target.path)}"}
    found: set[str] = set()
    for host, port in _hosts(target):
        plain = host.lower().rstrip(".")
        names = {plain, *(_LOCAL if plain == "localhost" or plain.startswith("127.") else ())}
        if known is not None:
            names |= set(known.get(host, ()))
        found |= {f"{name}|{port}|{target.master}" for name in names}
    return found


def _hosts(target: Target) -> list[Address]:
    """The addresses in the URL, and those to which connections are led instead."""
    led = (route.leads(host) for route in target.routes for host in target.hosts)
    return [*target.hosts, *(address for address in led if address is not None)]


def _resolved(hosts: Iterable[str]) -> dict[str, set[str]]:
    """The addresses of some hosts; those that take long are left out."""
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
