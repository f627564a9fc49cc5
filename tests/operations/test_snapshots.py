"""What a retry wipes is read of every job once, while the jobs leave under the reader's hands."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Sequence

import pytest
from redis.asyncio import Redis

from qtui.bullmq.connection.client import Client
from qtui.bullmq.connection.portion import HEAVY
from qtui.bullmq.flow.fields import STEP
from qtui.bullmq.model import JobState
from qtui.bullmq.new_job.editable import EDIT_FIELDS
from qtui.bullmq.script import script_text
from qtui.bullmq.writers.batch import Picked
from qtui.bullmq.writers.retry import RetryWriter
from qtui.bullmq.writers.unretry import cleared_by_retry
from qtui.demo.server import EmbeddedServer
from qtui.operations.journal.facts import Snapshot
from qtui.operations.supply.selection import query
from qtui.operations.supply.snapshots import IDS_A_PAGE, SNAPSHOT_FIELDS, read_snapshots
from tests.operations.campaigns import FAILED, ours_to
from tests.seeds import QUEUE, START, Fields, raw_failed

KEY = QUEUE.key("failed")


async def read_all(client: Redis, leave: Sequence[str] = (), late: int = 0) -> list[Snapshot]:
    """Reads a whole state; jobs leave it as soon as they are met, but for those that can't.

    Those in ``leave`` stay where they are. ``late`` new ones come in at the end with each step.
    """
    selection = await query(client, QUEUE, FAILED)
    stay, found, number = set(leave), list[Snapshot](), 0
    async for page in read_snapshots(client, selection):
        for pick, values in zip(page.picks, page.values, strict=True):
            *known, family = values
            fields = {name: text or "" for name, text in zip(SNAPSHOT_FIELDS, known, strict=True)}
            assert family is None
            found.append(Snapshot(pick.job_id, pick.score, fields))
        ids = [one.job_id for one in page.picks if one.job_id not in stay]
        for start in range(0, len(ids), 30):
            await client.zrem(KEY, *ids[start : start + 30])
            for _ in range(late):
                number += 1
                await client.zadd(KEY, {f"late{number}": START * 2 + number})
    return found


def names(found: Sequence[Snapshot]) -> list[str]:
    return [one.id for one in found]


def named_to_be_cleared(script: str) -> set[str]:
    """Every name that a script gives to its list of fields to clear."""
    text = script_text(script)
    body = text[text.index("local function fieldsToClear") :]
    given = [line for line in text.splitlines() if re.match(r"local (cleared|result) =", line)]
    return set(re.findall(r'"([A-Za-z]\w+)"', "\n".join([body[: body.index("\nend")], *given])))


@pytest.mark.parametrize("script", ["retry", "rerun"])
def test_all_fields_that_a_script_clears_are_in_the_snapshot(script: str) -> None:
    named = named_to_be_cleared(script) - {"completed"}
    assert {"finishedOn", "atm", "attemptsMade", "ats", "failedReason", "returnvalue"} <= named
    assert named <= set(SNAPSHOT_FIELDS)


@pytest.mark.parametrize("state", [JobState.FAILED, JobState.COMPLETED])
async def test_all_that_a_retry_wipes_is_in_the_snapshot(client: Redis, state: JobState) -> None:
    """Of a job that has every field that BullMQ's releases write, and some of another tool's."""
    others = ("data", "progress", "pb", "rjk", "nrjid", "deid", "tm", "repeatJobKey", "theirs")
    fields: Fields = dict.fromkeys((*SNAPSHOT_FIELDS, *others), "1")
    fields["parent"] = "{}"
    await raw_failed(client, "1", state=state.key, change=lambda _: fields)
    before = await client.hgetall(QUEUE.job("1"))
    batch = await RetryWriter(client).retry(
        QUEUE,
        state,
        [Picked("1", float(START))],
        reset_attempts_made=True,
        reset_attempts_started=True,
    )
    assert batch.results[0].done
    after = await client.hgetall(QUEUE.job("1"))
    wiped = {name for name, value in before.items() if after.get(name) != value}
    assert {"finishedOn", "processedOn", "attemptsMade", "atm", "ats"} <= wiped
    assert wiped <= set(SNAPSHOT_FIELDS)
    # What the undo of a retry puts back, and what a retry after an edit has to know.
    assert before.keys() - after.keys() == {*cleared_by_retry(state, made=True, started=True)}
    assert wiped <= set(EDIT_FIELDS)


@pytest.mark.parametrize(
    "jobs", [0, 1, STEP - 1, STEP, STEP + 1, 2 * STEP, IDS_A_PAGE, 2 * IDS_A_PAGE + 7]
)
async def test_every_job_is_met_once_oldest_first(any_client: Redis, jobs: int) -> None:
    ids = await raw_failed(any_client, map(str, range(jobs)))
    found = await read_all(any_client, late=2)
    assert names(found) == ids
    assert [one.score for one in found] == [START + 1000 * at for at in range(jobs)]
    assert [one.fields["failedReason"] for one in found] == ["boom"] * jobs


@pytest.mark.parametrize("same", [1, 40, 150, 1000, 5000])
@pytest.mark.parametrize("staying", [0.0, 0.03, 0.5, 1.0])
async def test_jobs_that_stay_and_jobs_of_one_score_hide_no_others(
    client: Redis, same: int, staying: float
) -> None:
    chance = random.Random(same)
    ids = await raw_failed(client, map(str, range(1500)))
    await client.zadd(KEY, {one: START + at // same for at, one in enumerate(ids)})
    stay = [one for one in ids if chance.random() < staying]
    found = await read_all(client, stay, late=1)
    assert sorted(names(found)) == sorted(ids)
    scores = [one.score or 0 for one in found]
    assert scores == sorted(scores)


@pytest.mark.parametrize("seed", range(6))
async def test_what_others_remove_meanwhile_hides_no_job_that_stays(
    any_server: EmbeddedServer, any_client: Redis, seed: int
) -> None:
    chance = random.Random(seed)
    ids = await raw_failed(any_client, map(str, range(3000)))
    same = chance.choice([1, 7, 300])
    await any_client.zadd(KEY, {one: START + at // same for at, one in enumerate(ids)})
    stuck = [one for one in ids if chance.random() < 0.4]
    theirs = [one for one in ids if chance.random() < 0.3]
    chance.shuffle(theirs)
    other = ours_to(any_server)

    async def remove() -> None:
        for start in range(0, len(theirs), 5):
            await other.zrem(KEY, *theirs[start : start + 5])

    removing = asyncio.ensure_future(remove())
    found = names(await read_all(any_client, stuck, late=1))
    await removing
    await other.aclose()
    assert len(found) == len(set(found))
    assert set(ids) - set(theirs) <= set(found) <= set(ids)


async def test_large_values_are_read_few_at_a_time(any_client: Redis, ours: Client) -> None:
    ids = await raw_failed(
        any_client, map(str, range(120)), change=lambda _: {"stacktrace": "x" * 100_000}
    )
    selection = await query(ours, QUEUE, FAILED)
    sizes = [len(page) async for page in read_snapshots(ours, selection)]
    assert sum(sizes) == 120
    # The first could not know.
    assert max(sizes[1:]) * 100_000 <= HEAVY
    assert names(await read_all(any_client)) == ids
