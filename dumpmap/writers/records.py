"""Records of any number, written as they come: CSV, JSON, JSON lines, Parquet."""

from __future__ import annotations

import csv
import datetime as dt
import json
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import IO, Any

from dumpmap.errors import OutputError
from dumpmap.triage.columns import TriageContent
from dumpmap.views.triage import Records, csv_value
from dumpmap.writers.csv_cells import csv_cell
from dumpmap.writers.output import standard_output

_PARQUET_CHUNK = 10_000


def write_csv(records: Records, stream: IO[Any]) -> None:
    """Writes records as CSV with a header line."""
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(records.columns)
    for record in records.records:
        writer.writerow(csv_cell(csv_value(value)) for value in record.values())


def write_json(
    head: Mapping[str, Any], rows: Iterable[Mapping[str, Any]], tail: Iterable[tuple[str, Any]], stream: IO[Any]
) -> None:
    """Writes a JSON document with `rows` in its middle, one line each.

    Args:
        head: the members before them.
        rows: the rows, taken one by one.
        tail: the members after them, taken when all rows are written.
        stream: the target, of text.
    """
    stream.write("{" + ",\n".join(f"{_json(name)}: {_json(value)}" for name, value in head.items()))
    stream.write(',\n"rows": [')
    separator = "\n"
    for row in rows:
        stream.write(separator + _json(row))
        separator = ",\n"
    stream.write("\n]")
    for name, value in tail:
        stream.write(f",\n{_json(name)}: {_json(value)}")
    stream.write("}\n")


def write_json_lines(records: Records, stream: IO[Any]) -> None:
    """Writes records as lines of JSON, each flushed at once for whoever reads along."""
    for record in records.records:
        stream.write(_json(record) + "\n")
        stream.flush()


def print_json_line(record: Mapping[str, Any]) -> None:
    """Writes a record as a line of JSON to standard output, in UTF-8 whatever the terminal's encoding.

    Raises:
        OutputError: standard output cannot be written.
        BrokenPipeError: the reader has gone, so there is no point in going on.
    """
    with standard_output() as stdout:
        stdout.buffer.write(f"{_json(record)}\n".encode("utf-8", "replace"))
        stdout.buffer.flush()


def write_parquet(records: Records, stream: IO[Any]) -> None:
    """Writes records as Parquet.

    Raises:
        OutputError: pyarrow is not installed.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise OutputError('Parquet needs another package: pip install "dumpmap[parquet]"') from None
    types: dict[TriageContent, Any] = {
        "text": pa.string(),
        "texts": pa.list_(pa.string()),
        "size": pa.int64(),
        "count": pa.int64(),
        "share": pa.float64(),
        "seconds": pa.float64(),
        "flag": pa.bool_(),
        "time": pa.timestamp("us", "UTC"),
    }
    schema = pa.schema([(name, types[holds]) for name, holds in records.columns.items()])
    times = [name for name, holds in records.columns.items() if holds == "time"]
    left = iter(records.records)
    with pq.ParquetWriter(stream, schema) as writer:
        while chunk := [dict(record) for record in islice(left, _PARQUET_CHUNK)]:
            for record in chunk:
                for name in times:
                    record[name] = record[name] and dt.datetime.fromisoformat(record[name])
            writer.write_table(pa.Table.from_pylist(chunk, schema))


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
