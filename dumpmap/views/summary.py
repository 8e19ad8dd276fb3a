"""What `summary` shows: the process, VMMap's bars and type table, the largest free block, and the findings."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dumpmap.analysis.diagnosis import diagnose
from dumpmap.analysis.lower_bounds import is_lower_bound, lower_bounds, shows_part
from dumpmap.analysis.measurements import measurements_of
from dumpmap.analysis.rules import VerdictName
from dumpmap.model.columns import LARGEST, REGION_COLUMN, SUMMARY_COLUMNS
from dumpmap.model.region_map import RegionMap
from dumpmap.model.snapshot import WORKING_SET_COLUMNS
from dumpmap.model.types import TYPES, RegionType
from dumpmap.model.winnt import ALLOCATION_GRANULARITY
from dumpmap.views.blocks import (
    Bar,
    Bars,
    Blank,
    Block,
    Fact,
    Facts,
    OneLine,
    Paragraph,
    Remark,
    Statement,
    Statements,
    Strip,
    Style,
)
from dumpmap.views.columns import has_working_set, table_column
from dumpmap.views.counters import AT_LEAST, counter_rows
from dumpmap.views.documents import finding_document, head, moment_text
from dumpmap.views.exception import exception_document
from dumpmap.views.strip import space_strip
from dumpmap.views.table import Column, LeftOver, Table
from dumpmap.views.takers import taker_blocks, taker_document
from dumpmap.wording.crash import crash_line, crash_lines
from dumpmap.wording.processes import process_name
from dumpmap.wording.shortage import bound_reason
from dumpmap.wording.systems import system_text
from dumpmap.wording.text import address_text, exact_size, hex_text, printable, short_size, size_most
from dumpmap.wording.verdict_line import verdict_line
from dumpmap.wording.verdicts import verdict_lead

if TYPE_CHECKING:
    from dumpmap.model.stated_heaps import StatedSurplus
    from dumpmap.model.summary import SummaryLine
    from dumpmap.wording.findings import Finding

_VERDICT_STYLE: Mapping[VerdictName, Style] = {
    "no-memory-problem-seen": "good",
    "cannot-tell": "muted",
    "address-space-low": "warning",
    "commit-low": "warning",
    "heap-limit-near": "warning",
}
"""The other verdicts say that something ran out."""

_BAR_TYPES = tuple(info.type for info in TYPES if info.type not in (RegionType.UNUSABLE, RegionType.FREE))


def summary_document(region_map: RegionMap, findings: Iterable[Finding]) -> dict[str, Any]:
    """Returns `dumpmap.summary/1`."""
    measured = measurements_of(region_map)
    space, bounds = measured.free, measured.bounds
    free = None if space is None else space.largest
    total = region_map.total.values()
    del total["largest"]
    return {
        **head("dumpmap.summary/1", region_map),
        "address_space": None if region_map.end is None else {"start": "0x0", "end": hex_text(region_map.end)},
        "total": total,
        "lower_bounds": lower_bounds(region_map),
        "stated_heaps": None if region_map.stated_heaps is None else stated_document(region_map.stated_heaps),
        "types": [{"type": line.name, **line.values()} for line in region_map.summary_lines[1:]],
        "largest_free_block": None if free is None else {"address": hex_text(free.address), "size": free.size},
        "free_at_most": None if bounds is None or bounds.free is None else bounds.free.to_dict(),
        "largest_free_block_at_most": None if bounds is None or bounds.largest is None else bounds.largest.to_dict(),
        "counters": dataclasses.asdict(region_map.counters),
        "system": {
            name: hex_text(value) if name.endswith("_address") and value is not None else value
            for name, value in dataclasses.asdict(region_map.system).items()
        },
        "exception": exception_document(region_map),
        "who_took_it": taker_document(region_map),
        "findings": [finding_document(finding) for finding in findings],
    }


def stated_document(surplus: StatedSurplus) -> dict[str, int]:
    """Returns what heap headers state: the row `Heap` has it, and the map's regions do not."""
    return {
        "heaps": surplus.heaps,
        "stated_reserved": surplus.stated_size,
        "stated_committed": surplus.stated_committed,
        "not_captured": surplus.size,
        "not_captured_committed": surplus.committed,
    }


