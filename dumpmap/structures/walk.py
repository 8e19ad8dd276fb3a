"""Bounded walks over linked lists in process memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field
from typing import Generic, TypeVar

from dumpmap.model.values import value_class

T = TypeVar("T")

NOT_CAPTURED = "not in the dump"
"""What a `Visit` returns for a node whose bytes are missing, as opposed to wrong."""

Visit = Callable[[int], "tuple[int, int, T] | str"]
"""Reads a node: its Flink, its Blink, and a value; or returns why it cannot be a node, in a few words."""


@value_class(frozen=False, slots=True)
class ListWalk(Generic[T]):
    """What a walk over a doubly linked list found.

    Attributes:
        nodes: address and value of every node, in list order.
        closed: the list leads back to its head, so nothing is missing.
        problems: what is wrong with the list, a few words each.
        missing: where the list leaves the captured bytes, a few words each: a lack of the input, not damage.
        lost: the one node whose bytes are missing while both its neighbours name it.
    """

    nodes: list[tuple[int, T]] = field(default_factory=list)
    closed: bool = False
    problems: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    lost: int | None = None


def walk_list(head: int, flink: int, blink: int, visit: Visit[T], limit: int) -> ListWalk[T]:
    """Follows a LIST_ENTRY ring forward from its head and, if that fails, also backward, and joins both halves.

    A single missing or damaged node then costs only itself.

    Args:
        head: address of the list head.
        flink: the head's Flink.
        blink: the head's Blink.
        visit: reads and checks a node.
        limit: follow at most this many nodes.
    """
    walk: ListWalk[T] = ListWalk()
    if flink == head:  # empty, as most lists are
        walk.closed = True
        return walk
    seen: set[int] = set()
    end = _follow(walk, walk.nodes, seen, head, flink, 0, visit, limit)
    walk.closed = end == head
    if not walk.closed:
        tail: list[tuple[int, T]] = []
        other_end = _follow(walk, tail, seen, head, blink, 1, visit, limit)
        walk.nodes.extend(reversed(tail))
        if end == other_end and visit(end) == NOT_CAPTURED:
            walk.lost = end
    return walk


def _follow(
    walk: ListWalk[T],
    nodes: list[tuple[int, T]],
    seen: set[int],
    head: int,
    node: int,
    direction: int,
    visit: Visit[T],
    limit: int,
) -> int:
    """Follows one direction (0: Flink, 1: Blink). Returns the last node: the head if nothing is wrong."""
    previous = head
    broken_link = False
    while node != head:
        if node in seen:
            # The backward walk ends here when it meets the forward one, which has recorded why it stopped.
            if direction == 0:
                walk.problems.append(f"loops at {node:#x}")
            return node
        if len(seen) >= limit:
            if direction == 0:
                walk.problems.append(f"does not end within {limit:,} entries")
            return node
        found = visit(node)
        if isinstance(found, str):
            is_missing = found == NOT_CAPTURED
            faults = walk.missing if is_missing else walk.problems
            fault = f"leaves the captured bytes at {node:#x}" if is_missing else f"is broken at {node:#x} ({found})"
            if fault not in faults:
                faults.append(fault)
            return node
        seen.add(node)
        if (found[0] if direction else found[1]) != previous and not broken_link:
            broken_link = True
            walk.problems.append(f"has an entry at {node:#x} that does not point back at {previous:#x}")
        nodes.append((node, found[2]))
        previous, node = node, found[1] if direction else found[0]
    return head
