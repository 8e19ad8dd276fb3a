"""What an input lacks for a complete map, fact by fact."""

from __future__ import annotations

import pytest
from support.scenes import MB, Scene

from dumpmap.analysis.lacks import Lack, lacks_of
from dumpmap.model.snapshot import Stream, System

KNOWN = System(commit_limit=5, commit_total=1)


@pytest.mark.parametrize(
    ("names", "lacking"),
    [
        ((), True),
        (("ThreadList",), True),
        (("ThreadNames",), False),
        (("ThreadInfoList",), False),
        (("ThreadNames", "ThreadInfoList"), False),
    ],
)
def test_either_list_names_threads(names: tuple[str, ...], lacking: bool) -> None:
    streams = [Stream(number, name, 0, 0) for number, name in enumerate(names)]
    region_map = Scene().leave(64 * MB).map(streams=streams)
    assert (Lack.THREAD_NAMES in lacks_of(region_map)) is lacking


@pytest.mark.parametrize(
    ("facts", "lacking"),
    [
        ({"system": KNOWN}, False),
        ({"system": System(commit_total=1)}, True),
        ({}, True),
        ({"kind": "vmmap"}, False),
        ({"family": "linux"}, False),
    ],
)
def test_counters(facts: dict[str, object], lacking: bool) -> None:
    assert (Lack.COUNTERS in lacks_of(Scene().leave(64 * MB).map(**facts))) is lacking


@pytest.mark.parametrize("partial", [False, True])
def test_regions(partial: bool) -> None:
    assert (Lack.REGIONS in lacks_of(Scene().leave(64 * MB).map(partial=partial))) is partial
