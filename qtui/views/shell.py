"""A command line to be pasted into a shell. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterable


def shell_line(words: Iterable[str]) -> str:
    """The words as one line for sh, bash and zsh, each quoted where it has to be."""
    return " ".join(shell_word(word) for word in words)


def shell_word(word: str) -> str:
    r"""One word; controls and bytes that are no UTF-8, which can't be typed, as ``$'\x1b'``."""
    raw = word.encode("utf-8", "surrogateescape")
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        printable = False
    else:
        printable = word.isprintable()
    if printable:
        return shlex.quote(word)
    return "$'" + "".join(_escaped(byte) for byte in raw) + "'"


def _escaped(byte: int) -> str:
    char = chr(byte)
    if char in "\\'":
        return f"\\{char}"
    return char if 0x20 <= byte < 0x7F else f"\\x{byte:02x}"
