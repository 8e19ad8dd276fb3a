"""mimalloc: the segments of the allocator that Rust and C++ programs link in, proved by the cookie in their headers.

Every segment of mimalloc 1 and 2 begins with a header that holds a cookie: the segment's address XOR a random number.
The number itself lies in the main heap, a variable of the module that mimalloc is linked into. A segment is claimed
only if its header agrees with itself and a module's variables hold the number, which also names the owner. The header
names the thread that the segment belongs to. mimalloc 3 has arenas instead (`mimalloc_arenas`).

Checked on recorded processes with mimalloc 2.0 of 64 and 32 bits (pyarrow, and a program that states the truth) and 2.2
(ruff). Mimalloc 1 is read as its sources say; no process with it was recorded.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, islice
from typing import NamedTuple

from dumpmap.model.evidence import EvidenceInfo
from dumpmap.model.kinds import KindInfo
from dumpmap.model.memory import unrecorded
from dumpmap.model.recognised import Found, LabelledRange, OwnerFacts, Runtime
from dumpmap.structures.bounds import round_up
from dumpmap.structures.captured import captured_places, captured_steps
from dumpmap.structures.module_data import ModuleData, Word, pointer_sizes
from dumpmap.structures.recognisers.mimalloc_arenas import find_arenas
from dumpmap.structures.recognisers.mimalloc_segments import HEADER_SIZE, Segment, read_header
from dumpmap.structures.recognisers.protocol import LARGE, Context, LoadedModule, without_overlaps

NAME = "mimalloc"
EVIDENCE_WORD = "mimalloc-cookie"
ARENA_EVIDENCE = "mimalloc-arena"

MAX_PLACES = 1 << 17
"""Places that are looked at: 256 GiB of committed memory."""

MAX_TRIED, MAX_TRIED_SIZE = 64, 64 << 20
"""Large allocations of a live process of which every place is tried, committed or not, and the size of each."""

MAX_SECRETS = 16
"""Random numbers that are searched for, those of most segments first. Each copy of mimalloc in a process has one."""

MAX_RESERVATIONS = 64
"""Reservations of one copy of mimalloc that are searched for as arenas."""

ARENA_STARTS = range(1, 7)
"""Words of an arena's description before its start: an id, flags, and since 2.1 the id of its own memory."""

_SEGMENT, _HUGE, _ARENA = "mimalloc segment", "mimalloc huge segment", "mimalloc arena"
_PAGES = "mimalloc 3 arena"
_HEADER = "The segment's header and the random number of mimalloc's main heap."

KINDS: tuple[KindInfo, ...] = (
    KindInfo(_SEGMENT, None, "Blocks that mimalloc handed out, and free ones, of one thread.", _HEADER),
    KindInfo(_HUGE, None, "One block too large for an ordinary segment.", _HEADER),
    KindInfo(_PAGES, None, "Address space that mimalloc 3 reserved for its pages, used or not.", "The arena itself."),
    KindInfo(
        _ARENA, None, "Address space that mimalloc reserved; no segment uses it now.", "mimalloc's list of arenas."
    ),
)

EVIDENCE: tuple[EvidenceInfo, ...] = (
    EvidenceInfo(EVIDENCE_WORD, "A mimalloc segment header; its cookie matches the secret in the module's variables."),
    EvidenceInfo(ARENA_EVIDENCE, "mimalloc's description of the arena gives its start and size."),
)


class Mimalloc(NamedTuple):
    """One copy of mimalloc in a process.

    Attributes:
        module: the module that it is linked into.
        secret_at: where its main heap keeps the random number.
        generation: 1 or 2.
        segments: its segments, by address.
        arenas: start and end (exclusive) of its arenas, by address.
    """

    module: LoadedModule
    secret_at: int
    generation: int
    segments: tuple[Segment, ...]
    arenas: tuple[tuple[int, int], ...]

    @property
    def version(self) -> str:
        """What is known of its version."""
        return f"{self.generation}.x"


