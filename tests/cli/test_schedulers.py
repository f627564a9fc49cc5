"""`qtui schedulers` lists schedulers, and runs, removes and revives them; an undo takes it back."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cli.stage import Outcome, Stage, connect, digest, invoke, play

HOUR = 3_600_000


async def schedulers(stage: Stage) -> None:
    """One that is dead by a drain of BullMQ's (D1), and one that waits for its time."""
    await stage.add(2)
    template = {"a": 1}
    await stage.queue.upsertJobScheduler("hourly", {"every": HOUR}, "tick", template)
    night = {"pattern": "0 3 * * *", "tz": "Europe/Berlin"}
    await stage.queue.upsertJobScheduler("nightly", night, "\x1b[31mnight", {"b": 2})
    await stage.queue.drain()


@pytest.fixture
def url(redis_url: str) -> str:
    """The server with both schedulers."""
    play(redis_url, schedulers)
    return redis_url


def qtui(url: str, *args: str) -> Outcome:
    return invoke("--redis", url, *args)


def listed(url: str) -> dict[str, dict[str, Any]]:
    """The schedulers as JSON, by id."""
    found = qtui(url, "schedulers", "payments", "--json")
    return {one["id"]: one for one in found.objects}


def keys(url: str) -> dict[str, object]:
    """What the queue holds besides events, markers and counters."""
    left = ("events", "marker", "id", "meta")
    with connect(url) as client:
        names = [key for key in sorted(client.keys("bull:*")) if key.split(":")[2] not in left]
        return {key: _value(client, key) for key in names}


def _value(client: Any, key: str) -> object:
    kind = client.type(key)
    if kind == "hash":
        return client.hgetall(key)
    if kind == "zset":
        return client.zrange(key, 0, -1, withscores=True)
    return client.lrange(key, 0, -1) if kind == "list" else client.get(key)


def test_what_is_dead_is_loud_and_the_rest_is_quiet(url: str) -> None:
    before = digest(url)
    found = qtui(url, "schedulers", "payments")
    assert found.code == 0
    _, hourly, nightly = found.out.splitlines()
    assert "▲ dead: iteration in no state" in hourly
    assert "every 1 h" in hourly
    assert "0 3 * * * Europe/Berlin" in nightly
    assert "▲" not in nightly
    assert "\x1b" not in found.out
    assert "1 dead" in found.err
    assert digest(url) == before
    everywhere = qtui(url, "schedulers", "*")
    assert everywhere.out.splitlines()[1].startswith("payments  hourly")


def test_scripts_read_every_fact(url: str) -> None:
    found = listed(url)
    hourly = found["hourly"]
    assert (hourly["condition"], hourly["every"], hourly["pattern"]) == ("dead", HOUR, None)
    assert hourly["iteration"]["state"] is None
    nightly = found["nightly"]
    assert (nightly["condition"], nightly["tz"]) == ("scheduled", "Europe/Berlin")
    assert nightly["iteration"]["due"] == nightly["next"]
    [whole] = qtui(url, "schedulers", "payments", "hourly", "--json").objects
    assert whole["template"] == {"data": {"a": 1}, "opts": None}


def test_a_dead_one_is_revived_and_that_is_undone(url: str) -> None:
    before = keys(url)
    dry = qtui(url, "schedulers", "payments", "--revive", "--dry-run", "--json")
    assert dry.summary["dry_run"] is True
    assert keys(url) == before
    done = qtui(url, "schedulers", "payments", "--revive", "--yes", "--json", "--reason", "D1")
    assert done.code == 0
    assert done.objects[0] == {"id": "hourly", "code": 1, "target": "delayed"}
    assert done.summary["action"] == "schedulers"
    assert listed(url)["hourly"]["condition"] == "scheduled"
    assert qtui(url, "schedulers", "payments", "--revive", "--yes").code == 0, "none is dead"
    undone = qtui(url, "undo", done.summary["journal"], "--yes")
    assert undone.code == 0
    assert keys(url) == before
    words = qtui(url, "journal").out
    assert "revive 1 scheduler" in words


