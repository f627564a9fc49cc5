"""Marks are ids in the order of marking."""

from __future__ import annotations

from qtui.views.lists.marks import Marks


def marked(*ids: str) -> Marks:
    marks = Marks()
    marks.add(ids)
    return marks


def test_a_mark_is_set_and_taken_away() -> None:
    marks = Marks()
    assert (len(marks), list(marks), "a" in marks) == (0, [], False)
    marks.toggle("b")
    marks.toggle("a")
    assert (len(marks), list(marks), "a" in marks) == (2, ["b", "a"], True)
    marks.toggle("b")
    assert list(marks) == ["a"]


def test_marking_again_changes_nothing() -> None:
    marks = marked("a", "b", "a")
    marks.add(["b", "c"])
    assert list(marks) == ["a", "b", "c"]


def test_inverting_marks_those_of_the_list_that_were_not_and_no_others() -> None:
    marks = marked("a", "b", "elsewhere")
    marks.invert(["a", "b", "c", "d"])
    assert list(marks) == ["c", "d"]
    marks.invert([])
    assert list(marks) == []


def test_discarding_what_is_not_marked_is_no_error() -> None:
    marks = marked("a", "b")
    marks.discard(["b", "x"])
    assert list(marks) == ["a"]


def test_clearing_ends_a_range_too() -> None:
    marks = marked("a")
    marks.anchor = "a"
    marks.clear()
    assert len(marks) == 0
    assert marks.anchor is None


def test_ids_are_kept_apart_to_the_last_byte() -> None:
    marks = marked("\udcff", "\udcfe", "1", "01", " 1")
    assert len(marks) == 5
    assert 1 not in marks
