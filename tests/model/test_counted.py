"""Counters against the map: which maps state what a process commits privately, and when a counter is too low."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.scenes import Scene

from dumpmap.model.counted import contradicted_commit, is_contradicted, private_commit, virtual_size
from dumpmap.model.snapshot import Counters

MB = 1 << 20


@pytest.mark.parametrize(
    ("family", "partial", "commit"),
    [
        ("windows", False, 20 * MB),
        ("windows", True, None),
        ("linux", False, None),
    ],
)
def test_only_windows_charges_every_private_byte(family: str, partial: bool, commit: int | None) -> None:
    scene = Scene(64)
    scene.allocate(20 * MB)
    assert private_commit(scene.map(family=family, partial=partial)) == commit


def test_a_list_that_lacks_its_end_states_no_sum() -> None:
    scene = Scene(64)
    scene.allocate(20 * MB)
    one = scene.map()
    assert private_commit(one) == 20 * MB
    assert private_commit(replace(one, snapshot=replace(one.snapshot, regions_complete=False))) is None


@pytest.mark.parametrize(
    ("counter", "least", "contradicted"),
    [
        (10 * MB, None, False),
        (10 * MB, 11 * MB, False),
        (10 * MB, 11 * MB + 1, True),
        (160 * MB, 170 * MB, False),
        (160 * MB, 170 * MB + 1, True),
        (0, MB, False),
        (0, MB + 1, True),
    ],
)
def test_a_counter_may_lag_by_a_megabyte_or_a_sixteenth(counter: int, least: int | None, contradicted: bool) -> None:
    assert is_contradicted(counter, least) == contradicted


@pytest.mark.parametrize(
    ("private", "pagefile", "denied"),
    [(0, 0, None), (30 * MB, 0, None), (19 * MB, 0, None), (18 * MB, 0, 20 * MB), (0, 5 * MB, 20 * MB)],
)
def test_a_counter_that_denies_the_map(private: int, pagefile: int, denied: int | None) -> None:
    scene = Scene(64)
    scene.allocate(20 * MB)
    counters = Counters(private_usage=private, pagefile_usage=pagefile)
    assert contradicted_commit(scene.map(counters=counters)) == denied


@pytest.mark.parametrize(
    ("virtual", "private", "shown"),
    [
        (0, 0, None),
        (20 * MB, 0, 20 * MB),
        (19 * MB, 0, 19 * MB),
        (18 * MB, 0, None),
        (100 * MB, 90 * MB, 100 * MB),
        (100 * MB, 110 * MB, None),
    ],
)
def test_a_virtual_size_below_what_is_in_use_is_unknown(virtual: int, private: int, shown: int | None) -> None:
    scene = Scene(64)
    scene.allocate(20 * MB)
    counters = Counters(virtual_size=virtual, private_usage=private)
    assert virtual_size(scene.map(counters=counters)) == shown
