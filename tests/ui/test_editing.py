"""Editing the job under the cursor, and copying it as a new one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from redis.asyncio import Redis

from tests.ui.driver import inspector
from tests.ui.stage import fill

KEY = "bull:payments"

EDITOR = """
case "$(cat "{folder}/step" 2>/dev/null)" in
  "") printf '%s' '{first}' > "$1"; echo once > "{folder}/step" ;;
  *) printf '%s' '{second}' > "$1" ;;
esac
{last}
"""


@pytest.fixture
def editor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a scripted editor, which leaves the file as it is."""
    monkeypatch.delenv("VISUAL", raising=False)
    write_editor(tmp_path, monkeypatch, script="exit 0")
    return tmp_path


def write_editor(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    first: str = "",
    second: str = "",
    script: str = "",
) -> None:
    """An editor that writes one text when it is first run, and another one afterwards."""
    text = EDITOR.format(folder=folder, first=first, second=second, last="")
    program = folder / "editor.sh"
    program.write_text(script or text)
    monkeypatch.setenv("EDITOR", f"sh '{program}'")


async def test_the_data_is_edited_and_the_job_retried_in_one_step(
    client: Redis, redis_url: str, editor: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [job_id] = await fill(redis_url, "payments", 1)
    write_editor(editor, monkeypatch, first='{"customer": ,}', second='{"customer": "mended"}')
    async with inspector(redis_url) as screen:
        await screen.press("i")
        await screen.sees(f"Edit job {job_id} in payments")
        assert "opens in your editor" in screen.text()
        screen.app.simulate_key("e")
        await screen.sees("The data is not JSON: line 1, column 14")
        screen.app.simulate_key("y")
        await screen.sees("y edit the job")
        assert "data: 20 B → 21 B" in screen.text()
        assert '-  "customer": "cus_0"' in screen.text()
        assert '+  "customer": "mended"' in screen.text()
        assert "it runs with the change only if it is retried" in screen.text()
        await screen.press("a")
        await screen.sees("y edit and retry the job")
        await screen.press("y")
        await screen.sees("✔ failed→waiting")
        await screen.sees('"mended"')
    assert await client.hget(f"{KEY}:{job_id}", "data") == '{"customer":"mended"}'
    assert await client.lrange(f"{KEY}:wait", 0, -1) == [job_id]


@pytest.mark.slow
async def test_what_was_not_changed_or_not_mended_changes_nothing(
    client: Redis, redis_url: str, editor: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [job_id] = await fill(redis_url, "payments", 1)
    before = await client.hgetall(f"{KEY}:{job_id}")
    async with inspector(redis_url) as screen:
        await screen.press("i", "e")
        await screen.sees("The data was not changed.")
        write_editor(editor, monkeypatch, script="printf '[1,' > \"$1\"")
        await screen.press("i")
        screen.app.simulate_key("e")
        await screen.sees("The data is not JSON")
        await screen.press("n")
        await screen.sees("Nothing was edited.")
        write_editor(editor, monkeypatch, script="exit 3")
        await screen.press("i", "e")
        await screen.sees("ended with code 3: nothing was changed")
        monkeypatch.setenv("EDITOR", "no-such-editor --wait")
        await screen.press("i", "e")
        await screen.sees("$EDITOR names no-such-editor, which is not installed")
    assert await client.hgetall(f"{KEY}:{job_id}") == before


@pytest.mark.slow
async def test_a_priority_is_typed_and_its_plan_says_where_the_job_goes(
    client: Redis, redis_url: str
) -> None:
    [job_id] = await fill(redis_url, "payments", 1)
    async with inspector(redis_url) as screen:
        await screen.press("i", "p")
        await screen.type("x")
        await screen.press("enter")
        await screen.sees("That is not valid:")
        await screen.press("backspace")
        await screen.press("3", "enter")
        await screen.sees("priority: 0 → 3")
        await screen.press("a")
        await screen.sees("prioritized, priority 3")
        await screen.press("y")
        await screen.sees("✔ failed→prioritized")
    assert await client.zrange(f"{KEY}:prioritized", 0, -1) == [job_id]
    assert await client.hget(f"{KEY}:{job_id}", "priority") == "3"


async def test_whoever_was_faster_is_not_overwritten(client: Redis, redis_url: str) -> None:
    [job_id] = await fill(redis_url, "payments", 1)
    async with inspector(redis_url) as screen:
        await screen.press("i", "p")
        await screen.press("4", "enter")
        await screen.sees("priority: 0 → 4")
        await client.hset(f"{KEY}:{job_id}", "priority", "5")
        await screen.press("y")
        await screen.sees("✗ -3 its priority has changed since")
    assert await client.hget(f"{KEY}:{job_id}", "priority") == "5"


@pytest.mark.slow
async def test_a_delay_can_be_changed_of_a_delayed_job_alone(client: Redis, redis_url: str) -> None:
    [job_id] = await fill(redis_url, "payments", 1)
    async with inspector(redis_url) as screen:
        await screen.press("i", "d")
        assert "Edit job" in screen.text()  # the bell rings
        await screen.press("escape")
        await client.zrem(f"{KEY}:failed", job_id)
        await client.zadd(f"{KEY}:delayed", {job_id: 4_000_000_000_000 * 4096})
        await screen.press("5", "ctrl+r")
        await screen.sees(f" {job_id} ")
        await screen.press("i", "d")
        await screen.type("1h30m")
        await screen.press("enter")
        await screen.sees("delayed, due in 1 h 30 m")
        await screen.press("y")
        await screen.sees("✔ edited")
    score = await client.zscore(f"{KEY}:delayed", job_id)
    assert score is not None
    assert score / 4096 < 4_000_000_000_000


async def test_a_job_is_copied_as_a_new_one(client: Redis, redis_url: str) -> None:
    [job_id] = await fill(redis_url, "payments", 1, opts={"attempts": 1, "priority": 2})
    async with inspector(redis_url) as screen:
        await screen.press("c")
        await screen.sees(f"Copy job {job_id} in payments as a new job")
        await screen.sees("prioritized, priority 2")
        await screen.press("y")
        await screen.sees("1 of 1 job duplicated · its id is ")
        shown = screen.text()
    [new] = await client.zrange(f"{KEY}:prioritized", 0, -1)
    assert new != job_id
    assert f"its id is {new!s} " in shown
    old, copy = [await client.hgetall(f"{KEY}:{one}") for one in (job_id, str(new))]
    assert (copy["name"], copy["data"]) == (old["name"], old["data"])
    assert json.loads(copy["opts"]) == {"attempts": 1, "priority": 2}
    assert "failedReason" not in copy


async def test_in_read_only_mode_there_is_neither(client: Redis, redis_url: str) -> None:
    await fill(redis_url, "payments", 1)
    async with inspector(redis_url, read_only=True) as screen:
        await screen.press("i", "c")
        assert "Edit job" not in screen.text()
        assert "Copy job" not in screen.text()
        assert "Read-only: nothing can be changed." in screen.text()
