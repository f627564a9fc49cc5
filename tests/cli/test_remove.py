"""`qtui remove`: the plan, the codes, what stays and why, and the undo."""

from __future__ import annotations

import json

import pytest

from tests.cli.stage import connect, digest, failed, invoke, many_failed, places


def test_failed_jobs_are_removed_and_come_back(redis_url: str) -> None:
    ids = failed(redis_url, 3)
    done = invoke(
        *("--redis", redis_url, "remove", "payments", *ids[:2], "--state", "failed"),
        *("--yes", "--json", "--reason", "poison"),
    )
    assert done.code == 0, done.err
    *lines, last = done.objects
    assert lines == [{"id": one, "code": 1, "target": "removed"} for one in ids[:2]]
    journal = last["summary"].pop("journal")
    assert last == {"summary": {"action": "remove", "selected": 2, "done": 2, "codes": {"1": 2}}}
    with connect(redis_url) as client:
        assert client.zrange("bull:payments:failed", 0, -1) == [ids[2]]
        assert not client.exists(*(f"bull:payments:{one}" for one in ids[:2]))
    back = invoke("--redis", redis_url, "undo", journal, "--yes", "--json")
    assert back.code == 0, back.err
    with connect(redis_url) as client:
        assert client.zrange("bull:payments:failed", 0, -1) == ids
    result = invoke("--redis", redis_url, "journal", journal)
    assert "poison" in result.out


def test_a_dry_run_writes_nothing_and_says_what_would_go(redis_url: str) -> None:
    ids = failed(redis_url, 2)
    before = digest(redis_url)
    words = ("remove", "payments", ids[0], "gone", "--state", "failed", "--dry-run")
    shown = invoke("--redis", redis_url, "--read-only", *words)
    assert shown.code == 1
    assert "Remove 2 failed jobs from bull:payments" in shown.err
    assert "1 job is gone already (-1)." in shown.err
    assert "1 of 2 jobs would be removed, 1 gone (-1)" in shown.out
    shown = invoke("--redis", redis_url, *words, "--json")
    assert shown.objects[0] == {"id": ids[0], "code": 1, "target": "removed"}
    assert shown.objects[1]["code"] == -1
    assert shown.summary["dry_run"] is True
    assert shown.summary["done"] == 0
    assert digest(redis_url) == before


def test_read_only_refuses_and_writes_nothing(redis_url: str) -> None:
    failed(redis_url, 1)
    before = digest(redis_url)
    words = ("remove", "payments", "--all", "--state", "failed", "--yes")
    refused = invoke("--redis", redis_url, "--read-only", *words)
    assert refused.code == 4
    assert "read-only mode: cannot remove jobs" in refused.err
    assert digest(redis_url) == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--all"], "no state given"),
        (["--state", "failed"], "exactly one way"),
        (["1", "--all", "--state", "failed"], "exactly one way"),
        (["--resume", "x", "--state", "failed"], "give no others"),
    ],
)
def test_what_is_not_clear_is_a_usage_error(redis_url: str, words: list[str], said: str) -> None:
    done = invoke("--redis", redis_url, "remove", "payments", *words, "--yes")
    assert done.code == 2
    assert said in done.err


def test_it_asks_for_a_yes_where_it_can_and_refuses_where_it_cannot(redis_url: str) -> None:
    failed(redis_url, 1)
    done = invoke("--redis", redis_url, "remove", "payments", "--all", "--state", "failed")
    assert done.code == 2
    assert "pass --yes or --dry-run" in done.err


def test_all_that_match_go_and_the_others_stay(redis_url: str) -> None:
    many_failed(redis_url, [str(number) for number in range(1, 121)])
    words = ("remove", "payments", "--state", "failed", "--filter", "id=7 | id=8", "--yes")
    done = invoke("--redis", redis_url, *words, "--json")
    assert done.code == 0, done.err
    assert sorted(one["id"] for one in done.objects[:-1]) == ["7", "8"]
    with connect(redis_url) as client:
        assert client.zcard("bull:payments:failed") == 118


def test_a_job_that_is_locked_stays_and_says_why(redis_url: str) -> None:
    [one] = failed(redis_url, 1)
    with connect(redis_url) as client:
        client.zrem("bull:payments:failed", one)
        client.lpush("bull:payments:active", one)
        client.set(f"bull:payments:{one}:lock", "token")
    words = ("remove", "payments", one, "--state", "active", "--yes")
    done = invoke("--redis", redis_url, *words, "--json")
    assert done.code == 1
    assert done.objects[0] == {"id": one, "code": 0, "error": "locked by a worker"}
    assert places(redis_url) == [one]