def test_it_is_removed_with_its_iteration_and_comes_back(url: str) -> None:
    before = keys(url)
    done = qtui(url, "schedulers", "payments", "hourly", "nightly", "--remove", "--yes", "--json")
    assert done.code == 0
    assert {one["id"]: one["target"] for one in done.objects[:-1]} == {
        "hourly": None,
        "nightly": "delayed",
    }
    assert listed(url) == {}
    assert not any("repeat" in key for key in keys(url))
    assert qtui(url, "undo", "--yes").code == 0
    assert keys(url) == before
    assert qtui(url, "undo", "--yes").code != 0, "there is nothing left to undo"


def test_it_runs_now_as_a_plain_job(url: str) -> None:
    before = keys(url)
    done = qtui(url, "schedulers", "payments", "nightly", "--run-now", "--yes", "--json")
    assert done.code == 0
    job_id = done.objects[0]["id"]
    assert done.objects[0] == {"id": job_id, "code": 1, "target": "wait"}
    with connect(url) as client:
        job = client.hgetall(f"bull:payments:{job_id}")
    assert (job["name"], job["data"]) == ("\x1b[31mnight", '{"b":2}')
    assert "rjk" not in job
    assert "repeat" not in job["opts"]
    assert listed(url)["nightly"]["condition"] == "scheduled"
    assert qtui(url, "undo", "--yes").code == 0
    assert keys(url) == before


def test_a_job_that_has_begun_is_not_taken_back(url: str) -> None:
    done = qtui(url, "schedulers", "payments", "nightly", "--run-now", "--yes", "--json")
    job_id = done.objects[0]["id"]

    async def take(stage: Stage) -> None:
        while (await stage.active()).id != job_id:
            pass

    play(url, take)
    undone = qtui(url, "undo", "--yes", "--json")
    assert undone.code == 1
    assert undone.objects[0]["code"] == -3


def test_what_can_t_be_done_says_so(url: str) -> None:
    lively = qtui(url, "schedulers", "payments", "nightly", "--revive", "--yes", "--json")
    assert lively.code == 0, "as it was asked for"
    assert lively.objects[0]["code"] == -3
    assert "not dead" in lively.objects[0]["error"]
    assert qtui(url, "schedulers", "payments", "nix", "--remove", "--yes").code == 1
    assert qtui(url, "schedulers", "payments", "nix").code == 1
    for wrong in (
        ("payments", "--remove"),
        ("payments", "nightly", "hourly", "--run-now", "--yes"),
        ("*", "nightly", "--remove"),
        ("payments", "--yes"),
        ("nowhere",),
        ("payments", "nightly", "--remove"),
    ):
        assert qtui(url, "schedulers", *wrong).code == 2, wrong
    before = digest(url)
    refused = qtui(url, "--read-only", "schedulers", "payments", "nightly", "--remove", "--yes")
    assert refused.code == 4
    planned = qtui(url, "--read-only", "schedulers", "payments", "nightly", "--remove", "--dry-run")
    assert planned.code == 0
    assert digest(url) == before


def test_two_ways_at_once_are_refused(url: str) -> None:
    before = digest(url)
    done = qtui(url, "schedulers", "payments", "nightly", "--remove", "--run-now", "--yes")
    assert done.code == 2
    assert "pass one of --run-now, --remove and --revive" in done.err
    assert digest(url) == before


def test_the_undo_of_a_removal_is_named_as_such(url: str) -> None:
    assert qtui(url, "schedulers", "payments", "nightly", "--remove", "--yes").code == 0
    done = qtui(url, "undo", "--yes")
    assert "Undo the removal of scheduler nightly in bull:payments" in done.err
    assert "1 of 1 scheduler undone" in done.out
    again = qtui(url, "undo", "--yes")
    assert again.code == 1
    assert "is undone already; to take back an undo, pass its id" in again.err
