"""`qtui flow` shows the tree that a job belongs to, and reruns it."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
import redis
from bullmq import FlowProducer, Job, Worker

from qtui.bullmq.codes import Code
from qtui.commands.flow import show_flow
from qtui.commands.rerun import RerunRequest
from qtui.commands.shared.run import Flags, run
from qtui.operations.flow_rerun.plan import Start
from qtui.operations.journal.reading import (
    ids,
    path_of,
    read_header,
    read_lines,
    rebuilt,
    summary,
    unfinished,
)
from qtui.operations.planning.plan import Resets
from tests.cli.stage import Outcome, Stage, connect, digest, invoke, play
from tests.patience import PATIENCE
from tests.workers import end

CHILD = {"failParentOnFailure": True}


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with connect(redis_url) as connection:
        yield connection


def flow(
    url: str,
    job_id: str,
    rerun: Start | None = None,
    *,
    queue: str = "parents",
    read_only: bool = False,
    dry_run: bool = False,
    yes: bool = True,
    as_json: bool = True,
    reason: str = "",
    capture: pytest.CaptureFixture[str],
) -> Outcome:
    """Runs the command in this process; nothing of it is a terminal."""
    capture.readouterr()
    request = RerunRequest(
        queue=queue,
        job_id=job_id,
        rerun=rerun,
        resets=Resets(),
        dry_run=dry_run,
        yes=yes,
        json=as_json,
        reason=reason,
    )
    flags = Flags(redis=url, read_only=read_only)
    code = run(flags, lambda place: show_flow(place, request))
    said = capture.readouterr()
    return Outcome(code, said.out.encode(), said.err.encode())


@pytest.fixture
def failed(redis_url: str) -> str:
    """A parent that failed with one of its two children, made by the real BullMQ."""

    async def add() -> None:
        producer = FlowProducer(redis_url, {"prefix": "bull"})
        children = [
            {"name": "ok", "queueName": "payments", "data": {}, "opts": {"jobId": "a"}},
            {"name": "bad", "queueName": "payments", "data": {}, "opts": {"jobId": "b", **CHILD}},
        ]
        parent = {"name": "sum", "queueName": "parents", "data": {}, "opts": {"jobId": "p"}}
        await producer.add({**parent, "children": children})
        await producer.close()

    async def children(stage: Stage) -> None:
        await stage.complete(1, 7)
        await stage.fail(1, "\x1b[31mno[/red]")

    async def parent(stage: Stage) -> None:
        await stage.fail(1, "child failed")

    asyncio.run(add())
    play(redis_url, children)
    play(redis_url, parent, name="parents")
    return redis_url


def test_the_tree_is_one_line_a_job(failed: str, capsys: pytest.CaptureFixture[str]) -> None:
    done = flow(failed, "b", queue="payments", capture=capsys)
    assert (done.code, done.err) == (0, "")
    rows = [
        (one["id"], one["depth"], one["state"], one["record"], one["on_failure"])
        for one in done.objects
    ]
    assert rows == [
        ("p", 0, "failed", None, "wait"),
        ("b", 1, "failed", "unsuccessful", "fail"),
        ("a", 1, "completed", "processed", "wait"),
    ]
    assert done.objects[0]["children"] == {
        "pending": 0,
        "processed": 1,
        "ignored": 0,
        "unsuccessful": 1,
    }


def test_the_tree_for_people_is_plain_and_marks_the_job(
    failed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    done = flow(failed, "b", queue="payments", as_json=False, capture=capsys)
    assert "\x1b" not in done.out
    head, *lines = [line.split() for line in done.out.splitlines()]
    assert head[:4] == ["job", "name", "queue", "state"]
    assert lines[0][:4] == ["p", "sum", "bull:parents", "failed"]
    assert lines[1][:4] == ["▌b", "bad", "bull:payments", "failed"]
    assert " ".join(lines[1][-4:]) == "parent fails too ␛[31mno[/red]"


def test_a_dry_run_prints_and_writes_nothing(
    failed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = digest(failed)
    for read_only in (False, True):
        done = flow(failed, "p", Start.FAILURE, dry_run=True, read_only=read_only, capture=capsys)
        assert done.code == 0
        assert done.objects[:-1] == [
            {"id": "p", "queue": "bull:parents", "part": "follows"},
            {"id": "b", "queue": "bull:payments", "part": "runs"},
        ]
        assert done.summary["selected"] == 2
        assert done.summary["dry_run"] is True
        assert any("No worker seen" in one for one in done.summary["warnings"])
    shown = flow(failed, "p", Start.FAILURE, dry_run=True, as_json=False, capture=capsys)
    assert shown.err.splitlines()[:2] == [
        "Rerun the flow of bull:parents:p: failed jobs only",
        "1 failed job runs again, then 1 ancestor after its children; 1 job stays completed",
    ]
    assert digest(failed) == before


def test_a_rerun_of_failed_jobs_is_reported_job_by_job(
    failed: str, client: redis.Redis, capsys: pytest.CaptureFixture[str]
) -> None:
    done = flow(failed, "a", Start.FAILURE, queue="payments", capture=capsys)
    assert (done.code, done.err) == (0, "")
    assert done.objects[:-1] == [
        {"id": "p", "queue": "bull:parents", "code": 1, "target": "waiting-children"},
        {"id": "b", "queue": "bull:payments", "code": 1, "target": "wait"},
    ]
    assert done.summary["retried"] == 2
    play(failed, lambda stage: stage.complete(1, 8))
    assert client.hgetall("bull:parents:p:processed") == {
        "bull:payments:a": "7",
        "bull:payments:b": "8",
    }
    assert client.lrange("bull:parents:wait", 0, -1) == ["p"]


def test_a_rerun_from_the_start(
    failed: str, client: redis.Redis, capsys: pytest.CaptureFixture[str]
) -> None:
    done = flow(failed, "p", Start.START, as_json=False, capture=capsys)
    assert done.code == 0
    assert done.out.splitlines()[-2] == "3 of 3 jobs run again"
    assert client.smembers("bull:parents:p:dependencies") == {"bull:payments:a", "bull:payments:b"}
    again = flow(failed, "p", Start.START, capture=capsys)
    assert (again.code, again.out) == (1, "")
    assert again.err == (
        "qtui: the flow is still running (2 waiting): bull:payments:a, bull:payments:b\n"
    )


def test_nothing_to_rerun_is_said(
    redis_url: str, client: redis.Redis, capsys: pytest.CaptureFixture[str]
) -> None:
    async def act(stage: Stage) -> None:
        await stage.add(1)
        await stage.complete(1, 1)

    play(redis_url, act)
    before = digest(redis_url)
    done = flow(redis_url, "1", Start.FAILURE, queue="payments", capture=capsys)
    assert (done.code, done.out) == (1, "")
    assert done.err == "qtui: no failed job to rerun\n"
    assert digest(redis_url) == before


def test_refusals_have_their_exit_codes(
    failed: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", StringIO())
    refused = flow(failed, "p", Start.FAILURE, yes=False, capture=capsys)
    assert (refused.code, refused.out) == (2, "")
    assert refused.err == "qtui: cannot prompt without a terminal: pass --yes or --dry-run\n"
    refused = flow("redis://127.0.0.1:1", "p", Start.FAILURE, read_only=True, capture=capsys)
    assert refused.code == 4
    assert "read-only mode: cannot rerun flows; --dry-run" in refused.err
    for rerun in (None, Start.FAILURE):
        gone = flow(failed, "nope", rerun, capture=capsys)
        assert (gone.code, gone.out) == (1, "")
        assert gone.err == "qtui: no job nope in bull:parents\n"


def test_lines_are_json_without_a_control_character(
    failed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    done = flow(failed, "p", capture=capsys)
    assert all(json.loads(line) for line in done.out.splitlines())
    assert all(" " <= sign <= "~" for line in done.out.splitlines() for sign in line)


def test_of_many_children_the_first_are_shown_and_the_one_asked_for(
    redis_url: str, client: redis.Redis, capsys: pytest.CaptureFixture[str]
) -> None:
    async def add() -> None:
        producer = FlowProducer(redis_url, {"prefix": "bull"})
        kids = [
            {"name": "kid", "queueName": "kids", "data": {}, "opts": {"jobId": f"k{at:03}"}}
            for at in range(300)
        ]
        parent = {"name": "sum", "queueName": "parents", "data": {}, "opts": {"jobId": "p"}}
        await producer.add({**parent, "children": kids})
        await producer.close()

    asyncio.run(add())
    client.hset("bull:kids:meta", "opts.maxLenEvents", 10_000)
    shown = flow(redis_url, "k222", queue="kids", as_json=False, capture=capsys)
    lines = [line.split() for line in shown.out.splitlines()[1:]]
    assert [line[0] for line in lines] == [
        "p",
        *(f"k{at:03}" for at in range(50)),
        "▌k222",
        "…",
    ]
    assert lines[-1] == ["…", "249", "more"]
    every = flow(redis_url, "k222", queue="kids", capture=capsys)
    assert len(every.objects) == 301


def test_a_rerun_is_written_down_before_it_is_sent(
    failed: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    why = "the courier answers again"
    done = flow(failed, "b", Start.FAILURE, queue="payments", capture=capsys, reason=why)
    folder = tmp_path / "qtui" / "journal"
    [campaign_id] = ids(folder)
    header = read_header(folder, campaign_id)
    assert (header.action, header.reason) == ("rerun", why)
    assert done.summary["journal"] == campaign_id
    one = summary(folder, campaign_id)
    assert (one.phase, one.jobs, dict(one.codes)) == ("done", 2, {Code.DONE: 2})
    assert one.header.how == "qtui flow payments b --rerun failure"
    lines = list(read_lines(folder, campaign_id))
    assert [line["type"] for line in lines] == ["campaign", "job", "job", "code", "code", "end"]
    assert [line.get("id") for line in lines[1:5]] == ["bull:parents:p", "bull:payments:b"] * 2
    wiped = {job.id: job for job in rebuilt(folder, campaign_id)}
    assert wiped["bull:payments:b"].fields["failedReason"] == "\x1b[31mno[/red]"
    assert wiped["bull:parents:p"].fields["failedReason"] == "child failed"
    assert wiped["bull:payments:b"].score is not None


def test_the_journal_shows_a_rerun_and_does_not_resume_it(
    failed: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flow(failed, "b", Start.FAILURE, queue="payments", capture=capsys)
    [campaign_id] = ids(tmp_path / "qtui" / "journal")
    assert "flow of 2 jobs" in invoke("journal").out
    shown = invoke("journal", campaign_id).out
    assert "bull:parents:p" in shown
    assert "flow of 2 jobs, rerun: failed jobs only" in shown
    assert "\x1b" not in shown
    [line] = invoke("journal", "--json").objects
    assert line["flow"] == {"root": "bull:parents:p", "start": "failure"}
    jobs = invoke("journal", campaign_id, "--jobs", "--json").objects
    assert [one["id"] for one in jobs] == ["bull:parents:p", "bull:payments:b"]
    path = path_of(tmp_path / "qtui" / "journal", campaign_id)
    path.write_text("".join(path.read_text("ascii").splitlines(keepends=True)[:3]))
    again = invoke("--redis", failed, "retry", "--resume", campaign_id)
    assert again.code == 1
    assert "is the rerun of a flow: run `qtui flow` again to continue it" in again.err


def test_a_cut_off_rerun_that_was_done_again_is_not_called_unfinished(
    failed: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "qtui" / "journal"
    flow(failed, "b", Start.FAILURE, queue="payments", capture=capsys)
    [first] = ids(folder)
    where = summary(folder, first).header.where
    path = path_of(folder, first)
    path.write_text("".join(path.read_text("ascii").splitlines(keepends=True)[:3]))
    assert [one.id for one in unfinished(folder, where)] == [first]
    play(failed, lambda stage: stage.fail(1, "no"))
    play(failed, lambda stage: stage.fail(1, "no"), name="parents")
    assert flow(failed, "p", Start.FAILURE, capture=capsys).code == 0
    assert unfinished(folder, where) == []


def test_without_a_journal_nothing_is_sent(
    failed: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/sys")
    before = digest(failed)
    done = flow(failed, "p", Start.FAILURE, capture=capsys)
    assert done.code == 1
    assert done.err.startswith("qtui: nothing was rerun: ")
    assert done.summary == {
        "selected": 2,
        "retried": 0,
        "codes": {"1": 0, "-1": 0, "-3": 0},
        "journal": None,
    }
    assert digest(failed) == before


def test_a_rerun_is_followed_until_all_is_decided(
    failed: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def ok(job: Job, token: str) -> object:
        return 1

    async def work(done: threading.Event) -> None:
        workers = [Worker(name, ok, {"connection": failed}) for name in ("payments", "parents")]
        await asyncio.to_thread(done.wait, PATIENCE)
        for worker in workers:
            await end(worker)

    done = threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(work(done)))
    thread.start()
    try:
        command = ("flow", "payments", "b", "--rerun", "failure", "--yes", "--follow", "20")
        result = invoke("--redis", failed, *command)
    finally:
        done.set()
        thread.join(PATIENCE)
    assert result.code == 0
    assert "rerun: 2 of 2 completed" in result.out.splitlines()
    [campaign_id] = ids(tmp_path / "qtui" / "journal")
    fates = [
        line["fate"]
        for line in read_lines(tmp_path / "qtui" / "journal", campaign_id)
        if "fate" in line
    ]
    assert fates == ["completed", "completed"]


@pytest.mark.slow
def test_a_rerun_with_a_job_that_fails_again_is_not_done(failed: str) -> None:
    over = threading.Event()

    def fail() -> None:
        with connect(failed) as client:
            while not client.llen("bull:payments:wait") and not over.wait(0.01):
                pass
        play(failed, lambda stage: stage.fail(1, "again"))

    thread = threading.Thread(target=fail)
    thread.start()
    try:
        command = ("flow", "payments", "b", "--rerun", "failure", "--yes", "--follow", "5")
        result = invoke("--redis", failed, *command, "--json")
    finally:
        over.set()
        thread.join(PATIENCE)
    assert result.code == 1
    assert result.summary["outcomes"]["failed_again"] >= 1


def test_one_that_is_not_decided_in_time_is_counted_where_it_is(
    failed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ("flow", "payments", "b", "--rerun", "failure", "--yes", "--follow", "0.1", "--json")
    result = invoke("--redis", failed, *command)
    assert result.code == 0
    assert result.summary["outcomes"] == {
        "recovered": 0,
        "failed_again": 0,
        "waiting": 2,
        "active": 0,
        "delayed": 0,
        "gone": 0,
    }


def test_follow_is_for_reruns(failed: str) -> None:
    refused = invoke("--redis", failed, "flow", "parents", "p", "--follow", "3")
    assert refused.code == 2
    assert "these options need --rerun" in refused.err


def test_a_parent_is_rerun_without_a_child_that_is_gone(failed: str, client: redis.Redis) -> None:
    client.delete("bull:payments:b")
    client.zrem("bull:payments:failed", "b")
    command = ("flow", "parents", "p", "--rerun", "failure", "--yes", "--json")
    result = invoke("--redis", failed, *command)
    assert result.code == 1
    assert "bull:payments:b is gone and can't run again" in result.err
    assert "--drop-lost" in result.err
    result = invoke("--redis", failed, *command, "--drop-lost")
    assert result.code == 0
    assert result.objects[0]["id"] == "p"
    assert client.lrange("bull:parents:wait", 0, -1) == ["p"]
    alone = invoke("--redis", failed, "flow", "parents", "p", "--drop-lost")
    assert alone.code == 2


def test_a_plain_retry_of_a_child_names_the_flow(failed: str) -> None:
    for which in (["b"], ["--all"]):
        result = invoke("--redis", failed, "retry", "payments", *which, "--dry-run")
        assert "▲ 1 job is a child of a failed parent, which stays failed" in result.err
        assert "`qtui flow payments b` shows such a flow; add --rerun failure" in result.err
