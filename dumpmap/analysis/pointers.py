"""Who holds a pointer to memory that nothing claims by structure.

The search has two steps. First the writable data of every module, because GPU drivers, allocators, and engines keep
their large blocks in global variables, and the environment blocks of threads. Then the memory of heaps, of other
owners, and of the blocks found in the first step: the object that holds the pointer names its class, and the class its
module. Every result is inferred and keeps the address of the pointer, so that a person can look there.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from dataclasses import replace
from typing import TypeVar
from weakref import WeakKeyDictionary

import numpy as np

from dumpmap.analysis.ownership import NOBODY, ownership_of
from dumpmap.analysis.pointer_scan import Hit, Mask, PointerScan, Progress, Targets, joined, may_stand_alone, without
from dumpmap.model.memory import Memory
from dumpmap.model.pointers import (
    MODULE_PAIR,
    MODULE_POINTER,
    OBJECT_POINTER,
    THREAD_POINTER,
    PointerOwner,
    PointerSearch,
)
from dumpmap.model.region_map import RegionMap
from dumpmap.model.types import RegionType
from dumpmap.model.values import value_class
from dumpmap.model.winnt import (
    ALLOCATION_GRANULARITY,
    PAGE_GUARD_OR_NO_ACCESS,
    PAGE_SIZE,
    PAGE_WRITABLE,
    MemState,
    MemType,
)
from dumpmap.structures.class_names import ClassNames, CodeModule, ObjectClass
from dumpmap.structures.pe import constant_ranges

MAX_SEARCHED = 2 << 30
"""Most bytes that a search reads: some seconds, whatever the size of the input."""

MAX_OBJECTS = 200_000
"""Most pointers whose object is looked at."""

KEEPERS = frozenset(
    f"{name}.dll"
    for name in (
        *("ntdll", "kernel32", "kernelbase", "win32u", "ucrtbase", "ucrtbased", "msvcrt"),
        *("wow64", "wow64win", "wow64cpu", "verifier"),
    )
)
"""Modules that note addresses for others: the loader, the heap, the C runtime. If another module holds the pointer too,
that one is the owner."""

_HITS_PER_CHUNK = 8
_REACH = {True: 256, False: 64}
"""How many bytes before a pointer the object that holds it may begin: for a pair, and for a base alone. Blocks of a
heap lie side by side, so the nearest vtable farther away is often another object's."""

_CLASS_REACH = 64
"""The same for the name of the class. Farther away, an object may be another one of the same module."""

_TEB_SIZE = {4: 0x1000, 8: 0x1838}
_TEB_OF_STACK = {4: (0x4, 0x8, 0xE0C), 8: (0x8, 0x10, 0x1478)}
"""Where a TEB keeps the bounds of the thread's stack."""

_COMMIT, _PRIVATE, _IMAGE = int(MemState.MEM_COMMIT), int(MemType.MEM_PRIVATE), int(MemType.MEM_IMAGE)
_NOT_SEARCHED = (int(RegionType.STACK), int(RegionType.MANAGED_HEAP), int(RegionType.IMAGE))


@value_class(frozen=True, slots=True)
class _Claim:
    """One module's claim to a target. `pair` is the rule that `address` meets; `hits` counts pointers of that rule."""

    module: str
    class_name: str
    pair: bool
    address: int
    place: str
    hits: int


@value_class(frozen=True, slots=True)
class _Piece:
    """Memory of the second step: where objects lie. `module` is who holds the block; empty for heaps and others."""

    base: int
    size: int
    pointer_size: int
    name: str
    module: str


_SEARCHES: WeakKeyDictionary[RegionMap, PointerSearch | None] = WeakKeyDictionary()


def pointer_owners(
    region_map: RegionMap, progress: Progress | None = None, names: Memory | None = None
) -> PointerSearch | None:
    """Finds out who holds pointers to private allocations of 64 KB or more that nothing claims by structure.

    It is computed once per map, by the first call. A snapshot that records the results answers with them.

    Args:
        region_map: the map.
        progress: told how much is searched.
        names: where to read type information, if the map's memory may lack the read-only pages of images.

    Returns:
        the results; None if they are unknown, because the input has no list of regions or is a snapshot without them.
    """
    snapshot = region_map.snapshot
    if region_map.pointers is not None or snapshot.pointer_owners is not None:
        return region_map.pointers or snapshot.pointer_owners
    if region_map not in _SEARCHES:
        known = not region_map.partial and snapshot.source.reduced_from is None and bool(snapshot.memory.ranges())
        windows = snapshot.process.os.family == "windows"
        _SEARCHES[region_map] = _Search(region_map, progress, names).result() if known and windows else None
    return _SEARCHES[region_map]


