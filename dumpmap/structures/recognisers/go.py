"""Go: the heap of a Go program, and what its runtime took for itself.

A Go program exports nothing and can have any name. It is known by the build information at the start of its variables,
which also gives the version. Its heap is found in its variables by what they hold (`go_heap`), so no address and no
offset depends on a version. Checked on recorded processes of Go 1.19 to 1.27 against what runtime.ReadMemStats said.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from dumpmap.model.evidence import EvidenceInfo
from dumpmap.model.kinds import KindInfo
from dumpmap.model.memory import Memory, unrecorded
from dumpmap.model.process import PeImage
from dumpmap.model.recognised import Found, LabelledRange, OwnerFacts, Runtime
from dumpmap.model.values import value_class
from dumpmap.model.winnt import PAGE_SIZE
from dumpmap.structures.bounds import round_up
from dumpmap.structures.recognisers import GO_MARK
from dumpmap.structures.recognisers.go_heap import ARENA, ArenaList, GoReader, PageCounts, PageSummaries
from dumpmap.structures.recognisers.go_system import BITS, CHUNK, Collector, GoSystem
from dumpmap.structures.recognisers.protocol import Context, LoadedModule
from dumpmap.structures.recognisers.words import Run, variable_words, word

NAME = "Go runtime"
EVIDENCE_WORD = "go-heap"

MAX_PROGRAMS = 8
"""Go programs in a process: one, and libraries that were built with it."""

MAX_VERSION = 200
"""Bytes of a version; custom builds of Go have long ones."""

_RELEASE = re.compile(rb"go1\.\d{1,3}(\.\d{1,3}|rc\d+|beta\d+)?( X:[\w,]+)?")
_SHORTEST, _LONGEST = len("go1.9"), 64

MAX_TEXTS = 1 << 17
"""String variables of a program that are looked at."""

_INLINE = 2
"""Flag of the build information (Go 1.18 and later): the strings follow it, instead of pointers to them."""

_ARENA, _SUMMARY, _BITMAP, _MAP = "Go heap arena", "Go page summary", "Go page bitmap", "Go arena map"
_METADATA, _INDEX, _SPANS, _CHUNK = "Go arena metadata", "Go scavenge index", "Go span table", "Go persistent chunk"
_MARKS, _PROFILE = "Go mark bits", "Go profile table"

_MHEAP = "The runtime's variable mheap_."

KINDS: tuple[KindInfo, ...] = (
    KindInfo(_ARENA, None, "Objects and goroutine stacks.", _MHEAP),
    KindInfo(_SUMMARY, None, "A level of the tree in which the runtime looks for free pages.", _MHEAP),
    KindInfo(_BITMAP, None, "Which pages of the arenas are in use.", _MHEAP),
    KindInfo(_MAP, None, "The map from addresses to arenas.", _MHEAP),
    KindInfo(_METADATA, None, "Spans and pointer bits of one arena.", _MHEAP),
    KindInfo(_INDEX, None, "Which pages can be given back to the system.", _MHEAP),
    KindInfo(_SPANS, None, "The list of all spans.", _MHEAP),
    KindInfo(_CHUNK, None, "Data of the runtime that is never freed.", "The runtime's list of chunks."),
    KindInfo(_MARKS, None, "Bits of the garbage collector for objects.", "The runtime's lists of mark bits."),
    KindInfo(_PROFILE, None, "The hash table of a profile, such as that of allocations.", "The runtime's variables."),
)

EVIDENCE: tuple[EvidenceInfo, ...] = (
    EvidenceInfo(EVIDENCE_WORD, "The Go runtime's variables name it, and at least one other table agrees with them."),
)

Part = tuple[int, int, str]
"""Start, end (exclusive), and kind."""


@value_class(frozen=True, slots=True)
class GoHeap:
    """The heap of one Go program.

    Attributes:
        module: file name of the program or library.
        base: where it is loaded.
        version: such as `go1.22.3`; None if it is not in the memory.
        summaries: the page allocator's tree.
        arenas: the arenas.
        pages: the pages of the arenas; None unless bitmaps and summaries agree.
        collector: what the collector's state holds; None where nothing proves it.
        parts: all that the runtime took, by address.
    """

    module: str
    base: int
    version: str | None
    summaries: PageSummaries
    arenas: ArenaList
    pages: PageCounts | None
    collector: Collector | None
    parts: tuple[Part, ...]


def find(context: Context) -> Found:
    """Finds the heaps of the Go programs of a process."""
    heaps: list[GoHeap] = []
    runtimes: list[Runtime] = []
    notes: list[str] = []
    for module, mark in context.marked_modules(GO_MARK)[:MAX_PROGRAMS]:
        image = context.image_of(module)
        if context.family != "windows" or image is None or image.pointer_size != context.pointer_size:
            continue
        runs = variable_words(context.memory, module.base, image, image.pointer_size)
        heap = _read_heap(context, module, image, runs)
        if heap is None and mark is None:
            continue  # the name of a section alone proves nothing
        version = read_version(context.memory, mark) if mark is not None else None
        version = version or find_version(context.memory, image, module.base, runs)
        runtimes.append(Runtime(NAME, module.name, module.base, version))
        if heap is None:
            notes.append(
                f"{module.name}: a Go program whose heap could not be located ({version or 'unknown version'})"
            )
            continue
        heaps.append(replace(heap, version=version))
        if heap.arenas.unproved:
            notes.append(
                f"{module.name}: {heap.arenas.unproved} listed Go arenas are not in the arena map; not claimed"
            )
    return Found(
        ranges=tuple(part for heap in heaps for part in _labelled(heap)),
        runtimes=tuple(runtimes),
        facts=(*heaps, *map(_facts, heaps)),
        notes=tuple(notes),
    )


def read_version(memory: Memory, address: int) -> str | None:
    """Reads the version out of the build information at `address`.

    Behind the magic are the width of pointers and flags. The version follows at +0x20 (its length as one or two bytes
    of seven bits each, then its characters), or in old versions, a pointer to it is at +0x10.
    """
    head = memory.read(address + len(GO_MARK.magic), 2)
    if head is None:
        return None
    width, flags = head
    if flags & _INLINE:
        return _text(memory, address + 0x20, _length(memory, address + 0x20))
    if flags or width not in (4, 8):
        return None
    text = word(memory, address + 0x10, width)
    start, size = (word(memory, text + at, width) if text else None for at in (0, width))
    return _text(memory, start - 1, size) if start and size else None


def find_version(memory: Memory, image: PeImage, base: int, runs: Sequence[Run]) -> str | None:
    """Finds the version in a string variable of the program; None if there is none, or several differ.

    The runtime keeps its version in every program, also where the build information was removed.
    """
    width = image.pointer_size
    found: dict[bytes, tuple[int, int]] = {}
    left = MAX_TEXTS
    low, high = base, base + image.size_of_image
    for first, values in runs:
        for index in range(len(values) - 1):
            text, size = values[index], values[index + 1]
            if not low <= text < high or not _SHORTEST <= size <= _LONGEST:
                continue
            left -= 1
            data = unrecorded(memory).read(text, size) if left >= 0 else None
            if data is not None and _RELEASE.fullmatch(data):
                found.setdefault(data, (first + index * width, text))
    if len(found) != 1:
        return None
    ((data, (at, text)),) = found.items()
    memory.read(at, 2 * width)
    memory.read(text, len(data))
    return data.decode("ascii")


def _length(memory: Memory, address: int) -> int:
    # A length above 127 does not fit the first byte; no version is that long.
    return (memory.read(address, 1) or b"\0")[0]


def _text(memory: Memory, before: int, size: int) -> str | None:
    data = memory.read(before + 1, size) if 0 < size <= MAX_VERSION else None
    text = None if data is None else data.decode("ascii", "replace")
    return text if text and text.isprintable() and "go" in text else None


def _read_heap(context: Context, module: LoadedModule, image: PeImage, runs: Sequence[Run]) -> GoHeap | None:
    reader = GoReader(context, image.pointer_size, image.machine)
    summaries = reader.find_summaries(runs)
    tail = {} if summaries is None else reader.tail(summaries)
    arenas = reader.find_arenas(tail)
    if summaries is None or arenas is None:
        return None
    pages = reader.count_pages(summaries, arenas.arenas)
    system = GoSystem(context, reader, runs)
    chunks = system.persistent_chunks(arenas)
    widths = reader.widths
    map_size = round_up(widths.map_entries * widths.pointer, PAGE_SIZE)
    parts: list[Part] = [(base, base + ARENA, _ARENA) for base in arenas.arenas]
    parts += [(base, base + map_size, _MAP) for base in arenas.maps]
    parts += [(base, base + 8 * count, _SUMMARY) for base, count in zip(summaries.levels, widths.levels, strict=True)]
    parts += [(base, base + widths.chunks * 128, _BITMAP) for base in (pages.maps if pages else ())]
    parts += [(base, base + size, _METADATA) for base, size in system.arena_metadata(arenas)]
    parts += [(base, base + CHUNK, _CHUNK) for base in chunks]
    spans = system.span_table(tail, chunks)
    parts += [(base, base + BITS, _MARKS) for base in (system.mark_bits(spans[0]) if spans else ())]
    parts += [(base, base + size, _PROFILE) for base, size in system.profile_tables(chunks)]
    tables = ((spans, _SPANS), (system.scavenge_index(tail, summaries), _INDEX))
    parts += [(table[0], sum(table), kind) for table, kind in tables if table]
    wide = runs if widths.pointer == 8 else variable_words(context.memory, module.base, image, 8)
    return GoHeap(
        module=module.name,
        base=module.base,
        version=None,
        summaries=summaries,
        arenas=arenas,
        pages=pages,
        collector=None if pages is None else system.collector(wide, pages),
        parts=tuple(_apart(sorted(parts))),
    )


def _apart(parts: list[Part]) -> Iterator[Part]:
    """Of parts that overlap, the first stays."""
    end = 0
    for part in parts:
        if part[0] >= end:
            end = part[1]
            yield part


def _labelled(heap: GoHeap) -> Iterator[LabelledRange]:
    for start, end, kind in heap.parts:
        yield LabelledRange(
            base=start,
            size=end - start,
            kind=kind,
            evidence=EVIDENCE_WORD,
            details=heap.module,
            owner=NAME,
            module=heap.module,
        )


def _facts(heap: GoHeap) -> OwnerFacts:
    collector = heap.collector
    return OwnerFacts(
        NAME,
        heap.module,
        "",
        heap.version,
        used=None if collector is None else collector.in_use,
        limit=None if collector is None else collector.limit,
    )
