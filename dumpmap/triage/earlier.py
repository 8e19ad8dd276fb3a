"""The rows of an earlier run, read from the file that it wrote: CSV, JSON lines, JSON, or Parquet.

Such a file can come from another version or have been edited: columns that it lacks are unknown, columns that this
version does not know are left out, and a value that cannot be is an error with its place.
"""

from __future__ import annotations

import csv
import datetime as dt
import json
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from dumpmap.analysis.rules import SEVERITIES, VERDICT_NAMES
from dumpmap.errors import FormatError, InputError, reason_of
from dumpmap.model.formulas import from_cell
from dumpmap.triage.columns import COLUMNS, NAMES, STATUSES, TriageColumn, TriageContent, TriageRow
from dumpmap.triage.jobs import Job
from dumpmap.triage.outcome import outcome_of
from dumpmap.triage.progress import BatchState
from dumpmap.triage.result import TriageResult
from dumpmap.triage.rows import RANKS, rank_of
from dumpmap.triage.store import Store

_NEEDED = ("path", "status")
"""Columns without which a table is no result of triage: that of groups has neither."""

_CHOICES: Mapping[str, tuple[str, ...]] = {
    "status": tuple(STATUSES),
    "severity": SEVERITIES,
    "verdict": VERDICT_NAMES,
}
"""Columns whose values decide how a row shows."""

_MOST_INTEGER = 1 << 63
_MOST_LETTERS = 1 << 20
"""Letters of a cell; a path can have 32,767."""

_SHOWN_LETTERS = 40
_ROWS_AT_ONCE = 10_000

_SCHEMA = "dumpmap.triage/"

Numbered = Iterator[tuple[str, Mapping[str, Any]]]
"""Records, each with its place in the file."""


def read_result(path: str | os.PathLike[str]) -> TriageResult:
    """Reads the rows that an earlier run wrote. Of several rows of one path, the last counts.

    Args:
        path: the file, as `dumpmap triage --output` writes it: .csv, .jsonl, .json, or .parquet.

    Returns:
        the result; close it, or use it as a context manager.

    Raises:
        InputError: the file cannot be read, is no result of triage, or has a value that cannot be.
    """
    store = Store()
    try:
        for row in earlier_rows(path):
            job = Job(row["path"], row["path"], row["path"])
            if not store.add(job):
                store.forget(job.key)
                store.add(job)
            store.put(replace(outcome_of(job, row), cached=True))
        return TriageResult(store, _counted(store), 0.0)
    except BaseException:
        store.close()
        raise


def earlier_rows(path: str | os.PathLike[str]) -> Iterator[TriageRow]:
    """Yields the rows of a file that an earlier run wrote.

    Raises:
        InputError: see `read_result`.
    """
    file = Path(path)
    read = _READERS.get(file.suffix.lower())
    if read is None:
        problem = "not a result of triage: the name must end in .csv, .jsonl, .json, or .parquet"
        raise FormatError(problem, source=os.fspath(path))
    empty = True
    try:
        for place, record in read(file):
            yield _row(record, place)
            empty = False
        if empty:
            raise FormatError("has no rows")
    except FormatError as error:
        raise FormatError(error.problem, source=os.fspath(path), place=error.place) from None
    except InputError as error:
        raise InputError(error.problem, source=os.fspath(path)) from None
    except OSError as error:
        raise InputError(reason_of(error), source=os.fspath(path)) from None
    except (UnicodeDecodeError, csv.Error, ValueError, RecursionError):
        raise FormatError("damaged, or not what its name says", source=os.fspath(path)) from None


def _counted(store: Store) -> BatchState:
    state = BatchState(listed=True)
    for row in store.rows():
        rank = RANKS[rank_of(row)]
        state.found += 1
        state.errors += rank == "error"
        state.skipped += rank == "skipped"
        state.critical += rank == "critical"
        state.warning += rank == "warning"
        state.info += rank == "info"
    state.done = state.cached = state.found
    return state


# ---------------------------------------------------------------- formats


def _csv_records(path: Path) -> Numbered:
    csv.field_size_limit(_MOST_LETTERS)
    with path.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.reader(stream, strict=True)
        names = next(reader, [])
        _check_columns(names)
        for cells in reader:
            place = f"line {reader.line_num}"
            if not cells:
                continue
            if len(cells) != len(names):
                raise FormatError(f"{len(cells):,} cells for {len(names):,} columns", place=place)
            yield place, dict(zip(names, map(from_cell, cells), strict=True))


