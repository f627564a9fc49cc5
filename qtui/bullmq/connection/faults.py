"""What can go wrong between us and Redis, as one line for a person. Knows nothing of redis-py."""

from __future__ import annotations

from typing import ClassVar


class RedisFault(Exception):
    """Says in one line what is wrong and what to do; never holds a password or a traceback."""

    exit_code: ClassVar[int] = 3
    """What a command that stops because of it exits with."""


class BadUrl(RedisFault):
    """The address cannot be used as it is written; no attempt to connect was made."""

    exit_code: ClassVar[int] = 2


class Unreachable(RedisFault):
    """No answer came: host, port, DNS, TLS, time-out, or a connection that was lost.

    If it befell a write, its effect is unknown.
    """


class Refused(RedisFault):
    """Redis answered, and the answer was no: password, ACL, replica, memory, wrong kind of server.

    If it befell a write, that command did nothing.
    """


class ReadOnlyMode(RedisFault):
    """Our own guard refused a command; nothing of it was sent."""

    exit_code: ClassVar[int] = 4
