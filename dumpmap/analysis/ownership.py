"""Ownership: the owner of every block and of every allocation of a map, as columns.

Rules claim memory for owners, the most certain rule first; what one rule claimed no later rule takes. A rule is a
function from a map to claims, so a new one is a line in `RULES`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from dumpmap.classify.named import evidence_of
from dumpmap.model.evidence import SAME_ALLOCATION
from dumpmap.model.heaps import Heap
from dumpmap.model.pieces import BlockColumns
from dumpmap.model.pointers import PointerSearch
from dumpmap.model.recognised import LabelledRange
from dumpmap.model.region_map import RegionMap
from dumpmap.model.snapshot import I32
from dumpmap.model.types import RegionType
from dumpmap.model.values import value_class
from dumpmap.model.winnt import MemType

WINDOWS = "Windows"
"""Owner of environment blocks and other structures that the system itself places."""

STACKS = "Thread stacks"

NOBODY = -1
"""The code of memory without an owner."""

Flags = npt.NDArray[np.bool_]

_LAST = (1 << 64) - 1


@value_class(frozen=True, slots=True)
class OwnerName:
    """Who an owner is.

    Attributes:
        owner: who: `V8`, `Java heap`, `NT heap 3`, `foo.dll`.
        module: file name of the module that holds the owner's code; empty if there is none.
        instance: which isolate, virtual machine, or heap; empty if there is only one.
    """

    owner: str
    module: str = ""
    instance: str = ""

    @property
    def family(self) -> str:
        """The owner without an address, which another process has elsewhere: `Segment heap` of `Segment heap 0x1f0`."""
        return self.owner.removesuffix(f" {self.instance}")


NO_OWNER = OwnerName("")


@value_class(frozen=True, slots=True)
class Proof:
    """What proves a claim: a word of evidence, and the address of the structure that it was read from."""

    evidence: str
    address: int


@value_class(frozen=True, slots=True)
class Claim:
    """Memory that a rule gives to an owner, unless another claim was first.

    Attributes:
        name: the owner.
        ranges: (base, size) of the memory.
        proof: what proves it.
        inferred: established by a guess, not by a recorded fact.
        type: take blocks of this type only; of any type if None.
        shares: what else lies in an allocation is taken for the owner's too, if nobody else has a part of it.
    """

    name: OwnerName
    ranges: Sequence[tuple[int, int]]
    proof: Proof
    inferred: bool = False
    type: RegionType | None = None
    shares: bool = False


Rule = Callable[[RegionMap], Iterable[Claim]]


@dataclass(frozen=True, eq=False)
class Ownership:
    """The owners of a map's blocks; a row is one of `block_columns`.

    Attributes:
        rows: the blocks.
        names: the owners.
        claims: all claims.
        owner: index into `names` by row, or `NOBODY`.
        claim: index into `claims` by row, or `NOBODY`. What a claim leaves of its allocation has the owner only.
        inferred: by row, whether the owner was inferred.
    """

    rows: BlockColumns
    names: tuple[OwnerName, ...]
    claims: tuple[Claim, ...]
    owner: I32
    claim: I32
    inferred: Flags

    @cached_property
    def rest(self) -> Flags:
        """Rows that have an owner only because of the other parts of their allocation."""
        only: Flags = (self.owner != NOBODY) & (self.claim == NOBODY)
        return only

    @cached_property
    def of_allocations(self) -> I32:
        """Index into `names` by allocation. Of an allocation with several owners it is the one with most bytes."""
        rows = self.rows
        count = int(rows.allocation[-1]) + 1 if len(rows.allocation) else 0
        owners = np.full(count, NOBODY, np.int32)
        (owned,) = np.nonzero(self.owner != NOBODY)
        keys = rows.allocation[owned].astype(np.int64) * len(self.names) + self.owner[owned]
        pairs, place = np.unique(keys, return_inverse=True)
        sizes = np.bincount(place, weights=rows.size[owned].astype(np.float64), minlength=len(pairs))
        allocation, code = np.divmod(pairs, max(len(self.names), 1))
        order = np.lexsort((-code, sizes, allocation))  # the last of an allocation is its largest
        owners[allocation[order]] = code[order]
        return owners

    def name_at(self, row: int) -> OwnerName:
        """Returns the owner of a row."""
        code = int(self.owner[row])
        return NO_OWNER if code == NOBODY else self.names[code]

    def proof_at(self, row: int) -> Proof | None:
        """Returns what proves the owner of a row; None if it has none, or only through its allocation."""
        index = int(self.claim[row])
        return None if index == NOBODY else self.claims[index].proof


@value_class(frozen=True, slots=True)
class OwnerAt:
    """The owner of an address.

    Attributes:
        name: who.
        inferred: whether that was inferred.
        evidence: the word of evidence.
        proof: what proves it; None if only the other parts of the allocation do.
        others: other owners of the same allocation, those with an earlier part first.
    """

    name: OwnerName
    inferred: bool
    evidence: str
    proof: Proof | None
    others: tuple[OwnerName, ...]


_KNOWN: WeakKeyDictionary[RegionMap, Ownership] = WeakKeyDictionary()


def ownership_of(region_map: RegionMap) -> Ownership:
    """Returns the owners of a map's blocks by structure, and by the pointers that the map has."""
    known = _KNOWN.get(region_map)
    if known is None:
        known = assign(region_map, [claim for rule in RULES for claim in rule(region_map)])
        if region_map.pointers is not None:
            known = add_claims(known, list(_held(region_map, region_map.pointers)))
        _KNOWN[region_map] = known
    return known


