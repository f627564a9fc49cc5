"""What qtui does in a walk, with a journal: to jobs, flows, schedulers and the queue."""

from __future__ import annotations

from contextlib import aclosing
from pathlib import Path
from typing import Final, TypeVar

from redis.asyncio import Redis

from qtui.bullmq.codes import Code
from qtui.bullmq.model import JobState
from qtui.bullmq.new_job.options import new_job
from qtui.bullmq.writers.remove import RemoveWriter
from qtui.bullmq.writers.rerun import RerunWriter
from qtui.bullmq.writers.retry import RetryWriter
from qtui.operations.add.plan import AddPlan, copy_of, plan_add, read_copied
from qtui.operations.edit.plan import NotEditable, Wish
from qtui.operations.engine.action import JobAction
from qtui.operations.engine.campaign import Campaign
from qtui.operations.flow_rerun.plan import Start
from qtui.operations.flow_rerun.planning import make_rerun_plan
from qtui.operations.flow_rerun.rerun import Rerun
from qtui.operations.journal.lines import result_of
from qtui.operations.journal.reading import path_of, read_lines
from qtui.operations.planning.plan import Resets, make_plan
from qtui.operations.planning.proposal import PlanOptions
from qtui.operations.promote.plan import make_promotion_plan
from qtui.operations.promote.resuming import resume_promotion
from qtui.operations.queues.limits import Wanted, plan_limits
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
from qtui.verbs import Verb
from tests.operations.editing import plan_edit
from tests.oracle.walking.world import World

A = TypeVar("A", bound=JobAction)

WHERE: Final = "redis://walk:6379/0"


