"""Class names from vtables: Microsoft's and the Itanium ABI's type information, its lies, and names as they are."""

from __future__ import annotations

import random

import pytest
from synth import rtti
from synth.images import Section
from synth.process import Module, ProcessBuilder

from dumpmap.model.memory import ExcerptMemory
from dumpmap.structures.class_names import ClassNames, CodeModule, itanium_class, microsoft_class

BITS = pytest.mark.parametrize("arch", ["x86", "x64"])


def process_with(arch: str) -> tuple[ProcessBuilder, Module, int]:
    process = ProcessBuilder(arch)
    module = process.add_module("C:\\app\\engine.dll")
    return process, module, module.sections[".rdata"][0]


def names_of(process: ProcessBuilder) -> ClassNames:
    modules = [
        CodeModule(one.base, one.size, one.name.rpartition("\\")[2], process.pointer_size) for one in process.modules
    ]
    return ClassNames(ExcerptMemory(process.captured()), modules)


@BITS
def test_both_compilers_name_their_classes(arch: str) -> None:
    process, module, at = process_with(arch)
    microsoft = rtti.microsoft_vtable(process, module, at, b".?AVFoo@bar@@")
    itanium = rtti.itanium_vtable(process, module, at + rtti.SIZE, b"N3bar3FooE", b"20__si_class")
    names, size = names_of(process), process.pointer_size
    assert names.find(microsoft, size) == ("engine.dll", "bar::Foo")
    assert names.find(itanium, size) == ("engine.dll", "bar::Foo")
    assert names.find(microsoft + size, size) is None
    assert names.find(microsoft + 1, size) is None
    assert names.find(microsoft, 12 - size) is None
    assert names.find(0x10, size) is None


@BITS
@pytest.mark.parametrize(
    ("offset", "value"),
    [(0x300, None), (0x0, 7), (0xC, 0xFFFFFFF0), (0x14, 0x123)],
    ids=["no locator", "signature", "descriptor elsewhere", "locator of another place"],
)
def test_what_does_not_prove_itself_has_no_name(arch: str, offset: int, value: int | None) -> None:
    process, module, at = process_with(arch)
    vtable = rtti.microsoft_vtable(process, module, at, b".?AVFoo@@")
    if value is None:
        process.pointer(vtable - process.pointer_size, 0)
    else:
        process.number(at + offset, value, 4)
    found = names_of(process).find(vtable, process.pointer_size)
    # On x86 a locator has no field for its own place.
    assert (found is not None) == (arch == "x86" and offset == 0x14)


def test_a_hierarchy_proves_a_class_of_32_bits() -> None:
    process, module, at = process_with("x86")
    vtable = rtti.microsoft_vtable(process, module, at, b".?AVFoo@@")
    process.number(at + 0x40, 1, 4)
    assert names_of(process).find(vtable, 4) is None


@pytest.mark.parametrize(("count", "named"), [(0, False), (1, True), (4096, True), (4097, False)])
def test_a_hierarchy_has_a_plausible_number_of_bases(count: int, named: bool) -> None:
    process, module, at = process_with("x86")
    vtable = rtti.microsoft_vtable(process, module, at, b".?AVFoo@@")
    process.number(at + 0x48, count, 4)
    assert (names_of(process).find(vtable, 4) is not None) is named


@pytest.mark.parametrize(
    ("arch", "lost", "named"),
    [
        ("x86", 0x13, False),  # the last byte of a locator of 32 bits
        ("x86", 0x14, True),
        ("x64", 0x17, False),  # and of 64 bits
        ("x64", 0x18, True),
        ("x86", 0x4F, False),  # the last byte of a hierarchy, which only 32 bits need
        ("x86", 0x50, True),
        ("x64", 0x40, True),
    ],
)
def test_no_more_is_read_than_there_is(arch: str, lost: int, named: bool) -> None:
    process, module, at = process_with(arch)
    vtable = rtti.microsoft_vtable(process, module, at, b".?AVFoo@@")
    chunks = []
    for base, data in process.captured():
        cut = at + lost - base
        chunks += [(base, data[:cut]), (base + cut + 1, data[cut + 1 :])] if 0 <= cut < len(data) else [(base, data)]
    modules = [CodeModule(module.base, module.size, "engine.dll", process.pointer_size)]
    found = ClassNames(ExcerptMemory(chunks), modules).find(vtable, process.pointer_size)
    assert (found is not None) is named


@BITS
def test_a_type_info_of_no_class_is_not_one(arch: str) -> None:
    process, module, at = process_with(arch)
    pointer = rtti.itanium_vtable(process, module, at, b"P3Foo", b"19__pointer")
    assert names_of(process).find(pointer, process.pointer_size) is None


