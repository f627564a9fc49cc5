"""A server that takes no writes for now is waited for, and no job is charged with it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeAlias

import pytest
from redis.asyncio import Redis

from qtui.bullmq.ask import ask, ask_one
from qtui.bullmq.codes import Code, Result
from qtui.bullmq.connection.client import connect, parse_target
from qtui.bullmq.connection.origin import read_origin
from qtui.bullmq.connection.trouble import Unable
from qtui.bullmq.model import JobState
from qtui.bullmq.new_job.options import new_job
from qtui.bullmq.writers.promote import PromoteWriter
from qtui.bullmq.writers.remove import RemoveWriter
from qtui.bullmq.writers.rerun import RerunWriter
from qtui.bullmq.writers.retry import RetryWriter
from qtui.demo.server import EmbeddedServer
from qtui.operations.add.plan import plan_add
from qtui.operations.engine.action import JobAction
from qtui.operations.engine.campaign import Campaign, Phase
from qtui.operations.flow_rerun.rerun import Rerun
from qtui.operations.journal.reading import ids, progress_of, summary
from qtui.operations.planning.plan import Resets
from qtui.operations.promote.plan import make_promotion_plan
from qtui.operations.promote.promote import Promote
from qtui.operations.promote.resuming import resume_promotion
from qtui.operations.remove.plan import make_removal_plan
from qtui.operations.remove.remove import Remove
from qtui.operations.remove.resuming import resume_removal
from qtui.operations.resuming.interrupted import Interrupted
from qtui.operations.resuming.recorder import Recorder
from qtui.operations.retry.resuming import resume_retry
from qtui.operations.retry.retry import Retry
from qtui.operations.supply.selection import query
from qtui.verbs import Verb
from tests.operations.campaigns import ours_to, plan_for
from tests.operations.flows import KIDS, raw_flow
from tests.operations.flows import plan_of as flow_plan_of
from tests.patience import PATIENCE
from tests.seeds import QUEUE, raw_failed, soon
from tests.servers import KINDS, flush, start

JOBS = 600
WHERE = "redis://cache-1:6379/0"

Condition: TypeAlias = Callable[[Redis, bool], Awaitable[None]]


@pytest.fixture(scope="module", params=KINDS)
def own_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[EmbeddedServer]:
    """A server of this module's own, since a test that fails could leave it unwell."""
    folder = tmp_path_factory.mktemp("data")
    with start(request.param, ("--dir", str(folder), "--repl-diskless-sync", "no")) as server:
        yield server


@pytest.fixture
async def own(own_server: EmbeddedServer) -> AsyncIterator[Redis]:
    """Qtui's own client of it, empty and well."""
    flush(own_server)
    client = ours_to(own_server)
    yield client
    for heal in CONDITIONS.values():
        await heal(client, False)
    await client.aclose()


async def _too_few_replicas(client: Redis, on: bool) -> None:
    await client.config_set("min-replicas-to-write", int(on))


async def _replica(client: Redis, on: bool) -> None:
    # Of a master that does not answer: the data stays as it is.
    await client.execute_command("REPLICAOF", *(("127.0.0.1", "1") if on else ("NO", "ONE")))


async def _disk_full(client: Redis, on: bool) -> None:
    """The snapshots of the server fail, as on a full disk."""
    if on:
        await client.config_set("save", "3600 1")
        found = await client.config_get("dir", "dbfilename")
        os.makedirs(os.path.join(str(found["dir"]), str(found["dbfilename"])), exist_ok=True)
        await client.bgsave()
        async with asyncio.timeout(PATIENCE):
            while await _last_save(client) != "err":
                pass
    else:
        await client.config_set("save", "")


async def _last_save(client: Redis) -> object:
    return (await client.info("persistence"))["rdb_last_bgsave_status"]


CONDITIONS: dict[str, Condition] = {
    "Redis has too few replicas and takes no writes": _too_few_replicas,
    "Redis is a replica and takes no writes": _replica,
    "Redis cannot save to disk and takes no writes": _disk_full,
}
"""By the words in which they are reported."""

EACH = pytest.mark.parametrize("words", CONDITIONS)


async def a_retry(client: Redis, folder: Path, patience: float = 20) -> Campaign[Retry]:
    await raw_failed(client, map(str, range(JOBS)))
    retry = Retry(client, RetryWriter(client), await plan_for(client), Resets())
    record = Recorder(folder=folder, where=WHERE, how="key r")
    return Campaign(client, retry, record=record, patience=patience)


