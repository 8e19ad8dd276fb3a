"""Chromium's stability report: a protobuf message in stream 0x4B6B0002 of dumps that Chromium and Electron write.

It holds what the crash handler measured at the crash: the commit limit of the system and what was left of it, the
private commit of the process, and the size of the allocation that failed. In the message, all sizes but the last are
in pages of 4 KB; here they are in bytes.

Only the fields below are read, by their numbers in components/stability_report/stability_report.proto of Chromium;
all others are skipped. The wire format is protobuf's: a varint key (field number and wire type), then the value.

- StabilityReport: 2 process_states (repeated ProcessState), 7 system_memory_state (SystemMemoryState)
- ProcessState: 3 process_id, 4 memory_state; MemoryState: 1 windows_memory
- ProcessState.MemoryState.WindowsMemory: 1 process_private_usage, 2 process_peak_workingset_size,
  3 process_peak_pagefile_usage (pages), 4 process_allocation_attempt (bytes)
- SystemMemoryState: 1 windows_memory; SystemMemoryState.WindowsMemory: 1 system_commit_limit,
  2 system_commit_remaining (pages), 3 system_handle_count
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from dumpmap.model.values import value_class
from dumpmap.parsers.minidump.draft import Draft
from dumpmap.parsers.minidump.stream import KnownStream, StreamData

PAGE = 4096
"""The unit of all sizes in the message except the allocation attempt, on every machine."""

MAX_FIELDS = 100_000
"""Most fields that are read of a message. A report has a few dozen; old ones that list modules have some thousands."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


@value_class(frozen=True, slots=True)
class ProcessReport:
    """One process of the report. Sizes are bytes; None means that the message has no such field.

    Attributes:
        process_id: the process.
        private_usage: its private commit.
        peak_working_set: its largest working set.
        peak_pagefile_usage: its largest commit.
        allocation_attempt: size of the allocation that failed. Chromium cuts a larger one to 4 GB - 1.
    """

    process_id: int | None = None
    private_usage: int | None = None
    peak_working_set: int | None = None
    peak_pagefile_usage: int | None = None
    allocation_attempt: int | None = None


@value_class(frozen=True, slots=True)
class StabilityReport:
    """What the report says about memory. Sizes are bytes; None means that the message has no such field.

    Attributes:
        commit_limit: the commit limit of the system.
        commit_remaining: what was left of it.
        handle_count: open handles in the system.
        processes: the processes in the report. Current versions of Chromium report only the one that crashed.
        problem: why a part of the report could not be read.
    """

    commit_limit: int | None = None
    commit_remaining: int | None = None
    handle_count: int | None = None
    processes: tuple[ProcessReport, ...] = ()
    problem: str | None = None

    @property
    def commit_total(self) -> int | None:
        """The commit charge of the system."""
        if self.commit_limit is None or self.commit_remaining is None:
            return None
        return self.commit_limit - self.commit_remaining

    def process(self, process_id: int | None) -> ProcessReport | None:
        """Returns the report of one process. Without an ID it returns the only report, if there is only one."""
        found = [one for one in self.processes if one.process_id == process_id]
        if found:
            return found[0]
        return self.processes[0] if len(self.processes) == 1 and process_id is None else None


class _DamagedError(Exception):
    """The message does not follow the wire format. Never leaves this module."""


