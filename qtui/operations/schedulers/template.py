"""The plain job that a scheduler's template makes, to run one now."""

from __future__ import annotations

from dataclasses import dataclass

from qtui.bullmq.codes import Code
from qtui.bullmq.connection.client import Client
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.new_job.options import NewJob, OptionError, new_job, options_of_job
from qtui.bullmq.schedulers.read import read_scheduler
from qtui.bullmq.schedulers.scheduler import Scheduler
from qtui.bullmq.schedulers.state import read_hash
from qtui.operations.schedulers.changes import GONE


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """What a scheduler's template makes."""

    scheduler: Scheduler | None
    """None: there is no such scheduler."""
    job: NewJob | None = None
    """None: there is no job to make, see `code` and `why`."""
    code: Code = Code.DONE
    why: str = ""


async def read_template(client: Client, queue: QueueKey, scheduler_id: str) -> Template:
    """Returns the plain job that a scheduler's template makes, without id, time and repetition.

    Where the scheduler has none, its iteration is the template. Costs what
    `read_scheduler` costs, and for such a one a round trip more.
    """
    one = await read_scheduler(client, queue, scheduler_id)
    if one is None:
        return Template(scheduler=None, code=Code.NO_SUCH_JOB, why=GONE)
    name, data, opts = one.name, one.data or "{}", one.opts or "{}"
    if not one.has_template:
        job = {} if one.iteration is None else await read_hash(client, queue, one.iteration.id)
        if "data" not in job:
            return Template(
                scheduler=one,
                code=Code.REFUSED,
                why="its template is gone with its last iteration",
            )
        name, data, opts = job.get("name", name), job["data"], job.get("opts", "{}")
    try:
        made = new_job(name, data, options_of_job(opts))
    except OptionError as reason:
        return Template(scheduler=one, code=Code.REFUSED, why=f"its template: {reason}")
    return Template(scheduler=one, job=made)
