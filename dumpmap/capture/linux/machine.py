"""The machine that a Linux process runs on: its architecture, the end of the address space, memory and clock.

Sources: the Linux manual pages proc_meminfo(5) and proc_stat(5), and elf(5).
"""

from __future__ import annotations

import datetime as dt
import os
import sys
from typing import Any, Literal

from dumpmap.capture.linux.proc import read_or_empty, sizes

assert sys.platform == "linux"  # noqa: S101 - tells the type checker as well

# ELF machine number, pointer size -> name, end of the user address space (exclusive; None: it differs between kernels).
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
KERNEL_HALF = {8: 1 << 63, 4: 1 << 32}
"""The end of user mappings on every architecture, by pointer size."""

ELF_HEADER_SIZE = 20
"""Bytes at the start of a program that contain its machine number."""


def architecture(header: bytes) -> tuple[str, int, int | None]:
    """Reads the start of a program.

    Returns:
        the name of its architecture, its pointer size, and the end of its address space if that is known.
    """
    if len(header) < ELF_HEADER_SIZE or header[:4] != b"\x7fELF":
        machine, pointer_size = {"x86_64": 62, "aarch64": 183}.get(os.uname().machine, 0), 8
    else:
        order: Literal["little", "big"] = "little" if header[5] == 1 else "big"
        machine, pointer_size = int.from_bytes(header[18:20], order), 4 if header[4] == 1 else 8
    name, top = _ARCHITECTURES.get((machine, pointer_size), ("unknown", None))
    return name, pointer_size, top


def system(top: int | None) -> dict[str, Any]:
    """Returns the facts about the machine, for a process whose address space ends at `top`."""
    memory = sizes(read_or_empty("/proc/meminfo"))
    page = os.sysconf("SC_PAGE_SIZE")
    lowest = read_or_empty("/proc/sys/vm/mmap_min_addr").strip()
    # The kernel enforces CommitLimit in this mode only.
    strict = read_or_empty("/proc/sys/vm/overcommit_memory").strip() == "2"
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


def start_time(ticks: int) -> dt.datetime | None:
    """Turns clock ticks since the start of the system into a time."""
    for line in read_or_empty("/proc/stat").splitlines():
        if line.startswith("btime "):
            return dt.datetime.fromtimestamp(int(line.split()[1]) + ticks / os.sysconf("SC_CLK_TCK"), dt.UTC)
    return None
