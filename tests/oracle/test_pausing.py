"""Pausing and resuming: as the release's own, key by key, and no job is lost between releases."""

from __future__ import annotations

import asyncio

import pytest

from qtui.bullmq.codes import Code
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.writers.queues import MOST_MOVED, PauseWriter, QueueStep, ResumeWriter
from qtui.demo.server import EmbeddedServer
from tests.oracle.conftest import Drivers
from tests.oracle.keyspace import Difference, Value, digest, only_ours
from tests.oracle.releases import PYTHON, Release, named
from tests.oracle.stage import Side, Stage, job
from tests.oracle.test_paused import assert_nothing_runs
from tests.servers import connect

ONE_KIND = pytest.mark.parametrize("oracle_server", ["valkey"], indirect=True)
"""What is the same on each kind of server."""


def _do(server: EmbeddedServer, side: Side, verb: str, most: int, user: str | None) -> QueueStep:
    async def call() -> QueueStep:
        options: dict[str, object] = {"db": side.database}
        if user is not None:
            options |= {"username": user, "password": "secret"}
        queue = QueueKey.of("bull", side.queue)
        async with connect(server, **options) as client:
            if verb == "pause":
                return await PauseWriter(client).pause(queue, most=most)
            return await ResumeWriter(client).resume(queue, most=most)

    return asyncio.run(call())


class Hand:
    """Our own pause and resume on a queue; what they answer."""

    def __init__(self, server: EmbeddedServer) -> None:
        self._server = server

    def step(
        self, verb: str, side: Side, most: int = MOST_MOVED, user: str | None = None
    ) -> QueueStep:
        """One call."""
        return _do(self._server, side, verb, most, user)

    def pause(self, side: Side, most: int = MOST_MOVED) -> str:
        """Pause it; the list that keeps what waits."""
        return self._all("pause", side, most)

    def resume(self, side: Side, most: int = MOST_MOVED) -> str:
        """Resume it."""
        return self._all("resume", side, most)

    def _all(self, verb: str, side: Side, most: int) -> str:
        left = None
        while True:
            step = self.step(verb, side, most)
            assert (step.result.code, step.note) == (Code.DONE, ""), step
            assert left is None or step.left < left
            left = step.left
            if not left:
                return step.result.target


@pytest.fixture
def hand(oracle_server: EmbeddedServer) -> Hand:
    """Our pause and resume on the server of the stage."""
    return Hand(oracle_server)


def _hidden(release: Release, ids: list[str]) -> list[Difference]:
    """Python's 6.x writes no version: what waits goes where no release of its kind loses it."""
    if not release.is_python or not ids:
        return []

    def theirs(official: Value | None, ours: Value | None) -> bool:
        return official is not None and official[1] == ids[::-1] and ours is None

    reason = (
        "without a version nothing distinguishes 6.x from 5.x, which would lose in wait what waits"
    )
    return [
        Difference("q:wait", reason, theirs),
        Difference("q:paused", reason, only_ours(ids[::-1])),
    ]


def _other_member(release: Release, shape: str) -> list[Difference]:
    """Before 5.1.9 the marker of a delay had the member of all others; workers heed any."""
    if shape != "delayed" or not (5, 0, 0) <= release.speaks < (5, 1, 9):
        return []

    def right(official: Value | None, ours: Value | None) -> bool:
        pairs = [value[1] for value in (official, ours) if value is not None]
        members = [one[0] for one in pairs if isinstance(one, list)]
        [(theirs, at), (mine, too)] = members
        return bool((theirs, mine) == ("0", "1") and at == too)

    return [Difference("q:marker", "the delay marker's member is 1 since 5.1.9", right)]


SHAPES = {
    "nothing": [],
    "delayed": [job("d", delay=3_600_000)],
    "prioritized": [job("p", priority=5)],
    "all": [job("a"), job("p", priority=5), job("d", delay=3_600_000), job("b", lifo=True)],
}


def _in_wait(side: Side) -> list[str]:
    return [one for one in side.members("wait")[::-1] if not one.startswith("0")]


