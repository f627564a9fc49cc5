"""Texts that repeat in a journal, each written once: stacks, mostly. Pure; touches no file.

A stack is some 2 kB, and 40,000 jobs that failed alike have the same frames. The first job that has
a text brings a line that defines it; the others name it. A text is named by its digest, not by its
place, so that lines may be written in another order than they were made, or never.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import blake2b
from typing import Final, TypeAlias

Shortened: TypeAlias = str | list[str]
"""A text; or pieces of it, by turns as they are and as the digest of a text defined elsewhere."""

REPEATED_FIELDS: Final = ("stacktrace", "failedReason", "opts", "returnvalue")
"""The fields of a job whose texts repeat."""

_LEAST: Final = 100
"""Characters of a text that is worth a line of its own."""

_MOST: Final = 4_000_000
"""Characters that are remembered of each kind; what comes after them is written as it is."""

_FRAME: Final = "\\n    at "
"""How a frame of a stack of Node's begins, in JSON."""


class Texts:
    """The texts that the journal of one process defines.

    `shorten` and `undefined` may be called in different threads.
    """

    def __init__(self) -> None:
        self._shortened: dict[str, Shortened] = {}
        self._digests: dict[str, str] = {}
        self._undefined: dict[str, str] = {}
        self._left = self._left_of_digests = _MOST

    def shorten(self, text: str) -> Shortened:
        """The text as it is to be written; what it names is `undefined` until it is `defined`.

        Costs a look-up where the very text was there before, else some 5 µs.
        """
        if len(text) < _LEAST:
            return text
        known = self._shortened.get(text)
        if known is None:
            return self._meet(text)
        if isinstance(known, str):  # the second time
            digest = self._digest(text)
            known = text if digest is None else ["", digest]
            self._shortened[text] = known
        return known

    def _meet(self, text: str) -> Shortened:
        pieces: list[str] = []
        begin = 0
        for start, end in _frames(text):
            digest = self._digest(text[start:end])
            if digest is not None:
                pieces += (text[begin:start], digest)
                begin = end
        shortened: Shortened = [*pieces, text[begin:]] if pieces else text
        if self._left >= len(text):
            self._left -= len(text)
            self._shortened[text] = shortened
        return shortened

    def _digest(self, text: str) -> str | None:
        digest = self._digests.get(text)
        if digest is None and self._left_of_digests >= len(text):
            self._left_of_digests -= len(text)
            raw = text.encode("utf-8", "surrogatepass")
            digest = self._digests[text] = blake2b(raw, digest_size=16).hexdigest()
            self._undefined[digest] = text
        return digest

    def undefined(self) -> dict[str, str]:
        """The texts, by digest, that must be defined before what was shortened so far."""
        return self._undefined.copy()

    def defined(self, digests: Mapping[str, str]) -> None:
        """These are in the journal."""
        for digest in digests:
            self._undefined.pop(digest, None)


def _frames(text: str) -> Iterator[tuple[int, int]]:
    """Where the frames of each stack in a JSON list are: all behind its message, as a rule.

    They are the same where jobs failed in one place, whatever their messages say.
    """
    start = text.find(_FRAME)
    while start >= 0:
        end = text.find('"', start)
        while end > 0 and text[end - 1] == "\\":  # a quote within
            end = text.find('"', end + 1)
        end = len(text) if end < 0 else end
        if end - start >= _LEAST:
            yield start, end
        start = text.find(_FRAME, end)


def whole(value: object, texts: Mapping[str, str]) -> object:
    """A value of a journal with the texts that it names; of one that is lost a word says so."""
    if not isinstance(value, list):
        return value
    return "".join(
        texts.get(str(piece), "(lost)") if at % 2 else str(piece) for at, piece in enumerate(value)
    )
