"""The Windows capture's decisions, against a simulated Windows that gives the answers that Wine cannot give.

Real processes are captured in `test_capture_wine`.
"""

from __future__ import annotations

import ctypes
import os
import sys
from array import array
from collections.abc import Iterator
from typing import Any

import pytest
from support.capture import loaded

from dumpmap.capture import Options, ProcessExitedError
from dumpmap.capture.document import make_document
from dumpmap.capture.windows import WindowsProcess, find_processes, layouts, process, working_set
from dumpmap.capture.windows.api import ApiError, Machine, SystemFacts, WindowsApi
from dumpmap.capture.windows.layouts import (
    ERROR_ACCESS_DENIED,
    ERROR_INVALID_PARAMETER,
    ERROR_PARTIAL_COPY,
    PROCESS_QUERY_INFORMATION,
    PROCESS_QUERY_LIMITED_INFORMATION,
    PROCESS_SUSPEND_RESUME,
    PROCESS_VM_READ,
)
from dumpmap.capture.windows.paths import drive_path
from dumpmap.errors import CaptureError
from dumpmap.model.winnt import RegionRow

PAGE = 0x1000
COMMIT, RESERVE, FREE = 0x1000, 0x2000, 0x10000
PRIVATE, MAPPED, IMAGE = 0x20000, 0x40000, 0x1000000
PID = 1234
ALL = PROCESS_QUERY_INFORMATION | PROCESS_VM_READ


class MadeUpWindows(WindowsApi):
    """A Windows with one process of a few regions. Tests change its attributes."""

    def __init__(self) -> None:
        self.pointer_size = 8
        self.rights = PROCESS_QUERY_INFORMATION | PROCESS_QUERY_LIMITED_INFORMATION | PROCESS_VM_READ | 0x800
        self.privileged: int | None = None
        """The rights that an administrator gets on demand; None: the user is none."""
        self.kind = Machine("x64", wow64=False, native="x64")
        self.python_is_wow64 = False
        self.protected = False
        self.exited = False
        self.rows: list[RegionRow] = [
            (0, 0, 0, 0x10000, FREE, 1, 0),
            (0x10000, 0x10000, 4, 2 * PAGE, COMMIT, 4, PRIVATE),
            (0x12000, 0x10000, 4, 14 * PAGE, RESERVE, 0, PRIVATE),
            (0x20000, 0x20000, 0x80, PAGE, COMMIT, 2, IMAGE),
            (0x21000, 0x20000, 0x80, 3 * PAGE, COMMIT, 0x20, IMAGE),
            (0x30000, 0x30000, 2, PAGE, COMMIT, 2, MAPPED),
            (0x31000, 0, 0, 0x7FFF_FFFB_F000, FREE, 1, 0),
        ]
        self.walk_error: ApiError | None = None
        self.files = {
            0x20000: "\\Device\\HarddiskVolume3\\app\\app.exe",
            0x30000: "\\Device\\HarddiskVolume3\\data.bin",
        }
        self.pages: dict[int, int] = {}
        self.working_set_error: ApiError | None = None
        self.module_errors: list[ApiError] = []
        self.calls: list[str] = []
        self.open_handles: dict[int, int] = {}
        self.asked: list[int] = []

    def own_pid(self) -> int:
        return 1

    def own_pids(self) -> set[int]:
        return {1}

    def processes(self) -> Iterator[tuple[int, str]]:
        yield from [(1, "python.exe"), (4, "System"), (PID, "App.exe"), (77, "two.exe"), (78, "Two.exe")]

    def open_process(self, pid: int, access: int) -> int:
        self.asked.append(access)
        if pid != PID:
            raise ApiError(ERROR_INVALID_PARAMETER)
        if access & ~self.rights:
            raise ApiError(ERROR_ACCESS_DENIED, "Access is denied.")
        handle = 100 + len(self.asked)
        self.open_handles[handle] = access
        return handle

    def close(self, handle: int) -> None:
        del self.open_handles[handle]

    def enable_debug_privilege(self) -> bool:
        if self.privileged is None:
            return False
        self.rights = self.privileged
        return True

    def exit_code(self, handle: int) -> int | None:
        return 3 if self.exited else None

    def process_times(self, handle: int) -> tuple[float, float, float]:
        return 1_700_000_000.5, 2.9, 1.0

    def image_path(self, handle: int) -> str:
        return "C:\\app\\App.exe"

    def command_line(self, handle: int) -> str:
        return "app.exe --password=secret"

    def machine(self, handle: int) -> Machine:
        return self.kind

    def is_wow64(self) -> bool:
        return self.python_is_wow64

    def is_protected(self, handle: int) -> bool:
        return self.protected

    def suspend(self, handle: int) -> None:
        assert self.open_handles[handle] == PROCESS_SUSPEND_RESUME
        self.calls.append("suspend")

    def resume(self, handle: int) -> None:
        self.calls.append("resume")

    def peb(self, handle: int) -> int:
        return 0

    def wow64_peb(self, handle: int) -> int:
        return 1

    def native_peb_of_wow64(self, handle: int) -> int:
        return 0

    def counters(self, handle: int) -> dict[str, int]:
        return {"WorkingSetSize": 4096, "PrivateUsage": 8192}

    def handle_count(self, handle: int) -> int:
        return 9

    def regions(self, handle: int, limit: int | None = None) -> Iterator[RegionRow]:
        self.calls.append("walk")
        for row in self.rows:
            if limit is None or row[0] < limit:
                yield row
        if self.walk_error is not None:
            raise self.walk_error

    def read(self, handle: int, address: int, size: int) -> bytes | None:
        assert self.open_handles[handle] & PROCESS_VM_READ
        return None

    def working_set(self, handle: int, addresses: array[int]) -> array[int]:
        if self.working_set_error is not None:
            raise self.working_set_error
        assert len(addresses) <= working_set.BATCH
        return array("Q", [self.pages.get(address, 0) for address in addresses])

    def mapped_file(self, handle: int, address: int) -> str | None:
        return self.files.get(address)

    def drives(self) -> dict[str, str]:
        return {"\\Device\\HarddiskVolume3": "C:"}

    def modules(self, handle: int) -> list[int]:
        if self.module_errors:
            raise self.module_errors.pop(0)
        return [0x20000, 0x7FFA_0000_0000]

    def module_path(self, handle: int, base: int) -> str | None:
        return f"C:\\windows\\{base:x}.dll"

    def module_size(self, handle: int, base: int) -> int | None:
        return 4 * PAGE

    def threads(self, pid: int) -> list[int]:
        return [5]

    def open_thread(self, thread_id: int, access: int) -> int:
        raise ApiError(ERROR_ACCESS_DENIED)

    def version(self) -> tuple[int, int, int, str, str | None]:
        return 10, 0, 19045, "", "workstation"

    def system(self) -> SystemFacts:
        return SystemFacts("x64", PAGE, 0x10000, 0x10000, 0x7FFF_FFFE_FFFF, 8, 1, 2, 3, 4, 5)


