"""The formats that `export` and `snapshot` write."""

from __future__ import annotations

from enum import StrEnum


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


class SnapshotFormat(StrEnum):
    """How a JSON snapshot is compressed: what its file's name ends in."""

    json = "json"
    gzip = "json.gz"
    zstd = "json.zst"
