"""The writer's record of a dump: what its streams state, and what known annotations mean.

Sources of the keys: Electron, shell/common/v8_util.cc and shell/browser/javascript_environment.cc; Chromium,
base/allocator/partition_allocator and components/crash/core/common; Mozilla, CrashAnnotations.yaml.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from dumpmap.model.writer import Annotation, HeapLimitRecord, WriterRecord
from dumpmap.parsers.minidump.draft import Draft
from dumpmap.parsers.minidump.streams.comments import states_failure
from dumpmap.parsers.minidump.texts import flag, number, positive, seconds

_T = TypeVar("_T")

_FIGURES = (
    "page-allocator-mapped-size",
    "total-discardable-memory-allocated",
    "AvailableVirtualMemory",
    "AvailablePageFile",
    "AvailablePhysicalMemory",
    "TotalVirtualMemory",
    "TotalPhysicalMemory",
    "TotalPageFile",
    "LargestFreeVMBlock",
)
"""Annotations that are sizes in bytes: Chromium's, then Mozilla's."""

_REQUESTS = ("oom-size", "OOMAllocationSize")
"""Sizes of failed allocations. Chromium sets 0 after V8 ran out of memory: the size is not known then."""

_GAVE_UP = "page-allocator-mapped-size"
"""Set where PartitionAlloc gives up (Blink's partitions.cc, HandleOutOfMemory), and nowhere else."""

_REASON = "MozCrashReason"
_OUT_OF_MEMORY = re.compile(r"\bout of memory\b|\[unhandlable oom\]", re.IGNORECASE)
"""What Mozilla's crash reasons say when an allocation failed."""

_MANAGED_OOM = "System.OutOfMemoryException"

_PRODUCT = ("prod", "_productName", "ProductName")
_VERSION = ("ver", "_version", "Version")
_PROCESS_TYPE = ("ptype", "process_type", "VSCODE_CRASH_REPORTER_PROCESS_TYPE", "ProcessType")

_V8 = (("electron.v8-oom.location", "electron.v8-oom.detail"), ("v8-oom-location", "v8-oom-detail"))
"""Keys of where V8 gave up and of what it said: Electron's, and those of Blink in Chrome, WebView2, and CEF."""

_V8_HEAP = "electron.v8-oom.heap."
_V8_IS_HEAP_OOM = "electron.v8-oom.is_heap_oom"


def writer_record(draft: Draft) -> WriterRecord:
    """Makes the record of a dump whose streams state anything about the failure."""
    values = _by_name(draft.noted)
    record = draft.writer or _bare_record(draft)
    heap_limit = _heap_limit(values)
    requested = _first(values, _REQUESTS, positive)
    out_of_memory = record.out_of_memory
    if requested is not None or (heap_limit is not None and (heap_limit.location or heap_limit.is_oom)):
        out_of_memory = True
    if positive(values.get(_GAVE_UP)) or _OUT_OF_MEMORY.search(values.get(_REASON, "")):
        out_of_memory = True
    if states_failure(draft.comments):
        out_of_memory = True
    memory = {name: value for name in _FIGURES if (value := positive(values.get(name))) is not None}
    return replace(
        record,
        message=record.message or values.get(_REASON) or None,
        out_of_memory=out_of_memory,
        requested=record.requested or requested,
        memory={**memory, **record.memory},
        heap_limit=heap_limit,
        product=record.product or _first(values, _PRODUCT, _text),
        version=record.version or _first(values, _VERSION, _text),
        process_type=_first(values, _PROCESS_TYPE, _text),
        uptime=record.uptime if record.uptime is not None else seconds(values.get("UptimeTS")),
        annotations=(*record.annotations, *draft.noted),
        soft_errors=tuple(draft.soft_errors),
    )


def _bare_record(draft: Draft) -> WriterRecord:
    """Makes the record of a dump in which no stream is a record of its own."""
    if draft.noted:
        return WriterRecord(writer="Crashpad", source="CrashpadInfo")
    if draft.soft_errors:
        return WriterRecord(writer="Mozilla minidump-writer", source="MozSoftErrors")
    return WriterRecord(writer="ProcDump", source="comment", crash_type=_MANAGED_OOM)


def _by_name(annotations: Sequence[Annotation]) -> dict[str, str]:
    """Returns the first value that is not empty of each name: the client's own come before those of modules."""
    values: dict[str, str] = {}
    for annotation in annotations:
        if annotation.name and annotation.value:
            values.setdefault(annotation.name, annotation.value)
    return values


def _first(values: Mapping[str, str], names: Sequence[str], read: Callable[[str | None], _T | None]) -> _T | None:
    return next((value for name in names if (value := read(values.get(name))) is not None), None)


def _text(text: str | None) -> str | None:
    return (text or "")[:256] or None


def _heap_limit(values: Mapping[str, str]) -> HeapLimitRecord | None:
    """Reads what V8 said when it ran out of memory."""
    location_key, detail_key = next((keys for keys in _V8 if keys[0] in values), _V8[0])
    figures = {
        field: number(values.get(_V8_HEAP + name))
        for field, name in (("used", "used"), ("total", "total"), ("limit", "limit"), ("available", "total_available"))
    }
    if not figures["limit"]:
        # No heap has the limit 0: the writer did not fill in its figures.
        figures = {name: value or None for name, value in figures.items()}
    is_oom, location = flag(values.get(_V8_IS_HEAP_OOM)), values.get(location_key)
    if location is None and is_oom is None and all(value is None for value in figures.values()):
        return None
    family = "electron.v8-oom.*" if location_key.startswith("electron.") else location_key
    return HeapLimitRecord(
        runtime="V8",
        source=f"CrashpadInfo, {family}",
        is_oom=is_oom,
        location=location,
        detail=values.get(detail_key),
        **figures,
    )