@BITS
@pytest.mark.parametrize("name", [b"", b".?AV", b"Foo", b".?AVFoo\x01@@", b".?AV" + b"x" * 600 + b"@@"])
def test_a_name_that_is_none(arch: str, name: bytes) -> None:
    process, module, at = process_with(arch)
    vtable = rtti.microsoft_vtable(process, module, at, name)
    assert names_of(process).find(vtable, process.pointer_size) is None


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        (b".?AVFoo@@", "Foo"),
        (b".?AUFoo@inner@outer@@", "outer::inner::Foo"),
        (b".?AV?$NumericArray@VInt64Type@arrow@@@arrow@@", ".?AV?$NumericArray@VInt64Type@arrow@@@arrow@@"),
        (b".?AVFoo@?A0x1234@@", ".?AVFoo@?A0x1234@@"),
    ],
)
def test_microsoft_names(raw: bytes, name: str) -> None:
    assert microsoft_class(raw) == name


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        (b"3Foo", "Foo"),
        (b"*3Foo", "Foo"),
        (b"N5outer5inner3FooE", "outer::inner::Foo"),
        (b"N12_GLOBAL__N_13FooE", "_GLOBAL__N_1::Foo"),
        (b"St6vectorIiE", "St6vectorIiE"),
        (b"N3bar3FooIiEE", "N3bar3FooIiEE"),
        (b"9Foo", "9Foo"),
        (b"3Foo3Bar", "3Foo3Bar"),
    ],
)
def test_itanium_names(raw: bytes, name: str) -> None:
    assert itanium_class(raw) == name


@BITS
def test_damage_gives_the_class_or_none(arch: str) -> None:
    process, module, at = process_with(arch)
    vtables = [
        rtti.microsoft_vtable(process, module, at, b".?AVFoo@@"),
        rtti.itanium_vtable(process, module, at + rtti.SIZE, b"3Foo"),
    ]
    data = bytearray(process.read(module.base, module.size - 0x2000))
    rng = random.Random(5)
    modules = [CodeModule(module.base, module.size, "engine.dll", process.pointer_size)]
    for _ in range(1000):
        bad = bytearray(data)
        for _ in range(rng.randrange(1, 6)):
            bad[at - module.base + rng.randrange(2 * rtti.SIZE)] = rng.choice((0, 0xFF, rng.randrange(256)))
        cut = len(bad) if rng.random() < 0.7 else at - module.base + rng.randrange(2 * rtti.SIZE)
        names = ClassNames(ExcerptMemory([(module.base, bytes(bad[:cut]))]), modules)
        for vtable in vtables:
            found = names.find(vtable, process.pointer_size)
            assert found is None or found.module == "engine.dll"


@BITS
@pytest.mark.parametrize(("field", "named"), [(None, True), (0, False), (1, False)])
def test_a_type_info_and_its_name_lie_in_modules(arch: str, field: int | None, named: bool) -> None:
    process, module, at = process_with(arch)
    size = process.pointer_size
    vtable = rtti.itanium_vtable(process, module, at, b"3Foo")
    outside = process.allocate(0x1000, commit=0x1000)
    process.write(outside, bytes(0x1000))
    process.pointer(outside + 0x100 - size, at + 0x40)  # as before the vtable of the type_info
    process.write(outside + 0x200, b"3Foo\0")
    if field is not None:
        process.pointer(at + field * size, outside + 0x100 * (field + 1))
    assert (names_of(process).find(vtable, size) is not None) is named


@pytest.mark.parametrize(
    ("name", "captured", "text"),
    [(63, 64, 63), (63, 63, 0), (64, 512, 64), (64, 511, 0), (511, 512, 511), (512, 1024, 0), (0, 64, 0)],
)
def test_a_name_ends_within_512_bytes(name: int, captured: int, text: int) -> None:
    """64 bytes are read at first, as few names are longer: more need not be in the dump."""
    data = (b"n" * name + b"\0").ljust(1024, b"x")[:captured]
    assert ClassNames(ExcerptMemory([(0x10000, data)]), [])._text(0x10000) == b"n" * text


@BITS
def test_type_information_far_from_where_its_module_begins(arch: str) -> None:
    process = ProcessBuilder(arch)
    sections = (Section(".text", 0x1F000), Section(".rdata", 0x1000))
    overlap = 0
    for number in range(4):
        process.allocate(0x10000)
        module = process.add_module(f"C:\\app\\{number}.dll", sections=sections)
        at = module.sections[".rdata"][0]
        overlap |= module.base & (at - module.base)
        vtable = rtti.microsoft_vtable(process, module, at, b".?AVFoo@@")
        assert names_of(process).find(vtable, process.pointer_size) is not None
    assert overlap  # of an address and an offset that share no bit the sum says little
