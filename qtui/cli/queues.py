"""The commands that change queues: pauses, limits, schedulers, removal."""

from __future__ import annotations

import sys
from typing import Unpack

import click

from qtui.cli.group import main
from qtui.commands.shared.options import MannerOptions, not_empty, that_changes
from qtui.commands.shared.run import Flags, run
from qtui.verbs import Verb


@main.command("pause", short_help="Pause queues.")
@click.argument("queues", metavar="QUEUE...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Pause every queue of the prefixes.")
@that_changes
@click.pass_obj
def _pause(
    flags: Flags,
    /,
    queues: tuple[str, ...],
    everything: bool,
    **manner: Unpack[MannerOptions],
) -> None:
    """Pause queues: no worker starts their jobs until they are resumed.

    Active jobs run to their end. Waiting jobs are kept where the release that runs the
    queue keeps them, and none is lost. A queue that is paused already stays as it is.
    """
    _pause_or_resume(flags, Verb.PAUSE, queues, everything, manner)


@main.command("resume", short_help="Resume queues.")
@click.argument("queues", metavar="QUEUE...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Resume every queue of the prefixes.")
@that_changes
@click.pass_obj
def _resume(
    flags: Flags,
    /,
    queues: tuple[str, ...],
    everything: bool,
    **manner: Unpack[MannerOptions],
) -> None:
    """Resume paused queues, with all jobs that any release left in the paused list.

    Workers are woken. Jobs stranded in the paused list of a queue that is not paused come back
    too.
    """
    _pause_or_resume(flags, Verb.RESUME, queues, everything, manner)


def _pause_or_resume(
    flags: Flags, verb: Verb, queues: tuple[str, ...], everything: bool, manner: MannerOptions
) -> None:
    if queues and everything:
        raise click.UsageError("--all is every queue already: leave it out, or the names")
    if not queues and not everything:
        raise click.UsageError("no queue given: name some, or pass --all for every queue")
    from qtui.commands.queue_actions.pausing import PausingRequest, pause_queues

    request = PausingRequest(verb=verb, queues=queues, **manner)
    sys.exit(run(flags, lambda place: pause_queues(place, request)))


@main.command("limits", short_help="Show or change the limits of a queue.")
@click.argument("queue", metavar="QUEUE")
@click.option(
    "--concurrency",
    metavar="N|none",
    callback=not_empty,
    help="Most active jobs at once, over all workers (BullMQ 5.9+).",
)
@click.option(
    "--rate",
    metavar="MAX/DURATION|none",
    callback=not_empty,
    help="Most starts in a window of time, such as 100/10s; units ms, s, m, h, d (BullMQ 5.60+).",
)
@click.option("--release", is_flag=True, help="Release the rate limit that holds now.")
@click.option(
    "--release-key",
    "keys",
    multiple=True,
    metavar="ID",
    callback=not_empty,
    help="Release this deduplication id; repeatable.",
)
@that_changes
@click.pass_obj
def _limits(
    flags: Flags,
    /,
    queue: str,
    concurrency: str | None,
    rate: str | None,
    release: bool,
    keys: tuple[str, ...],
    **manner: Unpack[MannerOptions],
) -> None:
    """Show the limits of a queue and the jobs that hold them; with options, change or release them.

    Limits are the global concurrency, the global rate limit, the rate limit that holds now, and
    deduplication ids. A limit is replaced only if no other client changed it since it was shown;
    idle workers are woken. Limits in a worker's own options are not in Redis.
    """
    from qtui.commands.queue_actions.limits import LimitsRequest, queue_limits

    request = LimitsRequest(
        queue=queue,
        concurrency=concurrency,
        rate=rate,
        release=release,
        keys=keys,
        **manner,
    )
    sys.exit(run(flags, lambda place: queue_limits(place, request)))


@main.command("obliterate", short_help="Remove a queue with all its jobs.")
@click.argument("queue", metavar="QUEUE")
@click.option("--force", is_flag=True, help="Remove it even if workers are connected or hold jobs.")
@that_changes
@click.pass_obj
def _obliterate(
    flags: Flags,
    /,
    queue: str,
    force: bool,
    **manner: Unpack[MannerOptions],
) -> None:
    """Remove a queue with all its jobs, schedulers, settings and history. It can't be undone.

    The queue is paused first. If it is cut off, the rest of the queue stays paused; run the same
    command again. Parents in other queues that wait for no other child run next.
    """
    from qtui.commands.queue_actions.obliterate import ObliterateRequest, obliterate_queue

    request = ObliterateRequest(queue=queue, force=force, **manner)
    sys.exit(run(flags, lambda place: obliterate_queue(place, request)))


@main.command("schedulers", short_help="List schedulers; run, remove or revive them.")
@click.argument("queue", metavar="QUEUE|'*'")
@click.argument("ids", metavar="[ID]...", nargs=-1)
@click.option("--run-now", is_flag=True, help="Add one job from the template now.")
@click.option("--remove", is_flag=True, help="Remove it, with its iteration.")
@click.option(
    "--revive",
    is_flag=True,
    help="Create the next iteration of a dead scheduler; without ID, of all dead ones.",
)
@that_changes
@click.pass_obj
def _schedulers(
    flags: Flags,
    /,
    queue: str,
    ids: tuple[str, ...],
    run_now: bool,
    remove: bool,
    revive: bool,
    **manner: Unpack[MannerOptions],
) -> None:
    """List the job schedulers of a queue, or of all ('*'), and repeatable jobs of 1.x to 5.x.

    A scheduler is dead if its iteration (the job that creates the next one) is in no state: it
    never runs again. It is late if its iteration is due and no worker has started it.

    With ID: show one, with its template. With an option: change it, after a plan; `qtui undo` takes
    it back. The iteration itself is never run early: that would skip its scheduled time.
    """
    from qtui.commands.queue_actions.schedulers import SchedulersRequest, schedulers
    from qtui.operations.schedulers.action import Do

    asked = {Do.RUN_NOW: run_now, Do.REMOVE: remove, Do.REVIVE: revive}
    wanted = [do for do, given in asked.items() if given]
    if len(wanted) > 1:
        raise click.UsageError("pass one of --run-now, --remove and --revive")
    request = SchedulersRequest(
        queue=queue,
        ids=ids,
        do=wanted[0] if wanted else None,
        **manner,
    )
    sys.exit(run(flags, lambda place: schedulers(place, request)))
