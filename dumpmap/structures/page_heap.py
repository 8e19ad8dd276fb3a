"""Reads full page heaps and the reservations that they cut allocations from."""

from __future__ import annotations

from dumpmap.model.counts import count_words
from dumpmap.model.heaps import PAGE_HEAP, HeapInfo, HeapRange
from dumpmap.model.winnt import PAGE_SIZE
from dumpmap.structures.bounds import USER_LIMIT, is_page, is_user_address
from dumpmap.structures.heap_context import NO_MEMORY, HeapContext, Remarks
from dumpmap.structures.heap_families import DPH_HEAP_ROOT_SIGNATURE
from dumpmap.structures.layout import parts
from dumpmap.structures.layouts import page_heap as layouts
from dumpmap.structures.layouts.nt_heap import HEAP_CLASS_MASK, HEAP_CLASSES

BUILD_VISTA = 6000

_ROOT = parts(
    layouts.DPH_HEAP_ROOT,
    "Signature",
    "HeapFlags",
    "VirtualStorageList.Flink",
    "VirtualStorageList.Blink",
    "VirtualStorageCount",
)
_NORMAL = parts(layouts.DPH_HEAP_ROOT, "NormalHeap")
_NORMAL_XP = parts(layouts.DPH_HEAP_ROOT_XP, "NormalHeap")
_BLOCK = parts(
    layouts.DPH_HEAP_BLOCK, "VirtualListEntry.Flink", "VirtualListEntry.Blink", "pVirtualBlock", "nVirtualBlockSize"
)


def read_page_heap(
    context: HeapContext, address: int, label: str, evidence: str, *, is_scan: bool = False
) -> HeapInfo | None:
    """Reads the page heap whose handle is `address`. See `dumpmap.structures.heap_families.ReadHeap`.

    The handle is a filled page, and the page after it holds the heap's root. Where a scan led to it, the caller wants
    the NT heap behind it as confirmation.
    """
    size = context.pointer_size
    root = address + PAGE_SIZE
    fields = _ROOT[size].read(context.memory, root)
    if fields is None or fields[0] != DPH_HEAP_ROOT_SIGNATURE:
        return None
    filler = context.memory.read(address, 4)
    if filler is not None and int.from_bytes(filler, "little") != layouts.DPH_HANDLE_FILL:
        return None
    _, flags, flink, blink, count = fields
    is_xp = context.os_build is not None and context.os_build < BUILD_VISTA
    normal = (_NORMAL_XP if is_xp else _NORMAL).get(size)
    values = None if normal is None else normal.read(context.memory, root)
    normal_heap = values[0] if values is not None and is_page(values[0], size) else None
    remarks = Remarks(label)
    ranges = []
    own = context.place(HeapRange(address, None, "header", evidence), 2 * PAGE_SIZE)
    if own is not None:
        ranges.append(own)
    # Windows XP keeps them on another kind of list.
    if not is_xp and flink:
        ranges += _storage(context, root, flink, blink, count, remarks)
    return HeapInfo(
        id=None,
        address=address,
        pointer_size=size,
        kind=PAGE_HEAP,
        flags=flags,
        heap_class=HEAP_CLASSES.get(flags & HEAP_CLASS_MASK),
        lfh=False,
        ranges=tuple(sorted(ranges, key=lambda item: item.base)),
        counters={"VirtualStorageCount": count},
        evidence=evidence,
        warnings=tuple(remarks.warnings),
        notes=tuple(remarks.notes),
        normal_heap=normal_heap,
    )


def _storage(context: HeapContext, root: int, flink: int, blink: int, count: int, remarks: Remarks) -> list[HeapRange]:
    """Walks the heap's list of reservations."""
    size = context.pointer_size

    def visit(node: int) -> tuple[int, int, HeapRange] | str:
        if node % size or not is_user_address(node, size):
            return "not an address"
        fields = _BLOCK[size].read(context.memory, node)
        if fields is None:
            return context.why_unread(node)
        after, before, block, length = fields
        if not is_page(block, size) or not 0 < length <= USER_LIMIT[size] - block or length % PAGE_SIZE:
            return f"describes {length} bytes at {block:#x}"
        range_ = context.place(HeapRange(block, None, "page heap", "heap-segment", reserved=length), length)
        return NO_MEMORY if range_ is None else (after, before, range_)

    head = root + layouts.DPH_HEAP_ROOT[size].offsets["VirtualStorageList.Flink"]
    walk = context.walk(head, flink, blink, visit)
    remarks.of_walk("the list of reservations", walk)
    if walk.closed and abs(len(walk.nodes) - count) > 1:
        remarks.warn(f"it counts {count_words(count, 'reservation')}, but its list has {len(walk.nodes)}")
    return [range_ for _, range_ in walk.nodes]
