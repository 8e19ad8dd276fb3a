"""Reads segment heaps (Windows 10 and later): their page segments and large allocations."""

from __future__ import annotations

from collections import Counter

from dumpmap.model.counts import count_words
from dumpmap.model.heaps import SEGMENT_HEAP, HeapInfo, HeapRange
from dumpmap.model.values import value_class
from dumpmap.model.winnt import ALLOCATION_GRANULARITY, PAGE_SIZE
from dumpmap.structures.bounds import MAX_SEGMENTS, MAX_TREE_NODES, USER_LIMIT, is_page, is_user_address
from dumpmap.structures.heap_context import NO_MEMORY, HeapContext, Remarks
from dumpmap.structures.heap_families import SEGMENT_HEAP_SIGNATURE
from dumpmap.structures.layout import Layout, parts
from dumpmap.structures.layouts import segment_heap as layouts
from dumpmap.structures.layouts.nt_heap import HEAP_CLASS_MASK, HEAP_CLASSES
from dumpmap.structures.walk import NOT_CAPTURED

BUILD_1709 = 16299

_HEAD = parts(layouts.SEGMENT_HEAP, "Signature", "GlobalFlags")
_SEGMENT = parts(layouts.HEAP_PAGE_SEGMENT, "ListEntry.Flink", "ListEntry.Blink", "Signature")
_LARGE = parts(
    layouts.HEAP_LARGE_ALLOC_DATA,
    "TreeNode.Left",
    "TreeNode.Right",
    "TreeNode.ParentValue",
    "VirtualAddress",
    "AllocatedPages",
)

# Where a context can start, and the bytes of the heap that hold all that the search looks at.
_FIRST_CONTEXT, _LAST_CONTEXT, _SEARCHED = 0x40, 0x200, 0x300


@value_class(frozen=True, slots=True)
class _Context:
    """One segment context (of a heap of 1507 to 1703: the heap itself).

    Attributes:
        offset: from the heap, in bytes.
        segment_size: bytes of each of its segments, which also start at multiples of it.
        head: address of the segments' list head.
        links: the head's Flink and Blink.
        count: SegmentCount.
        is_signed: its segments carry a signature.
    """

    offset: int
    segment_size: int
    head: int
    links: tuple[int, int]
    count: int
    is_signed: bool


def read_segment_heap(
    context: HeapContext, address: int, label: str, evidence: str, *, is_scan: bool = False
) -> HeapInfo | None:
    """Reads a segment heap. See `dumpmap.structures.heap_families.ReadHeap`.

    Where a scan led to it, segment contexts that point back at it must confirm the signature.
    """
    head = _HEAD[context.pointer_size].read(context.memory, address)
    if head is None or head[0] != SEGMENT_HEAP_SIGNATURE:
        return None
    remarks = Remarks(label)
    ranges = []
    own = context.place(HeapRange(address, None, "header", evidence), PAGE_SIZE)
    if own is not None:
        ranges.append(own)
    contexts, layout = _find_contexts(context, address)
    if not contexts:
        if is_scan:
            return None
        say = remarks.note if context.memory.read(address, _SEARCHED) is None else remarks.warn
        say("its segment contexts were not found; its segments are missing from the map")
    ranges += _segments(context, address, contexts, remarks)
    counters = None
    if layout is not None:
        blocks, counters = _large_allocations(context, address, layout, remarks)
        ranges += blocks
        counters["SegmentCount"] = sum(item.count for item in contexts)
    return HeapInfo(
        id=None,
        address=address,
        pointer_size=context.pointer_size,
        kind=SEGMENT_HEAP,
        flags=head[1],
        heap_class=HEAP_CLASSES.get(head[1] & HEAP_CLASS_MASK),
        ranges=tuple(sorted(ranges, key=lambda item: item.base)),
        next_segment=contexts[0].segment_size if contexts else None,
        counters=counters,
        evidence=evidence,
        warnings=tuple(remarks.warnings),
        notes=tuple(remarks.notes),
    )


