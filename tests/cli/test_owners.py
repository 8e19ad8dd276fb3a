"""`dumpmap owners`."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pandas as pd
import pytest
from support.cli import run
from support.cli_inputs import FIXTURES
from synth.minidump import MinidumpBuilder

import dumpmap

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
        assert any(row["kind"] == "V8 old space" and int(row["size"]) == OLD_SPACE for row in rows)
    groups = [row for row in rows if row["size_each"]]
    assert groups
    assert all(int(row["size_each"]) * int(row["count"]) == int(row["size"]) and not row["owner"] for row in groups)
    assert all(row["owner"] or not row["evidence"] for row in rows)
    assert by != "size" or not any(row["owner"] for row in rows)
    assert "| V8" in run("owners", NODE, "--by", by, "--format", "markdown").out or by in ("module", "size")


@pytest.mark.parametrize("fixture", [NODE, FRAGMENT, str(FIXTURES / "allocators" / "partitionalloc-kaleido.dmp.gz")])
def test_csv_and_the_frame_are_one_table(fixture: str) -> None:
    out = run("owners", fixture, "--by", "kind", "--format", "csv").out
    frame = dumpmap.open(fixture).owners()
    rows = list(csv.DictReader(io.StringIO(out)))
    assert list(rows[0]) == list(frame.columns)
    for name in ("owner", "kind", "state", "protection", "evidence"):
        assert [row[name] for row in rows] == frame[name].tolist()
    for name in ("address", "size_each", "size", "committed", "count", "inferred_committed"):
        values = [None if row[name] == "" else int(row[name], 0) for row in rows]
        assert values == [None if value is pd.NA else int(value) for value in frame[name]]
    # The largest reserved group without an owner, as a filter finds it.
    group = frame[(frame["owner"] == "") & (frame["state"] == "reserved")]
    if fixture == FRAGMENT:
        assert group.iloc[0][["size_each", "count"]].tolist() == [16 << 20, 85]


@pytest.mark.parametrize("width", [60, 80])
@pytest.mark.parametrize("by", ["owner", "instance", "module", "kind", "size"])
@pytest.mark.parametrize("sort", ["size", "committed"])
def test_what_rows_stand_for_is_the_last_to_leave(by: str, width: int, sort: str) -> None:
    kaleido = FIXTURES / "allocators" / "partitionalloc-kaleido.dmp.gz"
    for fixture in (NODE, FRAGMENT, str(kaleido)):
        out = run("owners", fixture, "--by", by, "--sort", sort, "--owners", "structure", COLUMNS=str(width)).out
        heading = out[: out.index("──")]
        wanted = {"owner": "Owner", "instance": "Instance", "module": "Module", "kind": "Kind", "size": "Allocations"}
        assert wanted[by] in heading
        assert sort.capitalize() in heading
        assert max(map(len, out.splitlines())) <= width


def test_how_much_is_inferred() -> None:
    path = str(FIXTURES / "allocators" / "mimalloc-pyarrow.dmp.gz")
    document = json.loads(run("owners", path, "--format", "json").out)
    for owner in document["owners"]:
        assert owner["inferred_committed"] == sum(part["inferred_committed"] for part in owner["parts"])
        assert owner["inferred"] == any(part["inferred"] for part in owner["parts"])
        assert 0 <= owner["inferred_committed"] <= owner["committed"]
    private = json.loads(run("owners", path, "--type", "private-data", "--format", "json").out)
    inferred = sum(owner["inferred_committed"] for owner in private["owners"])
    shares = private["owned_share"] - private["owned_share_facts"]
    assert inferred == pytest.approx(shares * private["private_committed"])
    assert inferred > 0
    lines = run("owners", path).out.splitlines()
    assert any("Inferred" in line for line in lines[:2])
    (row,) = (line for line in lines if line.startswith("mimalloc"))
    assert row.rstrip().endswith("%")


def test_notes_are_shown(tmp_path: Path) -> None:
    dump = MinidumpBuilder("x64").system_info().module(0x400000, 0x1000, "node.exe")
    path = tmp_path / "node.dmp"
    path.write_bytes(dump.build())
    ran = run("owners", str(path))
    assert "Note: node.exe: no JavaScript heap could be identified" in " ".join(ran.out.split())


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
