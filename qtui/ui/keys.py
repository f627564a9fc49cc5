"""What comes of the registry: Textual's bindings, keys as people write them, the README's table."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final, Protocol, runtime_checkable

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

_BY_ID: Final = {one.id: one for one in ACTIONS}

_NAMED: Final = re.compile(r"\{([a-z.-]+)\}")
"""The id of an action in the registry's words, where its key is to be read."""


def key_in_words(key: str) -> str:
    """A key as people write it: ``?`` for question_mark."""
    return _KEYS_IN_WORDS.get(key, key)


def keys_of(action: Action, remapped: Mapping[str, str]) -> list[str]:
    """The keys of an action, in words, where ``[keys]`` may have given it others."""
    keys = remapped.get(action.id, ",".join(action.keys)).split(",")
    return [key_in_words(key.strip()) for key in keys]


@runtime_checkable
class Remapping(Protocol):
    """An app whose user may have given actions other keys."""

    @property
    def remapped(self) -> Mapping[str, str]:
        """The keys of ``[keys]``, by the ids of their actions."""


def keys_by_id(remapped: Mapping[str, str], action: str) -> frozenset[str]:
    """The keys of an action by its id, as Textual names them."""
    own = _BY_ID[action].keys
    return frozenset(key.strip() for key in remapped.get(action, ",".join(own)).split(","))


def key_of_id(remapped: Mapping[str, str], action: str) -> str:
    """The first key of an action by its id, in words."""
    return keys_of(_BY_ID[action], remapped)[0]


def in_keys(words: str, remapped: Mapping[str, str]) -> str:
    """Words of the registry with keys in place of ids: ``{jobs.stop} stops it`` as ``x stops it``.

    What is in braces and no id stays as it is.
    """

    def key(named: re.Match[str]) -> str:
        action = _BY_ID.get(named[1])
        return named[0] if action is None else keys_of(action, remapped)[0]

    return _NAMED.sub(key, words)


def bindings(*parts: Where) -> list[Binding]:
    """Textual's bindings of the given parts of the screen."""
    return [_binding(action) for action in ACTIONS if action.where in parts]


def binding(action: str) -> Binding:
    """Textual's binding of one action, by its id."""
    return _binding(_BY_ID[action])


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
            words, name = in_keys(action.help, {}), f"`{action.id}`"
            if action is STATES[0]:
                keys = "`1` … `8`"
                words, name = f"{', '.join(JobState)} jobs", "`state.failed` …"
            rows.append(f"| {keys} | {words} | {name} |")
    return "\n".join(rows)