async def a_rerun(client: Redis, folder: Path, patience: float = 20) -> Campaign[Rerun]:
    """In many calls."""
    await raw_flow(client, 40)
    rerun = Rerun(
        client, RerunWriter(client), await flow_plan_of(client), Resets(), whole=0, piece=4
    )
    record = Recorder(folder=folder, where=WHERE, how="key r")
    return Campaign(client, rerun, record=record, patience=patience)


async def a_removal(client: Redis, folder: Path, patience: float = 20) -> Campaign[Remove]:
    await raw_failed(client, map(str, range(JOBS)))
    plan = await make_removal_plan(client, await query(client, QUEUE, JobState.FAILED), rate=0)
    record = Recorder(folder=folder, where=WHERE, how="key D")
    return Campaign(
        client, Remove(client, RemoveWriter(client), plan), record=record, patience=patience
    )


async def a_promotion(client: Redis, folder: Path, patience: float = 20) -> Campaign[Promote]:
    await raw_failed(client, map(str, range(JOBS)), state="delayed")
    plan = await make_promotion_plan(client, await query(client, QUEUE, JobState.DELAYED), rate=0)
    record = Recorder(folder=folder, where=WHERE, how="key p")
    return Campaign(
        client, Promote(client, PromoteWriter(client), plan), record=record, patience=patience
    )


async def resumed_or_anew(
    client: Redis, campaign: Campaign[JobAction], folder: Path
) -> Campaign[JobAction]:
    """What does the rest: its journal is gone on with, but a rerun is planned anew."""
    name = ids(folder)[0]
    if isinstance(campaign.action, Retry):
        taken = Interrupted.take(folder, name, WHERE)
        return await resume_retry(taken, client, RetryWriter(client))
    if isinstance(campaign.action, Promote):
        taken = Interrupted.take(folder, name, WHERE, verb=Verb.PROMOTE)
        return await resume_promotion(taken, client)
    if isinstance(campaign.action, Remove):
        taken = Interrupted.take(folder, name, WHERE, verb=Verb.REMOVE)
        return await resume_removal(taken, client, RemoveWriter(client))
    return Campaign(
        client, Rerun(client, RerunWriter(client), await flow_plan_of(client), Resets())
    )


Begin: TypeAlias = Callable[[Redis, Path, float], Awaitable[Campaign[JobAction]]]
ACTIONS = {"retry": a_retry, "rerun": a_rerun, "promote": a_promotion, "remove": a_removal}
BOTH = pytest.mark.parametrize("begin", ACTIONS.values(), ids=ACTIONS)


@asynccontextmanager
async def unwell(
    client: Redis, words: str, campaign: Campaign[JobAction]
) -> AsyncIterator[list[Result]]:
    """The results of a campaign whose server fell into a condition after the first of them."""
    found: list[Result] = []
    fell = False

    async def all_of_it() -> None:
        nonlocal fell
        async for results in campaign.run():
            if not fell:
                await CONDITIONS[words](client, True)
                fell = True
            found.extend(results)

    running = asyncio.ensure_future(all_of_it())
    try:
        await soon(lambda: campaign.trouble == words or running.done())
        if running.done():
            await running
        yield found
        await running
    finally:
        running.cancel()


async def still_there(client: Redis) -> int:
    """Jobs that are where the campaigns here find them."""
    keys = (QUEUE.key("failed"), KIDS.key("failed"), QUEUE.key("delayed"))
    return sum([int(await client.zcard(key)) for key in keys])


@EACH
@BOTH
async def test_it_is_waited_for_and_used_again(
    own: Redis, tmp_path: Path, begin: Begin, words: str
) -> None:
    campaign = await begin(own, tmp_path, 20)
    async with unwell(own, words, campaign) as found:
        assert campaign.trouble == words
        assert not campaign.is_over
        await CONDITIONS[words](own, False)
    campaign.close()
    assert (campaign.phase, campaign.trouble) == (Phase.DONE, "")
    assert campaign.codes == {Code.DONE: campaign.selected}
    assert len({one.job_id for one in found}) == len(found) == campaign.selected
    assert await still_there(own) == 0
    assert summary(tmp_path, ids(tmp_path)[0]).phase == "done"


@EACH
@BOTH
async def test_past_the_patience_it_stops_with_the_reason_and_no_job_is_charged(
    own: Redis, tmp_path: Path, begin: Begin, words: str
) -> None:
    campaign = await begin(own, tmp_path, 0.3)
    async with unwell(own, words, campaign) as found:
        pass
    campaign.close()
    assert (campaign.phase, campaign.why, campaign.refused) == (Phase.STOPPED, words, True)
    assert {one.code for one in found} <= {Code.DONE}
    assert campaign.decided == campaign.done < campaign.selected
    one = summary(tmp_path, ids(tmp_path)[0])
    assert (one.phase, one.note) == ("stopped", words)
    await CONDITIONS[words](own, False)
    # What is left is done by the next one: a retry's journal is gone on with, a rerun planned anew.
    left = await still_there(own)
    assert left > 0
    if not isinstance(campaign.action, Rerun):
        assert left == campaign.selected - campaign.done
    again = await resumed_or_anew(own, campaign, tmp_path)
    async for _ in again.run():
        pass
    again.close()
    assert again.phase is Phase.DONE
    assert await still_there(own) == 0


