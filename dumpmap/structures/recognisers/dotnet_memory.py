"""Labels the memory of a .NET runtime that its collector does not manage: JIT code, stubs, loader heaps, handle tables.

VMMap counts such memory as Private Data or Shareable, and it keeps that type.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from dumpmap.model.evidence import EvidenceInfo
from dumpmap.model.kinds import KindInfo
from dumpmap.model.managed_heaps import BOOKKEEPING, ManagedHeap
from dumpmap.model.memory import unrecorded
from dumpmap.model.process import PeImage
from dumpmap.model.recognised import LabelledRange
from dumpmap.structures.clr_code import ranges_by_list, ranges_by_map
from dumpmap.structures.clr_handles import handle_segments
from dumpmap.structures.clr_loader_heaps import loader_heaps
from dumpmap.structures.contract import Contract, read_contract
from dumpmap.structures.gc_cards import bookkeeping_of
from dumpmap.structures.gc_dac_table import read_dac_table
from dumpmap.structures.gc_dac_vars import DacVars, find_dac_vars
from dumpmap.structures.gc_roots import pointer_at
from dumpmap.structures.layouts.clr import HANDLE_SEGMENT_SIZE
from dumpmap.structures.pe import find_export, writable_ranges
from dumpmap.structures.recognisers import DOTNET_EXPORTS
from dumpmap.structures.recognisers.protocol import Context, LoadedModule

JIT_CODE, STUB_HEAP = ".NET JIT code", ".NET stub heap"
LOADER_HEAP, HANDLE_TABLE = ".NET loader heap", ".NET handle table"
CARDS = ".NET GC bookkeeping"

CODE_RANGE, LOADER_BLOCKS, HANDLE_SEGMENT = "clr-code-range", "clr-loader-heap", "clr-handle-table"
CARD_HEADER = "clr-card-table"

_SOURCE = "The runtime's own structures."

KINDS: tuple[KindInfo, ...] = (
    KindInfo(JIT_CODE, None, "A heap of machine code that the JIT compiler wrote.", _SOURCE),
    KindInfo(STUB_HEAP, None, "Small pieces of code through which methods are called.", _SOURCE),
    KindInfo(LOADER_HEAP, None, "Descriptions of types and methods, and stubs.", _SOURCE),
    KindInfo(HANDLE_TABLE, None, "GC handles, through which the runtime and native code refer to objects.", _SOURCE),
    KindInfo(CARDS, None, "Card tables, brick tables, and mark bits that the collector does not publish.", _SOURCE),
)

EVIDENCE: tuple[EvidenceInfo, ...] = (
    EvidenceInfo(CODE_RANGE, "A range that the .NET runtime registered as code."),
    EvidenceInfo(LOADER_BLOCKS, "A loader heap of the .NET runtime, whose blocks agree with the memory map."),
    EvidenceInfo(HANDLE_SEGMENT, "A segment and its handle table of the .NET runtime name each other."),
    EvidenceInfo(
        CARD_HEADER, "The header of a card table agrees with the managed heap and three variables of the runtime."
    ),
)

STUB_HEAP_WORDS = 12
"""Words of a loader heap's object in which its next free byte is named."""

_TABLE_WORDS = 8
"""Words of a variable that may be pointers: some variables are lists that begin in place."""

_DESCRIPTOR = DOTNET_EXPORTS[1]


@dataclass
class Host:
    """A module that holds a .NET runtime.

    Attributes:
        context: the process.
        module: the module.
        image: its headers.
        variables: address ranges of the runtime's variables, and of those of a standalone collector.
    """

    context: Context
    module: LoadedModule
    image: PeImage
    variables: Sequence[tuple[int, int]]

    @cached_property
    def dac_vars(self) -> DacVars | None:
        """`GcDacVars`; None if no known form of it is in the memory."""
        return find_dac_vars(self.context.memory, self.module.base, self.image, self.variables)

    @cached_property
    def contract(self) -> Contract | str:
        """The contract descriptor, or why there is none."""
        memory, base = self.context.memory, self.module.base
        export = find_export(memory, base, self.image, _DESCRIPTOR)
        if export is None:
            return "the runtime exports no contract descriptor"
        found = read_contract(memory, export, self.image.pointer_size, (base, base + self.image.size_of_image))
        return f"contract descriptor: {found}" if isinstance(found, str) else found

    @cached_property
    def table(self) -> tuple[int, ...]:
        """Addresses of the variables in the table for debuggers; empty if there is none."""
        found = read_dac_table(self.context.memory, self.module.base, self.image)
        return () if isinstance(found, str) else found

    @cached_property
    def named_variables(self) -> list[tuple[int, int]]:
        """Address ranges of pointers that a description of the runtime names."""
        own = writable_ranges(self.module.base, self.image)
        width = self.image.pointer_size
        if isinstance(self.contract, Contract):
            named = self.contract.addresses.values()
            return [(address, address + width) for address in named if _is_in(address, own)]
        return [(entry, entry + _TABLE_WORDS * width) for entry in self.table if _is_in(entry, own)]


