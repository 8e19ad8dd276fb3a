"""From the bytes of a dump to its verdict, where the writer of the dump recorded the failure."""

from __future__ import annotations

from pathlib import Path

import pytest
from synth.minidump import MinidumpBuilder
from synth.writers import unreal_xml
from typer.testing import CliRunner

import dumpmap
from dumpmap.cli.app import whole_app
from dumpmap.triage.map_row import row_of_map
from dumpmap.wording.verdicts import verdict

ELECTRON = (
    ("electron.v8-oom.is_heap_oom", "1"),
    ("electron.v8-oom.location", "Reached heap limit"),
    ("electron.v8-oom.heap.used", "4164542836"),
    ("electron.v8-oom.heap.limit", "4294967296"),
)


def dump(architecture: str = "x64") -> MinidumpBuilder:
    """A dump without a list of regions."""
    return MinidumpBuilder(architecture).system_info().thread(1).module(0x400000, 0x10000, "C:\\app\\app.exe")


def test_unreal_ran_out_of_memory(tmp_path: Path) -> None:
    path = tmp_path / "game.dmp"
    path.write_bytes(dump().exception(1, 0x4000, 0x400100, []).unreal_context(unreal_xml()).build())
    region_map = dumpmap.open(path)
    row = row_of_map(region_map, "game.dmp", 1)
    assert (row["verdict"], row["severity"]) == ("out-of-memory", "critical")
    assert row["headline"] == "The writer of the dump recorded that memory ran out"
    assert "a failed allocation of 7.6 GB in thread " in row["sentence"]
    result = CliRunner().invoke(whole_app(), ["-q", "diagnose", str(path), "--fail-on", "critical"])
    assert result.exit_code == 1, result.output
    assert "More likely (inferred): " in " ".join(result.stdout.split())
    assert "Heap limit" in result.stdout


@pytest.mark.parametrize("code", [0xE0000008, 0x80000003, None])
def test_v8_reached_its_limit(code: int | None) -> None:
    builder = dump().crashpad_info(*ELECTRON)
    if code is not None:
        builder.exception(1, code, 0x400100, [0])
    judged = verdict(dumpmap.open(builder.build()))
    assert judged.verdict == "out-of-heap-limit"
    assert (judged.heap_limit["used"], judged.heap_limit["limit"]) == (4_164_542_836, 4_294_967_296)
    assert "the V8 heap uses 3.9 GB of its limit of 4 GB (97 %)" in judged.sentence


def test_zeros_and_garbage_in_the_annotations_prove_nothing() -> None:
    for used, limit in (("0", "0"), ("", ""), ("-1", "x"), ("9" * 400, "9" * 400)):
        annotations = (("electron.v8-oom.heap.used", used), ("electron.v8-oom.heap.limit", limit))
        judged = verdict(dumpmap.open(dump().crashpad_info(*annotations).build()))
        assert judged.verdict == "cannot-tell", judged.sentence


def test_the_request_of_an_annotation_above_the_bound() -> None:
    builder = dump("x86").crashpad_info(("oom-size", str(1 << 29))).system_memory_info(maximum_address=0x7FFEFFFF)
    for index in range(16):
        builder.memory(0x1000000 + index * 0x8000000, bytes(16))
    judged = verdict(dumpmap.open(builder.build()))
    assert judged.verdict == "out-of-address-space"
    assert judged.sentence.startswith(
        "Out of address space, not memory: 512 MB was requested, and the largest free block is at most 128 MB."
    )
    assert judged.address_space["largest_free_block_at_most"]["size"] == 0x8000000 - 0x10000
