"""The text of /proc/PID/smaps: the mappings of a process, and how much of each is resident.

`dumpmap.parsers.linux_maps` translates mappings into Windows' terms. The working set of a region comes from the same
read of smaps as the region itself:

- `total_ws` is Rss, `private_ws` is Private_Clean + Private_Dirty, `shareable_ws` and `shared_ws` are Shared_Clean +
  Shared_Dirty, `locked_ws` is Locked. Windows counts pages that *can* be shared; Linux counts pages that *are* shared.
- Swapped-out and huge-TLB pages are in none of them, as they are not in VmRSS.
- `[vsyscall]` is in the kernel's half of the address space, is not part of VmSize, and is left out.

Sources: the Linux manual page proc_pid_smaps(5) and the kernel's Documentation/filesystems/proc.rst.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from dumpmap.capture.regions import WorkingSet
from dumpmap.model.winnt import MemType, RegionRow
from dumpmap.parsers.linux_maps import Mapping, parse_line

# A detail begins with a capital letter, a mapping with an address. Details that a capture does not use do not match.
_LINE = re.compile(
    r"^(?:(Rss|Shared_Clean|Shared_Dirty|Private_Clean|Private_Dirty|Locked|VmFlags):(.*)|([^A-Z\n].*))$", re.MULTILINE
)


def parse_smaps(text: str) -> tuple[list[Mapping], list[dict[str, Any]], int]:
    """Reads a whole smaps text.

    Returns:
        the mappings; for each mapping the details that a capture uses: its sizes in bytes by name and its VmFlags as a
        list; and the number of lines that are neither a mapping nor a detail of one.
    """
    mappings: list[Mapping] = []
    details: list[dict[str, Any]] = []
    bad = 0
    for key, value, line in _LINE.findall(text):
        if line:
            mapping = parse_line(line)
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


def in_order(mappings: Sequence[Mapping], end: int, warnings: list[str]) -> list[tuple[int, Mapping]]:
    """Returns the mappings below `end` with their positions, each without its overlap with the one before it.

    The kernel returns the list in pieces. A mapping that a running process moves between two pieces can be in both.
    """
    result: list[tuple[int, Mapping]] = []
    reach, moved = 0, 0
    for index, mapping in enumerate(mappings):
        if mapping.end > end:
            continue
        moved += mapping.start < reach
        if mapping.end > reach:
            result.append((index, mapping if mapping.start >= reach else mapping._replace(start=reach)))
            reach = mapping.end
    if moved:
        warnings.append(f"the process changed {moved} mappings during the capture; use --freeze for a consistent map")
    return result


def working_set(detail: dict[str, Any]) -> WorkingSet | None:
    """Returns the resident bytes of a mapping, None if smaps does not contain them."""
    if "Rss" not in detail:
        return None
    private = detail.get("Private_Clean", 0) + detail.get("Private_Dirty", 0)
    shared = detail.get("Shared_Clean", 0) + detail.get("Shared_Dirty", 0)
    return detail["Rss"], private, shared, shared, detail.get("Locked", 0)


def commit_charge(mappings: Sequence[Mapping], details: Sequence[dict[str, Any]]) -> int | None:
    """Returns the size of the mappings that the kernel accounts for (`ac`), None if smaps does not contain VmFlags."""
    if not any("VmFlags" in detail for detail in details):
        return None
    return sum(
        mapping.end - mapping.start
        for mapping, detail in zip(mappings, details, strict=True)
        if "ac" in detail.get("VmFlags", ())
    )


def modules(mappings: Sequence[Mapping], rows: Sequence[RegionRow]) -> list[dict[str, Any]]:
    """Takes the modules from the map: each run of mappings of one file, if one of them is executable."""
    found: dict[int, dict[str, Any]] = {}
    executable = {row[1] for mapping, row in zip(mappings, rows, strict=True) if mapping.executable}
    for mapping, row in zip(mappings, rows, strict=True):
        if row[6] == MemType.MEM_IMAGE and row[1] in executable:
            path = mapping.path.removesuffix(" (deleted)")
            module = found.setdefault(row[1], {"base": row[1], "size": 0, "path": path})
            module["size"] = mapping.end - row[1]
    return list(found.values())
