"""Small valid inputs of every format: built ones, and recorded and public dumps cut down to their first entries."""

from __future__ import annotations

import gzip
import io
import os
import zipfile
from functools import cache
from pathlib import Path

import zstandard
from support.cases import CASES
from support.dumps import tiny
from support.hostile import heaps, synthetic, unpacked
from support.recorded import DUMPS
from synth.go import go_program
from synth.heaps import many_heaps_x86
from synth.mimalloc import RELEASES, Mimalloc
from synth.minidump import MEM_COMMIT, MEM_PRIVATE, PAGE_READWRITE, MinidumpBuilder, StreamHeap, StreamRange
from synth.process import ProcessBuilder
from synth.python import python_process
from synth.segment_heap import segment_heap

import dumpmap
from dumpmap.writers import vmmap
from dumpmap.writers.snapshot_file import needed_excerpts
from dumpmap.writers.snapshot_json import write_snapshot
from fuzz.dumpfile import lean

_LONGEST = 16_000
"""Longer seeds are left out: a fuzzer needs many executions more than it needs long inputs."""


def reduced(m: dumpmap.RegionMap) -> bytes:
    """Writes a map as a JSON snapshot."""
    file = io.BytesIO()
    write_snapshot(file, m.snapshot, needed_excerpts(m, m.recording))
    return file.getvalue()


@cache
def built() -> list[bytes]:
    """Dumps of small processes, with every sort of stream."""
    process = ProcessBuilder("x64", 19045).furnish()
    arena = process.allocate(0x10000)
    rich = process.to_minidump(full=False)
    rich.heap_stream([StreamHeap(arena, 5, 16, name="arena")], [StreamRange(arena, 0x10000, 5, 0x10000)])
    rich.comment_w("comment").crashpad_info(("ptype", "renderer")).soft_errors('[{"a": 1}]').handle(4, "File")
    rich.unloaded_module(0x7100_0000, 0x1000, "old.dll").exception(process.threads[0].tid, 0xC0000005, 0x1000, [0, 0])
    small = ProcessBuilder("x86").furnish()
    many_heaps_x86(small)
    return [synthetic(), rich.build(), small.to_minidump(full=False).build()]


@cache
def _foreign() -> list[bytes]:
    """Recorded dumps of this repository, and public ones where they are."""
    found = [unpacked(path) for path in DUMPS.values()]
    found += [unpacked(path) for path in sorted((Path(__file__).parents[1] / "fixtures" / "writers").glob("*.dmp*"))]
    named = os.environ.get("DUMPMAP_CORPUS")
    if named:
        found += [path.read_bytes() for path in sorted(Path(named).glob("*.dmp")) if path.stat().st_size < 1 << 21]
    return found


def _several() -> MinidumpBuilder:
    builder = tiny()
    for n in range(1, 5):
        builder.region(n << 16, 0x1000, MEM_COMMIT, PAGE_READWRITE, MEM_PRIVATE).memory(n << 16, b"abcd" * n)
        builder.module(n << 20, 0x1000, f"C:\\{n}.dll").thread(n)
    return builder


@cache
def minidumps() -> list[bytes]:
    """Lean dumps: a few entries of each list, and what these point to."""
    dumps = [*built(), *_foreign()]
    found = [_several().build(), tiny().build(), *map(lean, dumps)]
    return [data for data in dict.fromkeys(found) if len(data) < _LONGEST]


@cache
def snapshots() -> list[bytes]:
    """JSON snapshots of the built dumps and of lean ones."""
    found = []
    for data in (_several().build(), heaps(), *built(), *map(lean, _foreign())):
        try:
            found.append(reduced(dumpmap.open(data)))
        except dumpmap.DumpmapError:  # a lean dump can have too little for a map
            continue
    return [data for data in dict.fromkeys(found) if len(data) < _LONGEST]


@cache
def processes() -> list[bytes]:
    """Snapshots, which have just the memory that the rules read: of every finding, of heaps and runtimes. And dumps."""
    segmented = ProcessBuilder("x64", 19045).furnish()
    segment_heap(segmented)
    made = [go_program().process, python_process().process, segmented, *(Mimalloc(name).process for name in RELEASES)]
    maps = [dumpmap.open(process.to_minidump().build()) for process in made]
    maps += [dumpmap.open(path) for path in DUMPS.values()]
    maps += [case.make() for case in CASES]
    found = [*map(reduced, maps), *snapshots(), *minidumps()]
    return [data for data in dict.fromkeys(found) if len(data) < _LONGEST]


@cache
def _exported() -> dict[str, list[bytes]]:
    """Small dumps in VMMap's formats."""
    found: dict[str, list[bytes]] = {"mmp": [], "csv": [], "txt": []}
    for data in (_several().build(), *map(lean, built())):
        m = dumpmap.open(data)
        for kind, write in (("mmp", vmmap.write_mmp), ("csv", vmmap.write_csv), ("txt", vmmap.write_txt)):
            stream = io.BytesIO()
            write(m, stream)
            found[kind].append(stream.getvalue())
    return found


def mmp_files() -> list[bytes]:
    """VMMap's XML."""
    return _exported()["mmp"]


def text_files() -> list[bytes]:
    """VMMap's CSV and text, also as UTF-16."""
    texts = [*_exported()["csv"], *_exported()["txt"]]
    return [*texts, "\ufeff".encode("utf-16-le") + texts[0].decode("utf-8-sig").encode("utf-16-le")]


@cache
def containers() -> list[bytes]:
    """Packed inputs, by every method, of one file and of several, whole and cut off."""
    data, other = _several().build(), mmp_files()[0]
    found = [gzip.compress(data), gzip.compress(data) + gzip.compress(b"more"), gzip.compress(other)]
    found += [
        zstandard.ZstdCompressor(write_checksum=True).compress(data),
        zstandard.compress(data) + zstandard.compress(b""),
    ]
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", method) as archive:
            archive.writestr("a.txt", b"text")
            archive.writestr("x.dmp", data)
        found += [out.getvalue(), out.getvalue()[:-60]]
    return found
