"""Opens the inspector: paints first, then imports what it needs and asks Redis.

Errors that can be known before the screen is painted end it before.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import threading
from collections.abc import Mapping
from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING, Final

from qtui.bullmq.connection.faults import RedisFault
from qtui.commands.shared.run import USAGE, CommandError, Workplace
from qtui.folders import theme_file
from qtui.text import plain
from qtui.ui.actions import ACTIONS, RETIRED
from qtui.ui.app import QtuiApp
from qtui.ui.screens.connecting import Opening
from qtui.ui.themes import THEMES

if TYPE_CHECKING:
    from qtui.bullmq.connection.client import Client, Server, Target
    from qtui.settings import Marked
    from qtui.ui.session import Session

_CLIENT: Final = "qtui.bullmq.connection.client"
_ROWS: Final = ("qtui.commands.inspector.session", "qtui.ui.inspector.screen")
"""What is imported behind the first frame, while Redis is asked."""

_KEYS: Final = (
    "qtui.ui.details.job",
    "qtui.ui.inspector.opening",
    "qtui.ui.inspector.plans.editing",
    "qtui.ui.inspector.error_groups",
    "qtui.ui.screens.find",
    "qtui.ui.widgets.filter_line",
    "qtui.ui.dialogs.help",
    "qtui.ui.dialogs.stop",
    "qtui.ui.clipboard.copied",
    "qtui.commands.inspector.campaigns",
)
"""What is imported behind the first rows, so that the first key finds it there."""


def inspect(place: Workplace) -> int:
    """Runs the inspector until the user quits."""
    _check_keys(place.settings.keys)
    _check_theme(place.settings.theme)
    opening = Opening(
        settings=place.settings,
        shown=place.target.shown,
        session=lambda: open_session(place),
        failures=(RedisFault, CommandError),
        behind=lambda: _imported(*_KEYS),
    )
    app = QtuiApp(opening, theme_file=theme_file())
    asyncio.run(app.run_async())
    if app.failure is not None:
        raise app.failure
    return app.return_code or 0


async def open_session(place: Workplace) -> Session:
    """The session, once the server has said what it is.

    Modules are imported in a thread, one after the other, so that keys are read meanwhile, and
    while Redis is asked.

    Raises:
        RedisFault: the server is unreachable or refuses, or it can't hold queues.
        CommandError: profiles contradict each other.
    """
    await _imported(_CLIENT)
    met, _ = await asyncio.gather(
        place.asked(lambda client: _meet(client, place)), _imported(*_ROWS)
    )
    _collect_again()
    from qtui.commands.inspector.session import session_of

    return session_of(place, *met)


def _collect_again() -> None:
    """Turns the garbage collector on; it never looks at what was imported, which stays.

    Looking for garbage among modules takes a sixth of the start, and later, again and again, as
    long as twenty keys.
    """
    gc.freeze()
    gc.enable()


async def _imported(*names: str) -> None:
    """Imports modules in a thread of its own, for which the end of the program does not wait."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()

    def finish(error: Exception | None) -> None:
        if done.done():
            return
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)

    def work() -> None:
        fault = None
        try:
            for name in names:
                import_module(name)
        except Exception as error:  # raised where it is waited for
            fault = error
        with contextlib.suppress(RuntimeError):  # the loop is closed: nothing waits for it any more
            loop.call_soon_threadsafe(finish, fault)

    threading.Thread(target=work, daemon=True, name="qtui-imports").start()
    await done


async def _meet(client: Client, place: Workplace) -> tuple[Server, Target, list[Marked]]:
    """The server, the target (a cluster if it is one), and what profiles say of its nodes."""
    from qtui.bullmq.connection.client import identify, nodes_of

    server, target = await identify(client), place.target
    nodes = await nodes_of(client)
    if not nodes:
        return server, target, []
    return server, target.as_cluster(nodes), await place.cluster_guards(client)


def _check_theme(name: str | None) -> None:
    if name is not None and name not in THEMES:
        near = get_close_matches(name, THEMES, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise CommandError(
            f"unknown theme {plain(name)} in the config file: {hint}themes are {', '.join(THEMES)}",
            USAGE,
        )


def _check_keys(keys: Mapping[str, str]) -> None:
    known = [action.id for action in ACTIONS]
    for name in keys:
        if name not in known and name not in RETIRED:
            near = get_close_matches(name, known, n=1)
            hint = f'; did you mean "{near[0]}"?' if near else ""
            raise CommandError(
                f'[keys] in the config file: unknown action "{plain(name)}"{hint}', USAGE
            )
