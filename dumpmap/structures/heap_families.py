"""The families of Windows heaps: what a heap of each looks like from outside, and which function reads one.

A family's module is imported only when bytes of a heap say so; most processes have NT heaps alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from importlib import import_module
from typing import Protocol, cast

from dumpmap.model.heaps import HeapInfo
from dumpmap.model.memory import attempt
from dumpmap.model.values import value_class
from dumpmap.model.winnt import PAGE_SIZE
from dumpmap.structures.heap_context import HeapContext
from dumpmap.structures.layouts.nt_heap import HEAP_SEGMENT, HEAP_SIGNATURE, SEGMENT_SIGNATURE

SEGMENT_HEAP_SIGNATURE = 0xDDEEDDEE
"""_SEGMENT_HEAP.Signature, at the place of an NT heap's segment signature."""

DPH_HEAP_ROOT_SIGNATURE = 0xFFEEDDCC
"""_DPH_HEAP_ROOT.Signature, at the start of a page heap's second page."""

WINE_HEAP_MAGICS = frozenset({0x50414548, 0x48454150})
"""The four letters of "HEAP" in a heap of Wine's, in either byte order."""

SIGNATURE_OFFSET = {size: layout.offsets["SegmentSignature"] for size, layout in HEAP_SEGMENT.items()}
"""Where NT heaps, their segments, and segment heaps have their signature, by pointer size."""


class ReadHeap(Protocol):
    """Reads the heap at an address, and everything that belongs to it."""

    def __call__(
        self, context: HeapContext, address: int, label: str, evidence: str, *, is_scan: bool = False
    ) -> HeapInfo | None:
        """Returns None where the header is not that of a heap of the family.

        Args:
            context: the process.
            address: the heap.
            label: names the heap in warnings.
            evidence: the word for what says that it is a heap.
            is_scan: only a signature led to the address, so the signature alone is not enough.
        """
        ...


@value_class(frozen=True, slots=True)
class HeapFamily:
    """A family of heaps.

    Attributes:
        module: its module in `dumpmap.structures`.
        reader: name of the `ReadHeap` in that module.
        at: offset of the signature from the heap's address, by pointer size.
        signatures: values of the signature, 32 bits wide.
    """

    module: str
    reader: str
    at: Mapping[int, int]
    signatures: frozenset[int]

    @property
    def patterns(self) -> list[bytes]:
        """The signatures as bytes in memory."""
        return [value.to_bytes(4, "little") for value in sorted(self.signatures)]

    def matches(self, context: HeapContext, address: int) -> bool:
        """Tells whether a signature of the family is in its place."""
        data = context.memory.read(address + self.at[context.pointer_size], 4)
        return data is not None and int.from_bytes(data, "little") in self.signatures

    def read(
        self, context: HeapContext, address: int, label: str, evidence: str, *, is_scan: bool = False
    ) -> HeapInfo | None:
        """See `ReadHeap`."""
        module = import_module(f"{__package__}.{self.module}")
        return cast("ReadHeap", getattr(module, self.reader))(context, address, label, evidence, is_scan=is_scan)


PAGE_HEAPS = HeapFamily(
    "page_heap", "read_page_heap", {4: PAGE_SIZE, 8: PAGE_SIZE}, frozenset({DPH_HEAP_ROOT_SIGNATURE})
)

FAMILIES: tuple[HeapFamily, ...] = (
    HeapFamily("nt_heap", "read_nt_heap", SIGNATURE_OFFSET, frozenset({SEGMENT_SIGNATURE})),
    HeapFamily("segment_heap", "read_segment_heap", SIGNATURE_OFFSET, frozenset({SEGMENT_HEAP_SIGNATURE})),
    HeapFamily("nt_heap", "read_old_nt_heap", SIGNATURE_OFFSET, frozenset({HEAP_SIGNATURE})),
    HeapFamily("wine_heap", "read_wine_heap", {4: 0x68, 8: 0xB8}, WINE_HEAP_MAGICS),
    PAGE_HEAPS,
)
"""Every family. A heap belongs to the first whose reader accepts it."""

SCAN_SIGNATURES = [pattern for family in FAMILIES if family.at is SIGNATURE_OFFSET for pattern in family.patterns]
"""What a scan of all allocations searches for at `SIGNATURE_OFFSET`."""


def read_heap(
    context: HeapContext, address: int, label: str, evidence: str, *, is_scan: bool = False
) -> HeapInfo | None:
    """Reads a heap of any family. See `ReadHeap`."""
    for family in FAMILIES:
        heap = attempt(context.memory, partial(_read_as, family, context, address, label, evidence, is_scan=is_scan))
        if heap is not None:
            return heap
    return None


def _read_as(
    family: HeapFamily, context: HeapContext, address: int, label: str, evidence: str, *, is_scan: bool
) -> HeapInfo | None:
    if not family.matches(context, address):
        return None
    return family.read(context, address, label, evidence, is_scan=is_scan)
