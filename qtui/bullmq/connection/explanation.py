"""Turns errors of redis-py and of the network into one line that says what to do."""

from __future__ import annotations

import builtins
import errno
import re
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from redis.asyncio.sentinel import MasterNotFoundError
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    ClusterCrossSlotError,
    ClusterDownError,
    ConnectionError,
    InvalidResponse,
    MasterDownError,
    MaxConnectionsError,
    MovedError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
    TimeoutError,
    TryAgainError,
)

from qtui.bullmq.connection.faults import RedisFault, Refused, Unreachable
from qtui.bullmq.connection.link import NotConnected
from qtui.bullmq.connection.target import Address, Target, Topology
from qtui.text import first_line, plain

_Causes: TypeAlias = Sequence[BaseException]


def explain(error: BaseException, target: Target) -> RedisFault:
    """The fault for an error. Raise it ``from None``: the original error may hold secrets.

    Faults are returned as they are. An error of no known kind becomes `Refused` if Redis sent it
    and `Unreachable` if not, with its own first line; passwords of the target are taken out.
    """
    causes = _causes(error)
    for cause in causes:
        if isinstance(cause, RedisFault):
            return cause
    answer = _tls(causes, target) or _refusal(causes, target) or _network(causes, target)
    if answer is not None:
        return answer
    fault = Refused if isinstance(error, ResponseError) else Unreachable
    where = _Where.of(causes, target)
    return fault(f"{where.shown}: {_words(error, target) or type(error).__name__}{where.hint}")


def _causes(error: BaseException) -> list[BaseException]:
    """The error and what it was raised for or from, outermost first."""
    causes: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in causes and len(causes) < 16:
        causes.append(current)
        current = current.__cause__ or current.__context__
    return causes


@dataclass(frozen=True, slots=True)
class _Where:
    """The server that an error is about: the one in the URL, or an announced one."""

    shown: str
    hint: str = ""
    """Advice for a wrong announced address; follows the sentence."""
    comma: str = ""

    @classmethod
    def of(cls, causes: _Causes, target: Target) -> _Where:
        named = next((one for cause in causes if (one := _named(cause))), None)
        if named is None:
            return cls(target.shown)
        shown, comma, hint = target.shown, "", ""
        if not _is_given(named, target):
            announced = plain(named.shown)
            kind = "the master that the Sentinels announce"
            if target.kind is not Topology.SENTINEL:
                kind = "a node that the cluster announces"
            shown, comma = f"{shown}: {announced}, {kind}", ","
            hint = f" Where it has another address for you, add --announced {announced}=HOST:PORT"
        reached = target.leads(named)
        if reached == named:
            return cls(shown, hint, comma)
        return cls(f"{shown} (connecting to {plain(reached.shown)} for it, see --announced)")

    def __str__(self) -> str:
        """The subject of a sentence."""
        return self.shown + self.comma


_READING: Final = re.compile(r"(?:reading from|Timeout reading from) (\S+):(\d+)")


def _named(cause: BaseException) -> Address | None:
    """The address, as it was announced, of the server that an error is about, where it says so."""
    if isinstance(cause, NotConnected):
        return cause.announced
    match = (
        _READING.search(str(cause)) if isinstance(cause, ConnectionError | TimeoutError) else None
    )
    return Address(match[1], int(match[2])) if match else None


def _is_given(named: Address, target: Target) -> bool:
    # redis-py's cluster resolves this one name by itself.
    alike = {named, Address("localhost", named.port)} if named.host == "127.0.0.1" else {named}
    return not target.hosts or not alike.isdisjoint(target.hosts)


def _words(error: BaseException, target: Target) -> str:
    """The message of Redis or the system as one line, without the command that caused it."""
    words = re.sub(r"^Command # .* caused error: ", "", str(error), flags=re.DOTALL)
    # Behind the command comes what was said as a tuple of one.
    words = re.sub(r"""^\((['"])(.*)\1,\)$""", r"\2", words, flags=re.DOTALL)
    key_password = target.tls.key_password if target.tls else ""
    secrets = target.credentials.password, target.sentinel_credentials.password, key_password
    for secret in filter(None, secrets):
        words = words.replace(secret, "…")
    return first_line(words, 200)


