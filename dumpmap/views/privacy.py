"""What `info --privacy` shows: the personal data that a file holds, and what removes it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dumpmap.model.personal import names_in
from dumpmap.model.region_map import RegionMap
from dumpmap.views.blocks import Block, Paragraph
from dumpmap.views.documents import head
from dumpmap.views.table import Column, Table, to_records

PRIVACY_COLUMNS = (
    Column("data"),
    Column("count", "count"),
    Column("example", prose=True),
    Column("snapshot", heading="In a snapshot", prose=True),
    Column("redact", "flag", heading="Removed by --redact"),
)

_ENVIRONMENT = 0x47670007
"""LinuxEnviron, a stream that dumpmap only lists."""

_LONGEST = 60


def privacy_table(region_map: RegionMap) -> Table:
    """Returns a row for each sort of personal data that the file holds."""
    snapshot, process = region_map.snapshot, region_map.process
    names = names_in(snapshot, (process.path, process.command_line))
    held = snapshot.memory.held()
    annotations = snapshot.writer.annotations if snapshot.writer is not None else ()
    environment = [stream for stream in snapshot.source.streams if stream.type == _ENVIRONMENT and stream.size]
    rows: list[tuple[str, int, str | None, str, bool]] = [
        ("user names in paths", len(names.users), _first(names.users), "yes", True),
        ("machine names in paths", len(names.machines), _first(names.machines), "yes", True),
        ("command line", int(bool(process.command_line)), _short(process.command_line), "with --command-line", True),
        ("comments", len(snapshot.comments), _first(snapshot.comments), "with --keep-text", True),
        (
            "annotations and texts of the crash reporter",
            len(annotations) or len(snapshot.annotations),
            _first([one.name for one in annotations] or list(snapshot.annotations)),
            "numbers, known words, short names; all with --keep-text",
            True,
        ),
        ("names of threads", sum(1 for thread in snapshot.threads if thread.name), None, "yes", False),
        ("environment of the process, as a stream", len(environment), None, "no", True),
        ("bytes of process memory, which can hold anything", held, None, "only headers and heap structures", False),
        ("path of the file", int(bool(snapshot.source.path)), _short(snapshot.source.path), "yes", True),
    ]
    return Table(PRIVACY_COLUMNS, [row for row in rows if row[1]])


def _first(texts: Any) -> str | None:
    return _short(texts[0]) if texts else None


def _short(text: str | None) -> str | None:
    return text if text is None or len(text) <= _LONGEST else text[:_LONGEST] + "..."


def privacy_document(region_map: RegionMap) -> dict[str, Any]:
    """Returns `dumpmap.privacy/1`."""
    return {**head("dumpmap.privacy/1", region_map), "personal_data": to_records(privacy_table(region_map))}


def privacy_view(region_map: RegionMap) -> Iterator[Block]:
    """Yields everything that `info --privacy` shows to people."""
    table = privacy_table(region_map)
    if not table.rows:
        yield Paragraph("The file holds none of the personal data that dumpmap knows.")
        return
    yield table
