"""`dumpmap owners`."""

from __future__ import annotations

import csv
import io
import json

import pytest
from support.cli import run
from support.cli_inputs import FIXTURES

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