# --- contexts ---------------------------------------------------------------------------------------------------------


def _find_contexts(context: HeapContext, address: int) -> tuple[list[_Context], Layout | None]:
    """Finds the contexts by their content, and the layout of the release that has them there.

    A context holds its geometry and points back at its heap. Both together cannot be an accident, so no build number is
    needed.
    """
    size = context.pointer_size
    data = context.memory.read(address, _SEARCHED)
    if data is not None:
        found = _search(context, address, data, True) or _search(context, address, data, False)
        if found:
            fitting = [
                row[size]
                for row in layouts.SEGMENT_HEAPS
                if size in row and row[size].offsets["SegContexts"] == found[0].offset
            ]
            return found, fitting[0] if fitting else layouts.SEGMENT_HEAPS[0][size]
    oldest = layouts.SEGMENT_HEAP_1507.get(size)
    if oldest is None or (context.os_build is not None and context.os_build >= BUILD_1709):
        return [], None
    fields = oldest.part("SegmentListHead.Flink", "SegmentListHead.Blink", "SegmentCount").read(context.memory, address)
    if fields is None:
        return [], None
    flink, blink, count = fields
    head = address + oldest.offsets["SegmentListHead.Flink"]
    segment_size = layouts.SEG_CONTEXT_GEOMETRY[0][2]
    is_empty = flink == blink == head and count == 0
    if not is_empty and (flink % segment_size or blink % segment_size or not 0 < count <= MAX_SEGMENTS):
        return [], None
    return [_Context(0, segment_size, head, (flink, blink), count, False)], oldest


def _search(context: HeapContext, address: int, data: bytes, with_geometry: bool) -> list[_Context]:
    """Returns at most two contexts. Without the geometry, a mask and a pointer back to the heap are enough."""
    size = context.pointer_size
    found: list[_Context] = []
    preferred = [row[size].offsets["SegContexts"] for row in layouts.SEGMENT_HEAPS if size in row]
    for offset in dict.fromkeys((*preferred, *range(_FIRST_CONTEXT, _LAST_CONTEXT + 1, size))):
        first = _context_at(context, address, data, offset, 0 if with_geometry else None)
        if first is None:
            continue
        found.append(first)
        for later in range(offset + size, min(offset + 0x100, _LAST_CONTEXT + 0x100), size):
            second = _context_at(context, address, data, later, 1 if with_geometry else None)
            if second is not None:
                found.append(second)
                break
        break
    return found


def _context_at(context: HeapContext, address: int, data: bytes, offset: int, geometry: int | None) -> _Context | None:
    size = context.pointer_size
    full = (1 << 8 * size) - 1
    for row in layouts.HEAP_SEG_CONTEXTS:
        layout = row.get(size)
        if layout is None or offset + layout.size > len(data):
            continue
        part = layout.part(
            "SegmentMask",
            "UnitShift",
            "PagesPerUnitShift",
            "Heap",
            "SegmentListHead.Flink",
            "SegmentListHead.Blink",
            "SegmentCount",
        )
        mask, unit_shift, pages_shift, heap, flink, blink, count = part.unpack(data, offset + part.offset)
        segment_size = (full ^ mask) + 1
        if (
            heap != address
            or segment_size & (segment_size - 1)
            or not ALLOCATION_GRANULARITY <= segment_size <= 1 << 32
        ):
            continue
        if geometry is not None and (unit_shift, pages_shift, segment_size) != layouts.SEG_CONTEXT_GEOMETRY[geometry]:
            continue
        head = address + offset + layout.offsets["SegmentListHead.Flink"]
        return _Context(offset, segment_size, head, (flink, blink), count, True)
    return None


# --- segments ---------------------------------------------------------------------------------------------------------


