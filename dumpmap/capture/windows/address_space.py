"""The address space of a process on Windows: its regions, where it ends, and the files behind its mappings."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence

from dumpmap.capture.regions import RegionSpace
from dumpmap.capture.windows.api import ApiError, WindowsApi
from dumpmap.capture.windows.paths import drive_path, file_name
from dumpmap.model.memory import LiveMemory
from dumpmap.model.winnt import MemState, MemType, RegionRow
from dumpmap.structures.pe import read_image

WOW64_LIMIT = {True: 0xFFFF_0000, False: 0x7FFF_0000}
"""End (exclusive) of the addresses that a 32-bit process on 64-bit Windows can use, by large-address awareness."""


def walk(api: WindowsApi, handle: int, *, wow64: bool, warnings: list[str]) -> list[RegionRow]:
    """Lists the regions, of a WoW64 process those below 4 GB.

    Raises:
        ApiError: Windows did not return a single region.
    """
    rows: list[RegionRow] = []
    try:
        rows.extend(api.regions(handle, 1 << 32 if wow64 else None))
    except ApiError as error:
        if not rows:
            raise
        last = rows[-1]
        warnings.append(f"the memory map is incomplete: reading stopped at {last[0] + last[3]:#x}: {error}")
    return rows


def wow64_limit(api: WindowsApi, handle: int, rows: Sequence[RegionRow], program: str | None, can_read: bool) -> int:
    """Returns the end (exclusive) of the address space of a WoW64 process: 2 GB, or 4 GB if it is large-address aware.

    The header of its program contains the answer. If that cannot be read: Windows reserves everything from 0x7fff0000
    on in one block, unless the process may use it.
    """
    if program and can_read:
        memory = LiveMemory(reader(api, handle, RegionSpace(rows)))
        for row in rows:
            if row[0] == row[1] and row[6] == MemType.MEM_IMAGE and _is_file(api, handle, row[0], program):
                image = read_image(memory, row[0])
                if image is not None:
                    return WOW64_LIMIT[image.large_address_aware]
    last = rows[-1]
    blocked = (
        last[0] <= WOW64_LIMIT[False] and last[0] + last[3] >= WOW64_LIMIT[True] and last[4] == MemState.MEM_RESERVE
    )
    return WOW64_LIMIT[not blocked]


def _is_file(api: WindowsApi, handle: int, address: int, program: str) -> bool:
    path = None
    with contextlib.suppress(ApiError):
        path = api.mapped_file(handle, address)
    return path is not None and file_name(path).lower() == file_name(program).lower()


def clip(rows: Sequence[RegionRow], end: int) -> list[RegionRow]:
    """Cuts the regions off at `end`."""
    kept = [row for row in rows if row[0] < end]
    if kept and kept[-1][0] + kept[-1][3] > end:
        base, allocation_base, allocation_protect, _, state, protect, memory_type = kept[-1]
        kept[-1] = (base, allocation_base, allocation_protect, end - base, state, protect, memory_type)
    return kept


def reader(api: WindowsApi, handle: int, space: RegionSpace) -> Callable[[int, int], bytes | None]:
    """Returns a function that reads memory and never touches a guard page."""

    def read(address: int, size: int) -> bytes | None:
        return api.read(handle, address, size) if space.readable(address, size) else None

    return read


def mapped_files(api: WindowsApi, handle: int, rows: Sequence[RegionRow]) -> list[str | None]:
    """Returns the file behind each region."""
    drives = api.drives()
    files: list[str | None] = []
    allocation, file = -1, None
    for row in rows:
        if row[6] not in (MemType.MEM_MAPPED, MemType.MEM_IMAGE):
            files.append(None)
            continue
        if row[1] != allocation:
            allocation = row[1]
            device_path = api.mapped_file(handle, allocation)
            file = device_path and drive_path(device_path, drives)
        files.append(file)
    return files
