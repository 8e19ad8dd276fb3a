"""The page of a difference as text: complete in itself, true to both maps, harmless whatever the names."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
from support.maps import FIXTURES, HOSTILE, hostile_map, partial_map, recorded
from support.pages import Page, check_alone, packed_data_of

import dumpmap
from dumpmap.api import RegionMap
from dumpmap.cli.app import run as run_command
from dumpmap.model.types import TYPES
from dumpmap.render.html.diff import render_diff
from dumpmap.render.html.strips import pack_strips
from dumpmap.wording.text import size_text

PAIRS = (
    ("leak-x64-before.dmp.gz", "leak-x64-after.dmp.gz"),
    ("fragment-x86.dmp.gz", "exhaust-x86.dmp.gz"),
    ("layout-x64.dmp.gz", "layout-x86.dmp.gz"),
)


def page_of(a: RegionMap, b: RegionMap) -> str:
    return render_diff(dumpmap.diff(a, b))


@pytest.mark.parametrize(("a", "b"), PAIRS)
def test_the_page_is_complete_in_itself(a: str, b: str) -> None:
    check_alone(page_of(recorded(a), recorded(b)))


@pytest.mark.parametrize(("a", "b"), PAIRS)
def test_every_change_is_in_the_page(a: str, b: str) -> None:
    difference = dumpmap.diff(recorded(a), recorded(b))
    data = packed_data_of(render_diff(difference))
    frame = difference.allocations
    assert data["count"] == len(frame)
    names = [info.name for info in TYPES]
    assert [names[number] for number in data["type"]] == frame["type"].tolist()
    for name in ("status", "kind", "details"):
        packed = data["texts"][name]
        assert [packed["values"][code] for code in packed["codes"]] == frame[name].fillna("").tolist()
    for name in ("size_a", "size_b", "size_delta", "committed_delta", "private_b"):
        expected = [
            None if value is None else int(value)
            for value in frame[name].astype(object).where(frame[name].notna(), None)
        ]
        assert data["numbers"][name] == expected, name
    for name in ("address_a", "address_b"):
        expected_addresses = [hex(int(value)) if value else None for value in frame[name].fillna(0)]
        assert data["addresses"][name] == expected_addresses


def unpacked(data: dict[str, Any], side: str) -> list[tuple[int, int, int, int]]:
    """Start, end, type, and committed share of the runs of a side."""
    strips = data["strips"]
    edges = [int(strips["first"], 16)]
    for size in strips["edges"]:
        edges.append(edges[-1] + (int(size, 16) if isinstance(size, str) else size) * strips["unit"])
    runs = strips["sides"][side]
    return [
        (edges[start], edges[end], kind, held)
        for start, end, kind, held in zip(runs["from"], runs["to"], runs["type"], runs["held"], strict=True)
    ]


@pytest.mark.parametrize(("a", "b"), PAIRS)
def test_the_strips_show_every_region(a: str, b: str) -> None:
    data = packed_data_of(page_of(recorded(a), recorded(b)))
    for side, name in (("a", a), ("b", b)):
        runs = unpacked(data, side)
        assert all(one[1] <= other[0] for one, other in itertools.pairwise(runs))
        at = 0
        frame = recorded(name).regions[["address", "size", "type", "committed"]]
        for start, size, label, held_bytes in frame.astype(object).fillna(0).to_numpy().tolist():
            while runs[at][1] <= start:
                at += 1
            low, high, kind, held = runs[at]
            assert low <= start
            assert start + size <= high
            assert TYPES[kind].name == label
            if held_bytes in (0, size):
                assert held == (100 if held_bytes else 0)


def test_a_large_space_is_shortened_and_a_small_one_is_not() -> None:
    wide = pack_strips([recorded(name) for name in PAIRS[0]])
    held = sum(wide["edges"][index] * wide["unit"] for index in wide["held"])
    drawn = sum(min(size * wide["unit"], wide["cut"]) for size in wide["edges"])
    assert held < drawn <= 4 * max(held, 1 << 20) + wide["cut"]
    assert pack_strips([recorded(name) for name in PAIRS[1]])["cut"] is None


def test_the_tables_are_those_of_the_maps() -> None:
    a, b = (recorded(name) for name in PAIRS[0])
    page = Page(page_of(a, b))
    cells = page.texts["td"]
    before, after = (region_map.summary()["committed"].to_dict()["Private Data"] for region_map in (a, b))
    at = cells.index(size_text(before))
    assert cells[at + 1] == size_text(after)
    assert cells[at + 2] == f"+{size_text(after - before)}"
    assert "+28.4 MB" in page.texts["p"]
    assert any("Thread stacks" in text for text in page.texts["th"])


def test_findings_gained_and_lost_are_explained() -> None:
    difference = dumpmap.diff(recorded(PAIRS[1][0]), recorded(PAIRS[1][1]))
    page = Page(render_diff(difference))
    titles = [finding.title for finding in (*difference.gained, *difference.lost)]
    assert titles
    shown = [text.strip() for text in page.texts["h3"]]
    assert [text for text in shown if text in titles] == titles


def test_a_partial_map_has_no_free_space() -> None:
    text = page_of(partial_map(), partial_map())
    check_alone(text)
    data = packed_data_of(text)
    assert data["partial"]
    assert not {TYPES[kind].name for _, _, kind, _ in unpacked(data, "a")} & {"Free", "Unusable"}


def test_a_map_without_regions() -> None:
    from dumpmap.api import map_snapshot
    from dumpmap.model.snapshot import Process, Snapshot, Source

    empty = map_snapshot(Snapshot(source=Source(kind="live", name="empty.json"), process=Process()))
    check_alone(page_of(empty, empty))
    check_alone(page_of(empty, recorded("layout-x86.dmp.gz")))


def test_names_are_text() -> None:
    text = page_of(recorded("layout-x64.dmp.gz"), hostile_map())
    check_alone(text)
    data = packed_data_of(text)
    names = " ".join(data["texts"]["details"]["values"])
    assert all(name in names for name in HOSTILE[:4])
    known = {tag for tag, _ in Page(page_of(*(recorded(name) for name in PAIRS[1]))).elements}
    assert {tag for tag, _ in Page(text).elements} <= known | {"ul", "li"}


def test_the_command_writes_it(tmp_path: Path) -> None:
    page = tmp_path / "diff.html"
    files = [str(FIXTURES / name) for name in PAIRS[0]]
    assert run_command(["-q", "diff", *files, "-o", str(page)]) == 0
    assert packed_data_of(page.read_text("utf-8"))["count"] == 23
    assert run_command(["-q", "diff", *files, "-o", str(page)]) != 0
    assert run_command(["-q", "diff", *files, "--format", "html", "--force", "-o", str(page)]) == 0


def test_texts_of_the_user_stay_out(tmp_path: Path) -> None:
    from synth.minidump import MinidumpBuilder

    for name in ("a", "b"):
        dump = MinidumpBuilder("x64").system_info()
        dump.module(0x7FF600000000, 0x10000, "C:\\app.exe", version=(1, 2, 3, 4))
        dump.comment_w("the SECRET of a user")
        (tmp_path / f"{name}.dmp").write_bytes(dump.build())
    page = tmp_path / "diff.html"
    assert run_command(["-q", "diff", str(tmp_path / "a.dmp"), str(tmp_path / "b.dmp"), "-o", str(page)]) == 0
    text = page.read_text("utf-8")
    assert "SECRET" not in text
    assert "SECRET" not in str(packed_data_of(text))
