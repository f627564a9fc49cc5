"""Which sorted sets are kept compact, and must not be read with SORT_RO. Reads only.

SORT and SORT_RO turn a sorted set into a skiplist for good, ``BY nosort`` too (sortCommandGeneric
in Redis 7.0 and Valkey 9.1): the same members at five to ten times the memory. Measured: 3 members
from 112 to 1,080 bytes, 128 from 2,096 to 12,824.
"""

from __future__ import annotations

from typing import Final

from qtui.bullmq.ask import Command, Reply, number

MOST_COMPACT: Final = 128
"""Members of a compact set, as servers are configured at first (zset-max-listpack-entries)."""

PROBES: Final = 2
"""Commands of `probe`."""


def probe(key: str) -> list[Command]:
    """Asks for what `is_compact` judges. Costs two commands of O(1)."""
    return [("OBJECT", "ENCODING", key), ("ZCARD", key)]


def is_compact(encoding: Reply, members: Reply) -> bool:
    """Whether SORT_RO would change a sorted set, from the replies to `probe`.

    Where an ACL or the server keeps its encoding for itself, a set small enough may be compact.
    """
    if isinstance(encoding, str):
        return encoding != "skiplist"
    return (number(members) or 0) <= MOST_COMPACT
