"""What `diagnose` and `free` show."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from dumpmap.analysis.free import (
    GRANULARITY,
    Fit,
    FreeSpace,
    free_space,
)
from dumpmap.analysis.free_blocks import Neighbour, histogram, largest_blocks, unusable_causes
from dumpmap.model.region_map import RegionMap
from dumpmap.model.types import RegionType
from dumpmap.views.blocks import Blank, Block, Entry, Fact, Facts, Heading, Lines, Paragraph, Style
from dumpmap.views.documents import finding_document, head
from dumpmap.views.summary import process_line
from dumpmap.views.table import Column, Table
from dumpmap.wording.findings import Finding
from dumpmap.wording.text import address_text, list_words, percent_text, short_size, size_left

if TYPE_CHECKING:
    from dumpmap.wording.verdicts import Verdict

FINDING_COLUMNS = (
    Column("severity"),
    Column("id", "text", "Finding"),
    Column("title", shown=False),
    Column("detail"),
)

HISTOGRAM_COLUMNS = (
    Column("min_bytes", "size", "From"),
    Column("max_bytes", "size", "Below"),
    Column("count", "count", "Blocks"),
    Column("bytes", "size", "Free"),
)

FREE_BLOCK_COLUMNS = (
    Column("address", "address"),
    Column("size", "size"),
    Column("before", "text", "Allocation before"),
    Column("after", "text", "Allocation behind"),
)

UNUSABLE_COLUMNS = (
    Column("type"),
    Column("kind"),
    Column("size", "size", "Allocation size"),
    Column("count", "count", "Allocations"),
    Column("unusable", "size", "Unusable behind"),
)

_MANY_SIZES = 16
"""Up to so many sizes of free blocks each has its row."""

_STATE_STYLE: dict[str, Style] = {"out": "critical", "low": "warning", "ok": "good", "unknown": "muted"}


def finding_table(findings: Sequence[Finding]) -> Table:
    """One row per finding."""
    return Table(
        FINDING_COLUMNS, [[getattr(finding, column.name) for column in FINDING_COLUMNS] for finding in findings]
    )


def diagnosis_document(region_map: RegionMap, verdict: Verdict, findings: Sequence[Finding]) -> dict[str, Any]:
    """`dumpmap.diagnosis/1`."""
    judged = verdict.to_dict()
    del judged["schema"]
    return {
        **head("dumpmap.diagnosis/1", region_map),
        **judged,
        "findings": [finding_document(finding) for finding in findings],
    }


def diagnosis_blocks(region_map: RegionMap, verdict: Verdict, findings: Sequence[Finding]) -> Iterator[Block]:
    """Everything that `diagnose` shows: the verdict first, then what it rests on."""
    yield Paragraph(process_line(region_map), "strong")
    yield Blank()
    yield Facts(
        [
            Fact("Verdict", verdict.verdict, "strong"),
            *(
                Fact(label, _axis_text(label, axis), _STATE_STYLE.get(str(axis["state"]), "plain"))
                for label, axis in (("Address space", verdict.address_space), ("Commit", verdict.commit))
            ),
        ]
    )
    yield Blank()
    yield Paragraph(verdict.sentence)
    for finding in findings:
        yield Blank()
        yield Entry(finding.severity, finding.title, finding.id, finding.detail)


def _axis_text(label: str, axis: dict[str, Any]) -> str:
    """One axis with its main figures."""
    parts = [str(axis["state"])]
    if label == "Address space":
        least = "" if axis.get("complete", True) else "at least "
        if axis.get("free"):
            parts.append(f"{least}{size_left(axis['free'])} free of {axis.get('limit_name') or 'its limit'}")
        largest = axis.get("largest_free_block")
        if largest:
            parts.append(f"largest block {least}{size_left(largest['size'])}")
        elif axis.get("free") is not None and not least:
            parts.append(f"nothing free of {axis.get('limit_name') or 'its limit'}")
        if axis.get("fragmentation") is not None and not least:
            parts.append(f"{percent_text(axis['fragmentation'])} fragmented")
    else:
        if axis.get("system_ratio") is not None:
            parts.append(
                f"system {short_size(axis['system_total'])} of {short_size(axis['system_limit'])} "
                f"({percent_text(axis['system_ratio'])})"
            )
        if axis.get("process_private") is not None:
            parts.append(f"process {short_size(axis['process_private'])}")
        if axis.get("job_limit") is not None:
            parts.append(f"job {short_size(axis.get('job_usage') or 0)} of {short_size(axis['job_limit'])}")
    return ", ".join(parts)


# ---------------------------------------------------------------- free space


def _neighbour_text(neighbour: Neighbour | None, width: int) -> str:
    if neighbour is None:
        return "(end of the address space)"
    what = neighbour.details or neighbour.kind
    return f"{address_text(neighbour.address, width)} {neighbour.type}" + (f", {what}" if what else "")


def histogram_table(region_map: RegionMap) -> Table:
    """Free blocks by powers of two."""
    space = free_space(region_map)
    rows = [] if space is None else histogram(space)
    return Table(HISTOGRAM_COLUMNS, [[row[column.name] for column in HISTOGRAM_COLUMNS] for row in rows])


def shown_histogram(region_map: RegionMap) -> Table:
    """The same for people: round sizes in words, and where that makes many rows, those with blocks only."""
    table = histogram_table(region_map)
    rows = [row for row in table.rows if row[2] or len(table.rows) <= _MANY_SIZES]
    columns = (Column("min_bytes", "short", "From"), Column("max_bytes", "short", "Below"), *HISTOGRAM_COLUMNS[2:])
    return Table(columns, rows)


def free_block_table(region_map: RegionMap, count: int) -> Table:
    """The largest free blocks and what lies around them."""
    width = region_map.address_width
    rows = [
        [block.address, block.size, _neighbour_text(block.before, width), _neighbour_text(block.after, width)]
        for block in largest_blocks(region_map, count)
    ]
    return Table(FREE_BLOCK_COLUMNS, rows, width)


def unusable_table(region_map: RegionMap, count: int) -> Table:
    """Which allocations leave unusable space behind them."""
    causes = unusable_causes(region_map, count)
    return Table(UNUSABLE_COLUMNS, [[getattr(cause, column.name) for column in UNUSABLE_COLUMNS] for cause in causes])


def fit_text(fit: Fit) -> str:
    """Whether an allocation of a size fits."""
    asked = f"{_size(fit.size)} aligned to {short_size(fit.alignment)}"
    if fit.fits is None:
        return (
            f"{asked}: whether it fits cannot be known: the list of memory regions is cut off, and the largest that "
            f"fits in what it shows is {size_left(fit.largest)}"
        )
    if not fit.fits:
        if not fit.largest:
            return f"{asked}: does not fit; nothing does"
        return f"{asked}: does not fit; the largest that does is {size_left(fit.largest)}"
    where = "" if fit.address is None else f", first at 0x{fit.address:x}"
    times = "once" if fit.count == 1 else f"{fit.count:,} times"
    return f"{asked}: fits {'' if fit.complete else 'at least '}{times}{where}"


def _size(value: int) -> str:
    return "1 byte" if value == 1 else short_size(value)


def _blocks(count: int) -> str:
    return "1 block" if count == 1 else f"{count:,} blocks"


def _free_lines(region_map: RegionMap, fits: Sequence[Fit]) -> list[str]:
    space = free_space(region_map)
    if space is None:
        return ["The input has no list of memory regions: free space cannot be known."]
    least = "" if space.complete else "at least "
    lines = [
        f"Free: {least}{size_left(space.total)} in {_blocks(space.count)}, of a space of {space.limit.name}"
        if space.count or least
        else f"Free: nothing of a space of {space.limit.name}",
        "Largest: "
        + (least + size_left(space.largest.size) if space.largest is not None else "not known" if least else "none"),
        f"Fragmentation: {percent_text(space.fragmentation)} (1 - largest / free)"
        if not least and space.largest is not None
        else f"Fragmentation: {'not known' if least else 'none, for nothing is free'}",
        f"In blocks under 1 MB: {short_size(space.tiny)} in {_blocks(space.tiny_count)}",
        f"Unusable: {least}{short_size(space.unusable)}",
    ]
    if least:
        lines.append("The list of memory regions is cut off: there may be more free space than it shows.")
    lines += _vmmap_difference(region_map, space)
    return lines + [fit_text(fit) for fit in fits]


def _vmmap_difference(region_map: RegionMap, space: FreeSpace) -> list[str]:
    """Why the summary, which counts as VMMap does, has another figure; nothing where nobody would see it."""
    line = region_map.line(RegionType.FREE)
    counted = line.size or 0
    same_largest = line.largest == (space.largest and space.largest.size)
    if size_left(counted) == size_left(space.total) and same_largest:
        return []
    reasons = []
    if space.limit.windows and region_map.free_blocks and region_map.free_blocks[0].address < GRANULARITY:
        reasons.append("the first 64 KB, which Windows gives to nobody")
    if space.limit.size is not None and region_map.end is not None and space.limit.size < region_map.end:
        reasons.append(f"what lies above the {space.limit.name} that the process can use")
    if space.reserve is not None:
        reasons.append(f"{short_size(space.reserve[1])} that the crash reporter had set aside for itself")
    if not reasons:
        return []
    return [f"The summary counts {size_left(counted)} as free, as VMMap does: with {list_words(reasons)}."]


def free_blocks(region_map: RegionMap, fits: Sequence[Fit], count: int) -> Iterator[Block]:
    """Everything that `free` shows."""
    yield Lines(_free_lines(region_map, fits))
    if region_map.free_blocks is None:
        return
    for title, table in (
        ("Free blocks by size", shown_histogram(region_map)),
        ("Largest free blocks", free_block_table(region_map, count)),
        ("Unusable space, by what lies before it", unusable_table(region_map, count)),
    ):
        if table.rows:
            yield Blank()
            yield Heading(title)
            yield table
