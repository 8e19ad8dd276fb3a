"""Writing VMMap's files, and that reading them back gives the same map."""

from __future__ import annotations

import csv
import datetime as dt
import io
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pandas as pd
import pytest
from support.vmmap import DETAILS_HEADINGS, SUMMARY_HEADINGS, csv_text, mmp_rows, mmp_text, sample, txt_text

from dumpmap.api import RegionMap, map_snapshot
from dumpmap.errors import OutputError
from dumpmap.model import snapshot as model
from dumpmap.parsers.opening import open_snapshot
from dumpmap.parsers.vmmap.mmp import load_mmp
from dumpmap.parsers.vmmap.text import load_vmmap_csv
from dumpmap.writers.csv_cells import keep_raw
from dumpmap.writers.vmmap import write_csv, write_mmp, write_txt
from dumpmap.writers.vmmap.rows import map_items

COMPARED = ["address", "type", "size", "committed", "private", "protection", "details", "inferred"]
WORKING_SETS = ["total_ws", "private_ws", "shareable_ws", "shared_ws"]

WRITERS: dict[str, Callable[[RegionMap, BinaryIO], None]] = {"mmp": write_mmp, "csv": write_csv, "txt": write_txt}
READERS: dict[str, Callable[..., model.Snapshot]] = {"mmp": load_mmp, "csv": load_vmmap_csv, "txt": load_vmmap_csv}


def written(region_map: RegionMap, kind: str) -> bytes:
    file = io.BytesIO()
    WRITERS[kind](region_map, file)
    return file.getvalue()


def again(region_map: RegionMap, kind: str) -> RegionMap:
    return map_snapshot(READERS[kind](written(region_map, kind), name=f"x.{kind}"))


def same(left: pd.DataFrame, right: pd.DataFrame, columns: list[str]) -> None:
    for column in columns:
        pd.testing.assert_series_equal(left[column], right[column], check_dtype=False, obj=column)


def assert_same_map(first: RegionMap, second: RegionMap, columns: list[str]) -> None:
    same(first.allocations, second.allocations, [*columns, "blocks"])
    own = [column for column in columns if column not in ("details", "inferred")]
    same(first.regions, second.regions, ["allocation", *own])
    left, right = first.summary(), second.summary()
    # A dump can leave a type unknown; VMMap has nothing but a blank for that, as for zero.
    pd.testing.assert_frame_equal(left.fillna(0), right.fillna(0))
    assert second.warnings == ()


def live_map() -> RegionMap:
    """A map with working sets, as a live capture knows them."""
    rows = [
        (0x10000, 0x10000, 4, 0x10000, 0x1000, 4, 0x40000),
        (0x30000, 0x30000, 4, 0xBD000, 0x2000, 0, 0x20000),
        (0xED000, 0x30000, 4, 0x3000, 0x1000, 0x104, 0x20000),
        (0xF0000, 0x30000, 4, 0x40000, 0x1000, 4, 0x20000),
        (0x7FF600000000, 0x7FF600000000, 0x80, 0x1000, 0x1000, 2, 0x1000000),
        (0x7FF600001000, 0x7FF600000000, 0x80, 0x5000, 0x1000, 0x20, 0x1000000),
        (0x7FF600006000, 0x7FF600000000, 0x80, 0x2000, 0x1000, 8, 0x1000000),
        (0x7FF600008000, 0, 0, 0x7FF9F7000, 0x10000, 1, 0),
    ]
    numbers = {
        "total_ws": [4096, 0, 0, 8192, 4096, 8192, 4096, -1],
        "private_ws": [0, 0, 0, 8192, 0, 0, 4096, -1],
        "shareable_ws": [4096, 0, 0, 0, 4096, 8192, 0, -1],
        "shared_ws": [4096, 0, 0, 0, 4096, 0, 0, -1],
        "locked_ws": [0, 0, 0, 4096, 0, 0, 0, -1],
    }
    files = ["C:\\a & b\\<x>.dat", None, None, None, *["C:\\app.exe"] * 3, None]
    return map_snapshot(
        model.Snapshot(
            model.Source("live", "app", captured_at=dt.datetime(2026, 3, 1, 12, 0, 0, 500, tzinfo=dt.UTC)),
            model.Process(pid=77, name='app "1".exe', architecture="x64", wow64=False),
            counters=model.Counters(page_table=40960),
            regions=model.make_regions(rows, numbers=numbers, texts={"file": files}),
            modules=(model.Module(0x7FF600000000, 0x8000, "C:\\app.exe"),),
            threads=(model.Thread(5, stack_base=0xF0000, stack_size=0x40000),),
        )
    )


