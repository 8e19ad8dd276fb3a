"""Loader heaps, JIT code, stubs, and handle tables of .NET: recorded, synthetic, and structures that lie."""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from support.structures import MEM_COMMIT, MEM_PRIVATE, MapSpace, managed_heaps, memory_of, space_of, survey_process
from synth.clr import MAP_TYPES, SEGMENT, RuntimeMemory
from synth.framework import Framework
from synth.minidump import MEM_MAPPED
from synth.process import ProcessBuilder

import dumpmap
from dumpmap.api import RegionMap, map_snapshot
from dumpmap.model.memory import ExcerptMemory, Memory, RecordingMemory
from dumpmap.model.recognised import LabelledRange
from dumpmap.structures.clr_code import CodeRange, _Reader, ranges_by_list, ranges_by_map
from dumpmap.structures.clr_handles import handle_segments
from dumpmap.structures.clr_loader_heaps import _Search, loader_heaps
from dumpmap.structures.contract import Contract
from dumpmap.structures.space import NoSpace

FOLDER = Path(__file__).parents[1] / "fixtures" / "runtimes"
NAMES = ("dotnet-2.1", "dotnet-3.1", "dotnet-10")
LOADER, STUBS, CODE, HANDLES = ".NET loader heap", ".NET stub heap", ".NET JIT code", ".NET handle table"
EXECUTE = 0xF0  # PAGE_EXECUTE and its relatives


@cache
def opened(name: str) -> RegionMap:
    return dumpmap.open(FOLDER / f"{name}.dmp.gz")


def parts_of(region_map: RegionMap) -> list[LabelledRange]:
    return [part for found in region_map.structures.found for part in found.ranges if part.kind.startswith(".NET")]


# ---------------------------------------------------------------- recorded processes


@pytest.mark.parametrize("name", NAMES)
def test_what_the_runtime_uses_is_where_its_kind_says(name: str) -> None:
    truth = json.loads((FOLDER / f"{name}.truth.json").read_text(encoding="utf-8"))
    expected = {"method table": {LOADER}, "entry": {STUBS, CODE}, "code": {CODE}, "handle": {HANDLES}}
    for what, address in truth["runtime"]:
        (part,) = [part for part in parts_of(opened(name)) if part.base <= address < part.base + part.size]
        assert part.kind in expected[what], what
        assert not part.inferred
        row = opened(name).regions.set_index("address")
        region = row.loc[row.index[row.index <= address].max()]
        assert (region["kind"], region["details"]) == (part.kind, part.module)


@pytest.mark.parametrize("name", NAMES)
def test_code_can_run_and_handles_cannot(name: str) -> None:
    snapshot = opened(name).snapshot
    regions = snapshot.regions
    assert regions is not None
    for part in parts_of(opened(name)):
        inside = (regions.base + regions.size > part.base) & (regions.base < part.base + part.size)
        inside &= regions.state == 0x1000
        assert inside.any(), part
        runs = (regions.protect[inside] & EXECUTE) != 0
        if part.kind == CODE:
            assert runs.all(), part
        elif part.evidence == "clr-code-range":  # pages of stubs alternate with pages of their data
            assert runs.any(), part
        elif part.kind == HANDLES:
            assert not runs.any(), part


@pytest.mark.parametrize("name", NAMES)
def test_types_and_totals_stay(name: str) -> None:
    """The kinds have no type of their own: Private Data stays so, and a view stays Shareable."""
    region_map = opened(name)
    rows = region_map.regions[region_map.regions["kind"].str.startswith(".NET").fillna(False)]
    assert len(rows)
    # .NET 10 maps executable memory twice.
    assert set(rows["type"]) == ({"Private Data", "Shareable"} if name == "dotnet-10" else {"Private Data"})
    (heap,) = managed_heaps(region_map.structures)
    assert region_map.summary().loc["Managed Heap", "size"] == sum(part.size for part in heap.ranges)


