"""Queues that the ACL hides from this user, in words. No widgets."""

from __future__ import annotations

from collections.abc import Sequence

from qtui.bullmq.keys import QueueKey
from qtui.text import plain, plural


def hidden_words(queues: Sequence[QueueKey]) -> str:
    """Returns how many queues are hidden, one of them, and what shows them; plain."""
    one = plain(min(queues).base)
    if len(queues) == 1:
        return f"the ACL hides the queue {one} from this user: ~{one}:* would show it"
    such = f"{plural(len(queues), 'queue')} from this user, such as {one}"
    return f"the ACL hides {such}: ~{plain(min(queues).prefix)}:* would show them"
