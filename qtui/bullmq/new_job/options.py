"""A job that is to be added: name, data, and options as BullMQ knows them. Pure.

The options are those of BullMQ 6.7.0 (interfaces base-job-options and JobsOptions), checked as its
Job.validateOptions does, and stored under the short names that it uses in Redis (optsEncodeMap).
"""

from __future__ import annotations

import difflib
import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from qtui.bullmq.keys import is_marker
from qtui.bullmq.model import NOT_JOBS
from qtui.bullmq.new_job.payload import mistake_in, packed

HIGHEST_PRIORITY: Final = 2**21 - 1
"""The largest priority that every release takes (2^21 itself until 5.80.0)."""

LATEST_DUE: Final = 2**53 // 4096 - 1
"""The latest moment, in ms since the epoch, whose score in ``delayed`` is exact: in 2039."""

TOO_LATE: Final = "a job must be due before September 2039: later scores in Redis are not exact"

_MOST: Final = 2**53 - 1
"""The largest whole number that JavaScript holds exactly."""

_INTEGER: Final = re.compile(r"-?(0|[1-9][0-9]*)", re.ASCII)


class OptionError(ValueError):
    """An option that BullMQ does not know, or does not take so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """A job that is to be added."""

    name: str
    data: str = "{}"
    """JSON, packed."""
    opts: str = '{"attempts":0}'
    """What the hash holds as ``opts``: JSON with BullMQ's short names; see `new_job`."""
    job_id: str = ""
    """The custom id; empty for the queue's next number."""
    timestamp: int | None = None
    """ms since the epoch; None for the server's time."""
    delay: int = 0
    """ms."""
    priority: int = 0
    lifo: bool = False


def new_job(name: str, data: str, options: Mapping[str, object]) -> NewJob:
    """Returns a job with these options.

    Raises:
        OptionError: the name is empty, the data is not JSON, or an option is not BullMQ's.
    """
    if not name:
        raise OptionError("a job needs a name")
    if mistake := mistake_in(data):
        raise OptionError(f"the data is not JSON: {mistake}")
    for option, value in options.items():
        _check(option, value)
    _check_together(options, data)
    delay, priority, stamp = (options.get(one, 0) for one in ("delay", "priority", "timestamp"))
    assert isinstance(delay, int)
    assert isinstance(priority, int)
    assert isinstance(stamp, int)
    return NewJob(
        name=name,
        data=packed(data),
        opts=_stored(options),
        job_id=str(options.get("jobId", "")),
        timestamp=stamp or None,
        delay=delay,
        priority=priority,
        lifo=options.get("lifo") is True,
    )


def options_in(text: str) -> dict[str, object]:
    """Returns the options in a JSON object, unchecked.

    Raises:
        OptionError: it is not a JSON object, or names an option twice.
    """
    if mistake := mistake_in(text):
        raise OptionError(f"the options are not JSON: {mistake}")

    def once(pairs: list[tuple[str, object]]) -> dict[str, object]:
        names = [name for name, _ in pairs]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise OptionError(f"{twice} is given twice")
        return dict(pairs)

    try:
        found = json.loads(text, object_pairs_hook=once)
    except ValueError as error:  # a number of thousands of digits
        raise OptionError(str(error)) from None
    if not isinstance(found, dict):
        raise OptionError('the options are a JSON object, such as {"attempts": 3}')
    return found


def options_of_job(stored: str) -> dict[str, object]:
    """Returns the options with which a copy of a job is made, from its field ``opts``.

    Without its id, parent, repetition and deduplication, which belong to that one job; without its
    time stamp and delay, since the copy is new; and without what BullMQ does not know. Options that
    no job can have are left out too: a hash may hold anything.
    """
    try:
        found = json.loads(stored)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    copied: dict[str, object] = {}
    for short, value in found.items():
        name = str(_LONG.get(short, short))
        if name in _NOT_COPIED or name not in _CHECKS:
            continue
        try:
            _check(name, value)
        except OptionError:
            continue
        copied[name] = value
    telemetry = {long: found[short] for short, long in _TELEMETRY.items() if short in found}
    if telemetry.get("omitContext") is True:
        copied["telemetry"] = {"omitContext": True}
    return copied


