"""How objects of the Java heap refer to each other, and the texts in them: chosen bytes, no virtual machine around."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

import pytest
from support.scenes import GB

from dumpmap.model.memory import ExcerptMemory
from dumpmap.structures.recognisers.hotspot import _with_reserve
from dumpmap.structures.recognisers.hotspot_threads import _Objects

FIELD = {"name": ("Ljava/lang/String;", 12)}
HOLDER = 0x10000000
RESERVED = "Java heap, reserved"


@dataclass
class Tables:
    """As much of the tables of jvm.dll as the reader of objects needs."""

    base: int
    shift: int
    chunks: list[tuple[int, bytes]] = field(default_factory=list)

    @property
    def memory(self) -> ExcerptMemory:
        return ExcerptMemory(self.chunks)

    def static(self, type_name: str, name: str, size: int = 8) -> int | None:
        return {"_narrow_oop._base": self.base, "_narrow_oop._shift": self.shift}.get(name)

    def number(self, address: int, size: int) -> int | None:
        data = self.memory.read(address, size)
        return None if data is None else int.from_bytes(data, "little")


def objects(base: int, shift: int, *chunks: tuple[int, bytes], compressed: bool = True) -> _Objects:
    return _Objects(Tables(base, shift, list(chunks)), compressed)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("base", "shift", "value", "target"),
    [
        (0, 0, 0xC0000010, 0xC0000010),
        (0, 3, 0xC0000010, 0x600000080),
        (0x800000000, 3, 0xC0000010, 0xE00000080),
        (0x800000000, 3, 1, 0x800000008),
        (0x800000000, 3, 0, None),  # null
        (0, 0, 0xC0000014, None),  # objects start at multiples of 8
        (0, 1, 0xC0000014, 0x180000028),
        (0, 0, 0xFFF8, None),  # no address
        (0, 0, 0x10000, 0x10000),
        (0x7FFF00000000, 3, 0x1FFFFFFF, 0x7FFFFFFFFFF8),
        (0x7FFF00000000, 3, 0x20000000, None),  # in the kernel's half
        (0x100000000, 31, 8, 0x500000000),
        (0x100000000, 32, 8, None),  # no shift is that wide: neither number counts
    ],
)
def test_a_compressed_reference_is_shifted_and_based(base: int, shift: int, value: int, target: int | None) -> None:
    known = (HOLDER + 12, struct.pack("<I", value))
    found = objects(base, shift, known)._reference(HOLDER, FIELD, "name", "Ljava/lang/String;")
    assert found == target


def test_a_plain_reference_is_the_address() -> None:
    known = (HOLDER + 12, struct.pack("<Q", 5 * GB))
    plain = objects(1 << 35, 3, known, compressed=False)
    assert plain._reference(HOLDER, FIELD, "name", "Ljava/lang/String;") == 5 * GB
    assert plain._reference(HOLDER, FIELD, "name", "[B") is None
    assert plain._reference(HOLDER, FIELD, "other", "Ljava/lang/String;") is None


def text(length: bytes, body: bytes, *, wide: bool, unit: int) -> str | None:
    """Reads an array of these bytes."""
    return objects(0, 0, (HOLDER + 12, length + body))._text(HOLDER, wide, unit)


@pytest.mark.parametrize(
    ("length", "wide", "unit", "found"),
    [
        (0, False, 1, None),
        (1, False, 1, "x"),
        (255, False, 1, "x" * 255),
        (256, False, 1, "x" * 256),
        (257, False, 1, "x" * 256),  # no more than 256 characters are read
        ((1 << 31) - 1, False, 1, "x" * 256),
        (1 << 31, False, 1, None),  # Java's lengths are signed
        ((1 << 32) - 1, False, 1, None),
        (4, True, 1, "xx"),  # bytes with two to a character
        (2, True, 2, "xx"),  # characters
        (513, True, 1, "x" * 256),
        (257, True, 2, "x" * 256),
    ],
)
def test_texts(length: int, wide: bool, unit: int, found: str | None) -> None:
    body = ("x" * 600).encode("utf-16-le" if wide else "latin-1")
    assert text(struct.pack("<I", length), body, wide=wide, unit=unit) == found


def test_texts_that_are_not_there() -> None:
    assert text(b"\1\0", b"", wide=False, unit=1) is None  # half of the length
    assert text(struct.pack("<I", 9), b"12345678", wide=False, unit=1) is None
    assert text(struct.pack("<I", 8), b"12345678", wide=False, unit=1) == "12345678"


@pytest.mark.parametrize(
    ("parts", "found"),
    [
        ([], [(10, 50, "Java heap")]),  # nothing of it could be read
        ([(10, 50, "a")], [(10, 50, "a")]),
        ([(10, 20, "a")], [(10, 20, "a"), (20, 50, RESERVED)]),
        ([(20, 50, "a")], [(10, 20, RESERVED), (20, 50, "a")]),
        (
            [(20, 30, "a"), (40, 45, "b")],
            [(10, 20, RESERVED), (20, 30, "a"), (30, 40, RESERVED), (40, 45, "b"), (45, 50, RESERVED)],
        ),
        ([(10, 20, "a"), (20, 50, "b")], [(10, 20, "a"), (20, 50, "b")]),
        ([(10, 20, "a"), (19, 50, "b")], [(10, 20, "a"), (20, 50, RESERVED)]),  # they overlap: the first stays
    ],
)
def test_what_the_parts_leave_of_the_heap_is_reserved(
    parts: list[tuple[int, int, str]], found: list[tuple[int, int, str]]
) -> None:
    assert list(_with_reserve(parts, 10, 50)) == found
