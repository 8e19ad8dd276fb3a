"""What the .NET garbage collector publishes about itself, as it lies in process memory.

`GcDacVars` is a structure that the collector fills in for debuggers. It holds the addresses of the collector's
variables, in the order of https://github.com/dotnet/runtime/blob/main/src/coreclr/gc/gcinterface.dacvars.def.
`ContractDescriptor` is documented in
https://github.com/dotnet/runtime/blob/main/docs/design/datacontracts/contract-descriptor.md. The 64-bit offsets of the
forms without and with `total_generation_count` were verified on .NET Core 3.1.23 and .NET 10.0.9. The 32-bit offsets
follow from the same order with narrower pointers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dumpmap.structures.layout import POINTER, U8, U32, U64, Layout, declare

if TYPE_CHECKING:
    from dumpmap.structures.layout import FieldType

DESCRIPTOR_MAGIC = 0x0043414443434E44
"""ContractDescriptor.magic: `DNCCDAC` and a null byte, little-endian."""

DESCRIPTOR_FLAG_ALWAYS = 0x1
DESCRIPTOR_FLAG_NARROW = 0x2
"""ContractDescriptor.flags: the process's pointers are 32 bits wide."""

CONTRACT_DESCRIPTOR = declare(
    "ContractDescriptor",
    {4: 0x20, 8: 0x28},
    ("magic", U64, 0x00, 0x00),
    ("flags", U32, 0x08, 0x08),
    ("descriptor_size", U32, 0x0C, 0x0C),
    ("descriptor", POINTER, 0x10, 0x10),
    ("pointer_data_count", U32, 0x14, 0x18),
    ("pointer_data", POINTER, 0x1C, 0x20),
)

HEAP_SEGMENT = declare(
    "heap_segment",  # the prefix has been the same since the first CLR
    {4: 0x24, 8: 0x48},
    ("Allocated", POINTER, 0x00, 0x00),
    ("Committed", POINTER, 0x04, 0x08),
    ("Reserved", POINTER, 0x08, 0x10),
    ("Used", POINTER, 0x0C, 0x18),
    ("Mem", POINTER, 0x10, 0x20),
    ("Flags", POINTER, 0x14, 0x28),
    ("Next", POINTER, 0x18, 0x30),
    ("Heap", POINTER, 0x20, 0x40),  # of a server collector
)

HEAP_SEGMENT_OLD = declare(
    "heap_segment (CLR 1 and Rotor)",  # the next segment follows at once, and there are no flags
    {4: 0x24, 8: 0x48},
    ("Allocated", POINTER, 0x00, 0x00),
    ("Committed", POINTER, 0x04, 0x08),
    ("Reserved", POINTER, 0x08, 0x10),
    ("Used", POINTER, 0x0C, 0x18),
    ("Mem", POINTER, 0x10, 0x20),
    ("Next", POINTER, 0x14, 0x28),
)

SEGMENT_READ_ONLY = 0x1
"""heap_segment.flags: frozen objects, which are never collected or moved."""

CARD_TABLE_INFO = declare(
    "card_table_info",
    {4: 0x14, 8: 0x28},
    ("Recount", U32, 0x00, 0x00),
    ("Size", POINTER, 0x04, 0x08),
    ("NextCardTable", POINTER, 0x08, 0x10),
    ("LowestAddress", POINTER, 0x0C, 0x18),
    ("HighestAddress", POINTER, 0x10, 0x20),
)

CARD_TABLE_INFO_OLD = declare(
    "card_table_info (.NET Core 3.1)",
    {4: 0x20, 8: 0x40},
    ("Recount", U32, 0x00, 0x00),
    ("LowestAddress", POINTER, 0x04, 0x08),
    ("HighestAddress", POINTER, 0x08, 0x10),
    ("MarkArray", POINTER, 0x14, 0x28),
    ("Size", POINTER, 0x18, 0x30),
    ("NextCardTable", POINTER, 0x1C, 0x38),
)

REGION_FREE_LIST_WORDS = 7
REGION_FREE_LIST_HEAD = 5
"""region_free_list: its pointer-sized words, and the index of the word that points to the first region."""

GENERATION_ORDER = (0, 1, 2, 3, 4)
"""Generations 0, 1 and 2, large objects, pinned objects (since .NET 5)."""

OLD_GENERATION_COUNT = 4
"""Number of generations of a collector that does not state it: it has no pinned object heap yet."""

