"""A random walk over one queue: what anybody may do with it, in any order, and what must hold.

Whoever acts, a release or qtui, each job is in one place and has its data, a scheduler has its next
iteration, and a parent that waits has something to wait for. What BullMQ itself loses is kept out
(`Walk._loses`, `Walk._mixed`): a walk looks for faults of qtui.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar

from hypothesis import strategies as st
from redis.asyncio import Redis

from qtui.bullmq.codes import Code
from qtui.bullmq.keys import QueueKey, is_marker
from qtui.bullmq.model import JobState
from qtui.bullmq.new_job.options import new_job
from qtui.bullmq.writers.remove import RemoveWriter
from qtui.bullmq.writers.rerun import RerunWriter
from qtui.bullmq.writers.retry import RetryWriter
from qtui.operations.add.plan import plan_add
from qtui.operations.edit.plan import NotEditable, Wish
from qtui.operations.engine.action import JobAction
from qtui.operations.engine.campaign import Campaign
from qtui.operations.flow_rerun.plan import Start
from qtui.operations.flow_rerun.planning import make_rerun_plan
from qtui.operations.flow_rerun.rerun import Rerun
from qtui.operations.journal.lines import result_of
from qtui.operations.journal.reading import JournalError, ids, path_of, read_lines, summary
from qtui.operations.planning.plan import Resets, make_plan
from qtui.operations.planning.proposal import PlanOptions
from qtui.operations.promote.plan import make_promotion_plan
from qtui.operations.promote.resuming import resume_promotion
from qtui.operations.queues.pausing import plan_pausing
from qtui.operations.remove.plan import CHILDREN_TOO, make_removal_plan
from qtui.operations.remove.resuming import resume_removal
from qtui.operations.resuming.interrupted import AllDone, Interrupted
from qtui.operations.resuming.recorder import Recorder
from qtui.operations.retry.resuming import resume_retry
from qtui.operations.retry.retry import Retry
from qtui.operations.schedulers.action import Do
from qtui.operations.schedulers.plan import plan_schedulers
from qtui.operations.supply.selection import chosen
from qtui.operations.undo.plan import make_undo_plan
from qtui.operations.undo.resuming import InterruptedUndo
from qtui.operations.undo.undo import Undo
from qtui.verbs import Verb
from tests.operations.editing import plan_edit
from tests.oracle.conftest import Drivers
from tests.oracle.flow_stage import CONTINUE, FAIL, IGNORE, SINCE
from tests.oracle.keyspace import census, members, snapshot
from tests.oracle.releases import Release, named
from tests.oracle.stage import Side, wait_for

T = TypeVar("T")
A = TypeVar("A", bound=JobAction)
Step: TypeAlias = tuple[str, dict[str, Any]]
"""A method of `Walk`, and its arguments."""

WHERE: Final = "redis://walk:6379/0"
OTHERS: Final = ("4.18.3", "5.81.5", "6.7.0")
FAR: Final = 3_600_000
"""Milliseconds of a delay that no walk outlasts."""

HASTE: Final = {"lockDuration": 1000, "stalledInterval": 400, "maxStalledCount": 9}
"""A worker that is closed may leave the job in ``active`` that it has fetched last; the next one
takes it back once its lock is gone."""

ASIDE: Final = (":events", ":marker", ":pc", ":id", ":stalled", ":stalled-check", ":lock")
"""Keys that no undo puts back: events are added, workers woken, jobs counted; and what expires."""

FINISHED: Final = (JobState.FAILED, JobState.COMPLETED)
PENDING: Final = ("wait", "paused", "prioritized", "delayed", "active")


class Walk:
    """One walk, over a queue of a release; others may pause and resume it."""

    def __init__(self, side: Side, drivers: Drivers) -> None:
        self.side = side
        self.drivers = drivers
        self.client = self.side.client
        self.release = self.side.release
        self.queue = QueueKey.of("bull", self.side.queue)
        self.folder = Path(tempfile.mkdtemp(prefix="qtui-walk-"))
        self.alive: set[str] = set()
        self.removed: set[str] = set()
        """Jobs that qtui has removed at some time, which an undo may bring back."""
        self.made = 0
        self.scheduled = False
        self.steps: list[str] = []
        """What was done, for whoever reads a failure."""

    def go(self, steps: Sequence[Step]) -> None:
        """Takes the steps, and looks after each; at the end all that waits may run."""
        try:
            self.client.flushdb()
            self.side.open()
            for name, arguments in steps:
                getattr(self, name)(**arguments)
                self.everything_holds()
            self.steps.append("the end")
            if self._paused():
                self._pause_or_resume(Verb.RESUME)
            self._work()
            self.everything_holds()
        except BaseException as error:
            error.add_note("\n".join(["The walk:", *self.steps]))
            raise
        finally:
            shutil.rmtree(self.folder)

    # What is there

    def key(self, suffix: str) -> str:
        return self.side.key(suffix)

    def _paused(self) -> bool:
        return bool(self.client.hexists(self.key("meta"), "paused"))

    def _real(self, name: str) -> list[str]:
        return [one for one in members(self.client, self.key(name)) if not is_marker(one)]

    def _loses(self, release: Release, verb: str) -> bool:
        """Whether BullMQ itself would lose jobs: before 6 a pause and a resume rename a list.

        Over the other one, which is gone then.
        """
        if release.speaks >= (6, 0, 0):
            return False
        if verb == "pause":
            return bool(self._real("wait")) and bool(self.client.exists(self.key("paused")))
        return bool(self.client.exists(self.key("paused"))) and bool(self._real("wait"))

    def _ids(self, state: JobState) -> list[str]:
        return self._real(state.key)

    def _run(self, work: Callable[[Redis], Awaitable[T]]) -> T:
        async def run() -> T:
            async with self.side.connect() as client:
                return await work(client)

        return asyncio.run(run())

    # What BullMQ does

    def _added(self, jobs: Sequence[dict[str, Any]]) -> None:
        self.alive |= set(self.side.run("add", jobs=jobs))

    def add(
        self, count: int, fails: bool, priority: int, lifo: bool, delayed: bool, attempts: int
    ) -> None:
        """The application adds jobs."""
        opts: dict[str, object] = {"attempts": attempts}
        opts |= {"priority": priority} if priority else {}
        opts |= {"lifo": True} if lifo and not priority else {}
        opts |= {"delay": FAR} if delayed else {}
        one = {"name": "n", "data": {"outcome": "fail" if fails else "ok"}, "opts": opts}
        self.steps.append(f"add {count} {one}")
        self._added([one] * count)

    def flow(self, option: str, fails: bool, both: bool) -> None:
        """The application adds a parent with two children."""
        if self.release.speaks < SINCE[option]:
            option = ""
        self.made += 1
        parent = f"p{self.made}"
        children = []
        for name in "ab":
            outcome = "fail" if fails and (both or name == "a") else "ok"
            opts = {"jobId": f"{parent}-{name}", **({option: True} if option else {})}
            child = {"name": "c", "queueName": self.side.queue, "data": {"outcome": outcome}}
            children.append({**child, "opts": opts})
        top = {"name": "p", "queueName": self.side.queue, "data": {"outcome": "ok"}}
        self.steps.append(f"flow {parent} {option} fails={fails} both={both}")
        self.side.run("flow", tree={**top, "opts": {"jobId": parent}, "children": children})
        self.alive |= {parent, f"{parent}-a", f"{parent}-b"}

    def schedule(self) -> None:
        """The application makes a scheduler."""
        if self.scheduled or self.release.speaks < (5, 16, 0):
            return
        self.steps.append("schedule")
        template = {"name": "tick", "data": {"outcome": "ok"}}
        self.side.run("upsert", scheduler="s1", repeat={"every": FAR}, template=template)
        self.scheduled = True

    def work(self, all_of_it: bool) -> None:
        """A worker runs some jobs, or all that wait."""
        if self._paused():
            return
        self.steps.append(f"work {all_of_it}")
        if all_of_it:
            self._work()
        elif self._real("wait") or self._real("prioritized"):
            with self.side.worker("data", **HASTE) as worker:
                runs = worker.timed(starts=1)
            self._check_runs(runs)

    def _work(self) -> None:
        with self.side.worker("data", concurrency=3, **HASTE) as worker:
            wait_for(self._is_quiet, "every job at rest")
            self.side.await_idle()
            wait_for(self._is_quiet, "every job at rest")
            runs = worker.timed()
        self._check_runs(runs)

    def _is_quiet(self) -> bool:
        if self._paused():
            return not self._real("active")
        return not any(self._real(name) for name in ("wait", "active", "prioritized"))

    def _check_runs(self, runs: Sequence[dict[str, Any]]) -> None:
        """No job runs without its data, or after it was removed."""
        for run in runs:
            if is_marker(run["id"]):
                continue  # 4.18.3 alone, without qtui, runs one of its own now and then
            assert run.get("name"), run
            assert run["id"] in self.alive or run["id"].startswith("repeat:"), run

    def pause_or_resume(self, by: str, verb: str) -> None:
        """Some release pauses or resumes the queue: the owner's, or a dashboard's."""
        release = named(by)
        if self._loses(release, verb):
            return
        self.steps.append(f"{verb} by {by}")
        self.side.other(self.drivers.get(release), release).run(verb)

    def promote_by_bullmq(self, pick: int) -> None:
        """The application promotes a delayed job that is no scheduler's."""
        found = [one for one in self._ids(JobState.DELAYED) if not one.startswith("repeat:")]
        if found:
            self.steps.append(f"promote {found[pick % len(found)]}")
            self.side.run("promote", job=found[pick % len(found)])

    def remove_by_bullmq(self, pick: int) -> None:
        """The application removes a job that belongs to no flow."""
        found = sorted(one for one in self.alive if one[0] != "p")
        if found:
            gone = found[pick % len(found)]
            self.steps.append(f"remove {gone}")
            [[code, _]] = self.side.run("remove", ids=[gone])
            if code == 1:  # 0: it has a lock
                self.alive.discard(gone)

    def retry_by_bullmq(self, pick: int, state: JobState) -> None:
        """The application retries a job; a parent only after its children, as it has to."""
        found = [one for one in self._ids(state) if one[0] != "p"]
        if found and not (self._paused() and self._mixed()):
            self.steps.append(f"retry by the release: {found[pick % len(found)]}")
            [[code, words]] = self.side.run(
                "retry", ids=[found[pick % len(found)]], state=state.key
            )
            assert code == 1, words

    def _mixed(self) -> bool:
        """Whether ids are in ``wait`` of a queue paused by another release than the owner's."""
        return bool(self._real("wait")) != (self.release.speaks >= (6, 0, 0))

    # What qtui does

    async def _carry_out(self, client: Redis, action: JobAction, cut: int) -> str:
        """Runs an action, killed after `cut` results if there is a `cut`. The id of its journal."""
        record = Recorder(folder=self.folder, where=WHERE, how="walk")
        campaign = Campaign(client, action, record=record)
        seen = 0
        async with aclosing(campaign.run()) as running:
            async for results in running:
                seen += len(results)
                if cut and seen >= cut:
                    break
            assert campaign.journal is not None
            name = campaign.journal.id
            if cut:
                campaign.journal.close()
        campaign.close()
        assert campaign.notes == [], campaign.notes
        if cut:
            self._forget(name, cut)
        return name

    def _forget(self, name: str, codes: int) -> None:
        """Cuts a journal off before its last codes, as a kill does."""
        path = path_of(self.folder, name)
        lines = path.read_text("ascii").splitlines(keepends=True)
        while lines and not lines[-1].startswith('{"type":"code"'):
            lines.pop()
        kept = [one for one in lines if not one.startswith('{"type":"code"')]
        coded = [one for one in lines if one.startswith('{"type":"code"')]
        path.write_text("".join([*kept, *coded[:-codes]]), "ascii")

    def retry(self, state: JobState, share: int, made: bool, cut: int) -> None:
        """Qtui retries some jobs, maybe killed in the middle and resumed."""
        found = self._ids(state)[::share]
        if not found:
            return
        self.steps.append(f"qtui retries {found} from {state}, made={made} cut={cut}")

        async def go(client: Redis) -> None:
            plan = await make_plan(client, chosen(self.queue, state, found), rate=0)
            action = Retry(client, RetryWriter(client), plan, Resets(made=made))
            name = await self._carry_out(client, action, cut)
            if cut:
                taken = await _taken(self.folder, name, Verb.RETRY)
                if taken is not None:
                    await _finished(await resume_retry(taken, client, RetryWriter(client)))

        self._run(go)

    def remove(self, state: JobState, share: int, below: bool, cut: int) -> None:
        """Qtui removes some jobs, with or without what is below them."""
        found = self._ids(state)[::share]
        if not found:
            return
        self.steps.append(f"qtui removes {found} from {state}, below={below} cut={cut}")
        options = PlanOptions(on=frozenset({CHILDREN_TOO} if below else ()))

        async def go(client: Redis) -> str:
            plan = await make_removal_plan(client, chosen(self.queue, state, found), rate=0)
            name = await self._carry_out(client, plan.action(client, options), cut)
            if cut:
                taken = await _taken(self.folder, name, Verb.REMOVE)
                if taken is not None:
                    await _finished(await resume_removal(taken, client, RemoveWriter(client)))
            return name

        codes = _codes(self.folder, self._run(go))
        gone = self.alive - self._there()
        done = {id for id, code in codes.items() if code is Code.DONE}
        family = {id for id in gone if any(id.startswith(f"{one}-") for one in done)}
        assert gone - done <= (family if below else set()), gone ^ done
        assert not done & self._there(), done
        self.alive -= gone
        self.removed |= gone

    def _there(self) -> set[str]:
        counted = census(self.client, self.side.queue)
        return {id for id in counted if not id.startswith("repeat:")}

    def edit(self, pick: int, data: bool, priority: int | None, delay: int | None) -> None:
        """Qtui edits a job."""
        found = sorted(self.alive)
        if not found:
            return
        job = found[pick % len(found)]
        wish = Wish(data='{"outcome":"ok"}' if data else None, priority=priority, delay=delay)
        self.steps.append(f"qtui edits {job}: {wish}")

        async def go(client: Redis) -> None:
            try:
                plan = await plan_edit(client, self.queue, job, wish)
            except NotEditable:
                return
            if not plan.refusal:
                await self._carry_out(client, plan.action(client), 0)

        self._run(go)

    def add_by_qtui(self, priority: int, delay: int) -> None:
        """Qtui adds a job."""
        self.steps.append("qtui adds a job")
        options: dict[str, object] = {"priority": priority} if priority else {}
        options |= {"delay": delay} if delay else {}

        async def go(client: Redis) -> str:
            plan = await plan_add(client, self.queue, new_job("n", '{"outcome":"ok"}', options))
            assert not plan.refusal, plan.refusal
            return await self._carry_out(client, plan.action(client), 0)

        codes = _codes(self.folder, self._run(go))
        assert set(codes.values()) == {Code.DONE}, codes
        self.alive |= set(codes)

    def promote(self, share: int, cut: int) -> None:
        """Qtui promotes delayed jobs."""
        found = self._ids(JobState.DELAYED)[::share]
        if not found:
            return
        self.steps.append(f"qtui promotes {found} cut={cut}")

        async def go(client: Redis) -> None:
            selection = chosen(self.queue, JobState.DELAYED, found)
            plan = await make_promotion_plan(client, selection, rate=0)
            name = await self._carry_out(client, plan.action(client, PlanOptions()), cut)
            if cut:
                taken = await _taken(self.folder, name, Verb.PROMOTE)
                if taken is not None:
                    await _finished(await resume_promotion(taken, client))

        self._run(go)

    def scheduler_by_qtui(self, do: Do) -> None:
        """Qtui runs the scheduler now, revives it, or removes it."""
        if not self.scheduled:
            return
        self.steps.append(f"qtui: scheduler {do}")

        async def go(client: Redis) -> None:
            plan = await plan_schedulers(client, do, self.queue, ["s1"])
            if plan.chosen and not plan.refusal:
                await self._carry_out(client, plan.action(client, PlanOptions()), 0)

        self._run(go)
        self.scheduled = bool(self.client.exists(self.key("repeat:s1")))
        self.alive |= self._there() - self.removed

    def rerun(self, pick: int, start: Start) -> None:
        """Qtui reruns a flow."""
        found = [f"p{number + 1}" for number in range(self.made)]
        found = [one for one in found if one in self.alive]
        if not found:
            return
        parent = found[pick % len(found)]
        self.steps.append(f"qtui reruns {parent} from {start}")

        async def go(client: Redis) -> None:
            plan = await make_rerun_plan(client, self.queue, parent, start)
            if not plan.refusal:
                action = Rerun(client, RerunWriter(client), plan, Resets())
                await self._carry_out(client, action, 0)

        self._run(go)

    def pause_or_resume_by_qtui(self, verb: Verb) -> None:
        """Qtui pauses or resumes the queue."""
        self.steps.append(f"qtui: {verb}")
        self._pause_or_resume(verb)

    def _pause_or_resume(self, verb: Verb) -> None:
        async def go(client: Redis) -> None:
            plan = await plan_pausing(client, verb, [self.queue])
            if plan.chosen:
                await self._carry_out(client, plan.action(client), 0)

        self._run(go)

    def undo(self, pick: int, some: bool, cut: int) -> None:
        """Qtui undoes any operation of before, or an undo; maybe killed and resumed."""
        known = sorted(ids(self.folder))
        if not known:
            return
        name = known[pick % len(known)]
        effect = summary(self.folder, name).header.what
        self.steps.append(f"qtui undoes {effect} {name} some={some} cut={cut}")

        async def go(client: Redis) -> str:
            only: tuple[str, ...] = ()
            try:
                plan = await make_undo_plan(client, self.folder, name, WHERE)
                if some:
                    only = tuple(list(plan.deeds.ids())[::2])
                    plan = await make_undo_plan(client, self.folder, name, WHERE, only)
            except JournalError:
                return ""  # a rerun
            if not len(plan.deeds):
                return ""
            new = await self._carry_out(client, Undo(client, plan.deeds, only), cut)
            if cut:
                try:
                    taken = InterruptedUndo.take(self.folder, new, WHERE)
                except AllDone:
                    return new
                await _finished(await taken.campaign(client))
            return new

        if not (new := self._run(go)):
            return
        self.steps.append(f"  codes {dict(summary(self.folder, new).codes)}")
        self._account(effect, _codes(self.folder, new))

    def _account(self, effect: str, codes: Mapping[str, Code]) -> None:
        """Jobs that came back or went by an undo: those with code 1, and what was below them."""
        done = {
            id for id, code in codes.items() if code is Code.DONE and not id.startswith("repeat:")
        }
        there = self._there()
        back, gone = there - self.alive, self.alive - there
        if effect in (Verb.REMOVE, "unadd"):
            assert back <= self.removed, back - self.removed
            assert done <= there, done - there
            assert not gone, gone
        elif effect == "restore":
            assert not back, back
            assert not done & there, done & there
            assert all(id in done or id.rpartition("-")[0] in done for id in gone), gone
        elif effect in (Verb.ADD, Verb.DUPLICATE, Verb.SCHEDULERS):
            self.scheduled = bool(self.client.exists(self.key("repeat:s1")))
        else:
            assert not back, back
            assert not gone, gone
        self.removed |= gone
        self.alive = there

    def and_back(self, act: Step) -> None:
        """Qtui does something, and takes all of it back at once: every key is as before."""
        known = set(ids(self.folder))
        before = self._kept()
        name, arguments = act
        getattr(self, name)(**{**arguments, "cut": 0} if "cut" in arguments else arguments)
        new = sorted(set(ids(self.folder)) - known)
        if len(new) != 1 or summary(self.folder, new[0]).codes.get(Code.DONE, 0) == 0:
            return
        self.steps.append("  and back")
        acted = self._kept()

        async def go(client: Redis) -> str:
            plan = await make_undo_plan(client, self.folder, new[0], WHERE)
            assert plan.back == plan.jobs, plan.tally
            return await self._carry_out(client, Undo(client, plan.deeds), 0)

        effect = summary(self.folder, new[0]).header.what
        undo = self._run(go)
        codes = _codes(self.folder, undo)
        others = [one for one in read_lines(self.folder, undo) if one.get("code") not in (1, None)]
        assert not others, others
        self._account(effect, codes)
        after = self._kept()
        different = {
            key: (before.get(key), acted.get(key), after.get(key))
            for key in {*before, *after}
            if before.get(key) != after.get(key)
        }
        assert not different, different

    def _in_line(self) -> list[str]:
        """The jobs that wait in lists, the next to run last: in the order of our own resume."""
        wait, paused = self._real("wait"), self._real("paused")
        if wait and paused and self._made_at(wait[-1]) < self._made_at(paused[-1]):
            return paused + wait
        return wait + paused

    def _made_at(self, id: str) -> int:
        return int(self.client.hget(self.key(id), "timestamp") or 0)

    def _kept(self) -> dict[str, object]:
        """Every key with its value, but for events, counters and what wakes workers."""
        found: dict[str, object] = {"in line": self._in_line()}
        for key, value in snapshot(self.client).items():
            if key.endswith(ASIDE):
                continue
            # Jobs that wait are in either list: one that is found in danger is moved to the other.
            if not key.endswith((":wait", ":paused")):
                found[key] = value
        return found

    # What holds

    def everything_holds(self) -> None:
        """Each job is in one place, and nothing waits for what never comes."""
        counted = census(self.client, self.side.queue)
        strange = {id: places for id, places in counted.items() if len(places) != 1}
        assert not strange, strange
        known = {id for id in counted if not id.startswith("repeat:")}
        assert known == self.alive, known ^ self.alive
        if self.scheduled:
            pending = [
                id
                for id, places in counted.items()
                if id.startswith("repeat:s1:") and places[0] in PENDING
            ]
            assert pending, ("the scheduler is dead", counted)
        for parent in self._ids(JobState.WAITING_CHILDREN):
            self._check_parent(parent, counted)

    def _check_parent(self, parent: str, counted: dict[str, list[str]]) -> None:
        base = self.key("")
        waits = [
            str(key).removeprefix(base)
            for key in self.client.smembers(self.key(f"{parent}:dependencies"))
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
        held = str(self.client.hget(self.key(id), "opts")) + str(
            self.client.hget(self.key(id), "parent")
        )
        return any(word in held for word in ("fpof", "idof", "cpof", FAIL, IGNORE, CONTINUE))


async def _taken(folder: Path, name: str, verb: Verb) -> Interrupted | None:
    """Takes over what was killed; None where it was done all the same."""
    try:
        return Interrupted.take(folder, name, WHERE, verb=verb)
    except AllDone:
        return None


async def _finished(campaign: Campaign[A]) -> None:
    """Does the rest."""
    async for _ in campaign.run():
        pass
    campaign.close()


def _codes(folder: Path, name: str) -> dict[str, Code]:
    """The code of each job of an operation."""
    lines = [one for one in read_lines(folder, name) if one["type"] == "code"]
    return {result.job_id: result.code for result in map(result_of, lines)}


def step(name: str, **arguments: st.SearchStrategy[object]) -> st.SearchStrategy[Step]:
    """Steps of one kind."""
    return st.fixed_dictionaries(arguments).map(lambda found: (name, found))


ACTS: Final = (
    step(
        "retry",
        state=st.sampled_from(FINISHED),
        share=st.integers(1, 3),
        made=st.booleans(),
        cut=st.sampled_from([0, 0, 1, 2]),
    ),
    step(
        "remove",
        state=st.sampled_from([one for one in JobState if one is not JobState.ACTIVE]),
        share=st.integers(1, 3),
        below=st.booleans(),
        cut=st.sampled_from([0, 0, 1, 2]),
    ),
    step(
        "edit",
        pick=st.integers(0, 99),
        data=st.booleans(),
        priority=st.sampled_from([None, 0, 2]),
        delay=st.sampled_from([None, None, 0, FAR]),
    ),
    step("add_by_qtui", priority=st.sampled_from([0, 2]), delay=st.sampled_from([0, FAR])),
    step("promote", share=st.integers(1, 3), cut=st.sampled_from([0, 0, 1])),
    step("scheduler_by_qtui", do=st.sampled_from(list(Do))),
    step("rerun", pick=st.integers(0, 99), start=st.sampled_from(list(Start))),
    step("pause_or_resume_by_qtui", verb=st.sampled_from([Verb.PAUSE, Verb.RESUME])),
)
"""What qtui does with jobs, queues and schedulers."""

STEPS: Final = st.one_of(
    step(
        "add",
        count=st.integers(1, 4),
        fails=st.booleans(),
        priority=st.sampled_from([0, 0, 1, 3]),
        lifo=st.booleans(),
        delayed=st.booleans(),
        attempts=st.integers(1, 2),
    ),
    step(
        "flow",
        option=st.sampled_from(["", FAIL, IGNORE, CONTINUE]),
        fails=st.booleans(),
        both=st.booleans(),
    ),
    step("schedule"),
    step("work", all_of_it=st.booleans()),
    step("pause_or_resume", by=st.sampled_from(OTHERS), verb=st.sampled_from(["pause", "resume"])),
    step("promote_by_bullmq", pick=st.integers(0, 99)),
    step("remove_by_bullmq", pick=st.integers(0, 99)),
    step("retry_by_bullmq", pick=st.integers(0, 99), state=st.sampled_from(FINISHED)),
    *ACTS,
    st.one_of(ACTS).map(lambda act: ("and_back", {"act": act})),
    step("undo", pick=st.integers(0, 99), some=st.booleans(), cut=st.sampled_from([0, 0, 1, 2])),
)
