"""What a journal holds: what a campaign is, and what it wipes of each job. Pure; knows no JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from qtui.verbs import DONE_TO_SCHEDULERS, Verb, done_by, verb_of

MOST_OF_A_REASON: Final = 500
"""Characters of a reason."""

FORMAT: Final = 3
"""The newest format. In format 1 every text is written in full."""

FORMAT_OF_RETRIES: Final = 2
"""The format of retries and reruns, which every qtui can resume that knows texts. Those that know
only this format would take any other action for a retry."""

TEXTS_SINCE: Final = 2
"""The first format in which a line may refer to a text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenSelection:
    """The jobs that a campaign was started on."""

    kind: str
    """``ids``, ``query``, ``queries`` (of several queues, named in the header's options), ``flow``
    and others of single actions. With ``queries`` and ``flow`` ids are full keys."""
    jobs: int | None = None
    """Number of jobs at the start. Exact for ids: a reader checks by it that all chosen jobs were
    written down."""
    filter: str | None = None
    until: float | None = None
    """The highest score that a query includes: jobs that failed later are not in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The first line of a journal. Times are ms since the epoch."""

    where: str
    """The address, without credentials."""
    queue: str
    """Its base key."""
    prefix: str
    state: str
    """The state of the jobs before: ``failed``, ``delayed``, …"""
    selection: WrittenSelection
    resets: Mapping[str, bool] = field(default_factory=dict)
    pace: Mapping[str, object] = field(default_factory=dict)
    how: str = ""
    """The command or the key that started it."""
    action: str = Verb.RETRY.value
    """The id of the action, a `Verb` unless a newer qtui wrote it; in old journals retry or, with
    `flow`, rerun."""
    reason: str = ""
    """Why the user did it, in their words."""
    undoes: str = ""
    """For an undo: the id of the campaign that it takes back."""
    effect: str = ""
    """For an undo: what it does, by which it can be undone itself; see `Header.what`."""
    options: Mapping[str, object] = field(default_factory=dict)
    """What the user chose beside the jobs, by the action's own names; to resume it and to undo it.
    JSON without nested objects in lists."""
    flow: Mapping[str, str] = field(default_factory=dict)
    """For the rerun of a flow: the full keys of its ``root``, in the queue above, and ``start``."""
    server: Mapping[str, str] = field(default_factory=dict)
    """Identifies the server's data, see `qtui.bullmq.connection.origin`; empty in old journals."""
    id: str = ""
    at: int = 0
    user: str = ""
    host: str = ""
    pid: int = 0
    version: str = ""
    format: int = FORMAT

    @property
    def what(self) -> str:
        """The effect that an undo would take back: the action, or for an undo its own effect."""
        return self.effect or self.action

    @property
    def action_words(self) -> str:
        """The action for people: what was done to schedulers, for others the action's id."""
        return self.action if self.undoes else self._done_to_schedulers or self.action

    @property
    def _done_to_schedulers(self) -> str:
        """What an action on schedulers does to them; empty for another one."""
        do = self.options.get("do")
        return do if isinstance(do, str) else ""

    @property
    def noun(self) -> str:
        """The campaign for people, behind an article: ``removal``, ``undo``."""
        if self.undoes:
            return "undo"
        verb = verb_of(self.action)
        do = self._done_to_schedulers
        return _NOUNS.get(do, do) or (verb.noun if verb is not None else self.action)

    @property
    def done(self) -> str:
        """What is said of its jobs with code 1."""
        return DONE_TO_SCHEDULERS.get(self.action_words) or done_by(self.action)


_NOUNS: Final = {"remove": "removal", "revive": "revival"}
"""What was done to schedulers, as a noun."""


class Snapshot(NamedTuple):
    """What an action wipes of one job: fields of its hash by BullMQ's names, with their values."""

    id: str
    score: float | None
    fields: Mapping[str, str]
    """Only fields that existed; empty if the job had no hash."""
    state: str = ""
    """The state it was in, if not the campaign's."""
    family: Mapping[str, str] | None = None
    """What its parent's keys held about it: the value in ``processed``, the score in
    ``unsuccessful``, the reason in ``failed``. None without a parent, and in older journals."""
    place: str = ""
    """The key where it waited, in the journal of an undo; in those of an edit and of a rerun the id
    of the job that was to run before it, if it was in a list."""
    becomes: Mapping[str, str] | None = None
    """For an edit: the fields that it writes, and ``retry`` if it retries the job too."""
    whole: Mapping[str, object] | None = None
    """For a removal: all that there was beside the fields, which are complete then; see
    `qtui.operations.remove.wiped`. None if it could not be read whole."""
    children: Mapping[str, Mapping[str, str]] | None = None
    """For a rerun, of a parent: by full key the children about which its own keys are put right,
    see `qtui.operations.flow_rerun.written`. None for a job that is only retried."""
    queued: Mapping[str, str] | None = None
    """For an edit, of a job in a list: ``paused`` if its queue was, and ``turn``, its score in
    ``priority`` (1.x to 3.x). None for other jobs, and in older journals."""