GENERATION_OFFSETS_OLD = {4: (0x28, 0x2C), 8: (0x38, 0x40)}
"""Offsets of start_segment and allocation_start in `generation`, for collectors without a table of offsets. Both follow
the allocation context."""

GC_HEAP_OLD = {4: (0x0, 0x4, 0xB0), 8: (0x0, 0x8, 0x158)}
"""Offsets of alloc_allocated, ephemeral_heap_segment, and generation_table in `gc_heap`, for collectors without a table
of offsets."""

FIELD_ALLOC_ALLOCATED, FIELD_EPHEMERAL = 0, 1
FIELD_GENERATION_TABLE = (18, 21)
"""Indexes into gc_heap_field_offsets. That of generation_table moved once; the next three follow it."""
FIELD_FREEABLE_SOH, FIELD_FREEABLE_UOH, FIELD_FREE_REGIONS = 1, 2, 3
FIELD_COUNT = 25
"""Entries of gc_heap_field_offsets that are read."""

_HEAD = ("build_variant", "built_with_svr", "gc_global_mechanisms", "generation_table", "max_gen", "mark_array")
_COMMON: tuple[str, ...] = (
    *_HEAD,
    "current_c_gc_state",
    "ephemeral_heap_segment",
    "saved_sweep_ephemeral_seg",
    "saved_sweep_ephemeral_start",
    "background_saved_lowest_address",
    "background_saved_highest_address",
    "alloc_allocated",
    "next_sweep_obj",
    "oom_info",
    "finalize_queue",
    "internal_root_array",
    "internal_root_array_index",
    "heap_analyze_success",
    "n_heaps",
    "g_heaps",
    "gc_structures_invalid_cnt",
    "interesting_data_per_heap",
    "compact_reasons_per_heap",
    "expand_mechanisms_per_heap",
    "interesting_mechanism_bits_per_heap",
    "handle_table_map",
)
_TAIL: tuple[str, ...] = (
    "gc_heap_field_offsets",
    "generation_field_offsets",
    "bookkeeping_start",
    "global_regions_to_decommit",
    "global_free_huge_regions",
    "free_regions",
    "freeable_soh_segment",
    "freeable_uoh_segment",
)
DAC_POINTERS = _COMMON
"""Fields of every form that are null or hold the address of a variable of the collector."""

DAC_TAIL = _TAIL
"""Such fields of the later forms, which may end before any of them."""


def _dac_vars(name: str, pointer_size: int, *, counts_generations: bool, numbers_first: bool, tail: bool) -> Layout:
    rows: list[tuple[str, FieldType, int]] = [("major", U8, 0), ("minor", U8, 1)]
    at = pointer_size
    numbers: list[tuple[str, FieldType, int]] = [
        ("total_bookkeeping_elements", U32, 4),
        ("count_free_region_kinds", U32, 4),
        ("card_table_info_size", POINTER, pointer_size),
    ]
    fields: list[tuple[str, FieldType, int]] = [("generation_size", POINTER, pointer_size)]
    if counts_generations:
        fields.append(("total_generation_count", POINTER, pointer_size))
    if numbers_first:
        fields += numbers
    fields += [(field, POINTER, pointer_size) for field in (*_COMMON, *(_TAIL if tail else ()))]
    if tail and not numbers_first:
        fields += numbers
    for field, kind, size in fields:
        rows.append((field, kind, at))
        at += size
    return Layout(name, at, pointer_size, rows)


GC_DAC_VARS = {
    pointer_size: (
        _dac_vars("GcDacVars", pointer_size, counts_generations=True, numbers_first=False, tail=True),
        _dac_vars("GcDacVars (interim)", pointer_size, counts_generations=True, numbers_first=True, tail=True),
        _dac_vars("GcDacVars (3.1)", pointer_size, counts_generations=False, numbers_first=False, tail=False),
    )
    for pointer_size in (4, 8)
}
"""The known forms, by pointer size. The content decides which form a runtime has, not its version."""

CARD_SHIFT = {4: 10, 8: 11}
"""The card table has one byte for every 2^n bytes of the collector's range: a card of 128 bytes (32-bit) or 256 bytes
(64-bit) takes one bit. `g_card_table` is where the byte of address 0 would be, far before the table."""

GENERATION_SIZES = range(0x40, 0x608, 4)
"""Plausible values of GcDacVars.generation_size, which is a multiple of the pointer size."""
