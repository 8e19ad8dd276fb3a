"""The heaps of the Windows heap manager: NT heaps, segment heaps, page heaps, and those of Wine.

The PEB lists a process's heaps, whatever their family, so one search finds them all. `dumpmap.structures.heap_families`
is the table of the families.
"""

from __future__ import annotations

from dumpmap.model.evidence import EvidenceInfo
from dumpmap.model.heaps import NT_HEAP, PAGE_HEAP, SEGMENT_HEAP, WINE_HEAP, HeapInfo
from dumpmap.model.kinds import KindInfo
from dumpmap.model.recognised import Found
from dumpmap.model.types import RegionType
from dumpmap.structures.heap_search import HeapSearch
from dumpmap.structures.recognisers.protocol import Context

_LISTS = "The heap's own structures."


def _kind(name: str, meaning: str, source: str = _LISTS) -> KindInfo:
    return KindInfo(name, RegionType.HEAP, meaning, source)


KINDS: tuple[KindInfo, ...] = (
    _kind(NT_HEAP, "The first allocation of an NT heap whose header is damaged.", "The PEB's heap list."),
    _kind(f"{NT_HEAP} segment", "A segment of an NT heap: blocks of up to about 1 MB (32-bit: 512 KB)."),
    _kind(f"{NT_HEAP} large block", "A larger block of an NT heap, in an allocation of its own."),
    _kind(f"{NT_HEAP} front end", "The low-fragmentation front end of an NT heap, in an allocation of its own."),
    _kind(SEGMENT_HEAP, "The header of a segment heap (Windows 10 and later)."),
    _kind(f"{SEGMENT_HEAP} segment", "A segment of a segment heap."),
    _kind(f"{SEGMENT_HEAP} large block", "A block of a segment heap in an allocation of its own."),
    _kind(PAGE_HEAP, "The header or a reservation of a page heap, a debugging aid (gflags)."),
    _kind(f"{WINE_HEAP} segment", "A subheap of a heap of Wine's."),
    _kind(f"{WINE_HEAP} large block", "A large block of a heap of Wine's, in an allocation of its own."),
    _kind("Heap", "A heap whose header is not in the input.", "The PEB's heap list or the heap stream."),
    _kind("Heap segment", "A segment of a heap whose header is not in the input.", "The segment's own header."),
    _kind("Heap large block", "A large block of a heap whose kind is unknown.", "The heap stream."),
    _kind("Heap front end", "The front end of a heap whose kind is unknown.", "The heap stream."),
)

EVIDENCE: tuple[EvidenceInfo, ...] = (
    EvidenceInfo("heap-list", "An entry of the PEB's heap list; under Wine, of the ring that links all heaps."),
    EvidenceInfo("heap-segment", "The heap's own list of segments. The header of each segment is checked."),
    EvidenceInfo("heap-large-block", "The heap's own list or tree of large blocks."),
    EvidenceInfo("heap-front-end", "The heap's pointer to its low-fragmentation front end."),
    EvidenceInfo(
        "heap-signature", "The signature of a heap or segment at the start of the allocation; no list led to it."
    ),
)


def _lacks(heaps: tuple[HeapInfo, ...]) -> tuple[str, ...]:
    """Returns one note for all lists that leave the captured bytes: a small dump has dozens."""
    notes = [note for heap in heaps for note in heap.notes]
    if not notes:
        return ()
    others = len(notes) - 1
    lists = "1 more list of a heap is" if others == 1 else f"{others} more lists of heaps are"
    return (f"{notes[0]}; {lists} not captured whole" if others else notes[0],)


def find(context: Context) -> Found:
    """Finds the heaps of a process: by the lists in its PEBs, then by signatures for what no list names."""
    search = HeapSearch(context)
    for peb in context.pebs:
        search.read_list(peb)
    search.scan(any(peb.has_page_heap for peb in context.pebs))
    heaps, warnings = search.finish()
    return Found(heaps=heaps, notes=(*search.notes, *_lacks(heaps)), warnings=warnings)
