"""Large JSON is read token by token, and comes out as Python's own reader and writer have it."""

from __future__ import annotations

import json
import random
import tracemalloc

import pytest

from qtui.views.document.json_rows import MOST_FOLDED, parse_json
from qtui.views.large_json import LARGE, NoJson, one_line, pretty_lines, tokens

SCALARS = (1, -2.5, 'a\né\u202e\x7f😀"\\', True, False, None, "", 1e300, "x,]", "\udc80")


def some(choose: random.Random, depth: int = 0) -> object:
    """A value of JSON, nested and odd."""
    if depth > 4 or choose.random() < 0.4:
        return choose.choice(SCALARS)
    if choose.random() < 0.5:
        return [some(choose, depth + 1) for _ in range(choose.randint(0, 4))]
    return {f'{at}k"': some(choose, depth + 1) for at in range(choose.randint(0, 4))}


def is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def has_tokens(text: str) -> bool:
    try:
        for _ in tokens(text):
            pass
    except NoJson:
        return False
    return True


@pytest.mark.parametrize("seed", range(20))
def test_it_comes_out_as_python_writes_it(seed: int) -> None:
    choose = random.Random(seed)
    for _ in range(50):
        value = some(choose)
        for text in (
            json.dumps(value),
            json.dumps(value, ensure_ascii=False, indent=choose.choice([None, 1, 3])),
        ):
            laid_out = json.dumps(value, indent=2, ensure_ascii=False)
            assert "\n".join(pretty_lines(text)) == laid_out
            line = one_line(text)
            assert line.isascii()
            assert line.isprintable()
            assert json.loads(line) == value


@pytest.mark.parametrize("seed", range(20))
def test_what_python_does_not_read_is_none(seed: int) -> None:
    choose = random.Random(seed)
    for _ in range(100):
        text = json.dumps(some(choose), indent=choose.choice([None, 2]))
        at = choose.randrange(len(text))
        broken = text[:at] + choose.choice('[]{},:"1a\\ ') + text[at + choose.randint(0, 1) :]
        assert has_tokens(broken) == is_json(broken), broken


def test_the_screen_shows_what_is_too_large_to_fold_as_text() -> None:
    large = json.dumps(["x" * 1000] * (MOST_FOLDED // 1000))
    assert len(large) > MOST_FOLDED
    assert parse_json(large) == (False, None, "too large to fold, shown as text")
    assert parse_json(large[: MOST_FOLDED - 1])[2].startswith("not valid JSON")


def test_what_is_before_a_mistake_is_shown() -> None:
    found: list[str] = []
    with pytest.raises(NoJson) as error:
        found += pretty_lines('{"a": 1, "b": [oops]}')
    assert error.value.at == 15
    with pytest.raises(NoJson):
        one_line("NaN")
    with pytest.raises(NoJson):
        one_line("[" * 2000 + "]" * 2000)
    assert LARGE > 0


@pytest.mark.parametrize("part", ["r", "\\n", "a\\n", "\\u00e9"])
def test_a_long_text_is_read_in_little_more_memory_than_it_has(part: str) -> None:
    text = f'"{part * (1_000_000 // len(part))}"'
    tracemalloc.start()
    try:
        assert list(tokens(text)) == [text]
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 2 * len(text)
