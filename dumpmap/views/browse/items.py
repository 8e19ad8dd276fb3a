"""The memory of a map in the pieces that `browse` lists: what one owner has, of one type, in one allocation.

Nearly every allocation is one item. Sums over items are exact by type and by owner, because a part of an allocation
with a type or an owner of its own is an item of its own. Free and unusable ranges are items too.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from dumpmap.analysis.owners import STATES, Group
from dumpmap.analysis.ownership import NO_OWNER, NOBODY, OwnerName, Ownership, ownership_of
from dumpmap.model.protection import protection_text
from dumpmap.model.region_map import RegionMap
from dumpmap.model.snapshot import I32, I64, U64
from dumpmap.model.types import RegionType
from dumpmap.model.winnt import MemState
from dumpmap.views.strip import Coarse, SpaceStrip

Index = npt.NDArray[np.intp]
Flags = npt.NDArray[np.bool_]

GAP = -1
"""The block and the allocation of free space."""

COMMITTED, PARTLY, RESERVED, FREE = range(4)
"""Codes of states: the first three are `dumpmap.analysis.owners.STATES`."""

_COMMIT = int(MemState.MEM_COMMIT)
_GAPS = (RegionType.FREE, RegionType.UNUSABLE)
_CHUNK = 1 << 16


@dataclass(frozen=True, eq=False)
class Items:
    """Items by address, as columns. Sizes are bytes.

    Attributes:
        map: the map.
        base: first address.
        size: address space.
        committed: committed bytes.
        type: `RegionType`.
        owner: index into `names`, or `NOBODY`.
        allocation: index of the allocation, or `GAP`.
        block: index of the first block, or `GAP`.
        names: the owners.
    """

    map: RegionMap
    base: U64
    size: I64
    committed: I64
    type: npt.NDArray[np.uint8]
    owner: I32
    allocation: I32
    block: I32
    names: tuple[OwnerName, ...]

    def __len__(self) -> int:
        return len(self.base)

    @cached_property
    def state(self) -> npt.NDArray[np.uint8]:
        """`COMMITTED`, `PARTLY`, `RESERVED`, or `FREE`."""
        state = np.where(self.committed == self.size, COMMITTED, np.where(self.committed > 0, PARTLY, RESERVED))
        return np.where(self.allocation == GAP, FREE, state).astype(np.uint8)

    @cached_property
    def alike(self) -> I32:
        """The group of each item, as a number.

        Items of a group have one type and owner or, without owner, one type, size, state, and protection. Each free
        range is a group of its own.
        """
        unowned = self.owner == NOBODY
        protect = _taken(self.map.allocation_columns.protect, self.allocation) * (self.committed > 0)
        key = _codes(self.owner)
        for column in (self.type, self.state * unowned, protect * unowned, self.size * unowned):
            codes = _codes(column)
            key = _codes(key.astype(np.int64) * (int(codes.max(initial=0)) + 1) + codes)
        (free,) = np.nonzero(self.allocation == GAP)
        key[free] = len(self) + free
        return key

    def name_of(self, item: int) -> OwnerName:
        """Returns the owner of an item."""
        owner = int(self.owner[item])
        return NO_OWNER if owner == NOBODY else self.names[owner]

    def group_of(self, item: int, count: int, size: int, committed: int) -> Group:
        """Returns the group of items that are like this one."""
        state = int(self.state[item])
        protect = int(self.map.allocation_columns.protect[self.allocation[item]])
        return Group(
            address=int(self.base[item]),
            type=RegionType(int(self.type[item])),
            size_each=int(self.size[item]),
            state=STATES[state],
            protection=protection_text(protect, _COMMIT) if state != RESERVED else "",
            count=count,
            size=size,
            committed=committed,
        )

    def details_of(self, item: int) -> tuple[str, str]:
        """Returns the details and the kind of an item; both are empty for free space."""
        if self.allocation[item] == GAP:
            return "", ""
        rows, whole, texts = self.map.block_columns, self.map.allocation_columns, self.map.texts
        block, allocation = int(self.block[item]), int(self.allocation[item])
        same_type = whole.type[allocation] == self.type[item]
        kind = texts[(whole.kind[allocation] if same_type else rows.kind[block])]
        return texts[rows.details[block]] or texts[whole.details[allocation]], kind

    def at(self, address: int) -> int | None:
        """Returns the item that holds an address; None if there is none."""
        rows = self.map.block_columns
        block = int(np.searchsorted(rows.base, np.uint64(address), side="right")) - 1
        if block >= 0 and address < int(rows.base[block]) + int(rows.size[block]):
            wanted = (
                (self.allocation == rows.allocation[block])
                & (self.type == rows.type[block])
                & (self.owner == ownership_of(self.map).owner[block])
            )
            return int(np.flatnonzero(wanted)[0])
        place = int(np.searchsorted(self.base, np.uint64(address), side="right")) - 1
        held = place >= 0 and address - int(self.base[place]) < int(self.size[place])
        return place if held and self.allocation[place] == GAP else None


def _taken(column: npt.NDArray[np.uint32], index: I32) -> npt.NDArray[np.uint32]:
    """Takes rows of a column; those of `GAP` are 0."""
    return np.append(column, np.uint32(0))[index]


def _codes(values: npt.NDArray[Any]) -> I32:
    """Numbers the different values."""
    return np.unique(values, return_inverse=True)[1].astype(np.int32)


def strip_of(items: Items) -> SpaceStrip:
    """Returns the strip of what `browse` lists."""
    coarse = Coarse(len(items), items.map.end)
    for start in range(0, len(items), _CHUNK):
        part = slice(start, start + _CHUNK)
        coarse.add(items.base[part], items.size[part], items.committed[part], items.type[part])
    return coarse.strip()


def items_of(region_map: RegionMap) -> Items:
    """Returns the items of a map."""
    rows, ownership = region_map.block_columns, ownership_of(region_map)
    order, starts = _runs(region_map, ownership)
    first = (starts if order is None else order[starts]).astype(np.int32)
    gap_base, gap_size, gap_type = region_map.gap_rows
    base = np.concatenate((rows.base[first], gap_base))
    by_address = np.argsort(base, kind="stable")

    def column(used: npt.NDArray[Any], free: Any) -> npt.NDArray[Any]:
        """Puts the values of items in use and of free ranges into one column."""
        gaps = np.broadcast_to(np.asarray(free, used.dtype), (len(gap_base),))
        joined: npt.NDArray[Any] = np.concatenate((used, gaps))[by_address]
        return joined

    def sums(values: I64) -> I64:
        ordered = values if order is None else values[order]
        return np.add.reduceat(ordered, starts) if len(starts) else np.zeros(0, np.int64)

    return Items(
        map=region_map,
        base=base[by_address],
        size=column(sums(rows.size), gap_size),
        committed=column(sums(rows.committed), 0),
        type=column(rows.type[first], gap_type),
        owner=column(ownership.owner[first], NOBODY),
        allocation=column(rows.allocation[first].astype(np.int32), GAP),
        block=column(first, GAP),
        names=ownership.names,
    )


def _runs(region_map: RegionMap, ownership: Ownership) -> tuple[Index | None, Index]:
    """Returns the order of the blocks in which those of an item are neighbours, and where each item begins.

    The order is None if they are neighbours as they are, which saves memory for the largest maps.
    """
    rows = region_map.block_columns
    key = rows.allocation.astype(np.int64) * len(RegionType) + rows.type
    key *= len(ownership.names) + 1
    key += ownership.owner - NOBODY
    if not len(key):
        return None, np.zeros(0, np.intp)
    order = None
    if (key[1:] < key[:-1]).any():
        order = np.argsort(key, kind="stable")
        key = key[order]
    return order, np.flatnonzero(np.append(True, key[1:] != key[:-1]))


def is_gap(region_type: int) -> bool:
    """Returns whether a type is free space."""
    return region_type in _GAPS
