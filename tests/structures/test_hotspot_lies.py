"""HotSpot: recorded processes with some words changed, and the encodings that the recordings hold."""

from __future__ import annotations

import time
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.patched import patched_map, word

import dumpmap
from dumpmap.analysis.heap_limits import heap_limits
from dumpmap.api import RegionMap
from dumpmap.structures.pe import read_image
from dumpmap.structures.recognisers.hotspot import JavaMachine
from dumpmap.structures.recognisers.hotspot_tables import VmTables, read_name, read_tables
from dumpmap.structures.recognisers.hotspot_threads import unsigned5
from dumpmap.wording.verdicts import verdict

FOLDER = Path(__file__).parents[1] / "fixtures" / "runtimes"
MB = 1 << 20


@cache
def opened(name: str) -> tuple[RegionMap, VmTables]:
    region_map = dumpmap.open(FOLDER / f"{name}.dmp.gz")
    memory = region_map.snapshot.memory
    base = next(module.base for module in region_map.snapshot.modules if module.name.lower() == "jvm.dll")
    image = read_image(memory, base)
    tables = None if image is None else read_tables(memory, base, image)
    assert tables is not None
    return region_map, tables


def machine(region_map: RegionMap) -> JavaMachine:
    (found,) = region_map.structures.facts_of(JavaMachine)
    return found


def place_of(tables: VmTables, start: int, count: int, *wanted: int) -> int:
    """Where these words follow each other in the `count` words from `start`."""
    words = tables.words(start, count)
    (index,) = [index for index in range(len(words)) if words[index : index + len(wanted)] == wanted]
    return start + 8 * index


# ---------------------------------------------------------------- beside the heap of G1