@pytest.mark.parametrize("name", NAMES)
def test_a_recording_gives_the_same_map(name: str) -> None:
    snapshot = opened(name).snapshot
    recording = RecordingMemory(snapshot.memory)
    first = map_snapshot(snapshot, memory=recording)
    again = map_snapshot(snapshot, memory=ExcerptMemory(recording.excerpts()))
    assert again.structures == first.structures == opened(name).structures
    assert again.regions.equals(opened(name).regions)


def test_the_runtimes_are_read_as_they_were_recorded() -> None:
    kinds = {name: sorted({part.kind for part in parts_of(opened(name))}) for name in NAMES}
    assert kinds == {
        "dotnet-2.1": [CODE, HANDLES, LOADER],
        "dotnet-3.1": [CODE, HANDLES, LOADER],
        "dotnet-10": [CODE, HANDLES, LOADER, STUBS],
    }


# ---------------------------------------------------------------- synthetic ones


def scene(arch: str = "x64") -> tuple[ProcessBuilder, RuntimeMemory, int]:
    """A process, what adds memory of a runtime to it, and where the runtime's variables are."""
    process = ProcessBuilder(arch, 19045).furnish()
    module = process.add_module("C:\\dotnet\\coreclr.dll")
    return process, RuntimeMemory(process), module.sections[".data"][0]


def images(process: ProcessBuilder) -> list[tuple[int, int]]:
    return [(module.base, module.base + module.size) for module in process.modules]


def blocks(
    process: ProcessBuilder, data: int, names: tuple[int, ...] = (), memory: Memory | None = None
) -> list[tuple[int, int]]:
    """The blocks of all loader heaps that are found from the variables at `data`."""
    memory, space, width = memory or memory_of(process), space_of(process), process.pointer_size
    places = [(name, name + width) for name in names]
    found = loader_heaps(memory, space, [(data, data + 0x2000)], places, images(process), width)
    return sorted(block for heap in found for block in heap.blocks)


@pytest.mark.parametrize("arch", ["x64", "x86"])
@pytest.mark.parametrize("distance", [1, 3])
def test_loader_heaps_among_the_variables_and_behind_them(arch: str, distance: int) -> None:
    process, runtime, data = scene(arch)
    expected = runtime.loader_heap(data + 0x400, distance=distance)
    domain, manager, far = (runtime.object(0x1000) for _ in range(3))
    process.pointer(data + 0x1800, domain)
    process.pointer(domain + 0x80, manager)
    process.pointer(manager + 0x80, far)
    expected += runtime.loader_heap(domain + 0x400, distance=distance)
    expected += runtime.loader_heap(manager + 0x40, 1, distance=distance)
    runtime.loader_heap(far + 0x40)  # three pointers away
    assert blocks(process, data, (data + 0x1800,)) == sorted(expected)
    recording = RecordingMemory(memory_of(process))
    assert blocks(process, data, (data + 0x1800,), recording) == sorted(expected)
    assert blocks(process, data, (data + 0x1800,), ExcerptMemory(recording.excerpts())) == sorted(expected)
    assert sum(len(part) for _, part in recording.excerpts()) < 0x800


@pytest.mark.parametrize("arch", ["x64", "x86"])
@pytest.mark.parametrize(
    "lie",
    [
        lambda p, o, w: p.pointer(o + 2 * w, p.read_pointer(o + 4 * w) + 8),  # the next free byte is beyond the block
        lambda p, o, w: p.pointer(o + 3 * w, p.read_pointer(o + 3 * w) + 0x1000),  # more than is committed
        lambda p, o, w: p.pointer(o + 4 * w, p.read_pointer(o + 4 * w) - 0x1000),  # not the end of a block
        lambda p, o, w: p.pointer(p.read_pointer(o + w) + w, p.read_pointer(o + 4 * w) - 0x8000),  # another start
        lambda p, o, w: p.pointer(p.read_pointer(o + w) + 2 * w, 0x20000),  # more than its allocation
        lambda p, o, w: p.number(p.read_pointer(o + w) + 3 * w, 2, 4),  # no boolean
        lambda p, o, w: p.pointer(p.read_pointer(o + w), p.read_pointer(o + w)),  # a loop
        lambda p, o, w: p.pointer(p.read_pointer(o + w), 0x10),  # nowhere
        lambda p, o, w: p.pointer(o + w, 0),
    ],
)
def test_a_loader_heap_that_lies_is_none(arch: str, lie: Callable[[ProcessBuilder, int, int], Any]) -> None:
    process, runtime, data = scene(arch)
    runtime.loader_heap(data + 0x400)
    assert len(blocks(process, data)) == 2
    lie(process, data + 0x400, process.pointer_size)
    assert blocks(process, data) == []


