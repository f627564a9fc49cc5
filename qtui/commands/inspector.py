"""Opens the inspector. What can be known before the screen is painted goes wrong before it is."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from difflib import get_close_matches

from qtui.bullmq.connection import Client, Server, connect, identify
from qtui.commands.run import REDIS, USAGE, Place, Stop
from qtui.retry.campaign import Campaign
from qtui.retry.record import Interrupted, Recorder
from qtui.text import plain
from qtui.ui.actions import ACTIONS
from qtui.ui.app import QtuiApp
from qtui.ui.session import Session


def inspect(place: Place) -> int:
    """Runs the inspector until it is left."""
    server = place.ask(identify)
    if server.mode == "sentinel":
        raise Stop(
            f"{place.target.shown} is a Sentinel and holds no queues:"
            " write redis+sentinel://host:port/master-name",
            REDIS,
        )
    _check_keys(place.settings.keys)
    client = connect(place.target, read_only=place.settings.read_only)
    app = QtuiApp(_session(place, client, server))
    app.run()
    return app.return_code or 0


def _check_keys(keys: Mapping[str, str]) -> None:
    known = [action.id for action in ACTIONS]
    for name in keys:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f'; did you mean "{near[0]}"?' if near else ""
            raise Stop(
                f'[keys] in the config file: no action is called "{plain(name)}"{hint}', USAGE
            )


def _session(place: Place, client: Client, server: Server) -> Session:
    where, folder = place.target.shown, place.journal
    session = Session(
        settings=place.settings,
        target=place.target,
        client=client,
        server=server,
        campaign=None,
        journal=folder,
        note=place.note,
    )
    if place.settings.read_only:
        return session
    from qtui.bullmq.writer import Writer

    writer, record = Writer(client), Recorder(folder, where, "the inspector")

    async def resume(name: str) -> Campaign:
        taken = await asyncio.to_thread(Interrupted.take, folder, name, where)
        return await taken.campaign(client, writer)

    return replace(
        session,
        campaign=lambda plan, resets, pace: Campaign(
            client, writer, plan, resets, pace, record=record
        ),
        resume=resume,
    )
