"""Modules and their sections, as the recorded program read them out of its own memory."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.recorded import COMPLETE, PLAIN, number, region_map, truth
from synth.images import DEFAULT_SECTIONS, image_size, pe_header, place_sections

from dumpmap.classify.image_files import ImageFiles
from dumpmap.model.snapshot import Module

PAGE = 0x1000


@pytest.mark.parametrize("name", [*COMPLETE, *PLAIN])
def test_every_module_with_place_size_and_identity(name: str) -> None:
    modules = {module.base: module for module in region_map(name).snapshot.modules}
    for wanted in truth(name)["modules"]:
        module = modules[number(wanted["base"])]
        assert module.size == wanted["size"]
        assert module.timestamp == wanted["timestamp"]
        assert module.name.lower() == wanted["name"].lower()
        assert module.path.lower() == wanted["path"].lower()


@pytest.mark.parametrize("name", [*COMPLETE, *PLAIN])
def test_every_module_is_one_image_of_its_size(name: str) -> None:
    frame = region_map(name).allocations.set_index("address")
    for wanted in truth(name)["modules"]:
        row = frame.loc[number(wanted["base"])]
        assert row["type"] == "Image"
        assert row["size"] == wanted["size"]
        assert row["details"].lower() == wanted["path"].lower()


@pytest.mark.parametrize("name", COMPLETE)
def test_every_section_begins_and_ends_where_the_header_says(name: str) -> None:
    m = region_map(name)
    for module in truth(name)["modules"]:
        for section in module["sections"]:
            start = number(section["address"])
            size = section["virtual_size"] or section["raw_size"]
            for address in (start, start + size - 1):
                location = m.at(address)
                assert location is not None
                assert location.section == section["name"], module["name"]
                assert location.module is not None
                assert location.module.lower() == module["path"].lower()
            after = m.at(start + -(-size // PAGE) * PAGE)
            assert after is None or (after.section, after.module) != (section["name"], module["path"])


@pytest.mark.parametrize("name", COMPLETE)
def test_sections_and_header_fill_the_image_exactly(name: str) -> None:
    frame = region_map(name).regions
    for module in truth(name)["modules"]:
        rows = frame[frame["allocation"] == number(module["base"])]
        assert int(rows["size"].sum()) == module["size"]
        assert rows.iloc[0]["kind"] == "Header"
        names = {section["name"] for section in module["sections"]}
        assert set(rows["kind"]) == names | {"Header"}
        assert set(rows["type"]) == {"Image"}


@pytest.mark.parametrize("name", COMPLETE)
def test_an_image_that_the_loader_does_not_know_is_told_from_the_modules(name: str) -> None:
    frame = region_map(name).allocations
    images = frame[frame["type"] == "Image"].set_index("address")
    listed = {number(module["base"]) for module in truth(name)["modules"]}
    loose = {
        number(allocation["address"])
        for allocation in truth(name)["allocations"]
        if allocation["purpose"] == "the same DLL, mapped as an image but not loaded"
    }
    assert set(images.index) == listed | loose
    for address in loose:
        assert images.loc[address]["kind"] == "Image, not in the module list"


@pytest.mark.parametrize(
    ("timestamp", "size", "found"),
    [(0, 0, True), (-1, 0, False), (1, 0, False), (None, 0, True), (None, 0x1000, False), (0, -0x1000, False)],
)
def test_a_file_is_a_modules_by_name_time_and_size(
    tmp_path: Path, timestamp: int | None, size: int, found: bool
) -> None:
    sections = place_sections(DEFAULT_SECTIONS)
    (tmp_path / "some.dll").write_bytes(pe_header("x64", 0x10000, sections, timestamp=1000))
    stamp = None if timestamp is None else 1000 + timestamp
    module = Module(0x10000, image_size(sections) + size, "C:\\app\\Some.dll", timestamp=stamp)
    file = ImageFiles(tmp_path).find(module)
    assert (file is not None) is found
    assert file is None or file[1] == tmp_path / "some.dll"
