"""Every command on every kind of server: the same queues give the same answers."""

from __future__ import annotations

import pytest

from tests.bullmq.topologies import Topologies, Topology
from tests.cli.stage import Json, invoke
from tests.kinds import NAMES, fill


@pytest.fixture(params=Topologies.KINDS)
def kind(topologies: Topologies, request: pytest.FixtureRequest) -> Topology:
    """One kind of server, with the queues of `tests.kinds`."""
    topology = topologies.get(request.param)
    fill(topology)
    return topology


def asked(kind: Topology, *words: str) -> list[dict[str, Json]]:
    """What a command that must succeed prints as JSON."""
    outcome = invoke("--redis", kind.url, *words, "--json")
    assert (outcome.code, outcome.err) == (0, ""), outcome
    return outcome.objects


def test_queues_are_found_and_counted(kind: Topology) -> None:
    queues = {one["name"]: one for one in asked(kind, "queues")}
    assert set(queues) == set(NAMES)
    first = queues["{a}"]
    counts = {state: number for state, number in first["counts"].items() if number}
    assert counts == {"failed": 3, "completed": 2, "waiting": 2, "delayed": 1}
    assert [one["workers"] for one in queues.values()] == [0, 0, 0, 0]


def test_jobs_are_listed_filtered_and_exported(kind: Topology) -> None:
    def ids(*words: str) -> list[str]:
        return [one["id"] for one in asked(kind, "jobs", "{b}", *words)]

    assert ids() == ["2", "1", "0"]
    assert ids("--oldest-first", "--limit", "1") == ["0"]
    assert ids("--state", "waiting") == ["w1", "w0"]
    assert ids("--state", "delayed") == ["later"]
    assert ids("--filter", "error:econnrefused id=1") == ["1"]
    [done, _] = asked(kind, "jobs", "{c}", "--state", "completed", "--fields", "id,return,data")
    assert (done["id"], done["returnvalue"], done["data"]) == ("c1", {"ok": True}, {"n": 1})


def test_a_job_is_found_and_shown(kind: Topology) -> None:
    [only] = asked(kind, "show", "*", "only")
    assert (only["queue"], only["state"]) == ("bull:{d}", "failed")
    [waits] = asked(kind, "show", "{a}", "w0")
    assert waits["state"] == "waiting"


def test_errors_are_grouped_over_all_queues(kind: Topology) -> None:
    [group] = asked(kind, "errors", "*")
    assert group["count"] == 13
    assert set(group["queues"]) == {f"bull:{name}" for name in NAMES}


def test_a_flow_is_shown(kind: Topology) -> None:
    [job] = asked(kind, "flow", "{b}", "1")
    assert (job["id"], job["state"]) == ("1", "failed")


def test_jobs_are_planned_retried_and_remembered(kind: Topology) -> None:
    planned = asked(kind, "retry", "{d}", "--all", "--dry-run")
    assert planned[-1]["summary"]["selected"] == 4
    done = asked(kind, "retry", "{d}", "--filter", "id:only", "--yes")
    summary = done[-1]["summary"]
    assert (summary["selected"], summary["retried"]) == (1, 1)
    with kind.writer() as writer:
        assert writer.lrange("bull:{d}:wait", 0, -1) == ["only", "w1", "w0"]
        assert writer.zscore("bull:{d}:failed", "only") is None
    [remembered] = asked(kind, "journal")
    assert remembered["id"] == summary["journal"]


def test_a_queue_that_is_not_there_is_answered_with_those_that_are(kind: Topology) -> None:
    outcome = invoke("--redis", kind.url, "jobs", "nope")
    assert outcome.code == 2
    assert 'no queue "nope" under bull:*; the queues are: {a}, {b}, {c}, {d}' in outcome.err


def test_a_sentinel_that_is_taken_for_a_server_says_so(topologies: Topologies) -> None:
    sentinel = topologies.get("sentinel").sentinel
    assert sentinel is not None
    for command in (["queues"], ["errors", "*"], ["show", "payments", "1"]):
        done = invoke("--redis", f"redis://127.0.0.1:{sentinel.port}", *command)
        assert (done.code, done.out) == (3, "")
        assert "is a Sentinel and holds no queues: write redis+sentinel://" in done.err
