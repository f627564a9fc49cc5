"""A profile allows some actions on its server, however that is named; an ACL allows no more."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from qtui.settings import load
from qtui.verbs import Verb
from tests.cli.stage import Outcome, Stage, connect, digest, failed, invoke, play

README = Path(__file__).parents[2] / "README.md"
ACL = {
    words.split()[2]: words.split()
    for words in re.findall(
        r"^ACL SETUSER .*(?:\n +\+.*)*", README.read_text("utf-8"), re.MULTILINE
    )
}
"""By user, the command that makes it."""


@pytest.fixture
def config(tmp_path: Path, redis_url: str) -> Path:
    """The user's own file, with a profile that allows promotions alone."""
    folder = tmp_path / "qtui"
    folder.mkdir()
    file = folder / "config.toml"
    file.write_text(f'[profiles.night]\nredis = "{redis_url}"\nallow = ["promote", "undo"]\n')
    return file


def seeded(url: str) -> tuple[str, str]:
    """A job that has failed, and one that is delayed."""
    [bad] = failed(url, 1)
    ids: list[str] = []

    async def act(stage: Stage) -> None:
        ids.extend(await stage.add(1, delay=3_600_000))

    play(url, act)
    return bad, ids[0]


def refused(done: Outcome, verb: str) -> bool:
    words = f"qtui: {verb} is not allowed here: the profile night allows promote, undo"
    return (done.code, done.out) == (4, "") and done.err.startswith(words)


@pytest.mark.usefixtures("config")
def test_what_a_profile_does_not_allow_is_refused_wherever_its_server_is_named(
    redis_url: str,
) -> None:
    bad, later = seeded(redis_url)
    before = digest(redis_url)
    for named in (("--profile", "night"), ("--redis", redis_url), ("--redis", f"{redis_url}?db=0")):
        for verb, args in (
            ("retry", ("payments", bad)),
            ("remove", ("payments", bad, "--state", "failed")),
            ("edit", ("payments", bad, "--priority", "1")),
            ("pause", ("payments",)),
            ("add", ("payments", "x")),
        ):
            assert refused(invoke(*named, verb, *args, "--yes"), verb), (named, verb)
    assert refused(invoke("--redis", redis_url, "retry", "--resume", "x"), "retry")
    assert digest(redis_url) == before
    dry = invoke("--redis", redis_url, "retry", "payments", bad, "--dry-run")
    assert (dry.code, digest(redis_url)) == (0, before)
    assert invoke("--redis", redis_url, "promote", "payments", later, "--yes").code == 0


AGAIN = {
    "retry": ("retry", "payments", "{bad}"),
    "remove": ("remove", "payments", "{bad}", "--state", "failed"),
    "edit": ("edit", "payments", "{bad}", "--priority", "3"),
    "edit-and-retry": ("edit", "payments", "{bad}", "--priority", "3", "--retry"),
    "promote": ("promote", "payments", "{later}"),
    "add": ("add", "payments", "new"),
    "pause": ("pause", "payments"),
    "resume": ("resume", "payments"),
    "limits": ("limits", "payments", "--concurrency", "5"),
}


@pytest.mark.parametrize("action", AGAIN)
def test_the_undo_of_an_undo_carries_its_action_out_again_and_needs_that_allowed(
    redis_url: str, config: Path, action: str
) -> None:
    """Who may take back could remove, retry or pause by taking that back twice."""
    bad, later = seeded(redis_url)
    config.write_text("")
    if action == "resume":
        assert invoke("--redis", redis_url, "pause", "payments", "--yes").code == 0
    words = [one.format(bad=bad, later=later) for one in AGAIN[action]]
    assert invoke("--redis", redis_url, *words, "--yes").code == 0
    undone = invoke("--redis", redis_url, "undo", "--yes", "--json")
    assert undone.code == 0
    name = undone.summary["journal"]
    verb = "retry" if action == "edit-and-retry" else action
    allow = ["undo", "edit"] if action == "edit-and-retry" else ["undo"]
    config.write_text(f'[profiles.night]\nredis = "{redis_url}"\nallow = {allow}\n')
    before = digest(redis_url)
    done = invoke("--redis", redis_url, "undo", name, "--yes")
    assert (done.code, done.out) == (4, "")
    assert done.err.startswith(f"qtui: {verb} is not allowed here: the profile night allows ")
    dry = invoke("--redis", redis_url, "undo", name, "--dry-run")
    assert (dry.code, digest(redis_url)) == (0, before)
    config.write_text(f'[profiles.night]\nredis = "{redis_url}"\nallow = {[*allow, verb]}\n')
    assert invoke("--redis", redis_url, "undo", name, "--yes").code == 0
    assert digest(redis_url) != before