@pytest.mark.parametrize("arch", ["x64", "x86"])
@pytest.mark.parametrize("distance", [1, 3])
def test_a_block_elsewhere_that_would_fit_is_none_of_the_heap(arch: str, distance: int) -> None:
    """A damaged address can lead to another allocation of 64 KB. The heap's own sum tells it from the heap's."""
    process, runtime, data = scene(arch)
    expected = runtime.loader_heap(data + 0x400, 3, distance=distance)
    other = process.allocate(SEGMENT, commit=SEGMENT)
    assert blocks(process, data) == sorted(expected)
    process.pointer(runtime.block + process.pointer_size, other)  # its current block would be elsewhere
    assert blocks(process, data) == []
    process.pointer(runtime.block + process.pointer_size, expected[0][0])
    process.pointer(process.read_pointer(runtime.block) + process.pointer_size, other)
    assert blocks(process, data) == []
    process.pointer(runtime.total, 0x2000 + SEGMENT + 0x2000)
    assert len(blocks(process, data)) == 3  # it fits indeed: only the sum was against it


@pytest.mark.parametrize("arch", ["x64", "x86"])
def test_blocks_that_a_heap_releases_are_private_or_views_but_not_both(arch: str) -> None:
    process, runtime, data = scene(arch)
    expected = runtime.loader_heap(data + 0x400, 4, distance=3)
    view = process.allocate(SEGMENT, commit=0x2000, type=MEM_MAPPED)
    assert blocks(process, data) == sorted(expected)
    third = process.read_pointer(process.read_pointer(runtime.block))
    assert process.read_number(third + 3 * process.pointer_size, 4) == 1
    process.pointer(third + process.pointer_size, view)
    assert blocks(process, data) == []


@pytest.mark.parametrize("arch", ["x64", "x86"])
def test_descriptions_that_begin_their_blocks(arch: str) -> None:
    process, runtime, data = scene(arch)
    expected = runtime.loader_heap(data + 0x400, 3, in_place=True)
    other = process.allocate(SEGMENT, commit=0x2000)
    assert blocks(process, data) == sorted(expected)
    process.pointer(expected[1][0] + process.pointer_size, other)  # with equal sums
    assert blocks(process, data) == []


@pytest.mark.parametrize("arch", ["x64", "x86"])
def test_a_block_that_the_heap_releases_is_an_allocation(arch: str) -> None:
    process, runtime, data = scene(arch)
    runtime.loader_heap(data + 0x400)
    released = runtime.block
    assert process.read_number(released + 3 * process.pointer_size, 4) == 1
    base = process.allocate(2 * SEGMENT, commit=0x2000)
    process.pointer(released + process.pointer_size, base)
    for index, offset in enumerate((0x1238, 0x2000, SEGMENT)):
        process.pointer(data + 0x400 + (2 + index) * process.pointer_size, base + offset)
    assert blocks(process, data) == []
    process.number(released + 3 * process.pointer_size, 0, 4)
    assert len(blocks(process, data)) == 2


@pytest.mark.parametrize("arch", ["x64", "x86"])
def test_the_list_of_code_heaps(arch: str) -> None:
    process, runtime, data = scene(arch)
    expected = [CodeRange(base, end, stubs=False) for base, end in runtime.code_list(data + 0x100)]
    memory, space = memory_of(process), space_of(process)
    assert ranges_by_list(memory, space, data + 0x100, process.pointer_size) == expected
    assert ranges_by_list(memory, space, data + 0x200, process.pointer_size) == []


