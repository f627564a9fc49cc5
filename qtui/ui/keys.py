"""What comes of the registry: Textual's bindings, keys as people write them, the README's table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from textual.binding import Binding

from qtui.bullmq.model import JobState
from qtui.ui.actions import ACTIONS, STATES, Action, Where

_KEYS_IN_WORDS: Final = {
    "question_mark": "?",
    "exclamation_mark": "!",
    "asterisk": "*",
    "plus": "+",
    "slash": "/",
    "left": "←",
    "right": "→",
    "shift+left": "⇧←",
    "shift+right": "⇧→",
    "colon": ":",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "escape": "esc",
    "pagedown": "PgDn",
    "pageup": "PgUp",
    "home": "Home",
    "end": "End",
    "up": "↑",
    "down": "↓",
    "f5": "F5",
    "shift+tab": "⇧tab",
}


def key_in_words(key: str) -> str:
    """A key as people write it: ``?`` for question_mark."""
    return _KEYS_IN_WORDS.get(key, key)


def keys_of(action: Action, remapped: Mapping[str, str]) -> list[str]:
    """The keys of an action, in words, where ``[keys]`` may have given it others."""
    keys = remapped.get(action.id, ",".join(action.keys)).split(",")
    return [key_in_words(key.strip()) for key in keys]


def keys_by_id(remapped: Mapping[str, str], action: str) -> frozenset[str]:
    """The keys of an action by its id, as Textual names them."""
    own = next(one.keys for one in ACTIONS if one.id == action)
    return frozenset(key.strip() for key in remapped.get(action, ",".join(own)).split(","))


def keys_of_id(action: str) -> str:
    """The first key of an action by its id, in words."""
    return next(key_in_words(one.keys[0]) for one in ACTIONS if one.id == action)


def bindings(*parts: Where) -> list[Binding]:
    """Textual's bindings of the given parts of the screen."""
    return [_binding(action) for action in ACTIONS if action.where in parts]


def binding(action: str) -> Binding:
    """Textual's binding of one action, by its id."""
    return next(_binding(one) for one in ACTIONS if one.id == action)


def _binding(action: Action) -> Binding:
    return Binding(
        ",".join(action.keys),
        action.does,
        action.label,
        show=action.bar,
        key_display=key_in_words(action.keys[0]),
        id=action.id,
    )


def actions_of(*parts: Where, offers: Callable[[Action], bool]) -> list[Action]:
    """The actions that are offered in the given parts of the screen, some of them as a dry run."""
    own = (one for one in ACTIONS if one.where in parts)
    found = (one for one in own if offers(one) or one.dry)
    return sorted(found, key=lambda one: parts.index(one.where))


def table() -> str:
    """The keys as a table in Markdown, as the README shows it; the eight states are one row."""
    rows = ["| keys | do | id |", "|---|---|---|"]
    for where in Where:
        for action in (one for one in ACTIONS if one.where is where and one not in STATES[1:]):
            keys = " ".join(f"`{key_in_words(key)}`" for key in action.keys)
            words, name = action.help, f"`{action.id}`"
            if action is STATES[0]:
                keys = "`1` … `8`"
                words, name = f"{', '.join(JobState)} jobs", "`state.failed` …"
            rows.append(f"| {keys} | {words} | {name} |")
    return "\n".join(rows)
