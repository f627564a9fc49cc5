"""Our scripts are composed of parts: each once, in front of what uses it, and one list of keys."""

from __future__ import annotations

import re
from importlib import resources

import pytest
from redis.asyncio import Redis

from qtui.bullmq.keys import SCRIPT_KEYS, QueueKey
from qtui.bullmq.script import script_text

PARTS = resources.files("qtui.bullmq").joinpath("lua/parts")
NAMED = re.compile(r"^-- part: (\w+)\n", re.MULTILINE)
LOCAL = re.compile(r"^local (?:function )?(\w+)", re.MULTILINE)
READERS = ("status",)
WRITERS = sorted(
    {
        one.name.removesuffix(".lua")
        for one in resources.files("qtui.bullmq").joinpath("lua").iterdir()
        if one.name.endswith(".lua")
    }
    - set(READERS)
)


def parts() -> dict[str, str]:
    files = {one.name.removesuffix(".lua"): one.read_text("utf-8") for one in PARTS.iterdir()}
    assert len(files) > 5
    return files


def named_by(script: str) -> set[str]:
    """The parts that a script needs, by name: those it names, and those that they name."""
    folder, found = resources.files("qtui.bullmq").joinpath("lua"), set[str]()
    left = [("", script)]
    while left:
        where, name = left.pop()
        text = folder.joinpath(f"{where}{name}.lua").read_text("utf-8")
        left += [("parts/", part) for part in NAMED.findall(text) if part not in found]
        left += [("", other) for other in re.findall(r"^-- script: (\w+)\n", text, re.MULTILINE)]
        found |= set(NAMED.findall(text))
    return found


@pytest.mark.parametrize("script", WRITERS)
def test_each_part_is_in_a_script_once_and_behind_those_that_it_names(script: str) -> None:
    text, needed = script_text(script), named_by(script)
    assert not NAMED.search(text)
    places = {}
    for name, part in parts().items():
        own = NAMED.sub("", part).strip()
        assert text.count(own) == (name in needed), name
        if name in needed:
            places[name] = text.index(own)
    for name in needed:
        assert all(places[other] < places[name] for other in NAMED.findall(parts()[name])), name


def test_no_two_parts_have_a_name_in_common() -> None:
    names = [name for part in parts().values() for name in LOCAL.findall(part)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("script", WRITERS)
def test_a_script_reads_its_keys_by_the_names_of_the_one_list(script: str) -> None:
    text = script_text(script)
    used = set(re.findall(r"\bkey\.(\w+)", text))
    used |= set(re.findall(r'\bkey\["([^"]+)"\]', text))
    assert len(used) > 8
    assert used <= set(SCRIPT_KEYS)
    assert text.count('"groups"') == 1  # in SUFFIXES alone


def test_a_queue_names_those_keys_in_their_order() -> None:
    queue = QueueKey.of("{b}", "q:x")
    assert queue.script_keys() == [f"{{b}}:q:x:{suffix}" for suffix in SCRIPT_KEYS]
    assert len(set(SCRIPT_KEYS)) == len(SCRIPT_KEYS)


@pytest.mark.parametrize("script", [*WRITERS, *READERS])
async def test_each_script_is_one_that_redis_takes(client: Redis, script: str) -> None:
    assert len(await client.script_load(script_text(script))) == 40
