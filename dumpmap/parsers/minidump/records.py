"""Readers of single records: construct's declarations, compiled, and parsers of the `minidump` package.

dumpmap uses the package only for records that it reads faithfully. It reads past an end as zeros, so it must never see
one: each record is cut to its exact size first.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from struct import Struct
from types import SimpleNamespace
from typing import Any

from minidump.streams.HandleDataStream import MINIDUMP_HANDLE_DATA_STREAM
from minidump.streams.MiscInfoStream import MINIDUMP_MISC_INFO

MISC_INFO_SIZE = 24
"""MINIDUMP_MISC_INFO; versions 2 to 5 begin with the same fields."""

HANDLE_DATA_HEADER_SIZE = 16


class Reader:
    """A construct declaration of fixed size, compiled to one `struct.Struct`.

    Construct takes 40 to 90 microseconds for a record of a minidump, this class takes two, and a small dump is mostly
    such records. It supports numbers, bytes, arrays of numbers, and nested structures.

    Attributes:
        size: size of the record in bytes.
    """

    def __init__(self, declaration: Any) -> None:
        codes: list[str] = []
        self._plan = _plan(declaration, codes)
        self._struct = Struct("<" + "".join(codes))
        self.size = self._struct.size
        if self.size != declaration.sizeof():
            raise TypeError(f"{declaration} cannot be compiled: {self.size} bytes instead of {declaration.sizeof()}")
        # Most records are flat: names and values pair up directly.
        self._names = None if any(part for _, part in self._plan) else [name for name, _ in self._plan]

    def parse(self, data: bytes | memoryview) -> Any:
        """Returns the record in `data`, which has exactly `size` bytes; its members become attributes."""
        values = self._struct.unpack(data)
        if self._names is not None:
            return SimpleNamespace(**dict(zip(self._names, values, strict=True)))
        return _assemble(self._plan, list(reversed(values)))


_Plan = list[tuple[str, Any]]
"""Member names, each with None for one value, a count for an array, or the plan of a nested structure."""


def _plan(declaration: Any, codes: list[str]) -> _Plan:
    plan: _Plan = []
    for member in declaration.subcons:
        kind = member.subcon
        if hasattr(kind, "subcons"):
            plan.append((member.name, _plan(kind, codes)))
        elif hasattr(kind, "count"):
            codes.append(f"{kind.count}{kind.subcon.fmtstr[-1]}")
            plan.append((member.name, kind.count))
        else:
            codes.append(kind.fmtstr[-1] if hasattr(kind, "fmtstr") else f"{kind.length}s")
            plan.append((member.name, None))
    return plan


def _assemble(plan: _Plan, values: list[Any]) -> SimpleNamespace:
    """Builds a record from its values, the first of them last."""
    members: dict[str, Any] = {}
    for name, part in plan:
        if part is None:
            members[name] = values.pop()
        elif isinstance(part, int):
            members[name] = [values.pop() for _ in range(part)]
        else:
            members[name] = _assemble(part, values)
    return SimpleNamespace(**members)


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
