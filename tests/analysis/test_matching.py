"""Which allocations of two maps are the same one."""

from __future__ import annotations

import pytest
from support.scenes import MB, Scene

from dumpmap.api import diff


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
