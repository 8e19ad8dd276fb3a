"""Open handles: HandleData."""

from __future__ import annotations

import numpy as np

from dumpmap.model.limits import HANDLES
from dumpmap.parsers.minidump import layout, records
from dumpmap.parsers.minidump.draft import Draft
from dumpmap.parsers.minidump.stream import KnownStream, StreamData


def read_handle_data(data: StreamData, draft: Draft) -> None:
    """Reads MINIDUMP_HANDLE_DATA_STREAM and counts the handles by type."""
    header_size = records.HANDLE_DATA_HEADER_SIZE
    header = records.handle_data_header(bytes(data.file.data(data.offset, header_size)))
    data.check_header_size(header.size_of_header, header_size)
    start = data.offset + header.size_of_header
    stride = header.size_of_descriptor
    entries = data.array(layout.HANDLE_DESCRIPTOR, start, header.count, most=HANDLES, stride=stride)
    draft.handle_count = len(entries)
    # A writer stores each type name once, so a handful of names is read however many handles there are.
    rvas, counts = np.unique(entries["TypeNameRva"], return_counts=True)
    for rva, count in zip(rvas.tolist(), counts.tolist(), strict=True):
        name = data.file.text(rva) or "unknown"
        draft.handle_types[name] = draft.handle_types.get(name, 0) + count


STREAMS = (
    KnownStream(
        12,
        "HandleData",
        "The open handles of the process, each with its type. dumpmap reads both versions of the descriptor.",
        "MINIDUMP_HANDLE_DATA_STREAM",
        "handle counts by type",
        read_handle_data,
    ),
)
