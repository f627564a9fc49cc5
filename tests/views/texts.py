"""What a document says, as it was received."""

from __future__ import annotations

from qtui.views.document import Json, Log, Pairs, Pending, Section, Stack, Text


def text_of(section: Section) -> str:
    """The whole text of a section as it was received."""
    match section.body:
        case Text(text) | Stack(text) | Json(text):
            return text
        case Pairs(rows):
            return "\n".join(f"{label}: {value}" for label, value in rows)
        case Log(entries):
            return "\n".join(entries)
        case Pending():
            return ""