def _segments(context: HeapContext, address: int, contexts: list[_Context], remarks: Remarks) -> list[HeapRange]:
    size = context.pointer_size
    found: list[tuple[int, _Context, int]] = []
    lost: list[tuple[int, _Context]] = []
    for item in contexts:

        def visit(node: int, item: _Context = item) -> tuple[int, int, int] | str:
            if node % item.segment_size or not is_page(node, size):
                return "not a segment's address"
            fields = _SEGMENT[size].read(context.memory, node)
            if fields is None:
                return context.why_unread(node, starts=not item.is_signed)
            if context.has_map and context.space.allocation(node) is None:
                return NO_MEMORY
            # Before 1709 a segment has no link to its heap, so at least its place must be a segment's.
            if context.has_map and not item.is_signed and not context.starts_private_memory(node):
                return "no segment starts there"
            flink, blink, signature = fields
            return flink, blink, signature

        walk = context.walk(item.head, item.links[0], item.links[1], visit)
        remarks.of_walk("the segment list", walk)
        # A dump of a running process can catch one segment between the list and the count.
        if walk.closed and abs(len(walk.nodes) - item.count) > 1:
            remarks.warn(f"it counts {count_words(item.count, 'segment')}, but its list has {len(walk.nodes)}")
        found += [(node, item, signature) for node, signature in walk.nodes]
        if walk.lost is not None and context.starts_private_memory(walk.lost):
            lost.append((walk.lost, item))
    believed, is_inferred = _check_signatures(context, address, found, remarks)
    ranges = []
    for node, item in (*believed, *lost):
        allocation = context.space.allocation(node)
        length: int | None = item.segment_size
        if allocation is not None:
            rest = allocation[0] + allocation[1] - node
            length = None if allocation[0] == node and rest <= item.segment_size else min(item.segment_size, rest)
        ranges.append(
            HeapRange(
                base=node,
                size=length,
                role="segment",
                evidence="heap-segment",
                inferred=(node, item) in lost or (is_inferred and item.is_signed),
                reserved=item.segment_size,
            )
        )
    return ranges


def _check_signatures(
    context: HeapContext, address: int, found: list[tuple[int, _Context, int]], remarks: Remarks
) -> tuple[list[tuple[int, _Context]], bool]:
    """Drops segments whose signature yields another key than the rest.

    Every segment is signed with its own address, the address of its context, and a key of the process. The key is
    secret, but all segments must yield the same one.

    Returns:
        The accepted segments, and whether their signatures are unconfirmed. If no two yield the same key, this release
        signs in another way.
    """
    constant = layouts.HEAP_PAGE_SEGMENT_KEY[context.pointer_size]
    signed = [
        (node, item, sign ^ node ^ (address + item.offset) ^ constant) for node, item, sign in found if item.is_signed
    ]
    unsigned = [(node, item) for node, item, _ in found if not item.is_signed]
    keys = Counter(key for _, _, key in signed)
    if not keys:
        return unsigned, False
    key, votes = keys.most_common(1)[0]
    if context.segment_heap_key is not None and context.segment_heap_key in keys:
        key = context.segment_heap_key
    elif votes == 1 and (len(signed) > 1 or context.segment_heap_key is not None):
        return unsigned + [(node, item) for node, item, _ in signed], True
    if context.segment_heap_key is None:
        context.segment_heap_key = key
    foreign = [node for node, _, other in signed if other != key]
    if foreign:
        remarks.left_out("segment", foreign, "signature does not match the others")
    return unsigned + [(node, item) for node, item, other in signed if other == key], False


# --- large allocations ------------------------------------------------------------------------------------------------


