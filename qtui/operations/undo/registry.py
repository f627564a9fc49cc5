"""Which inverse takes back which effect, and what cannot be taken back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from qtui.bullmq.connection.client import Client
from qtui.operations.edit.edit import RETRIED
from qtui.operations.flow_rerun.written import START
from qtui.operations.journal.facts import Header
from qtui.operations.retry.everywhere import QUEUES
from qtui.operations.undo.everywhere import EachQueue
from qtui.operations.undo.inverse import Inverse, MakeInverse
from qtui.operations.undo.limits import Unlimit
from qtui.operations.undo.pausing import Unpause, Unresume
from qtui.operations.undo.restore import Reremove, Restore
from qtui.operations.undo.scheduling import Unreschedule
from qtui.operations.undo.unadd import Readd, Unadd
from qtui.operations.undo.unedit import Unedit
from qtui.operations.undo.unpromote import Repromote, Unpromote
from qtui.operations.undo.unrerun import Rererun, Unrerun
from qtui.operations.undo.unretry import Reretry, Unretry
from qtui.verbs import Verb

INVERSES: Final[Mapping[str, MakeInverse]] = {
    Verb.RETRY: Unretry,
    Unretry.effect: Reretry,
    Verb.RERUN: Unrerun,
    Unrerun.effect: Rererun,
    Verb.PROMOTE: Unpromote,
    Unpromote.effect: Repromote,
    Verb.PAUSE: Unpause,
    Verb.RESUME: Unresume,
    Verb.LIMITS: Unlimit,
    Verb.EDIT: Unedit,
    Verb.ADD: Unadd,
    Verb.DUPLICATE: Unadd,
    Unadd.effect: Readd,
    Verb.REMOVE: Restore,
    Restore.effect: Reremove,
    Verb.SCHEDULERS: Unreschedule,
}
"""By effect, what takes it back. The effect of an inverse has to be a key here too, unless what it
does can't be taken back in turn."""

OLDEST_FIRST: Final = frozenset({Verb.RERUN.value, Unrerun.effect})
"""Effects that are taken back in the order in which they came: a flow's parents leave their places,
or return to them, before the children that they wait for. All others go backwards."""

_AGAIN: Final[Mapping[str, Verb]] = {
    Unretry.effect: Verb.RETRY,
    Unrerun.effect: Verb.RERUN,
    Unpromote.effect: Verb.PROMOTE,
    Unadd.effect: Verb.ADD,
    Restore.effect: Verb.REMOVE,
    Verb.RESUME: Verb.PAUSE,
    Verb.PAUSE: Verb.RESUME,
    Verb.LIMITS: Verb.LIMITS,
    Verb.EDIT: Verb.EDIT,
    Verb.SCHEDULERS: Verb.SCHEDULERS,
}
"""By the effect of an undo, the action that is carried out where that undo is undone."""

_REFUSED: Final[Mapping[str, str]] = {
    Verb.REMOVE_QUEUE: "a removed queue can't be put back: the journal keeps its settings,"
    " schedulers and counts, but none of its jobs",
}


def make_inverse(client: Client, header: Header, writes: bool) -> Inverse:
    """Returns what takes back a campaign that is not refused, see `MakeInverse`."""
    make = INVERSES[header.what]
    if QUEUES in header.options:
        return EachQueue(make, client, header, writes)
    return make(client, header, writes)


def done_again(header: Header) -> tuple[Verb, ...]:
    """Returns which actions an undo of a campaign carries out, if that campaign is an undo itself.

    Who may undo must be allowed these, too. None where something is only taken back.
    """
    if not header.undoes or header.what not in _AGAIN:
        return ()
    retries = header.what == Verb.EDIT and RETRIED in header.options
    return (_AGAIN[header.what], *((Verb.RETRY,) if retries else ()))


def refusal(header: Header) -> str:
    """Returns why a campaign can't be undone, in one line; empty if it can."""
    if header.what == Unrerun.effect and START not in header.options:
        return "this journal lacks what it takes to restore the rerun: rerun the flow again"
    if header.what in INVERSES:
        return ""
    return _REFUSED.get(header.what, f"this qtui can't undo {header.what or 'it'}")
