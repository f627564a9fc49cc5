"""Flags, environment, profiles and config file: what wins, and what is said of a mistake."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from qtui.settings import Settings, SettingsError, load

SECRET = "hunter2"

CONFIG = """
redis = "redis://top"
prefix = "app"
queue = ["payments", "emails"]
refresh = 5
theme = "nord"

[keys]
retry = "t"
"mark.all" = "ctrl+a"

[profiles.prod]
bell = true
redis = "redis://:${PROD_PASSWORD}@prod"
prefix = ["bull", "{eu}:bull", "bull"]
read-only = true

[profiles.dev]
redis = "redis://dev"
refresh = 0
queue = "only"
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A config file with two profiles."""
    path = tmp_path / "config.toml"
    path.write_text(CONFIG)
    return path


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder in place of the user's own."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home" / "config"))
    return tmp_path / "home"


def test_without_anything_the_defaults_hold() -> None:
    assert load({}, {}, None) == Settings(
        redis="redis://localhost:6379",
        prefixes=("bull",),
        queues=(),
        read_only=False,
        refresh=2.0,
        profile="",
        theme=None,
        keys={},
    )


def test_flags_that_are_not_given_count_for_nothing() -> None:
    flags = {"redis": None, "prefixes": (), "queues": (), "read_only": None, "refresh": None}
    assert load(flags | {"profile": None, "demo": True}, {}, None) == Settings()


@pytest.mark.parametrize(
    ("flags", "environ", "redis"),
    [
        ({}, {}, "redis://top"),
        ({}, {"REDIS_URL": "redis://general"}, "redis://general"),
        ({}, {"REDIS_URL": "redis://general", "QTUI_REDIS": "redis://own"}, "redis://own"),
        ({}, {"REDIS_URL": "", "QTUI_REDIS": ""}, "redis://top"),
        ({"redis": "redis://flag"}, {"QTUI_REDIS": "redis://own"}, "redis://flag"),
        ({"profile": "dev"}, {}, "redis://dev"),
        ({"profile": "dev"}, {"QTUI_REDIS": "redis://own"}, "redis://dev"),
        ({"profile": "dev", "redis": "redis://flag"}, {}, "redis://flag"),
        ({"profile": "prod"}, {"PROD_PASSWORD": SECRET}, f"redis://:{SECRET}@prod"),
        ({"profile": "prod", "redis": "redis://flag"}, {}, "redis://flag"),
    ],
)
def test_the_nearest_source_names_the_redis(
    config: Path, flags: dict[str, object], environ: dict[str, str], redis: str
) -> None:
    assert load(flags, environ, config).redis == redis


def test_the_top_of_the_file_holds_where_the_profile_is_silent(config: Path) -> None:
    top = load({}, {}, config)
    assert (top.prefixes, top.queues, top.refresh) == (("app",), ("payments", "emails"), 5.0)
    assert (top.theme, dict(top.keys)) == ("nord", {"retry": "t", "mark.all": "ctrl+a"})
    dev = load({"profile": "dev"}, {}, config)
    assert (dev.prefixes, dev.queues, dev.refresh) == (("app",), ("only",), 0.0)
    assert (dev.profile, dev.theme) == ("dev", "nord")
    prod = load({"profile": "prod"}, {"PROD_PASSWORD": SECRET}, config)
    assert prod.prefixes == ("bull", "{eu}:bull")
    assert (top.bell, prod.bell, prod.notify) == (False, True, False)


def test_flags_replace_lists_and_zero_is_a_value(config: Path) -> None:
    flags = {"prefixes": ("a", "b", "a"), "queues": ("q",), "refresh": 0}
    settings = load(flags, {}, config)
    assert (settings.prefixes, settings.queues) == (("a", "b"), ("q",))
    assert settings.refresh == 0.0
    assert load({"refresh": 0.25}, {}, config).refresh == 0.25


@pytest.mark.parametrize(
    ("flag", "variable", "top", "profile", "read_only"),
    [
        (None, "", "", "", False),
        (True, "", "", "", True),
        (None, "1", "", "", True),
        (None, "yes", "", "", True),
        (None, "0", "", "", False),
        (None, "", "read-only = true", "", True),
        (None, "", "", "read-only = true", True),
        (False, "0", "", "read-only = true", True),
        (False, "off", "read-only = true", "", True),
        (None, "", "read-only = true", "read-only = false", True),
        (True, "", "", "read-only = false", True),
        (None, "TRUE", "", "read-only = false", True),
    ],
)
def test_read_only_is_on_as_soon_as_anyone_says_so(
    tmp_path: Path, flag: bool | None, variable: str, top: str, profile: str, read_only: bool
) -> None:
    path = tmp_path / "c.toml"
    path.write_text(f"{top}\n[profiles.p]\n{profile}\n")
    flags = {"read_only": flag, "profile": "p"}
    assert load(flags, {"QTUI_READ_ONLY": variable}, path).read_only is read_only


def test_the_file_in_the_users_folder_is_read_when_no_other_is_named(home: Path) -> None:
    code = "import platformdirs; print(platformdirs.user_config_path('qtui') / 'config.toml')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    path = Path(done.stdout.strip())
    assert home in path.parents
    path.parent.mkdir(parents=True)
    path.write_text("prefix = 'mine'\n")
    assert load({}, {}, None).prefixes == ("mine",)


def test_variables_work_in_every_text_and_are_not_expanded_twice(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text("redis = '${A}${B}/$A'\nqueue = ['q-${A}', 'plain']\ntheme = '${A}'\n")
    settings = load({}, {"A": "${B}", "B": "b"}, path)
    assert settings.redis == "${B}b/$A"
    assert settings.queues == ("q-${B}", "plain")
    assert settings.theme == "${B}"


def test_a_variable_is_needed_only_where_its_text_counts(config: Path) -> None:
    assert load({"profile": "dev"}, {}, config).redis == "redis://dev"
    with pytest.raises(SettingsError) as caught:
        load({"profile": "prod"}, {"PROD_PASSWORD": ""}, config)
    assert str(caught.value) == (
        f"{config}: [profiles.prod] redis needs the environment variable PROD_PASSWORD,"
        " which is not set"
    )


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("prefx = 'a'", "prefx is not a setting: did you mean prefix?"),
        ("read_only = true", "read_only is not a setting: did you mean read-only?"),
        ("[profiles.p]\nREDIS = ''", "[profiles.p] REDIS is not a setting: did you mean redis?"),
        (
            "[profiles.p]\ntheme = 'x'",
            "[profiles.p] theme is not a setting: there are redis, prefix,",
        ),
        (
            "xyzzy = 1",
            "xyzzy is not a setting: there are redis, prefix, queue, read-only, allow, refresh,",
        ),
        ('"a\\nb\\u001b" = 1', "a␊b␛ is not a setting"),
        ("redis = ['redis://:hunter2@h']", "redis must be text, not a list"),
        ("redis = ''", "redis must be text, not an empty one"),
        ("redis = 2020-01-01", "redis must be text, not a date or a time"),
        ("prefix = []", "prefix must be text or a list of texts, not an empty one"),
        ("queue = ['a', 1]", "queue must be text or a list of texts, not a list"),
        ("read-only = 'hunter2'", "read-only must be true or false, not text"),
        ("notify = 1", "notify must be true or false, not a number"),
        ("read-only = 1", "read-only must be true or false, not a number"),
        (
            "allow = 'retry'",
            'allow must be a list of actions, such as ["retry", "pause"], not text',
        ),
        ("allow = ['retri']", "allow names retri, which is no action: did you mean retry?"),
        ("[profiles.p]\nallow = [1]", "[profiles.p] allow must be a list of actions"),
        ("refresh = true", "refresh must be a number of seconds, not true or false"),
        ("refresh = 0.1", "refresh must be 0.25 seconds or more, or 0 to disable refreshes"),
        ("refresh = -1", "refresh must be 0.25 seconds or more, or 0 to disable refreshes"),
        ("refresh = nan", "refresh must be 0.25 seconds or more, or 0 to disable refreshes"),
        ("refresh = inf", "refresh must be 0.25 seconds or more, or 0 to disable refreshes"),
        ("[profiles.p]\nrefresh = 0.2", "[profiles.p] refresh must be 0.25 seconds or more"),
        ("keys = 'hunter2'", "keys must be a table, not text"),
        ("[keys]\nretry = ['r']", "[keys] retry must be the name of a key, not a list"),
        ("profiles = 1", "profiles must be a table, not a number"),
        ("[profiles]\nredis = 'redis://:hunter2@h'", "[profiles] redis must be a table, not text"),
        ("redis = 'redis://:hunter2@h", "not valid TOML: "),
        ("\n\nredis = hunter2", "at line 3, column 9"),
        ("\nprefix = ['a',", "at line 2"),
        ("\n\nprefix = '\udcff'", "line 3 is not UTF-8"),
    ],
)
def test_a_mistake_in_the_file_is_reported_in_one_line(
    tmp_path: Path, text: str, line: str
) -> None:
    path = tmp_path / "my config.toml"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(SettingsError) as caught:
        load({}, {}, path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert line in message
    assert "\n" not in message
    assert SECRET not in message


def test_an_empty_text_is_reported_so(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    for key in ("redis", "theme", "prefix", "queue"):
        path.write_text(f"{key} = ''")
        with pytest.raises(SettingsError, match=f"{key} must be text.*, not an empty one"):
            load({}, {}, path)


def test_a_file_that_cannot_be_read_is_reported(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"nowhere\.toml: no such file"):
        load({}, {}, tmp_path / "nowhere.toml")
    with pytest.raises(SettingsError, match="cannot read it: Is a directory"):
        load({}, {}, tmp_path)


def test_an_unknown_profile_names_the_known_ones(config: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        load({"profile": "pord"}, {}, config)
    assert str(caught.value) == f"--profile pord is not in {config}: it has prod, dev"
    empty = tmp_path / "empty.toml"
    empty.touch()
    with pytest.raises(SettingsError, match=r"--profile x is not in .*empty\.toml: it has none"):
        load({"profile": "x"}, {}, empty)
    with pytest.raises(SettingsError, match=r"--profile x: there is no file .*config\.toml"):
        load({"profile": "x"}, {}, None)


@pytest.mark.parametrize(
    ("flags", "environ", "line"),
    [
        ({"refresh": 0.1}, {}, "--refresh must be 0.25 seconds or more, or 0 to disable refreshes"),
        ({"refresh": float("nan")}, {}, "--refresh must be 0.25 seconds or more"),
        ({}, {"QTUI_READ_ONLY": SECRET}, "QTUI_READ_ONLY must be 1 (read-only) or 0"),
    ],
)
def test_a_mistake_outside_the_file_names_its_place(
    flags: dict[str, Any], environ: dict[str, str], line: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        load(flags, environ, None)
    assert str(caught.value).startswith(line)


def test_settings_show_no_password() -> None:
    settings = load({"redis": f"redis://:{SECRET}@h"}, {}, None)
    assert SECRET in settings.redis
    assert SECRET not in repr(settings)


def test_importing_settings_costs_little() -> None:
    heavy = ("textual", "rich", "click", "redis", "asyncio", "platformdirs")
    code = f"import sys, qtui.settings; print([m for m in {heavy!r} if m in sys.modules])"
    environ = {"PATH": os.environ["PATH"]}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environ
    )
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("flag", "profile", "top", "rate"),
    [
        (None, "", "", None),
        (None, "", "scan-rate = 500", 500.0),
        (None, "scan-rate = 20.5", "scan-rate = 500", 20.5),
        (None, "scan-rate = 0", "scan-rate = 500", 0.0),
        (0, "scan-rate = 20", "", 0.0),
        (7.0, "scan-rate = 20", "scan-rate = 500", 7.0),
    ],
)
def test_the_nearest_source_shows_the_rate_of_a_search(
    tmp_path: Path, flag: float | None, profile: str, top: str, rate: float | None
) -> None:
    path = tmp_path / "c.toml"
    path.write_text(f"{top}\n[profiles.p]\n{profile}\n")
    assert load({"scan_rate": flag, "profile": "p"}, {}, path).scan_rate == rate


@pytest.mark.parametrize("value", ["-1", "nan", "inf", "true", "'many'", "[1]"])
def test_a_rate_that_is_none_is_reported(tmp_path: Path, value: str) -> None:
    path = tmp_path / "c.toml"
    for head, place in (("", ""), ("[profiles.x]\n", "[profiles.x] ")):
        path.write_text(f"{head}scan-rate = {value}\n")
        with pytest.raises(SettingsError) as caught:
            load({}, {}, path)
        assert str(caught.value).startswith(f"{path}: {place}scan-rate must be ")
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [-1, float("nan"), float("inf")])
def test_a_flag_that_is_no_rate_is_reported(value: float) -> None:
    with pytest.raises(SettingsError, match=r"^--scan-rate must be "):
        load({"scan_rate": value}, {}, None)
