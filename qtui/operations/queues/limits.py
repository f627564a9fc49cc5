"""A queue's limits: who holds each, and the plan of changing or releasing some of them.

Limits: the global concurrency and rate in ``meta``, the rate limit that holds now (``limiter``),
and deduplication ids (``de:``). Replaced: those alone. Script: `lua/limits.lua`. The inverse is the
same action with what was there before.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from qtui.bullmq.codes import Code
from qtui.bullmq.connection.client import Client
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import BY_HAND, Garbage, QueueStatus
from qtui.bullmq.reads.limits import (
    DeduplicationKey,
    QueueLimits,
    find_deduplications,
    read_limits,
)
from qtui.bullmq.reads.status import read_status
from qtui.bullmq.writers.queues import LimitsWriter, QueueStep, Setting
from qtui.operations.journal.facts import Snapshot
from qtui.operations.planning.proposal import PlanLine, PlanOptions
from qtui.operations.queues.queue_action import QueueAction
from qtui.text import plain, plural, span
from qtui.verbs import Verb

LONGEST_NAP: Final = 30_000
"""Milliseconds that a rate-limited worker sleeps at most before it looks again: the default of
``maximumRateLimitDelay`` (worker.js). No key wakes it earlier."""

MOST_KEYS: Final = 1000
"""Deduplication ids that are listed."""

NONE: Final = "none"
"""What is written in place of a limit to remove it."""

_RATE: Final = re.compile(r"(\d{1,9})/(\d{1,9})(ms|s|m|h|d)?", re.ASCII)
_UNITS: Final = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_LARGEST: Final = 10**9

_SETTINGS: Final = "settings"
"""The field of the journal's line that an undo reads."""

