"""Faults between qtui and Redis, each one line for the user. Knows nothing about redis-py."""

from __future__ import annotations

from typing import ClassVar


class RedisFault(Exception):
    """One line that says what is wrong and what to do; never has a password or a traceback."""

    exit_code: ClassVar[int] = 3
    """Exit code of a command that stops because of it."""


class BadUrl(RedisFault):
    """The address cannot be used as written; no connection was tried."""

    exit_code: ClassVar[int] = 2


class Unreachable(RedisFault):
    """No answer came: host, port, DNS, TLS, time-out, or a lost connection.

    If the command was a write, its effect is unknown.
    """


class Refused(RedisFault):
    """Redis answered with a refusal: password, ACL, replica, memory, wrong kind of server.

    If the command was a write, it did nothing.
    """


class ReadOnlyMode(RedisFault):
    """The read-only guard refused a command; nothing was sent."""

    exit_code: ClassVar[int] = 4
