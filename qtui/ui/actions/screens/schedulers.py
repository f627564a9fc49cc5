"""The schedulers of a queue."""

from __future__ import annotations

from typing import Final

from qtui.ui.actions.action import Action, Situation, Where
from qtui.ui.actions.needs import is_busy
from qtui.ui.actions.screens.panes import other_pane
from qtui.ui.actions.screens.undoing import undo_last
from qtui.verbs import Verb


def no_scheduler(situation: Situation) -> str:
    """A scheduler under the cursor is needed."""
    if situation.is_gone:
        return "This scheduler is gone: {schedulers.refresh} closes the results."
    return is_busy(situation) or ("" if situation.scheduler else "There is no scheduler here.")


def cannot_revive(situation: Situation) -> str:
    """Only a dead one gets another iteration."""
    one = situation.scheduler
    if one is None or situation.running or situation.is_gone:
        return no_scheduler(situation)
    found = one.condition
    return "" if found.is_dead else f"It is {found}, not dead."


def none_dead(situation: Situation) -> str:
    """Dead ones are needed to revive them all."""
    return is_busy(situation) or ("" if situation.dead else "None of them is dead.")


SCHEDULERS: Final = (
    Action(
        id="schedulers.run-now",
        keys=("p",),
        does="run_now",
        label="run now",
        help="add one job from the scheduler's template; the schedule stays as it is",
        where=Where.SCHEDULERS,
        dry="show what running it now would add, as a dry run",
        writes=True,
        verb=Verb.SCHEDULERS,
        bar=True,
        reason=no_scheduler,
    ),
    Action(
        id="schedulers.revive",
        keys=("r",),
        does="revive",
        label="revive",
        help="create the next iteration of a dead scheduler",
        where=Where.SCHEDULERS,
        dry="show when a dead scheduler would run next, as a dry run",
        writes=True,
        verb=Verb.SCHEDULERS,
        bar=True,
        reason=cannot_revive,
    ),
    Action(
        id="schedulers.revive-all",
        keys=("R",),
        does="revive_all",
        label="revive all",
        help="create the next iteration of every dead scheduler of the queue",
        where=Where.SCHEDULERS,
        dry="show when the dead schedulers would run next, as a dry run",
        writes=True,
        verb=Verb.SCHEDULERS,
        bar=True,
        reason=none_dead,
    ),
    Action(
        id="schedulers.remove",
        keys=("D",),
        does="remove",
        label="remove",
        help="remove the scheduler, with its iteration wherever it waits",
        where=Where.SCHEDULERS,
        dry="show what a removal would remove, as a dry run",
        writes=True,
        verb=Verb.SCHEDULERS,
        bar=True,
        reason=no_scheduler,
    ),
    undo_last(id="schedulers.undo", where=Where.SCHEDULERS),
    Action(
        id="schedulers.refresh",
        keys=("ctrl+r", "f5"),
        does="refresh_now",
        label="refresh",
        help="read the schedulers again and clear the results",
        where=Where.SCHEDULERS,
    ),
    other_pane(
        id="schedulers.other-pane",
        where=Where.SCHEDULERS,
        help="go to the list, or to the details below it",
    ),
)
