"""Managed heaps of synthetic processes: every form, and structures that lie."""

from __future__ import annotations

import random
import struct
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from support.structures import managed_heaps, memory_of, runtime_modules, space_of, survey_process
from synth.managed import GENERATIONS, SECTIONS, VARS, VARS_AT, Runtime
from synth.process import ProcessBuilder

from dumpmap.model.managed_heaps import ManagedHeap, ManagedRange
from dumpmap.model.memory import ExcerptMemory, RecordingMemory
from dumpmap.model.process import ProcessStructures
from dumpmap.model.types import RegionType
from dumpmap.structures.contract import MAX_JSON, Contract, _resolve, read_contract
from dumpmap.structures.gc_contract import contract_roots
from dumpmap.structures.gc_dac_vars import _by_table
from dumpmap.structures.gc_roots import GcRoots, HeapRoots
from dumpmap.structures.layouts import gc as layouts
from dumpmap.structures.pe import find_export, read_image
from dumpmap.structures.recognisers import dotnet
from dumpmap.structures.recognisers.dotnet import _labelled
from dumpmap.structures.space import NoSpace
from dumpmap.structures.survey import survey


def build(arch: str = "x64", **options: Any) -> Runtime:
    process = ProcessBuilder(arch, 19045).furnish()
    process.add_thread()
    return Runtime(process, **options)


def survey_runtime(runtime: Runtime) -> ProcessStructures:
    return survey_process(runtime.process)


def ranges(heap: ManagedHeap) -> list[tuple[int, int, str, int | None]]:
    return [(part.base, part.base + part.size, part.kind, part.heap) for part in heap.ranges]


FORMS = [
    ("x64", "10", True),
    ("x64", "10", False),
    ("x64", "interim", True),
    ("x64", "interim", False),
    ("x64", "3.1", False),
    ("x64", "contract", True),
    ("x64", "contract", False),
    ("x86", "10", False),
    ("x86", "3.1", False),
    ("x86", "contract", False),
]


@pytest.mark.parametrize("server", [False, True])
@pytest.mark.parametrize(("arch", "form", "regions"), FORMS)
def test_every_form_leads_to_every_range(arch: str, form: str, regions: bool, server: bool) -> None:
    runtime = build(arch, form=form, regions=regions, server=server)
    found = survey_runtime(runtime)
    assert found.warnings == ()
    assert found.notes == ()
    (heap,) = managed_heaps(found)
    assert ranges(heap) == runtime.ranges()
    assert (heap.server, heap.regions, heap.heap_count) == (server, regions, 2 if server else 1)
    assert heap.evidence == ("contract-descriptor" if form == "contract" else "gc-dac-vars")
    assert heap.object_bytes > 0
    assert not heap.inferred


@pytest.mark.parametrize("form", ["10", "3.1", "contract"])
def test_a_recording_gives_the_same_heap_and_holds_little(form: str) -> None:
    runtime = build(form=form, regions=form != "3.1")
    recording = RecordingMemory(memory_of(runtime.process))
    first = survey_process(runtime.process, recording)
    assert managed_heaps(first)
    assert survey_process(runtime.process, ExcerptMemory(recording.excerpts())) == first
    data = runtime.module.sections[".data"]
    held = sum(len(block) for at, block in recording.excerpts() if data[0] <= at < sum(data))
    assert held < 0x800