# Type, what its words hold, and the end of the sentence that begins with the URL. The first wins.
_REFUSALS: Final[Sequence[tuple[type[BaseException], str, str]]] = (
    (
        AuthenticationError,
        "no password is set|without any password",
        "has no password, but the URL has one: leave it out",
    ),
    (
        AuthenticationError,
        "Authentication required",
        "wants a password: write redis://user:password@host, or only :password@ without a user",
    ),
    (AuthenticationError, "", "refused the user name or the password in the URL"),
    (ReadOnlyError, "", "is a replica and takes no writes: connect to its master"),
    (ConnectionError, "previous master is now", "is a replica now: the master has changed"),
    (BusyLoadingError, "", "is still loading its data: try again in a moment"),
    (OutOfMemoryError, "", "is out of memory (maxmemory) and takes no writes"),
    (MasterDownError, "", "is a replica that has lost its master"),
    (ClusterDownError, "", "is a cluster that is down: no node serves some of its slots"),
    (TryAgainError, "", "is a cluster that moves these keys to another node: try again later"),
    (MovedError, "", "is part of a cluster: write redis+cluster:// in place of redis://"),
    (
        ResponseError,
        "SELECT is not allowed in cluster mode",
        "is a cluster, which has database 0 only: leave the number out",
    ),
    (ClusterCrossSlotError, "", "is a cluster, and these keys are on several of its nodes"),
    (
        ResponseError,
        r"\bDENIED\b",
        "is in protected mode: it accepts only local connections until it has a password",
    ),
    (ResponseError, r"\bMISCONF\b", "cannot save to disk and therefore takes no writes"),
    (ResponseError, r"\bBUSY\b", "is busy with a long-running script: try again later"),
    (ResponseError, r"\bNOREPLICAS\b", "has too few replicas and therefore takes no writes"),
    (
        ResponseError,
        "DB index is out of range|invalid DB index",
        "has no database with that number",
    ),
    (
        ResponseError,
        "unknown command",
        "does not know a required command: is it renamed, or the server too old?",
    ),
    (ResponseError, r"\bWRONGTYPE\b", "holds a key of another type than BullMQ's"),
    (ConnectionError, "max number of clients", "has reached its limit of clients (maxclients)"),
    (
        ResponseError,
        "cluster support disabled",
        "is no cluster: write redis:// in place of redis+cluster://",
    ),
)


_SENTINEL_LOGIN: Final = (
    "correct sentinel_username and sentinel_password in the URL, or leave both out"
)


def _refusal(causes: _Causes, target: Target) -> Refused | None:
    """What Redis itself refused. An ACL's refusal may hide behind another error of redis-py."""
    for cause in causes:
        if isinstance(cause, NoPermissionError):
            return Refused(f"{target.shown}: {_forbidden(_words(cause, target))}")
    asked_sentinels = any(isinstance(cause, MasterNotFoundError) for cause in causes)
    for kind, pattern, sentence in _REFUSALS:
        for cause in causes:
            if not isinstance(cause, kind) or not re.search(pattern, str(cause)):
                continue
            if asked_sentinels and kind is AuthenticationError:
                sentence = "has Sentinels with their own login: add ?sentinel_password=…"
                if target.sentinel_credentials:
                    sentence = f"has Sentinels that refused the login: {_SENTINEL_LOGIN}"
            return Refused(f"{target.shown} {sentence}")
    return None


def _forbidden(words: str) -> str:
    """What an ACL refused, without the user name that newer releases include."""
    command = re.search(r"'([^']+)' command", words)
    if command:
        return f"its ACL does not let this user run {plain(command[1].replace('|', ' ').upper())}"
    if "key" in words:
        return "its ACL does not let this user touch these keys"
    return "its ACL does not let this user do that"


def _tls(causes: _Causes, target: Target) -> Unreachable | None:
    where = _Where.of(causes, target)
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return Unreachable(f"{where.shown}: {_distrust(cause)}")
    for cause in causes:
        if not isinstance(cause, ssl.SSLError) or isinstance(cause, _TLS_HUNG_UP):
            continue
        reason = (cause.reason or str(cause)).replace("_", " ").lower()
        if "wrong version" in reason or "record layer" in reason:
            return Unreachable(
                f"{where} speaks no TLS on this port: write {_plain_scheme(target)}://"
                " (in a tunnel that ends TLS itself, too)"
            )
        if "certificate required" in reason or "handshake failure" in reason:
            return Unreachable(f"{where} wants a client certificate: add {_CLIENT_CERTIFICATE}")
        if "unknown ca" in reason or "bad certificate" in reason:
            return Unreachable(
                f"{where} does not accept our client certificate: is it signed by the server's CA?"
            )
        return Unreachable(f"{where.shown}: TLS failed: {first_line(reason)}")
    return None


_CLIENT_CERTIFICATE: Final = "--tls-cert FILE --tls-key FILE"


def _plain_scheme(target: Target) -> str:
    return target.scheme.replace("rediss", "redis", 1)


def _distrust(error: ssl.SSLCertVerificationError) -> str:
    message = error.verify_message.rstrip(".")
    if "mismatch" in message:
        hint = (
            "behind a tunnel or a proxy, add --tls-server-name with the name that the certificate"
            " has"
        )
    elif "expired" in message or "not yet valid" in message:
        hint = "it needs a new certificate, or the clock here or there is wrong"
    else:
        hint = (
            "add --tls-ca FILE with its CA (or a self-signed certificate itself);"
            " --tls-insecure accepts any certificate"
        )
    return f"its TLS certificate is not trusted ({plain(message)}): {hint}"


