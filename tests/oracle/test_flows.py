"""Children that are retried: their parents are repaired as the newest releases do it."""

from __future__ import annotations

import pytest

from tests.oracle.keyspace import Difference, Value
from tests.oracle.known import no_marker
from tests.oracle.releases import Release
from tests.oracle.stage import Side, Stage, job

BAD = "bad:1:x"
"""The child that fails; colons in its id make its full key ambiguous to part."""
GOOD = "good"
PARENT = "parent"

_SINCE = {
    "": (1, 16, 0),
    "failParentOnFailure": (2, 1, 0),
    "removeDependencyOnFailure": (4, 4, 0),
    "ignoreDependencyOnFailure": (5, 2, 0),
    "continueParentOnFailure": (5, 47, 0),
}


def _option(release: Release, option: str) -> str:
    """The option as the release understands it: one that it does not know is none."""
    return option if release.speaks >= _SINCE[option] else ""


def _seed(stage: Stage, option: str) -> None:
    """A parent with a child that failed and one that completed; it has gone where that sends it."""
    side, parents = stage.official, stage.official.beside("parents")
    side.open()
    parents.open()
    bad = job(BAD, "fail", jobId=BAD, **({option: True} if option else {}))
    children = [{**bad, "queueName": "q"}, {**job(GOOD, "ok", jobId=GOOD), "queueName": "q"}]
    parent = {**job(PARENT, "ok", jobId=PARENT), "queueName": "parents", "children": children}
    side.run("flow", tree=parent)
    with side.worker("data") as worker:
        worker.until(ends=2)
        side.await_idle()
    fails_by_worker = stage.release.speaks >= (5, 49, 2)
    if _option(stage.release, option) == "failParentOnFailure" and fails_by_worker:
        with parents.worker("ok") as worker:
            worker.until(ends=1)
            parents.await_idle()
    stage.copy()


def _repaired(release: Release, child: str, left: str) -> list[Difference]:
    """The release leaves the child among the parent's finished children; we put it back to pending.

    Args:
        release: the release.
        child: the child's id.
        left: the parent's key in which the release leaves it.
    """
    member = f"bull:q:{child}"

    def taken(official: Value | None, ours: Value | None) -> bool:
        return member in _members(official) and member not in _members(ours)

    def pending(official: Value | None, ours: Value | None) -> bool:
        return member not in _members(official) and member in _members(ours)

    return [
        Difference(f"parents:{PARENT}:{left}", "parents are repaired since 5.58.2", taken),
        Difference(f"parents:{PARENT}:dependencies", "parents are repaired since 5.58.2", pending),
    ]


def _members(value: Value | None) -> set[str]:
    if value is None:
        return set()
    kind, content, _ = value
    if kind == "zset":
        assert isinstance(content, list)
        return {member for member, _ in content}
    assert isinstance(content, set | dict)
    return set(content)


def _known(release: Release, option: str) -> list[Difference]:
    if option == "failParentOnFailure" and (5, 42, 0) <= release.speaks < (5, 58, 2):
        return _repaired(release, BAD, "unsuccessful")
    in_failed = ("ignoreDependencyOnFailure", "continueParentOnFailure")
    if option in in_failed and release.speaks < (5, 58, 2):
        return _repaired(release, BAD, "failed")
    return []


def _wrong_type(release: Release, option: str) -> bool:
    """Whether the release's retry moves the job and then stops at a WRONGTYPE error.

    The caller sees an error, the job is queued, its parent is not repaired, and no event says so.
    """
    in_failed = ("ignoreDependencyOnFailure", "continueParentOnFailure")
    return option in in_failed and (5, 58, 2) <= release.speaks < (5, 79, 2)


def _states(side: Side) -> dict[str, list[str]]:
    return {**side.census(), **side.beside("parents").census()}


def _run(side: Side, id: str) -> None:
    """A worker runs this job, once, and nothing else."""
    with side.worker("ok") as worker:
        worker.until(ends=1)
        side.await_idle()
        assert worker.until() == [id]


