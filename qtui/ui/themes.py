"""The themes that are offered, and inks that can be read on every paper of each."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from textual.color import Color
from textual.theme import BUILTIN_THEMES

DEFAULT: Final = "textual-dark"

THEMES: Final = tuple(sorted(name for name, theme in BUILTIN_THEMES.items() if not theme.ansi))
"""Those whose colours are known; those of the ANSI themes are the terminal's own."""

READABLE: Final = 4.5
"""The contrast that WCAG 2.1 asks of text (level AA)."""

_TEXT: Final = 6.0
"""The contrast of plain text, which must differ from the readable rest."""

_INKS: Final = ("error", "success", "warning", "accent", "primary", "secondary")
_STEPS: Final = 50


def kept(file: Path | None) -> str | None:
    """The theme that was chosen before; None where there is none, or none that is offered."""
    try:
        name = file.read_text("utf-8").strip() if file is not None else ""
    except (OSError, ValueError):
        return None
    return name if name in THEMES else None


def keep(file: Path | None, name: str) -> None:
    """Keeps a theme for the next start; a folder that can't be written to is no fault."""
    if file is None:
        return
    new = file.with_name(f"{file.name}.{os.getpid()}")
    with contextlib.suppress(OSError):
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        new.write_text(f"{name}\n", "utf-8")
        new.replace(file)


def contrast(one: Color, other: Color) -> float:
    """The contrast of two colours by WCAG 2.1: 1 (the same) to 21 (black on white)."""
    dark, light = sorted((_luminance(one), _luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def _luminance(color: Color) -> float:
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in color.normalized
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def readable(variables: Mapping[str, str]) -> dict[str, str]:
    """The colours of a theme that have to be others, by the names of Textual's variables.

    Ink keeps its colour as far as it can be read on the background, in bars and dialogs, and under
    the cursor; beyond that it is mixed with black or white.
    """
    background, surface = (Color.parse(variables[name]) for name in ("background", "surface"))
    foreground = _ink(Color.parse(variables["foreground"]), (background, surface), _TEXT)
    cursor = _paper(background, Color.parse(variables["accent"]), foreground)
    papers = (background, surface, cursor, background.blend(foreground, 0.1))
    inks = {
        f"text-{name}": _ink(Color.parse(variables[f"text-{name}"]), papers, READABLE)
        for name in _INKS
    }
    inks["foreground"] = _ink(foreground, papers, _TEXT)
    inks["text-muted"] = _ink(background.blend(foreground, 0.6), papers, READABLE + 0.5)
    inks["text-disabled"] = _ink(background.blend(foreground, 0.38), papers, READABLE)
    picked = Color.parse(variables["primary"])
    changed = inks | {
        "accent-muted": cursor,
        "block-cursor-background": picked,
        "block-cursor-foreground": _end([picked]),
    }
    return {name: color.hex for name, color in changed.items()}


def _ink(color: Color, papers: Sequence[Color], wanted: float) -> Color:
    """The colour, mixed with as little black or white as makes it readable on all papers."""
    end = _end(papers)
    for step in range(_STEPS):
        mixed = color.blend(end, step / _STEPS)
        if min(contrast(mixed, paper) for paper in papers) >= wanted:
            return mixed
    return end


def _end(papers: Sequence[Color]) -> Color:
    """Black or white, whichever is easier to read on the papers."""
    both = Color(0, 0, 0), Color(255, 255, 255)
    return max(both, key=lambda one: min(contrast(one, paper) for paper in papers))


def _paper(background: Color, accent: Color, text: Color) -> Color:
    """The accent, as much of it behind text as leaves that readable: 30 % at most."""
    for step in range(30, 0, -1):
        paper = background.blend(accent, step / 100)
        if contrast(text, paper) >= _TEXT - 0.5:
            return paper
    return background
