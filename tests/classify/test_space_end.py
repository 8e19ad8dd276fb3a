"""Where the address space of a map ends."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.scenes import GRANULE, Scene

from dumpmap.classify.space import space_end
from dumpmap.model.snapshot import System


@pytest.mark.parametrize(
    ("kind", "highest", "end"),
    [
        ("live", 0x7FFEFFFF, 0x7FFF0000),
        ("live", 0x20000, 0x20001),
        ("live", 0x1FFFF, 0x20000),
        ("live", 0x100, 0x20000),
        ("live", None, 0x20000),
        ("minidump", 0x7FFEFFFF, 0x20000),  # its list of regions is complete
    ],
)
def test_a_live_capture_ends_behind_the_highest_address(kind: str, highest: int | None, end: int) -> None:
    scene = Scene()
    scene.allocate(GRANULE, base=0x10000)
    one = scene.snapshot(end=0x20000, system=System(max_address=highest))
    one = replace(one, source=replace(one.source, kind=kind))  # type: ignore[arg-type]
    assert one.regions is not None
    assert space_end(one, one.regions) == end
