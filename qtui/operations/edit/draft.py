"""A job's data in its own file, for the user's editor. Knows no Redis and no screen.

The file is in a folder that only this user can enter, and is gone afterwards: it may hold secrets.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final

from qtui.bullmq.new_job.payload import Mistake, mistake_in, packed, spread

_FALLBACK: Final = "vi"


class EditorError(Exception):
    """No editor was found, or it failed; the message says what to do."""


def editor_command(environ: Mapping[str, str] = os.environ) -> list[str]:
    """Returns the user's editor with its arguments: ``$VISUAL``, else ``$EDITOR``, else vi.

    Raises:
        EditorError: neither is set, and there is no vi; or it is not installed.
    """
    for name in ("VISUAL", "EDITOR"):
        text = environ.get(name, "").strip()
        if not text:
            continue
        try:
            words = shlex.split(text)
        except ValueError as error:
            raise EditorError(f"${name} can't be read as a command: {error}") from None
        if shutil.which(words[0], path=environ.get("PATH")) is None:
            raise EditorError(f"${name} names {words[0]}, which is not installed")
        return words
    if shutil.which(_FALLBACK, path=environ.get("PATH")) is None:
        raise EditorError("set $EDITOR to your editor: it is not set, and vi is not installed")
    return [_FALLBACK]


class Draft:
    """The data of a job while it is edited; used as a context manager, which deletes the file.

    Args:
        data: the data as it is; shown on lines if it is JSON.
        name: what the file is called, for the editor's title; may be foreign text.
    """

    def __init__(self, data: str, name: str) -> None:
        self._data = data
        self._editor: subprocess.Popen[bytes] | None = None
        self._first = data if mistake_in(data) else spread(data) + "\n"
        self._folder = tempfile.TemporaryDirectory(prefix="qtui-")  # mode 0700
        safe = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "_" for c in name)
        self.path = Path(self._folder.name) / f"{safe[:60] or 'job'}.json"
        octets = self._first.encode("utf-8", "surrogateescape")
        with open(self.path, "xb", opener=_private) as file:
            file.write(octets)

    def __enter__(self) -> Draft:
        """The file is there already."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Deletes the file and its folder."""
        self._folder.cleanup()

    def run(self, command: list[str]) -> None:
        """Runs the editor on this terminal, and waits until it ends.

        Raises:
            EditorError: it could not be started, or ended with an error: nothing is to be done.
        """
        try:
            self._editor = subprocess.Popen([*command, str(self.path)])
        except OSError as error:
            raise EditorError(f"{command[0]} could not be started: {error.strerror}") from None
        code = self._editor.wait()
        if code:
            how = f"was ended by signal {-code}" if code < 0 else f"ended with code {code}"
            raise EditorError(f"{Path(command[0]).name} {how}: nothing was changed")

    def stop(self) -> None:
        """Asks the editor to end, if it runs; may be called from any thread."""
        if self._editor is not None and self._editor.poll() is None:
            self._editor.terminate()

    @property
    def text(self) -> str:
        """The text as it is in the file now.

        Raises:
            EditorError: the file is gone or can't be read.
        """
        try:
            return self.path.read_bytes().decode("utf-8", "surrogateescape")
        except OSError as error:
            raise EditorError(f"the edited file can't be read: {error.strerror}") from None

    @property
    def mistake(self) -> Mistake | None:
        """What keeps the text from being JSON; None if nothing."""
        return mistake_in(self.text)

    @property
    def is_unchanged(self) -> bool:
        """Whether the text means what it meant: the same, or the same but for blanks."""
        text = self.text
        if text.strip() == self._first.strip():
            return True
        valid = not mistake_in(text) and not mistake_in(self._data)
        return valid and packed(text) == packed(self._data)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
