"""Captures a process on Linux, out of /proc.

Regions are told in Windows' terms by the rules of `dumpmap.parsers.linux_maps`. What a region has in memory comes from
the same read of /proc/PID/smaps as the region itself:

- `total_ws` is Rss, `private_ws` is Private_Clean + Private_Dirty, `shareable_ws` and `shared_ws` are Shared_Clean +
  Shared_Dirty, `locked_ws` is Locked. Unlike Windows, Linux tells what *is* shared, not what could be.
- Swapped-out and huge-TLB pages are in none of them, as they are not in VmRSS.
- `[vsyscall]` lies in the kernel's half of the address space, is not counted in VmSize, and is left out.

`private_usage`, the commit charge, is the size of all mappings that the kernel accounts for (VmFlags `ac`).

Sources: the Linux manual pages proc_pid_smaps(5), proc_pid_status(5), proc_pid_stat(5), proc_pid_syscall(5) and
proc_meminfo(5), and Documentation/filesystems/proc.rst of the kernel.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import re
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from dumpmap.capture.facts import Facts, Options, ProcessExitedError
from dumpmap.capture.regions import RegionTable, Row, WorkingSet
from dumpmap.errors import CaptureError
from dumpmap.model.winnt import MemState, MemType, PageProtect
from dumpmap.parsers import linux_maps

assert sys.platform == "linux"  # noqa: S101 - tells the type checker as well

FREEZE_TIMEOUT = 5.0
"""Seconds that a process is given to stop; one that waits for a disk or a server stops when that is over."""

_PROC = Path("/proc")

# ELF machine number, pointer size -> name, end of the user address space (exclusive; None: not the same everywhere).
_ARCHITECTURES: dict[tuple[int, int], tuple[str, int | None]] = {
    (3, 4): ("x86", 0xFFFF_E000 if os.uname().machine == "x86_64" else None),
    (62, 8): ("x64", 0x7FFF_FFFF_F000),
    (62, 4): ("x32", None),
    (40, 4): ("arm", None),
    (183, 8): ("arm64", None),
    (243, 8): ("riscv64", None),
    (243, 4): ("riscv32", None),
    (21, 8): ("ppc64", None),
    (22, 8): ("s390x", None),
    (258, 8): ("loongarch64", None),
}
_KERNEL_HALF = {8: 1 << 63, 4: 1 << 32}
"""No user mapping ends beyond this, by pointer size, on any architecture."""

# A detail begins with a capital letter, a mapping with an address. Details that nothing is made of do not match.
_SMAPS_LINE = re.compile(
    r"^(?:(Rss|Shared_Clean|Shared_Dirty|Private_Clean|Private_Dirty|Locked|VmFlags):(.*)|([^A-Z\n].*))$", re.MULTILINE
)

_COUNTERS = {
    "working_set": "VmRSS",
    "peak_working_set": "VmHWM",
    "virtual_size": "VmSize",
    "peak_virtual_size": "VmPeak",
    "page_table": "VmPTE",
}
"""Key of the snapshot to the line of /proc/PID/status."""


class LinuxProcess:
    """A process on Linux. Its directory in /proc stays its own: once it is gone, nothing can be read there any more.

    Args:
        pid: the process.

    Raises:
        CaptureError: there is no such process.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._name: str | None = None
        try:
            self._directory = os.open(_PROC / str(pid), os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            raise ProcessExitedError("no such process", source=str(pid)) from None
        except OSError as error:
            raise CaptureError(_reason(error), source=str(pid)) from None
        try:
            self._name = _program_name(self._link("exe")) or self._stat()[0]
        except BaseException:
            self.close()
            raise

    @property
    def label(self) -> str:
        """See `LiveProcess.label`."""
        return f"{self._name} ({self.pid})" if self._name else str(self.pid)

    def close(self) -> None:
        """See `LiveProcess.close`."""
        if self._directory >= 0:
            os.close(self._directory)
            self._directory = -1

    def is_running(self) -> bool:
        """See `LiveProcess.is_running`."""
        try:
            return self._stat()[1][0] not in ("Z", "X", "x")
        except CaptureError:
            return False

    def names(self) -> list[str]:
        """Returns what it can be called: its program, the name the kernel keeps, the first word of its command line."""
        first_word = (self._try("cmdline") or "").split("\0", 1)[0]
        try:
            kept = self._stat()[0]
        except CaptureError:
            kept = None
        return [name for name in (self._name, kept, _program_name(first_word)) if name]

    # --- reading ------------------------------------------------------------------------------------------------------

    def _read(self, name: str) -> bytes:
        """Reads one file of the process's directory, in as few reads as possible.

        Raises:
            ProcessExitedError: the process is gone.
            CaptureError: this user may not read it.
        """
        try:
            with os.fdopen(os.open(name, os.O_RDONLY, dir_fd=self._directory), "rb", buffering=0) as file:
                return file.readall()
        except (FileNotFoundError, ProcessLookupError):
            raise ProcessExitedError("has exited", source=self.label) from None
        except PermissionError:
            raise CaptureError(
                f"access denied: /proc/{self.pid}/{name} is for its owner and the administrator only",
                source=self.label,
            ) from None
        except OSError as error:
            raise CaptureError(f"/proc/{self.pid}/{name}: {_reason(error)}", source=self.label) from None

    def _try(self, name: str) -> str | None:
        try:
            return _text(self._read(name))
        except CaptureError:
            return None

    def _link(self, name: str) -> str | None:
        try:
            return _text(os.fsencode(os.readlink(name, dir_fd=self._directory)))
        except OSError:
            return None

    def _stat(self, thread: int | None = None) -> tuple[str, list[str]]:
        """Returns the command name and the fields from `state` on (field 3 of the manual page is the first)."""
        text = _text(self._read("stat" if thread is None else f"task/{thread}/stat"))
        # The name stands in parentheses and may hold any character, also parentheses and spaces.
        name, _, rest = text.partition("(")[2].rpartition(")")
        return name, rest.split()

    def _names(self, directory: str) -> list[str] | None:
        try:
            descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY, dir_fd=self._directory)
        except OSError:
            return None
        try:
            return os.listdir(descriptor)  # noqa: PTH208 - a Path cannot list a descriptor
        except OSError:
            return None
        finally:
            os.close(descriptor)

    # --- capturing ----------------------------------------------------------------------------------------------------

    def capture(self, options: Options) -> Facts:
        """See `LiveProcess.capture`."""
        if not self.is_running():
            raise ProcessExitedError("has exited", source=self.label)
        with self._frozen() if options.freeze else contextlib.nullcontext():
            return self._capture(options)

    @contextlib.contextmanager
    def _frozen(self) -> Iterator[None]:
        if self.pid == os.getpid():
            raise CaptureError("a process cannot stop itself and capture itself", source=self.label)
        # A process that somebody else has stopped stays stopped.
        if self._has_stopped():
            yield
            return
        try:
            os.kill(self.pid, signal.SIGSTOP)
        except ProcessLookupError:
            raise ProcessExitedError("has exited", source=self.label) from None
        except OSError as error:
            raise CaptureError(f"cannot be stopped for the capture: {_reason(error)}", source=self.label) from None
        try:
            deadline = time.monotonic() + FREEZE_TIMEOUT
            while not self._has_stopped():
                if time.monotonic() > deadline:
                    raise CaptureError(f"did not stop within {FREEZE_TIMEOUT:.0f} seconds", source=self.label)
                time.sleep(0.001)
            yield
        finally:
            with contextlib.suppress(OSError):
                os.kill(self.pid, signal.SIGCONT)

    def _has_stopped(self) -> bool:
        return all(self._stat(int(thread))[1][0] in "TtZX" for thread in self._names("task") or ())

    def _capture(self, options: Options) -> Facts:
        facts = Facts(captured_at=dt.datetime.now(dt.UTC), process={})
        warnings = facts.warnings
        machine, pointer_size = self._machine()
        architecture, top = _ARCHITECTURES.get((machine, pointer_size), ("unknown", None))
        status = _sizes(_text(self._read("status")))
        mappings, details = self._mappings(options, warnings)
        kept = _in_order(mappings, top or _KERNEL_HALF[pointer_size], warnings)
        mappings = [mapping for _, mapping in kept]
        rows, names = linux_maps.rows(mappings)
        facts.modules = _modules(mappings, rows)
        if top is not None and rows:
            end = rows[-1][0] + rows[-1][3]
            rows.append((end, 0, 0, top - end, int(MemState.MEM_FREE), int(PageProtect.PAGE_NOACCESS), 0))
            names.append(None)
        facts.regions = RegionTable(rows, names)
        facts.counters = {key: status.get(line) for key, line in _COUNTERS.items()}
        if details is not None:
            details = [details[index] for index, _ in kept]
            if options.working_set:
                sets: list[WorkingSet | None] = [_working_set(detail) for detail in details]
                facts.counters["private_working_set"] = sum(known[1] for known in sets if known is not None)
                sets += [(0, 0, 0, 0, 0)] * (len(rows) - len(sets))
                facts.regions.working_sets = sets
            facts.counters["private_usage"] = _commit_charge(mappings, details)
        stack = next((mapping for mapping in mappings if mapping.path == "[stack]"), None)
        facts.threads = self._threads(stack)
        handles = self._names("fd")
        facts.handle_count = None if handles is None else len(handles)
        facts.system = _system(top)
        facts.process = self._process(architecture, pointer_size, options)
        if not self.is_running():
            warnings.append("the process exited while it was captured: threads may be missing")
        return facts

    def _machine(self) -> tuple[int, int]:
        """Returns the ELF machine number and the pointer size of the program."""
        try:
            with os.fdopen(os.open("exe", os.O_RDONLY, dir_fd=self._directory), "rb") as file:
                header = file.read(20)
        except OSError:
            header = b""
        if len(header) < 20 or header[:4] != b"\x7fELF":
            return {"x86_64": 62, "aarch64": 183}.get(os.uname().machine, 0), 8
        order: Literal["little", "big"] = "little" if header[5] == 1 else "big"
        return int.from_bytes(header[18:20], order), 4 if header[4] == 1 else 8

    def _mappings(
        self, options: Options, warnings: list[str]
    ) -> tuple[list[linux_maps.Mapping], list[dict[str, Any]] | None]:
        """Returns the mappings and, beside each, what smaps says of it; None where smaps is not there."""
        try:
            text = _text(self._read("smaps"))
        except ProcessExitedError:
            if not self.is_running():
                raise
            warnings.append("this kernel has no /proc/PID/smaps: no working set")
            text = _text(self._read("maps"))
            mappings, bad = linux_maps.parse_maps(text)
            details = None
        else:
            mappings, details, bad = parse_smaps(text)
        if bad:
            warnings.append(f"{bad} lines of the memory map were not understood")
        if not mappings:
            if not self.is_running():
                raise ProcessExitedError("has exited", source=self.label)
            raise CaptureError("a kernel thread, which has no memory of its own", source=self.label)
        return mappings, details

    def _threads(self, stack: linux_maps.Mapping | None) -> list[dict[str, Any]]:
        threads = []
        for thread_id in sorted(map(int, self._names("task") or ())):
            thread: dict[str, Any] = {"id": thread_id}
            try:
                name, fields = self._stat(thread_id)
            except CaptureError:
                continue  # it ended since the list was made
            thread["name"] = name
            thread["created_at"] = _start_time(int(fields[19]))
            pointers = (self._try(f"task/{thread_id}/syscall") or "").split()
            if len(pointers) >= 3:  # a thread that is running right now says only so
                thread["stack_pointer"] = int(pointers[-2], 16) or None
                thread["instruction_pointer"] = int(pointers[-1], 16) or None
            if thread_id == self.pid and stack is not None:
                thread["stack_base"] = stack.start
                thread["stack_size"] = stack.end - stack.start
            threads.append(thread)
        return threads

    def _process(self, architecture: str, pointer_size: int, options: Options) -> dict[str, Any]:
        _, fields = self._stat()
        ticks = os.sysconf("SC_CLK_TCK")
        command_line = self._try("cmdline") if options.command_line else None
        path = self._link("exe")
        return {
            "pid": self.pid,
            "name": self._name,
            "path": None if path is None else path.removesuffix(" (deleted)"),
            "command_line": None if command_line is None else command_line.rstrip("\0").replace("\0", " ") or None,
            "architecture": architecture,
            "pointer_size": pointer_size,
            "wow64": False,
            "os": {"family": "linux", "version": os.uname().release},
            "created_at": _start_time(int(fields[19])),
            "user_time": int(fields[11]) // ticks,
            "kernel_time": int(fields[12]) // ticks,
        }


