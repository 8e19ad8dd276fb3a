"""The parts that JSON documents share.

JSON is the contract that scripts rely on: addresses are hex strings, sizes are bytes, and unknown values are null.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from dumpmap.model.region_map import RegionMap
from dumpmap.model.snapshot import Process, Source
from dumpmap.wording.text import hex_text

if TYPE_CHECKING:
    from dumpmap.wording.findings import Finding


def time_text(value: dt.datetime | None) -> str | None:
    """Returns a time as ISO 8601 text that ends in Z."""
    return None if value is None else value.astimezone(dt.UTC).replace(tzinfo=None).isoformat() + "Z"


def moment_text(value: dt.datetime | None) -> str | None:
    """Returns a time as ISO 8601 text, to the second."""
    return None if value is None else time_text(value.replace(microsecond=0))


def source_document(source: Source) -> dict[str, Any]:
    """Returns the `source` part of a document."""
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
    """Returns the `process` part of a document."""
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
            "product_type": process.os.product_type,
        },
        "created_at": time_text(process.created_at),
    }


def finding_document(finding: Finding) -> dict[str, Any]:
    """Returns a finding."""
    return {
        "id": finding.id,
        "severity": finding.severity,
        "title": finding.title,
        "detail": finding.detail,
        "values": finding.values,
    }


def head(schema: str, region_map: RegionMap) -> dict[str, Any]:
    """Returns the members that every document of one map begins with."""
    return {
        "schema": schema,
        "source": source_document(region_map.snapshot.source),
        "process": process_document(region_map.process),
        "completeness": region_map.completeness,
        "warnings": list(region_map.warnings),
        "notes": list(region_map.notes),
    }