# --- round trips ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", list(WRITERS))
def test_a_live_map_comes_back(kind: str) -> None:
    first = live_map()
    second = again(first, kind)
    assert_same_map(first, second, [*COMPARED, *WORKING_SETS, "locked_ws"])
    assert second.process.name == first.process.name
    assert second.process.pid == 77
    assert second.end == first.end
    assert second.largest_free_block == first.largest_free_block


RECORDED = sorted(path.name for path in (Path(__file__).parents[1] / "fixtures").glob("*.dmp*"))


@pytest.mark.parametrize("kind", list(WRITERS))
@pytest.mark.parametrize("name", RECORDED)
def test_recorded_dumps_come_back(name: str, kind: str, fixtures: Path) -> None:
    first = map_snapshot(open_snapshot(fixtures / name))
    if first.partial:
        with pytest.raises(OutputError, match="has no list of memory regions"):
            written(first, kind)
        return
    second = again(first, kind)
    columns = [column for column in COMPARED if column != "inferred"]
    assert_same_map(first, second, columns)
    # A dump knows no working sets, and the file must not claim that they are zero.
    assert second.summary()["total_ws"].isna().all()


@pytest.mark.parametrize("kind", list(WRITERS))
@pytest.mark.parametrize("source", list(WRITERS))
def test_what_was_read_from_vmmap_is_written_as_it_was(source: str, kind: str) -> None:
    """All texts come out as they were read, and so does every figure."""
    texts = {"csv": csv_text(sample()), "txt": txt_text(sample()), "mmp": mmp_text(mmp_rows(sample()))}
    first = map_snapshot(READERS[source](texts[source].encode(), name="x"))
    without = [] if "locked_ws" in first.snapshot.regions.numbers else ["locked_ws"]  # type: ignore[union-attr]
    columns = [c for c in [*COMPARED, *WORKING_SETS, "locked_ws", "kind"] if c not in without]
    second = again(first, kind)
    same(first.allocations, second.allocations, [*columns, "blocks"])
    same(first.regions, second.regions, ["allocation", *columns, "blocks"])
    assert written(second, kind) == written(first, kind)


def test_a_csv_is_written_as_vmmap_writes_it() -> None:
    """Except for the blocks of a stack, whose text VMMap leaves empty and a map repeats."""
    text = csv_text(sample()).replace('"PID:","4,242"', '"PID:","4242"')
    result = written(map_snapshot(load_vmmap_csv(text.encode(), name="x")), "csv").decode()
    expected = text.split("\r\r\n")
    for index, line in enumerate(result.split("\r\r\n")):
        if line.startswith('"  ') and '"Thread Stack"' in line:
            head, _, details = line.rpartition(",")
            assert details in ('"Thread ID: 2508"', '"64-bit thread stack"')
            line = f'{head},""'
        assert line == expected[index]


def test_an_allocation_of_several_types_becomes_several() -> None:
    rows = [(0x10000, 0x10000, 4, 0x10000, 0x1000, 4, 0x20000), (0x20000, 0x10000, 4, 0x10000, 0x1000, 4, 0x20000)]
    first = map_snapshot(
        model.Snapshot(
            model.Source("live", "x"),
            model.Process(),
            regions=model.make_regions(rows),
            managed_heaps=(model.RecordedHeap(1, "GC heap", ranges=(model.RecordedRange(0x20000, 0x10000),)),),
        )
    )
    blocks = first.block_columns
    split = replace(blocks, type=np.array([6, 4], np.uint8))
    mixed = replace(first, pieces=split, make_blocks=lambda: split)
    items = [item for item in map_items(mixed) if item.blocks]
    assert [(item.head.address, item.head.words, item.head.blocks) for item in items] == [
        (0x10000, "Private Data", 1),
        (0x20000, "Managed Heap", 1),
    ]
    second = again(mixed, "mmp")
    assert second.summary()["size"]["Managed Heap"] == 0x10000


def test_a_map_without_anything() -> None:
    empty = map_snapshot(model.Snapshot(model.Source("live", "x"), model.Process(), regions=model.make_regions([])))
    assert b'"Total","",' in written(empty, "csv")
    assert b"<Region" not in written(empty, "mmp")
    assert b"Total" in written(empty, "txt")


# --- the text itself --------------------------------------------------------------------------------------------------


def test_csv_text() -> None:
    text = written(live_map(), "csv").decode()
    assert "\r\r\n" in text
    lines = text.split("\r\r\n")
    assert all("\r" not in line and "\n" not in line for line in lines)
    assert lines[:3] == ['"Process:","app ""1"".exe"', '"PID:","77"', ""]
    assert lines[3] == ",".join(f'"{heading}"' for heading in SUMMARY_HEADINGS) + ","
    assert lines[4].startswith('"Total","1,192",')
    details = lines.index(",".join(f'"{heading}"' for heading in DETAILS_HEADINGS) + ",")
    assert lines[details - 1] == ""
    assert lines[details + 1] == (
        '"0000000000010000","Mapped File","64","64","","4","","4","4","","1","Read/Write","C:\\a & b\\<x>.dat"'
    )
    assert lines[details + 2].startswith('"  0000000000010000","Mapped File","64",')
    assert not any(line.startswith(('"Free"', '"Unusable"')) for line in lines[details:])
    assert '"Thread Stack","1,024","268","268","8","8","","","4","3",' in text
    assert text.endswith('"\r\r\n')