def _json_lines(path: Path) -> Numbered:
    with path.open(encoding="utf-8") as stream:
        for number, line in enumerate(stream, 1):
            if line.strip():
                try:
                    record = json.loads(line)
                except ValueError:
                    raise FormatError("not a JSON object", place=f"line {number}") from None
                yield f"line {number}", _object(record, f"line {number}")


def _json_document(path: Path) -> Numbered:
    document = json.loads(path.read_text(encoding="utf-8"))
    rows = document.get("rows") if isinstance(document, dict) else None
    if not isinstance(rows, list) or not str(document.get("schema", "")).startswith(_SCHEMA):
        raise FormatError("a JSON document, but not one of triage")
    for number, record in enumerate(rows, 1):
        yield f"row {number}", _object(record, f"row {number}")


def _parquet_records(path: Path) -> Numbered:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise InputError('Parquet needs pyarrow: run pip install "dumpmap[parquet]"') from None
    number = 0
    try:
        with path.open("rb") as stream, pq.ParquetFile(stream) as file:
            names = file.schema_arrow.names
            _check_columns(names)
            for batch in file.iter_batches(_ROWS_AT_ONCE, columns=[name for name in NAMES if name in names]):
                for record in batch.to_pylist():
                    number += 1
                    yield f"row {number}", record
    except pa.ArrowException:
        raise FormatError("not a Parquet file, or damaged") from None


def _object(record: Any, place: str) -> Mapping[str, Any]:
    if not isinstance(record, dict):
        raise FormatError("not a JSON object", place=place)
    _check_columns(record, place)
    return record


def _check_columns(names: Iterable[str], place: str | None = None) -> None:
    lacks = [name for name in _NEEDED if name not in names]
    if lacks:
        raise FormatError(
            f"not a result of triage: it has no column {lacks[0]}; a table of groups has no rows", place=place
        )


_READERS: Mapping[str, Callable[[Path], Numbered]] = {
    ".csv": _csv_records,
    ".jsonl": _json_lines,
    ".json": _json_document,
    ".parquet": _parquet_records,
}


# ---------------------------------------------------------------- values


def _row(record: Mapping[str, Any], place: str) -> TriageRow:
    row = {column.name: _value(column, record.get(column.name), place) for column in COLUMNS}
    if row["path"] is None:
        raise FormatError("path is blank", place=place)
    for name, choices in _CHOICES.items():
        if row[name] is not None and row[name] not in choices:
            raise FormatError(f"unknown {name} {_shown(row[name])}", place=place)
    if row["status"] is None:
        raise FormatError("status is blank", place=place)
    if row["verdict"] is not None and row["findings"] is None:
        row["findings"] = []  # CSV has a blank for both
    return row


def _value(column: TriageColumn, value: Any, place: str) -> Any:
    if value is None or value == "":
        return None
    try:
        return _CONVERTERS[column.holds](value)
    except (ValueError, TypeError, OverflowError):
        raise FormatError(f"{column.name} is {_shown(value)}, not {_WORDS[column.holds]}", place=place) from None


def _shown(value: Any) -> str:
    text = str(value)
    return repr(text if len(text) <= _SHOWN_LETTERS else f"{text[:_SHOWN_LETTERS]}...")


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _texts(value: Any) -> list[str]:
    return value.split(", ") if isinstance(value, str) else [_text(one) for one in value]


def _integer(value: Any) -> int:
    if isinstance(value, (bool, float)):
        raise TypeError
    number = int(value)
    if not -_MOST_INTEGER <= number < _MOST_INTEGER:
        raise ValueError
    return number


def _number(value: Any) -> float:
    number = float(value)
    if isinstance(value, bool) or not math.isfinite(number):
        raise ValueError
    return number


def _flag(value: Any) -> bool:
    if value not in (True, False, "true", "false"):
        raise ValueError
    return value in (True, "true")


def _time(value: Any) -> str:
    moment = value if isinstance(value, dt.datetime) else dt.datetime.fromisoformat(_text(value))
    if moment.tzinfo is None:
        raise ValueError
    return moment.astimezone(dt.UTC).replace(tzinfo=None).isoformat() + "Z"


_CONVERTERS: Mapping[TriageContent, Callable[[Any], Any]] = {
    "text": _text,
    "texts": _texts,
    "size": _integer,
    "count": _integer,
    "share": _number,
    "seconds": _number,
    "flag": _flag,
    "time": _time,
}

_WORDS: Mapping[TriageContent, str] = {
    "text": "a text",
    "texts": "a list of texts",
    "size": "a number of bytes",
    "count": "a whole number",
    "share": "a number",
    "seconds": "a number",
    "flag": "true or false",
    "time": "a time with its zone",
}
