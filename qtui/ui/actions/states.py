"""The states, failed first: it is why one opens qtui."""

from __future__ import annotations

from typing import Final

from qtui.bullmq.model import JobState
from qtui.ui.actions.action import Action, Where

STATES: Final = tuple(
    Action(
        id=f"state.{state}",
        keys=(str(number),),
        does=f"state('{state}')",
        label=f"{state} jobs",
        help=f"show the {state} jobs",
        where=Where.INSPECTOR,
    )
    for number, state in enumerate(JobState, 1)
)
