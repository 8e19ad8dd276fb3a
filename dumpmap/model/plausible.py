"""The guard where numbers of a file enter the model: what no process can have is left out, with a warning.

Each format stores numbers of up to 64 bits, and a file can contain any. Behind this guard, sizes and sums fit a signed
64-bit number, which data frames, Parquet, and the report need.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from itertools import starmap
from operator import add, attrgetter
from typing import Any, TypeVar

from dumpmap.model.snapshot import Counters, OperatingSystem, Process, RecordedHeap, Snapshot, System
from dumpmap.model.writer import WriterRecord

LIMIT = 1 << 63
"""No processor has user addresses from here on, and no machine that many bytes."""

_Facts = TypeVar("_Facts", Counters, System, Process, OperatingSystem)

_DEFAULTS: Mapping[type, Mapping[str, Any]] = {
    facts: {
        field.name: field.default
        for field in fields(facts)
        if str(field.type).startswith("int") and not field.name.endswith("_address")
    }
    for facts in (Counters, System, Process, OperatingSystem)
}
"""The whole numbers of each record that are no addresses, with their defaults."""

_FIGURES: Mapping[type, Callable[[object], tuple[int | None, ...]]] = {
    facts: attrgetter(*defaults, min(defaults)) for facts, defaults in _DEFAULTS.items()
}
"""What gets all of them; one of them twice, because Python returns a single one without a tuple."""


def guarded(snapshot: Snapshot) -> Snapshot:
    """Returns a snapshot without impossible counters and ranges."""
    warnings: list[str] = []
    counters = _figures(snapshot.counters, "counters", warnings)
    system = _figures(snapshot.system, "system", warnings)
    process = _figures(snapshot.process, "process", warnings)
    os = _figures(process.os, "operating system", warnings)
    process = process if os is process.os else replace(process, os=os)
    writer = snapshot.writer and _writer(snapshot.writer, warnings)
    heaps = _heaps(snapshot.heaps, "heap", warnings)
    managed = _heaps(snapshot.managed_heaps, "managed-heap", warnings)
    captured = snapshot.captured
    if max(starmap(add, captured), default=0) >= LIMIT:  # there can be 60,000
        captured = tuple(part for part in captured if sum(part) < LIMIT)
        warnings.append(_left_out(len(snapshot.captured) - len(captured), "captured"))
    handles = snapshot.handle_types
    if any(count >= LIMIT for count in handles.values()) or (snapshot.handle_count or 0) >= LIMIT:
        warnings.append("the number of handles is impossible and left out")
        handles = {}
    if not warnings:
        return snapshot
    return replace(
        snapshot,
        counters=counters,
        system=system,
        process=process,
        writer=writer,
        heaps=heaps,
        managed_heaps=managed,
        captured=captured,
        handle_types=handles,
        handle_count=snapshot.handle_count if handles is snapshot.handle_types else None,
        warnings=(*snapshot.warnings, *warnings),
    )


def _figures(facts: _Facts, name: str, warnings: list[str]) -> _Facts:
    """Leaves out figures that no machine can have."""
    defaults = _DEFAULTS[type(facts)]
    if max(filter(None, _FIGURES[type(facts)](facts)), default=0) < LIMIT:
        return facts
    wrong = {figure: default for figure, default in defaults.items() if (getattr(facts, figure) or 0) >= LIMIT}
    warnings.append(f"{name}: impossible and left out: {', '.join(wrong)}")
    return replace(facts, **wrong)


def _writer(record: WriterRecord, warnings: list[str]) -> WriterRecord:
    """Leaves out memory figures that no machine can have; the size of a failed request can be a negative number."""
    wrong = [name for name, value in record.memory.items() if value >= LIMIT]
    if not wrong:
        return record
    warnings.append(f"memory figures of the writer: impossible and left out: {', '.join(wrong)}")
    return replace(record, memory={name: value for name, value in record.memory.items() if value < LIMIT})


def _heaps(heaps: Sequence[RecordedHeap], name: str, warnings: list[str]) -> tuple[RecordedHeap, ...]:
    """Leaves out ranges of heaps that lie outside any address space."""
    kept, lost = [], 0
    for heap in heaps:
        ranges = tuple(part for part in heap.ranges if part.base + part.size < LIMIT)
        lost += len(heap.ranges) - len(ranges)
        kept.append(heap if len(ranges) == len(heap.ranges) else replace(heap, ranges=ranges))
    if lost:
        warnings.append(_left_out(lost, name))
    return tuple(kept)


def _left_out(count: int, name: str) -> str:
    ranges = f"1 {name} range lies" if count == 1 else f"{count:,} {name} ranges lie"
    return f"{ranges} outside any address space, left out"