def _is_in(address: int, ranges: Iterable[tuple[int, int]]) -> bool:
    return any(start <= address < end for start, end in ranges)


def runtime_ranges(host: Host, heap: ManagedHeap | None, *, inferred: bool) -> list[LabelledRange]:
    """Finds the runtime's memory outside its managed heap. Without a memory map, nothing can be proved.

    Args:
        host: the module that holds the runtime.
        heap: its managed heap, which keeps its own labels.
        inferred: whether no such runtime has been confirmed.
    """
    if host.context.space.allocation(host.module.base) is None:
        return []
    taken = [(part.base, part.base + part.size) for part in heap.ranges] if heap is not None else []
    kept: list[LabelledRange] = []
    for base, size, kind, evidence in (*_handles(host), *_code(host), *_loader_heaps(host), *_cards(host, heap)):
        if any(start < base + size and base < end for start, end in taken):
            continue  # a code heap takes its block from a loader heap
        taken.append((base, base + size))
        kept.append(
            LabelledRange(
                base=base,
                size=size,
                kind=kind,
                evidence=evidence,
                details=host.module.name,
                inferred=inferred,
                may_be_mapped=True,
                owner=".NET",
                module=host.module.name,
            )
        )
    return sorted(kept, key=lambda part: part.base)


def _handles(host: Host) -> Iterator[tuple[int, int, str, str]]:
    found = host.dac_vars
    table_map = 0 if found is None else found.values.get("handle_table_map", 0)
    if table_map:
        context = host.context
        for segment in handle_segments(context.memory, context.space, table_map, host.image.pointer_size):
            yield segment, HANDLE_SEGMENT_SIZE, HANDLE_TABLE, HANDLE_SEGMENT


def _code(host: Host) -> Iterator[tuple[int, int, str, str]]:
    memory, space, width = host.context.memory, host.context.space, host.image.pointer_size
    if isinstance(host.contract, Contract):
        ranges = ranges_by_map(memory, space, host.contract)
    else:
        # The list is the first variable in every table that was seen. Its content decides.
        look = unrecorded(memory)
        head = next((entry for entry in host.table if ranges_by_list(look, space, entry, width)), 0)
        ranges = ranges_by_list(memory, space, head, width) if head else []
    for part in ranges:
        yield part.base, part.end - part.base, STUB_HEAP if part.stubs else JIT_CODE, CODE_RANGE


def _loader_heaps(host: Host) -> Iterator[tuple[int, int, str, str]]:
    context, width = host.context, host.image.pointer_size
    own = writable_ranges(host.module.base, host.image)
    images = [(module.base, module.base + module.size) for module in context.modules]
    stubs = _stub_heap(host)
    found = loader_heaps(context.memory, context.space, own, host.named_variables, images, width)
    for heap in sorted(found, key=lambda one: one.address):
        is_stubs = 0 <= heap.address - stubs < STUB_HEAP_WORDS * width
        for base, size in heap.blocks:
            yield base, size, STUB_HEAP if stubs and is_stubs else LOADER_HEAP, LOADER_BLOCKS


def _cards(host: Host, heap: ManagedHeap | None) -> Iterator[tuple[int, int, str, str]]:
    """The bookkeeping memory of a server collector, unless the collector publishes it."""
    if heap is None or not heap.server or any(part.kind == BOOKKEEPING for part in heap.ranges):
        return
    context, ranges = host.context, [(part.base, part.base + part.size) for part in heap.ranges]
    allocations, width = context.large_allocations, host.image.pointer_size
    found = bookkeeping_of(context.memory, allocations, host.variables, ranges, width)
    if found is not None:
        yield *found, CARDS, CARD_HEADER


def _stub_heap(host: Host) -> int:
    """Address of the stub heap of the runtime's own loader allocator, as the contract names it; 0 if it does not."""
    if not isinstance(host.contract, Contract):
        return 0
    width, memory = host.image.pointer_size, host.context.memory
    domain = pointer_at(memory.read(host.contract.addresses.get("SystemDomain", 0), width))
    allocator = host.contract.types.get("SystemDomain", {}).get("GlobalLoaderAllocator")
    heap = host.contract.types.get("LoaderAllocator", {}).get("StubHeap")
    if not domain or allocator is None or heap is None:
        return 0
    return pointer_at(memory.read(domain + allocator + heap, width)) or 0
