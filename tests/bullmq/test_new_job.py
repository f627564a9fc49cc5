"""The options and the data of a new job: what BullMQ takes, what it does not, and why."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qtui.bullmq.new_job.options import OptionError, new_job, options_in, options_of_job
from qtui.bullmq.new_job.payload import digest_of, mistake_in, packed, spread

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(value=VALUES, ascii_only=st.booleans(), indent=st.sampled_from([None, 0, 3]))
def test_data_is_spread_and_packed_without_a_change(
    value: Any, ascii_only: bool, indent: int | None
) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    compact = json.dumps(value, ensure_ascii=ascii_only, separators=(",", ":"))
    assert mistake_in(text) is None
    assert packed(text) == compact
    lines = spread(text)
    assert packed(lines) == compact
    assert lines == json.dumps(value, ensure_ascii=ascii_only, indent=2)


@pytest.mark.parametrize("text", ["1e400", "0.10", "12345678901234567890", '{"a":1,"a":2}', "-0"])
def test_numbers_and_doubled_keys_stay_as_they_were_typed(text: str) -> None:
    assert packed(spread(text)) == text
    assert mistake_in(text) is None
    assert mistake_in("9" * 5000) is None  # more digits than Python parses


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "it is empty; data without content is {} or null"),
        ("{\n  'a': 1}", "line 2, column 3: Expecting property name enclosed in double quotes"),
        ('[1,\n "x\ty"]', "line 2, column 4: Invalid control character at"),
        ('{"a":\n NaN}', "line 2, column 2: NaN is not JSON"),
        ("[" * 100_000, "it is nested too deeply"),
        ("{} {}", "line 1, column 4: Extra data"),
    ],
)
def test_a_mistake_is_told_with_its_line(text: str, words: str) -> None:
    assert str(mistake_in(text)) == words


def test_the_digest_is_that_of_the_bytes_in_redis() -> None:
    assert digest_of("\udcff") == hashlib.sha1(b"\xff").hexdigest()
    assert digest_of(None) == digest_of("")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"prority": 1}, 'BullMQ knows no option "prority": did you mean priority?'),
        ({"removeOnCompleted": 1}, "did you mean removeOnComplete?"),
        ({"JobID": "x"}, "did you mean jobId?"),
        ({"zzz": 1}, "it knows attempts, backoff,"),
        ({"priority": 2**21}, "priority is a whole number from 0 to 2,097,151, not 2097152"),
        ({"priority": 1.5}, "priority is a whole number"),
        ({"priority": True}, "priority is a whole number"),
        ({"attempts": "3"}, 'attempts is a whole number of at least 0, not "3"'),
        ({"delay": -1}, "delay is a whole number"),
        ({"lifo": 1}, "lifo is true or false, not 1"),
        ({"backoff": {"delay": 5}}, 'backoff needs a type, such as "fixed"'),
        ({"backoff": {"type": "fixed", "dealy": 5}}, 'backoff has no "dealy"'),
        ({"backoff": {"type": "fixed", "jitter": 2}}, "jitter is a number from 0 to 1"),
        ({"removeOnFail": {"age": "1h"}}, "removeOnFail.age is a whole number"),
        ({"jobId": "17"}, "jobId 17 is a number, which BullMQ gives out itself: add a letter"),
        ({"jobId": "0:1"}, "begins with 0: workers take it for a wake-up"),
        ({"jobId": "a:b"}, "has a colon"),
        ({"jobId": "wait"}, "is the name of one of the queue's own keys"),
        ({"jobId": "repeat:x:1"}, "is the name of one of the queue's own keys"),
        ({"jobId": ""}, "jobId is a text"),
        ({"repeat": {"every": 5}}, "a job is repeated by a scheduler: qtui schedulers"),
        ({"parent": {}}, "added to a flow by the application's FlowProducer"),
        ({"deduplication": {"id": "x"}}, "added by the application, which owns the key"),
        ({"failParentOnFailure": True, "ignoreDependencyOnFailure": True}, "together"),
        ({"sizeLimit": 3}, "the data has 7 bytes, and sizeLimit is 3"),
        ({"telemetry": {"x": 1}}, 'telemetry has no "x"'),
        ({"delay": 10**12}, "before September 2039"),
        ({"timestamp": 10**12 * 2, "delay": 10**12}, "before September 2039"),
        ({"timestamp": 0}, "timestamp is a whole number"),
    ],
)
def test_what_bullmq_does_not_take_is_refused_with_what_to_do(
    options: dict[str, object], words: str
) -> None:
    with pytest.raises(OptionError) as error:
        new_job("mail", '{"a":1}', options)
    assert words in str(error.value)


def test_options_are_kept_under_the_names_that_bullmq_uses_in_redis() -> None:
    options = {
        "attempts": 3,
        "backoff": 250,
        "keepLogs": 5,
        "failParentOnFailure": True,
        "telemetry": {"metadata": "m", "omitContext": True},
        "jobId": "order-1",
        "delay": 5,
    }
    job = new_job("mail", ' { "a" : 1 } ', options)
    assert (job.data, job.job_id, job.delay, job.priority) == ('{"a":1}', "order-1", 5, 0)
    assert json.loads(job.opts) == {
        "attempts": 3,
        "backoff": {"type": "fixed", "delay": 250},
        "kl": 5,
        "fpof": True,
        "tm": "m",
        "omc": True,
        "jobId": "order-1",
        "delay": 5,
    }
    assert json.loads(new_job("mail", "{}", {}).opts) == {"attempts": 0}


@pytest.mark.parametrize("text", ["[1]", "7", '{"a":1,"a":2}', "{", "nothing"])
def test_options_are_one_object_without_doubled_names(text: str) -> None:
    with pytest.raises(OptionError):
        options_in(text)


def test_a_copy_has_what_belongs_to_the_kind_of_job_and_nothing_of_that_one_job() -> None:
    stored = {
        "attempts": 3,
        "backoff": {"type": "fixed", "delay": 5},
        "kl": 7,
        "removeOnComplete": True,
        "jobId": "order-1",
        "delay": 60_000,
        "timestamp": 5,
        "parent": {"id": "1", "queue": "bull:q"},
        "repeat": {"every": 5},
        "repeatJobKey": "x",
        "prevMillis": 5,
        "de": {"id": "d"},
        "fpof": True,
        "tm": "trace",
        "omc": True,
        "made up": 1,
        "sizeLimit": "garbage",
    }
    assert options_of_job(json.dumps(stored)) == {
        "attempts": 3,
        "backoff": {"type": "fixed", "delay": 5},
        "keepLogs": 7,
        "removeOnComplete": True,
        "telemetry": {"omitContext": True},
    }
    for garbage in ("", "[]", "nothing", '"x"'):
        assert options_of_job(garbage) == {}
