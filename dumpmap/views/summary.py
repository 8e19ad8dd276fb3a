"""The summary as a terminal shows it: process, VMMap's bars, the type table, what matters most."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from dumpmap.model.region_map import RegionMap
from dumpmap.model.types import TYPES, RegionType
from dumpmap.render.tables import labelled, to_markdown, to_rich
from dumpmap.views.documents import moment_text
from dumpmap.views.views import summary_table
from dumpmap.wording.text import Units, address_text, printable, short_size, size_left, size_text

if TYPE_CHECKING:
    from rich.text import Text

    from dumpmap.wording.findings import Finding

_BAR_TYPES = tuple(info for info in TYPES if info.type not in (RegionType.UNUSABLE, RegionType.FREE))
_LETTERS = {
    RegionType.IMAGE: "I",
    RegionType.MAPPED_FILE: "M",
    RegionType.SHAREABLE: "S",
    RegionType.HEAP: "H",
    RegionType.MANAGED_HEAP: "G",
    RegionType.STACK: "T",
    RegionType.PRIVATE_DATA: "P",
    RegionType.PAGE_TABLE: "K",
    RegionType.UNKNOWN: "?",
}
"""One letter per type, so that the bars can be read where there is no colour."""

SEVERITY_STYLE = {"critical": "bold red", "warning": "yellow", "info": "cyan"}


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


def bars(region_map: RegionMap, *, width: int, color: bool) -> list[Text]:
    """Committed, private and working set as bars of one scale, in VMMap's colours or in letters."""
    from rich.text import Text

    total = region_map.total
    rows = [("Committed", "committed", total.committed), ("Private", "private", total.private)]
    if total.total_ws:
        rows.append(("Working set", "total_ws", total.total_ws))
    scale = max((value or 0 for _, _, value in rows), default=0)
    result = []
    for title, column, value in rows:
        figure = "not known" if value is None else short_size(value)
        line = Text(f"{title:<12}{figure:>10}  ")
        if scale and value:
            cells = _apportion([getattr(region_map.line(info.type), column) or 0 for info in _BAR_TYPES], scale, width)
            for info, count in zip(_BAR_TYPES, cells, strict=True):
                if count:
                    line.append(("█" if color else _LETTERS[info.type]) * count, style=info.color if color else "")
        result.append(line)
    used = [info for info in _BAR_TYPES if (region_map.line(info.type).committed or 0) > 0]
    if used:
        legend = Text(" " * 24)
        for info in used:
            mark = "■" if color else f"{_LETTERS[info.type]}="
            legend.append(mark, style=info.color if color else "")
            legend.append(f"{' ' if color else ''}{info.name}  ")
        legend.rstrip()
        result.append(legend)
    return result


def _apportion(values: list[int], scale: int, width: int) -> list[int]:
    """Shares `width` cells among values by largest remainder, so that rounding never drops a bar's end."""
    exact = [value * width / scale for value in values]
    cells = [int(share) for share in exact]
    missing = round(sum(exact)) - sum(cells)
    by_remainder = sorted(range(len(values)), key=lambda index: exact[index] - cells[index], reverse=True)
    for index in by_remainder[:missing]:
        cells[index] += 1
    return cells


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


def finding_lines(findings: Sequence[Finding]) -> list[Any]:
    """A line for each finding; where the terminal is narrow, its text stays in its own column."""
    from rich.table import Table as RichTable
    from rich.text import Text

    lines = RichTable.grid(padding=(0, 1))
    lines.add_column(no_wrap=True, min_width=8)
    lines.add_column(overflow="fold")
    for finding in findings:
        severity = Text(finding.severity, style=SEVERITY_STYLE.get(finding.severity, ""))
        lines.add_row(severity, Text(finding_text(finding)))
    return [lines]


def summary_view(
    region_map: RegionMap,
    findings: list[Finding] | None = None,
    *,
    units: Units = Units.kb,
    color: bool = True,
    bar_width: int = 50,
) -> Iterator[Any]:
    """Everything that `summary` shows, as rich renderables."""
    from rich.text import Text

    yield Text(process_line(region_map), style="bold")
    yield Text("")
    yield from bars(region_map, width=bar_width, color=color)
    yield Text("")
    yield to_rich(summary_table(region_map), units)
    yield Text("")
    yield Text(largest_free_line(region_map))
    for note in region_map.notes:
        yield labelled("Note:", note)
    if findings:
        yield Text("")
        yield from finding_lines(findings)


def summary_markdown(region_map: RegionMap, findings: list[Finding], units: Units) -> str:
    """The summary as Markdown, to paste into a ticket."""
    lines = [f"**{process_line(region_map)}**", "", to_markdown(summary_table(region_map), units)]
    lines.append(largest_free_line(region_map))
    lines.extend(f"\n> {note}" for note in region_map.notes)
    if findings:
        lines.append("")
        lines.extend(f"- **{finding.severity}**: {finding_text(finding)}" for finding in findings)
    return "\n".join(lines) + "\n"
