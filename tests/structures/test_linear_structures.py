"""Eight times the threads, segments, blocks, or modules take eight times the operations, from the file to the map.

Operations are lines of Python, and calls of Python and C functions, so that a busy machine changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import synth.nt_heap
from support.counting import operations_of
from support.dumps import tiny
from support.structures import heap_at, memory_of, survey_process
from synth.heaps import LargeSpec, SegmentSpec, nt_heap, write_heap_array
from synth.managed import GENERATIONS, Runtime
from synth.process import ProcessBuilder

from dumpmap.api import map_snapshot
from dumpmap.parsers.opening import read_source
from dumpmap.sources.files import BufferSource
from dumpmap.structures import nt_segments
from dumpmap.structures.blocks import heap_blocks

FEW, MANY = 40, 320


def dump_of(process: ProcessBuilder) -> bytes:
    return process.to_minidump().build()


def threads(count: int) -> bytes:
    process = ProcessBuilder("x64", 19045).add_peb(image_base=0x400000)
    for number in range(count):
        process.add_thread(name=f"worker {number}")
    return dump_of(process)


def modules(count: int) -> bytes:
    process = ProcessBuilder("x64", 19045).furnish()
    for number in range(count):
        process.add_module(f"C:\\a\\module{number}.dll", timestamp=number + 1)
    return dump_of(process)


def images(count: int) -> bytes:
    process = ProcessBuilder("x64", 19045).furnish()
    for number in range(count):
        process.add_module(f"C:\\a\\module{number}.dll", listed=False)
    return dump_of(process)


def heap_of(count: int, *, is_large: bool = False, holes: int = 0) -> bytes:
    process = ProcessBuilder("x64", 19045).furnish()
    several = tuple((0x2000 + 0x2000 * number, 0x1000) for number in range(holes))
    if is_large:
        nt_heap(process, segments=[SegmentSpec(0x10000)], large=[LargeSpec(0x90000)] * count)
    elif holes:
        nt_heap(process, segments=[SegmentSpec(0x10000), SegmentSpec(0x4000 + 0x2000 * holes, None, several)])
    else:
        nt_heap(process, segments=[SegmentSpec(0x10000)] * count)
    write_heap_array(process)
    return dump_of(process)


def collector(count: int) -> bytes:
    process = ProcessBuilder("x64", 19045).furnish()
    process.add_thread()
    runtime = Runtime(process, regions=False)
    last = runtime.heaps[0].segments[0]
    for _ in range(count):
        segment = runtime.add_segment([(0, GENERATIONS[2])], None)
        runtime.write_segment(segment, Next=last)
        last = segment
    runtime.write_segment(runtime.heaps[0].segments[2], Next=last)
    return dump_of(process)


def names(count: int) -> bytes:
    dump = tiny().memory(0x10000, bytes(64))
    for number in range(count):
        dump.thread_name(number + 1, f"worker {number} " * 20)
        dump.unloaded_module(0x10000 * (number + 1), 0x1000, f"C:\\windows\\unloaded{number}.dll")
    return dump.build()


INPUTS: dict[str, Callable[[int], bytes]] = {
    "threads": threads,
    "modules": modules,
    "images that no list names": images,
    "NT segments": heap_of,
    "NT large blocks": lambda count: heap_of(count, is_large=True),
    "holes of an NT segment": lambda count: heap_of(1, holes=count),
    "segments of a managed heap": collector,
    "names of threads and unloaded modules": names,
}


def to_the_map(data: bytes) -> Callable[[], object]:
    return lambda: map_snapshot(read_source(BufferSource("x", data))).block_columns


def check(make: Callable[[int], Callable[[], object]]) -> None:
    make(FEW)()  # imports, and what is made once
    none, few, many = (operations_of(make(count)) for count in (2, FEW, MANY))
    each = (few - none) / (FEW - 2)
    assert each >= 1, "the measure misses the work"
    assert many - none <= 1.15 * each * (MANY - 2) + 200


@pytest.mark.parametrize("name", INPUTS)
def test_eight_times_the_input_takes_eight_times_the_operations(name: str) -> None:
    check(lambda count: to_the_map(INPUTS[name](count)))


@pytest.mark.parametrize(("arch", "number"), [("x86", 2600), ("x64", 19045)])
def test_eight_times_the_blocks_take_eight_times_the_operations(
    arch: str, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def counting(count: int) -> Callable[[], object]:
        def small(size: int, unit: int) -> list[tuple[int, int]]:
            first = min(20 * count, size // (4 * unit))
            left = size - 4 * unit * first
            return [*[(4 * unit, synth.nt_heap.ENTRY_BUSY)] * first, *([(left, 0)] if left else [])]

        monkeypatch.setattr(synth.nt_heap, "_pattern", small)
        process = ProcessBuilder(arch, number).furnish()
        truth = nt_heap(process, segments=[SegmentSpec(0x80000)])
        write_heap_array(process)
        heap, memory = heap_at(survey_process(process), truth), memory_of(process)
        return lambda: heap_blocks(memory, heap)

    check(counting)


def test_the_measure_notices_what_is_not_linear(monkeypatch: pytest.MonkeyPatch) -> None:
    real = nt_segments.read_segment
    seen: list[int] = []

    def quadratic(context: object, address: int, heap: int | None) -> object:
        seen.append(address)
        for _ in seen:
            pass
        return real(context, address, heap)  # type: ignore[arg-type]

    monkeypatch.setattr("dumpmap.structures.nt_heap.read_segment", quadratic)

    def counting(count: int) -> Callable[[], object]:
        seen.clear()
        return to_the_map(heap_of(count))

    with pytest.raises(AssertionError):
        check(counting)
