"""Composes our scripts, and calls them by digest, or in full if the server does not have them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from importlib import resources
from typing import Final, cast

from redis.exceptions import NoScriptError, ResponseError

from qtui.bullmq.ask import Command, ask_one, exact
from qtui.bullmq.codes import ForeignQueue, QueueGone
from qtui.bullmq.connection.client import Client
from qtui.bullmq.keys import SCRIPT_KEYS
from qtui.bullmq.model import Kind

_INCLUDED: Final = re.compile(r"^-- (part|script): ([a-z_]+)\n", re.MULTILINE)


def script_text(name: str) -> str:
    """Returns one of the scripts in ``lua/`` as it is sent, with everything that it includes.

    A line ``-- part: NAME`` puts ``lua/parts/NAME.lua`` in front of the script, only once even if
    several files name it; its functions are locals that all of them can use. A line ``-- script:
    NAME`` is replaced by that script as a function ``NAME(KEYS, ARGV)`` with separate locals.
    ``SUFFIXES`` is `qtui.bullmq.keys.SCRIPT_KEYS`.
    """
    parts: dict[str, str] = {}
    text = _composed(name, parts)
    if not parts:
        return text
    suffixes = ", ".join(f'"{suffix}"' for suffix in SCRIPT_KEYS)
    return "\n".join([f"local SUFFIXES = {{ {suffixes} }}", *parts.values(), text])


def _composed(name: str, parts: dict[str, str]) -> str:
    """A file's text without its parts, which are added to ``parts``, each after those it names."""

    def included(found: re.Match[str]) -> str:
        kind, other = found.groups()
        if kind == "script":
            return f"local function {other}(KEYS, ARGV)\n{_composed(other, parts)}\nend\n"
        if other not in parts:
            part = _composed(f"parts/{other}", parts)
            parts[other] = part
        return ""

    return _INCLUDED.sub(included, _read(name))


def _read(name: str) -> str:
    return resources.files("qtui.bullmq").joinpath(f"lua/{name}.lua").read_text("utf-8")


def flag(value: bool) -> str:
    """A yes or no as our scripts take it."""
    return "1" if value else "0"


def pin(score: float | None) -> str:
    """A score at which a job must be found, as our scripts take it; empty for any."""
    return "" if score is None else exact(score)


_REFUSALS: Final = {
    "QTUIREFUSED pro": Kind.PRO,
    "QTUIREFUSED bull": Kind.BULL,
    "QTUIREFUSED gone": Kind.GONE,
}


def _refused_kind(error: str) -> Kind | None:
    """The kind of queue that a script has refused; None for any other error."""
    return next((kind for words, kind in _REFUSALS.items() if words in error), None)


class Script:
    """One script on one connection. Costs one EVALSHA a call (EVAL once after a script flush)."""

    def __init__(self, client: Client, source: str) -> None:
        self._client = client
        self._source = source
        self._sha = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()

    async def call(self, keys: Sequence[str], arguments: Sequence[str]) -> list[str | int]:
        """Calls the script, and returns its reply, a list.

        Raises:
            QueueGone: the script found no key of the queue, and wrote nothing.
            ForeignQueue: the script found a queue that is not BullMQ's own, and wrote nothing.
            redis.exceptions.ConnectionError, TimeoutError: as `ask`; the effect is unknown.
            redis.exceptions.RedisError: Redis refused the call.
        """
        try:
            words: Command = (len(keys), *keys, *arguments)
            try:
                reply = await ask_one(self._client, "EVALSHA", self._sha, *words)
            except NoScriptError:
                reply = await ask_one(self._client, "EVAL", self._source, *words)
        except ResponseError as error:
            if kind := _refused_kind(str(error)):
                raise QueueGone() if kind is Kind.GONE else ForeignQueue(kind) from None
            raise
        return cast("list[str | int]", reply)
