"""Job.remove of real releases, against ours: parents and children."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from qtui.bullmq.codes import Code, Result
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState
from qtui.bullmq.writers.batch import Picked
from qtui.bullmq.writers.remove import Below
from tests.oracle.flow_stage import ONE_SERVER, tree
from tests.oracle.keyspace import Difference, Value, entries, only_ours
from tests.oracle.removing import add_flow, codes, events_of, remove
from tests.oracle.stage import Stage, job

pytestmark = ONE_SERVER


def _woken(stage: Stage) -> list[Difference]:
    """5.0.0 to 5.1.6 wake no worker for a released parent; before, a marker is not read.

    Where nothing shows the release we write one: without it a worker of 5.x sleeps for seconds.
    """
    if stage.release.speaks >= (5, 1, 7) or stage.release.writes_version:
        return []
    reason = "a marker where the release is not known"
    return [Difference("q:marker", reason, only_ours([("0", 0.0)]), always=False)]


@pytest.mark.parametrize("queue", ["q", "kids"])
def test_a_parent_runs_when_its_last_pending_child_is_removed(stage: Stage, queue: str) -> None:
    """D10: BullMQ's clean and drain of the same queue delete it instead."""
    add_flow(stage, "one", "two", queue=queue)
    stage.copy()
    official, ours = stage.official.beside(queue), stage.ours.beside(queue)
    official.run("remove", ids=["one"])
    assert [one.target for one in remove(ours, ["one"], JobState.WAITING)] == ["removed"]
    stage.assert_equal(*_woken(stage))
    assert stage.ours.members("waiting-children") == ["parent"]
    official.run("remove", ids=["two"])
    [result] = remove(ours, ["two"], JobState.WAITING)
    assert (result.code, result.target) == (1, "released bull:q:parent")
    stage.assert_equal(*_woken(stage))
    stage.ours.work_off(["parent"])


@pytest.mark.parametrize("queue", ["q", "kids"])
def test_both_children_in_one_call_release_the_parent_once(stage: Stage, queue: str) -> None:
    add_flow(stage, "one", "two", queue=queue)
    stage.copy()
    stage.official.beside(queue).run("remove", ids=["one", "two"])
    results = remove(stage.ours.beside(queue), ["one", "two"], JobState.WAITING)
    assert [one.target for one in results] == ["removed", "released bull:q:parent"]
    stage.assert_equal(*_woken(stage))


def test_a_parent_of_a_paused_queue_waits_for_the_resume(stage: Stage) -> None:
    add_flow(stage, "one", queue="kids")
    [other] = stage.official.run("add", jobs=[job("other")])
    stage.official.run("pause")
    stage.copy()
    stage.official.beside("kids").run("remove", ids=["one"])
    assert codes(remove(stage.ours.beside("kids"), ["one"], JobState.WAITING)) == [1]
    stage.assert_equal(*_woken(stage))
    stage.ours.run("resume")
    stage.ours.work_off(["parent", other])


@pytest.mark.releases(since="4.0.0")
def test_a_released_parent_keeps_its_priority(stage: Stage) -> None:
    """The release's removal puts it in front of all that wait; its own completion does not."""
    add_flow(stage, "one", queue="kids", priority=7)
    stage.official.run("add", jobs=[job("w", priority=3, jobId="before")])
    stage.copy()
    stage.official.beside("kids").run("remove", ids=["one"])
    assert codes(remove(stage.ours.beside("kids"), ["one"], JobState.WAITING)) == [1]
    assert stage.official.members("wait")[-1] == "parent"
    assert stage.ours.members("prioritized") == ["before", "parent"]
    stage.ours.work_off(["before", "parent"])


def test_a_failed_child_that_its_parent_waits_for_releases_it_too(stage: Stage) -> None:
    kids = [tree("one", queue="kids", fails=True)]
    for side in (stage.official, stage.official.beside("kids")):
        side.open()
    stage.official.run("flow", tree=tree("parent", *kids).definition())
    with stage.official.beside("kids").worker("data") as worker:
        worker.until(ends=1)
    stage.copy()
    stage.official.beside("kids").run("remove", ids=["one"])
    assert codes(remove(stage.ours.beside("kids"), ["one"], JobState.FAILED)) == [1]
    stage.assert_equal(*_woken(stage))
    stage.ours.work_off(["parent"])


@pytest.mark.releases(since="4.5.0")
def test_children_that_are_not_named_stay(stage: Stage) -> None:
    add_flow(stage, "one", "two", queue="kids")
    stage.copy()
    stage.official.run("remove", ids=["parent"], children=False)
    assert codes(remove(stage.ours, ["parent"], JobState.WAITING_CHILDREN)) == [1]
    stage.assert_equal(*_woken(stage))
    kids = stage.ours.beside("kids")
    kids.work_off(["one", "two"], in_order=False)


def _below(id: str, queue: str = "kids", state: JobState = JobState.WAITING) -> Below:
    return Below(0, QueueKey.of("bull", queue), state, Picked(id))


