"""Captures a process on Windows.

The order of a capture: threads, then the regions in one walk, then the facts about the regions (files, residency),
modules, counters, and at last the bytes that the structure readers need. A capture writes nothing into the process and
runs nothing in it. It never reads a page with PAGE_GUARD: that would remove the guard, and the stack could not grow.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from dumpmap.capture.facts import CaptureOptions, LiveFacts, ProcessExitedError
from dumpmap.capture.regions import RegionSpace, RegionTable, WorkingSet
from dumpmap.capture.windows.address_space import clip, mapped_files, reader, walk, wow64_limit
from dumpmap.capture.windows.api import ApiError, Machine, WindowsApi
from dumpmap.capture.windows.layouts import (
    ERROR_ACCESS_DENIED,
    ERROR_INVALID_PARAMETER,
    PROCESS_QUERY_INFORMATION,
    PROCESS_QUERY_LIMITED_INFORMATION,
    PROCESS_SUSPEND_RESUME,
    PROCESS_VM_READ,
)
from dumpmap.capture.windows.modules import add_header_facts, loaded_modules
from dumpmap.capture.windows.paths import file_name
from dumpmap.capture.windows.threads import list_threads, moment
from dumpmap.capture.windows.working_set import working_sets
from dumpmap.errors import CaptureError
from dumpmap.model.memory import LiveMemory, RecordingMemory
from dumpmap.model.winnt import RegionRow
from dumpmap.structures.bounds import is_page
from dumpmap.structures.pe import read_image
from dumpmap.structures.survey import survey

Answer = TypeVar("Answer")

_LIMITED = "limited rights to the process; parts of the capture may be missing"
_RIGHTS = (
    (PROCESS_QUERY_INFORMATION | PROCESS_VM_READ, ""),
    (PROCESS_QUERY_INFORMATION, "no right to read the process's memory; the capture contains the map without bytes"),
    (PROCESS_QUERY_LIMITED_INFORMATION | PROCESS_VM_READ, _LIMITED),
    (PROCESS_QUERY_LIMITED_INFORMATION, _LIMITED),
)
"""Rights to request, the best first, and the warning for a capture that gets no better ones."""

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


class WindowsProcess:
    """An open process on Windows. As long as its handle is open, Windows gives its id to no other process.

    Args:
        pid: the process.
        name: its program, if known.
        api: Windows.

    Raises:
        CaptureError: there is no such process, or it cannot be captured.
    """

    def __init__(self, pid: int, name: str | None = None, api: WindowsApi | None = None) -> None:
        self._api = api or WindowsApi()
        self.pid = pid
        self._name = name
        self._handle, self._shortage, self._can_read = self._open()
        try:
            self.path = self._ask(self._api.image_path)
            self._name = file_name(self.path) if self.path else self._listed_name()
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
        """Returns a handle, a warning if it lacks rights, and whether it can read memory."""
        for attempt in range(2):
            for access, shortage in _RIGHTS:
                try:
                    handle = self._api.open_process(self.pid, access)
                except ApiError as error:
                    if error.code == ERROR_INVALID_PARAMETER:
                        raise ProcessExitedError("no such process", source=self.label) from None
                    if error.code != ERROR_ACCESS_DENIED:
                        raise CaptureError(f"cannot open the process: {error}", source=self.label) from None
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
        raise self._access_denied()

    def _access_denied(self) -> CaptureError:
        return CaptureError("access denied; run dumpmap as administrator", source=self.label)

    def _exited(self) -> ProcessExitedError:
        return ProcessExitedError("the process has exited", source=self.label)

    def _listed_name(self) -> str | None:
        try:
            return self._name or dict(self._api.processes()).get(self.pid)
        except ApiError:
            return None

    def _identify(self) -> Machine:
        """Finds out what the process runs as, and refuses a process that this Python cannot capture."""
        if not self.is_running():
            raise self._exited()
        machine = self._ask(self._api.machine)
        if machine is None:
            raise CaptureError("cannot determine whether the process is 32-bit or 64-bit", source=self.label)
        if self._api.pointer_size == 4 and not machine.wow64 and self._api.is_wow64():
            raise CaptureError(
                "a 32-bit program cannot capture a 64-bit process; use a 64-bit Python or the x64 dumpmap-capture.exe",
                source=self.label,
            )
        return machine

    @property
    def _process_width(self) -> int:
        return 4 if self._machine.wow64 else self._api.pointer_size

    def _ask(self, question: Callable[[int], Answer]) -> Answer | None:
        """Asks Windows one question about the process; None if Windows does not answer."""
        try:
            return question(self._handle)
        except ApiError:
            return None

    # --- capturing ----------------------------------------------------------------------------------------------------

    def capture(self, options: CaptureOptions) -> LiveFacts:
        """See `LiveProcess.capture`."""
        if not self.is_running():
            raise self._exited()
        try:
            with self._frozen() if options.freeze else contextlib.nullcontext():
                return self._capture(options)
        except ApiError as error:
            # Windows did not answer a question that every capture needs: the list of threads, for example.
            raise CaptureError(f"cannot capture the process: {error}", source=self.label) from None

    @contextlib.contextmanager
    def _frozen(self) -> Iterator[None]:
        if self.pid == self._api.own_pid():
            raise CaptureError("cannot freeze the process that runs the capture", source=self.label)
        handle = 0
        try:
            handle = self._api.open_process(self.pid, PROCESS_SUSPEND_RESUME)
            self._api.suspend(handle)
        except ApiError as error:
            if handle:
                self._api.close(handle)
            raise CaptureError(f"cannot freeze the process: {error}", source=self.label) from None
        try:
            yield
        finally:
            # A process that ended during the capture cannot be resumed, and need not be.
            with contextlib.suppress(ApiError):
                self._api.resume(handle)
            self._api.close(handle)

    def _capture(self, options: CaptureOptions) -> LiveFacts:
        facts = LiveFacts(captured_at=dt.datetime.now(dt.UTC), process={})
        warnings = facts.warnings
        if self._shortage:
            warnings.append(self._shortage)
        facts.peb, facts.wow64_peb = self._pebs()
        facts.threads = list_threads(self._api, self.pid, self._machine, frozen=options.freeze)
        rows, max_address = self._walk(warnings)
        counted = self._ask(self._api.counters) or {}
        facts.counters = {key: counted[name] for key, name in _COUNTERS.items() if name in counted}
        facts.handle_count = self._ask(self._api.handle_count)
        facts.regions = RegionTable(rows, mapped_files(self._api, self._handle, rows))
        if options.working_set:
            facts.regions.working_sets = self._working_sets(rows, warnings)
        facts.system = self._system(max_address)
        facts.process = self._process(options)
        facts.modules = loaded_modules(self._api, self._handle, facts.regions, max_address, warnings)
        if options.memory and self._can_read:
            self._read_memory(facts)
        if not self.is_running():
            warnings.append("the process exited during the capture; bytes or modules may be missing")
        return facts

    def _read_memory(self, facts: LiveFacts) -> None:
        """Reads the bytes that the map needs. Whatever the memory contains, the map is worth more than nothing."""
        space = RegionSpace(facts.regions.rows)
        memory = RecordingMemory(LiveMemory(reader(self._api, self._handle, space)))
        add_header_facts(facts.modules, memory)
        try:
            self._survey(facts, memory, space)
        except Exception as error:
            if os.environ.get("DUMPMAP_DEBUG") == "1":
                raise
            facts.warnings.append(f"some structures in memory could not be read: {type(error).__name__}: {error}")
        facts.memory = memory.excerpts()

    def _survey(self, facts: LiveFacts, memory: RecordingMemory, space: RegionSpace) -> None:
        """Runs the readers that the classifier will run: they ask for the same bytes."""
        survey(
            memory,
            pointer_size=self._process_width,
            threads=[(thread["id"], thread.get("teb") or 0) for thread in facts.threads],
            modules=[(module["base"], module["size"], module["path"]) for module in facts.modules],
            space=space,
            os_build=facts.process["os"]["build"],
            peb_addresses=[address for address in (facts.peb, facts.wow64_peb) if address is not None],
        )
        # The classifier recognises a view that begins like a loaded module as a second copy of its file.
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
        # Wine answers 1 for yes instead of the address. The classifier finds that PEB through a TEB.
        return first, second if is_page(second, 4) else None

    def _walk(self, warnings: list[str]) -> tuple[list[RegionRow], int]:
        """Returns the regions and the highest address of the space, inclusive."""
        wow64 = self._machine.wow64
        warned = len(warnings)
        try:
            rows = walk(self._api, self._handle, wow64=wow64, warnings=warnings)
        except ApiError as error:
            raise self._refused(error) from None
        if len(warnings) > warned and not self.is_running():
            raise self._exited()
        if not wow64:
            return rows, self._api.system().max_address
        limit = wow64_limit(self._api, self._handle, rows, self.path, self._can_read)
        return clip(rows, limit), limit - 1

    def _refused(self, error: ApiError) -> CaptureError:
        if not self.is_running():
            return self._exited()
        if self._api.is_protected(self._handle):
            return CaptureError("Windows protects this process; no program can read its memory map", source=self.label)
        if error.code == ERROR_ACCESS_DENIED:
            return self._access_denied()
        return CaptureError(f"cannot read the memory map: {error}", source=self.label)

    def _working_sets(self, rows: list[RegionRow], warnings: list[str]) -> list[WorkingSet | None] | None:
        """Returns the resident bytes of each region, None if Windows does not answer."""
        try:
            result = working_sets(self._api, self._handle, rows)
        except ApiError as error:
            if self.is_running():
                warnings.append(f"cannot read the working set: {error}")
            return None
        unknown = sum(value is None for value in result)
        if unknown:
            warnings.append(f"the working set of {unknown:,} regions is unknown: more than 1 TiB is committed")
        return result

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

    def _process(self, options: CaptureOptions) -> dict[str, Any]:
        major, minor, build, service_pack, product_type = self._api.version()
        created, user, kernel = self._ask(self._api.process_times) or (None, None, None)
        return {
            "pid": self.pid,
            "name": self._name,
            "path": self.path,
            "command_line": self._ask(self._api.command_line) if options.command_line else None,
            "architecture": self._machine.architecture,
            "pointer_size": self._process_width,
            # False, not unknown, for a 64-bit process and on a 32-bit system.
            "wow64": self._machine.wow64,
            "os": {
                "family": "windows",
                "version": f"{major}.{minor}.{build}",
                "build": build,
                "service_pack": service_pack or None,
                "product_type": product_type,
            },
            "created_at": None if created is None else moment(created),
            "user_time": None if user is None else int(user),
            "kernel_time": None if kernel is None else int(kernel),
        }


def find_processes(name: str, api: WindowsApi | None = None) -> list[tuple[int, str]]:
    """Lists every other process with this name. Case does not matter, and neither does `.exe`.

    Returns:
        the id and the program name of each.

    Raises:
        CaptureError: Windows does not list its processes.
    """
    api = api or WindowsApi()
    wanted = file_name(name.lower().replace("/", "\\"))
    own = api.own_pids()
    try:
        return [
            (pid, program)
            for pid, program in api.processes()
            if program.lower() in (wanted, f"{wanted}.exe") and pid not in own
        ]
    except ApiError as error:
        raise CaptureError(f"cannot list the processes: {error}", source=name) from None
