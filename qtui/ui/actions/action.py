"""What an action is, and what decides whether it can act. Knows no widgets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState
from qtui.verbs import Verb

if TYPE_CHECKING:
    from qtui.bullmq.schedulers.scheduler import Scheduler
    from qtui.bullmq.verdicts.finding import Finding
    from qtui.operations.journal.reading import Summary


AFTER_JOBS, LATE, LAST = 1, 2, 3
"""Ranks in the key bar: what acts on jobs comes first (0)."""


class Where(StrEnum):
    """The part of the screen in which an action's keys work; the value is its title in the help."""

    MOVE = "Moving"
    INSPECTOR = "Inspector"
    JOBS = "Jobs"
    QUEUE = "The queue, or the marked ones"
    TIMELINE = "Timeline"
    DETAIL = "Job details"
    GROUPS = "Errors by group"
    FLOW = "Job flow"
    JOURNAL = "Journal"
    SCHEDULERS = "Schedulers"
    EVENTS = "Events"
    FIND = "Find in all queues"
    LIMITS = "Limits"
    WORKERS = "Workers"
    DOCTOR = "Doctor"
    PLAN = "Plans"
    RERUN = "Rerun plan"
    ASK = "A question"
    STOP = "What is running"
    EDIT = "What to edit"
    APP = "Everywhere"


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What decides whether an action can act; each screen fills in what it knows."""

    read_only: bool = False
    """Nothing may be changed; of a plan, that it is a dry run."""
    dry: str = ""
    """Why a plan is a dry run, in front of a colon."""
    running: bool = False
    """A campaign is sending jobs of the queue shown, or of the flow."""
    stoppable: bool = False
    """Some campaign of this screen is sending jobs, on any queue."""
    held: str = ""
    """Why the screen can't be left now; empty where it can."""
    connecting: bool = False
    """Redis has not answered yet."""
    has_command: bool = True
    """A command shows the same in a shell."""

    quits: bool = False
    """Going back from here ends qtui."""
    enter: str = "open"
    """What Enter does with the row under the cursor, for the key bar; empty for nothing."""

    # The inspector's list
    frozen: bool = False
    """The list is held by a key."""
    in_flow: bool = False
    """The job under the cursor has a parent or children, as far as is known."""
    queue: QueueKey | None = None
    """The queue that is shown."""
    paused: bool = False
    """It is paused; of marked queues, all are."""
    marked_queues: int = 0
    in_queues: bool = False
    """The list of queues has the focus."""
    has_queues: bool = True
    """Some queue was found."""
    has_failures: bool = True
    """Some queue has failed jobs."""
    has_list: bool = True
    """A list of jobs is shown."""
    state: JobState = JobState.FAILED
    """The state of the jobs, or of the groups, that are shown."""
    at_job: bool = True
    """A job is under the cursor."""
    has_left: bool = False
    """It is not in the state of the list any more; its row shows what came of an action."""
    is_gone: bool = False
    """Nothing of it is left in Redis."""
    has_marks: bool = False
    all_marked: bool = False
    """All jobs that the list is about are marked, as a query."""
    marking: bool = False
    """Ids are still being read that are to be marked."""
    filtered: bool = False
    keeps_journal: bool = True
    undoable: bool = True
    """Some operation can be undone, as far as is known."""

    wrong: bool = False
    """Something is wrong with the queue that is shown, by its verdict."""

    # Limits
    limited: bool = False
    """A rate limit holds now."""
    at_key: bool = False
    """A deduplication key is under the cursor."""

    # Errors by group
    groups: int = 0
    """Groups that a retry would take: the marked ones, or the one under the cursor."""
    mixed: bool = False
    """One of them is what was left of too many kinds of errors."""

    # The journal
    campaign: Summary | None = None
    """The retry under the cursor."""
    no_undo: str = ""
    """Why what it did can't be taken back; empty where it can."""
    is_own: bool = False
    """It was made by this qtui, which still holds its journal."""

    # Schedulers
    scheduler: Scheduler | None = None
    """The scheduler under the cursor."""
    dead: int = 0
    """Schedulers of the queue that never run again."""

    # The doctor
    examining: bool = False
    """An examination is under way."""
    finding: Finding | None = None
    """The finding under the cursor."""
    unread: bool = False
    """Jobs or keys were not read one by one, as there are many."""

    # Plans
    planned: bool = False
    """The plan was read."""
    jobs: int = 0
    """Jobs that it would change."""
    options: frozenset[str] = frozenset()
    """The options of the plan, by the ids of their actions."""
    lost_children: bool = False
    """The flow has children whose job is gone."""


def can_act(situation: Situation) -> str:
    """The reason of an action that can always act: none."""
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One thing that a key does."""

    id: str
    """What ``[keys]`` in the config file remaps."""
    keys: tuple[str, ...]
    does: str
    """The name of the ``action_`` method, with parameters where it takes some."""
    label: str
    """For the key bar and the palette."""
    also: str = ""
    """BullMQ's word for it, by which the palette finds it too; empty where the label has it."""
    help: str
    where: Where
    dry: str = ""
    """What it does in read-only mode, where it writes otherwise; empty where it does nothing."""
    dry_label: str = ""
    """The label where it is not allowed to write; empty: the key bar leaves it out there."""
    writes: bool = False
    """Whether it changes a queue, or prepares that: where nothing may be changed it is a dry run,
    or left out."""
    verb: Verb | None = None
    """Which action on jobs or queues it plans: it is left out where that one is not allowed."""
    or_verb: Verb | None = None
    """Which other one it plans, depending on what is shown."""
    says: Callable[[Situation], str] | None = None
    """What the key bar calls it, where that depends on what is shown; empty: not shown now."""
    bar: bool = False
    """Whether the key bar shows it when it can act."""
    rank: int = 0
    """Where the key bar has it: lower ones first, those of one rank in the order of the parts."""
    reason: Callable[[Situation], str] = can_act
    """Why it can't act now, in a sentence; empty where it can."""

    def label_in(self, situation: Situation, *, allowed: bool) -> str:
        """What it is called now; empty where the key bar does not show it."""
        if not allowed:
            return self.dry_label
        return self.label if self.says is None else self.says(situation)
