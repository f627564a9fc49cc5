"""What must hold after each step of a walk, whoever made it."""

from __future__ import annotations

from typing import Final

from qtui.bullmq.model import JobState
from tests.oracle.flow_stage import CONTINUE, FAIL, IGNORE
from tests.oracle.walking.others import ONCE
from tests.oracle.walking.world import World

PENDING: Final = ("wait", "paused", "prioritized", "delayed", "active")


class Rules:
    """Each job is in one place and has its data, and nothing waits for what never comes."""

    def __init__(self, world: World) -> None:
        self.world = world

    def check(self) -> None:
        """All of it holds."""
        counted = self.world.census()
        strange = {id: places for id, places in counted.items() if len(places) != 1}
        assert not strange, strange
        known = {id for id in counted if not id.startswith("repeat:")}
        assert known == self.world.alive, known ^ self.world.alive
        if self.world.scheduled:
            pending = [
                id
                for id, places in counted.items()
                if id.startswith("repeat:s1:") and places[0] in PENDING
            ]
            assert pending, ("the scheduler is dead", counted)
        owner = self.world.client.get(self.world.key(f"de:{ONCE}"))
        if owner is not None:
            # Else no job of its kind could be added any more.
            places = counted.get(str(owner), ["gone"])
            assert places[0] in PENDING, ("the deduplication is held for ever", owner, places)
        for parent in self.world.ids(JobState.WAITING_CHILDREN):
            self._check_parent(parent, counted)

    def _check_parent(self, parent: str, counted: dict[str, list[str]]) -> None:
        base = self.world.key("")
        waits = [
            str(key).removeprefix(base)
            for key in self.world.client.smembers(self.world.key(f"{parent}:dependencies"))
        ]
        assert waits, f"{parent} waits for nothing"
        places = {one: counted.get(one, ["gone"])[0] for one in waits}
        open_ = [
            one for one, place in places.items() if place not in ("completed", "failed", "gone")
        ]
        if open_:
            return
        # It waits for ever, as BullMQ's own do: for a child that failed without an option.
        failed = [one for one, place in places.items() if place == "failed"]
        plain = [one for one in failed if not self._has_option(one)]
        assert plain, f"{parent} waits for {places}"

    def _has_option(self, id: str) -> bool:
        held = str(self.world.client.hget(self.world.key(id), "opts")) + str(
            self.world.client.hget(self.world.key(id), "parent")
        )
        return any(word in held for word in ("fpof", "idof", "cpof", FAIL, IGNORE, CONTINUE))
