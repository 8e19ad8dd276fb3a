"""The formats that commands write."""

from __future__ import annotations

from enum import StrEnum


class Format(StrEnum):
    """Output formats of every command that shows something."""

    table = "table"
    json = "json"
    csv = "csv"
    markdown = "markdown"


class PageFormat(StrEnum):
    """Output formats of commands that also write a page."""

    table = Format.table
    json = Format.json
    csv = Format.csv
    markdown = Format.markdown
    html = "html"


class TriageFormat(StrEnum):
    """What `triage` writes: the formats of every command, two that other programs read row by row, and a page."""

    table = Format.table
    json = Format.json
    jsonl = "jsonl"
    csv = Format.csv
    markdown = Format.markdown
    parquet = "parquet"
    html = PageFormat.html


class ExportFormat(StrEnum):
    """What `export` writes."""

    mmp = "mmp"
    vmmap_csv = "vmmap-csv"
    vmmap_txt = "vmmap-txt"
    csv = "csv"
    jsonl = "jsonl"
    parquet = "parquet"
    markdown = "markdown"
    text = "text"


BINARY_FORMATS = frozenset((ExportFormat.parquet,))
"""Formats that a terminal cannot show."""


class SnapshotFormat(StrEnum):
    """Compressions of a JSON snapshot, as suffixes of its file name."""

    json = "json"
    gzip = "json.gz"
    zstd = "json.zst"
