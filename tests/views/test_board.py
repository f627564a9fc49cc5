"""What the inspector looks at, and what its rows say after a retry."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from qtui.bullmq.codes import Code, Result
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState
from qtui.bullmq.writers.batch import Picked
from qtui.bullmq.writers.retry import RetryWriter
from qtui.demo.server import EmbeddedServer
from qtui.operations.following.follower import Follower
from qtui.operations.following.outcome import Fate, Outcome
from qtui.views.lists.board import Board
from qtui.views.lists.marks import MOST_MARKED
from tests.patience import PATIENCE
from tests.seeds import QUEUE, failed_jobs, raw_failed, real_queue

FAILED, COMPLETED = JobState.FAILED, JobState.COMPLETED
OTHER = QueueKey.of("bull", "other")


async def board_on(client: Redis, queue: QueueKey = QUEUE) -> Board:
    board = Board(client)
    jobs = board.look_at(queue)
    assert jobs is not None
    await jobs.refresh(0, 30, None)
    return board


def retried(ids: list[str], code: Code = Code.DONE) -> list[Result]:
    return [Result(one, code, "wait" if code is Code.DONE else "") for one in ids]


def words(board: Board) -> dict[str, str]:
    return {job_id: verdict.text for job_id, verdict in board.verdicts.items()}


async def test_a_board_that_looks_nowhere_has_nothing(client: Redis) -> None:
    board = Board(client)
    assert board.look_at(None) is None
    board.marks.toggle("1")
    assert len(board.marks) == 0
    assert await board.all_ids() == []
    assert board.loaded_between("1", "2") is None
    assert await board.ids_between("1", "2") == []
    board.note(QUEUE, FAILED, {"1": Outcome(Fate.COMPLETED)})
    board.record(QUEUE, FAILED, retried(["1"]))
    assert board.verdicts == {}


async def test_each_list_has_its_own_marks(client: Redis) -> None:
    board = await board_on(client)
    board.marks.toggle("1")
    board.look_at(QUEUE, COMPLETED)
    assert list(board.marks) == []
    board.marks.toggle("2")
    board.look_at(OTHER, FAILED)
    assert list(board.marks) == []
    board.look_at(QUEUE)
    assert list(board.marks) == ["1"]
    # Turned round, it is the same list.
    board.look_at(QUEUE, newest_first=False)
    assert list(board.marks) == ["1"]


async def test_a_key_acts_on_the_marked_jobs_else_on_the_one_under_the_cursor(
    client: Redis,
) -> None:
    board = await board_on(client)
    assert board.chosen(None) == []
    assert board.chosen("5") == ["5"]
    board.marks.add(["2", "1"])
    assert board.chosen("5") == ["2", "1"]
    assert board.chosen(None) == ["2", "1"]


async def test_all_ids_are_those_of_the_list_in_its_order(client: Redis) -> None:
    ids = await raw_failed(client, map(str, range(300)))
    board = await board_on(client)
    assert await board.all_ids() == ids[::-1]
    board.look_at(QUEUE, newest_first=False)
    assert await board.all_ids() == ids


async def test_no_more_are_taken_than_can_be_marked(client: Redis) -> None:
    for start in range(0, MOST_MARKED + 50, 1050):
        members = {str(one): one for one in range(start, start + 1050)}
        await client.zadd(QUEUE.key("failed"), members)
    board = await board_on(client)
    newest = await board.all_ids()
    assert len(newest) == MOST_MARKED
    assert len(await board.ids_between(newest[0], "0")) == MOST_MARKED


class TestBetween:
    async def test_loaded_rows_are_taken_as_they_are_seen(self, client: Redis) -> None:
        await raw_failed(client, map(str, range(300)))
        board = await board_on(client)
        seen = [str(299 - place) for place in range(100)]
        assert board.loaded_between(seen[10], seen[20]) == seen[10:21]
        assert board.loaded_between(seen[20], seen[10]) == seen[10:21]
        assert board.loaded_between(seen[5], seen[5]) == [seen[5]]
        assert board.loaded_between(seen[5], "0") is None
        assert board.loaded_between("nope", seen[5]) is None

    @pytest.mark.parametrize("newest_first", [True, False])
    async def test_where_some_are_not_loaded_the_ranks_of_now_count(
        self, client: Redis, newest_first: bool
    ) -> None:
        ids = await raw_failed(client, map(str, range(300)))
        board = await board_on(client)
        board.look_at(QUEUE, newest_first=newest_first)
        order = ids[::-1] if newest_first else ids
        assert await board.ids_between(order[50], order[250]) == order[50:251]
        assert await board.ids_between(order[250], order[50]) == order[50:251]
        # New ones come in: between the same two jobs are the same jobs.
        await client.zadd(QUEUE.key("failed"), {f"new{one}": 10**15 + one for one in range(40)})
        assert await board.ids_between(order[50], order[250]) == order[50:251]
        # One end has left: there is nothing between.
        await client.zrem(QUEUE.key("failed"), order[50])
        assert await board.ids_between(order[50], order[250]) == []


class TestResults:
    async def test_they_are_in_their_rows_and_the_list_is_held(self, client: Redis) -> None:
        await raw_failed(client, map(str, range(10)))
        board = await board_on(client)
        jobs = board.jobs
        assert jobs is not None
        board.marks.add("12349")
        board.record(
            QUEUE,
            FAILED,
            [
                *retried(["1"]),
                *retried(["2"], Code.NO_SUCH_JOB),
                *retried(["3"], Code.NOT_IN_STATE),
                *retried(["4"], Code.REFUSED),
            ],
        )
        assert words(board) == {
            "1": "✔ waiting",
            "2": "✗ -1 job is gone",
            "3": "✗ -3 not in failed",
            "4": "✗ refused by Redis: ",
        }
        assert jobs.held
        # What BullMQ leaves in its set has not left: the id of a job that is gone.
        assert [one for one in "123456" if jobs.has_left(one)] == ["1", "3"]
        assert list(board.marks) == ["9"]

    async def test_a_job_that_an_undo_brings_back_is_there_and_one_that_it_takes_away_is_not(
        self, client: Redis
    ) -> None:
        """The undo of a retry does the one; that of such an undo the other, as of a removal's."""
        await raw_failed(client, map(str, range(4)))
        board = await board_on(client)
        board.record(QUEUE, FAILED, retried(["0"]))
        targets = {"0": "failed", "1": "wait", "2": "removed", "3": ""}
        done = [Result(job_id, Code.DONE, target) for job_id, target in targets.items()]
        board.record(QUEUE, FAILED, done, "undo")
        assert [one for one in targets if board.has_left(one)] == ["1", "2"]
        assert words(board) == {
            "0": "✔ undone",
            "1": "✔ failed→waiting",
            "2": "✔ removed",
            "3": "✔ undone",
        }

    async def test_of_another_list_they_only_take_the_marks(self, client: Redis) -> None:
        await raw_failed(client, "12")
        board = await board_on(client)
        board.marks.add("12")
        board.look_at(OTHER)
        board.record(QUEUE, FAILED, retried(["1"]))
        assert board.verdicts == {}
        assert board.jobs is not None
        assert not board.jobs.held
        board.look_at(QUEUE)
        assert list(board.marks) == ["2"]

    async def test_they_are_let_go_with_the_list(self, client: Redis) -> None:
        await raw_failed(client, "12")
        board = await board_on(client)
        board.record(QUEUE, FAILED, retried(["1"]))
        board.look_at(QUEUE)
        assert board.verdicts == {}
        board.note(QUEUE, FAILED, {"1": Outcome(Fate.COMPLETED)})
        assert board.verdicts == {}

    async def test_outcomes_are_in_the_rows_of_their_jobs(
        self, server: EmbeddedServer, client: Redis
    ) -> None:
        async with real_queue(server) as real:
            ids = await failed_jobs(real, 4, attempts=1)
            board = await board_on(client)
            follower = Follower(client, QUEUE, FAILED)
            await follower.begin()
            batch = await RetryWriter(client).retry(QUEUE, FAILED, [Picked(one) for one in ids[:3]])
            follower.add(batch.results)
            board.record(QUEUE, FAILED, batch.results)
            board.record(QUEUE, FAILED, retried(ids[3:], Code.NOT_IN_STATE))
            await client.hset(QUEUE.job(ids[1]), "data", "{}")
            await client.hset(QUEUE.job(ids[2]), "data", "{}")
            await client.hset(QUEUE.job(ids[2]), "opts", '{"removeOnComplete":true}')
            await real.work(3)
            await follower.settle(PATIENCE)
            board.note(QUEUE, FAILED, follower.outcomes)
            assert words(board) == {
                ids[0]: "✗ failed again: boom",
                ids[1]: "✔ completed",
                ids[2]: "✔ completed",
                ids[3]: "✗ -3 not in failed",
            }
            # A second retry of one of them begins anew.
            board.record(QUEUE, FAILED, retried([ids[0]]))
            assert words(board)[ids[0]] == "✔ waiting"

    async def test_outcomes_of_another_list_are_not_written_into_this_one(
        self, client: Redis
    ) -> None:
        await raw_failed(client, "12", OTHER)
        board = await board_on(client, OTHER)
        board.record(OTHER, FAILED, retried(["1"]))
        board.note(QUEUE, FAILED, {"1": Outcome(Fate.COMPLETED)})
        assert words(board) == {"1": "✔ waiting"}
