"""The columns of a triage row: names, types and meaning, each said once.

A row is a dictionary with every column of `COLUMNS`, in that order; None is not known. Rows travel between processes
and rest in files as JSON, so their values are JSON's: a time is ISO 8601 text, an exception code is `0x` hex text.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, get_args

from dumpmap.analysis.rules import RULES, SEVERITIES, VERDICT_NAMES
from dumpmap.model.types import TYPES, RegionType

Row = dict[str, Any]
"""One file's result: every column of `COLUMNS`."""

Kind = Literal["text", "texts", "size", "count", "share", "seconds", "flag", "time"]

_DTYPES: dict[Kind, str] = {
    "text": "string",
    "texts": "object",
    "size": "Int64",
    "count": "Int64",
    "share": "Float64",
    "seconds": "Float64",
    "flag": "boolean",
    "time": "datetime64[us, UTC]",
}

Status = Literal["ok", "partial", "error", "skipped"]

STATUSES: dict[Status, str] = {
    "ok": "a map was made of the whole input",
    "partial": "a map was made, but the input has no list of regions, or a part of it could not be read",
    "error": "no map: the file is not readable, not a dump, or used up its time or memory",
    "skipped": "not looked at: not a regular file",
}
"""Every status and what it means."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the triage table."""

    name: str
    kind: Kind
    meaning: str

    @property
    def dtype(self) -> str:
        """The column's type in a data frame; all are nullable."""
        return _DTYPES[self.kind]


FIGURES = ("size", "committed", "private")
"""Figures of each type; free space has only a size."""

_SAID = {"size": "size", "committed": "committed bytes", "private": "private bytes"}


def type_column(region_type: RegionType, figure: str) -> str:
    """Names the column of a figure of a type: `private_data_committed`."""
    return f"{region_type.label.lower().replace(' ', '_')}_{figure}"


TYPE_COLUMNS: tuple[tuple[RegionType, str, str], ...] = tuple(
    (info.type, figure, type_column(info.type, figure))
    for info in TYPES
    for figure in (FIGURES[:1] if info.type in (RegionType.FREE, RegionType.UNUSABLE) else FIGURES)
)
"""Types, their figures, and the columns of these."""

COLUMNS: tuple[Column, ...] = (
    Column("path", "text", "the file, as it was found: under the path or URL that was named"),
    Column("size", "size", "size of the file in bytes, compressed where it is"),
    Column("status", "text", "ok, partial, error or skipped"),
    Column("error", "text", "why there is no map, in one line"),
    Column("warnings", "count", "how many parts of the input were damaged or contradict each other"),
    Column("warning", "text", "the first of these warnings"),
    Column("completeness", "text", "full, map or partial: how much the input says of the address space"),
    Column("format", "text", "minidump, live (a snapshot) or vmmap"),
    Column("container", "text", "gzip, zstd or zip where the file was compressed"),
    Column("process", "text", "name of the program"),
    Column("version", "text", "version of the program's own module"),
    Column("pid", "count", "process id"),
    Column("architecture", "text", "x86, x64, arm, arm64: what the process's own code runs as"),
    Column("wow64", "flag", "a 32-bit process on 64-bit Windows"),
    Column("os", "text", "windows, linux, macos or other, and its version"),
    Column("os_build", "count", "build number of the system"),
    Column("captured_at", "time", "when the dump was written, UTC"),
    Column("exception_code", "text", "code of the exception that the dump was written for, hexadecimal"),
    Column("exception", "text", "name of that exception, signal (Linux) or Mach exception (macOS), else its code"),
    Column("verdict", "text", "what the process ran out of, if anything"),
    Column("severity", "text", "severity of the worst finding: critical, warning or info"),
    Column("critical", "count", "how many findings are critical"),
    Column("findings", "texts", "ids of the findings, the worst first"),
    Column("headline", "text", "the worst finding in words"),
    Column("sentence", "text", "the verdict in words, as `dumpmap diagnose` says it"),
    Column("total_size", "size", "Total: size, everything but free space"),
    Column("committed", "size", "Total: committed bytes"),
    Column("private", "size", "Total: private bytes"),
    *(Column(name, "size", f"{kind.label}: {_SAID[figure]}") for kind, figure, name in TYPE_COLUMNS),
    Column("largest_free", "size", "largest free block that the process could use; 0 where nothing is free"),
    Column("fragmentation", "share", "1 - largest free block / all free space; not known where nothing is free"),
    Column("threads", "count", "threads"),
    Column("heaps", "count", "heaps that could be told"),
    Column("modules", "count", "loaded modules"),
    Column("regions", "count", "regions of the address space"),
    Column("private_usage", "size", "private bytes as Windows counted them"),
    Column("working_set", "size", "working set"),
    Column("peak_working_set", "size", "highest working set so far"),
    Column("pagefile_usage", "size", "commit charge as Windows counted it"),
    Column("virtual_size", "size", "virtual size as Windows counted it"),
    Column("commit_total", "size", "bytes committed by all processes of the machine"),
    Column("commit_limit", "size", "the machine's commit limit"),
    Column("physical_total", "size", "the machine's memory"),
    Column("physical_available", "size", "of it available"),
    Column("bytes_read", "size", "bytes transferred, for a remote file"),
    Column("seconds", "seconds", "time that the analysis took"),
    Column("cached", "flag", "the result is an earlier run's"),
)
"""Every column, in the order of CSV, Parquet and the data frame."""

NAMES = tuple(column.name for column in COLUMNS)
"""Names of all columns."""

BY_NAME = {column.name: column for column in COLUMNS}


@cache
def known_values(name: str) -> tuple[str, ...]:
    """Every text that a column can hold, where these are settled; empty where it can be any, as a process's name is."""
    from dumpmap.model.region_map import Completeness
    from dumpmap.model.snapshot import Container, SourceKind

    settled: dict[str, tuple[str, ...]] = {
        "status": tuple(STATUSES),
        "completeness": get_args(Completeness),
        "format": get_args(SourceKind),
        "container": get_args(Container),
        "verdict": VERDICT_NAMES,
        "severity": SEVERITIES,
        "findings": tuple(rule.id for rule in RULES),
    }
    return settled.get(name, ())


FINDING = "finding"
"""Not a column: a file counts under each of its findings."""

GROUPABLE = (*NAMES, FINDING)
"""What rows can be grouped by."""

ROW_VERSION = 4
"""Raised whenever a row of the same columns comes to mean something else: rows of older versions are not used again."""

_EMPTY: Row = dict.fromkeys(NAMES)


def empty_row(path: str, status: Status, *, size: int | None = None, error: str | None = None) -> Row:
    """A row of which only the outcome is known."""
    row = dict(_EMPTY)
    row.update(path=path, size=size, status=status, error=error, cached=False)
    return row


def severity_rank(row: Row) -> int:
    """Where a row stands in the table, 0 first: critical, warning, info, nothing found, unreadable, skipped."""
    status = row["status"]
    if status == "skipped":
        return len(SEVERITIES) + 2
    if status == "error":
        return len(SEVERITIES) + 1
    severity = row["severity"]
    return SEVERITIES.index(severity) if severity in SEVERITIES else len(SEVERITIES)
