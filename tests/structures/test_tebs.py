"""TEBs of native, WoW64 and damaged threads, in synthetic and in real dumps."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.counting import CountingMemory
from support.structures import load, memory_of
from synth.process import ProcessBuilder

from dumpmap.model.memory import ExcerptMemory, RecordingMemory
from dumpmap.structures.teb import read_teb, read_tebs

NATIVE = [("x86", 2600), ("x64", 3790), ("x86", 7601), ("x64", 7601), ("x64", 14393), ("x86", 19045), ("x64", 26100)]
WOW64_BUILDS = [6002, 7601, 9600, 14393, 19045, 26100]


@pytest.mark.parametrize(("arch", "build"), NATIVE)
def test_a_native_teb(arch: str, build: int) -> None:
    process = ProcessBuilder(arch, build).add_peb(image_base=0x400000)
    first = process.add_thread(guaranteed=0x5000)
    second = process.add_thread(fiber=True, commit=0x9000)
    process.set_teb(first, "LastErrorValue", 1455).set_teb(first, "LastStatusValue", 0xC000012D)
    memory = memory_of(process)
    for thread, is_fiber in ((first, False), (second, True)):
        (teb,) = read_tebs(memory, thread.teb, thread.tid, process.pointer_size)
        assert teb.address == thread.teb
        assert teb.pointer_size == process.pointer_size
        assert (teb.thread_id, teb.process_id) == (thread.tid, process.pid)
        assert (teb.stack_base, teb.stack_limit) == (thread.stack.top, thread.stack.limit)
        assert teb.allocation_base == thread.stack.base
        assert teb.peb == process.peb
        assert teb.is_fiber is is_fiber
        assert teb.other_teb is None
        assert teb.desktop_heap is None
    failed = read_teb(memory, first.teb, process.pointer_size)
    assert failed is not None
    assert (failed.last_error, failed.last_status, failed.guaranteed_stack_bytes) == (1455, 0xC000012D, 0x5000)


@pytest.mark.parametrize("build", WOW64_BUILDS)
@pytest.mark.parametrize("arch", ["x86", "x64"])
def test_both_tebs_of_a_wow64_thread_from_either_writer(arch: str, build: int) -> None:
    process = ProcessBuilder(arch, build, wow64=True).add_peb(image_base=0x400000)
    thread = process.add_thread()
    assert thread.teb32 is not None
    assert thread.teb64 is not None
    assert thread.stack64 is not None
    memory = memory_of(process)
    listed, size = (thread.teb32, 4) if arch == "x86" else (thread.teb64, 8)
    # Whatever size the caller believes, both are found, the listed one first.
    for believed in (4, 8):
        tebs = read_tebs(memory, listed, thread.tid, believed)
        assert [teb.pointer_size for teb in tebs] == [size, 12 - size]
        narrow, wide = sorted(tebs, key=lambda teb: teb.pointer_size)
        assert (narrow.address, narrow.peb, narrow.other_teb) == (thread.teb32, process.peb32, thread.teb64)
        assert (wide.address, wide.peb, wide.other_teb) == (thread.teb64, process.peb64, thread.teb32)
        assert (narrow.stack_base, narrow.allocation_base) == (thread.stack.top, thread.stack.base)
        assert (wide.stack_base, wide.allocation_base) == (thread.stack64.top, thread.stack64.base)


@pytest.mark.parametrize("arch", ["x86", "x64"])
@pytest.mark.parametrize("build", [7601, 19045])
def test_a_twin_is_found_without_the_links(arch: str, build: int) -> None:
    process = ProcessBuilder(arch, build, wow64=True).add_peb(image_base=0x400000)
    thread = process.add_thread()
    process.set_teb(thread, "ExceptionList", 0, 64).set_teb(thread, "GdiBatchCount", 0, 32)
    process.set_teb(thread, "WowTebOffset", 0, 64).set_teb(thread, "WowTebOffset", 0, 32)
    listed = thread.teb32 if arch == "x86" else thread.teb64
    assert listed is not None
    assert len(read_tebs(memory_of(process), listed, thread.tid, 4 if arch == "x86" else 8)) == 2


@pytest.mark.parametrize(("arch", "build"), NATIVE)
def test_neighbouring_tebs_of_a_native_process_are_no_twins(arch: str, build: int) -> None:
    process = ProcessBuilder(arch, build).add_peb(image_base=0x400000)
    threads = [process.add_thread() for _ in range(5)]
    memory = memory_of(process)
    for thread in threads:
        assert len(read_tebs(memory, thread.teb, None, process.pointer_size)) == 1


@pytest.mark.parametrize("pointer_size", [4, 8])
def test_what_is_not_captured_is_none_and_the_rest_stays(pointer_size: int) -> None:
    process = ProcessBuilder("x86" if pointer_size == 4 else "x64", 7601).add_peb(image_base=0x400000)
    thread = process.add_thread()
    whole = process.read(thread.teb, 0x1000 if pointer_size == 4 else 0x2000)
    head = 0x38 if pointer_size == 4 else 0x6C
    for size in (head, 0x800, 0x1000):
        teb = read_teb(ExcerptMemory([(thread.teb, whole[:size])]), thread.teb, pointer_size, thread.tid)
        assert teb is not None
        assert teb.stack_base == thread.stack.top
        is_whole = size == len(whole)
        assert (teb.allocation_base is not None) is is_whole
        assert (teb.is_fiber is not None) is is_whole
        assert (teb.guaranteed_stack_bytes is not None) is is_whole
    assert read_teb(ExcerptMemory([(thread.teb, whole[: head - 1])]), thread.teb, pointer_size) is None


def test_a_teb_that_contradicts_itself_is_refused_in_part_or_whole() -> None:
    process = ProcessBuilder("x64", 19045).add_peb(image_base=0x400000)
    thread = process.add_thread()
    assert read_teb(memory_of(process), thread.teb, 8, thread.tid + 4) is None
    assert read_teb(memory_of(process), thread.teb + 0x1000, 8) is None
    assert read_teb(memory_of(process), 0, 8) is None
    assert read_teb(memory_of(process), 1 << 63, 8) is None
    process.set_teb(thread, "DeallocationStack", thread.stack.limit + 0x1000)
    teb = read_teb(memory_of(process), thread.teb, 8)
    assert teb is not None
    assert teb.stack_limit == thread.stack.limit
    assert teb.allocation_base is None
    for limit in (thread.stack.limit + 1, thread.stack.top, 0, 1 << 60):
        process.set_teb(thread, "StackLimit", limit)
        teb = read_teb(memory_of(process), thread.teb, 8)
        assert teb is not None
        assert (teb.stack_base, teb.stack_limit, teb.allocation_base) == (None, None, None)
        assert teb.peb == process.peb
    process.set_teb(thread, "Self", thread.teb + 8)
    assert read_teb(memory_of(process), thread.teb, 8) is None


def test_the_desktop_heap_of_a_gui_thread() -> None:
    process = ProcessBuilder("x64", 19045).add_peb(image_base=0x400000)
    thread = process.add_thread()
    address = process.add_desktop_heap(thread)
    teb = read_teb(memory_of(process), thread.teb, 8)
    assert teb is not None
    assert teb.desktop_heap == address
    process.set_teb(thread, "Win32ThreadInfo", 0)
    teb = read_teb(memory_of(process), thread.teb, 8)
    assert teb is not None
    assert teb.desktop_heap is None


@pytest.mark.corpus
def test_real_wow64_dumps_of_both_writers(corpus: Path) -> None:
    wide = load(corpus / "google_syzygy__notepad-small-64bit.dmp")
    (teb,) = read_tebs(wide.memory, wide.threads[0][1], wide.threads[0][0], 8)
    # The stack's top 0x2e0 bytes hold the state of the emulated processor, so its base is not the end of a page.
    assert (teb.stack_base, teb.stack_limit, teb.allocation_base) == (0x1CFD20, 0x1CC000, 0x190000)
    assert (teb.peb, teb.other_teb) == (0x7EFDF000, 0x7EFDD000)
    narrow = load(corpus / "google_syzygy__notepad-small-32bit.dmp")
    (teb,) = read_tebs(narrow.memory, narrow.threads[0][1], narrow.threads[0][0], 4)
    assert (teb.stack_base, teb.stack_limit, teb.allocation_base) == (0x240000, 0x22F000, 0x200000)
    assert (teb.peb, teb.other_teb) == (0x7EFDE000, 0x7EFDB000)


@pytest.mark.corpus
def test_every_thread_of_a_real_dump(corpus: Path) -> None:
    dump = load(corpus / "google_syzygy__use-after-free.dmp")
    for thread_id, address in dump.threads:
        (teb,) = read_tebs(dump.memory, address, thread_id, 4)
        assert teb.allocation_base is not None
        assert teb.stack_limit is not None
        assert teb.stack_base is not None
        assert teb.allocation_base <= teb.stack_limit < teb.stack_base
        assert teb.process_id == 15740


def test_both_tebs_of_every_thread_of_a_recorded_wow64_process(fixtures: Path) -> None:
    dump = load(fixtures / "layout-wow64.dmp.gz")
    for thread_id, address in dump.threads:
        narrow, wide = read_tebs(dump.memory, address, thread_id, 4)
        assert (narrow.pointer_size, wide.pointer_size) == (4, 8)
        assert narrow.thread_id == wide.thread_id == thread_id


def test_a_thread_costs_few_reads_however_many_there_are() -> None:
    reads = []
    for count in (25, 200):
        process = ProcessBuilder("x64", 19045).add_peb(image_base=0x400000)
        threads = [process.add_thread() for _ in range(count)]
        memory = CountingMemory(process.captured(limit=process.limit))
        for thread in threads:
            (teb,) = read_tebs(memory, thread.teb, thread.tid, 8)
            assert teb.allocation_base == thread.stack.base
        reads.append(memory.reads / count)
    assert reads[0] == reads[1]
    # The head, all other fields, and a look for a twin of the other width.
    assert reads[0] <= 3


def test_what_is_read_at_once_is_recorded_piece_by_piece() -> None:
    process = ProcessBuilder("x64", 19045).add_peb(image_base=0x400000)
    thread = process.add_thread(guaranteed=0x5000)
    whole = memory_of(process)
    recording = RecordingMemory(whole)
    tebs = read_tebs(recording, thread.teb, thread.tid, 8)
    kept = recording.excerpts()
    assert sum(len(data) for _, data in kept) < 0x200, "the thread's own strings stay out"
    assert read_tebs(ExcerptMemory(kept), thread.teb, thread.tid, 8) == tebs
    first_page = ExcerptMemory([(thread.teb, whole.read(thread.teb, 0x1000) or b"")])
    (partial,) = read_tebs(first_page, thread.teb, thread.tid, 8)
    assert partial.stack_base == thread.stack.top
    assert partial.allocation_base is None


@pytest.mark.parametrize(
    ("limit", "top", "allocation", "stack", "reserved"),
    [
        (0x7FFE0000, 0x80000000, 0x7FF00000, True, True),  # up to the end of the 2 GB, as in any 32-bit process
        (0xFFFE0000, 0xFFFFFFFF, 0xFFF00000, True, True),
        (0x20000, 0x21000, 0x20000, True, True),  # nothing but the committed page
        (0x20000, 0x20001, 0x10000, True, True),
        (0x20000, 0x20000, 0x10000, False, False),  # no byte at all
        (0x20000, 0x1F000, 0x10000, False, False),
        (0x20800, 0x21000, 0x10000, False, False),  # not a page
        (0x20000, 0x21000, 0x21000, True, False),  # above the limit
        (0x20000, 0x21000, 0x10800, True, False),
        (0x20000, 0x21000, 0xF000, True, False),
    ],
)
def test_the_stack_of_a_teb(limit: int, top: int, allocation: int, stack: bool, reserved: bool) -> None:
    process = ProcessBuilder("x86", 19045).add_peb(image_base=0x400000)
    thread = process.add_thread()
    for offset, value in ((4, top), (8, limit), (0xE0C, allocation)):
        process.number(thread.teb + offset, value, 4)
    teb = read_teb(memory_of(process), thread.teb, 4)
    assert teb is not None
    assert (teb.stack_base, teb.stack_limit) == ((top, limit) if stack else (None, None))
    assert teb.allocation_base == (allocation if reserved else None)


@pytest.mark.parametrize(("top", "good"), [(0x8000_0000_0000, True), (0x8000_0000_0001, False)])
def test_a_stack_of_64_bits_ends_with_the_user_space(top: int, good: bool) -> None:
    process = ProcessBuilder("x64", 19045).add_peb(image_base=0x400000)
    thread = process.add_thread()
    process.pointer(thread.teb + 8, top)
    teb = read_teb(memory_of(process), thread.teb, 8)
    assert teb is not None
    assert (teb.stack_base == top) is good


@pytest.mark.parametrize(("bits", "linked"), [(64, True), (64, False), (32, True), (32, False)])
def test_field_by_field_a_twin_comes_from_the_link_and_else_from_the_distance(bits: int, linked: bool) -> None:
    process = ProcessBuilder("x64", 19045, wow64=True).add_peb(image_base=0x400000)
    thread = process.add_thread()
    assert thread.teb32 is not None
    assert thread.teb64 is not None
    own, twin = (thread.teb64, thread.teb32) if bits == 64 else (thread.teb32, thread.teb64)
    distance = (twin - own) + 0x5000  # the field and the link disagree, so that either shows itself
    process.set_teb(thread, "WowTebOffset", distance, bits)
    if not linked:
        process.set_teb(thread, "ExceptionList", 0, 64).set_teb(thread, "GdiBatchCount", 0, 32)
    for memory in (memory_of(process), RecordingMemory(memory_of(process))):
        teb = read_teb(memory, own, bits // 8, thread.tid)
        assert teb is not None
        assert teb.other_teb == (twin if linked else own + distance)