def capture(api: MadeUpWindows, **options: bool) -> Any:
    process = WindowsProcess(PID, api=api)
    try:
        return process.capture(Options(**options))
    finally:
        process.close()
        assert not api.open_handles


def test_a_whole_capture() -> None:
    facts = capture(MadeUpWindows())
    assert facts.warnings == []
    taken = loaded(make_document(facts))
    assert taken.process.name == "App.exe"
    assert taken.process.command_line is None
    assert taken.process.user_time == 2
    assert taken.counters.working_set == 4096
    assert taken.regions is not None
    assert taken.regions.texts["file"].values == ("C:\\app\\app.exe", "C:\\data.bin")
    assert [thread.id for thread in taken.threads] == [5]
    # The loader's path of what has a file in the map is that file's.
    assert [module.path for module in taken.modules] == ["C:\\app\\app.exe", "C:\\windows\\7ffa00000000.dll"]


def test_the_command_line_only_if_asked_for() -> None:
    assert capture(MadeUpWindows(), command_line=True).process["command_line"] == "app.exe --password=secret"


# --- opening ----------------------------------------------------------------------------------------------------------


def test_the_least_rights_that_do() -> None:
    api = MadeUpWindows()
    capture(api)
    assert api.asked == [ALL]


def test_without_the_right_to_read() -> None:
    api = MadeUpWindows()
    api.rights = PROCESS_QUERY_INFORMATION
    facts = capture(api)
    assert facts.memory == []
    assert facts.regions.rows == api.rows
    assert facts.warnings == ["no right to read the process's memory; the capture contains the map without bytes"]