@EACH
@pytest.mark.parametrize("heals", [True, False])
async def test_a_new_job_waits_for_it_before_an_id_is_reserved(
    own: Redis, tmp_path: Path, words: str, heals: bool
) -> None:
    await raw_failed(own, ["a"])
    plan = await plan_add(own, QUEUE, new_job("n", "{}", {}))
    record = Recorder(folder=tmp_path, where=WHERE, how="key c")
    campaign = Campaign(own, plan.action(own), record=record, patience=20 if heals else 0.3)
    await CONDITIONS[words](own, True)
    running = asyncio.ensure_future(_all_of(campaign))
    try:
        await soon(lambda: campaign.trouble == words or running.done())
        if heals:
            assert not running.done()
            await CONDITIONS[words](own, False)
        found = await running
    finally:
        running.cancel()
    campaign.close()
    assert [one.code for one in found] == [Code.DONE] * heals
    assert campaign.phase is (Phase.DONE if heals else Phase.STOPPED)
    assert campaign.why == ("" if heals else words)
    assert await own.llen(QUEUE.key("wait")) == heals


async def _all_of(campaign: Campaign[JobAction]) -> list[Result]:
    return [result async for results in campaign.run() for result in results]


@pytest.mark.parametrize("words", list(CONDITIONS)[:1])
async def test_what_a_job_is_refused_for_itself_stays_its_own(
    own: Redis, tmp_path: Path, words: str
) -> None:
    """A list of a wrong type refuses the jobs that go there, in any condition of the server."""
    campaign = await a_retry(own, tmp_path)
    await own.hset(QUEUE.job("7"), "priority", "3")
    await own.set(QUEUE.key("prioritized"), "not a sorted set")
    async with unwell(own, words, campaign) as found:
        await CONDITIONS[words](own, False)
    refused = [one.job_id for one in found if one.code is Code.REFUSED]
    assert refused == ["7"]
    assert campaign.codes == {Code.DONE: JOBS - 1, Code.REFUSED: 1}


DENIED = {
    "-zrem": "the ACL of Redis does not let this user run ZREM",
    "-lpush": "the ACL of Redis does not let this user run LPUSH",
}
"""Rights without which no job can be moved, with the words in which that is reported."""

REMOVAL_DENIED = {"-zrem": "-zrem", "-lpush": "-del"}
"""What a removal needs in place of them."""


@asynccontextmanager
async def limited(server: EmbeddedServer, own: Redis) -> AsyncIterator[Redis]:
    """A client of a user whose rights can be changed; it has all at first."""
    await own.execute_command("ACL", "SETUSER", "mover", "reset", "on", ">x", "~*", "&*", "+@all")
    url = server.url.replace("unix://", "unix://mover:x@")
    client = connect(parse_target(url), read_only=False)
    assert isinstance(client, Redis)
    yield client
    await client.aclose()
    await own.execute_command("ACL", "DELUSER", "mover")


@pytest.mark.parametrize("rule", DENIED)
@pytest.mark.parametrize("at_first", [False, True], ids=["in the middle", "from the start"])
@BOTH
async def test_a_right_that_is_missing_stops_it_at_once_and_no_job_is_charged(
    own_server: EmbeddedServer,
    own: Redis,
    tmp_path: Path,
    begin: Begin,
    rule: str,
    at_first: bool,
) -> None:
    words = DENIED[rule]
    if begin is a_removal:
        rule = REMOVAL_DENIED[rule]
        words = words.replace("LPUSH", "DEL")
    async with limited(own_server, own) as client:
        campaign = await begin(client, tmp_path, 600)  # it must not be waited for
        found: list[Result] = []

        async def deny() -> None:
            await own.execute_command("ACL", "SETUSER", "mover", rule)

        if at_first:
            await deny()
        async for results in campaign.run():
            if not found:
                await deny()
            found.extend(results)
        campaign.close()
        assert (campaign.phase, campaign.why, campaign.refused) == (
            *(Phase.STOPPED, words),
            True,
        )
        assert {one.code for one in found} <= {Code.DONE}
        assert campaign.decided == campaign.done < campaign.selected
        one = summary(tmp_path, ids(tmp_path)[0])
        assert (one.phase, one.note) == ("stopped", words)
        await own.execute_command("ACL", "SETUSER", "mover", "+@all")
        if not isinstance(campaign.action, Rerun):
            assert await still_there(own) == campaign.selected - campaign.done
        again = await resumed_or_anew(client, campaign, tmp_path)
        async for _ in again.run():
            pass
        again.close()
        assert again.phase is Phase.DONE
        assert await still_there(own) == 0


