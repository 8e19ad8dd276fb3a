"""Finds `GcDacVars`, the structure in which the .NET garbage collector lists its variables for debuggers.

It lies among the variables of the runtime's module. In the release builds for Windows that were examined (.NET Core
3.1.23 and .NET 10.0.9, which export no `g_dacTable`) nothing points to it. It is therefore searched for, and accepted
only if nearly every word of it passes a check.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

from dumpmap.model.managed_heaps import DAC_VARS
from dumpmap.model.memory import Memory
from dumpmap.model.process import PeImage
from dumpmap.model.values import value_class
from dumpmap.structures.bounds import is_user_address, round_up
from dumpmap.structures.gc_roots import GcRoots, HeapRoots, pointer_at
from dumpmap.structures.layout import Layout
from dumpmap.structures.layouts import gc as layouts
from dumpmap.structures.pe import find_export, writable_ranges

MAX_DAC_TABLE = 1024
"""Most entries of g_dacTable that are read. About 150 were declared in 2024."""

MAX_HEAPS = 1024
"""Plausible number of heaps of a server collector: at most one for each processor."""

MAX_FREE_REGION_KINDS = 8
"""Most lists of free regions of one heap. There are three (basic, large, huge)."""

MAX_READS = 200_000
"""Most variables that are read on the way to all heaps."""

_HEAP_TYPES = (1, 2)  # GCHeapType: workstation, server
_MAX_GENERATION = 2

Ranges = Sequence[tuple[int, int]]
"""Addresses [start, end) in which a variable of the collector can lie."""


@value_class(frozen=True, slots=True)
class DacVars:
    """A `GcDacVars` that passed every check.

    Attributes:
        address: where it is.
        layout: the form it has.
        values: its fields. Some of the last ones are absent where the memory does not fit them.
    """

    address: int
    layout: Layout
    values: dict[str, int]

    @property
    def version(self) -> str:
        """Its own version."""
        return f"{self.values['major']}.{self.values['minor']}"


def find_dac_vars(memory: Memory, base: int, image: PeImage, variables: Ranges) -> DacVars | None:
    """Finds the `GcDacVars` of the runtime that is loaded at `base`.

    Args:
        memory: the process.
        base: where the runtime's module is loaded.
        image: its headers.
        variables: where its variables can be: its writable sections, and those of a standalone collector.
    """
    pointer_size = image.pointer_size
    table = find_export(memory, base, image, "g_dacTable")
    if table is not None:
        for address in _by_table(memory, table, pointer_size, variables):
            found = _validate(memory, address, pointer_size, variables)
            if found is not None:
                return found
    sizes = [size.to_bytes(pointer_size, "little") for size in layouts.GENERATION_SIZES if size % pointer_size == 0]
    for start, end in writable_ranges(base, image):
        addresses = range(round_up(start, pointer_size), end - 2 * pointer_size, pointer_size)
        for address in memory.find(addresses, pointer_size, sizes):
            found = _validate(memory, address, pointer_size, variables)
            if found is not None:
                return found
    return None


def _by_table(memory: Memory, table: int, pointer_size: int, variables: Ranges) -> Iterator[int]:
    """Yields the entries of g_dacTable right after `g_heap_type`, as in dacvars.h. The order of the table varies."""
    previous = pointer_at(memory.read(table, pointer_size))
    for index in range(1, MAX_DAC_TABLE):
        entry = pointer_at(memory.read(table + index * pointer_size, pointer_size))
        if previous is None or entry is None:
            return
        is_type = _is_in(previous, variables) and pointer_at(memory.read(previous, 4)) in _HEAP_TYPES
        target = pointer_at(memory.read(entry, pointer_size)) if is_type and _is_in(entry, variables) else None
        if target is not None and _is_in(target, variables):
            yield target
        previous = entry


def _is_in(address: int, ranges: Ranges) -> bool:
    return any(start <= address < end for start, end in ranges)


def _validate(memory: Memory, address: int, pointer_size: int, variables: Ranges) -> DacVars | None:
    """Reads a possible `GcDacVars` in each known form, until one fits in every word."""
    head = memory.read(address, pointer_size)
    if head is None or not head[0] or any(head[2:]):
        return None
    for layout in layouts.GC_DAC_VARS[pointer_size]:
        names = ("major", "minor", "generation_size", *layouts.DAC_POINTERS)
        if "total_generation_count" in layout.offsets:
            names = (*names, "total_generation_count")
        values = layout.part(*names).values(memory, address)
        if not values or values.get("total_generation_count", 5) != len(layouts.GENERATION_ORDER):
            continue
        if any(values[name] and not _is_in(values[name], variables) for name in layouts.DAC_POINTERS):
            continue
        if not _fits(memory, values):
            continue
        # The forms end in different places, so the rest is checked field by field.
        for name in (*layouts.DAC_TAIL, "count_free_region_kinds", "card_table_info_size"):
            if name in layout.offsets:
                values.update(layout.part(name).values(memory, address))
            if values.get(name) and name in layouts.DAC_TAIL and not _is_in(values[name], variables):
                del values[name]
        return DacVars(address, layout, values)
    return None


def _fits(memory: Memory, values: dict[str, int]) -> bool:
    """Checks the variables with values known in advance."""
    server = bool(values["n_heaps"] and values["g_heaps"])
    if not values["max_gen"] or not values["built_with_svr"] or server == bool(values["generation_table"]):
        return False
    return pointer_at(memory.read(values["max_gen"], 4)) == _MAX_GENERATION and pointer_at(
        memory.read(values["built_with_svr"], 1)
    ) in (0, 1)


def roots_of(memory: Memory, found: DacVars) -> GcRoots | str:
    """Follows the variables to the structures of the collector's heaps.

    Returns:
        the roots, or why there are none, in a few words.
    """
    values, pointer_size = found.values, found.layout.pointer_size
    reader = _Reader(memory, pointer_size)
    start_segment, allocation_start = _generation_offsets(memory, values, pointer_size)
    kinds = min(values.get("count_free_region_kinds", 0), MAX_FREE_REGION_KINDS)
    server = bool(values["n_heaps"])
    heaps: list[HeapRoots] = []
    if not server:
        chains = [*reader.free_lists(values.get("free_regions", 0), kinds)]
        chains += [reader.value(values.get(name, 0)) for name in ("freeable_soh_segment", "freeable_uoh_segment")]
        heaps.append(
            HeapRoots(
                index=None,
                generation_table=values["generation_table"],
                ephemeral=reader.value(values["ephemeral_heap_segment"]),
                alloc_allocated=reader.value(values["alloc_allocated"]),
                free_chains=tuple(chain for chain in chains if chain),
            )
        )
    else:
        count = pointer_at(memory.read(values["n_heaps"], 4))
        array = reader.value(values["g_heaps"])
        if not count or count > MAX_HEAPS or not is_user_address(array, pointer_size):
            return "its list of heaps is not in the dump" if count is None else "it lists no heaps"
        for index in range(count):
            heap = reader.value(array + index * pointer_size)
            roots = _server_heap(reader, heap, index, values, start_segment, kinds) if heap else None
            if roots is not None:
                heaps.append(roots)
        if not heaps:
            return f"none of its {count:,} heaps is in the dump"
    chains = reader.free_lists(values.get("global_regions_to_decommit", 0), kinds)
    chains += reader.free_lists(values.get("global_free_huge_regions", 0), 1)
    old = "total_generation_count" not in values
    return GcRoots(
        evidence=DAC_VARS,
        version=found.version,
        pointer_size=pointer_size,
        generation_size=values["generation_size"],
        generation_count=layouts.OLD_GENERATION_COUNT if old else values["total_generation_count"],
        start_segment=start_segment,
        allocation_start=allocation_start,
        segment=layouts.HEAP_SEGMENT[pointer_size],
        heaps=tuple(heaps),
        server=server,
        regions=None,
        bookkeeping=reader.value(values.get("bookkeeping_start", 0)),
        card_table=(layouts.CARD_TABLE_INFO_OLD if old else layouts.CARD_TABLE_INFO)[pointer_size],
        card_table_size=values.get("card_table_info_size", 0),
        mark_array=reader.value(values["mark_array"]) if old else 0,
        free_chains=tuple(chains),
        invalid_count=_signed(memory.read(values["gc_structures_invalid_cnt"], 4)),
    )


def _signed(data: bytes | None) -> int | None:
    return None if data is None else int.from_bytes(data, "little", signed=True)


@value_class(frozen=False, slots=True)
class _Reader:
    """Reads variables of one width, up to a limit that only a hostile dump reaches."""

    memory: Memory
    pointer_size: int
    left: int = MAX_READS

    def value(self, address: int) -> int:
        """The pointer-sized variable at `address`; 0 if the address is 0 or its bytes are missing."""
        self.left -= 1
        if not address or self.left < 0:
            return 0
        return pointer_at(self.memory.read(address, self.pointer_size)) or 0

    def free_lists(self, address: int, count: int) -> list[int]:
        """The first regions of `count` lists of free regions."""
        if not address:
            return []
        stride = layouts.REGION_FREE_LIST_WORDS * self.pointer_size
        head = layouts.REGION_FREE_LIST_HEAD * self.pointer_size
        return [first for index in range(count) if (first := self.value(address + index * stride + head))]


def _generation_offsets(memory: Memory, values: dict[str, int], pointer_size: int) -> tuple[int, int | None]:
    """Offsets of start_segment and allocation_start (None: absent) in a generation."""
    data = memory.read(values["generation_field_offsets"], 12) if values.get("generation_field_offsets") else None
    if data is not None:
        _, start, allocation = struct.unpack("<3i", data)
        if 0 < start <= values["generation_size"] - pointer_size:
            return start, allocation if 0 < allocation <= values["generation_size"] - pointer_size else None
    return layouts.GENERATION_OFFSETS_OLD[pointer_size]


def _server_heap(
    reader: _Reader, heap: int, index: int, values: dict[str, int], start_segment: int, kinds: int
) -> HeapRoots | None:
    """The roots of one heap of a server collector; None if no generation table is found in it."""
    if not values.get("gc_heap_field_offsets"):
        allocated, ephemeral, table = layouts.GC_HEAP_OLD[reader.pointer_size]
        return HeapRoots(index, heap + table, reader.value(heap + ephemeral), reader.value(heap + allocated))
    data = reader.memory.read(values["gc_heap_field_offsets"], 4 * layouts.FIELD_COUNT)
    if data is None:
        return None
    offsets = struct.unpack(f"<{layouts.FIELD_COUNT}i", data)

    def field_at(number: int) -> int:
        return reader.value(heap + offsets[number]) if offsets[number] >= 0 else 0

    ephemeral = field_at(layouts.FIELD_EPHEMERAL)
    for number in layouts.FIELD_GENERATION_TABLE:
        table = heap + offsets[number]
        starts = [
            reader.value(table + generation * values["generation_size"] + start_segment)
            for generation in layouts.GENERATION_ORDER
        ]
        # Generation 0 ends in the ephemeral segment, and every generation has a first segment.
        if offsets[number] <= 0 or not ephemeral or not all(starts) or not _leads_to(reader, starts[0], ephemeral):
            continue
        chains = [field_at(number + extra) for extra in (layouts.FIELD_FREEABLE_SOH, layouts.FIELD_FREEABLE_UOH)]
        lists = offsets[number + layouts.FIELD_FREE_REGIONS]
        chains += reader.free_lists(heap + lists if lists > 0 else 0, kinds)
        return HeapRoots(
            index, table, ephemeral, field_at(layouts.FIELD_ALLOC_ALLOCATED), tuple(chain for chain in chains if chain)
        )
    return None


def _leads_to(reader: _Reader, segment: int, wanted: int) -> bool:
    """Whether `wanted` is on the chain that begins with `segment`."""
    next_at = layouts.HEAP_SEGMENT[reader.pointer_size].offsets["Next"]
    seen: set[int] = set()
    while segment and segment not in seen:
        if segment == wanted:
            return True
        seen.add(segment)
        segment = reader.value(segment + next_at)
    return False
