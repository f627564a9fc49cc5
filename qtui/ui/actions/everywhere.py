"""Every screen."""

from __future__ import annotations

from typing import Final

from qtui.ui.actions.action import Action, Situation, Where


def cannot_leave(situation: Situation) -> str:
    """Why the screen can't be left."""
    return situation.held


def cannot_go_back(situation: Situation) -> str:
    """Why there is no step back."""
    return "Still connecting: {app.quit} quits." if situation.connecting else situation.held


def no_command(situation: Situation) -> str:
    """A command that shows the same is needed to copy it."""
    return "" if situation.has_command else "No command shows this."


EVERYWHERE: Final = (
    Action(
        id="app.help",
        keys=("question_mark",),
        does="app.help",
        label="help",
        help="show the keys that work here, and the filter terms",
        where=Where.APP,
        bar=True,
    ),
    Action(
        id="app.palette",
        keys=("colon", "ctrl+p"),
        does="app.command_palette",
        label="palette",
        help="search all actions by name",
        where=Where.APP,
    ),
    Action(
        id="app.suspend",
        keys=("ctrl+z",),
        does="app.suspend",
        label="suspend",
        help="suspend qtui; fg in the shell resumes it",
        where=Where.APP,
    ),
    Action(
        id="app.copy-command",
        keys=("C",),
        does="copy_command",
        label="copy command",
        help="copy the shell command that prints the same, without the password",
        where=Where.APP,
        reason=no_command,
    ),
    Action(
        id="app.back",
        keys=("escape",),
        does="back",
        label="back",
        help="go one step back: close an open job, a range, results, a filter or a screen",
        where=Where.APP,
        reason=cannot_go_back,
    ),
    Action(
        id="app.quit",
        keys=("q",),
        does="back_or_quit",
        label="quit",
        help="go back; in the inspector's list, quit",
        where=Where.APP,
        bar=True,
        says=lambda situation: "quit" if situation.quits else "back",
        reason=cannot_leave,
    ),
    Action(
        id="app.interrupt",
        keys=("ctrl+c",),
        does="app.interrupt",
        label="interrupt",
        help="quit immediately, also from a dialog; exit code 130",
        where=Where.APP,
    ),
    Action(
        id="app.leave",
        keys=("ctrl+q",),
        does="app.quit",
        label="quit immediately",
        help="quit immediately, also from a dialog",
        where=Where.APP,
    ),
)