def test_what_several_say_is_allowed_only_if_all_of_them_do(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(
        'allow = ["retry", "promote"]\n'
        '[profiles.day]\nredis = "redis://a"\nallow = ["promote", "pause"]\n'
        '[profiles.none]\nredis = "redis://b"\nallow = []\n'
        '[profiles.all]\nredis = "redis://c"\n'
    )
    day = load({"profile": "day"}, {}, file)
    assert (day.allowed, day.allow_by, day.read_only) == (frozenset({Verb.PROMOTE}), "day", False)
    assert load({"profile": "none"}, {}, file).read_only
    everyone = load({"profile": "all"}, {}, file)
    assert (everyone.allowed, everyone.allow_by) == (frozenset({Verb.RETRY, Verb.PROMOTE}), "")
    assert {one.profile: set(one.allow) for one in everyone.marked} == {
        "day": {Verb.PROMOTE, Verb.PAUSE},
        "none": set(),
    }
    assert everyone.guarded(everyone.marked).allowed == frozenset()
    guarded = everyone.guarded(everyone.marked[:1])
    assert (guarded.allowed, guarded.allow_by) == (frozenset({Verb.PROMOTE}), "day")
    read_only = load({"profile": "day", "read_only": True}, {}, file)
    assert read_only.allowed == frozenset()


# The users that the README names -----------------------------------------------------------------


@pytest.fixture
def user(redis_url: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a user of the README, made by its line."""
    name: str = request.param
    with connect(redis_url) as client:
        client.execute_command(*ACL[name])
        yield f"{redis_url}?username={name}&password=password"
        client.execute_command("ACL", "DELUSER", name)


def _hold_back(client: redis.Redis) -> None:
    """A prioritized job waits, and the queue has been paused before by another release."""
    client.zadd("bull:payments:prioritized", {"p": 4294967297})
    client.hset("bull:payments:p", mapping={"name": "p", "timestamp": 1, "priority": 1})


@pytest.mark.parametrize("user", ["oncall", "operator"], indirect=True)
def test_on_call_jobs_run_again_or_now_and_nothing_is_refused_on_the_way(
    redis_url: str, user: str
) -> None:
    bad, later = seeded(redis_url)
    with connect(redis_url) as client:
        _hold_back(client)
        client.hset(f"bull:payments:{bad}", "priority", "2")
    for asked in (("retry", "payments", bad), ("promote", "payments", later)):
        done = invoke("--redis", user, *asked, "--yes")
        assert (done.code, "refused" in done.err) == (0, False), done


@pytest.mark.parametrize("user", ["oncall"], indirect=True)
def test_on_call_no_job_can_be_removed(redis_url: str, user: str) -> None:
    bad, _ = seeded(redis_url)
    before = digest(redis_url)
    done = invoke("--redis", user, "remove", "payments", bad, "--state", "failed", "--yes")
    assert (done.code, digest(redis_url)) == (3, before)


@pytest.mark.parametrize("user", ["oncall"], indirect=True)
def test_the_commands_of_on_call_would_do_for_an_edit_that_the_profile_does_not_allow(
    redis_url: str, user: str, config: Path
) -> None:
    bad, _ = seeded(redis_url)
    edit = ("edit", "payments", bad, "--priority", "3", "--yes")
    config.write_text(f'[profiles.night]\nredis = "{user}"\nallow = ["retry", "promote"]\n')
    assert invoke("--profile", "night", *edit).code == 4
    config.unlink()
    assert invoke("--redis", user, *edit).code == 0


@pytest.mark.parametrize("user", ["operator"], indirect=True)
def test_an_operator_can_do_all_and_take_it_back(redis_url: str, user: str) -> None:
    bad, later = seeded(redis_url)
    for asked in (
        ("pause", "payments"),
        ("resume", "payments"),
        ("edit", "payments", later, "--priority", "3"),
        ("limits", "payments", "--concurrency", "5"),
        ("add", "payments", "new"),
        ("remove", "payments", bad, "--state", "failed"),
        ("undo",),
    ):
        done = invoke("--redis", user, *asked, "--yes")
        assert (done.code, "refused" in done.err) == (0, False), (asked, done)
    with connect(redis_url) as client:
        assert client.zrange("bull:payments:failed", 0, -1) == [bad]


@pytest.mark.parametrize("user", ["watcher"], indirect=True)
def test_a_watcher_can_look(redis_url: str, user: str) -> None:
    seeded(redis_url)
    assert invoke("--redis", user, "--read-only", "queues").code == 0
    assert invoke("--redis", user, "--read-only", "jobs", "payments").code == 0
