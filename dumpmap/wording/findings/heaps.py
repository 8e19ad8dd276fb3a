"""Findings about heaps: whether they can grow, how many there are, and how much space they hold without using it."""

from __future__ import annotations

from dumpmap.analysis.diagnosis import Diagnosis, Hit
from dumpmap.wording.explanation import Explanation
from dumpmap.wording.phrases import heap_title, largest_text
from dumpmap.wording.text import count_words, list_words, percent_words, sentence, size_words, sizes_apart


def _heap_segment_will_not_fit(hit: Hit, d: Diagnosis) -> str:
    short, m = hit.subject, d.measurements
    room, *sizes = sizes_apart((m.largest, "down"), *((row.next_segment, "nearest") for row in short))
    needs = list_words([f"{size} for {heap_title(row)}" for size, row in zip(sizes, short, strict=True)], 4)
    segments = "the next segment needs" if len(short) == 1 else "the next segments need"
    return (
        f"{sentence(largest_text(m, room))}, but {segments} {needs}. A heap that cannot get its segment tries "
        "smaller ones, down to the size of the request."
    )


def _gc_segment_will_not_fit(hit: Hit, d: Diagnosis) -> str:
    m = d.measurements
    room, segment = sizes_apart((m.largest, "down"), (hit.values["segment"], "nearest"))
    return (
        f"{sentence(largest_text(m, room))}, but the {hit.values['collector']} garbage collector of a 32-bit "
        f"process reserves {segment} at a time. If it cannot, the program gets "
        "OutOfMemoryException."
    )


def _many_heaps(hit: Hit, d: Diagnosis) -> str:
    values = hit.values
    return (
        f"{count_words(values['heaps'], 'heap reserves', 'heaps reserve')} {size_words(values['reserved'])} and commit "
        f"{size_words(values['committed'])}. A heap cannot use the free memory of another."
    )


def _page_heap_on(hit: Hit, d: Diagnosis) -> str:
    by = "NtGlobalFlag in the PEB" if hit.subject else f"structures of {count_words(hit.values['page_heaps'], 'heap')}"
    return (
        f"Page heap is on ({by}). Every block takes pages of its own and one that is inaccessible, so the process "
        "needs many times its usual memory."
    )


def _heap_fragmented(hit: Hit, d: Diagnosis) -> str:
    first, others = hit.subject[0], len(hit.subject) - 1
    ranges = count_words(first.uncommitted_ranges, "range")
    text = (
        f"{sentence(heap_title(first))} reserves {size_words(first.reserved)} but commits "
        f"{size_words(first.committed)}: {size_words(first.uncommitted)} is uncommitted, in {ranges} of at most "
        f"{size_words(first.largest_uncommitted)}. DebugDiag calls that {percent_words(first.fragmentation or 0)} "
        f"fragmented, !heap -s {percent_words(first.va_fragmentation or 0)}."
    )
    return text + (f" {count_words(others, 'other heap is', 'other heaps are')} similar." if others else "")


EXPLANATIONS = {
    "heap-segment-will-not-fit": Explanation(
        title="A heap's next segment will not fit",
        meaning="A growing heap reserves a new segment, twice as large as the last one, up to 15.8 MB. No free block "
        "can hold the next one.",
        why="The heap tries smaller segments, so it goes on for a while; then allocations fail.",
        confirm="`dumpmap heaps FILE` shows the next segment of each heap, `dumpmap free FILE` the largest free "
        "blocks.",
        advice="`dumpmap heaps FILE` shows which heap grew and how much of it is in use. Look for what grows in that "
        "heap, and for what fragments the address space.",
        when="A heap's next segment is larger than the largest free block.",
        source="Microsoft's KB 216383 (growth by doubling); the cap of 15.8 MB comes from a VMMap recording and is "
        "not documented; that a heap tries smaller sizes: ReactOS.",
        detail=_heap_segment_will_not_fit,
    ),
    "gc-segment-will-not-fit": Explanation(
        title="The garbage collector's next segment will not fit",
        meaning="The .NET garbage collector of a 32-bit process reserves address space in segments. No free block can "
        "hold the next one.",
        why="If the collector cannot reserve a segment, the program gets OutOfMemoryException, although memory may be "
        "free.",
        confirm="`dumpmap free FILE --fit 16MB` tests the size of the segment. In WinDbg with SOS, `!eeheap -gc` lists "
        "the segments that the collector has.",
        advice='Look at the size of the managed heap (`dumpmap regions FILE --type "managed heap"`) and at what '
        "fragments the space around it.",
        when="A 32-bit process has a .NET runtime, and the largest free block is below {gc_segment} (workstation "
        "collector), or below 64, 32, or 16 MB if threads or modules show the server collector (with up to 4, up to 8, "
        "or more processors).",
        source="Microsoft's fundamentals of garbage collection.",
        detail=_gc_segment_will_not_fit,
    ),
    "many-heaps": Explanation(
        title="Many heaps",
        meaning="The process has more heaps than usual. Each has a segment of its own.",
        why="A heap cannot use the free memory of another heap, so many heaps waste memory and address space.",
        confirm="`dumpmap heaps FILE` lists them with their reserved and committed bytes.",
        advice="Find who creates the heaps: often each library or each object has its own. Let them share one.",
        when="There are more than {many_heaps} heaps.",
        source="dumpmap's authors chose the number: no source gives a limit.",
        detail=_many_heaps,
    ),
    "page-heap-on": Explanation(
        title="Page heap is on",
        meaning="A debugging aid gives every heap block its own pages, and an inaccessible page after them.",
        why="The process needs many times its usual memory; that it runs out says little about the program.",
        confirm="`gflags /p` lists the programs with page heap. In WinDbg, `!gflag` shows the process's flags and "
        "`!heap -p` the page heaps.",
        advice="Turn it off (`gflags /p /disable PROGRAM.exe`) unless you need it.",
        when="NtGlobalFlag in the PEB has 0x02000000, or a heap has the structures of page heap.",
        lower="The severity is info in address spaces above 4 GB.",
        source="Microsoft on page heap's memory requirements.",
        detail=_page_heap_on,
    ),
    "heap-fragmented": Explanation(
        title="A heap holds a lot of space that it does not commit",
        meaning="The heap's reservation is full of holes.",
        why="The heap holds address space that nothing else can use, in ranges that may be too small for the heap "
        "itself.",
        confirm="`dumpmap heaps FILE --segments` shows the uncommitted ranges of each segment. In WinDbg, `!heap -s` "
        "shows the virtual address fragmentation of each heap.",
        advice="Look for blocks of very different lifetimes in one heap, and move the long-lived ones to another.",
        when="A heap reserves {heap_fragmentation_size} or more, and 1 - committed / virtual bytes is "
        "{heap_fragmentation} or more, in more than one range.",
        lower="The severity is info in address spaces above 4 GB.",
        source="WinDbg's `!heap -s` (virtual address fragmentation) and DebugDiag (heap fragmentation) for the "
        "definitions; the values have both figures.",
        detail=_heap_fragmented,
    ),
}
