"""The names of Java threads: from HotSpot's list of threads through java.lang.Thread objects to their strings.

The tables of jvm.dll lead from a JavaThread to the number that Windows knows the thread by and to its java.lang.Thread.
Where that class keeps the name, and String its characters, is in the class's own list of fields, which is read by name
as well: six 16-bit numbers for each field up to JDK 20, and since then a stream of compressed numbers. A name counts
only if the classes of both objects and the types of all fields are the expected ones. Source: openjdk/jdk,
src/hotspot/share/oops/fieldInfo.hpp, utilities/unsigned5.hpp, oops/compressedOops.hpp, runtime/threadSMR.hpp.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping

from dumpmap.model.values import value_class
from dumpmap.structures.bounds import is_user_address
from dumpmap.structures.recognisers.hotspot_tables import VmTables

MAX_THREADS = 10_000
MAX_FIELDS = 256
MAX_NAME = 256
"""Characters of a name that are read."""

_MAX_SUPERCLASSES = 16
_MAX_SYMBOL = 128
_STATIC, _OFFSET_TAG, _TAG_BITS = 0x8, 1, 2
_INITIALIZED, _GENERIC, _CONTENDED = 0x01, 0x04, 0x10
_UNSIGNED5_LOW, _UNSIGNED5_BASE, _UNSIGNED5_SHIFT, _UNSIGNED5_BYTES = 1, 192, 6, 5

Fields = dict[str, tuple[str, int]]
"""Fields of an object by name: type descriptor and offset."""


@value_class(frozen=True, slots=True)
class JavaThread:
    """A thread that runs Java code.

    Attributes:
        thread_id: its number in Windows.
        name: as Java knows it.
    """

    thread_id: int
    name: str


def java_threads(tables: VmTables, flags: Mapping[str, int]) -> Iterator[JavaThread]:
    """Yields the named threads of a virtual machine.

    Args:
        tables: its tables.
        flags: its -XX flags; those on compressed pointers say how objects refer to each other.
    """
    # Other layouts of an object's header exist. They are rare, and their names are left out.
    if not flags.get("UseCompressedClassPointers") or flags.get("UseCompactObjectHeaders"):
        return
    objects = _Objects(tables, bool(flags.get("UseCompressedOops")))
    for thread in _list(tables):
        system = tables.value(thread, "JavaThread", "_osthread")
        thread_id = tables.value(system, "OSThread", "_thread_id", size=4) if system else None
        place = tables.place(thread, "JavaThread", "_threadObj")
        found = None if place is None else tables.word(place)
        if found and tables.type_of("JavaThread", "_threadObj") == "OopHandle":
            found = tables.word(found)
        name = objects.thread_name(found) if found and thread_id else None
        if name and thread_id:
            yield JavaThread(thread_id, name)


def _list(tables: VmTables) -> tuple[int, ...]:
    """The addresses of the JavaThreads: since JDK 12 an array, before a chain."""
    if not tables.find("ThreadsSMRSupport", "_java_thread_list"):
        found: dict[int, None] = {}
        thread = tables.static("Threads", "_thread_list")
        while thread and thread not in found and len(found) < MAX_THREADS:
            found[thread] = None
            thread = tables.value(thread, "JavaThread", "_next")
        return tuple(found)
    listed = tables.static("ThreadsSMRSupport", "_java_thread_list")
    count = tables.value(listed, "ThreadsList", "_length", size=4) if listed else None
    array = tables.value(listed, "ThreadsList", "_threads") if listed else None
    if not count or not array or count > MAX_THREADS:
        return ()
    return tables.words(array, count)


class _Objects:
    """Reads objects of the Java heap."""

    def __init__(self, tables: VmTables, compressed: bool) -> None:
        self._tables = tables
        self._size = 4 if compressed else 8
        owners = ("CompressedOops", "Universe"), ("CompressedKlassPointers", "Universe")
        (self._oop_base, self._oop_shift), (self._klass_base, self._klass_shift) = (
            self._encoding(types, prefix)
            for types, prefix in zip(owners, ("_narrow_oop.", "_narrow_klass."), strict=True)
        )
        self._fields: dict[int, Fields] = {}
        self._names: dict[int, str] = {}

    def _encoding(self, types: tuple[str, ...], prefix: str) -> tuple[int, int]:
        for type_name in types:
            for start in (prefix, ""):
                base = self._tables.static(type_name, f"{start}_base")
                shift = self._tables.static(type_name, f"{start}_shift", size=4)
                if base is not None and shift is not None and shift < 32:
                    return base, shift
        return 0, 0

    def thread_name(self, thread: int) -> str | None:
        """Returns the name of the java.lang.Thread at `thread`; None if it is no such object."""
        fields = self._fields_of(thread, "java/lang/Thread")
        text = self._reference(thread, fields, "name", "Ljava/lang/String;")
        fields = self._fields_of(text, "java/lang/String") if text else {}
        if not text or not fields:
            return None
        wide = "coder" not in fields  # before JDK 9 a string was an array of UTF-16 units
        array = self._reference(text, fields, "value", "[C" if wide else "[B")
        if not array:
            return None
        if not wide:
            kind, offset = fields["coder"]
            coder = self._tables.number(text + offset, 1) if kind == "B" else None
            if coder not in (0, 1):
                return None
            wide = bool(coder)
        return self._text(array, wide, 2 if "coder" not in fields else 1)

    def _text(self, array: int, wide: bool, unit: int) -> str | None:
        """Reads the characters of an array with a compressed class pointer: length at 12, elements from 16."""
        length = self._tables.number(array + 12, 4)
        if not length or length >= 1 << 31:
            return None
        data = self._tables.memory.read(array + 16, min(length * unit, MAX_NAME * (2 if wide else 1)))
        return None if data is None else data.decode("utf-16-le" if wide else "latin-1", "replace")

    def _reference(self, address: int, fields: Fields, name: str, descriptor: str) -> int | None:
        """Follows a field of the object at `address`."""
        kind, offset = fields.get(name, ("", 0))
        value = self._tables.number(address + offset, self._size) if kind == descriptor else None
        if not value:
            return None
        target = value if self._size == 8 else self._oop_base + (value << self._oop_shift)
        return target if is_user_address(target, 8) and target % 8 == 0 else None

    def _fields_of(self, address: int, wanted: str) -> Fields:
        """The fields that class `wanted` declares, if the object at `address` is of it or of a subclass; else none."""
        narrow = self._tables.number(address + 8, 4) if is_user_address(address, 8) else None
        klass = self._klass_base + (narrow << self._klass_shift) if narrow else 0
        for _ in range(_MAX_SUPERCLASSES):
            if not klass or not is_user_address(klass, 8) or klass % 8:
                break
            if self._class_name(klass) == wanted:
                if klass not in self._fields:
                    self._fields[klass] = dict(read_fields(self._tables, klass))
                return self._fields[klass]
            klass = self._tables.value(klass, "Klass", "_super") or 0
        return {}

    def _class_name(self, klass: int) -> str:
        known = self._names.get(klass)
        if known is None:
            symbol = self._tables.value(klass, "Klass", "_name")
            known = self._names[klass] = _symbol(self._tables, symbol) if symbol else ""
        return known


def _symbol(tables: VmTables, address: int) -> str:
    """Reads the text of a Symbol; empty where it is none."""
    length = tables.value(address, "Symbol", "_length", size=2) if is_user_address(address, 8) else None
    body = tables.place(address, "Symbol", "_body")
    if not length or length > _MAX_SYMBOL or body is None:
        return ""
    return (tables.memory.read(body, length) or b"").decode("utf-8", "replace")


def read_fields(tables: VmTables, klass: int) -> Iterator[tuple[str, tuple[str, int]]]:
    """Yields the fields that the InstanceKlass at `klass` declares and its objects have: name, (type, offset)."""
    pool, header = tables.value(klass, "InstanceKlass", "_constants"), tables.sizes.get("ConstantPool")
    if not pool or not header:
        return
    found = _stream_fields if tables.find("InstanceKlass", "_fieldinfo_stream") else _array_fields
    for name, kind, offset in found(tables, klass):
        symbols = [tables.word(pool + header + 8 * index) for index in (name, kind)]
        texts = [_symbol(tables, symbol) if symbol else "" for symbol in symbols]
        if all(texts):
            yield texts[0], (texts[1], offset)


def _array_fields(tables: VmTables, klass: int) -> Iterator[tuple[int, int, int]]:
    """Up to JDK 20: indexes of name and type, and the offset, of each field that is not static."""
    count = tables.value(klass, "InstanceKlass", "_java_fields_count", size=2)
    array = tables.value(klass, "InstanceKlass", "_fields")
    place = tables.place(array, "Array<u2>", "_data") if array else None
    data = tables.memory.read(place, 12 * min(count, MAX_FIELDS)) if place is not None and count else None
    for access, name, kind, _, low, high in struct.iter_unpack("<6H", data or b""):
        packed = high << 16 | low
        if not access & _STATIC and packed & (1 << _TAG_BITS) - 1 == _OFFSET_TAG:
            yield name, kind, packed >> _TAG_BITS


def _stream_fields(tables: VmTables, klass: int) -> Iterator[tuple[int, int, int]]:
    """Since JDK 21: the same from a stream of compressed numbers."""
    array = tables.value(klass, "InstanceKlass", "_fieldinfo_stream")
    length = tables.value(array, "Array<int>", "_length", size=4) if array else None
    place = tables.place(array, "Array<u1>", "_data") if array else None
    data = tables.memory.read(place, min(length, 1 << 14)) if place is not None and length else None
    numbers = unsigned5(data or b"")
    try:
        count, _ = next(numbers), next(numbers)
        for _ in range(min(count, MAX_FIELDS)):
            name, kind, offset, access, flags = (next(numbers) for _ in range(5))
            for option in (_INITIALIZED, _GENERIC, _CONTENDED):
                if flags & option:
                    next(numbers)
            if not access & _STATIC:
                yield name, kind, offset
    except (StopIteration, RuntimeError):  # the stream is cut off
        return


def unsigned5(data: bytes) -> Iterator[int]:
    """Decodes HotSpot's UNSIGNED5: up to five bytes a number, each from 1 on; one below 192 is the last."""
    at = 0
    while at < len(data):
        number = 0
        for index in range(_UNSIGNED5_BYTES):
            if at >= len(data) or data[at] < _UNSIGNED5_LOW:
                return
            digit = data[at]
            at += 1
            number += (digit - _UNSIGNED5_LOW) << (_UNSIGNED5_SHIFT * index)
            if digit < _UNSIGNED5_BASE:
                break
        yield number
