"""A master that is replaced, restarted or made to copy another one, in the middle of a campaign.

It has acknowledged retries that the next one does not have. At the end every job is where the
campaign says it is.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis

from tests.bullmq.topologies import Process, until
from tests.faults.campaigns import assert_true, begin, carried_out, journal_of, resume, struck
from tests.faults.servers import BASE, JOBS, Pair, places, seed, state_of


@pytest.mark.parametrize("how", ["failover", "kill"])
def test_sentinels_that_replace_the_master(how: str, tmp_path: Path) -> None:
    with ExitStack() as stack:
        pair = Pair(stack)
        sentinel = pair.sentinel(stack)
        with pair.master.admin() as watch, sentinel.admin() as watcher:
            ids = seed(watch)
            pair.await_copy()

            def strike() -> None:
                if how == "failover":
                    watcher.execute_command("SENTINEL", "FAILOVER", "main")
                else:
                    pair.master.kill()

            url = f"redis+sentinel://127.0.0.1:{sentinel.port}/main"
            found = struck(url, tmp_path, watch, strike)
            until(lambda: int(state_of(watcher)["port"]) == pair.replica.port, "the new master")
        with pair.replica.admin() as new:
            assert_true(found, places(new), ids)
        assert (found.code, found.summary["retried"]) == (0, JOBS)
        again = resume(url, tmp_path)
        assert again.code == 1
        assert "is complete: every job has a result" in again.err


@pytest.mark.slow
def test_a_master_that_becomes_a_copy_of_an_older_state(tmp_path: Path) -> None:
    """As after a split brain: what it took meanwhile is thrown away, and then it is asked again."""
    with ExitStack() as stack:
        one, other = (stack.enter_context(Process()) for _ in range(2))
        with one.admin() as watch, other.admin() as older:
            ids = seed(watch)
            seed(older)  # the same jobs at the same finishes, and none of them retried

            def strike() -> None:
                watch.replicaof("127.0.0.1", other.port)
                until(lambda: watch.info("replication").get("master_link_status") == "up", "copy")
                time.sleep(0.5)  # so that writes are refused for a while
                watch.replicaof("NO", "ONE")

            found = struck(f"redis://127.0.0.1:{one.port}", tmp_path, watch, strike)
            assert_true(found, places(watch), ids)
        assert (found.code, found.summary["retried"]) == (0, JOBS)
        assert "another Redis took over and lost" in found.err
        path = tmp_path / "qtui" / "journal" / f"{journal_of(tmp_path)}.jsonl"
        lines = path.read_bytes().splitlines()
        taken_back = [line for line in lines if line.startswith(b'{"type":"withdrawn"')]
        assert len(taken_back) >= JOBS // 10
        assert len([line for line in lines if line.startswith(b'{"type":"server"')]) == 1


def test_a_restart_that_forgets_the_last_second(tmp_path: Path) -> None:
    options = ("--appendonly", "yes", "--appendfsync", "everysec")
    with ExitStack() as stack:
        server = stack.enter_context(Process(*options))
        with server.admin() as watch:
            ids = seed(watch)
            [path] = server.folder.glob("appendonlydir/*.incr.aof")
            until(lambda: b"1700000000001" in path.read_bytes(), "the jobs are in the file")
            seeded = path.stat().st_size

            def strike() -> None:
                """Kills it, and takes half of the retries from its file, as no power might have."""
                server.kill()
                text = path.read_bytes()
                cut = text.rfind(b"*1\r\n$5\r\nMULTI", 0, (seeded + len(text)) // 2)
                assert cut > 0
                path.write_bytes(text[:cut])
                server.start()

            found = struck(f"redis://127.0.0.1:{server.port}", tmp_path, watch, strike)
        with server.admin() as after:
            assert_true(found, places(after), ids)
        assert (found.code, found.summary["retried"]) == (0, JOBS)
        assert "another Redis took over and lost" in found.err


def cut_off(url: str, state: Path, watch: redis.Redis) -> None:
    """Kills a campaign in its middle."""
    process = begin(url, state, "q", "--all", "--yes", "--rate", "1000")
    until(lambda: watch.zcard(f"{BASE}:failed") <= JOBS - 200, "the middle of it")
    process.kill()
    process.communicate()


@pytest.mark.slow
def test_a_campaign_is_resumed_on_the_replica_that_was_promoted(tmp_path: Path) -> None:
    """Under another address; what the old master had not yet passed on is sent again."""
    with ExitStack() as stack:
        pair = Pair(stack)
        with pair.master.admin() as watch, pair.replica.admin() as promoted:
            ids = seed(watch)
            pair.await_copy()
            cut_off(f"redis://127.0.0.1:{pair.master.port}", tmp_path, watch)
            promoted.replicaof("NO", "ONE")
            pair.master.kill()
            url = f"redis://127.0.0.1:{pair.replica.port}"
            found = resume(url, tmp_path)
            assert (found.code, found.summary["retried"]) == (0, JOBS)
            assert places(promoted) == dict.fromkeys(ids, "wait")


def test_a_campaign_is_resumed_under_another_name_of_this_machine(tmp_path: Path) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(Process())
        with server.admin() as watch:
            ids = seed(watch)
            cut_off(f"redis://127.0.0.1:{server.port}", tmp_path, watch)
            found = resume(f"redis://localhost:{server.port}", tmp_path)
            assert (found.code, found.summary["retried"]) == (0, JOBS)
            assert places(watch) == dict.fromkeys(ids, "wait")


def assert_sent_again(url: str, state: Path, ids: list[str], server: redis.Redis) -> None:
    """A campaign that is done sends again what this server has lost, and then is done there."""
    again = resume(url, state)
    assert (again.code, again.summary["retried"]) == (0, JOBS), again.err
    assert f"lost {JOBS:,} retried jobs; sending them again" in again.err
    assert places(server) == dict.fromkeys(ids, "wait")
    last = resume(url, state)
    assert last.code == 1
    assert "is complete: every job has a result" in last.err


@pytest.mark.slow
def test_what_is_lost_after_the_end_is_sent_again_by_resume(tmp_path: Path) -> None:
    """Under the same address: the server becomes a copy of one that has no retry of it."""
    with ExitStack() as stack:
        one, other = (stack.enter_context(Process()) for _ in range(2))
        with one.admin() as watch, other.admin() as older:
            ids = seed(watch)
            seed(older)
            url = f"redis://127.0.0.1:{one.port}"
            found = carried_out(url, tmp_path)
            assert (found.code, found.summary["retried"]) == (0, JOBS)
            assert resume(url, tmp_path).code == 1  # nothing has changed
            watch.replicaof("127.0.0.1", other.port)
            until(lambda: watch.info("replication").get("master_link_status") == "up", "copy")
            watch.replicaof("NO", "ONE")
            assert watch.zcard(f"{BASE}:failed") == JOBS
            assert_sent_again(url, tmp_path, ids, watch)


@pytest.mark.slow
def test_what_a_promoted_replica_never_got_is_sent_again_by_resume(tmp_path: Path) -> None:
    """Under another address: the replica had lost its master before the campaign."""
    with ExitStack() as stack:
        pair = Pair(stack)
        with pair.master.admin() as watch, pair.replica.admin() as promoted:
            ids = seed(watch)
            pair.await_copy()
            promoted.replicaof("127.0.0.1", 1)
            until(lambda: watch.info("replication")["connected_slaves"] == 0, "it has lost it")
            found = carried_out(f"redis://127.0.0.1:{pair.master.port}", tmp_path)
            assert (found.code, found.summary["retried"]) == (0, JOBS)
            pair.master.kill()
            promoted.replicaof("NO", "ONE")
            url = f"redis://127.0.0.1:{pair.replica.port}"
            assert_sent_again(url, tmp_path, ids, promoted)


@pytest.mark.slow
def test_where_nothing_is_lost_a_done_campaign_stays_done(tmp_path: Path) -> None:
    with ExitStack() as stack:
        pair = Pair(stack)
        with pair.master.admin() as watch, pair.replica.admin() as promoted:
            ids = seed(watch)
            pair.await_copy()
            carried_out(f"redis://127.0.0.1:{pair.master.port}", tmp_path)
            pair.await_copy()
            promoted.replicaof("NO", "ONE")
            pair.master.kill()
            again = resume(f"redis://127.0.0.1:{pair.replica.port}", tmp_path)
            assert (again.code, again.summary["retried"], again.codes) == (0, JOBS, {})
            assert places(promoted) == dict.fromkeys(ids, "wait")


def test_where_the_data_may_be_others_it_says_which_flag(tmp_path: Path) -> None:
    """A copy of which nothing shows where it came from: a dump that was loaded elsewhere."""
    with ExitStack() as stack:
        one, other = (stack.enter_context(Process()) for _ in range(2))
        with one.admin() as watch, other.admin() as copy:
            ids = seed(watch)
            seed(copy)
            cut_off(f"redis://127.0.0.1:{one.port}", tmp_path, watch)
            url = f"redis://127.0.0.1:{other.port}"
            refused = resume(url, tmp_path)
            assert refused.code == 1
            assert "connect there to resume it, or pass --yes if" in refused.err
            assert copy.zcard(f"{BASE}:failed") == JOBS
            found = resume(url, tmp_path, "--yes")
            assert (found.code, found.summary["retried"]) == (0, JOBS)
            assert places(copy) == dict.fromkeys(ids, "wait")
