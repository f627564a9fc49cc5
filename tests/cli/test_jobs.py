"""`qtui jobs` lists any window of a state, in constant memory."""

from __future__ import annotations

import subprocess

import pytest

from tests.cli.stage import Stage, command, connect, failed, invoke, many_failed, play
from tests.patience import PATIENCE


def listed(url: str, *args: str) -> list[object]:
    return [job["id"] for job in invoke("--redis", url, "jobs", *args, "--json").objects]


def test_a_failed_job_is_reported_field_by_field(redis_url: str) -> None:
    async def act(stage: Stage) -> None:
        await stage.add(1, attempts=1, priority=7)
        await stage.fail(1, "connect ECONNREFUSED 10.0.0.7:5432")

    play(redis_url, act)
    [job] = invoke("--redis", redis_url, "jobs", "payments", "--json").objects
    times = {name: job.pop(name) for name in ("timestamp", "processed_on", "finished_on")}
    assert all(isinstance(moment, int) for moment in times.values())
    assert job == {
        "id": "1",
        "queue": "bull:payments",
        "state": "failed",
        "name": "charge",
        "attempts_made": 1,
        "attempts_started": 1,
        "attempts": 1,
        "priority": 7,
        "delay": 0,
        "failed_reason": "connect ECONNREFUSED 10.0.0.7:5432",
        "parent": None,
        "missing": False,
        "garbled": [],
    }


def test_a_return_value_is_json_when_it_is_small_and_a_size_when_it_is_not(redis_url: str) -> None:
    async def act(stage: Stage) -> None:
        await stage.add(3)
        await stage.complete(1, {"sent": True})
        await stage.complete(1, "x" * 5000)
        await stage.complete(1, 0)

    play(redis_url, act)
    with connect(redis_url) as client:
        client.hset("bull:payments:3", "returnvalue", "NaN")
    done = invoke("--redis", redis_url, "jobs", "payments", "--state", "completed", "--json")
    broken, large, small = done.objects
    assert (small["returnvalue"], small["returnvalue_size"]) == ({"sent": True}, 13)
    assert (large["returnvalue"], large["returnvalue_size"]) == (None, 5002)
    assert (broken["returnvalue"], broken["garbled"]) == ("NaN", ["returnvalue"])


def test_the_window_has_an_order_an_offset_and_a_limit(redis_url: str) -> None:
    ids = [str(number) for number in range(1001, 1451)]
    many_failed(redis_url, ids)
    newest = ids[::-1]
    assert listed(redis_url, "payments") == newest[:50]
    assert listed(redis_url, "payments", "--limit", "1000") == newest
    assert listed(redis_url, "payments", "--limit", "300", "--offset", "149") == newest[149:449]
    oldest = ("--oldest-first", "--limit", "250", "--offset", "10")
    assert listed(redis_url, "payments", *oldest) == ids[10:260]
    assert listed(redis_url, "payments", "--limit", "0") == []
    assert listed(redis_url, "payments", "--offset", "450") == []


@pytest.mark.parametrize(
    ("state", "ids"),
    [
        ("waiting", ["7", "8"]),
        ("active", ["5"]),
        ("delayed", ["6"]),
        ("completed", ["3", "4"]),
        ("failed", ["1", "2"]),
        ("prioritized", ["9", "10"]),
        ("paused", []),
        ("waiting-children", []),
    ],
)
def test_every_state_can_be_listed(redis_url: str, state: str, ids: list[str]) -> None:
    async def act(stage: Stage) -> None:
        await stage.add(5)
        await stage.fail(2)
        await stage.complete(2, None)
        await stage.active()
        await stage.add(1, delay=60_000)
        await stage.add(2)
        await stage.add(2, priority=1)

    play(redis_url, act)
    assert listed(redis_url, "payments", "--state", state, "--oldest-first") == ids
    done = invoke("--redis", redis_url, "jobs", "payments", "--state", state)
    assert [line.split()[0] for line in done.out.splitlines()[1:]] == ids[::-1]
    assert done.err == ("" if ids else f"no {state} jobs in bull:payments\n")
    assert done.code == 0


def test_an_id_whose_job_is_gone_is_listed_as_such(redis_url: str) -> None:
    failed(redis_url, 1)
    with connect(redis_url) as client:
        client.delete("bull:payments:1")
    [job] = invoke("--redis", redis_url, "jobs", "payments", "--json").objects
    assert job["missing"]
    assert (job["name"], job["attempts"], job["timestamp"]) == (None, None, None)
    assert "hash is gone" in invoke("--redis", redis_url, "jobs", "payments").out


def test_a_child_names_its_parent_so_that_it_can_be_shown(redis_url: str) -> None:
    async def act(stage: Stage) -> None:
        await stage.add(1, parent={"id": "order-9", "queue": "bull:orders"})
        await stage.fail(1)

    with connect(redis_url) as client:
        client.hset("bull:orders:order-9", "name", "order")
    play(redis_url, act)
    [job] = invoke("--redis", redis_url, "jobs", "payments", "--json").objects
    assert job["parent"] == {"queue": "bull:orders", "id": "order-9"}


def test_the_table_is_aligned(redis_url: str) -> None:
    ids = ["7", "1234567"]
    many_failed(redis_url, ids)
    head, *rows = invoke("--redis", redis_url, "jobs", "payments").out.splitlines()
    for column in ("name", "error"):
        assert [row[head.index(column) - 1] for row in rows] == [" ", " "]
        assert all(row[head.index(column)] != " " for row in rows)


def test_rows_are_printed_while_the_rest_is_not_yet_read(redis_url: str) -> None:
    many_failed(redis_url, [str(number) for number in range(1000, 4000)])
    with connect(redis_url) as client:
        client.config_resetstat()
        args = command("--redis", redis_url, "jobs", "payments", "--limit", "3000", "--json")
        with subprocess.Popen(args, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stdout.readline().startswith(b'{"id": "3999"')
            # The pipe is full now, and nothing but it holds rows.
            assert client.info("commandstats")["cmdstat_sort_ro"]["calls"] < 5
            assert len(process.stdout.readlines()) == 2999
            assert process.wait(PATIENCE) == 0


def test_a_reader_that_has_seen_enough_is_no_error(redis_url: str) -> None:
    many_failed(redis_url, [str(number) for number in range(1000, 4000)])
    args = command("--redis", redis_url, "jobs", "payments", "--limit", "3000", "--json")
    with subprocess.Popen(args, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(PATIENCE) == 0
