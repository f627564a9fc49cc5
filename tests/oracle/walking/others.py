"""What BullMQ does in a walk: the application, its workers, and other releases.

What BullMQ itself loses is kept out (`Others._loses`, `Others._mixed`): a walk looks for faults of
qtui.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from qtui.bullmq.keys import is_marker
from qtui.bullmq.model import JobState
from tests.oracle.flow_stage import SINCE
from tests.oracle.releases import Release, named
from tests.oracle.stage import wait_for
from tests.oracle.walking.world import World

FAR: Final = 3_600_000
"""Milliseconds of a delay that no walk outlasts."""

ONCE: Final = "once"
"""The id of the one deduplication of a walk."""

HASTE: Final = {"lockDuration": 1000, "stalledInterval": 400, "maxStalledCount": 9}
"""A worker that is closed may leave the job in ``active`` that it has fetched last; the next one
takes it back once its lock is gone."""


class Others:
    """The release that owns the queue, and those that pause and resume it."""

    def __init__(self, world: World) -> None:
        self.world = world

    def _added(self, jobs: Sequence[dict[str, Any]]) -> None:
        self.world.alive |= set(self.world.side.run("add", jobs=jobs))

    def add(
        self,
        count: int,
        fails: bool,
        priority: int,
        lifo: bool,
        delayed: bool,
        attempts: int,
        once: bool = False,
    ) -> None:
        """The application adds jobs; with `once` only if none of its kind is under way."""
        opts: dict[str, object] = {"attempts": attempts}
        opts |= {"priority": priority} if priority else {}
        opts |= {"lifo": True} if lifo and not priority else {}
        opts |= {"delay": FAR} if delayed else {}
        opts |= {"deduplication": {"id": ONCE}} if once else {}
        one = {"name": "n", "data": {"outcome": "fail" if fails else "ok"}, "opts": opts}
        self.world.steps.append(f"add {count} {one}")
        self._added([one] * count)

    def flow(self, option: str, fails: bool, both: bool, deep: bool = False) -> None:
        """The application adds a parent with two children, of which one may have one itself."""
        if self.world.release.speaks < SINCE[option]:
            option = ""
        self.world.flows += 1
        parent = f"p{self.world.flows}"

        def child(id: str, outcome: str, *children: dict[str, Any]) -> dict[str, Any]:
            opts = {"jobId": id, **({option: True} if option else {})}
            node = {"name": "c", "queueName": self.world.side.queue, "data": {"outcome": outcome}}
            self.world.alive.add(id)
            return {**node, "opts": opts, **({"children": list(children)} if children else {})}

        a = "fail" if fails else "ok"
        b = "fail" if fails and both else "ok"
        below = [child(f"{parent}-a-a", a)] if deep else []
        children = [child(f"{parent}-a", a, *below), child(f"{parent}-b", b)]
        top = {"name": "p", "queueName": self.world.side.queue, "data": {"outcome": "ok"}}
        self.world.steps.append(f"flow {parent} {option} fails={fails} both={both} deep={deep}")
        self.world.side.run("flow", tree={**top, "opts": {"jobId": parent}, "children": children})
        self.world.alive.add(parent)

    def schedule(self) -> None:
        """The application makes a scheduler."""
        if self.world.scheduled or self.world.release.speaks < (5, 16, 0):
            return
        self.world.steps.append("schedule")
        template = {"name": "tick", "data": {"outcome": "ok"}}
        self.world.side.run("upsert", scheduler="s1", repeat={"every": FAR}, template=template)
        self.world.scheduled = True

    def work(self, all_of_it: bool) -> None:
        """A worker runs some jobs, or all that wait."""
        if self.world.is_paused():
            return
        self.world.steps.append(f"work {all_of_it}")
        if all_of_it:
            self.work_off()
        elif self.world.jobs_in("wait") or self.world.jobs_in("prioritized"):
            with self.world.side.worker("data", **HASTE) as worker:
                runs = worker.timed(starts=1)
            self._check_runs(runs)

    def work_off(self) -> None:
        with self.world.side.worker("data", concurrency=3, **HASTE) as worker:
            wait_for(self._is_quiet, "every job at rest")
            self.world.side.await_idle()
            wait_for(self._is_quiet, "every job at rest")
            runs = worker.timed()
        self._check_runs(runs)

    def _is_quiet(self) -> bool:
        if self.world.is_paused():
            return not self.world.jobs_in("active")
        return not any(self.world.jobs_in(name) for name in ("wait", "active", "prioritized"))

    def _check_runs(self, runs: Sequence[dict[str, Any]]) -> None:
        """No job runs without its data, or after it was removed."""
        for run in runs:
            if is_marker(run["id"]):
                continue  # 4.18.3 alone, without qtui, runs one of its own now and then
            assert run.get("name"), run
            assert run["id"] in self.world.alive or run["id"].startswith("repeat:"), run

    def pause_or_resume(self, by: str, verb: str) -> None:
        """Some release pauses or resumes the queue: the owner's, or a dashboard's."""
        release = named(by)
        if self._loses(release):
            return
        self.world.steps.append(f"{verb} by {by}")
        self.world.side.other(self.world.drivers.get(release), release).run(verb)

    def _loses(self, release: Release) -> bool:
        """Whether BullMQ itself would lose jobs by a pause or a resume."""
        if release.speaks >= (6, 0, 0):
            return False
        # Before 6 each renames one list over the other, which is gone then.
        return bool(self.world.jobs_in("wait")) and bool(
            self.world.client.exists(self.world.key("paused"))
        )

    def promote_by_bullmq(self, pick: int) -> None:
        """The application promotes a delayed job that is no scheduler's."""
        found = [one for one in self.world.ids(JobState.DELAYED) if not one.startswith("repeat:")]
        if found:
            self.world.steps.append(f"promote {found[pick % len(found)]}")
            self.world.side.run("promote", job=found[pick % len(found)])

    def remove_by_bullmq(self, pick: int) -> None:
        """The application removes a job that belongs to no flow."""
        found = sorted(one for one in self.world.alive if one[0] != "p")
        if found:
            gone = found[pick % len(found)]
            self.world.steps.append(f"remove {gone}")
            [[code, _]] = self.world.side.run("remove", ids=[gone])
            if code == 1:  # 0: it has a lock
                self.world.alive.discard(gone)

    def retry_by_bullmq(self, pick: int, state: JobState) -> None:
        """The application retries a job; a parent only after its children, as it has to."""
        found = [one for one in self.world.ids(state) if one[0] != "p"]
        if found and not (self.world.is_paused() and self._mixed()):
            self.world.steps.append(f"retry by the release: {found[pick % len(found)]}")
            [[code, words]] = self.world.side.run(
                "retry", ids=[found[pick % len(found)]], state=state.key
            )
            assert code == 1, words

    def _mixed(self) -> bool:
        """Whether ids are in ``wait`` of a queue paused by another release than the owner's."""
        return bool(self.world.jobs_in("wait")) != (self.world.release.speaks >= (6, 0, 0))
