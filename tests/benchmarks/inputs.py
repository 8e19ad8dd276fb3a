"""Inputs of the measurements, packed as arrays: a million calls of a builder take longer than the measurement."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

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
