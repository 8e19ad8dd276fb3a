"""Readers of single records: construct's declarations, compiled, and a parser of the `minidump` package.

The package reads past an end as zeros, so it must never see one: the record is cut to its exact size first.
"""

from __future__ import annotations

import io

from dumpmap.model.binary import Reader as Reader
from dumpmap.model.values import value_class

HANDLE_DATA_HEADER_SIZE = 16


@value_class(frozen=True, slots=True)
class HandleDataHeader:
    """MINIDUMP_HANDLE_DATA_STREAM."""

    size_of_header: int
    size_of_descriptor: int
    count: int


def handle_data_header(data: bytes) -> HandleDataHeader:
    """Reads MINIDUMP_HANDLE_DATA_STREAM from `HANDLE_DATA_HEADER_SIZE` bytes."""
    # The package loads some thirty modules, and few dumps list handles.
    from minidump.streams.HandleDataStream import MINIDUMP_HANDLE_DATA_STREAM

    record = MINIDUMP_HANDLE_DATA_STREAM.parse(io.BytesIO(data))
    return HandleDataHeader(record.SizeOfHeader, record.SizeOfDescriptor, record.NumberOfDescriptors)
