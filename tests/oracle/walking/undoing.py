"""What qtui takes back in a walk: any operation, at any later time, or at once and key by key."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, Final, TypeAlias, cast

from redis.asyncio import Redis

from qtui.bullmq.codes import Code
from qtui.operations.journal.reading import JournalError, ids, read_lines, summary
from qtui.operations.resuming.interrupted import AllDone
from qtui.operations.undo.plan import make_undo_plan
from qtui.operations.undo.resuming import InterruptedUndo
from qtui.operations.undo.undo import Undo
from qtui.verbs import Verb
from tests.oracle.keyspace import snapshot
from tests.oracle.walking.ours import WHERE, Ours, codes_of, finished
from tests.oracle.walking.world import World

Act: TypeAlias = tuple[str, dict[str, Any]]
"""A method of `Ours`, and its arguments."""

Scores: TypeAlias = tuple[str, list[tuple[str, float]], bool]
"""The value of a sorted set, see `keyspace.snapshot`."""

ASIDE: Final = (":events", ":marker", ":pc", ":id", ":stalled", ":stalled-check", ":lock")
"""Keys that no undo puts back: events are added, workers woken, jobs counted; and what expires."""


IN_LINE: Final = ("in line", "in line by 6.x")


class Which(Enum):
    """Which jobs of an operation are taken back."""

    ALL = "all"
    EVEN = "even"
    ODD = "odd"
    PARENTS = "parents"
    CHILDREN = "children"

    def of(self, ids: Sequence[str]) -> tuple[str, ...]:
        """These of the jobs, in their order."""
        if self in (Which.EVEN, Which.ODD):
            return tuple(ids[self is Which.ODD :: 2])
        # A rerun names jobs by their full keys. Names of parents end in digits, see `Others.flow`.
        top = [one for one in ids if re.fullmatch(r"p\d+", one.rpartition(":")[2])]
        return tuple(one for one in ids if (one in top) == (self is Which.PARENTS))


class Undoing:
    """Undos of what qtui has done."""

    def __init__(self, world: World, ours: Ours) -> None:
        self.world = world
        self.ours = ours

    def undo(self, pick: int, which: Which, cut: int) -> None:
        """Qtui undoes any operation of before, or an undo; maybe killed and resumed."""
        known = sorted(ids(self.world.folder))
        if not known:
            return
        name = known[pick % len(known)]
        effect = summary(self.world.folder, name).header.what
        self.world.steps.append(f"qtui undoes {effect} {name} which={which.value} cut={cut}")

        async def go(client: Redis) -> str:
            only: tuple[str, ...] = ()
            try:
                plan = await make_undo_plan(client, self.world.folder, name, WHERE)
                if which is not Which.ALL:
                    only = which.of(list(plan.deeds.ids()))
                    if not only:
                        return ""
                    plan = await make_undo_plan(client, self.world.folder, name, WHERE, only)
            except JournalError:
                return ""  # a queue that was removed
            if not len(plan.deeds):
                return ""
            new = await self.ours.carry_out(client, Undo(client, plan.deeds, only), cut)
            if cut:
                try:
                    taken = InterruptedUndo.take(self.world.folder, new, WHERE)
                except AllDone:
                    return new
                await finished(await taken.campaign(client))
            return new

        if not (new := self.world.run(go)):
            return
        self.world.steps.append(f"  codes {dict(summary(self.world.folder, new).codes)}")
        self._account(effect, codes_of(self.world.folder, new))

    def _account(self, effect: str, codes: Mapping[str, Code]) -> None:
        """Jobs that came back or went by an undo: those with code 1, and what was below them."""
        done = {
            id for id, code in codes.items() if code is Code.DONE and not id.startswith("repeat:")
        }
        there = self.world.there()
        back, gone = there - self.world.alive, self.world.alive - there
        if effect in (Verb.REMOVE, "unadd"):
            assert back <= self.world.removed, back - self.world.removed
            assert done <= there, done - there
            assert not gone, gone
        elif effect == "restore":
            assert not back, back
            assert not done & there, done & there
            assert all(id in done or any(id.startswith(f"{one}-") for one in done) for id in gone)
        elif effect in (Verb.ADD, Verb.DUPLICATE, Verb.SCHEDULERS):
            self.world.scheduled = self.world.has_scheduler()
        else:
            assert not back, back
            assert not gone, gone
        self.world.removed |= gone
        self.world.alive = there

    def and_back(self, act: Act, again: bool) -> None:
        """Qtui does something, and takes all of it back at once: every key is as before.

        With `again` it takes that back too, and every key is as after the act.
        """
        known = set(ids(self.world.folder))
        before = self._kept()
        name, arguments = act
        getattr(self.ours, name)(**{**arguments, "cut": 0} if "cut" in arguments else arguments)
        new = sorted(set(ids(self.world.folder)) - known)
        if len(new) != 1 or not summary(self.world.folder, new[0]).codes.get(Code.DONE, 0):
            return
        after = self._kept()
        self.world.steps.append("  and back")
        undo = self._undo_all(new[0])
        now = self._kept()
        assert _alike(now, before), _differing(before, after, now)
        if again:
            self.world.steps.append("  and again")
            self._undo_all(undo)
            now = self._kept()
            # A job that comes again is behind others of its priority, and waits since now.
            assert _alike(_ordered(now), _ordered(after)), _differing(before, after, now)

    def _undo_all(self, name: str) -> str:
        """Undoes an operation of which every job is as it was left; the id of the undo."""
        effect = summary(self.world.folder, name).header.what

        async def go(client: Redis) -> str:
            plan = await make_undo_plan(client, self.world.folder, name, WHERE)
            assert plan.back == plan.jobs, plan.tally
            return await self.ours.carry_out(client, Undo(client, plan.deeds), 0)

        undo = self.world.run(go)
        lines = read_lines(self.world.folder, undo)
        others = [one for one in lines if one.get("code") not in (1, None)]
        assert not others, others
        self._account(effect, codes_of(self.world.folder, undo))
        return undo

    def _in_line(self) -> tuple[list[str], list[str]]:
        """The jobs that wait in lists, the next to run last.

        As a resume of ours joins both lists, and as one of 6.x does. Ours asks which list has the
        older job in front: that may change with a job that leaves.
        """
        wait, paused = self.world.jobs_in("wait"), self.world.jobs_in("paused")
        if wait and paused and self._made_at(wait[-1]) < self._made_at(paused[-1]):
            return paused + wait, wait + paused
        return wait + paused, wait + paused

    def _made_at(self, id: str) -> int:
        return int(self.world.client.hget(self.world.key(id), "timestamp") or 0)

    def _kept(self) -> dict[str, object]:
        """Every key with its value, but for events, counters and what wakes workers."""
        found: dict[str, object] = dict(zip(IN_LINE, self._in_line(), strict=True))
        for key, value in snapshot(self.world.client).items():
            if key.endswith(ASIDE):
                continue
            # Jobs that wait are in either list: one that is found in danger is moved to the other.
            if not key.endswith((":wait", ":paused")):
                found[key] = value
        return found


def _alike(now: Mapping[str, object], then: Mapping[str, object]) -> bool:
    """Whether all keys are the same, and the jobs are in line by one resume or the other."""
    rest, others = ({**keys, **dict.fromkeys(IN_LINE)} for keys in (now, then))
    return rest == others and any(now[one] == then[one] for one in IN_LINE)


def _ordered(keys: Mapping[str, object]) -> dict[str, object]:
    """The keys, with the order of jobs in place of the scores that they get anew.

    In ``waiting-children`` these are times, alike for jobs that come at once.
    """
    found = dict(keys)
    for key, value in keys.items():
        if key.endswith((":prioritized", ":waiting-children")):
            names = [name for name, _ in cast("Scores", value)[1]]
            found[key] = sorted(names) if key.endswith(":waiting-children") else names
    return found


def _differing(
    before: Mapping[str, object], after: Mapping[str, object], now: Mapping[str, object]
) -> dict[str, tuple[object, ...]]:
    """The keys that are not the same in all three, for the reader of a failure."""
    found: dict[str, tuple[object, ...]] = {}
    for key in sorted({*before, *after, *now}):
        values = before.get(key), after.get(key), now.get(key)
        if values[0] != values[1] or values[1] != values[2]:
            found[key] = values
    return found
