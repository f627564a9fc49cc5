"""Job ids given on the command line: ids, ``-`` for standard input, ``@FILE`` for a file.

Input holds one id per line, or JSON as qtui's own commands print it, so that ``qtui jobs Q --json``
can be piped into ``qtui retry Q -``.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from qtui.text import plain


@dataclass(frozen=True, slots=True)
class Given:
    """Ids in order, without duplicates."""

    ids: tuple[str, ...]
    on_stdin: bool = False
    """Whether ids were read from standard input, so that answers must come from elsewhere."""


def given_ids(words: Sequence[str], queue: str) -> Given:
    """The ids that the arguments of a command name.

    Args:
        words: ids, ``-`` and ``@FILE``.
        queue: the queue on the command line; JSON with another queue is refused.

    Raises:
        click.UsageError: a file can't be read, or a line holds no id.
    """
    ids: dict[str, None] = {}
    on_stdin = False
    for word in words:
        if word == "-":
            if on_stdin:
                continue
            on_stdin = True
            ids |= dict.fromkeys(_ids(_stdin(), "standard input", queue))
        elif word.startswith("@") and len(word) > 1:
            ids |= dict.fromkeys(_ids(_file(word[1:]), plain(word), queue))
        else:
            ids[word] = None
    return Given(tuple(ids), on_stdin)


def one_id(word: str, queue: str) -> str:
    """The one id that an argument names.

    Raises:
        click.UsageError: it names none, or several.
    """
    given = given_ids((word,), queue)
    if len(given.ids) != 1:
        raise click.UsageError(f"this command takes one id, not {len(given.ids)}")
    return given.ids[0]


def _stdin() -> bytes:
    if sys.stdin is None:
        raise click.UsageError("cannot read ids: standard input is closed")
    return sys.stdin.buffer.read()


def _file(name: str) -> bytes:
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise click.UsageError(
            f"@{plain(name)}: {error.strerror}; if this is an id that begins with @, pass - and"
            " write it to standard input"
        ) from None


def _ids(raw: bytes, where: str, queue: str) -> Iterator[str]:
    text = raw.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")
    for number, line in enumerate(text.split("\n"), 1):
        word = line.strip()
        if not word:
            continue
        found = _decoded(word)
        if isinstance(found, dict):
            yield from _of_object(found, f"{where}, line {number}", queue)
        elif isinstance(found, list):
            yield from _of_list(found, f"{where}, line {number}", queue)
        elif _is_part_of_json(found):
            raise click.UsageError(
                f"{where}, line {number}: this is no complete JSON; print one object a line (jq -c)"
            )
        else:
            yield found


def _is_part_of_json(word: str) -> bool:
    """Whether a line that could not be decoded begins an object or a list; ``{a}:1`` is an id."""
    return word in ("{", "[") or re.match(r'[{\[]\s*["{]', word) is not None


def _decoded(word: str) -> str | dict[str, object] | list[object]:
    """The line, decoded if it is a JSON object, list or string."""
    if word[0] not in '{["':
        return word
    try:
        found = json.loads(word)
    except (ValueError, RecursionError):
        return word
    return found if isinstance(found, str | dict | list) else word


def _of_list(found: Iterable[object], where: str, queue: str) -> Iterator[str]:
    for one in found:
        if isinstance(one, dict):
            yield from _of_object(one, where, queue)
        elif isinstance(one, str) or (isinstance(one, int) and not isinstance(one, bool)):
            yield str(one)
        else:
            raise click.UsageError(f"{where}: this list holds something other than ids")


def _of_object(found: dict[str, object], where: str, queue: str) -> Iterator[str]:
    if "summary" in found or found.get("type", "job") != "job":
        return  # a retry's summary line, or a journal line that is not about a job
    job_id, of = found.get("id"), found.get("queue", queue)
    if isinstance(job_id, int) and not isinstance(job_id, bool):
        job_id = str(job_id)
    if not isinstance(job_id, str) or not job_id:
        raise click.UsageError(f"{where}: this JSON has no job id")
    if queue != "*" and isinstance(of, str) and of != queue and not of.endswith(f":{queue}"):
        raise click.UsageError(f"{where}: this job is in queue {plain(of)}, not in {plain(queue)}")
    yield job_id