def _children_of(side: Side) -> dict[str, set[str]]:
    """What the parent's keys say of its children, by id."""
    found = {}
    for suffix in ("dependencies", "processed", "failed", "unsuccessful"):
        key = f"bull:parents:{PARENT}:{suffix}"
        members = _members(side.snapshot().get(key))
        if members:
            found[suffix] = {member.removeprefix("bull:q:") for member in members}
    return found


@pytest.mark.parametrize("option", _SINCE, ids=lambda option: option or "no-option")
def test_a_failed_child_that_is_retried_counts_again_for_its_parent(
    stage: Stage, option: str
) -> None:
    _seed(stage, option)
    known = _option(stage.release, option)
    if _wrong_type(stage.release, known):
        [[_, words]] = stage.official.run("retry", ids=[BAD], state="failed")
        assert "WRONGTYPE" in words
        assert stage.retry([BAD]) == [1]
    else:
        stage.retry_both([BAD])
        stage.assert_equal(*_known(stage.release, known), *no_marker(stage.release))
    before = "failed" if known == "failParentOnFailure" else "wait"
    pending = {"dependencies": {BAD}, "processed": {GOOD}}
    gone = {"processed": {GOOD}}
    assert _children_of(stage.ours) == (gone if known == "removeDependencyOnFailure" else pending)

    _run(stage.ours, BAD)
    # The parent learns of the child's success now, unless the option had struck the child off.
    done = gone if known == "removeDependencyOnFailure" else {"processed": {BAD, GOOD}}
    assert _children_of(stage.ours) == done
    assert _states(stage.ours) == {BAD: ["completed"], GOOD: ["completed"], PARENT: [before]}

    parents = stage.ours.beside("parents")
    if before == "failed":
        stage.ours.queue = "parents"
        assert stage.retry([PARENT]) == [1]
    _run(parents, PARENT)
    assert parents.census() == {PARENT: ["completed"]}


@pytest.mark.releases(since="5.58.2", before="5.79.2")
def test_where_the_release_fails_half_way_ours_writes_all_of_it(stage: Stage) -> None:
    """Ours also writes what the release's retry leaves out once it stops at a WRONGTYPE error."""
    _seed(stage, "ignoreDependencyOnFailure")
    [[_, words]] = stage.official.run("retry", ids=[BAD], state="failed")
    assert "WRONGTYPE" in words
    assert stage.retry([BAD]) == [1]
    half_way = "moved the job, then stopped at an error"
    event = [("event", "waiting"), ("jobId", BAD), ("prev", "failed")]

    def announced(official: Value | None, ours: Value | None) -> bool:
        assert official is not None
        assert ours is not None
        assert isinstance(official[1], list)
        return ours[1] == [*official[1], event]

    stage.assert_equal(
        *_repaired(stage.release, BAD, "failed"), Difference("q:events", half_way, announced)
    )


def test_a_completed_child_that_is_retried_counts_again_for_its_parent(stage: Stage) -> None:
    _seed(stage, "")
    stage.retry_both([GOOD], "completed")
    unrepaired = stage.release.speaks < (5, 58, 2)
    known = _repaired(stage.release, GOOD, "processed") if unrepaired else []
    stage.assert_equal(*known, *no_marker(stage.release))
    assert _children_of(stage.ours) == {"dependencies": {BAD, GOOD}}

    assert stage.retry([BAD]) == [1]
    stage.ours.work_off([GOOD, BAD])
    _run(stage.ours.beside("parents"), PARENT)
    completed = {BAD: ["completed"], GOOD: ["completed"], PARENT: ["completed"]}
    assert _states(stage.ours) == completed
    assert _children_of(stage.ours) == {"processed": {BAD, GOOD}}


def test_a_child_whose_parent_is_gone_is_retried_without_a_trace_of_it(stage: Stage) -> None:
    _seed(stage, "")
    for side in (stage.official, stage.ours):
        side.client.delete(f"bull:parents:{PARENT}")
    stage.retry_both([BAD])
    stage.retry_both([GOOD], "completed")
    stage.assert_equal(*no_marker(stage.release))