def test_an_administrator_gets_the_missing_rights() -> None:
    api = MadeUpWindows()
    api.rights, api.privileged = PROCESS_QUERY_LIMITED_INFORMATION, 0x1FFFFF
    assert capture(api).warnings == []
    api = MadeUpWindows()
    api.rights, api.privileged = 0, 0x1FFFFF
    assert capture(api).warnings == []


@pytest.mark.parametrize("privileged", [None, 0])
def test_access_denied(privileged: int | None) -> None:
    api = MadeUpWindows()
    api.rights, api.privileged = 0, privileged
    with pytest.raises(CaptureError, match=r"^App\.exe \(1234\): access denied; run dumpmap as administrator$"):
        WindowsProcess(PID, api=api)
    assert not api.open_handles


def test_no_such_process() -> None:
    with pytest.raises(ProcessExitedError, match=r"^99: no such process$"):
        WindowsProcess(99, api=MadeUpWindows())


def test_a_process_that_exited_before() -> None:
    api = MadeUpWindows()
    api.exited = True
    with pytest.raises(ProcessExitedError, match="the process has exited"):
        WindowsProcess(PID, api=api)
    assert not api.open_handles


def test_a_protected_process() -> None:
    api = MadeUpWindows()
    api.rights = PROCESS_QUERY_LIMITED_INFORMATION
    api.protected, api.rows, api.walk_error = True, [], ApiError(ERROR_ACCESS_DENIED)
    with pytest.raises(CaptureError, match=r"^App\.exe \(1234\): Windows protects this process; no program can read"):
        capture(api)


def test_limited_rights_that_do_not_do() -> None:
    api = MadeUpWindows()
    api.rights = PROCESS_QUERY_LIMITED_INFORMATION
    api.rows, api.walk_error = [], ApiError(ERROR_ACCESS_DENIED)
    with pytest.raises(CaptureError, match="access denied"):
        capture(api)


def test_a_32_bit_python_and_a_64_bit_process() -> None:
    api = MadeUpWindows()
    api.pointer_size, api.python_is_wow64 = 4, True
    with pytest.raises(
        CaptureError, match=r"^App\.exe \(1234\): a 32-bit program .* use a 64-bit Python or the x64 .*$"
    ):
        WindowsProcess(PID, api=api)
    assert not api.open_handles


def test_finding_by_name() -> None:
    api = MadeUpWindows()
    assert find_processes("app", api) == [(PID, "App.exe")]
    assert find_processes("APP.EXE", api) == [(PID, "App.exe")]
    assert find_processes("C:\\app\\app.exe", api) == [(PID, "App.exe")]
    assert find_processes("two", api) == [(77, "two.exe"), (78, "Two.exe")]
    assert find_processes("python", api) == []  # that is the capture itself
    assert find_processes("ap", api) == []


def test_the_start_program_of_the_exe_is_part_of_the_capture(monkeypatch: pytest.MonkeyPatch) -> None:
    api = object.__new__(WindowsApi)
    assert api.own_pids() == {os.getpid()}
    monkeypatch.setattr(sys, "_MEIPASS", "folder", raising=False)  # set by the loader of a one-file program
    assert api.own_pids() == {os.getpid(), os.getppid()}


# --- the walk ---------------------------------------------------------------------------------------------------------


def test_a_walk_that_breaks_off() -> None:
    api = MadeUpWindows()
    api.rows, api.walk_error = api.rows[:4], ApiError(998, "Invalid access to memory location.")
    facts = capture(api)
    assert facts.regions.rows == api.rows
    expected = "the memory map is incomplete: reading stopped at 0x21000: Invalid access to memory location (error 998)"
    assert expected in facts.warnings


def test_a_process_that_exits_during_the_walk() -> None:
    class Exits(MadeUpWindows):
        def regions(self, handle: int, limit: int | None = None) -> Iterator[RegionRow]:
            yield self.rows[0]
            self.exited = True
            raise ApiError(ERROR_ACCESS_DENIED)

    with pytest.raises(ProcessExitedError, match="the process has exited"):
        capture(Exits())


def test_a_process_that_exits_after_the_walk() -> None:
    class Exits(MadeUpWindows):
        def drives(self) -> dict[str, str]:
            self.exited = True
            return super().drives()

    assert "the process exited during the capture" in capture(Exits()).warnings[-1]


WOW64 = Machine("x86", wow64=True, native="x64")
BLOCKED: RegionRow = (0x7FFF_0000, 0x7FFF_0000, 1, 0x7FF9_0000_0000, RESERVE, 0, PRIVATE)


