"""Captures a process on Linux, from /proc.

Sources: the Linux manual pages proc_pid_status(5), proc_pid_stat(5) and proc_pid_syscall(5).
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

from dumpmap.capture.facts import CaptureOptions, LiveFacts, ProcessExitedError
from dumpmap.capture.linux import machine, smaps
from dumpmap.capture.linux.proc import PROC, ProcDirectory, sizes
from dumpmap.capture.regions import NOTHING_RESIDENT, RegionTable, WorkingSet
from dumpmap.errors import CaptureError, reason_of
from dumpmap.model.winnt import MemState, PageProtect, RegionRow
from dumpmap.parsers import linux_maps

assert sys.platform == "linux"  # noqa: S101 - tells the type checker as well

FREEZE_TIMEOUT = 5.0
"""Seconds that a process has to stop. A process that waits for a disk or a server stops only after that wait."""

_COUNTERS = {
    "working_set": "VmRSS",
    "peak_working_set": "VmHWM",
    "virtual_size": "VmSize",
    "peak_virtual_size": "VmPeak",
    "page_table": "VmPTE",
}
"""Key of the snapshot to the line of /proc/PID/status."""


class LinuxProcess:
    """An open process on Linux.

    Args:
        pid: the process.

    Raises:
        CaptureError: there is no such process.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._proc = ProcDirectory(pid)
        try:
            self._name = _program_name(self._proc.link("exe")) or self._proc.stat()[0]
            if self._name:
                self._proc.label = f"{self._name} ({pid})"
        except BaseException:
            self.close()
            raise

    @property
    def label(self) -> str:
        """See `LiveProcess.label`."""
        return self._proc.label

    def close(self) -> None:
        """See `LiveProcess.close`."""
        self._proc.close()

    def is_running(self) -> bool:
        """See `LiveProcess.is_running`."""
        try:
            return self._proc.stat()[1][0] not in ("Z", "X", "x")
        except CaptureError:
            return False

    def names(self) -> list[str]:
        """Returns its names: of its program, in the kernel, and the first word of its command line."""
        first_word = (self._proc.text_or_none("cmdline") or "").split("\0", 1)[0]
        try:
            kept = self._proc.stat()[0]
        except CaptureError:
            kept = None
        return [name for name in (self._name, kept, _program_name(first_word)) if name]

    def _exited(self) -> ProcessExitedError:
        return ProcessExitedError("the process has exited", source=self.label)

    # --- capturing ----------------------------------------------------------------------------------------------------

    def capture(self, options: CaptureOptions) -> LiveFacts:
        """See `LiveProcess.capture`."""
        if not self.is_running():
            raise self._exited()
        with self._frozen() if options.freeze else contextlib.nullcontext():
            return self._capture(options)

    @contextlib.contextmanager
    def _frozen(self) -> Iterator[None]:
        if self.pid == os.getpid():
            raise CaptureError("cannot freeze the process that runs the capture", source=self.label)
        # A process that somebody else has stopped stays stopped.
        if self._has_stopped():
            yield
            return
        try:
            os.kill(self.pid, signal.SIGSTOP)
        except ProcessLookupError:
            raise self._exited() from None
        except OSError as error:
            raise CaptureError(f"cannot freeze the process: {reason_of(error)}", source=self.label) from None
        try:
            deadline = time.monotonic() + FREEZE_TIMEOUT
            while not self._has_stopped():
                if time.monotonic() > deadline:
                    raise CaptureError(
                        f"the process did not stop within {FREEZE_TIMEOUT:.0f} seconds", source=self.label
                    )
                time.sleep(0.001)
            yield
        finally:
            with contextlib.suppress(OSError):
                os.kill(self.pid, signal.SIGCONT)

    def _has_stopped(self) -> bool:
        return all(self._proc.stat(thread)[1][0] in "TtZX" for thread in self._proc.thread_ids())

    def _capture(self, options: CaptureOptions) -> LiveFacts:
        facts = LiveFacts(captured_at=dt.datetime.now(dt.UTC), process={})
        name, pointer_size, top = machine.architecture(self._proc.start_of_program(machine.ELF_HEADER_SIZE))
        status = sizes(self._proc.text("status"))
        mappings, details = self._mappings(facts.warnings)
        kept = smaps.in_order(mappings, top or machine.KERNEL_HALF[pointer_size], facts.warnings)
        mappings = [mapping for _, mapping in kept]
        facts.regions = _regions(mappings, top)
        facts.modules = smaps.modules(mappings, facts.regions.rows[: len(mappings)])
        facts.counters = {key: status.get(line) for key, line in _COUNTERS.items()}
        if details is not None:
            details = [details[index] for index, _ in kept]
            if options.working_set:
                _add_working_sets(facts, details)
            facts.counters["private_usage"] = smaps.commit_charge(mappings, details)
        stack = next((mapping for mapping in mappings if mapping.path == "[stack]"), None)
        facts.threads = self._threads(stack)
        handles = self._proc.names("fd")
        facts.handle_count = None if handles is None else len(handles)
        facts.system = machine.system(top)
        facts.process = self._process(name, pointer_size, options)
        if not self.is_running():
            facts.warnings.append("the process exited during the capture; threads may be missing")
        return facts

    def _mappings(self, warnings: list[str]) -> tuple[list[linux_maps.Mapping], list[dict[str, Any]] | None]:
        """Returns the mappings and the details of each; None for the details if the kernel has no smaps."""
        details: list[dict[str, Any]] | None
        try:
            mappings, details, bad = smaps.parse_smaps(self._proc.text("smaps"))
        except ProcessExitedError:
            if not self.is_running():
                raise
            warnings.append("this kernel has no /proc/PID/smaps; the working set is unknown")
            mappings, bad = linux_maps.parse_maps(self._proc.text("maps"))
            details = None
        if bad:
            warnings.append(f"ignored {bad} malformed lines of the memory map")
        if not mappings:
            if not self.is_running():
                raise self._exited()
            raise CaptureError("a kernel thread has no memory of its own to capture", source=self.label)
        return mappings, details

    def _threads(self, stack: linux_maps.Mapping | None) -> list[dict[str, Any]]:
        threads = []
        for thread_id in self._proc.thread_ids():
            thread: dict[str, Any] = {"id": thread_id}
            try:
                name, fields = self._proc.stat(thread_id)
            except CaptureError:
                continue  # it ended after the kernel listed it
            thread["name"] = name
            thread["created_at"] = machine.start_time(int(fields[19]))
            pointers = (self._proc.text_or_none(f"task/{thread_id}/syscall") or "").split()
            if len(pointers) >= 3:  # for a running thread, the file contains the word `running` only
                thread["stack_pointer"] = int(pointers[-2], 16) or None
                thread["instruction_pointer"] = int(pointers[-1], 16) or None
            if thread_id == self.pid and stack is not None:
                thread["stack_base"] = stack.start
                thread["stack_size"] = stack.end - stack.start
            threads.append(thread)
        return threads

    def _process(self, architecture: str, pointer_size: int, options: CaptureOptions) -> dict[str, Any]:
        _, fields = self._proc.stat()
        ticks = os.sysconf("SC_CLK_TCK")
        command_line = self._proc.text_or_none("cmdline") if options.command_line else None
        path = self._proc.link("exe")
        return {
            "pid": self.pid,
            "name": self._name,
            "path": None if path is None else path.removesuffix(" (deleted)"),
            "command_line": None if command_line is None else command_line.rstrip("\0").replace("\0", " ") or None,
            "architecture": architecture,
            "pointer_size": pointer_size,
            "wow64": False,
            "os": {"family": "linux", "version": os.uname().release},
            "created_at": machine.start_time(int(fields[19])),
            "user_time": int(fields[11]) // ticks,
            "kernel_time": int(fields[12]) // ticks,
        }


