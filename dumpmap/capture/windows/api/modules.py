"""Questions about a process's modules."""

from __future__ import annotations

from ctypes import byref, c_size_t, c_uint32, sizeof

from dumpmap.capture.windows.api.calls import Calls
from dumpmap.capture.windows.layouts import MAX_PATH_LENGTH, MODULEINFO

_LIST_MODULES_ALL = 3


class ModuleApi(Calls):
    """Questions about a process's modules."""

    def modules(self, handle: int) -> list[int]:
        """Returns the base of every loaded module, of both widths in a WoW64 process."""
        room = 256
        while True:
            bases = (c_size_t * room)()
            needed = c_uint32()
            self._call("K32EnumProcessModulesEx", handle, bases, sizeof(bases), byref(needed), _LIST_MODULES_ALL)
            count = needed.value // sizeof(c_size_t)
            if count <= room:
                return list(bases[:count])
            room = count + 64

    def module_path(self, handle: int, base: int) -> str | None:
        """Returns the path of a module in the loader's list."""
        length = self._functions["K32GetModuleFileNameExW"](handle, base, self._path, MAX_PATH_LENGTH)
        return self._path_text(length) if length else None

    def module_size(self, handle: int, base: int) -> int | None:
        """Returns SizeOfImage of a module in the loader's list."""
        info = MODULEINFO()
        if not self._functions["K32GetModuleInformation"](handle, base, byref(info), sizeof(info)):
            return None
        return int(info.SizeOfImage)
