"""Which allocations of two maps are the same one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.scenes import MB, Scene
from synth.minidump import MEM_IMAGE, MEM_PRIVATE

from dumpmap.analysis.matching import _join, _shown, _Side, pair_allocations
from dumpmap.api import diff
from dumpmap.model.snapshot import Module


@pytest.mark.parametrize(
    ("families", "statuses"),
    [
        (("windows", "windows"), ["added", "removed"]),
        (("windows", "linux"), ["added", "removed"]),
        (("linux", "windows"), ["added", "removed"]),
        (("linux", "linux"), ["grown"]),
    ],
)
def test_an_allocation_of_windows_does_not_grow(families: tuple[str, str], statuses: list[str]) -> None:
    maps = []
    for family, size in zip(families, (MB, 2 * MB), strict=True):
        scene = Scene(64)
        scene.allocate(size, base=0x100000)
        maps.append(scene.map(family=family))
    rows = diff(*maps).changes.rows()
    assert sorted(row.status for row in rows if 0x100000 in (row.address_a, row.address_b)) == statuses


def test_which_allocations_another_map_would_show() -> None:
    scene = Scene(64)
    for base, kind in ((0x100000, MEM_IMAGE), (0x300000, MEM_PRIVATE), (0x500000, MEM_IMAGE), (0x700000, MEM_IMAGE)):
        scene.allocate(MB, base=base, type=kind)
    modules = [Module(base, MB, f"{base}.dll") for base in (0x100000, 0x300000, 0x500000, 0x900000)]
    one = scene.map(modules=modules)
    assert _shown(one, one).tolist() == [True] * 4
    # Without a list of regions, a map has the images of its list of modules.
    assert _shown(one, Scene(64).map(partial=True, modules=modules[:1])).tolist() == [True, False, True, False]
    assert _shown(one, Scene(64).map(partial=True)).tolist() == [False] * 4
    # A list that ends in the middle shows what lies before its end.
    cut = replace(one, snapshot=replace(one.snapshot, regions_complete=False))
    for end, shown in ((0x500000, 2), (0x500001, 3), (0x100000, 0)):
        assert _shown(one, replace(cut, end=end)).tolist() == [True] * shown + [False] * (4 - shown)


def test_an_allocation_is_paired_once() -> None:
    """A DLL that is loaded twice, and then once: one of the two stayed, the other is gone, wherever they lie."""
    maps = []
    for bases in ((0x100000, 0x300000), (0x100000,), (0x300000,), (0x500000,)):
        scene = Scene(64)
        for base in bases:
            scene.allocate(MB, base=base, type=MEM_IMAGE)
        maps.append(scene.map(modules=[Module(base, MB, "C:\\two.dll") for base in bases]))
    both, first, second, elsewhere = maps
    for other, stayed in ((first, 0x100000), (second, 0x300000), (elsewhere, 0x100000)):
        for one, two in ((both, other), (other, both)):
            pairs = pair_allocations(one, two, same=True)
            found = [
                (int(one.allocation_columns.base[at]), int(two.allocation_columns.base[there]))
                for at, there in zip(pairs.a, pairs.b, strict=True)
            ]
            place = 0x500000 if other is elsewhere else stayed
            assert found == [(stayed, place) if one is both else (place, stayed)]


@pytest.mark.parametrize(
    ("pieces", "joined"),
    [
        ([(0x100000, 0x10000), (0x110000, 0x10000), (0x120000, 0x100000)], [1, 2]),
        ([(0x100000, 0x120000)], []),  # the whole
        ([(0x100000, 0x10000), (0x110000, 0x10000)], []),  # less than the whole
        ([(0x100000, 0x10000), (0x120000, 0x110000)], []),  # as much, but the last ends behind it
        ([(0xF0000, 0x10000), (0x100000, 0x110000), (0x210000, 0x10000)], [2]),
    ],
)
def test_pieces_that_together_are_one_allocation(pieces: list[tuple[int, int]], joined: list[int]) -> None:
    def side(parts: list[tuple[int, int]]) -> _Side:
        base, size = (np.array(column) for column in zip(*parts, strict=True))
        same = np.zeros(len(parts), np.bool_)
        return _Side(base.astype(np.uint64), size, size // 2, size // 4, same, size, same, ~same)  # type: ignore[arg-type]

    one, other = side(pieces), side([(0x100000, 0x120000), (0x300000, 0x10000)])
    further, whole = _join(one, other)
    assert further.tolist() == joined
    assert whole.tolist() == [0] * len(joined)
    assert np.flatnonzero(~one.left).tolist() == joined
    if joined:
        first = joined[0] - 1
        assert (one.size[first], one.committed[first], one.private[first]) == (0x120000, 0x90000, 0x48000)
