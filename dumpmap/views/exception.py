"""The exception in JSON documents."""

from __future__ import annotations

from typing import Any

from dumpmap.analysis.crash import Crash, Target, find_crash, narrow
from dumpmap.model.heaps import Heap
from dumpmap.model.ntstatus import exception_code
from dumpmap.model.region_map import RegionMap
from dumpmap.wording.text import hex_text


def exception_document(region_map: RegionMap) -> dict[str, Any] | None:
    """Returns the `exception` part; `name` is the name of the exception, signal, or Mach exception."""
    exception, crash = region_map.snapshot.exception, find_crash(region_map)
    if exception is None or crash is None:
        return None
    known = exception_code(exception.code, region_map.process.os.family)
    address = None if exception.address is None else narrow(region_map, exception.address)
    return {
        "thread_id": exception.thread_id,
        "code": hex_text(exception.code),
        "name": None if known is None else known.name,
        "flags": exception.flags,
        "address": hex_text(address) or None,
        "parameters": [hex_text(narrow(region_map, value)) for value in exception.parameters],
        "access": crash.access,
        "target": hex_text(crash.address) or None,
        "module": crash.module,
        "module_offset": hex_text(crash.module_offset) or None,
        "thread_name": crash.thread_name,
        "stack_thread_id": crash.stack_thread_id,
        "target_region": _target_document(region_map, crash),
    }


def _target_document(region_map: RegionMap, crash: Crash) -> dict[str, Any] | None:
    """What lies at the accessed address; null if the exception has none or nothing is known of it."""
    target = crash.target
    if target is None or crash.address is None:
        return None
    used = target.state in ("committed", "reserved")
    location = region_map.at(crash.address) if used else None
    return {
        "state": target.state,
        "type": None if target.type is None else target.type.label,
        "kind": None if location is None else location.kind,
        "protection": target.protection,
        "guard": target.guard,
        "address": hex_text(target.base) or None,
        "size": target.size,
        "module": target.module,
        "thread_id": None if target.stack is None else target.stack.thread_id,
        "heap": None if target.heap is None else target.heap.title,
        "past": _past_document(target),
    }


def _past_document(target: Target) -> dict[str, Any] | None:
    """The stack or heap next to the address: `distance` counts from its end, or from the start of a stack."""
    past = target.past
    if past is None:
        return None
    return {
        "what": "heap" if isinstance(past, Heap) else "stack",
        "thread_id": None if isinstance(past, Heap) else past.thread_id,
        "heap": past.title if isinstance(past, Heap) else None,
        "distance": target.distance,
    }