_Map = TypeVar("_Map", bound=RegionMap)


def with_pointers(region_map: _Map, progress: Progress | None = None, names: Memory | None = None) -> _Map:
    """Returns the map with what `pointer_owners` finds, so that owners include those that only a pointer names."""
    return replace(region_map, pointers=pointer_owners(region_map, progress, names))


class _Search:
    """One search."""

    def __init__(self, region_map: RegionMap, progress: Progress | None, names: Memory | None) -> None:
        self._map = region_map
        self._space = region_map.space
        self._progress = progress
        self._owned: Mask = ownership_of(region_map).owner != NOBODY
        images, process = region_map.structures.images, region_map.process
        self._modules = _disjoint(
            CodeModule(module.base, module.size, module.name, image.pointer_size)
            if (image := images.get(module.base)) is not None
            else CodeModule(module.base, module.size, module.name, process.pointer_size)
            for module in region_map.snapshot.modules
        )
        widths = {image.pointer_size for image in images.values()}
        self._narrow = process.pointer_size == 4 or bool(process.wow64) or 4 in widths
        self._targets = self._find_targets()
        self._readable = self._find_readable()
        self._heaps = {base: heap for heap in region_map.heaps for base, _ in heap.allocations}
        self._classes = ClassNames(names or region_map.snapshot.memory, self._modules)
        self._objects = 0
        self._ambiguous: set[int] = set()

    def _find_targets(self) -> Targets:
        space = self._space
        owned = np.zeros(len(space), np.bool_)
        owned[self._map.block_columns.allocation[self._owned]] = True
        sizes = space.ends - space.bases
        (wanted,) = np.nonzero(~owned & (space.kinds == _PRIVATE) & (sizes >= np.uint64(ALLOCATION_GRANULARITY)))
        adjacent = np.zeros(len(space), np.bool_)
        adjacent[1:] = space.bases[1:] == space.ends[:-1]
        after_stack = adjacent & (np.roll(self._map.types, 1) == int(RegionType.STACK))
        before = np.where(adjacent, np.roll(sizes, 1), np.uint64(0)).astype(np.uint64)
        lone = may_stand_alone(space.bases[wanted], after_stack[wanted], narrow=self._narrow)
        committed = self._map.allocation_columns.committed[wanted].astype(np.uint64)
        return Targets(space.bases[wanted], sizes[wanted], committed, before[wanted], lone)

    def _find_readable(self) -> Mask:
        """Returns which rows are private memory where objects can lie."""
        columns = self._map.block_columns
        readable: Mask = (columns.state == _COMMIT) & ~np.isin(columns.type, _NOT_SEARCHED)
        readable &= (columns.protect & np.uint32(int(PAGE_GUARD_OR_NO_ACCESS))) == 0
        readable &= self._space.kinds[columns.allocation] == _PRIVATE
        return readable

    def result(self) -> PointerSearch:
        """Searches everything."""
        if not len(self._targets):
            return PointerSearch()
        columns = self._map.block_columns
        data = [(module, self._writable(module)) for module in self._modules]
        rows = self._owned & self._readable
        total = sum(size for _, ranges in data for _, size in ranges) + int(columns.size[rows].sum())
        scan = PointerScan(self._map.snapshot.memory, self._targets, MAX_SEARCHED, self._progress, total)
        found = self._decide(self._in_modules(scan, data), by_module=True)
        found |= self._in_threads(scan, found)
        held = {self._space.index_of(owner.base): owner.module for owner in found.values() if owner.module}
        others = dict.fromkeys(np.unique(columns.allocation[rows]).tolist(), "")
        in_objects = self._decide(self._in_objects(scan, self._pieces(held | others), set(found)), by_module=False)
        owners = found | in_objects
        return PointerSearch(
            owners=tuple(owners[index] for index in sorted(owners)),
            candidates=len(self._targets),
            ambiguous=len(self._ambiguous - owners.keys()),
            searched=scan.searched,
            missing=scan.missing,
            complete=scan.complete and self._objects < MAX_OBJECTS,
        )

    # ------------------------------------------------------------ what to search

    def _writable(self, module: CodeModule) -> list[tuple[int, int]]:
        """Returns the variables of a module as (base, size): committed, writable image memory in writable sections."""
        regions = self._space.regions
        first = int(np.searchsorted(regions.base, np.uint64(module.base)))
        last = int(np.searchsorted(regions.base, np.uint64(min(module.base + module.size, (1 << 64) - 1))))
        part = slice(first, last)
        wanted = (regions.state[part] == _COMMIT) & (regions.type[part] == _IMAGE)
        wanted &= (regions.protect[part] & np.uint32(int(PAGE_WRITABLE))) != 0
        wanted &= (regions.protect[part] & np.uint32(int(PAGE_GUARD_OR_NO_ACCESS))) == 0
        bases, sizes = regions.base[part][wanted], regions.size[part][wanted]
        writable = joined(list(zip(bases.tolist(), sizes.tolist(), strict=True)))
        image = self._map.structures.images.get(module.base)
        if image is None or not writable:
            return writable
        return without(writable, constant_ranges(self._map.snapshot.memory, module.base, image))

    def _pieces(self, holders: dict[int, str]) -> Iterator[_Piece]:
        """Yields the readable memory of allocations, each with who holds it. Of two allocations nothing is joined."""
        columns = self._map.block_columns
        width = 4 if self._narrow else 8
        for index, module in holders.items():
            first, last = columns.of_allocation(index)
            mine = np.flatnonzero(self._readable[first:last]) + first
            heap = self._heaps.get(int(self._space.bases[index]))
            name = "" if heap is None else heap.title
            pointer_size = width if heap is None or not heap.info.pointer_size else heap.info.pointer_size
            for base, size in joined(list(zip(columns.base[mine].tolist(), columns.size[mine].tolist(), strict=True))):
                yield _Piece(base, size, pointer_size, name, module)

    # ------------------------------------------------------------ the two steps

    def _in_modules(
        self, scan: PointerScan, data: list[tuple[CodeModule, list[tuple[int, int]]]]
    ) -> dict[int, list[_Claim]]:
        """Searches the writable data of modules."""
        claims: dict[int, list[_Claim]] = {}
        for module, ranges in data:
            first: dict[tuple[int, bool], tuple[int, int]] = {}
            for base, size in ranges:
                for hit in scan.search(base, size, module.pointer_size):
                    address, hits = first.get((hit.target, hit.pair), (hit.address, 0))
                    first[hit.target, hit.pair] = address, hits + hit.hits
            for (target, pair), (address, hits) in first.items():
                place = self._place_in(module, address)
                claims.setdefault(target, []).append(_Claim(module.name, "", pair, address, place, hits))
        return claims

    def _place_in(self, module: CodeModule, address: int) -> str:
        image = self._map.structures.images.get(module.base)
        offset = address - module.base
        sections = () if image is None else image.sections
        name = next((part.name for part in sections if part.address <= offset < part.address + part.size), "")
        return f"{module.name}+{offset:#x}" + (f" ({name})" if name else "")

    def _in_threads(self, scan: PointerScan, found: Container[int]) -> dict[int, PointerOwner]:
        """Searches the TEBs of all threads for blocks that every one of several threads has for itself.

        One thread proves nothing: below 4 GB, any number can look like a base. That several hold one at the same
        offset, each its own and all of one size, is no accident.
        """
        targets = self._targets
        lone = replace(targets, before=np.zeros_like(targets.before), lone=np.ones(len(targets), np.bool_))
        places: dict[tuple[int, int, int], dict[int, tuple[int, int]]] = {}
        for teb in self._map.structures.tebs:
            width = teb.pointer_size
            for hit in scan.search(teb.address, _TEB_SIZE[width], width, _HITS_PER_CHUNK, lone):
                offset = hit.address - teb.address
                if offset not in _TEB_OF_STACK[width] and hit.target not in found:
                    key = width, offset, int(targets.sizes[hit.target])
                    places.setdefault(key, {}).setdefault(hit.target, (teb.thread_id, hit.address))
        owners: dict[int, PointerOwner] = {}
        for (_, offset, size), held in places.items():
            if len(held) > 1:
                for target, (thread, address) in held.items():
                    place = f"TEB of thread {thread}+{offset:#x}"
                    base = int(targets.bases[target])
                    owners.setdefault(target, PointerOwner(base, size, "", "", address, place, THREAD_POINTER, 1))
        return owners

    def _in_objects(self, scan: PointerScan, pieces: Iterator[_Piece], found: set[int]) -> dict[int, list[_Claim]]:
        """Searches heaps and blocks for objects that hold what no module holds itself."""
        claims: dict[int, list[_Claim]] = {}
        for piece in pieces:
            if not scan.complete:
                break
            for hit in scan.search(piece.base, piece.size, piece.pointer_size, _HITS_PER_CHUNK):
                plain = hit.pair or int(self._targets.bases[hit.target]) >= 1 << 32
                if hit.target in found or not plain or self._objects >= MAX_OBJECTS:
                    continue
                self._objects += 1
                claim = self._object_claim(piece, hit)
                if claim is not None:
                    claims.setdefault(hit.target, []).append(claim)
        return claims

    def _object_claim(self, piece: _Piece, hit: Hit) -> _Claim | None:
        """Returns who holds the object or block that a pointer lies in; None if that is unknown."""
        known = self._object_at(piece, hit)
        if known is None:
            if not piece.module:
                return None
            offset = hit.address - piece.base
            place = f"+{offset:#x} of the block of {piece.module} at {piece.base:#x}"
            return _Claim(piece.module, "", hit.pair, hit.address, place, hit.hits)
        found, start = known
        offset = hit.address - start
        name = found.name if offset <= _CLASS_REACH else ""
        where = f" ({piece.name})" if piece.name else ""
        place = f"+{offset:#x} of the object at {start:#x}{where}"
        return _Claim(found.module, name, hit.pair, hit.address, place, hit.hits)

    def _object_at(self, piece: _Piece, hit: Hit) -> tuple[ObjectClass, int] | None:
        """Returns the class and the address of the object that a pointer lies in: that of the nearest vtable before."""
        width = piece.pointer_size
        low = max(piece.base, hit.address - _REACH[hit.pair])
        memory = self._map.snapshot.memory
        data = memory.read(low, hit.address - low)
        if data is None:  # the page before may be missing
            low = hit.address - hit.address % PAGE_SIZE
            data = memory.read(low, hit.address - low)
        if data is None:
            return None
        for at in range(len(data) - width, -1, -width):
            vtable = int.from_bytes(data[at : at + width], "little")
            found = self._classes.find(vtable, width) if vtable else None
            if found is not None:
                return found, low + at
        return None

    # ------------------------------------------------------------ decisions

    def _decide(self, claims: dict[int, list[_Claim]], *, by_module: bool) -> dict[int, PointerOwner]:
        """Chooses one owner for each target: a pair before a base alone, then the module with the most pointers."""
        owners = {}
        for target, made in claims.items():
            pairs = [claim for claim in made if claim.pair]
            best = pairs or made
            best = [claim for claim in best if claim.module.lower() not in KEEPERS] or best
            hits: dict[str, int] = {}
            for claim in best:
                hits[claim.module] = hits.get(claim.module, 0) + claim.hits
            most = max(hits.values())
            leaders = [module for module, count in hits.items() if count == most]
            base = int(self._targets.bases[target])
            if len(leaders) > 1 or (len(hits) > 1 and not pairs and base < 1 << 32):
                self._ambiguous.add(target)
                continue
            claim = min((claim for claim in best if claim.module == leaders[0]), key=lambda claim: claim.address)
            rule = OBJECT_POINTER if not by_module else MODULE_PAIR if pairs else MODULE_POINTER
            size = int(self._targets.sizes[target])
            owners[target] = PointerOwner(
                base, size, claim.module, claim.class_name, claim.address, claim.place, rule, most
            )
        return owners


def _disjoint(modules: Iterable[CodeModule]) -> list[CodeModule]:
    """Sorts modules and cuts each off where the next one begins, so that no memory is searched twice."""
    ordered = sorted({module.base: module for module in modules}.values())
    following = [*(module.base for module in ordered), 1 << 64][1:]
    return [
        module._replace(size=min(module.size, after - module.base))
        for module, after in zip(ordered, following, strict=True)
    ]