def assign(region_map: RegionMap, claims: Sequence[Claim]) -> Ownership:
    """Gives every block the owner of the first claim that covers its start, then the rest of shared allocations."""
    rows = region_map.block_columns
    nobody = np.full(len(rows.base), NOBODY, np.int32)
    ownership = Ownership(rows, (), (), nobody, nobody, np.zeros(len(rows.base), np.bool_))
    return _with_rest(add_claims(ownership, claims))


def add_claims(ownership: Ownership, claims: Sequence[Claim]) -> Ownership:
    """Gives every block that nobody owns the owner of the first of further claims that covers its start."""
    covering = _covering(ownership.rows, claims)
    taken = (ownership.owner == NOBODY) & (covering != NOBODY)
    names = tuple(dict.fromkeys((*ownership.names, *(one.name for one in claims))))
    code_of = {name: code for code, name in enumerate(names)}
    codes = np.array([*(code_of[one.name] for one in claims), NOBODY], np.int32)
    guessed = np.array([*(one.inferred for one in claims), False], np.bool_)
    return Ownership(
        ownership.rows,
        names,
        (*ownership.claims, *claims),
        np.where(taken, codes[covering], ownership.owner),
        np.where(taken, covering + len(ownership.claims), ownership.claim).astype(np.int32),
        ownership.inferred | (taken & (guessed[covering] | ownership.rows.inferred)),
    )


def _covering(rows: BlockColumns, claims: Sequence[Claim]) -> I32:
    """Returns for every block the index of the first claim that covers its start, or `NOBODY`."""
    claim = np.full(len(rows.base), NOBODY, np.int32)
    spans = [(base, min(base + size, _LAST)) for one in claims for base, size in one.ranges]
    edges = np.array(spans, np.uint64).reshape(-1, 2)
    places = iter(np.searchsorted(rows.base, edges, side="left").tolist()[::-1])
    # Backwards, so that the first of two claims stays.
    for index in range(len(claims) - 1, -1, -1):
        region_type = claims[index].type
        for _ in claims[index].ranges:
            first, last = next(places)
            mine = claim[first:last]
            if region_type is None:
                mine[:] = index
            else:
                mine[rows.type[first:last] == region_type] = index
    return claim


def _with_rest(ownership: Ownership) -> Ownership:
    """Gives what has no owner in an allocation to the one owner that proved other parts of it to be its own."""
    sharing = {one.name for one in ownership.claims if one.shares}
    if not sharing:
        return ownership
    names, allocation = list(ownership.names), ownership.rows.allocation
    owner, inferred = ownership.owner.copy(), ownership.inferred.copy()
    proved = np.isin(owner, [code for code, name in enumerate(names) if name in sharing])
    for index in np.unique(allocation[proved & np.isin(allocation, allocation[owner == NOBODY])]).tolist():
        first, last = ownership.rows.of_allocation(index)
        owners = set(owner[first:last].tolist()) - {NOBODY}
        if len({(names[code].owner, names[code].module) for code in owners}) != 1:
            continue
        # Isolates and heaps of one runtime may share a reservation: its rest belongs to none of them.
        name = names[min(owners)]
        if len(owners) > 1:
            name = OwnerName(name.owner, name.module)
        if name not in names:
            names.append(name)
        mine = owner[first:last] == NOBODY
        owner[first:last][mine] = names.index(name)
        inferred[first:last] |= mine
    return replace(ownership, names=tuple(names), owner=owner, inferred=inferred)


def owner_at(region_map: RegionMap, address: int) -> OwnerAt | None:
    """Returns the owner of an address; None if it has none."""
    ownership = ownership_of(region_map)
    rows = ownership.rows
    row = int(np.searchsorted(rows.base, np.uint64(address), side="right")) - 1
    if row < 0 or address >= int(rows.base[row]) + int(rows.size[row]) or ownership.owner[row] == NOBODY:
        return None
    name, proof = ownership.name_at(row), ownership.proof_at(row)
    first, last = rows.of_allocation(int(rows.allocation[row]))
    codes = dict.fromkeys(ownership.owner[first:last].tolist())
    return OwnerAt(
        name,
        bool(ownership.inferred[row]),
        SAME_ALLOCATION if proof is None else proof.evidence,
        proof,
        tuple(ownership.names[code] for code in codes if code not in (NOBODY, ownership.owner[row])),
    )


