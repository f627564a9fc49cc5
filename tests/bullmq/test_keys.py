"""Names of keys, and which members of a list are jobs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qtui.bullmq.keys import QueueKey, is_marker, split_job_key

NAMES = [
    "payments",
    "eu:payments",
    "{pay}",
    "a*b[c]?^\\",
    "with blank",
    "名前",
    "x\udcffy",
    "->",
    "0",
]
PREFIXES = ["bull", "{bull}", "app:bull", "a:b:c", "*", "b\udcff"]


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("name", NAMES)
def test_a_queue_knows_its_name_and_its_keys(prefix: str, name: str) -> None:
    queue = QueueKey.of(prefix, name)
    assert queue.base == f"{prefix}:{name}"
    assert queue.name == name
    assert queue.key("wait") == f"{prefix}:{name}:wait"
    assert queue.job("a:b") == f"{prefix}:{name}:a:b"
    assert queue.job("a:b", "lock") == f"{prefix}:{name}:a:b:lock"


def test_the_base_key_is_the_identity_under_any_prefix() -> None:
    found = {QueueKey.of("bull", "eu:payments"), QueueKey.of("bull:eu", "payments")}
    assert len(found) == 1
    assert QueueKey.of("bull", "a") < QueueKey.of("bull", "b")


@pytest.mark.parametrize("member", ["0", "0:0", "0:5", "0:1700000000000"])
def test_what_wakes_workers_is_no_job(member: str) -> None:
    assert is_marker(member)


@pytest.mark.parametrize(
    "member",
    ["", "1", "00", "10", "0:", "0:a", "0:a:b", "0:1:2", "0:-1", "0:1 ", "0:1\n", ":0", "o", "0:٣"],
)
def test_jobs_are_no_markers_however_close_their_ids_come(member: str) -> None:
    assert not is_marker(member)


@given(st.text(min_size=1), st.text(alphabet=st.characters(exclude_characters=":")))
def test_a_full_key_is_parted_at_its_last_colon(base: str, job_id: str) -> None:
    assert split_job_key(f"{base}:{job_id}") == (base, job_id)


def test_a_key_without_a_colon_has_no_base() -> None:
    assert split_job_key("17") == ("", "17")