def _large_allocations(
    context: HeapContext, address: int, layout: Layout, remarks: Remarks
) -> tuple[list[HeapRange], dict[str, int]]:
    """Reads the red-black tree of large allocations.

    Returns:
        The ranges, and the heap's two totals, in pages.
    """
    part = layout.part("LargeAllocMetadata.Root", "LargeAllocMetadata.Min", "LargeReservedPages", "LargeCommittedPages")
    fields = part.read(context.memory, address)
    if fields is None:
        return [], {}
    root, smallest, reserved, committed = fields
    counters = {"LargeReservedPages": reserved, "LargeCommittedPages": committed}
    if not root or not reserved:
        return [], counters
    tree = address + layout.offsets["LargeAllocMetadata.Root"]
    walk = _TreeWalk(context)
    walk.follow(root)
    if smallest & 1 and not walk.blocks:
        # Bit 0 of Min says that each link is stored XORed with its own address. No known release does that here, so
        # it is tried only where the plain reading leads nowhere.
        walk = _TreeWalk(context, is_encoded=True)
        walk.follow(root ^ tree)
        smallest ^= tree
    if walk.problem or walk.missing:
        # A missing node hides what is below it, but the left part can still be reached from the smallest node up.
        walk.climb(smallest & ~3)
        pages = sum(block.committed or 0 for block in walk.blocks.values()) >> 12
        say = remarks.warn if walk.problem else remarks.note
        say(f"the tree of large blocks {walk.problem or walk.missing}; {pages} of {reserved} pages were found")
    return list(walk.blocks.values()), counters


class _TreeWalk:
    """A depth-first walk over one tree of large allocations, with a stack of its own."""

    def __init__(self, context: HeapContext, is_encoded: bool = False) -> None:
        self.blocks: dict[int, HeapRange] = {}
        self.problem: str | None = None
        self.missing: str | None = None
        self._context = context
        self._is_encoded = is_encoded
        self._seen: set[int] = set()

    def follow(self, root: int) -> None:
        """Visits everything below `root`."""
        stack = [root]
        while stack:
            node = stack.pop()
            if not node:
                continue
            if node in self._seen:
                self._note(f"reaches {node:#x} twice")
                continue
            if len(self._seen) >= MAX_TREE_NODES or self._context.budget.left <= 0:
                self._note(f"does not end within {len(self._seen):,} nodes")
                return
            self._seen.add(node)
            self._context.budget.left -= 1
            fields = self._read(node)
            if isinstance(fields, str):
                if fields == NOT_CAPTURED:
                    self.missing = self.missing or f"leaves the captured bytes at {node:#x}"
                else:
                    self._note(f"is broken at {node:#x} ({fields})")
                continue
            left, right, _ = fields
            stack += (right, left)

    def _note(self, problem: str) -> None:
        """Keeps the first problem: a damaged tree can have a million."""
        self.problem = self.problem or problem

    def climb(self, node: int) -> None:
        """Goes up from `node` through parents that were not visited yet, and visits everything below the topmost."""
        top = 0
        climbed: set[int] = set()
        while node and node not in self._seen and node not in climbed and len(climbed) < 128:
            climbed.add(node)
            fields = self._read(node)
            if isinstance(fields, str):
                break
            top, node = node, fields[2]
        if top:
            self.follow(top)

    def _read(self, node: int) -> tuple[int, int, int] | str:
        context = self._context
        size = context.pointer_size
        if node % size or not is_user_address(node, size):
            return "not an address"
        fields = _LARGE[size].read(context.memory, node)
        if fields is None:
            return context.why_unread(node)
        left, right, parent, word, pages = fields
        block = word & -ALLOCATION_GRANULARITY
        length = (pages >> 12) << 12
        if not is_user_address(block, size) or not 0 < length <= USER_LIMIT[size] - block:
            return f"describes {length} bytes at {block:#x}"
        allocation = context.space.allocation(block)
        if allocation is None and context.has_map:
            return NO_MEMORY
        if allocation is not None and block + length > allocation[0] + allocation[1]:
            return f"describes {length} bytes at {block:#x}, more than the allocation has"
        whole = None if allocation is not None and allocation[0] == block else length
        self.blocks[block] = HeapRange(block, whole, "large block", "heap-large-block", committed=length)
        if self._is_encoded:
            left, right = (child and child ^ node for child in (left, right))
            parent = parent and parent ^ node
        return left, right, parent & ~3
