"""The way from a job in the list to its flow, and back to a job of the flow."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from qtui.bullmq.flow.lineage import Lineage
from qtui.bullmq.keys import QueueKey
from qtui.operations.planning.plan import Resets
from qtui.text import plain
from qtui.ui.base import QtuiScreen
from qtui.ui.flow.screen import FlowScreen
from qtui.ui.inspector.plans.retrying import Retrying
from qtui.views.flow_rows import read_flow
from qtui.views.lists.places import JobPlace

T = TypeVar("T")


def open_flow(
    screen: QtuiScreen[T],
    retrying: Retrying,
    queue: QueueKey,
    job_id: str,
    *,
    known: Callable[[], list[QueueKey]],
    go: Callable[[JobPlace], None],
    rerun: bool = False,
    closed: Callable[[], None] = lambda: None,
) -> None:
    """Opens the flow of a job, or says that it is in none.

    Args:
        screen: reads the flow in the background, and opens it.
        retrying: keeps the toggles of plans.
        queue: the job's queue.
        job_id: the job.
        known: returns the known queues.
        go: shows the job that is chosen in the flow.
        rerun: whether the plan of a rerun without lost children is opened at once.
        closed: is called when the flow was left without choosing a job.
    """

    def keep(resets: Resets) -> None:
        retrying.resets = resets

    def chosen(place: JobPlace | None) -> None:
        if place is not None:
            go(place)
        else:
            closed()

    async def read() -> None:
        rows = await read_flow(screen.session.client, queue, job_id, known=known())
        if not rows.is_flow and not rerun:
            screen.say(_no_flow(rows.lineage))
            return
        resets = retrying.resets
        flow = FlowScreen(screen.session, rows, known=known, resets=resets, keep=keep, rerun=rerun)
        screen.app.push_screen(flow, chosen)

    screen.in_background(read, "flow")


def _no_flow(lineage: Lineage) -> str:
    words = f"job {plain(lineage.job.id)} is in no flow"
    return f"{words}: {plain(lineage.note)}" if lineage.note else words
