"""The module that holds V8 where page allocators are on a heap: recorded Chromium, and spaces that disagree."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.patched import patched_map, word

import dumpmap
from dumpmap.analysis.owners import Owner, find_owners
from dumpmap.api import RegionMap
from dumpmap.structures.recognisers.v8 import Isolate

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
