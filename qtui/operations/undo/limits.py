"""Takes a change of limits back: the limits are as they were before, if they still are as set."""

from __future__ import annotations

from collections.abc import Sequence

from qtui.bullmq.codes import Code, Result
from qtui.bullmq.connection.client import Client
from qtui.bullmq.writers.batch import Batch
from qtui.bullmq.writers.queues import LimitsWriter
from qtui.operations.journal.facts import Header, Snapshot
from qtui.operations.journal.lines import snapshot_lines
from qtui.operations.journal.texts import Texts
from qtui.operations.queues.limits import (
    LimitsChange,
    changes_of,
    former_limits,
    limits_now,
    settings_back,
)
from qtui.operations.queues.queue_action import finished, queue_of
from qtui.operations.undo.inverse import Deed, Expected, sender
from qtui.verbs import Verb


class Unlimit:
    """Restores the limits of queues; its own inverse.

    Args:
        client: the server.
        header: the first line of the journal of the change.
        writes: whether it may write.
    """

    effect = Verb.LIMITS.value
    done = "limits as before"

    def __init__(self, client: Client, header: Header, writes: bool) -> None:
        self._client = client
        self._writer = LimitsWriter(client) if writes else None

    async def look(self, deeds: Sequence[Deed]) -> Sequence[Expected]:
        """Returns whether the limits are as they were set. Costs four round trips a queue."""
        found = []
        for deed in deeds:
            settings = settings_back(deed.snapshot)
            now = await limits_now(self._client, queue_of(deed.snapshot), settings)
            other = next((one.name for one in settings if now[one.name] != one.before), "")
            arrived = all(now[one.name] == one.after for one in settings)
            code = Code.NOT_IN_STATE if other or not settings else Code.DONE
            result = Result(deed.id, code, error=other)
            found.append(Expected(result, arrived=arrived, says=changes_of(settings)))
        return found

    async def snapshot(self, deeds: Sequence[Deed], texts: Texts | None) -> bytes:
        """Returns the limits as they are, as for any change of them."""
        found = []
        for deed in deeds:
            settings = settings_back(deed.snapshot)
            fields = await former_limits(self._client, queue_of(deed.snapshot), settings)
            found.append(Snapshot(deed.id, None, fields))
        return snapshot_lines(found, texts)

    async def send(self, deeds: Sequence[Deed]) -> Batch:
        """Restores the limits, one queue after the other, each in one atomic step."""
        writer = sender(self._writer)
        results, note = [], ""
        for deed in deeds:
            settings = tuple(settings_back(deed.snapshot))
            if not settings:
                results.append(Result(deed.id, Code.NOT_IN_STATE))
                continue
            queue = queue_of(deed.snapshot)
            step = await finished(LimitsChange(self._client, writer, queue, settings))
            results.append(step.result)
            note = note or step.note
        return Batch(results, note)

    def why(self, result: Result) -> str:
        """Returns in words why a queue was left alone."""
        if result.code is not Code.NOT_IN_STATE:
            return result.error
        return f"its {result.error} was changed since" if result.error else "has expired since"
