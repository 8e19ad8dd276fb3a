"""The regions of the address space and the bytes of the process: MemoryInfoList, Memory64List, MemoryList."""

from __future__ import annotations

import numpy as np

from dumpmap.model.limits import RANGES, REGIONS
from dumpmap.model.snapshot import U64, Regions
from dumpmap.parsers.minidump import layout, records
from dumpmap.parsers.minidump.draft import Draft
from dumpmap.parsers.minidump.file import NotReadError
from dumpmap.parsers.minidump.regions import checked_regions
from dumpmap.parsers.minidump.stream import KnownStream, StreamData

_MEMORY64_LIST_HEADER = records.Reader(layout.MEMORY64_LIST_HEADER)
_MEMORY_INFO_LIST_HEADER = records.Reader(layout.MEMORY_INFO_LIST_HEADER)
_FILE_HEADER_SIZE = layout.HEADER.sizeof()
_HIGH = np.uint64(1 << 63)

MEMORY_INFO_LIST_NUMBER = 16


def read_memory_info_list(data: StreamData, draft: Draft) -> None:
    """Reads MINIDUMP_MEMORY_INFO_LIST, the regions of the address space."""
    # DataSize is 32 bits and wraps for a very long list: only the end of the file bounds this one.
    entries = data.described(layout.MEMORY_INFO, _MEMORY_INFO_LIST_HEADER, REGIONS, limit=data.file.size)
    if len(entries) == 0:
        raise NotReadError("absent", "; ".join(data.problems) or "has no entries")
    regions, faults = checked_regions(
        Regions(
            base=entries["BaseAddress"].copy(),
            allocation_base=entries["AllocationBase"].copy(),
            allocation_protect=entries["AllocationProtect"].copy(),
            size=entries["RegionSize"].copy(),
            state=entries["State"].copy(),
            protect=entries["Protect"].copy(),
            type=entries["Type"].copy(),
        )
    )
    draft.regions = regions
    for fault in faults:
        data.note(fault)


def read_memory64_list(data: StreamData, draft: Draft) -> None:
    """Reads MINIDUMP_MEMORY64_LIST: ranges whose bytes follow each other in the file."""
    header = data.record(_MEMORY64_LIST_HEADER)
    start = data.offset + _MEMORY64_LIST_HEADER.size
    file_size = data.file.size
    # DataSize is 32 bits and wraps for a very long list: only the end of the file bounds this one.
    count = header.NumberOfMemoryRanges
    entries = data.array(layout.MEMORY_DESCRIPTOR64, start, count, most=RANGES, limit=file_size)
    if header.BaseRva > file_size:
        reason = f"memory begins at 0x{header.BaseRva:x}, but the file ends at 0x{file_size:x}"
        raise NotReadError("unreadable", reason)
    sizes = entries["DataSize"].astype(np.uint64)
    # Sizes of a damaged list can add up beyond 64 bits: after the first that leaves the file, nothing more is in it.
    beyond = np.cumsum(sizes.astype(np.float64)) + header.BaseRva > 2.0**63
    first_beyond = int(beyond.argmax()) if beyond.any() else len(sizes)
    offsets = np.full(len(sizes), file_size, np.uint64)
    running = np.cumsum(sizes[:first_beyond]) + np.uint64(header.BaseRva)
    offsets[:first_beyond] = running - sizes[:first_beyond]
    add_memory(data, draft, entries["StartOfMemoryRange"].astype(np.uint64), sizes, offsets)


def read_memory_list(data: StreamData, draft: Draft) -> None:
    """Reads MINIDUMP_MEMORY_LIST: ranges that each name their place in the file."""
    entries = data.counted(layout.MEMORY_DESCRIPTOR, RANGES)
    add_memory(
        data,
        draft,
        entries["StartOfMemoryRange"].astype(np.uint64),
        entries["DataSize"].astype(np.uint64),
        entries["Rva"].astype(np.uint64),
    )


def add_memory(data: StreamData, draft: Draft, starts: U64, sizes: U64, offsets: U64) -> None:
    """Adds the ranges whose bytes are in the file, and cuts a range that reaches beyond its end.

    Args:
        data: the stream that lists the ranges.
        draft: gets the ranges.
        starts: their addresses.
        sizes: their sizes.
        offsets: where in the file each begins.
    """
    if len(starts) == 0:
        return
    file_size = data.file.size
    # The usual case, where nothing has to be cut. An offset below the header's end wraps, and is too large, too.
    least, most = np.uint64(_FILE_HEADER_SIZE), np.uint64(file_size)
    misplaced = offsets - least > most - least
    if not np.count_nonzero(misplaced | (sizes > most - offsets) | (starts >= _HIGH)):
        draft.memory.append((starts, sizes, offsets))
        return
    # Writers of full dumps give a thread's stack the RVA 0: its bytes are in Memory64List, not in the file's header.
    placed = offsets >= least
    starts, sizes, offsets = starts[placed], sizes[placed], offsets[placed]
    with np.errstate(over="ignore"):
        ends = starts + sizes
    wrong = (ends < starts) & (ends != 0)
    # A range that ends exactly at 2**64 would have an end of 0; its last byte is given up.
    sizes = np.where((ends == 0) & (sizes > 0), sizes - np.uint64(1), sizes)
    left = np.where(offsets < most, most - offsets, np.uint64(0))
    kept = np.minimum(sizes, left)
    kept[wrong] = 0
    draft.memory.append((starts, kept, offsets))
    missing = int(((kept < sizes) & ~wrong).sum())
    if missing:
        lost = int((sizes - kept)[~wrong].sum(dtype=np.float64))
        text = f"{missing:,} of {len(starts):,} memory ranges reach beyond the end of the file"
        data.note(f"{text}: {lost:,} of their bytes are missing")
    if wrong.any():
        data.note(f"{int(wrong.sum()):,} memory ranges lie outside the address space")


STREAMS = (
    KnownStream(
        MEMORY_INFO_LIST_NUMBER,
        "MemoryInfoList",
        "The regions of the address space, as VirtualQuery returns them. Only a dump with this stream has a full map.",
        "MINIDUMP_MEMORY_INFO_LIST",
        "the regions: the map itself",
        read_memory_info_list,
    ),
    KnownStream(
        9,
        "Memory64List",
        "Ranges of the process's memory whose bytes follow each other at the end of the file, as in a full dump.",
        "MINIDUMP_MEMORY64_LIST",
        "bytes of the process",
        read_memory64_list,
    ),
    KnownStream(
        5,
        "MemoryList",
        "Ranges of the process's memory, each with the place of its bytes in the file.",
        "MINIDUMP_MEMORY_LIST",
        "bytes of the process",
        read_memory_list,
    ),
)
