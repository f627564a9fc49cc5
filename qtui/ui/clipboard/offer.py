"""Copying: text goes to the terminal, which may drop it without a word, and so is shown as well."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final, TypeVar

from rich.cells import cell_len

from qtui.text import plain, size
from qtui.ui.base import QtuiScreen

T = TypeVar("T")

_LARGE: Final = 74_994
"""Bytes beyond which many terminals take no text (OSC 52, as xterm's manual has it)."""


def offer(screen: QtuiScreen[T], text: str, what: str, *, instead: str = "") -> None:
    """Sends text to the clipboard and shows it, so that it can be taken by hand.

    No terminal answers, and tmux and screen drop it unless they are set up, so nothing is ever said
    to be *copied*. What fits the status line is shown there, and the rest on a screen of its own.

    Args:
        screen: whose status line shows a short text.
        text: what to copy, as it is in Redis.
        what: what the text is, plain.
        instead: a command that prints the text; empty for none.
    """
    app = screen.app
    try:
        app.copy_to_clipboard(text)
    except UnicodeEncodeError:  # not UTF-8 in Redis: then as it is shown
        app.copy_to_clipboard(plain(text))
    hint = how_to_let_pass(os.environ)
    words = f"Sent to the clipboard: {plain(text)}"
    if "\n" not in text and cell_len(words) < app.size.width - 1:
        screen.say(words + (f"  ({hint})" if hint else ""))
    else:
        from qtui.ui.clipboard.copied import CopiedScreen

        large = f"{size(len(text))}: many terminals refuse this much" if len(text) > _LARGE else ""
        notes = [note for note in (large, hint) if note]
        app.push_screen(CopiedScreen(screen.session, text, what, notes, instead))


def how_to_let_pass(environ: Mapping[str, str]) -> str:
    """What has to be set for the clipboard to work here; empty where nothing is known of."""
    if environ.get("TMUX"):
        return "tmux needs: set -g set-clipboard on"
    if environ.get("STY") or environ.get("TERM", "").startswith("screen"):
        return "GNU screen does not pass it to the terminal"
    return ""
