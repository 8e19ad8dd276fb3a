"""Facts and notes that follow from the module list: WoW64, Mono, and where heap memory counts."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.scenes import MB, Scene
from synth.minidump import MEM_COMMIT, MEM_PRIVATE, MinidumpBuilder

import dumpmap
from dumpmap.api import RegionMap
from dumpmap.classify.notes import notes_of
from dumpmap.model.region_map import MappedCopy
from dumpmap.model.types import RegionType
from dumpmap.model.writer import HeapLimitRecord, WriterRecord


def opened(*names: str, arch: str = "x64", regions: bool = False) -> RegionMap:
    dump = MinidumpBuilder(arch).system_info()
    for number, name in enumerate(("app.exe", *names)):
        dump.module(0x400000 + number * 0x100000, 0x1000, f"C:\\Windows\\{name}")
    if regions:
        dump.region(0x60000, 0x1000, MEM_COMMIT, 4, MEM_PRIVATE)
    return dumpmap.open(dump.build())


@pytest.mark.parametrize("name", ["wow64.dll", "WOW64CPU.DLL", "wow64win.dll", "wow64base.dll", "wow64con.dll"])
@pytest.mark.parametrize("arch", ["x64", "x86"])
def test_any_module_of_wow64_tells(name: str, arch: str) -> None:
    process = opened(name, arch=arch).process
    assert (process.wow64, process.architecture, process.pointer_size) == (True, "x86", 4)


@pytest.mark.parametrize("name", ["wow64log.txt", "mywow64.dll", "wow64hook.dll", "wow64"])
def test_other_names_do_not(name: str) -> None:
    assert opened(name).process.wow64 is not True


@pytest.mark.parametrize("name", ["mono.dll", "mono-2.0-bdwgc.dll", "Mono-2.0-sgen.dll", "monosgen-2.0.dll"])
@pytest.mark.parametrize("regions", [False, True])
def test_the_heap_of_mono_is_unknown_not_zero(name: str, regions: bool) -> None:
    m = opened(name, regions=regions)
    line = m.line(RegionType.MANAGED_HEAP)
    assert (line.size, line.committed, line.private) == (None, None, None)
    (note,) = [note for note in m.notes if "Mono" in note]
    assert note.startswith(f"the Mono runtime is loaded ({name}), and its heap could not be identified")
    assert note.endswith("counts as Private Data") is regions


@pytest.mark.parametrize("name", ["MonoPosixHelper.dll", "MonoGame.Framework.dll", "monitor.dll"])
def test_other_modules_are_no_runtime(name: str) -> None:
    m = opened(name)
    assert m.line(RegionType.MANAGED_HEAP).size == 0
    assert not any("Mono" in note for note in m.notes)


def test_where_heap_memory_counts() -> None:
    assert "the list of heaps is not in the input: heap memory counts as Private Data" in opened(regions=True).notes
    m = opened()
    assert m.line(RegionType.PRIVATE_DATA).size is None
    assert (
        "the list of heaps is not in the input: heap memory is not in the map, neither as Heap nor as Private Data"
        in m.notes
    )


@pytest.mark.parametrize(
    ("used", "limit", "texts"),
    [
        (None, 4095, ("0 bytes", "4.0 KB")),
        (None, 4096, None),
        (4000, 1000, ("3.9 KB", "1000 bytes")),
        (None, None, None),
    ],
)
def test_figures_of_a_heap_that_no_heap_has(used: int | None, limit: int | None, texts: tuple[str, str] | None) -> None:
    record = HeapLimitRecord("V8", "CrashpadInfo", used=used, limit=limit)
    notes = Scene(64).leave(MB).map(writer=WriterRecord("Crashpad", heap_limit=record)).notes
    said = [note for note in notes if "for the V8 heap" in note]
    assert len(said) == (texts is not None)
    if texts is not None:
        assert f"recorded {texts[0]} in use and a limit of {texts[1]} for the V8 heap" in said[0]


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, None), (1, "1 loaded image is also mapped as data"), (2, "2 loaded images are also mapped as data")],
)
def test_copies_of_images_are_counted(count: int, words: str | None) -> None:
    m = opened(regions=True)
    notes = notes_of((), replace(m, mapped_copies=tuple(MappedCopy(0x60000, "app.exe") for _ in range(count))))
    assert [note.partition(", ")[0] for note in notes if "mapped as data" in note] == ([words] if words else [])
