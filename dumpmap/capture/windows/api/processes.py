"""Questions about processes: opening, identity, PEBs, counters, and stopping one."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from ctypes import byref, c_size_t, c_uint32, c_void_p, sizeof

from dumpmap.capture.windows.api.calls import ApiError, decode, utf16_text
from dumpmap.capture.windows.api.system import SystemApi
from dumpmap.capture.windows.layouts import (
    MAX_PATH_LENGTH,
    PROCESS_BASIC_INFORMATION,
    PROCESS_BASIC_INFORMATION64,
    PROCESS_MEMORY_COUNTERS_EX,
    PROCESSENTRY32W,
    STILL_ACTIVE,
    TOKEN_PRIVILEGES,
    UNICODE_STRING,
    VM_COUNTERS_EX2,
)

_BASIC_INFORMATION = 0
_VM_COUNTERS = 3
_WOW64_INFORMATION = 26
_COMMAND_LINE_INFORMATION = 60
_PROTECTION_INFORMATION = 61

_TH32CS_SNAPPROCESS = 2

_TOKEN_ADJUST_PRIVILEGES = 0x20
_TOKEN_QUERY = 0x08
_SE_PRIVILEGE_ENABLED = 2


class ProcessApi(SystemApi):
    """Questions about processes."""

    def processes(self) -> Iterator[tuple[int, str]]:
        """Yields the id and the program name of every process."""
        for entry in self._toolhelp(_TH32CS_SNAPPROCESS, "Process32FirstW", "Process32NextW", PROCESSENTRY32W):
            yield entry.th32ProcessID, utf16_text(entry.szExeFile)

    def open_process(self, pid: int, access: int) -> int:
        """Returns a handle.

        Raises:
            ApiError: ERROR_ACCESS_DENIED, or ERROR_INVALID_PARAMETER if there is no such process.
        """
        if pid == self.own_pid():
            return int(self._functions["GetCurrentProcess"]())
        return self._call("OpenProcess", access, False, pid)

    def enable_debug_privilege(self) -> bool:
        """Enables SeDebugPrivilege, with which administrators open other users' processes.

        Returns:
            False if the user does not have the privilege.
        """
        token = c_void_p()
        current = self._functions["GetCurrentProcess"]()
        try:
            self._call("OpenProcessToken", current, _TOKEN_ADJUST_PRIVILEGES | _TOKEN_QUERY, byref(token))
        except ApiError:
            return False
        try:
            privileges = TOKEN_PRIVILEGES()
            privileges.PrivilegeCount = 1
            self._call("LookupPrivilegeValueW", None, "SeDebugPrivilege", byref(privileges.Privileges))
            privileges.Privileges.Attributes = _SE_PRIVILEGE_ENABLED
            self._call("AdjustTokenPrivileges", token, False, byref(privileges), 0, None, None)
            # Success with ERROR_NOT_ALL_ASSIGNED means that the user does not have the privilege.
            return bool(self._last_error() == 0)
        except ApiError:
            return False
        finally:
            self.close(token.value or 0)

    def exit_code(self, handle: int) -> int | None:
        """Returns the exit code, None while the process runs."""
        code = c_uint32()
        self._call("GetExitCodeProcess", handle, byref(code))
        return None if code.value == STILL_ACTIVE else code.value

    def process_times(self, handle: int) -> tuple[float, float, float]:
        """Returns the creation time (seconds since 1970) and the seconds in user mode and in kernel mode."""
        return self._times("GetProcessTimes", handle)

    def image_path(self, handle: int) -> str:
        """Returns the path of the program."""
        length = c_uint32(MAX_PATH_LENGTH)
        self._call("QueryFullProcessImageNameW", handle, 0, self._path, byref(length))
        return self._path_text(length.value)

    def command_line(self, handle: int) -> str:
        """Returns the command line. Windows 8.1 and later."""
        buffer = (ctypes.c_char * (2 * MAX_PATH_LENGTH + 64))()
        returned = c_uint32()
        self._status(
            "NtQueryInformationProcess", handle, _COMMAND_LINE_INFORMATION, buffer, sizeof(buffer), byref(returned)
        )
        text = UNICODE_STRING.from_buffer(buffer)
        start = text.Buffer - ctypes.addressof(buffer)
        return decode(buffer.raw[start : start + text.Length]) if start > 0 else ""

    def is_protected(self, handle: int) -> bool:
        """Returns whether Windows protects the process even from administrators. Windows 8.1 and later."""
        protection = ctypes.c_uint8()
        try:
            self._query("NtQueryInformationProcess", handle, _PROTECTION_INFORMATION, protection)
        except ApiError:
            return False
        return protection.value != 0

    def suspend(self, handle: int) -> None:
        """Stops every thread."""
        self._status("NtSuspendProcess", handle)

    def resume(self, handle: int) -> None:
        """Resumes every thread."""
        self._status("NtResumeProcess", handle)

    def peb(self, handle: int) -> int:
        """Returns the PEB that a program of this Python's width sees; 0 if there is none."""
        basic = PROCESS_BASIC_INFORMATION()
        self._query("NtQueryInformationProcess", handle, _BASIC_INFORMATION, basic)
        return int(basic.PebBaseAddress)

    def wow64_peb(self, handle: int) -> int:
        """Returns the 32-bit PEB of a WoW64 process; 0 for any other process."""
        address = c_size_t()
        self._query("NtQueryInformationProcess", handle, _WOW64_INFORMATION, address)
        return address.value

    def native_peb_of_wow64(self, handle: int) -> int:
        """Returns the 64-bit PEB of a WoW64 process to a 32-bit Python; 0 on a Windows without that function."""
        if not self._has("NtWow64QueryInformationProcess64"):
            return 0
        basic = PROCESS_BASIC_INFORMATION64()
        self._query("NtWow64QueryInformationProcess64", handle, _BASIC_INFORMATION, basic)
        return int(basic.PebBaseAddress)

    def counters(self, handle: int) -> dict[str, int]:
        """Returns the memory counters of the process by Microsoft's names, in bytes."""
        names = [name for name, *_ in VM_COUNTERS_EX2._fields_]
        # Windows accepts exact sizes only. The first size that it accepts shows which of the three forms it has.
        for last in ("SharedCommitUsage", "PrivateUsage", "PeakPagefileUsage"):
            field = getattr(VM_COUNTERS_EX2, last)
            counters = VM_COUNTERS_EX2()
            try:
                self._query("NtQueryInformationProcess", handle, _VM_COUNTERS, counters, field.offset + field.size)
            except ApiError:
                continue
            return {name: getattr(counters, name) for name in names[: names.index(last) + 1]}
        plain = PROCESS_MEMORY_COUNTERS_EX()
        self._call("K32GetProcessMemoryInfo", handle, byref(plain), sizeof(plain))
        return {name: getattr(plain, name) for name, *_ in plain._fields_[2:]}

    def handle_count(self, handle: int) -> int:
        """Returns the number of handles that the process has open."""
        count = c_uint32()
        self._call("GetProcessHandleCount", handle, byref(count))
        return count.value