# One option ---------------------------------------------------------------------------------------


def _whole(name: str, value: object, *, least: int = 0, most: int = _MOST) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        bounds = f"from {least:,} to {most:,}" if most < _MOST else f"of at least {least:,}"
        raise OptionError(f"{name} is a whole number {bounds}, not {_shown(value)}")


def _flag(name: str, value: object) -> None:
    if not isinstance(value, bool):
        raise OptionError(f"{name} is true or false, not {_shown(value)}")


def _priority(name: str, value: object) -> None:
    _whole(name, value, most=HIGHEST_PRIORITY)


def _delay(name: str, value: object) -> None:
    _whole(name, value, most=LATEST_DUE)


def _timestamp(name: str, value: object) -> None:
    _whole(name, value, least=1, most=LATEST_DUE)


def _backoff(name: str, value: object) -> None:
    if not isinstance(value, dict):
        _whole(name, value)
        return
    _members(name, value, ("type", "delay", "jitter"))
    if not isinstance(value.get("type"), str) or not value["type"]:
        raise OptionError('backoff needs a type, such as "fixed" or "exponential"')
    if "delay" in value:
        _whole("backoff.delay", value["delay"])
    jitter = value.get("jitter", 0)
    if isinstance(jitter, bool) or not isinstance(jitter, int | float) or not 0 <= jitter <= 1:
        raise OptionError(f"backoff.jitter is a number from 0 to 1, not {_shown(jitter)}")


def _keep(name: str, value: object) -> None:
    if isinstance(value, bool):
        return
    if not isinstance(value, dict):
        _whole(name, value)
        return
    _members(name, value, ("age", "count", "limit"))
    for member, number in value.items():
        _whole(f"{name}.{member}", number)


def _job_id(name: str, value: object) -> None:
    if not isinstance(value, str) or not value:
        raise OptionError(f"jobId is a text, not {_shown(value)}")
    if _INTEGER.fullmatch(value):
        raise OptionError(f"jobId {value} is a number, which BullMQ gives out itself: add a letter")
    if is_marker(value) or value.startswith("0:"):
        raise OptionError(f"jobId {_shown(value)} begins with 0: workers take it for a wake-up")
    if ":" in value and value.count(":") != 2:
        raise OptionError(f"jobId {_shown(value)} has a colon")
    if value in NOT_JOBS or value.split(":")[0] in _TAKEN:
        raise OptionError(f"jobId {_shown(value)} is the name of one of the queue's own keys")


def _telemetry(name: str, value: object) -> None:
    if not isinstance(value, dict):
        raise OptionError(f"telemetry is an object, not {_shown(value)}")
    _members(name, value, tuple(_TELEMETRY.values()))
    if not isinstance(value.get("metadata", ""), str):
        raise OptionError(f"telemetry.metadata is a text, not {_shown(value['metadata'])}")
    _flag("telemetry.omitContext", value.get("omitContext", False))


def _members(name: str, value: Mapping[str, object], known: tuple[str, ...]) -> None:
    for member in value:
        if member not in known:
            raise OptionError(f"{name} has no {_shown(member)}: it takes {', '.join(known)}")


_CHECKS: Final[Mapping[str, Callable[[str, object], None]]] = {
    "attempts": _whole,
    "backoff": _backoff,
    "continueParentOnFailure": _flag,
    "delay": _delay,
    "failParentOnFailure": _flag,
    "ignoreDependencyOnFailure": _flag,
    "jobId": _job_id,
    "keepLogs": _whole,
    "lifo": _flag,
    "priority": _priority,
    "removeDependencyOnFailure": _flag,
    "removeOnComplete": _keep,
    "removeOnFail": _keep,
    "sizeLimit": _whole,
    "stackTraceLimit": _whole,
    "telemetry": _telemetry,
    "timestamp": _timestamp,
}
"""Every option of a single job, and what checks it."""

