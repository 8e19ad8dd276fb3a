"""The difference of two maps as levels of `browse`: kinds of changes, and the allocations that changed."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from dumpmap.analysis.changes import STATUSES, Changes, take
from dumpmap.model.snapshot import I64, U64
from dumpmap.model.types import RegionType
from dumpmap.views.blocks import Fact
from dumpmap.views.browse.items import Index, Items
from dumpmap.views.browse.levels import Level, delta_text
from dumpmap.wording.text import address_text, count_words, size_words

ONLY_BEFORE = "it is in the first input only"


class ChangeLevels:
    """Makes the levels of a difference.

    Args:
        changes: the allocations that differ.
        items: the items of the second map.
    """

    def __init__(self, changes: Changes, items: Items) -> None:
        self._changes = changes
        self._items = items
        before, after = changes.map_a.allocation_columns, changes.map_b.allocation_columns
        self._type = np.where(changes.b >= 0, take(after.type, changes.b), take(before.type, changes.a))
        self._base: U64 = np.where(
            changes.b >= 0, take(after.base.view(np.int64), changes.b), take(before.base.view(np.int64), changes.a)
        ).view(np.uint64)

    def root(self) -> Level:
        """Returns a level with one row for each type and status."""
        codes = self._type * len(STATUSES) + self._changes.status
        order = np.argsort(codes, kind="stable")
        _, starts = np.unique(codes[order], return_index=True)
        edges = np.append(starts, len(order)).astype(np.intp)

        def sums(values: I64) -> I64:
            return np.add.reduceat(values[order], starts) if len(starts) else values

        return Level(
            "changes",
            "Changes",
            self._items,
            self._base[order[starts]],
            sums(self._changes.size_delta),
            sums(self._changes.committed_delta),
            np.diff(edges),
            order,
            edges,
            write=self._group_text,
        )

    def listed(self, title: str, members: Index) -> Level:
        """Returns a level with one row for each change."""
        return Level(
            "changed",
            title,
            self._items,
            self._base[members],
            self._changes.size_delta[members],
            self._changes.committed_delta[members],
            np.ones(len(members), np.int64),
            members,
            np.arange(len(members) + 1),
            write=self._change_text,
        )

    def place(self, change: int) -> int | None:
        """Returns where a changed allocation is in the second map; None if it is not there."""
        return int(self._base[change]) if self._changes.b[change] >= 0 else None

    def facts(self, change: int) -> Iterator[Fact]:
        """Yields what is known of a change."""
        row, width = self._changes.row(change), self._items.map.address_width
        yield Fact("Change", row.status)
        yield Fact("Type", row.type)
        for title, text in (("Kind", row.kind), ("Details", row.details), ("Matched by", row.match)):
            if text:
                yield Fact(title, text)
        for title, address in (("Before at", row.address_a), ("After at", row.address_b)):
            if address is not None:
                yield Fact(title, address_text(address, width))
        for title, one, other, delta in (
            ("Size", row.size_a, row.size_b, row.size_delta),
            ("Committed", row.committed_a, row.committed_b, row.committed_delta),
            ("Private", row.private_a, row.private_b, row.private_delta),
        ):
            yield Fact(title, f"{_known(one)} -> {_known(other)} ({delta_text(delta)})")

    def _group_text(self, level: Level, row: int) -> tuple[str, RegionType | None]:
        members = level.members_of(row)
        found = RegionType(int(self._type[members[0]]))
        status = STATUSES[self._changes.status[members[0]]]
        return f"{found.label} {status}: {count_words(len(members), 'allocation')}", found

    def _change_text(self, level: Level, row: int) -> tuple[str, RegionType | None]:
        change = self._changes.row(int(level.members[row]))
        words = filter(None, (change.status, change.details or change.kind))
        return ", ".join(words), RegionType(int(self._type[level.members[row]]))


def _known(size: int | None) -> str:
    return "none" if size is None else size_words(size)
