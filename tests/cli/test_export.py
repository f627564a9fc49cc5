"""`qtui jobs … --json`: any number of jobs, whole fields, in constant memory."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence

import pytest

from qtui.commands.shared.ndjson import EXPORT_FIELDS
from tests.calls import counted_calls
from tests.cli.stage import Stage, connect, digest, invoke, many_failed, play
from tests.patience import PATIENCE

_MEASURED = """
import os, resource, sys
from qtui.cli import main
try:
    main(sys.argv[1:], prog_name="qtui")
finally:
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(most if sys.platform == "darwin" else most * 1024, file=sys.stderr)
"""


def bytes_of(*args: str) -> tuple[int, int]:
    """Lines that a command printed, and the most memory that it had."""
    # A shell between: a process that is started from ours begins with our own peak.
    shell = ["sh", "-c", '"$@"; exit $?', "sh", sys.executable, "-P", "-c", _MEASURED, *args]
    done = subprocess.run(shell, capture_output=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.count(b"\n"), int(done.stderr.split()[-1])


async def payloads(stage: Stage) -> None:
    await stage.add(3, name="charge")
    await stage.fail(3, "Timeout of 5000ms exceeded" + "!" * 5000)


def asked(url: str, *more: str) -> Sequence[dict[str, object]]:
    done = invoke("--redis", url, "jobs", "payments", "--json", *more)
    assert (done.code, done.err) == (0, "")
    return done.objects


def test_just_the_fields_that_were_asked_for_whole(redis_url: str) -> None:
    play(redis_url, payloads)
    before = digest(redis_url)
    found = asked(redis_url, "--fields", "data,error,attempts_made,stack")
    assert [one["id"] for one in found] == ["3", "2", "1"]
    for one in found:
        names = ["id", "data", "failed_reason", "attempts_made", "stacktrace"]
        assert list(one) == [*names, "missing", "garbled"]
        assert one["data"] == {"n": int(str(one["id"])) - 1}
        assert one["failed_reason"] == "Timeout of 5000ms exceeded" + "!" * 5000
        assert one["attempts_made"] == 1
    assert digest(redis_url) == before


def test_garbage_and_orphans_are_reported_as_such(redis_url: str) -> None:
    play(redis_url, payloads)
    with connect(redis_url) as client:
        client.hset("bull:payments:2", "data", "{broken")
        client.delete("bull:payments:1")
    _, broken, orphan = asked(redis_url, "--fields", "data")
    assert broken == {"id": "2", "data": "{broken", "missing": False, "garbled": ["data"]}
    assert orphan["missing"] is True
    assert orphan["data"] is None


@pytest.mark.parametrize("how", [(), ("--filter", "charge"), ("--fields", "name")])
@pytest.mark.parametrize("oldest_first", [True, False])
def test_limit_and_offset_are_places_in_what_is_found(
    redis_url: str, how: tuple[str, ...], oldest_first: bool
) -> None:
    ids = [f"j{place}" for place in range(900)]
    many_failed(redis_url, ids)
    order = ids if oldest_first else ids[::-1]
    turned = ("--oldest-first",) if oldest_first else ()
    for offset, limit in ((0, 1), (3, 5), (240, 20), (700, 500), (899, 10), (900, 10), (0, 0)):
        window = ("--offset", str(offset), "--limit", str(limit))
        found = asked(redis_url, *how, *turned, *window)
        assert [one["id"] for one in found] == order[offset : offset + limit]


def test_filter_and_fields_and_window_together(redis_url: str) -> None:
    many_failed(redis_url, [f"j{place}" for place in range(900)])
    found = asked(redis_url, "--filter", "id:7", "--fields", "id", "--offset", "2", "--limit", "3")
    expected = [f"j{place}" for place in reversed(range(900)) if "7" in str(place)]
    assert [one["id"] for one in found] == expected[2:5]


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("--fields", "data"), "--fields needs --json"),
        (("--fields", "bogus", "--json"), 'unknown field "bogus"'),
        (("--fields", "", "--json"), "name at least one field"),
        (("--fields", " , ", "--json"), "name at least one field"),
        (("--filter", "", "--json"), "--filter"),
        (("--filter", "x", "--state", "waiting", "--oldest-first"), "--oldest-first"),
        (("--fields", "id", "--json", "--state", "waiting", "--oldest-first"), "--oldest-first"),
    ],
)
def test_wrong_use_is_reported(redis_url: str, args: tuple[str, ...], says: str) -> None:
    play(redis_url, payloads)
    done = invoke("--redis", redis_url, "jobs", "payments", *args)
    assert (done.code, done.out) == (2, "")
    assert says in done.err
    assert "Traceback" not in done.err


def test_no_match_is_silence_as_json_and_a_line_for_people(redis_url: str) -> None:
    play(redis_url, payloads)
    assert asked(redis_url, "--filter", "nothing", "--fields", "data") == []
    done = invoke("--redis", redis_url, "jobs", "payments", "--filter", "nothing")
    assert (done.code, done.out) == (0, "")
    assert "no failed jobs in bull:payments that match nothing" in done.err


def test_names_may_be_given_twice_and_with_blanks(redis_url: str) -> None:
    play(redis_url, payloads)
    [one] = asked(redis_url, "--fields", "name, name,error failed_reason", "--limit", "1")
    assert list(one) == ["id", "name", "failed_reason", "missing", "garbled"]
    assert json.dumps(one)


def test_a_job_costs_no_command_of_its_own_and_few_calls(redis_url: str) -> None:
    def cost() -> tuple[int, int, int]:
        """Jobs, commands and calls of Python."""
        with connect(redis_url) as client:
            client.config_resetstat()
            with counted_calls() as calls:
                found = asked(redis_url, "--limit", "1000000", "--fields", "name,data")
            ran = client.info("commandstats").values()
            return len(found), sum(one["calls"] for one in ran), calls.count

    many_failed(redis_url, [str(place) for place in range(1, 501)])
    cost()  # what is loaded for the first time is loaded by now
    few, commands, calls = cost()
    many_failed(redis_url, [str(place) for place in range(501, 3001)])
    many, more_commands, more_calls = cost()
    assert (few, many) == (500, 3000)
    assert (more_commands - commands) / (many - few) < 0.02
    assert (more_calls - calls) / (many - few) < 11


def test_what_is_not_printed_is_not_read(redis_url: str) -> None:
    many_failed(redis_url, [str(place) for place in range(300)])
    with connect(redis_url) as client:
        with client.pipeline(transaction=False) as pipe:
            for place in range(300):
                pipe.hset(f"bull:payments:{place}", "failedReason", "x" * 1000)
            pipe.execute()

        def read(fields: str) -> int:
            """Bytes that Redis sent of each job."""
            client.config_resetstat()
            assert len(asked(redis_url, "--limit", "1000", "--fields", fields)) == 300
            return int(client.info("stats")["total_net_output_bytes"]) // 300

        assert read("id,name") < 100
        assert read("error") > 1000


@pytest.mark.parametrize("member", [one for one in EXPORT_FIELDS if one != "parent"])
def test_a_member_is_the_same_whatever_else_is_printed(redis_url: str, member: str) -> None:
    play(redis_url, payloads)
    with connect(redis_url) as client:
        numbers = {"ats": 2, "atm": 1, "priority": 5, "delay": 70, "processedOn": 9}
        client.hset("bull:payments:2", mapping={**numbers, "opts": '{"attempts":4}'})
        client.hset("bull:payments:2", mapping={"progress": "50", "returnvalue": "[1]"})
    alone = [one[member] for one in asked(redis_url, "--fields", member)]
    beside = [one[member] for one in asked(redis_url, "--fields", ",".join(EXPORT_FIELDS))]
    assert alone == beside
    assert alone[1] not in (None, 0, "")


@pytest.mark.slow
@pytest.mark.parametrize("how", [("--filter", "charge"), ("--fields", "data"), ()])
def test_ten_times_the_jobs_take_no_more_memory(redis_url: str, how: tuple[str, ...]) -> None:
    many_failed(redis_url, [str(place) for place in range(1, 3001)])
    with connect(redis_url) as client, client.pipeline(transaction=False) as pipe:
        for place in range(1, 3001):
            pipe.hset(f"bull:payments:{place}", "data", json.dumps({"text": "x" * 300}))
        pipe.execute()

        def export() -> tuple[int, int]:
            ending = ("--json", "--limit", "1000000")
            about = ("--redis", redis_url, "--scan-rate", "0", "jobs", "payments")
            return bytes_of(*about, *how, *ending)

        few, least = export()
        for place in range(3001, 30_001):
            fields = {"name": "charge", "data": json.dumps({"text": "x" * 300}), "atm": 1}
            pipe.hset(f"bull:payments:{place}", mapping=fields)
            pipe.zadd("bull:payments:failed", {str(place): 1_700_000_000_000 + place})
        pipe.execute()
    many, most = export()
    assert (few, many) == (3000, 30_000)
    assert most - least < 4_000_000


@pytest.mark.slow
def test_a_campaign_over_all_takes_few_bytes_for_a_job(redis_url: str) -> None:
    peaks = []
    for jobs in (2000, 30_000):
        with connect(redis_url) as client:
            client.flushall()
        many_failed(redis_url, [str(place) for place in range(1, jobs + 1)])
        about = ("--redis", redis_url, "--scan-rate", "0", "retry", "payments", "--all", "--json")
        lines, planning = bytes_of(*about, "--dry-run")
        assert lines == jobs + 1
        lines, running = bytes_of(*about, "--yes")
        assert lines == jobs + 1
        peaks.append((planning, running))
    (few_planned, few_run), (planned, run) = peaks
    assert planned - few_planned < 4_000_000
    assert run - few_run < 4_000_000 + 400 * 28_000  # it follows each job
