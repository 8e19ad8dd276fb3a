"""Conditions on what the process holds: threads, files, modules, executable memory, and the type that takes most."""

from __future__ import annotations

import numpy as np

from dumpmap.analysis.conditions import MAX_ITEMS, Condition, Evidence, Found
from dumpmap.analysis.limits import NARROW
from dumpmap.analysis.measurements import Measurements
from dumpmap.model.file_names import file_key
from dumpmap.model.region_map import MappedCopy
from dumpmap.model.sizes import rounded_share
from dumpmap.model.snapshot import Module
from dumpmap.model.types import RegionType
from dumpmap.model.values import value_class
from dumpmap.model.winnt import MemState, MemType, PageProtect

_EXECUTABLE_WRITABLE = np.uint32(PageProtect.PAGE_EXECUTE_READWRITE | PageProtect.PAGE_EXECUTE_WRITECOPY)


def many_threads(e: Evidence) -> Found | None:
    """Many threads, or much space for their stacks."""
    m, limit = e.m, e.m.limit
    stacks = m.used.get(RegionType.STACK, 0)
    much = limit.narrow and limit.exact and limit.size is not None and stacks >= e.t["stack_share"] * limit.size
    if m.thread_count <= e.t["many_threads"] and not much:
        return None
    return Found(
        {"threads": m.thread_count, "stacks": len(m.map.stacks), "stack_reserve": stacks, "limit": limit.size},
        None if limit.narrow else "info",
    )


def file_mapped_repeatedly(e: Evidence) -> Found | None:
    """One file has several views."""
    space = e.m.map.space
    column = space.regions.texts.get("file")
    if not e.m.windows or column is None or not column.values or len(space) == 0:
        return None
    codes = column.codes[space.first]
    mapped = (space.regions.type[space.first] == MemType.MEM_MAPPED) & (codes >= 0)
    sizes = (space.ends - space.bases).astype(np.float64)[mapped]
    codes = codes[mapped]
    counts = np.bincount(codes, minlength=len(column.values))
    totals = np.bincount(codes, weights=sizes, minlength=len(column.values))
    found = np.flatnonzero((counts > 1) & (totals >= e.t["repeated_size"]))
    if len(found) == 0:
        return None
    found = found[np.argsort(-totals[found], kind="stable")]
    files = [
        {"file": column.values[code], "views": int(counts[code]), "size": int(totals[code])}
        for code in found[:MAX_ITEMS].tolist()
    ]
    return Found({"count": len(found), "files": files})


@value_class(frozen=True, slots=True)
class Repeated:
    """Modules that take address space more than once.

    Attributes:
        modules: the modules of one name, for each name that several have.
        copies: views that map a module's file as data.
    """

    modules: list[list[Module]]
    copies: tuple[MappedCopy, ...]


def _of_one_name(m: Measurements) -> list[list[Module]]:
    """The modules of each name that several have, at different addresses."""
    listed = m.map.snapshot.modules
    names = [file_key(module.path) for module in listed]
    if len(set(names)) == len(names):  # nearly always
        return []
    modules: dict[tuple[str, bool], list[Module]] = {}
    for name, module in zip(names, listed, strict=True):
        # A 32-bit process on 64-bit Windows has some system modules in both widths, by design.
        high = bool(m.map.process.wow64) and module.base >= NARROW
        modules.setdefault((name, high), []).append(module)
    return [found for found in modules.values() if len(found) > 1 and len({module.base for module in found}) > 1]


def module_loaded_twice(e: Evidence) -> Found | None:
    """A module is loaded more than once, or also mapped as data. The subject is a `Repeated`."""
    m, copies = e.m, e.m.map.mapped_copies
    twice = _of_one_name(m) if m.windows else []
    extra = sum(sum(sorted(module.size for module in found)[:-1]) for found in twice)
    if copies:
        sizes = {file_key(module.path): module.size for module in m.map.snapshot.modules}
        extra += sum(sizes.get(copy.module.lower(), 0) for copy in copies)
    if extra < e.t["repeated_size"]:
        return None
    named = [
        {"name": found[0].name, "bases": [f"0x{module.base:x}" for module in found], "size": found[0].size}
        for found in twice[:MAX_ITEMS]
    ]
    mapped = [{"module": copy.module, "address": f"0x{copy.address:x}"} for copy in copies[:MAX_ITEMS]]
    return Found({"extra": extra, "modules": named, "mapped_as_data": mapped}, subject=Repeated(twice, copies))


def executable_writable_memory(e: Evidence) -> Found | None:
    """Private memory other than stacks is writable and executable at the same time."""
    if e.m.map.partial:  # only a list of regions has protections
        return None
    blocks, regions = e.m.map.pieces, e.m.map.space.regions
    (found,) = (blocks.protect & _EXECUTABLE_WRITABLE).nonzero()
    if len(found) == 0:
        return None
    region = blocks.region[found]
    committed = (regions.type[region] == MemType.MEM_PRIVATE) & (regions.state[region] == MemState.MEM_COMMIT)
    # The stacks of many Linux programs are executable as a whole; they hold no code.
    found = found[committed & (blocks.type[found] != RegionType.STACK)]
    if len(found) == 0:
        return None
    order = found[np.argsort(-blocks.size[found], kind="stable")][:MAX_ITEMS]
    largest = [
        {
            "address": f"0x{int(blocks.base[index]):x}",
            "size": int(blocks.size[index]),
            "type": RegionType(int(blocks.type[index])).label,
        }
        for index in order.tolist()
    ]
    return Found({"size": int(blocks.size[found].sum()), "count": len(found), "regions": largest})


@value_class(frozen=True, slots=True)
class Share:
    """The part of one type in the memory in use.

    Attributes:
        type: the type.
        size: its bytes.
        share: its part of all of them, from 0 to 1.
    """

    type: RegionType
    size: int
    share: float


def type_dominates(e: Evidence) -> Found | None:
    """One type holds most of the memory in use. The subject is a `Share`.

    That is the address space in use if the address space is small, else the committed memory.
    """
    m = e.m
    if m.map.partial or not m.used:
        return None
    parts = m.used if m.limit.narrow else {one: m.map.line(one).committed or 0 for one in m.used}
    total = sum(parts.values())
    top = max(parts, key=lambda one: parts[one])
    if total < e.t["type_size"] or parts[top] <= e.t["type_share"] * total:
        return None
    share = parts[top] / total
    values = {
        "type": top.label,
        "size": m.used[top],
        "committed": m.map.line(top).committed,
        "share": rounded_share(share),
    }
    return Found(values, subject=Share(top, parts[top], share))


CONDITIONS: dict[str, Condition] = {
    "many-threads": many_threads,
    "file-mapped-repeatedly": file_mapped_repeatedly,
    "module-loaded-twice": module_loaded_twice,
    "executable-writable-memory": executable_writable_memory,
    "type-dominates": type_dominates,
}
