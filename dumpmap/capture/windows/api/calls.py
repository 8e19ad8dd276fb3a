"""Calls Windows functions through ctypes, and turns their failures into `ApiError`."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from ctypes import byref, c_int32, c_size_t, c_uint32, c_uint64, c_void_p, c_wchar_p, sizeof
from typing import Any

from dumpmap.capture.windows.layouts import MAX_PATH_LENGTH, POINTER_SIZE
from dumpmap.model.winnt import FILETIME_EPOCH

_BOOL = c_int32
_HANDLE = c_void_p
FUNCTIONS: dict[str, dict[str, tuple[Any, tuple[Any, ...]]]] = {
    "kernel32": {
        "OpenProcess": (_HANDLE, (c_uint32, _BOOL, c_uint32)),
        "OpenThread": (_HANDLE, (c_uint32, _BOOL, c_uint32)),
        "CloseHandle": (_BOOL, (_HANDLE,)),
        "GetCurrentProcess": (_HANDLE, ()),
        "GetExitCodeProcess": (_BOOL, (_HANDLE, c_void_p)),
        "GetProcessTimes": (_BOOL, (_HANDLE, c_void_p, c_void_p, c_void_p, c_void_p)),
        "GetThreadTimes": (_BOOL, (_HANDLE, c_void_p, c_void_p, c_void_p, c_void_p)),
        "GetThreadContext": (_BOOL, (_HANDLE, c_void_p)),
        "Wow64GetThreadContext": (_BOOL, (_HANDLE, c_void_p)),
        "GetThreadDescription": (c_int32, (_HANDLE, c_void_p)),
        "LocalFree": (c_void_p, (c_void_p,)),
        "GetProcessHandleCount": (_BOOL, (_HANDLE, c_void_p)),
        "QueryFullProcessImageNameW": (_BOOL, (_HANDLE, c_uint32, c_void_p, c_void_p)),
        "IsWow64Process": (_BOOL, (_HANDLE, c_void_p)),
        "IsWow64Process2": (_BOOL, (_HANDLE, c_void_p, c_void_p)),
        "GetProcessInformation": (_BOOL, (_HANDLE, c_int32, c_void_p, c_uint32)),
        "GetSystemInfo": (None, (c_void_p,)),
        "GetNativeSystemInfo": (None, (c_void_p,)),
        "GlobalMemoryStatusEx": (_BOOL, (c_void_p,)),
        "VirtualQueryEx": (c_size_t, (_HANDLE, c_size_t, c_void_p, c_size_t)),
        "ReadProcessMemory": (_BOOL, (_HANDLE, c_size_t, c_void_p, c_size_t, c_void_p)),
        "K32QueryWorkingSetEx": (_BOOL, (_HANDLE, c_void_p, c_uint32)),
        "K32GetMappedFileNameW": (c_uint32, (_HANDLE, c_size_t, c_void_p, c_uint32)),
        "K32EnumProcessModulesEx": (_BOOL, (_HANDLE, c_void_p, c_uint32, c_void_p, c_uint32)),
        "K32GetModuleFileNameExW": (c_uint32, (_HANDLE, c_size_t, c_void_p, c_uint32)),
        "K32GetModuleInformation": (_BOOL, (_HANDLE, c_size_t, c_void_p, c_uint32)),
        "K32GetProcessMemoryInfo": (_BOOL, (_HANDLE, c_void_p, c_uint32)),
        "K32GetPerformanceInfo": (_BOOL, (c_void_p, c_uint32)),
        "QueryDosDeviceW": (c_uint32, (c_wchar_p, c_void_p, c_uint32)),
        "GetLogicalDrives": (c_uint32, ()),
        "CreateToolhelp32Snapshot": (_HANDLE, (c_uint32, c_uint32)),
        "Thread32First": (_BOOL, (_HANDLE, c_void_p)),
        "Thread32Next": (_BOOL, (_HANDLE, c_void_p)),
        "Process32FirstW": (_BOOL, (_HANDLE, c_void_p)),
        "Process32NextW": (_BOOL, (_HANDLE, c_void_p)),
    },
    "ntdll": {
        "RtlGetVersion": (c_int32, (c_void_p,)),
        "NtQueryInformationProcess": (c_int32, (_HANDLE, c_int32, c_void_p, c_uint32, c_void_p)),
        "NtWow64QueryInformationProcess64": (c_int32, (_HANDLE, c_int32, c_void_p, c_uint32, c_void_p)),
        "NtQueryInformationThread": (c_int32, (_HANDLE, c_int32, c_void_p, c_uint32, c_void_p)),
        "NtSuspendProcess": (c_int32, (_HANDLE,)),
        "NtResumeProcess": (c_int32, (_HANDLE,)),
    },
    "advapi32": {
        "OpenProcessToken": (_BOOL, (_HANDLE, c_uint32, c_void_p)),
        "LookupPrivilegeValueW": (_BOOL, (c_wchar_p, c_wchar_p, c_void_p)),
        "AdjustTokenPrivileges": (_BOOL, (_HANDLE, _BOOL, c_void_p, c_uint32, c_void_p, c_void_p)),
    },
}
"""Result and argument types of every function, by library."""

_INVALID_HANDLE_VALUE = (1 << (8 * POINTER_SIZE)) - 1
_UNIX_EPOCH = -int(FILETIME_EPOCH.timestamp()) * 10_000_000
"""1970-01-01 as a FILETIME: in units of 100 nanoseconds."""


class ApiError(Exception):
    """A Windows function failed. This error never leaves the capture: `WindowsProcess` translates it.

    Attributes:
        code: the value of GetLastError, or an NTSTATUS as an unsigned number.
    """

    def __init__(self, code: int, text: str = "") -> None:
        number = f"error {code}" if code < 0x8000_0000 else f"status {code:#x}"
        text = text.strip().rstrip(".")
        super().__init__(f"{text} ({number})" if text else number)
        self.code = code


class Calls:
    """Loads the functions and calls them. Each subclass adds the questions about one subject.

    Raises:
        NotImplementedError: this is not Windows.
    """

    pointer_size = POINTER_SIZE
    """Of the Python that runs this."""

    def __init__(self) -> None:
        self._functions: dict[str, Any] = {}
        self._last_error: Any = None
        self._describe: Any = None
        self._path = (ctypes.c_char * (2 * MAX_PATH_LENGTH))()
        if sys.platform == "win32":
            self._last_error = ctypes.get_last_error
            self._describe = ctypes.FormatError
            for library_name, functions in FUNCTIONS.items():
                library = ctypes.WinDLL(library_name, use_last_error=True)
                for name, (result, arguments) in functions.items():
                    function = getattr(library, name, None)
                    if function is not None:
                        function.restype = result
                        function.argtypes = arguments
                    self._functions[name] = function
        else:
            raise NotImplementedError("the Windows API exists on Windows only")

    def close(self, handle: int) -> None:
        """Closes any handle."""
        self._functions["CloseHandle"](handle)

    def _has(self, name: str) -> bool:
        """Whether this version of Windows has the function."""
        return self._functions.get(name) is not None

    def _call(self, name: str, *arguments: Any) -> int:
        """Calls a function that returns 0 or None when it fails.

        Raises:
            ApiError: it failed.
        """
        result = self._functions[name](*arguments)
        if not result:
            raise self._error()
        return int(result)

    def _error(self, code: int | None = None) -> ApiError:
        code = self._last_error() if code is None else code
        return ApiError(code, self._describe(code))

    def _status(self, name: str, *arguments: Any) -> None:
        """Calls a function that returns an NTSTATUS.

        Raises:
            ApiError: it failed.
        """
        status = self._functions[name](*arguments)
        if status < 0:
            raise ApiError(status & 0xFFFF_FFFF)

    def _query(self, name: str, handle: int, information_class: int, result: Any, size: int | None = None) -> None:
        """Calls an NtQueryInformation* function that fills `result`.

        Raises:
            ApiError: it failed.
        """
        self._status(name, handle, information_class, byref(result), sizeof(result) if size is None else size, None)

    def _path_text(self, length: int) -> str:
        # Some functions count the terminating zero, others do not.
        return decode(memoryview(self._path)[: length * 2].tobytes()).split("\0", 1)[0]

    def _toolhelp(self, flags: int, first: str, following: str, kind: Any) -> Iterator[Any]:
        """Yields the entries of a Toolhelp snapshot. Every entry is the same object, filled anew."""
        snapshot = self._call("CreateToolhelp32Snapshot", flags, 0)
        if snapshot == _INVALID_HANDLE_VALUE:
            raise self._error()
        try:
            entry = kind()
            entry.dwSize = sizeof(entry)
            more = self._functions[first](snapshot, byref(entry))
            while more:
                yield entry
                more = self._functions[following](snapshot, byref(entry))
        finally:
            self.close(snapshot)

    def _times(self, name: str, handle: int) -> tuple[float, float, float]:
        """Returns a creation time (seconds since 1970) and the seconds in user mode and in kernel mode."""
        created, ended, kernel, user = (c_uint64() for _ in range(4))
        self._call(name, handle, byref(created), byref(ended), byref(kernel), byref(user))
        return (created.value - _UNIX_EPOCH) / 1e7, user.value / 1e7, kernel.value / 1e7


def utf16_text(units: Any) -> str:
    """Decodes an array of UTF-16 units up to its first zero."""
    return decode(bytes(units)).split("\0", 1)[0]


def decode(data: bytes) -> str:
    """Decodes UTF-16; what cannot be decoded becomes U+FFFD."""
    return data.decode("utf-16-le", "replace")
