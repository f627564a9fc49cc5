"""Random walks of pauses, resumes, adds and retries, ours and the release's own: no job is lost.

By default a short walk or two a release; with `--oracle-releases=all` many longer ones.
"""

from __future__ import annotations

import random

import pytest

from tests.oracle.conftest import Drivers
from tests.oracle.plugin import OPTION
from tests.oracle.releases import named
from tests.oracle.stage import Side, Stage, job
from tests.oracle.test_pausing import Hand, hand

__all__ = ["hand"]

_STEPS = 20


def _is_paused(side: Side) -> bool:
    return bool(side.client.hexists(side.key("meta"), "paused"))


def _assert_all_there(side: Side, added: list[str]) -> None:
    census = side.census()
    assert {one: len(census.get(one, [])) for one in added} == dict.fromkeys(added, 1)


def _walks(pytestconfig: pytest.Config) -> int:
    return 8 if pytestconfig.getoption(OPTION, default=None) == "all" else 1


def test_one_release_and_qtui_in_any_order_lose_no_job_and_keep_the_order(
    stage: Stage, hand: Hand, drivers: Drivers, pytestconfig: pytest.Config
) -> None:
    side = stage.ours
    for walk in range(_walks(pytestconfig)):
        chance = random.Random(f"{stage.release.name} {walk}")
        drivers.close_all()  # a queue that is opened anew writes its meta again
        side.client.flushdb()
        side.seed([job("ran", "ok")])
        added: list[str] = []
        for _ in range(_STEPS):
            match chance.choice(["add", "add", "pause", "resume", "their pause", "their resume"]):
                case "add":
                    added += side.run("add", jobs=[job("w") for _ in range(chance.randint(1, 3))])
                case "pause":
                    hand.step("pause", side)
                case "resume":
                    hand.step("resume", side)
                case "their pause":
                    side.run("pause")
                case "their resume":
                    side.run("resume")
            _assert_all_there(side, added)
        hand.step("resume", side)
        assert not _is_paused(side)
        side.work_off(added)


@pytest.mark.parametrize("oracle_server", ["redis"], indirect=True)
@pytest.mark.parametrize("owner", ["4.18.3", "5.81.5", "6.7.0"])
def test_whichever_releases_add_and_pause_our_resume_finds_every_job(
    bare_stage: Stage,
    hand: Hand,
    drivers: Drivers,
    owner: str,
    pytestconfig: pytest.Config,
) -> None:
    """A release before 6 must not pause what is paused, nor resume: each may lose jobs so (D13)."""
    names = ("4.18.3", "5.81.5", "6.7.0")
    for walk in range(_walks(pytestconfig)):
        sides = [bare_stage.ours.other(drivers.get(named(one)), named(one)) for one in names]
        side = sides[names.index(owner)]
        chance = random.Random(f"{owner} {walk}")
        drivers.close_all()  # a queue that is opened anew writes its meta again
        side.client.flushdb()
        ran = side.seed([job("ran", "fail") for _ in range(3)])
        added: list[str] = []
        for _ in range(_STEPS):
            match chance.choice(["add", "add", "pause", "resume", "their pause", "open", "retry"]):
                case "add":
                    added += chance.choice(sides).run("add", jobs=[job("w"), job("w")])
                case "pause":
                    hand.step("pause", side)
                case "resume":
                    hand.step("resume", side)
                case "their pause" if not _is_paused(side):
                    chance.choice(sides).run("pause")
                case "open":  # as another process that opens the queue writes it
                    version = f"bullmq:{chance.choice(names)}"
                    side.client.hset(side.key("meta"), "version", version)
                case "retry" if ran:
                    bare_stage.retry([ran[-1]])
                    added.append(ran.pop())
            _assert_all_there(side, [*added, *ran])
        hand.step("resume", side)
        side.assert_each_in_one_place()
        side.work_off(added, in_order=False)
