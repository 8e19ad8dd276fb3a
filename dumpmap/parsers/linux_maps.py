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
from typing import NamedTuple

from dumpmap.model.winnt import MemState, MemType, PageProtect, RegionRow

_LINE = r"([0-9a-f]+)-([0-9a-f]+) ([r-][w-][x-])([ps]) [0-9a-f]+ \S+ \d+ *(.*)"
_fullmatch = re.compile(_LINE).fullmatch
_findall = re.compile(f"^{_LINE}$", re.MULTILINE).findall
_END = 1 << 64

_OTHER_BREAKS = "\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"
"""What else ends a line for Python, and is in no such text of a real process."""

_SHAREABLE_FILES = ("/dev/zero", "/memfd:", "/SYSV", "/dev/shm/", "/dev/ashmem")  # noqa: S108 - names, not files
"""Names that the kernel gives to shared memory without a file on a disk."""

_DELETED = " (deleted)"


class Mapping(NamedTuple):
    """A line of /proc/PID/maps."""

    start: int
    end: int
    access: str
    """As the line has it: `r-x`."""
    shared: bool
    path: str
    """A file's path, a name in brackets such as `[heap]`, or empty."""

    @property
    def executable(self) -> bool:
        """Whether code in it can run."""
        return self.access[2] == "x"


def is_file(path: str) -> bool:
    """Whether the path of a mapping is that of a file of a file system."""
    return path.startswith("/") and not path.startswith(_SHAREABLE_FILES)


def parse_line(line: str) -> Mapping | None:
    """Reads one line of /proc/PID/maps; None if it is not such a line."""
    match = _fullmatch(line.strip())
    if match is None:
        return None
    start, end, access, share, path = match.groups()
    first, last = int(start, 16), int(end, 16)
    return Mapping(first, last, access, share == "s", path.strip()) if first < last <= _END else None


def parse_maps(text: str) -> tuple[list[Mapping], int]:
    """Reads the text of /proc/PID/maps.

    Returns:
        the mappings, and the number of other lines, such as the last one of a text that is cut off.
    """
    found = _findall(text)
    lines = text.count("\n") + (not text.endswith("\n"))
    if len(found) == lines and not any(other in text for other in _OTHER_BREAKS):
        # Every line is a mapping, nearly always, and one search is faster.
        parsed = [
            Mapping(int(start, 16), int(end, 16), access, share == "s", path.strip())
            for start, end, access, share, path in found
        ]
        mappings = [mapping for mapping in parsed if mapping.start < mapping.end <= _END]
        return mappings, len(parsed) - len(mappings)
    mappings, bad = [], 0
    for line in text.splitlines():
        mapping = parse_line(line)
        if mapping is not None:
            mappings.append(mapping)
        elif line.strip("\0 \t"):
            bad += 1
    return mappings, bad


_NO_ACCESS = int(PageProtect.PAGE_NOACCESS)

_PROTECTIONS = {
    "---": _NO_ACCESS,
    "r--": int(PageProtect.PAGE_READONLY),
    "-w-": int(PageProtect.PAGE_READWRITE),
    "rw-": int(PageProtect.PAGE_READWRITE),
    "--x": int(PageProtect.PAGE_EXECUTE),
    "r-x": int(PageProtect.PAGE_EXECUTE_READ),
    "-wx": int(PageProtect.PAGE_EXECUTE_READWRITE),
    "rwx": int(PageProtect.PAGE_EXECUTE_READWRITE),
}
"""The Windows protection that allows the same accesses."""

# Plain numbers: a process has thousands of mappings, and a member of an enum costs more than all the rest.
_COMMIT, _RESERVE = int(MemState.MEM_COMMIT), int(MemState.MEM_RESERVE)
_IMAGE, _MAPPED, _PRIVATE = int(MemType.MEM_IMAGE), int(MemType.MEM_MAPPED), int(MemType.MEM_PRIVATE)


def rows(mappings: Iterable[Mapping], image_paths: Iterable[str] = ()) -> tuple[list[RegionRow], list[str | None]]:
    """Returns regions in Windows' terms, and for each its file or its name in brackets.

    Args:
        mappings: sorted by address.
        image_paths: files that are modules, in addition to those that are mapped executable.
    """
    mappings = list(mappings)
    images = {mapping.path for mapping in mappings if mapping.access[2] == "x"}
    images.update(image_paths)
    # The type of a private mapping of each file, and its name.
    of_paths = {
        path: (
            (_IMAGE if path in images else _MAPPED) if is_file(path) else _PRIVATE,
            path.removesuffix(_DELETED) or None,
        )
        for path in {mapping.path for mapping in mappings}
    }
    result: list[RegionRow] = []
    names: list[str | None] = []
    allocation, allocation_protect = 0, _NO_ACCESS
    last_path, last_end = "", -1
    for start, end, access, shared, path in mappings:
        protect = _PROTECTIONS[access]
        if not path or path != last_path or start != last_end:
            allocation, allocation_protect = start, protect
        state = _COMMIT
        if protect == _NO_ACCESS and not path:
            state, protect = _RESERVE, 0
        kind, name = of_paths[path]
        result.append((start, allocation, allocation_protect, end - start, state, protect, _MAPPED if shared else kind))
        names.append(name)
        last_path, last_end = path, end
    return result, names
