"""A map travels between processes, and what it hands out is the caller's own."""

from __future__ import annotations

import copy
import gzip
import json
import multiprocessing
import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from support.dumps import snapshot_json
from support.recorded import DUMPS

import dumpmap
from dumpmap.analysis.figures import FigureChange
from dumpmap.api import RegionMap
from dumpmap.model.snapshot import Snapshot
from dumpmap.render.html import render_report
from dumpmap.views.info import info_document
from dumpmap.views.summary import summary_document
from dumpmap.wording.verdicts import verdict

FIXTURES = Path(__file__).parents[1] / "fixtures"
X64, FRAGMENT = FIXTURES / "layout-x64.dmp.gz", FIXTURES / "fragment-x86.dmp.gz"


def told(region_map: RegionMap) -> str:
    """Everything that a map says of itself."""
    parts = [
        summary_document(region_map, region_map.findings()),
        info_document(region_map),
        verdict(region_map).to_dict(),
    ]
    return json.dumps(parts) + render_report(region_map)


@pytest.mark.parametrize("name", DUMPS)
def test_a_map_that_was_pickled_says_the_same(name: str) -> None:
    before = dumpmap.open(DUMPS[name])
    after = pickle.loads(pickle.dumps(before))
    assert isinstance(after, RegionMap)
    assert told(after) == told(before)
    pd.testing.assert_frame_equal(after.regions, before.regions)
    for address in before.regions["address"].iloc[::7].tolist():
        assert after.at(address) == before.at(address)
    # It was used meanwhile, and goes on to the next process.
    again = pickle.loads(pickle.dumps(after))
    pd.testing.assert_frame_equal(again.summary(), before.summary())
    pd.testing.assert_frame_equal(again.allocations, before.allocations)


def test_a_pickled_map_needs_no_file(tmp_path: Path) -> None:
    path = tmp_path / "x.dmp"
    path.write_bytes(gzip.decompress(X64.read_bytes()))
    data = pickle.dumps(dumpmap.open(path))
    path.unlink()
    region_map = pickle.loads(data)
    assert len(data) < 400_000
    assert region_map.findings()
    region_map.to_snapshot(tmp_path / "small.json")
    pd.testing.assert_frame_equal(dumpmap.open(tmp_path / "small.json").summary(), region_map.summary())


def test_sections_out_of_the_program_itself_travel_too(tmp_path: Path) -> None:
    before = dumpmap.open(X64, image_path=tmp_path)
    assert pickle.loads(pickle.dumps(before)).regions["kind"].tolist() == before.regions["kind"].tolist()


def _committed(region_map: RegionMap) -> int | None:
    return region_map.total.committed


def test_a_pool_of_processes_takes_maps() -> None:
    maps = [dumpmap.open(X64), dumpmap.open(FRAGMENT)]
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.map(_committed, maps) == [one.total.committed for one in maps]


def test_a_diff_travels() -> None:
    before = dumpmap.diff(FIXTURES / "leak-x64-before.dmp.gz", FIXTURES / "leak-x64-after.dmp.gz")
    assert pickle.loads(pickle.dumps(before)).to_dict() == before.to_dict()


def test_a_copy_is_the_map_itself() -> None:
    region_map = dumpmap.open(X64)
    assert copy.copy(region_map) is region_map
    assert copy.deepcopy([region_map])[0] is region_map


@pytest.mark.parametrize("name", ["allocations", "regions"])
def test_frames_are_the_callers_own(name: str) -> None:
    region_map = dumpmap.open(X64)
    wanted = getattr(region_map, name).copy(deep=True)
    summary = region_map.summary()
    frame = getattr(region_map, name)
    frame["size"] = 0
    frame.loc[0, "details"] = "mine"
    frame.iloc[1, frame.columns.get_loc("committed")] = 7
    frame["more"] = 1
    pd.testing.assert_frame_equal(getattr(region_map, name), wanted)
    pd.testing.assert_frame_equal(region_map.summary(), summary)


def test_changes_are_the_callers_own() -> None:
    difference = dumpmap.diff(FIXTURES / "leak-x64-before.dmp.gz", FIXTURES / "leak-x64-after.dmp.gz")
    frame = difference.allocations
    wanted = frame.copy(deep=True)
    frame.loc[0, "size_delta"] = 99
    pd.testing.assert_frame_equal(difference.changes.frame, wanted)


def test_a_diff_in_a_line_and_as_frames() -> None:
    difference = dumpmap.diff(FIXTURES / "leak-x64-before.dmp.gz", FIXTURES / "leak-x64-after.dmp.gz")
    counts = {name: int(count) for name, count in difference.allocations["status"].value_counts().items()}
    text = repr(difference)
    assert text.startswith("<Diff leak-x64-before.dmp.gz -> leak-x64-after.dmp.gz: one process, ")
    assert "\n" not in text
    assert len(text) < 200
    for status, count in counts.items():
        assert (f"{count} {status}" in text) == (count > 0)
    assert repr(difference.changes) == f"<Changes: {text.split(', ', 1)[1]}"

    summary = difference.summary()
    assert isinstance(difference.a, dumpmap.RegionMap)
    assert isinstance(difference.b, dumpmap.RegionMap)
    before, after = difference.a.summary(), difference.b.summary()
    assert summary.index.tolist() == before.index.tolist()
    for column in before.columns:
        assert summary[f"{column}_a"].tolist() == before[column].tolist()
        assert summary[f"{column}_b"].tolist() == after[column].tolist()
    changed = after["committed"] - before["committed"]
    pd.testing.assert_series_equal(summary["committed_delta"], changed, check_names=False)


def test_a_diff_keeps_the_last_bit_of_its_figures() -> None:
    difference = dumpmap.diff(FIXTURES / "layout-x86-plain.dmp", X64)
    size = (1 << 62) + 1
    difference.types[0].figures["size"] = FigureChange(size, None)
    assert difference.summary()["size_a"].iloc[0] == size
    assert difference.summary()["size_b"].isna().iloc[0]


def test_a_snapshot_alone_is_none_the_worse_for_it() -> None:
    region_map = dumpmap.open(X64)
    data = region_map.snapshot.memory.ranges()
    pickle.dumps(region_map)
    assert region_map.snapshot.memory.ranges() == data
    assert isinstance(region_map.snapshot, Snapshot)
    assert snapshot_json(region_map.snapshot, [])
    assert np.all(region_map.space.bases[1:] > region_map.space.bases[:-1])