@pytest.mark.parametrize("arch", ["x64", "x86"])
@pytest.mark.parametrize("word", [0, 1, 5, 6])
def test_a_code_heap_whose_node_disagrees_is_left_out(arch: str, word: int) -> None:
    process, runtime, data = scene(arch)
    expected = runtime.code_list(data + 0x100)
    at = runtime.sections[1] + word * process.pointer_size
    process.pointer(at, {0: expected[0][0] + 0x3000, 1: expected[1][1] + 0x10000, 5: 1, 6: 0}[word])
    found = ranges_by_list(memory_of(process), space_of(process), data + 0x100, process.pointer_size)
    assert len(found) == 1


def test_a_list_of_code_heaps_that_loops_ends() -> None:
    process, runtime, data = scene()
    expected = runtime.code_list(data + 0x100, 1)
    process.pointer(runtime.sections[1] + 0x18, runtime.sections[0])
    found = ranges_by_list(memory_of(process), space_of(process), data + 0x100, 8)
    assert [(part.base, part.end) for part in found] == expected


def contract(top: int) -> Contract:
    return Contract(8, "0", MAP_TYPES, {"ExecutionManagerCodeRangeMapAddress": top})


def mapped_scene() -> tuple[ProcessBuilder, RuntimeMemory, int]:
    process, runtime, _ = scene()
    return process, runtime, process.allocate(0x2000)


def test_the_map_of_code_ranges() -> None:
    process, runtime, top = mapped_scene()
    heaps, stubs = runtime.code_map(top + 0x10)
    memory, space = memory_of(process), space_of(process)
    recording = RecordingMemory(memory)
    found = ranges_by_map(recording, space, contract(top))
    assert found == sorted(
        [CodeRange(*part, stubs=False) for part in heaps] + [CodeRange(*part, stubs=True) for part in stubs],
        key=lambda part: part.base,
    )
    assert ranges_by_map(ExcerptMemory(recording.excerpts()), space, contract(top)) == found
    assert ranges_by_map(memory, space, Contract(8, "0", {}, {"ExecutionManagerCodeRangeMapAddress": top})) == []
    assert ranges_by_map(memory, space, contract(0)) == []


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        ("RangeSection", "RangeEndOpen", 0x40000),  # more than its allocation
        ("RangeSection", "R2RModule", 8),  # compiled ahead of time
        ("RangeSection", "Flags", 0),
        ("CodeHeapListNode", "EndAddress", 0x30000),
        ("CodeHeapListNode", "MapBase", 0x1000),
    ],
)
def test_a_range_that_disagrees_is_left_out(kind: str, name: str, value: int) -> None:
    process, runtime, top = mapped_scene()
    base, end = runtime.code_heap()
    section = runtime.map_range(top + 0x10, base, end, flags=2)
    node = process.read_pointer(section + MAP_TYPES["RangeSection"]["HeapList"])
    at = (section if kind == "RangeSection" else node) + MAP_TYPES[kind][name]
    if name == "Flags":
        process.number(at, value, 4)
    else:
        process.pointer(at, base + value)
    assert ranges_by_map(memory_of(process), space_of(process), contract(top)) == []


@pytest.mark.parametrize(
    ("begin", "end", "found"),
    [
        (0, 0x20000, True),
        (0x1FFF0, 0x20000, True),
        (0x20000, 0x21000, False),  # the entry is about 128 KB
        (-0x1000, 0x10, True),
        (-0x1000, 0, False),
    ],
)
def test_a_fragment_touches_what_its_entry_is_about(begin: int, end: int, found: bool) -> None:
    process, runtime, top = mapped_scene()
    whole = process.allocate(0x80000, commit=0x80000)
    low = (whole + 0x20000) & -0x20000
    section = runtime.map_range(top + 0x10, low, low + 0x20000, flags=4)
    leaf = top + 0x10
    for level in (4, 3, 2, 1):
        leaf = process.read_pointer(leaf + 8 * (low >> 17 + 8 * level & 0xFF)) & ~1
    fragment = process.read_pointer(leaf + 8 * (low >> 17 & 0xFF))
    for kind, place in (("RangeSection", section), ("RangeSectionFragment", fragment)):
        process.pointer(place + MAP_TYPES[kind]["RangeBegin"], low + begin)
        process.pointer(place + MAP_TYPES[kind]["RangeEndOpen"], low + end)
    ranges = ranges_by_map(memory_of(process), space_of(process), contract(top))
    assert ranges == ([CodeRange(low + begin, low + end, stubs=True)] if found else [])


