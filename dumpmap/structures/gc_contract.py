"""Reads the garbage collector's part of a contract descriptor, which .NET 11 added.

Names and meanings are those of docs/design/datacontracts/GC.md in dotnet/runtime. Every item beyond the generations is
optional, because the first previews lack some.
"""

from __future__ import annotations

from dumpmap.model.managed_heaps import CONTRACT
from dumpmap.model.memory import Memory
from dumpmap.structures.bounds import is_user_address
from dumpmap.structures.contract import Contract
from dumpmap.structures.gc_dac_vars import MAX_FREE_REGION_KINDS, MAX_HEAPS
from dumpmap.structures.gc_roots import GcRoots, HeapRoots, pointer_at
from dumpmap.structures.layout import POINTER, U32, Layout
from dumpmap.structures.layouts import gc as layouts

_SEGMENT_FIELDS = ("Mem", "Allocated", "Committed", "Reserved", "Flags", "Next")
_CARD_FIELDS = ("Size", "NextCardTable")
MAX_OFFSET = 0x1000
"""Plausible offset of a field in a segment. Each segment is read whole, and there can be many."""

MAX_GENERATIONS = 16
"""Plausible number of generations of one heap. There are five."""


def contract_roots(memory: Memory, contract: Contract) -> GcRoots | str:
    """Follows a contract descriptor to the structures of the collector's heaps.

    Returns:
        the roots, or why there are none, in a few words.
    """
    reader = _Globals(memory, contract)
    segment_type, generation_type = reader.type("HeapSegment"), reader.type("Generation")
    if not segment_type and not generation_type:
        return "it does not describe the garbage collector"
    stride = generation_type.get("!", 0)
    if any(name not in segment_type for name in _SEGMENT_FIELDS) or "StartSegment" not in generation_type or not stride:
        return "its description of the garbage collector is incomplete"
    pointer_size = contract.pointer_size
    try:
        segment = _layout("HeapSegment", pointer_size, {name: segment_type[name] for name in _SEGMENT_FIELDS})
    except ValueError:
        return "its description of the garbage collector is implausible"
    identifiers = {text.strip() for text in str(contract.values.get("GCIdentifiers", "")).split(",")}
    server = "server" in identifiers
    count = contract.values.get("TotalGenerationCount", len(layouts.GENERATION_ORDER))
    heaps = reader.server_heaps() if server else reader.workstation_heap()
    if isinstance(heaps, str):
        return heaps
    card_type = {name: offset for name, offset in reader.type("CardTableInfo").items() if name != "!"}
    has_cards = all(name in card_type for name in _CARD_FIELDS)
    cards = layouts.CARD_TABLE_INFO[pointer_size]
    if has_cards:
        # The contract lacks the bounds of the range. They are where runtimes with GcDacVars have them, or are rejected.
        wanted = {"Recount": card_type.get("Recount", 0), **{name: card_type[name] for name in _CARD_FIELDS}}
        for name in ("LowestAddress", "HighestAddress"):
            wanted[name] = card_type.get(name, cards.offsets[name])
        try:
            cards = _layout("CardTableInfo", pointer_size, wanted)
        except ValueError:
            has_cards = False
    invalid = reader.variable("StructureInvalidCount", 4)
    return GcRoots(
        evidence=CONTRACT,
        version=contract.version,
        pointer_size=pointer_size,
        generation_size=stride,
        generation_count=min(count, MAX_GENERATIONS) if isinstance(count, int) else len(layouts.GENERATION_ORDER),
        start_segment=generation_type["StartSegment"],
        allocation_start=generation_type.get("AllocationStart"),
        segment=segment,
        heaps=tuple(heaps),
        server=server,
        regions="regions" in identifiers if identifiers & {"regions", "segments"} else None,
        bookkeeping=reader.pointer("BookkeepingStart") if has_cards else 0,
        card_table=cards,
        card_table_size=reader.number("CardTableInfoSize"),
        free_chains=(
            *reader.free_lists(reader.address("GlobalRegionsToDecommit"), reader.kinds()),
            *reader.free_lists(reader.address("GlobalFreeHugeRegions"), 1),
        ),
        invalid_count=invalid,
    )


