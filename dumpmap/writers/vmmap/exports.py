"""VMMap's CSV and text exports."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import BinaryIO

from dumpmap.model.columns import SUMMARY_COLUMNS
from dumpmap.model.region_map import RegionMap
from dumpmap.model.snapshot import WORKING_SET_COLUMNS
from dumpmap.model.types import RegionType
from dumpmap.parsers.vmmap.words import HEADINGS, PID_TITLE, PROCESS_TITLE
from dumpmap.writers.csv_cells import csv_cell
from dumpmap.writers.vmmap.rows import MapItem, map_items, plain

LINE_END = "\r\r\n"
"""The end of a line in VMMap's exports."""

_SIZES = ("size", "committed", "private", *WORKING_SET_COLUMNS)
_SUMMARY_HEADINGS = tuple(HEADINGS[column] for column in ("type", *SUMMARY_COLUMNS))
_DETAILS_HEADINGS = tuple(
    HEADINGS[column] for column in ("address", "type", *_SIZES, "blocks", "protection", "details")
)


def write_csv(regions: RegionMap, file: BinaryIO) -> None:
    """Writes a map as VMMap exports it to CSV.

    Raises:
        OutputError: the map is partial.
    """
    items = map_items(regions)
    for title, value in _titles(regions):
        file.write(_csv_line((title, value)))
    file.write(_csv_line(()))
    file.write(_csv_line((*_SUMMARY_HEADINGS, None)))
    for cells in _summary_cells(regions):
        file.write(_csv_line(cells))
    file.write(_csv_line(()))
    file.write(_csv_line((*_DETAILS_HEADINGS, None)))
    for cells in _details_cells(items, regions.address_width):
        file.write(_csv_line(cells))


def write_txt(regions: RegionMap, file: BinaryIO) -> None:
    """Writes a map as VMMap exports it to text: the cells of the CSV, in columns of fixed width.

    Raises:
        OutputError: the map is partial.
    """
    tables = (
        [_SUMMARY_HEADINGS, *_summary_cells(regions)],
        [_DETAILS_HEADINGS, *_details_cells(map_items(regions), regions.address_width)],
    )
    for title, value in _titles(regions):
        file.write(f"{title} {value}{LINE_END}".encode())
    for table in tables:
        widths = [max(map(len, column)) + 2 for column in zip(*table, strict=True)]
        file.write(LINE_END.encode())
        for cells in table:
            line = "".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()
            file.write(f"{line}{LINE_END}".encode())


def _titles(regions: RegionMap) -> list[tuple[str, str]]:
    pid = regions.process.pid
    return [
        (f"{PROCESS_TITLE}:", plain(regions.process.name or "")),
        (f"{PID_TITLE}:", "" if pid is None else str(pid)),
    ]


def _csv_line(cells: Iterable[str | None]) -> bytes:
    """Makes a line; None is the empty end after a trailing comma."""
    quoted = ("" if cell is None else '"' + csv_cell(cell).replace('"', '""') + '"' for cell in cells)
    return (",".join(quoted) + LINE_END).encode()


def _summary_cells(regions: RegionMap) -> Iterator[list[str]]:
    for line in regions.summary_lines:
        values = line.values()
        yield [
            line.name,
            *(
                _count(values[column]) if column == "blocks" else _kilobytes(values[column])
                for column in SUMMARY_COLUMNS
            ),
        ]


def _details_cells(items: Iterable[MapItem], width: int) -> Iterator[list[str]]:
    for item in items:
        if item.head.type in (RegionType.FREE, RegionType.UNUSABLE):
            continue  # VMMap lists them in the summary only
        for row in (item.head, *item.blocks):
            yield [
                f"{'' if row.blocks else '  '}{row.address:0{width}X}",
                plain(row.words),
                *(_kilobytes(row.sizes.get(column)) for column in _SIZES),
                _count(row.blocks),
                plain(row.protection_words),
                plain(row.details),
            ]


def _kilobytes(size: int | None) -> str:
    return _count(None if size is None else size >> 10)


def _count(number: int | None) -> str:
    return f"{number:,}" if number else ""
