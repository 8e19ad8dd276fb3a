"""The levels of the tree that `browse` walks through: rows as columns, which become texts when they are looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np

from dumpmap.analysis.ownership import NOBODY
from dumpmap.model.file_names import file_name
from dumpmap.model.protection import protection_text
from dumpmap.model.snapshot import I32, I64, U64
from dumpmap.model.types import RegionType
from dumpmap.model.values import value_class
from dumpmap.views.browse.items import GAP, Flags, Index, Items, is_gap
from dumpmap.wording.owners import group_text, state_text
from dumpmap.wording.text import count_words, size_left, size_words

LevelKind = Literal["types", "owners", "groups", "allocations", "regions", "stacks", "changes", "changed"]

SORTS = ("size", "committed", "count", "address")
"""What rows can be sorted by. Figures are sorted descending, addresses ascending."""

NO_OWNER_LABEL = "(no owner)"


@value_class(frozen=True, slots=True)
class Row:
    """One row, with its texts. Sizes are bytes.

    Attributes:
        label: what it is.
        base: its first address; of several items, the lowest.
        size: address space.
        committed: committed bytes.
        count: its allocations, or free ranges.
        type: its type; None for several.
        opens: whether there is something below it.
        single: whether it is one range of addresses.
        signed: whether its sizes are changes.
    """

    label: str
    base: int
    size: int
    committed: int
    count: int
    type: RegionType | None
    opens: bool
    single: bool
    signed: bool = False

    @property
    def size_text(self) -> str:
        """The size, for people."""
        if self.signed:
            return delta_text(self.size)
        return size_left(self.size) if self.type is RegionType.FREE else size_words(self.size)

    @property
    def committed_text(self) -> str:
        """The committed bytes, for people."""
        return delta_text(self.committed) if self.signed else size_words(self.committed)


def delta_text(value: int) -> str:
    """Writes a change of bytes with its sign."""
    return f"+{size_words(value)}" if value > 0 else size_words(value)


@dataclass(eq=False)
class Level:
    """Rows of one kind. `order` has those that are shown.

    Attributes:
        kind: what its rows are.
        title: what the level is about.
        items: the items of the map.
        base: first addresses.
        size: sizes.
        committed: committed bytes.
        count: number of items in each row.
        members: items, or blocks of the map, row by row.
        edges: where the members of each row begin, and where the last ends.
        order: the rows in the order in which they are shown.
        cursor: the place of the selected row in `order`.
        write: returns the label and the type of a row; None for what suits the kind.
    """

    kind: LevelKind
    title: str
    items: Items
    base: U64
    size: I64
    committed: I64
    count: I64
    members: Index | I32
    edges: Index
    order: Index = field(init=False)
    cursor: int = 0
    write: Callable[[Level, int], tuple[str, RegionType | None]] | None = None

    def __post_init__(self) -> None:
        self.order = np.arange(len(self.base))

    def __len__(self) -> int:
        return len(self.order)

    @property
    def selected(self) -> int | None:
        """The selected row; None if there are no rows."""
        return int(self.order[self.cursor]) if len(self) else None

    def sort(self, by: str) -> None:
        """Sorts the rows and keeps the selected one selected."""
        selected = self.selected
        figures = self.base if by == "address" else -np.abs(getattr(self, by))
        keys = (self.base, figures, self._free) if self.kind in ("types", "owners") else (self.base, figures)
        self.order = self.order[np.lexsort([key[self.order] for key in keys])]
        if selected is not None:
            self.select(selected)

    @cached_property
    def _free(self) -> Flags:
        """Which rows of a root are free space. They come last: nobody took it, and a 64-bit space is full of it."""
        free: Flags = self.items.allocation[self.members[self.edges[:-1]]] == GAP
        return free

    @cached_property
    def largest(self) -> int:
        """The size that a full bar stands for: the largest row, apart from free space in a root."""
        used = self.size[~self._free] if self.kind in ("types", "owners") else self.size
        return int(np.abs(used).max(initial=0))

    def select(self, row: int) -> None:
        """Selects a row."""
        self.cursor = int(np.flatnonzero(self.order == row)[0])

    def row_with(self, member: int) -> int | None:
        """Returns the row that an item, or a block, is a member of; None if no row has it."""
        places = np.flatnonzero(self.members == member)
        return int(np.searchsorted(self.edges, places[0], side="right")) - 1 if len(places) else None

    def members_of(self, row: int) -> Index | I32:
        """Returns the items of a row, or its blocks."""
        return self.members[self.edges[row] : self.edges[row + 1]]

    def ranges_of(self, row: int) -> tuple[U64, I64]:
        """Returns the bases and sizes that a row covers."""
        if self.kind not in ("types", "owners", "groups", "allocations"):
            return self.base[row : row + 1], self.size[row : row + 1]
        members = self.members_of(row)
        return self.items.base[members], self.items.size[members]

    def row(self, place: int) -> Row:
        """Returns the row at a place of `order`, with its texts."""
        row = int(self.order[place])
        base, size, committed = int(self.base[row]), int(self.size[row]), int(self.committed[row])
        count = int(self.count[row])
        label, region_type = (self.write or _WRITERS[self.kind])(self, row)
        return Row(
            label=label,
            base=base,
            size=size,
            committed=committed,
            count=count,
            type=region_type,
            opens=self.kind != "regions" and not (count == 1 and region_type is not None and is_gap(region_type)),
            single=count == 1,
            signed=self.kind in ("changes", "changed"),
        )

    def rows(self, start: int, stop: int) -> Iterator[Row]:
        """Yields the rows from one place to another (exclusive)."""
        return map(self.row, range(max(start, 0), min(stop, len(self))))


def grouped(kind: LevelKind, title: str, items: Items, members: Index | I32, codes: I32) -> Level:
    """Returns a level with one row for each code of the members."""
    order = np.argsort(codes, kind="stable").astype(np.int32)
    sorted_codes = codes[order]
    starts = np.flatnonzero(np.append(True, sorted_codes[1:] != sorted_codes[:-1])) if len(order) else order
    members = members[order]
    edges = np.append(starts, len(members)).astype(np.intp)

    def sums(values: I64) -> I64:
        return np.add.reduceat(values[members], starts) if len(starts) else np.zeros(0, np.int64)

    bases = items.base[members]
    base = np.minimum.reduceat(bases, starts) if len(starts) else bases
    return Level(kind, title, items, base, sums(items.size), sums(items.committed), np.diff(edges), members, edges)


def listed(title: str, items: Items, members: Index | I32) -> Level:
    """Returns a level with one row for each item."""
    return Level(
        "allocations",
        title,
        items,
        items.base[members],
        items.size[members],
        items.committed[members],
        np.ones(len(members), np.int64),
        members,
        np.arange(len(members) + 1),
    )


def regions(title: str, items: Items, allocation: int) -> Level:
    """Returns a level with the regions and sections of an allocation, by address."""
    rows = items.map.block_columns
    first, last = rows.of_allocation(allocation)
    return Level(
        "regions",
        title,
        items,
        rows.base[first:last],
        rows.size[first:last],
        rows.committed[first:last],
        np.ones(last - first, np.int64),
        np.arange(first, last),
        np.arange(last - first + 1),
    )


def stacks(items: Items) -> Level:
    """Returns a level with the stacks of the threads."""
    known = items.map.stacks
    return Level(
        "stacks",
        "Stacks",
        items,
        np.array([stack.base for stack in known], np.uint64),
        np.array([stack.end - stack.base for stack in known], np.int64),
        np.array([stack.committed for stack in known], np.int64),
        np.ones(len(known), np.int64),
        np.arange(len(known)),
        np.arange(len(known) + 1),
    )


# ---------------------------------------------------------------- texts


def _type_text(level: Level, row: int) -> tuple[str, RegionType | None]:
    found = RegionType(int(level.items.type[level.members_of(row)[0]]))
    return found.label, found


def _owner_text(level: Level, row: int) -> tuple[str, RegionType | None]:
    items, item = level.items, int(level.members_of(row)[0])
    if items.allocation[item] == GAP:
        return _type_text(level, row)
    name = items.name_of(item)
    return owner_label(name.owner, name.module, name.instance) or NO_OWNER_LABEL, None


def owner_label(owner: str, module: str, instance: str) -> str:
    """Names an owner with its module and instance, where they say more."""
    module = f" ({module})" if module not in ("", owner) else ""
    instance = f" {instance}" if instance and not owner.endswith(instance) else ""
    return f"{owner}{module}{instance}"


def _group_text(level: Level, row: int) -> tuple[str, RegionType | None]:
    items, members = level.items, level.members_of(row)
    item, count = int(members[0]), len(members)
    found = RegionType(int(items.type[item]))
    if count == 1:
        return item_label(items, item), found
    if items.owner[item] == NOBODY:
        return group_text(
            items.group_of(item, count, int(level.size[row]), int(level.committed[row])), items.map
        ), found
    owner = _owner_text(level, row)[0]
    return f"{owner}, {found.label}: {count_words(count, 'allocation')}", found


def _item_text(level: Level, row: int) -> tuple[str, RegionType | None]:
    item = int(level.members[row])
    return item_label(level.items, item), RegionType(int(level.items.type[item]))


def item_label(items: Items, item: int) -> str:
    """Names an allocation in a few words: its file, heap, thread, or kind, and its protection."""
    found = RegionType(int(items.type[item]))
    if items.allocation[item] == GAP:
        return found.label
    details, kind = items.details_of(item)
    name = file_name(details) if found in (RegionType.IMAGE, RegionType.MAPPED_FILE) else details
    if not name or kind not in ("", found.label, name):
        name = f"{name} {kind}".strip()
    group = items.group_of(item, 1, int(items.size[item]), int(items.committed[item]))
    state = state_text(group)
    owner = items.name_of(item).owner
    if not name:
        name = owner
    return f"{name}, {state}" if name else state


def _region_text(level: Level, row: int) -> tuple[str, RegionType | None]:
    rows, texts, block = level.items.map.block_columns, level.items.map.texts, int(level.members[row])
    found = RegionType(int(rows.type[block]))
    words = filter(None, (texts[rows.kind[block]] or found.label, protection_text(*rows.protection_at(block))))
    return ", ".join(words), found


def _stack_text(level: Level, row: int) -> tuple[str, RegionType | None]:
    stack = level.items.map.stacks[int(level.members[row])]
    name = f" {stack.name}" if stack.name else ""
    bits = f", {stack.bits} bits" if stack.bits is not None else ""
    return f"thread {stack.thread_id}{name}{bits}", RegionType.STACK


_WRITERS = {
    "types": _type_text,
    "owners": _owner_text,
    "groups": _group_text,
    "allocations": _item_text,
    "regions": _region_text,
    "stacks": _stack_text,
}
