"""What an error of Redis says of the server, and of the rights of its user."""

from __future__ import annotations

import pytest

from qtui.bullmq.connection.trouble import condition_of, denial_of


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("ZREM: READONLY You can't write against a read only replica.", "replica and takes no"),
        ("@user_script: 60: -READONLY You can't write against a read only replica.", "replica"),
        ("LPUSH: NOREPLICAS Not enough good replicas to write.", "too few replicas"),
        ("NOREPLICAS Not enough good replicas to write.", "too few replicas"),
        ("MISCONF Redis is configured to save RDB snapshots", "cannot save"),
        ("OOM command not allowed when used memory > 'maxmemory'.", "out of memory"),
        ("BUSY Redis is busy running a script.", "busy"),
        ("TRYAGAIN Multiple keys request during rehashing of slot", "moving"),
        ("CLUSTERDOWN Hash slot not served", "cluster is down"),
        ("MASTERDOWN Link with MASTER is down", "lost its master"),
        ("LOADING Redis is loading the dataset in memory", "loading"),
        ("NOAUTH Authentication required.", "login"),
        ("WRONGPASS invalid username-password pair or user is disabled.", "login"),
        ("WRONGTYPE Operation against a key holding the wrong kind of value", ""),
        ("LPUSH: WRONGTYPE Operation against a key: READONLY is its name", ""),
        ("NOPERM this user has no permissions to run the 'zrem' command", ""),
        ("ZREM: ERR The user executing the script can't run this command or subcommand", ""),
        ("the job belongs to a BullMQ Pro group", ""),
        ("", ""),
    ],
)
def test_a_condition_of_the_server_is_recognised_by_its_code(said: str, words: str) -> None:
    found = condition_of(said)
    assert words in found
    assert bool(found) == bool(words)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (
            "ZREM: ERR ACL failure in script: User g has no permissions to run the 'zrem'",
            "run ZREM",
        ),
        ("LPUSH: ERR ACL failure in script: No permissions to access a key", "run LPUSH on these"),
        ("ZADD: ERR The user executing the script can't run this command or sub…", "run ZADD"),
        (
            "ERR The user executing the script can't access at least one of the keys",
            "on these keys",
        ),
        ("@user_script: 60: The user executing the script can't run this command", "run a command"),
        ("-NOPERM this user has no permissions to access one of the keys", "on these keys"),
        ("NOPERM this user has no permissions to run the 'config|set' command", "run CONFIG SET"),
        ("LPUSH: WRONGTYPE Operation against a key: No permissions to access a key", ""),
        ("READONLY You can't write against a read only replica.", ""),
        ("", ""),
    ],
)
def test_what_an_acl_forbids_is_recognised_by_its_words(said: str, words: str) -> None:
    found = denial_of(said)
    assert words in found
    assert bool(found) == bool(words)
