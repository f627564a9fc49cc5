"""What a rerun writes down of a job before it sends it, for an undo and for the undo of that.

A line has what any retry's has. That of a parent also names, in ``children``, the children about
which its own keys are put right: how each was ``seen`` (its finish; ``gone``; empty if it was under
way), and of one that does not run again itself, and so has no line, what the parent held about it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Final

from qtui.bullmq.connection.client import Client
from qtui.bullmq.flow.held import read_held
from qtui.bullmq.flow.lineage import Name, Node
from qtui.bullmq.keys import QueueKey, split_job_key
from qtui.bullmq.model import JobState
from qtui.bullmq.reads.hashes import read_whole
from qtui.bullmq.reads.lists import read_before
from qtui.bullmq.script import pin
from qtui.bullmq.writers.rerun import Parked, Returned
from qtui.bullmq.writers.unretry import KeptChild
from qtui.operations.journal.facts import Header, Snapshot
from qtui.operations.supply.snapshots import SNAPSHOT_FIELDS

BASES: Final = "bases"
"""The option in a journal's header: the base keys of the queues, which split its full keys."""

START: Final = "start"
"""The option in a journal's header that says where the rerun began. Journals of before have none,
nor the children of parents."""

_SEEN: Final = "seen"
_KEPT: Final = "kept"
_GONE: Final = "gone"

_PARENT_KEY: Final = SNAPSHOT_FIELDS.index("parentKey")

_LINES_AT_ONCE: Final = 100
"""Jobs of which what is wiped is read in one round trip."""


async def read_lines(
    client: Client, nodes: Sequence[Node], parents: Mapping[str, Parked], again: Collection[str]
) -> list[Snapshot]:
    """Returns what a rerun wipes of jobs.

    Args:
        client: where to read.
        nodes: the jobs as they were seen.
        parents: by full key those that need more than a retry.
        again: the full keys of all jobs that run again.

    Costs two round trips for a hundred jobs, an HMGET and three commands for each; what
    `read_before` costs for a parent that waits in a list to be failed; and a round trip for one
    with children that do not run again.
    """
    found: list[Snapshot] = []
    for start in range(0, len(nodes), _LINES_AT_ONCE):
        some = nodes[start : start + _LINES_AT_ONCE]
        keys = [node.key for node in some]
        values = await read_whole(client, keys, SNAPSHOT_FIELDS)
        above = [one[_PARENT_KEY] for one in values]
        held = await read_held(client, list(zip(keys, above, strict=True)))
        for node, one, family in zip(some, values, held, strict=True):
            pairs = zip(SNAPSHOT_FIELDS, one, strict=True)
            state, before = node.state, ""
            if state is not None and state.is_list:
                before = await read_before(client, node.queue.key(state.key), node.id)
            parent = parents.get(node.key)
            found.append(
                Snapshot(
                    node.key,
                    node.row.score,
                    {name: text for name, text in pairs if text is not None},
                    state="" if state in (None, JobState.FAILED) else str(state),
                    family=family,
                    place=before,
                    children=None if parent is None else await _children(client, parent, again),
                )
            )
    return found


async def _children(
    client: Client, parent: Parked, again: Collection[str]
) -> dict[str, dict[str, str]]:
    kept = [one.name.key for one in parent.children if one.name.key not in again]
    pairs = [(key, parent.name.key) for key in kept]
    held = dict(zip(kept, await read_held(client, pairs, pending=True), strict=True))
    found = {}
    for child in parent.children:
        key = child.name.key
        found[key] = {_SEEN: _GONE if child.gone else pin(child.score)}
        if key in held:
            found[key] |= {_KEPT: "1", **(held[key] or {})}
    return found


def kept_children(snapshot: Snapshot) -> tuple[KeptChild, ...]:
    """Returns the children of a parent that did not run again, as an undo takes them."""
    return tuple(
        KeptChild(key=key, under_way=not child.get(_SEEN), held=child)
        for key, child in (snapshot.children or {}).items()
        if _KEPT in child
    )


def returned_children(
    snapshot: Snapshot, names: Names, runs_again: Callable[[str], bool]
) -> Iterator[Returned]:
    """Yields the children of a parent, as a rerun takes them.

    Args:
        snapshot: the line of the parent.
        names: splits the keys of the journal.
        runs_again: whether the job of a full key is rerun with the parent. For a child that ran
            then and does not run now the parent waits only while it is under way: one that has
            finished makes `lua/rerun.lua` refuse, since the parent would wait for ever.
    """
    for key, child in (snapshot.children or {}).items():
        seen = child.get(_SEEN, "")
        gone = seen == _GONE
        stays = gone or _KEPT in child or runs_again(key)
        yield Returned(names.of(key), float(seen) if seen and not gone and stays else None, gone)


class Names:
    """Splits the full keys of a journal: ids and names of queues may hold colons.

    Args:
        header: the journal's first line; that of an earlier qtui does not name its queues.
    """

    def __init__(self, header: Header) -> None:
        bases = header.options.get(BASES)
        known = [one for one in bases if isinstance(one, str)] if isinstance(bases, list) else []
        self._bases = sorted(known, key=len, reverse=True)

    def split(self, key: str) -> tuple[str, str]:
        """Returns the base key and the id."""
        base = next((one for one in self._bases if key.startswith(f"{one}:")), None)
        return split_job_key(key) if base is None else (base, key[len(base) + 1 :])

    def of(self, key: str) -> Name:
        """Returns the job's name."""
        base, job_id = self.split(key)
        return Name(QueueKey(base, base.rpartition(":")[0]), job_id)
