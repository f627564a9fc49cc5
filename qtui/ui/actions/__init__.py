"""The one registry of all actions: bindings, key bar, help, palette and the README come from here.

One module for each part of the screen. Beside each action is the reason why it can't act.
"""

from __future__ import annotations

from typing import Final

from qtui.ui.actions.action import Action, Situation, Where
from qtui.ui.actions.detail import DETAIL
from qtui.ui.actions.dialogs.ask import ASK
from qtui.ui.actions.dialogs.edit import EDIT
from qtui.ui.actions.dialogs.plan import PLAN
from qtui.ui.actions.dialogs.rerun import RERUN
from qtui.ui.actions.dialogs.stop import STOP
from qtui.ui.actions.everywhere import EVERYWHERE
from qtui.ui.actions.inspector import INSPECTOR
from qtui.ui.actions.jobs import JOBS
from qtui.ui.actions.moving import MOVING
from qtui.ui.actions.queues import QUEUES
from qtui.ui.actions.screens.doctor import DOCTOR
from qtui.ui.actions.screens.events import EVENTS
from qtui.ui.actions.screens.find import FIND
from qtui.ui.actions.screens.flow import FLOW
from qtui.ui.actions.screens.groups import GROUPS
from qtui.ui.actions.screens.journal import JOURNAL
from qtui.ui.actions.screens.limits import LIMITS
from qtui.ui.actions.screens.schedulers import SCHEDULERS
from qtui.ui.actions.screens.workers import WORKERS
from qtui.ui.actions.states import STATES
from qtui.ui.actions.timeline import TIMELINE

__all__ = ["ACTIONS", "RETIRED", "STATES", "Action", "Situation", "Where"]

ACTIONS: Final[tuple[Action, ...]] = (
    *MOVING,
    *STATES,
    *INSPECTOR,
    *JOBS,
    *QUEUES,
    *TIMELINE,
    *DETAIL,
    *GROUPS,
    *FLOW,
    *JOURNAL,
    *SCHEDULERS,
    *EVENTS,
    *FIND,
    *LIMITS,
    *WORKERS,
    *DOCTOR,
    *PLAN,
    *RERUN,
    *ASK,
    *STOP,
    *EDIT,
    *EVERYWHERE,
)

RETIRED: Final = frozenset({"places.leave"})
"""Ids of actions that are gone; ``[keys]`` may still name them, which has no effect."""
