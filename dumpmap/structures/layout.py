"""Declares structures in process memory as tables of fields, and reads single fields of them fast.

A walk over a heap reads a few fields of each of thousands of segments. A `Part` therefore reads only the run of bytes
that holds these fields, compiled by `dumpmap.model.binary`. This is the one module of the room that imports construct,
which has no type annotations.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import construct

from dumpmap.model.binary import code_of, compile_fields
from dumpmap.model.memory import Readable

FieldType = Any
"""A construct field of fixed size, or `POINTER`."""

POINTER: FieldType = "POINTER"
"""An unsigned integer as wide as the process's pointers."""

U8: FieldType = construct.Int8ul
U16: FieldType = construct.Int16ul
U32: FieldType = construct.Int32ul
I32: FieldType = construct.Int32sl
U64: FieldType = construct.Int64ul

Row = tuple[str, FieldType, int | None, int | None]
"""Field name, type, offset in a 32-bit process, offset in a 64-bit process. None: that width lacks the field."""

_POINTERS: dict[int, FieldType] = {4: U32, 8: U64}


class Part:
    """The shortest run of bytes of a structure that holds some fields, and a reader for them.

    Attributes:
        names: the fields, in the order of the request.
        offset: where the run starts, in bytes from the start of the structure.
        size: bytes in the run.
    """

    __slots__ = ("_order", "_unpack", "names", "offset", "size")

    def __init__(self, names: tuple[str, ...], fields: list[tuple[int, int, str]]) -> None:
        """`fields` holds offset, size, and `struct` format of each name."""
        self.names = names
        self.offset = min(offset for offset, _, _ in fields)
        self.size = max(offset + size for offset, size, _ in fields) - self.offset
        unpacker = compile_fields(fields, self.offset)
        assert unpacker.size == self.size, f"{names}: {unpacker.size} != {self.size}"  # noqa: S101
        self._unpack = unpacker.unpack_from
        ranks = sorted(range(len(fields)), key=lambda index: fields[index])
        self._order = None if ranks == list(range(len(ranks))) else [ranks.index(index) for index in range(len(ranks))]

    def unpack(self, data: bytes, position: int = 0) -> tuple[int, ...]:
        """Returns the fields of the run that starts at `position` in `data`, in the order of `names`."""
        values = self._unpack(data, position)
        return values if self._order is None else tuple(values[index] for index in self._order)

    def read(self, memory: Readable, address: int) -> tuple[int, ...] | None:
        """Returns the fields of the structure at `address`, or None where the run is not in the memory."""
        data = memory.read(address + self.offset, self.size)
        if data is None:
            return None
        return self._unpack(data) if self._order is None else self.unpack(data)

    def values(self, memory: Readable, address: int) -> dict[str, int]:
        """Returns the fields by name; empty where the run is not in the memory."""
        fields = self.read(memory, address)
        return {} if fields is None else dict(zip(self.names, fields, strict=True))


class Layout:
    """One structure at one pointer size.

    Attributes:
        name: Microsoft's name.
        size: bytes of the structure.
        pointer_size: 4 or 8.
        offsets: byte offset of every field.
    """

    def __init__(self, name: str, size: int, pointer_size: int, rows: list[tuple[str, FieldType, int]]) -> None:
        """`rows` holds name, type, and offset of every field."""
        self.name = name
        self.size = size
        self.pointer_size = pointer_size
        self.offsets = {field: offset for field, _, offset in rows}
        self._types = {field: _POINTERS[pointer_size] if kind is POINTER else kind for field, kind, _ in rows}
        self._parts: dict[tuple[str, ...], Part] = {}

    @cached_property
    def declaration(self) -> Any:
        """The structure as a `construct.Struct`, for building and for inspecting whole records.

        Raises:
            ValueError: two fields overlap, or a field lies outside the structure.
        """
        members, position = [], 0
        for field, offset in sorted(self.offsets.items(), key=lambda item: item[1]):
            if offset < position:
                raise ValueError(f"{self.name}.{field} at {offset:#x} overlaps the field before it")
            if offset > position:
                members.append(construct.Padding(offset - position))
            members.append(field / self._types[field])
            position = offset + self._types[field].sizeof()
        if position > self.size:
            raise ValueError(f"{self.name} ends at {position:#x}, after its size {self.size:#x}")
        if self.size > position:
            members.append(construct.Padding(self.size - position))
        return construct.Struct(*members)

    def part(self, *names: str) -> Part:
        """Returns the reader of the shortest run of bytes that holds the fields `names`."""
        part = self._parts.get(names)
        if part is None:
            fields = [self._types[name] for name in names]
            part = self._parts[names] = Part(
                names,
                [
                    (self.offsets[name], field.sizeof(), code_of(field))
                    for name, field in zip(names, fields, strict=True)
                ],
            )
        return part


def declare(name: str, sizes: Mapping[int, int], *rows: Row) -> dict[int, Layout]:
    """Declares a structure for every pointer size in `sizes`, which maps it to the size of the structure in bytes."""
    column = {4: 2, 8: 3}
    layouts = {}
    for pointer_size, size in sizes.items():
        present = []
        for row in rows:
            offset = row[column[pointer_size]]
            if isinstance(offset, int):
                present.append((row[0], row[1], offset))
        layouts[pointer_size] = Layout(name, size, pointer_size, present)
    return layouts


def parts(layouts: Mapping[int, Layout], *names: str) -> dict[int, Part]:
    """Returns readers of one set of fields, by pointer size, for the layouts that have all of them."""
    return {
        pointer_size: layout.part(*names)
        for pointer_size, layout in layouts.items()
        if all(name in layout.offsets for name in names)
    }
