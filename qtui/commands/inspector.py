"""Opens the inspector. What can be known before the screen is painted goes wrong before it is."""

from __future__ import annotations

from collections.abc import Callable

from qtui.bullmq.connection import Client, connect, identify
from qtui.commands.run import REDIS, Place, Stop
from qtui.retry.campaign import Campaign
from qtui.retry.plan import Plan, Resets
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
    client = connect(place.target, read_only=place.settings.read_only)
    app = QtuiApp(
        Session(
            settings=place.settings,
            target=place.target,
            client=client,
            server=server,
            campaign=None if place.settings.read_only else _campaigns(client),
            note=place.note,
        )
    )
    app.run()
    return app.return_code or 0


def _campaigns(client: Client) -> Callable[[Plan, Resets], Campaign]:
    from qtui.bullmq.writer import Writer

    writer = Writer(client)
    return lambda plan, resets: Campaign(client, writer, plan, resets)
