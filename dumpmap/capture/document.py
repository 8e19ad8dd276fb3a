"""Turns captured facts into a JSON snapshot, format `dumpmap-snapshot`, version 1 (see docs/snapshot.md)."""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Any

from dumpmap._version import __version__
from dumpmap.capture.facts import LiveFacts
from dumpmap.capture.regions import WORKING_SET_COLUMNS, RegionTable
from dumpmap.model.winnt import MemState, MemType

FORMAT = "dumpmap-snapshot"
VERSION = 1

COLUMNS = ("base", "allocation_base", "allocation_protect", "size", "state", "protect", "type", "file")

_STATES = {int(MemState.MEM_COMMIT): "commit", int(MemState.MEM_RESERVE): "reserve", int(MemState.MEM_FREE): "free"}
_TYPES = {int(MemType.MEM_PRIVATE): "private", int(MemType.MEM_MAPPED): "mapped", int(MemType.MEM_IMAGE): "image"}

_OS = ("family", "version", "build", "service_pack", "product_type")
_PROCESS = (
    "pid",
    "name",
    "path",
    "command_line",
    "architecture",
    "pointer_size",
    "wow64",
    "os",
    "created_at",
    "user_time",
    "kernel_time",
)
_SYSTEM = (
    "page_size",
    "allocation_granularity",
    "min_address",
    "max_address",
    "processors",
    "commit_limit",
    "commit_total",
    "commit_peak",
    "physical_total",
    "physical_available",
)
_COUNTERS = (
    "private_usage",
    "working_set",
    "peak_working_set",
    "private_working_set",
    "pagefile_usage",
    "peak_pagefile_usage",
    "virtual_size",
    "peak_virtual_size",
    "shared_commit_usage",
    "page_table",
    "job_private_commit_usage",
    "job_peak_private_commit_usage",
    "job_private_commit_limit",
    "job_total_commit_limit",
)
_MODULE = ("base", "size", "path", "timestamp", "checksum", "version", "debug_id", "debug_file")
_THREAD = (
    "id",
    "name",
    "teb",
    "stack_base",
    "stack_size",
    "stack_pointer",
    "instruction_pointer",
    "start_address",
    "created_at",
    "exited",
    "suspend_count",
    "teb_refused",
)
FIELDS = {
    "os": _OS,
    "process": _PROCESS,
    "system": _SYSTEM,
    "counters": _COUNTERS,
    "module": _MODULE,
    "thread": _THREAD,
}
"""Every key of the format's objects, in order. The format's declaration needs msgspec, which a bare Python lacks."""

_ADDRESSES = frozenset(
    {
        "base",
        "teb",
        "stack_base",
        "stack_pointer",
        "instruction_pointer",
        "start_address",
        "min_address",
        "max_address",
    }
)
"""Keys of addresses, which the format writes in hexadecimal."""

# The values of unknown facts whose keys must not be null.
_DEFAULTS: dict[str, Any] = {
    "exited": False,
    "teb_refused": False,
    "page_size": 0x1000,
    "allocation_granularity": 0x10000,
}
_PROCESS_DEFAULTS: dict[str, Any] = {"architecture": "unknown", "pointer_size": 8, "os": {"family": "other"}}


def make_document(facts: LiveFacts) -> dict[str, Any]:
    """Returns the snapshot document, made of values that `json.dumps` can write."""
    name = facts.process.get("name")
    pid = facts.process.get("pid")
    process = _object("process", {**_PROCESS_DEFAULTS, **facts.process})
    process["os"] = _object("os", process["os"])
    return {
        "format": FORMAT,
        "version": VERSION,
        "captured_at": _time(facts.captured_at),
        "tool": f"dumpmap {__version__}",
        "source": {"kind": "live", "name": f"{name} ({pid})" if name else str(pid)},
        "process": process,
        "system": _object("system", facts.system),
        "counters": _object("counters", facts.counters),
        "regions": _regions(facts.regions),
        "modules": [_object("module", module) for module in facts.modules],
        "unloaded_modules": [],
        "threads": [_object("thread", thread) for thread in facts.threads],
        "peb": _address(facts.peb),
        "wow64_peb": _address(facts.wow64_peb),
        "heaps": [],
        "managed_heaps": [],
        "generated_code": [],
        "exception": None,
        "handle_count": facts.handle_count,
        "handle_types": {},
        "comments": [],
        "annotations": {},
        "writer": None,
        "omitted_texts": 0,
        "recorded_summary": [],
        "pointer_owners": None,
        "warnings": facts.warnings,
        "memory": [
            {"address": _address(address), "data": base64.b64encode(data).decode("ascii")}
            for address, data in facts.memory
        ],
    }


def _object(name: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns every key of the object, with null for unknown facts."""
    plain: dict[str, Any] = {}
    for key in FIELDS[name]:
        value = values.get(key, _DEFAULTS.get(key))
        if isinstance(value, dt.datetime):
            value = _time(value)
        elif key in _ADDRESSES:
            value = _address(value)
        plain[key] = value
    return plain


def _regions(table: RegionTable) -> dict[str, Any]:
    columns = list(COLUMNS)
    if table.working_sets is not None:
        columns += WORKING_SET_COLUMNS
    return {"columns": columns, "rows": list(_rows(table))}


def _rows(table: RegionTable) -> Iterator[list[Any]]:
    unknown = (None,) * len(WORKING_SET_COLUMNS)
    for index, (row, file) in enumerate(zip(table.rows, table.files, strict=True)):
        base, allocation_base, allocation_protect, size, state, protect, memory_type = row
        values = [
            f"{base:#x}",
            f"{allocation_base:#x}",
            allocation_protect,
            size,
            _STATES.get(state, state),
            protect,
            _TYPES.get(memory_type, memory_type or None),
            file,
        ]
        if table.working_sets is not None:
            values += table.working_sets[index] or unknown
        yield values


def _address(value: int | None) -> str | None:
    return None if value is None else f"{value:#x}"


def _time(value: dt.datetime) -> str:
    return value.astimezone(dt.UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"
