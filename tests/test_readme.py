"""The README says what the code says; `python -m tests.test_readme` writes its tables."""

from __future__ import annotations

import re
import shlex
from inspect import getsource
from pathlib import Path

import click
import pytest

from qtui import RELEASES
from qtui.bullmq.filter import TABLE
from qtui.bullmq.flow.below import MOST_BELOW
from qtui.bullmq.model import JobState
from qtui.bullmq.reads.queues import elsewhere
from qtui.bullmq.reads.queues.discovery import KEYS_A_SCAN
from qtui.bullmq.reads.queues.failures import RECENT
from qtui.bullmq.reads.scripted.wholes import LARGEST
from qtui.bullmq.verdicts import checks, examination, sweep
from qtui.cli import main
from qtui.commands.shared import run
from qtui.commands.shared.report import FEW
from qtui.operations.engine.patience import PATIENCE
from qtui.operations.following.outcome import LATEST
from qtui.ui.actions import ACTIONS, RETIRED, Action, Where
from qtui.ui.keys import table
from qtui.verbs import Verb
from qtui.views.lists.events import MOST_KEPT
from qtui.views.queues import bursts
from tests.oracle.releases import releases

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


def words() -> str:
    """The README's text, in one line."""
    return " ".join(README.read_text("utf-8").split())


def rows(head: str) -> list[list[str]]:
    """The cells of the table with this head, row by row."""
    _, _, rest = README.read_text("utf-8").partition(f"{head}\n")
    lines = rest.partition("\n\n")[0].splitlines()[1:]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def quoted(text: str) -> list[str]:
    """What it has in backticks."""
    return re.findall(r"`([^`]+)`", text)


def test_its_exit_codes_are_those_of_commands() -> None:
    codes = {run.DONE, run.NOT_ALL, run.USAGE, run.REDIS, run.READ_ONLY, run.INTERRUPTED}
    assert [int(code) for code, _ in rows("| exit code | meaning |")] == sorted(codes)


def test_its_options_are_those_before_a_command() -> None:
    tables = [*rows("| option | meaning |"), *rows("| option | in the config file | meaning |")]
    named = {one.split()[0] for cells in tables for one in quoted(cells[0])}
    options = {one.opts[0] for one in main.params if isinstance(one, click.Option)}
    assert named - {"--tls-…"} == options - {"--version"}


def command_lines() -> list[list[str]]:
    """The words of each call of qtui in the examples."""
    text = README.read_text("utf-8").partition("## Use it")[2]
    lines = text.partition("```sh\n")[2].partition("```")[0].splitlines()
    calls = (part for line in lines for part in re.split(r"\s(?:\||&&|>)\s", line.split("  # ")[0]))
    return [words[1:] for call in calls if (words := shlex.split(call))[0] == "qtui"]


@pytest.mark.parametrize("words", command_lines(), ids=" ".join)
def test_its_examples_are_understood(words: list[str]) -> None:
    at = next((place for place, word in enumerate(words) if word in main.commands), len(words))
    assert at < len(words) or words[0].startswith("--")
    whole = main.make_context("qtui", words[:at])
    for name in words[at : at + 1]:
        main.commands[name].make_context(name, words[at + 1 :], parent=whole)


def test_the_commands_without_json_are_those_it_names() -> None:
    without = {
        name
        for name, one in main.commands.items()
        if not any("--json" in option.opts for option in one.params)
    }
    assert without == {"metrics", "man", "completion"}
    assert "except `metrics`, `man` and `completion`" in words()


def test_its_findings_are_those_that_the_doctor_has_of_queues() -> None:
    named = {one for cells in rows("| finding | what is wrong |") for one in quoted(cells[0])}
    source = getsource(checks) + getsource(sweep)
    assert set(re.findall(r'code="([^"]+)"', source)) <= named
    assert [one for one in named if f'"{one}"' not in source] == []


def test_the_actions_that_a_profile_may_allow_are_all() -> None:
    _, _, rest = words().partition("The actions are ")
    assert quoted(rest.partition(";")[0]) == [verb.value for verb in Verb]


def test_its_releases_are_those_that_the_oracle_asks() -> None:
    node, python, _ = rows("| | tried in every test run | tried with `--oracle-releases=all` |")
    default = [one.name for one in releases(None) if not one.is_python]
    others = [one.name for one in releases("all") if not one.is_python and one.name not in default]
    assert node == ["BullMQ (npm)", ", ".join(default), ", ".join(others)]
    assert python[1] == RELEASES.rpartition(" ")[2]


@pytest.mark.parametrize(
    "promise",
    [
        f"On a terminal a retry of more than {FEW} jobs shows progress",
        f"if too many of its latest {LATEST} jobs failed again",
        f"qtui waits for it for up to {PATIENCE:g} s",
        f"a job and all its descendants, up to {MOST_BELOW}, are removed",
        f"A job of more than {LARGEST // 1_000_000} MB is kept",
        f"The latest {MOST_KEPT:,} events are kept",
        f"A queue of up to {examination.SMALL:,} jobs is read job by job"
        f" ({examination.IN_ALL:,} jobs in all)",
        f"the keys of a server that has up to {examination.FEW_KEYS:,};",
        f"looks at no more than {elsewhere.SLICES * KEYS_A_SCAN:,} keys in each",
    ],
)
def test_its_numbers_are_those_of_the_code(promise: str) -> None:
    assert promise in words()


def test_a_burst_is_what_it_says() -> None:
    assert (bursts.LEAST, RECENT, bursts.TIMES) == (10, 20_000, 4)
    assert "which is ten failures or more in 20 seconds and four times as many" in words()


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
