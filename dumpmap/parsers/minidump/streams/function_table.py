"""Generated code: FunctionTable, the function tables that the program registered with Windows."""

from __future__ import annotations

import struct

from dumpmap.model.counts import count_words
from dumpmap.model.snapshot import CodeRange
from dumpmap.parsers.minidump.draft import Draft
from dumpmap.parsers.minidump.file import NotReadError
from dumpmap.parsers.minidump.stream import KnownStream, StreamData

MAX_TABLES = 1 << 16
"""Most tables that are read. A JIT compiler registers one for each of its code heaps, at most some thousands."""

_HEADER = struct.Struct("<6I")
"""MINIDUMP_FUNCTION_TABLE_STREAM: SizeOfHeader, SizeOfDescriptor, SizeOfNativeDescriptor, SizeOfFunctionEntry,
NumberOfDescriptors, SizeOfAlignPad."""

_DESCRIPTOR = struct.Struct("<3Q2I")
"""MINIDUMP_FUNCTION_TABLE_DESCRIPTOR: MinimumAddress, MaximumAddress, BaseAddress, EntryCount, SizeOfAlignPad."""

_NATIVE = struct.Struct("<32x4Q16xI")
"""DYNAMIC_FUNCTION_TABLE of a 64-bit process: MinimumAddress, MaximumAddress, BaseAddress, Callback at 0x20 to 0x38,
Type at 0x50."""

_RF_CALLBACK = 2
"""The type of a table with a callback. For the others Windows leaves in that place what the memory held before."""


def read_function_table(data: StreamData, draft: Draft) -> None:
    """Reads MINIDUMP_FUNCTION_TABLE_STREAM: a descriptor, the native one, and the entries, table by table."""
    size = min(data.size, max(0, data.file.size - data.offset))
    if size < _HEADER.size:
        raise NotReadError("malformed", f"has {size:,} bytes")
    header, descriptor, native, entry, count, pad = _HEADER.unpack(data.start(_HEADER.size))
    data.check_header_size(header, _HEADER.size)
    if descriptor < _DESCRIPTOR.size:
        raise NotReadError("malformed", f"SizeOfDescriptor is {descriptor:,}")
    position = header + pad
    impossible = 0
    for number in range(min(count, MAX_TABLES)):
        if position + descriptor + native > size:
            data.note(f"claims {count_words(count, 'entry', 'entries')}, {number:,} fit")
            count = number
            break
        place = data.offset + position
        low, high, base, entries, padding = _DESCRIPTOR.unpack(data.file.data(place, _DESCRIPTOR.size))
        if low < high:
            callback = _callback(data, place + descriptor, native, (low, high, base))
            draft.generated_code.append(CodeRange(low, high - low, callback))
        else:
            impossible += 1
        position += descriptor + native + entries * entry + padding
    if count > MAX_TABLES:
        data.note(f"claims {count_words(count, 'entry', 'entries')}; {MAX_TABLES:,} are read")
    if impossible:
        data.note(f"{impossible:,} tables cover no addresses")


def _callback(data: StreamData, place: int, size: int, known: tuple[int, int, int]) -> int | None:
    """Returns the callback in a native descriptor, if the descriptor agrees with the table that it belongs to."""
    if size < _NATIVE.size:
        return None
    *stated, callback, kind = _NATIVE.unpack(data.file.data(place, _NATIVE.size))
    return callback or None if kind == _RF_CALLBACK and tuple(stated) == known else None


STREAMS = (
    KnownStream(
        13,
        "FunctionTable",
        "Function tables that the program registered for generated code.",
        "MINIDUMP_FUNCTION_TABLE_STREAM",
        "ranges of generated code",
        read_function_table,
    ),
)
