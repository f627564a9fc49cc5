"""What the screen works with: the connection, what it shows of it, and who may write."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from qtui.bullmq.connection.client import Client, Server, Target, explain
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.reads.reader import Reader
from qtui.settings import Settings
from qtui.text import plain
from qtui.ui.actions import Action
from qtui.verbs import Verb
from qtui.views.queues.poll import Poll
from qtui.views.shell import shell_line

if TYPE_CHECKING:
    from qtui.operations.engine.action import JobAction
    from qtui.operations.engine.campaign import Campaign
    from qtui.operations.engine.pace import Pace
    from qtui.operations.flow_rerun.plan import RerunPlan
    from qtui.operations.flow_rerun.rerun import Rerun
    from qtui.operations.planning.plan import Plan, Resets
    from qtui.operations.planning.proposal import ActionPlan, PlanOptions
    from qtui.operations.planning.several import SeveralPlans


@dataclass(slots=True)
class Past:
    """What the journal held when it was looked at last; others may have changed it since."""

    undoable: bool = False
    """Whether an operation on this server can be undone, and is not yet."""


@dataclass(frozen=True, slots=True)
class Session:
    """One connected target. What may be changed is in ``allowed``; without it nothing can write."""

    settings: Settings
    target: Target
    client: Client
    server: Server
    campaign: Callable[[Plan | SeveralPlans, Resets, Pace, str], Campaign[JobAction]] | None
    """Makes a retry, in one queue or several; the last argument is its reason. None in read-only
    mode."""
    resume: Callable[[str], Awaitable[Campaign[JobAction]]] | None = None
    """Takes over a campaign that was cut off, by its id in the journal."""
    journal: Path | None = None
    """Where campaigns are written down; None where they are not."""
    rerun: Callable[[RerunPlan, Resets, str], Campaign[Rerun]] | None = None
    """Makes the rerun of a flow, for a reason; None in read-only mode."""
    allowed: frozenset[Verb] = frozenset()
    """The actions that may be carried out; none in read-only mode."""
    carry: Callable[[ActionPlan, PlanOptions, str], Campaign[JobAction]] | None = None
    """Makes the campaign of an allowed action's plan, for a reason; None in read-only mode."""
    note: str = ""
    """A word about the session for the status line, such as what a demo is."""
    past: Past = field(default_factory=Past)

    @property
    def read_only(self) -> bool:
        """Whether nothing can be changed: no writer is ever made."""
        return not self.allowed

    def dry(self, verb: Verb) -> str:
        """Why the plan of an action is a dry run; empty where it may be carried out."""
        if verb in self.allowed:
            return ""
        if self.read_only:
            return "READ-ONLY"
        by = self.settings.allow_by
        whose = f"profile {plain(by)}" if by else "The config"
        return f"{whose} does not allow {verb}"

    def offers(self, action: Action) -> bool:
        """Whether a key is offered at all, by who may change what."""
        if not action.writes:
            return True
        wanted = {action.verb, action.or_verb} - {None}
        return bool(wanted & self.allowed) if wanted else not self.read_only

    def reader(self) -> Reader:
        """A reader on this connection."""
        return Reader(self.client)

    def poll(self) -> Poll:
        """A poll of the queues that the settings name."""
        settings = self.settings
        return Poll(self.client, settings.prefixes, settings.queues, settings.refresh)

    def command(self, *words: str, queue: QueueKey | None = None, name: str = "") -> str:
        """The line for a shell that starts qtui on this server, without a password.

        Args:
            words: the command and its options.
            queue: the queue that it is about.
            name: what comes behind the queue's name, such as a job's id.
        """
        settings = self.settings
        where = ["--redis", self.target.shown]
        if settings.profile:  # which has the way there, certificates and password too
            where = ["--profile", settings.profile]
        if queue is not None and queue.prefix != "bull":
            where += ["--prefix", queue.prefix]
        if settings.read_only:
            where.append("--read-only")
        about = [] if queue is None else [queue.name, name] if name else [queue.name]
        if any(word.startswith("-") for word in about):
            return shell_line(["qtui", *where, words[0], *words[1:], "--", *about])
        return shell_line(["qtui", *where, words[0], *about, *words[1:]])

    def explain(self, error: BaseException) -> str:
        """One line on what went wrong, without a password."""
        return str(explain(error, self.target))
