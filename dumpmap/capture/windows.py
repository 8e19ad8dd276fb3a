"""Captures a process on Windows.

The order of a capture: threads, then the regions in one walk, then what belongs to the regions (files, residency),
modules, counters, and at last the bytes that the structure readers ask for. Nothing is written into the process and
nothing runs in it. Pages with PAGE_GUARD are never read: that would take the guard away and break the growing of a
stack.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from dumpmap.capture.facts import Facts, Options, ProcessExitedError
from dumpmap.capture.regions import NOTHING_RESIDENT, RegionSpace, RegionTable, Row, WorkingSet
from dumpmap.capture.winapi import (
    ADDRESS_CODE,
    ERROR_ACCESS_DENIED,
    ERROR_INVALID_PARAMETER,
    PROCESS_QUERY_INFORMATION,
    PROCESS_QUERY_LIMITED_INFORMATION,
    PROCESS_SUSPEND_RESUME,
    PROCESS_VM_READ,
    THREAD_GET_CONTEXT,
    THREAD_QUERY_INFORMATION,
    THREAD_QUERY_LIMITED_INFORMATION,
    ApiError,
    Machine,
    WindowsApi,
)
from dumpmap.errors import CaptureError
from dumpmap.model.memory import LiveMemory, RecordingMemory
from dumpmap.model.winnt import MemState, MemType
from dumpmap.structures.bounds import is_page
from dumpmap.structures.pe import read_image
from dumpmap.structures.survey import survey

MAX_WORKING_SET_PAGES = 1 << 28
"""Committed pages that are asked for their residency (1 TiB, about half a minute); the rest stays unknown."""

WORKING_SET_BATCH = 1 << 16
"""Pages in one call of QueryWorkingSetEx: a buffer of 1 MB."""

WOW64_LIMIT = {True: 0xFFFF_0000, False: 0x7FFF_0000}
"""End (exclusive) of what a 32-bit process on 64-bit Windows can use, by whether it is large-address aware."""

_RIGHTS = (
    (PROCESS_QUERY_INFORMATION | PROCESS_VM_READ, ""),
    (PROCESS_QUERY_INFORMATION, "no right to read its memory: the capture has the map without any bytes"),
    (PROCESS_QUERY_LIMITED_INFORMATION | PROCESS_VM_READ, "only limited rights: parts of the capture may be missing"),
    (PROCESS_QUERY_LIMITED_INFORMATION, "only limited rights: parts of the capture may be missing"),
)
"""Rights to ask for, the best first, and what their lack means."""

# Bits of PSAPI_WORKING_SET_EX_BLOCK.
_VALID = 0x1
_SHARE_COUNT = 0xE
_SEVERAL = 0x4
_SHARED = 0x8000
_LOCKED = 0x40_0000


class WindowsProcess:
    """A process on Windows, opened. Its handle keeps its id from being given to another.

    Args:
        pid: the process.
        name: its program, if known.
        api: the system.

    Raises:
        CaptureError: there is no such process, or it cannot be looked at.
    """

    def __init__(self, pid: int, name: str | None = None, api: WindowsApi | None = None) -> None:
        self._api = api or WindowsApi()
        self.pid = pid
        self._name = name
        self._handle, self._shortage, self._can_read = self._open()
        try:
            self.path = self._ask(self._api.image_path)
            self._name = self.path.rpartition("\\")[2] if self.path else self._listed_name()
            self._machine = self._identify()
        except BaseException:
            self.close()
            raise

    @property
    def label(self) -> str:
        """See `LiveProcess.label`."""
        return f"{self._name} ({self.pid})" if self._name else str(self.pid)

    def close(self) -> None:
        """See `LiveProcess.close`."""
        if self._handle:
            self._api.close(self._handle)
            self._handle = 0

    def is_running(self) -> bool:
        """See `LiveProcess.is_running`."""
        try:
            return self._api.exit_code(self._handle) is None
        except ApiError:
            return False

    # --- opening ------------------------------------------------------------------------------------------------------

    def _open(self) -> tuple[int, str, bool]:
        """Returns a handle, what it cannot do, and whether memory can be read."""
        for attempt in range(2):
            for access, shortage in _RIGHTS:
                try:
                    handle = self._api.open_process(self.pid, access)
                except ApiError as error:
                    if error.code == ERROR_INVALID_PARAMETER:
                        raise ProcessExitedError("no such process", source=self.label) from None
                    if error.code != ERROR_ACCESS_DENIED:
                        raise CaptureError(f"cannot be opened: {error}", source=self.label) from None
                    continue
                if shortage and attempt == 0 and self._api.enable_debug_privilege():
                    self._api.close(handle)
                    break
                return handle, shortage, bool(access & PROCESS_VM_READ)
            else:
                if attempt == 0 and self._api.enable_debug_privilege():
                    continue
                break
        self._name = self._listed_name()
        raise CaptureError("access denied; try again as an administrator", source=self.label)

    def _listed_name(self) -> str | None:
        try:
            return self._name or dict(self._api.processes()).get(self.pid)
        except ApiError:
            return None

    def _identify(self) -> Machine:
        """Finds out what the process runs as, and refuses what this Python cannot look at."""
        if not self.is_running():
            raise ProcessExitedError("has exited", source=self.label)
        machine: Machine | None = self._ask(self._api.machine)
        if machine is None:
            raise CaptureError("does not say whether it is a 32-bit or a 64-bit process", source=self.label)
        if self._api.pointer_size == 4 and not machine.wow64 and self._api.is_wow64():
            raise CaptureError(
                "a 64-bit process; this Python is a 32-bit program and cannot look at it, use a 64-bit Python",
                source=self.label,
            )
        return machine

    @property
    def _process_width(self) -> int:
        return 4 if self._machine.wow64 else self._api.pointer_size

    def _ask(self, question: Any, *arguments: Any) -> Any:
        """Asks one thing about the process; None where Windows does not answer."""
        try:
            return question(self._handle, *arguments)
        except ApiError:
            return None

    # --- capturing ----------------------------------------------------------------------------------------------------

    def capture(self, options: Options) -> Facts:
        """See `LiveProcess.capture`."""
        if not self.is_running():
            raise ProcessExitedError("has exited", source=self.label)
        try:
            with self._frozen() if options.freeze else contextlib.nullcontext():
                return self._capture(options)
        except ApiError as error:
            # What a capture cannot do without did not answer, the list of threads for one.
            raise CaptureError(f"cannot be captured: {error}", source=self.label) from None

    @contextlib.contextmanager
    def _frozen(self) -> Iterator[None]:
        if self.pid == self._api.own_pid():
            raise CaptureError("a process cannot stop itself and capture itself", source=self.label)
        handle = 0
        try:
            handle = self._api.open_process(self.pid, PROCESS_SUSPEND_RESUME)
            self._api.suspend(handle)
        except ApiError as error:
            if handle:
                self._api.close(handle)
            raise CaptureError(f"cannot be stopped for the capture: {error}", source=self.label) from None
        try:
            yield
        finally:
            # A process that was ended meanwhile cannot be resumed, and need not be.
            with contextlib.suppress(ApiError):
                self._api.resume(handle)
            self._api.close(handle)

    def _capture(self, options: Options) -> Facts:
        facts = Facts(captured_at=dt.datetime.now(dt.UTC), process={})
        warnings = facts.warnings
        if self._shortage:
            warnings.append(self._shortage)
        facts.peb, facts.wow64_peb = self._pebs()
        facts.threads = self._threads(frozen=options.freeze)
        rows, max_address = self._walk(warnings)
        facts.counters = self._counters()
        facts.handle_count = self._ask(self._api.handle_count)
        facts.regions = RegionTable(rows, self._files(rows))
        if options.working_set:
            facts.regions.working_sets = self._working_sets(rows, warnings)
        facts.system = self._system(max_address)
        facts.process = self._process(options)
        space = RegionSpace(rows)
        recording = RecordingMemory(LiveMemory(self._reader(space)))
        read = options.memory and self._can_read
        facts.modules = self._modules(facts.regions, recording if read else None, max_address, warnings)
        if read:
            try:
                self._survey(facts, recording, space)
            except Exception as error:
                # Whatever lies in a process's memory, its map is worth more than nothing.
                if os.environ.get("DUMPMAP_DEBUG") == "1":
                    raise
                warnings.append(f"the structures in memory could not all be read: {type(error).__name__}: {error}")
            facts.memory = recording.excerpts()
        if not self.is_running():
            warnings.append("the process exited while it was captured: bytes or modules may be missing")
        return facts

    def _survey(self, facts: Facts, memory: RecordingMemory, space: RegionSpace) -> None:
        """Has everything read that the classifier will want to read: the same readers ask for the same bytes."""
        survey(
            memory,
            pointer_size=self._process_width,
            threads=[(thread["id"], thread.get("teb") or 0) for thread in facts.threads],
            modules=[(module["base"], module["size"], module["path"]) for module in facts.modules],
            space=space,
            os_build=facts.process["os"]["build"],
            peb_addresses=[address for address in (facts.peb, facts.wow64_peb) if address is not None],
        )
        # A view that begins like a loaded module is told to be a second copy of its file.
        for base in memory.find(space.mapped_allocations(), 0, [b"MZ"]):
            read_image(memory, base)

    def _pebs(self) -> tuple[int | None, int | None]:
        """Returns the PEB of the system's width and, for a WoW64 process, the 32-bit one."""
        first = self._ask(self._api.peb) or None
        if not self._machine.wow64:
            return first, None
        if self._api.pointer_size == 4:
            return self._ask(self._api.native_peb_of_wow64) or None, first
        second = self._ask(self._api.wow64_peb) or 0
        # Wine answers 1 for yes instead of the address; that PEB is found through a TEB.
        return first, second if is_page(second, 4) else None

    def _threads(self, *, frozen: bool) -> list[dict[str, Any]]:
        threads = []
        rights = [THREAD_QUERY_INFORMATION, THREAD_QUERY_LIMITED_INFORMATION]
        if frozen:  # the registers of a thread that runs mean nothing
            rights.insert(0, THREAD_QUERY_INFORMATION | THREAD_GET_CONTEXT)
        for thread_id in self._api.threads(self.pid):
            thread: dict[str, Any] = {"id": thread_id}
            handle = 0
            access = 0
            for access in rights:
                try:
                    handle = self._api.open_thread(thread_id, access)
                    break
                except ApiError:
                    continue
            if handle:
                for key, question in (
                    ("teb", self._api.teb),
                    ("name", self._api.thread_name),
                    ("start_address", self._api.start_address),
                ):
                    with contextlib.suppress(ApiError):
                        thread[key] = question(handle) or None
                with contextlib.suppress(ApiError):
                    thread["created_at"] = _time(self._api.thread_times(handle)[0])
                if access & THREAD_GET_CONTEXT:
                    with contextlib.suppress(ApiError):
                        pointers = self._api.context(handle, self._machine)
                        thread["stack_pointer"], thread["instruction_pointer"] = pointers or (None, None)
                self._api.close(handle)
            threads.append(thread)
        return threads

    def _walk(self, warnings: list[str]) -> tuple[list[Row], int]:
        """Returns the regions and the highest address of the space, inclusive."""
        limit = 1 << 32 if self._machine.wow64 else None
        rows: list[Row] = []
        try:
            rows.extend(self._api.regions(self._handle, limit))
        except ApiError as error:
            if not self.is_running():
                raise ProcessExitedError("has exited", source=self.label) from None
            if not rows:
                raise self._refused(error) from None
            last = rows[-1]
            warnings.append(f"the memory map could be read up to {last[0] + last[3]:#x} only: {error}")
        max_address = self._api.system().max_address
        if limit is not None:
            aware = self._is_large_address_aware(rows)
            max_address = WOW64_LIMIT[aware] - 1
            rows = _clip(rows, max_address + 1)
        return rows, max_address

    def _refused(self, error: ApiError) -> CaptureError:
        if self._api.is_protected(self._handle):
            return CaptureError(
                "a protected process: Windows lets no program look at its memory map", source=self.label
            )
        if error.code == ERROR_ACCESS_DENIED:
            return CaptureError("access denied; try again as an administrator", source=self.label)
        return CaptureError(f"its memory map cannot be read: {error}", source=self.label)

    def _is_large_address_aware(self, rows: Sequence[Row]) -> bool:
        """Tells whether a WoW64 process may use addresses from 2 GB on.

        Its program's header says so. Where that cannot be read: Windows blocks everything from 0x7fff0000 on with one
        reservation unless the process may use it.
        """
        program = self.path or ""
        for row in rows if self._can_read else ():
            if row[0] == row[1] and row[6] == MemType.MEM_IMAGE:
                path = self._ask(self._api.mapped_file, row[0])
                if path and program and path.rpartition("\\")[2].lower() == program.rpartition("\\")[2].lower():
                    image = read_image(LiveMemory(self._reader(RegionSpace(rows))), row[0])
                    if image is not None:
                        return image.large_address_aware
        last = rows[-1]
        return not (
            last[0] <= WOW64_LIMIT[False] and last[0] + last[3] >= WOW64_LIMIT[True] and last[4] == MemState.MEM_RESERVE
        )

    def _reader(self, space: RegionSpace) -> Any:
        api, handle = self._api, self._handle

        def read(address: int, size: int) -> bytes | None:
            return api.read(handle, address, size) if space.readable(address, size) else None

        return read

    def _files(self, rows: Sequence[Row]) -> list[str | None]:
        """Returns the file behind each region."""
        drives = self._api.drives()
        files: list[str | None] = []
        allocation, file = -1, None
        for row in rows:
            if row[6] not in (MemType.MEM_MAPPED, MemType.MEM_IMAGE):
                files.append(None)
                continue
            if row[1] != allocation:
                allocation = row[1]
                device_path = self._api.mapped_file(self._handle, allocation)
                file = device_path and drive_path(device_path, drives)
            files.append(file)
        return files

    def _working_sets(self, rows: Sequence[Row], warnings: list[str]) -> list[WorkingSet | None] | None:
        """Returns the resident bytes of each region, None if Windows does not tell."""
        page = self._api.system().page_size
        result: list[WorkingSet | None] = [NOTHING_RESIDENT] * len(rows)
        asked = 0
        addresses: array[int] = array(ADDRESS_CODE)
        parts: list[tuple[int, int]] = []

        def ask() -> None:
            words = self._api.working_set(self._handle, addresses)
            position = 0
            for index, count in parts:
                found = _resident(words[position : position + count], page)
                result[index] = _sum(result[index] or NOTHING_RESIDENT, found)
                position += count
            parts.clear()
            del addresses[:]

        try:
            for index, row in enumerate(rows):
                if row[4] != MemState.MEM_COMMIT:
                    continue
                pages = row[3] // page
                asked += pages
                if asked > MAX_WORKING_SET_PAGES:
                    asked -= pages
                    result[index] = None
                    continue
                position = row[0]
                while pages:
                    count = min(pages, WORKING_SET_BATCH - len(addresses))
                    addresses.extend(range(position, position + count * page, page))
                    parts.append((index, count))
                    position += count * page
                    pages -= count
                    if len(addresses) == WORKING_SET_BATCH:
                        ask()
            if parts:
                ask()
        except ApiError as error:
            if self.is_running():
                warnings.append(f"the working set cannot be read: {error}")
            return None
        unknown = sum(value is None for value in result)
        if unknown:
            warnings.append(f"the working set of {unknown} regions was left out: more than 1 TiB is committed")
        return result

    def _counters(self) -> dict[str, int | None]:
        counted = self._ask(self._api.counters) or {}
        return {key: counted[name] for key, name in _COUNTERS.items() if name in counted}

    def _system(self, max_address: int) -> dict[str, Any]:
        system = self._api.system()
        return {
            "page_size": system.page_size,
            "allocation_granularity": system.allocation_granularity,
            "min_address": system.min_address,
            "max_address": max_address,
            "processors": system.processors,
            "commit_limit": system.commit_limit,
            "commit_total": system.commit_total,
            "commit_peak": system.commit_peak,
            "physical_total": system.physical_total,
            "physical_available": system.physical_available,
        }

    def _process(self, options: Options) -> dict[str, Any]:
        major, minor, build, service_pack = self._api.version()
        created, user, kernel = self._ask(self._api.process_times) or (None, None, None)
        return {
            "pid": self.pid,
            "name": self._name,
            "path": self.path,
            "command_line": self._ask(self._api.command_line) if options.command_line else None,
            "architecture": self._machine.architecture,
            "pointer_size": self._process_width,
            # A 64-bit process is none, and on a 32-bit system there are none.
            "wow64": self._machine.wow64,
            "os": {
                "family": "windows",
                "version": f"{major}.{minor}.{build}",
                "build": build,
                "service_pack": service_pack or None,
            },
            "created_at": None if created is None else _time(created),
            "user_time": None if user is None else int(user),
            "kernel_time": None if kernel is None else int(kernel),
        }

    def _modules(
        self, regions: RegionTable, memory: RecordingMemory | None, max_address: int, warnings: list[str]
    ) -> list[dict[str, Any]]:
        files = {row[1]: file for row, file in zip(regions.rows, regions.files, strict=True) if file}
        modules: list[dict[str, Any]] = []
        bases: list[int] = []
        for _ in range(3):  # while a process starts or loads something, the first answer can be ERROR_PARTIAL_COPY
            try:
                bases = self._api.modules(self._handle)
                break
            except ApiError as error:
                problem = str(error)
        else:
            warnings.append(f"no module list ({problem}): the modules are those images of the map that have a file")
        for base in bases:
            # In a WoW64 process the loader's path of a system DLL can be that of its 64-bit namesake.
            path = files.get(base) or self._api.module_path(self._handle, base)
            size = self._api.module_size(self._handle, base)
            if base <= max_address and path and size:
                modules.append({"base": base, "size": size, "path": path})
        if not bases:
            modules = _mapped_images(regions)
        for module in modules:
            image = None if memory is None else read_image(memory, module["base"])
            if image is not None:
                module["timestamp"] = image.timestamp
                module["checksum"] = image.checksum
        return modules


