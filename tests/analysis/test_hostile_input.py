"""Damaged dumps: whatever can be read is analysed, and nothing of it ends in a raw exception."""

from __future__ import annotations

import gzip
import json
import random

import pytest
from support.scenes import FIXTURES
from synth.heaps import many_heaps_x86
from synth.process import ProcessBuilder

import dumpmap
from dumpmap.analysis.free import fits
from dumpmap.analysis.free_blocks import free_report
from dumpmap.analysis.heaps import heap_range_rows, heap_rows
from dumpmap.wording.findings import find
from dumpmap.wording.verdicts import verdict


def synthetic() -> bytes:
    """A small dump of a 32-bit process with heaps that ran out of memory."""
    process = ProcessBuilder("x86").furnish()
    many_heaps_x86(process)
    dump = process.to_minidump(full=False)
    dump.exception(process.threads[0].tid, 0xC0000017, 0x401000, [4096])
    return dump.build()


def recorded() -> bytes:
    """A recorded dump."""
    return gzip.decompress((FIXTURES / "exhaust-x86.dmp.gz").read_bytes())


@pytest.mark.parametrize("make", [synthetic, recorded])
def test_flipped_and_cut_dumps(make: object) -> None:
    good = make()  # type: ignore[operator]
    base = dumpmap.open(good)
    rng = random.Random(20)
    analysed = 0
    for _ in range(60):
        data = bytearray(good)
        reach = min(len(data), rng.choice([4096, 65536, len(data)]))
        for _ in range(rng.choice([1, 4, 40])):
            data[rng.randrange(reach)] = rng.choice([0, 0xFF, rng.getrandbits(8)])
        if rng.random() < 0.2:
            data = data[: rng.randrange(len(data))]
        try:
            region_map = dumpmap.open(bytes(data))
        except dumpmap.DumpmapError:
            continue
        analysed += 1
        findings = find(region_map)
        json.dumps([finding.to_dict() for finding in findings])
        json.dumps(verdict(region_map, findings=findings).to_dict())
        json.dumps(free_report(region_map))
        fits(region_map, 1 << 20)
        json.dumps([row.to_dict() for row in heap_rows(region_map)])
        json.dumps([row.to_dict() for row in heap_range_rows(region_map)])
        json.dumps(dumpmap.diff(base, region_map).to_dict(20))
        json.dumps(dumpmap.timeline([base, region_map, base]).to_dict(20))
    assert analysed > 20
