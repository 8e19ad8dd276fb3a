"""The regions of a JSON snapshot: rows into columns, and the checks that the schema language cannot express."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import Raw

from dumpmap.errors import SnapshotError
from dumpmap.model import snapshot as model
from dumpmap.model.limits import REGIONS
from dumpmap.model.winnt import MemState
from dumpmap.parsers.snapshot_json.columns import COLUMNS, LARGEST_COUNT, REQUIRED_COLUMNS, STATES, TYPES
from dumpmap.parsers.snapshot_json.plain_rows import plain_rows
from dumpmap.parsers.snapshot_json.problems import DECODING_ERRORS, explain
from dumpmap.parsers.snapshot_json.schema import RegionsEntry

_LARGEST_SUM = 1 << 62

# Rows are decoded about a megabyte at a time: a million rows as Python objects would take ten times the file's size.
_CHUNK = 1 << 20
_ROW_BREAK = re.compile(rb"\]\s*,\s*\[")
_LINE_BREAK = re.compile(rb"\],\r?\n\[")
_LINE_REACH = 1 << 16


def read_regions(entry: RegionsEntry, process: model.Process, text: memoryview, name: str) -> model.Regions:
    """Reads the regions of a document.

    Args:
        entry: the decoded member, with its rows still in JSON.
        process: the process; it decides where the address space ends.
        text: the whole document.
        name: the file's name, for messages.

    Raises:
        SnapshotError: a row is wrong, or the regions are impossible.
    """
    columns = entry.columns
    for index, column in enumerate(columns):
        if column in columns[:index]:
            raise SnapshotError(f"column {column!r} is listed twice", source=name, place=f"regions.columns[{index}]")
    missing = [column for column in REQUIRED_COLUMNS if column not in columns]
    if missing:
        raise SnapshotError(f"columns are missing: {', '.join(missing)}", source=name, place="regions.columns")
    row_type: Any = tuple.__class_getitem__(tuple(COLUMNS.get(column, Raw) for column in columns))
    decoder = msgspec.json.Decoder(list[row_type])
    rows = memoryview(entry.rows)
    try:
        regions = _decode_rows(_pieces(rows), decoder, columns, name)
    except DECODING_ERRORS:
        # Either a row is wrong, and its number must be counted from the first one, or a piece was cut inside a text.
        try:
            regions = _decode_rows([rows], decoder, columns, name)
        except DECODING_ERRORS as error:
            raise explain(error, text, name, columns) from None
    _check_regions(regions, process, name)
    for column, values in regions.numbers.items():
        if float(np.maximum(values, 0).sum(dtype=np.float64)) > _LARGEST_SUM:
            raise SnapshotError(f"the sum of {column} is impossible", source=name, place="regions.rows")
    return regions


def _pieces(rows: memoryview) -> Iterator[memoryview | bytes]:
    """Cuts an array of rows into smaller arrays, where one row ends and the next begins.

    A line break between two rows is always such a place. If none is near, what looks like the end of a row can be
    inside a text; then the piece before it ends in an unfinished text and cannot be decoded.
    """
    start = 1
    while True:
        target = start + _CHUNK
        found = _LINE_BREAK.search(rows, target, target + _LINE_REACH) or _ROW_BREAK.search(rows, target)
        if found is None:
            break
        yield b"[" + rows[start : found.start() + 1] + b"]"
        start = found.end() - 1
    yield rows if start == 1 else b"[" + rows[start:]


def _decode_rows(
    pieces: Iterable[memoryview | bytes], decoder: msgspec.json.Decoder[list[Any]], columns: list[str], name: str
) -> model.Regions:
    """Decodes arrays of rows into columns."""
    parts: dict[str, list[npt.NDArray[Any]]] = {column: [] for column in columns if column in COLUMNS}
    tables: dict[str, dict[str, int]] = {column: {} for column in columns if column in model.TEXT_COLUMNS}
    count = 0
    for piece in pieces:
        plain = plain_rows(piece, columns)
        if plain is not None:
            count += len(plain["base"])
            _check_count(count, name)
            for column, part in plain.items():
                parts[column].append(part)
            continue
        rows = decoder.decode(piece)
        _check_count(count + len(rows), name)
        for column, values in zip(columns, zip(*rows, strict=True), strict=bool(rows)):
            if column not in parts:
                continue
            try:
                part = _column_array(column, values, tables.get(column, {}))
            except OverflowError:
                row = count + next(index for index, value in enumerate(values) if value > LARGEST_COUNT)
                place = f"regions.rows[{row}].{column}"
                raise SnapshotError("the number has more than 64 bits", source=name, place=place) from None
            parts[column].append(part)
        count += len(rows)
    if not count:
        return model.make_regions([])
    arrays = {column: np.concatenate(chunks) for column, chunks in parts.items()}
    return model.Regions(
        **{column: arrays[column] for column in REQUIRED_COLUMNS},
        numbers={column: arrays[column] for column in model.NUMBER_COLUMNS if column in arrays},
        texts={column: model.TextColumn(arrays[column], tuple(table)) for column, table in tables.items()},
    )


def _check_count(count: int, name: str) -> None:
    if count > REGIONS.value:
        raise SnapshotError(f"has more than {REGIONS.value:,} regions; {REGIONS.hint}", source=name)


def _column_array(column: str, values: Sequence[Any], table: dict[str, int]) -> npt.NDArray[Any]:
    """Packs the values of one column; `table` collects the distinct texts of a text column."""
    if column in ("base", "allocation_base"):
        texts = ["0x0" if text is None else text for text in values] if None in values else values
        return np.array(list(map(int, texts, repeat(16))), np.uint64)
    if column == "size":
        return np.array(values, np.uint64)
    if column in ("state", "type"):
        words = STATES if column == "state" else TYPES
        return np.array(list(map(words.get, values, values)), np.uint32)
    if column in ("protect", "allocation_protect"):
        return np.array([0 if value is None else value for value in values], np.uint32)
    if column in model.NUMBER_COLUMNS:
        return np.array([-1 if value is None else value for value in values], np.int64)
    return np.array([-1 if text is None else table.setdefault(text, len(table)) for text in values], np.int32)


def region_fault(regions: model.Regions, limit: int = LARGEST_COUNT) -> tuple[int, str, str] | None:
    """Finds the first impossible region.

    Args:
        regions: any regions.
        limit: the highest end, exclusive, that a region can have.

    Returns:
        index, column, and description of the fault, or None.
    """
    base, size = regions.base, regions.size
    ends = base + size
    unsorted, overlapping = np.zeros(len(base), np.bool_), np.zeros(len(base), np.bool_)
    unsorted[1:] = base[1:] < base[:-1]
    overlapping[1:] = base[1:] < ends[:-1]
    late = (regions.allocation_base > base) & (regions.state != MemState.MEM_FREE)
    faults = [
        (unsorted, "base", "the regions are not sorted by address"),
        (overlapping, "base", "the region overlaps the one before it"),
        (size == 0, "size", "the region is empty"),
        ((ends < base) | (ends > np.uint64(limit)), "size", "the region ends beyond the address space"),
        (late, "allocation_base", "the allocation starts after the region"),
    ]
    found = [(int(mask.argmax()), column, problem) for mask, column, problem in faults if mask.any()]
    return min(found, key=lambda fault: fault[0]) if found else None


def _check_regions(regions: model.Regions, process: model.Process, name: str) -> None:
    # A 32-bit process on 64-bit Windows has regions above 4 GB too.
    narrow = process.pointer_size == 4 and process.wow64 is False
    fault = region_fault(regions, 1 << 32 if narrow else LARGEST_COUNT)
    if fault is not None:
        index, column, problem = fault
        raise SnapshotError(problem, source=name, place=f"regions.rows[{index}].{column}")