_COUNTERS = {
    "private_usage": "PrivateUsage",
    "working_set": "WorkingSetSize",
    "peak_working_set": "PeakWorkingSetSize",
    "private_working_set": "PrivateWorkingSetSize",
    "pagefile_usage": "PagefileUsage",
    "peak_pagefile_usage": "PeakPagefileUsage",
    "virtual_size": "VirtualSize",
    "peak_virtual_size": "PeakVirtualSize",
    "shared_commit_usage": "SharedCommitUsage",
}
"""Key of the snapshot to Microsoft's name."""


def find_processes(name: str, api: WindowsApi | None = None) -> list[tuple[int, str]]:
    """Returns id and program of every other process with this name; case and `.exe` do not matter.

    Raises:
        CaptureError: Windows does not list its processes.
    """
    api = api or WindowsApi()
    wanted = name.lower().replace("/", "\\").rpartition("\\")[2]
    own = api.own_pid()
    try:
        return [
            (pid, program)
            for pid, program in api.processes()
            if program.lower() in (wanted, f"{wanted}.exe") and pid != own
        ]
    except ApiError as error:
        raise CaptureError(f"the processes cannot be listed: {error}", source=name) from None


def drive_path(device_path: str, drives: dict[str, str]) -> str:
    r"""Turns the kernel's name of a file into the one that users know.

    `\Device\HarddiskVolume3\app.exe` becomes `C:\app.exe`, a file on a server `\\server\share\app.exe`. What no drive
    stands for stays as it is.
    """
    for prefix in ("\\??\\UNC\\", "\\\\?\\UNC\\"):
        if device_path.startswith(prefix):
            return "\\\\" + device_path[len(prefix) :]
    for prefix in ("\\??\\", "\\\\?\\"):
        if device_path.startswith(prefix):
            return device_path[len(prefix) :]
    folded = device_path.lower()
    best = max((device for device in drives if folded.startswith(device.lower() + "\\")), key=len, default=None)
    if best is not None:
        return drives[best] + device_path[len(best) :]
    for prefix in ("\\device\\mup\\", "\\device\\lanmanredirector\\"):
        if folded.startswith(prefix):
            # A connection's own parts come before the server: `;LanmanRedirector\;X:000000000001\server\share`.
            parts = device_path[len(prefix) :].split("\\")
            while parts and parts[0].startswith(";"):
                del parts[0]
            return "\\\\" + "\\".join(parts)
    return device_path