# ---------------------------------------------------------------- rules


def _recognised(region_map: RegionMap) -> Iterator[Claim]:
    """What the recognisers of runtimes and allocators found."""
    for found in region_map.structures.found:
        for part in found.ranges:
            if part.owner:
                yield Claim(
                    name_of(part),
                    ((part.base, part.size),),
                    Proof(part.evidence, part.base),
                    inferred=part.inferred,
                    shares=True,
                )


def name_of(part: LabelledRange) -> OwnerName:
    """Returns the owner of what a recogniser found."""
    return OwnerName(part.owner, part.module, part.instance)


def _heaps(region_map: RegionMap) -> Iterator[Claim]:
    """Heaps in the Windows sense, by their allocations."""
    for heap in region_map.heaps:
        yield Claim(heap_owner(heap), heap.allocations, Proof(heap.evidence, heap.info.address))


def heap_owner(heap: Heap) -> OwnerName:
    """Returns a heap as an owner: `NT heap 3`, `Wine heap 0x940000`, or the name that a heap stream gives it."""
    instance = f"0x{heap.info.address:x}"
    family = heap_family(heap)
    return OwnerName(family if heap.name or heap.info.id is not None else f"{family} {instance}", "", instance)


def heap_family(heap: Heap) -> str:
    """Returns the owner of a heap without an address: `NT heap 3`, `Wine heap`."""
    if heap.name:
        return heap.name if "heap" in heap.name.lower() else f"{heap.name} (heap)"
    kind = heap.info.kind.partition(" (")[0]
    if kind == "unknown":
        kind = "Heap"
    return kind if heap.info.id is None else f"{kind} {heap.info.id}"


def _modules(region_map: RegionMap) -> Iterator[Claim]:
    """Loaded modules."""
    for module in region_map.snapshot.modules:
        index = region_map.space.index_of(module.base)
        if index >= 0:
            yield Claim(
                OwnerName(module.name, module.name),
                (_allocation(region_map, index),),
                Proof("module-list", module.base),
                type=RegionType.IMAGE,
            )


def _stacks(region_map: RegionMap) -> Iterator[Claim]:
    for stack in region_map.stacks:
        proof = Proof(stack.evidence.partition("+")[0], stack.teb or stack.stack_pointer or stack.base)
        yield Claim(OwnerName(STACKS), ((stack.base, stack.end - stack.base),), proof)


def _named(region_map: RegionMap) -> Iterator[Claim]:
    """What the system places."""
    for evidence, address in system_places(region_map):
        index = region_map.space.index_of(address)
        if index >= 0:
            yield Claim(OwnerName(WINDOWS), (_allocation(region_map, index),), Proof(evidence, address))


def system_places(region_map: RegionMap) -> Iterator[tuple[str, int]]:
    """Yields evidence and address of environment blocks, NLS tables, and whatever else the PEB points to."""
    structures = region_map.structures
    evidence = [evidence_of(region) for region in structures.named]
    evidence += ["peb"] * len(structures.pebs) + ["teb"] * len(structures.tebs)
    yield from zip(evidence, system_addresses(region_map), strict=True)


def system_addresses(region_map: RegionMap) -> list[int]:
    """Returns the addresses of `system_places`."""
    structures = region_map.structures
    named = [region.address for region in structures.named]
    return [*named, *(peb.address for peb in structures.pebs), *(teb.address for teb in structures.tebs)]


def _held(region_map: RegionMap, pointers: PointerSearch) -> Iterator[Claim]:
    """Allocations that a module, a thread, or an object holds a pointer to. They take what no structure names."""
    space = region_map.space
    for held in pointers.owners:
        index = space.index_of(held.base)
        # A snapshot can state anything.
        if index >= 0 and int(space.bases[index]) == held.base and space.kinds[index] == int(MemType.MEM_PRIVATE):
            name = OwnerName(held.owner, held.module, held.instance)
            yield Claim(name, (_allocation(region_map, index),), Proof(held.rule, held.pointer), inferred=True)


def _allocation(region_map: RegionMap, index: int) -> tuple[int, int]:
    base = int(region_map.space.bases[index])
    return base, int(region_map.space.ends[index]) - base


RULES: tuple[Rule, ...] = (_recognised, _heaps, _modules, _stacks, _named)
"""The rules, the most certain first."""
