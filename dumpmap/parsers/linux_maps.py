"""Linux's /proc/PID/maps in Windows' terms. Breakpad dumps carry its text.

Every mapping is committed, except one without any access (`---p`, no file): that is address space held back for later,
which Windows calls reserved. A private mapping of a file that is mapped executable somewhere is an image; other file
mappings and all shared ones are mapped memory; the rest is private. An allocation is a run of mappings that touch and
have the same file, or one anonymous mapping.

Source: the Linux manual page proc_pid_maps(5). This module uses only the standard library, because the live capture
uses it too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from dumpmap.model.winnt import MemState, MemType, PageProtect, RegionRow

_LINE = re.compile(r"([0-9a-f]+)-([0-9a-f]+) ([r-])([w-])([x-])([ps]) [0-9a-f]+ \S+ (\d+)\s*(.*)")

_SHAREABLE_FILES = ("/dev/zero", "/memfd:", "/SYSV", "/dev/shm/", "/dev/ashmem")  # noqa: S108 - names, not files
"""Names that the kernel gives to shared memory without a file on a disk."""

_DELETED = " (deleted)"


@dataclass(frozen=True, slots=True)
class Mapping:
    """A line of /proc/PID/maps."""

    start: int
    end: int
    readable: bool
    writable: bool
    executable: bool
    shared: bool
    inode: int
    path: str
    """A file's path, a name in brackets such as `[heap]`, or empty."""

    @property
    def is_file(self) -> bool:
        """Whether it maps a file of a file system."""
        return self.path.startswith("/") and not self.path.startswith(_SHAREABLE_FILES)


def parse_line(line: str) -> Mapping | None:
    """Reads one line of /proc/PID/maps; None if it is not such a line."""
    match = _LINE.fullmatch(line.strip())
    if match is None:
        return None
    start, end, read, write, execute, share, inode, path = match.groups()
    first, last = int(start, 16), int(end, 16)
    if not first < last <= 1 << 64:
        return None
    return Mapping(first, last, read == "r", write == "w", execute == "x", share == "s", int(inode), path)


def parse_maps(text: str) -> tuple[list[Mapping], int]:
    """Reads the text of /proc/PID/maps.

    Returns:
        the mappings, and the number of other lines, such as the last one of a text that is cut off.
    """
    mappings, bad = [], 0
    for line in text.splitlines():
        if not line.strip("\0 \t"):
            continue
        mapping = parse_line(line)
        if mapping is None:
            bad += 1
        else:
            mappings.append(mapping)
    return mappings, bad


def protection(mapping: Mapping) -> PageProtect:
    """Returns the Windows protection that allows the same accesses."""
    if not (mapping.readable or mapping.writable or mapping.executable):
        return PageProtect.PAGE_NOACCESS
    if mapping.executable:
        if mapping.writable:
            return PageProtect.PAGE_EXECUTE_READWRITE
        return PageProtect.PAGE_EXECUTE_READ if mapping.readable else PageProtect.PAGE_EXECUTE
    return PageProtect.PAGE_READWRITE if mapping.writable else PageProtect.PAGE_READONLY


def rows(mappings: Iterable[Mapping], image_paths: Iterable[str] = ()) -> tuple[list[RegionRow], list[str | None]]:
    """Returns regions in Windows' terms, and for each its file or its name in brackets.

    Args:
        mappings: sorted by address.
        image_paths: files that are modules, in addition to those that are mapped executable.
    """
    mappings = list(mappings)
    images = {mapping.path for mapping in mappings if mapping.executable and mapping.is_file}
    images.update(image_paths)
    result: list[RegionRow] = []
    names: list[str | None] = []
    allocation, allocation_protect = 0, PageProtect.PAGE_NOACCESS
    previous: Mapping | None = None
    for mapping in mappings:
        protect = protection(mapping)
        continues = (
            previous is not None and mapping.path and mapping.path == previous.path and mapping.start == previous.end
        )
        if not continues:
            allocation, allocation_protect = mapping.start, protect
        state = MemState.MEM_COMMIT
        if protect == PageProtect.PAGE_NOACCESS and not mapping.path:
            state, protect = MemState.MEM_RESERVE, PageProtect(0)
        if mapping.is_file and mapping.path in images and not mapping.shared:
            kind = MemType.MEM_IMAGE
        elif mapping.shared or mapping.is_file:
            kind = MemType.MEM_MAPPED
        else:
            kind = MemType.MEM_PRIVATE
        result.append(
            (
                mapping.start,
                allocation,
                int(allocation_protect),
                mapping.end - mapping.start,
                int(state),
                int(protect),
                int(kind),
            )
        )
        names.append(mapping.path.removesuffix(_DELETED) or None)
        previous = mapping
    return result, names
