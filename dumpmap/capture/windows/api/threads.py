"""Questions about a process's threads."""

from __future__ import annotations

import ctypes
from ctypes import byref, c_size_t, c_uint32, c_void_p

from dumpmap.capture.windows.api.calls import Calls, decode
from dumpmap.capture.windows.api.system import Machine
from dumpmap.capture.windows.layouts import CONTEXTS, POINTER_SIZE, THREAD_BASIC_INFORMATION, THREADENTRY32

_TH32CS_SNAPTHREAD = 4
_BASIC_INFORMATION = 0
_QUERY_SET_WIN32_START_ADDRESS = 9
_CONTEXT_ALIGNMENT = 16


class ThreadApi(Calls):
    """Questions about a process's threads."""

    def threads(self, pid: int) -> list[int]:
        """Returns the ids of a process's threads."""
        entries = self._toolhelp(_TH32CS_SNAPTHREAD, "Thread32First", "Thread32Next", THREADENTRY32)
        return [entry.th32ThreadID for entry in entries if entry.th32OwnerProcessID == pid]

    def open_thread(self, thread_id: int, access: int) -> int:
        """Returns a handle."""
        return self._call("OpenThread", access, False, thread_id)

    def teb(self, handle: int) -> int:
        """Returns the TEB that a program of this Python's width sees; 0 if the thread has none any more."""
        basic = THREAD_BASIC_INFORMATION()
        self._query("NtQueryInformationThread", handle, _BASIC_INFORMATION, basic)
        return int(basic.TebBaseAddress)

    def start_address(self, handle: int) -> int:
        """Returns the function with which the thread started. Needs THREAD_QUERY_INFORMATION."""
        address = c_size_t()
        self._query("NtQueryInformationThread", handle, _QUERY_SET_WIN32_START_ADDRESS, address)
        return address.value

    def thread_name(self, handle: int) -> str | None:
        """Returns the description of a thread, None if it has none. Windows 10 1607 and later."""
        if not self._has("GetThreadDescription"):
            return None
        pointer = c_void_p()
        if self._functions["GetThreadDescription"](handle, byref(pointer)) < 0 or not pointer.value:
            return None
        text = ctypes.wstring_at(pointer.value)
        self._functions["LocalFree"](pointer)
        # JSON cannot carry half of a surrogate pair.
        return decode(text.encode("utf-16-le", "surrogatepass")) or None

    def context(self, handle: int, machine: Machine) -> tuple[int, int] | None:
        """Returns the stack pointer and the instruction pointer of a stopped thread. Needs THREAD_GET_CONTEXT.

        Returns:
            the pointers of the 32-bit code in a WoW64 process; None if this Python cannot read them.
        """
        layout = CONTEXTS.get(machine.architecture)
        if layout is None or (machine.wow64 and machine.architecture != "x86"):
            return None
        emulated = machine.wow64 and POINTER_SIZE == 8
        if layout.width != (4 if emulated else POINTER_SIZE):
            return None
        name = "Wow64GetThreadContext" if emulated else "GetThreadContext"
        room = (ctypes.c_char * (layout.size + _CONTEXT_ALIGNMENT))()
        start = -ctypes.addressof(room) % _CONTEXT_ALIGNMENT
        c_uint32.from_buffer(room, start + layout.flags_offset).value = layout.flags
        self._call(name, handle, ctypes.addressof(room) + start)
        stack, code = (
            int.from_bytes(room.raw[start + offset : start + offset + layout.width], "little")
            for offset in (layout.stack_pointer, layout.instruction_pointer)
        )
        return stack, code

    def thread_times(self, handle: int) -> tuple[float, float, float]:
        """See `ProcessApi.process_times`."""
        return self._times("GetThreadTimes", handle)
