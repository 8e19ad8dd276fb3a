"""Heaps for synthetic processes: the writers, the PEB's array, damage, and a ready process.

    process = ProcessBuilder("x64", 19045).furnish()
    heap = nt_heap(process, segments=[SegmentSpec(0x100000), SegmentSpec(0x200000, 0x5000)])
    write_heap_array(process)
    dump = process.to_minidump().build()

Each writer returns a `HeapTruth` to compare a walker's findings with.
"""

from __future__ import annotations

from collections.abc import Sequence

from .nt_heap import (
    FRONT_END_LOOK_ASIDE,
    FRONT_END_LOW_FRAGMENTATION,
    FRONT_END_NONE,
    HEAP_CLASS_PRIVATE,
    HEAP_GROWABLE,
    SEGMENT_SIZE_CAP,
    LargeSpec,
    SegmentSpec,
    growing_segments,
    nt_heap,
)
from .other_heaps import page_heap, wine_heap, wine_subheaps
from .process import Module, ProcessBuilder
from .segment_heap import SEGMENT_HEAP_LAYOUTS, segment_heap, signature_key, variant_for
from .truth import HeapAllocation, HeapBlock, HeapTruth

__all__ = [
    "FRONT_END_LOOK_ASIDE",
    "FRONT_END_LOW_FRAGMENTATION",
    "FRONT_END_NONE",
    "HEAP_CLASS_PRIVATE",
    "HEAP_GROWABLE",
    "SEGMENT_HEAP_LAYOUTS",
    "SEGMENT_SIZE_CAP",
    "HeapAllocation",
    "HeapBlock",
    "HeapTruth",
    "LargeSpec",
    "SegmentSpec",
    "flip",
    "growing_segments",
    "lie_pointer",
    "make_cyclic",
    "many_heaps_x86",
    "nt_heap",
    "page_heap",
    "segment_heap",
    "signature_key",
    "truncate",
    "variant_for",
    "wine_heap",
    "wine_subheaps",
    "write_heap_array",
]

_ARRAY_IN_NTDLL = 0x400  # offset in ntdll's .data
_NTDLL_CAPACITY = 16  # MaximumNumberOfHeaps while the array is ntdll's own
_KB = 1024


def write_heap_array(
    process: ProcessBuilder,
    *,
    bits: int | None = None,
    heap_block_of: HeapTruth | None = None,
    array_captured: bool = True,
    process_heap: int | None = None,
    count: int | None = None,
    maximum: int | None = None,
) -> int:
    """Writes ProcessHeaps, NumberOfHeaps, MaximumNumberOfHeaps and ProcessHeap of a PEB.

    The array is in ntdll's .data, or in a heap block, where Windows moves it when it grows.

    Args:
        process: a process with ntdll and a PEB; the heaps listed are those laid out so far.
        bits: 32 or 64 picks the PEB of a WoW64 process.
        heap_block_of: the heap in one of whose blocks the array shall lie.
        array_captured: whether the dump holds the array's pages.
        process_heap: ProcessHeap; None takes the first heap.
        count: NumberOfHeaps, if it shall not be the true one.
        maximum: MaximumNumberOfHeaps; None takes 16, doubled until it suffices.

    Returns:
        The address of the array.

    Raises:
        ValueError: if the array does not fit where it shall lie.
    """
    bits = bits or 8 * process.pointer_size
    width = bits // 8
    heaps = process.heaps[bits]
    if maximum is None:
        maximum = _NTDLL_CAPACITY
        while maximum < len(heaps):
            maximum *= 2
    if heap_block_of is not None:
        address = heap_block_of.take_room(width * maximum)
    elif len(heaps) > _NTDLL_CAPACITY:
        raise ValueError("ntdll's own array holds 16 heaps: name a heap with heap_block_of")
    else:
        address = _ntdll(process, bits).sections[".data"][0] + _ARRAY_IN_NTDLL
    for index, heap in enumerate(heaps):
        process.pointer(address + index * width, heap, width)
    if not array_captured:
        process.drop_range(address, width * maximum)
    first = heaps[0] if heaps else 0
    process.set_peb("ProcessHeaps", address, bits)
    process.set_peb("NumberOfHeaps", len(heaps) if count is None else count, bits)
    process.set_peb("MaximumNumberOfHeaps", maximum, bits)
    process.set_peb("ProcessHeap", first if process_heap is None else process_heap, bits)
    return address


