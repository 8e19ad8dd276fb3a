"""The failure that the dump was written for: Exception."""

from __future__ import annotations

from dumpmap.model.snapshot import ExceptionRecord
from dumpmap.parsers.minidump import layout, records
from dumpmap.parsers.minidump.draft import Draft
from dumpmap.parsers.minidump.stream import KnownStream, StreamData
from dumpmap.parsers.minidump.streams.threads import read_context

_EXCEPTION_STREAM = records.Reader(layout.EXCEPTION_STREAM)
_MOST_PARAMETERS = 15
"""EXCEPTION_MAXIMUM_PARAMETERS."""


def read_exception(data: StreamData, draft: Draft) -> None:
    """Reads MINIDUMP_EXCEPTION_STREAM."""
    record = data.record(_EXCEPTION_STREAM)
    count = record.NumberParameters
    if count > _MOST_PARAMETERS:
        data.note(f"claims {count:,} parameters, {_MOST_PARAMETERS} fit")
        count = _MOST_PARAMETERS
    context = record.ThreadContext
    stack, instruction = read_context(data.file, draft.architecture, context.Rva, context.DataSize)
    draft.exception = ExceptionRecord(
        thread_id=record.ThreadId or None,
        code=record.ExceptionCode,
        flags=record.ExceptionFlags,
        address=record.ExceptionAddress,
        parameters=tuple(record.ExceptionInformation[:count]),
        stack_pointer=stack,
        instruction_pointer=instruction,
    )


STREAMS = (
    KnownStream(
        6,
        "Exception",
        "The exception that the dump was written for, with the thread that raised it and its context.",
        "MINIDUMP_EXCEPTION_STREAM",
        "the failure that the dump was written for",
        read_exception,
    ),
)