@pytest.mark.parametrize("shape", ["nothing", "all"])
def test_a_pause_leaves_the_keys_that_the_release_s_own_leaves(
    stage: Stage, hand: Hand, shape: str
) -> None:
    stage.official.seed([job("ran"), job("done", "ok")])
    stage.official.run("add", jobs=SHAPES[shape])
    waiting = _in_wait(stage.official)
    stage.copy()
    stage.official.run("pause")
    hand.pause(stage.ours)
    stage.assert_equal(*_hidden(stage.release, waiting))


@pytest.mark.parametrize("shape", SHAPES)
def test_a_resume_leaves_the_keys_that_the_release_s_own_leaves(
    stage: Stage, hand: Hand, shape: str
) -> None:
    stage.official.seed([job("ran"), job("done", "ok")])
    stage.official.run("add", jobs=[job("early")] if shape == "all" else [])
    stage.official.run("pause")
    stage.official.run("add", jobs=SHAPES[shape])
    stage.copy()
    stage.official.run("resume")
    assert hand.resume(stage.ours) == "wait"
    stage.assert_equal(*_other_member(stage.release, shape))


def test_pausing_a_paused_queue_changes_nothing(stage: Stage, hand: Hand) -> None:
    """D13: a second pause of 1.x to 5.x renames `wait` over all that is in `paused`."""
    stage.official.seed([job("ran")])
    stage.official.run("add", jobs=[job("a")])
    stage.official.run("pause")
    stage.copy()
    side = stage.ours
    side.client.lpush(side.key("wait"), "stray")
    before = digest(side.client)
    assert hand.step("pause", side).result.code is Code.NOT_IN_STATE
    assert digest(side.client) == before


def test_resuming_a_running_queue_changes_nothing(stage: Stage, hand: Hand) -> None:
    stage.official.seed([job("ran")])
    stage.official.run("add", jobs=[job("a")])
    stage.copy()
    before = digest(stage.ours.client)
    assert hand.step("resume", stage.ours).result.code is Code.NOT_IN_STATE
    assert digest(stage.ours.client) == before


def test_a_worker_stops_at_our_pause_and_continues_in_order_at_our_resume(
    stage: Stage, hand: Hand
) -> None:
    side = stage.ours
    urgent = [job("p", priority=2)] if stage.release.speaks >= (4, 0, 0) else []
    ran = side.seed([job("ran", "ok")])
    before = side.run("add", jobs=[job("a"), job("b")])
    hand.pause(side)
    with side.worker("ok", drainDelay=1) as worker:
        assert_nothing_runs(side, worker)
        during = side.run("add", jobs=[job("c"), *urgent])
        assert_nothing_runs(side, worker)
        hand.resume(side)
        runs = worker.until(ends=2 + len(during))
        side.await_idle()
    assert runs == [*before, *during]
    side.assert_all_in("completed", [*ran, *runs])


@pytest.mark.parametrize("resumer", ["release", "ours"])
def test_what_is_added_after_our_pause_is_not_lost_at_a_resume(
    stage: Stage, hand: Hand, resumer: str
) -> None:
    side = stage.ours
    side.seed([job("ran", "ok")])
    before = side.run("add", jobs=[job("a"), job("b")])
    hand.pause(side)
    during = side.run("add", jobs=[job("c"), job("d")])
    if resumer == "ours":
        hand.resume(side)
    else:
        side.run("resume")
    side.assert_each_in_one_place()
    side.work_off([*before, *during])


def _lines(side: Side) -> list[str]:
    """What waits in both lists: first that one whose next job was added earlier."""
    paused, wait = side.members("paused")[::-1], side.members("wait")[::-1]
    both = [one for one in (paused, wait) if one]

    def added(line: list[str]) -> int:
        return int(str(side.client.hget(side.key(line[0]), "timestamp")))

    # Sorting keeps the order of equals: in doubt `paused` is first.
    return [one for line in sorted(both, key=added) for one in line]