def test_the_exported_table_leads_there_without_a_search(monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = build(table=True)
    monkeypatch.setattr("dumpmap.structures.gc_dac_vars.writable_ranges", lambda *_: [])
    (heap,) = managed_heaps(survey_runtime(runtime))
    assert ranges(heap) == runtime.ranges()


def test_a_program_that_carries_the_runtime() -> None:
    runtime = build(single_file=True)
    found = survey_runtime(runtime)
    assert runtime_modules(found) == ("tool.exe",)
    assert ranges(managed_heaps(found)[0]) == runtime.ranges()
    triage = survey(
        memory_of(runtime.process),
        pointer_size=8,
        threads=[],
        modules=[(module.base, module.size, module.name) for module in runtime.process.modules],
        space=space_of(runtime.process),
        os_build=19045,
        all_images=False,
    )
    assert managed_heaps(triage) == managed_heaps(found)


def test_amid_a_collection_everything_is_inferred() -> None:
    found = survey_runtime(build(invalid=1))
    assert managed_heaps(found)[0].inferred
    assert not found.warnings
    assert any("collection" in note for note in found.notes)


def test_without_a_memory_map_the_structures_stand_alone() -> None:
    runtime = build(regions=False)
    found = survey(
        memory_of(runtime.process),
        pointer_size=8,
        threads=[],
        modules=[(module.base, module.size, module.name) for module in runtime.process.modules],
        space=NoSpace(),
        os_build=19045,
    )
    assert ranges(managed_heaps(found)[0]) == runtime.ranges()


def test_no_runtime_costs_nothing() -> None:
    process = ProcessBuilder("x64", 19045).furnish()
    process.add_module("C:\\app\\tool.exe", exports={"main": 0x1010}, dll=False)
    found = survey_process(process)
    assert (managed_heaps(found), runtime_modules(found), found.notes) == ((), (), ())


def test_a_runtime_whose_variables_are_not_captured() -> None:
    runtime = build()
    runtime.process.drop_range(runtime.data, 0x6000)
    found = survey_runtime(runtime)
    assert managed_heaps(found) == ()
    assert runtime_modules(found) == ("coreclr.dll",)
    assert any("GcDacVars" in line for line in found.notes)


@pytest.mark.parametrize(
    ("section", "lost", "noted"), [(".CLR_UEF", True, True), (".CLR_UEF", False, False), (".x", True, False)]
)
def test_a_program_whose_exports_are_not_captured_shows_a_runtime_by_its_sections(
    section: str, lost: bool, noted: bool
) -> None:
    process = ProcessBuilder("x64", 19045).furnish()
    sections = (SECTIONS[0], replace(SECTIONS[0], name=section), *SECTIONS[1:])
    tool = process.add_module("C:\\app\\tool.exe", sections=sections, exports={"DotNetRuntime": 0x1010}, dll=False)
    if lost:
        process.drop_range(*tool.sections[".rdata"])
    recording = RecordingMemory(memory_of(process))
    found = survey_process(process, recording)
    assert runtime_modules(found) == (("tool.exe",) if noted else ())
    assert any("tool.exe: its exports are not in the dump" in note for note in found.notes) == noted
    assert survey_process(process, ExcerptMemory(recording.excerpts())) == found


def test_a_module_of_that_name_that_is_none() -> None:
    process = ProcessBuilder("x64", 19045).furnish()
    module = process.add_module("C:\\dotnet\\coreclr.dll")
    data, size = module.sections[".data"]
    process.write(data, random.Random(1).randbytes(size))
    found = survey_process(process)
    assert managed_heaps(found) == ()
    assert runtime_modules(found) == ("coreclr.dll",)


# ---------------------------------------------------------------- what lies


def test_a_segment_that_is_not_captured_costs_only_its_chain() -> None:
    runtime = build(regions=False)
    runtime.process.drop_page(runtime.heaps[0].segments[3])
    found = survey_runtime(runtime)
    gone = runtime.heaps[0].segments[3]
    assert ranges(managed_heaps(found)[0]) == [r for r in runtime.ranges() if not gone <= r[0] < gone + 0x80000]
    assert found.notes == ("managed heap of coreclr.dll: 1 segment is not in the dump",)


LIES = [
    {"Committed": 0x7000},  # more than is committed
    {"Reserved": 0x90000},  # more than the allocation
    {"Mem": 0x5000},  # behind its objects
    {"Committed": 0x6008},
    {"Reserved": 0x1000},
]


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("form", ["10", "contract"])
def test_a_segment_that_contradicts_the_map_is_left_out(form: str, lie: dict[str, int]) -> None:
    runtime = build(form=form, regions=False)
    gone = runtime.heaps[0].segments[3]
    runtime.write_segment(gone, **{name: gone + offset for name, offset in lie.items()})
    found = survey_runtime(runtime)
    assert ranges(managed_heaps(found)[0]) == [r for r in runtime.ranges() if not gone <= r[0] < gone + 0x80000]
    assert len(found.warnings) == 1


def test_a_chain_that_runs_in_a_circle_ends() -> None:
    runtime = build()
    first = runtime.heaps[0].segments[3]
    runtime.write_segment(first, Next=first)
    found = survey_runtime(runtime)
    assert ranges(managed_heaps(found)[0]) == runtime.ranges()
    assert "appears twice" in found.warnings[0]


@pytest.mark.parametrize("target", [0x10, 0x7FFF_FFFF_FFF8, 0xFFFF_8000_0000_0000, 0x12345])
def test_wild_pointers_are_left_out(target: int) -> None:
    runtime = build()
    runtime.write_segment(runtime.heaps[0].segments[3], Next=target)
    found = survey_runtime(runtime)
    assert ranges(managed_heaps(found)[0]) == runtime.ranges()
    assert found.warnings or found.notes


@pytest.mark.parametrize("count", [0, 0x7FFFFFFF, 0xFFFFFFFF])
@pytest.mark.parametrize("form", ["10", "contract"])
def test_an_impossible_count_of_heaps(form: str, count: int) -> None:
    runtime = build(form=form, server=True)
    runtime.process.number(runtime._variables["n_heaps"], count, 4)
    found = survey_runtime(runtime)
    assert managed_heaps(found) == ()
    assert any("lists no heaps" in line for line in found.notes)


@pytest.mark.parametrize("name", [*VARS])
def test_variables_that_cannot_be_the_collectors(name: str) -> None:
    runtime = build()
    at = runtime.data + VARS_AT + VARS[name]
    runtime.process.pointer(at, runtime.process.threads[0].teb)
    found = survey_runtime(runtime)
    if managed_heaps(found):  # the last ones are not what tells a GcDacVars
        told = {part for part in ranges(managed_heaps(found)[0]) if part[2] in GENERATIONS}
        assert told <= set(runtime.ranges())
    else:
        assert found.notes


def test_flipped_bits_end_in_a_result() -> None:
    chance = random.Random(20)
    runtimes = [build(form=form, server=server) for form in ("10", "contract") for server in (False, True)]
    for runtime in runtimes:
        blocks = memory_of(runtime.process)
        targets = [
            (runtime.data, 0x6000),
            (runtime.bookkeeping, 0x2000),
            (runtime.module.sections[".rdata"][0], 0x4000),
        ]
        for _ in range(12):
            broken = []
            for start, size in blocks.ranges():
                data = bytearray(blocks.read(start, size) or b"")
                for base, length in targets:
                    for _ in range(3):
                        at = base + chance.randrange(length) - start
                        if 0 <= at < len(data):
                            data[at] ^= 1 << chance.randrange(8)
                broken.append((start, bytes(data)))
            found = survey_process(runtime.process, ExcerptMemory(broken))
            for heap in managed_heaps(found):
                for before, after in zip(heap.ranges, heap.ranges[1:], strict=False):
                    assert before.base + before.size <= after.base
                assert {part.kind for part in heap.ranges} <= {
                    *GENERATIONS,
                    "GC frozen heap",
                    "GC free region",
                    "GC reserve",
                    "GC bookkeeping",
                }


# ---------------------------------------------------------------- the descriptor


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (5, (None, 5)),
        ("0x10", (None, 16)),
        ("windows", (None, "windows")),
        ([1], (0x200, None)),
        ([7, "uint32"], (None, 7)),
        ([[0], "pointer"], (0x100, None)),
        (["text", "string"], (None, "text")),
        ([2], (None, None)),
        ([[-1], "pointer"], (None, None)),
        ([[], "pointer"], (None, None)),
        ({}, (None, None)),
        (None, (None, None)),
        (True, (None, None)),
    ],
)
def test_the_forms_of_a_value(value: Any, expected: tuple[Any, Any]) -> None:
    assert _resolve(value, (0x100, 0x200)) == expected


