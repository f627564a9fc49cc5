"""`Row.stamp` and `lua/parts/pins.lua` are twins: for any fields they make the same number."""

from __future__ import annotations

from collections.abc import Mapping

import redis
from hypothesis import example, given, settings
from hypothesis import strategies as st

from qtui.bullmq.model import LIST_FIELDS, row
from qtui.bullmq.script import script_text
from qtui.demo.server import EmbeddedServer

NAMES = ("timestamp", "processedOn", "ats", "atm", "attemptsMade")
SCRIPT = script_text("parts/pins") + (
    "\nreturn string.format('%.0f', stampOf("
    "unpack(redis.call('HMGET', KEYS[1], 'timestamp', 'processedOn', 'ats', 'atm', 'attemptsMade'))"
    "))"
)

NUMBERS = st.integers(-(2**60), 2**60).map(str) | st.floats().map(str)
ODD = st.sampled_from(
    ["", "0x10", "1e3", "1e999", "-5", "+7", " 12 ", ".5", "5.", "nan", "1_0", "٣"]
)
FIELDS = st.dictionaries(
    st.sampled_from(NAMES), NUMBERS | ODD | st.text("0123456789.e-+ ", max_size=8)
)


def stamp_of(fields: Mapping[str, str]) -> float:
    return row("1", [fields.get(name) for name in LIST_FIELDS]).stamp


def test_the_stamp_is_the_same_in_lua(any_server: EmbeddedServer) -> None:
    client = redis.Redis(unix_socket_path=any_server.url.removeprefix("unix://"))

    @given(FIELDS)
    @example({"timestamp": "1700000000000", "processedOn": "1700000000500", "ats": "3", "atm": "2"})
    @example({"timestamp": "1700000000000", "attemptsMade": "5", "atm": "1"})
    @example({"processedOn": "junk", "timestamp": "9" * 15, "ats": "1e300"})
    @settings(max_examples=150)
    def hold(fields: dict[str, str]) -> None:
        client.delete("job")
        for name, text in fields.items():
            client.hset("job", name, text)
        assert float(client.eval(SCRIPT, 1, "job")) == stamp_of(fields)

    hold()
    client.close()


def test_a_stamp_is_another_one_once_the_job_has_run_or_is_another_job() -> None:
    waits = {"timestamp": "1700000000000"}
    others = [
        waits,
        waits | {"processedOn": "1700000000000", "ats": "1"},
        waits | {"atm": "1", "ats": "1"},
        {"timestamp": "1700000000001"},
    ]
    assert len({stamp_of(one) for one in others}) == len(others)
