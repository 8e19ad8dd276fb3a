"""mozjemalloc: the chunks of Firefox's allocator, inferred from headers that agree.

mozjemalloc takes memory in chunks of 1 MiB. A chunk begins with the address of its arena, followed by links, counters,
and a map of its pages. Release builds have no signature, so nothing here is proved: chunks are claimed where several
name one arena and the maps of most fit, and every claim is marked as inferred. An entry of the map for a page of small
blocks holds the address of the run that the page is part of, which lies in the chunk itself.

From public source (mozilla-central: memory/build/Chunk.h). No process with it was recorded.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Iterator

from dumpmap.model.evidence import EvidenceInfo
from dumpmap.model.kinds import KindInfo
from dumpmap.model.memory import unrecorded
from dumpmap.model.recognised import Found, LabelledRange
from dumpmap.model.values import value_class
from dumpmap.structures.bounds import is_user_address
from dumpmap.structures.module_data import pointer_sizes
from dumpmap.structures.recognisers.protocol import Context, without_overlaps

NAME = "mozjemalloc"
MODULE = "mozglue.dll"
EVIDENCE_WORD = "chunk-header"

CHUNK = 0x100000
HEADER_SIZE = 0x200
"""Bytes that are read of a chunk: the header and the first entries of its map."""

MAX_PLACES = 1 << 17
"""Places that are looked at: 128 GiB of committed memory."""

MIN_CHUNKS = 4
"""Fewest chunks that have to name an arena."""

MIN_ENTRIES = 2
"""Fewest entries of a map that have to fit."""

MAP_AT = range(4, 9)
"""Words of the header before the map: the arena, two links, in some builds two more, dirty pages, and flags."""

_ENTRY = 3
"""Words of an entry: two links and the bits."""

_ALLOCATED, _LARGE, _FLAGS = 0x1, 0x2, 0xFFF

_CHUNK = "mozjemalloc chunk"

KINDS: tuple[KindInfo, ...] = (
    KindInfo(_CHUNK, None, "Blocks of one arena of Firefox's allocator.", "Chunk headers that name one arena."),
)

EVIDENCE: tuple[EvidenceInfo, ...] = (
    EvidenceInfo(EVIDENCE_WORD, "Several aligned chunks name one arena, and their page maps fit. It is inferred."),
)


@value_class(frozen=True, slots=True)
class Arena:
    """An arena of mozjemalloc. `chunks` are the addresses of its chunks, ascending."""

    address: int
    chunks: tuple[int, ...]


def find(context: Context) -> Found:
    """Finds the chunks of a process."""
    if context.family != "windows":
        return Found()
    arenas = tuple(arena for width in pointer_sizes(context) for arena in _arenas(context, width))
    return Found(ranges=without_overlaps(part for arena in arenas for part in _labelled(arena)), facts=arenas)


def _arenas(context: Context, width: int) -> Iterator[Arena]:
    memory = unrecorded(context.memory)
    chunks: dict[int, list[int]] = defaultdict(list)
    fitting: dict[int, int] = defaultdict(int)
    for place in context.space.committed_places(CHUNK, MAX_PLACES):
        data = memory.read(place, HEADER_SIZE)
        base, size = context.space.allocation(place) or (place, 0)
        if data is None or place + CHUNK > base + size or not is_user_address(place, width):
            continue
        words = struct.unpack("<128I" if width == 4 else "<64Q", data)
        arena = words[0]
        if is_user_address(arena, width) and arena % width == 0 and not place <= arena < place + CHUNK:
            chunks[arena].append(place)
            fitting[arena] += _has_map(words, place)
    for arena, found in sorted(chunks.items()):
        if len(found) >= MIN_CHUNKS and 2 * fitting[arena] > len(found) and _is_variable(context, arena, width):
            context.memory.read(arena, width)
            for place in found:
                context.memory.read(place, HEADER_SIZE)
            yield Arena(arena, tuple(found))


def _has_map(words: tuple[int, ...], chunk: int) -> bool:
    """Tells whether the entries for pages of small blocks hold addresses of runs in the chunk."""
    for start in MAP_AT:
        bits = [value for value in words[start + _ENTRY - 1 :: _ENTRY] if value & (_ALLOCATED | _LARGE) == _ALLOCATED]
        if len(bits) >= MIN_ENTRIES and all(chunk < value & ~_FLAGS < chunk + CHUNK for value in bits):
            return True
    return False


def _is_variable(context: Context, arena: int, width: int) -> bool:
    """Tells whether an arena can be at an address: in private memory or among the variables of mozglue.dll."""
    if unrecorded(context.memory).read(arena, width) is None:
        return False
    modules = [module for module in context.modules if module.base <= arena < module.base + module.size]
    return all(module.name == MODULE for module in modules)


def _labelled(arena: Arena) -> Iterator[LabelledRange]:
    instance = f"arena 0x{arena.address:x}"
    for chunk in arena.chunks:
        yield LabelledRange(
            base=chunk,
            size=CHUNK,
            kind=_CHUNK,
            evidence=EVIDENCE_WORD,
            details=f"{MODULE}, {instance}",
            inferred=True,
            owner=NAME,
            module=MODULE,
            instance=instance,
        )