@pytest.mark.parametrize(
    ("last", "end"),
    [
        # Windows blocks what a program must not use with one reservation that reaches far beyond 4 GB.
        (BLOCKED, 0x7FFF_0000),
        ((0x7FFE_1000, 0, 0, 0x7FF9_0000_0000, FREE, 1, 0), 0xFFFF_0000),
        ((0x8000_0000, 0x8000_0000, 1, 0x1_0000_0000, RESERVE, 0, PRIVATE), 0xFFFF_0000),
    ],
)
def test_the_space_of_a_32_bit_process_on_64_bit_windows(last: RegionRow, end: int) -> None:
    api = MadeUpWindows()
    api.kind = WOW64
    above: RegionRow = (0x7FFA_0000_0000, 0x7FFA_0000_0000, 0x80, PAGE, COMMIT, 2, IMAGE)
    api.rows = [*api.rows[:-1], last, above]
    facts = capture(api)
    *_, tail = facts.regions.rows
    if tail[0] >= end - 1 or last[0] < end:
        assert tail[0] + tail[3] == end
    assert all(row[0] + row[3] <= end for row in facts.regions.rows)
    assert facts.system["max_address"] == end - 1
    assert (facts.process["pointer_size"], facts.process["wow64"]) == (4, True)
    assert facts.process["architecture"] == "x86"
    # Modules of the 64-bit half are not part of the picture; a PEB address that is none is not believed.
    assert [module["base"] for module in facts.modules] == [0x20000]
    assert facts.wow64_peb is None


# --- residency --------------------------------------------------------------------------------------------------------

VALID, SHARED, LOCKED = 1, 0x8000, 0x400000


def share_count(count: int) -> int:
    return count << 1


def test_working_set() -> None:
    api = MadeUpWindows()
    api.pages = {
        0x10000: VALID | LOCKED | share_count(0),
        0x11000: LOCKED | SHARED,  # not resident: the other bits mean nothing
        0x20000: VALID | SHARED | share_count(1),
        0x21000: VALID | SHARED | share_count(2),
        0x22000: VALID | SHARED | share_count(7),
        0x23000: VALID,  # a private copy of a page of the image
    }
    facts = capture(api)
    assert facts.warnings == []
    table = dict(zip((row[0] for row in facts.regions.rows), facts.regions.working_sets, strict=True))
    assert table[0x10000] == (PAGE, PAGE, 0, 0, PAGE)
    assert table[0x12000] == (0, 0, 0, 0, 0)
    assert table[0x20000] == (PAGE, 0, PAGE, 0, 0)
    assert table[0x21000] == (3 * PAGE, PAGE, 2 * PAGE, 2 * PAGE, 0)
    assert table[0x0] == (0, 0, 0, 0, 0)


def test_working_set_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(working_set, "BATCH", 3)
    api = MadeUpWindows()
    api.pages = dict.fromkeys(range(65536, 262144, PAGE), VALID)
    facts = capture(api)
    committed = [row[3] if row[4] == COMMIT else 0 for row in facts.regions.rows]
    assert [known[0] for known in facts.regions.working_sets] == committed


def test_working_set_of_a_huge_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(working_set, "MAX_PAGES", 4)
    facts = capture(MadeUpWindows())
    unknown = [row[0] for row, known in zip(facts.regions.rows, facts.regions.working_sets, strict=True) if not known]
    assert unknown == [0x21000]
    assert facts.warnings == ["the working set of 1 regions is unknown: more than 1 TiB is committed"]


def test_working_set_that_cannot_be_read() -> None:
    api = MadeUpWindows()
    api.working_set_error = ApiError(87, "The parameter is incorrect. ")
    facts = capture(api)
    assert facts.regions.working_sets is None
    assert facts.warnings == ["cannot read the working set: The parameter is incorrect (error 87)"]


# --- modules, freezing, names -----------------------------------------------------------------------------------------


def test_a_module_list_that_is_being_changed_is_asked_for_again() -> None:
    api = MadeUpWindows()
    api.module_errors = [ApiError(ERROR_PARTIAL_COPY)] * 2
    facts = capture(api)
    assert len(facts.modules) == 2
    assert facts.warnings == []


def test_modules_out_of_the_map() -> None:
    api = MadeUpWindows()
    api.module_errors = [ApiError(ERROR_PARTIAL_COPY)] * 3
    facts = capture(api)
    assert facts.modules == [{"base": 0x20000, "size": 4 * PAGE, "path": "C:\\app\\app.exe"}]
    assert "cannot read the module list (" in facts.warnings[0]


