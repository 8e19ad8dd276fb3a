"""Writes page heaps (full page heap of the debug heap) and Wine's heaps into a process."""

from __future__ import annotations

from collections.abc import Sequence

from . import layouts
from .minidump import PAGE_NOACCESS, PAGE_READONLY, PAGE_READWRITE
from .nt_heap import HEAP_CLASS_PRIVATE, SegmentSpec, nt_heap
from .nt_layouts import SEGMENT_SIGNATURE, nt_heap_layout
from .process import ProcessBuilder
from .space import PAGE
from .truth import HeapTruth

PAGE_HEAP_SIGNATURE = 0xFFEEDDCC
PAGE_HEAP_GLOBAL_FLAG = 0x02000000
_PAGE_HEAP_FILLER = b"\xee"
_PAGE_HEAP_RESERVE = 0x100000
_POOL_PAGES = 4

# Fields of _DPH_HEAP_ROOT: (x86, x64). XP's NormalHeap has a place of its own.
_ROOT = {
    "Signature": (0x0, 0x0),
    "HeapFlags": (0x4, 0x4),
    "nVirtualStorageBytes": (0x24, 0x30),
    "NextHeap": (0xA4, 0x138),
    "NormalHeap": (0xB4, 0x150),
}
_NORMAL_HEAP_XP = 0x88


def page_heap(
    process: ProcessBuilder,
    *,
    build: int | None = None,
    allocations: int = 8,
    more_reserves: int = 0,
    normal_segments: tuple[SegmentSpec, ...] = (SegmentSpec(0x10000, 0x4000),),
    set_global_flag: bool = True,
    listed: bool = True,
) -> tuple[HeapTruth, HeapTruth]:
    """Lays a full page heap into the process; the PEB's array names its normal heap.

    The handle's page holds filler but for two flags; the root follows one page behind, then the
    pool of records, then the allocations: a page to write and a page of no access each.

    Args:
        process: where.
        build: Windows build of the layout; None takes the process's.
        allocations: number of page-heap allocations.
        more_reserves: further reserves of 1 MB with allocations; nothing that is known leads
            from the root to them.
        normal_segments: segments of the normal heap.
        set_global_flag: whether to set the flag in the PEB.
        listed: whether the PEB's array will name the normal heap.

    Returns:
        The page heap (its id is 0: the array does not name it) and its normal heap.
    """
    width = process.pointer_size
    build = process.build if build is None else build
    normal = nt_heap(
        process,
        build=build,
        segments=normal_segments,
        flags=HEAP_CLASS_PRIVATE | 2,
        listed=listed,
    )
    truth = HeapTruth(0, 0, "page", 8 * width, HEAP_CLASS_PRIVATE | 2)
    truth.address = process.allocate(_PAGE_HEAP_RESERVE, commit=(2 + _POOL_PAGES) * PAGE)
    _write_handle_page(process, truth, build)
    _write_root(process, truth, normal.address, build)
    # The critical section is 0x4000 bytes after the root, in the pool.
    _write_stripes(process, truth.address + (2 + _POOL_PAGES) * PAGE, allocations)
    truth.add(process, truth.address, "page heap")
    for _ in range(more_reserves):
        reserve = process.allocate(_PAGE_HEAP_RESERVE, commit=0)
        _write_stripes(process, reserve, allocations)
        truth.add(process, reserve, "page heap")
    if set_global_flag:
        process.set_peb("NtGlobalFlag", PAGE_HEAP_GLOBAL_FLAG)
    return truth, normal


def _write_handle_page(process: ProcessBuilder, truth: HeapTruth, build: int) -> None:
    layout = nt_heap_layout(build, process.pointer_size)
    process.write(truth.address, _PAGE_HEAP_FILLER * PAGE)
    for name in ("Flags", "ForceFlags"):
        process.number(truth.address + layout.heap[name], truth.flags, 4)
    process.protect(truth.address, PAGE, PAGE_READONLY)


def _write_root(process: ProcessBuilder, truth: HeapTruth, normal: int, build: int) -> None:
    wide = process.pointer_size == 8
    root = truth.address + PAGE
    truth.fields = {name: root + row[wide] for name, row in _ROOT.items()}
    if build < layouts.BUILD_2003 and not wide:
        truth.fields["NormalHeap"] = root + _NORMAL_HEAP_XP
    fields = truth.fields
    process.number(fields["Signature"], PAGE_HEAP_SIGNATURE, 4)
    process.number(fields["HeapFlags"], truth.flags, 4)
    process.pointer(fields["nVirtualStorageBytes"], _PAGE_HEAP_RESERVE)
    process.pointer(fields["NextHeap"], fields["NextHeap"])
    process.pointer(fields["NextHeap"] + process.pointer_size, fields["NextHeap"])
    process.pointer(fields["NormalHeap"], normal)


def _write_stripes(process: ProcessBuilder, start: int, count: int) -> None:
    for index in range(count):
        page = start + 2 * index * PAGE
        process.commit(page, PAGE, PAGE_READWRITE)
        process.commit(page + PAGE, PAGE, PAGE_NOACCESS)
        process.number(page, 0xABCDBBBB, 4)


def wine_heap(
    process: ProcessBuilder,
    *,
    size: int = 0x110000,
    committed: int = 0x20000,
    magic: bytes = b"HEAP",
    flags: int = 2,
) -> HeapTruth:
    """Lays Wine's look-alike into the process: right signature, no back pointer, own magic.

    It becomes PEB.ProcessHeap; the PEB's array stays empty, as in Wine's dumps.

    Args:
        process: where.
        size: bytes of its allocation.
        committed: committed bytes.
        magic: the four bytes of the heap's magic.
        flags: Flags.
    """
    wide = process.pointer_size == 8
    address = process.allocate(size, commit=committed)
    truth = HeapTruth(0, address, "wine", 8 * process.pointer_size, flags)
    process.number(address + (0x10 if wide else 0x8), SEGMENT_SIGNATURE, 4)
    process.number(address + (0x70 if wide else 0x40), flags, 4)
    process.write(address + (0xB8 if wide else 0x68), magic)
    process.set_peb("ProcessHeap", address)
    process.set_peb("NumberOfHeaps", 0)
    truth.add(process, address, "segment")
    return truth


def wine_subheaps(process: ProcessBuilder, heap: int, types: Sequence[int], *, size: int = 0x100000) -> list[int]:
    """Links subheaps to a heap of Wine's, one per type of first block, and returns their addresses.

    Each is an allocation with 64 KB committed, of which the header and the first block are written.
    """
    wide = process.pointer_size == 8
    word, entry = process.pointer_size, 0x20 if wide else 0x0C
    head = heap + (0x88 if wide else 0x50)
    subheaps = [process.allocate(size, commit=0x10000) for _ in types]
    ring = [head, *(base + entry for base in subheaps), head]
    process.number(head, ring[1], word)
    process.number(head + word, ring[-2], word)
    header = 0x38 if wide else 0x18
    for index, (base, kind) in enumerate(zip(subheaps, types, strict=True), 1):
        process.number(base + entry - 2 * word, size - header, word)
        process.number(base + entry - word, 0x10000 - header - 8, word)
        process.number(base + entry, ring[index + 1], word)
        process.number(base + entry + word, ring[index - 1], word)
        process.number(base + entry + 2 * word, heap, word)
        process.number(base + header + 6, kind, 2)
    return subheaps
