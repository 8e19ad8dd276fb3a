"""How much is read of what writers add to a dump: exactly the cap, and not one more."""

from __future__ import annotations

import json

import pytest
from support.dumps import read, stream, tiny
from synth.minidump import MinidumpBuilder
from synth.writers import ROOT, ModuleAnnotations, unreal_xml

from dumpmap.model.writer import WriterRecord
from dumpmap.parsers.minidump.unreal import UnrealContextError, parse


def record_of(dump: MinidumpBuilder) -> WriterRecord:
    writer = read(dump).writer
    assert writer is not None
    return writer


@pytest.mark.parametrize(("made", "kept"), [(511, 511), (512, 512), (513, 512)])
def test_values_of_a_crash_context(made: int, kept: int) -> None:
    # Each has a text of its own; the platform's and the engine's values come behind them.
    text = unreal_xml({f"Value{index}": f"{index}" for index in range(made)}, [])
    annotations = record_of(tiny().unreal_context(text, "utf-8")).annotations
    values = [one.value for one in annotations if one.name.startswith("Value")]
    assert values == [f"{index}" for index in range(kept)]
    assert len(annotations) == min(made + 2, 512)


@pytest.mark.parametrize(("made", "kept"), [(4095, 4095), (4096, 4096), (4097, 4096)])
def test_threads_of_a_crash_context(made: int, kept: int) -> None:
    threads = [(1 + index, "n", False) for index in range(made)]
    names = record_of(tiny().unreal_context(unreal_xml({"GameName": "x"}, threads), "utf-8")).thread_names
    assert [thread for thread, _ in names] == list(range(1, 1 + kept))


@pytest.mark.parametrize(("depth", "problem"), [(14, None), (15, "nests its elements too deeply")])
def test_depth_of_a_crash_context(depth: int, problem: str | None) -> None:
    # The root and the section are two of the sixteen levels.
    text = unreal_xml(inner="<a>" * depth + "</a>" * depth)
    found = stream(read(tiny().unreal_context(text)), "UnrealCrashContext")
    assert found.status == (problem or "read")


def test_only_leaves_of_the_sections_with_a_text_are_values() -> None:
    inside = "<Kept>1</Kept><Empty></Empty><Blank> \n </Blank><Outer>own<Deep>2</Deep>text</Outer><Kept>again</Kept>"
    text = (
        f"<{ROOT}>stray<Version>3</Version><RuntimeProperties>{inside}</RuntimeProperties>"
        f"<Other><Lost>4</Lost></Other><GameData><Game>5</Game></GameData></{ROOT}>"
    )
    annotations = record_of(tiny().unreal_context(text, "utf-8")).annotations
    assert {one.name: one.value for one in annotations} == {"Kept": "1", "Game": "5"}


@pytest.mark.parametrize(("size", "read_whole"), [(16 << 20, True), ((16 << 20) + 1, False)])
def test_bytes_of_a_crash_context(size: int, read_whole: bool) -> None:
    text = unreal_xml({"GameName": "x"}, [])
    text = text.replace("<GameName>", " " * (size - len(text)) + "<GameName>")
    found = stream(read(tiny().unreal_context(text, "utf-8")), "UnrealCrashContext")
    assert found.status == ("read" if read_whole else f"has no </{ROOT}> in the first 16 MB, and dumpmap reads no more")


@pytest.mark.parametrize(("letters", "kept"), [(255, 255), (256, 256), (257, 256)])
def test_names_of_values_and_threads(letters: int, kept: int) -> None:
    named = record_of(tiny().unreal_context(unreal_xml({"GameName": "x"}, [(7, "t" * letters, False)]), "utf-8"))
    assert named.thread_names == ((7, "t" * kept),)
    crash = record_of(tiny().unreal_context(unreal_xml({"N" * letters: "1"}, []), "utf-8"))
    assert crash.annotations[0].name == "N" * kept
    annotation = record_of(tiny().crashpad_info(("n" * letters, "1"))).annotations[0]
    assert annotation.name == "n" * kept


