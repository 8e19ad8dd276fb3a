"""A map in another format: VMMap's files, or one flat table of regions or allocations."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import BinaryIO

from dumpmap.model.region_map import RegionMap
from dumpmap.views.frames import allocation_frame, coded_frame, region_frame
from dumpmap.views.regions import region_table
from dumpmap.views.table import Table
from dumpmap.writers import flat, vmmap
from dumpmap.writers.formats import BINARY_FORMATS, ExportFormat
from dumpmap.writers.output import replacing
from dumpmap.writers.suffixes import choose_format


def export(
    region_map: RegionMap,
    path: str | os.PathLike[str],
    to: ExportFormat | None = None,
    *,
    blocks: bool = True,
    force: bool = False,
) -> None:
    """Writes a map in another format.

    Args:
        region_map: the map.
        path: the file, or `-` for standard output.
        to: the format; None for the one of the file's suffix.
        blocks: for flat tables, one row per region instead of per allocation. VMMap's formats always have both.
        force: overwrite the file.

    Raises:
        OutputError: the format needs a package that is not installed, the file exists and `force` is not set, or it
            cannot be written.
        ValueError: see `choose_format`.
    """
    to = to or choose_format(path, None, list(ExportFormat), option="--to")
    if to is ExportFormat.parquet:
        flat.need_pyarrow(os.fspath(path))
    with replacing(path, force=force, binary=to in BINARY_FORMATS) as stream:
        _WRITERS[to](region_map, stream, blocks)


def _write_parquet(region_map: RegionMap, stream: BinaryIO, blocks: bool) -> None:
    flat.write_parquet(region_frame(region_map) if blocks else allocation_frame(region_map), stream)


def _vmmap(write: Callable[[RegionMap, BinaryIO], None]) -> Callable[[RegionMap, BinaryIO, bool], None]:
    return lambda region_map, stream, blocks: write(region_map, stream)


def _table(write: Callable[[Table, BinaryIO], None]) -> Callable[[RegionMap, BinaryIO, bool], None]:
    def write_rows(region_map: RegionMap, stream: BinaryIO, blocks: bool) -> None:
        write(region_table(region_map, coded_frame(region_map, blocks=blocks)), stream)

    return write_rows


def _write_csv(table: Table, stream: BinaryIO) -> None:
    from dumpmap.render.plain import csv_parts

    for part in csv_parts(table):
        stream.write(part.encode())


def _write_markdown(table: Table, stream: BinaryIO) -> None:
    from dumpmap.render.markdown import markdown_parts

    for part in markdown_parts([table]):
        stream.write(part.encode())


def _write_text(table: Table, stream: BinaryIO) -> None:
    from dumpmap.render.terminal import text_parts

    for part in text_parts([table]):
        stream.write(part.encode())


_WRITERS: Mapping[ExportFormat, Callable[[RegionMap, BinaryIO, bool], None]] = {
    ExportFormat.mmp: _vmmap(vmmap.write_mmp),
    ExportFormat.vmmap_csv: _vmmap(vmmap.write_csv),
    ExportFormat.vmmap_txt: _vmmap(vmmap.write_txt),
    ExportFormat.csv: _table(_write_csv),
    ExportFormat.jsonl: _table(flat.write_json_lines),
    ExportFormat.parquet: _write_parquet,
    ExportFormat.markdown: _table(_write_markdown),
    ExportFormat.text: _table(_write_text),
}