def _regions(mappings: Sequence[linux_maps.Mapping], top: int | None) -> RegionTable:
    """Returns the regions in Windows' terms, with a free one up to the end of the address space if that is known."""
    rows: list[RegionRow]
    rows, names = linux_maps.rows(mappings)
    if top is not None and rows:
        end = rows[-1][0] + rows[-1][3]
        rows.append((end, 0, 0, top - end, int(MemState.MEM_FREE), int(PageProtect.PAGE_NOACCESS), 0))
        names.append(None)
    return RegionTable(rows, names)


def _add_working_sets(facts: LiveFacts, details: Sequence[dict[str, Any]]) -> None:
    sets: list[WorkingSet | None] = [smaps.working_set(detail) for detail in details]
    facts.counters["private_working_set"] = sum(known[1] for known in sets if known is not None)
    sets += [NOTHING_RESIDENT] * (len(facts.regions.rows) - len(sets))
    facts.regions.working_sets = sets


def _program_name(path: str | None) -> str | None:
    return None if path is None else path.removesuffix(" (deleted)").rpartition("/")[2] or None


def find_processes(name: str) -> list[tuple[int, str]]:
    """Lists every other process with this name.

    A process has three names: the file name of its program, the first word of its command line, and the name that the
    kernel keeps, which ends after 15 bytes.

    Returns:
        the id and the program name of each.
    """
    wanted = name.rpartition("/")[2]
    found = []
    for entry in PROC.iterdir():
        if not entry.name.isdecimal() or int(entry.name) == os.getpid():
            continue
        try:
            process = LinuxProcess(int(entry.name))
        except CaptureError:
            continue
        names = process.names()
        process.close()
        if wanted in names:
            found.append((process.pid, names[0]))
    return sorted(found)
