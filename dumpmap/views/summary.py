"""The summary as a terminal shows it: process, VMMap's bars, the type table, what matters most."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from dumpmap.model.region_map import RegionMap
from dumpmap.model.types import TYPES, RegionType
from dumpmap.views.blocks import Bar, Bars, Blank, Block, Paragraph, Remark, Statement, Statements
from dumpmap.views.documents import moment_text
from dumpmap.views.views import summary_table
from dumpmap.wording.text import address_text, printable, short_size, size_left, size_text

if TYPE_CHECKING:
    from dumpmap.wording.findings import Finding

_BAR_TYPES = tuple(info.type for info in TYPES if info.type not in (RegionType.UNUSABLE, RegionType.FREE))


def process_line(region_map: RegionMap) -> str:
    """Who this is, in one line."""
    process, source = region_map.process, region_map.snapshot.source
    parts = [process.name or "unknown process"]
    if process.pid is not None:
        parts.append(f"PID {process.pid}")
    parts.append(process.architecture + (" (WoW64)" if process.wow64 else ""))
    if process.os.family != "other":
        parts.append(" ".join(text for text in (process.os.family, process.os.version) if text))
    taken = moment_text(source.captured_at)
    if taken:
        parts.append(taken)
    parts.append({"full": "full memory", "map": "memory map", "partial": "no memory map"}[region_map.completeness])
    return printable("  ".join(parts))


def bars(region_map: RegionMap) -> Bars:
    """Committed, private, and working-set memory as bars of one scale."""
    total = region_map.total
    rows = [("Committed", "committed", total.committed), ("Private", "private", total.private)]
    if total.total_ws:
        rows.append(("Working set", "total_ws", total.total_ws))

    def parts(column: str) -> list[tuple[RegionType, int]]:
        return [(type, getattr(region_map.line(type), column) or 0) for type in _BAR_TYPES]

    return Bars(
        [
            Bar(title, "not known" if value is None else short_size(value), parts(column) if value else [])
            for title, column, value in rows
        ],
        max((value or 0 for _, _, value in rows), default=0),
        [type for type in _BAR_TYPES if (region_map.line(type).committed or 0) > 0],
    )


def largest_free_line(region_map: RegionMap) -> str:
    """The figure that decides whether a 32-bit process lives on."""
    from dumpmap.analysis.free import GRANULARITY
    from dumpmap.analysis.measurements import measurements_of

    space = measurements_of(region_map).free
    free = None if space is None else space.largest
    if space is None:
        return "Largest free block: not known (the input has no list of memory regions)"
    if not space.complete:
        seen = "0 KB" if free is None else f"{size_text(free.size)} KB ({size_left(free.size)})"
        return f"Largest free block: at least {seen} (the list of memory regions is cut off)"
    # The table above, which counts as VMMap does, has another figure then.
    narrow = space.limit.size is not None and region_map.end is not None and space.limit.size < region_map.end
    within = f" within the {space.limit.name} that the process can use" if narrow else ""
    if free is None:
        nobodys = space.limit.windows and region_map.free_blocks and region_map.free_blocks[0].address < GRANULARITY
        but = " but for its first 64 KB, which Windows gives to nobody" if nobodys else ""
        return f"Largest free block: none, the address space is full{within}{but}"
    where = address_text(free.address, region_map.address_width)
    return f"Largest free block: {size_text(free.size)} KB ({size_left(free.size)}) at {where}{within}"


def finding_text(finding: Finding) -> str:
    """A finding in a line, with its figures. Of what is only worth knowing the first sentence has them."""
    if finding.severity != "info":
        return finding.detail
    first, end, _ = finding.detail.partition(". ")
    return first + end.strip()


def finding_statements(findings: Sequence[Finding]) -> Statements:
    """A line for each finding."""
    return Statements([Statement(finding.severity, finding_text(finding)) for finding in findings])


def summary_blocks(region_map: RegionMap, findings: Sequence[Finding] = ()) -> Iterator[Block]:
    """Everything that `summary` shows."""
    yield Paragraph(process_line(region_map), "strong")
    yield Blank()
    yield bars(region_map)
    yield Blank()
    yield summary_table(region_map)
    yield Blank()
    yield Paragraph(largest_free_line(region_map))
    for note in region_map.notes:
        yield Remark("Note:", note)
    if findings:
        yield Blank()
        yield finding_statements(findings)
