"""Abseil's low-level allocator, which Node.js and Chromium use beside V8: whole allocations that begin with a header.

Every block begins with its size, a magic number combined with its own address, and the arena that it belongs to. The
first block of an allocation is claimed if all three agree with the map: the arena lies in a module or in another such
block. Read in recorded processes of Node.js 24 and 26, and compared with public source (abseil/abseil-cpp:
absl/base/internal/low_level_alloc.cc).
"""

from __future__ import annotations

from collections.abc import Iterator

from dumpmap.model.evidence import EvidenceInfo
from dumpmap.model.kinds import KindInfo
from dumpmap.model.memory import unrecorded
from dumpmap.model.recognised import Found, LabelledRange
from dumpmap.structures.recognisers.protocol import Context
from dumpmap.structures.words import Words

NAME, KIND, EVIDENCE_WORD = "Abseil", "Abseil low-level arena", "abseil-magic"

KINDS: tuple[KindInfo, ...] = (
    KindInfo(KIND, None, "Memory of a low-level allocator, such as the records of locks.", "The first block's header."),
)

EVIDENCE: tuple[EvidenceInfo, ...] = (
    EvidenceInfo(EVIDENCE_WORD, "A magic number combined with the block's own address, and the address of its arena."),
)

MAGIC = 0x4C833E95
"""Of a block in use; of a free one all bits are inverted."""

MAX_ALLOCATIONS = 1 << 16

_HEADER_WORDS, _SMALLEST = 3, 0x10000


def find(context: Context) -> Found:
    """Finds the allocations of all arenas."""
    blocks = {base: (size, arena) for base, size, arena in _blocks(context)}
    return Found(ranges=tuple(_claimed(context, blocks)))


def _blocks(context: Context) -> Iterator[tuple[int, int, int]]:
    """Yields base and size of each allocation that begins with a block, and the block's arena."""
    words = Words(unrecorded(context.memory), context.pointer_size)
    every = (1 << 8 * context.pointer_size) - 1
    for base in map(int, context.private_allocations[:MAX_ALLOCATIONS]):
        header = words.read(base, _HEADER_WORDS)
        if not header or header[1] ^ base not in (MAGIC, MAGIC ^ every):
            continue
        allocation = context.space.allocation(base)
        if allocation is None or allocation[0] != base or allocation[1] < _SMALLEST:
            continue
        if 0 < header[0] <= allocation[1] and words.is_pointer(header[2]):
            yield base, allocation[1], header[2]


def _claimed(context: Context, blocks: dict[int, tuple[int, int]]) -> Iterator[LabelledRange]:
    words = Words(context.memory, context.pointer_size)
    for base, (size, arena) in blocks.items():
        module = _module_of(context, blocks, base, arena)
        if module is None:
            continue
        words.read(base, _HEADER_WORDS)
        yield LabelledRange(base, size, KIND, EVIDENCE_WORD, details=module, owner=NAME, module=module)


def _module_of(context: Context, blocks: dict[int, tuple[int, int]], base: int, arena: int) -> str | None:
    """The module that holds the arena, directly or through the arena of the block that holds it."""
    for _ in range(2):
        for module in context.modules:
            if module.base <= arena < module.base + module.size:
                return module.name
        holder = next((other for other, (size, _) in blocks.items() if other <= arena < other + size), base)
        if holder == base:
            return None
        base, arena = holder, blocks[holder][1]
    return None
