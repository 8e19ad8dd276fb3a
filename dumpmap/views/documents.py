"""The JSON documents: the contract that scripts rely on. Addresses are hex strings, sizes bytes, unknown is null."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from dumpmap.analysis.measurements import measurements_of
from dumpmap.model.location import Location
from dumpmap.model.ntstatus import exception_code
from dumpmap.model.region_map import RegionMap
from dumpmap.model.snapshot import Process, Source
from dumpmap.model.summary import SummaryLine
from dumpmap.wording.text import hex_text

if TYPE_CHECKING:
    from dumpmap.wording.findings import Finding


def time_text(value: dt.datetime | None) -> str | None:
    """A time as ISO 8601 with a Z."""
    return None if value is None else value.astimezone(dt.UTC).replace(tzinfo=None).isoformat() + "Z"


def moment_text(value: dt.datetime | None) -> str | None:
    """The same for people, who do not read microseconds."""
    return None if value is None else time_text(value.replace(microsecond=0))


def source_document(source: Source) -> dict[str, Any]:
    """The `source` part of every document."""
    return {
        "path": source.path,
        "name": source.name,
        "kind": source.kind,
        "size": source.size,
        "container": source.container,
        "captured_at": time_text(source.captured_at),
        "flags": None if source.flags is None else hex_text(source.flags),
        "streams": [stream.name for stream in source.streams],
    }


def process_document(process: Process) -> dict[str, Any]:
    """The `process` part of every document."""
    return {
        "pid": process.pid,
        "name": process.name,
        "path": process.path,
        "command_line": process.command_line,
        "architecture": process.architecture,
        "pointer_size": process.pointer_size,
        "wow64": process.wow64,
        "os": {
            "family": process.os.family,
            "version": process.os.version,
            "build": process.os.build,
            "service_pack": process.os.service_pack,
        },
        "created_at": time_text(process.created_at),
    }


def exception_document(region_map: RegionMap) -> dict[str, Any] | None:
    """The `exception` part; `name` is that of the exception, signal or Mach exception."""
    exception = region_map.snapshot.exception
    if exception is None:
        return None
    known = exception_code(exception.code, region_map.process.os.family)
    return {
        "thread_id": exception.thread_id,
        "code": hex_text(exception.code),
        "name": None if known is None else known.name,
        "flags": exception.flags,
        "address": hex_text(exception.address) or None,
        "parameters": [hex_text(value) for value in exception.parameters],
    }


def type_document(line: SummaryLine) -> dict[str, Any]:
    """One row of the summary."""
    return {"type": line.name, **line.values()}


def finding_document(finding: Finding) -> dict[str, Any]:
    """One finding."""
    return {
        "id": finding.id,
        "severity": finding.severity,
        "title": finding.title,
        "detail": finding.detail,
        "values": finding.values,
    }


def head(schema: str, region_map: RegionMap) -> dict[str, Any]:
    """What every document of one map begins with."""
    return {
        "schema": schema,
        "source": source_document(region_map.snapshot.source),
        "process": process_document(region_map.process),
        "completeness": region_map.completeness,
        "warnings": list(region_map.warnings),
        "notes": list(region_map.notes),
    }


def summary_document(region_map: RegionMap, findings: Iterable[Finding]) -> dict[str, Any]:
    """`dumpmap.summary/1`."""
    space = measurements_of(region_map).free
    free = None if space is None else space.largest
    total = region_map.total.values()
    del total["largest"]
    return {
        **head("dumpmap.summary/1", region_map),
        "address_space": None if region_map.end is None else {"start": "0x0", "end": hex_text(region_map.end)},
        "total": total,
        "types": [type_document(line) for line in region_map.summary_lines[1:]],
        "largest_free_block": None if free is None else {"address": hex_text(free.address), "size": free.size},
        "counters": dataclasses.asdict(region_map.counters),
        "system": {
            name: hex_text(value) if name.endswith("_address") and value is not None else value
            for name, value in dataclasses.asdict(region_map.system).items()
        },
        "exception": exception_document(region_map),
        "findings": [finding_document(finding) for finding in findings],
    }


def location_document(location: Location) -> dict[str, Any]:
    """One answer of `address`."""
    document = dataclasses.asdict(location)
    for name in ("address", "allocation", "block"):
        document[name] = hex_text(document[name])
    document["type"] = location.type.label
    return document