@pytest.mark.parametrize(("made", "said"), [(4095, False), (4096, False), (4097, True)])
def test_annotations_of_crashpad(made: int, said: bool) -> None:
    simple = tuple((f"n{index}", f"{index}") for index in range(made))
    snapshot = read(tiny().crashpad_info(*simple))
    assert snapshot.writer is not None
    assert len(snapshot.writer.annotations) == min(made, 4096)
    assert ("claims 4,097 entries; dumpmap reads the first 4,096" in stream(snapshot, "CrashpadInfo").status) is said


@pytest.mark.parametrize(("size", "kept"), [(0, 0), (63, 63), (64, 64), (65, 64)])
def test_bytes_of_an_annotation_object(size: int, kept: int) -> None:
    module = ModuleAnnotations(0, objects=(("raw", 7, bytes(range(size))),))
    dump = tiny().module(0x400000, 0x1000, "a.exe").crashpad_info(modules=[module])
    (annotation,) = record_of(dump).annotations
    assert annotation.value == bytes(range(kept)).hex()


@pytest.mark.parametrize(("made", "said"), [(255, False), (256, False), (257, True)])
def test_entries_of_soft_errors(made: int, said: bool) -> None:
    snapshot = read(tiny().soft_errors(json.dumps([f"e{index}" for index in range(made)])))
    assert snapshot.writer is not None
    assert snapshot.writer.soft_errors == tuple(f"e{index}" for index in range(min(made, 256)))
    (found,) = (one for one in snapshot.source.streams if one.type == 0x4D7A0004)
    assert (f"has {made} entries; 256 are read" in found.status) is said


@pytest.mark.parametrize(("size", "good"), [(1 << 20, True), ((1 << 20) + 1, False)])
def test_bytes_of_soft_errors(size: int, good: bool) -> None:
    text = '["a"]'
    snapshot = read(tiny().soft_errors(text + " " * (size - len(text))))
    assert (snapshot.writer is not None) is good


@pytest.mark.parametrize(("claimed", "kept"), [(0, 0), (14, 14), (15, 15), (16, 15), (0xFFFFFFFF, 15)])
def test_parameters_of_an_exception(claimed: int, kept: int) -> None:
    parameters = list(range(100, 115))
    dump = tiny().exception(7, 0xC0000005, 0x401000, parameters)
    dump.patch(6, 8 + 24, claimed.to_bytes(4, "little"))
    snapshot = read(dump)
    assert snapshot.exception is not None
    assert snapshot.exception.parameters == tuple(parameters[:kept])
    assert ("parameters, 15 fit" in stream(snapshot, "Exception").status) is (claimed > 15)


@pytest.mark.parametrize(("made", "last"), [(4095, "4094"), (4096, "4095"), (4097, None)])
def test_modules_with_annotations(made: int, last: str | None) -> None:
    modules = [ModuleAnnotations(index) for index in range(made - 1)]
    modules.append(ModuleAnnotations(made - 1, simple=(("last", str(made - 1)),)))
    snapshot = read(tiny().crashpad_info(("first", "1"), modules=modules))
    assert snapshot.writer is not None
    known = {annotation.name: annotation.value for annotation in snapshot.writer.annotations}
    assert known == {"first": "1"} | ({"last": last} if last else {})
    assert ("claims 4,097 entries; dumpmap reads the first 4,096" in stream(snapshot, "CrashpadInfo").status) is (
        last is None
    )


@pytest.mark.parametrize(
    "text", ["", "<Other><GameName>x</GameName></Other>", "GenericCrashContext", "< FGenericCrashContext>"]
)
def test_a_text_without_the_element_is_no_crash_context(text: str) -> None:
    with pytest.raises(UnrealContextError, match=f"^has no element {ROOT}$"):
        parse(text.encode())
