"""From flags to a command that runs, and from whatever goes wrong to one line and an exit code.

Imports neither textual nor redis by itself, so that ``--help`` and usage errors are quick.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, TypeVar

from qtui.text import plain

if TYPE_CHECKING:
    from qtui.bullmq.connection import Client, Target
    from qtui.commands.output import Paper
    from qtui.settings import Settings

T = TypeVar("T")

# The exit codes; scripts depend on them.
DONE: Final = 0
NOT_ALL: Final = 1
USAGE: Final = 2
REDIS: Final = 3
READ_ONLY: Final = 4
INTERRUPTED: Final = 130


class Stop(Exception):
    """Ends the command with one line on stderr and an exit code."""

    def __init__(self, message: str, code: int) -> None:
        self.code = code
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Flags:
    """What stood before the command; None or empty where nothing did."""

    redis: str | None = None
    prefixes: tuple[str, ...] = ()
    queues: tuple[str, ...] = ()
    read_only: bool | None = None
    refresh: float | None = None
    profile: str | None = None
    config: str | None = None
    demo: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """Where a command works: on which Redis, with which settings, and where it prints."""

    settings: Settings
    target: Target
    out: Paper
    err: Paper
    note: str = ""

    def ask(self, work: Callable[[Client], Coroutine[None, None, T]], *, writes: bool = False) -> T:
        """Does the work with a client of its own, and closes it.

        Args:
            work: what to do.
            writes: the connection may send more than reads. Without it our own guard refuses all
                else, in every mode.

        Raises:
            RedisFault: whatever Redis or the network said, in one line.
        """
        return asyncio.run(self._ask(work, writes))

    async def _ask(self, work: Callable[[Client], Coroutine[None, None, T]], writes: bool) -> T:
        from redis.exceptions import RedisError

        from qtui.bullmq.connection import connect, explain

        client = connect(self.target, read_only=not writes)
        try:
            return await work(client)
        except (RedisError, OSError) as error:
            raise explain(error, self.target) from None
        finally:
            await client.aclose()


def run(flags: Flags, command: Callable[[Place], int]) -> int:
    """Runs a command and returns its exit code; says in one line on stderr why it ended early."""
    from qtui.bullmq.faults import RedisFault
    from qtui.commands.output import OutputClosed, Paper
    from qtui.demo import DemoError, ServerError
    from qtui.settings import SettingsError

    out, err = Paper(sys.stdout), Paper(sys.stderr)
    try:
        try:
            with ExitStack() as stack:
                code = command(_open(flags, stack, out, err))
            out.flush()
            return code
        except Stop as stop:
            message, code = str(stop), stop.code
        except RedisFault as fault:
            message, code = str(fault), fault.exit_code
        except SettingsError as error:
            message, code = str(error), USAGE
        except (DemoError, ServerError) as error:
            message, code = str(error), REDIS
        except KeyboardInterrupt:
            message, code = "interrupted", INTERRUPTED
        out.flush()
        err.line(f"qtui: {plain(message)}")
        err.flush()
    except OutputClosed:
        out.abandon()
        err.abandon()
        return DONE
    return code


def _open(flags: Flags, stack: ExitStack, out: Paper, err: Paper) -> Place:
    from qtui import settings as configuration
    from qtui.bullmq.connection import parse

    raise NotImplementedError
