"""Jobs as JSON: one line each, in ASCII, whatever their fields hold; singly or many at a time."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from qtui.views.job_json import encoded, encoded_field, json_or_text, line, lines

_STORED = (
    st.none()
    | st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=5,
    ).map(json.dumps)
    | st.text()
    | st.sampled_from(
        [
            '{"a": "%s"}',
            '["\x7f"]',
            "[1,\n2]",
            '"é"',
            '"\udcff"',
            "1e999",
            "[" * 9_000,
            "NaN",
            "{}x",
        ]
    )
)


def _refuse(name: str) -> None:
    raise AssertionError(f"{name} is no JSON")


@settings(max_examples=300)
@given(st.lists(st.tuples(st.text(), _STORED), max_size=70))
def test_objects_side_by_side_are_written_as_each_alone(jobs: list[tuple[str, str | None]]) -> None:
    garbled: list[list[str]] = [[] for _ in jobs]
    data = [encoded_field("data", text, bad) for (_, text), bad in zip(jobs, garbled, strict=True)]
    columns = {"id": [encoded(one) for one, _ in jobs], "data": data}
    alone = []
    for (one, text), bad in zip(jobs, garbled, strict=True):
        again: list[str] = []
        alone.append(line({"id": one, "data": json_or_text("data", text, again)}) + "\n")
        assert again == bad
    written = "".join(lines(columns))
    assert written == "".join(alone)
    assert written.isascii()
    assert written.count("\n") == len(jobs)
    for text in written.splitlines():
        json.loads(text, parse_constant=_refuse)