def test_freezing() -> None:
    api = MadeUpWindows()
    capture(api, freeze=True)
    assert api.calls == ["suspend", "walk", "resume"]


def test_a_frozen_process_goes_on_whatever_happens() -> None:
    api = MadeUpWindows()
    api.rows, api.walk_error = [], ApiError(1)
    with pytest.raises(CaptureError, match="cannot read the memory map"):
        capture(api, freeze=True)
    assert api.calls == ["suspend", "walk", "resume"]


def test_a_process_that_may_not_be_stopped() -> None:
    api = MadeUpWindows()
    api.rights &= ~PROCESS_SUSPEND_RESUME
    with pytest.raises(CaptureError, match="cannot freeze the process: Access is denied"):
        capture(api, freeze=True)
    assert api.calls == []


DRIVES = {
    "\\Device\\HarddiskVolume1": "D:",
    "\\Device\\HarddiskVolume12": "C:",
    "\\Device\\Mup\\srv\\share": "X:",
}


@pytest.mark.parametrize(
    ("device_path", "path"),
    [
        ("\\Device\\HarddiskVolume12\\Windows\\a.dll", "C:\\Windows\\a.dll"),
        ("\\device\\harddiskvolume1\\a.dll", "D:\\a.dll"),
        ("\\Device\\HarddiskVolume3\\a.dll", "\\Device\\HarddiskVolume3\\a.dll"),
        ("\\Device\\Mup\\srv\\share\\a.dll", "X:\\a.dll"),
        ("\\Device\\Mup\\other\\share\\a.dll", "\\\\other\\share\\a.dll"),
        ("\\Device\\Mup\\;LanmanRedirector\\;Y:0000000000012345\\srv\\pub\\a.dll", "\\\\srv\\pub\\a.dll"),
        ("\\??\\Z:\\home\\a.dll", "Z:\\home\\a.dll"),
        ("\\??\\UNC\\srv\\share\\a.dll", "\\\\srv\\share\\a.dll"),
        ("\\\\?\\C:\\a.dll", "C:\\a.dll"),
        ("C:\\a.dll", "C:\\a.dll"),
    ],
)
def test_device_paths(device_path: str, path: str) -> None:
    assert drive_path(device_path, DRIVES) == path


# --- layouts ----------------------------------------------------------------------------------------------------------


def test_structure_sizes() -> None:
    declared = {
        value
        for value in vars(layouts).values()
        if isinstance(value, type) and issubclass(value, ctypes.Structure) and value is not ctypes.Structure
    }
    assert declared == set(layouts.STRUCTURE_SIZES)
    for structure, sizes in layouts.STRUCTURE_SIZES.items():
        assert ctypes.sizeof(structure) == sizes[layouts.POINTER_SIZE], structure


def test_errors_say_their_number() -> None:
    assert str(ApiError(5, "Access is denied.\r\n")) == "Access is denied (error 5)"
    assert str(ApiError(5)) == "error 5"
    assert str(ApiError(0xC0000022)) == "status 0xc0000022"


@pytest.mark.skipif(sys.platform == "win32", reason="this is Windows")
def test_no_windows_elsewhere() -> None:
    with pytest.raises(NotImplementedError):
        WindowsApi()


def test_windows_that_does_not_answer() -> None:
    class Silent(MadeUpWindows):
        def threads(self, pid: int) -> list[int]:
            raise ApiError(8, "Not enough memory resources are available to process this command.")

        def processes(self) -> Iterator[tuple[int, str]]:
            raise ApiError(8)

    api = Silent()
    with pytest.raises(CaptureError, match=r"^App\.exe \(1234\): cannot capture the process: Not enough memory"):
        capture(api, freeze=True)
    assert api.calls == ["suspend", "resume"]
    with pytest.raises(CaptureError, match=r"^app: cannot list the processes: error 8$"):
        find_processes("app", api)


def test_a_reader_that_fails_costs_the_bytes_only(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: Any, **options: Any) -> None:
        raise IndexError("beyond")

    monkeypatch.setattr(process, "survey", fail)
    facts = capture(MadeUpWindows())
    assert len(facts.regions.rows) == 7
    assert facts.warnings == ["some structures in memory could not be read: IndexError: beyond"]
