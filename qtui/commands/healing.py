"""`qtui doctor --fix`: mends what the doctor has found, by the actions of other commands."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState
from qtui.bullmq.verdicts.finding import Finding, Mend
from qtui.commands.flow import show_flow
from qtui.commands.job_actions.remove import own_options, remove_from
from qtui.commands.queue_actions.limits import LimitsRequest, queue_limits
from qtui.commands.queue_actions.pausing import PausingRequest, pause_queues
from qtui.commands.queue_actions.schedulers import SchedulersRequest, schedulers
from qtui.commands.reading.doctor import DoctorRequest, find_again, find_faults
from qtui.commands.rerun import RerunRequest
from qtui.commands.shared.asking import Manner
from qtui.commands.shared.picked import JobsRequest
from qtui.commands.shared.run import DONE, NOT_ALL, Workplace
from qtui.operations.engine.pace import UNBOUNDED
from qtui.operations.flow_rerun.plan import Start
from qtui.operations.planning.plan import Resets
from qtui.operations.schedulers.action import Do
from qtui.text import plain
from qtui.verbs import Verb

REASON: Final = "qtui doctor --fix"
"""What the journal says where no other reason is given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HealRequest(Manner):
    """How to mend."""

    reason: str = REASON


def examine_and_heal(place: Workplace, request: DoctorRequest, how: HealRequest) -> int:
    """Prints what is wrong, mends what can be, and looks again; returns the exit code.

    It is `NOT_ALL` if a fault is left, also if all was done; or that of an action that could
    not be carried out at all.
    """
    code, findings = find_faults(place, request)
    mendable = [one for one in findings if one.mend is not None]
    if not mendable:
        return code
    healed = heal(place, mendable, how)
    if how.dry_run or healed not in (DONE, NOT_ALL):
        return max(healed, code)
    queues = list(dict.fromkeys(one.queue for one in findings if one.queue is not None))
    left = [one for one in find_again(place, queues, request) if one.is_fault]
    left += [one for one in findings if one.is_fault and one.queue is None]
    if how.json:
        place.out.json({"summary": {"left": len(left)}})
    for one in left:
        where = "server" if one.queue is None else one.queue.name
        place.err.line(f"qtui: left: {plain(where)}: {plain(one.words)}")
    return NOT_ALL if left else DONE


def heal(place: Workplace, findings: Sequence[Finding], request: HealRequest) -> int:
    """Mends the findings that an action can mend, each with its plan; returns the worst code."""
    worst = DONE
    for one in findings:
        if one.mend is None or one.queue is None:
            continue
        if not request.json:
            place.err.line(f"\n{plain(one.queue.name)}: {plain(one.words)}")
            place.err.flush()
        for code in _mend(place, one, one.queue, one.mend, request):
            worst = max(worst, code)
    return worst


def _mend(
    place: Workplace, one: Finding, queue: QueueKey, mend: Mend, request: HealRequest
) -> Iterator[int]:
    """The exit codes of the actions that mend one finding."""
    manner = request.as_options
    name = queue.base
    match mend:
        case Mend.RESUME:
            resume = PausingRequest(verb=Verb.RESUME, queues=(name,), **manner)
            yield pause_queues(place, resume)
        case Mend.RELEASE | Mend.RELEASE_KEYS:
            limits = LimitsRequest(
                queue=name,
                concurrency=None,
                rate=None,
                release=mend is Mend.RELEASE,
                keys=tuple(one.members),
                **manner,
            )
            yield queue_limits(place, limits)
        case Mend.REVIVE:
            revive = SchedulersRequest(queue=name, ids=tuple(one.members), do=Do.REVIVE, **manner)
            yield schedulers(place, revive)
        case Mend.REMOVE:
            for state, ids in _by_state(one):
                words, options = own_options(state, children=False, without_undo=False)
                remove = JobsRequest(
                    queue=name,
                    ids=ids,
                    filter=None,
                    state=state,
                    pace=UNBOUNDED,
                    **manner,
                    words=words,
                    options=options,
                )
                yield remove_from(place, remove)
        case Mend.RERUN:
            for parent in one.members:
                rerun = RerunRequest(
                    queue=name,
                    job_id=parent,
                    rerun=Start.FAILURE,
                    resets=Resets(),
                    **manner,
                    drop_lost=True,
                )
                yield show_flow(place, rerun)


def _by_state(one: Finding) -> Iterator[tuple[JobState | None, tuple[str, ...]]]:
    found: dict[str, list[str]] = defaultdict(list)
    for job_id, state in one.members.items():
        found[state].append(job_id)
    for state, ids in found.items():
        yield JobState(state) if state else None, tuple(ids)
