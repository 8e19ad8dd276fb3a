"""Maps for the tests of the report, and a decoder of a page's data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from synth.minidump import MinidumpBuilder, StreamHeap, StreamRange
from synth.process import ProcessBuilder

import dumpmap
from dumpmap.api import RegionMap, map_snapshot
from dumpmap.model.columns import COLUMNS
from dumpmap.model.snapshot import Module, Process, Regions, Snapshot, Source, System, make_regions
from dumpmap.model.winnt import MemState, MemType
from dumpmap.render.html.packing import Numbers

FIXTURES = Path(__file__).parents[1] / "fixtures"
RECORDED = (
    "exhaust-x86.dmp.gz",
    "fragment-x86.dmp.gz",
    "layout-wow64.dmp.gz",
    "layout-x64.dmp.gz",
    "layout-x64-plain.dmp.gz",
    "layout-x86-plain.dmp",
)
"""Recorded dumps: full maps and partial ones, 32 and 64 bits."""

HOSTILE = (
    '</script><b id="out">b</b>',
    '<img src=x onerror="window.broken=1">',
    "\"><svg onload='window.broken=1'>",
    "<!--<script>",
    "{{ 7 * 7 }}{% raw %}",
    "javascript:window.broken=1",
    "&lt;b&gt; &amp; \u202e\u2028 ' \" ` \\",
)
"""Names that a page must show as they are."""


@cache
def recorded(name: str) -> RegionMap:
    """A map of a recorded dump."""
    return dumpmap.open(FIXTURES / name)


def hostile_map() -> RegionMap:
    """A process whose modules, threads, heaps, command line, and comment have `HOSTILE` names."""
    process = ProcessBuilder("x64", name='</script><b id="out">app.exe')
    process.furnish()
    for name in HOSTILE:
        process.add_module(f"C:\\{name}\\{name}.dll")
        process.add_thread(name=name)
    heaps, ranges = [], []
    for number, name in enumerate(HOSTILE, 101):
        base = process.allocate(0x20000)
        process.commit(base, 0x4000)
        heaps.append(StreamHeap(base, number, kind=16, name=name))
        ranges.append(StreamRange(base, 0x20000, number, committed=0x4000, kind=4))
    dump = process.to_minidump()
    dump.heap_stream(heaps, ranges)
    dump.comment_w(HOSTILE[0] + HOSTILE[1])
    dump.unloaded_module(0x7FF0_0000_0000, 0x1000, HOSTILE[1])
    return dumpmap.open(dump.build())


def partial_map() -> RegionMap:
    """A 64-bit dump without a list of regions, with bytes at addresses that no float can hold."""
    dump = MinidumpBuilder("x64").system_info()
    for address in ODD_ADDRESSES:
        dump.memory(address, bytes(ODD_SIZE))
    return dumpmap.open(dump.build())


ODD_ADDRESSES = (0x1_2345_6789_0123, 0x7FFD_EADB_EEF1_2345)
ODD_SIZE = 0x1235


def working_set_map() -> RegionMap:
    """A captured map with working sets, known for some regions only."""
    commit, reserve = int(MemState.MEM_COMMIT), int(MemState.MEM_RESERVE)
    private, image = int(MemType.MEM_PRIVATE), int(MemType.MEM_IMAGE)
    regions = make_regions(
        [
            (0x10000, 0x10000, 4, 0x4000, commit, 4, private),
            (0x14000, 0x10000, 4, 0xC000, reserve, 0, private),
            (0x40000, 0x40000, 4, 0x1000, commit, 4, private),
            (0x400000, 0x400000, 0x80, 0x1000, commit, 2, image),
            (0x401000, 0x400000, 0x80, 0x2000, commit, 0x20, image),
        ],
        numbers={
            "total_ws": [0x3000, 0, -1, 0x1000, 0x1000],
            "private_ws": [0x3000, 0, -1, 0, 0],
            "shareable_ws": [0, 0, -1, 0x1000, 0x1000],
        },
    )
    return map_snapshot(
        Snapshot(
            source=Source(kind="live", name="app.json"),
            process=Process(pid=7, name="app.exe", architecture="x86", pointer_size=4),
            system=System(max_address=0x7FFEFFFF),
            regions=regions,
            modules=(Module(0x400000, 0x3000, "C:\\app.exe"),),
        )
    )


def large_map(count: int) -> RegionMap:
    """A 64-bit map of `count` regions in allocations of one to four, a third of them followed by a gap."""
    random = np.random.default_rng(7)
    sizes = random.integers(1, 40, count).astype(np.uint64) * np.uint64(0x1000)
    lengths = random.integers(1, 5, count)
    owner = np.repeat(np.arange(count), lengths)[:count]
    starts = np.flatnonzero(np.concatenate(([True], owner[1:] != owner[:-1])))
    totals = np.add.reduceat(sizes, starts)
    rounded = (totals + np.uint64(0xFFFF)) // np.uint64(0x10000) * np.uint64(0x10000)
    gaps = np.where(random.random(len(starts)) < 0.3, random.integers(1, 64, len(starts)), 0).astype(np.uint64)
    bases = np.uint64(1 << 32) + np.concatenate(([0], np.cumsum(rounded + gaps * np.uint64(0x10000))[:-1])).astype(
        np.uint64
    )
    inside = np.concatenate(([0], np.cumsum(sizes)[:-1])).astype(np.uint64)
    inside -= np.repeat(inside[starts], np.diff(np.append(starts, count)))
    committed = random.random(count) < 0.7
    types = random.choice([int(MemType.MEM_PRIVATE), int(MemType.MEM_MAPPED), int(MemType.MEM_IMAGE)], len(starts))
    regions = Regions(
        base=bases[owner] + inside,
        allocation_base=bases[owner],
        allocation_protect=np.full(count, 4, np.uint32),
        size=sizes,
        state=np.where(committed, int(MemState.MEM_COMMIT), int(MemState.MEM_RESERVE)).astype(np.uint32),
        protect=np.where(committed, random.choice([2, 4, 0x20, 0x40], count), 0).astype(np.uint32),
        type=types[owner].astype(np.uint32),
    )
    images = bases[types == int(MemType.MEM_IMAGE)][:1000].tolist()
    return map_snapshot(
        Snapshot(
            source=Source(kind="minidump", name="large.dmp"),
            process=Process(pid=1, name="large.exe", architecture="x64"),
            system=System(max_address=0x7FFFFFFEFFFF),
            regions=regions,
            modules=tuple(Module(base, 0x1000, f"C:\\Program Files\\App\\m{n}.dll") for n, base in enumerate(images)),
        )
    )


TEXTS = ("protection", "details", "kind", "evidence", "owner", "owner_module")
"""Columns of texts in a page's data."""


