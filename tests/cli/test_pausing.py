"""`qtui pause` and `qtui resume`, as people and scripts call them."""

from __future__ import annotations

import subprocess
import time

import pytest

from tests.cli.stage import Stage, command, connect, digest, failed, invoke, places, play
from tests.patience import PATIENCE


async def _work(stage: Stage) -> None:
    await stage.add(2)
    await stage.fail(1)


def test_a_dry_run_says_what_waits_and_writes_nothing(redis_url: str) -> None:
    play(redis_url, _work)
    before = digest(redis_url)
    seen = invoke("--redis", redis_url, "pause", "payments", "--dry-run", "--json")
    assert (seen.code, digest(redis_url)) == (0, before)
    assert seen.objects[0] == {"id": "bull:payments", "code": 1, "target": "paused"}
    summary = seen.summary
    assert summary.pop("warnings")
    assert summary == {
        "action": "pause",
        "selected": 1,
        "done": 0,
        "codes": {"1": 1},
        "journal": None,
        "dry_run": True,
    }
    said = invoke("--redis", redis_url, "pause", "payments", "--dry-run")
    assert "1 waiting" in said.err
    assert "would be paused" in said.out


def test_pausing_all_says_which_are_paused_already_and_is_done(redis_url: str) -> None:
    play(redis_url, _work)
    failed(redis_url, 1, name="emails")
    one = invoke("--redis", redis_url, "pause", "emails", "--yes", "--json", "--reason", "poison")
    assert (one.code, one.summary["done"]) == (0, 1)
    both = invoke("--redis", redis_url, "pause", "--all", "--yes", "--json")
    assert both.code == 0
    codes = {line["id"]: line["code"] for line in both.objects[:-1]}
    assert codes == {"bull:emails": -3, "bull:payments": 1}
    again = invoke("--redis", redis_url, "pause", "--all", "--yes")
    assert again.code == 0
    assert again.out.count("is paused already") == 2
    assert again.err == ""
    back = invoke("--redis", redis_url, "resume", "--all", "--yes")
    assert back.code == 0
    assert "2 of 2 queues resumed" in back.out
    results = [line.index("✔") for line in back.out.splitlines() if "✔" in line]
    assert results == [back.out.splitlines()[0].index("result")] * 2
    result = invoke("--redis", redis_url, "journal", one.summary["journal"])
    assert "pause" in result.out
    assert "poison" in result.out
    assert "✔ paused" in result.out


def test_it_is_refused_in_words_and_with_a_code(redis_url: str) -> None:
    play(redis_url, _work)
    before = digest(redis_url)
    for words, code, said in (
        (("pause",), 2, "no queue given: name some, or pass --all"),
        (("pause", "payments", "--all"), 2, "--all is every queue already: leave it out"),
        (("pause", "payments"), 2, "--yes"),
        (("pause", "nothing", "--yes"), 2, 'no queue "nothing"'),
        (("--read-only", "pause", "payments", "--yes"), 4, "read-only"),
        (("--read-only", "resume", "--all", "--yes"), 4, "read-only"),
    ):
        seen = invoke("--redis", redis_url, *words)
        assert (seen.code, said in seen.err) == (code, True), (words, seen)
    assert digest(redis_url) == before


def test_a_queue_of_bull_is_not_paused(redis_url: str) -> None:
    with connect(redis_url) as client:
        client.rpush("bull:old:wait", "1")
        client.set("bull:old:id", "1")
    seen = invoke("--redis", redis_url, "pause", "old", "--yes", "--json")
    assert seen.code == 1
    assert seen.objects[0]["code"] == 0
    assert "Bull 3/4" in seen.objects[0]["error"]


