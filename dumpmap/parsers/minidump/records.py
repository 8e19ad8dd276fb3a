"""Readers of single records: construct's declarations, compiled, and parsers of the `minidump` package.

dumpmap uses the package only for records that it reads faithfully. It reads past an end as zeros, so it must never see
one: each record is cut to its exact size first.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

from minidump.streams.HandleDataStream import MINIDUMP_HANDLE_DATA_STREAM
from minidump.streams.MiscInfoStream import MINIDUMP_MISC_INFO

from dumpmap.model.binary import Reader as Reader

MISC_INFO_SIZE = 24
"""MINIDUMP_MISC_INFO; versions 2 to 5 begin with the same fields."""

HANDLE_DATA_HEADER_SIZE = 16


@dataclass(frozen=True, slots=True)
class MiscInfo:
    """MINIDUMP_MISC_INFO. Times are seconds; a field is None if its flag is not set."""

    size: int
    process_id: int | None
    create_time: int | None
    user_time: int | None
    kernel_time: int | None


@dataclass(frozen=True, slots=True)
class HandleDataHeader:
    """MINIDUMP_HANDLE_DATA_STREAM."""

    size_of_header: int
    size_of_descriptor: int
    count: int


def misc_info(data: bytes) -> MiscInfo:
    """Reads the part of MINIDUMP_MISC_INFO that all versions share, from `MISC_INFO_SIZE` bytes."""
    record = MINIDUMP_MISC_INFO.parse(io.BytesIO(data))
    return MiscInfo(
        size=record.SizeOfInfo,
        process_id=record.ProcessId,
        create_time=record.ProcessCreateTime,
        user_time=record.ProcessUserTime,
        kernel_time=record.ProcessKernelTime,
    )


def handle_data_header(data: bytes) -> HandleDataHeader:
    """Reads MINIDUMP_HANDLE_DATA_STREAM from `HANDLE_DATA_HEADER_SIZE` bytes."""
    record = MINIDUMP_HANDLE_DATA_STREAM.parse(io.BytesIO(data))
    return HandleDataHeader(record.SizeOfHeader, record.SizeOfDescriptor, record.NumberOfDescriptors)