def find_processes(name: str) -> list[tuple[int, str]]:
    """Returns id and program of every other process with this name.

    That is the file name of its program, the first word of its command line, or the name that the kernel keeps, which
    ends after 15 bytes.
    """
    wanted = name.rpartition("/")[2]
    found = []
    for entry in _PROC.iterdir():
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


def parse_smaps(text: str) -> tuple[list[linux_maps.Mapping], list[dict[str, Any]], int]:
    """Reads a whole smaps text.

    Returns:
        the mappings; beside each its sizes in bytes by name, and its VmFlags as a list, of those that a capture uses;
        and the number of lines that are neither a mapping nor a detail of one.
    """
    mappings: list[linux_maps.Mapping] = []
    details: list[dict[str, Any]] = []
    bad = 0
    for key, value, line in _SMAPS_LINE.findall(text):
        if line:
            mapping = linux_maps.parse_line(line)
            if mapping is None:
                bad += 1
            else:
                mappings.append(mapping)
                details.append({})
        elif details:
            words = value.split()
            if key == "VmFlags":
                details[-1][key] = words
            elif len(words) == 2 and words[1] == "kB":
                details[-1][key] = int(words[0]) * 1024
    return mappings, details, bad


def _in_order(
    mappings: Sequence[linux_maps.Mapping], end: int, warnings: list[str]
) -> list[tuple[int, linux_maps.Mapping]]:
    """Returns the mappings below `end` with their positions, without what one has in common with the one before it.

    The kernel hands the list out in pieces. What a running process moves between two pieces can be in both.
    """
    result: list[tuple[int, linux_maps.Mapping]] = []
    reach, moved = 0, 0
    for index, mapping in enumerate(mappings):
        if mapping.end > end:
            continue
        moved += mapping.start < reach
        if mapping.end > reach:
            result.append((index, mapping if mapping.start >= reach else replace(mapping, start=reach)))
            reach = mapping.end
    if moved:
        warnings.append(f"the process changed {moved} mappings while they were listed; stop it for the capture")
    return result


