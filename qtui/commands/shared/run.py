"""Runs a command: from flags to settings, and from any error to one line and an exit code.

Does not import textual, redis or asyncio by itself, so that ``--help`` is quick.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final, TypeVar

from qtui.folders import journal_folder
from qtui.text import plain
from qtui.verbs import Verb

if TYPE_CHECKING:
    from qtui.bullmq.connection.client import Client, Target
    from qtui.commands.shared.output import Paper
    from qtui.settings import Marked, Settings

T = TypeVar("T")

# The exit codes; scripts depend on them.
DONE: Final = 0
NOT_ALL: Final = 1
USAGE: Final = 2
REDIS: Final = 3
READ_ONLY: Final = 4
INTERRUPTED: Final = 130


_NO_ADDRESS: Final = (
    " No address was given: --redis URL connects to another server, --demo starts one to try."
)


class CommandError(Exception):
    """Ends the command with one line on stderr (`run` makes it plain) and an exit code."""

    def __init__(self, message: str, code: int) -> None:
        self.code = code
        super().__init__(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Flags:
    """The options before the command; None or empty if not given."""

    redis: str | None = field(default=None, repr=False)
    prefixes: tuple[str, ...] = ()
    queues: tuple[str, ...] = ()
    read_only: bool = False
    refresh: float | None = None
    scan_rate: float | None = None
    profile: str | None = None
    config: str | None = None
    demo: bool = False
    announced: tuple[str, ...] = ()
    tls_ca: str | None = None
    tls_cert: str | None = None
    tls_key: str | None = None
    tls_server_name: str | None = None
    tls_insecure: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Workplace:
    """What a command works with: the server, the settings, and where it prints."""

    settings: Settings
    target: Target
    out: Paper
    err: Paper
    journal: Path
    """The journal's folder."""
    note: str = ""

    def ask(
        self, work: Callable[[Client], Coroutine[None, None, T]], *, writes: Verb | None = None
    ) -> T:
        """Runs ``work`` with a new client, and closes the client.

        Args:
            work: what to do.
            writes: the action for which the connection may send writes. Without it the guard
                refuses all but reads, in every mode.

        SIGTERM ends it as Ctrl+C does, also while Redis does not answer.

        Raises:
            CommandError: the action is not allowed on this server.
            RedisFault: any error of Redis or the network, as one line.
            KeyboardInterrupt: it was interrupted.
        """
        import asyncio
        import signal
        import threading

        async def asked() -> T:
            # asyncio does so for SIGINT alone, which a process in the background may ignore. Only
            # the main thread can take signals.
            task = asyncio.current_task()
            if task and threading.current_thread() is threading.main_thread():
                asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
            return await self.asked(work, writes=writes)

        try:
            return asyncio.run(asked())
        except asyncio.CancelledError:
            raise KeyboardInterrupt from None

    async def asked(
        self, work: Callable[[Client], Coroutine[None, None, T]], *, writes: Verb | None = None
    ) -> T:
        """Does what `ask` does, for a caller inside an event loop."""
        from qtui.bullmq.connection.client import explain, open_client
        from qtui.bullmq.connection.faults import Unreachable
        from qtui.bullmq.connection.trouble import RAISED

        if writes is not None and (why := forbidden(self.settings, writes)):
            raise CommandError(why, READ_ONLY)
        try:
            client = await open_client(self.target, read_only=writes is None)
            try:
                if writes is not None:
                    guarded = self.settings.guarded(await self.cluster_guards(client))
                    if why := forbidden(guarded, writes):
                        raise CommandError(why, READ_ONLY)
                return await work(client)
            finally:
                await client.aclose()
        except RAISED as error:
            fault = explain(error, self.target)
            if isinstance(fault, Unreachable) and not self.settings.has_address:
                fault = Unreachable(f"{fault}{_NO_ADDRESS}")
            raise fault from None

    async def cluster_guards(self, client: Client) -> list[Marked]:
        """Returns what profiles say of a cluster by another of its nodes; nothing for the rest.

        Costs a look around of the cluster, where it is one and the client did not do so yet.
        """
        if not self.settings.marked:
            return []
        from qtui.bullmq.connection.client import nodes_of

        nodes = await nodes_of(client, replicas=True)
        if not nodes:
            return []
        from qtui.commands.shared.guarded import guards_of

        cluster = replace(self.target.as_cluster(), hosts=tuple(nodes))
        return guards_of(cluster, self.settings.marked)


