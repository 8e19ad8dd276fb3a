"""What allocations belong to, and what they can be recognised by in the same process and in another."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace
from pathlib import Path

import pytest
from support.scenes import KB, MB, Scene, map_of, recorded
from synth.minidump import MEM_IMAGE, MEM_MAPPED, PAGE_EXECUTE_READ, PAGE_READONLY
from synth.process import ProcessBuilder

import dumpmap
from dumpmap.analysis.subjects import namings_of
from dumpmap.api import RegionMap, map_snapshot
from dumpmap.model.process import Teb
from dumpmap.model.snapshot import Module, RecordedHeap, RecordedRange, Thread, UnloadedModule, make_regions
from dumpmap.render.export import export


def identity(region_map: RegionMap, address: int, *, same_process: bool) -> Hashable | None:
    """What the allocation at an address can be recognised by."""
    namings, codes = namings_of(region_map)
    index = int(codes[region_map.space.index_of(address)])
    return namings[index].identity(same_process=same_process)


def with_thread(thread: Thread, base: int = 0x100000, **facts: object) -> RegionMap:
    """A process with one thread."""
    scene = Scene(64)
    scene.allocate(MB, base=base, commit=0)
    scene.commit(base + MB - 0x4000, 0x4000)
    thread = Thread(thread.id, thread.name, stack_base=base + MB - 0x1000, stack_size=0x1000)
    return scene.map(threads=[thread], **facts)


def with_heap(name: str | None = None, base: int = 0x140000) -> RegionMap:
    """A process with one heap."""
    scene = Scene(64)
    scene.allocate(MB, base=base, commit=64 * KB)
    ranges = (RecordedRange(base, MB, 64 * KB, "segment"),)
    return scene.map(heaps=[RecordedHeap(1, "NT heap", name, base, ranges=ranges)])


def test_an_image_is_its_file_wherever_it_lies() -> None:
    scene = Scene(64)
    scene.allocate(MB, base=0x100000, type=MEM_IMAGE, protect=PAGE_EXECUTE_READ)
    region_map = scene.map(modules=[Module(0x100000, MB, "C:\\a\\B.dll")])
    assert identity(region_map, 0x100000, same_process=True) == "b.dll"
    assert identity(region_map, 0x100000, same_process=False) == "b.dll"


def test_an_image_that_no_module_explains_is_the_file_of_its_region() -> None:
    scene = Scene(64)
    scene.files[scene.allocate(MB, base=0x100000, type=MEM_IMAGE, protect=PAGE_EXECUTE_READ)] = "C:\\a\\B.dll"
    scene.allocate(MB, base=0x300000, type=MEM_IMAGE, protect=PAGE_EXECUTE_READ)
    region_map = scene.map()
    assert identity(region_map, 0x100000, same_process=False) == "b.dll"
    assert identity(region_map, 0x300000, same_process=True) is None


def test_a_mapped_file_is_its_path() -> None:
    scene = Scene(64)
    scene.files[scene.allocate(MB, base=0x100000, type=MEM_MAPPED, protect=PAGE_READONLY)] = "C:\\Data.bin"
    assert identity(scene.map(), 0x100000, same_process=False) == "c:\\data.bin"


def test_a_stack_is_its_threads_and_between_processes_only_a_name_counts() -> None:
    nameless, audio = with_thread(Thread(5)), with_thread(Thread(5, "audio"))
    assert identity(nameless, 0x100000, same_process=True) == ("Thread stack", 5)
    assert identity(audio, 0x100000, same_process=True) == ("Thread stack", 5)
    assert identity(nameless, 0x100000, same_process=False) is None
    assert identity(audio, 0x100000, same_process=False) == ("Thread stack", "audio")


def test_a_heap_is_its_number_and_name_in_any_process() -> None:
    for same in (True, False):
        one, other = (identity(with_heap(name), 0x140000, same_process=same) for name in (None, "images"))
        assert one is not None
        assert one != other
        assert identity(with_heap(base=0x900000), 0x900000, same_process=same) == one


def test_a_heap_without_a_number_is_its_address_which_means_nothing_elsewhere() -> None:
    region_map = with_heap()
    (heap,) = region_map.heaps
    unlisted = replace(region_map, heaps=(replace(heap, info=replace(heap.info, id=None)),))
    assert identity(unlisted, 0x140000, same_process=True) is not None
    assert identity(unlisted, 0x140000, same_process=True) != identity(region_map, 0x140000, same_process=True)
    assert identity(unlisted, 0x140000, same_process=False) is None


def test_a_heap_that_got_its_front_end_is_the_same_heap() -> None:
    region_map = with_heap()
    (heap,) = region_map.heaps
    later = replace(region_map, heaps=(replace(heap, info=replace(heap.info, lfh=True)),))
    assert later.heaps[0].title != heap.title
    assert identity(later, 0x140000, same_process=True) == identity(region_map, 0x140000, same_process=True)


def test_anonymous_memory_has_nothing_to_be_recognised_by() -> None:
    scene = Scene(64)
    scene.allocate(MB, base=0x100000)
    assert identity(scene.map(), 0x100000, same_process=True) is None


def test_a_structure_is_its_field_within_a_process_and_its_kind_between_two() -> None:
    region_map = recorded("layout-x86")
    tables = [one for one in region_map.structures.named if one.kind == "NLS tables"]
    assert len(tables) == 3
    for named in tables:
        assert identity(region_map, named.address, same_process=True) == ("NLS tables", named.field)
        assert identity(region_map, named.address, same_process=False) == "NLS tables"


def test_a_teb_is_its_threads() -> None:
    scene = Scene(64)
    scene.allocate(0x2000, base=0x100000)
    scene.allocate(0x4000, base=0x200000)
    threads = [Thread(5, teb=0x100000), Thread(6, teb=0x200000), Thread(7, teb=0x202000)]
    region_map = scene.map(threads=threads)
    assert identity(region_map, 0x100000, same_process=True) == ("TEB", ("TEB", 5, None))
    assert identity(region_map, 0x100000, same_process=False) == "TEB"
    # An allocation of several TEBs is no thread's: threads come and go in it.
    assert identity(region_map, 0x200000, same_process=True) == "TEB"


def test_vmmap_files_name_the_same_threads_and_heaps(tmp_path: Path) -> None:
    for region_map, address in ((with_thread(Thread(5, "audio")), 0x100000), (with_heap("images"), 0x140000)):
        for suffix in ("mmp", "csv", "txt"):
            path = tmp_path / f"x.{suffix}"
            export(region_map, path, force=True)
            vmmap, recorded_map = dumpmap.open(path), region_map
            for same in (True, False):
                ours, theirs = (identity(one, address, same_process=same) for one in (recorded_map, vmmap))
                assert isinstance(ours, tuple)
                assert isinstance(theirs, tuple)
                assert ours[1] == theirs[1]  # VMMap has no kinds as fine as ours


def test_a_file_without_a_name_identifies_nothing() -> None:
    scene = Scene(64)
    named, unnamed = (scene.allocate(MB, type=MEM_MAPPED, protect=PAGE_READONLY) for _ in range(2))
    scene.files = {named: "C:\\a\\x.bin", unnamed: ""}
    region_map = scene.map()
    assert identity(region_map, named, same_process=False) == "c:\\a\\x.bin"
    assert identity(region_map, unnamed, same_process=True) is None


def test_every_teb_is_its_threads() -> None:
    process = ProcessBuilder("x64", 7601).furnish()  # before Windows 10 each has an allocation of its own
    process.add_thread()
    process.add_thread()
    region_map = map_of(process)
    for thread in process.threads:
        assert identity(region_map, thread.teb, same_process=True) == ("TEB", ("TEB", thread.tid, None))
    assert len({region_map.space.index_of(thread.teb) for thread in process.threads}) == len(process.threads) >= 3


def test_where_threads_have_blocks_of_both_widths_each_is_its_own() -> None:
    scene = Scene(64)
    narrow, wide = (scene.allocate(0x2000, base=base) for base in (0x100000, 0x200000))
    region_map = scene.map(threads=[Thread(5, teb=narrow), Thread(5, teb=wide)])
    of_five = Teb(wide, 8, 5, 100, None, None, None, 0x30000, 0, None, None, None, None, narrow)
    both = (of_five, replace(of_five, address=narrow, pointer_size=4))
    for tebs, widths in ((both, (8, 4)), (both[:1], (None,)), (both[1:], (None,))):
        other = replace(region_map, structures=replace(region_map.structures, tebs=tebs))
        for teb, width in zip(tebs, widths, strict=True):
            assert identity(other, teb.address, same_process=True) == ("TEB", ("TEB", 5, width))


def test_an_address_in_no_allocation_names_none() -> None:
    scene = Scene(64)
    first, last = (scene.allocate(MB, base=base) for base in (0x100000, 0x900000))
    unloaded = UnloadedModule(0x10000, MB, "gone.dll")
    region_map = scene.map(modules=[Module(0x20000, MB, "C:\\a.dll")], threads=[Thread(5, teb=0x10000)])
    region_map = replace(region_map, snapshot=replace(region_map.snapshot, unloaded_modules=(unloaded,)))
    assert [identity(region_map, base, same_process=True) for base in (first, last)] == [None, None]
    namings, codes = namings_of(region_map)
    assert [namings[int(code)].subject for code in codes] == [None, None]


@pytest.mark.parametrize("described", [True, False])
def test_what_a_vmmap_file_says_of_an_allocation_names_it(described: bool) -> None:
    scene = Scene(64)
    for base in (0x100000, 0x300000):
        scene.allocate(MB, base=base)
    snapshot = scene.snapshot(kind="vmmap")
    rows = [(row.base, row.allocation_base, 4, row.size, row.state, 4, row.type) for row in scene.regions(None)]
    kinds = {0x100000: ("Heap", "0x140000"), 0x300000: ("Private Data", "Shared memory of a toolkit")}
    texts = {
        "recorded_type": [kinds.get(row[1], (None, None))[0] for row in rows],
        "recorded_details": [kinds.get(row[1], (None, None))[1] for row in rows],
    }
    region_map = map_snapshot(replace(snapshot, regions=make_regions(rows, texts=texts if described else None)))
    namings, codes = namings_of(region_map)
    found = [namings[int(codes[region_map.space.index_of(base)])].subject for base in kinds]
    names = [subject and subject.name for subject in found]
    assert names == (["0x140000", "Shared memory of a toolkit"] if described else [None, None])