def summary_table(region_map: RegionMap) -> Table:
    """Returns VMMap's type table. `lower_bound` says whether a row's figures are at least what it shows."""
    shown = has_working_set(region_map) or bool(region_map.snapshot.recorded_summary)
    columns = [REGION_COLUMN["type"], *(REGION_COLUMN.get(name, LARGEST) for name in SUMMARY_COLUMNS)]
    rows = [(line.name, *_figures(line), is_lower_bound(region_map, line)) for line in region_map.summary_lines]
    return Table(
        (
            *(
                # A narrow terminal does without working sets first.
                table_column(column, shown=shown, optional=None)
                if column.name in WORKING_SET_COLUMNS
                else table_column(column, optional=0)
                for column in columns
            ),
            Column("lower_bound", "flag", shown=False),
        ),
        rows,
        region_map.address_width,
    )


def _figures(line: SummaryLine) -> Iterator[int | None]:
    """Yields the figures of a row. Free space is what is left."""
    free = line.name == RegionType.FREE.label
    for name, value in line.values().items():
        yield LeftOver(value) if value is not None and free and name in ("size", "largest") else value


def _marked_table(region_map: RegionMap) -> Table:
    """Returns the type table for people: the total of a map that shows only a part says "at least"."""
    table = summary_table(region_map)
    if not is_lower_bound(region_map, region_map.total):
        return table
    (name, *figures), *rest = table.rows
    # Without a list of regions there are no blocks to count, and an address space of 64 bits needs the room.
    columns = [
        dataclasses.replace(column, shown=column.shown and not (column.name == "blocks" and region_map.partial))
        for column in table.columns
    ]
    return dataclasses.replace(table, columns=tuple(columns), rows=[(f"{name}, at least", *figures), *rest])


def process_line(region_map: RegionMap) -> str:
    """Returns the process and the moment in one line."""
    process, source = region_map.process, region_map.snapshot.source
    parts = [process_name(region_map) or "unknown process"]
    if process.pid is not None:
        parts.append(f"PID {process.pid}")
    inferred = ", inferred" if region_map.snapshot.architecture_inferred else ""
    parts.append(process.architecture + inferred + (" (WoW64)" if process.wow64 else ""))
    if process.os.family != "other":
        parts.append(system_text(process.os))
    taken = moment_text(source.captured_at)
    if taken:
        parts.append(taken)
    parts.append({"full": "full memory", "map": "memory map", "partial": "no memory map"}[region_map.completeness])
    return printable("  ".join(parts))


def space_bar(region_map: RegionMap) -> Bar | None:
    """Returns the address space by type as a bar; with free space where it is narrow enough to be seen."""
    m = measurements_of(region_map)
    used: list[tuple[RegionType | None, int]] = [(type, m.used[type]) for type in RegionType if m.used.get(type)]
    if not used:
        return None
    total = sum(size for _, size in used)
    limit, free = m.limit.size, m.free
    figure = (AT_LEAST if shows_part(region_map) else "") + short_size(total)
    if limit is None or not m.limit.narrow or free is None or total > limit:
        return Bar("Address space", figure, used, total)
    largest = 0 if free.largest is None else free.largest.size
    parts = [*used, (RegionType.FREE, max(limit - total - largest, 0)), (None, largest)]
    return Bar("Address space", f"{figure} of {m.limit.name}", parts, limit)


def bars(region_map: RegionMap) -> Bars:
    """Returns the address space, and committed, private, and working-set memory in a scale of their own."""
    total = region_map.total
    rows = [("Committed", "committed", total.committed), ("Private", "private", total.private)]
    if total.total_ws:
        rows.append(("Working set", "total_ws", total.total_ws))

    least = dict.fromkeys(("committed", "private"), AT_LEAST if shows_part(region_map) else "") | {"total_ws": ""}

    def parts(column: str) -> list[tuple[RegionType | None, int]]:
        return [(type, getattr(region_map.line(type), column) or 0) for type in _BAR_TYPES]

    space = space_bar(region_map)
    return Bars(
        [
            *([] if space is None else [space]),
            *(
                Bar(
                    title,
                    "unknown" if value is None else least[column] + short_size(value),
                    parts(column) if value else [],
                )
                for title, column, value in rows
            ),
        ],
        max((value or 0 for _, _, value in rows), default=0),
        [type for type in _BAR_TYPES if region_map.line(type).size or region_map.line(type).committed],
    )