def test_a_job_that_no_undo_could_hold_stays_and_is_no_fault_of_redis(redis_url: str) -> None:
    ids = failed(redis_url, 2)
    with connect(redis_url) as client:
        client.rpush(f"bull:payments:{ids[0]}:logs", *["x" * 100_000] * 50)
    words = ("remove", "payments", *ids, "--state", "failed", "--yes", "--json")
    done = invoke("--redis", redis_url, *words)
    assert done.code == 1
    assert done.objects[0]["error"].startswith("no undo could bring it back: it is too large")
    assert done.objects[1]["code"] == 1
    done = invoke("--redis", redis_url, *words, "--without-undo")
    assert [one["code"] for one in done.objects[:-1]] == [1, -1]


def test_a_plan_counts_no_job_as_removed_that_stays_for_its_size(redis_url: str) -> None:
    """Alone it was called removed, with exit code 0."""
    [one, other] = failed(redis_url, 2)
    with connect(redis_url) as client:
        client.hset(f"bull:payments:{one}", "data", "x" * 4_100_000)
    before = digest(redis_url)
    words = ("--redis", redis_url, "remove", "payments")
    for asked in (["--dry-run"], ["--yes"]):
        for state in ([], ["--state", "failed"]):
            done = invoke(*words, one, *state, *asked, "--json")
            assert (done.code, digest(redis_url)) == (1, before)
            assert done.objects[0] == {"id": one, "code": 0, "error": "too large for an undo"}
    shown = invoke(*words, one, other, "--dry-run")
    assert "✗ 0 too large for an undo" in shown.err
    assert "1 of 2 jobs would be removed, 1 kept (0)" in shown.out
    anyway = invoke(*words, one, other, "--without-undo", "--dry-run", "--json")
    assert [line["code"] for line in anyway.objects[:-1]] == [1, 1]


def test_the_children_stay_unless_asked_for(redis_url: str) -> None:
    with connect(redis_url) as client:
        client.hset("bull:payments:meta", "opts.maxLenEvents", "10")
        client.hset("bull:payments:p", mapping={"name": "p", "timestamp": "1"})
        client.zadd("bull:payments:waiting-children", {"p": 1})
        client.sadd("bull:payments:p:dependencies", "bull:payments:c")
        parent = json.dumps({"id": "p", "queueKey": "bull:payments"})
        fields = {"name": "c", "timestamp": "1", "parentKey": "bull:payments:p", "parent": parent}
        client.hset("bull:payments:c", mapping=fields)
        client.lpush("bull:payments:wait", "c")
    words = ("remove", "payments", "p", "--state", "waiting-children")
    shown = invoke("--redis", redis_url, *words, "--dry-run")
    assert "1 job has 1 child, which stays and runs without a parent." in shown.err
    done = invoke("--redis", redis_url, *words, "--with-children", "--yes", "--json")
    assert done.code == 0, done.err
    assert done.objects[0]["target"] == "removed with 1 job below it"
    assert places(redis_url) == []
    result = invoke("--redis", redis_url, "journal", done.summary["journal"], "--json")
    assert "--with-children" in result.out


def test_a_parent_that_runs_is_named(redis_url: str) -> None:
    with connect(redis_url) as client:
        client.hset("bull:payments:meta", "opts.maxLenEvents", "10")
        client.hset("bull:payments:p", mapping={"name": "p", "timestamp": "1"})
        client.zadd("bull:payments:waiting-children", {"p": 1})
        client.sadd("bull:payments:p:dependencies", "bull:payments:c")
        fields = {"name": "c", "timestamp": "1", "parentKey": "bull:payments:p"}
        client.hset("bull:payments:c", mapping=fields)
        client.lpush("bull:payments:wait", "c")
    done = invoke("--redis", redis_url, "remove", "payments", "c", "--state", "waiting", "--yes")
    assert done.code == 0, done.err
    assert "1 parent loses the last child it waits for: it runs next" in done.err
    assert "✔ removed, its parent bull:payments:p runs" in done.out
    assert places(redis_url) == ["p"]


