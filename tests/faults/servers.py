"""Groups of real servers that fail in known ways. Each is stopped by its own process."""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import Final

import redis

from tests.bullmq.topologies import Process, Writer, until
from tests.seeds import Fields

JOBS: Final = 20_000 if os.environ.get("QTUI_SLOW") else 1_500
"""Failed jobs of a campaign: as many as in production, or a reduced form."""

BASE: Final = "{bull}:q"
"""With a hash tag, so that it can be on a cluster."""


class Pair:
    """A master and its replica."""

    def __init__(self, stack: ExitStack, *options: str) -> None:
        """Start both, in step."""
        self.master = stack.enter_context(Process(*options))
        self.replica = stack.enter_context(Process(*options))
        with self.replica.admin() as admin:
            admin.replicaof("127.0.0.1", self.master.port)
        self.await_copy()

    def await_copy(self) -> None:
        """Returns when the replica is in step with its master."""
        with self.replica.admin() as admin:
            until(lambda: admin.info("replication").get("master_link_status") == "up", "a link")
        with self.master.admin() as admin:
            until(lambda: in_step(admin), "the replica is in step")

    def sentinel(self, stack: ExitStack) -> Process:
        """A Sentinel that watches them and calls the master ``main``."""
        watch = (
            f"sentinel monitor main 127.0.0.1 {self.master.port} 1\n"
            "sentinel down-after-milliseconds main 1000\n"
            "sentinel failover-timeout main 6000\n"
        )
        sentinel = stack.enter_context(Process(sentinel_config=watch))
        with sentinel.admin() as admin:
            until(lambda: int(state_of(admin)["num-slaves"]) == 1, "the Sentinel knows the replica")
        return sentinel


def in_step(admin: redis.Redis) -> bool:
    """Whether a master's only replica has all that it has."""
    info = admin.info("replication")
    replica = info.get("slave0")
    if not isinstance(replica, dict):
        return False
    return int(replica["offset"]) >= int(info["master_repl_offset"])


def state_of(sentinel: redis.Redis) -> dict[str, str]:
    """What a Sentinel says of the master."""
    reply: object = sentinel.execute_command("SENTINEL", "MASTER", "main")
    if isinstance(reply, dict):
        return {str(name): str(value) for name, value in reply.items()}
    texts = [str(one) for one in reply] if isinstance(reply, list) else []
    return dict(zip(texts[::2], texts[1::2], strict=True))


def seed(client: Writer, jobs: int = JOBS, base: str = BASE) -> list[str]:
    """Failed jobs of a 5.x queue, oldest first."""
    ids = [str(number) for number in range(1, jobs + 1)]
    client.hset(f"{base}:meta", mapping={"version": "bullmq:5.81.5", "opts.maxLenEvents": 10_000})
    client.set(f"{base}:id", jobs)
    for start in range(0, jobs, 1000):
        pipe = client.pipeline(transaction=False)
        for job_id in ids[start : start + 1000]:
            at = 1_700_000_000_000 + int(job_id)
            fields: Fields = {
                **{"name": "charge", "data": "{}", "opts": '{"attempts":1}', "timestamp": at},
                **{"failedReason": "boom", "finishedOn": at, "atm": 1, "ats": 1},
                **{"stacktrace": '["boom"]', "processedOn": at, "delay": 0, "priority": 0},
            }
            pipe.hset(f"{base}:{job_id}", mapping=fields)
            pipe.zadd(f"{base}:failed", {job_id: at})
        pipe.execute()
    return ids


def places(client: Writer, base: str = BASE) -> dict[str, str]:
    """Where every job is: in one place each, or it is an error."""
    found: dict[str, str] = {}
    listed = {
        "wait": [str(one) for one in client.lrange(f"{base}:wait", 0, -1)],
        "failed": [str(one) for one in client.zrange(f"{base}:failed", 0, -1)],
    }
    for place, ids in listed.items():
        for job_id in ids:
            assert job_id not in found, f"{job_id} is in {found[job_id]} and {place}"
            found[job_id] = place
    return found
