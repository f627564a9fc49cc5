"""Edits and new jobs with a journal, for tests of both and of their undo."""

from __future__ import annotations

from pathlib import Path

from qtui.bullmq.codes import Result
from qtui.bullmq.connection.client import Client
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.new_job.editable import read_editable
from qtui.bullmq.new_job.options import new_job
from qtui.operations.add.plan import plan_add
from qtui.operations.edit.plan import EditPlan, NotEditable, Wish, plan_for
from tests.operations.undoing import carried_out
from tests.seeds import QUEUE


async def plan_edit(client: Client, queue: QueueKey, job_id: str, wish: Wish) -> EditPlan:
    """Reads a job and plans its edit."""
    job = await read_editable(client, queue, job_id)
    if job is None:
        raise NotEditable(f"no job {job_id} in {queue.base}")
    return await plan_for(client, job, wish)


async def edited(client: Client, folder: Path, job_id: str, wish: Wish) -> Result:
    """Edits a job; its result."""
    plan = await plan_edit(client, QUEUE, job_id, wish)
    assert plan.refusal == ""
    [result] = await carried_out(client, folder, plan.action(client))
    if result.done:
        assert result.target == plan.target
    return result


async def added(client: Client, folder: Path, name: str = "n", **options: object) -> Result:
    """Adds a job; its result."""
    plan = await plan_add(client, QUEUE, new_job(name, '{"new":true}', options))
    assert plan.refusal == ""
    [result] = await carried_out(client, folder, plan.action(client))
    if result.done:
        assert result.target == plan.target
    return result