class Ours:
    """Actions of qtui; `cut` is after how many results one is killed, to be resumed at once."""

    def __init__(self, world: World) -> None:
        self.world = world

    def retry(self, state: JobState, share: int, made: bool, cut: int) -> None:
        """Qtui retries some jobs, maybe killed in the middle and resumed."""
        found = self.world.ids(state)[::share]
        if not found:
            return
        self.world.steps.append(f"qtui retries {found} from {state}, made={made} cut={cut}")

        async def go(client: Redis) -> None:
            plan = await make_plan(client, chosen(self.world.queue, state, found), rate=0)
            action = Retry(client, RetryWriter(client), plan, Resets(made=made))
            name = await self.carry_out(client, action, cut)
            if cut:
                taken = await _taken(self.world.folder, name, Verb.RETRY)
                if taken is not None:
                    await finished(await resume_retry(taken, client, RetryWriter(client)))

        self.world.run(go)

    def remove(self, state: JobState, share: int, below: bool, cut: int) -> None:
        """Qtui removes some jobs, with or without what is below them."""
        found = self.world.ids(state)[::share]
        if not found:
            return
        self.world.steps.append(f"qtui removes {found} from {state}, below={below} cut={cut}")
        options = PlanOptions(on=frozenset({CHILDREN_TOO} if below else ()))

        async def go(client: Redis) -> str:
            plan = await make_removal_plan(client, chosen(self.world.queue, state, found), rate=0)
            name = await self.carry_out(client, plan.action(client, options), cut)
            if cut:
                taken = await _taken(self.world.folder, name, Verb.REMOVE)
                if taken is not None:
                    await finished(await resume_removal(taken, client, RemoveWriter(client)))
            return name

        codes = codes_of(self.world.folder, self.world.run(go))
        gone = self.world.alive - self.world.there()
        done = {id for id, code in codes.items() if code is Code.DONE}
        family = {id for id in gone if any(id.startswith(f"{one}-") for one in done)}
        assert gone - done <= (family if below else set()), gone ^ done
        assert not done & self.world.there(), done
        self.world.alive -= gone
        self.world.removed |= gone

    def edit(
        self, pick: int, data: bool, priority: int | None, delay: int | None, retry: bool
    ) -> None:
        """Qtui edits a job, and maybe retries it in the same step."""
        found = sorted(self.world.alive)
        if not found:
            return
        job = found[pick % len(found)]
        wish = Wish(
            data='{"outcome":"ok"}' if data else None,
            priority=priority,
            delay=None if retry else delay,
            retry=retry,
        )
        self.world.steps.append(f"qtui edits {job}: {wish}")

        async def go(client: Redis) -> None:
            try:
                plan = await plan_edit(client, self.world.queue, job, wish)
            except NotEditable:
                return
            if not plan.refusal:
                await self.carry_out(client, plan.action(client), 0)

        self.world.run(go)

    def add_by_qtui(self, priority: int, delay: int) -> None:
        """Qtui adds a job."""
        self.world.steps.append("qtui adds a job")
        options: dict[str, object] = {"priority": priority} if priority else {}
        options |= {"delay": delay} if delay else {}

        async def go(client: Redis) -> str:
            new = new_job("n", '{"outcome":"ok"}', options)
            return await self._add(client, await plan_add(client, self.world.queue, new))

        self._count_in(self.world.run(go))

    def duplicate(self, pick: int) -> None:
        """Qtui adds a copy of a job."""
        found = sorted(self.world.alive)
        if not found:
            return
        job = found[pick % len(found)]
        self.world.steps.append(f"qtui copies {job}")

        async def go(client: Redis) -> str:
            queue = self.world.queue
            new = copy_of(await read_copied(client, queue, job))
            return await self._add(client, await plan_add(client, queue, new, copied=job))

        self._count_in(self.world.run(go))

    async def _add(self, client: Redis, plan: AddPlan) -> str:
        assert not plan.refusal, plan.refusal
        return await self.carry_out(client, plan.action(client), 0)

    def _count_in(self, name: str) -> None:
        codes = codes_of(self.world.folder, name)
        assert set(codes.values()) == {Code.DONE}, codes
        self.world.alive |= set(codes)

    def promote(self, share: int, cut: int) -> None:
        """Qtui promotes delayed jobs."""
        found = self.world.ids(JobState.DELAYED)[::share]
        if not found:
            return
        self.world.steps.append(f"qtui promotes {found} cut={cut}")

        async def go(client: Redis) -> None:
            selection = chosen(self.world.queue, JobState.DELAYED, found)
            plan = await make_promotion_plan(client, selection, rate=0)
            name = await self.carry_out(client, plan.action(client, PlanOptions()), cut)
            if cut:
                taken = await _taken(self.world.folder, name, Verb.PROMOTE)
                if taken is not None:
                    await finished(await resume_promotion(taken, client))

        self.world.run(go)

    def scheduler_by_qtui(self, do: Do) -> None:
        """Qtui runs the scheduler now, revives it, or removes it."""
        if not self.world.scheduled:
            return
        self.world.steps.append(f"qtui: scheduler {do}")

        async def go(client: Redis) -> None:
            plan = await plan_schedulers(client, do, self.world.queue, ["s1"])
            if plan.chosen and not plan.refusal:
                await self.carry_out(client, plan.action(client, PlanOptions()), 0)

        self.world.run(go)
        self.world.scheduled = self.world.has_scheduler()
        self.world.alive |= self.world.there() - self.world.removed

    def limit(self, concurrency: int) -> None:
        """Qtui limits how many jobs run at once, or removes the limit (0)."""
        self.world.steps.append(f"qtui: concurrency {concurrency}")
        wanted = Wanted(concurrency=concurrency) if concurrency else Wanted(no_concurrency=True)

        async def go(client: Redis) -> None:
            plan = await plan_limits(client, self.world.queue, wanted)
            if not plan.refusal:
                await self.carry_out(client, plan.action(client), 0)

        self.world.run(go)

    def rerun(self, pick: int, start: Start, made: bool) -> None:
        """Qtui reruns a flow."""
        found = [f"p{number + 1}" for number in range(self.world.flows)]
        found = [one for one in found if one in self.world.alive]
        if not found:
            return
        parent = found[pick % len(found)]
        self.world.steps.append(f"qtui reruns {parent} from {start}, made={made}")

        async def go(client: Redis) -> None:
            plan = await make_rerun_plan(client, self.world.queue, parent, start)
            if not plan.refusal:
                action = Rerun(client, RerunWriter(client), plan, Resets(made=made))
                await self.carry_out(client, action, 0)

        self.world.run(go)

    def pause_or_resume_by_qtui(self, verb: Verb) -> None:
        """Qtui pauses or resumes the queue."""
        self.world.steps.append(f"qtui: {verb}")

        async def go(client: Redis) -> None:
            plan = await plan_pausing(client, verb, [self.world.queue])
            if plan.chosen:
                await self.carry_out(client, plan.action(client), 0)

        self.world.run(go)

    async def carry_out(self, client: Redis, action: JobAction, cut: int) -> str:
        """Runs an action, killed after `cut` results if there is a `cut`. The id of its journal."""
        record = Recorder(folder=self.world.folder, where=WHERE, how="walk")
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
        path = path_of(self.world.folder, name)
        lines = path.read_text("ascii").splitlines(keepends=True)
        while lines and not lines[-1].startswith('{"type":"code"'):
            lines.pop()
        kept = [one for one in lines if not one.startswith('{"type":"code"')]
        coded = [one for one in lines if one.startswith('{"type":"code"')]
        path.write_text("".join([*kept, *coded[:-codes]]), "ascii")


async def _taken(folder: Path, name: str, verb: Verb) -> Interrupted | None:
    """Takes over what was killed; None where it was done all the same."""
    try:
        return Interrupted.take(folder, name, WHERE, verb=verb)
    except AllDone:
        return None


async def finished(campaign: Campaign[A]) -> None:
    """Does the rest."""
    async for _ in campaign.run():
        pass
    campaign.close()


def codes_of(folder: Path, name: str) -> dict[str, Code]:
    """The code of each job of an operation."""
    lines = [one for one in read_lines(folder, name) if one["type"] == "code"]
    return {result.job_id: result.code for result in map(result_of, lines)}