def _ntdll(process: ProcessBuilder, bits: int) -> Module:
    """Returns the ntdll of a width: in a WoW64 process the 64-bit one is above 4 GB."""
    for module in process.modules:
        if module.name.lower().endswith("\\ntdll.dll"):
            wrong = process.wow64 and (module.base >= 1 << 32) != (bits == 64)
            if not wrong:
                return module
    raise ValueError(f"the process has no {bits}-bit ntdll: call furnish or add_ntdll")


# --- damage ------------------------------------------------------------------------------------


def make_cyclic(process: ProcessBuilder, truth: HeapTruth, name: str, *, to: int = 1) -> None:
    """Turns a list into a loop: the last node points at node `to` and never at the head.

    Args:
        process: where.
        truth: the heap.
        name: a key of `truth.lists`, such as "SegmentList".
        to: index in the list; 1 is the first node, 0 would be the head.
    """
    ring = truth.lists[name]
    if len(ring) < 2:
        raise ValueError(f"{name} is empty")
    process.pointer(ring[-1], ring[to], truth.bits // 8)


def lie_pointer(process: ProcessBuilder, address: int, value: int, bits: int | None = None) -> int:
    """Overwrites a pointer in memory and returns its old value."""
    width = (bits or 8 * process.pointer_size) // 8
    old = process.read_pointer(address, width)
    process.pointer(address, value, width)
    return old


def truncate(dump: bytes, size: int) -> bytes:
    """Returns the first `size` bytes; a negative size cuts that many from the end."""
    return dump[:size]


def flip(dump: bytes, offset: int, mask: int = 0xFF) -> bytes:
    """Returns the dump with some bits of one byte inverted."""
    return dump[:offset] + bytes([dump[offset] ^ mask]) + dump[offset + 1 :]


# --- a ready process ---------------------------------------------------------------------------


def many_heaps_x86(process: ProcessBuilder) -> list[HeapTruth]:
    """Lays ten NT heaps with forty allocations into a 32-bit process.

    Modelled on a real map: the default heap grew to eight segments, up to the cap of 16,192 KB;
    two private heaps grew to four; eight heaps have a low-fragmentation front end of 108 KB; nine
    blocks were too large for any segment.

    Args:
        process: a furnished 32-bit process without heaps.

    Returns:
        The ten heaps, in the order of the PEB's array.
    """
    truths = [_default_heap(process)]
    grown = [64 * _KB, 1024 * _KB, 2048 * _KB, 4096 * _KB]
    large = {
        1: [LargeSpec(570_000), LargeSpec(2_100_000, offset=0x3000)],
        3: [LargeSpec(600_000)],
        7: [LargeSpec(1_000_000, offset=0x7000), LargeSpec(530_001)],
        9: [LargeSpec(4_000_000, tail=0x5000)],
    }
    for index in range(1, 10):
        sizes = grown if index in (1, 7) else [64 * _KB]
        truths.append(
            nt_heap(
                process,
                segments=_specs(sizes, index),
                large=large.get(index, []),
                front_end=FRONT_END_NONE if index in (4, 6) else FRONT_END_LOW_FRAGMENTATION,
                flags=HEAP_CLASS_PRIVATE | HEAP_GROWABLE,
            )
        )
    write_heap_array(process)
    return truths


def _default_heap(process: ProcessBuilder) -> HeapTruth:
    """The process heap: eight segments; the last one is almost unused."""
    sizes = growing_segments(8)
    specs = [SegmentSpec(size) for size in sizes[:-1]]
    holes = ((0x40000, 0x3000), (0x90000, 0x10000))
    specs[2] = SegmentSpec(sizes[2], None, holes)
    specs.append(SegmentSpec(sizes[-1], 0x123000))
    return nt_heap(
        process,
        segments=specs,
        large=[LargeSpec(576 * _KB - 0x20), LargeSpec(2_097_152, tail=0x1000), LargeSpec(520_193)],
        front_end=FRONT_END_LOW_FRAGMENTATION,
    )


def _specs(sizes: Sequence[int], salt: int) -> list[SegmentSpec]:
    """Commits all segments completely but the last, whose committed part differs by heap."""
    specs = [SegmentSpec(size) for size in sizes[:-1]]
    specs.append(SegmentSpec(sizes[-1], 0x2000 + 0x1000 * salt))
    return specs
