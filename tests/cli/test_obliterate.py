"""`qtui obliterate`, as people and scripts call it."""

from __future__ import annotations

import subprocess
import time

import pytest

from tests.cli.stage import Stage, command, connect, digest, invoke, many_failed, play
from tests.cli.test_terminal import terminal, whole
from tests.patience import PATIENCE


async def _some(stage: Stage) -> None:
    await stage.add(3)
    await stage.fail(1)


async def _held(stage: Stage) -> None:
    await stage.add(1)
    await stage.active()


def test_a_dry_run_says_what_goes_and_writes_nothing(redis_url: str) -> None:
    play(redis_url, _some)
    before = digest(redis_url)
    seen = invoke("--redis", redis_url, "obliterate", "payments", "--dry-run")
    assert seen.code == 0
    for words in ("1 failed", "2 waiting", "can't be undone"):
        assert words in seen.err
    assert invoke("--redis", redis_url, "--read-only", "obliterate", "payments", "--yes").code == 4
    assert invoke("--redis", redis_url, "obliterate", "payments").code == 2
    assert digest(redis_url) == before


def test_it_removes_the_queue_and_its_journal_can_not_be_undone(redis_url: str) -> None:
    play(redis_url, _some)
    done = invoke("--redis", redis_url, "obliterate", "payments", "--yes", "--json")
    assert (done.code, done.objects[0]["target"]) == (0, "3 jobs")
    assert done.summary["action"] == "remove-queue"
    with connect(redis_url) as client:
        assert client.keys("*") == []
    undo = invoke("--redis", redis_url, "undo", done.summary["journal"], "--yes")
    assert undo.code != 0
    assert "can't be put back" in undo.err
    last = invoke("--redis", redis_url, "undo", "--yes")
    assert last.code == 1
    assert "The removal of bull:payments, " in last.err
    assert "a removed queue can't be put back" in last.err


def test_undo_names_the_operation_before_a_removed_queue(redis_url: str) -> None:
    play(redis_url, _some)
    play(redis_url, _some, name="emails")
    before = invoke("--redis", redis_url, "pause", "emails", "--yes", "--json").summary["journal"]
    invoke("--redis", redis_url, "obliterate", "payments", "--yes")
    last = invoke("--redis", redis_url, "undo", "--yes")
    assert last.code == 1
    assert f"`qtui undo {before}` undoes the one before" in last.err
    assert invoke("--redis", redis_url, "undo", before, "--yes").code == 0


def test_a_job_that_a_worker_holds_keeps_the_queue_unless_forced(redis_url: str) -> None:
    play(redis_url, _held)
    before = digest(redis_url)
    kept = invoke("--redis", redis_url, "obliterate", "payments", "--yes", "--json")
    assert (kept.code, kept.objects[0]["code"]) == (1, 0)
    assert "--force" in kept.objects[0]["error"]
    assert digest(redis_url) == before
    gone = invoke("--redis", redis_url, "obliterate", "payments", "--yes", "--force")
    assert gone.code == 0
    with connect(redis_url) as client:
        assert client.keys("*") == []


@pytest.mark.slow
def test_one_that_is_killed_half_way_is_done_by_the_next(redis_url: str) -> None:
    many_failed(redis_url, [f"j{at}" for at in range(6000)])
    words = command("--redis", redis_url, "obliterate", "payments", "--yes")
    with connect(redis_url) as client:
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + PATIENCE
        while client.zcard("bull:payments:failed") == 6000 and process.poll() is None:
            assert time.monotonic() < deadline
        process.kill()
        process.wait(PATIENCE)
        left = client.zrange("bull:payments:failed", 0, -1)
        assert 0 < len(left) < 6000
        assert client.exists(*(f"bull:payments:{one}" for one in left)) == len(left)
        assert client.hget("bull:payments:meta", "paused") == "1"
        [cut_off] = [one["id"] for one in invoke("journal", "--json").objects if not one["ended"]]
        resumed = invoke("--redis", redis_url, "retry", "--resume", cut_off)
        assert (resumed.code, "run qtui obliterate payments again" in resumed.err) == (1, True)
        again = invoke("--redis", redis_url, "obliterate", "payments", "--yes", "--json")
        assert (again.code, again.objects[0]["target"]) == (0, f"{len(left):,} jobs")
        assert client.keys("*") == []


def test_the_name_is_typed_and_nothing_else_will_do(redis_url: str) -> None:
    play(redis_url, _some)
    before = digest(redis_url)
    for answer in ("y", "bull:payments", "payment"):
        with terminal("--redis", redis_url, "obliterate", "payments") as child:
            child.expect_exact("Type the queue's name to remove it (payments): ")
            child.sendline(answer)
            words, code = whole(child)
        assert ("nothing was removed" in words, code) == (True, 1)
    assert digest(redis_url) == before
    with terminal("--redis", redis_url, "obliterate", "payments") as child:
        child.expect_exact("(payments): ")
        child.sendline("payments")
        words, code = whole(child)
    assert ("1 of 1 queue removed" in words, code) == (True, 0)