def test_a_job_in_no_state_is_removed_and_comes_back_as_it_was(redis_url: str) -> None:
    ids = failed(redis_url, 3)
    with connect(redis_url) as client:
        client.zrem("bull:payments:failed", *ids[:2])
        client.rpush(f"bull:payments:{ids[0]}:logs", "one", "two")
        jobs = [client.hgetall(f"bull:payments:{one}") for one in ids]
        before = digest(redis_url)
        shown = invoke("--redis", redis_url, "remove", "payments", *ids[:2], "gone", "--dry-run")
        assert "Remove 3 jobs in no state from bull:payments" in shown.err
        assert "2 jobs are in no state: no worker would ever run them." in shown.err
        assert (shown.code, digest(redis_url)) == (1, before)
        assert "2 of 3 jobs would be removed, 1 gone (-1)" in shown.out
        done = invoke("--redis", redis_url, "remove", "payments", *ids[:2], "--yes", "--json")
        assert (done.code, done.summary["done"]) == (0, 2), done.err
        assert done.objects[0] == {"id": ids[0], "code": 1, "target": "removed"}
        assert not client.keys(f"bull:payments:{ids[0]}*")
        back = invoke("--redis", redis_url, "undo", done.summary["journal"], "--yes", "--json")
        assert (back.code, back.summary["done"]) == (0, 2), back.err
        assert [client.hgetall(f"bull:payments:{one}") for one in ids] == jobs
        assert client.lrange(f"bull:payments:{ids[0]}:logs", 0, -1) == ["one", "two"]
        assert places(redis_url) == [ids[2]]
        again = invoke("--redis", redis_url, "undo", back.summary["journal"], "--yes", "--json")
        assert (again.code, again.summary["done"]) == (0, 2), again.err
        assert client.keys(f"bull:payments:{ids[0]}*") == []
        listed = invoke("--redis", redis_url, "journal")
        assert listed.code == 0, listed.err
    shown = invoke("--redis", redis_url, "journal", done.summary["journal"])
    assert shown.code == 0, shown.err
    resumed = invoke("--redis", redis_url, "remove", "--resume", done.summary["journal"])
    assert "is complete: every job has a result" in resumed.err


def test_one_that_has_a_state_again_or_has_changed_stays(redis_url: str) -> None:
    [one, two] = failed(redis_url, 2)
    with connect(redis_url) as client:
        client.zrem("bull:payments:failed", one)
        done = invoke("--redis", redis_url, "remove", "payments", one, "--yes", "--json")
        client.hset(f"bull:payments:{one}", mapping={"timestamp": "1", "name": "other"})
        back = invoke("--redis", redis_url, "undo", done.summary["journal"], "--yes", "--json")
        assert [line.get("code") for line in back.objects[:-1]] == [-3]
        assert client.hgetall(f"bull:payments:{one}") == {"timestamp": "1", "name": "other"}
        client.rpush("bull:payments:wait", one)
        mixed = invoke("--redis", redis_url, "remove", "payments", one, two, "--yes")
        assert (mixed.code, mixed.out) == (2, "")
        assert f"different states ({one} waiting, {two} failed)" in mixed.err
        sought = invoke("--redis", redis_url, "remove", "payments", two, "--yes", "--json")
        assert (sought.code, sought.summary["done"]) == (0, 1)
        assert client.lrange("bull:payments:wait", 0, -1) == [one]


def test_the_plan_of_jobs_in_no_state_says_what_hangs_on_them_and_which_stay(
    redis_url: str,
) -> None:
    """Their lock, their scheduler, their parent, children and deduplication, as in any state."""
    due = "1796010805385"
    with connect(redis_url) as client:
        client.hset("bull:payments:meta", "opts.maxLenEvents", "10")
        client.zadd("bull:payments:repeat", {"tick": due})
        client.zadd("bull:payments:waiting-children", {"p": 1})
        client.hset("bull:payments:p", mapping={"name": "p", "timestamp": "1"})
        client.sadd("bull:payments:p:dependencies", "bull:payments:c")
        client.sadd("bull:payments:top:dependencies", "bull:payments:x")
        client.set("bull:payments:held:lock", "worker:1")
        client.set("bull:payments:de:once", "d")
        for job, fields in {
            f"repeat:tick:{due}": {"rjk": "tick"},
            "c": {"parentKey": "bull:payments:p"},
            "d": {"deid": "once"},
            "top": {},
            "held": {},
        }.items():
            client.hset(f"bull:payments:{job}", mapping={"name": "n", "timestamp": "1", **fields})
    strays = ("c", "d", "top", "held", f"repeat:tick:{due}")
    shown = invoke("--redis", redis_url, "remove", "payments", *strays, "--dry-run", "--json")
    done = invoke("--redis", redis_url, "remove", "payments", *strays, "--yes", "--json")
    expected = {"c": 1, "d": 1, "top": 1, "held": 0, f"repeat:tick:{due}": -8}
    for one in (shown, done):
        assert one.code == 1, one.err
        assert {line["id"]: line["code"] for line in one.objects[:-1]} == expected
    for words in (
        "3 jobs are in no state: no worker would ever run them.",
        "1 parent loses the last child it waits for: it runs next",
        "1 job has 1 child, which stays and runs without a parent.",
        "1 deduplication id is released (once).",
        "1 job is locked by a worker: it stays (0).",
        "remove the scheduler instead (tick).",
    ):
        assert words in shown.out
    refused = invoke("--redis", redis_url, "remove", "payments", "held", "--with-children", "--yes")
    assert (refused.code, "--with-children takes jobs that are in a state" in refused.err) == (
        2,
        True,
    )
