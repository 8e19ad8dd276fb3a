"""PartitionAlloc: the super pages of Chromium's allocator, proved by the root that each of them names.

PartitionAlloc takes memory in super pages of 2 MiB, and for a large block in a direct map, which begins like a super
page. The first system page cannot be accessed. The second one holds metadata, and its first word is the address of the
partition's root. A root holds the complement of its own address as a check against overwriting, so a super page proves
itself: its metadata leads to 8 bytes that only a root has. The distance to that word differs by version.

Newer versions can reserve pools of many super pages, and can keep the metadata in another place. Then the test fails,
and nothing is claimed.

From public source (chromium: base/allocator/partition_allocator, partition_root.h, partition_page.h,
partition_direct_map_extent.h). Checked on a recorded process of Chromium 91, whose roots state the same sums.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import pairwise

from dumpmap.model.evidence import EvidenceInfo
from dumpmap.model.kinds import KindInfo
from dumpmap.model.memory import Memory
from dumpmap.model.recognised import Found, LabelledRange, OwnerFacts, Runtime
from dumpmap.model.values import value_class
from dumpmap.structures.bounds import USER_LIMIT, is_user_address, round_up
from dumpmap.structures.module_data import Captured, pointer_sizes
from dumpmap.structures.recognisers.protocol import LARGE, Context, LoadedModule, without_overlaps

NAME = "PartitionAlloc"
EVIDENCE_WORD = "partition-root"

SUPER_PAGE = LARGE
METADATA_AT = 0x1000
HEAD_SIZE = 0x40
"""Bytes of the metadata that tell a super page from a direct map: the extent and the first slot span."""

DIRECT_MAP_SIZE = 0x100
"""Bytes of the metadata of a direct map, up to its size."""

PAGE_METADATA = 0x20
"""Bytes of the metadata of one partition page, in every version."""

ROOT_SIZE = 0x3000
"""Where the complement is searched for. In Chromium 91 it is at 0x1510."""

MAX_PLACES = 1 << 18
"""Places that are looked at: 512 GiB of committed memory."""

MAX_ROOTS = 1 << 16
"""Addresses that are looked at as roots, in the order of the memory. A process has about ten roots."""

_SUPER_PAGE, _DIRECT_MAP = "PartitionAlloc super page", "PartitionAlloc direct map"
_ROOT = "The super page's metadata and the root of its partition."

KINDS: tuple[KindInfo, ...] = (
    KindInfo(_SUPER_PAGE, None, "Blocks of one partition: strings, arrays, DOM objects, or all of `malloc`.", _ROOT),
    KindInfo(_DIRECT_MAP, None, "One block too large for a super page.", _ROOT),
)

EVIDENCE: tuple[EvidenceInfo, ...] = (
    EvidenceInfo(EVIDENCE_WORD, "The metadata of a super page names a root that holds the complement of its address."),
)


@value_class(frozen=True, slots=True)
class SuperPage:
    """A super page, or a direct map. `size` is in bytes, of address space."""

    base: int
    size: int
    root: int
    direct: bool


@value_class(frozen=True, slots=True)
class Partition:
    """A partition.

    Attributes:
        root: address of its root.
        proof_at: where the root holds the complement of its address.
        module: the module that the root is a variable of; None where it lies elsewhere.
        pages: its super pages and direct maps, by address.
    """

    root: int
    proof_at: int
    module: LoadedModule | None
    pages: tuple[SuperPage, ...]

    @property
    def instance(self) -> str:
        """How the partition is called."""
        return f"partition 0x{self.root:x}"


def find(context: Context) -> Found:
    """Finds the partitions of a process."""
    if context.family != "windows":
        return Found()
    partitions = [partition for width in pointer_sizes(context) for partition in _partitions(context, width)]
    modules = dict.fromkeys(partition.module for partition in partitions if partition.module is not None)
    return Found(
        ranges=without_overlaps(part for of in partitions for part in _labelled(of)),
        runtimes=tuple(Runtime(NAME, module.name, module.base) for module in modules),
        facts=(*partitions, *(OwnerFacts(NAME, _module_name(of), of.instance) for of in partitions)),
    )


def _partitions(context: Context, width: int) -> Iterator[Partition]:
    proofs: dict[int, int | None] = {}
    pages: dict[int, list[SuperPage]] = {}
    end = 0
    captured = Captured(context)
    for place in _places(context, width):
        root = _word(captured.memory, place + METADATA_AT, width)
        if place < end or root is None or not is_user_address(root, width) or root % width:
            continue
        if root not in proofs and len(proofs) < MAX_ROOTS:
            proofs[root] = _find_proof(captured, root, width)
        page = None if proofs.get(root) is None else _read_page(context, place, root, width)
        if page is not None:
            pages.setdefault(root, []).append(page)
            end = place + page.size
    for root, found in pages.items():
        proof_at = proofs[root] or 0
        context.memory.read(proof_at, width)
        module = next((of for of in context.modules if of.base <= root < of.base + of.size), None)
        yield Partition(root, proof_at, module, tuple(found))


def _places(context: Context, width: int) -> Iterator[int]:
    """The addresses where a super page can begin: those with committed memory where its metadata would be."""
    for address in context.space.committed_places(SUPER_PAGE, MAX_PLACES, METADATA_AT):
        if address >= USER_LIMIT[width]:
            return
        yield address - METADATA_AT


def _find_proof(captured: Captured, root: int, width: int) -> int | None:
    """Returns where a root holds the complement of its own address; None if it is no root."""
    pattern = (~root & ((1 << 8 * width) - 1)).to_bytes(width, "little")
    for address, data in captured.parts(root, root + ROOT_SIZE):
        at = data.find(pattern)
        while at >= 0:
            if (address + at) % width == 0:
                return address + at
            at = data.find(pattern, at + 1)
    return None


def _read_page(context: Context, place: int, root: int, width: int) -> SuperPage | None:
    """Reads a super page or direct map whose root is proved; None where its allocation has no room for it."""
    base, size = context.space.allocation(place) or (place, 0)
    room = base + size - place
    if room < SUPER_PAGE and base != place:
        return None
    metadata = place + METADATA_AT
    if context.memory.read(metadata, HEAD_SIZE) is None:
        context.memory.read(metadata, width)
    block = _direct_map(context.memory, metadata, width)
    if block is None:
        return SuperPage(place, SUPER_PAGE, root, direct=False) if room >= SUPER_PAGE else None
    if not 0 < block <= room:
        return None
    # Outside a pool the allocation is the direct map, with guard pages and metadata that early versions do not count.
    alone = base == place and room - block < SUPER_PAGE
    return SuperPage(place, room if alone else min(room, round_up(block, SUPER_PAGE)), root, direct=True)


def _direct_map(memory: Memory, metadata: int, width: int) -> int | None:
    """Returns the size that a direct map states; None for an ordinary super page.

    The bucket of a direct map is part of its own metadata. Behind the bucket is the extent, which names the bucket once
    more, right before the size.
    """
    slot = (PAGE_METADATA + 2 * width) // width
    head = memory.read(metadata, HEAD_SIZE)
    if head is None:
        return None
    bucket = int.from_bytes(head[slot * width : (slot + 1) * width], "little")
    if not metadata < bucket < metadata + DIRECT_MAP_SIZE:
        return None
    data = memory.read(metadata, DIRECT_MAP_SIZE)
    words: tuple[int, ...] = () if data is None else struct.unpack("<64I" if width == 4 else "<32Q", data)
    sizes = (size for first, size in pairwise(words[slot + 1 :]) if first == bucket and size and size % 0x1000 == 0)
    return next(sizes, 0)


def _word(memory: Memory, address: int, width: int) -> int | None:
    data = memory.read(address, width)
    return None if data is None else int.from_bytes(data, "little")


def _module_name(partition: Partition) -> str:
    return "" if partition.module is None else partition.module.name


def _labelled(partition: Partition) -> Iterator[LabelledRange]:
    module = _module_name(partition)
    for page in partition.pages:
        yield LabelledRange(
            base=page.base,
            size=page.size,
            kind=_DIRECT_MAP if page.direct else _SUPER_PAGE,
            evidence=EVIDENCE_WORD,
            details=f"{module}, {partition.instance}" if module else partition.instance,
            owner=NAME,
            module=module,
            instance=partition.instance,
        )
