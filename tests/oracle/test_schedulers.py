"""Schedulers of every release are read as they are, and the dead ones are known as dead."""

from __future__ import annotations

import time

import pytest

from qtui.bullmq.model import JobState
from qtui.bullmq.schedulers.scheduler import Condition
from tests.oracle.scheduling import HOUR, kill, scheduler, schedulers, seed_waiting
from tests.oracle.stage import Stage, wait_for

BERLIN = {"pattern": "0 3 * * *", "tz": "Europe/Berlin"}


@pytest.mark.releases(since="5.16.0")
def test_a_scheduler_is_read_as_it_was_made(stage: Stage) -> None:
    side = stage.official
    template = {"name": "tick", "data": {"a": 1}, "opts": {"attempts": 3}}
    side.run("upsert", scheduler="every", repeat={"every": HOUR, "limit": 5}, template=template)
    ends = {"endDate": 1_900_000_000_000}
    side.run("upsert", scheduler="cron", repeat=BERLIN | ends, template={"name": "night"})
    found = schedulers(side)
    every, cron = found["every"], found["cron"]
    assert [*found] == ["every", "cron"], "the next to run comes first"
    assert (every.name, every.every, every.limit, every.pattern) == ("tick", HOUR, 5, "")
    assert (every.legacy, every.iterations, every.condition) == (False, 1, Condition.SCHEDULED)
    assert every.iteration is not None
    # Since 5.47 the first iteration of a period runs at once.
    assert every.iteration.place.state in (JobState.WAITING, JobState.DELAYED)
    assert every.last is None, "the first has none before it"
    assert (cron.pattern, cron.tz, cron.end_date) == (*BERLIN.values(), ends["endDate"])
    assert cron.iteration is not None
    assert cron.iteration.place.state is JobState.DELAYED
    assert cron.iteration.due is not None
    assert cron.next == int(cron.score)
    assert abs(cron.iteration.due - cron.next) < 1000, "some of 5.x add the time of the call"
    whole = scheduler(side, "every")
    assert whole.has_template == (stage.release.speaks >= (5, 36, 0))
    assert whole.data == ('{"a":1}' if whole.has_template else None)
    assert whole.opts == ('{"attempts":3}' if whole.has_template else None)


@pytest.mark.releases(before="6.0.0")
def test_a_repeatable_job_of_an_old_release_is_read_as_it_was_made(stage: Stage) -> None:
    side = stage.official
    # Colons in a job's name make its key ambiguous.
    every = {"repeat": {"every": HOUR, "immediately": True}, "jobId": "mine"}
    side.run("repeatable", name="a:tick", data={"x": 1}, opts=every)
    side.run("repeatable", name="night", data={}, opts={"repeat": BERLIN, "attempts": 2})
    found = {one.name: one for one in schedulers(side).values()}
    tick = next(one for name, one in found.items() if name.endswith("tick"))
    assert (tick.legacy, tick.every, tick.condition) == (True, HOUR, Condition.SCHEDULED)
    assert tick.iteration is not None
    assert tick.iteration.place.state is JobState.WAITING
    night = found["night"]
    assert (night.pattern, night.tz, night.legacy) == (*BERLIN.values(), True)
    assert night.iteration is not None
    assert night.iteration.place.state is JobState.DELAYED
    assert night.iteration.count == 1


@pytest.mark.releases(since="5.58.1")
def test_its_iteration_runs_and_the_one_before_is_known(stage: Stage) -> None:
    side = stage.official
    side.run("upsert", scheduler="s", repeat={"every": HOUR}, template={"name": "tick"})
    with side.worker("hold") as worker:
        [run] = worker.timed(starts=1)
        wait_for(lambda: scheduler(side, "s").iterations == 2, "the next iteration")
        found = scheduler(side, "s")
        assert found.condition is Condition.SCHEDULED
        assert found.last is not None
        assert abs(found.last - run["at"]) < 1000


@pytest.mark.releases(since="5.58.1")
def test_a_limit_ends_it_and_is_no_death(stage: Stage) -> None:
    side = stage.official
    side.run("upsert", scheduler="s", repeat={"every": HOUR, "limit": 1}, template={"name": "t"})
    with side.worker("hold") as worker:
        worker.until(starts=1)
        assert scheduler(side, "s").condition is Condition.RUNNING
        worker.release()
        worker.until(ends=1)
    assert scheduler(side, "s").condition is Condition.ENDED


@pytest.mark.releases(since="5.58.1")
def test_what_a_drain_cuts_out_is_dead(stage: Stage) -> None:
    side = stage.official
    seed_waiting(side)
    side.run("upsert", scheduler="s", repeat={"every": HOUR}, template={"name": "tick"})
    assert scheduler(side, "s").condition is Condition.SCHEDULED
    kill(side)
    found = scheduler(side, "s")
    assert found.condition is Condition.DEAD
    assert found.iteration is not None
    assert found.iteration.place.words == "in no state"


@pytest.mark.releases(before="5.0.0")
def test_a_repeatable_job_that_a_drain_deletes_is_dead(stage: Stage) -> None:
    side = stage.official
    side.open()
    side.run("repeatable", name="night", data={}, opts={"repeat": BERLIN})
    side.run("drain", delayed=True)
    [found] = schedulers(side).values()
    assert found.condition is Condition.DEAD
    assert found.iteration is None


@pytest.mark.releases(since="5.16.0")
def test_an_iteration_that_no_worker_takes_is_late(stage: Stage) -> None:
    side = stage.official
    side.run("upsert", scheduler="s", repeat=BERLIN, template={"name": "tick"})
    [member] = side.members("delayed")
    minute = 60_000 * 4096
    now = round(time.time()) * 1000 * 4096
    side.client.zadd(side.key("delayed"), {member: now - minute})
    found = scheduler(side, "s")
    assert found.condition is Condition.LATE
    assert 59_000 < found.late < 70_000


@pytest.mark.releases(since="5.16.0")
def test_the_right_to_read_is_enough(stage: Stage) -> None:
    side = stage.official
    side.run("upsert", scheduler="s", repeat=BERLIN, template={"name": "tick"})
    side.client.acl_setuser(
        "reader", enabled=True, passwords=["+secret"], keys=["bull:*"], commands=["+@read"]
    )
    [found] = schedulers(side, username="reader", password="secret").values()
    assert found.condition is Condition.SCHEDULED