def find(context: Context) -> Found:
    """Finds the memory of every copy of mimalloc in a process."""
    if context.family != "windows":
        return Found()
    ranges: list[LabelledRange] = []
    copies: list[Mimalloc] = []
    facts: list[OwnerFacts] = []
    for width in pointer_sizes(context):
        threads = {teb.address: teb.thread_id for teb in context.tebs if teb.pointer_size == width}
        for copy in _copies(context, width, threads):
            copies.append(copy)
            labelled = [*_labelled(copy, threads), *_labelled_arenas(copy)]
            instances = dict.fromkeys(part.instance for part in labelled)
            facts += [OwnerFacts(NAME, copy.module.name, instance, copy.version) for instance in instances]
            ranges += labelled
    versions = {copy.module: copy.version for copy in copies}
    arenas = tuple(find_arenas(context))
    for arena in arenas:
        ranges.append(_range(arena.module, arena.base, arena.base + arena.size, _PAGES, ARENA_EVIDENCE))
        if arena.module not in versions:
            versions[arena.module] = "3.x"
            facts.append(OwnerFacts(NAME, arena.module.name, "", "3.x"))
    return Found(
        ranges=without_overlaps(ranges),
        runtimes=tuple(Runtime(NAME, module.name, module.base, version) for module, version in versions.items()),
        facts=(*copies, *arenas, *facts),
    )


def _copies(context: Context, width: int, threads: Mapping[int, int]) -> Iterator[Mimalloc]:
    """Yields the copies of mimalloc of one pointer width that the variables of modules bear out."""
    segments: dict[int, list[Segment]] = defaultdict(list)
    for segment in _candidates(context, width):
        segments[segment.secret].append(segment)
    common = sorted(segments, key=lambda secret: len(segments[secret]), reverse=True)[:MAX_SECRETS]
    if not common:
        return
    data = ModuleData(context, width)
    proved: dict[int, Word] = {}
    for word in data.find(common):
        if word.value not in proved and _is_main_heap(context, word, width, threads):
            proved[word.value] = word
    mine = _apart(segment for secret in proved for segment in segments[secret])
    for secret, word in proved.items():
        if mine[secret]:
            yield _record(context, data, word, tuple(mine[secret]), width)


def _candidates(context: Context, width: int) -> Iterator[Segment]:
    """Yields every header that agrees with itself. What is none is looked at without being recorded."""
    memory = unrecorded(context.memory)
    for place in captured_places(memory, _places(context), LARGE, HEADER_SIZE):
        data = memory.read(place, HEADER_SIZE)
        allocation = None if data is None else context.space.allocation(place)
        if data is not None and allocation is not None:
            yield from read_header(data, place, sum(allocation) - place, width)


def _places(context: Context) -> Sequence[int]:
    """The places where segments can begin: in mimalloc 1 of 32 bits, which has the smallest, at multiples of 2 MiB.

    Most processes have few large allocations. To try every place in them that may be captured costs less than to search
    the memory map. In 32 bits, huge segments can be smaller.
    """
    ranges = context.memory.ranges()
    allocations = context.large_allocations
    few = bool(ranges) or (len(allocations) <= MAX_TRIED and all(size <= MAX_TRIED_SIZE for _, size in allocations))
    if not few or 4 in pointer_sizes(context):
        return context.space.committed_places(LARGE, MAX_PLACES)
    allocations = context.captured_large_allocations
    steps = (captured_steps(ranges, range(round_up(base, LARGE), base + size, LARGE)) for base, size in allocations)
    return list(islice(chain.from_iterable(steps), MAX_PLACES))


def _is_main_heap(context: Context, word: Word, width: int, threads: Mapping[int, int]) -> bool:
    """Tells whether a variable is the random number of the main heap, by the thread before it.

    64 random bits prove themselves. 32 bits may occur by chance, so there the heap has to name a thread of the process,
    right before the number or with the arena of the heap between them.
    """
    if width == 8:
        return True
    data = unrecorded(context.memory).read(word.address - 2 * width, 2 * width)
    return data is not None and not threads.keys().isdisjoint(struct.unpack("<2I", data))


def _apart(segments: Iterable[Segment]) -> dict[int, list[Segment]]:
    """Sorts segments by address and by secret, without those that overlap an earlier one."""
    apart: dict[int, list[Segment]] = defaultdict(list)
    end = 0
    for segment in sorted(segments, key=lambda segment: segment.base):
        if segment.base >= end:
            apart[segment.secret].append(segment)
            end = segment.base + segment.size
    return apart


