"""Pointers in the output of `owners`, `address`, `summary`, and `snapshot`."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from support.cli import run
from support.cli_schemas import HELD
from synth import rtti
from synth.heaps import nt_heap, write_heap_array
from synth.process import ProcessBuilder
from synth.space import PAGE

MB = 1 << 20
BLOCK = 0x3_0020_0000


@pytest.fixture(scope="module")
def dump(tmp_path_factory: pytest.TempPathFactory) -> str:
    process = ProcessBuilder("x64").furnish()
    driver = process.add_module("C:\\app\\driver.dll", base=0x7FF7_1000_0000)
    process.allocate(64 * MB, base=BLOCK)
    at = driver.sections[".data"][0] + 0x234
    process.pointer(at + 4, BLOCK)
    process.pointer(at + 12, 64 * MB)
    return str(process.to_minidump().write(tmp_path_factory.mktemp("held") / "held.dmp"))


@pytest.fixture(scope="module")
def reduced(dump: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = str(tmp_path_factory.mktemp("held") / "held.json")
    assert run("snapshot", dump, "-o", path).code == 0
    return path


def owners(path: str, *options: str) -> dict[str, Any]:
    document = json.loads(run("-q", "owners", path, "--format", "json", *options).out)
    return {name: document[name] for name in ("owners", "groups", "unowned", "owned_share", "pointers")}


def test_owners_names_the_module_and_the_pointer(dump: str) -> None:
    document = json.loads(run("-q", "owners", dump, "--format", "json").out)
    (held,) = document["pointers"]["found"]
    jsonschema.validate(held, HELD)
    assert held["allocation"] == hex(BLOCK)
    assert held["module"] == "driver.dll"
    assert held["rule"] == "module-pointer-pair"
    assert held["place"].startswith("driver.dll+0x")
    assert held["place"].endswith("238 (.data)")
    text = run("-q", "owners", dump, "--all").out
    assert "Owners named by a pointer (inferred)" in text
    assert f"0x{BLOCK:016x}" in text


def test_structure_alone_searches_nothing(dump: str) -> None:
    document = owners(dump, "--owners", "structure")
    assert document["pointers"] is None
    assert "driver.dll" in run("-q", "owners", dump, "--owners", "structure", "--all").out  # the loaded module
    assert "named by a pointer" not in run("-q", "owners", dump, "--owners", "structure", "--all").out
    assert owners(dump, "--type", "image")["pointers"] is None


def test_a_snapshot_answers_as_the_dump(dump: str, reduced: str) -> None:
    assert owners(reduced) == owners(dump)
    assert run("-q", "address", reduced, hex(BLOCK)).out.splitlines()[-1] == held_line(dump)


def held_line(path: str) -> str:
    lines = run("-q", "address", path, hex(BLOCK), "--bytes", "0").out.splitlines()
    return next(line for line in lines if line.startswith("Held by"))


def test_a_snapshot_without_results_says_nothing(dump: str, tmp_path: Path) -> None:
    path = str(tmp_path / "bare.json")
    assert run("snapshot", dump, "-o", path, "--owners", "structure").code == 0
    assert json.loads(Path(path).read_text("utf-8"))["pointer_owners"] is None
    assert owners(path)["pointers"] is None


def test_address_shows_who_holds_it(dump: str) -> None:
    assert "driver.dll (inferred: module-pointer-pair at 0x" in held_line(dump)
    found = json.loads(run("-q", "address", dump, hex(BLOCK + MB), "0x10000", "--format", "json").out)["addresses"]
    assert found[0]["held_by"]["module"] == "driver.dll"
    assert found[1]["held_by"] is None
    pointer = found[0]["held_by"]["pointer"]
    shown = json.loads(run("-q", "address", dump, pointer, "--bytes", "16", "--format", "json").out)["addresses"][0]
    assert bytes.fromhex(shown["bytes"]) == BLOCK.to_bytes(8, "little") + (64 * MB).to_bytes(8, "little")


def test_class_names_come_from_files_if_the_dump_lacks_the_pages(tmp_path: Path) -> None:
    process = ProcessBuilder("x64").furnish()
    nt_heap(process)
    heap = process.heaps[64][0]
    write_heap_array(process)
    driver = process.add_module("C:\\app\\driver.dll", base=0x7FF7_1000_0000)
    at, size = driver.sections[".rdata"]
    vtable = rtti.microsoft_vtable(process, driver, at, b".?AVPool@bar@@")
    process.allocate(64 * MB, base=BLOCK)
    for offset, word in ((0x2000, vtable), (0x2008, BLOCK), (0x2010, 64 * MB)):
        process.pointer(heap + offset, word)
    # The file lays its sections out as memory does.
    file = bytearray(process.read(driver.base, PAGE).ljust(driver.size, b"\0"))
    for index, (start, length) in enumerate(driver.sections.values()):
        rva = start - driver.base
        file[rva : rva + length] = process.read(start, length)
        header = 0x80 + 24 + 0xF0 + 40 * index
        assert int.from_bytes(file[header + 12 : header + 16], "little") == rva
        file[header + 20 : header + 24] = rva.to_bytes(4, "little")
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "driver.dll").write_bytes(file)
    process.drop_range(at, size)
    path = str(process.to_minidump().write(tmp_path / "lean.dmp"))
    assert owners(path)["pointers"]["found"] == []
    (held,) = owners(path, "--image-path", str(folder))["pointers"]["found"]
    assert (held["module"], held["class"], held["allocation"]) == ("driver.dll", "bar::Pool", hex(BLOCK))
    (folder / "driver.dll").write_bytes(file[:0x80] + bytes(0x200) + file[0x280:])
    assert owners(path, "--image-path", str(folder))["pointers"]["found"] == []


def test_summary_searches_only_on_request(dump: str) -> None:
    took = re.compile("^driver.dll +64 MB", re.MULTILINE)
    assert not took.search(run("-q", "summary", dump).out)
    assert took.search(run("-q", "summary", dump, "--owners", "full").out)
    document = json.loads(run("-q", "summary", dump, "--owners", "full", "--format", "json").out)
    assert "driver.dll" in {taker["owner"] for taker in document["who_took_it"]["committed"]}


HELD_DUMP = str(Path(__file__).parents[1] / "fixtures" / "pointers" / "held-x64.dmp.gz")


def committed_of(owner: str, *arguments: str) -> int:
    """Adds up what a command says of an owner's committed private memory."""
    document = json.loads(run("-q", *arguments, "--format", "json").out)
    if arguments[0] == "owners":
        return sum(one["committed"] for one in document["owners"] if one["owner"] == owner)
    if arguments[0] == "regions":
        return sum(row["committed"] for row in document["regions"])
    return sum(taker["committed"] for taker in document["who_took_it"]["committed"] if taker["owner"] == owner)


