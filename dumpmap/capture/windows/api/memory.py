"""Questions about a process's memory: regions, bytes, resident pages and mapped files."""

from __future__ import annotations

import ctypes
from array import array
from collections.abc import Iterator
from ctypes import byref, c_size_t, sizeof

from dumpmap.capture.windows.api.calls import Calls
from dumpmap.capture.windows.layouts import (
    ADDRESS_CODE,
    ERROR_INVALID_PARAMETER,
    MAX_PATH_LENGTH,
    MEMORY_BASIC_INFORMATION,
    POINTER_SIZE,
)
from dumpmap.model.winnt import RegionRow


class MemoryApi(Calls):
    """Questions about a process's memory."""

    def regions(self, handle: int, limit: int | None = None) -> Iterator[RegionRow]:
        """Yields the regions from address 0 on, free ones included, as VirtualQueryEx returns them.

        Args:
            handle: the process.
            limit: the first address at which no region is listed any more.

        Raises:
            ApiError: the walk ended before the end of the address space.
        """
        info = MEMORY_BASIC_INFORMATION()
        reference, size = byref(info), sizeof(info)
        query = self._functions["VirtualQueryEx"]
        address, top = 0, 1 << (8 * POINTER_SIZE)
        while address < (top if limit is None else min(top, limit)):
            if not query(handle, address, reference, size):
                code = self._last_error()
                if address and code == ERROR_INVALID_PARAMETER:
                    return
                raise self._error(code)
            yield (
                info.BaseAddress,
                info.AllocationBase,
                info.AllocationProtect,
                info.RegionSize,
                info.State,
                info.Protect,
                info.Type,
            )
            following = info.BaseAddress + info.RegionSize
            if following <= address:
                return
            address = following

    def read(self, handle: int, address: int, size: int) -> bytes | None:
        """Returns `size` bytes, or None if any of them cannot be read."""
        buffer = (ctypes.c_char * size)()
        done = c_size_t()
        if not self._functions["ReadProcessMemory"](handle, address, buffer, size, byref(done)):
            return None
        return buffer.raw if done.value == size else None

    def working_set(self, handle: int, addresses: array[int]) -> array[int]:
        """Returns the PSAPI_WORKING_SET_EX_BLOCK of every page in `addresses`, an array of `ADDRESS_CODE`."""
        buffer = array(ADDRESS_CODE, bytes(2 * addresses.itemsize * len(addresses)))
        buffer[0::2] = addresses
        size = len(buffer) * buffer.itemsize
        self._call("K32QueryWorkingSetEx", handle, (ctypes.c_char * size).from_buffer(buffer), size)
        return buffer[1::2]

    def mapped_file(self, handle: int, address: int) -> str | None:
        """Returns the device path of the file that is mapped at `address`, None if there is none."""
        length = self._functions["K32GetMappedFileNameW"](handle, address, self._path, MAX_PATH_LENGTH)
        return self._path_text(length) if length else None

    def drives(self) -> dict[str, str]:
        """Returns the drive letter, with its colon, of every device path that has one."""
        found: dict[str, str] = {}
        present = self._functions["GetLogicalDrives"]()
        for index in range(26):
            letter = f"{chr(ord('A') + index)}:"
            if present & 1 << index:
                # The answer is a list of zero-terminated texts; the first is the current mapping.
                length = self._functions["QueryDosDeviceW"](letter, self._path, MAX_PATH_LENGTH)
                device = self._path_text(length)
                if device:
                    found.setdefault(device, letter)
        return found
