"""The README says what the code says; `python -m tests.test_readme` writes its table of keys."""

from __future__ import annotations

import re
from pathlib import Path

from qtui.bullmq.model import JobState
from qtui.ui.actions import ACTIONS, Action, Where
from qtui.ui.keys import table

README = Path(__file__).parent.parent / "README.md"
BEGIN, END = "<!-- keys: made from qtui/ui/actions.py -->\n", "<!-- end of keys -->"


def with_keys(text: str) -> str:
    """The README with the table of keys as the registry has it."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}\n\n{END}{after}"


def test_the_table_of_keys_is_the_registry() -> None:
    text = README.read_text("utf-8")
    assert text == with_keys(text)


def test_every_picture_exists_and_is_a_picture() -> None:
    names = re.findall(r"!\[[^]]+\]\(([^)]+)\)", README.read_text("utf-8"))
    assert len(names) >= 4
    for name in names:
        assert (README.parent / name).read_bytes().startswith(b"\x89PNG")


def test_prose_is_wrapped_at_100_columns() -> None:
    prose = (line for line in README.read_text("utf-8").splitlines() if not line.startswith("|"))
    assert [line for line in prose if len(line) > 100] == []


def test_ids_and_keys_are_unique_where_they_meet() -> None:
    assert len({action.id for action in ACTIONS}) == len(ACTIONS)
    here = (Where.INSPECTOR, Where.JOBS, Where.APP)
    screens = [(Where.MOVE, Where.DETAIL, *here), (Where.TIMELINE, *here), (Where.PLAN,)]
    for parts in (*screens, (Where.MOVE, Where.GROUPS, Where.APP)):
        together: dict[str, Action] = {}
        for action in (one for one in ACTIONS if one.where in parts):
            for key in action.keys:
                assert key not in together, f"{action.id} and {together[key].id} share {key}"
                together[key] = action


def test_the_digits_are_the_states_failed_first() -> None:
    digits = {action.keys[0]: action.id for action in ACTIONS if action.keys[0].isdigit()}
    assert digits == {
        str(number): f"state.{state.value}" for number, state in enumerate(JobState, 1)
    }


if __name__ == "__main__":
    README.write_text(with_keys(README.read_text("utf-8")), "utf-8")