def test_a_map_whose_levels_loop_ends() -> None:
    process, runtime, top = mapped_scene()
    runtime.code_map(top + 0x10)
    for index in range(256):
        process.pointer(top + 0x10 + 8 * index, top + 0x10)
    assert ranges_by_map(memory_of(process), space_of(process), contract(top)) == []


@pytest.mark.parametrize("arch", ["x64", "x86"])
@pytest.mark.parametrize(("types", "lock"), [(12, 0), (12, 0x40), (13, 0)])
def test_handle_tables(arch: str, types: int, lock: int) -> None:
    process, runtime, data = scene(arch)
    expected = runtime.handle_table(data + 0x100, 3, types=types, lock=lock)
    memory, space, width = memory_of(process), space_of(process), process.pointer_size
    recording = RecordingMemory(memory)
    assert handle_segments(recording, space, data + 0x100, width) == expected
    assert handle_segments(ExcerptMemory(recording.excerpts()), space, data + 0x100, width) == expected


def test_handle_tables_that_lie() -> None:
    process, runtime, data = scene()
    first, second, third = runtime.handle_table(data + 0x100, 3)
    process.pointer(second + runtime.tail + 8, runtime.table + 8)  # of another table
    assert handle_segments(memory_of(process), space_of(process), data + 0x100, 8) == [first]
    process.pointer(first + runtime.tail, first)  # a loop
    assert handle_segments(memory_of(process), space_of(process), data + 0x100, 8) == [first]
    process.number(data + 0x110, 0xFFFFFFFF, 4)
    assert handle_segments(memory_of(process), space_of(process), data + 0x100, 8) == [first]
    process.pointer(data + 0x108, data + 0x100)  # a map that names itself
    assert handle_segments(memory_of(process), space_of(process), data + 0x100, 8) == [first]
    process.pointer(first + runtime.tail + 8, 0)
    assert handle_segments(memory_of(process), space_of(process), data + 0x100, 8) == []
    assert third


@pytest.mark.parametrize("arch", ["x64", "x86"])
def test_a_framework_has_them_too_and_they_are_inferred(arch: str) -> None:
    process = ProcessBuilder(arch, 19045).furnish()
    framework = Framework(process)
    runtime = RuntimeMemory(process)
    heap = runtime.loader_heap(framework.data + 0x2000)
    code = runtime.code_list(framework.variable("m_CodeRangeList", 0))
    framework.write_table()
    found = survey_process(process)
    parts = [part for one in found.found for part in one.ranges if part.kind.startswith(".NET")]
    told = {(part.base, part.base + part.size, part.kind) for part in parts}
    assert told == {
        *((base, base + size, LOADER) for base, size in heap),
        *((base, end, CODE) for base, end in code),
    }
    assert all(part.inferred and part.type is None and part.owner == ".NET" for part in parts)


def test_flipped_bits_end_in_ranges_of_the_map() -> None:
    chance = random.Random(9)
    process = ProcessBuilder("x64", 19045).furnish()
    framework = Framework(process)
    runtime = RuntimeMemory(process)
    runtime.loader_heap(framework.data + 0x2000, 4)
    runtime.code_list(framework.variable("m_CodeRangeList", 0), 3)
    framework.write_table()
    memory, space = memory_of(process), space_of(process)
    targets = [(framework.data, 0x2800), (runtime.block - 0x400, 0x800), (runtime.sections[1] - 0x200, 0x400)]
    for _ in range(60):
        check_flipped(process, memory, space, [chance.choice(targets) for _ in range(3)], chance)


