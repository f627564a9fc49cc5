"""Writes texts that repeat in a journal, mostly stacks, only once. Pure; touches no file.

A stack has some 2 kB, and 40,000 jobs that failed alike have the same frames. A line defines the
text once, and jobs refer to it. They refer by its digest, not by its position, so that lines may be
written in another order than they were made, or not at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import blake2b
from typing import Final, TypeAlias

Shortened: TypeAlias = str | list[str]
"""A text in full; or pieces that alternate: literal text, then the digest of a defined text."""

REPEATED_FIELDS: Final = ("stacktrace", "failedReason", "opts", "returnvalue")
"""The fields of a job whose texts repeat."""

SHORTENED: Final = 100
"""Shortest text, in characters, that is worth a definition."""

_MOST: Final = 4_000_000
"""Characters remembered of texts, and of their digests; further texts are written in full."""

_FRAME: Final = "\\n    at "
"""How a frame begins in the JSON of a Node stack."""


class Texts:
    """The texts that one process defines in its journal.

    `shorten` and `undefined` may be called from different threads.
    """

    def __init__(self) -> None:
        self._shortened: dict[str, Shortened] = {}
        self._digests: dict[str, str] = {}
        self._undefined: dict[str, str] = {}
        self._left = self._left_of_digests = _MOST

    def shorten(self, text: str) -> Shortened:
        """Returns the text as it is to be written; texts that it refers to become `undefined`.

        Costs a look-up if the same text came before, else some 5 µs.
        """
        if len(text) < SHORTENED:
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
        """Returns the texts, by digest, to be written before what was shortened so far."""
        return self._undefined.copy()

    def defined(self, digests: Mapping[str, str]) -> None:
        """Marks texts as defined: they are in the journal."""
        for digest in digests:
            self._undefined.pop(digest, None)


def _frames(text: str) -> Iterator[tuple[int, int]]:
    """Where the frames of each stack in a JSON list begin and end; usually all after its message.

    Jobs that failed in the same place have the same frames, even if their messages differ.
    """
    start = text.find(_FRAME)
    while start >= 0:
        end = text.find('"', start)
        while end > 0 and text[end - 1] == "\\":  # a quote within
            end = text.find('"', end + 1)
        end = len(text) if end < 0 else end
        if end - start >= SHORTENED:
            yield start, end
        start = text.find(_FRAME, end)


def whole(value: object, texts: Mapping[str, str]) -> object:
    """Returns a value of a journal with its texts filled in; ``(lost)`` for one not defined."""
    if not isinstance(value, list):
        return value
    return "".join(
        texts.get(str(piece), "(lost)") if at % 2 else str(piece) for at, piece in enumerate(value)
    )
