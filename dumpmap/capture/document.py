"""Turns what was captured into a JSON snapshot, format `dumpmap-snapshot`, version 1 (see docs/snapshot.md)."""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Iterator
from typing import Any

from dumpmap._version import __version__
from dumpmap.capture.facts import Facts
from dumpmap.capture.regions import WORKING_SET_COLUMNS, RegionTable
from dumpmap.winnt import MemState, MemType

FORMAT = "dumpmap-snapshot"
VERSION = 1

COLUMNS = ("base", "allocation_base", "allocation_protect", "size", "state", "protect", "type", "file")

_STATES = {int(MemState.MEM_COMMIT): "commit", int(MemState.MEM_RESERVE): "reserve", int(MemState.MEM_FREE): "free"}
_TYPES = {int(MemType.MEM_PRIVATE): "private", int(MemType.MEM_MAPPED): "mapped", int(MemType.MEM_IMAGE): "image"}

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
"""Keys whose numbers are addresses, which the format writes in hexadecimal."""


def make_document(facts: Facts) -> dict[str, Any]:
    """Returns the snapshot document: only what `json.dumps` can write."""
    name = facts.process.get("name")
    pid = facts.process.get("pid")
    return {
        "format": FORMAT,
        "version": VERSION,
        "captured_at": _time(facts.captured_at),
        "tool": f"dumpmap {__version__}",
        "source": {"kind": "live", "name": f"{name} ({pid})" if name else str(pid)},
        "process": _plain(facts.process),
        "system": _plain(facts.system),
        "counters": _plain(facts.counters),
        "regions": _regions(facts.regions),
        "modules": [_plain(module) for module in facts.modules],
        "threads": [_plain(thread) for thread in facts.threads],
        "peb": _address(facts.peb),
        "wow64_peb": _address(facts.wow64_peb),
        "handle_count": facts.handle_count,
        "heaps": [],
        "managed_heaps": [],
        "exception": None,
        "warnings": facts.warnings,
        "memory": [
            {"address": _address(address), "data": base64.b64encode(data).decode("ascii")}
            for address, data in facts.memory
        ],
    }


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            plain[key] = _plain(value)
        elif isinstance(value, dt.datetime):
            plain[key] = _time(value)
        elif key in _ADDRESSES:
            plain[key] = _address(value)
        else:
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
        base, allocation_base, allocation_protect, size, state, protect, kind = row
        values = [
            f"{base:#x}",
            f"{allocation_base:#x}",
            allocation_protect,
            size,
            _STATES.get(state, state),
            protect,
            _TYPES.get(kind, kind or None),
            file,
        ]
        if table.working_sets is not None:
            values += table.working_sets[index] or unknown
        yield values


def _address(value: int | None) -> str | None:
    return None if value is None else f"{value:#x}"


def _time(value: dt.datetime) -> str:
    return value.astimezone(dt.UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"