@pytest.mark.parametrize("suffix", ["dmp.gz", "json"])
def test_every_command_says_the_same_of_an_owner(suffix: str, tmp_path: Path) -> None:
    source = HELD_DUMP
    if suffix == "json":
        source = str(tmp_path / "held.json")
        assert run("snapshot", HELD_DUMP, "-o", source).code == 0
    full = ("--owners", "full")
    private = committed_of("held64.exe", "owners", source, "--type", "private-data", *full)
    assert private > 0
    assert committed_of("held64.exe", "summary", source, *full) == private
    assert committed_of("held64.exe", "diagnose", source, *full) == private
    rows = ("regions", source, "--owner", "held64.exe", "--type", "private-data")
    assert committed_of("held64.exe", *rows, *full) == private
    assert committed_of("held64.exe", *rows) == 0
    assert committed_of("held64.exe", "summary", source) == 0
    assert committed_of("held64.exe", "diagnose", source) == 0


def test_triage_searches_only_on_request_and_caches_both(tmp_path: Path) -> None:
    cache = str(tmp_path / "cache.db")

    def top(*options: str) -> tuple[str, float]:
        ran = run("-q", "triage", HELD_DUMP, "--cache", cache, "--format", "json", *options)
        (row,) = json.loads(ran.out)["rows"]
        return row["top_owner"], row["owned_share"]

    structure, full = top(), top("--owners", "full")
    assert full[0] == "held64.exe"
    assert structure[0] != "held64.exe"
    assert full[1] > structure[1]
    assert (top(), top("--owners", "full")) == (structure, full)
    assert top("--owners", "full", "--engine", "serial") == full


def test_the_report_names_pointer_owners(tmp_path: Path) -> None:
    page = tmp_path / "held.html"
    assert run("report", HELD_DUMP, "-o", str(page)).code == 0
    assert "held64.exe</" in page.read_text("utf-8").partition("Who took private memory")[2].partition("</section>")[0]
    assert run("report", HELD_DUMP, "-o", str(page), "--force", "--owners", "structure").code == 0
    shown = page.read_text("utf-8").partition("Who took private memory")[2].partition("</section>")[0]
    assert "held64.exe" not in shown
