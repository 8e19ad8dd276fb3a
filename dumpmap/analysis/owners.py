"""Owners: who took the memory, as a second cut through the bytes of a region map.

VMMap's types say what memory is; owners say whose it is. Every byte in use has one owner or none, so owners and unowned
memory add up to the summary's total without Unusable space and page tables. What has no owner is at least grouped:
equal size, state, and protection often mean one allocator.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import field

import numpy as np
import numpy.typing as npt

from dumpmap.analysis.ownership import NOBODY, OwnerName, Ownership, ownership_of
from dumpmap.analysis.part_kinds import PartKinds
from dumpmap.analysis.runs import runs, runs_of_rows
from dumpmap.model.evidence import SAME_ALLOCATION
from dumpmap.model.protection import protection_text
from dumpmap.model.recognised import OwnerFacts
from dumpmap.model.region_map import RegionMap
from dumpmap.model.types import RegionType
from dumpmap.model.values import value_class
from dumpmap.model.winnt import MemState

PARTLY_COMMITTED = "partly committed"
STATES = ("committed", PARTLY_COMMITTED, "reserved")
"""States of a group: of a reserved one nothing is committed."""

_COMMITTED, _PARTLY, _RESERVED = range(3)
_PRIVATE_DATA, _UNUSABLE = int(RegionType.PRIVATE_DATA), int(RegionType.UNUSABLE)
_COMMIT = int(MemState.MEM_COMMIT)


@value_class(frozen=True, slots=True)
class OwnerPart:
    """The memory of one kind that an owner has. Sizes are bytes.

    Attributes:
        kind: the kind.
        size: address space.
        committed: committed bytes.
        count: the number of ranges: pages, regions, or heap segments.
        inferred_size: how much of the address space was inferred.
        inferred_committed: how much of the committed bytes.
        evidence: the words of evidence.
    """

    kind: str
    size: int
    committed: int
    count: int
    inferred_size: int
    inferred_committed: int
    evidence: tuple[str, ...]

    @property
    def inferred(self) -> bool:
        """Whether any of it was inferred."""
        return self.inferred_size > 0


@value_class(frozen=True, slots=True)
class Owner:
    """One owner, or one of its instances. Sizes are bytes.

    Attributes:
        owner: who: `V8`, `Java`, `NT heap 3`, `foo.dll`.
        module: file name of the module that holds the owner's code; empty if there is none.
        instance: which isolate, virtual machine, or heap; empty if there is only one.
        type_sizes: address space by type.
        size: address space.
        committed: committed bytes.
        allocations: allocations that it has a part of.
        evidence: the words of evidence.
        parts: its memory by kind, the largest first.
        facts: what the owner states about itself; None if it states nothing.
    """

    owner: str
    module: str
    instance: str
    size: int
    committed: int
    allocations: int
    evidence: tuple[str, ...]
    parts: tuple[OwnerPart, ...]
    type_sizes: Mapping[RegionType, int] = field(default_factory=dict)
    facts: OwnerFacts | None = None

    @property
    def inferred_size(self) -> int:
        """How much of the address space was inferred."""
        return sum(part.inferred_size for part in self.parts)

    @property
    def inferred_committed(self) -> int:
        """How much of the committed bytes was inferred."""
        return sum(part.inferred_committed for part in self.parts)

    @property
    def inferred(self) -> bool:
        """Whether any of it was inferred."""
        return self.inferred_size > 0


@value_class(frozen=True, slots=True)
class Group:
    """Allocations without an owner that are alike. Sizes are bytes.

    Attributes:
        address: the lowest address of them.
        type: their type.
        size_each: the size of each.
        state: one of `STATES`.
        protection: their protection in VMMap's words.
        count: how many there are.
        size: their size together.
        committed: their committed bytes together.
    """

    address: int
    type: RegionType
    size_each: int
    state: str
    protection: str
    count: int
    size: int
    committed: int


@value_class(frozen=True, slots=True)
class Owners:
    """Who took the memory of a process.

    Attributes:
        owners: by size, the largest first.
        groups: unowned allocations by size, the largest group first.
        unowned_size: address space without an owner.
        unowned_committed: its committed bytes.
        unowned_allocations: its allocations.
        private_committed: committed bytes of Private Data.
        owned_private: how much of these an owner claims, inferred claims included.
        owned_private_facts: the same without inferred claims.
    """

    owners: tuple[Owner, ...]
    groups: tuple[Group, ...]
    unowned_size: int
    unowned_committed: int
    unowned_allocations: int
    private_committed: int
    owned_private: int
    owned_private_facts: int

    @property
    def owned_share(self) -> float | None:
        """Share of Private Data's committed bytes that an owner claims; None if nothing is committed."""
        return self.owned_private / self.private_committed if self.private_committed else None

    @property
    def owned_share_facts(self) -> float | None:
        """The same without inferred claims."""
        return self.owned_private_facts / self.private_committed if self.private_committed else None


def find_owners(region_map: RegionMap, types: Collection[RegionType] = ()) -> Owners:
    """Finds out who took the memory of a process. It searches no memory for pointers: `with_pointers` does.

    Args:
        region_map: the map.
        types: count memory of these types only; of all types if empty.
    """
    return _Sums(region_map, ownership_of(region_map), types).result()


