"""Heaps of the .NET Framework, by its table for debuggers and by content: synthetic ones, and structures that lie."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
from support.structures import managed_heaps, memory_of, survey_process
from synth.framework import SECTIONS, TIMESTAMP, Framework
from synth.managed import Runtime
from synth.process import ProcessBuilder

from dumpmap.model.managed_heaps import ManagedHeap
from dumpmap.model.memory import ExcerptMemory, RecordingMemory
from dumpmap.model.process import ProcessStructures
from dumpmap.structures.space import NoSpace
from dumpmap.structures.survey import survey


def build(arch: str = "x64", **options: Any) -> Framework:
    process = ProcessBuilder(arch, 19045).furnish()
    process.add_thread()
    return Framework(process, **options)


def ranges(heap: ManagedHeap) -> list[tuple[int, int, str, int | None]]:
    return [(part.base, part.base + part.size, part.kind, part.heap) for part in heap.ranges]


def heap_of(framework: Framework) -> ManagedHeap:
    (heap,) = managed_heaps(survey_process(framework.process))
    return heap


def notes_of(framework: Framework) -> str:
    """What is said where nothing is claimed."""
    found = survey_process(framework.process)
    assert managed_heaps(found) == ()
    assert found.warnings == ()
    assert [(runtime.name, runtime.module) for runtime in found.runtimes] == [(".NET Framework", framework.name)]
    assert any("counts as Private Data" in line for line in found.notes)
    return " ".join(found.notes)


FORMS = [
    ("x64", "4", "clr.dll"),
    ("x86", "4", "clr.dll"),
    ("x64", "2.0", "mscorwks.dll"),
    ("x86", "2.0", "mscorwks.dll"),
    ("x86", "rotor", "mscorwks.dll"),
]


@pytest.mark.parametrize("listed", [False, True])
@pytest.mark.parametrize(("arch", "form", "name"), FORMS)
def test_every_form_leads_to_every_range(arch: str, form: str, name: str, listed: bool) -> None:
    framework = build(arch, form=form, name=name, listed=listed)
    found = survey_process(framework.process)
    assert (found.warnings, found.notes) == ((), ())
    (heap,) = managed_heaps(found)
    assert ranges(heap) == framework.ranges()
    assert (heap.server, heap.regions, heap.heap_count) == (False, False, 1)
    assert (heap.evidence, heap.inferred) == ("dac-table", True)
    ends = {"ephemeral": 0x4800 if listed else 0x4000}
    told = sum(
        segment + ends.get(part, 0x4000) - framework.mem(segment) for (_, part), segment in framework.segments.items()
    )
    assert heap.object_bytes == told


@pytest.mark.parametrize("listed", [False, True])
@pytest.mark.parametrize(("arch", "form", "name"), FORMS)
def test_the_heaps_of_a_server_collector(arch: str, form: str, name: str, listed: bool) -> None:
    framework = build(arch, form=form, name=name, server=True, listed=listed)
    if not listed and form != "4":  # a segment does not name its heap where it is known to
        assert "leads to no generations" in notes_of(framework)
        return
    heap = heap_of(framework)
    assert ranges(heap) == framework.ranges()
    assert (heap.server, heap.heap_count, heap.inferred) == (True, 2, True)


def test_every_label_is_inferred() -> None:
    found = survey_process(build().process)
    labelled = [part for one in found.found for part in one.ranges if part.owner == ".NET"]
    assert labelled
    assert all(part.inferred and part.evidence == "dac-table" for part in labelled)


@pytest.mark.parametrize(("form", "server"), [("4", False), ("4", True), ("2.0", False)])
def test_a_recording_gives_the_same_heap_and_holds_little(form: str, server: bool) -> None:
    framework = build(form=form, server=server)
    arenas = [framework.process.allocate(0x10000) for _ in range(200)]
    for arena in arenas:
        framework.process.write(arena, b"\x55" * 0x100)
    recording = RecordingMemory(memory_of(framework.process))
    first = survey_process(framework.process, recording)
    assert managed_heaps(first)
    assert survey_process(framework.process, ExcerptMemory(recording.excerpts())) == first
    held = [(at, len(data)) for at, data in recording.excerpts() if framework.data <= at < framework.data + 0x3000]
    assert sum(size for _, size in held) < 0x400
    assert not any(recording.inner.read(at, size) and at in arenas for at, size in held)


def test_a_frozen_segment_may_lead_the_chain() -> None:
    framework = build()
    process = framework.process
    older = framework.segments[0, "older"]
    header, objects = process.allocate(0x1000), process.allocate(0x2000)
    framework.write_segment(
        header, Mem=objects + 8, Allocated=objects + 0x800, Committed=objects + 0x2000, Reserved=objects + 0x2000
    )
    framework.write_segment(header, Flags=1, Next=older)
    process.pointer(framework.tables[0] + 2 * framework.stride + framework.start_word * 8, header)
    assert (objects, objects + 0x2000, "GC frozen heap", None) in ranges(heap_of(framework))


def test_the_variables_of_gc_dac_vars_come_first() -> None:
    """A .NET Framework whose collector lists its variables as that of .NET Core does."""
    process = ProcessBuilder("x64", 19045).furnish()
    runtime = Runtime(process, form="3.1", regions=False)
    process.modules[process.modules.index(runtime.module)] = replace(runtime.module, name="C:\\dotnet\\clr.dll")
    (heap,) = managed_heaps(survey_process(process))
    assert ranges(heap) == runtime.ranges()
    assert (heap.evidence, heap.inferred, heap.module) == ("gc-dac-vars", True, "clr.dll")


# ---------------------------------------------------------------- what is missing


def test_a_module_without_the_table() -> None:
    framework = build()
    framework.write_table(name="SOMETHINGELSE")
    assert "clr.dll: its managed heap could not be located" in notes_of(framework)
    assert "it has no table for debuggers in the dump" in notes_of(framework)


def test_a_module_whose_resources_are_not_in_the_dump() -> None:
    framework = build()
    framework.process.drop_range(*framework.module.sections[".rsrc"])
    assert "it has no table for debuggers in the dump" in notes_of(framework)


def test_without_a_memory_map_nothing_is_claimed() -> None:
    framework = build()
    process = framework.process
    found = survey(
        memory_of(process),
        pointer_size=8,
        threads=[],
        modules=[(module.base, module.size, module.name) for module in process.modules],
        space=NoSpace(),
        os_build=19045,
    )
    assert managed_heaps(found) == ()
    assert any("no memory map" in line for line in found.notes)


def test_a_module_of_that_name_that_is_none() -> None:
    process = ProcessBuilder("x64", 19045).furnish()
    module = process.add_module("C:\\other\\clr.dll", sections=SECTIONS)
    for name in (".data", ".rsrc"):
        process.write(module.sections[name][0], random.Random(3).randbytes(module.sections[name][1]))
    assert managed_heaps(survey_process(process)) == ()


@pytest.mark.parametrize("part", ["older", "large"])
def test_a_first_segment_that_is_not_in_the_dump_leaves_no_proof(part: str) -> None:
    framework = build()
    framework.process.drop_page(framework.segments[0, part])
    assert "leads to no generations" in notes_of(framework)


# ---------------------------------------------------------------- what lies


def test_a_table_of_another_build() -> None:
    framework = build()
    framework.write_table(timestamp=TIMESTAMP + 1)
    assert "belongs to another build" in notes_of(framework)


def test_a_table_whose_build_only_the_debug_directory_tells() -> None:
    framework = build()
    base = framework.module.base
    framework.write_table(timestamp=0x5CB82D50)
    optional = base + framework.process.read_number(base + 0x3C, 4) + 0x18
    framework.process.number(optional + 0xA0, 0x2000, 4)  # IMAGE_DIRECTORY_ENTRY_DEBUG, of a 64-bit image
    framework.process.number(optional + 0xA4, 0x1C, 4)
    framework.process.number(base + 0x2004, 0x5CB82D50, 4)
    assert ranges(heap_of(framework)) == framework.ranges()


@pytest.mark.parametrize(
    ("word", "value", "reason"),
    [
        (0, 0, "no valid header"),
        (0, 0xFFFFFFFF, "no valid header"),
        (1, 9, "no valid header"),
        (4, 1, "no valid header"),
        (7, 0xFFFFFFF0, "outside its module"),
    ],
)
def test_a_damaged_table(word: int, value: int, reason: str) -> None:
    framework = build()
    framework.process.number(framework.module.sections[".rsrc"][0] + 0x800 + 4 * word, value, 4)
    assert reason in notes_of(framework)


def lie(framework: Framework, number: int, word: int, value: int) -> None:
    """Overwrites a word of a generation, counted from its first segment."""
    at = framework.tables[0] + number * framework.stride + (framework.start_word + word) * framework.width
    framework.process.pointer(at, value)


@pytest.mark.parametrize(
    ("number", "word", "part", "offset"),
    [
        (0, 0, "older", 0),  # generations 0 and 1 in different segments
        (1, 0, "large", 0),
        (2, 0, "large", 0),  # generation 2 without the ephemeral segment
        (3, 0, "older", 0),  # large objects in the chain of small ones
        (0, 1, "ephemeral", 0x2000),  # generation 0 before generation 1
        (0, 1, "ephemeral", 0x7000),  # beyond what is committed
        (1, 1, "ephemeral", 0x10),  # in the header
        (2, 1, "older", 0x2000),  # generation 2 does not begin with the first object
        (3, 1, "large", 0x2000),
    ],
)
def test_generations_that_do_not_agree(number: int, word: int, part: str, offset: int) -> None:
    framework = build()
    lie(framework, number, word, framework.segments[0, part] + offset)
    assert "leads to no generations" in notes_of(framework)


@pytest.mark.parametrize(
    ("one", "zero"),
    [(0, 0), (0, 0x10), (0x6000, 0x6000)],
    ids=["both at the start", "1 at the start", "both at the end"],
)
def test_generations_may_be_empty(one: int, zero: int) -> None:
    framework = build()
    mem, committed = framework.mem(framework.segments[0, "ephemeral"]), framework.segments[0, "ephemeral"] + 0x6000
    starts = [min(mem + offset, committed) for offset in (one, zero)]
    for number, start in zip((1, 0), starts, strict=True):
        lie(framework, number, 1, start)
    found = {(start, kind): end for start, end, kind, _ in ranges(heap_of(framework))}
    assert found.get((starts[0], "GC heap, generation 1")) == (starts[1] if starts[0] < starts[1] else None)


@pytest.mark.parametrize("part", ["ephemeral", "older", "large", "larger"])
@pytest.mark.parametrize(
    "fields",
    [
        {"Committed": 0x7000},  # more than is committed
        {"Committed": 0x5000},  # less than is committed
        {"Reserved": 0x800000},  # more than the allocation
        {"Allocated": 0x7000},
        {"Mem": 0x5000},
        {"Committed": 0x6008},
        {"Next": 0x10},
        {"Next": 0},  # itself
    ],
)
def test_a_segment_that_lies_leaves_no_proof(part: str, fields: dict[str, int]) -> None:
    framework = build()
    segment = framework.segments[0, part]
    framework.write_segment(segment, **{name: segment + offset for name, offset in fields.items()})
    assert "leads to no generations" in notes_of(framework)


@pytest.mark.parametrize("name", ["g_lowest_address", "g_highest_address"])
def test_bounds_that_leave_a_segment_out(name: str) -> None:
    framework = build()
    framework.process.pointer(framework.entries[name], (framework.low + framework.high) // 2 & -0x1000)
    assert "leads to no generations" in notes_of(framework)


def test_cards_that_are_elsewhere_cost_only_the_bookkeeping() -> None:
    framework = build()
    framework.process.pointer(framework.entries["g_card_table"], framework.cards + 0x40000)
    told = [part for part in framework.ranges() if part[2] != "GC bookkeeping"]
    assert ranges(heap_of(framework)) == told


@pytest.mark.parametrize("count", [0, 1, 3, 0xFFFFFFFF])
def test_a_count_of_heaps_that_is_not_theirs(count: int) -> None:
    framework = build(server=True)
    framework.process.number(framework.entries["n_heaps"], count, 4)
    found = survey_process(framework.process)
    for heap in managed_heaps(found):
        assert set(ranges(heap)) <= set(framework.ranges())


def test_without_a_count_the_segments_name_the_heaps() -> None:
    framework = build(server=True)
    framework.process.number(framework.entries["n_heaps"], 0, 4)
    assert heap_of(framework).heap_count == 2


def test_flipped_bits_end_in_a_result() -> None:
    chance = random.Random(21)
    for server in (False, True):
        framework = build(server=server)
        blocks = memory_of(framework.process)
        targets = [framework.module.sections[".data"], (framework.module.sections[".rsrc"][0], 0x900)]
        targets += [(segment, 0x60) for segment in framework.segments.values()]
        targets += [(heap, 0x1000) for heap in framework.heaps]
        for _ in range(20):
            base, length = chance.choice(targets)
            found = flipped(framework, blocks, [base + chance.randrange(length) for _ in range(3)], chance)
            for heap in managed_heaps(found):
                assert heap.inferred
                for before, after in zip(heap.ranges, heap.ranges[1:], strict=False):
                    assert before.base + before.size <= after.base


def flipped(framework: Framework, blocks: ExcerptMemory, places: list[int], chance: random.Random) -> ProcessStructures:
    """Surveys the process with one bit of each of these bytes flipped."""
    broken = []
    for start, size in blocks.ranges():
        data = bytearray(blocks.read(start, size) or b"")
        for place in places:
            if start <= place < start + size:
                data[place - start] ^= 1 << chance.randrange(8)
        broken.append((start, bytes(data)))
    return survey_process(framework.process, ExcerptMemory(broken))


def test_a_runtime_that_is_found_costs_no_search(monkeypatch: pytest.MonkeyPatch) -> None:
    """The table is looked for only where the collector does not list its variables."""
    runtime = Runtime(ProcessBuilder("x64", 19045).furnish(), form="3.1", regions=False)
    monkeypatch.setattr("dumpmap.structures.recognisers.dotnet.table_roots", lambda *_: pytest.fail("searched"))
    assert managed_heaps(survey_process(runtime.process))