@pytest.mark.parametrize(
    ("offset", "data", "reason"),
    [
        (0, b"DNCCDAB\0", "no valid header"),
        (0, b"DNCCDAD\0", "no valid header"),
        (7, b"\1", "no valid header"),
        (8, b"\x02", "no valid header"),
        (8, b"\x03", "no valid header"),
        (12, b"\xff\xff\xff\xff", "implausible"),
        (12, b"\x01\0\0\0", "implausible"),
        (16, b"\x00\x00\x10\x00\x00\x00\x00\x00", "outside its module"),
        (12, b"\x20\0\0\0", "damaged"),
        (12, (MAX_JSON).to_bytes(4, "little"), "implausible"),
        (12, (MAX_JSON - 1).to_bytes(4, "little"), "outside its module"),
        (0x18, b"\xff\xff\xff\xff", "implausible"),
        (0x18, (MAX_JSON // 8 + 1).to_bytes(4, "little"), "implausible"),
        (0x18, (MAX_JSON // 8).to_bytes(4, "little"), "outside its module"),
    ],
)
def test_descriptors_that_are_none(offset: int, data: bytes, reason: str) -> None:
    runtime = build(form="contract")
    base = runtime.module.base
    runtime.process.write(runtime.module.exports["DotNetRuntimeContractDescriptor"] + offset, data)
    memory = memory_of(runtime.process)
    image = read_image(memory, base)
    assert image is not None
    address = find_export(memory, base, image, "DotNetRuntimeContractDescriptor")
    assert address is not None
    found = read_contract(memory, address, 8, (base, base + image.size_of_image))
    assert isinstance(found, str)
    assert reason in found
    assert any(reason in line for line in survey_runtime(runtime).notes)


@pytest.mark.parametrize("offset", [0x10, 0x20])
def test_a_descriptor_of_which_a_part_is_not_captured(offset: int) -> None:
    runtime = build(form="contract")
    address = runtime.module.exports["DotNetRuntimeContractDescriptor"]
    assert not isinstance(read_contract(memory_of(runtime.process), address, 8, (0, 1 << 64)), str)
    runtime.process.pointer(address + offset, 0x7000_0000_0000)
    assert read_contract(memory_of(runtime.process), address, 8, (0, 1 << 64)) == "not all of it is in the dump"


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ((0x20008, 0x20010), [0x20100]),
        ((0x20000, 0x20008, 0x20010), [0x20100]),
        ((0x20008,), []),  # nothing of the table is captured behind the type
        ((0x20000, 0x20010), []),  # 0 is no type
        ((0x20008, 0x30000), []),
        ((), []),
    ],
)
def test_the_entry_of_the_table_behind_the_type_of_the_heap(words: tuple[int, ...], found: list[int]) -> None:
    table = b"".join(word.to_bytes(8, "little") for word in words)
    variables = b"".join(value.to_bytes(8, "little") for value in (0, 1, 0x20100)).ljust(0x200, b"\0")
    memory = ExcerptMemory([(0x10000, table), (0x20000, variables)])
    assert list(_by_table(memory, 0x10000, 8, [(0x20000, 0x20200)])) == found


@pytest.mark.parametrize(
    ("lost", "wrong", "said"),
    [(["a"], [], "a"), ([], ["b"], "b"), (["a"], ["b"], "a"), (["a", "c"], [], "a; c"), ([], [], "")],
)
def test_why_a_heap_was_not_found(
    monkeypatch: pytest.MonkeyPatch, lost: list[str], wrong: list[str], said: str
) -> None:
    monkeypatch.setattr(dotnet, "walk_heaps", lambda *_, **__: (None, lost, wrong))
    found = survey_runtime(build(form="contract"))
    (line,) = (line for line in found.notes if line.startswith("coreclr.dll: its managed heap could not be located"))
    first, *reasons, last = line.split("; ")
    assert "GcDacVars" in first
    assert "table" in last
    assert "; ".join(reasons) == said
    assert [line for line in found.warnings if line in wrong] == wrong


def test_a_part_that_names_itself_as_its_part() -> None:
    runtime = build(form="contract")
    runtime.process.pointer(runtime._variables["gc_descriptor"], runtime.data + 0x40)
    found = survey_runtime(runtime)
    assert managed_heaps(found) == ()
    assert any("does not describe the garbage collector" in line for line in found.notes)


def test_offsets_of_the_forms() -> None:
    for forms in layouts.GC_DAC_VARS.values():
        for layout in forms:
            assert layout.declaration.sizeof() == layout.size
    whole, interim, old = layouts.GC_DAC_VARS[8]
    for name, offset in VARS.items():
        assert whole.offsets[name] == offset
        if name in old.offsets and offset > 0x10:
            assert old.offsets[name] == offset - 8
        if offset > 0x10:
            assert interim.offsets[name] == offset + 0x10
    assert old.offsets["handle_table_map"] == 0xE0
    narrow = layouts.GC_DAC_VARS[4][0]
    assert all(narrow.offsets[name] == offset // 2 for name, offset in VARS.items())


def test_what_the_collector_says_to_be_committed() -> None:
    kinds = ("GC reserve", "GC bookkeeping", "GC free region", "GC generation 2")
    parts = tuple(ManagedRange(0x10000 * place, 0x8000, kind, place % 2) for place, kind in enumerate(kinds, 1))
    heap = ManagedHeap("coreclr.dll", 0x10000, "dac-table", "1", True, True, 2, parts, 0)
    ranges = list(_labelled(heap))
    assert [(one.committed, one.whole_kind) for one in ranges] == [
        (0, "GC heap"),
        (None, None),
        (0x8000, "GC heap"),
        (0x8000, "GC heap"),
    ]
    assert [(one.instance, one.details) for one in ranges[:2]] == [
        ("heap 1", "coreclr.dll, heap 1"),
        ("heap 0", "coreclr.dll, heap 0"),
    ]
    assert {one.type for one in ranges} == {RegionType.MANAGED_HEAP}


# ---------------------------------------------------------------- a contract whose offsets are no multiples of anything


SEGMENT_FIELDS = {"Mem": 9, "Allocated": 17, "Committed": 25, "Reserved": 33, "Flags": 41, "Next": 49}


def contract(
    types: Mapping[str, dict[str, int]] | None = None, *, server: bool = True
) -> tuple[ExcerptMemory, Contract]:
    """The descriptor of a collector, and its variables and heaps; every word of a heap is its own address."""
    identifiers = "regions, server" if server else "regions,background"
    known = {
        "HeapSegment": SEGMENT_FIELDS,
        "Generation": {"!": 0x80, "StartSegment": 11, "AllocationStart": 13},
        "RegionFreeList": {"!": 0x19, "HeadFreeRegion": 3},
        "GCHeap": {
            "GenerationTable": 0x33,
            "FreeRegions": 0x105,
            "FreeableSohSegment": 0x7B,
            "FreeableUohSegment": 0x8D,
            "EphemeralHeapSegment": 0x9F,
            "AllocAllocated": 0xB1,
        },
        "CardTableInfo": {"Recount": 1, "Size": 7, "NextCardTable": 0x0F, "!": 0x40},
    }
    names = ("NumHeaps", "Heaps", "BookkeepingStart", "StructureInvalidCount", "GCHeapEphemeralHeapSegment")
    more = ("GCHeapAllocAllocated", "GCHeapFreeableSohSegment", "GCHeapFreeableUohSegment")
    addresses = {name: 0x20000 + 8 * at for at, name in enumerate((*names, *more))}
    words = (2, 0x30003, 0x77000, 5, 0x78000, 0x79000, 0x7A000, 0x7B000)
    addresses |= {"GCHeapGenerationTable": 0x40400, "GCHeapFreeRegions": 0x50505, "GlobalFreeHugeRegions": 0x50707}
    chunks = [(0x20000, struct.pack("<8Q", *words)), (0x30003, struct.pack("<2Q", 0x40407, 0x40C07))]
    for heap in (0x40407, 0x40C07):
        data = bytearray(0x200)
        for offset in (0x7B, 0x8D, 0x9F, 0xB1, 0x105 + 3, 0x105 + 0x19 + 3):
            struct.pack_into("<Q", data, offset, heap + offset)
        chunks.append((heap, bytes(data)))
    chunks += [(0x50505 + 0x19 * at + 3, struct.pack("<Q", 0x60000 + at)) for at in range(3)]
    chunks.append((0x50707 + 3, struct.pack("<Q", 0x61000)))
    values: dict[str, int | str] = {
        "GCIdentifiers": identifiers,
        "CountFreeRegionKinds": 2,
        "CardTableInfoSize": 0x48,
        "TotalGenerationCount": 5,
    }
    return ExcerptMemory(chunks), Contract(8, "1", {**known, **(types or {})}, addresses, values)


def test_the_roots_of_a_server_collector_by_its_contract() -> None:
    roots = contract_roots(*contract())
    assert isinstance(roots, GcRoots)
    assert (roots.server, roots.regions, roots.generation_size, roots.generation_count) == (True, True, 0x80, 5)
    assert (roots.start_segment, roots.allocation_start, roots.invalid_count) == (11, 13, 5)
    assert roots.heaps == tuple(
        HeapRoots(
            index,
            heap + 0x33,
            heap + 0x9F,
            heap + 0xB1,
            (heap + 0x108, heap + 0x121, heap + 0x7B, heap + 0x8D),
        )
        for index, heap in enumerate((0x40407, 0x40C07))
    )
    assert roots.free_chains == (0x61000,)
    assert (roots.segment.size, roots.segment.offsets["Next"]) == (49 + 8, 49)
    assert (roots.bookkeeping, roots.card_table_size) == (0x77000, 0x48)
    # The contract lacks the bounds of the range, which are where they were before.
    cards = {"Recount": 1, "Size": 7, "NextCardTable": 0x0F, "LowestAddress": 0x18, "HighestAddress": 0x20}
    assert dict(roots.card_table.offsets) == cards


def test_the_roots_of_a_workstation_collector_by_its_contract() -> None:
    roots = contract_roots(*contract(server=False))
    assert isinstance(roots, GcRoots)
    chains = (0x60000, 0x60001, 0x7A000, 0x7B000)
    assert roots.heaps == (HeapRoots(None, 0x40400, 0x78000, 0x79000, chains),)
    assert not roots.server
    # Without the fields of the cards, or with one that is far away, their memory is not known.
    without = contract_roots(*contract({"CardTableInfo": {"Size": 8}}, server=False))
    assert isinstance(without, GcRoots)
    assert without.bookkeeping == 0
    far = contract_roots(*contract({"CardTableInfo": {"Size": 8, "NextCardTable": 0x1001}}, server=False))
    assert isinstance(far, GcRoots)
    assert far.bookkeeping == 0


@pytest.mark.parametrize(
    ("types", "problem"),
    [
        ({"HeapSegment": {}, "Generation": {}}, "it does not describe the garbage collector"),
        ({"HeapSegment": {}}, "its description of the garbage collector is incomplete"),
        ({"Generation": {"!": 0, "StartSegment": 8}}, "its description of the garbage collector is incomplete"),
        ({"Generation": {"!": 0x80}}, "its description of the garbage collector is incomplete"),
        ({"HeapSegment": SEGMENT_FIELDS | {"Next": 0x1001}}, "its description of the garbage collector is implausible"),
        ({"GCHeap": {}}, "it lists no heaps"),
    ],
)
def test_a_contract_that_says_too_little(types: dict[str, dict[str, int]], problem: str) -> None:
    assert contract_roots(*contract(types)) == problem
    assert isinstance(contract_roots(*contract({"HeapSegment": SEGMENT_FIELDS | {"Next": 0x1000}})), GcRoots)


@pytest.mark.parametrize(
    ("identifiers", "regions"),
    [
        ("regions", True),
        ("regions, server, background", True),
        ("segments", False),
        ("server, segments", False),
        ("server, background", None),
        ("", None),
    ],
)
def test_what_a_contract_says_of_regions(identifiers: str, regions: bool | None) -> None:
    memory, known = contract(server="server" in identifiers)
    roots = contract_roots(memory, replace(known, values={**known.values, "GCIdentifiers": identifiers}))
    assert isinstance(roots, GcRoots)
    assert roots.regions is regions
    assert roots.server is ("server" in identifiers)
