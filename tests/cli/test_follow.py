"""`--follow`: the exit code and the last words leave no job out."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from qtui.operations.engine.canary import verdict_on
from qtui.operations.engine.pace import Pace
from qtui.operations.following.outcome import OutcomeTally
from tests.cli.stage import Outcome, Stage, connect, failed, invoke, play
from tests.patience import PATIENCE


def followed(url: str, act: str, jobs: int, *more: str) -> Outcome:
    """Retries jobs and follows them, while a worker ends all of them as ``act`` says."""

    async def work(stage: Stage) -> None:
        for _ in range(jobs):
            job = await stage.active()
            if act == "fail":
                await job.moveToFailed(RuntimeError("again"), "test:0")
            elif act == "complete":
                await job.moveToCompleted("done", "test:0")
            else:
                with connect(url) as client:
                    gone = client.pipeline()
                    gone.lrem("bull:payments:active", 1, str(job.id))
                    gone.delete(f"bull:payments:{job.id}").execute()

    def wait_and_play() -> None:
        with connect(url) as client:
            while client.llen("bull:payments:wait") < jobs and not over.wait(0.01):
                pass
        play(url, work)

    over = threading.Event()
    thread = threading.Thread(target=wait_and_play)
    thread.start()
    try:
        command = ("--redis", url, "retry", "payments", "--all", "--yes", "--follow", "20", *more)
        return invoke(*command)
    finally:
        over.set()
        thread.join(PATIENCE)


def test_jobs_that_recover_are_all_done(redis_url: str) -> None:
    failed(redis_url, 3)
    result = followed(redis_url, "complete", 3)
    assert (result.code, "3 of 3 completed" in result.out) == (0, True)
    assert "is unknown" not in result.err


def test_a_job_that_fails_again_is_not_done(redis_url: str) -> None:
    failed(redis_url, 3)
    result = followed(redis_url, "fail", 3, "--json")
    assert result.code == 1
    assert result.summary["outcomes"]["failed_again"] == 3


@pytest.mark.slow
def test_jobs_that_are_removed_without_an_event_are_not_known_to_be_done(redis_url: str) -> None:
    failed(redis_url, 2)
    result = followed(redis_url, "remove", 2)
    assert result.code == 1
    assert "0 of 2 completed · 2 removed (outcome unknown)" in result.out
    words = "qtui: the outcome of 2 of 2 retried jobs is unknown: 2 removed (no event says"
    assert words in result.err


def test_jobs_that_are_open_when_the_time_is_up_are_named(redis_url: str) -> None:
    failed(redis_url, 3)
    result = invoke(
        "--redis", redis_url, "retry", "payments", "--all", "--yes", "--follow", "0.2", "--json"
    )
    assert result.code == 0
    assert result.summary["outcomes"]["waiting"] == 3
    assert (
        "qtui: after 0.2 s the outcome of 3 of 3 retried jobs is unknown: 3 waiting" in result.err
    )


def test_the_journal_says_what_is_not_known(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    failed(redis_url, 3)
    invoke("--redis", redis_url, "retry", "payments", "--all", "--yes", "--follow", "0.2")
    [path] = (tmp_path / "qtui" / "journal").glob("*.jsonl")
    assert "3 waiting" in invoke("journal", path.stem).out


@pytest.mark.parametrize("canary", [1, 2])
def test_a_canary_that_is_open_when_the_time_is_up_ends_with_1_and_can_be_resumed(
    redis_url: str, canary: int
) -> None:
    failed(redis_url, 6)
    result = invoke(
        *("--redis", redis_url, "retry", "payments", "--all", "--yes", "--canary", str(canary)),
        *("--canary-time", "0.3"),
    )
    assert result.code == 1
    why = verdict_on(OutcomeTally(waiting=canary), Pace(canary=canary, canary_seconds=0.3))
    assert f"stopped: {why}" in result.err
    journal = result.out.splitlines()[-1].removeprefix("journal ")
    again = invoke("--redis", redis_url, "retry", "--resume", journal)
    assert again.code == 1
    assert "canary" in again.err
