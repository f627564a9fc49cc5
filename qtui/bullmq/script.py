"""Our own scripts as they are sent: by digest, and whole where the server does not have them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib import resources
from typing import Final, cast

from redis.exceptions import NoScriptError, ResponseError

from qtui.bullmq.ask import Command, ask_one
from qtui.bullmq.codes import ForeignQueue, QueueGone
from qtui.bullmq.connection import Client
from qtui.bullmq.model import Kind


def script_text(name: str) -> str:
    """The text of one of the files in ``lua/``."""
    return resources.files("qtui.bullmq").joinpath(f"lua/{name}.lua").read_text("utf-8")


_REFUSALS: Final = {
    "QTUIREFUSED pro": Kind.PRO,
    "QTUIREFUSED bull": Kind.BULL,
    "QTUIREFUSED gone": Kind.GONE,
}


def _refused_kind(error: str) -> Kind | None:
    """The kind of queue that a script has refused; None of any other error."""
    return next((kind for words, kind in _REFUSALS.items() if words in error), None)


class Script:
    """One script on one connection. Costs one EVALSHA a call (EVAL once after a script flush)."""

    def __init__(self, client: Client, source: str) -> None:
        self._client = client
        self._source = source
        self._sha = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()

    async def call(self, keys: Sequence[str], arguments: Sequence[str]) -> list[str | int]:
        """The script's reply, a list.

        Raises:
            QueueGone: the script found no key of the queue, and wrote nothing.
            ForeignQueue: the script found a queue that is not BullMQ's own, and wrote nothing.
            redis.exceptions.ConnectionError, TimeoutError: as `ask`; what it did is unknown.
            redis.exceptions.RedisError: it was refused.
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