def test_a_resume_that_is_killed_half_way_is_done_by_the_next(redis_url: str) -> None:
    """Thousands wait in both lists; every job is in one of them all the time, in its order."""
    play(redis_url, _work)
    waits, in_paused = ([f"{name}{at}" for at in range(40_000)] for name in "wp")
    with connect(redis_url) as client:
        client.delete("bull:payments:wait")
        for name, ids in (("wait", waits), ("paused", in_paused)):
            for start in range(0, len(ids), 5000):
                client.rpush(f"bull:payments:{name}", *ids[start : start + 5000])
        client.hset("bull:payments:meta", "paused", 1)
        words = command("--redis", redis_url, "resume", "payments", "--yes")
        for _ in range(2):
            length = client.llen("bull:payments:wait")
            process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            deadline = time.monotonic() + PATIENCE
            while client.llen("bull:payments:wait") == length and process.poll() is None:
                assert time.monotonic() < deadline
            process.kill()
            process.wait(PATIENCE)
            found = client.lrange("bull:payments:wait", 0, -1)
            found += client.lrange("bull:payments:paused", 0, -1)
            assert found == [*waits, *in_paused]
        done = invoke("--redis", redis_url, "resume", "payments", "--yes", "--json")
        assert (done.code, done.summary["codes"]) in ((0, {"1": 1}), (0, {"-3": 1}))
        assert client.lrange("bull:payments:wait", 0, -1) == [*waits, *in_paused]
        assert not client.hexists("bull:payments:meta", "paused")
    assert len(places(redis_url)) == 80_001


def test_plans_name_queues_by_their_full_key_since_two_prefixes_may_have_one_name(
    redis_url: str,
) -> None:
    failed(redis_url, 1, name="mail")
    failed(redis_url, 1, name="mail", prefix="cron")
    both = ("--redis", redis_url, "--prefix", "bull", "--prefix", "cron")
    several = invoke(*both, "pause", "--all", "--dry-run")
    assert [line.split()[0] for line in several.err.splitlines()[2:4]] == ["bull:mail", "cron:mail"]
    for asked, words in (
        (("pause", "cron:mail"), "Pause cron:mail"),
        (("obliterate", "cron:mail"), "Remove cron:mail and its 1 job"),
        (("limits", "cron:mail", "--concurrency", "2"), "Change the limits of cron:mail"),
    ):
        assert words in invoke(*both, *asked, "--dry-run").err


@pytest.mark.slow
def test_a_pause_of_all_that_is_killed_is_done_by_the_next_and_once_a_queue(
    redis_url: str,
) -> None:
    queues = [f"bull:q{at:03}" for at in range(300)]
    with connect(redis_url) as client:
        for base in queues:
            client.hset(
                f"{base}:meta", mapping={"opts.maxLenEvents": 100, "version": "bullmq:5.1.0"}
            )
            client.hset(f"{base}:1", mapping={"name": "n", "data": "{}", "timestamp": 1})
            client.rpush(f"{base}:wait", "1")
        words = command("--redis", redis_url, "pause", "--all", "--yes", "--json")
        with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            assert process.stdout is not None
            process.stdout.readline()
            process.kill()
        before = sum(client.hexists(f"{base}:meta", "paused") for base in queues)
        assert 0 < before < len(queues)
        done = invoke("--redis", redis_url, "pause", "--all", "--yes", "--json")
        codes = {"1": len(queues) - before, "-3": before}
        assert (done.code, done.summary["codes"]) == (0, codes)
        for base in queues:
            assert client.hget(f"{base}:meta", "paused") == "1"
            assert client.lrange(f"{base}:paused", 0, -1) == ["1"]
            events = [fields["event"] for _, fields in client.xrange(f"{base}:events")]
            assert events == ["paused"]


def test_the_undo_of_a_resume_pauses_no_queue_that_was_not_paused(redis_url: str) -> None:
    """A resume brings back what another release stranded in ``paused`` while the queue runs."""
    play(redis_url, _work)
    failed(redis_url, 1, name="emails")
    with connect(redis_url) as client:
        client.rpush("bull:payments:paused", "91", "92")
    assert invoke("--redis", redis_url, "pause", "emails", "--yes").code == 0
    both = invoke("--redis", redis_url, "resume", "--all", "--yes", "--json")
    assert both.summary["codes"] == {"1": 2}
    before = digest(redis_url)
    why = "it was not paused before: only its stranded jobs were brought back"
    planned = invoke("--redis", redis_url, "undo", "--dry-run")
    assert f"✗ -3 {why}" in planned.err
    assert digest(redis_url) == before
    done = invoke("--redis", redis_url, "undo", "--yes", "--json")
    assert done.code == 1, "one queue was left alone"
    assert {one["id"]: one["code"] for one in done.objects[:-1]} == {
        "bull:emails": 1,
        "bull:payments": -3,
    }
    with connect(redis_url) as client:
        assert not client.hexists("bull:payments:meta", "paused")
        assert client.hexists("bull:emails:meta", "paused")
        assert client.llen("bull:payments:wait") == 3