# Numbers of the errors that have their own sentence.
_ERRNO: Final = {
    errno.ECONNREFUSED: "refused the connection: is the server up and the port right?",
    errno.ENOENT: "is not there: is the server up and the path right?",
    errno.EACCES: "denies you access: check the permissions of the socket",
    errno.EHOSTUNREACH: "cannot be reached: no route to this host",
    errno.ENETUNREACH: "cannot be reached: no network to this host",
    errno.ETIMEDOUT: "does not answer: is the host right, and is there a firewall in between?",
}
_HUNG_UP: Final = (errno.ECONNRESET, errno.EPIPE, errno.ECONNABORTED)
_TLS_HUNG_UP: Final = (ssl.SSLEOFError, ssl.SSLZeroReturnError)


def _network(causes: _Causes, target: Target) -> Unreachable | None:
    where = _Where.of(causes, target)
    for cause in causes:
        if isinstance(cause, socket.gaierror):
            words = "no such host: is the name right, and does DNS work here?"
            return Unreachable(f"{where.shown}: {words}{where.hint}")
    numbers = [number for cause in causes for number in _numbers(cause)]
    for number in numbers:
        if number in _ERRNO:
            return Unreachable(f"{where} {_ERRNO[number]}{where.hint}")
    if any(number in _HUNG_UP for number in numbers) or any(map(_is_cut_off, causes)):
        return Unreachable(f"{where} {_hung_up(causes, target)}")
    for cause in causes:
        sentence = _sentence(cause, target)
        if sentence:
            # A server that did not answer on an open connection has the right address.
            hint = where.hint if "connecting" in str(cause) else ""
            return Unreachable(f"{where} {sentence}{hint}")
    return None


def _is_cut_off(cause: BaseException) -> bool:
    words = str(cause) if isinstance(cause, ConnectionError) else ""
    cut = isinstance(cause, ConnectionResetError | ConnectionAbortedError | BrokenPipeError)
    return (
        cut
        or isinstance(cause, (EOFError, *_TLS_HUNG_UP))
        or re.search("closed by server|while reading", words) is not None
    )


def _numbers(cause: BaseException) -> list[int]:
    """The errno, or all of them where several addresses of one host were tried."""
    if not isinstance(cause, OSError):
        return []
    if cause.errno is not None:
        return [cause.errno]
    return [int(digits) for digits in re.findall(r"\[Errno (\d+)\]", str(cause))]


def _sentence(cause: BaseException, target: Target) -> str:
    words = str(cause)
    if isinstance(cause, TimeoutError | builtins.TimeoutError):
        if "connecting" in words:
            # A server without TLS takes our greeting for half a command and waits for the rest.
            no_tls = f" Or does it speak no TLS ({_plain_scheme(target)}://)?" if target.tls else ""
            return _ERRNO[errno.ETIMEDOUT] + no_tls
        return "did not answer in time: is it busy, or the network slow?"
    if isinstance(cause, MaxConnectionsError) or words == "No connection available.":
        return "got no free connection: all of qtui's connections to it are in use"
    if isinstance(cause, InvalidResponse):
        return "does not speak the Redis protocol: is the port right?"
    if isinstance(cause, MasterNotFoundError) and cause.__cause__ is None:
        return f"has no master: {first_line(words)}"
    return ""


def _hung_up(causes: _Causes, target: Target) -> str:
    """What to make of a connection that the other end closed, by how far it had come."""
    restarted = "closed the connection: was it restarted?"
    if target.kind is Topology.UNIX or not any(isinstance(cause, NotConnected) for cause in causes):
        return restarted
    tunnel = "Through a tunnel: is its other end up?"
    if target.tls is None:
        scheme = target.scheme.replace("redis", "rediss", 1)
        return (
            "closed the connection before its first reply: does it want TLS"
            f" ({scheme}://)? {tunnel}"
        )
    # What goes wrong before the first command has no words but redis-py's for connecting.
    if any("connecting to" in str(cause) for cause in causes):
        return (
            "closed the connection during the TLS handshake: does it speak TLS on this port"
            f" (else {_plain_scheme(target)}://)? {tunnel}"
        )
    # The alert that says so is often lost, since the server hangs up with it.
    if target.tls.certificate:
        return (
            "closed the connection after the TLS handshake: does it accept our client certificate"
            " (--tls-cert)?"
        )
    return (
        "closed the connection after the TLS handshake: does it want a client certificate"
        f" ({_CLIENT_CERTIFICATE})?"
    )
