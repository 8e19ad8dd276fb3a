"""What is fuzzed: a harness takes bytes and raises anything but dumpmap's own error if they break it."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd
from support.hostile import one_line

import dumpmap
from dumpmap.analysis.free_blocks import free_report
from dumpmap.analysis.heaps import heap_range_rows, heap_rows
from dumpmap.parsers.opening import read_source
from dumpmap.render.markdown import to_markdown
from dumpmap.render.plain import to_csv
from dumpmap.render.terminal import to_text
from dumpmap.sources.files import BufferSource
from dumpmap.triage.map_row import row_of_map
from dumpmap.views.heaps import heap_view
from dumpmap.views.info import info_document, info_view
from dumpmap.views.regions import region_table
from dumpmap.views.summary import summary_view
from dumpmap.wording.findings import find
from dumpmap.wording.verdicts import verdict
from fuzz import seeds
from fuzz.mutation import Mutate, field_mutated, mutated, mutated_dump, mutated_snapshot, mutated_text
from fuzz.peer import compare

_EVERY = 16
"""Of so many inputs, one is drawn, and one is opened again as a snapshot: both take longer than all else. The input's
checksum decides, so that an input always does the same."""


def read(data: bytes) -> None:
    """Reads a file of any format, without classifying it."""
    try:
        read_source(BufferSource("fuzz", data))
    except dumpmap.DumpmapError as error:
        one_line(error)


def differ(data: bytes) -> None:
    """Reads lists as another reader does."""
    compare(data)


def whole(data: bytes, *, everything: bool = False) -> None:
    """Classifies and diagnoses; of some inputs draws everything, and opens the snapshot, which gives the same map."""
    chosen = zlib.crc32(data) % _EVERY
    try:
        m = dumpmap.open(data)
    except dumpmap.DumpmapError as error:
        one_line(error)
        return
    consistent(m)
    findings = find(m)
    json.dumps([finding.to_dict() for finding in findings])
    json.dumps(verdict(m, findings=findings).to_dict())
    row_of_map(m, "fuzz", len(data))
    if everything or chosen == 0:
        drawn(m)
    if (everything or chosen == 1) and m.snapshot.source.kind != "vmmap":
        again = dumpmap.open(seeds.reduced(m))
        pd.testing.assert_frame_equal(again.regions, m.regions)
        pd.testing.assert_frame_equal(again.summary(), m.summary())


def consistent(m: dumpmap.RegionMap) -> None:
    """Checks that the sums of a map agree with its regions and with each other."""
    total, *lines = m.summary_lines
    for line in lines:
        if line.size is not None and line.committed is not None and not m.partial:
            assert 0 <= line.committed <= line.size, line
        assert line.largest is None or line.size is None or line.largest <= line.size, line
    if m.partial:
        return
    used = [line for line in lines if line.name != "Free"]
    assert total.size == sum(line.size or 0 for line in used)
    assert total.committed == sum(line.committed or 0 for line in lines)
    pieces = m.pieces
    assert (pieces.committed <= pieces.size).all()
    assert (pieces.size > 0).all()


def drawn(m: dumpmap.RegionMap) -> None:
    """Draws every view of one map, in every way."""
    json.dumps(free_report(m))
    json.dumps([row.to_dict() for row in heap_rows(m)])
    json.dumps([row.to_dict() for row in heap_range_rows(m)])
    json.dumps(info_document(m))
    for view in (summary_view(m), info_view(m), heap_view(m, segments=True, blocks=None)):
        blocks = list(view)
        to_text(blocks, width=80)
        to_markdown(blocks)
    to_csv(region_table(m, m.regions))


@dataclass(frozen=True, slots=True)
class Harness:
    """What is executed, with which small valid inputs, and what changes these."""

    run: Callable[[bytes], None]
    seeds: Callable[[], list[bytes]]
    mutate: Mutate


HARNESSES: dict[str, Harness] = {
    "minidump": Harness(read, seeds.minidumps, mutated_dump),
    "snapshot": Harness(read, seeds.snapshots, mutated_snapshot),
    "mmp": Harness(read, seeds.mmp_files, mutated_text),
    "text": Harness(read, seeds.text_files, mutated_text),
    "containers": Harness(read, seeds.containers, mutated),
    "peer": Harness(differ, seeds.minidumps, field_mutated),
    "whole": Harness(whole, seeds.processes, mutated_snapshot),
}
