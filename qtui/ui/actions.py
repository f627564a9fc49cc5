"""The one registry of all actions: bindings, key bar, help, palette and the README come from here.

Knows no widgets. An action's id is what ``[keys]`` in the config file remaps; `keys` makes of the
actions what Textual and people read.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from qtui.bullmq.model import JobState


class Where(StrEnum):
    """The part of the screen in which an action's keys work; the value is its title in the help."""

    MOVE = "Moving"
    INSPECTOR = "Inspector"
    JOBS = "Jobs"
    TIMELINE = "Timeline"
    DETAIL = "Details of a job"
    GROUPS = "Errors by group"
    FLOW = "Flow of a job"
    JOURNAL = "Journal"
    PLAN = "Plan of a retry"
    RERUN = "Plan of a rerun"
    APP = "Everywhere"


@dataclass(frozen=True, slots=True)
class Action:
    """One thing that a key does."""

    id: str
    keys: tuple[str, ...]
    does: str
    """The name of the ``action_`` method, with parameters where it takes some."""
    label: str
    """For the key bar and the palette."""
    help: str
    where: Where
    writes: bool = False
    """Whether it changes a queue: then read-only mode hides it."""
    bar: bool = False
    """Whether the key bar shows it."""


_MOVES: Final = (
    Action("move.down", ("j", "down"), "cursor_down", "down", "next row", Where.MOVE),
    Action("move.up", ("k", "up"), "cursor_up", "up", "previous row", Where.MOVE),
    Action(
        "move.page-down", ("pagedown", "ctrl+f"), "page_down", "page down", "a page on", Where.MOVE
    ),
    Action("move.page-up", ("pageup", "ctrl+b"), "page_up", "page up", "a page back", Where.MOVE),
    Action("move.first", ("g", "home"), "cursor_home", "first", "first row", Where.MOVE),
    Action("move.last", ("G", "end"), "cursor_end", "last", "last row", Where.MOVE),
    Action("move.enter", ("enter",), "select", "open", "open the row", Where.MOVE, bar=True),
)

STATES: Final = tuple(
    Action(
        f"state.{state}",
        (str(number),),
        f"state('{state}')",
        f"{state} jobs",
        f"show the jobs in {state}",
        Where.INSPECTOR,
    )
    for number, state in enumerate(JobState, 1)
)

_TIMELINE: Final = tuple(
    Action(f"timeline.{name}", keys, does, label, help, Where.TIMELINE, bar=bar)
    for name, keys, does, label, help, bar in (
        ("earlier", ("left", "h"), "earlier", "earlier", "the bar before", False),
        ("later", ("right", "l"), "later", "later", "the next bar", False),
        (
            *("extend-earlier", ("shift+left",), "extend(-1)", "extend back"),
            *("move the range's end a bar back", False),
        ),
        (
            *("extend-later", ("shift+right",), "extend(1)", "extend on"),
            *("move the range's end a bar on", False),
        ),
        ("first", ("g", "home"), "first", "oldest bar", "oldest bar", False),
        ("last", ("G", "end"), "last", "newest bar", "newest bar", False),
        (
            *("longer", ("k", "up"), "longer", "longer"),
            *("a longer window: 5 min, 1 h, 24 h, all", True),
        ),
        ("shorter", ("j", "down"), "shorter", "shorter", "a shorter window", True),
        ("choose", ("enter",), "choose", "filter", "filter the list to these bars", True),
    )
)

_FLOW: Final = tuple(
    Action(f"flow.{name}", keys, does, label, help, Where.FLOW, writes, writes and name != "stop")
    for name, keys, does, label, help, writes in (
        (
            *("rerun", ("r",), "rerun", "rerun"),
            *("plan a rerun of the flow, from its failed jobs on or from the start", True),
        ),
        (
            "refresh",
            ("ctrl+r", "f5"),
            "again",
            "again",
            "read the flow again; results of a rerun stay",
            False,
        ),
        ("stop", ("x",), "stop", "stop", "stop a rerun that takes several calls", True),
    )
)

