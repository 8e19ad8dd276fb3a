"""How much private memory each owner has: a few numbers for a table of many dumps.

Only some runtimes and allocators own parts of an allocation. Without one, the sums need allocations only, and they cost
a hundredth of reading the dump.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

import numpy as np

from dumpmap.analysis.ownership import NOBODY, STACKS, WINDOWS, heap_family, name_of, ownership_of, system_addresses
from dumpmap.model.recognised import LabelledRange
from dumpmap.model.region_map import RegionMap
from dumpmap.model.types import PRIVATE_TYPES, RegionType
from dumpmap.model.values import value_class

_IS_PRIVATE = np.isin(np.arange(len(RegionType)), [int(region_type) for region_type in PRIVATE_TYPES])
_PRIVATE_DATA = int(RegionType.PRIVATE_DATA)

Resource = Literal["address space", "commit"]
"""What an owner can have most of: reserved memory takes address space and no commit."""


@value_class(frozen=True, slots=True)
class OwnerTotals:
    """Private memory by owner.

    Attributes:
        size: address space by family of owners, all instances together.
        committed: the committed bytes of it.
        owned: committed bytes of Private Data that an owner claims.
        private_data: committed bytes of Private Data.
    """

    size: Mapping[str, int]
    committed: Mapping[str, int]
    owned: int
    private_data: int

    def top(self, by: Resource) -> str | None:
        """Returns the owner with the most of a resource; None if nobody has any."""
        sums = self.size if by == "address space" else self.committed
        # Of two with the same size, the first by name: a table must not change from run to run.
        return min(sums, key=lambda name: (-sums[name], name), default=None)

    @property
    def owned_share(self) -> float | None:
        """Share of Private Data's committed bytes that an owner claims; None if nothing is committed."""
        return self.owned / self.private_data if self.private_data else None


def owner_totals(region_map: RegionMap) -> OwnerTotals | None:
    """Sums up private memory by owner, as the map's owners are; None for a map without a list of regions."""
    if region_map.partial:
        return None
    parts = [part for found in region_map.structures.found for part in found.ranges if part.owner]
    space = region_map.space
    whole = region_map.pointers is None and all(space.allocation(one.base) == (one.base, one.size) for one in parts)
    size, committed, owned = _by_allocation(region_map, parts) if whole else _by_block(region_map)
    return OwnerTotals(size, committed, owned, region_map.line(RegionType.PRIVATE_DATA).committed or 0)


def _by_block(region_map: RegionMap) -> tuple[dict[str, int], dict[str, int], int]:
    ownership = ownership_of(region_map)
    rows = ownership.rows
    (mine,) = np.nonzero((ownership.owner != NOBODY) & _IS_PRIVATE[rows.type])
    of_mine = rows.committed[mine]
    families: list[dict[str, int]] = []
    for figures in (rows.size[mine], of_mine):
        sums = np.bincount(ownership.owner[mine], weights=figures, minlength=len(ownership.names))
        by_family: dict[str, int] = {}
        for name, figure in zip(ownership.names, sums.tolist(), strict=True):
            if figure:
                by_family[name.family] = by_family.get(name.family, 0) + int(figure)
        families.append(by_family)
    owned = of_mine[rows.type[mine] == _PRIVATE_DATA]
    return families[0], families[1], int(owned.sum())


def _by_allocation(region_map: RegionMap, parts: Iterable[LabelledRange]) -> tuple[dict[str, int], dict[str, int], int]:
    """The same for a map in which every owner has whole allocations, also those of the parts that recognisers found."""
    pieces = region_map.pieces
    # Views: a few of the sums are looked up.
    of_pieces = pieces.committed
    is_private = _IS_PRIVATE[pieces.type]
    space = np.bincount(pieces.allocation, pieces.size * is_private).data
    private = np.bincount(pieces.allocation, of_pieces * is_private).data
    private_data = np.bincount(pieces.allocation, of_pieces * (pieces.type == _PRIVATE_DATA)).data
    taken: set[int] = set()
    sizes: dict[str, float] = {}
    committed: dict[str, float] = {}
    owned = 0.0
    families, addresses = _places(region_map, parts)
    for family, index in zip(families, region_map.space.indices_of(addresses), strict=True):
        if index >= 0 and index not in taken:
            taken.add(index)
            sizes[family] = sizes.get(family, 0.0) + space[index]
            committed[family] = committed.get(family, 0.0) + private[index]
            owned += private_data[index]
    return _whole(sizes), _whole(committed), int(owned)


def _whole(sums: Mapping[str, float]) -> dict[str, int]:
    return {family: int(size) for family, size in sums.items() if size}


def _places(region_map: RegionMap, parts: Iterable[LabelledRange]) -> tuple[list[str], list[int]]:
    """Returns owners and an address of each allocation of theirs, the most certain first."""
    families = [name_of(part).family for part in parts]
    addresses = [part.base for part in parts]
    for heap in region_map.heaps:
        addresses += [base for base, _ in heap.allocations]
        families += [heap_family(heap)] * len(heap.allocations)
    addresses += [stack.base for stack in region_map.stacks]
    families += [STACKS] * len(region_map.stacks)
    addresses += system_addresses(region_map)
    return families + [WINDOWS] * (len(addresses) - len(families)), addresses