def _made_to_run_first(stage: Stage) -> list[Difference]:
    """The release releases a parent that it is about to remove: it waits for a moment."""

    def right(official: Value | None, ours: Value | None) -> bool:
        *before, waiting, removed = events_of(official)
        assert waiting == {"event": "waiting", "jobId": "parent", "prev": "waiting-children"}
        prev = "waiting-children"
        return events_of(ours) == [*before, {**removed, "prev": prev}] and removed["prev"] != prev

    reason = "a parent that is removed with its children is released first"
    found = [Difference("q:events", reason, right)]
    if stage.release.at_least_5:
        found.append(Difference("q:marker", reason, lambda _, ours: ours is None, always=False))
    return found


def test_children_that_are_named_go_with_their_parent(stage: Stage) -> None:
    add_flow(stage, "one", "two", queue="kids")
    stage.copy()
    stage.official.run("remove", ids=["parent"], children=True)
    kids = entries(stage.official.client, "bull:kids:events")[-2:]
    order = [one["jobId"] for one in kids]
    results = remove(
        stage.ours, ["parent"], JobState.WAITING_CHILDREN, *[_below(id) for id in order]
    )
    assert codes(results) == [1, 1, 1]
    assert [one.job_id for one in results[1:]] == [f"bull:kids:{id}" for id in order]
    stage.assert_equal(*_made_to_run_first(stage))
    assert stage.ours.census() == stage.ours.beside("kids").census() == {}


def test_a_family_with_a_running_child_stays_whole(stage: Stage) -> None:
    add_flow(stage, "one", "two", queue="kids")
    with stage.official.beside("kids").worker("hold") as worker:
        [running] = worker.until(starts=1)
        other = "two" if running == "one" else "one"
        stage.copy()
        before = stage.ours.snapshot()
        below = [_below(other), _below(running, state=JobState.ACTIVE)]
        results = remove(stage.ours, ["parent"], JobState.WAITING_CHILDREN, *below)
        assert codes(results) == [0, 0, 0]
        assert results[0].error == f"bull:kids:{running}: a worker holds its lock"
        assert stage.ours.snapshot() == before


def test_a_parent_and_its_child_of_one_selection_go_and_nothing_runs(stage: Stage) -> None:
    middle = tree("middle", tree("leaf", queue="kids"))
    stage.official.open()
    stage.official.beside("kids").open()
    stage.official.run("flow", tree=tree("parent", middle).definition())
    stage.copy()
    results = remove(stage.ours, ["middle", "parent"], JobState.WAITING_CHILDREN)
    assert [one.target for one in results] == ["removed", "removed"]
    assert stage.ours.census() == {}
    assert stage.ours.beside("kids").census() == {"leaf": ["wait"]}


def _three_levels(stage: Stage) -> None:
    """A parent with a middle one, which has a leaf, and with another child beside that."""
    middle = tree("middle", tree("leaf", queue="kids"))
    stage.official.open()
    stage.official.beside("kids").open()
    top = tree("parent", middle, tree("side", queue="kids"))
    stage.official.run("flow", tree=top.definition())
    stage.copy()


def _remove_both(stage: Stage, tops: Sequence[str]) -> dict[str, Result]:
    """Removes the parent and the middle one, each with what is below it; the results of both."""
    parent, middle = tops.index("parent"), tops.index("middle")
    below = [_below("side"), _below("middle", "q", JobState.WAITING_CHILDREN), _below("leaf")]
    below = [replace(one, top=parent) for one in below] + [replace(_below("leaf"), top=middle)]
    below.sort(key=lambda one: one.top)
    results = remove(stage.ours, tops, JobState.WAITING_CHILDREN, *below)
    return {one.job_id: one for one in results[:2]}


NESTED = pytest.mark.parametrize("tops", [("middle", "parent"), ("parent", "middle")])


@NESTED
def test_a_family_goes_with_another_one_that_is_part_of_it(
    stage: Stage, tops: Sequence[str]
) -> None:
    _three_levels(stage)
    assert {one.code for one in _remove_both(stage, tops).values()} == {Code.DONE}
    assert stage.ours.census() == stage.ours.beside("kids").census() == {}


@NESTED
@pytest.mark.parametrize("locked", ["leaf", "side"])
def test_of_two_families_only_the_one_without_a_locked_job_goes(
    stage: Stage, tops: Sequence[str], locked: str
) -> None:
    _three_levels(stage)
    stage.ours.client.set(stage.ours.beside("kids").key(f"{locked}:lock"), "a worker's")
    results = _remove_both(stage, tops)
    why = f"bull:kids:{locked}: a worker holds its lock"
    assert (results["parent"].code, results["parent"].error) == (Code.REFUSED, why)
    left = stage.ours.beside("kids").census()
    if locked == "leaf":
        assert (results["middle"].code, results["middle"].error) == (Code.REFUSED, why)
        assert set(stage.ours.members("waiting-children")) == {"parent", "middle"}
        assert set(left) == {"side", "leaf"}
    else:
        assert results["middle"].code is Code.DONE
        assert stage.ours.members("waiting-children") == ["parent"]
        assert stage.ours.client.smembers(stage.ours.key("parent:dependencies")) == {
            "bull:kids:side"
        }
        assert set(left) == {"side"}
