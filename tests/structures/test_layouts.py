"""The declarations against themselves, against construct and against the tables that the test data is built from."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator

import pytest
from synth import layouts as synth_layouts
from synth import nt_layouts as synth_nt

from dumpmap.model.memory import ExcerptMemory
from dumpmap.structures import layouts as package
from dumpmap.structures.layout import POINTER, U16, U32, Layout, declare, parts
from dumpmap.structures.layouts import nt_heap, process


def declared() -> Iterator[Layout]:
    """Yields every layout of every layout module."""

    def layouts_in(value: object) -> Iterator[Layout]:
        if isinstance(value, Layout):
            yield value
        elif isinstance(value, dict):
            for item in value.values():
                yield from layouts_in(item)
        elif isinstance(value, tuple):
            for item in value:
                yield from layouts_in(item)

    for found in pkgutil.iter_modules(package.__path__):
        module = importlib.import_module(f"{package.__name__}.{found.name}")
        for name, value in vars(module).items():
            if name.isupper():
                yield from layouts_in(value)


ALL = list(declared())
IDS = [f"{layout.name}-x{layout.pointer_size * 8}" for layout in ALL]


@pytest.mark.parametrize("layout", ALL, ids=IDS)
def test_every_declaration_has_its_size_and_offsets(layout: Layout) -> None:
    assert layout.declaration.sizeof() == layout.size
    # Building a record with one field set shows where construct puts that field.
    empty = dict.fromkeys(layout.offsets, 0)
    for name, offset in layout.offsets.items():
        record = layout.declaration.build({**empty, name: 1})
        assert record.index(1) == offset, name
        assert record.count(1) == 1


@pytest.mark.parametrize("layout", ALL, ids=IDS)
def test_readers_agree_with_construct(layout: Layout) -> None:
    record = bytes((37 * index + 11) & 0xFF for index in range(layout.size))
    parsed = layout.declaration.parse(record)
    names = tuple(layout.offsets)
    memory = ExcerptMemory([(0x10000, record)])
    for chosen in (names, names[::-1], names[:1], names[-1:]):
        values = layout.part(*chosen).read(memory, 0x10000)
        assert values == tuple(parsed[name] for name in chosen)


def test_layouts_of_two_widths_hold_the_same_fields() -> None:
    for table in (process.TEB, process.PEB, nt_heap.HEAP_SEGMENT, nt_heap.HEAP_8, nt_heap.HEAP_7, nt_heap.HEAP_OLD):
        assert set(table[4].offsets) == set(table[8].offsets)


@pytest.mark.parametrize("pointer_size", [4, 8])
def test_process_structures_agree_with_the_tables_of_the_test_data(pointer_size: int) -> None:
    for table, other in ((process.TEB, synth_layouts.TEB), (process.PEB, synth_layouts.PEB)):
        compared = 0
        for name, offset in table[pointer_size].offsets.items():
            short = name.rpartition(".")[2]
            if short in other:
                assert offset == other[short][pointer_size == 8], name
                compared += 1
        assert compared > 10


@pytest.mark.parametrize(
    ("build", "pointer_size"),
    [(2600, 4), (3790, 8), (6002, 4), (7601, 8), (9600, 4), (9600, 8), (14393, 8), (15063, 4), (19045, 4), (26100, 8)],
)
def test_heap_structures_agree_with_the_tables_of_the_test_data(build: int, pointer_size: int) -> None:
    other = synth_nt.nt_heap_layout(build, pointer_size)
    table = nt_heap.HEAP_OLD if build < 6000 else nt_heap.HEAP_7 if build < 9200 else nt_heap.HEAP_8
    offsets = dict(table[pointer_size].offsets)
    if build >= 9200:
        offsets |= next(rows for first, rows in nt_heap.HEAP_FRONT_ENDS if build >= first)[pointer_size].offsets
    for name in ("Flags", "SegmentReserve", "TotalFreeSize", "Signature", "FrontEndHeap", "FrontEndHeapType"):
        if name in other.heap:
            assert offsets[name] == other.heap[name], name
    assert offsets["VirtualAllocdBlocks.Flink"] == other.heap["VirtualAllocdBlocks"]


def test_a_declaration_with_overlapping_fields_is_refused() -> None:
    overlapping = declare("wrong", {8: 0x20}, ("first", POINTER, None, 0), ("second", U32, None, 4))[8]
    with pytest.raises(ValueError, match="overlaps"):
        _ = overlapping.declaration
    outside = declare("short", {8: 4}, ("first", POINTER, None, 0))[8]
    with pytest.raises(ValueError, match="after its size"):
        _ = outside.declaration


def test_fields_come_in_the_order_asked_for_and_missing_bytes_give_none() -> None:
    table = declare("pair", {4: 8, 8: 16}, ("low", U16, 2, 4), ("high", POINTER, 4, 8), ("wide", U32, None, 0))
    assert set(parts(table, "wide")) == {8}
    part = table[4].part("high", "low")
    assert (part.offset, part.size) == (2, 6)
    memory = ExcerptMemory([(0x10002, bytes.fromhex("0100 02000000"))])
    assert part.read(memory, 0x10000) == (2, 1)
    assert part.values(memory, 0x10000) == {"high": 2, "low": 1}
    assert part.read(memory, 0x10001) is None
    assert part.values(memory, 0x10001) == {}
