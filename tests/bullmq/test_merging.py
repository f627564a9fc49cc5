"""Groups that differ in one word become one, and their name says which jobs are in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from random import Random
from time import process_time
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qtui.bullmq.signature.merging import (
    FEWEST,
    Merging,
    can_be_open,
    matcher,
    merged,
    signature_of,
)

NAMES: Final = (
    *("alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi", "ivan", "judy"),
    *("mallory", "niaj", "olivia", "peggy", "rupert", "sybil", "trent", "victor", "walter"),
)


class Counted:
    """Groups as they are counted: by name their jobs, and which group each text is in."""

    def __init__(self, known: Iterable[str] = ()) -> None:
        self.merging = Merging(known)
        self.jobs: Counter[str] = Counter()
        self.history: list[dict[str, int]] = []

    def add(self, text: str) -> None:
        name = self.merging.name(text)
        is_new = name not in self.jobs
        self.jobs[name] += 1
        if is_new:
            for merge in self.merging.add(name, self.jobs.__getitem__):
                assert len(set(merge.members)) == len(merge.members)
                self.jobs[merge.name] = sum(self.jobs.pop(one) for one in merge.members)

    def all(self, texts: Sequence[str]) -> Counted:
        for text in texts:
            self.add(text)
        return self


def counted(texts: Sequence[str]) -> dict[str, int]:
    return dict(Counted().all(texts).jobs)


def test_many_groups_that_differ_in_one_word_are_one() -> None:
    found = counted([f"user {name} not found" for name in NAMES])
    assert found == {"user <word> not found": len(NAMES)}


def test_few_groups_stay_what_they_are() -> None:
    few = [f"user {name} not found" for name in NAMES[: FEWEST - 1]]
    assert counted(few) == dict.fromkeys(few, 1)


def test_an_id_without_digits_joins_the_group_of_those_with_digits() -> None:
    reasons = ["Request req_z3exb failed", "Request req_zrexb failed", "Request req_qwkzv failed"]
    texts = [signature_of(one) for one in (*reasons, "Request req_aakyz failed")]
    assert texts[0] == "Request <id> failed"
    assert counted(texts) == {"Request <word> failed": 4}


def test_a_few_words_with_many_jobs_each_are_causes_of_their_own() -> None:
    services = [f"{name} did not answer" for name in NAMES[:10]]
    texts = [one for one in services for _ in range(50)]
    assert counted(texts) == dict.fromkeys(services, 50)


def test_codes_constants_and_classes_are_never_open() -> None:
    codes = [f"Request failed with status code {code}" for code in range(400, 430)]
    assert all(signature_of(one) == one for one in codes)
    assert counted(codes) == dict.fromkeys(codes, 1)
    constants = [f"connect E{name.upper()} <address>" for name in NAMES]
    assert counted(constants) == dict.fromkeys(constants, 1)
    classes = [f"{name.title()}Error: it broke" for name in NAMES]
    assert counted(classes) == dict.fromkeys(classes, 1)
    assert not any(map(can_be_open, ("404", "ECONNREFUSED", "P2002", "TypeError", "E11000")))
    assert all(map(can_be_open, ("alice", "Alice", "req_zrexb", "<id>", "bob1", "каталог", "語")))


def test_a_code_in_the_place_of_the_open_word_stays_apart() -> None:
    texts = [f"connect {name} <address>" for name in NAMES]
    found = counted([*texts, "connect ECONNREFUSED <address>"])
    assert found == {"connect <word> <address>": len(NAMES), "connect ECONNREFUSED <address>": 1}
    assert not matcher("connect <word> <address>")("connect ECONNREFUSED <address>")


def test_a_text_that_is_one_word_is_never_all_open() -> None:
    assert counted(NAMES) == dict.fromkeys(NAMES, 1)
    marked = [f"<id> {name}!" for name in NAMES]
    assert counted(marked) == dict.fromkeys(marked, 1)


def test_two_words_open_where_both_vary() -> None:
    texts = [f"user {name} has no plan {other}" for other in NAMES for name in NAMES]
    assert counted(texts) == {"user <word> has no plan <word>": len(texts)}


def test_patterns_that_would_overlap_become_one() -> None:
    users = [f"{name} cannot read invoice" for name in NAMES]
    things = [f"alice cannot read {name}" for name in NAMES]
    found = counted([*users, *things])
    assert found == {"<word> cannot read <word>": len(users) + len(things)}


def test_what_reads_like_an_open_word_is_data() -> None:
    reason = "user <word> not found"
    text = signature_of(reason)
    assert text == "user <quoted> not found"
    assert matcher(text)(signature_of(reason))
    found = Counted().all([text, *(f"user {name} not found" for name in NAMES)])
    assert dict(found.jobs) == {"user <word> not found": len(NAMES) + 1}


def test_signatures_that_are_known_all_at_once_get_the_same_names() -> None:
    texts = [f"user {name} not found" for name in NAMES]
    named = merged(Counter(texts) + Counter({"declined": 900}))
    assert named == dict.fromkeys(texts, "user <word> not found") | {"declined": "declined"}
    assert merged({}) == {}
    assert merged({"a b": 1, "a c": 1}) == {"a b": "a b", "a c": "a c"}


def test_punctuation_beside_a_word_is_kept() -> None:
    texts = [f"unknown ({name}): user={name}" for name in NAMES]
    assert counted(texts) == dict.fromkeys(texts, 1)
    one = [f'order [{name}], "x"' for name in NAMES]
    assert counted(one) == {'order [<word>], "x"': len(NAMES)}


def test_what_was_merged_before_is_merged_from_the_beginning() -> None:
    first = Counted().all([f"user {name} not found" for name in NAMES])
    again = Counted(first.merging.patterns)
    again.add("user zoe not found")
    assert dict(again.jobs) == {"user <word> not found": 1}
    again.all([f"user {name} not found" for name in NAMES])
    assert len(again.jobs) == 1
    assert Counted(["no pattern"]).merging.patterns == []
    assert len(Counted(["a1 <word> cc", "<word> bb cc"]).merging.patterns) == 1


POOL: Final = (*NAMES[:10], "ECONN", "404", "<id>", "<word>", "TypeError", "no-x")


def texts_of(seed: int, length: int) -> list[str]:
    """Texts of up to four words, most of them of one form; they repeat now and then."""
    chance = Random(seed)
    first, second = chance.randint(1, len(POOL)), chance.randint(1, len(POOL))
    forms = ("{} cannot read {}", "{} cannot", "{} {}", "{}", "a {} of {} x")
    form = chance.choice(forms)
    found = []
    for _ in range(length):
        if chance.random() < 0.1:
            form = chance.choice(forms)
        found.append(form.format(chance.choice(POOL[:first]), chance.choice(POOL[-second:])))
    return [signature_of(one) for one in found]


@settings(max_examples=100)
@given(st.lists(st.sampled_from(POOL), max_size=3), st.integers(), st.integers(1, 150))
def test_a_name_selects_just_the_members_at_any_time(
    seeds: list[str], seed: int, length: int
) -> None:
    texts = texts_of(seed, length)
    groups = Counted([f"{one} <word>" for one in seeds])
    for place, text in enumerate(texts):
        before = dict(groups.jobs)
        groups.add(text)
        assert sum(groups.jobs.values()) == place + 1
        # Groups are joined, and never split: no count of a text's group gets smaller.
        for one in set(texts[:place]):
            name = groups.merging.name(one)
            was = next((name for name in before if matcher(name)(one)), None)
            assert was is not None
            assert groups.jobs[name] >= before[was]
    for name, jobs in groups.jobs.items():
        matches = matcher(name)
        assert sum(map(matches, texts)) == jobs, name
    again = Counted([f"{one} <word>" for one in seeds]).all(texts)
    assert list(again.jobs.items()) == list(groups.jobs.items())


@pytest.mark.parametrize("kind", ["alike", "different", "long", "hostile"])
def test_a_thousand_groups_cost_little(kind: str) -> None:
    letters = "abcdefghijklmnopqrstuvwxyz"

    def word(number: int) -> str:
        digits = (letters[number // 26**place % 26] for place in range(4))
        return "".join(digits)

    texts = {
        "alike": [f"user {word(one)} not found" for one in range(1000)],
        "different": [f"{word(one)} {word(7 * one)} {word(3 * one)} x" for one in range(1000)],
        "long": [" ".join(word(one + place) for place in range(40)) for one in range(1000)],
        "hostile": ["x" * 197 + "\x00\udcff" + word(one) for one in range(1000)],
    }[kind]
    begun = process_time()
    counted(texts)
    assert process_time() - begun < 20  # 0.1 s on an idle machine