def _time(seconds: float) -> dt.datetime | None:
    return dt.datetime.fromtimestamp(seconds, dt.UTC) if seconds > 0 else None


def _clip(rows: Sequence[Row], end: int) -> list[Row]:
    """Cuts the regions off at `end`."""
    kept = [row for row in rows if row[0] < end]
    if kept and kept[-1][0] + kept[-1][3] > end:
        base, allocation_base, allocation_protect, _, state, protect, kind = kept[-1]
        kept[-1] = (base, allocation_base, allocation_protect, end - base, state, protect, kind)
    return kept


def _resident(words: Sequence[int], page: int) -> WorkingSet:
    """Adds up PSAPI_WORKING_SET_EX_BLOCKs, in bytes. There are few different ones among any number of pages."""
    total = private = shareable = shared = locked = 0
    for word, count in Counter(words).items():
        if not word & _VALID:
            continue
        size = count * page
        total += size
        if word & _SHARED:
            shareable += size
            if (word & _SHARE_COUNT) >= _SEVERAL:
                shared += size
        else:
            private += size
        if word & _LOCKED:
            locked += size
    return total, private, shareable, shared, locked


def _sum(one: WorkingSet, other: WorkingSet) -> WorkingSet:
    total, private, shareable, shared, locked = (first + second for first, second in zip(one, other, strict=True))
    return total, private, shareable, shared, locked


def _mapped_images(regions: RegionTable) -> list[dict[str, Any]]:
    """Takes modules from the map where the loader's list cannot be read."""
    modules: dict[int, dict[str, Any]] = {}
    for row, file in zip(regions.rows, regions.files, strict=True):
        if row[6] == MemType.MEM_IMAGE and file:
            module = modules.setdefault(row[1], {"base": row[1], "size": 0, "path": file})
            module["size"] = row[0] + row[3] - row[1]
    return list(modules.values())