def _layout(name: str, pointer_size: int, offsets: dict[str, int]) -> Layout:
    """Makes a layout from a descriptor's offsets.

    Raises:
        ValueError: two fields overlap, or one is too far away.
    """
    if max(offsets.values()) > MAX_OFFSET:
        raise ValueError(f"{name} has a field at {max(offsets.values()):#x}")
    rows = [(field, U32 if field == "Recount" else POINTER, offset) for field, offset in offsets.items()]
    layout = Layout(name, max(offsets.values()) + pointer_size, pointer_size, rows)
    assert layout.declaration is not None  # noqa: S101
    return layout


class _Globals:
    """Reads the globals of a contract."""

    def __init__(self, memory: Memory, contract: Contract) -> None:
        self._memory = memory
        self._contract = contract

    def type(self, name: str) -> dict[str, int]:
        return self._contract.types.get(name, {})

    def address(self, name: str) -> int:
        """The address of a variable; 0 if there is no such variable."""
        return self._contract.addresses.get(name, 0)

    def variable(self, name: str, size: int) -> int | None:
        """The content of a variable; None if it is missing."""
        address = self.address(name)
        return pointer_at(self._memory.read(address, size)) if address else None

    def pointer(self, name: str) -> int:
        return self.variable(name, self._contract.pointer_size) or 0

    def number(self, name: str) -> int:
        value = self._contract.values.get(name, 0)
        return value if isinstance(value, int) else 0

    def kinds(self) -> int:
        return max(0, min(self.number("CountFreeRegionKinds"), MAX_FREE_REGION_KINDS))

    def at(self, address: int) -> int:
        return pointer_at(self._memory.read(address, self._contract.pointer_size)) or 0

    def free_lists(self, address: int, count: int) -> list[int]:
        """The first regions of `count` lists of free regions."""
        fields = self.type("RegionFreeList")
        stride, head = fields.get("!", 0), fields.get("HeadFreeRegion")
        if not address or not stride or head is None:
            return []
        return [first for index in range(count) if (first := self.at(address + index * stride + head))]

    def workstation_heap(self) -> list[HeapRoots] | str:
        table = self.address("GCHeapGenerationTable")
        if not table:
            return "it names no generations"
        chains = self.free_lists(self.address("GCHeapFreeRegions"), self.kinds())
        chains += [self.pointer("GCHeapFreeableSohSegment"), self.pointer("GCHeapFreeableUohSegment")]
        return [
            HeapRoots(
                index=None,
                generation_table=table,
                ephemeral=self.pointer("GCHeapEphemeralHeapSegment"),
                alloc_allocated=self.pointer("GCHeapAllocAllocated"),
                free_chains=tuple(chain for chain in chains if chain),
            )
        ]

    def server_heaps(self) -> list[HeapRoots] | str:
        fields = self.type("GCHeap")
        count, array = self.variable("NumHeaps", 4), self.pointer("Heaps")
        size = self._contract.pointer_size
        if "GenerationTable" not in fields or not count or count > MAX_HEAPS or not is_user_address(array, size):
            return "it lists no heaps"
        heaps = []
        for index in range(count):
            heap = self.at(array + index * size)
            if not heap:
                continue
            lists = heap + fields["FreeRegions"] if "FreeRegions" in fields else 0
            chains = self.free_lists(lists, self.kinds())
            chains += [
                self.at(heap + fields[name]) for name in ("FreeableSohSegment", "FreeableUohSegment") if name in fields
            ]
            heaps.append(
                HeapRoots(
                    index=index,
                    generation_table=heap + fields["GenerationTable"],
                    ephemeral=self.at(heap + fields["EphemeralHeapSegment"]) if "EphemeralHeapSegment" in fields else 0,
                    alloc_allocated=self.at(heap + fields["AllocAllocated"]) if "AllocAllocated" in fields else 0,
                    free_chains=tuple(chain for chain in chains if chain),
                )
            )
        return heaps or f"none of its {count:,} heaps is in the dump"
