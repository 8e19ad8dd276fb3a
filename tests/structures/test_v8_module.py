"""The module that holds V8 where page allocators are on a heap: recorded Chromium, and spaces that disagree."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from support.patched import patched_map, word

import dumpmap
from dumpmap.analysis.owners import Owner, find_owners
from dumpmap.api import RegionMap
from dumpmap.structures.recognisers.v8 import Isolate, V8Page, _is_page, read_page
from dumpmap.structures.recognisers.v8_layouts import LAYOUTS, PageLayout

KALEIDO = Path(__file__).parents[1] / "fixtures" / "allocators" / "partitionalloc-kaleido.dmp.gz"


@pytest.fixture(scope="module")
def chromium() -> RegionMap:
    return dumpmap.open(KALEIDO)


def isolate(region_map: RegionMap) -> Owner:
    (owner,) = (owner for owner in find_owners(region_map).owners if owner.owner == "V8")
    return owner


def test_function_tables_of_spaces_name_the_module(chromium: RegionMap, tmp_path: Path) -> None:
    assert isolate(chromium).module == "kaleido.exe"
    chromium.to_snapshot(tmp_path / "x.json.zst")
    assert isolate(dumpmap.open(tmp_path / "x.json.zst")) == isolate(chromium)


def test_spaces_that_disagree_name_none(chromium: RegionMap) -> None:
    (found,) = chromium.structures.facts_of(Isolate)
    ntdll = next(module for module in chromium.snapshot.modules if module.name == "ntdll.dll")
    for lie in (ntdll.base + 0x1000, 0x10, 0xFFFF_FFFF_FFFF_FFF8):
        other = patched_map(chromium, {found.spaces[0].address: word(lie)})
        assert isolate(other).module == ""
        assert isolate(other).size == isolate(chromium).size


PAGE = 0x4_0000


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
@pytest.mark.parametrize(
    ("change", "good"),
    [
        ({}, True),
        ({"size": 0x1000, "area_end": PAGE + 0x1000}, True),
        ({"size": (1 << 40) - 0x1000}, True),
        ({"size": 1 << 40}, False),
        ({"size": 0x800, "area_end": PAGE + 0x800, "allocated": 0}, False),
        ({"size": 0x1800}, False),  # no pages
        ({"size": 0, "area_end": PAGE, "area_start": PAGE, "allocated": 0}, False),
        ({"again": 0x3000}, False),  # the size is stated otherwise
        ({"itself": PAGE + 8}, False),
        ({"area_start": PAGE}, False),
        ({"area_start": PAGE + 1}, True),
        ({"area_start": PAGE + 0x2000, "area_end": PAGE + 0x2000}, True),
        ({"area_start": PAGE + 0x1800, "area_end": PAGE + 0x1400}, False),
        ({"area_end": PAGE + 0x2001}, False),
        ({"allocated": 0x2000}, True),
        ({"allocated": 0x2001}, False),
        ({"heap": 7}, False),
        ({"owner": 7}, False),
        ({"allocator": 7}, False),
    ],
)
def test_a_page_agrees_with_itself(layout: PageLayout, change: dict[str, int], good: bool) -> None:
    facts = {"size": 0x2000, "area_start": PAGE + 0x100, "area_end": PAGE + 0x2000, "allocated": 0x80}
    facts |= {"heap": 0x50000, "owner": 0x50000, "allocator": 0x50000, "itself": PAGE} | change
    words = [0] * 16
    for name in ("size", "area_start", "area_end", "allocated", "heap", "owner"):
        words[getattr(layout, name)] = facts[name]
    stated = facts["allocator"], facts["itself"], facts.get("again", facts["size"])
    words[layout.reservation : layout.reservation + 3] = stated
    memory = SimpleNamespace(is_pointer=lambda value: value == 0x50000)
    assert _is_page(memory, PAGE, tuple(words), layout) is good  # type: ignore[arg-type]


WORDS = {
    "9.1 to 11.3": "size flags heap area_start area_end allocated - - owner allocator itself size",
    "12.4": "flags - size heap area_start area_end allocated - - owner allocator itself size",
    "13.6 to 14.6": "allocator itself size allocated - - size area_end heap area_start owner",
}
"""The words of a page by version. Of the last they lie elsewhere; in the header itself are the flags alone."""


@pytest.mark.parametrize(("flags", "young"), [(0, False), (0x7, False), (0x8, True), (0x10, True), (0x20, False)])
@pytest.mark.parametrize("name", WORDS)
def test_the_words_of_a_page(name: str, flags: int, young: bool) -> None:
    facts = {"size": 0x2000, "area_start": PAGE + 0x100, "area_end": PAGE + 0x2000, "allocated": 0x80, "-": 0}
    facts |= {"heap": 0x50000, "owner": 0x60000, "allocator": 0x70000, "itself": PAGE, "flags": flags}
    words = tuple(facts[word] for word in WORDS[name].split()) + (0,) * 16
    places = {PAGE: words[:16]} if "flags" in WORDS[name] else {PAGE: (flags, 0x80000, *[0] * 14), 0x80000: words[:16]}
    pointers = {0x50000, 0x60000, 0x70000, 0x80000}
    memory = SimpleNamespace(is_pointer=pointers.__contains__, read=lambda place, _: places.get(place, ()))
    page = read_page(memory, PAGE)  # type: ignore[arg-type]
    assert page == V8Page(PAGE, 0x2000, 0x80, 0x50000, 0x60000, 0x70000, young)
