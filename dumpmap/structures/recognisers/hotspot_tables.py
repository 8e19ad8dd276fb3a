"""HotSpot's description of its own structures: the tables that jvm.dll exports for the serviceability agent.

`gHotSpotVMStructs` lists fields (type, name, offset or address), `gHotSpotVMTypes` types with their superclasses, and
`gHotSpotVMIntConstants` numbers. The layout of the entries is exported, too, so nothing here depends on a version of
the JDK. Source: openjdk/jdk, src/hotspot/share/runtime/vmStructs.hpp.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from dumpmap.model.memory import Memory, unrecorded
from dumpmap.model.process import PeImage
from dumpmap.model.values import value_class
from dumpmap.structures.bounds import is_user_address
from dumpmap.structures.pe import find_export

MAX_ENTRIES = 8192
"""Entries of one table; JDK 11 to 25 have 330 to 820."""

MAX_NAME = 96
"""Bytes of a name that are read."""

_LARGEST_STRIDE = 256
_TOGETHER = 64
_WORD = struct.Struct("<Q")


@value_class(frozen=True, slots=True)
class VmField:
    """A field: `address` of a static one, `offset` of any other. `type_name` is where the name of its type is."""

    offset: int
    address: int
    is_static: bool
    type_name: int = 0


@dataclass
class VmTables:
    """The tables of one jvm.dll.

    Attributes:
        memory: the process.
        base: where jvm.dll is loaded.
        image: its headers.
        fields: fields by type and name.
        superclass: superclass by type; empty where there is none.
        sizes: bytes of an object by type.
        constants: numbers by name.
    """

    memory: Memory
    base: int
    image: PeImage
    fields: dict[str, dict[str, VmField]] = field(default_factory=dict)
    superclass: dict[str, str] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    constants: dict[str, int] = field(default_factory=dict)
    _exports: dict[str, int | None] = field(default_factory=dict)

    def word(self, address: int) -> int | None:
        """Reads a 64-bit word."""
        data = self.memory.read(address, 8)
        return None if data is None else _WORD.unpack(data)[0]

    def number(self, address: int, size: int) -> int | None:
        """Reads an unsigned number of `size` bytes."""
        data = self.memory.read(address, size)
        return None if data is None else int.from_bytes(data, "little")

    def words(self, address: int, count: int) -> tuple[int, ...]:
        """Reads 64-bit words that follow each other; none where any is missing."""
        data = self.memory.read(address, 8 * count) if count > 0 else None
        return () if data is None else struct.unpack(f"<{count}Q", data)

    def peek(self, address: int) -> int | None:
        """Reads a 64-bit word that may turn out not to matter. It is recorded only if the caller reads it again."""
        data = unrecorded(self.memory).read(address, 8) if is_user_address(address, 8) else None
        return None if data is None else _WORD.unpack(data)[0]

    def virtual_space(self, address: int) -> tuple[int, int] | None:
        """Reads the reservation of the VirtualSpace at `address`: start and end."""
        low = self.value(address, "VirtualSpace", "_low_boundary")
        high = self.value(address, "VirtualSpace", "_high_boundary")
        if not low or not high or not is_user_address(low, 8) or not low < high or not is_user_address(high - 1, 8):
            return None
        return low, high

    def find(self, type_name: str, field_name: str) -> VmField | None:
        """Returns a field of a type or of its superclasses."""
        for _ in range(32):
            found = self.fields.get(type_name, {}).get(field_name)
            if found is not None:
                return found
            type_name = self.superclass.get(type_name, "")
            if not type_name:
                break
        return None

    def type_of(self, type_name: str, field_name: str) -> str:
        """Returns the name of the type of a field; empty if it is not known."""
        found = self.find(type_name, field_name)
        return read_name(self.memory, found.type_name) if found is not None and found.type_name else ""

    def static(self, type_name: str, field_name: str, size: int = 8) -> int | None:
        """Reads a static field."""
        found = self.find(type_name, field_name)
        return self.number(found.address, size) if found is not None and found.is_static else None

    def place(self, address: int, type_name: str, *names: str) -> int | None:
        """Returns where a field of the object at `address` lies; of several names the first that the type has."""
        for name in names:
            found = self.find(type_name, name)
            if found is not None:
                return found.address if found.is_static else address + found.offset
        return None

    def value(self, address: int, type_name: str, *names: str, size: int = 8) -> int | None:
        """Reads a field of the object at `address`; of several names the first that the type has."""
        place = self.place(address, type_name, *names)
        return None if place is None else self.number(place, size)

    def export(self, name: str) -> int | None:
        """Returns the address of an export of jvm.dll."""
        if name not in self._exports:
            self._exports[name] = find_export(self.memory, self.base, self.image, name)
        return self._exports[name]

    def is_a(self, address: int, classes: Iterable[str]) -> bool:
        """Whether the object at `address` is of one of these classes, whose vtables jvm.dll exports."""
        vtable = self.word(address)
        return vtable is not None and any(self.export(f"??_7{name}@@6B@") == vtable for name in classes)


def read_tables(memory: Memory, base: int, image: PeImage) -> VmTables | None:
    """Reads the tables of the jvm.dll at `base`; None where they are not in the memory or not as declared."""
    tables = VmTables(memory, base, image)
    names = _Names(memory)
    members = ("TypeName", "FieldName", "TypeString", "IsStatic", "Offset", "Address")
    for type_name, field_name, of_type, is_static, offset, address in _entries(
        tables, "gHotSpotVMStructs", "gHotSpotVMStructEntry", members
    ):
        kind, name = names.read(type_name), names.read(field_name)
        if kind and name:
            found = VmField(offset, address, bool(is_static & 0xFFFFFFFF), of_type)
            tables.fields.setdefault(kind, {})[name] = found
    for type_name, super_name, size in _entries(
        tables, "gHotSpotVMTypes", "gHotSpotVMTypeEntry", ("TypeName", "SuperclassName", "Size")
    ):
        name = names.read(type_name)
        tables.superclass[name], tables.sizes[name] = names.read(super_name), size
    for name_address, value in _entries(
        tables, "gHotSpotVMIntConstants", "gHotSpotVMIntConstantEntry", ("Name", "Value")
    ):
        tables.constants[names.read(name_address)] = value & 0xFFFFFFFF
    return tables if tables.fields and tables.superclass else None


class _Names:
    """Reads names, each once."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._known: dict[int, str] = {0: ""}

    def read(self, address: int) -> str:
        known = self._known.get(address)
        if known is None:
            known = self._known[address] = read_name(self._memory, address)
        return known


