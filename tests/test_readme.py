"""The README says what the code says; `python -m tests.test_readme` writes its tables."""

from __future__ import annotations

import re
from pathlib import Path

from qtui.bullmq.filter import TABLE
from qtui.bullmq.model import JobState
from qtui.ui.actions import ACTIONS, RETIRED, Action, Where
from qtui.ui.keys import table

README = Path(__file__).parent.parent / "README.md"
KEYS = "<!-- keys: made from qtui/ui/actions -->\n", "<!-- end of keys -->"
FILTER = "<!-- filter: made from qtui/bullmq/filter -->\n", "<!-- end of filter -->"


def filter_table() -> str:
    """The filter's language as a table in Markdown, where a bar would part two cells."""
    cells = ((example.replace("|", r"\|"), words.replace("|", r"\|")) for example, words in TABLE)
    rows = (f"| `{example}` | {words} |" for example, words in cells)
    return "\n".join(["| term | finds jobs |", "|---|---|", *rows])


def replaced(text: str, marks: tuple[str, str], made: str) -> str:
    """The text with something made between two marks."""
    before, _, rest = text.partition(marks[0])
    _, _, after = rest.partition(marks[1])
    return f"{before}{marks[0]}\n{made}\n\n{marks[1]}{after}"


def with_tables(text: str) -> str:
    """The README with the tables as the code has them."""
    return replaced(replaced(text, KEYS, table()), FILTER, filter_table())


def test_its_tables_are_those_of_the_code() -> None:
    text = README.read_text("utf-8")
    assert text == with_tables(text)


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
    screens = [(Where.MOVE, Where.DETAIL, Where.QUEUE, *here), (Where.PLAN,)]
    screens += [(Where.TIMELINE, *here)]  # its own l, a step to the right, comes before the limits
    screens += [(Where.MOVE, Where.LIMITS, Where.APP)]
    screens += [(Where.MOVE, Where.FLOW, Where.APP), (Where.RERUN,)]
    screens += [(Where.MOVE, where, Where.APP) for where in (Where.GROUPS, Where.JOURNAL)]
    screens += [(Where.MOVE, where, Where.APP) for where in (Where.WORKERS, Where.DOCTOR)]
    for parts in screens:
        together: dict[str, Action] = {}
        for action in (one for one in ACTIONS if one.where in parts):
            for key in action.keys:
                assert key not in together, f"{action.id} and {together[key].id} share {key}"
                together[key] = action


def test_no_retired_id_is_used_again() -> None:
    assert not RETIRED & {action.id for action in ACTIONS}


def test_the_digits_are_the_states_failed_first() -> None:
    digits = {action.keys[0]: action.id for action in ACTIONS if action.keys[0].isdigit()}
    assert digits == {
        str(number): f"state.{state.value}" for number, state in enumerate(JobState, 1)
    }


if __name__ == "__main__":
    README.write_text(with_tables(README.read_text("utf-8")), "utf-8")