def test_mmp_text() -> None:
    text = written(live_map(), "mmp").decode()
    root = ET.fromstring(text)
    snapshot = root[0]
    assert (root.tag, snapshot.tag) == ("root", "Snapshot")
    assert snapshot.attrib == {"Timestamp": "134168400000005000", "PageTableSize": "40960"}
    kinds = [region.get("Type") for region in snapshot]
    assert kinds == ["Free", "Mapped File", "Free", "Thread Stack", "Free", "Image", "Unusable", "Free"]
    stack = snapshot[3]
    figures = ["Blocks", "ShareableWS", "SharedWS", "Size", "Commit", "PrivateBytes", "PrivateWS"]
    others = ["Id", "Protection", "Storage", "UseType", "Type", "Details"]
    assert list(stack.attrib) == ["Address", *figures, *others, "LockedWS"]
    assert stack.get("UseType") == "1"
    assert stack.get("Blocks") == "3"
    assert [block.get("Protection") for block in stack] == ["0", str(0x104), "4"]
    assert [block.get("Blocks") for block in stack] == ["0", "0", "0"]
    assert snapshot[1].get("Details") == "C:\\a & b\\<x>.dat"
    # A reader that goes line by line is known; it wants every element at the start of a line.
    assert all(line.startswith("<") for line in text.splitlines())


def test_txt_text() -> None:
    lines = written(live_map(), "txt").decode().split("\r\r\n")
    assert lines[0] == 'Process: app "1".exe'
    heading = next(line for line in lines if line.startswith("Address"))
    row = lines[lines.index(heading) + 1]
    assert row.index("Mapped File") == heading.index("Type")
    assert row.index("Read/Write") == heading.index("Protection")
    assert row.index("C:\\a & b") == heading.index("Details")


@pytest.mark.parametrize("kind", list(WRITERS))
def test_odd_characters_do_no_harm(kind: str) -> None:
    name = "C:\\a\r\n\"'</Region>\x00\x1b\udc80\ufffe,;.dll"
    rows = [(0x10000, 0x10000, 0x80, 0x10000, 0x1000, 2, 0x1000000)]
    region_map = map_snapshot(
        model.Snapshot(
            model.Source("live", "x"),
            model.Process(name=name),
            regions=model.make_regions(rows),
            modules=(model.Module(0x10000, 0x10000, name),),
        )
    )
    cleaned = "C:\\a\ufffd\ufffd\"'</Region>\ufffd\ufffd\ufffd\ufffd,;.dll"
    second = again(region_map, kind)
    assert second.allocations["details"].iloc[-1] == cleaned
    assert len(second.allocations) == 2


FORMULAS = ("=cmd|'/c calc'!A1", "+1", "-2+3", "@SUM(A1)", "\uff1d1", "'=1", "''@x", "'plain", "a=b")


def formulas() -> RegionMap:
    """A map whose files and process are called like formulas."""
    rows = [(0x10000 * n, 0x10000 * n, 2, 0x1000, 0x1000, 2, 0x40000) for n in range(1, len(FORMULAS) + 1)]
    regions = model.make_regions(rows, texts={"file": list(FORMULAS)})
    source, process = model.Source("live", "x"), model.Process(pid=1, name=FORMULAS[0], pointer_size=4)
    return map_snapshot(model.Snapshot(source, process, regions=regions))


def test_no_cell_of_the_csv_is_a_formula() -> None:
    lines = written(formulas(), "csv").decode().split("\r\r\n")
    cells = [cell for line in lines for cell in next(csv.reader([line]), [])]
    assert not [cell for cell in cells if cell[:1] in ("=", "+", "-", "@", "\t", "\uff1d")]
    assert "'" + FORMULAS[0] in cells
    assert "a=b" in cells


def test_names_like_formulas_come_back() -> None:
    region_map = formulas()
    read = again(region_map, "csv")
    assert read.process.name == FORMULAS[0]
    details = [text for text in read.allocations.details if text]
    assert details == [text for text in region_map.allocations.details if text]
    assert set(FORMULAS) <= set(details)


def test_raw_writes_the_cells_as_they_are() -> None:
    keep_raw(True)
    try:
        text = written(formulas(), "csv").decode()
    finally:
        keep_raw(False)
    assert '"+1"' in text
    assert '"\'+1"' not in text
