"""The user's settings: flags, environment and config file, merged into one frozen dataclass.

A leaf: knows neither the command line, nor the screen, nor Redis. Errors never quote a value, which
may be a URL with a password.
"""

from __future__ import annotations

import difflib
import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Final, TypeAlias

from qtui.folders import config_file
from qtui.text import plain
from qtui.verbs import Verb

DEFAULT_REDIS: Final = "redis://localhost:6379"
LEAST_REFRESH: Final = 0.25
"""Least number of seconds between two refreshes; 0 disables them."""


class SettingsError(Exception):
    """One line that names the file, flag or variable, the key, and what to write instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Marked:
    """A server on which a profile allows not everything."""

    profile: str
    url: str = field(repr=False)
    allow: frozenset[Verb]
    """The only actions that may be carried out there; none if it is read-only."""
    announced: tuple[str, ...] = ()
    """As in `Settings`, for this server."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings, checked. The URL is not: `parse_target` of the connection does that."""

    redis: str = field(default=DEFAULT_REDIS, repr=False)
    """May hold a password, so it is left out of repr."""
    has_address: bool = field(default=True, compare=False)
    """Whether the user gave an address anywhere."""
    prefixes: tuple[str, ...] = ("bull",)
    queues: tuple[str, ...] = ()
    """The only queues to show; all if empty."""
    read_only: bool = False
    read_only_by: str = ""
    """The profile that marks the server read-only, if nothing else asked for it."""
    allow: frozenset[Verb] = frozenset(Verb)
    """The actions that may be carried out where it is not read-only."""
    allow_by: str = ""
    """The profile that allows no others; empty if the top of a file says so, or nothing does."""
    marked: tuple[Marked, ...] = ()
    """The servers of all profiles with ``read-only = true`` or ``allow``, in every file read."""
    refresh: float = 2.0
    """Seconds between refreshes; 0 disables them."""
    scan_rate: float | None = None
    """Jobs per second that a search may read; 0 = unlimited. None: throttled, so that a busy server
    keeps most of its time for others."""
    announced: tuple[str, ...] = ()
    """Detours for announced addresses, each ``ANNOUNCED=REACHABLE``."""
    tls_ca: str | None = None
    tls_cert: str | None = None
    tls_key: str | None = None
    """Files."""
    tls_server_name: str | None = None
    tls_insecure: bool = False
    profile: str = ""
    bell: bool = False
    """Whether the terminal's bell rings when a burst of failures begins."""
    notify: bool = False
    """Whether the terminal is asked for a notification of the desktop then (OSC 9)."""
    theme: str | None = None
    keys: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Keys by the id of the action; the screen checks that such an action exists."""

    @property
    def allowed(self) -> frozenset[Verb]:
        """The actions that may be carried out; none in read-only mode."""
        return frozenset() if self.read_only else self.allow

    def guarded(self, by: Iterable[Marked]) -> Settings:
        """Returns the settings with what profiles allow on their server, and no more."""
        found = self
        for one in by:
            if not one.allow:
                found = replace(found, read_only=True, read_only_by=one.profile)
            elif not found.allow <= one.allow:
                found = replace(found, allow=found.allow & one.allow, allow_by=one.profile)
        return found

    def without_ways(self) -> Settings:
        """The same settings without tunnels, proxies and TLS."""
        return replace(
            self,
            announced=(),
            tls_ca=None,
            tls_cert=None,
            tls_key=None,
            tls_server_name=None,
            tls_insecure=False,
        )


_Table: TypeAlias = Mapping[str, object]

_VARIABLE: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_TLS_TEXTS: Final = ("tls-ca", "tls-cert", "tls-key", "tls-server-name")
_PROFILE_KEYS: Final = (
    *("redis", "prefix", "queue", "read-only", "allow", "refresh", "scan-rate"),
    *("announced", *_TLS_TEXTS, "tls-insecure", "bell", "notify"),
)
_KEYS: Final = (*_PROFILE_KEYS, "theme", "keys", "profiles")
_TYPES: Final[Mapping[type, str]] = {
    bool: "true or false",
    int: "a number",
    float: "a number",
    str: "text",
    list: "a list",
    dict: "a table",
}


def load(
    flags: Mapping[str, object | None], environ: Mapping[str, str], config_path: Path | None
) -> Settings:
    """The settings from all sources; for each setting, the first source that has it wins.

    1. The flag. 2. The profile that ``--profile`` names. 3. The environment (QTUI_REDIS, else
    REDIS_URL). 4. The top of the config file. 5. The default. So ``--profile prod`` is prod
    even if a shell has REDIS_URL set. Read-only is on as soon as the flag, QTUI_READ_ONLY,
    the profile, or the top of the file or of the user's own file says so, and nothing turns it off
    again. What the profile and the tops of these files ``allow`` are limits too: only what all of
    them allow may be carried out. `Settings.marked` are the servers of profiles that limit them,
    for wherever they are named.

    ``${NAME}`` in texts of the file is replaced by that environment variable.

    Args:
        flags: By the names of `Settings`: redis, prefixes, queues, read_only, refresh,
            scan_rate, announced, tls_ca, tls_cert, tls_key, tls_server_name, tls_insecure, profile.
            None, empty and False mean not given. Other names are left alone.
        environ: The environment.
        config_path: Of ``--config``; it must exist. None: ``config.toml`` in the user's folder for
            qtui's configuration, if there is one.

    Raises:
        SettingsError: a value or a source that cannot be used.
    """
    file = _File.read(config_path, environ)
    file.check()
    files = [file] if config_path is None else [file, _File.read(None, environ)]
    profile = str(flags.get("profile") or "")
    of_profile = file.profile(profile) if profile else {}
    of_environ = {"redis": environ.get("QTUI_REDIS") or environ.get("REDIS_URL")}

    def pick(key: str, flag: str) -> object | None:
        """The value that wins, None if there is none; only in this one are variables replaced."""
        if _given(flags.get(flag)):
            return flags[flag]
        if key in of_profile:
            return file.expanded(of_profile[key], f"profiles.{profile}", key, environ)
        if _given(of_environ.get(key)):
            return of_environ[key]
        return file.expanded(file.table.get(key), "", key, environ)

    refresh = pick("refresh", "refresh")
    scan_rate = pick("scan-rate", "scan_rate")
    theme = file.expanded(file.table.get("theme"), "", "theme", environ)
    flag = _switch(environ) or bool(flags.get("read_only"))
    at_top = any(one.table.get("read-only") is True for one in files)
    allow = _allowed(of_profile).intersection(*[_allowed(one.table) for one in files])
    return Settings(
        redis=str(pick("redis", "redis") or DEFAULT_REDIS),
        has_address=bool(pick("redis", "redis")),
        prefixes=_texts(pick("prefix", "prefixes")) or ("bull",),
        queues=_texts(pick("queue", "queues")),
        read_only=flag or at_top or of_profile.get("read-only") is True or not allow,
        allow=allow,
        allow_by=profile if "allow" in of_profile else "",
        marked=tuple(server for one in files for server in one.marked(environ)),
        refresh=2.0 if refresh is None else _refresh(refresh, "--refresh"),
        scan_rate=None if scan_rate is None else _scan_rate(scan_rate, "--scan-rate"),
        announced=_texts(pick("announced", "announced")),
        tls_ca=_path(pick("tls-ca", "tls_ca")),
        tls_cert=_path(pick("tls-cert", "tls_cert")),
        tls_key=_path(pick("tls-key", "tls_key")),
        tls_server_name=_text(pick("tls-server-name", "tls_server_name")),
        tls_insecure=bool(pick("tls-insecure", "tls_insecure")),
        profile=profile,
        bell=bool(pick("bell", "bell")),
        notify=bool(pick("notify", "notify")),
        theme=None if theme is None else str(theme),
        keys=MappingProxyType({name: str(key) for name, key in file.section("keys").items()}),
    )


def _allowed(table: _Table) -> frozenset[Verb]:
    """What a table allows: all if it does not say; of a malformed list what is right in it."""
    value = table.get("allow")
    if value is None:
        return frozenset(Verb)
    names = value if isinstance(value, list) else []
    return frozenset(verb for verb in Verb if verb in names)


def _given(value: object) -> bool:
    return value is not None and value != "" and value != () and value is not False


def _texts(value: object) -> tuple[str, ...]:
    """One text or several, each once."""
    if value is None:
        return ()
    several = [value] if isinstance(value, str) else value
    assert isinstance(several, Iterable)
    return tuple(dict.fromkeys(str(text) for text in several))


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _path(value: object) -> str | None:
    return None if value is None else os.path.expanduser(str(value))


def _refresh(value: object, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise SettingsError(f"{where} must be a number of seconds, not {_kind(value)}")
    if value != 0 and not (LEAST_REFRESH <= value < math.inf):
        raise SettingsError(
            f"{where} must be {LEAST_REFRESH} seconds or more, or 0 to disable refreshes"
        )
    return float(value)


def _scan_rate(value: object, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise SettingsError(f"{where} must be a number of jobs per second, not {_kind(value)}")
    if not 0 <= value < math.inf:
        raise SettingsError(f"{where} must be a number of jobs per second, or 0 for unlimited")
    return float(value)


def _switch(environ: Mapping[str, str]) -> bool:
    value = environ.get("QTUI_READ_ONLY", "").strip().lower()
    if value not in ("", "0", "1", "false", "true", "no", "yes", "off", "on"):
        raise SettingsError("QTUI_READ_ONLY must be 1 (read-only) or 0")
    return value in ("1", "true", "yes", "on")


def _kind(value: object) -> str:
    if value in ("", []):
        return "an empty one"
    return _TYPES.get(type(value), "a date or a time")


@dataclass(frozen=True, slots=True)
class _File:
    """A config file: where it is, and what it holds; nothing if there is none."""

    path: Path
    table: _Table = field(repr=False)
    exists: bool = True

    @classmethod
    def read(cls, path: Path | None, environ: Mapping[str, str]) -> _File:
        optional = path is None
        if path is None:
            path = config_file(environ)
        if path is None:  # a user without a home
            return cls(Path("config.toml"), {}, exists=False)
        try:
            raw = path.read_bytes()
        except FileNotFoundError:
            if optional:
                return cls(path, {}, exists=False)
            raise SettingsError(f"{plain(str(path))}: no such file") from None
        except OSError as error:
            raise SettingsError(f"{plain(str(path))}: cannot read it: {error.strerror}") from None
        return cls(path, _parsed(raw, path))

    def marked(self, environ: Mapping[str, str]) -> Iterator[Marked]:
        """The servers of profiles that limit what is done there; unset variables stay as names."""

        def texts(table: _Table, key: str) -> tuple[str, ...]:
            # The file may be one that nothing has checked.
            value = table.get(key, self.table.get(key))
            several = value if isinstance(value, list) else [value]
            found = (text for text in several if isinstance(text, str))
            return tuple(
                _VARIABLE.sub(lambda it: environ.get(it[1]) or it[1], one) for one in found
            )

        profiles = self.table.get("profiles")
        for name, table in profiles.items() if isinstance(profiles, dict) else ():
            if not isinstance(table, dict):
                continue
            allow = frozenset[Verb]() if table.get("read-only") is True else _allowed(table)
            if allow != frozenset(Verb):
                ways = texts(table, "announced")
                for url in texts(table, "redis"):
                    yield Marked(profile=name, url=url, allow=allow, announced=ways)

    @property
    def shown(self) -> str:
        return plain(str(self.path))

    def error(self, section: str, key: str, what: str) -> SettingsError:
        place = f"[{section}] {key}" if section else key
        return SettingsError(f"{self.shown}: {plain(place)} {what}")

    def section(self, name: str) -> _Table:
        """A table in the file, empty where it has none."""
        table = self.table.get(name, {})
        assert isinstance(table, dict)
        return table

    def profile(self, name: str) -> _Table:
        profiles = self.section("profiles")
        table = profiles.get(name)
        if isinstance(table, dict):
            return table
        if not self.exists:
            raise SettingsError(f"--profile {plain(name)}: there is no file {self.shown}")
        known = f"it has {plain(', '.join(profiles))}" if profiles else "it has none"
        raise SettingsError(f"--profile {plain(name)} is not in {self.shown}: {known}")

    def check(self) -> None:
        """Looks at every key, those of profiles that are not in use too.

        Raises:
            SettingsError: an unknown key, or a value of a wrong type.
        """
        self._check_table("", self.table, _KEYS)
        for name, table in self.section("profiles").items():
            if not isinstance(table, dict):
                raise self.error("profiles", name, f"must be a table, not {_kind(table)}")
            self._check_table(f"profiles.{name}", table, _PROFILE_KEYS)
        for name, value in self.section("keys").items():
            if not isinstance(value, str) or not value:
                raise self.error("keys", name, f"must be the name of a key, not {_kind(value)}")

    def _check_table(self, section: str, table: _Table, known: Sequence[str]) -> None:
        for key, value in table.items():
            if key not in known:
                raise self.error(section, key, f"is not a setting: {_nearest(key, known)}")
            wanted = _mismatch(key, value)
            if wanted:
                raise self.error(section, key, f"must be {wanted}, not {_kind(value)}")
            where = f"{self.shown}: {plain(f'[{section}] ' if section else '')}{key}"
            if key == "refresh":
                _refresh(value, where)
            if key == "scan-rate":
                _scan_rate(value, where)
            if key == "allow":
                self._check_actions(section, value)

    def _check_actions(self, section: str, value: object) -> None:
        known = [verb.value for verb in Verb]
        for name in value if isinstance(value, list) else ():
            if name not in known:
                what = f"names {plain(str(name))}, which is no action: {_nearest(str(name), known)}"
                raise self.error(section, "allow", what)

    def expanded(self, value: object, section: str, key: str, environ: Mapping[str, str]) -> object:
        """A value with variables of the environment in place of ``${NAME}``."""

        def variable(match: re.Match[str]) -> str:
            if not environ.get(match[1]):
                raise self.error(
                    section, key, f"needs the environment variable {match[1]}, which is not set"
                )
            return environ[match[1]]

        if isinstance(value, list):
            return [self.expanded(item, section, key, environ) for item in value]
        if isinstance(value, str):
            return _VARIABLE.sub(variable, value)
        return value


def _parsed(raw: bytes, path: Path) -> _Table:
    import tomllib

    try:
        return tomllib.loads(raw.decode())
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise SettingsError(f"{plain(str(path))}: line {line} is not UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        last = raw.rstrip().count(b"\n") + 1
        what = str(error).replace("at end of document", f"at line {last}, the last")
        raise SettingsError(f"{plain(str(path))}: not valid TOML: {plain(what)}") from None


def _mismatch(key: str, value: object) -> str:
    """What a value should be, empty if it is that."""
    if key in ("redis", "theme", *_TLS_TEXTS):
        return "" if isinstance(value, str) and value else "text"
    if key in ("prefix", "queue", "announced"):
        several = value if isinstance(value, list) else [value]
        fine = several and all(isinstance(item, str) and item for item in several)
        return "" if fine else "text or a list of texts"
    if key == "allow":
        fine = isinstance(value, list) and all(isinstance(item, str) for item in value)
        return "" if fine else 'a list of actions, such as ["retry", "pause"]'
    if key in ("read-only", "tls-insecure", "bell", "notify"):
        return "" if isinstance(value, bool) else "true or false"
    if key in ("refresh", "scan-rate"):
        number = isinstance(value, int | float) and not isinstance(value, bool)
        what = "a number of seconds" if key == "refresh" else "a number of jobs per second"
        return "" if number else what
    return "" if isinstance(value, dict) else "a table"


def _nearest(key: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(key.replace("_", "-").lower(), known, 1)
    return f"did you mean {close[0]}?" if close else f"there are {', '.join(known)}"
