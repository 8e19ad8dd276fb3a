"""`dumpmap owners`."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from support.cli import run
from support.cli_inputs import FIXTURES
from synth.minidump import MinidumpBuilder

NODE = str(FIXTURES / "runtimes" / "node-18.dmp.gz")
TRUTH = json.loads((FIXTURES / "runtimes" / "node-18.truth.json").read_text(encoding="utf-8"))["main"]
STATED = {space["space_name"]: space["space_size"] for space in TRUTH["spaces"]}
OLD_SPACE = STATED["old_space"]
FRAGMENT = str(FIXTURES / "fragment-x86.dmp.gz")


def test_the_document() -> None:
    document = json.loads(run("owners", NODE, "--format", "json").out)
    assert document["schema"] == "dumpmap.owners/1"
    isolates = [owner for owner in document["owners"] if owner["owner"] == "V8"]
    assert [owner["version"] for owner in isolates] == ["10.2.154.26-node.39".partition("-")[0]] * 2
    parts = {part["kind"]: part["size"] for part in isolates[0]["parts"]}
    assert parts["V8 old space"] == OLD_SPACE
    assert parts["V8 large object space"] == STATED["large_object_space"]
    assert isolates[0]["facts"]["heap_limit"] == TRUTH["heap"]["heap_size_limit"]
    total = sum(owner["size"] for owner in document["owners"]) + document["unowned"]["size"]
    summary = json.loads(run("summary", NODE, "--format", "json").out)
    counted = [row["size"] or 0 for row in summary["types"] if row["type"] not in ("Free", "Unusable", "Page Table")]
    assert total == sum(counted)


def test_the_largest_group_comes_first() -> None:
    lines = run("owners", FRAGMENT, "--all").out.splitlines()
    first = lines[next(number for number, line in enumerate(lines) if line.startswith("──")) + 1]
    assert "85 allocations of" in first
    assert "1,392,640" in first
    assert "reserved" in first


@pytest.mark.parametrize("by", ["owner", "instance", "module", "kind", "size"])
def test_every_cut_is_a_table(by: str) -> None:
    rows = list(csv.DictReader(io.StringIO(run("owners", NODE, "--by", by, "--format", "csv").out)))
    sizes = [int(row["size"]) for row in rows]
    assert sizes == sorted(sizes, reverse=True)
    if by == "kind":
        assert any(row["kinds"] == "V8 old space" and int(row["size"]) == OLD_SPACE for row in rows)
    if by == "size":
        assert all("allocation" in row["owner"] for row in rows)
    assert "| V8" in run("owners", NODE, "--by", by, "--format", "markdown").out or by in ("module", "size")


def test_a_wrong_type_is_refused() -> None:
    ran = run("owners", NODE, "--type", "nothing")
    assert ran.code == 2


def test_captured_ranges_of_a_partial_map_are_no_allocations(tmp_path: Path) -> None:
    dump = MinidumpBuilder("x64").system_info().module(0x400000, 0x1000, "a.exe")
    for base in (0x10000000, 0x20000000, 0x30000000):
        dump.memory(base, bytes(512))
    path = tmp_path / "part.dmp"
    path.write_bytes(dump.build())
    out = run("-q", "owners", str(path)).out
    assert "3 captured ranges of 512 bytes" in out
    assert "allocation" not in out


def test_committed_memory_comes_first_where_asked() -> None:
    for figure in ("size", "committed"):
        out = run("owners", FRAGMENT, "--sort", figure, "--format", "csv").out
        values = [int(row[figure]) for row in csv.DictReader(io.StringIO(out))]
        assert values == sorted(values, reverse=True)
        document = json.loads(run("owners", FRAGMENT, "-s", figure, "--format", "json").out)
        for name in ("owners", "groups"):
            values = [row[figure] for row in document[name]]
            assert values == sorted(values, reverse=True)


def test_a_named_heap_says_that_it_is_a_heap() -> None:
    owners = json.loads(run("owners", str(FIXTURES / "layout-x64.dmp.gz"), "--format", "json").out)["owners"]
    heaps = [owner for owner in owners if owner["instance"] and not owner["module"]]
    assert len(heaps) == 9
    assert all("heap" in owner["owner"].lower() for owner in heaps)
    assert "large blocks (heap)" in {owner["owner"] for owner in heaps}