def mappers(tables: VmTables) -> list[int]:
    heap = tables.static("Universe", "_collectedHeap") or 0
    manager = tables.place(heap, "G1CollectedHeap", "_hrm") or 0
    kinds = {tables.export(f"??_7G1Regions{size}ThanCommitSizeMapper@@6B@") for size in ("Larger", "Smaller")}
    words = tables.words(manager, tables.sizes["HeapRegionManager"] // 8)
    return [word for word in dict.fromkeys(words) if tables.peek(word) in kinds]


def kinds_of(java: JavaMachine) -> list[str]:
    return sorted(kind for _, _, kind in java.side)


def test_a_table_of_g1_must_agree_with_the_heap_and_the_allocation() -> None:
    region_map, tables = opened("java-17-g1")
    whole = kinds_of(machine(region_map))
    found = {mapper: tables.words(mapper, 4)[2:] for mapper in mappers(tables)}
    bitmaps = [mapper for mapper, (low, high) in found.items() if high - low == 4 * MB]
    assert len(bitmaps) == whole.count("Java mark bitmap") == 2
    low, high = found[bitmaps[0]]
    for offset, lie in ((0, 0x1000), (16, low + 0x10000), (24, high - 0x10000), (24, 0), (16, 0), (24, (1 << 64) - 1)):
        java = machine(patched_map(region_map, {bitmaps[0] + offset: word(lie)}))
        assert kinds_of(java).count("Java mark bitmap") == 1, (offset, hex(lie))
        assert len(java.side) == len(whole) - 1, (offset, hex(lie))


@pytest.mark.parametrize("name", ["java-17-g1", "java-25-g1"])
def test_a_mark_stack_must_fill_an_allocation(name: str) -> None:
    region_map, tables = opened(name)
    ((low, high, _),) = [part for part in machine(region_map).side if part[2] == "Java G1 mark stack"]
    chunks = (high - low) // 8192
    heap = tables.static("Universe", "_collectedHeap") or 0
    size = tables.sizes["G1CollectedHeap"] // 8
    (mark,) = {value for value in tables.words(heap, size) if tables.peek(value + 8) == heap}
    words = tables.words(mark, 48)
    index = words.index(low) if low in words else next(i for i in range(48) if tables.peek(words[i]) == low)
    patches: list[dict[int, bytes]] = [{mark + 8: word(heap + 8)}]
    if words[index] == low:  # up to JDK 22 one block
        patches += [
            {mark + 8 * index: word(low + 0x10000)},
            {mark + 8 * (index + 1): word(chunks - 8)},
            {mark + 8 * (index - 1): word(chunks - 1)},
        ]
    else:  # since JDK 23 buckets, each as large as all before it
        array = words[index]
        patches += [
            {array: word(low + 0x10000)},
            {array + 8: word(machine(region_map).heap[0])},  # type: ignore[index]
            {mark + 8 * (index - 5): word(chunks // 2)},
            {mark + 8 * (index - 3): word(2 * chunks)},
            {mark + 8 * (index - 2): word(1 << 40)},
        ]
    for patch in patches:
        java = machine(patched_map(region_map, patch))
        assert "Java G1 mark stack" not in kinds_of(java), patch


def test_the_archive_of_classes_is_no_metaspace() -> None:
    region_map, tables = opened("java-17-serial")
    ((low, _, _),) = [part for part in machine(region_map).metaspace if part[2] == "Java class-data archive"]
    place = tables.find("MetaspaceObj", "_shared_metaspace_top")
    assert place is not None
    without = machine(patched_map(region_map, {place.address: word(0)}))
    assert all(kind == "Java metaspace" for _, _, kind in without.metaspace)
    assert any(start <= low < end for start, end, _ in without.metaspace)


def test_a_chain_of_classes_may_be_a_circle() -> None:
    region_map, tables = opened("java-17-g1")
    loader = tables.static("ClassLoaderDataGraph", "_head") or 0
    klass = tables.value(loader, "ClassLoaderData", "_klasses") or 0
    following = tables.place(klass, "Klass", "_next_link") or 0
    start = time.perf_counter()
    java = machine(patched_map(region_map, {following: word(klass)}))
    assert java.metaspace
    assert time.perf_counter() - start < 2


# ---------------------------------------------------------------- limits


def with_flag(region_map: RegionMap, tables: VmTables, name: str, value: int) -> RegionMap:
    """The same process with another value of a -XX flag."""
    flags, count = tables.static("JVMFlag", "flags") or 0, tables.static("JVMFlag", "numFlags") or 0
    names, addresses = tables.find("JVMFlag", "_name"), tables.find("JVMFlag", "_addr")
    assert names is not None
    assert addresses is not None
    for index in range(count):
        entry = flags + index * tables.sizes["JVMFlag"]
        if read_name(tables.memory, tables.word(entry + names.offset) or 0) == name:
            return patched_map(region_map, {tables.word(entry + addresses.offset) or 0: word(value)})
    raise AssertionError(name)


def test_a_metaspace_near_its_limit_is_a_warning_and_a_full_java_heap_is_none() -> None:
    region_map, tables = opened("java-17-g1")
    assert [limit.runtime for limit in heap_limits(region_map)] == ["Java"]
    rows = region_map.regions
    used = int(rows[rows["kind"] == "Java metaspace"]["committed"].sum())
    assert 0 < used == machine(region_map).metaspace_committed
    near = verdict(with_flag(region_map, tables, "MaxMetaspaceSize", used * 100 // 95))
    assert near.verdict == "heap-limit-near"
    assert (near.heap_limit["runtime"], near.heap_limit["used"]) == ("Java metaspace", used)
    far = verdict(with_flag(region_map, tables, "MaxMetaspaceSize", 4 * used))
    assert (far.verdict, far.heap_limit["state"]) == ("no-memory-problem-seen", "ok")
    full = verdict(with_flag(region_map, tables, "MaxHeapSize", machine(region_map).used or 0))
    assert (full.verdict, full.heap_limit["state"]) == ("no-memory-problem-seen", "unknown")


# ---------------------------------------------------------------- Z, which does not run where the others were recorded


def z_machine(**changes: int) -> RegionMap:
    """The Epsilon process with the heap object of a ZCollectedHeap."""
    region_map, tables = opened("java-17-epsilon")
    heap = tables.static("Universe", "_collectedHeap") or 0
    vtable = tables.export("??_7ZCollectedHeap@@6B@")
    whole = tables.place(heap, "ZCollectedHeap", "_heap") or 0
    pages = tables.place(whole, "ZHeap", "_page_allocator") or 0
    used = tables.place(pages, "ZPageAllocator", "_used") or 0
    assert vtable
    return patched_map(region_map, {heap: word(vtable), used: word(changes.get("used", 20 * MB))})


def test_of_a_z_heap_use_and_limit_are_read() -> None:
    region_map = z_machine()
    java = machine(region_map)
    assert (java.collector, java.heap, java.parts, java.used, java.limit) == ("Z", None, (), 20 * MB, 256 * MB)
    assert java.code
    assert java.metaspace
    assert java.threads == ()
    assert "Java heap" not in set(region_map.regions["kind"])


# ---------------------------------------------------------------- JDK 8, of which there is no recording


def renamed(region_map: RegionMap, old: bytes, new: bytes) -> dict[int, bytes]:
    """Patches that give a name of the tables another one of at most its length."""
    memory, patches = region_map.snapshot.memory, {}
    for base, size in memory.ranges():
        data = memory.read(base, size) or b""
        at = data.find(b"\0" + old + b"\0")
        while at >= 0:
            patches[base + at + 1] = new.ljust(len(old), b"\0")
            at = data.find(b"\0" + old + b"\0", at + 1)
    assert patches
    return patches


def test_the_names_of_jdk_8() -> None:
    region_map, tables = opened("java-11-g1")
    before = machine(region_map)
    java = machine(patched_map(region_map, renamed(region_map, b"JVMFlag", b"Flag")))
    assert java.flags == before.flags
    place = tables.find("CodeCache", "_heaps")
    heaps = tables.value(place.address if place else 0, "CodeCache", "_heaps") or 0
    first = tables.word(tables.value(heaps, "GrowableArray<int>", "_data") or 0)
    assert place is not None
    assert first
    patches = renamed(region_map, b"_heaps", b"_heap") | {place.address: word(first)}
    code = machine(patched_map(region_map, patches)).code
    assert code == before.code[:2]
    assert len(before.code) > 2


# ---------------------------------------------------------------- names of threads


def test_objects_of_other_classes_have_no_names() -> None:
    region_map, tables = opened("java-17-g1")
    named = {thread.name: thread.thread_id for thread in machine(region_map).threads}
    thread = next(
        address
        for address in tables.words(
            tables.value(tables.static("ThreadsSMRSupport", "_java_thread_list") or 0, "ThreadsList", "_threads") or 0,
            len(named),
        )
        if tables.value(tables.value(address, "JavaThread", "_osthread") or 0, "OSThread", "_thread_id", size=4)
        == named["main"]
    )
    handle = tables.value(thread, "JavaThread", "_threadObj") or 0
    oop = tables.word(handle) or 0
    patches = {
        "no object": {handle: word(0)},
        "beyond the address space": {handle: word(1 << 60)},
        "a mark where a class should be": {oop + 8: (0).to_bytes(4, "little")},
        "another class": {oop + 8: (1).to_bytes(4, "little")},
    }
    for what, patch in patches.items():
        java = machine(patched_map(region_map, patch))
        assert {thread.name for thread in java.threads} == set(named) - {"main"}, what
    # A list that states more threads than it can have is not followed.
    listed = tables.static("ThreadsSMRSupport", "_java_thread_list") or 0
    length = tables.place(listed, "ThreadsList", "_length") or 0
    assert machine(patched_map(region_map, {length: (1 << 31).to_bytes(4, "little")})).threads == ()


def test_the_chain_of_old_versions_may_be_a_circle() -> None:
    region_map, tables = opened("java-11-g1")
    first = tables.static("Threads", "_thread_list") or 0
    following = tables.place(first, "JavaThread", "_next") or 0
    java = machine(patched_map(region_map, {following: word(first)}))
    assert len(java.threads) == 1


@given(st.lists(st.integers(0, (1 << 32) - 1)))
def test_unsigned5_gives_back_what_was_written(numbers: list[int]) -> None:
    data = bytearray()
    for number in numbers:
        # Digits of 64 values from 192 on while the rest is large, then one below 192; 0 is no digit.
        rest = number
        for position in range(5):
            if rest < 191 or position == 4:
                data.append(rest + 1)
                break
            data.append(192 + (rest - 191) % 64)
            rest = (rest - 191) // 64
    assert list(unsigned5(bytes(data))) == numbers


def test_unsigned5_stops_at_a_zero_and_at_the_end() -> None:
    assert list(unsigned5(b"\x05\x00\x07")) == [4]
    assert list(unsigned5(b"\x05\xff")) == [4]
    assert list(unsigned5(b"")) == []
