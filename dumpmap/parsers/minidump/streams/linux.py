"""Files of Linux's /proc that Breakpad and Crashpad put into a dump: maps, status, cmdline, and others."""

from __future__ import annotations

import re

from dumpmap.model.limits import MAPS
from dumpmap.model.values import changed
from dumpmap.parsers.minidump.draft import Draft
from dumpmap.parsers.minidump.file import NotReadError
from dumpmap.parsers.minidump.stream import KnownStream, StreamData

_REFERENCE = "google_breakpad/common/minidump_format.h"

LINUX_MAPS_NUMBER = 0x47670009

MAX_STATUS = 64 << 10
"""Most bytes of /proc/PID/status that are read; the kernel writes one or two thousand."""

MAX_COMMAND_LINE = 2 << 20
"""Most bytes of /proc/PID/cmdline that are read: Linux's own limit for all arguments, unless the stack is larger."""


_COUNTERS = {
    "VmSize": "virtual_size",
    "VmPeak": "peak_virtual_size",
    "VmRSS": "working_set",
    "VmHWM": "peak_working_set",
    "VmPTE": "page_table",
}
"""Lines of /proc/PID/status with a number of kB, and the counter that each gives."""

_STATUS = re.compile(rf"\n(Name|Pid|{'|'.join(_COUNTERS)}):(.*)")
"""The lines of /proc/PID/status that are read, of about fifty, each behind the end of another."""


def read_linux_maps(data: StreamData, draft: Draft) -> None:
    """Reads /proc/PID/maps, the regions of the address space."""
    from dumpmap.parsers import linux_maps

    text = _text(data, MAPS.value)
    if data.end > data.file.size or data.size > MAPS.value:
        # The last line can look whole and name half a path.
        text = text.rpartition("\n")[0]
        if data.size > MAPS.value:
            data.note(f"has {data.size:,} bytes; dumpmap reads the first {MAPS.value:,}; {MAPS.hint}")
        else:
            data.note(f"cut off by the end of the file at 0x{data.file.size:x}")
    mappings, bad = linux_maps.parse_maps(text)
    if not mappings:
        raise NotReadError("malformed" if bad else "absent", "has no line of /proc/PID/maps")
    draft.linux_maps = mappings
    if bad:
        lines = "1 line is" if bad == 1 else f"{bad:,} lines are"
        data.note(f"{lines} not in the format of /proc/PID/maps")


def read_linux_status(data: StreamData, draft: Draft) -> None:
    """Reads /proc/PID/status: name, process ID, and counters of the process."""
    kb: dict[str, int] = {}
    for key, value in _STATUS.findall("\n" + _text(data, MAX_STATUS)):
        value = value.strip()
        if key == "Name":
            draft.process_name = value
        elif key == "Pid" and value.isdigit():
            draft.pid = int(value)
        elif key in _COUNTERS and value.endswith(" kB") and value[:-3].strip().isdigit():
            kb[key] = int(value[:-3]) * 1024
    draft.counters = changed(draft.counters, **{figure: kb.get(key) for key, figure in _COUNTERS.items()})


def read_linux_command_line(data: StreamData, draft: Draft) -> None:
    """Reads /proc/PID/cmdline."""
    draft.command_line = _text(data, MAX_COMMAND_LINE).rstrip("\0").replace("\0", " ") or None


def _text(data: StreamData, most: int) -> str:
    return data.start(most).decode("utf-8", "replace")


STREAMS = (
    KnownStream(
        LINUX_MAPS_NUMBER,
        "LinuxMaps",
        "The text of /proc/PID/maps.",
        _REFERENCE,
        "the regions of a Linux process",
        read_linux_maps,
    ),
    KnownStream(
        0x47670004,
        "LinuxProcStatus",
        "The text of /proc/PID/status.",
        _REFERENCE,
        "process name and ID, memory counters",
        read_linux_status,
    ),
    KnownStream(
        0x47670006,
        "LinuxCmdLine",
        "The text of /proc/PID/cmdline.",
        _REFERENCE,
        "command line",
        read_linux_command_line,
    ),
    KnownStream(0x47670003, "LinuxCpuInfo", "The text of /proc/cpuinfo.", _REFERENCE),
    KnownStream(0x47670005, "LinuxLsbRelease", "The text of /etc/lsb-release.", _REFERENCE),
    KnownStream(0x47670007, "LinuxEnviron", "The environment of the process: /proc/PID/environ.", _REFERENCE),
    KnownStream(0x47670008, "LinuxAuxv", "The auxiliary vector of the process: /proc/PID/auxv.", _REFERENCE),
    KnownStream(0x4767000A, "LinuxDsoDebug", "The dynamic linker's list of shared objects.", _REFERENCE),
)