def _working_set(detail: dict[str, Any]) -> WorkingSet | None:
    if "Rss" not in detail:
        return None
    private = detail.get("Private_Clean", 0) + detail.get("Private_Dirty", 0)
    shared = detail.get("Shared_Clean", 0) + detail.get("Shared_Dirty", 0)
    return detail["Rss"], private, shared, shared, detail.get("Locked", 0)


def _commit_charge(mappings: Sequence[linux_maps.Mapping], details: Sequence[dict[str, Any]]) -> int | None:
    if not any("VmFlags" in detail for detail in details):
        return None
    return sum(
        mapping.end - mapping.start
        for mapping, detail in zip(mappings, details, strict=True)
        if "ac" in detail.get("VmFlags", ())
    )


def _modules(mappings: Sequence[linux_maps.Mapping], rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Takes the modules from the map: every run of mappings of one file of which one is executable."""
    modules: dict[int, dict[str, Any]] = {}
    executable = {row[1] for mapping, row in zip(mappings, rows, strict=True) if mapping.executable}
    for mapping, row in zip(mappings, rows, strict=True):
        if row[6] == MemType.MEM_IMAGE and row[1] in executable:
            path = mapping.path.removesuffix(" (deleted)")
            module = modules.setdefault(row[1], {"base": row[1], "size": 0, "path": path})
            module["size"] = mapping.end - row[1]
    return list(modules.values())


def _system(top: int | None) -> dict[str, Any]:
    memory = _sizes(_read_or_empty("/proc/meminfo"))
    page = os.sysconf("SC_PAGE_SIZE")
    lowest = _read_or_empty("/proc/sys/vm/mmap_min_addr").strip()
    # Only in this mode is there a limit; otherwise CommitLimit is a number that nothing is held to.
    strict = _read_or_empty("/proc/sys/vm/overcommit_memory").strip() == "2"
    return {
        "page_size": page,
        "allocation_granularity": page,
        "min_address": int(lowest) if lowest.isdecimal() else None,
        "max_address": None if top is None else top - 1,
        "processors": os.cpu_count(),
        "commit_limit": memory.get("CommitLimit") if strict else None,
        "commit_total": memory.get("Committed_AS"),
        "physical_total": memory.get("MemTotal"),
        "physical_available": memory.get("MemAvailable"),
    }


def _sizes(text: str) -> dict[str, int]:
    """Reads the `Name: 123 kB` lines of a text, in bytes."""
    sizes = {}
    for line in text.splitlines():
        key, _, value = line.partition(":")
        words = value.split()
        if len(words) == 2 and words[1] == "kB" and words[0].isdecimal():
            sizes[key] = int(words[0]) * 1024
    return sizes


def _start_time(ticks: int) -> dt.datetime | None:
    """Turns ticks since the start of the system into a time."""
    for line in _read_or_empty("/proc/stat").splitlines():
        if line.startswith("btime "):
            return dt.datetime.fromtimestamp(int(line.split()[1]) + ticks / os.sysconf("SC_CLK_TCK"), dt.UTC)
    return None


def _read_or_empty(path: str) -> str:
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return ""


def _program_name(path: str | None) -> str | None:
    return None if path is None else path.removesuffix(" (deleted)").rpartition("/")[2] or None


def _text(data: bytes) -> str:
    # File names are bytes; what is not UTF-8 in them cannot be written into JSON.
    return data.decode("utf-8", "replace")


def _reason(error: OSError) -> str:
    reason = error.strerror or str(error)
    return reason[:1].lower() + reason[1:]
