"""From a region map to a row of the triage table."""

from __future__ import annotations

import datetime as dt

from dumpmap.analysis.exception_names import exception_name
from dumpmap.analysis.lower_bounds import shows_part
from dumpmap.analysis.owner_totals import owner_totals
from dumpmap.analysis.process_commit import process_commit
from dumpmap.model.file_names import file_key
from dumpmap.model.region_map import RegionMap
from dumpmap.model.snapshot import Module, Snapshot
from dumpmap.model.types import RegionType
from dumpmap.triage.columns import TYPE_COLUMNS, TriageRow
from dumpmap.triage.diagnosis import diagnosis_columns
from dumpmap.triage.rows import empty_row
from dumpmap.wording.crash import crash_line

_LONGEST_TEXT = 1000

_TYPE_COLUMNS = tuple(
    (region_type, tuple((figure, name) for owner, figure, name in TYPE_COLUMNS if owner == region_type))
    for region_type in RegionType
)
"""Each type once, with its figures and their columns."""


_SPACE_VERDICTS = ("out-of-address-space", "address-space-low")
"""Where address space is what the process ran out of, an owner counts by all of it, reserved memory included."""


def row_of_map(region_map: RegionMap, path: str, size: int | None) -> TriageRow:
    """Fills a row.

    Args:
        region_map: the map of the file.
        path: the file's name in the results.
        size: the file's size in bytes.
    """
    partial = region_map.partial or region_map.snapshot.warnings
    row = empty_row(path, "partial" if partial else "ok", size=size)
    _fill_input(row, region_map)
    _fill_process(row, region_map)
    _fill_writer(row, region_map.snapshot)
    _fill_diagnosis(row, region_map)
    _fill_space(row, region_map)
    _fill_owners(row, region_map)
    _fill_counters(row, region_map)
    _check(row)
    return row


def _check(row: TriageRow) -> None:
    """Checks that every number fits its column: one that does not would cost the whole table.

    Raises:
        OverflowError: a number has more than 63 bits.
    """
    numbers = [value for value in row.values() if value.__class__ is int]
    if not numbers or -(1 << 63) <= min(numbers) <= max(numbers) < 1 << 63:
        return
    wrong = max(numbers, key=abs)
    raise OverflowError(f"{next(name for name, value in row.items() if value == wrong)} is {wrong}")


def one_line(text: str) -> str:
    """Returns a text as one line of bounded length."""
    return " ".join(text.split())[:_LONGEST_TEXT]


def _fill_input(row: TriageRow, region_map: RegionMap) -> None:
    """What the input is."""
    source = region_map.snapshot.source
    row["warnings"] = len(region_map.warnings)
    row["warning"] = one_line(region_map.warnings[0]) if region_map.warnings else None
    row["completeness"] = region_map.completeness
    row["format"] = source.kind
    row["container"] = source.container
    row["captured_at"] = _time_text(source.captured_at)


def _fill_process(row: TriageRow, region_map: RegionMap) -> None:
    """Which process it was, on which system, and its exception."""
    snapshot, process = region_map.snapshot, region_map.process
    program = _program(region_map)
    row["process"] = process.name or (snapshot.writer and snapshot.writer.executable) or None
    row["version"] = (program.version or None) if program else None
    row["pid"] = process.pid
    row["architecture"] = process.architecture
    row["wow64"] = process.wow64
    row["os"] = " ".join(filter(None, (process.os.family, process.os.version))) or None
    row["os_build"] = process.os.build
    if snapshot.exception is not None:
        row["exception_code"] = f"0x{snapshot.exception.code:08x}"
        row["exception"] = exception_name(snapshot.exception, process.os.family)
        row["exception_line"] = one_line(crash_line(region_map) or "")


def _fill_writer(row: TriageRow, snapshot: Snapshot) -> None:
    """What the writer recorded about the failure."""
    writer, said = snapshot.writer, None
    if writer is not None:
        heap = writer.heap_limit
        row["crash_type"] = one_line(writer.crash_type or "") or None
        said = writer.message or (heap and heap.location and f"{heap.runtime}: {heap.location}")
    if not said and snapshot.source.kind == "minidump":
        said = "; ".join(snapshot.comments)
    row["writer_message"] = one_line("".join(map(_shown, said or ""))) or None


def _shown(character: str) -> str:
    """Replaces a character that acts on a terminal; `one_line` makes blanks of line breaks."""
    return character if character.isprintable() or character.isspace() else "\N{REPLACEMENT CHARACTER}"


def _fill_diagnosis(row: TriageRow, region_map: RegionMap) -> None:
    """What ran out."""
    row.update(diagnosis_columns(region_map))


def _fill_space(row: TriageRow, region_map: RegionMap) -> None:
    """The summary, and what there is in the address space."""
    snapshot, total = region_map.snapshot, region_map.total
    row["lower_bound"] = shows_part(region_map)
    row["total_size"] = total.size
    row["committed"] = total.committed
    row["private"] = total.private
    for region_type, columns in _TYPE_COLUMNS:
        line = region_map.line(region_type)
        for figure, name in columns:
            row[name] = getattr(line, figure)
    row["threads"] = len(snapshot.threads) or None
    row["heaps"] = len(region_map.heaps) if region_map.heaps or region_map.heap_list_captured else None
    row["modules"] = len(snapshot.modules) or None
    row["regions"] = None if region_map.partial else len(region_map.space.regions)


def _fill_owners(row: TriageRow, region_map: RegionMap) -> None:
    """Who took the memory, by structure only."""
    totals = owner_totals(region_map)
    if totals is not None:
        row["owned_share"] = totals.owned_share
        top = totals.top("address space" if row["verdict"] in _SPACE_VERDICTS else "commit")
        if top is not None:
            row["top_owner"] = top
            row["top_owner_size"], row["top_owner_committed"] = totals.size[top], totals.committed.get(top, 0)


def _fill_counters(row: TriageRow, region_map: RegionMap) -> None:
    """What the system counted; the columns have the counters' names."""
    counters, system = region_map.counters, region_map.system
    commit = process_commit(region_map)
    if commit is not None:
        row["process_commit"], row["process_commit_source"] = commit.size, commit.source
    for name in ("private_usage", "working_set", "peak_working_set", "pagefile_usage", "virtual_size"):
        row[name] = getattr(counters, name)
    for name in ("commit_total", "commit_limit", "physical_total", "physical_available"):
        row[name] = getattr(system, name)


def _program(region_map: RegionMap) -> Module | None:
    """The module of the program itself."""
    name = (region_map.process.name or "").lower()
    return next((module for module in region_map.snapshot.modules if file_key(module.path) == name), None)


def _time_text(value: dt.datetime | None) -> str | None:
    return None if value is None else value.astimezone(dt.UTC).replace(tzinfo=None).isoformat() + "Z"
