"""The one entry: order, warnings, recordings, other systems, and what it may import."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support.structures import load, memory_of, space_of, survey_process
from synth import heaps as hp
from synth.process import ProcessBuilder

from dumpmap.model.memory import ExcerptMemory, RecordingMemory
from dumpmap.model.process import ProcessStructures
from dumpmap.structures.space import NoSpace
from dumpmap.structures.survey import survey


def furnished(arch: str = "x64", number: int = 19045, *, wow64: bool = False) -> ProcessBuilder:
    process = ProcessBuilder(arch, number, wow64).furnish()
    hp.nt_heap(process)
    hp.write_heap_array(process)
    process.add_thread()
    return process


@pytest.mark.parametrize(
    ("arch", "number", "wow64"),
    [("x64", 19045, False), ("x86", 2600, False), ("x86", 19045, True), ("x64", 7601, True), ("x64", 26100, False)],
)
def test_a_recording_gives_the_same_structures(arch: str, number: int, wow64: bool) -> None:
    process = furnished(arch, number, wow64=wow64)
    if number >= 9600:
        process.add_cfg_bitmap()
    recording = RecordingMemory(memory_of(process))
    first = survey_process(process, recording)
    assert len(first.tebs) == (4 if wow64 else 2)
    assert len(first.pebs) == (2 if wow64 else 1)
    assert first.images
    assert first.heaps
    assert survey_process(process, ExcerptMemory(recording.excerpts())) == first


def test_a_recording_holds_no_user_data() -> None:
    process = furnished()
    process.add_process_parameters(command_line="tool --token=SECRET", environment={"KEY": "SECRET"})
    for thread in process.threads:
        process.write(thread.stack.limit, b"SECRET" * 100)
    recording = RecordingMemory(memory_of(process))
    survey_process(process, recording)
    held = b"".join(data for _, data in recording.excerpts())
    assert b"SECRET" not in held
    assert "SECRET".encode("utf-16-le") not in held


def test_images_of_all_modules_whose_headers_are_there() -> None:
    process = furnished()
    process.drop_page(process.modules[-1].base)
    images = survey_process(process).images
    assert set(images) == {module.base for module in process.modules[:-1]}
    for module in process.modules[:-1]:
        assert images[module.base].size_of_image == module.size
        assert [section.name for section in images[module.base].sections] == list(module.sections)


def test_an_empty_memory_and_no_threads() -> None:
    found = survey(
        ExcerptMemory(), pointer_size=8, threads=[(1, 0), (2, 0x7000)], modules=[], space=NoSpace(), os_build=None
    )
    assert (found.tebs, found.pebs, found.heaps, found.warnings) == ((), (), (), ())
    assert found.heap_list_captured is None


@pytest.mark.parametrize("family", ["linux", "macos", "android"])
def test_other_systems_have_no_such_structures(family: str) -> None:
    process = furnished()
    found = survey(
        memory_of(process),
        pointer_size=8,
        threads=[(thread.tid, thread.teb) for thread in process.threads],
        modules=[],
        space=NoSpace(),
        os_build=None,
        family=family,
    )
    assert found == ProcessStructures()


def test_bytes_that_are_no_teb_are_one_warning() -> None:
    process = furnished()
    for thread in process.threads:
        process.set_teb(thread, "Self", 0)
    found = survey_process(process)
    assert not found.tebs
    (warning,) = found.warnings
    assert warning.startswith("2 of 2 threads have no valid TEB at its address")


def test_a_peb_that_is_known_otherwise() -> None:
    process = furnished()
    for thread in process.threads:
        process.drop_range(thread.teb, 0x2000)
    arguments = {
        "pointer_size": 8,
        "threads": [(thread.tid, thread.teb) for thread in process.threads],
        "modules": [],
        "space": NoSpace(),
        "os_build": process.build,
    }
    assert survey(memory_of(process), **arguments).pebs == ()  # type: ignore[arg-type]
    found = survey(memory_of(process), peb_addresses=[process.peb], **arguments)  # type: ignore[arg-type]
    assert [peb.address for peb in found.pebs] == [process.peb]
    assert len(found.heaps) == 1


def test_a_small_dump_has_tebs_and_pebs_and_says_what_it_lacks() -> None:
    process = furnished()
    kept = [(process.peb, process.read(process.peb, 0x7D0))]
    kept += [(thread.teb, process.read(thread.teb, 0x1838)) for thread in process.threads]
    found = survey_process(process, ExcerptMemory(kept))
    assert len(found.tebs) == 2
    assert found.heap_list_captured is False
    assert "the header of 1 heap is not in the dump" in found.notes[-1]
    assert found.warnings == ()
    (heap,) = found.heaps
    assert (heap.kind, heap.is_default) == ("unknown (header not in dump)", True)


@pytest.mark.corpus
def test_every_public_dump_is_surveyed_without_a_contradiction(corpus: Path) -> None:
    surveyed = 0
    for path in sorted(corpus.glob("*.dmp")):
        if path.read_bytes()[:4] != b"MDMP" or path.name.startswith(("rust-minidump_rust-minidump__invalid",)):
            continue
        dump = load(path)
        found = dump.survey()
        surveyed += 1
        assert found.warnings == (), path.name
    assert surveyed > 40


def test_this_room_needs_the_standard_library_and_construct_only() -> None:
    code = (
        "import sys\n"
        "from dumpmap.structures import survey, blocks\n"
        "outside = {name.partition('.')[0] for name in sys.modules} - set(sys.stdlib_module_names)\n"
        "print(sorted(outside & {'numpy', 'pandas', 'minidump', 'msgspec', 'rich', 'typer'}))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_module_without_a_header_costs_only_itself() -> None:
    process = ProcessBuilder("x64", 19045).furnish()
    bases = [module.base for module in process.modules]
    assert len(bases) >= 3
    assert set(survey_process(process).images) == set(bases)
    process.write(bases[0], bytes(0x400))
    assert set(survey_process(process).images) == set(bases[1:])


def test_a_thread_without_an_address_costs_only_itself() -> None:
    process = ProcessBuilder("x64", 19045).furnish()
    others = [process.add_thread() for _ in range(2)]
    listed = [(thread.tid, thread.teb) for thread in (process.threads[0], *others)]
    for place in range(3):
        threads = [(tid, 0 if at == place else teb) for at, (tid, teb) in enumerate(listed)]
        found = survey(memory_of(process), pointer_size=8, threads=threads, modules=[], space=NoSpace(), os_build=19045)
        assert [teb.thread_id for teb in found.tebs] == [tid for at, (tid, _) in enumerate(listed) if at != place]
        assert found.warnings == ()


def test_without_sections_only_programs_and_ntdll_are_read() -> None:
    process = ProcessBuilder("x64", 19045).furnish()
    process.add_module("C:\\app\\zlib.dll")
    names = {module.base: module.name.rpartition("\\")[2] for module in process.modules}
    modules = [(module.base, module.size, module.name) for module in process.modules]
    found = survey(
        memory_of(process),
        pointer_size=8,
        threads=[],
        modules=modules,
        space=space_of(process),
        os_build=19045,
        all_images=False,
    )
    wanted = {name for name in names.values() if name.endswith(".exe") or name == "ntdll.dll"}
    assert len(wanted) == 2
    assert {names[base] for base in found.images} == wanted