@dataclass(frozen=True)
class PageRow:
    """A row of the page as the scripts see it."""

    address: int
    values: dict[str, Any]
    blocks: list[PageRow]


def decode(data: dict[str, Any]) -> Iterator[PageRow]:
    """Reads the rows back from a page's data, as the docstring of `page_data` describes the format."""
    gaps = {index: int(text, 16) for index, text in data["rows"]["gaps"]}
    part, address = 0, 0
    for index, parts in enumerate(data["rows"]["parts"]):
        address = (address + gaps.get(index, 0)) % (1 << 64)
        blocks, start = [], address
        for number in range(part, part + parts):
            values = _values(data, data["parts"], number)
            blocks.append(PageRow(start, values, []))
            start += values["size"]
        part += parts
        values = _values(data, data["rows"], index)
        blocks_of = data["rows"]["blocks"]
        values["blocks"] = None if blocks_of is None else blocks_of[index]
        yield PageRow(address, values, blocks)
        address += values["size"]


def _values(data: dict[str, Any], columns: dict[str, Any], index: int) -> dict[str, Any]:
    def number(name: str) -> int | None:
        value = None if columns[name] is None else columns[name][index]
        count = int(value, 16) if isinstance(value, str) else value
        return None if count is None else count * data["unit"]

    def text(name: str) -> str:
        column = columns[name]
        codes = columns[column["codes_of"]]["codes"] if "codes_of" in column else column["codes"]
        return str(column["values"][codes[index]])

    numbers = [name for name in COLUMNS if name in columns and isinstance(columns[name], list | Numbers | None)]
    numbers = [name for name in numbers if name not in ("type", "inferred", "blocks")]
    return {
        "type": data["types"][columns["type"][index]],
        **{name: number(name) for name in numbers},
        **{name: text(name) for name in TEXTS},
        "inferred": index in columns["inferred"],
    }


def plain(values: Iterable[Any]) -> list[Any]:
    """Nullable integers as int and None."""
    return [None if value is pd.NA else value for value in values]
