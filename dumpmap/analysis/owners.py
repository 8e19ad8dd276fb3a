"""Owners: who took the memory, as a second cut through the bytes of a region map.

VMMap's types say what memory is; owners say whose it is. Every byte in use has one owner or none, so owners and unowned
memory add up to the summary's total without Unusable space and page tables. What has no owner is at least grouped:
equal size, state, and protection often mean one allocator.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from dumpmap.analysis.runs import runs, runs_of_rows
from dumpmap.model.pointers import PointerSearch
from dumpmap.model.protection import protection_text
from dumpmap.model.recognised import LabelledRange, OwnerFacts
from dumpmap.model.region_map import BlockColumns, RegionMap
from dumpmap.model.types import RegionType
from dumpmap.model.winnt import MemState, MemType

WINDOWS = "Windows"
"""Owner of environment blocks and other structures that the system itself places."""

STACKS = "Thread stacks"

SAME_ALLOCATION = "same-allocation"
"""Evidence of what lies in an allocation whose other parts one owner proved to be its own. Such ranges are inferred."""

STATES = ("committed", "partly committed", "reserved")
"""States of a group: of a reserved one nothing is committed."""

_COMMITTED, _PARTLY, _RESERVED = range(3)
_REST = "rest of {}'s reservations"
_REST_CODE, _IMAGE_CODE = -1, -2
_PRIVATE_DATA, _UNUSABLE, _IMAGE = int(RegionType.PRIVATE_DATA), int(RegionType.UNUSABLE), int(RegionType.IMAGE)
_COMMIT, _PRIVATE = int(MemState.MEM_COMMIT), int(MemType.MEM_PRIVATE)


@dataclass(frozen=True, slots=True)
class OwnerPart:
    """The memory of one kind that an owner has. `count` is the number of ranges: pages, regions, or heap segments."""

    kind: str
    size: int
    committed: int
    count: int


@dataclass(frozen=True, slots=True)
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
        inferred: whether any of it was inferred.
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
    inferred: bool
    evidence: tuple[str, ...]
    parts: tuple[OwnerPart, ...]
    type_sizes: Mapping[RegionType, int] = field(default_factory=dict)
    facts: OwnerFacts | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """Allocations without an owner that are alike. Sizes are bytes.

    Attributes:
        type: their type.
        size_each: the size of each.
        state: one of `STATES`.
        protection: their protection in VMMap's words.
        count: how many there are.
        size: their size together.
        committed: their committed bytes together.
    """

    type: RegionType
    size_each: int
    state: str
    protection: str
    count: int
    size: int
    committed: int


@dataclass(frozen=True, slots=True)
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


def find_owners(
    region_map: RegionMap, types: Collection[RegionType] = (), pointers: PointerSearch | None = None
) -> Owners:
    """Finds out who took the memory of a process. It searches no memory for pointers itself.

    Args:
        region_map: the map.
        types: count memory of these types only; of all types if empty.
        pointers: what `pointer_owners` found, for what structures do not name.
    """
    return _Search(region_map, types).result(pointers)


def owned_rows(region_map: RegionMap) -> npt.NDArray[np.bool_]:
    """Returns which rows of the block columns have an owner by structure."""
    return _Search(region_map, ()).owned_rows()


@dataclass(frozen=True, slots=True)
class _Name:
    """Who an owner is."""

    owner: str
    module: str = ""
    instance: str = ""


_NOBODY = -1


class _Search:
    """Gives every row of the block columns an owner."""

    def __init__(self, region_map: RegionMap, types: Collection[RegionType]) -> None:
        self._map = region_map
        self._rows: BlockColumns = region_map.block_columns
        self._names: list[_Name] = []
        self._codes: dict[_Name, int] = {}
        self._owner = np.full(len(self._rows.base), _NOBODY, np.int32)
        self._inferred = np.zeros(len(self._rows.base), np.bool_)
        self._words: dict[int, dict[str, None]] = {}  # evidence of pointers, by code of the name
        self._counted = self._rows.type != _UNUSABLE
        if types:
            self._counted &= np.isin(self._rows.type, [int(region_type) for region_type in types])

    def result(self, pointers: PointerSearch | None) -> Owners:
        """Runs all rules, the most certain first, and sums up."""
        rest = self._by_structure()
        if pointers is not None:
            self._held(pointers)
        return self._sum(rest)

    def owned_rows(self) -> npt.NDArray[np.bool_]:
        """See the function `owned_rows`."""
        self._by_structure()
        owned: npt.NDArray[np.bool_] = self._owner != _NOBODY
        return owned

    def _by_structure(self) -> npt.NDArray[np.bool_]:
        """Runs the rules that need no pointers; returns what `_rest_of_allocations` does."""
        self._recognised()
        self._heaps()
        self._images()
        self._stacks()
        self._named()
        self._inferred |= self._rows.inferred & (self._owner != _NOBODY)
        return self._rest_of_allocations()

    # ------------------------------------------------------------ rules

    def _code(self, name: _Name) -> int:
        code = self._codes.get(name)
        if code is None:
            code = self._codes[name] = len(self._names)
            self._names.append(name)
        return code

    def _give(self, low: int, high: int, name: _Name, *, inferred: bool = False) -> None:
        """Gives the rows within [low, high) to an owner, unless they have one."""
        first = int(np.searchsorted(self._rows.base, np.uint64(low)))
        last = int(np.searchsorted(self._rows.base, np.uint64(high)))
        free = self._owner[first:last] == _NOBODY
        self._owner[first:last][free] = self._code(name)
        if inferred:
            self._inferred[first:last] |= free

    def _recognised(self) -> None:
        """What the recognisers of runtimes and allocators found."""
        for found in self._map.structures.found:
            for part in found.ranges:
                if part.owner:
                    self._give(part.base, part.base + part.size, _name_of(part), inferred=part.inferred)

    def _heaps(self) -> None:
        """Heaps in the Windows sense, by their allocations."""
        for heap in self._map.heaps:
            known = heap.info.kind.partition(" (")[0]
            kind = known if known != "unknown" else "Heap"
            which = f"{heap.info.id}" if heap.info.id is not None else f"0x{heap.info.address:x}"
            name = _Name(heap.name or f"{kind} {which}")
            for base, size in heap.allocations:
                self._give(base, base + size, name)

    def _images(self) -> None:
        """Loaded modules."""
        rows = self._rows
        images = rows.type == int(RegionType.IMAGE)
        for module in self._map.snapshot.modules:
            index = self._map.space.index_of(module.base)
            if index < 0:
                continue
            first, last = np.searchsorted(rows.allocation, (index, index + 1)).tolist()
            mine = images[first:last] & (self._owner[first:last] == _NOBODY)
            self._owner[first:last][mine] = self._code(_Name(module.name, module.name))

    def _stacks(self) -> None:
        for stack in self._map.stacks:
            self._give(stack.base, stack.end, _Name(STACKS))

    def _named(self) -> None:
        """What the system places: environment blocks, NLS tables, and whatever else the PEB points to."""
        texts, allocations = self._map.texts, self._map.allocation_columns
        structures = self._map.structures
        addresses = [region.address for region in structures.named]
        addresses += [peb.address for peb in structures.pebs]
        addresses += [teb.address for teb in structures.tebs]
        for address in addresses:
            index = self._map.space.index_of(address)
            if index >= 0 and texts[allocations.kind[index]]:
                self._give(int(allocations.base[index]), int(self._map.space.ends[index]), _Name(WINDOWS))

    def _held(self, pointers: PointerSearch) -> None:
        """What a module or one of its objects holds a pointer to."""
        space = self._map.space
        for held in pointers.owners:
            index = space.index_of(held.base)
            if index >= 0 and int(space.bases[index]) == held.base and space.kinds[index] == _PRIVATE:
                name = _Name(held.owner, held.module, held.instance)
                self._give(held.base, int(space.ends[index]), name, inferred=True)
                self._words.setdefault(self._code(name), {})[held.rule] = None

    def _rest_of_allocations(self) -> npt.NDArray[np.bool_]:
        """Gives what has no owner in an allocation to the one recogniser that proved other parts of it to be its own.

        Returns:
            which rows those are.
        """
        recognised = {self._codes[name] for name in self._codes if name in self._recogniser_names}
        rest = np.zeros(len(self._owner), np.bool_)
        if not recognised:
            return rest
        allocation = self._rows.allocation
        proved = np.isin(self._owner, np.array(sorted(recognised), np.int32))
        for index in np.unique(allocation[proved & np.isin(allocation, allocation[self._owner == _NOBODY])]).tolist():
            first, last = np.searchsorted(allocation, (index, index + 1)).tolist()
            owners = set(self._owner[first:last].tolist()) - {_NOBODY}
            if len({(self._names[code].owner, self._names[code].module) for code in owners}) != 1:
                continue
            name = self._names[min(owners)]
            # Isolates and heaps of one runtime may share a reservation: its rest belongs to none of them.
            shared = _Name(name.owner, name.module, name.instance if len(owners) == 1 else "")
            mine = self._owner[first:last] == _NOBODY
            self._owner[first:last][mine] = self._code(shared)
            self._inferred[first:last] |= mine
            rest[first:last] |= mine
        return rest

    @cached_property
    def _recogniser_names(self) -> frozenset[_Name]:
        return frozenset(_name_of(part) for found in self._map.structures.found for part in found.ranges)

    # ------------------------------------------------------------ sums

    def _sum(self, rest: npt.NDArray[np.bool_]) -> Owners:
        rows = self._rows
        private = rows.type == _PRIVATE_DATA
        owned = self._owner != _NOBODY
        unowned = ~owned & self._counted
        return Owners(
            owners=tuple(sorted(self._owners(rest), key=lambda owner: (-owner.size, owner.owner, owner.instance))),
            groups=tuple(self._groups(unowned)),
            unowned_size=int(rows.size[unowned].sum()),
            unowned_committed=int(rows.committed[unowned].sum()),
            unowned_allocations=len(np.unique(rows.allocation[unowned])),
            private_committed=int(rows.committed[private].sum()),
            owned_private=int(rows.committed[private & owned].sum()),
            owned_private_facts=int(rows.committed[private & owned & ~self._inferred].sum()),
        )

    def _owners(self, rest: npt.NDArray[np.bool_]) -> Iterator[Owner]:
        (counted,) = np.nonzero(self._counted)
        order = counted[np.argsort(self._owner[counted], kind="stable")]
        edges = np.searchsorted(self._owner[order], np.arange(len(self._names) + 1)).tolist()
        facts = {(fact.owner, fact.module, fact.instance): fact for fact in self._map.structures.facts_of(OwnerFacts)}
        for code, name in enumerate(self._names):
            mine = order[edges[code] : edges[code + 1]]
            if len(mine):
                known = facts.get((name.owner, name.module, name.instance))
                yield self._owner_of(name, mine, rest, known)

    def _owner_of(
        self, name: _Name, mine: npt.NDArray[np.intp], rest: npt.NDArray[np.bool_], facts: OwnerFacts | None
    ) -> Owner:
        rows, texts = self._rows, self._map.texts
        sizes, committed, types = rows.size[mine], rows.committed[mine], rows.type[mine]
        # Sections of images are too fine here, and what lies between proved ranges has no kind of its own.
        kinds = np.where(rest[mine], _REST_CODE, np.where(types == _IMAGE, _IMAGE_CODE, rows.kind[mine]))
        parts = []
        for code, members in runs(kinds):
            fixed = {_REST_CODE: _REST.format(name.owner), _IMAGE_CODE: RegionType.IMAGE.label}
            kind = fixed.get(code) or texts[code] or RegionType(int(types[members[0]])).label
            parts.append(OwnerPart(kind, int(sizes[members].sum()), int(committed[members].sum()), len(members)))
        words = [texts[code] for code in np.unique(rows.evidence[mine[~rest[mine]]]).tolist()]
        evidence = dict.fromkeys(word for text in words for word in text.split("+"))
        if rest[mine].any():
            evidence[SAME_ALLOCATION] = None
        evidence |= self._words.get(self._codes[name], {})
        return Owner(
            owner=name.owner,
            module=name.module,
            instance=name.instance,
            size=int(sizes.sum()),
            committed=int(committed.sum()),
            allocations=len(np.unique(rows.allocation[mine])),
            inferred=bool(self._inferred[mine].any()),
            evidence=tuple(evidence),
            parts=tuple(sorted(parts, key=lambda part: (-part.size, part.kind))),
            type_sizes={RegionType(int(code)): int(sizes[members].sum()) for code, members in runs(types)},
            facts=facts,
        )

    def _groups(self, unowned: npt.NDArray[np.bool_]) -> Iterator[Group]:
        """Whole allocations without an owner, by type, size, state, and protection; the largest group first."""
        allocations, rows = self._map.allocation_columns, self._rows
        owned = np.zeros(len(allocations.base), np.bool_)
        owned[rows.allocation[~unowned]] = True
        (alone,) = np.nonzero(~owned)
        size, committed = allocations.size[alone], allocations.committed[alone]
        state = np.where(committed == size, _COMMITTED, np.where(committed > 0, _PARTLY, _RESERVED))
        protect = np.where(committed > 0, allocations.protect[alone], 0)
        keys = np.stack((allocations.type[alone].astype(np.int64), size, state, protect.astype(np.int64)))
        listed = []
        for (region_type, each, code, protection), members in runs_of_rows(keys):
            listed.append(
                Group(
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


def _name_of(part: LabelledRange) -> _Name:
    return _Name(part.owner, part.module, part.instance)