def read_name(memory: Memory, address: int) -> str:
    """Reads a text that ends with a zero byte; empty where it is not in the memory."""
    for size in (MAX_NAME, MAX_NAME // 4, 8):  # near the end of what was captured, less
        data = memory.read(address, size)
        if data is not None:
            return data.split(b"\0", 1)[0].decode("utf-8", "replace")
    return ""


def _entries(tables: VmTables, array: str, entry: str, members: tuple[str, ...]) -> Iterator[tuple[int, ...]]:
    """Yields the members of each entry of a table, as 64-bit words; a zero in the first ends it."""
    start = _exported_word(tables, array)
    stride = _exported_word(tables, f"{entry}ArrayStride")
    offsets = [_exported_word(tables, f"{entry}{member}Offset") for member in members]
    if not start or not stride or stride > _LARGEST_STRIDE:
        return
    known = [offset for offset in offsets if offset is not None and offset < stride]
    if len(known) != len(members):
        return
    for entry_data in read_array(tables.memory, start, stride, MAX_ENTRIES):
        # The last members of an entry may be 32 bits wide; the word read there never leaves the entry.
        values = tuple(int.from_bytes(entry_data[offset : offset + 8], "little") for offset in known)
        if not values[0]:
            return
        yield values


def read_array(memory: Memory, start: int, stride: int, count: int) -> Iterator[bytes]:
    """Yields the entries of an array up to the first that is not in the memory, many with one read."""
    index = 0
    while index < count:
        for entries in (min(_TOGETHER, count - index), 1):
            data = memory.read(start + index * stride, entries * stride)
            if data is not None:
                break
        else:
            return
        for at in range(0, len(data), stride):
            yield data[at : at + stride]
        index += entries


def _exported_word(tables: VmTables, name: str) -> int | None:
    address = tables.export(name)
    return None if address is None else tables.word(address)