def largest_free_line(region_map: RegionMap) -> str:
    """Returns the figure that decides whether a 32-bit process can go on."""
    space = measurements_of(region_map).free
    free = None if space is None else space.largest
    bounds = measurements_of(region_map).bounds
    if space is None and bounds is not None and bounds.largest is not None:
        return f"Largest free block: at most {size_most(bounds.largest.size)} ({bound_reason(bounds.largest)})"
    if space is None:
        return "Largest free block: unknown (the input has no list of memory regions)"
    if not space.complete:
        seen = "0 KB" if free is None else f"{exact_size(free.size)}"
        return f"Largest free block: at least {seen} (the list of memory regions is cut off)"
    # The type table counts as VMMap does and has another figure in this case.
    narrow = space.limit.size is not None and region_map.end is not None and space.limit.size < region_map.end
    within = f" within the {space.limit.name} that the process can use" if narrow else ""
    if free is None:
        blocks = region_map.free_blocks
        reserved = space.limit.windows and blocks and blocks[0].address < ALLOCATION_GRANULARITY
        except_for = " except for the first 64 KB, which Windows reserves" if reserved else ""
        return f"Largest free block: none, the address space is full{within}{except_for}"
    where = address_text(free.address, region_map.address_width)
    return f"Largest free block: {exact_size(free.size)} at {where}{within}"


def finding_text(finding: Finding) -> str:
    """Returns a finding in one line with its figures; the first sentence of an `info` finding has them."""
    if finding.severity != "info":
        return finding.detail
    first, end, _ = finding.detail.partition(". ")
    return first + end.strip()


def finding_statements(findings: Sequence[Finding]) -> Statements:
    """Returns one line per finding."""
    return Statements([Statement(finding.severity, finding_text(finding)) for finding in findings])


def head_blocks(region_map: RegionMap) -> Iterator[Block]:
    """Yields the process and, if there is one, the exception, a line each."""
    yield Paragraph(process_line(region_map), "strong")
    line = crash_line(region_map)
    if line is not None:
        yield Blank()
        yield Paragraph(line)


def summary_view(region_map: RegionMap, findings: Sequence[Finding] = ()) -> Iterator[Block]:
    """Yields everything that `summary` shows to people."""
    diagnosis = diagnose(region_map)
    verdict = (verdict_lead(diagnosis), verdict_line(diagnosis), diagnosis.verdict)
    yield OneLine(verdict, _VERDICT_STYLE.get(diagnosis.verdict, "critical"))
    crash = crash_lines(region_map)
    if crash:
        yield OneLine(crash)
    yield Paragraph(process_line(region_map), "muted")
    yield Blank()
    strip, space = space_strip(region_map), measurements_of(region_map).free
    drawn = bars(region_map)
    yield drawn if strip is None else dataclasses.replace(drawn, legend=())
    if strip is not None:
        free = None if space is None or space.largest is None else (space.largest.address, space.largest.size)
        yield Blank()
        yield Strip(lambda width: strip.rows(width, free), region_map.address_width)
    yield Blank()
    yield _marked_table(region_map)
    yield Blank()
    yield Paragraph(largest_free_line(region_map))
    took = list(taker_blocks(region_map))
    yield from took
    counters = counter_rows(region_map)
    if counters:
        yield Blank()
        yield Facts([Fact(label, text) for label, text in counters])
    if (counters or took) and region_map.notes:
        yield Blank()
    for note in region_map.notes:
        yield Remark("Note:", note)
    if findings:
        yield Blank()
        yield finding_statements(findings)