def forbidden(settings: Settings, verb: Verb) -> str:
    """Returns why an action may not be carried out, in a line; empty if it may."""
    if settings.read_only:
        by = settings.read_only_by
        why = f" (the profile {by} marks this server read-only)" if by else ""
        return f"read-only mode{why}: cannot {verb.does}; --dry-run shows what would happen"
    if verb in settings.allow:
        return ""
    by = settings.allow_by
    whose = f"the profile {by}" if by else "the config file"
    names = ", ".join(one for one in Verb if one in settings.allow)
    return f"{verb} is not allowed here: {whose} allows {names}; --dry-run shows what it would do"


def run(flags: Flags, command: Callable[[Workplace], int], *, on_screen: bool = False) -> int:
    """Runs a command and returns its exit code; prints on stderr, in one line, why it ended early.

    Args:
        flags: the options before the command.
        command: what to do; returns the exit code.
        on_screen: the command paints a screen, on stderr as Textual does, and reads keys.
    """
    from qtui.bullmq.connection.faults import RedisFault
    from qtui.commands.shared.output import OutputClosed, Paper, is_terminal

    out, err = Paper(sys.stdout), Paper(sys.stderr, vital=False)
    try:
        try:
            if on_screen and not (is_terminal(sys.stdin) and out.is_terminal and err.is_terminal):
                raise CommandError(
                    "the inspector needs a terminal; commands such as `qtui queues` do not", USAGE
                )
            with ExitStack() as stack:
                place = _open(flags, stack, out, err)
                if place.settings.tls_insecure and not on_screen:
                    err.line(
                        "qtui: --tls-insecure: the server's certificate is not checked; anyone in"
                        " between can read and change the traffic, the password included"
                    )
                code = command(place)
            out.flush()
            return code
        except CommandError as error:
            message, code = str(error), error.code
        except RedisFault as fault:
            message, code = str(fault), fault.exit_code
        except KeyboardInterrupt:
            message, code = "interrupted", INTERRUPTED
        out.flush()
        err.line(f"qtui: {plain(message)}")
    except OutputClosed as closed:
        if not str(closed):
            return DONE
        err.line(f"qtui: {plain(str(closed))}")
        code = NOT_ALL
    err.flush()
    return code


def print_text(text: str) -> int:
    """Prints a text that needs no settings; returns the exit code."""
    from qtui.commands.shared.output import OutputClosed, Paper

    out, err = Paper(sys.stdout), Paper(sys.stderr, vital=False)
    try:
        out.write(text)
        out.flush()
    except OutputClosed as closed:
        if str(closed):
            err.line(f"qtui: {closed}")
        return NOT_ALL if str(closed) else DONE
    return DONE


def _open(flags: Flags, stack: ExitStack, out: Paper, err: Paper) -> Workplace:
    """The workplace that flags, environment and configuration file ask for; starts the demo."""
    settings, note, journal = _settings(flags), "", journal_folder()
    if flags.demo:
        from qtui import demo
        from qtui.demo.server import ServerError

        try:
            url = stack.enter_context(demo.start()).url
        except ServerError as error:
            raise CommandError(str(error), REDIS) from None
        prefixes = flags.prefixes or ("bull",)
        settings = replace(
            settings.without_ways(), redis=url, prefixes=prefixes, queues=flags.queues, profile=""
        )
        note = "demo: quitting removes the server and its data"
        journal = Path(stack.enter_context(TemporaryDirectory(prefix="qtui-journal-")))
    elif settings.tls_insecure:
        note = "the server's certificate is not checked"
    target = _target(settings)
    if settings.marked and not settings.read_only and not flags.demo:
        from qtui.commands.shared.guarded import guards_of

        settings = settings.guarded(guards_of(target, settings.marked))
    return Workplace(settings=settings, target=target, out=out, err=err, journal=journal, note=note)


def _target(settings: Settings) -> Target:
    from qtui.bullmq.connection.target import Reach, parse_target

    target = parse_target(settings.redis)
    surroundings = Reach(
        announced=settings.announced,
        tls_ca=settings.tls_ca,
        tls_cert=settings.tls_cert,
        tls_key=settings.tls_key,
        tls_server_name=settings.tls_server_name,
        tls_insecure=settings.tls_insecure,
    )
    return surroundings.of(target)


def _settings(flags: Flags) -> Settings:
    from qtui.settings import SettingsError, load

    given = asdict(flags)
    if flags.demo:
        # The demo's address is not known yet; other sources of an address must not be read.
        given["redis"] = "demo"
    try:
        return load(given, os.environ, Path(flags.config) if flags.config else None)
    except SettingsError as error:
        raise CommandError(str(error), USAGE) from None
