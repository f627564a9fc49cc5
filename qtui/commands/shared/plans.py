"""A plan as commands print it for people, and the command line as the journal records it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from qtui.bullmq.filter import Filter
from qtui.commands.shared.output import Cell, Column, Paper, Table
from qtui.operations.planning.proposal import PlanLine
from qtui.text import count, plain, plural
from qtui.verbs import Verb
from qtui.views.tone import Tone

_MOST_GROUPS: Final = 30
"""Groups of a plan that are printed; the largest come first."""

_IN_WORDS: Final = 20
"""Ids that the journal records of a command line."""


def tell_groups(paper: Paper, lines: Sequence[PlanLine], queues: Sequence[str] = ()) -> None:
    """Prints groups of jobs, and where they go or why they stay.

    Args:
        paper: where to print.
        lines: the groups, largest first.
        queues: for a plan of several queues, that of each group.
    """
    columns = [Column("jobs", right=True), Column("name"), Column("error"), Column("fate")]
    rows = []
    for line in lines[:_MOST_GROUPS]:
        fate = Cell(f"→ {line.place}", Tone.GOOD)
        if line.refusal:
            fate = Cell(f"✗ {plain(line.refusal)}", Tone.BAD)
        rows.append([Cell(count(line.number)), Cell(plain(line.name)), Cell(line.note), fate])
    if queues:
        columns.insert(1, Column("queue"))
        for row, queue in zip(rows, queues, strict=False):
            row.insert(1, Cell(plain(queue)))
    Table(paper, columns).write(rows)
    if len(lines) > _MOST_GROUPS:
        paper.line(f"and {plural(len(lines) - _MOST_GROUPS, 'more group')}")


def tell_warnings(paper: Paper, warnings: Iterable[str]) -> None:
    """Prints what to know before confirming."""
    for warning in warnings:
        paper.line(paper.styled(f"▲ {warning}", Tone.BUSY))


def tell_end(paper: Paper, reason: str, options: Sequence[str] = ()) -> None:
    """Prints the last lines of a plan: the options and the reason, as far as they were given."""
    if options:
        paper.line(f"Options: {'; '.join(options)}.")
    if reason:
        paper.line(f"Reason: {plain(reason)}")
    paper.flush()


def command_words(verb: Verb, queue: str, ids: Sequence[str], matching: Filter | None) -> list[str]:
    """Returns a command line as the journal records it, without the options before the command.

    Args:
        verb: the command.
        queue: its queue.
        ids: the jobs; the first ones are recorded.
        matching: which jobs, if there are no ids; None for all.
    """
    words = ["qtui", verb, queue, *ids[:_IN_WORDS]]
    if len(ids) > _IN_WORDS:
        words.append("…")
    if matching is not None:
        words += ["--filter", matching.source]
    elif not ids:
        words.append("--all")
    return words