_RERUN: Final = tuple(
    Action(f"rerun.{name}", keys, does, label, help, Where.RERUN, name == "go", bar=True)
    for name, keys, does, label, help in (
        ("start", ("tab",), "turn", "from …", "from failure, or from the start"),
        (
            *("reset-made", ("m",), "toggle_made", "reset attempts made"),
            "the jobs get all their attempts again",
        ),
        (
            *("reset-started", ("s",), "toggle_started", "reset attempts started"),
            "forget how often the jobs were started",
        ),
        (
            *("drop-lost", ("d",), "toggle_lost", "without lost children"),
            "let parents run without children whose job is gone",
        ),
        ("go", ("y",), "go", "rerun", "rerun as planned"),
        ("leave", ("escape", "q"), "leave", "leave", "leave all as it is"),
    )
)

ACTIONS: Final = (
    *_MOVES,
    *STATES,
    Action(
        "inspector.filter",
        ("slash",),
        "filter",
        "filter",
        "show only the jobs that match; in the queues find a job by its id:, or a queue",
        Where.INSPECTOR,
        bar=True,
    ),
    Action(
        "inspector.errors",
        ("e",),
        "errors",
        "errors",
        "what the failures have in common, counted; in the queues those of all queues",
        Where.INSPECTOR,
        bar=True,
    ),
    Action(
        *("inspector.flow", ("f",), "flow", "flow"),
        *("the flow of this job as a tree, and its rerun", Where.INSPECTOR, False, True),
    ),
    Action(
        "inspector.next-pane",
        ("tab",),
        "next_pane",
        "next pane",
        "queues, jobs, details: the next of them",
        Where.INSPECTOR,
        bar=True,
    ),
    Action(
        "inspector.previous-pane",
        ("shift+tab",),
        "previous_pane",
        "previous pane",
        "the one before",
        Where.INSPECTOR,
    ),
    Action(
        "inspector.journal",
        ("L",),
        "journal",
        "journal",
        "past retries made from this machine, and those that were cut off",
        Where.INSPECTOR,
    ),
    Action(
        "jobs.retry",
        ("r",),
        "retry",
        "retry",
        "plan a retry of the marked jobs, or of the one under the cursor",
        Where.JOBS,
        writes=True,
        bar=True,
    ),
    Action(
        "jobs.mark",
        ("space",),
        "mark",
        "mark",
        "mark the job, or take its mark away; pressed again, the next job too",
        Where.JOBS,
        writes=True,
        bar=True,
    ),
    Action(
        *("jobs.range", ("v",), "range", "range"),
        *("begin a range of marks; again, end it", Where.JOBS, True),
    ),
    Action(
        "jobs.all",
        ("a",),
        "mark_all",
        "all",
        "mark all jobs of the list (10,000 at most), or none",
        Where.JOBS,
        writes=True,
    ),
    Action(
        "jobs.invert",
        ("asterisk",),
        "invert",
        "invert",
        "mark what is not marked",
        Where.JOBS,
        True,
    ),
    Action(
        "jobs.everything",
        ("plus",),
        "everything",
        "everything",
        "mark all that the list is about, shown or not; again, let go",
        Where.JOBS,
        writes=True,
    ),
    Action(
        "jobs.retry-all",
        ("R",),
        "retry_all",
        "retry all",
        "plan a retry of everything that matches the filter, or of the whole state",
        Where.JOBS,
        writes=True,
    ),
    Action(
        "jobs.stop",
        ("x",),
        "stop",
        "stop",
        "stop the retry after the batches that are on their way",
        Where.JOBS,
        writes=True,
    ),
    Action(
        "jobs.next-match",
        ("n",),
        "next_match",
        "next match",
        "go to the next match, as soon as the search finds it",
        Where.JOBS,
    ),
    Action("jobs.order", ("o",), "order", "order", "newest first, or oldest first", Where.JOBS),
    Action("jobs.copy-id", ("y",), "copy_id", "copy id", "copy the job's id", Where.JOBS),
    Action(
        *("jobs.copy-json", ("Y",), "copy_json", "copy JSON"),
        "copy the whole job as JSON, with the names of `qtui show --json`",
        Where.JOBS,
    ),
    Action(
        "inspector.freeze",
        ("z",),
        "freeze",
        "freeze",
        "freeze the list, and count what changes meanwhile; again, thaw it",
        Where.INSPECTOR,
        bar=True,
    ),
    Action(
        "inspector.refresh",
        ("ctrl+r", "f5"),
        "refresh_now",
        "refresh",
        "read everything again, and look for new queues; results of a retry stay",
        Where.INSPECTOR,
    ),
    *_TIMELINE,
    *_FLOW,
    Action(
        "groups.retry",
        ("r",),
        "retry",
        "retry",
        "plan a retry of the marked groups, or of the one under the cursor",
        Where.GROUPS,
        writes=True,
        bar=True,
    ),
    Action(
        "groups.mark",
        ("space",),
        "mark",
        "mark",
        "mark the group, or take its mark away; pressed again, the next group too",
        Where.GROUPS,
        writes=True,
        bar=True,
    ),
    Action(
        "groups.retry-all",
        ("R",),
        "retry_all",
        "retry all",
        "plan a retry of all groups",
        Where.GROUPS,
        writes=True,
        bar=True,
    ),
    Action(
        "journal.resume",
        ("r",),
        "resume",
        "go on",
        "go on with a retry that was cut off or stopped",
        Where.JOURNAL,
        writes=True,
        bar=True,
    ),
    Action("groups.refresh", ("ctrl+r", "f5"), "again", "again", "count anew", Where.GROUPS),
    Action(
        "detail.next-section",
        ("right_square_bracket",),
        "next_section",
        "next section",
        "next section",
        Where.DETAIL,
    ),
    Action(
        "detail.previous-section",
        ("left_square_bracket",),
        "previous_section",
        "previous section",
        "previous section",
        Where.DETAIL,
    ),
    Action(
        "plan.reset-made",
        ("m",),
        "toggle_made",
        "reset attempts made",
        "the job gets all its attempts again",
        Where.PLAN,
        bar=True,
    ),
    Action(
        "plan.reset-started",
        ("s",),
        "toggle_started",
        "reset attempts started",
        "forget how often the job was started (a limit of BullMQ 5.59 and later)",
        Where.PLAN,
        bar=True,
    ),
    Action(
        "plan.rate",
        ("t",),
        "rate",
        "rate",
        "how many jobs a second: all at once, 10, 50, 200, 1,000",
        Where.PLAN,
        bar=True,
    ),
    Action(
        "plan.canary",
        ("c",),
        "canary",
        "canary",
        "how many go first and are watched before the others follow: none, 20, 100",
        Where.PLAN,
        bar=True,
    ),
    Action("plan.go", ("y",), "go", "retry", "retry as planned", Where.PLAN, writes=True, bar=True),
    Action(
        "plan.leave", ("escape", "q"), "leave", "leave", "leave all as it is", Where.PLAN, bar=True
    ),
    *_RERUN,
    Action(
        "app.help",
        ("question_mark",),
        "app.help",
        "help",
        "the keys that work here",
        Where.APP,
        bar=True,
    ),
    Action(
        "app.palette",
        ("colon", "ctrl+p"),
        "app.command_palette",
        "palette",
        "find an action by its name",
        Where.APP,
    ),
    Action(
        "app.suspend",
        ("ctrl+z",),
        "app.suspend",
        "suspend",
        "stop qtui and go to the shell; fg comes back",
        Where.APP,
    ),
    Action(
        "app.copy-command",
        ("C",),
        "copy_command",
        "copy command",
        "copy the command that shows this in a shell, without a password",
        Where.APP,
    ),
    Action(
        "app.back",
        ("escape",),
        "back",
        "back",
        "one step back: close an open job, a range, results, a filter, a screen",
        Where.APP,
    ),
    Action(
        "app.quit", ("q",), "back_or_quit", "quit", "back, and at the top quit", Where.APP, bar=True
    ),
)
