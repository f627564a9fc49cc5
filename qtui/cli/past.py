"""The commands about what was done: undo and journal."""

from __future__ import annotations

import sys
from functools import partial
from typing import Unpack

import click

from qtui.cli.group import main
from qtui.commands.completion import campaign_ids
from qtui.commands.shared.options import (
    MannerOptions,
    as_json_lines,
    not_empty,
    resumable,
    that_changes,
    with_every_job,
)
from qtui.commands.shared.run import Flags, Workplace, run


@main.command("undo", short_help="Take back what qtui did.")
@click.argument("operation", metavar="[OPERATION]", required=False, shell_complete=campaign_ids)
@click.argument("ids", metavar="[ID]...", nargs=-1)
@resumable("an undo")
@that_changes
@with_every_job
@click.pass_obj
def _undo(
    flags: Flags,
    /,
    operation: str | None,
    ids: tuple[str, ...],
    resume: str | None,
    verbose: bool,
    **manner: Unpack[MannerOptions],
) -> None:
    """Take back an operation of the journal, for every job that is still where qtui put it.

    OPERATION is its id in the journal, or the beginning or end of it. Without it, or with `last`,
    the last operation on this server that is not undone yet is taken back. With IDs, only those
    jobs. Jobs that have run, moved or changed since are left alone (code -3). An undo is an
    operation too: undo it by its id.
    """
    if resume is not None:
        if operation is not None or manner["dry_run"] or manner["reason"]:
            raise click.UsageError("--resume ID takes all else from the journal: give nothing else")
        from qtui.commands.undo import resume_undo

        again = partial(
            resume_undo, name=resume, json=manner["json"], yes=manner["yes"], verbose=verbose
        )
        sys.exit(run(flags, again))
    from qtui.commands.undo import UndoRequest, undo_operation

    request = UndoRequest(
        operation=operation or "",
        ids=tuple(dict.fromkeys(ids)),
        **manner,
        verbose=verbose,
    )
    sys.exit(run(flags, lambda place: undo_operation(place, request)))


@main.command("journal", short_help="List past operations made from this machine.")
@click.argument("campaign", metavar="[ID]", required=False, shell_complete=campaign_ids)
@click.option("--jobs", is_flag=True, help="With ID: list the jobs as they were before.")
@click.option(
    "--prune",
    metavar="AGE",
    callback=not_empty,
    help="Delete the journals of operations that ended longer ago than AGE: 30d, 12h, 2w, …",
)
@click.option(
    "--unfinished",
    is_flag=True,
    help="With --prune: also delete those that can still be resumed.",
)
@click.option("--dry-run", is_flag=True, help="With --prune: show what would be deleted.")
@click.option("--yes", is_flag=True, help="With --prune: do not ask for confirmation.")
@as_json_lines
@click.pass_obj
def _journal(
    flags: Flags,
    campaign: str | None,
    jobs: bool,
    prune: str | None,
    unfinished: bool,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """List past operations made from this machine; with ID, or its beginning or end, show one.

    Journals are kept in $QTUI_JOURNAL; if unset, in qtui/journal in the user's state folder. Only
    --prune deletes them.
    """
    if jobs and campaign is None:
        raise click.UsageError("--jobs needs the ID of a retry")
    if prune is None and (unfinished or dry_run or yes):
        raise click.UsageError("--unfinished, --dry-run and --yes are for --prune AGE")
    if prune is not None:
        if campaign is not None or as_json:
            raise click.UsageError("--prune AGE takes neither an ID nor --json")
        from qtui.commands.journal import prune_journal

        delete = partial(
            prune_journal, age_of=prune, unfinished=unfinished, dry_run=dry_run, yes=yes
        )
        sys.exit(run(flags, delete))

    def work(place: Workplace) -> int:
        from qtui.commands.journal import list_journal, show_campaign

        if campaign is None:
            return list_journal(place.out, place.err, place.journal, json=as_json)
        return show_campaign(place.out, place.journal, campaign, json=as_json, jobs=jobs)

    sys.exit(run(flags, work))
