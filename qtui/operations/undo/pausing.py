"""Takes a pause back by a resume, and a resume by a pause: each is the other's inverse."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from typing_extensions import override

from qtui.bullmq.codes import Code, Result
from qtui.bullmq.connection.client import Client
from qtui.bullmq.writers.batch import Batch
from qtui.operations.journal.facts import Header, Snapshot
from qtui.operations.journal.lines import snapshot_lines
from qtui.operations.journal.texts import Texts
from qtui.operations.queues.pausing import PausingPlan, change_of, plan_pausing, waiting_of
from qtui.operations.queues.queue_action import finished, queue_of
from qtui.operations.undo.inverse import Deed, Expected
from qtui.verbs import Verb

_WAS_NOT_PAUSED: Final = "it was not paused before: only its stranded jobs were brought back"


class _Inverse:
    """A pause or a resume of the queues that the other one changed.

    Args:
        client: the server.
        header: the first line of its journal.
        writes: whether it may write.
    """

    verb: ClassVar[Verb]

    def __init__(self, client: Client, header: Header, writes: bool) -> None:
        self._client = client
        self._writes = writes

    @property
    def effect(self) -> str:
        """The effect that it has itself."""
        return self.verb.value

    @property
    def done(self) -> str:
        """What becomes of a queue."""
        return self.verb.done

    async def _plan(self, deeds: Sequence[Deed]) -> PausingPlan:
        return await plan_pausing(
            self._client, self.verb, [queue_of(one.snapshot) for one in deeds]
        )

    async def look(self, deeds: Sequence[Deed]) -> Sequence[Expected]:
        """Returns what a pause or a resume would do now; costs what `plan_pausing` costs."""
        found = []
        for deed, one in zip(deeds, (await self._plan(deeds)).queues, strict=True):
            result = Result(one.queue.base, one.code, one.target, one.why)
            if one.code is Code.DONE and self.stays(deed):
                result = self._left(deed)
            found.append(Expected(result, arrived=one.code is Code.NOT_IN_STATE))
        return found

    async def snapshot(self, deeds: Sequence[Deed], texts: Texts | None) -> bytes:
        """Returns the queues as they are, as for any pause or resume."""
        queues = [queue_of(one.snapshot) for one in deeds]
        found = [Snapshot(one.base, None, await waiting_of(self._client, one)) for one in queues]
        return snapshot_lines(found, texts)

    async def send(self, deeds: Sequence[Deed]) -> Batch:
        """Pauses or resumes the queues, one after the other; see `QueueAction`."""
        if not self._writes:
            raise RuntimeError("an undo that was only planned sends nothing")
        results, note = [], ""
        for deed in deeds:
            if self.stays(deed):
                results.append(self._left(deed))
                continue
            change = change_of(self.verb, self._client, queue_of(deed.snapshot))
            step = await finished(change)
            results.append(step.result)
            note = note or step.note
        return Batch(results, note)

    def stays(self, deed: Deed) -> bool:
        """Whether the queue is as it was already."""
        return False

    def _left(self, deed: Deed) -> Result:
        return Result(queue_of(deed.snapshot).base, Code.NOT_IN_STATE, error=_WAS_NOT_PAUSED)

    def why(self, result: Result) -> str:
        """Returns in words why a queue was left alone."""
        return result.error or ("is so already" if result.code is Code.NOT_IN_STATE else "")


class Unpause(_Inverse):
    """Takes a pause back: resumes the queues."""

    verb = Verb.RESUME


class Unresume(_Inverse):
    """Takes a resume back: pauses the queues that were paused.

    One that was not had jobs stranded in ``paused``, which came back. They stay, and it runs on.
    """

    verb = Verb.PAUSE

    @override
    def stays(self, deed: Deed) -> bool:
        """Whether it was not paused before."""
        return "meta.paused" not in deed.snapshot.fields
