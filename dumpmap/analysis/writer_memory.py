"""What the writer of a dump recorded of address space and page file, told apart.

The figures are those of when the dump was written: after the failure, and other threads went on. They are Windows' own
(MEMORYSTATUSEX): `Virtual` is address space and `PageFile` is memory that can be committed; Unreal Engine's
`Virtual` is one or the other, depending on its version.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from dumpmap.model.values import value_class

if TYPE_CHECKING:
    from dumpmap.model.region_map import RegionMap

LARGEST_BLOCK = "LargestFreeVMBlock"
"""Mozilla's name of the largest free block."""

VirtualKind = Literal["address-space", "page-file"]

_WIDE = 1 << 40
"""No page file has 1 TB: a larger figure of a 64-bit process is address space."""

_NARROW_SIZES = (2 << 30, 3 << 30, 4 << 30)
_EXACT = 128 << 10
"""What GlobalMemoryStatusEx leaves out of a space: its first and its last 64 KB."""
_BORDERS = 1 << 20
"""The most that a total of address space is below the size of the space."""


@value_class(frozen=True, slots=True)
class WriterFigure:
    """A figure of the writer.

    Attributes:
        size: bytes.
        name: the writer's own name for it, such as `LargestFreeVMBlock`.
        writer: who recorded it.
    """

    size: int
    name: str
    writer: str


def virtual_kind(region_map: RegionMap, name: str = "AvailableVirtual") -> VirtualKind | None:
    """Says what Unreal Engine's TotalVirtual or AvailableVirtual is; None if the sizes do not decide it.

    A 64-bit address space has 128 TB or 8 TB, and hardly any process leaves less than 1 TB of it, so that each figure
    of a 64-bit process stands for itself. A 32-bit one has 2, 3, or 4 GB without its borders, and a total of page file
    includes the physical memory.
    """
    writer = region_map.snapshot.writer
    if writer is None:
        return None
    total = writer.memory.get("TotalVirtual")
    if region_map.process.pointer_size == 8:
        known = writer.memory.get(name)
        return None if known is None else "address-space" if known >= _WIDE else "page-file"
    if total is None or region_map.process.pointer_size != 4:
        return None
    physical = writer.memory.get("TotalPhysical")
    if any(size - total == _EXACT for size in _NARROW_SIZES):
        return "address-space"
    if any(0 <= size - total <= _BORDERS for size in _NARROW_SIZES):
        # A machine with so little memory could have either.
        return "address-space" if physical is None or physical > total else None
    return "page-file" if total > _NARROW_SIZES[-1] or (physical is not None and total >= physical) else None


def space_total(region_map: RegionMap) -> WriterFigure | None:
    """What the writer recorded as all address space, without its borders; None if unknown."""
    names = ["TotalVirtualMemory"]
    if virtual_kind(region_map, "TotalVirtual") == "address-space":
        names.append("TotalVirtual")
    return _figure(region_map, names, None)


def space_available(region_map: RegionMap, limit: int | None) -> WriterFigure | None:
    """What the writer recorded as free address space; None if unknown or more than there can be."""
    names = ["AvailableVirtualMemory"]
    if virtual_kind(region_map) == "address-space":
        names.append("AvailableVirtual")
    return _figure(region_map, names, limit)


def largest_block(region_map: RegionMap, limit: int | None) -> WriterFigure | None:
    """The largest free block that the writer recorded; None if unknown or more than there can be."""
    return _figure(region_map, [LARGEST_BLOCK], limit)


def page_file_available(region_map: RegionMap) -> WriterFigure | None:
    """What the writer recorded as available to commit; None if unknown."""
    names = ["AvailablePageFile"]
    if virtual_kind(region_map) == "page-file":
        names.append("AvailableVirtual")
    return _figure(region_map, names, None)


def recorded_commit(region_map: RegionMap) -> tuple[int, int] | None:
    """The commit charge and limit by the writer's total and available page file; None if it did not record both."""
    names = ["TotalPageFile"]
    if virtual_kind(region_map, "TotalVirtual") == "page-file":
        names.append("TotalVirtual")
    total, available = _figure(region_map, names, None), page_file_available(region_map)
    if (
        total is None
        or available is None
        or total.name.removeprefix("Total") != available.name.removeprefix("Available")
    ):
        return None
    return None if available.size > total.size else (total.size - available.size, total.size)


def _figure(region_map: RegionMap, names: list[str], limit: int | None) -> WriterFigure | None:
    writer = region_map.snapshot.writer
    if writer is None:
        return None
    for name in names:
        value = writer.memory.get(name)
        if value:  # 0 is a figure that nobody filled in
            return WriterFigure(value, name, writer.writer) if limit is None or value <= limit else None
    return None
