"""The columns of the triage table: the name, content, and meaning of each, stated once.

A row is a dictionary with a value for every column of `COLUMNS`, in that order; None means unknown. Rows travel between
processes and rest in files as JSON, so every value is a JSON value: a time is ISO 8601 text, an exception code is `0x`
hex text.

To add a column, add it to `COLUMNS` here and fill it in `map_row.row_of_map`.
"""

from __future__ import annotations

import difflib
from functools import cache
from typing import Any, Literal, get_args

from dumpmap.analysis.process_commit import COMMIT_SOURCES
from dumpmap.analysis.rules import RULES, SEVERITIES, VERDICT_NAMES
from dumpmap.model.types import TYPES, RegionType
from dumpmap.model.values import value_class

TriageRow = dict[str, Any]
"""The result of one file: a value for every column of `COLUMNS`."""

TriageContent = Literal["text", "texts", "size", "count", "share", "seconds", "flag", "time"]
"""What the values of a column are. `texts` is a list of texts, a size is bytes, a share is 0 to 1."""

_DTYPES: dict[TriageContent, str] = {
    "text": "string",
    "texts": "object",
    "size": "Int64",
    "count": "Int64",
    "share": "Float64",
    "seconds": "Float64",
    "flag": "boolean",
    "time": "datetime64[us, UTC]",
}

RowStatus = Literal["ok", "partial", "error", "skipped"]

STATUSES: dict[RowStatus, str] = {
    "ok": "dumpmap mapped the whole input",
    "partial": "dumpmap made a map, but the input has no region list, or part of it is unreadable",
    "error": "no map: the file is unreadable, is not a dump, or exceeded its time or memory limit",
    "skipped": "not opened: not a regular file",
}
"""Every status and what it means."""


@value_class(frozen=True, slots=True)
class TriageColumn:
    """A column of the triage table.

    Attributes:
        name: the key in a row, in JSON, and in CSV.
        holds: what its values are.
        meaning: what they mean, for the documentation.
    """

    name: str
    holds: TriageContent
    meaning: str

    @property
    def dtype(self) -> str:
        """The column's data type in a data frame; every type is nullable."""
        return _DTYPES[self.holds]


FIGURES = ("size", "committed", "private")
"""The figures of each type; free and unusable space have only a size."""

_MEANINGS = {"size": "size", "committed": "committed bytes", "private": "private bytes"}


def type_column(region_type: RegionType, figure: str) -> str:
    """Returns the name of the column with a figure of a type: `private_data_committed`."""
    return f"{region_type.label.lower().replace(' ', '_')}_{figure}"


TYPE_COLUMNS: tuple[tuple[RegionType, str, str], ...] = tuple(
    (info.type, figure, type_column(info.type, figure))
    for info in TYPES
    for figure in (FIGURES[:1] if info.type in (RegionType.FREE, RegionType.UNUSABLE) else FIGURES)
)
"""Each type, each of its figures, and the name of the column."""