_PAIRS = [("5.81.5", "6.7.0"), ("6.7.0", "5.81.5"), ("4.18.3", "6.7.0"), (PYTHON, "5.81.5")]


@pytest.mark.parametrize("pauser", ["first", "second", "ours", "ours-opened-by-other"])
@pytest.mark.parametrize(("first", "second"), _PAIRS, ids=["-".join(pair) for pair in _PAIRS])
def test_our_resume_brings_all_back_for_any_pause_and_add(
    bare_stage: Stage, drivers: Drivers, hand: Hand, first: str, second: str, pauser: str
) -> None:
    """D13: a resume of 1.x to 5.x loses what 6.x added to `wait` meanwhile (H3 of the keyspace)."""
    one, two = named(first), named(second)
    working = bare_stage.ours.other(drivers.get(one), one)
    other = bare_stage.ours.other(drivers.get(two), two)
    working.seed([job("ran", "ok")])
    before = working.run("add", jobs=[job("a"), job("b")])
    if pauser.startswith("ours"):
        if pauser != "ours":
            other.open()
        hand.pause(working)
    else:
        {"first": working, "second": other}[pauser].run("pause")
    mine = working.run("add", jobs=[job("c"), job("d")])
    theirs = other.run("add", jobs=[job("e"), job("f")])
    in_order = _lines(working)
    assert sorted(in_order) == sorted([*before, *mine, *theirs])
    assert in_order[: len(before)] == before
    hand.resume(working)
    working.assert_each_in_one_place()
    working.work_off(in_order)


@pytest.mark.parametrize("running", [False, True], ids=["paused", "running"])
def test_what_a_resume_of_6_stranded_in_paused_comes_back(
    bare_stage: Stage, drivers: Drivers, hand: Hand, running: bool
) -> None:
    """A 6.x resume moves 7,000 a call, and Python's calls once."""
    release = named(PYTHON)
    side = bare_stage.ours.other(drivers.get(release), release)
    side.seed([job("ran", "ok")])
    [newest] = side.run("add", jobs=[job("later")])
    many = [f"j{place}" for place in range(7_500)]
    with side.client.pipeline(transaction=False) as pipe:
        for one in many:
            pipe.hset(
                side.key(one), mapping={"name": "n", "data": "{}", "timestamp": 1, "opts": "{}"}
            )
            pipe.lpush(side.key("paused"), one)
        pipe.hset(side.key("meta"), "paused", 1)
        pipe.execute()
    if running:
        side.run("resume")
        assert side.client.llen(side.key("paused")) == 500
        assert not side.client.hexists(side.key("meta"), "paused")
    hand.resume(side)
    assert not side.client.exists(side.key("paused"))
    standing = side.members("wait")
    assert sorted(standing) == sorted([newest, *many])
    if not running:
        assert standing == [newest, *reversed(many)]


@ONE_KIND
@pytest.mark.parametrize("calls", [1, 3])
@pytest.mark.parametrize("resumer", ["5.81.5", "6.7.0", "ours"])
def test_a_resume_cut_off_half_way_leaves_no_more_to_lose_than_there_was(
    bare_stage: Stage, drivers: Drivers, hand: Hand, resumer: str, calls: int
) -> None:
    """Both lists are long, so that it takes several calls, and the process dies between them."""
    side = bare_stage.ours
    side.seed([job("ran", "ok")])
    waits = [f"w{place}" for place in range(12)]
    paused = [f"p{place}" for place in range(9)]
    for name, ids in (("wait", waits), ("paused", paused)):
        side.client.rpush(side.key(name), *ids)
        for one in ids:
            side.client.hset(side.key(one), mapping={"name": "n", "data": "{}", "timestamp": 1})
    side.client.hset(side.key("meta"), "paused", 1)
    for _ in range(calls):
        assert hand.step("resume", side, most=3).left
    assert side.client.hexists(side.key("meta"), "paused")
    left = side.client.lrange(side.key("wait"), 0, -1)
    assert left == waits[: 12 - 3 * calls]
    assert side.members("paused") == [*waits[12 - 3 * calls :], *paused]
    if resumer == "ours":
        hand.resume(side, most=3)
        assert side.members("wait") == [*waits, *paused]
        return
    release = named(resumer)
    side.other(drivers.get(release), release).run("resume")
    kept = [*left, *waits[len(left) :], *paused]
    if release.speaks < (6, 0, 0):  # its own loss: without our calls it would be all twelve
        kept = kept[len(left) :]
    assert side.members("wait") == kept


