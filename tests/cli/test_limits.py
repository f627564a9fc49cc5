"""`qtui limits`, as people and scripts call it."""

from __future__ import annotations

import pytest

from tests.cli.stage import Stage, connect, digest, invoke, play


async def _some(stage: Stage) -> None:
    await stage.add(1)
    await stage.add(1, deduplication={"id": "once"})
    await stage.active()


def test_it_shows_who_holds_what(redis_url: str) -> None:
    play(redis_url, _some)
    with connect(redis_url) as client:
        client.hset("bull:payments:meta", mapping={"concurrency": 1, "max": 5, "duration": 60000})
        client.set("bull:payments:limiter", 5, px=60_000)
    before = digest(redis_url)
    seen = invoke("--redis", redis_url, "limits", "payments", "--json")
    [shown] = seen.objects
    assert (shown["concurrency"], shown["active"], shown["holders"]) == (1, 1, ["1"])
    assert shown["rate"] == {"max": 5, "duration": 60000}
    assert (shown["limiter"]["started"], shown["limiter"]["reached"]) == (5, True)
    assert [(one["id"], one["job"]) for one in shown["deduplication"]] == [("once", "2")]
    said = invoke("--redis", redis_url, "--read-only", "limits", "payments").out
    assert "1 of 1 job active · used up by 1" in said
    assert "5 jobs in 1 m 0 s" in said
    assert "reached" in said
    assert digest(redis_url) == before


def test_it_changes_what_is_asked_for_alone(redis_url: str) -> None:
    play(redis_url, _some)
    ours = ("--redis", redis_url, "limits", "payments")
    dry = invoke(*ours, "--concurrency", "5", "--rate", "100/10s", "--dry-run", "--json")
    assert (dry.code, dry.objects[0]["target"]) == (0, "concurrency max duration")
    with connect(redis_url) as client:
        meta = client.hgetall("bull:payments:meta")
        done = invoke(*ours, "--concurrency", "5", "--rate", "100/10s", "--yes", "--json")
        assert (done.code, done.summary["done"], done.summary["action"]) == (0, 1, "limits")
        changed = {"concurrency": "5", "max": "100", "duration": "10000"}
        assert client.hgetall("bull:payments:meta") == meta | changed
        same = invoke(*ours, "--concurrency", "5", "--yes", "--json")
        assert (same.code, same.objects[0]["code"], same.summary["journal"]) == (0, -3, None)
        gone = invoke(*ours, "--concurrency", "none", "--rate", "none", "--yes", "--json")
        assert gone.code == 0
        assert client.hgetall("bull:payments:meta") == meta
        key = invoke(*ours, "--release-key", "once", "--yes", "--json")
        assert (key.code, key.objects[0]["target"]) == (0, "de:once")
        assert not client.exists("bull:payments:de:once")
        again = invoke(*ours, "--release-key", "once", "--yes")
        assert again.code == 0
        assert "· the limits already have these values" in again.out
        assert "already have" not in again.err
        assert "▲ No job holds this dedup key: once." in again.err


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--concurrency", "0", "--yes"), 2, "pause the queue"),
        (("--concurrency", "-3", "--yes"), 2, "above 0"),
        (("--concurrency", "٣", "--yes"), 2, "above 0"),
        (("--rate", "10", "--yes"), 2, "100/10s"),
        (("--rate", "0/1s", "--yes"), 2, "100/10s"),
        (("--rate", "1/0s", "--yes"), 2, "100/10s"),
        (("--yes",), 2, "nothing to change"),
        (("--concurrency", "3"), 2, "--yes"),
    ],
)
def test_a_value_that_is_none_is_named(
    redis_url: str, words: tuple[str, ...], code: int, said: str
) -> None:
    play(redis_url, _some)
    before = digest(redis_url)
    seen = invoke("--redis", redis_url, "limits", "payments", *words)
    assert (seen.code, said in seen.err) == (code, True), seen
    assert digest(redis_url) == before


def test_in_read_only_mode_nothing_is_changed(redis_url: str) -> None:
    play(redis_url, _some)
    before = digest(redis_url)
    ours = ("--redis", redis_url, "--read-only", "limits", "payments", "--release")
    assert invoke(*ours, "--yes").code == 4
    assert invoke(*ours, "--dry-run").code == 0
    assert digest(redis_url) == before