COLUMNS: tuple[TriageColumn, ...] = (
    TriageColumn("path", "text", "path or URL of the file, starting with the path or URL on the command line"),
    TriageColumn("size", "size", "size of the file; if it is compressed, its compressed size"),
    TriageColumn("status", "text", "`ok`, `partial`, `error`, or `skipped`"),
    TriageColumn("error", "text", "why there is no map, in one line"),
    TriageColumn("warnings", "count", "number of damaged or contradictory parts of the input"),
    TriageColumn("warning", "text", "the first of these warnings"),
    TriageColumn("completeness", "text", "how much of the address space the input describes: `full`, `map`, `partial`"),
    TriageColumn("format", "text", "`minidump`, `live` (a JSON snapshot), or `vmmap`"),
    TriageColumn("container", "text", "compression of the file: `gzip`, `zstd`, or `zip`"),
    TriageColumn(
        "process", "text", "name of the program; the writer's word where only the writer of the dump names it"
    ),
    TriageColumn("version", "text", "file version of the program's executable"),
    TriageColumn("pid", "count", "process ID"),
    TriageColumn("architecture", "text", "architecture of the process's own code: `x86`, `x64`, `arm`, `arm64`"),
    TriageColumn("wow64", "flag", "whether it is a 32-bit process on 64-bit Windows"),
    TriageColumn("os", "text", "family of the system, such as `windows`, `linux`, or `ios`, and the version"),
    TriageColumn("os_build", "count", "build number of the operating system"),
    TriageColumn("captured_at", "time", "when the dump was written, UTC"),
    TriageColumn("exception_code", "text", "code of the exception that the dump was written for, in hex"),
    TriageColumn(
        "exception",
        "text",
        "name of that exception, signal (Linux, Android), or Mach exception (macOS, iOS), or its code",
    ),
    TriageColumn("crash_type", "text", "type of the crash in the words of the writer, such as `Assert`"),
    TriageColumn(
        "oom_size",
        "size",
        "size of the allocation that failed, as the writer or the exception recorded it, at most 2^63 - 1",
    ),
    TriageColumn("writer_message", "text", "what the writer of the file recorded about the failure, in one line"),
    TriageColumn("exception_line", "text", "the exception in one line: access, address, instruction, and thread"),
    TriageColumn("verdict", "text", "what the process ran out of, if anything"),
    TriageColumn("severity", "text", "severity of the worst finding: `critical`, `warning`, or `info`"),
    TriageColumn("critical", "count", "number of critical findings"),
    TriageColumn("findings", "texts", "IDs of the findings, the worst first"),
    TriageColumn("headline", "text", "title of the worst finding"),
    TriageColumn("sentence", "text", "the verdict in one sentence, as `dumpmap diagnose` prints it"),
    TriageColumn(
        "lower_bound",
        "flag",
        "whether the totals, the figures of types, and `largest_free` are lower bounds, because the dump shows only a "
        "part of the memory",
    ),
    TriageColumn("total_size", "size", "Total: size of everything except free space"),
    TriageColumn("committed", "size", "Total: committed bytes"),
    TriageColumn("private", "size", "Total: private bytes"),
    *(TriageColumn(name, "size", f"{owner.label}: {_MEANINGS[figure]}") for owner, figure, name in TYPE_COLUMNS),
    TriageColumn("largest_free", "size", "largest free block that the process could use; 0 if nothing is free"),
    TriageColumn(
        "largest_free_at_most",
        "size",
        "upper bound of the largest free block: of a partial map with evidence for one, or the block itself",
    ),
    TriageColumn("free_at_most", "size", "upper bound of all free space; of a complete map that space itself"),
    TriageColumn("fragmentation", "share", "1 - largest free block / all free space; unknown if nothing is free"),
    TriageColumn(
        "process_commit",
        "size",
        "what the process commits, by the best figure that the input has; known for many partial dumps",
    ),
    TriageColumn(
        "process_commit_source",
        "text",
        "source of that figure: `private-usage` or `pagefile-usage` (counters), `writer` (what the writer of the dump "
        "recorded), `private-regions` (private committed bytes of a complete list of regions, where the counters are "
        "too low), or `regions` (committed bytes of a complete list, which include images and mapped files)",
    ),
    TriageColumn(
        "top_owner",
        "text",
        "owner with the most private memory, all its instances together: by address space where the verdict is "
        "`out-of-address-space` or `address-space-low`, else by committed memory; see [owners.md](owners.md)",
    ),
    TriageColumn("top_owner_size", "size", "private address space of that owner, reserved memory included"),
    TriageColumn("top_owner_committed", "size", "committed private memory of that owner"),
    TriageColumn("owned_share", "share", "share of Private Data's committed bytes that an owner claims"),
    TriageColumn("threads", "count", "number of threads"),
    TriageColumn("heaps", "count", "number of heaps that dumpmap identified"),
    TriageColumn("modules", "count", "number of loaded modules"),
    TriageColumn("regions", "count", "number of regions in the address space"),
    TriageColumn("private_usage", "size", "private bytes, as Windows counted them"),
    TriageColumn("working_set", "size", "working set"),
    TriageColumn("peak_working_set", "size", "peak working set"),
    TriageColumn("pagefile_usage", "size", "commit charge, as Windows counted it"),
    TriageColumn("virtual_size", "size", "virtual size, as Windows counted it"),
    TriageColumn("commit_total", "size", "bytes committed by all processes on the machine"),
    TriageColumn("commit_limit", "size", "commit limit of the machine"),
    TriageColumn("physical_total", "size", "physical memory of the machine"),
    TriageColumn("physical_available", "size", "physical memory that was available"),
    TriageColumn("bytes_read", "size", "for a remote file: bytes transferred"),
    TriageColumn("seconds", "seconds", "duration of the analysis"),
    TriageColumn("cached", "flag", "whether the result comes from an earlier run"),
)
"""Every column, in the order of CSV, Parquet, and the data frame."""

NAMES = tuple(column.name for column in COLUMNS)
"""The names of all columns."""

BY_NAME = {column.name: column for column in COLUMNS}


@cache
def known_values(name: str) -> tuple[str, ...]:
    """Returns every text that a column can hold; empty for a column with free text, such as a process name."""
    from dumpmap.model.region_map import Completeness
    from dumpmap.model.snapshot import Container, SourceKind

    fixed: dict[str, tuple[str, ...]] = {
        "status": tuple(STATUSES),
        "completeness": get_args(Completeness),
        "format": get_args(SourceKind),
        "container": get_args(Container),
        "verdict": VERDICT_NAMES,
        "process_commit_source": COMMIT_SOURCES,
        "severity": SEVERITIES,
        "findings": tuple(rule.id for rule in RULES),
    }
    return fixed.get(name, ())


FINDING = "finding"
"""Not a column: `--group-by finding` counts a file under each of its findings."""

GROUPABLE = (*NAMES, FINDING)
"""What rows can be grouped by."""


def column_hint(name: str) -> str:
    """Returns what to say of a name that no column has: what it is spelled like, and where all are."""
    near = difflib.get_close_matches(name.lower(), GROUPABLE)
    meant = f"did you mean {' or '.join(near)}? " if near else ""
    return f"{meant}dumpmap explain --all lists the columns"


ROW_VERSION = 10
"""Raised whenever a value of an existing column changes its meaning: the cache then ignores older rows."""