def test_a_pause_with_jobs_stranded_in_paused_loses_none(bare_stage: Stage, hand: Hand) -> None:
    """A pause of 1.x to 5.x renames `wait` over them."""
    side = bare_stage.ours
    side.seed([job("ran", "ok")])
    side.client.hset(side.key("meta"), "version", "bullmq:5.81.5")
    waits, stranded = [f"w{at}" for at in range(7)], [f"p{at}" for at in range(8)]
    side.client.rpush(side.key("wait"), *waits)
    side.client.rpush(side.key("paused"), *stranded)
    assert hand.pause(side, most=3) == "paused"
    assert side.members("wait") == []
    assert side.members("paused") == [*waits, *stranded]


@pytest.fixture
def limited(bare_stage: Stage, request: pytest.FixtureRequest) -> str:
    """A user who may not send some command."""
    client = bare_stage.ours.client
    client.acl_setuser(
        "limited",
        enabled=True,
        passwords=["+secret"],
        keys=["*"],
        categories=["+@all"],
        commands=[f"-{command}" for command in request.param],
    )
    return "limited"


@ONE_KIND
@pytest.mark.parametrize(
    ("verb", "limited"),
    [
        ("pause", ["renamenx"]),
        ("pause", ["hset"]),
        ("pause", ["hdel"]),
        ("resume", ["hdel"]),
        ("resume", ["renamenx", "hset"]),
    ],
    indirect=["limited"],
)
def test_what_an_acl_forbids_leaves_the_queue_as_it_was(
    bare_stage: Stage, hand: Hand, limited: str, verb: str
) -> None:
    side = bare_stage.ours
    side.seed([job("ran", "ok")])
    side.client.hset(side.key("meta"), "version", "bullmq:5.81.5")
    side.run("add", jobs=[job("a"), job("b")])
    if verb == "resume":
        side.client.rename(side.key("wait"), side.key("paused"))
        side.client.hset(side.key("meta"), "paused", 1)
    before = side.snapshot()
    step = hand.step(verb, side, user=limited)
    side.client.acl_deluser(limited)
    assert step.result.code is Code.REFUSED
    assert step.result.error
    assert side.snapshot() == before


@ONE_KIND
@pytest.mark.parametrize("key", ["wait", "paused", "meta"])
@pytest.mark.parametrize("verb", ["pause", "resume"])
def test_a_key_of_a_wrong_type_is_named_and_nothing_changes(
    bare_stage: Stage, hand: Hand, verb: str, key: str
) -> None:
    side = bare_stage.ours
    side.seed([job("ran", "ok")])
    if verb == "resume":
        side.client.hset(side.key("meta"), "paused", 1)
    side.client.delete(side.key(key))
    side.client.set(side.key(key), "junk")
    before = digest(side.client)
    step = hand.step(verb, side)
    if verb == "resume" and key == "meta":  # then it is not paused
        assert step.result.code is Code.NOT_IN_STATE
    else:
        assert (step.result.code, "WRONGTYPE" in step.result.error) == (Code.REFUSED, True)
    assert digest(side.client) == before


def test_a_full_memory_stops_neither(bare_stage: Stage, hand: Hand) -> None:
    side = bare_stage.ours
    side.seed([job("ran", "ok")])
    added = side.run("add", jobs=[job("a"), job("b")])
    side.client.config_set("maxmemory", 1)
    try:
        hand.pause(side)
        assert side.client.hexists(side.key("meta"), "paused")
        hand.resume(side)
    finally:
        side.client.config_set("maxmemory", 0)
    side.work_off(added)
