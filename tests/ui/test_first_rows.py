"""The inspector's first frame: it has the first rows, or comes without them where Redis is slow."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import redis.asyncio
from typing_extensions import override

from qtui.bullmq.connection.client import connect, identify, open_client, parse_target
from qtui.commands.inspector.opening import open_session
from qtui.commands.inspector.session import make_session
from qtui.commands.shared.output import Paper
from qtui.commands.shared.run import Workplace
from qtui.settings import Settings
from qtui.ui.app import QtuiApp
from qtui.ui.inspector import screen
from qtui.ui.inspector.screen import Inspector
from qtui.ui.screens.connecting import Opening
from qtui.ui.session import Session
from tests.patience import PATIENCE
from tests.seeds import raw_failed
from tests.ui.driver import Driver


class Filmed(QtuiApp):
    """Keeps what the frames of the inspector show."""

    look: Callable[[], str] = str
    frames: tuple[str, ...] = ()

    @override
    def post_display_hook(self) -> None:
        super().post_display_hook()
        if isinstance(self.screen, Inspector):
            self.frames += (self.look(),)


async def _nothing() -> None:
    """All is imported."""


@asynccontextmanager
async def opened(
    redis_url: str, journal: Path, *, watched: str = ""
) -> AsyncIterator[tuple[Filmed, Driver]]:
    """A filmed app that makes its session behind the first frame, as the program does.

    Args:
        redis_url: the server that says what it is.
        journal: the folder of the journal.
        watched: the server that is looked at, if it is another one.
    """
    settings, filming = Settings().without_ways(), asyncio.Event()

    async def session() -> Session:
        await filming.wait()
        ours = await open_client(parse_target(redis_url), read_only=True)
        server = await identify(ours)
        await ours.aclose()
        target = parse_target(watched or redis_url)
        client = connect(target, read_only=True)
        return make_session(settings, target, client, server, journal=journal)

    opening = Opening(
        settings=settings, shown="redis://here", session=session, failures=(), behind=_nothing
    )
    app = Filmed(opening)
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        driver = Driver(app, pilot)
        app.look = driver.text
        filming.set()
        yield app, driver


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first frame waits for the first rows, however busy the machine is."""
    monkeypatch.setattr(screen, "FIRST_ROWS", PATIENCE)


@pytest.mark.usefixtures("patient")
async def test_the_first_frame_of_the_inspector_has_its_first_rows(
    redis_url: str, client: redis.asyncio.Redis, tmp_path: Path
) -> None:
    await raw_failed(client, ["88187"])
    async with opened(redis_url, tmp_path) as (app, driver):
        await driver.until(lambda: app.frames, "a frame")
        assert "88187" in app.frames[0]


@pytest.mark.usefixtures("patient")
async def test_it_comes_at_once_where_there_are_no_queues(redis_url: str, tmp_path: Path) -> None:
    async with opened(redis_url, tmp_path) as (app, driver):
        await driver.until(lambda: app.frames, "a frame")
        assert "No queues under bull:*" in app.frames[0]


async def test_it_comes_without_rows_where_redis_takes_its_time(
    redis_url: str, tmp_path: Path
) -> None:
    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with (
        await asyncio.start_unix_server(say_nothing, tmp_path / "silent"),
        opened(redis_url, tmp_path, watched=f"unix://{tmp_path}/silent") as (app, driver),
    ):
        await driver.until(lambda: app.frames, "a frame")
        assert "looking for queues" in app.frames[0]


async def test_garbage_is_collected_again_once_all_is_imported(
    redis_url: str, tmp_path: Path
) -> None:
    place = Workplace(
        settings=Settings(),
        target=parse_target(redis_url),
        out=Paper(sys.stdout),
        err=Paper(sys.stderr),
        journal=tmp_path,
    )
    gc.disable()
    try:
        session = await open_session(place)
        await session.client.aclose()
        assert gc.isenabled()
    finally:
        gc.enable()
        gc.unfreeze()