_VERSION: Final = re.compile(r"bullmq:(\d+)\.(\d+)\.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """A queue's limits at one moment. Times are ms; None for a limit that is not set."""

    status: QueueStatus
    raw: QueueLimits
    """As Redis holds them."""
    concurrency: int | None
    most: int | None
    """Jobs that may start in a window of ``duration``."""
    duration: int | None
    started: int | None
    """Jobs started in the window that runs now, of any limit; None if none runs."""
    left: int
    """Milliseconds left of that window; -1 if it does not expire, and so limits nothing."""
    keys: tuple[DeduplicationKey, ...] = ()
    """Deduplication ids in use, up to `MOST_KEYS`."""
    more: bool = False
    """Whether there are more of them."""

    @property
    def queue(self) -> QueueKey:
        """The queue."""
        return self.status.queue

    @property
    def by_hand(self) -> bool:
        """Whether it is limited manually, for those workers that a rate limit holds at all."""
        return self.started is not None and self.started >= BY_HAND

    @property
    def reached(self) -> bool:
        """Whether a rate limit that is known from Redis is used up now."""
        if self.started is None or self.left < 0:
            return False
        return self.by_hand or (self.most is not None and self.started >= self.most)

    @property
    def maxed(self) -> bool:
        """Whether the global concurrency is used up."""
        return self.concurrency is not None and self.raw.active >= self.concurrency

    @property
    def nap(self) -> int:
        """Milliseconds that a worker which is rate-limited now may still sleep, in any case."""
        return 0 if self.started is None else max(0, min(self.left, LONGEST_NAP))


async def limits_of(
    client: Client, queue: QueueKey, *, ids: Sequence[str] = (), scan: bool = True
) -> Limits:
    """Returns a queue's limits. Reads only.

    Args:
        client: where to read.
        queue: the queue.
        ids: the deduplication ids to look at; none for all.
        scan: whether to look for all of them, if none are given.

    Costs four round trips, and for all deduplication ids a SCAN of the keyspace.
    """
    [status] = await read_status(client, [queue])
    raw = await read_limits(client, queue)
    keys: list[DeduplicationKey] = []
    more = False
    if ids or scan:
        async for some in find_deduplications(client, queue, ids):
            keys += some
            if len(keys) > MOST_KEYS:
                more = True
                break
    garbage, rates = Garbage(), raw.rates
    running = rates.left is not None and rates.left != -2
    return Limits(
        status=status,
        raw=raw,
        concurrency=garbage.number("concurrency", raw.concurrency),
        most=garbage.number("max", rates.most),
        duration=garbage.number("duration", rates.duration),
        started=garbage.number("limiter", rates.started) if running else None,
        left=rates.left or 0 if running else 0,
        keys=tuple(sorted(keys[:MOST_KEYS])),
        more=more,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """A rate limit: ``most`` jobs may start in ``duration`` milliseconds."""

    most: int
    duration: int


_SAME: Final = "the limits already have these values"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is to be changed; everything else stays."""

    concurrency: int | None = None
    no_concurrency: bool = False
    """Whether the global concurrency is removed."""
    rate: Rate | None = None
    no_rate: bool = False
    """Whether the global rate limit is removed."""
    release: bool = False
    """Whether the rate limit that holds now is released."""
    keys: tuple[str, ...] = ()
    """Deduplication ids to release."""

    @property
    def is_nothing(self) -> bool:
        """Whether nothing is to be changed."""
        return self == Wanted()


def concurrency_of(text: str | None) -> int | None:
    """Returns a concurrency as people write it; None for none.

    Raises:
        ValueError: it can't be understood; says what is expected.
    """
    if text is None or text == NONE:
        return None
    if not (text.isascii() and text.isdecimal() and 0 < int(text[:10]) <= _LARGEST):
        hint = "; to start no job at all, pause the queue" if text == "0" else ""
        raise ValueError(f'a whole number above 0, or {NONE}, not "{text}"{hint}')
    return int(text)


def rate_of(text: str | None) -> Rate | None:
    """Returns a rate limit as people write it, ``100/10s``; None for none.

    Raises:
        ValueError: it can't be understood; says what is expected.
    """
    if text is None or text == NONE:
        return None
    match = _RATE.fullmatch(text)
    if match is None or not int(match[1]) or not int(match[2]):
        raise ValueError(f'jobs and a duration, such as 100/10s, or {NONE}, not "{text}"')
    return Rate(most=int(match[1]), duration=int(match[2]) * _UNITS[match[3] or "ms"])


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitsPlan:
    """What a change of a queue's limits will do."""

    limits: Limits
    wanted: Wanted
    settings: tuple[Setting, ...]
    """The limits that are replaced; none if all are as wanted."""
    missing: tuple[str, ...] = ()
    """Deduplication ids to release that no job holds."""
    kept: tuple[DeduplicationKey, ...] = ()
    """Those that can't be released now."""

    @property
    def queue(self) -> QueueKey:
        """The queue."""
        return self.limits.queue

    @property
    def code(self) -> Code:
        """What the change will answer."""
        if self.limits.status.kind.refusal or self.kept:
            return Code.REFUSED
        return Code.DONE if self.settings else Code.NOT_IN_STATE

    @property
    def why(self) -> str:
        """Why nothing is changed; empty if something is."""
        if self.limits.status.kind.refusal:
            return self.limits.status.kind.refusal
        if self.kept:
            one = self.kept[0]
            return (
                f'a newer job is stored under "{one.id}", and is added when job {one.owner} ends: '
                "released now, jobs added before that would run ahead of it"
            )
        if self.settings:
            return ""
        return "no rate limit holds" if self.wanted == Wanted(release=True) else _SAME

    @property
    def headline(self) -> str:
        """What will be done, in a few words, with the queue's full key; plain."""
        return f"Change the limits of {plain(self.queue.base)}"

    @property
    def verb(self) -> Verb:
        """What it does."""
        return Verb.LIMITS

    @property
    def jobs(self) -> int:
        """How many queues it changes."""
        return int(self.code is Code.DONE)

    @property
    def refusal(self) -> str:
        """Why it changes nothing; empty if it changes something. Plain."""
        if kind := self.limits.status.kind.refusal:
            return plain(f"{self.queue.name} is {kind}.")
        return plain(f"{self.why[:1].upper()}{self.why[1:]}.") if self.why else ""

    def go(self, options: PlanOptions | None = None) -> str:
        """Returns what confirming does; plain."""
        return f"change the limits of {plain(self.queue.name)}"

    def confirmation(self, options: PlanOptions | None = None) -> str:
        """Returns "": a key confirms, since it can be taken back."""
        return ""

    def changes(self) -> list[str]:
        """Returns each change in words: ``concurrency 5, was 1``; plain."""
        return [plain(" ".join(_change(one))) for one in self.settings]

    def lines(self, options: PlanOptions | None = None) -> list[PlanLine]:
        """Returns a line for each limit that is replaced."""
        found = [_change(one) for one in self.settings]
        return [PlanLine(number=1, name=name, place=words) for name, words in found]

    def warnings(self, options: PlanOptions | None = None) -> list[str]:
        """Returns what to know before, in sentences; plain."""
        return [plain(one) for one in _warnings(self)]

    def action(self, client: Client, options: PlanOptions | None = None) -> QueueAction:
        """Returns the action, with its own writer; not for a plan that changes nothing."""
        change = LimitsChange(client, LimitsWriter(client), self.queue, self.settings)
        return QueueAction(Verb.LIMITS, [change])


async def plan_limits(client: Client, queue: QueueKey, wanted: Wanted) -> LimitsPlan:
    """Returns what a change of limits will do. Reads only; costs what `limits_of` costs."""
    limits = await limits_of(client, queue, ids=wanted.keys, scan=False)
    held = {one.id: one for one in limits.keys}
    kept = tuple(one for one in held.values() if one.has_next and one.exists)
    return LimitsPlan(
        limits=limits,
        wanted=wanted,
        settings=tuple(_settings(limits, wanted)),
        missing=tuple(one for one in wanted.keys if one not in held),
        kept=kept,
    )


def _settings(limits: Limits, wanted: Wanted) -> Iterator[Setting]:
    raw = limits.raw
    after: dict[str, str | None] = {}
    if wanted.concurrency is not None or wanted.no_concurrency:
        after["concurrency"] = None if wanted.no_concurrency else str(wanted.concurrency)
    if wanted.rate is not None or wanted.no_rate:
        rate = wanted.rate
        after["max"] = None if rate is None else str(rate.most)
        after["duration"] = None if rate is None else str(rate.duration)
    before = {"concurrency": raw.concurrency, "max": raw.rates.most}
    before["duration"] = raw.rates.duration
    for name, text in after.items():
        if before[name] != text:
            yield Setting(name=name, before=before[name], after=text)
    if wanted.release and raw.rates.started is not None:
        # Each start counts in it, so that it can't be pinned to what was seen.
        yield Setting(name="limiter", before=raw.rates.started, after=None, pinned=False)
    for one in limits.keys:
        if one.id in wanted.keys:
            yield Setting(name=f"de:{one.id}", before=one.owner, after=None)


def changes_of(settings: Sequence[Setting]) -> str:
    """Returns what becomes of some limits, in words: ``concurrency 3, was 5``."""
    found = (_change(one) for one in settings)
    return " · ".join(f"{name} {words}".removeprefix("the ") for name, words in found)


def _change(one: Setting) -> tuple[str, str]:
    """A limit, and what becomes of it."""
    name = one.name
    if name.startswith("de:"):
        back = f"held by job {one.after} again"
        became = f"of job {one.before} released" if one.after is None else back
        return f'dedup key "{name[3:]}"', became
    if name == "limiter":
        rest = f", for {span(one.expires_in)} more" if one.expires_in else ""
        released = one.after is None
        return "the rate limit that holds now", "released" if released else f"holds again{rest}"
    words = {"max": "rate limit, jobs", "duration": "rate limit, window"}.get(name, name)
    before, after = (_value(name, text) for text in (one.before, one.after))
    return words, f"{after}, was {before}"


def _value(name: str, text: str | None) -> str:
    if text is None:
        return "none"
    milliseconds = Garbage().number(name, text) if name == "duration" else None
    return text if milliseconds is None else span(milliseconds)


def _warnings(plan: LimitsPlan) -> Iterator[str]:
    limits, wanted = plan.limits, plan.wanted
    version = limits.status.version
    release = version.replace("bullmq:", "BullMQ ", 1)
    concurrency, rate = wanted.concurrency, wanted.rate
    if concurrency is not None and _is_older(version, (5, 9)):
        yield f"Workers before BullMQ 5.9.0 ignore it; {release} opened the queue last."
    if rate is not None and _is_older(version, (5, 60)):
        yield f"Workers before BullMQ 5.60.0 ignore it; {release} opened the queue last."
    if concurrency is not None and limits.raw.active > concurrency:
        over = limits.raw.active - concurrency
        yield (
            f"{plural(limits.raw.active, 'job is', 'jobs are')} active: no job starts until "
            f"{over + 1} of them end."
        )
    if rate is not None:
        yield ("Workers with a limiter option use this number of jobs, but their own duration.")
    eased = wanted.release or (not limits.by_hand and (wanted.no_rate or rate is not None))
    if eased and limits.nap and (limits.reached or limits.most is None):
        yield (
            f"Workers that are rate-limited now may sleep for up to {span(limits.nap)} more: "
            "no key wakes them."
        )
    if limits.status.paused:
        yield "The queue is paused: nothing starts until it is resumed."
    if plan.missing:
        names = ", ".join(plan.missing[:5])
        held = "this dedup key" if len(plan.missing) == 1 else "these dedup keys"
        yield f"No job holds {held}: {names}."
    for one in limits.keys:
        if one.id in wanted.keys and one.exists and not one.has_next:
            yield f'From now on jobs with the dedup id "{one.id}" are added beside job {one.owner}.'
        if one.id in wanted.keys and one.has_next and not one.exists:
            yield f'A newer job stays stored under "{one.id}": job {one.owner} is gone.'


def _is_older(version: str, than: tuple[int, int]) -> bool:
    """Whether a version names an older release of BullMQ; .NET names itself 1.1."""
    found = _VERSION.match(version)
    numbers = None if found is None else (int(found[1]), int(found[2]))
    return numbers is not None and numbers != (1, 1) and numbers < than


@dataclass(frozen=True, slots=True)
class LimitsChange:
    """The change of one queue's limits."""

    client: Client
    writer: LimitsWriter
    queue: QueueKey
    settings: tuple[Setting, ...]

    async def former(self) -> Mapping[str, str]:
        """Reads the limits as they are, and until when those hold that expire."""
        return await former_limits(self.client, self.queue, self.settings)

    async def step(self) -> QueueStep:
        """Changes them, all or none."""
        return await self.writer.change(self.queue, self.settings)

    async def is_unfinished(self) -> bool:
        """Whether one of them is not as it is to be."""
        now = await limits_now(self.client, self.queue, self.settings)
        return any(now[one.name] != one.after for one in self.settings)


async def limits_now(
    client: Client, queue: QueueKey, settings: Sequence[Setting]
) -> dict[str, str | None]:
    """Returns by name the limits that a change is about, as they are; costs as `limits_of`."""
    ids = [one.name[3:] for one in settings if one.name.startswith("de:")]
    limits = await limits_of(client, queue, ids=ids, scan=False)
    rates = limits.raw.rates
    found = {"concurrency": limits.raw.concurrency, "max": rates.most}
    found |= {"duration": rates.duration, "limiter": rates.started}
    found |= {f"de:{one}": None for one in ids}
    return found | {f"de:{one.id}": one.owner for one in limits.keys}


async def former_limits(
    client: Client, queue: QueueKey, settings: Sequence[Setting]
) -> Mapping[str, str]:
    """Returns the limits that a change replaces, as text, with all that an undo needs."""
    ids = [one.name[3:] for one in settings if one.name.startswith("de:")]
    limits = await limits_of(client, queue, ids=ids, scan=False)
    now = time.time() * 1000
    until: dict[str, int] = {}
    if limits.left > 0:
        until["limiter"] = int(now) + limits.left
    until |= {f"de:{one.id}": int(now) + one.left for one in limits.keys if one.left > 0}
    members = [
        {"name": one.name, "before": one.before, "after": one.after, "until": until.get(one.name)}
        for one in settings
    ]
    found = {one.name: "none" if one.before is None else one.before for one in settings}
    return {"prefix": queue.prefix, **found, _SETTINGS: json.dumps(members)}


def settings_back(snapshot: Snapshot) -> list[Setting]:
    """Returns the settings that restore what a change replaced, from its line in a journal.

    What has expired since is not restored.
    """
    try:
        members = json.loads(snapshot.fields.get(_SETTINGS, "[]"))
    except ValueError:
        return []
    now = time.time() * 1000
    found = []
    for one in members if isinstance(members, list) else []:
        if not isinstance(one, dict) or not isinstance(one.get("name"), str):
            continue
        before, after, until = (one.get(name) for name in ("before", "after", "until"))
        expires = int(until - now) if isinstance(until, int) else None
        if expires is not None and expires <= 0:
            continue
        found.append(
            Setting(
                name=one["name"],
                before=after if isinstance(after, str) else None,
                after=before if isinstance(before, str) else None,
                expires_in=expires,
            )
        )
    return found
