"""Other tools' formats, and flat tables, out of any map."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, BinaryIO

from dumpmap.errors import OutputError
from dumpmap.model.region_map import RegionMap
from dumpmap.render.markdown import to_markdown
from dumpmap.render.plain import to_csv
from dumpmap.render.terminal import to_text
from dumpmap.views.frames import allocation_frame, region_frame
from dumpmap.views.table import Column, Table, plain_value
from dumpmap.views.views import region_table
from dumpmap.wording.text import Units
from dumpmap.writers.formats import ExportFormat
from dumpmap.writers.output import is_standard_output, replacing
from dumpmap.writers.suffixes import SUFFIXES, kind_named

if TYPE_CHECKING:
    import pandas as pd


_BY_KIND = {
    "mmp": ExportFormat.mmp,
    "csv": ExportFormat.vmmap_csv,
    "text": ExportFormat.vmmap_txt,
    "jsonl": ExportFormat.jsonl,
    "parquet": ExportFormat.parquet,
    "markdown": ExportFormat.markdown,
}
"""The format that a file name asks for. Flat CSV and text have to be named, since VMMap's own have these suffixes."""


BINARY = frozenset((ExportFormat.parquet,))
"""Formats that are no text."""


def format_of(path: str | os.PathLike[str]) -> ExportFormat:
    """Tells the format from a file name.

    Raises:
        ValueError: the suffix is that of none.
    """
    chosen = _BY_KIND.get(kind_named(path) or "")
    if chosen is None:
        known = ", ".join(suffix for suffix, kind in SUFFIXES.items() if kind in _BY_KIND)
        what = "standard output has no suffix" if is_standard_output(path) else f"{os.fspath(path)}: no known suffix"
        raise ValueError(f"{what} to tell the format by ({known}); say which with --to")
    return chosen


def export(
    region_map: RegionMap,
    path: str | os.PathLike[str],
    *,
    to: ExportFormat | None = None,
    blocks: bool = True,
    force: bool = False,
) -> None:
    """Writes a map in another format.

    Args:
        region_map: what to write.
        path: the file, or `-` for standard output.
        to: the format; by the file's suffix where None.
        blocks: for flat tables, one row per region instead of per allocation. VMMap's formats always have both.
        force: overwrite the file.

    Raises:
        OutputError: the format needs a package that is not installed, the file exists and `force` is not given, or it
            cannot be written.
        ValueError: the suffix tells no format.
    """
    chosen = to or format_of(path)
    if chosen is ExportFormat.parquet:
        _need_pyarrow(path)
    with replacing(path, force=force, binary=chosen in BINARY) as stream:
        _WRITERS[chosen](region_map, stream, blocks)


def _frame(region_map: RegionMap, blocks: bool) -> pd.DataFrame:
    return region_frame(region_map) if blocks else allocation_frame(region_map)


def _table(region_map: RegionMap, blocks: bool) -> Table:
    return region_table(region_map, _frame(region_map, blocks))


def _write_csv(region_map: RegionMap, stream: BinaryIO, blocks: bool) -> None:
    stream.write(to_csv(_table(region_map, blocks)).encode())


def _write_markdown(region_map: RegionMap, stream: BinaryIO, blocks: bool) -> None:
    stream.write(to_markdown([_table(region_map, blocks)], Units.kb).encode())


def _write_text(region_map: RegionMap, stream: BinaryIO, blocks: bool) -> None:
    stream.write(to_text([_table(region_map, blocks)]).encode())


def _write_jsonl(region_map: RegionMap, stream: BinaryIO, blocks: bool) -> None:
    """One JSON object a line, a region each."""
    table = _table(region_map, blocks)
    for record in _records(table):
        stream.write(json.dumps(record, ensure_ascii=False).encode() + b"\n")


def _records(table: Table) -> Iterator[dict[str, Any]]:
    columns: tuple[Column, ...] = table.columns
    for row in table.rows:
        yield {column.name: plain_value(value, column) for column, value in zip(columns, row, strict=True)}


def _need_pyarrow(path: str | os.PathLike[str]) -> None:
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        raise OutputError('Parquet needs pyarrow: pip install "dumpmap[parquet]"', source=os.fspath(path)) from None


def _write_parquet(region_map: RegionMap, stream: BinaryIO, blocks: bool) -> None:
    """Addresses stay unsigned 64-bit; texts and types are dictionary-encoded."""
    frame = _frame(region_map, blocks).copy()
    for name in ("protection", "details", "kind", "evidence"):
        frame[name] = frame[name].astype("category")
    frame.to_parquet(stream, engine="pyarrow", index=False)


def _write_mmp(region_map: RegionMap, stream: BinaryIO, blocks: bool) -> None:
    from dumpmap.writers import vmmap

    vmmap.write_mmp(region_map, stream)


def _write_vmmap_csv(region_map: RegionMap, stream: BinaryIO, blocks: bool) -> None:
    from dumpmap.writers import vmmap

    vmmap.write_csv(region_map, stream)


def _write_vmmap_txt(region_map: RegionMap, stream: BinaryIO, blocks: bool) -> None:
    from dumpmap.writers import vmmap

    vmmap.write_txt(region_map, stream)


_WRITERS: dict[ExportFormat, Callable[[RegionMap, BinaryIO, bool], None]] = {
    ExportFormat.mmp: _write_mmp,
    ExportFormat.vmmap_csv: _write_vmmap_csv,
    ExportFormat.vmmap_txt: _write_vmmap_txt,
    ExportFormat.csv: _write_csv,
    ExportFormat.jsonl: _write_jsonl,
    ExportFormat.parquet: _write_parquet,
    ExportFormat.markdown: _write_markdown,
    ExportFormat.text: _write_text,
}
