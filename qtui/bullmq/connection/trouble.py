"""What redis-py raises, sorted by what it means for the caller. Above `bullmq` only these words.

Four kinds matter to a write: its effect is unknown (`LOST`); the server as a whole takes no writes
for now, and did nothing (`Unable`, `condition_of`); it takes none from this user (`denial_of`); or
this one command was refused (`REFUSED`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    ClusterDownError,
    MasterDownError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as LostConnection
from redis.exceptions import TimeoutError as LateReply

from qtui.bullmq.connection.faults import RedisFault

LOST: Final = (LostConnection, LateReply, OSError)
"""The connection was lost, or the reply is late: the command's effect is unknown."""

REFUSED: Final = ResponseError
"""Redis answered, and the answer was an error: about a key, a command, or the user's rights."""

FORBIDDEN: Final = NoPermissionError
"""The `REFUSED` of an ACL: this user may not send the command, or not about this key."""

RAISED: Final = (RedisError, OSError)
"""What a client raises where the server can't be reached, or refuses."""

TROUBLE: Final = (*RAISED, RedisFault)
"""`RAISED`, and the faults that are in words already: of the address, the login, our own guard."""


class Unable(LostConnection):
    """The server answers, but for now it serves no one, or takes no writes.

    A script keeps it busy, a master is away, a disk is full: what it was asked for was not done.
    """

    def __init__(self, words: str, condition: str) -> None:
        super().__init__(words)
        self.condition = condition
        """What is the matter, see `condition_of`."""


def is_refusal(error: BaseException) -> bool:
    """Whether the server answered, with no or with nonsense, so that it is not lost."""
    return isinstance(error, RedisError) and not isinstance(error, LOST)


def is_wrong_type(reply: object) -> bool:
    """Whether a command was refused since the key holds another type."""
    return isinstance(reply, RedisError) and str(reply).startswith("WRONGTYPE")


_CONDITIONS: Final = {
    "READONLY": "Redis is a replica and takes no writes",
    "NOREPLICAS": "Redis has too few replicas and takes no writes",
    "MISCONF": "Redis cannot save to disk and takes no writes",
    "OOM": "Redis is out of memory and takes no writes",
    "LOADING": "Redis is loading its data",
    "BUSY": "Redis is busy with a script",
    "MASTERDOWN": "Redis is a replica that has lost its master",
    "CLUSTERDOWN": "the cluster is down: no node serves these keys",
    "TRYAGAIN": "the cluster is moving these keys to another node",
    "NOAUTH": "Redis asks for a login",
    "WRONGPASS": "Redis refuses the login",
}
"""Error codes of Redis that are about the server, whichever job a command is about."""

# redis-py cuts the code off where it has a class for it.
_CLASSES: Final = (
    (ReadOnlyError, "READONLY"),
    (OutOfMemoryError, "OOM"),
    (BusyLoadingError, "LOADING"),
    (MasterDownError, "MASTERDOWN"),
    (ClusterDownError, "CLUSTERDOWN"),
    (TryAgainError, "TRYAGAIN"),
    (AuthenticationError, "NOAUTH"),
)

# A script's own error has the command before it; before Redis 7 a line of the script and a dash.
_CODE: Final = re.compile(rf"(?:[A-Z]+: |@[^:]*: *\d+: )?-?({'|'.join(_CONDITIONS)}) ")


def condition_of(error: RedisError | str) -> str:
    """In what condition the whole server is if it says this, in words; empty if it is about a key.

    Args:
        error: as redis-py raised it, or the words of Redis as a script passed them on.
    """
    if not isinstance(error, str):
        if isinstance(error, LostConnection) and isinstance(error.__cause__, RedisError):
            return condition_of(error.__cause__)  # in connecting: nothing was sent
        for kind, code in _CLASSES:
            if isinstance(error, kind):
                wrong = kind is AuthenticationError and "invalid username-password" in str(error)
                return _CONDITIONS["WRONGPASS" if wrong else code]
        error = str(error)
    match = _CODE.match(error)
    return _CONDITIONS[match[1]] if match else ""


@contextmanager
def conditions_named() -> Iterator[None]:
    """Raises `Unable` in place of an error about the whole server, however it is wrapped.

    What is refused while a connection is made is no reply to a command: redis-py raises it from
    pipelines too, now and then as the cause of a plain ConnectionError.
    """
    try:
        yield
    except RedisError as error:
        if not isinstance(error, Unable) and (condition := condition_of(error)):
            raise Unable(str(error), condition) from error
        raise


# Before Redis 7 and since, in Valkey, and as each says it to a script.
_DENIAL: Final = re.compile(
    r"(?:(?P<called>[A-Z]+): |@[^:]*: *\d+: )?-?(?:ERR |NOPERM )?(?:ACL failure in script: )?"
    r"(?:(?:this user|User .*) has no permissions to (?:run the '(?P<named>[^']+)'|(?P<key>access))"
    r"|(?P<run>The user executing the script can't run this command)"
    r"|The user executing the script can't access at least one of the keys"
    r"|No permissions to access a key)",
    re.DOTALL,
)


def denial_of(words: str) -> str:
    """What an ACL forbids this user, if Redis said that to a script; empty for any other error.

    It is about the user, whichever job a command is about, and does not heal by itself.

    Args:
        words: of Redis, as a script passed them on, with or without the command before them.
    """
    match = _DENIAL.match(words)
    if not match:
        return ""
    command = match["called"] or (match["named"] or "").replace("|", " ").upper()
    on_keys = "" if match["named"] or match["run"] else " on these keys"
    return f"the ACL of Redis does not let this user run {command or 'a command'}{on_keys}"


def general_refusal(words: str) -> str:
    """Why no job at all is moved for now, if these words of Redis are not about a single job."""
    return condition_of(words) or denial_of(words)
