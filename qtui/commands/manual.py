"""`qtui man`: prints the manual page, generated from the help of every command."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import click

from qtui import RELEASES, __version__
from qtui.bullmq.filter import TABLE

_ENVIRONMENT = (
    ("QTUI_REDIS, REDIS_URL", "URL of the server, if neither --redis nor the profile names one."),
    ("QTUI_READ_ONLY", "1 sends only reads to Redis and refuses writes."),
    ("QTUI_JOURNAL", "Folder of the journal; if unset, qtui/journal in the user's state folder."),
    ("NO_COLOR", "Any value turns colours off."),
)
_CODES = (
    ("0", "Done."),
    ("1", "Some jobs were not retried, or failed again while they were followed."),
    ("2", "Wrong usage."),
    ("3", "Redis is unreachable, or refused."),
    ("4", "Refused by read-only mode."),
    ("130", "Interrupted; the jobs already on their way are reported."),
)


def manual(program: click.Group) -> str:
    """The manual page as roff, with the man macros."""
    return "\n".join(_lines(program)) + "\n"


def _lines(program: click.Group) -> Iterator[str]:
    top = click.Context(program, info_name="qtui")
    yield f'.TH QTUI 1 "" "qtui {__version__}" "User Commands"'
    yield from _section("NAME", [r"qtui \- a terminal inspector for BullMQ job queues"])
    yield from _section("SYNOPSIS", [_quoted(_usage(program, top))])
    yield from _section("DESCRIPTION", _help(program))
    yield ".SH OPTIONS"
    yield from _options(program, top)
    yield ".SH COMMANDS"
    for name in program.list_commands(top):
        command = program.commands[name]
        context = click.Context(command, info_name=name, parent=top)
        yield f".SS {_quoted(_usage(command, context))}"
        yield from _help(command)
        yield from _options(command, context)
    yield ".SH FILTERS"
    yield from _pairs(TABLE)
    yield ".SH ENVIRONMENT"
    yield from _pairs(_ENVIRONMENT)
    yield ".SH EXIT STATUS"
    yield from _pairs(_CODES)
    yield from _section("TESTED WITH", [_quoted(RELEASES)])


def _section(title: str, lines: Sequence[str]) -> Iterator[str]:
    yield f".SH {title}"
    yield from lines


def _usage(command: click.Command, context: click.Context) -> str:
    return " ".join([context.command_path, *command.collect_usage_pieces(context)])


def _help(command: click.Command) -> list[str]:
    found: list[str] = []
    for paragraph in (command.help or "").strip().split("\n\n"):
        as_it_is = paragraph.lstrip().startswith("\b")
        lines = [line.strip() for line in paragraph.strip().splitlines() if line.strip() != "\b"]
        text = [_quoted(line) for line in lines]
        found += [".PP", *([".nf", *text, ".fi"] if as_it_is else [" ".join(text)])]
    return found


def _options(command: click.Command, context: click.Context) -> Iterator[str]:
    records = (option.get_help_record(context) for option in command.get_params(context))
    yield from _pairs([record for record in records if record is not None])


def _pairs(pairs: Sequence[tuple[str, str]]) -> Iterator[str]:
    for name, words in pairs:
        yield ".TP"
        yield rf"\fB{_quoted(name)}\fR"
        yield _quoted(" ".join(words.split()))


def _quoted(text: str) -> str:
    """Text escaped so that roff prints it literally."""
    text = text.replace("\\", r"\e").replace("-", r"\-")
    text = "".join(char if char.isascii() else rf"\[u{ord(char):04X}]" for char in text)
    return rf"\&{text}" if text.startswith((".", "'")) else text