_ELSEWHERE: Final = {
    "repeat": "a job is repeated by a scheduler: qtui schedulers",
    "repeatJobKey": "BullMQ sets it on the jobs of a scheduler",
    "prevMillis": "BullMQ sets it on the jobs of a scheduler",
    "parent": "a job is added to a flow by the application's FlowProducer",
    "deduplication": "a deduplicated job is added by the application, which owns the key",
    "debounce": "a deduplicated job is added by the application, which owns the key",
}
"""Options of BullMQ's that a job added here can't have, and why."""

_EXCLUSIVE: Final = (
    *("removeDependencyOnFailure", "failParentOnFailure"),
    *("continueParentOnFailure", "ignoreDependencyOnFailure"),
)
_SHORT: Final = {
    "failParentOnFailure": "fpof",
    "continueParentOnFailure": "cpof",
    "ignoreDependencyOnFailure": "idof",
    "removeDependencyOnFailure": "rdof",
    "keepLogs": "kl",
}
_LONG: Final = {short: long for long, short in _SHORT.items()}
_TELEMETRY: Final = {"tm": "metadata", "omc": "omitContext"}
_NOT_COPIED: Final = frozenset(("jobId", "timestamp", "delay", *_EXCLUSIVE))
_TAKEN: Final = frozenset(("metrics", "limiter", "de", "dn", "repeat", *NOT_JOBS))


def _check(name: str, value: object) -> None:
    """Checks one option.

    Raises:
        OptionError: BullMQ does not know it, does not take this value, or it can't be given here.
    """
    if name in _CHECKS:
        _CHECKS[name](name, value)
        return
    if why := _ELSEWHERE.get(name):
        raise OptionError(f"{name} can't be given: {why}")
    by_lower = {one.lower(): one for one in (*_CHECKS, *_ELSEWHERE)}
    near = difflib.get_close_matches(name.lower(), by_lower, 1, 0.6)
    meant = f": did you mean {by_lower[near[0]]}?" if near else f": it knows {', '.join(_CHECKS)}"
    raise OptionError(f"BullMQ knows no option {_shown(name)}{meant}")


def _check_together(options: Mapping[str, object], data: str) -> None:
    on = [one for one in _EXCLUSIVE if options.get(one)]
    if len(on) > 1:
        raise OptionError(f"{' and '.join(on)} can't be given together")
    limit, length = options.get("sizeLimit"), len(packed(data).encode("utf-8", "surrogateescape"))
    if isinstance(limit, int) and 0 < limit < length:
        raise OptionError(f"the data has {length:,} bytes, and sizeLimit is {limit:,}")
    delay, stamp = options.get("delay", 0), options.get("timestamp", time.time() * 1000)
    if isinstance(delay, int) and isinstance(stamp, int | float) and delay + stamp > LATEST_DUE:
        raise OptionError(TOO_LATE)


def _stored(options: Mapping[str, object]) -> str:
    """The options as the hash holds them."""
    found: dict[str, object] = {"attempts": 0}
    for name, value in options.items():
        if name == "telemetry" and isinstance(value, dict):
            pairs = [(short, value.get(long)) for short, long in _TELEMETRY.items()]
            found |= {short: one for short, one in pairs if one is not None}
        elif name == "backoff" and isinstance(value, int):
            found[name] = {"type": "fixed", "delay": value}
        else:
            found[_SHORT.get(name, name)] = value
    return json.dumps(found, ensure_ascii=False, separators=(",", ":"))


def _shown(value: object) -> str:
    """A value as short JSON."""
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:40]}…"
