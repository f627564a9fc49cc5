"""A whole flow, or the part of it that matters, read a generation at a time. Reads only.

A screen reads a flow page by page (`qtui.bullmq.flow.family`); this is for all of it at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from qtui.bullmq.connection.client import Client
from qtui.bullmq.flow.family import Queues, read_families
from qtui.bullmq.flow.lineage import NODES_AT_ONCE, Name, Node, Record, read_nodes
from qtui.text import count

MOST_NODES: Final = 50_000
"""Jobs of one flow that are read at most."""


class FlowTooLarge(Exception):
    """The flow has more jobs than `MOST_NODES`."""

    def __init__(self) -> None:
        super().__init__(f"the flow has more than {count(MOST_NODES)} jobs")


@dataclass(slots=True)
class Tree:
    """Jobs of a flow, in generations: a parent comes before its children."""

    root: Node
    nodes: dict[str, Node] = field(default_factory=dict)
    """By full key."""
    children: dict[str, list[Node]] = field(default_factory=dict)
    """Of each job that was followed, by its full key. A job that was met before is not among them:
    a flow may be wired in circles, and a job may be attached to a second parent."""


async def read_tree(
    client: Client,
    root: Node,
    follow: Callable[[Node], Sequence[Record]],
    *,
    queues: Queues | None = None,
    progress: Callable[[int], None] = lambda seen: None,
) -> Tree:
    """The jobs below ``root``, as far as they are followed.

    Args:
        client: where to read.
        root: where to begin.
        follow: which children of a job are wanted; none for those whose children do not matter.
        queues: parts full keys.
        progress: called after each chunk with the number of jobs read so far.

    Costs for each generation what `read_families` costs, and what `read_nodes` costs for every
    `NODES_AT_ONCE` jobs.

    Raises:
        FlowTooLarge: there are more than `MOST_NODES`.
        redis.exceptions.NoPermissionError: we may not look at one of the queues.
    """
    queues = queues or Queues(client, [root.queue])
    tree = Tree(root, {root.key: root})
    generation = [root]
    while generation:
        wanted: dict[tuple[Record, ...], list[Node]] = {}
        for node in generation:
            if records := tuple(follow(node)):
                wanted.setdefault(records, []).append(node)
        below: list[tuple[Node, Name]] = []
        for records, parents in wanted.items():
            known = sum(parent.children.total for parent in parents)
            if len(tree.nodes) + known > MOST_NODES * 2:
                raise FlowTooLarge
            families = await read_families(client, parents, queues, records)
            for parent, names in zip(parents, families, strict=True):
                tree.children[parent.key] = []
                below += ((parent, name) for name in names)
        generation = await _read(client, tree, below, progress)
    return tree


async def _read(
    client: Client, tree: Tree, below: list[tuple[Node, Name]], progress: Callable[[int], None]
) -> list[Node]:
    generation: list[Node] = []
    fresh: list[tuple[Node, Name]] = []
    met = set(tree.nodes)
    for parent, name in below:
        if name.key not in met:
            met.add(name.key)
            fresh.append((parent, name))
    if len(met) > MOST_NODES:
        raise FlowTooLarge
    for start in range(0, len(fresh), NODES_AT_ONCE):
        chunk = fresh[start : start + NODES_AT_ONCE]
        nodes = await read_nodes(client, [name for _, name in chunk])
        for (parent, _), node in zip(chunk, nodes, strict=True):
            tree.nodes[node.key] = node
            tree.children[parent.key].append(node)
        generation += nodes
        progress(len(tree.nodes))
    return generation
