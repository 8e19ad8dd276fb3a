"""What is fuzzed: a harness takes bytes and raises anything but dumpmap's own error if they break it."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pandas as pd
import zstandard
from support.hostile import heaps, one_line, synthetic
from synth.heaps import many_heaps_x86
from synth.minidump import StreamHeap, StreamRange
from synth.process import ProcessBuilder

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
from dumpmap.writers.snapshot_file import needed_excerpts
from dumpmap.writers.snapshot_json import write_snapshot

FIXTURES = Path(__file__).parents[1] / "fixtures"


def reduced(m: dumpmap.RegionMap) -> bytes:
    """Writes a map as a JSON snapshot."""
    file = io.BytesIO()
    write_snapshot(file, m.snapshot, needed_excerpts(m, m.recording))
    return file.getvalue()


def read(data: bytes) -> None:
    """Reads a file of any format, without classifying it."""
    try:
        read_source(BufferSource("fuzz", data))
    except dumpmap.DumpmapError as error:
        one_line(error)


def whole(data: bytes) -> None:
    """Classifies, diagnoses, and draws; the snapshot of a map must give the same map."""
    try:
        m = dumpmap.open(data)
    except dumpmap.DumpmapError:
        return
    findings = find(m)
    json.dumps([finding.to_dict() for finding in findings])
    json.dumps(verdict(m, findings=findings).to_dict())
    json.dumps(free_report(m))
    json.dumps([row.to_dict() for row in heap_rows(m)])
    json.dumps([row.to_dict() for row in heap_range_rows(m)])
    json.dumps(info_document(m))
    for view in (summary_view(m), info_view(m), heap_view(m, segments=True, blocks=None)):
        blocks = list(view)
        to_text(blocks, width=80)
        to_markdown(blocks)
    to_csv(region_table(m, m.regions))
    row_of_map(m, "fuzz", len(data))
    if m.snapshot.source.kind != "vmmap":
        again = dumpmap.open(reduced(m))
        pd.testing.assert_frame_equal(again.regions, m.regions)
        pd.testing.assert_frame_equal(again.summary(), m.summary())


@dataclass(frozen=True, slots=True)
class Harness:
    """A function and its seeds."""

    run: Callable[[bytes], None]
    seeds: Callable[[], list[bytes]]


@cache
def minidumps() -> list[bytes]:
    """Small dumps with every sort of stream."""
    process = ProcessBuilder("x64", 19045).furnish()
    arena = process.allocate(0x10000)
    rich = process.to_minidump(full=False)
    rich.heap_stream([StreamHeap(arena, 5, 16, name="arena")], [StreamRange(arena, 0x10000, 5, 0x10000)])
    rich.comment_w("comment").crashpad_info(("ptype", "renderer")).soft_errors('[{"a": 1}]').handle(4, "File")
    rich.unloaded_module(0x7100_0000, 0x1000, "old.dll").exception(process.threads[0].tid, 0xC0000005, 0x1000, [0, 0])
    small = ProcessBuilder("x86").furnish()
    many_heaps_x86(small)
    return [synthetic(), heaps(), rich.build(), small.to_minidump(full=False).build()]


@cache
def snapshots() -> list[bytes]:
    """JSON snapshots of these dumps, and what VMMap's formats make of one."""
    found = []
    for data in minidumps():
        m = dumpmap.open(data)
        found.append(reduced(m))
    return found


@cache
def vmmap_files() -> list[bytes]:
    """VMMap's three formats."""
    from dumpmap.writers import vmmap

    m = dumpmap.open(synthetic())
    found = []
    for write in (vmmap.write_mmp, vmmap.write_csv, vmmap.write_txt):
        stream = io.BytesIO()
        write(m, stream)
        found.append(stream.getvalue())
    return found


@cache
def containers() -> list[bytes]:
    """Packed dumps, by every method."""
    data = synthetic()
    found = [gzip.compress(data), zstandard.ZstdCompressor(write_checksum=True).compress(data)]
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", method) as archive:
            archive.writestr("a.txt", b"text")
            archive.writestr("x.dmp", data)
        found.append(out.getvalue())
    return found


HARNESSES: dict[str, Harness] = {
    "minidump": Harness(read, minidumps),
    "snapshot": Harness(read, snapshots),
    "vmmap": Harness(read, vmmap_files),
    "containers": Harness(read, containers),
    "whole": Harness(whole, lambda: [*minidumps(), *snapshots()]),
}
