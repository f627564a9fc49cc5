"""What a status line says beside a list, and how long it is left there."""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import Final

from qtui.bullmq.keys import QueueKey
from qtui.views.lists.listing import Listing

_KEPT_FOR: Final = 4.0
"""Seconds after which the next key takes the words away."""


class Saying:
    """The words in the status line, and the list that they were said about."""

    def __init__(self) -> None:
        self.words = ""
        self._at = 0.0
        self._about: Listing | None = None
        self._acted = False

    def say(self, words: str, about: Listing | None) -> None:
        """Remembers words; ``about`` is the list that they are true of, None for any."""
        self.words, self._about, self._at = words, about, time.monotonic()
        self._acted = False

    def user_acts(self) -> None:
        """Takes note of a key or a click: who acts may turn to another list."""
        self._acted = True

    @property
    def is_old(self) -> bool:
        """Whether they have been there long enough to be read."""
        return time.monotonic() - self._at > _KEPT_FOR

    def is_true_of(self, shown: Listing | None, queues: Collection[QueueKey]) -> bool:
        """Whether they may stay beside the list that is shown now.

        Whoever did nothing since, or whose queue is gone, did not turn to another list, and may
        still be reading.

        Args:
            shown: that list.
            queues: those that there are.
        """
        about = self._about
        if about is None or about is shown or not self._acted:
            return True
        return about.queue not in queues
