"""Who took most: both lists, and their place in the documents and texts of summary and diagnose."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.cli import run
from support.scenes import FIXTURES, KB, MB, Scene
from synth.minidump import MinidumpBuilder

import dumpmap
from dumpmap.analysis import takers
from dumpmap.analysis.takers import Taker, who_took_it
from dumpmap.model.snapshot import RecordedHeap, RecordedRange, Thread
from dumpmap.model.types import PRIVATE_TYPES

NODE = FIXTURES / "runtimes" / "node-18.dmp.gz"
FRAGMENT = FIXTURES / "fragment-x86.dmp.gz"


@pytest.mark.parametrize("path", [NODE, FRAGMENT, FIXTURES / "leak-x64-after.dmp.gz"], ids=lambda path: path.name)
def test_the_lists_are_the_largest_of_all_private_memory(path: Path) -> None:
    region_map = dumpmap.open(path)
    found = who_took_it(region_map)
    every = who_took_it(region_map, 10_000)
    assert found is not None
    assert every is not None
    frame = region_map.owners([region_type.label for region_type in PRIVATE_TYPES])
    commit = frame["committed"].sum() - frame["committed"][(frame["owner"] == "") & frame["size_each"].isna()].sum()
    assert sum(one.committed for one in every.committed) == commit
    for mine, figure in ((found.committed, "committed"), (found.reserved, "reserved")):
        figures = [getattr(one, figure) for one in mine]
        assert figures == sorted(figures, reverse=True)
        assert len(mine) == takers.MOST
        assert figures == [getattr(one, figure) for one in getattr(every, figure)[: takers.MOST]]
    assert set(found.all) == {*found.committed, *found.reserved}
    assert [one.size for one in found.all] == sorted((one.size for one in found.all), reverse=True)


def test_the_group_that_fills_the_address_space_is_named_first() -> None:
    found = who_took_it(dumpmap.open(FRAGMENT))
    assert found is not None
    first = found.reserved[0]
    assert first.group is not None
    assert (first.group.count, first.group.size_each, first.reserved, first.committed) == (85, 16 * MB, 1360 * MB, 0)
    assert found.all[0] == first


@pytest.mark.parametrize("command", ["summary", "diagnose"])
def test_both_commands_say_it_at_80_columns(command: str) -> None:
    text = run("-q", command, str(FRAGMENT), COLUMNS="80").out
    assert "Who took private memory" in text
    assert "85 allocations of 16 MB, reserved" in text
    assert max(map(len, text.split("\n"))) <= 80
    document = json.loads(run("-q", command, str(FRAGMENT), "--format", "json").out)
    assert document["who_took_it"]["reserved"][0]["size"] == 1360 * MB
    assert document["who_took_it"]["reserved"][0]["group"]["count"] == 85
    first = document["who_took_it"]["committed"][0]
    assert (first["owner"], first["committed"]) == ("Thread stacks", 3 * MB)


def test_nobody_is_named_where_that_is_unknown_or_would_take_long(monkeypatch: pytest.MonkeyPatch) -> None:
    partial = dumpmap.open(FIXTURES / "layout-x86-plain.dmp")
    assert who_took_it(partial) is None
    scene = Scene(64)
    for _ in range(3):
        scene.allocate(256 * KB)
    assert who_took_it(scene.map()) is not None
    monkeypatch.setattr(takers, "MOST_ALLOCATIONS", 2)
    assert who_took_it(scene.map()) is None
    text = run("-q", "summary", str(FIXTURES / "layout-x86-plain.dmp")).out
    assert "Who took" not in text


def test_allocations_that_stand_alone_are_named_by_address() -> None:
    scene = Scene(64)
    base = scene.allocate(3 * MB)
    found = who_took_it(scene.map())
    assert found is not None
    assert found.all[0].group is not None
    assert found.all[0].group.address == base
    text = run("-q", "owners", str(FIXTURES / "leak-x64-after.dmp.gz"), COLUMNS="200").out
    assert "allocation of 16 MB at 0x1ae0000, partly committed, Read/Write" in text
    assert "1 allocation of" not in text


def test_ranges_of_a_map_without_regions_are_no_allocations(tmp_path: Path) -> None:
    dump = MinidumpBuilder("x64").system_info().memory(0x6_0000, bytes(4096))
    for base in (0x10_0000, 0x20_0000):
        dump.memory(base, bytes(8192))
    text = run("-q", "owners", str(dump.write(tmp_path / "x.dmp")), COLUMNS="200").out
    assert "captured range of 4 KB at 0x60000" in text
    assert "2 captured ranges of 8 KB" in text
    assert "allocation" not in text


def test_of_equal_figures_the_larger_taker_comes_first_then_the_name() -> None:
    scene = Scene(64)
    stacks, heap, large, small = 0x1000_0000, 0x2000_0000, 0x3000_0000, 0x4000_0000
    scene.allocate(2 * MB, base=stacks, commit=MB)
    scene.allocate(2 * MB, base=heap, commit=MB)
    scene.allocate(5 * MB, base=large, commit=MB)
    scene.allocate(4 * MB, base=small, commit=3 * MB)
    found = who_took_it(
        scene.map(
            heaps=[RecordedHeap(1, "pool", None, heap, None, (RecordedRange(heap, 2 * MB, MB, "segment"),))],
            threads=[
                Thread(5, stack_base=stacks + 2 * MB - 0x1000, stack_size=0x1000, stack_pointer=stacks + 2 * MB - 8)
            ],
        )
    )
    assert found is not None

    def order(takers: tuple[Taker, ...]) -> list[tuple[str, int, int]]:
        return [(one.owner, one.committed // MB, one.reserved // MB) for one in takers]

    assert order(found.committed) == [("", 3, 1), ("", 1, 4), ("Thread stacks", 1, 1), ("pool 1", 1, 1)]
    assert order(found.reserved) == [("", 1, 4), ("", 3, 1), ("Thread stacks", 1, 1), ("pool 1", 1, 1)]