def check_flipped(
    process: ProcessBuilder,
    memory: ExcerptMemory,
    space: MapSpace,
    targets: list[tuple[int, int]],
    chance: random.Random,
) -> None:
    """Flips a bit in each target, and checks that what is claimed lies in allocations and does not overlap."""
    places = [base + chance.randrange(size) for base, size in targets]
    broken = []
    for start, size in memory.ranges():
        data = bytearray(memory.read(start, size) or b"")
        for place in places:
            if start <= place < start + size:
                data[place - start] ^= 1 << chance.randrange(8)
        broken.append((start, bytes(data)))
    found = survey_process(process, ExcerptMemory(broken))
    parts = sorted(
        (part.base, part.base + part.size) for one in found.found for part in one.ranges if part.owner == ".NET"
    )
    for before, after in pairwise(parts):
        assert before[1] <= after[0]
    for base, end in parts:
        allocation = space.allocation(base)
        assert allocation is not None
        assert end <= sum(allocation)


# ---------------------------------------------------------------- bounds


@pytest.mark.parametrize(
    ("value", "followed"),
    [
        (0x1000, False),
        (0x1008, True),
        (0x1004, False),  # no pointer is there
        (0x3FFFF8, True),
        (0x400000, False),  # in an image
        (0x4FFFF8, False),
        (0x500000, True),
        (0x7FFF_FFFF_FFF8, True),
        (0x8000_0000_0000, False),
    ],
)
@pytest.mark.parametrize("lost", [0, 3, 8])
def test_words_that_may_point_to_an_object(value: int, followed: bool, lost: int) -> None:
    memory = ExcerptMemory([(0x20000 + lost, struct.pack("<3Q", 0, value, 0)[lost:])])
    search = _Search(memory, NoSpace(), [(0x400000, 0x500000)], 8)
    found = list(search.pointers([(0x20000, 0x20018, (5,))]))
    assert found == ([(0x20008, value, (5,))] if followed else [])


IN_HEAP, OF_STUBS = 0x2, 0x4


@pytest.mark.parametrize(
    ("section", "node", "found"),
    [
        # begin, end, flags, list of code heaps, module; first byte, next free byte, and base of a code heap
        ((0x20100, 0x28000, IN_HEAP, 1, 0), (0x20200, 0x21000, 0x20000), (0x20000, 0x28000, False)),
        ((0x20100, 0x30000, IN_HEAP, 1, 0), (0x20100, 0x30000, 0x20000), (0x20000, 0x30000, False)),
        ((0x20100, 0x30001, IN_HEAP, 1, 0), (0x20200, 0x21000, 0x20000), None),  # longer than the allocation
        ((0x20100, 0x20100, IN_HEAP, 1, 0), (0x20100, 0x20100, 0x20000), None),
        ((0x20100, 0x28000, IN_HEAP, 1, 9), (0x20200, 0x21000, 0x20000), None),  # a module's
        ((0x20100, 0x28000, IN_HEAP, 1, 0), (0x200FF, 0x21000, 0x20000), None),
        ((0x20100, 0x28000, IN_HEAP, 1, 0), (0x21001, 0x21000, 0x20000), None),
        ((0x20100, 0x28000, IN_HEAP, 1, 0), (0x20200, 0x28001, 0x20000), None),
        ((0x21100, 0x28000, IN_HEAP, 1, 0), (0x21200, 0x22000, 0x20000), None),  # the head is elsewhere
        ((0x21100, 0x28000, IN_HEAP, 1, 0), (0x21200, 0x22000, 0x21000), (0x21000, 0x28000, False)),
        ((0x20100, 0x28000, OF_STUBS, 0, 0), (), (0x20100, 0x28000, True)),
        ((0x20100, 0x28000, OF_STUBS, 1, 0), (), None),
        ((0x20100, 0x28000, 0, 0, 0), (), None),
        ((0xFF00, 0x28000, OF_STUBS, 0, 0), (), None),
    ],
)
def test_a_range_of_code_agrees_with_itself(
    section: tuple[int, ...], node: tuple[int, ...], found: tuple[int, int, bool] | None
) -> None:
    space = MapSpace([(0x20000, 0x10000, 0x20000, MEM_COMMIT, MEM_PRIVATE)])
    code = _Reader(ExcerptMemory([]), space, 8).code_range(section, node, OF_STUBS)
    assert (code and (code.base, code.end, code.stubs)) == found
