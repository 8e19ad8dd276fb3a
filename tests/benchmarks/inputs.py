"""Inputs of the measurements, packed as arrays: a million calls of a builder take longer than the measurement."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt

MEMORY_RANGE = np.dtype([("start", "<u8"), ("size", "<u8")])
MEMORY_INFO = np.dtype(
    [("base", "<u8"), ("allocation", "<u8"), ("protect0", "<u4"), ("pad0", "<u4"), ("size", "<u8"), ("state", "<u4"),
     ("protect", "<u4"), ("type", "<u4"), ("pad1", "<u4")]
)  # fmt: skip
SYSTEM_INFO = struct.pack("<HHHBBIIIIIHH24s", 9, 6, 0, 4, 1, 10, 0, 19045, 2, 0, 0, 0, b"")


def dump(streams: list[tuple[int, bytes]], *, flags: int = 0x800) -> bytes:
    """Builds a minidump of the given streams."""
    offset = 32 + 12 * len(streams)
    directory, body = b"", b""
    for number, data in streams:
        directory += struct.pack("<III", number, len(data), offset + len(body))
        body += data
    return struct.pack("<4sIIIIIQ", b"MDMP", 0xA793, len(streams), 32, 0, 0, flags) + directory + body


def memory_info(count: int) -> bytes:
    """Builds a MemoryInfoList: allocations of three regions each, every seventh region free."""
    numbers = np.arange(count, dtype=np.uint64)
    rows = np.zeros(count, MEMORY_INFO)
    rows["base"] = np.uint64(0x10000) + numbers * np.uint64(0x10000)
    rows["allocation"] = rows["base"] - numbers % np.uint64(3) * np.uint64(0x10000)
    rows["protect0"], rows["protect"], rows["size"] = 4, 4, 0x10000
    rows["state"], rows["type"] = 0x1000, 0x20000
    rows["state"][::7], rows["type"][::7] = 0x10000, 0
    return struct.pack("<IIQ", 16, 48, count) + rows.tobytes()


def million(path: Path) -> Path:
    """Writes a dump of a million regions."""
    path.write_bytes(dump([(7, SYSTEM_INFO), (16, memory_info(1_000_000))]))
    return path


def sparse(path: Path, size: int = 64 << 30, ranges: int = 20_000) -> Path:
    """Writes a dump with `size` bytes of full memory as a sparse file: zeros that need no disk space."""
    each = size // ranges & ~0xFFF
    starts = np.uint64(0x10000000) + np.arange(ranges, dtype=np.uint64) * np.uint64(each + 0x10000)
    descriptors = np.empty(ranges, [("start", "<u8"), ("size", "<u8")])
    descriptors["start"], descriptors["size"] = starts, each
    rows = np.zeros(ranges, MEMORY_INFO)
    rows["base"] = rows["allocation"] = starts
    rows["protect0"], rows["protect"], rows["size"], rows["state"], rows["type"] = 4, 4, each, 0x1000, 0x20000
    info = struct.pack("<IIQ", 16, 48, ranges) + rows.tobytes()
    list_size = 16 + descriptors.nbytes
    base = 32 + 12 * 3 + len(SYSTEM_INFO) + len(info) + list_size
    memory = struct.pack("<QQ", ranges, base) + descriptors.tobytes()
    with path.open("wb") as file:
        file.write(dump([(7, SYSTEM_INFO), (16, info), (9, memory)], flags=0x802))
        file.truncate(base + each * ranges)
    return path


# ---------------------------------------------------------------- a full dump of a million regions

_BULK_START = 0x20_0000_0000
"""Nothing of a built process lies here."""

_BULK_STRIDE = 0x10000
_BULK_SIZES = (0x4000, 0x4000, 0x8000)
"""Regions of one allocation: read/write, read-only, and reserved or free."""

_MODULES, _UNLISTED = 500, 50
_HEAPS, _SEGMENTS = 4, 50


def furnished() -> bytes:
    """Builds the dump of a process with modules, unlisted images, and heaps of many segments."""
    from synth.heaps import SegmentSpec, nt_heap, write_heap_array
    from synth.process import ProcessBuilder

    process = ProcessBuilder("x64", 19045).furnish()
    for number in range(_MODULES):
        process.add_module(f"module{number}.dll", timestamp=0x5F000000 + number)
    for number in range(_UNLISTED):
        process.add_module(f"unlisted{number}.dll", listed=False)
    for _ in range(_HEAPS):
        nt_heap(process, segments=[SegmentSpec(0x10000)] * _SEGMENTS)
    write_heap_array(process)
    return process.to_minidump(zeros=True).build()  # as whole regions: udmp-parser wants ranges that begin one


def bulk_regions(count: int) -> npt.NDArray[np.void]:
    """Makes the rows of a MemoryInfoList: allocations of three regions, 1 in 32 an image, 1 in 32 a mapped view."""
    numbers = np.arange(count, dtype=np.uint64)
    allocation, part = numbers // np.uint64(3), (numbers % np.uint64(3)).astype(np.intp)
    rows = np.zeros(count, MEMORY_INFO)
    rows["allocation"] = np.uint64(_BULK_START) + allocation * np.uint64(_BULK_STRIDE)
    rows["base"] = rows["allocation"] + np.cumsum((0, *_BULK_SIZES[:2])).astype(np.uint64)[part]
    rows["size"] = np.array(_BULK_SIZES, np.uint64)[part]
    rows["protect0"], rows["protect"] = 4, np.array([4, 2, 0], np.uint32)[part]
    rows["state"] = np.array([0x1000, 0x1000, 0x2000], np.uint32)[part]
    rows["type"] = 0x20000
    rows["type"][allocation % np.uint64(32) == 5] = 0x1000000
    rows["type"][allocation % np.uint64(32) == 21] = 0x40000
    free = (part == 2) & (allocation % np.uint64(7) == 0)
    for name, value in (("state", 0x10000), ("type", 0), ("protect0", 0), ("protect", 1), ("allocation", 0)):
        rows[name][free] = value
    return rows


def full_million(path: Path, count: int = 1_000_000) -> Path:
    """Writes a full dump: a furnished process, `count` more regions, and the bytes of the committed private ones.

    The bytes of those regions are a hole in the file, so that it takes little space on the disk.
    """
    built = furnished()
    places = {
        kind: (index, size, offset)
        for index, (kind, size, offset) in enumerate(struct.iter_unpack("<III", _directory(built)))
    }
    _, _, at = places[16]
    head, entry, own = struct.unpack_from("<IIQ", built, at)
    regions = np.frombuffer(built, MEMORY_INFO, own, at + head)
    bulk = bulk_regions(count)
    info = _inserted(regions, bulk)
    _, _, at = places[9]
    ranges, base = struct.unpack_from("<QQ", built, at)
    own_memory = np.frombuffer(built, MEMORY_RANGE, ranges, at + 16)
    lower = int(np.searchsorted(own_memory["start"], bulk["base"][0]))
    memory = np.concatenate((own_memory[:lower], _held(bulk), own_memory[lower:]))
    low_bytes, own_bytes = int(own_memory["size"][:lower].sum()), int(own_memory["size"].sum())
    blob = bytearray(built)
    lists = struct.pack("<IIQ", head, entry, len(info)) + info.tobytes()
    _redirect(blob, places[16][0], len(lists), len(built))
    ranges_at = len(built) + len(lists)
    table = struct.pack("<QQ", len(memory), ranges_at + 16 + memory.nbytes) + memory.tobytes()
    _redirect(blob, places[9][0], len(table), ranges_at)
    with path.open("wb") as file:
        file.write(bytes(blob) + lists + table + built[base : base + low_bytes])
        file.seek(int(_held(bulk)["size"].sum()), 1)
        file.write(built[base + low_bytes : base + own_bytes])
    return path


def _inserted(regions: npt.NDArray[np.void], bulk: npt.NDArray[np.void]) -> npt.NDArray[np.void]:
    """Puts regions in the place of a part of a free one."""
    first, end = bulk["base"][0], bulk["base"][-1] + bulk["size"][-1]
    split = int(np.searchsorted(regions["base"], first))
    before, after = regions[:split].copy(), regions[split - 1 : split].copy()
    after["size"] -= end - after["base"]
    after["base"] = end
    before["size"][-1] = first - before["base"][-1]
    return np.concatenate((before, bulk, after, regions[split:]))


def _held(bulk: npt.NDArray[np.void]) -> npt.NDArray[np.void]:
    """The ranges of memory that the dump holds: the committed part of every private allocation."""
    first = bulk[(bulk["base"] == bulk["allocation"]) & (bulk["type"] == 0x20000)]
    held = np.empty(len(first), MEMORY_RANGE)
    held["start"], held["size"] = first["base"], _BULK_SIZES[0] + _BULK_SIZES[1]
    return held


def _directory(data: bytes) -> bytes:
    count, at = struct.unpack_from("<II", data, 8)
    return data[at : at + 12 * count]


def _redirect(data: bytearray, index: int, size: int, offset: int) -> None:
    """Points an entry of the directory to another place."""
    (at,) = struct.unpack_from("<I", data, 12)
    struct.pack_into("<II", data, at + 12 * index + 4, size, offset)
