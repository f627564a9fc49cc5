"""`qtui undo`: the plan, the codes, what the journal says of it, and what is refused."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from qtui.demo.server import EmbeddedServer
from qtui.operations.journal.reading import ids, path_of, read_header, summary
from tests.cli.stage import Stage, connect, digest, failed, invoke, many_failed, places, play, run
from tests.patience import PATIENCE
from tests.servers import start, tcp_port


def journal() -> Path:
    """The folder of the journals of this test."""
    from qtui.folders import journal_folder

    return journal_folder()


def retry(url: str, *words: str) -> str:
    """Retries jobs; the campaign's id."""
    done = invoke("--redis", url, "retry", "payments", *(words or ("--all",)), "--yes", "--json")
    assert done.code == 0, done.err
    name: str = done.summary["journal"]
    return name


def failed_set(url: str) -> list[tuple[str, float]]:
    with connect(url) as client:
        return list(client.zrange("bull:payments:failed", 0, -1, withscores=True))


def test_the_last_operation_goes_back_job_by_job(redis_url: str) -> None:
    ids = failed(redis_url, 3)
    before = failed_set(redis_url)
    name = retry(redis_url)
    done = invoke("--redis", redis_url, "undo", "--yes", "--json", "--reason", "wrong queue")
    assert done.code == 0, done.err
    *lines, last = done.objects
    assert {line["id"]: line["code"] for line in lines} == dict.fromkeys(ids, 1)
    assert {line["target"] for line in lines} == {"failed"}
    undo = last["summary"].pop("journal")
    assert last == {"summary": {"action": "undo", "selected": 3, "done": 3, "codes": {"1": 3}}}
    assert failed_set(redis_url) == before
    header = read_header(journal(), undo)
    assert (header.action, header.undoes, header.reason) == ("undo", name, "wrong queue")
    assert header.how == f"qtui undo {name}"


def test_a_dry_run_writes_nothing_and_says_what_each_job_would_do(redis_url: str) -> None:
    ids = failed(redis_url, 3)
    name = retry(redis_url)

    async def take(stage: Stage) -> None:
        await stage.active()

    play(redis_url, take)
    before = digest(redis_url)
    shown = invoke("--redis", redis_url, "--read-only", "undo", "--dry-run")
    assert shown.code == 1  # not all of them
    assert f"Undo the retry of 3 jobs in bull:payments\n{name}, " in shown.err
    assert "   2  → back to failed" in shown.err
    assert "   1  ✗ -3 has run since" in shown.err
    assert "▲ 1 of 3 jobs have moved on and are left alone." in shown.err
    assert f"{ids[0]}   ✗ -3 has run since" in shown.out
    assert "2 of 3 jobs would be undone, 1 moved on (-3)" in shown.out
    found = invoke("--redis", redis_url, "undo", "last", ids[0], "--dry-run", "--json")
    assert found.objects[0] == {"id": ids[0], "code": -3, "error": "has run since"}
    assert found.summary["dry_run"] is True
    assert found.summary["codes"] == {"-3": 1}
    assert digest(redis_url) == before


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_ids_that_the_operation_did_not_change_are_named_and_are_not_all_done(
    redis_url: str, form: tuple[str, ...]
) -> None:
    ids = failed(redis_url, 1)
    retry(redis_url)
    command = ("--redis", redis_url, "undo", "last")
    none = invoke(*command, "nope", "--yes", *form)
    assert none.code == 1
    assert "▲ That operation did not change 1 job: nope." in none.err
    assert "nothing can be undone" in none.err
    some = invoke(*command, ids[0], "nope", "--yes", *form)
    assert some.code == 1
    assert "▲ That operation did not change 1 job: nope." in some.err
    assert [job_id for job_id, _ in failed_set(redis_url)] == ids


def test_without_a_terminal_and_without_yes_it_is_refused_as_in_read_only_mode(
    redis_url: str,
) -> None:
    failed(redis_url, 1)
    retry(redis_url)
    before = digest(redis_url)
    refused = invoke("--redis", redis_url, "undo")
    assert (refused.code, refused.out) == (2, "")
    assert "pass --yes or --dry-run" in refused.err
    refused = invoke("--redis", redis_url, "--read-only", "undo", "--yes")
    assert refused.code == 4
    assert "read-only mode: cannot undo operations" in refused.err
    refused = invoke("--redis", redis_url, "--read-only", "undo", "--resume", "x")
    assert refused.code == 4
    assert digest(redis_url) == before