async def test_a_right_to_a_side_effect_that_is_missing_is_a_note(
    own_server: EmbeddedServer, own: Redis, tmp_path: Path
) -> None:
    async with limited(own_server, own) as client:
        campaign = await a_retry(client, tmp_path)
        async for _ in campaign.run():
            await own.execute_command("ACL", "SETUSER", "mover", "-xadd")
        campaign.close()
        assert (campaign.phase, campaign.codes) == (Phase.DONE, {Code.DONE: JOBS})
        assert [note.partition(":")[0] for note in campaign.notes] == ["XADD"]


async def _memory(client: Redis, full: bool) -> None:
    await client.config_set("maxmemory", int(full))


@BOTH
async def test_memory_that_is_full_keeps_no_job_back(
    own: Redis, tmp_path: Path, begin: Begin
) -> None:
    """Redis lets a script continue that has begun to write, and both begin with a removal."""
    campaign = await begin(own, tmp_path, 0.3)
    try:
        async for _ in campaign.run():
            await _memory(own, True)
    finally:
        await _memory(own, False)
    campaign.close()
    assert (campaign.phase, campaign.why) == (Phase.DONE, "")
    assert campaign.codes == {Code.DONE: campaign.selected}
    assert await still_there(own) == 0


async def test_a_login_that_is_refused_for_a_while_is_waited_for(
    own_server: EmbeddedServer, own: Redis, tmp_path: Path
) -> None:
    """A user's connections are closed with the user, and the next ones are refused."""

    async def allow() -> None:
        words = ("on", ">secret", "~*", "&*", "+@all")
        await own.execute_command("ACL", "SETUSER", "rotated", *words)

    await allow()
    client = connect(
        parse_target(own_server.url.replace("unix://", "unix://rotated:secret@")), read_only=False
    )
    assert isinstance(client, Redis)
    campaign = await a_retry(client, tmp_path)
    fell = False

    async def all_of_it() -> None:
        nonlocal fell
        async for _ in campaign.run():
            if not fell:
                fell = True
                await own.execute_command("ACL", "DELUSER", "rotated")

    running = asyncio.ensure_future(all_of_it())
    await soon(lambda: campaign.trouble == "Redis refuses the login" or running.done())
    assert not running.done()
    await allow()
    await running
    campaign.close()
    await client.aclose()
    await own.execute_command("ACL", "DELUSER", "rotated")
    assert campaign.phase is Phase.DONE
    assert campaign.codes == {Code.DONE: JOBS}


async def _a_pipeline(client: Redis) -> object:
    return await ask(client, [("PING",)])


async def _a_command(client: Redis) -> object:
    return await ask_one(client, "PING")


async def _the_origin(client: Redis) -> object:
    return await read_origin(client, "bull:q:meta")


@pytest.mark.parametrize("read", [_a_pipeline, _a_command, _the_origin])
async def test_a_login_that_is_refused_while_connecting_is_named(
    own_server: EmbeddedServer, read: Callable[[Redis], Awaitable[object]]
) -> None:
    """However it asks, and though nothing of what it asks for was sent."""
    url = own_server.url.replace("unix://", "unix://nobody:secret@")
    client = connect(parse_target(url), read_only=False)
    assert isinstance(client, Redis)
    with pytest.raises(Unable) as refused:
        await read(client)
    await client.aclose()
    assert refused.value.condition == "Redis refuses the login"


@pytest.mark.slow
async def test_nothing_is_decided_twice_when_it_comes_and_goes(own: Redis, tmp_path: Path) -> None:
    campaign = await a_retry(own, tmp_path)
    found: list[Result] = []
    flaps = 0

    async def flap() -> None:
        nonlocal flaps
        while not campaign.is_over:
            flaps += 1
            await _too_few_replicas(own, flaps % 2 == 1)
            await asyncio.sleep(0.05)  # on and off; how often does not matter

    async for results in campaign.run():
        if not found:
            flapping = asyncio.ensure_future(flap())
        found.extend(results)
    await flapping
    campaign.close()
    assert campaign.phase is Phase.DONE
    assert sorted(one.job_id for one in found) == sorted(map(str, range(JOBS)))
    assert {one.code for one in found} == {Code.DONE}
    progress = progress_of(tmp_path, ids(tmp_path)[0])
    assert (len(progress.decided), progress.doubtful) == (JOBS, ())