class _Sums:
    """Sums up what the owners of blocks have."""

    def __init__(self, region_map: RegionMap, ownership: Ownership, types: Collection[RegionType]) -> None:
        self._map = region_map
        self._ownership = ownership
        self._rows = ownership.rows
        self._owner = ownership.owner
        self._committed = self._rows.committed  # computed whenever it is asked for
        self._kinds = PartKinds(region_map, ownership)
        self._counted = self._rows.type != _UNUSABLE
        if types:
            self._counted &= np.isin(self._rows.type, [int(region_type) for region_type in types])

    def result(self) -> Owners:
        """Returns the sums."""
        rows = self._rows
        private = rows.type == _PRIVATE_DATA
        owned = self._owner != NOBODY
        unowned = ~owned & self._counted
        return Owners(
            owners=tuple(sorted(self._owners(), key=lambda owner: (-owner.size, owner.owner, owner.instance))),
            groups=tuple(self._groups(unowned)),
            unowned_size=int(rows.size[unowned].sum()),
            unowned_committed=int(self._committed[unowned].sum()),
            unowned_allocations=len(np.unique(rows.allocation[unowned])),
            private_committed=int(self._committed[private].sum()),
            owned_private=int(self._committed[private & owned].sum()),
            owned_private_facts=int(self._committed[private & owned & ~self._ownership.inferred].sum()),
        )

    def _owners(self) -> Iterator[Owner]:
        (counted,) = np.nonzero(self._counted & (self._owner != NOBODY))
        order = counted[np.argsort(self._owner[counted], kind="stable")]
        edges = np.searchsorted(self._owner[order], np.arange(len(self._ownership.names) + 1)).tolist()
        facts = {(fact.owner, fact.module, fact.instance): fact for fact in self._map.structures.facts_of(OwnerFacts)}
        for code, name in enumerate(self._ownership.names):
            mine = order[edges[code] : edges[code + 1]]
            if len(mine):
                known = facts.get((name.owner, name.module, name.instance))
                yield self._owner_of(name, mine, known)

    def _owner_of(self, name: OwnerName, mine: npt.NDArray[np.intp], facts: OwnerFacts | None) -> Owner:
        rows, inferred = self._rows, self._ownership.inferred
        sizes, committed, types = rows.size[mine], self._committed[mine], rows.type[mine]
        parts = []
        for code, members in runs(self._kinds.codes[mine]):
            parts.append(
                OwnerPart(
                    self._kinds.text(code, name),
                    int(sizes[members].sum()),
                    int(committed[members].sum()),
                    len(members),
                    int(sizes[members][inferred[mine[members]]].sum()),
                    int(committed[members][inferred[mine[members]]].sum()),
                    self._evidence(mine[members]),
                )
            )
        return Owner(
            owner=name.owner,
            module=name.module,
            instance=name.instance,
            size=int(sizes.sum()),
            committed=int(committed.sum()),
            allocations=len(np.unique(rows.allocation[mine])),
            evidence=self._evidence(mine),
            parts=tuple(sorted(parts, key=lambda part: (-part.size, part.kind))),
            type_sizes={RegionType(int(code)): int(sizes[members].sum()) for code, members in runs(types)},
            facts=facts,
        )

    def _evidence(self, mine: npt.NDArray[np.intp]) -> tuple[str, ...]:
        """Returns the words of evidence for the owner of some rows."""
        rest = self._ownership.rest[mine]
        proved = mine[~rest]
        words = [self._map.texts[code] for code in np.unique(self._rows.evidence[proved]).tolist()]
        evidence = dict.fromkeys(word for text in words for word in text.split("+"))
        if rest.any():
            evidence[SAME_ALLOCATION] = None
        # The label of a block has no evidence for an owner that was inferred without changing the label.
        claims = (self._ownership.claims[index] for index in np.unique(self._ownership.claim[proved]))
        evidence |= {claim.proof.evidence: None for claim in claims if claim.inferred}
        return tuple(evidence)

    def _groups(self, unowned: npt.NDArray[np.bool_]) -> Iterator[Group]:
        """Whole allocations without an owner, by type, size, state, and protection; the largest group first."""
        allocations, rows = self._map.allocation_columns, self._rows
        owned = np.zeros(len(allocations.base), np.bool_)
        owned[rows.allocation[~unowned]] = True
        (alone,) = np.nonzero(~owned)
        size, committed = allocations.size[alone], allocations.committed[alone]
        state = np.where(committed == size, _COMMITTED, np.where(committed > 0, _PARTLY, _RESERVED)).astype(np.uint8)
        protect = np.where(committed > 0, allocations.protect[alone], np.uint32(0))
        keys = (allocations.type[alone], size, state, protect)
        listed = []
        for (region_type, each, code, protection), members in runs_of_rows(keys):
            listed.append(
                Group(
                    int(allocations.base[alone[members[0]]]),
                    RegionType(region_type),
                    each,
                    STATES[code],
                    protection_text(protection, _COMMIT) if code != _RESERVED else "",
                    len(members),
                    each * len(members),
                    int(committed[members].sum()),
                )
            )
        yield from sorted(listed, key=lambda group: (-group.size, group.type, -group.size_each, group.protection))