def _record(context: Context, data: ModuleData, word: Word, segments: tuple[Segment, ...], width: int) -> Mimalloc:
    """Reads what proves a copy of mimalloc once more, to have it recorded, and finds its arenas."""
    if context.memory.read(word.address - 2 * width, 3 * width) is None:
        context.memory.read(word.address, width)
    for segment in segments:
        context.memory.read(segment.base, HEADER_SIZE)
    unit = next((segment.unit for segment in segments if not segment.huge), segments[0].unit)
    reservations = _reservations(context, segments)
    descriptions = _descriptions(context, data, word.module, reservations.keys(), width)
    ends = ((start, _arena_end(context, start, at, reservations[start], unit, width)) for start, at in descriptions)
    arenas = {start: end for start, end in ends if end is not None}
    return Mimalloc(word.module, word.address, segments[0].generation, segments, tuple(sorted(arenas.items())))


def _reservations(context: Context, segments: Iterable[Segment]) -> dict[int, int]:
    """The allocations that hold segments and have room for more: where segments can begin in them, and their ends."""
    found: dict[int, int] = {}
    for segment in segments:
        base, size = context.space.allocation(segment.base) or (segment.base, segment.size)
        if size > segment.size and len(found) < MAX_RESERVATIONS:
            found[round_up(base, segment.unit)] = base + size
    return found


def _descriptions(
    context: Context, data: ModuleData, module: LoadedModule, starts: Collection[int], width: int
) -> Iterator[tuple[int, int]]:
    """Yields the starts of reservations with the addresses of words that hold them, where arenas are described.

    The first arenas are described among the variables of the module, others at the start of an allocation of their own.
    """
    for word in data.find_in(module, starts):
        yield word.value, word.address
    patterns = {start.to_bytes(width, "little"): start for start in starts}
    for index in ARENA_STARTS:
        found = unrecorded(context.memory).find(context.private_allocations, index * width, patterns.keys())
        for address, pattern in found.items():
            yield patterns[pattern], address + index * width


def _arena_end(context: Context, start: int, at: int, end: int, unit: int, width: int) -> int | None:
    """Returns the end of an arena whose start is at `at`: its blocks follow, and the words of their bitmap."""
    data = unrecorded(context.memory).read(at, 3 * width)
    if data is None:
        return None
    _, blocks, fields = struct.unpack("<3I" if width == 4 else "<3Q", data)
    if not 0 < blocks <= (end - start) // unit or fields != -(-blocks // (8 * width)):
        return None
    context.memory.read(at, 3 * width)
    return int(start + blocks * unit)


def _labelled(copy: Mimalloc, threads: Mapping[int, int]) -> Iterator[LabelledRange]:
    for segment in copy.segments:
        thread = threads.get(segment.thread)
        instance = "" if thread is None else f"thread {thread}"
        in_arena = any(start <= segment.base < end for start, end in copy.arenas)
        yield replace(
            _range(copy.module, segment.base, segment.base + segment.size, _HUGE if segment.huge else _SEGMENT),
            details=f"{copy.module.name}, {instance}" if instance else copy.module.name,
            instance=instance,
            whole_kind=_ARENA if in_arena else None,
        )


def _labelled_arenas(copy: Mimalloc) -> Iterator[LabelledRange]:
    """What the segments leave of the arenas."""
    at = 0
    edges = [(segment.base, segment.base + segment.size) for segment in copy.segments]
    for start, end in copy.arenas:
        at = max(at, start)
        for low, high in edges:
            if at < low < end:
                yield _range(copy.module, at, low, _ARENA, ARENA_EVIDENCE)
            if start <= low < end:
                at = max(at, high)
        if at < end:
            yield _range(copy.module, at, end, _ARENA, ARENA_EVIDENCE)
            at = end


def _range(module: LoadedModule, low: int, high: int, kind: str, evidence: str = EVIDENCE_WORD) -> LabelledRange:
    return LabelledRange(
        base=low,
        size=high - low,
        kind=kind,
        evidence=evidence,
        details=module.name,
        owner=NAME,
        module=module.name,
    )