class _Reader:
    """Walks messages with one budget of fields."""

    def __init__(self) -> None:
        self._left = MAX_FIELDS
        self.problem: str | None = None

    def fields(self, data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
        """Yields (number, value) of every field of one message, without those of fixed width.

        A damaged message ends at the damage.
        """
        try:
            yield from self._fields(data)
        except _DamagedError as error:
            self.problem = str(error)

    def _fields(self, data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
        position = 0
        while position < len(data):
            self._left -= 1
            if self._left < 0:
                raise _DamagedError(f"more than {MAX_FIELDS:,} fields")
            key, position = _varint(data, position)
            number, wire = key >> 3, key & 7
            if wire == _VARINT:
                value, position = _varint(data, position)
                yield number, value
            elif wire == _BYTES:
                size, position = _varint(data, position)
                if size > len(data) - position:
                    left = len(data) - position
                    raise _DamagedError(f"field {number} claims {size:,} bytes, but only {left:,} are left")
                yield number, data[position : position + size]
                position += size
            elif wire in (_FIXED64, _FIXED32):
                position += 8 if wire == _FIXED64 else 4
                if position > len(data):
                    raise _DamagedError(f"field {number} is cut off")
            else:
                raise _DamagedError(f"field {number} has wire type {wire}")

    def numbers(self, data: memoryview) -> dict[int, int]:
        """Returns the integer fields of a message, by number. The last value of a repeated field counts."""
        return {number: value for number, value in self.fields(data) if isinstance(value, int)}

    def messages(self, data: memoryview, wanted: int) -> list[memoryview]:
        """Returns the values of the field `wanted` that are messages themselves."""
        return [value for number, value in self.fields(data) if number == wanted and not isinstance(value, int)]


def _varint(data: memoryview, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(data):
            raise _DamagedError("a number is cut off")
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, position
    raise _DamagedError("a number has more than 64 bits")


def read_stability_report(data: bytes | memoryview) -> StabilityReport:
    """Reads a stability report.

    Args:
        data: the stream's bytes.

    Returns:
        what could be read; `problem` says why the rest could not.
    """
    reader = _Reader()
    view = memoryview(data)
    top = [(number, value) for number, value in reader.fields(view) if not isinstance(value, int)]
    system: dict[int, int] = {}
    processes = []
    for number, message in top:
        if number == 2:
            processes.append(_process(reader, message))
        elif number == 7:
            for memory in reader.messages(message, 1):
                system.update(reader.numbers(memory))
    return StabilityReport(
        commit_limit=_pages(system.get(1)),
        commit_remaining=_pages(system.get(2)),
        handle_count=system.get(3),
        processes=tuple(processes),
        problem=reader.problem,
    )


def _process(reader: _Reader, data: memoryview) -> ProcessReport:
    process_id = reader.numbers(data).get(3)
    memory: dict[int, int] = {}
    for state in reader.messages(data, 4):
        for windows in reader.messages(state, 1):
            memory.update(reader.numbers(windows))
    return ProcessReport(
        process_id=process_id,
        private_usage=_pages(memory.get(1)),
        peak_working_set=_pages(memory.get(2)),
        peak_pagefile_usage=_pages(memory.get(3)),
        allocation_attempt=memory.get(4),
    )


def _pages(count: int | None) -> int | None:
    # The field is 32 bits wide; a larger number is damage.
    return None if count is None or count >= 1 << 32 else count * PAGE


def read_stability_report_stream(data: StreamData, draft: Draft) -> None:
    """Takes Chromium's own figures where the streams of Windows itself have none."""
    report = read_stability_report(bytes(data.file.data(data.offset, data.size)))
    if draft.system.commit_limit is None and report.commit_total is not None:
        draft.system = replace(draft.system, commit_limit=report.commit_limit, commit_total=report.commit_total)
    process = report.process(draft.pid)
    if process is not None:
        if draft.counters.private_usage is None:
            draft.counters = replace(draft.counters, private_usage=process.private_usage)
        if process.allocation_attempt:
            draft.annotations["process_allocation_attempt"] = str(process.allocation_attempt)
    if report.problem is not None:
        data.note(report.problem)


STREAMS = (
    KnownStream(
        0x4B6B0002,
        "ChromiumStabilityReport",
        "What the crash handler of Chromium or Electron measured at the crash, as a protobuf message.",
        "Chromium, components/stability_report/stability_report.proto",
        "commit charge and limit, private usage, the size of the allocation that failed",
        read_stability_report_stream,
    ),
)
