"""Reads Wine's heaps, as far as their layout checks out."""

from __future__ import annotations

from dumpmap.model.heaps import WINE_HEAP, HeapInfo, HeapRange
from dumpmap.model.winnt import PAGE_SIZE
from dumpmap.structures.bounds import is_page, is_user_address, round_up
from dumpmap.structures.heap_context import NO_MEMORY, HeapContext, Remarks
from dumpmap.structures.heap_families import WINE_HEAP_MAGICS
from dumpmap.structures.layout import parts
from dumpmap.structures.layouts import wine_heap as layouts
from dumpmap.structures.layouts.nt_heap import HEAP_CLASS_MASK, HEAP_CLASSES, HEAP_GROWABLE, SEGMENT_SIGNATURE
from dumpmap.structures.walk import NOT_CAPTURED

_HEAD = parts(layouts.HEAP, "SegmentSignature", "Heap", "Flags", "magic")
_LISTS = parts(
    layouts.HEAP, "subheap_list.next", "subheap_list.prev", "large_list.next", "large_list.prev", "grow_size"
)
_RING = parts(layouts.HEAP, "entry.next", "entry.prev")
_SUBHEAP = parts(layouts.SUBHEAP, "entry.next", "entry.prev", "block_size", "data_size", "heap", "block.type")
_LARGE = parts(layouts.ARENA_LARGE, "entry.next", "entry.prev", "block_size", "block.type")


def read_wine_heap(
    context: HeapContext, address: int, label: str, evidence: str, *, is_scan: bool = False
) -> HeapInfo | None:
    """Reads a heap of Wine's. See `dumpmap.structures.heap_families.ReadHeap`.

    It starts like an NT heap of the new shape, but has no back pointer and has a magic number of its own.
    """
    flags = _read_flags(context, address)
    if flags is None:
        return None
    remarks = Remarks(label)
    fields = _LISTS[context.pointer_size].read(context.memory, address)
    own = context.place(HeapRange(address, None, "segment", evidence), PAGE_SIZE)
    found = {} if own is None else {own.base: own}
    next_segment = None
    if fields is not None:
        first, last, first_large, last_large, grow_size = fields
        subheaps = _subheaps(context, address, first, last, evidence, remarks)
        if subheaps and flags & HEAP_GROWABLE:
            next_segment = grow_size
        for range_ in (*subheaps, *_large_blocks(context, address, first_large, last_large, remarks)):
            found[range_.base] = range_
    return HeapInfo(
        id=None,
        address=address,
        pointer_size=context.pointer_size,
        kind=WINE_HEAP,
        flags=flags,
        heap_class=HEAP_CLASSES.get(flags & HEAP_CLASS_MASK),
        ranges=tuple(sorted(found.values(), key=lambda item: item.base)),
        next_segment=next_segment,
        evidence=evidence,
        warnings=tuple(remarks.warnings),
        notes=tuple(remarks.notes),
    )


def other_wine_heaps(context: HeapContext, address: int) -> list[int]:
    """Returns the other heaps of the ring that contains `address`. Wine lists heaps there and not in the PEB."""
    size = context.pointer_size
    offset = layouts.HEAP[size].offsets["entry.next"]

    def visit(node: int) -> tuple[int, int, None] | str:
        heap = node - offset
        if not is_page(heap, size) or _read_flags(context, heap) is None:
            return "not a heap"
        links = _RING[size].read(context.memory, heap)
        return NOT_CAPTURED if links is None else (links[0], links[1], None)

    links = _RING[size].read(context.memory, address)
    if links is None:
        return []
    walk = context.walk(address + offset, links[0], links[1], visit)
    return [node - offset for node, _ in walk.nodes]


def _read_flags(context: HeapContext, address: int) -> int | None:
    fields = _HEAD[context.pointer_size].read(context.memory, address)
    if fields is None:
        return None
    signature, owner, flags, magic = fields
    return flags if signature == SEGMENT_SIGNATURE and owner == 0 and magic in WINE_HEAP_MAGICS else None


_FIRST_BLOCKS = frozenset((layouts.BLOCK_USED, layouts.BLOCK_FREE, layouts.BLOCK_PENDING))


def _is_first_block(kind: int) -> bool:
    """Whether a type can be that of a subheap's first block, in use or free."""
    return kind in _FIRST_BLOCKS or kind & 0xFF in layouts.BLOCK_LETTERS


def _is_large_block(kind: int) -> bool:
    letter, flags = kind & 0xFF, kind >> 8
    return kind == layouts.BLOCK_LARGE or (letter == layouts.LARGE_LETTER and bool(flags & layouts.BLOCK_FLAG_LARGE))


def _subheaps(
    context: HeapContext, heap: int, following: int, before: int, evidence: str, remarks: Remarks
) -> list[HeapRange]:
    size = context.pointer_size
    offset = layouts.SUBHEAP[size].offsets["entry.next"]

    def visit(node: int) -> tuple[int, int, HeapRange] | str:
        subheap = node - offset
        if not is_user_address(subheap, size):
            return "not an address"
        fields = _SUBHEAP[size].read(context.memory, subheap)
        if fields is None:
            return context.why_unread(subheap)
        after, previous, block_size, data_size, owner, kind = fields
        # The first subheap follows the heap in the same allocation. Each other one starts an allocation.
        base = heap if heap < subheap < heap + PAGE_SIZE else subheap
        if owner != heap or not _is_first_block(kind) or not is_page(base, size) or data_size > block_size:
            return "not a subheap"
        reserved = round_up(subheap - base + block_size, PAGE_SIZE)
        committed = round_up(subheap - base + data_size, PAGE_SIZE)
        claim = HeapRange(
            base, None, "segment", evidence if base == heap else "heap-segment", False, reserved, committed
        )
        range_ = context.place(claim, reserved)
        return NO_MEMORY if range_ is None else (after, previous, range_)

    head = heap + layouts.HEAP[size].offsets["subheap_list.next"]
    walk = context.walk(head, following, before, visit)
    # If not even the first one checks out, this Wine has another layout.
    if walk.nodes:
        remarks.of_walk("the list of subheaps", walk)
    return [range_ for _, range_ in walk.nodes]


def _large_blocks(context: HeapContext, heap: int, following: int, before: int, remarks: Remarks) -> list[HeapRange]:
    size = context.pointer_size
    offset = layouts.ARENA_LARGE[size].offsets["entry.next"]

    def visit(node: int) -> tuple[int, int, HeapRange] | str:
        block = node - offset
        if not is_page(block, size):
            return "not the start of a page"
        fields = _LARGE[size].read(context.memory, block)
        if fields is None:
            return context.why_unread(block)
        after, previous, block_size, kind = fields
        if not _is_large_block(kind):
            return "not a large block"
        length = round_up(block_size, PAGE_SIZE)
        claim = HeapRange(block, None, "large block", "heap-large-block", False, length, length)
        range_ = context.place(claim, length)
        return NO_MEMORY if range_ is None else (after, previous, range_)

    head = heap + layouts.HEAP[size].offsets["large_list.next"]
    walk = context.walk(head, following, before, visit)
    if walk.nodes:
        remarks.of_walk("the list of large blocks", walk)
    return [range_ for _, range_ in walk.nodes]
