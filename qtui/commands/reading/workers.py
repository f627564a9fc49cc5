"""`qtui workers`: lists who works on which queue, and the jobs that they hold. Reads only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from qtui.bullmq.connection.client import Client
from qtui.bullmq.reads.queues.working import WorkerSeen, read_working
from qtui.commands.shared.find import find_queue, find_queues, say_none
from qtui.commands.shared.output import Cell, Column, Paper, Table
from qtui.commands.shared.run import DONE, USAGE, CommandError, Workplace
from qtui.text import plain, plural
from qtui.views.queues.workers import UNSEEN, job_cells, state_of, worker_name


def list_workers(place: Workplace, queues: Sequence[str], *, json: bool) -> int:
    """Prints the workers of the queues, of all by default."""
    return place.ask(lambda client: _list(client, place, queues, json=json))


async def _list(client: Client, place: Workplace, names: Sequence[str], *, json: bool) -> int:
    settings = place.settings
    if names:
        found = [await find_queue(client, settings.prefixes, name) for name in names]
    else:
        found = await find_queues(client, settings.prefixes, settings.queues, err=place.err)
    if not found:
        await say_none(client, place.err, settings.prefixes)
        return USAGE
    seen = await read_working(client, [status.queue for status in found])
    workers = seen.workers
    if seen.refused and not workers:
        raise CommandError(f"{UNSEEN}: grant it +client|list", USAGE)
    if json:
        for one in workers:
            place.out.json(_object(one))
        return DONE
    if workers:
        _print(place.out, workers)
    lonely = {status.queue for status in found} - {one.queue for one in workers}
    for status in found:
        if status.queue in lonely and status.waiting:
            jobs = plural(status.waiting, "job waits", "jobs wait")
            workers_seen = f"workers unknown, {jobs}" if seen.refused else f"no worker seen, {jobs}"
            place.err.line(f"{plain(status.queue.name)}: {workers_seen}")
    if seen.refused:
        place.err.line(f"{UNSEEN}, so idle workers are not listed: grant it +client|list")
    elif not workers:
        place.err.line("no worker seen")
    return DONE


def _object(one: WorkerSeen) -> dict[str, object]:
    return {
        "queue": one.queue.base,
        "name": one.name or None,
        "token": one.token or None,
        "address": one.address or None,
        "connected_seconds": one.connected_for,
        "waits": one.waits,
        "jobs": [
            {
                "id": job.id,
                "name": job.name,
                "active_ms": job.active_for,
                "lock_left_ms": job.lock_left if job.lock_left >= 0 else None,
                "locked": job.lock_left != -2,
                "stalls": job.stalls,
            }
            for job in one.jobs
        ],
    }


def _print(paper: Paper, workers: Sequence[WorkerSeen]) -> None:
    columns = [
        *(Column(head) for head in ("queue", "worker", "address")),
        *(Column(head) for head in ("job", "name")),
        *(Column(head, right=True) for head in ("active", "lock left", "stalled")),
    ]
    Table(paper, columns).write([row for one in workers for row in _rows(one)])


def _rows(one: WorkerSeen) -> Iterator[tuple[Cell, ...]]:
    head = (Cell(plain(one.queue.name)), Cell(worker_name(one)), Cell(plain(one.address or "?")))
    if not one.jobs:
        state = state_of(one)
        yield (*head, Cell(state.text, state.tone), *(Cell("") for _ in range(4)))
    for place, job in enumerate(one.jobs):
        cells = (Cell(cell.text, cell.tone) for cell in job_cells(job))
        yield (*(head if not place else (Cell(""),) * 3), *cells)