def test_an_undo_of_an_undo_and_what_the_journal_says(redis_url: str) -> None:
    failed(redis_url, 2)
    name = retry(redis_url)
    undo = invoke("--redis", redis_url, "undo", name, "--yes", "--json").summary["journal"]
    redo = invoke("--redis", redis_url, "undo", undo, "--yes", "--json").summary
    assert redo["codes"] == {"1": 2}
    assert len(failed_set(redis_url)) == 0
    listed = {one["id"]: one for one in invoke("journal", "--json").objects}
    assert listed[name]["undone_by"] == [undo]
    assert (listed[undo]["undoes"], listed[undo]["undone_by"]) == (name, [redo["journal"]])
    assert listed[redo["journal"]]["undone_by"] == []
    text = invoke("journal").out
    assert f"undone by {undo}" in text
    assert f"undo 2 jobs of {name}" in text
    assert f"undone by  {undo}" in invoke("journal", name).out
    assert f"undoes     {name}" in invoke("journal", undo).out
    # The undo is undone, so the retry is the last operation again.
    last = invoke("--redis", redis_url, "undo", "--yes", "--json")
    assert read_header(journal(), last.summary["journal"]).undoes == name
    none = invoke("--redis", redis_url, "undo", "--yes")
    assert none.code == 1
    assert "nothing to undo" in none.err


def test_what_cannot_be_undone_says_so(redis_url: str) -> None:
    failed(redis_url, 1)
    unknown = invoke("--redis", redis_url, "undo", "nothing", "--yes")
    assert unknown.code == 2
    assert 'no journal "nothing"' in unknown.err
    name = retry(redis_url)

    async def work(stage: Stage) -> None:
        await stage.complete(1, "fine")

    play(redis_url, work)
    before = places(redis_url)
    late = invoke("--redis", redis_url, "undo", name, "--yes", "--json")
    assert late.code == 1
    assert late.objects[0] == {"id": "1", "code": -3, "error": "has run since"}
    assert late.err == "qtui: nothing can be undone\n"
    last = invoke("--redis", redis_url, "undo", "--yes", "--json")
    assert last.err == "qtui: nothing can be undone; to undo an earlier operation, pass its id\n"
    assert places(redis_url) == before
    path = path_of(journal(), name)
    text = path.read_text("ascii")
    path.write_text(text.replace('"action":"retry"', '"action":"telepathy"', 1), "ascii")
    strange = invoke("--redis", redis_url, "undo", name, "--yes")
    assert strange.code == 1
    assert "this qtui can't undo telepathy" in strange.err


@pytest.mark.parametrize("format", [1, 2])
def test_a_retry_of_an_older_qtui_can_be_undone(redis_url: str, format: int) -> None:
    """Their journals name no action, and what a parent knew only by the job's options."""
    failed(redis_url, 3)
    before = failed_set(redis_url)
    path = path_of(journal(), retry(redis_url))
    lines = path.read_text("ascii").splitlines()
    header = json.loads(lines[0])
    header["format"] = format
    del header["action"]
    path.write_text("\n".join([json.dumps(header, separators=(",", ":")), *lines[1:], ""]), "ascii")
    done = invoke("--redis", redis_url, "undo", "--yes", "--json")
    assert (done.code, done.summary["codes"]) == (0, {"1": 3})
    assert failed_set(redis_url) == before


def test_another_server_is_refused_unless_the_user_says_that_it_has_the_data(
    redis_url: str, server: EmbeddedServer
) -> None:
    failed(redis_url, 1)
    name = retry(redis_url)
    with start(tcp=True) as other:
        url = f"redis://127.0.0.1:{tcp_port(other)}"
        done = invoke("--redis", url, "undo", name)
        assert done.code == 2  # there is no terminal to ask on
        done = invoke("--redis", url, "undo", name, "--dry-run")
        assert done.code == 1
        assert "connect there to undo it, or pass --yes" in done.err
        done = invoke("--redis", url, "undo", "--yes")
        assert "nothing to undo: the journal has no operation on this server" in done.err
        done = invoke("--redis", url, "undo", name, "--yes", "--json")
        assert done.objects[0]["code"] == -1


@pytest.mark.slow
def test_killed_in_the_middle_and_resumed_each_job_goes_back_once(
    redis_url: str, tmp_path: Path
) -> None:
    names = [f"j{number}" for number in range(4000)]
    many_failed(redis_url, names)
    before = failed_set(redis_url)
    name = retry(redis_url)
    command = [sys.executable, "-P", "-m", "qtui.cli", "--redis", redis_url]
    process = subprocess.Popen(
        [*command, "undo", name, "--yes", "--json"],
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
    )
    assert process.stdout is not None
    for _ in range(40):
        assert process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    process.wait(PATIENCE)
    process.stdout.close()
    [undo] = [one for one in ids(journal()) if one != name]
    assert not summary(journal(), undo).ended
    assert 0 < len(failed_set(redis_url)) < len(names)
    done = run("--redis", redis_url, "undo", "--resume", undo, "--json")
    assert (done.code, done.err) == (0, "")
    assert done.summary["codes"] == {"1": len(names)}
    assert failed_set(redis_url) == before
    assert places(redis_url) == sorted(names)
    again = run("--redis", redis_url, "undo", "--resume", undo)
    assert again.code == 1
    assert "is complete: every job has a result" in again.err
