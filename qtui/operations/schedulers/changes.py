"""What a removal, a revival or their undo changes of one scheduler, found by reading it whole.

Each is one call of ``lua/reschedule.lua``, pinned to the scheduler's score as it was read: one that
moved on meanwhile is left alone (-3). `Reading` is made again right before it is sent, since what
it read of the scheduler is what an undo needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from qtui.bullmq.codes import Code, Result
from qtui.bullmq.connection.client import Client
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.schedulers.revival import NextIteration, Unrevivable, candidates, is_dead
from qtui.bullmq.schedulers.scheduler import Scheduler
from qtui.bullmq.schedulers.state import SchedulerState, TooMuch, read_hash, read_state, taken_ids
from qtui.bullmq.writers.schedulers import Change, Comes, Goes, Leaving

GONE = "no such scheduler"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One scheduler as it was read, and the change that is due."""

    state: SchedulerState
    scheduler: Scheduler | None = None
    """None: there is no such scheduler."""
    change: Change | None = None
    """None: nothing can be done, see `result`."""
    result: Result
    """What the change is expected to answer, or why there is none."""
    next: NextIteration | None = None
    """For a revival: the iteration that it makes."""

    def fields(self) -> dict[str, str]:
        """Returns the scheduler as it is, and what becomes of it, for a journal's line."""
        found = self.state.fields()
        if self.change is not None:
            found |= {"then": self.change.wanted}
            found |= {"made": self.change.comes.id} if self.change.comes is not None else {}
        return found


def refused(state: SchedulerState, one: Scheduler | None, code: Code, why: str) -> Reading:
    """Returns a reading of a scheduler that is left alone."""
    return Reading(state=state, scheduler=one, result=Result(state.id, code, error=why))


async def read_removal(client: Client, queue: QueueKey, scheduler_id: str) -> Reading:
    """Returns the removal of a scheduler with its iteration, wherever it waits.

    An active iteration runs to its end, and creates no next one. Costs what `read_state` costs.
    """
    try:
        state, one = await read_state(client, queue, scheduler_id)
    except TooMuch as reason:
        return refused(SchedulerState(id=scheduler_id), None, Code.REFUSED, str(reason))
    if one is None:
        return refused(state, None, Code.NO_SUCH_JOB, GONE)
    goes = None
    if state.iteration is not None:
        goes = Goes(id=state.iteration.id, leaving=Leaving.PENDING)
    change = Change(id=scheduler_id, seen=state.score, wanted="", definition={}, goes=goes)
    target = state.iteration.place if state.iteration is not None else ""
    return Reading(
        state=state, scheduler=one, change=change, result=Result(scheduler_id, Code.DONE, target)
    )


async def read_revival(client: Client, queue: QueueKey, scheduler_id: str) -> Reading:
    """Returns the revival of a dead scheduler: its next iteration, in `delayed`.

    Costs what `read_state` costs, and two round trips more.
    """
    try:
        state, one = await read_state(client, queue, scheduler_id)
    except TooMuch as reason:
        return refused(SchedulerState(id=scheduler_id), None, Code.REFUSED, str(reason))
    if one is None:
        return refused(state, None, Code.NO_SUCH_JOB, GONE)
    if not is_dead(one):
        where = one.iteration.place.words if one.iteration is not None else ""
        return refused(state, one, Code.NOT_IN_STATE, f"it is not dead: its iteration is {where}")
    job = await _last_job(client, queue, one, state)
    try:
        found = await _free(client, queue, one, job)
    except Unrevivable as reason:
        return refused(state, one, Code.REFUSED, str(reason))
    definition: Mapping[str, str] | None = None
    if "ic" in state.definition and state.definition["ic"] != str(found.count):
        definition = {**state.definition, "ic": str(found.count)}
    lost = state.iteration
    change = Change(
        id=scheduler_id,
        seen=state.score,
        wanted=str(found.slot),
        definition=definition,
        goes=None if lost is None else Goes(id=lost.id, leaving=Leaving.LOST),
        comes=Comes(id=found.id, place="delayed", due=found.due, fields=found.fields),
        counts=lost is None or lost.id != found.id,
    )
    result = Result(scheduler_id, Code.DONE, "delayed")
    return Reading(state=state, scheduler=one, change=change, result=result, next=found)


async def _last_job(
    client: Client, queue: QueueKey, one: Scheduler, state: SchedulerState
) -> Mapping[str, str]:
    """The hash of the lost or finished iteration; empty if it is gone, or not needed."""
    if state.iteration is not None:
        return state.iteration.fields
    if one.iteration is None or one.has_template:
        return {}
    return await read_hash(client, queue, one.iteration.id)


async def _free(
    client: Client, queue: QueueKey, one: Scheduler, job: Mapping[str, str]
) -> NextIteration:
    """The first iteration whose id no job has.

    Raises:
        Unrevivable: there is none.
    """
    choices = list(candidates(one, job, one.now))
    taken = await taken_ids(client, queue, [choice.id for choice in choices])
    for choice in choices:
        if choice.id not in taken or not choice.fields:
            return choice
    raise Unrevivable("its next times are taken by jobs that have finished: remove those first")


async def read_undo(
    client: Client, queue: QueueKey, scheduler_id: str, fields: Mapping[str, str]
) -> Reading:
    """Returns the change that gives a scheduler back what a journal's line says it was.

    Costs what `read_state` costs.

    Args:
        client: where to read.
        queue: the queue.
        scheduler_id: the scheduler.
        fields: what `Reading.fields` wrote down before the change that is taken back.
    """
    before, then, made = (
        SchedulerState.of(scheduler_id, fields),
        fields.get("then"),
        fields.get("made", ""),
    )
    try:
        state, one = await read_state(client, queue, scheduler_id)
    except TooMuch as reason:
        return refused(SchedulerState(id=scheduler_id), None, Code.REFUSED, str(reason))
    if then is None:
        return refused(state, one, Code.NOT_IN_STATE, "the journal does not say what became of it")
    if state.score != then:
        if not state.score:
            return refused(state, one, Code.NO_SUCH_JOB, GONE)
        again = "it exists again" if not then else "its iteration has run meanwhile"
        return refused(state, one, Code.NOT_IN_STATE, again)
    lost = before.iteration
    comes = None
    if lost is not None and not (lost.place and not lost.fields):
        comes = Comes(
            id=lost.id,
            place=lost.place,
            score=lost.score,
            before=lost.before,
            was_paused=before.paused,
            fields=lost.fields if lost.id != made else {},
            logs=lost.logs if lost.id != made else (),
        )
    change = Change(
        id=scheduler_id,
        seen=then,
        wanted=before.score,
        definition=before.definition,
        goes=_goes(made, state),
        comes=comes,
    )
    result = Result(scheduler_id, Code.DONE, "back" if before.score else "removed")
    return Reading(state=state, scheduler=one, change=change, result=result)


def _goes(made: str, state: SchedulerState) -> Goes | None:
    """The iteration that the change to be taken back has made; it may have been lost since."""
    if not made:
        return None
    now = state.iteration
    lost = now is not None and now.id == made and not now.place
    return Goes(id=made, leaving=Leaving.LOST if lost else Leaving.UNBEGUN)
